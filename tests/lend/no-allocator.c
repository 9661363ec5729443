/* SPDX-License-Identifier: BSD-3-Clause */
/* no-allocator.c - a shared object that is no allocator. */
int answer(void);

int answer(void)
{
	return 42;
}
