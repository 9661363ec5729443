/* SPDX-License-Identifier: BSD-3-Clause */
/* shortage.c - see shortage.h. */
#include "config.h"

#include <limits.h>
#include <unistd.h>

#include "shortage.h"

/* Writes after which a page that was free would have been used a hundred times. */
#define VERY_MANY 2000u
/* Tenths of a second without progress, after which the writer counts as stopped. */
#define STOPPED 5u

void shortage_write(struct kmemblk *handle, uint32_t block, uint32_t version)
{
	uint8_t buf[BLOCK_SIZE];

	block_fill(buf, block, version);
	CHECK_CALL(kmemblk_write(handle, buf, BLOCK_SIZE, (uint64_t)block * BLOCK_SIZE));
}

uint64_t shortage_entry(const struct kmemblk *handle, uint32_t block)
{
	return GET(handle->index.entries[block]);
}

static void *overwrite(void *opaque)
{
	struct shortage *s = opaque;

	for (uint32_t version = 2; !GET(s->enough); version++) {
		shortage_write(s->handle, s->block, version);
		SET(s->written, version);
		if (shortage_entry(s->handle, s->block) == s->page) {
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

/* Wait for the page until very many writes are done, or there is none for so many tenths. */
static bool wait_for_page(const struct shortage *s, unsigned int tenths)
{
	unsigned int first = GET(s->written), before = first, still = 0;

	while (still < tenths && before - first < VERY_MANY) {
		for (unsigned int i = 0; i < 100 && !GET(s->reached); i++)
			usleep(1000);
		if (GET(s->reached))
			return true;
		still = GET(s->written) == before ? still + 1 : 0;
		before = GET(s->written);
	}
	return false;
}

bool shortage_reaches(const struct shortage *s)
{
	return wait_for_page(s, STOPPED);
}

bool shortage_must_reach(const struct shortage *s)
{
	return wait_for_page(s, UINT_MAX);
}

void shortage_end(struct shortage *s)
{
	SET(s->enough, true);
}

void shortage_join(struct shortage *s)
{
	pthread_join(s->thread, NULL);
}
