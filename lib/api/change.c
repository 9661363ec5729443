/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * change.c - what all changes of views have in common: a page for a record, and the record in the directory.
 *
 * A change is one exchange of an entry of the directory:
 *
 *  1. Reserve, and take a page for the record.  May wait, so with no mutex of a map and no gate closed.
 *  2. Fill the record, drain.  PM_RECORD: what is named before the entry that names it.
 *                              Power lost here: the page is free.
 *  3. Exchange the entry, drain, then its copy, drain (directory.c).  PM_DIRECTORY, PM_DIRECTORY_COPY.
 *                              Power lost here: the old or the new.
 *  4. Retire what the entry named before (invariant 3).
 *
 * Steps 2 and 3 are in a section, in which it is noted if what the directory says is not known to be durable: who waits
 * for a grace period then is shown that.  From that on the page of the record is nobody's: the directory may name it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/change.h"
#include "base/error.h"
#include "io/collect.h"
#include "io/request.h"
#include "io/volume.h"
#include "map/directory.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

int change_check(const struct kmemblk *h, const char *what)
{
	int rc = check_handle(h, what);

	if (rc == 0 && h->super.directory_pages == 0)
		rc = fail(EINVAL, "%s: %s: type %s has no volumes", what, h->device.path,
			  h->super.type->name);
	return rc;
}

int change_fail_name(const struct kmemblk *h, const char *what, const char *name)
{
	return fail(
		EINVAL,
		"%s: %s: \"%.130s\" cannot be a name: those are 1 to 63 letters, digits, '.', '_' "
		"and '-', beginning with a letter or digit%s",
		what, h->device.path, name,
		strchr(name, '@') == NULL
			? ""
			: "; a snapshot, VOLUME@SNAPSHOT, is made by kmemblk snapshot");
}

void change_begin(struct kmemblk *h)
{
	pthread_mutex_lock(&h->changes_lock);
	pthread_mutex_lock(&h->volumes_lock);
}

int change_end(struct kmemblk *h, int rc)
{
	volumes_release_locked(h);
	pthread_mutex_unlock(&h->volumes_lock);
	pthread_mutex_unlock(&h->changes_lock);
	return rc == 0 ? acknowledge(h) : rc;
}

int change_check_name_locked(const struct kmemblk *h, const char *what, const char *name)
{
	if (!record_name_is_valid(name))
		return change_fail_name(h, what, name);
	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		if (h->volumes[i] != NULL && !record_is_snapshot(&h->volumes[i]->map.record) &&
		    strcmp(h->volumes[i]->map.record.name, name) == 0)
			return fail(EEXIST, "%s: %s: there is a volume %s already", what,
				    h->device.path, name);
	return 0;
}

/*
 * True if what was refused by `rc` is to be tried again: after a wait, which may be long, for requests are to end or a
 * borrower to give back; or since leaves with nothing in them have been given up.
 */
static bool try_again(struct kmemblk *h, struct reservation *reservation, int rc)
{
	if (rc == -EAGAIN) {
		pthread_mutex_unlock(&h->volumes_lock);
		reserve_wait(&h->pool, reservation);
		pthread_mutex_lock(&h->volumes_lock);
		return true;
	}
	return rc == -ENOSPC && collect_leaves_locked(h) > 0;
}

int change_take(struct kmemblk *h, const char *what, uint64_t *page)
{
	struct reservation reservation = { .what = what };
	int rc;

	do
		rc = reserve_table(&h->pool, &reservation, page);
	while (try_again(h, &reservation, rc));
	if (rc == 0)
		reserve_end(&h->pool, 1, 1);
	return rc;
}

void change_put(struct kmemblk *h, uint64_t page)
{
	reserve_unmap_begin(&h->pool);
	pool_put_table(&h->pool, page);
	reserve_unmap_end(&h->pool, 1);
}

/* Say both numbers.  The message of a full file system is there already. */
static int fail_room(struct kmemblk *h, uint64_t n, const struct change_need *need)
{
	uint64_t lent, left = reserve_left(&h->pool, &lent);
	char and_lent[64] = "";

	if (n <= left)
		return -ENOSPC;
	if (lent > 0)
		snprintf(and_lent, sizeof(and_lent), ", %llu more are lent as memory",
			 (unsigned long long)lent);
	return fail(ENOSPC,
		    "%s: %s: %s %llu pages must be reserved, and %llu are left%s: trim what is not "
		    "needed, or delete snapshots%s",
		    need->what, h->device.path, need->aim, (unsigned long long)n,
		    (unsigned long long)left, and_lent, need->cure);
}

int change_reserve(struct kmemblk *h, uint64_t n, const struct change_need *need)
{
	struct reservation reservation = { .what = need->what };
	int rc;

	if (n == 0)
		return 0;
	do {
		reservation.changes = reserve_changes(&h->pool);
		rc = reserve_blocks(&h->pool, n, &reservation);
	} while (try_again(h, &reservation, rc));
	if (rc == 0)
		reserve_end(&h->pool, n, n);
	return rc == -ENOSPC ? fail_room(h, n, need) : rc;
}

bool change_reserve_now(struct kmemblk *h, uint64_t n, const struct change_need *need)
{
	struct reservation reservation = { .what = need->what,
					   .changes = reserve_changes(&h->pool) };

	/* If there is no room, that is told by who may wait. */
	if (n > 0 && reserve_blocks(&h->pool, n, &reservation) != 0)
		return false;
	reserve_end(&h->pool, n, n);
	return true;
}

void change_unreserve(struct kmemblk *h, uint64_t n)
{
	reserve_unmap_begin(&h->pool);
	reserve_unmap_end(&h->pool, n);
}

int change_find_number_locked(const struct kmemblk *h, const char *what, unsigned int *number)
{
	unsigned int size = directory_size(&h->super);

	while (*number < size && h->volumes[*number] != NULL)
		++*number;
	if (*number < size)
		return 0;
	return fail(
		ENOSPC,
		"%s: %s: its directory is full: it has room for %u volumes and snapshots; kmemblk "
		"format --views= makes more, and what the device holds is lost by that",
		what, h->device.path, size);
}

void change_retire(struct kmemblk *h, uint64_t page)
{
	pool_forget_table(&h->pool, page);
	cache_retire(&h->pool, &page, 1);
}

int change_publish(struct kmemblk *h, unsigned int number, const struct record *record,
		   uint64_t page, uint64_t root, bool *named)
{
	bool unflushed;
	int rc;

	grace_enter();
	rc = record_write(&h->device, page, record, root, PM_RECORD, &unflushed);
	*named = rc == 0;
	if (rc == 0) {
		rc = directory_set(&h->device, &h->super, number, page);
		unflushed = rc != 0;
	}
	if (unflushed)
		note_failed_flush(h);
	grace_leave();
	return unflushed ? fail_persist(h, -rc) : rc;
}

int change_replace(struct kmemblk_volume *v, const struct record *record, uint64_t page,
		   uint64_t root, bool *named, uint64_t *old)
{
	int rc = change_publish(v->h, v->number, record, page, root, named);

	if (rc != 0)
		return rc;
	*old = v->page;
	map_change_record(&v->map, record, page);
	v->page = page;
	pool_note_table(&v->h->pool, page);
	return 0;
}

uint64_t change_root(const struct kmemblk_volume *v)
{
	/* Relaxed: with the mutex under which it changes. */
	return atomic_load_explicit(v->map.root, memory_order_relaxed);
}

int change_clear(struct kmemblk *h, unsigned int number)
{
	int rc;

	grace_enter();
	rc = directory_clear(&h->device, &h->super, number);
	if (rc != 0)
		note_failed_flush(h);
	grace_leave();
	return rc == 0 ? 0 : fail_persist(h, -rc);
}
