/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thin.c - make a volume thin, and the end of that.
 *
 * That no overwrite gets ENOSPC costs pages: one for each block that the volume shares is reserved, beside that of the
 * snapshot.  A thin volume goes without: an overwrite of what it shares is reserved like a new block.
 *
 * It is a flag of the record, and changed like all else of a record, but with the gate closed: a writer goes by it in the
 * section of his exchange.  Pages are reserved before the flag goes, and given back after it is there, durably.  Else
 * others might get them, and a crash leave a volume that is not thin, and too few pages for it.
 */
#include "config.h"

#include <errno.h>

#include "api/change.h"
#include "base/error.h"
#include "io/volume.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

static const struct change_need need = { "thin", "so that all of it can be overwritten", "" };

struct turning {
	struct kmemblk_volume *v;
	bool thin;
	uint64_t reserved; /* for the blocks that it shares */
	uint64_t page;	   /* for the record; then that of the old one; 0: nobody's */
};

/* Its blocks that nothing is reserved for, and that need it. */
static uint64_t missing(const struct turning *t)
{
	uint64_t shared = map_shares(&t->v->map);

	return t->thin || shared <= t->reserved ? 0 : shared - t->reserved;
}

/* With the gate closed. */
static int publish_locked(struct turning *t)
{
	struct kmemblk_volume *v = t->v;
	struct record record = v->map.record;
	uint64_t page = t->page, old = 0;
	bool named;
	int rc;

	record.flags ^= LAYOUT_RECORD_THIN;
	rc = change_replace(v, &record, page, change_root(v), &named, &old);
	t->page = rc == 0 ? old : named ? 0 : page;
	return rc;
}

/* What is reserved after the gate was closed is exact: nobody adds to what is shared. */
static int try_locked(struct turning *t, bool *done)
{
	struct kmemblk_volume *v = t->v;
	struct pool *pool = &v->h->pool;
	uint64_t more, surplus = 0;
	int rc = 0;

	pthread_mutex_lock(&v->map.lock);
	map_close_gate(&v->map);
	grace_wait();
	more = missing(t);
	*done = change_reserve_now(v->h, more, &need);
	if (*done) {
		t->reserved += more;
		/* Before the gate is open, so that no writer is refused what is about to be given back. */
		reserve_unmap_begin(pool);
		rc = publish_locked(t);
		surplus = t->reserved;
		if (rc == 0 && t->thin)
			surplus += map_shares(&v->map);
		else if (rc == 0)
			surplus -= map_shares(&v->map);
		t->reserved = 0;
	}
	map_open_gate(&v->map);
	pthread_mutex_unlock(&v->map.lock);
	if (*done)
		reserve_unmap_end(pool, surplus);
	return rc;
}

static int turn_locked(struct kmemblk_volume *v, bool thin)
{
	struct kmemblk *h = v->h;
	struct turning t = { .v = v, .thin = thin };
	bool done = false;
	int rc = cache_take_table(&h->pool, "thin", &t.page);

	if (rc != 0)
		return rc;
	while (rc == 0 && !done) {
		uint64_t more = missing(&t);

		rc = change_reserve(h, more, &need);
		if (rc != 0)
			break;
		t.reserved += more;
		rc = try_locked(&t, &done);
	}
	if (t.reserved > 0)
		change_unreserve(h, t.reserved);
	if (t.page != 0 && rc == 0)
		change_retire(h, t.page);
	else if (t.page != 0)
		pool_put_table(&h->pool, t.page);
	return rc;
}

int kmemblk_volume_set_thin(struct kmemblk *h, const char *name, int is_thin)
{
	struct kmemblk_volume *v;
	int rc = change_check(h, "thin");

	if (rc != 0)
		return rc;
	change_begin(h);
	v = volume_find_locked(h, "thin", name);
	rc = v == NULL ? -ENOENT : 0;
	if (rc == 0 && record_is_snapshot(&v->map.record))
		rc = fail(EINVAL, "thin: %s: %s is a snapshot: only volumes are thin, or not",
			  h->device.path, name);
	if (rc == 0 && map_is_thin(&v->map) != (is_thin != 0))
		rc = turn_locked(v, is_thin != 0);
	return change_end(h, rc);
}
