/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * resize.c - make volumes larger or smaller, and clear what is past the end of one.
 *
 *   grow     a record with the new size and the old root; if the map must be higher, on new tables that name the old
 *            root
 *   shrink   a record with the new size and the old height; then what is past the end is cleared, its pages
 *            retired, but for what a snapshot has; tables at the edge that are shared are copied first.  A power failure
 *            before that leaves it: it is named, so it is not free, and kmemblk_start() clears it
 *
 * Both work on a full device: the record's page is taken as an overwrite takes one.
 */
#include "config.h"

#include <errno.h>

#include "api/change.h"
#include "api/resize.h"
#include "base/error.h"
#include "io/request.h"
#include "io/volume.h"
#include "map/tree.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

int resize_check_size(const struct kmemblk *h, const char *what, uint64_t size)
{
	if (size > 0 && size % LAYOUT_PAGE_SIZE == 0 &&
	    size >> LAYOUT_PAGE_SHIFT <= LAYOUT_MAX_BLOCKS)
		return 0;
	return fail(EINVAL,
		    "%s: %s: a volume of %llu bytes: must be a multiple of %u, at least one and at "
		    "most 2 PiB",
		    what, h->device.path, (unsigned long long)size, LAYOUT_PAGE_SIZE);
}

int resize_cut(struct kmemblk_volume *v, uint64_t blocks)
{
	struct pool *pool = &v->h->pool;
	struct tree_sums sums = { 0 };
	/* First, for it may wait for a page. */
	int rc = tree_own_edge(&v->map, blocks, pool);

	if (rc != 0)
		return rc;
	reserve_unmap_begin(pool);
	rc = tree_cut(&v->map, blocks, pool, &sums);
	/* A thin volume has reserved nothing for blocks that it shares. */
	reserve_unmap_end(pool, (map_is_thin(&v->map) ? sums.owned : sums.blocks) + sums.tables);
	atomic_fetch_sub_explicit(&v->map.used, sums.blocks, memory_order_relaxed);
	atomic_fetch_sub_explicit(&v->map.tables, sums.tables, memory_order_relaxed);
	atomic_fetch_sub_explicit(&v->map.owned, sums.owned, memory_order_relaxed);
	atomic_fetch_sub_explicit(&pool->blocks, sums.owned, memory_order_relaxed);
	atomic_fetch_sub_explicit(&v->map.owned_tables, sums.owned_tables, memory_order_relaxed);
	return rc;
}

/* Pages for a record and for the tables that a higher map needs. */
struct growing {
	uint64_t record;
	uint64_t table[LAYOUT_HEIGHT_MAX];
	unsigned int taken; /* of table[] ... */
	unsigned int used;  /* ... and how many have become tables */
};

/*
 * With the map's mutex: tables above the old root, each of which names the one before as its first, and so has
 * all that there was.  The new root.
 */
static int raise_root(struct kmemblk_volume *v, struct growing *g, unsigned int height,
		      uint64_t *root)
{
	uint64_t entry[LAYOUT_TABLE_ENTRIES] = { 0 };
	struct kmemblk *h = v->h;
	bool unflushed;
	int rc = 0;

	*root = change_root(v);
	for (unsigned int level = v->map.record.height + 1; *root != 0 && level <= height;
	     level++) {
		uint64_t page = g->table[g->used];

		entry[0] = *root;
		rc = guard_write(&h->device, pm_page(&h->device.pm, page), entry, sizeof(entry),
				 PM_RECORD, &unflushed);
		if (unflushed)
			note_failed_flush(h);
		if (rc != 0)
			return fail_errno(-rc, "resize: %s: table", h->device.path);
		g->used++;
		*root = map_table_entry(&v->map, page, level, 0);
	}
	/* Tables before the record that names the uppermost. */
	pm_drain(&h->device.pm, PM_RECORD);
	return 0;
}

static int take_pages(struct kmemblk *h, struct growing *g, unsigned int tables)
{
	int rc = 0;

	while (rc == 0 && g->taken < tables) {
		rc = change_take(h, "resize", &g->table[g->taken]);
		g->taken += rc == 0;
	}
	return rc == 0 ? cache_take_table(&h->pool, "resize", &g->record) : rc;
}

/* Publish a record with another size, on pages that have been taken. */
static int publish_size(struct kmemblk_volume *v, struct growing *g, const struct record *record)
{
	struct kmemblk *h = v->h;
	bool named = false;
	uint64_t root, old;
	int rc;

	pthread_mutex_lock(&v->map.lock);
	/* In a section: see acknowledge(). */
	grace_enter();
	rc = raise_root(v, g, record->height, &root);
	grace_leave();
	if (rc == 0)
		rc = change_replace(v, record, g->record, root, &named, &old);
	pthread_mutex_unlock(&v->map.lock);
	if (rc == 0)
		change_retire(h, old);
	if (!named) {
		g->used = 0;
		pool_put_table(&h->pool, g->record);
	}
	for (unsigned int i = 0; i < g->used; i++)
		pool_note_table(&h->pool, g->table[i]);
	atomic_fetch_add_explicit(&v->map.tables, g->used, memory_order_relaxed);
	atomic_fetch_add_explicit(&v->map.owned_tables, g->used, memory_order_relaxed);
	return rc;
}

static int change_size(struct kmemblk_volume *v, uint64_t blocks)
{
	struct kmemblk *h = v->h;
	struct record record = v->map.record;
	struct growing g = { 0 };
	int rc = 0;

	record.blocks = blocks;
	if (record_height(blocks) > record.height)
		record.height = record_height(blocks);
	if (v->map.leaf != NULL && blocks > v->map.record.blocks)
		rc = map_make_room(&v->map, blocks);
	if (rc == 0)
		rc = take_pages(h, &g, record.height - v->map.record.height);
	if (rc == 0)
		rc = publish_size(v, &g, &record);
	/* What the map did not need, since it was empty; or all of it. */
	while (g.taken > g.used)
		change_put(h, g.table[--g.taken]);
	return rc;
}

int resize_cut_past(struct kmemblk_volume *v)
{
	int rc = resize_cut(v, v->map.record.blocks);

	/* Nobody sees what is left of it; before the volume grows it is cut. */
	v->past = rc != 0;
	return rc;
}

static int shrink_locked(struct kmemblk_volume *v, uint64_t blocks, unsigned int flags)
{
	int rc = volume_claim_locked(v, "resize");

	if (rc == 0 && !(flags & KMEMBLK_VOLUME_FORCE) && tree_holds_past(&v->map, blocks))
		rc = fail(EEXIST,
			  "resize: %s: volume %s has data past the new end; to cut it off, add "
			  "--force",
			  v->h->device.path, v->map.record.name);
	if (rc == 0)
		rc = change_size(v, blocks);
	return rc == 0 ? resize_cut_past(v) : rc;
}

int kmemblk_volume_resize(struct kmemblk *h, const char *name, uint64_t size, unsigned int flags)
{
	uint64_t blocks = size >> LAYOUT_PAGE_SHIFT;
	struct kmemblk_volume *v;
	int rc = change_check(h, "resize");

	if (rc == 0)
		rc = resize_check_size(h, "resize", size);
	if (rc == 0 && flags & ~KMEMBLK_VOLUME_FORCE)
		rc = fail(EINVAL, "resize: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	change_begin(h);
	v = volume_find_locked(h, "resize", name);
	rc = v == NULL ? -ENOENT : 0;
	if (rc == 0 && record_is_snapshot(&v->map.record))
		rc = fail(EINVAL,
			  "resize: %s: %s is a snapshot, which never changes: make a volume of it "
			  "by kmemblk clone, and resize that",
			  h->device.path, name);
	/* What a cut left would show again when the volume grows. */
	if (rc == 0 && v->past)
		rc = resize_cut_past(v);
	if (rc == 0 && blocks < v->map.record.blocks)
		rc = shrink_locked(v, blocks, flags);
	else if (rc == 0 && blocks > v->map.record.blocks)
		rc = change_size(v, blocks);
	return change_end(h, rc);
}
