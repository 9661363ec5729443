/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * internal.h - the handle, and the invariants that the rest of the library cites by number.
 *
 * 1. A published page never changes.  Every write fills a page nobody else can see, makes it
 *    durable, then publishes it; so a block is never torn.
 * 2. Data before index: a page's bytes are durable before the entry that names it can be.
 * 3. Index before reuse: a page is reused only after the entry that named it is durably something
 *    else.
 * 4. Readers before reuse: a page is reused only after every read that may have looked it up is
 *    over.
 * 5. Each page has one owner (pages.h lists them), and each transfer is one atomic step.
 * 6. Only the superblock and the index are on media; all else is rebuilt from the index at open.
 * 7. Nothing on media is trusted until checked; every entry is checked when it is loaded.
 * 8. What is acknowledged is durable, also what a request found already done.
 *
 * Calls go one way: kmemblk.h -> kmemblk.c, format.c, check.c, info.c, lend.c -> lending.c, move.c ->
 * read.c, write.c, trim.c, extents.c -> index.c, pages.c, super.c -> pm.c, device.c.
 */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "media/cow.h"
#include "media/device.h"
#include "map/index.h"
#include "kmemblk.h"
#include "lend/compaction.h"
#include "pages/pages.h"
#include "map/super.h"

struct kmemblk {
	struct device device;
	struct super super;
	struct index index;
	struct pages pages; /* not in a read-only handle */
	struct mover mover;
	struct lending *lending; /* NULL for none */
	/* A read-only handle of a damaged device: the pages that two entries name, else NULL. */
	_Atomic uint64_t *shared;
	enum cow cow; /* at open */
	bool readonly;
	bool started;
	/* Persisting failed, so nothing is known of what is durable: no more writes. */
	_Atomic bool failed;
};

/* 0 if [offset, offset + count) lies in the disk, else -EINVAL with a message. */
int check_range(const struct kmemblk *h, const char *what, uint64_t count, uint64_t offset);

/* The same, and that the handle can write: else -EROFS with a message. */
int check_writable(const struct kmemblk *h, const char *what, uint64_t count, uint64_t offset);

/*
 * A flush failed: the handle is read-only from now on, and nothing that was retired is reused.  In
 * the section in which it failed, so that a grace period shows it to whoever relied on that flush.
 */
void note_failed_flush(struct kmemblk *h);

/* The message for it.  Returns -EIO. */
int fail_persist(const struct kmemblk *h, int err);

/*
 * Last of all in a request that has changed something: 0 if it may be acknowledged, else -EIO with a
 * message.  May wait for a grace period, so outside sections and holding no page.
 */
int acknowledge(struct kmemblk *h);

/* write.c: whole blocks [block, block + n); src NULL writes zeroes. */
int write_whole(struct kmemblk *h, uint64_t block, uint64_t n, const uint8_t *src);

/*
 * write.c: `len` bytes at `from` of one block; src NULL writes zeroes.  With `if_mapped`, for
 * zeroes only, a block without a page stays so.
 */
int write_part(struct kmemblk *h, uint64_t block, uint32_t from, uint32_t len, const uint8_t *src,
	       bool if_mapped);

/* A byte range as whole blocks and the parts at its ends. */
struct span {
	uint64_t head_block; /* part at the front: head_len bytes at head_from; 0 for none */
	uint32_t head_from, head_len;
	uint64_t block, blocks; /* whole blocks */
	uint64_t tail_block;	/* part at the back: tail_len bytes at 0; 0 for none */
	uint32_t tail_len;
};

static inline struct span span_of(uint64_t count, uint64_t offset)
{
	struct span span = { .block = offset >> LAYOUT_PAGE_SHIFT };
	uint32_t in_block = (uint32_t)(offset % LAYOUT_PAGE_SIZE);

	if (in_block != 0) {
		uint64_t rest = LAYOUT_PAGE_SIZE - in_block;

		span.head_block = span.block++;
		span.head_from = in_block;
		span.head_len = (uint32_t)(count < rest ? count : rest);
		count -= span.head_len;
	}
	span.blocks = count >> LAYOUT_PAGE_SHIFT;
	span.tail_block = span.block + span.blocks;
	span.tail_len = (uint32_t)(count % LAYOUT_PAGE_SIZE);
	return span;
}

#endif /* INTERNAL_H */
