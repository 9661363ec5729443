/* SPDX-License-Identifier: BSD-3-Clause */
/* doomed.c - a snapshot that is being deleted, while its volume goes on.  See doomed.h. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include "map/doomed.h"

int doomed_init(struct doomed *doomed, const struct map *before, const struct map *map)
{
	*doomed = (struct doomed){
		.before = before,
		.first = map->data_start,
		.blocks = bitmap_new(map->data_pages),
		.tables = bitmap_new(map->data_pages),
	};
	return doomed->blocks == NULL || doomed->tables == NULL ? -ENOMEM : 0;
}

void doomed_destroy(struct doomed *doomed)
{
	free((void *)doomed->blocks);
	free((void *)doomed->tables);
}

bool doomed_owns(const struct doomed *doomed, unsigned int level, uint64_t number, uint64_t page)
{
	uint64_t at;

	if (doomed->before == NULL)
		return true;
	at = map_page_at(doomed->before, level, number);
	/* What nobody can tell stays out of use until the next open. */
	return at != page && at != MAP_BAD_PAGE;
}
