/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * write.c - writing: fill free pages, make them durable, publish, make that durable, retire.
 *
 * Whole blocks, in chunks of one leaf, by these steps:
 *
 *  0. If the blocks have no leaf, or one that a snapshot shares, make one (map/table.c).  May wait.
 *  1. Take pages.  May wait; nothing is held yet.
 *  2. Fill the pages.   Power lost here: old contents; the pages are free again at the next open.
 *  3. Reserve.  If there are blocks without a page, or if the volume is thin such whose page the predecessor has, too:
 *     reserve pages.  Waits for the file system at most; if there is more to wait for, give the pages back, wait, begin
 *     again.
 *  4. Drain.            PM_WRITE_DATA: contents before entries (invariant 2).
 *  5. Publish each, by compare-and-exchange on its entry: the linearisation point of the block's
 *     write.            Power lost here: each block is old or new, for its entry is 8 bytes.
 *     Retire the pages that were replaced, but for those that the predecessor names (invariant 12).
 *  6. Flush the entries, drain.  PM_WRITE_ENTRY: entries before the answer (8) and before reuse
 *     (3).              Power lost here: the same; nothing has been acknowledged.
 *  7. End the reservations: commit those of blocks that have got a page, cancel the rest.
 *
 * Steps 3 to 6 are one read-side section, or two, before and after reserving, which begins by a look at the gate: if a
 * snapshot was made or deleted since step 0, nothing is published, and all begins again.  The replaced pages cannot come out of their grace period
 * before it ends, and it ends only when the entries are durable.  If that fails, the pages stay out
 * of use for good (note_failed_flush(); the media may still name them) and the handle goes read-only.
 * Every way out after the first exchange goes through 6 and 7.  On an ordinary file the section
 * begins before step 2, whose flush is an msync: see acknowledge(), which is the last step there.
 *
 * The order of taking, reserving and retiring is for speed.  Taking and retiring are atomic
 * instructions, which wait for all earlier stores; placed here, they wait for nothing that is not
 * waited for anyway: pages are retired before the entry's flush, not after.  The entry, which is
 * seldom cached, is looked at after the page has been filled: it then comes from memory while the
 * page is on its way to the media, and no store waits behind that load.
 *
 * Part of a block is the same with one page, except that the reservation comes before the page is
 * filled, since what fills it is read from the block, and that the section begins before that: it
 * keeps the old page from being reused, so an equal entry means equal contents (no ABA), and an
 * exchange that fails starts again.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "io/chunk.h"
#include "io/request.h"
#include "io/verify.h"
#include "io/write.h"
#include "map/table.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

#define ALWAYS_INLINE __attribute__((always_inline))

/* Step 0. */
static inline int find_leaf(struct chunk *c, struct kmemblk_volume *v, uint64_t block)
{
	unsigned int in_leaf = (unsigned int)(block % LAYOUT_TABLE_ENTRIES);
	uint64_t leaf, before;
	int rc;

	for (;;) {
		c->gate = map_gate(&v->map);
		leaf = map_owned_leaf(&v->map, block, c->gate);
		if (__builtin_expect(leaf != 0, 1))
			break;
		rc = table_make(&v->map, &v->h->pool, block, 1, c->near.what);
		if (rc != 0)
			return rc;
	}
	before = map_leaf_before(&v->map, block);
	c->entry = &map_table(&v->map, leaf)[in_leaf];
	c->before = before == 0 ? NULL : &map_table(&v->map, before)[in_leaf];
	return 0;
}

/*
 * Begin a chunk of at most `most` blocks, as far as their leaf goes: steps 0 and 1.  0, or -errno with
 * message.
 */
static inline int begin(struct chunk *c, struct kmemblk_volume *v, uint64_t block, uint64_t most)
{
	unsigned int in_leaf = (unsigned int)(block % LAYOUT_TABLE_ENTRIES);
	int taken;

	c->near.what = c->reservation->what;
	taken = find_leaf(c, v, block);
	if (taken != 0)
		return taken;
	if (most > LAYOUT_TABLE_ENTRIES - in_leaf)
		most = LAYOUT_TABLE_ENTRIES - in_leaf;
	taken = cache_take(&v->h->pool, most < CHUNK_BLOCKS ? (unsigned int)most : CHUNK_BLOCKS,
			   c->page, &c->near);
	if (taken < 0)
		return taken;
	/* Not by an initializer: that would clear the arrays at every write. */
	c->h = v->h;
	c->v = v;
	c->block = block;
	c->count = (unsigned int)taken;
	c->reserved = 0;
	c->committed = 0;
	c->replaced = 0;
	c->retired = 0;
	c->left = 0;
	c->rc = 0;
	c->persist = 0;
	c->published = 0;
	c->in_section = false;
	c->persisted = false;
	return 0;
}

/* True once a snapshot was made or deleted since step 0; false in a section holds until its end (invariant 11). */
static inline bool is_closed(const struct chunk *c)
{
	return map_gate(&c->v->map) != c->gate;
}

/* Step 3 for `n` blocks of the chunk. */
static int reserve(struct chunk *c, unsigned int n)
{
	int rc = reserve_blocks(&c->h->pool, n, c->reservation);

	if (rc == 0)
		c->reserved = n;
	/* Outside the section, what was counted may not be the leaf any more. */
	return rc != 0 && is_closed(c) ? -EAGAIN : rc;
}

/* Fill `n` adjacent pages, the i-th and those after it, and note their check values. */
static inline ALWAYS_INLINE int store_blocks(struct chunk *c, unsigned int i, unsigned int n,
					     const uint8_t *src, enum pm_order order)
{
	const struct pm *pm = &c->h->device.pm;
	uint8_t *to = pm_page(pm, c->page[i]);

	if (__builtin_expect(c->v->map.checks, 1))
		return pm_copy_blocks(pm, to, src, n, map_prefix(&c->v->map, c->block + i),
				      c->check + i, order);
	memset(c->check + i, 0, n * sizeof(c->check[0]));
	if (__builtin_expect(src == NULL, 0))
		return pm_zero(pm, to, (size_t)n << LAYOUT_PAGE_SHIFT, order);
	return pm_copy(pm, to, src, (size_t)n << LAYOUT_PAGE_SHIFT, order);
}

/* Step 2, a run of adjacent pages at a time. */
static inline ALWAYS_INLINE int fill(struct chunk *c, unsigned int count)
{
	unsigned int i = 0, n;
	int rc;

	do {
		for (n = 1; i + n < count && c->page[i + n] == c->page[i] + n; n++)
			;
		rc = store_blocks(c, i, n,
				  c->src == NULL ? NULL : c->src + ((size_t)i << LAYOUT_PAGE_SHIFT),
				  PM_WRITE_DATA);
		i += n;
	} while (rc == 0 && i < count);
	return rc;
}

/*
 * The entry of the i-th block.  Acquire: with the release of who published it, so that its page's bytes are
 * seen.
 */
static inline uint64_t load_entry(const struct chunk *c, unsigned int i)
{
	return atomic_load_explicit(&c->entry[i], memory_order_acquire);
}

/* How many blocks of the chunk take a page more than they have. */
static inline ALWAYS_INLINE unsigned int count_lacking(const struct chunk *c, unsigned int count)
{
	unsigned int i = 0, n = 0;

	do
		n += load_entry(c, i) == 0;
	while (++i < count);
	if (__builtin_expect(c->before != NULL && map_is_thin(&c->v->map), 0))
		n += chunk_count_shared(c, count);
	return n;
}

/* True if the block with that entry is such a one.  In the section, in which it stays the same if the entry does. */
static inline bool lacks_page(const struct chunk *c, uint64_t seen, const struct before *before)
{
	return seen == 0 || (before->page != 0 && map_is_thin(&c->v->map) &&
			     before_keeps(before->page, map_page_of(&c->v->map, seen)));
}

/* Make the i-th page the content of its block, whose entry held *seen when last looked at. */
static inline enum exchanged exchange(struct chunk *c, unsigned int i, uint64_t *seen,
				      const struct before *before)
{
	uint64_t entry = layout_pack_entry(c->page[i], c->check[i]);

	if (__builtin_expect(lacks_page(c, *seen, before), 0))
		return chunk_exchange_first(c, i, entry, seen);
	return pm_cas(&c->h->device.pm, &c->entry[i], seen, entry) ? EXCHANGED : CHANGED;
}

/* Before the exchange: a fault here has published nothing. */
static inline struct before look_before(const struct chunk *c, unsigned int i)
{
	return before_look(&c->v->map, c->before, i, c->block + i);
}

/* Note what an exchange replaced, and what the predecessor has there. */
static inline void replaced(struct chunk *c, uint64_t seen, const struct before *before)
{
	uint64_t page = map_page_of(&c->v->map, seen);
	unsigned int n = c->replaced;

	/* A bad entry names no page of ours to retire. */
	if (page == 0 || page == MAP_BAD_PAGE)
		return;
	/* What it names is its own (invariant 12), and so perhaps is what it names by a damaged entry. */
	if (__builtin_expect(before_keeps(before->page, page), 0)) {
		c->left = c->left + 1;
		if (before->doomed != NULL && page == before->page)
			doomed_mark_block(before->doomed, page);
		return;
	}
	c->old[n] = page;
	/* The page before its count, for who reads both after a fault. */
	atomic_signal_fence(memory_order_release);
	c->replaced = n + 1;
}

/* Publish the i-th page.  False if its block needs a reservation and gets none. */
static inline bool publish_one(struct chunk *c, unsigned int i)
{
	struct before before = look_before(c, i);
	uint64_t seen = load_entry(c, i);
	enum exchanged outcome;

	do
		outcome = exchange(c, i, &seen, &before);
	while (__builtin_expect(outcome == CHANGED, 0));
	if (outcome == UNRESERVED)
		return false;
	replaced(c, seen, &before);
	c->published = i + 1;
	return true;
}

static void enter(struct chunk *c)
{
	grace_enter();
	c->in_section = true;
}

/*
 * Step 3 for `n` blocks: outside the section, for it may wait for the file system.  Not on an ordinary
 * file: see acknowledge(), and there a section waits for the file system in any case.  False if the rest may not follow:
 * c->rc, or the gate.
 */
static bool reserve_outside(struct chunk *c, unsigned int n)
{
	bool outside = c->h->device.pm.media != PM_FILE;

	if (outside) {
		grace_leave();
		c->in_section = false;
	}
	c->rc = reserve(c, n);
	if (outside)
		enter(c);
	return c->rc == 0 && !is_closed(c);
}

/*
 * Touch the page that the next write on this CPU will fill.  Between the copy and its drain: the
 * walk of the page tables for it then goes on while the copy is on its way to the media, and not
 * when that write waits for it.  A quarter of a 4 KiB write at random, measured; before the copy it
 * is worth less, for then the copy waits for it.
 *
 * Always inline: a function that only prefetches has no effect to the compiler, which leaves out
 * calls of it.
 */
static inline ALWAYS_INLINE void touch_next(const struct chunk *c)
{
	__builtin_prefetch(pm_page(&c->h->device.pm, c->near.next), 1);
}

/*
 * Load from the page to be filled.  The prefetch of touch_next() has made that cheap, and has not
 * done it all: copied to without a load before, the page takes the copy longer (a sixth of a 4 KiB
 * write at random, measured).
 */
static inline void touch_now(const struct chunk *c)
{
	(void)*(const volatile uint8_t *)pm_page(&c->h->device.pm, c->page[0]);
}

/* The rest of step 5, and step 6. */
static inline void persist(struct chunk *c)
{
	c->retired = cache_retire_now(&c->h->pool, c->near.cache, c->old, c->replaced);
	c->persist = map_persist(&c->v->map, c->entry, c->published, c->order);
	c->persisted = c->persist == 0;
}

/* Steps 2 to 6.  What step 5 leaves unpublished is tried again by the caller. */
static inline ALWAYS_INLINE void access_blocks(struct chunk *c, unsigned int count)
{
	unsigned int lacking, i = 0;

	if (__builtin_expect(c->h->device.pm.media == PM_FILE, 0)) {
		enter(c);
		if (is_closed(c))
			return;
	}
	touch_now(c);
	c->persist = fill(c, count);
	if (__builtin_expect(c->persist != 0, 0))
		return;
	touch_next(c);
	/* Before the drain for speed: there it costs nothing, for the drain takes longer. */
	if (__builtin_expect(!c->in_section, 1)) {
		enter(c);
		if (__builtin_expect(is_closed(c), 0))
			return;
	}
	/* In the section: outside it the leaf may be another's page by now. */
	c->reservation->changes = reserve_changes(&c->h->pool);
	lacking = count_lacking(c, count);
	if (__builtin_expect(lacking > 0, 0) && !reserve_outside(c, lacking))
		return;
	/* Contents before the entries that will name them.  Else: another block's bytes. */
	pm_drain(&c->h->device.pm, PM_WRITE_DATA);
	while (publish_one(c, i) && ++i < count)
		;
	persist(c);
}

static void whole_access(void *opaque)
{
	struct chunk *c = opaque;

	/* One block, the usual case, gets code without loops. */
	if (c->count == 1)
		access_blocks(c, 1);
	else
		access_blocks(c, c->count);
}

/* End the section, if one was begun; first, after a fault, what step 6 has left to do. */
static inline void leave(struct chunk *c)
{
	if (!c->in_section)
		return;
	if (__builtin_expect(!c->persisted, 0) && c->published > 0 && c->persist == 0)
		c->persist = map_persist_guarded(&c->v->map, c->entry, c->published, c->order);
	if (__builtin_expect(c->persist != 0, 0))
		note_failed_flush(c->h);
	if (__builtin_expect(c->committed + c->left > 0, 0))
		chunk_count_new(c);
	grace_leave();
}

/* End a chunk whatever came before, of which `rc` is what is known: step 7. */
static inline int finish(struct chunk *c, int rc)
{
	/* Most often nothing is left to do. */
	if (__builtin_expect(rc == 0 && c->persist == 0 && c->published == c->count &&
				     c->retired == c->replaced && c->reserved == 0,
			     1))
		return 0;
	return chunk_finish_rest(c, rc);
}

int write_whole(struct kmemblk_volume *v, uint64_t block, uint64_t n, const uint8_t *src)
{
	struct reservation reservation = { .what = src == NULL ? "zero" : "write" };
	int rc = 0;

	while (rc == 0 && n > 0) {
		struct chunk c;
		struct fault fault;
		unsigned int done;

		c.reservation = &reservation;
		rc = begin(&c, v, block, n);
		if (rc != 0)
			return rc;
		c.src = src;
		c.order = PM_WRITE_ENTRY;
		if (!guard_run(&v->h->device.pm, whole_access, &c, &fault))
			rc = chunk_meet_fault(&c, &fault);
		leave(&c);
		rc = finish(&c, rc != 0 ? rc : c.rc);
		done = c.published;
		/* What is left is another matter: memory is asked back for it anew. */
		if (done > 0)
			reservation.recall.round = 0;
		block += done;
		n -= done;
		if (src != NULL)
			src += (size_t)done << LAYOUT_PAGE_SHIFT;
	}
	return rc;
}

/* ---- part of a block ------------------------------------------------------------------------ */

enum part_outcome {
	PART_DONE,
	PART_RETRY,	 /* somebody else was first */
	PART_UNRESERVED, /* it takes a page more than there was, and none is reserved */
	PART_UNMAPPED,	 /* zeroes for a block that reads as zeroes */
	PART_BAD_ENTRY,
	PART_DAMAGED, /* the block's page does not hold what was written */
};

struct part {
	struct chunk *c;
	uint32_t from, len;
	const uint8_t *src; /* NULL: zeroes */
	bool if_mapped;
	uint64_t page; /* of the block, which was found damaged */
	enum part_outcome outcome;
	uint8_t contents[LAYOUT_PAGE_SIZE];
};

/* Put the block's new contents together.  False if its old ones are not what was written. */
static bool compose(struct part *part, uint64_t seen)
{
	struct chunk *c = part->c;

	if (seen == 0)
		memset(part->contents, 0, sizeof(part->contents));
	else if (!verify_copy(c->v, c->block, seen, part->contents))
		return false;
	if (part->src == NULL)
		memset(part->contents + part->from, 0, part->len);
	else
		memcpy(part->contents + part->from, part->src, part->len);
	return true;
}

/* Steps 2 and 4 to 6, in the section. */
static enum part_outcome replace_part(struct part *part)
{
	struct chunk *c = part->c;
	const struct map *map = &c->v->map;
	struct before before;
	uint64_t seen, page;

	if (is_closed(c))
		return PART_RETRY;
	c->reservation->changes = reserve_changes(&c->h->pool);
	before = look_before(c, 0);
	seen = load_entry(c, 0);
	page = map_page_of(map, seen);
	if (page == MAP_BAD_PAGE)
		return PART_BAD_ENTRY;
	if (page == 0 && part->if_mapped) {
		/* Its trim may not have been drained yet, and what we answer must hold (8). */
		c->persist = map_persist(map, c->entry, 1, PM_TRIM_ENTRY);
		return PART_UNMAPPED;
	}
	if (lacks_page(c, seen, &before) && c->reserved == 0)
		return PART_UNRESERVED;
	if (!compose(part, seen)) {
		part->page = page;
		return PART_DAMAGED;
	}
	c->persist = store_blocks(c, 0, 1, part->contents, PM_PART_DATA);
	if (c->persist != 0)
		return PART_RETRY;
	/* Contents before the entry that will name them, as for a whole block. */
	pm_drain(&c->h->device.pm, PM_PART_DATA);
	if (exchange(c, 0, &seen, &before) != EXCHANGED)
		return PART_RETRY;
	replaced(c, seen, &before);
	c->published = 1;
	persist(c);
	return PART_DONE;
}

static void part_access(void *opaque)
{
	struct part *part = opaque;

	enter(part->c);
	part->outcome = replace_part(part);
}

/* Steps 2 to 6 for the one block.  0, or -errno with message. */
static int try_part(struct part *part)
{
	struct chunk *c = part->c;
	struct fault fault;
	bool whole;

	do {
		whole = guard_run(&c->h->device.pm, part_access, part, &fault);
		leave(c);
		c->in_section = false;
		if (!whole) {
			part->outcome = PART_RETRY;
			return chunk_meet_fault(c, &fault);
		}
		/* Outside the section, which must not wait for the pool. */
		if (part->outcome == PART_UNRESERVED)
			c->rc = reserve(c, 1);
	} while (part->outcome == PART_UNRESERVED && c->rc == 0);
	if (part->outcome == PART_BAD_ENTRY)
		return fail(EIO, "%s: %s: the entry of block %llu is damaged", c->reservation->what,
			    c->h->device.path, (unsigned long long)c->block);
	if (part->outcome == PART_DAMAGED)
		return verify_fail(c->v, c->reservation->what, c->block, part->page);
	return c->rc;
}

int write_part(struct kmemblk_volume *v, uint64_t block, uint32_t from, uint32_t len,
	       const uint8_t *src, bool if_mapped)
{
	struct reservation reservation = { .what = src == NULL ? "zero" : "write" };
	struct chunk c;
	struct part part;
	int rc = 0;

	/* The same without taking a page, which a full device might not have to give. */
	if (if_mapped && map_owned_leaf(&v->map, block, map_gate(&v->map)) == 0) {
		struct table_found found;

		rc = table_look(&v->map, block, reservation.what, &found);
		if (rc != 0 || found.state == TABLE_NONE)
			return rc;
	}
	c.reservation = &reservation;
	part.c = &c;
	part.from = from;
	part.len = len;
	part.src = src;
	part.if_mapped = if_mapped;
	do {
		rc = begin(&c, v, block, 1);
		if (rc != 0)
			return rc;
		c.order = PM_PART_ENTRY;
		rc = finish(&c, try_part(&part));
	} while (rc == 0 && c.published == 0 && part.outcome != PART_UNMAPPED);
	return rc;
}
