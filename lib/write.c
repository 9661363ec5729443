/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * write.c - writing: fill free pages, make them durable, publish, make that durable, retire.
 *
 * Whole blocks, in chunks, by these steps:
 *
 *  1. Promise.  Blocks without a page are counted and admitted, their leaves given storage.
 *  2. Take pages.  May wait; nothing is held yet but promises.
 *  3. Fill them.        Power lost here: old contents; the pages are free again at the next open.
 *  4. Drain.            PM_WRITE_DATA: contents before entries (invariant 2).
 *  5. Publish each, by compare-and-exchange on its entry: the linearisation point of the block's
 *     write.            Power lost here: each block is old or new, for its entry is 8 bytes.
 *  6. Flush the entries, drain.  PM_WRITE_ENTRY: entries before the answer (8) and before reuse
 *     (3).              Power lost here: the same; nothing has been acknowledged.
 *  7. Retire the pages that were replaced; settle the promises.
 *
 * Every way out after the first exchange goes through 6 and 7.  If 6 fails, the replaced pages are
 * not retired (the media may still name them) and the handle goes read-only.
 *
 * Part of a block is the same with one page, except that the old contents are read between 2 and 3
 * in a section that lasts until the exchange: it keeps the old page from being reused, so an equal
 * entry means equal contents (no ABA), and an exchange that fails starts again.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "grace.h"
#include "guard.h"
#include "internal.h"

/* Blocks a chunk: enough to make drains and waits rare, few enough for the stack. */
#define CHUNK_BLOCKS 256u

struct chunk {
	struct kmemblk *h;
	uint64_t block;			 /* first */
	unsigned int count;		 /* blocks, and pages taken for them */
	const uint8_t *src;		 /* NULL: zeroes */
	uint64_t promises;		 /* pages_admit()ed and not yet settled ... */
	uint64_t bound;			 /* ... and how many of those have been kept */
	unsigned int replaced;		 /* of old[] */
	volatile unsigned int published; /* read after a fault */
	uint64_t page[CHUNK_BLOCKS];	 /* taken; [published, count) still are */
	uint64_t old[CHUNK_BLOCKS];	 /* pages that were replaced */
	int rc;				 /* of persisting what was filled */
};

/* Not by an initializer: that would clear the arrays at every write. */
static void begin(struct chunk *c, struct kmemblk *h, uint64_t block, const uint8_t *src)
{
	c->h = h;
	c->block = block;
	c->src = src;
	c->count = 0;
	c->promises = 0;
	c->bound = 0;
	c->replaced = 0;
	c->published = 0;
}

/* Steps 1 and 2 for up to `most` blocks.  0, -EAGAIN (try again), or -errno with message. */
static int prepare(struct chunk *c, unsigned int most)
{
	struct kmemblk *h = c->h;
	unsigned int unmapped;
	int rc, taken;

	rc = index_count_unmapped(&h->index, c->block, most, &unmapped);
	if (rc != 0)
		return rc;
	if (unmapped > 0) {
		uint64_t last = c->block + most - 1;

		for (uint64_t b = c->block; rc == 0 && b <= last; b += LAYOUT_LEAF_ENTRIES)
			rc = index_allocate_leaf(&h->index, b);
		if (rc == 0)
			rc = index_allocate_leaf(&h->index, last);
		if (rc == 0)
			rc = pages_admit(&h->pages, unmapped, true);
		if (rc != 0)
			return rc;
		c->promises = unmapped;
	}
	taken = pages_take(&h->pages, most, c->page);
	if (taken < 0)
		return taken;
	c->count = (unsigned int)taken;
	return 0;
}

/* Step 3, a run of adjacent pages at a time. */
static void fill_access(void *opaque)
{
	struct chunk *c = opaque;
	const struct pm *pm = &c->h->device.pm;
	unsigned int i = 0, n;

	for (; c->rc == 0 && i < c->count; i += n) {
		uint8_t *to = pm_page(pm, c->page[i]);

		for (n = 1; i + n < c->count && c->page[i + n] == c->page[i] + n; n++)
			;
		if (c->src == NULL)
			c->rc = pm_zero(pm, to, (size_t)n << LAYOUT_PAGE_SHIFT, PM_WRITE_DATA);
		else
			c->rc = pm_copy(pm, to, c->src + ((size_t)i << LAYOUT_PAGE_SHIFT),
					(size_t)n << LAYOUT_PAGE_SHIFT, PM_WRITE_DATA);
	}
}

static int fail_media(struct kmemblk *h, uint64_t bad_page)
{
	/* It is not handed out again, if it is a data page. */
	pages_mark_bad(&h->pages, bad_page);
	return fail(EIO, "write: %s: media error at page %llu", h->device.path,
		    (unsigned long long)bad_page);
}

/* Steps 3 and 4. */
static int fill(struct chunk *c)
{
	const struct pm *pm = &c->h->device.pm;
	uint64_t bad_page;

	c->rc = 0;
	if (!guard_run(pm, fill_access, c, &bad_page))
		return fail_media(c->h, bad_page);
	if (c->rc != 0)
		return fail_persist(c->h, -c->rc);
	/* Contents before the entries that will name them.  Else: another block's bytes. */
	pm_drain(pm, PM_WRITE_DATA);
	return 0;
}

enum exchanged {
	EXCHANGED,  /* published; *seen is what was replaced */
	CHANGED,    /* somebody else was first; *seen is what is there now */
	UNPROMISED, /* the block has no page any more, and there is no promise for it */
};

/* Make `page` the content of a block whose entry held *seen when last looked at. */
static enum exchanged exchange(struct chunk *c, uint64_t block, uint64_t page, uint64_t *seen)
{
	struct index *index = &c->h->index;
	_Atomic uint64_t *entry = &index->entries[block];
	uint64_t desired = layout_pack_entry(page);

	if (*seen != 0)
		return pm_cas(&c->h->device.pm, entry, seen, desired) ? EXCHANGED : CHANGED;
	if (c->promises == c->bound) {
		/* Trimmed since we looked.  Pages are held, so there must be no waiting here. */
		if (pages_admit(&c->h->pages, 1, false) != 0)
			return UNPROMISED;
		c->promises++;
	}
	/* Before the entry, so that whoever finds the leaf empty is right. */
	index_raise(index, index_leaf(block));
	if (pm_cas(&c->h->device.pm, entry, seen, desired)) {
		c->bound++;
		return EXCHANGED;
	}
	index_lower(index, index_leaf(block), 1);
	return CHANGED;
}

/* Note what an exchange replaced. */
static void replaced(struct chunk *c, uint64_t seen)
{
	uint64_t page = index_page_of(&c->h->index, seen);

	/* A bad entry names no page of ours to retire. */
	if (page != 0 && page != INDEX_BAD_PAGE)
		c->old[c->replaced++] = page;
}

/* Publish the next page.  False if its block needs a promise and none is to be had. */
static bool publish_next(struct chunk *c)
{
	uint64_t block = c->block + c->published;
	uint64_t seen = atomic_load_explicit(&c->h->index.entries[block], memory_order_acquire);
	enum exchanged outcome;

	do
		outcome = exchange(c, block, c->page[c->published], &seen);
	while (outcome == CHANGED);
	if (outcome == UNPROMISED)
		return false;
	replaced(c, seen);
	c->published = c->published + 1;
	return true;
}

/* Step 5.  What is left unpublished after success is tried again by the caller. */
static void publish_access(void *opaque)
{
	struct chunk *c = opaque;

	while (c->published < c->count && publish_next(c))
		;
}

static int publish(struct chunk *c)
{
	uint64_t bad_page;

	if (guard_run(&c->h->device.pm, publish_access, c, &bad_page))
		return 0;
	return fail_media(c->h, bad_page);
}

/* Steps 6 and 7, whatever came before; `rc` is what it said. */
static int finish(struct chunk *c, int rc, enum pm_order order)
{
	struct pages *pages = &c->h->pages;

	/* First, since retiring may wait. */
	pages_put(pages, c->page + c->published, c->count - c->published);
	if (c->published > 0) {
		int persisted = index_persist(&c->h->index, c->block, c->published, order);

		if (persisted != 0)
			rc = fail_persist(c->h, -persisted);
		else
			pages_retire(pages, c->old, c->replaced);
	}
	pages_settle(pages, c->promises, c->bound);
	return rc;
}

int write_whole(struct kmemblk *h, uint64_t block, uint64_t n, const uint8_t *src)
{
	int rc = 0;

	while (rc == 0 && n > 0) {
		struct chunk c;

		begin(&c, h, block, src);
		rc = prepare(&c, n < CHUNK_BLOCKS ? (unsigned int)n : CHUNK_BLOCKS);
		if (rc == 0)
			rc = fill(&c);
		if (rc == 0)
			rc = publish(&c);
		rc = finish(&c, rc, PM_WRITE_ENTRY);
		if (rc == -EAGAIN)
			rc = 0;
		block += c.published;
		n -= c.published;
		if (src != NULL)
			src += (size_t)c.published << LAYOUT_PAGE_SHIFT;
	}
	return rc;
}

/* ---- part of a block ------------------------------------------------------------------------ */

enum part_outcome { PART_DONE, PART_RETRY, PART_UNMAPPED, PART_FAILED };

struct part {
	struct chunk *c;
	uint32_t from, len;
	const uint8_t *src; /* NULL: zeroes */
	bool if_mapped;
	enum part_outcome outcome;
	uint8_t contents[LAYOUT_PAGE_SIZE];
};

/* Put the block's new contents together; false if its entry is bad. */
static bool compose(struct part *part, uint64_t page)
{
	if (page == INDEX_BAD_PAGE)
		return false;
	if (page == 0)
		memset(part->contents, 0, sizeof(part->contents));
	else
		pm_read(part->contents, pm_page(&part->c->h->device.pm, page),
			sizeof(part->contents));
	if (part->src == NULL)
		memset(part->contents + part->from, 0, part->len);
	else
		memcpy(part->contents + part->from, part->src, part->len);
	return true;
}

static enum part_outcome try_part(struct part *part)
{
	struct chunk *c = part->c;
	struct index *index = &c->h->index;
	const struct pm *pm = &c->h->device.pm;
	uint64_t seen = 0, page;

	if (!index_leaf_empty(index, index_leaf(c->block)))
		seen = atomic_load_explicit(&index->entries[c->block], memory_order_acquire);
	page = index_page_of(index, seen);
	if (page == 0 && part->if_mapped)
		return PART_UNMAPPED;
	if (page == 0 && c->promises == 0)
		return PART_RETRY;
	if (!compose(part, page))
		return PART_FAILED;
	c->rc = pm_copy(pm, pm_page(pm, c->page[0]), part->contents, sizeof(part->contents),
			PM_PART_DATA);
	if (c->rc != 0)
		return PART_FAILED;
	/* Contents before the entry that will name them, as for a whole block. */
	pm_drain(pm, PM_PART_DATA);
	if (exchange(c, c->block, c->page[0], &seen) != EXCHANGED)
		return PART_RETRY;
	replaced(c, seen);
	c->published = 1;
	return PART_DONE;
}

static void part_access(void *opaque)
{
	struct part *part = opaque;

	part->outcome = try_part(part);
}

/*
 * Read, change, fill, drain and publish, in a section.  With PART_RETRY in part->outcome somebody
 * else was first, or the block needs a promise that it has not got.  0 or -errno with message.
 */
static int replace_part(struct part *part)
{
	struct chunk *c = part->c;
	uint64_t bad_page;
	bool whole;

	c->rc = 0;
	grace_enter();
	whole = guard_run(&c->h->device.pm, part_access, part, &bad_page);
	grace_leave();
	if (!whole)
		return fail_media(c->h, bad_page);
	if (part->outcome != PART_FAILED)
		return 0;
	if (c->rc != 0)
		return fail_persist(c->h, -c->rc);
	return fail(EIO, "write: %s: the index entry of block %llu is damaged", c->h->device.path,
		    (unsigned long long)c->block);
}

/* A block without a page reads as zeroes already; make sure that this is durable (8). */
static int confirm_unmapped(struct kmemblk *h, uint64_t block)
{
	int rc;

	if (index_leaf_empty(&h->index, index_leaf(block)))
		return 0;
	rc = index_persist(&h->index, block, 1, PM_TRIM_ENTRY);
	return rc == 0 ? 0 : fail_persist(h, -rc);
}

/*
 * One page, and a promise if the block has none.  0; 1 if there is nothing to do; -EAGAIN; or
 * -errno with message.
 */
static int prepare_part(struct chunk *c, const struct part *part)
{
	struct kmemblk *h = c->h;
	unsigned int unmapped;
	int rc = index_count_unmapped(&h->index, c->block, 1, &unmapped);

	if (rc != 0)
		return rc;
	if (unmapped > 0 && part->if_mapped) {
		/* No page is needed, and none may be to be had. */
		rc = confirm_unmapped(h, c->block);
		return rc == 0 ? 1 : rc;
	}
	return prepare(c, 1);
}

int write_part(struct kmemblk *h, uint64_t block, uint32_t from, uint32_t len, const uint8_t *src,
	       bool if_mapped)
{
	struct part part;
	int rc = 0;

	part.from = from;
	part.len = len;
	part.src = src;
	part.if_mapped = if_mapped;
	part.outcome = PART_RETRY;
	while (rc == 0 && part.outcome == PART_RETRY) {
		struct chunk c;

		begin(&c, h, block, NULL);
		part.c = &c;
		rc = prepare_part(&c, &part);
		if (rc > 0)
			return 0;
		if (rc == 0)
			rc = replace_part(&part);
		rc = finish(&c, rc, PM_PART_ENTRY);
		if (rc == -EAGAIN)
			rc = 0;
		if (rc == 0 && part.outcome == PART_UNMAPPED)
			rc = confirm_unmapped(h, block);
	}
	return rc;
}

int kmemblk_write(struct kmemblk *h, const void *buf, size_t count, uint64_t offset)
{
	const uint8_t *src = buf;
	struct span span = span_of(count, offset);
	int rc = check_writable(h, "write", count, offset);

	if (rc == 0 && span.head_len > 0)
		rc = write_part(h, span.head_block, span.head_from, span.head_len, src, false);
	if (rc == 0 && span.blocks > 0)
		rc = write_whole(h, span.block, span.blocks, src + span.head_len);
	if (rc == 0 && span.tail_len > 0)
		rc = write_part(h, span.tail_block, 0, span.tail_len, src + count - span.tail_len,
				false);
	return rc;
}
