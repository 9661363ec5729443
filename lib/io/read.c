/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * read.c - reading.
 *
 * Wait-free: inside a section, load entries, copy the pages they name, leave.  A page looked up in
 * a section is not reused before the section ends (invariant 4) and does not change while it is
 * published (invariant 1), so what is copied is the block as it was when its entry was loaded: the
 * load is the linearisation point of the block's read.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "io/request.h"
#include "io/verify.h"
#include "io/volume.h"
#include "media/guard.h"
#include "pages/grace.h"

/* Bytes copied in one section: its length is that of a grace period. */
#define SECTION_BYTES (32u * LAYOUT_PAGE_SIZE)

/* Lines of a page that are on their way while the page before it is copied; see prefetch_page(). */
#define LINES_AHEAD 4u
#define LINE_BYTES  64u

struct reading {
	const struct kmemblk_volume *v;
	uint8_t *buf;
	uint64_t at;		 /* byte of the disk */
	uint32_t len;		 /* bytes */
	volatile uint64_t block; /* the one at hand; read after a fault */
	uint64_t page;		 /* and its page: MAP_BAD_PAGE if it cannot be told */
	bool damaged;		 /* that is why it could not be read */
};

/* No page, or one whose contents might be another block's. */
static inline bool is_lost(const struct kmemblk_volume *v, uint64_t page)
{
	return page == MAP_BAD_PAGE ||
	       (v->h->shared != NULL && bitmap_test(v->h->shared, page - v->map.data_start));
}

/*
 * Have the first lines of the page that is copied next brought near.  The processor's own prefetching knows what follows
 * in a page, and not which page follows: so each scattered page began with a wait for memory, which this puts beside
 * the copy of the one before.  A few lines are enough for that; a page of them would be worse than none.  Never a fault.
 */
static inline __attribute__((always_inline)) void prefetch_page(const struct reading *r,
								uint64_t page)
{
	const uint8_t *src;

	if (page == 0 || page == MAP_BAD_PAGE)
		return;
	src = pm_page(&r->v->h->device.pm, page);
	for (unsigned int i = 0; i < LINES_AHEAD; i++)
		__builtin_prefetch(src + (size_t)i * LINE_BYTES);
}

/* The page of the block at hand; false if its entry is bad. */
static inline bool look_up(struct reading *r, uint64_t block, uint64_t *page)
{
	*page = map_load(&r->v->map, block);
	if (__builtin_expect(*page != 0 && is_lost(r->v, *page), 0)) {
		r->block = block;
		r->page = MAP_BAD_PAGE;
		return false;
	}
	return true;
}

/*
 * Copy what is left of one block, after all of it has been verified.  Its length, or 0 if it is damaged, or its
 * entry is.
 */
static inline uint32_t read_verified(struct reading *r, uint8_t *buf, uint64_t at, uint32_t left)
{
	const struct map *map = &r->v->map;
	uint32_t in_block = (uint32_t)(at % LAYOUT_PAGE_SIZE);
	uint32_t len = LAYOUT_PAGE_SIZE - in_block < left ? LAYOUT_PAGE_SIZE - in_block : left;
	uint64_t entry = map_entry(map, at >> LAYOUT_PAGE_SHIFT);
	uint8_t whole[LAYOUT_PAGE_SIZE];
	bool part = len < LAYOUT_PAGE_SIZE;

	r->block = at >> LAYOUT_PAGE_SHIFT;
	r->page = map_page_of(map, entry);
	if (r->page == 0) {
		memset(buf, 0, len);
		return len;
	}
	if (len < left) {
		r->block++;
		prefetch_page(r, map_page_of(map, map_entry(map, r->block)));
		r->block--;
	}
	/* Of two blocks whose entries name one page, that whose page it is has the right check value. */
	if (r->page == MAP_BAD_PAGE || !verify_copy(r->v, r->block, entry, part ? whole : buf))
		return 0;
	if (part)
		memcpy(buf, whole + in_block, len);
	return len;
}

/*
 * Copy one run of what is left: blocks on adjacent pages, or blocks without pages.  Its length, or
 * 0 at a bad entry.
 */
static inline uint32_t read_run(struct reading *r, uint8_t *buf, uint64_t at, uint32_t left)
{
	uint64_t first = at >> LAYOUT_PAGE_SHIFT, block = first;
	uint32_t in_block = (uint32_t)(at % LAYOUT_PAGE_SIZE);
	uint32_t len = LAYOUT_PAGE_SIZE - in_block;
	uint64_t page, next = 0;

	r->block = first;
	if (!look_up(r, block, &page))
		return 0;
	while (len < left) {
		block++;
		if (!look_up(r, block, &next))
			return 0;
		if (next != (page == 0 ? 0 : page + (block - first)))
			break;
		next = 0;
		len += LAYOUT_PAGE_SIZE;
	}
	prefetch_page(r, next);
	if (len > left)
		len = left;
	if (__builtin_expect(page == 0, 0)) {
		memset(buf, 0, len);
	} else {
		const uint8_t *src = pm_page(&r->v->h->device.pm, page) + in_block;

		pm_will_read(&r->v->h->device.pm, src, len);
		pm_read(buf, src, len);
	}
	return len;
}

static void read_access(void *opaque)
{
	struct reading *r = opaque;
	uint32_t done = 0, len;

	do {
		len = r->v->map.checks
			      ? read_verified(r, r->buf + done, r->at + done, r->len - done)
			      : read_run(r, r->buf + done, r->at + done, r->len - done);
		done += len;
	} while (len > 0 && done < r->len);
	r->damaged = len == 0;
}

static __attribute__((noinline)) int fail_media(struct kmemblk_volume *v, const struct fault *fault,
						uint64_t block)
{
	if (!v->h->readonly)
		pool_mark_bad(&v->h->pool, fault->page);
	return fault_fail_load(&v->h->device, fault, "read", block);
}

static __attribute__((noinline)) int fail_damaged(struct kmemblk_volume *v, const struct reading *r)
{
	char name[VOLUME_NAME_SIZE];

	if (r->page != MAP_BAD_PAGE)
		return verify_fail(v, "read", r->block, r->page);
	volume_name(v, name);
	return fail(
		EIO,
		"read: %s: volume %s: block %llu cannot be found: its entry is damaged, or that of "
		"a table on the way to it",
		v->h->device.path, name, (unsigned long long)r->block);
}

static inline int read_section(struct kmemblk_volume *v, uint8_t *buf, uint32_t len, uint64_t at)
{
	struct reading r = { .v = v, .buf = buf, .at = at, .len = len };
	struct fault fault;
	bool whole;

	grace_enter();
	whole = guard_run(&v->h->device.pm, read_access, &r, &fault);
	grace_leave();
	if (__builtin_expect(!whole, 0))
		return fail_media(v, &fault, r.block);
	return __builtin_expect(r.damaged, 0) ? fail_damaged(v, &r) : 0;
}

int kmemblk_read(struct kmemblk_volume *v, void *buf, size_t count, uint64_t offset)
{
	uint8_t *to = buf;
	int rc;

	map_prefetch(&v->map, offset >> LAYOUT_PAGE_SHIFT);
	rc = check_range(v, "read", count, offset);
	while (rc == 0 && count > 0) {
		/* End on a block's edge, so that no block is split between two sections. */
		uint32_t len = SECTION_BYTES - (uint32_t)(offset % LAYOUT_PAGE_SIZE);

		if (len > count)
			len = (uint32_t)count;
		rc = read_section(v, to, len, offset);
		to += len;
		offset += len;
		count -= len;
	}
	return rc;
}
