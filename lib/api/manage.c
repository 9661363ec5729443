/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manage.c - make, delete, rename and resize volumes.
 *
 * Each is one change of the directory: what it is to name is filled and drained, then one entry is exchanged and
 * drained, then what it replaced is retired.  So a power failure leaves the old or the new.
 *
 *   create   a record, with prealloc all its tables and blocks; then the entry
 *   rename   a record with the old root; the entry; the old record is retired
 *   grow     the same with the new size; if the map must be higher, on new tables that name the old root
 *   shrink   the same with the new size and the old height; then what is past the end is cleared, its pages
 *            retired.  A power failure before that leaves it: it is named, so it is not free, and kmemblk_start()
 *            clears it
 *   delete   the entry becomes 0; then all the volume had is retired
 *
 * The root in a record is exchanged by who makes the first table of a map, with the map's mutex; so it is read,
 * and a record that replaces it is published, with that mutex.  One change at a time, with volumes_lock.  Rename
 * and resize take a page as an overwrite does, which needs no reservation: they work on a full device.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uuid/uuid.h>

#include "api/manage.h"
#include "base/error.h"
#include "io/request.h"
#include "io/volume.h"
#include "io/write.h"
#include "map/directory.h"
#include "map/tree.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

/* ---- what all have in common ---------------------------------------------------------------- */

static int check_device(const struct kmemblk *h, const char *what)
{
	int rc = check_handle(h, what);

	if (rc == 0 && h->super.directory_pages == 0)
		rc = fail(EINVAL, "%s: %s: type %s has no volumes", what, h->device.path,
			  h->super.type->name);
	return rc;
}

static int check_size(const struct kmemblk *h, const char *what, uint64_t size)
{
	if (size > 0 && size % LAYOUT_PAGE_SIZE == 0 &&
	    size >> LAYOUT_PAGE_SHIFT <= LAYOUT_MAX_BLOCKS)
		return 0;
	return fail(EINVAL,
		    "%s: %s: a volume of %llu bytes: must be a multiple of %u, at least one and at "
		    "most 2 PiB",
		    what, h->device.path, (unsigned long long)size, LAYOUT_PAGE_SIZE);
}

static int check_name_locked(const struct kmemblk *h, const char *what, const char *name)
{
	if (!record_name_is_valid(name))
		return fail(
			EINVAL,
			"%s: %s: \"%.80s\" cannot be a name: those are 1 to 63 letters, digits, "
			"'.', '_' and '-', beginning with a letter or digit",
			what, h->device.path, name);
	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL && strcmp(h->volumes[i]->map.record.name, name) == 0)
			return fail(EEXIST, "%s: %s: there is a volume %s already", what,
				    h->device.path, name);
	return 0;
}

/* Take a page that is counted as reserved from now on. */
static int take_reserved(struct kmemblk *h, const char *what, uint64_t *page)
{
	struct reservation reservation = { .what = what };
	int rc;

	while ((rc = reserve_table(&h->pool, &reservation, page)) == -EAGAIN)
		reserve_wait(&h->pool, &reservation);
	if (rc == 0)
		reserve_end(&h->pool, 1, 1);
	return rc;
}

/* Give it back. */
static void put_reserved(struct kmemblk *h, uint64_t page)
{
	reserve_unmap_begin(&h->pool);
	pool_put_table(&h->pool, page);
	reserve_unmap_end(&h->pool, 1);
}

static void retire_table(struct kmemblk *h, uint64_t page)
{
	pool_forget_table(&h->pool, page);
	cache_retire(&h->pool, &page, 1);
}

/*
 * Fill a record on `page`, and have the directory name it: in one section, in which a failure is noted.  *named:
 * the directory may name it.  0 or -errno with message.
 */
static int publish_record(struct kmemblk *h, unsigned int number, const struct record *record,
			  uint64_t page, uint64_t root, bool *named)
{
	int rc;

	grace_enter();
	rc = record_write(&h->device, page, record, root, PM_RECORD);
	*named = rc == 0;
	if (rc == 0) {
		rc = directory_set(&h->device, &h->super, number, page);
		if (rc != 0)
			note_failed_flush(h);
	}
	grace_leave();
	return rc != 0 && *named ? fail_persist(h, -rc) : rc;
}

/*
 * The same in place of the record that a volume has, whose map's mutex is held.  *old: the page that is to be
 * retired then.
 */
static int replace_record(struct kmemblk_volume *v, const struct record *record, uint64_t page,
			  uint64_t root, bool *named, uint64_t *old)
{
	int rc = publish_record(v->h, v->number, record, page, root, named);

	if (rc != 0)
		return rc;
	*old = v->page;
	map_change_record(&v->map, record, page);
	v->page = page;
	pool_note_table(&v->h->pool, page);
	return 0;
}

static uint64_t root_of(const struct kmemblk_volume *v)
{
	/* Relaxed: with the mutex under which it changes. */
	return atomic_load_explicit(v->map.root, memory_order_relaxed);
}

/* ---- create --------------------------------------------------------------------------------- */

static int fill_record(const struct kmemblk *h, const char *name, uint64_t size,
		       struct record *record)
{
	*record = (struct record){
		.blocks = size >> LAYOUT_PAGE_SHIFT,
		.height = record_height(size >> LAYOUT_PAGE_SHIFT),
		.created = (uint64_t)time(NULL),
	};
	memcpy(record->name, name, strlen(name));
	uuid_generate(record->uuid);
	if (getrandom(&record->family, sizeof(record->family), 0) != sizeof(record->family))
		return fail_errno(errno, "create: %s: no random number", h->device.path);
	return 0;
}

/* Retire all pages of a volume that nothing names, but its record. */
static void retire_all(struct kmemblk_volume *v, struct tree_sums *sums)
{
	reserve_unmap_begin(&v->h->pool);
	tree_retire(&v->map, &v->h->pool, sums);
	reserve_unmap_end(&v->h->pool, sums->blocks + sums->tables);
}

/* Give all blocks of a volume that the directory does not name yet their pages. */
static int preallocate(struct kmemblk_volume *v)
{
	struct tree_sums sums = { 0 };
	int rc = record_write(&v->h->device, v->page, &v->map.record, 0, PM_RECORD);

	if (rc == 0)
		rc = map_prepare(&v->map);
	if (rc == 0)
		rc = write_whole(v, 0, v->map.record.blocks, NULL);
	if (rc != 0 && v->map.leaf != NULL)
		retire_all(v, &sums);
	map_put_away(&v->map);
	return rc;
}

static int create_locked(struct kmemblk *h, unsigned int number, const struct record *record,
			 unsigned int flags)
{
	struct kmemblk_volume *v;
	bool named = false;
	uint64_t page, root = 0;
	int rc = take_reserved(h, "create", &page);

	if (rc != 0)
		return rc;
	v = volume_new(h, number, record, page);
	if (v == NULL) {
		put_reserved(h, page);
		return -ENOMEM;
	}
	if (flags & KMEMBLK_VOLUME_PREALLOC) {
		rc = preallocate(v);
		root = rc == 0 ? root_of(v) : 0;
	}
	if (rc == 0)
		rc = publish_record(h, number, record, page, root, &named);
	if (rc == 0) {
		pool_note_table(&h->pool, page);
		h->volumes[number] = v;
		return 0;
	}
	volume_free(v);
	if (!named)
		put_reserved(h, page);
	return rc;
}

int kmemblk_volume_create(struct kmemblk *h, const char *name, uint64_t size, unsigned int flags)
{
	unsigned int number = 0;
	struct record record;
	int rc = check_device(h, "create");

	if (rc == 0)
		rc = check_size(h, "create", size);
	if (rc == 0 && flags & ~KMEMBLK_VOLUME_PREALLOC)
		rc = fail(EINVAL, "create: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&h->volumes_lock);
	rc = check_name_locked(h, "create", name);
	while (number < directory_size(&h->super) && h->volumes[number] != NULL)
		number++;
	if (rc == 0 && number == directory_size(&h->super))
		rc = fail(ENOSPC, "create: %s: its directory is full: it has %u volumes",
			  h->device.path, number);
	if (rc == 0)
		rc = fill_record(h, name, size, &record);
	if (rc == 0)
		rc = create_locked(h, number, &record, flags);
	pthread_mutex_unlock(&h->volumes_lock);
	return rc == 0 ? acknowledge(h) : rc;
}

/* ---- delete --------------------------------------------------------------------------------- */

static int delete_locked(struct kmemblk_volume *v)
{
	struct kmemblk *h = v->h;
	struct tree_sums sums = { 0 };
	int rc;

	grace_enter();
	rc = directory_clear(&h->device, &h->super, v->number);
	if (rc != 0)
		note_failed_flush(h);
	grace_leave();
	if (rc != 0)
		return fail_persist(h, -rc);
	h->volumes[v->number] = NULL;
	retire_all(v, &sums);
	reserve_unmap_begin(&h->pool);
	retire_table(h, v->page);
	reserve_unmap_end(&h->pool, 1);
	volume_free(v);
	return 0;
}

int kmemblk_volume_delete(struct kmemblk *h, const char *name)
{
	struct kmemblk_volume *v;
	int rc = check_device(h, "delete");

	if (rc != 0)
		return rc;
	pthread_mutex_lock(&h->volumes_lock);
	v = volume_find_locked(h, "delete", name);
	rc = v == NULL ? -ENOENT : volume_claim_locked(v, "delete");
	if (rc == 0)
		rc = delete_locked(v);
	pthread_mutex_unlock(&h->volumes_lock);
	return rc == 0 ? acknowledge(h) : rc;
}

/* ---- rename --------------------------------------------------------------------------------- */

static int rename_locked(struct kmemblk_volume *v, const char *name)
{
	struct kmemblk *h = v->h;
	struct record record = v->map.record;
	bool named = false;
	uint64_t page, old;
	int rc;

	memset(record.name, 0, sizeof(record.name));
	memcpy(record.name, name, strlen(name));
	rc = cache_take_table(&h->pool, "rename", &page);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&v->map.lock);
	rc = replace_record(v, &record, page, root_of(v), &named, &old);
	pthread_mutex_unlock(&v->map.lock);
	if (rc == 0)
		retire_table(h, old);
	else if (!named)
		pool_put_table(&h->pool, page);
	return rc;
}

int kmemblk_volume_rename(struct kmemblk *h, const char *name, const char *new_name)
{
	struct kmemblk_volume *v = NULL;
	int rc = check_device(h, "rename");

	if (rc != 0)
		return rc;
	pthread_mutex_lock(&h->volumes_lock);
	v = volume_find_locked(h, "rename", name);
	rc = v == NULL ? -ENOENT : check_name_locked(h, "rename", new_name);
	if (rc == 0)
		rc = rename_locked(v, new_name);
	pthread_mutex_unlock(&h->volumes_lock);
	return rc == 0 ? acknowledge(h) : rc;
}

/* ---- resize --------------------------------------------------------------------------------- */

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
	int rc = 0;

	*root = root_of(v);
	for (unsigned int level = v->map.record.height + 1; *root != 0 && level <= height;
	     level++) {
		uint64_t page = g->table[g->used];

		entry[0] = *root;
		rc = guard_write(&h->device, pm_page(&h->device.pm, page), entry, sizeof(entry),
				 PM_RECORD);
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
		rc = take_reserved(h, "resize", &g->table[g->taken]);
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
	rc = raise_root(v, g, record->height, &root);
	if (rc == 0)
		rc = replace_record(v, record, g->record, root, &named, &old);
	pthread_mutex_unlock(&v->map.lock);
	if (rc == 0)
		retire_table(h, old);
	if (!named) {
		g->used = 0;
		pool_put_table(&h->pool, g->record);
	}
	for (unsigned int i = 0; i < g->used; i++)
		pool_note_table(&h->pool, g->table[i]);
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
		put_reserved(h, g.table[--g.taken]);
	return rc;
}

int manage_cut(struct kmemblk_volume *v)
{
	struct kmemblk *h = v->h;
	struct tree_sums sums = { 0 };
	int rc;

	reserve_unmap_begin(&h->pool);
	rc = tree_cut(&v->map, v->map.record.blocks, &h->pool, &sums);
	reserve_unmap_end(&h->pool, sums.blocks + sums.tables);
	atomic_fetch_sub_explicit(&v->used, sums.blocks, memory_order_relaxed);
	v->past = rc != 0;
	if (rc != 0) {
		note_failed_flush(h);
		return fail_persist(h, -rc);
	}
	return 0;
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
	return rc == 0 ? manage_cut(v) : rc;
}

int kmemblk_volume_resize(struct kmemblk *h, const char *name, uint64_t size, unsigned int flags)
{
	uint64_t blocks = size >> LAYOUT_PAGE_SHIFT;
	struct kmemblk_volume *v;
	int rc = check_device(h, "resize");

	if (rc == 0)
		rc = check_size(h, "resize", size);
	if (rc == 0 && flags & ~KMEMBLK_VOLUME_FORCE)
		rc = fail(EINVAL, "resize: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	pthread_mutex_lock(&h->volumes_lock);
	v = volume_find_locked(h, "resize", name);
	rc = v == NULL ? -ENOENT : 0;
	/* What a cut left would show again when the volume grows. */
	if (rc == 0 && v->past)
		rc = manage_cut(v);
	if (rc == 0 && blocks < v->map.record.blocks)
		rc = shrink_locked(v, blocks, flags);
	else if (rc == 0 && blocks > v->map.record.blocks)
		rc = change_size(v, blocks);
	pthread_mutex_unlock(&h->volumes_lock);
	return rc == 0 ? acknowledge(h) : rc;
}
