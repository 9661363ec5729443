/* SPDX-License-Identifier: BSD-3-Clause */
/* shortage.c - see shortage.h. */
#include "config.h"

#include <unistd.h>

#include "grace-watch.h"
#include "shortage.h"
#include "common/disk.h"

/* Writes after which a page that was free would have been used a hundred times. */
#define VERY_MANY 2000u

void shortage_write(struct kmemblk *handle, uint32_t block, uint32_t version)
{
	uint8_t buf[BLOCK_SIZE];

	block_fill(buf, block, version);
	CHECK_CALL(
		kmemblk_write(disk_in_use(handle), buf, BLOCK_SIZE, (uint64_t)block * BLOCK_SIZE));
}

uint64_t shortage_page(const struct kmemblk *handle, uint32_t block)
{
	const struct map *map = &disk_in_use((struct kmemblk *)handle)->map;
	uint64_t leaf = GET(map->leaf[map_leaf(block)]);

	if (leaf == 0)
		return 0;
	return layout_entry_page(GET(map_table(map, leaf)[block % LAYOUT_TABLE_ENTRIES]));
}

static void *overwrite(void *opaque)
{
	struct shortage *s = opaque;

	for (uint32_t version = 2; !GET(s->enough); version++) {
		shortage_write(s->handle, s->block, version);
		SET(s->written, version);
		if (shortage_page(s->handle, s->block) == s->page) {
			SET(s->reached, true);
			break;
		}
	}
	return NULL;
}

void shortage_begin(struct shortage *s, struct kmemblk *handle, uint32_t block, uint64_t page)
{
	*s = (struct shortage){ .handle = handle, .block = block, .page = page };
	CHECK(pthread_create(&s->thread, NULL, overwrite, s) == 0, "pthread_create");
}

/* True if the writer waits for a page and the reclaimer for a grace period, which a thread holds up. */
static bool has_stopped(const struct shortage *s)
{
	struct pool *pool = &s->handle->pool;
	bool waits;

	pthread_mutex_lock(&pool->lock);
	waits = pool->waiting > 0 && grace_under_way();
	pthread_mutex_unlock(&pool->lock);
	return waits;
}

bool shortage_reaches(const struct shortage *s)
{
	unsigned int first = GET(s->written);

	while (!GET(s->reached)) {
		if (GET(s->written) - first >= VERY_MANY || has_stopped(s))
			return false;
		usleep(1000);
	}
	return true;
}

bool shortage_must_reach(const struct shortage *s)
{
	unsigned int first = GET(s->written);

	while (!GET(s->reached)) {
		if (GET(s->written) - first >= VERY_MANY)
			return false;
		usleep(1000);
	}
	return true;
}

void shortage_end(struct shortage *s)
{
	SET(s->enough, true);
}

void shortage_join(struct shortage *s)
{
	pthread_join(s->thread, NULL);
}
