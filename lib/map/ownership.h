/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ownership.h - the tables and pages that a map owns.
 *
 * A snapshot's map and its volume's name the same tables until one of them is written.  A map owns a page if it
 * names it at a place where its predecessor does not; else it shares it, with all that is below it.  So what
 * a map owns is found by a walk of both, which goes no further where they are equal, and costs what differs.
 */
#ifndef OWNERSHIP_H
#define OWNERSHIP_H

#include <stdbool.h>
#include <stdint.h>

#include "map/map.h"

/* What is called; those below a table before it, so that it may let go of what it is shown. */
struct ownership_visitor {
	void (*block)(void *opaque, uint64_t block, uint64_t page);
	void (*table)(void *opaque, unsigned int level, uint64_t number, uint64_t page);
	void *opaque;
};

/*
 * Visit all that `map` owns, but for what `successor` names at the same place.  `predecessor` and `successor` may be
 * NULL.  False if something could not be followed: that, and what it would have been compared with, was left out.
 * Not under a guard; nobody changes the maps meanwhile, or what is found is what they were at some time.
 */
bool ownership_visit(const struct map *map, const struct map *predecessor,
		     const struct map *successor, const struct ownership_visitor *visitor);

/* The same below the table that `page` is, at a place. */
bool ownership_visit_below(const struct map *map, const struct map *predecessor, unsigned int level,
			   uint64_t number, uint64_t page, const struct ownership_visitor *visitor);

#endif /* OWNERSHIP_H */
