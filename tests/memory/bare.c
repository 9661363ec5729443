/* SPDX-License-Identifier: BSD-3-Clause */
/* bare.c - a shared object that is no allocator. */
int bare_answer(void);

int bare_answer(void)
{
	return 42;
}
