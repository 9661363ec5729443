/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lend-mutant.c - a library whose writers may take pages that are lent (invariant 5 broken).
 *
 * Linked into a test with -Wl,--wrap=memory_lend, this takes the place of memory_lend(): the first
 * page of a loan is free, too, for as long as it is lent.  The test must then fail.
 */
#include "config.h"

#include "pages/pages.h"

int __real_memory_lend(struct pages *pages, uint64_t n, uint64_t align, uint64_t *first);
int __wrap_memory_lend(struct pages *pages, uint64_t n, uint64_t align, uint64_t *first);

int __wrap_memory_lend(struct pages *pages, uint64_t n, uint64_t align, uint64_t *first)
{
	int rc = __real_memory_lend(pages, n, align, first);

	if (rc == 0) {
		pages->stored++;
		pages_free_run(pages, *first, 1);
	}
	return rc;
}
