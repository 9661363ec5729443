/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.h - give back what a map has.  See tree.c. */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "map/map.h"
#include "pages/pool.h"

/* What was given back. */
struct tree_sums {
	uint64_t blocks;
	uint64_t tables;
};

/*
 * Retire all pages of a map that nobody uses and nothing names any more.  May wait.  What cannot be read stays
 * out of use until the next open, and is counted as if it had been given back.
 */
void tree_retire(const struct map *map, struct pool *pool, struct tree_sums *sums);

/*
 * Clear what stands past `blocks` in a map that nobody uses, durably, and retire its pages.  0, or -errno without
 * message: a flush failed.
 */
int tree_cut(const struct map *map, uint64_t blocks, struct pool *pool, struct tree_sums *sums);

/* True if a block at or past `blocks` has a page, or nobody can tell. */
bool tree_holds_past(const struct map *map, uint64_t blocks);

#endif /* TREE_H */
