/* SPDX-License-Identifier: BSD-3-Clause */
/* media.c - see media.h. */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "media.h"

/* The superblock, the directory, and its copy. */
#define FIRST_PAGES 3u

void media_begin(struct media *media, const uint8_t *bytes, size_t size,
		 const struct mutant *mutant)
{
	if (size > sizeof(media->durable))
		fatal("a device of %zu bytes is too large to explore", size);
	memcpy(media->durable, bytes, size);
	memset(media->line, 0, sizeof(media->line));
	media->pending_count = 0;
	media->mutant = mutant;
}

/* The first `count` versions of the line are durable. */
static void settle(struct media *media, uint32_t number, unsigned int count)
{
	struct media_line *line = &media->line[number];

	memcpy(media->durable + (size_t)number * LINE_SIZE, line->version[count - 1]->bytes,
	       LINE_SIZE);
	line->count -= count;
	memmove(line->version, line->version + count, line->count * sizeof(line->version[0]));
	for (unsigned int t = 0; t < TRACE_THREADS; t++)
		line->covered[t] = line->covered[t] > count ? line->covered[t] - count : 0;
}

static void store(struct media *media, const struct event *event)
{
	struct media_line *line = &media->line[event->line];

	if (line->count == VERSIONS)
		settle(media, event->line, 1);
	line->version[line->count++] = event;
	line->entries = line->entries || event->entry ||
			event->line < FIRST_PAGES * (LAYOUT_PAGE_SIZE / LINE_SIZE);
	if (!line->pending)
		media->pending[media->pending_count++] = event->line;
	line->pending = true;
}

static void flush(struct media *media, const struct event *event)
{
	bool last = !mutant_is(media->mutant, MUTANT_SHORT_FLUSH, event->order);

	for (uint32_t i = event->line; i < event->line + event->lines - !last; i++)
		media->line[i].covered[event->thread] = media->line[i].count;
}

static void drain(struct media *media, unsigned int thread)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < media->pending_count; i++) {
		uint32_t number = media->pending[i];
		struct media_line *line = &media->line[number];

		if (line->covered[thread] > 0)
			settle(media, number, line->covered[thread]);
		line->pending = line->count > 0;
		line->entries = line->entries && line->pending;
		if (line->pending)
			media->pending[kept++] = number;
	}
	media->pending_count = kept;
}

/* True if the thread of a flush has itself stored nothing there that is not durable yet. */
static bool found_done(const struct media *media, const struct event *event)
{
	for (uint32_t i = event->line; i < event->line + event->lines; i++)
		for (unsigned int v = 0; v < media->line[i].count; v++)
			if (media->line[i].version[v]->thread == event->thread)
				return false;
	return true;
}

void media_apply(struct media *media, const struct event *event)
{
	switch (event->kind) {
	case EVENT_STORE:
		store(media, event);
		break;
	case EVENT_FLUSH:
		if (mutant_is(media->mutant, MUTANT_NO_FLUSH, event->order) ||
		    (mutant_is(media->mutant, MUTANT_TRUST_FOUND, event->order) &&
		     found_done(media, event)))
			break;
		flush(media, event);
		break;
	case EVENT_DRAIN:
		if (!mutant_is(media->mutant, MUTANT_NO_DRAIN, event->order))
			drain(media, event->thread);
		break;
	case EVENT_BEGIN:
	case EVENT_ACK:
	case EVENT_FAIL:
		break;
	}
}
