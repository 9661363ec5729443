/* SPDX-License-Identifier: BSD-3-Clause */
/* tree.h - cut off the end of a map.  See tree.c. */
#ifndef TREE_H
#define TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "map/map.h"
#include "pages/pool.h"

/* What was cut off, and of that what the volume owned. */
struct tree_sums {
	uint64_t blocks, tables;
	uint64_t owned, owned_tables;
};

/*
 * Before a cut: make the tables that the end cuts the volume's own.  May wait for a page.  0, or -errno with message.
 */
int tree_own_edge(struct map *map, uint64_t blocks, struct pool *pool);

/*
 * Clear all entries for what begins at or past `blocks`, of a map that nobody uses and whose tables at the edge are its
 * own, and retire what they named that the volume owns; between reserve_unmap_begin() and end.  *sums counts what has been cut off, also
 * after an error.  0, or -errno with message: a table could not be read, or a flush failed, and then the pool is frozen.
 */
int tree_cut(struct map *map, uint64_t blocks, struct pool *pool, struct tree_sums *sums);

/* True if an entry past `blocks` names something, or nobody can tell.  Looks at the tables at the edge only. */
bool tree_names_past(const struct map *map, uint64_t blocks);

/* True if a block at or past `blocks` has a page, or nobody can tell. */
bool tree_holds_past(const struct map *map, uint64_t blocks);

#endif /* TREE_H */
