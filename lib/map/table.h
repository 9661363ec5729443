/* SPDX-License-Identifier: BSD-3-Clause */
/* table.h - give blocks a leaf.  See table.c. */
#ifndef TABLE_H
#define TABLE_H

#include <stdint.h>

#include "map/map.h"
#include "pages/pool.h"

/*
 * Make the tables that are missing on the way to a block, so that it has a leaf.  May wait for pages, so the
 * caller holds none and is outside sections.  0, or -errno with message; what was made stays.
 */
int table_make(struct map *map, struct pool *pool, uint64_t block, const char *what);

#endif /* TABLE_H */
