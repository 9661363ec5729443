/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pages-mutant.c - a library that gives free pages away, or takes them back, against the rules.
 *
 * Stands, by the linker's --wrap, where pages lose their storage, are lent and are given back.  A
 * mutant of these either gives away what is not free, or does not count what it does.  What a
 * request does to the free pages it does under their lock, so each of these has it, too.
 */
#include "config.h"

#include "mutate.h"
#include "ops.h"
#include "pages/pages.h"

/* The page that a writer has taken last, and may still have; or its block has it by now. */
static uint64_t taken;

int __real_pages_take(struct pages *, unsigned int, uint64_t *, struct near *);
int64_t __real_pages_drop_storage(struct pages *, uint64_t);
int __real_memory_lend(struct pages *, uint64_t, uint64_t, uint64_t *);
void __real_memory_return(struct pages *, uint64_t, uint64_t);
bool __real_pageset_has_run(const struct pageset *, uint64_t, uint64_t);

int __wrap_pages_take(struct pages *, unsigned int, uint64_t *, struct near *);
int64_t __wrap_pages_drop_storage(struct pages *, uint64_t);
int __wrap_memory_lend(struct pages *, uint64_t, uint64_t, uint64_t *);
void __wrap_memory_return(struct pages *, uint64_t, uint64_t);
bool __wrap_pageset_has_run(const struct pageset *, uint64_t, uint64_t);

static bool is(enum mutant_kind kind)
{
	return mutate_is(kind, PM_ORDER_COUNT);
}

int __wrap_pages_take(struct pages *pages, unsigned int most, uint64_t *page, struct near *near)
{
	int rc = __real_pages_take(pages, most, page, near);

	if (rc > 0)
		taken = page[rc - 1];
	return rc;
}

/* Some page that has been retired, and for which no grace period has begun; 0 for none. */
static uint64_t retired(struct pages *pages, bool remove)
{
	uint64_t page = 0;

	pthread_mutex_unlock(&pages->lock);
	for (unsigned int i = 0; i < pages->slot_count && page == 0; i++) {
		struct batch *batch;

		slot_lock(&pages->slots[i]);
		batch = pages->slots[i].retired;
		if (batch != NULL && batch->count > 0) {
			page = batch->page[batch->count - 1];
			batch->count -= remove;
		}
		slot_unlock(&pages->slots[i]);
	}
	pthread_mutex_lock(&pages->lock);
	return page;
}

static void punch(struct pages *pages, uint64_t page)
{
	pthread_mutex_unlock(&pages->lock);
	if (page != 0)
		device_drop(pages->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);
	pthread_mutex_lock(&pages->lock);
}

int64_t __wrap_pages_drop_storage(struct pages *pages, uint64_t most)
{
	uint64_t spare = pages->spare;
	int64_t n;

	if (is(MUTANT_PUNCH_NEEDED))
		pages->spare = 0;
	n = __real_pages_drop_storage(pages, most);
	if (is(MUTANT_PUNCH_NEEDED))
		pages->spare = spare;
	if (is(MUTANT_PUNCH_UNCOUNTED) && n > 0)
		pages->stored += (uint64_t)n;
	if (is(MUTANT_PUNCH_RETIRED))
		punch(pages, retired(pages, false));
	if (is(MUTANT_PUNCH_TAKEN))
		punch(pages, taken);
	return n;
}

int __wrap_memory_lend(struct pages *pages, uint64_t n, uint64_t align, uint64_t *first)
{
	uint64_t spare = pages->spare;
	int rc;

	if (is(MUTANT_LEND_RETIRED) && (*first = retired(pages, true)) != 0) {
		pages->stored--;
		pageset_add(&pages->lent, *first, 1);
		return 0;
	}
	if (is(MUTANT_LEND_NEEDED))
		pages->spare = 0;
	rc = __real_memory_lend(pages, n, align, first);
	if (is(MUTANT_LEND_NEEDED))
		pages->spare = spare;
	/* Anybody may take it, too. */
	if (is(MUTANT_LEND_TWICE) && rc == 0) {
		pages->stored++;
		pages_free_run(pages, *first, 1);
	}
	return rc;
}

/* The only question is whether what is given back is lent. */
bool __wrap_pageset_has_run(const struct pageset *set, uint64_t first, uint64_t n)
{
	return is(MUTANT_RETURN_TWICE) || __real_pageset_has_run(set, first, n);
}

void __wrap_memory_return(struct pages *pages, uint64_t first, uint64_t n)
{
	if (is(MUTANT_RETURN_TWICE) && !__real_pageset_has_run(&pages->lent, first, n)) {
		pages_free_run(pages, first, n);
		return;
	}
	__real_memory_return(pages, first, n);
	if (is(MUTANT_RETURN_UNCOUNTED))
		pages->stored -= n;
}
