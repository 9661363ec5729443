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
		.pages = map->data_pages,
		.blocks = bitmap_new(map->data_pages),
		.tables = bitmap_new(map->data_pages),
		.some = bitmap_new(map->data_pages / DOOMED_CHUNK + 1),
	};
	if (doomed->blocks == NULL || doomed->tables == NULL || doomed->some == NULL)
		return -ENOMEM;
	return 0;
}

void doomed_destroy(struct doomed *doomed)
{
	free((void *)doomed->blocks);
	free((void *)doomed->tables);
	free((void *)doomed->some);
}

/* The pages of a word of one of the maps of bits. */
static unsigned int pages_of_word(const struct doomed *doomed, const _Atomic uint64_t *bits,
				  uint64_t word, uint64_t page[64])
{
	uint64_t value = atomic_load_explicit(&bits[word], memory_order_relaxed);
	unsigned int n = 0;

	for (; value != 0; value &= value - 1)
		page[n++] = doomed->first + word * 64 + (unsigned int)__builtin_ctzll(value);
	return n;
}

uint64_t doomed_visit(const struct doomed *doomed, bool tables,
		      void (*visit)(void *opaque, const uint64_t *page, unsigned int n),
		      void *opaque)
{
	const _Atomic uint64_t *bits = tables ? doomed->tables : doomed->blocks;
	uint64_t chunks = doomed->pages / DOOMED_CHUNK + 1, count = 0;
	/* As many as bitmap_new() makes. */
	uint64_t words = doomed->pages / 64 + 1;

	for (uint64_t chunk = bitmap_find(doomed->some, 0, chunks, true); chunk < chunks;
	     chunk = bitmap_find(doomed->some, chunk + 1, chunks, true)) {
		uint64_t word = chunk * (DOOMED_CHUNK / 64), end = word + DOOMED_CHUNK / 64;
		uint64_t page[64];

		for (; word < end && word < words; word++) {
			unsigned int n = pages_of_word(doomed, bits, word, page);

			if (n > 0)
				visit(opaque, page, n);
			count += n;
		}
	}
	return count;
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
