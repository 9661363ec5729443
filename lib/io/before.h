/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * before.h - what the predecessor has for a block whose entry is to be changed.
 *
 * What it names is its own (invariant 12): who replaces or clears the entry of the volume leaves that page to it.
 */
#ifndef BEFORE_H
#define BEFORE_H

#include "map/doomed.h"
#include "map/map.h"

struct before {
	uint64_t page; /* 0: none; MAP_BAD_PAGE: its entry is damaged */
	struct doomed *
		doomed; /* the page is freed with the predecessor, which is being deleted; NULL: not so */
};

/*
 * The i-th entry of the predecessor's, which is that of `block`; `entries` NULL: it has no leaf there.  In the section
 * of the change, and before it: a fault here has changed nothing.
 */
static inline struct before before_look(const struct map *map, const _Atomic uint64_t *entries,
					unsigned int i, uint64_t block)
{
	struct before before = { 0, NULL };

	if (__builtin_expect(entries == NULL, 1))
		return before;
	/* Relaxed: it has not changed since its map became the predecessor. */
	before.page = map_page_of(map, atomic_load_explicit(&entries[i], memory_order_relaxed));
	if (before.page != 0) {
		before.doomed = map_doomed(map);
		if (before.doomed != NULL && !doomed_owns(before.doomed, 0, block, before.page))
			before.doomed = NULL;
	}
	return before;
}

/* True if `page`, which the volume's entry names, stays with the predecessor, by what that has there. */
static inline bool before_keeps(uint64_t before, uint64_t page)
{
	/* A bad entry names no page that anybody could have. */
	return page != 0 && page != MAP_BAD_PAGE && (page == before || before == MAP_BAD_PAGE);
}

#endif /* BEFORE_H */
