/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * manage.c - make, delete and rename volumes.
 *
 * Each is one change of the directory: what it is to name is filled and drained, then one entry is exchanged and
 * drained, then what it replaced is retired.  So a power failure leaves the old or the new.
 *
 *   create   a record, with prealloc all its tables and blocks; then the entry
 *   rename   a record with the old root; the entry; the old record is retired
 *   delete   the entry becomes 0; then all that the volume owned is retired (snapshot-delete.c)
 *
 * The root in a record is exchanged by who makes the first table of a map, with the map's mutex; so it is read,
 * and a record that replaces it is published, with that mutex.  One change at a time, with changes_lock.  Rename
 * takes a page as an overwrite does, which needs no reservation: it works on a full device.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uuid/uuid.h>

#include "api/change.h"
#include "api/resize.h"
#include "api/snapshots.h"
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

/* ---- create --------------------------------------------------------------------------------- */

static int fill_record(const struct kmemblk *h, const char *name, uint64_t size, bool thin,
		       struct record *record)
{
	*record = (struct record){
		.flags = thin ? LAYOUT_RECORD_THIN : 0,
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

/* Refuse at once what has no room, and by what it would take: a block that finds none speaks of those before it, too. */
static int check_room_locked(struct kmemblk *h, uint64_t blocks)
{
	static const struct change_need need = { "create", "for all blocks and tables", "" };
	uint64_t pages = blocks + record_all_tables(blocks);
	int rc = change_reserve(h, pages, &need);

	if (rc == 0)
		change_unreserve(h, pages);
	return rc;
}

/* Give all blocks of a volume that the directory does not name yet their pages. */
static int preallocate(struct kmemblk_volume *v)
{
	struct kmemblk *h = v->h;
	bool unflushed;
	int rc;

	/* It takes long, and nobody else knows it yet. */
	pthread_mutex_unlock(&h->volumes_lock);
	grace_enter();
	rc = record_write(&h->device, v->page, &v->map.record, 0, PM_RECORD, &unflushed);
	if (unflushed)
		note_failed_flush(h);
	grace_leave();
	if (rc == 0)
		rc = map_prepare(&v->map);
	if (rc == 0)
		rc = write_whole(v, 0, v->map.record.blocks, NULL);
	if (rc != 0 && v->map.leaf != NULL)
		(void)resize_cut(v, 0);
	map_put_away(&v->map);
	pthread_mutex_lock(&h->volumes_lock);
	return rc;
}

static int create_locked(struct kmemblk *h, unsigned int number, const struct record *record,
			 unsigned int flags)
{
	struct kmemblk_volume *v;
	bool named = false;
	uint64_t page, root = 0;
	int rc = flags & KMEMBLK_VOLUME_PREALLOC ? check_room_locked(h, record->blocks) : 0;

	if (rc == 0)
		rc = change_take(h, "create", &page);
	if (rc != 0)
		return rc;
	v = volume_new(h, number, record, page);
	if (v == NULL) {
		change_put(h, page);
		return -ENOMEM;
	}
	if (flags & KMEMBLK_VOLUME_PREALLOC) {
		rc = preallocate(v);
		root = rc == 0 ? change_root(v) : 0;
	}
	if (rc == 0)
		rc = change_publish(h, number, record, page, root, &named);
	if (rc == 0) {
		pool_note_table(&h->pool, page);
		h->volumes[number] = v;
		return 0;
	}
	volume_free(v);
	if (!named)
		change_put(h, page);
	return rc;
}

int kmemblk_volume_create(struct kmemblk *h, const char *name, uint64_t size, unsigned int flags)
{
	unsigned int number = 0;
	struct record record;
	int rc = change_check(h, "create");

	if (rc == 0)
		rc = resize_check_size(h, "create", size);
	if (rc == 0 && flags & ~(KMEMBLK_VOLUME_PREALLOC | KMEMBLK_THIN))
		rc = fail(EINVAL, "create: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	change_begin(h);
	rc = change_check_name_locked(h, "create", name);
	if (rc == 0)
		rc = change_find_number_locked(h, "create", &number);
	if (rc == 0)
		rc = fill_record(h, name, size, flags & KMEMBLK_THIN, &record);
	if (rc == 0)
		rc = create_locked(h, number, &record, flags);
	return change_end(h, rc);
}

/* ---- delete --------------------------------------------------------------------------------- */

static int delete_locked(struct kmemblk_volume *v, unsigned int flags)
{
	int rc;

	if (record_is_snapshot(&v->map.record))
		return snapshot_delete_locked(v);
	rc = volume_claim_locked(v, "delete");
	if (rc == 0 && flags & KMEMBLK_VOLUME_RECURSIVE)
		rc = snapshot_delete_all_locked(v);
	else if (rc == 0)
		rc = snapshot_check_none_locked(v);
	return rc == 0 ? snapshot_retire_volume_locked(v) : rc;
}

int kmemblk_volume_delete(struct kmemblk *h, const char *name, unsigned int flags)
{
	struct kmemblk_volume *v;
	int rc = change_check(h, "delete");

	if (rc == 0 && flags & ~KMEMBLK_VOLUME_RECURSIVE)
		rc = fail(EINVAL, "delete: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	change_begin(h);
	v = volume_find_locked(h, "delete", name);
	rc = v == NULL ? -ENOENT : delete_locked(v, flags);
	return change_end(h, rc);
}

/* ---- rename --------------------------------------------------------------------------------- */

/* `name`: its own part of it. */
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
	rc = change_replace(v, &record, page, change_root(v), &named, &old);
	pthread_mutex_unlock(&v->map.lock);
	if (rc == 0)
		change_retire(h, old);
	else if (!named)
		pool_put_table(&h->pool, page);
	return rc;
}

/* A snapshot stays with its volume, so VOLUME@ is the same in both names.  *own: what comes after it. */
static int check_snapshot_name_locked(struct kmemblk_volume *s, const char *new_name,
				      const char **own)
{
	const char *path = s->h->device.path, *at = strchr(new_name, '@');
	char name[VOLUME_NAME_SIZE];
	size_t length;

	volume_name(s, name);
	length = (size_t)(strchr(name, '@') - name);
	if (at == NULL || (size_t)(at - new_name) != length || memcmp(name, new_name, length) != 0)
		return fail(EINVAL,
			    "rename: %s: %s is a snapshot, and stays with its volume: name it "
			    "%.*s@NEW-NAME instead of %.130s",
			    path, name, (int)length, name, new_name);
	if (!record_name_is_valid(at + 1))
		return change_fail_name(s->h, "rename", at + 1);
	if (volume_look_up_locked(s->h, new_name) != NULL)
		return fail(EEXIST, "rename: %s: there is a snapshot %s already", path, new_name);
	*own = at + 1;
	return 0;
}

int kmemblk_volume_rename(struct kmemblk *h, const char *name, const char *new_name)
{
	struct kmemblk_volume *v = NULL;
	const char *own = new_name;
	int rc = change_check(h, "rename");

	if (rc != 0)
		return rc;
	change_begin(h);
	v = volume_find_locked(h, "rename", name);
	if (v == NULL)
		rc = -ENOENT;
	else if (record_is_snapshot(&v->map.record))
		rc = check_snapshot_name_locked(v, new_name, &own);
	else
		rc = change_check_name_locked(h, "rename", new_name);
	if (rc == 0)
		rc = rename_locked(v, own);
	return change_end(h, rc);
}
