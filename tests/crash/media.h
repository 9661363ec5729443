/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * media.h - what the media holds at a point of a trace, and what it might hold.
 *
 * Each line has contents that are durable, and versions stored since, in order.  A power failure
 * leaves one of them, of each line independently.  A flush by a thread covers the versions that are
 * there at that time; the same thread's drain makes them durable, and no other thread's does.
 */
#ifndef MEDIA_H
#define MEDIA_H

#include "mutant.h"
#include "recorder.h"

#define MEDIA_LINES (MEDIA_PAGES * LAYOUT_PAGE_SIZE / LINE_SIZE)
/* Of one line not yet durable.  Past it the oldest counts as durable: fewer images, none wrong. */
#define VERSIONS 24u

struct media_line {
	unsigned int count;
	const struct event *version[VERSIONS];
	unsigned int covered[TRACE_THREADS]; /* first so many versions, by an undrained flush */
	bool pending;			     /* in media->pending */
	/* Of the superblock, the directory or its copy, or a version is the store of an entry. */
	bool entries;
};

struct media {
	uint8_t durable[MEDIA_LINES * LINE_SIZE];
	struct media_line line[MEDIA_LINES];
	uint32_t pending[MEDIA_LINES]; /* lines with versions, in the order of their first */
	unsigned int pending_count;
	const struct mutant *mutant;
};

/* Begin with `size` durable bytes. */
void media_begin(struct media *media, const uint8_t *bytes, size_t size,
		 const struct mutant *mutant);

/* Take one event; the mutant may turn it into none. */
void media_apply(struct media *media, const struct event *event);

/* The contents of a line as of its `version`th version; 0 is what is durable. */
static inline const uint8_t *media_bytes(const struct media *media, uint32_t line,
					 unsigned int version)
{
	return version == 0 ? media->durable + (size_t)line * LINE_SIZE
			    : media->line[line].version[version - 1]->bytes;
}

#endif /* MEDIA_H */
