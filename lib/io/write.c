/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * write.c - writing: fill free pages, make them durable, publish, make that durable, retire.
 *
 * Whole blocks, in chunks of one leaf, by these steps:
 *
 *  0. If the blocks have no leaf, make one (map/table.c).  May wait.
 *  1. Take pages.  May wait; nothing is held yet.
 *  2. Fill the pages.   Power lost here: old contents; the pages are free again at the next open.
 *  3. Reserve.  If there are blocks without a page: reserve pages.  Does not wait; if there is
 *     something to wait for, give the pages back, wait, begin again.
 *  4. Drain.            PM_WRITE_DATA: contents before entries (invariant 2).
 *  5. Publish each, by compare-and-exchange on its entry: the linearisation point of the block's
 *     write.            Power lost here: each block is old or new, for its entry is 8 bytes.
 *     Retire the pages that were replaced.
 *  6. Flush the entries, drain.  PM_WRITE_ENTRY: entries before the answer (8) and before reuse
 *     (3).              Power lost here: the same; nothing has been acknowledged.
 *  7. End the reservations: commit those of blocks that have got a page, cancel the rest.
 *
 * Steps 4 to 6 are one read-side section: the replaced pages cannot come out of their grace period
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
#include "io/request.h"
#include "io/verify.h"
#include "io/write.h"
#include "map/table.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

/* Blocks a chunk: enough to make drains and waits rare, few enough for the stack. */
#define CHUNK_BLOCKS 64u

/* Free pages whose media may fail before a request gives up. */
#define BAD_PAGES 3u

#define ALWAYS_INLINE __attribute__((always_inline))

struct chunk {
	struct kmemblk *h;
	struct kmemblk_volume *v;
	struct reservation *reservation;
	uint64_t block;		 /* first */
	_Atomic uint64_t *entry; /* the first one's */
	unsigned int count;	 /* blocks, and pages taken for them */
	const uint8_t *src;	 /* NULL: zeroes */
	struct near near;	 /* see cache_take() */
	uint64_t reserved;	 /* reservations that have not ended ... */
	uint64_t committed;	 /* ... and how many of their blocks have got a page */
	unsigned int retired;	 /* how many of old[] have been retired */
	int rc;			 /* of step 3: what reserve_blocks() said */
	int persist;		 /* of steps 2 and 6: -errno of msync */
	enum pm_order order;	 /* of step 6 */
	/* Read after a fault: */
	volatile unsigned int published;
	volatile unsigned int replaced; /* of old[] */
	volatile bool in_section;
	volatile bool persisted;
	uint64_t page[CHUNK_BLOCKS];  /* taken; [published, count) still are */
	uint32_t check[CHUNK_BLOCKS]; /* the check value of what has been stored to each */
	uint64_t old[CHUNK_BLOCKS];   /* pages that were replaced */
};

/*
 * Begin a chunk of at most `most` blocks, as far as their leaf goes: steps 0 and 1.  0, or -errno with
 * message.
 */
static inline int begin(struct chunk *c, struct kmemblk_volume *v, uint64_t block, uint64_t most)
{
	unsigned int in_leaf = (unsigned int)(block % LAYOUT_TABLE_ENTRIES);
	uint64_t leaf = map_leaf_page(&v->map, block);
	int taken;

	c->near.what = c->reservation->what;
	if (__builtin_expect(leaf == 0, 0)) {
		taken = table_make(&v->map, &v->h->pool, block, c->near.what);
		if (taken != 0)
			return taken;
		leaf = map_leaf_page(&v->map, block);
	}
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
	c->entry = &map_table(&v->map, leaf)[in_leaf];
	c->count = (unsigned int)taken;
	c->reserved = 0;
	c->committed = 0;
	c->replaced = 0;
	c->retired = 0;
	c->rc = 0;
	c->persist = 0;
	c->published = 0;
	c->in_section = false;
	c->persisted = false;
	return 0;
}

/* Step 3 for `unmapped` blocks of the chunk. */
static int reserve(struct chunk *c, unsigned int unmapped)
{
	int rc = reserve_blocks(&c->h->pool, unmapped, c->reservation);

	if (rc == 0)
		c->reserved = unmapped;
	return rc;
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

/* How many blocks of the chunk have no page. */
static inline ALWAYS_INLINE unsigned int count_unmapped(const struct chunk *c, unsigned int count)
{
	unsigned int i = 0, unmapped = 0;

	do
		unmapped += load_entry(c, i) == 0;
	while (++i < count);
	return unmapped;
}

enum exchanged {
	EXCHANGED,  /* published; *seen is what was replaced */
	CHANGED,    /* somebody else was first; *seen is what is there now */
	UNRESERVED, /* the block has no page any more, and none is reserved for it */
};

/* exchange() for a block that has no page. */
static __attribute__((noinline)) enum exchanged exchange_first(struct chunk *c, unsigned int i,
							       uint64_t entry, uint64_t *seen)
{
	if (c->reserved == c->committed) {
		/* Trimmed since we looked.  Pages are held, so there must be no waiting here. */
		if (reserve_blocks(&c->h->pool, 1, c->reservation) != 0)
			return UNRESERVED;
		c->reserved++;
	}
	if (!pm_cas(&c->h->device.pm, &c->entry[i], seen, entry))
		return CHANGED;
	c->committed++;
	return EXCHANGED;
}

/* Make the i-th page the content of its block, whose entry held *seen when last looked at. */
static inline enum exchanged exchange(struct chunk *c, unsigned int i, uint64_t *seen)
{
	uint64_t entry = layout_pack_entry(c->page[i], c->check[i]);

	if (__builtin_expect(*seen == 0, 0))
		return exchange_first(c, i, entry, seen);
	return pm_cas(&c->h->device.pm, &c->entry[i], seen, entry) ? EXCHANGED : CHANGED;
}

/* Note what an exchange replaced. */
static inline void replaced(struct chunk *c, uint64_t seen)
{
	uint64_t page = map_page_of(&c->v->map, seen);
	unsigned int n = c->replaced;

	/* A bad entry names no page of ours to retire. */
	if (page == 0 || page == MAP_BAD_PAGE)
		return;
	c->old[n] = page;
	/* The page before its count, for who reads both after a fault. */
	atomic_signal_fence(memory_order_release);
	c->replaced = n + 1;
}

/* Publish the i-th page.  False if its block needs a reservation and gets none. */
static inline bool publish_one(struct chunk *c, unsigned int i)
{
	uint64_t seen = load_entry(c, i);
	enum exchanged outcome;

	do
		outcome = exchange(c, i, &seen);
	while (__builtin_expect(outcome == CHANGED, 0));
	if (outcome == UNRESERVED)
		return false;
	replaced(c, seen);
	c->published = i + 1;
	return true;
}

static void enter(struct chunk *c)
{
	grace_enter();
	c->in_section = true;
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
	unsigned int unmapped, i = 0;

	if (__builtin_expect(c->h->device.pm.media == PM_FILE, 0))
		enter(c);
	touch_now(c);
	c->persist = fill(c, count);
	if (__builtin_expect(c->persist != 0, 0))
		return;
	touch_next(c);
	c->reservation->changes = reserve_changes(&c->h->pool);
	unmapped = count_unmapped(c, count);
	if (__builtin_expect(unmapped > 0, 0)) {
		c->rc = reserve(c, unmapped);
		if (c->rc != 0)
			return;
	}
	/* Before the drain for speed: there it costs nothing, for the drain takes longer. */
	if (__builtin_expect(!c->in_section, 1))
		enter(c);
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
	grace_leave();
}

static bool has_taken(const struct chunk *c, uint64_t page)
{
	for (unsigned int i = 0; i < c->count; i++)
		if (c->page[i] == page)
			return true;
	return false;
}

/*
 * An access met a fault.  0 if the media failed at a free page, and another may do; else -errno with
 * message.
 */
static int meet_fault(struct chunk *c, const struct fault *fault)
{
	struct kmemblk *h = c->h;
	bool taken = has_taken(c, fault->page);
	const char *what = c->reservation->what;
	int rc;

	/* What is stored to is a page that was taken, or the leaf; else it was the block's old page. */
	if (taken || pm_page(&h->device.pm, fault->page) ==
			     (uint8_t *)((uintptr_t)c->entry & ~(uintptr_t)(LAYOUT_PAGE_SIZE - 1)))
		rc = fault_fail(&h->device, fault, what, !taken);
	else
		rc = fault_fail_load(&h->device, fault, what, c->block);
	/* Only a page that is bad is kept from use: where there is no room now, there may be later. */
	if (rc != -EIO)
		return rc;
	pool_mark_bad(&h->pool, fault->page);
	return c->published == 0 && taken && c->reservation->bad++ < BAD_PAGES ? 0 : rc;
}

/* Give back and retire what is left to, and end the reservations. */
static __attribute__((noinline)) int finish_rest(struct chunk *c, int rc)
{
	struct pool *pool = &c->h->pool;

	/* First, since retiring may wait. */
	if (c->published < c->count)
		pool_put(pool, c->page + c->published, c->count - c->published);
	if (c->persist != 0)
		rc = fail_persist(c->h, -c->persist);
	else if (c->retired < c->replaced)
		cache_retire(pool, c->old + c->retired, c->replaced - c->retired);
	reserve_end(pool, c->reserved, c->committed);
	/* Relaxed: for people. */
	atomic_fetch_add_explicit(&c->v->used, c->committed, memory_order_relaxed);
	if (rc == -EAGAIN) {
		reserve_wait(pool, c->reservation);
		rc = 0;
	}
	return rc;
}

/* End a chunk whatever came before, of which `rc` is what is known: step 7. */
static inline int finish(struct chunk *c, int rc)
{
	/* Most often nothing is left to do. */
	if (__builtin_expect(rc == 0 && c->persist == 0 && c->published == c->count &&
				     c->retired == c->replaced && c->reserved == 0,
			     1))
		return 0;
	return finish_rest(c, rc);
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
			rc = meet_fault(&c, &fault);
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
	PART_UNRESERVED, /* the block has no page, and none is reserved */
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
	uint64_t seen, page;

	c->reservation->changes = reserve_changes(&c->h->pool);
	seen = load_entry(c, 0);
	page = map_page_of(map, seen);
	if (page == MAP_BAD_PAGE)
		return PART_BAD_ENTRY;
	if (page == 0 && part->if_mapped) {
		/* Its trim may not have been drained yet, and what we answer must hold (8). */
		c->persist = map_persist(map, c->entry, 1, PM_TRIM_ENTRY);
		return PART_UNMAPPED;
	}
	if (page == 0 && c->reserved == 0)
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
	if (exchange(c, 0, &seen) != EXCHANGED)
		return PART_RETRY;
	replaced(c, seen);
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
			return meet_fault(c, &fault);
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
	if (if_mapped && map_leaf_page(&v->map, block) == 0)
		return 0;
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
