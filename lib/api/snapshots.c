/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshots.c - make snapshots.
 *
 * A snapshot is a record that has its volume's root.  It takes one page and copies nothing: the tables that both name
 * are shared from then on, and who writes to the volume makes copies of those that he changes (map/table.c).
 *
 * To make one: close the volume's gate, and wait for a grace period.  Then nobody is between an entry's exchange and
 * its drain, and all that has been acknowledged is in the map (invariant 11).  Publish the record, make the snapshot the
 * volume's predecessor, and open the gate with a new epoch: nobody goes on by what he knew of which tables are owned.
 *
 * An overwrite must not get ENOSPC afterwards either.  So what the volume owned becomes the snapshot's and is
 * reserved for it, beside what the volume's blocks and tables have reserved (docs/design.md, "Reservations").  Of a
 * thin volume only its tables are.  A volume for which there are too few pages becomes thin, if that is asked for: its
 * record is published first, with the gate closed.  The other way round a crash would leave a volume that is not thin,
 * and too few pages for it.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

#include "api/change.h"
#include "api/resize.h"
#include "api/snapshots.h"
#include "base/error.h"
#include "io/request.h"
#include "io/volume.h"
#include "map/directory.h"
#include "map/doomed.h"
#include "map/ownership.h"
#include "pages/cache.h"
#include "pages/grace.h"
#include "pages/reserve.h"

struct making {
	struct kmemblk_volume *v;
	struct kmemblk_volume *snapshot;
	uint64_t reserved; /* for what it will own */
	uint64_t
		needed; /* what has turned out to be needed of that; less than 0, as the sums are modulo 2^64 */
	bool named; /* the directory may name it */
	/* The volume becomes thin, by a record on `page`, which it replaces by that which is not needed any more. */
	bool thin;
	uint64_t page;
};

static uint64_t youngest_locked(const struct kmemblk_volume *v)
{
	const struct kmemblk_volume *p = v->predecessor;

	return p != NULL && memcmp(p->map.record.volume, v->map.record.uuid,
				   sizeof(p->map.record.volume)) == 0
		       ? p->map.record.sequence
		       : 0;
}

/* Split VOLUME@SNAPSHOT, and find the volume. */
static int parse_locked(struct kmemblk *h, const char *name, struct kmemblk_volume **v,
			const char **own)
{
	char volume[LAYOUT_NAME_SIZE] = "";
	const char *at = strchr(name, '@');
	size_t length = at == NULL ? 0 : (size_t)(at - name);

	if (at == NULL || length == 0 || length >= sizeof(volume) || !record_name_is_valid(at + 1))
		return fail(EINVAL,
			    "snapshot: %s: \"%.130s\" is not VOLUME@SNAPSHOT, each of 1 to 63 "
			    "letters, digits, '.', '_' and '-'",
			    h->device.path, name);
	memcpy(volume, name, length);
	*v = volume_find_locked(h, "snapshot", volume);
	*own = at + 1;
	return *v == NULL ? -ENOENT : 0;
}

/* Its struct, and a page for its record. */
static int begin_locked(struct making *m, const char *own, unsigned int number)
{
	struct kmemblk *h = m->v->h;
	struct record record = m->v->map.record;
	uint64_t page;
	int rc;

	if (youngest_locked(m->v) == UINT64_MAX)
		return fail(ENOSPC, "snapshot: %s: volume %s has had as many as can be counted",
			    h->device.path, record.name);
	record.flags = LAYOUT_RECORD_SNAPSHOT;
	record.created = (uint64_t)time(NULL);
	record.sequence = youngest_locked(m->v) + 1;
	memcpy(record.volume, m->v->map.record.uuid, sizeof(record.volume));
	uuid_generate(record.uuid);
	memset(record.name, 0, sizeof(record.name));
	memcpy(record.name, own, strlen(own));
	rc = change_take(h, "snapshot", &page);
	if (rc != 0)
		return rc;
	m->snapshot = volume_new(h, number, &record, page);
	if (m->snapshot == NULL) {
		change_put(h, page);
		return -ENOMEM;
	}
	m->snapshot->of = m->v;
	return 0;
}

static const struct change_need needs[] = {
	{ "snapshot", "so that all of it can be overwritten",
	  ", or add --thin: then an overwrite may find no page" },
	{ "snapshot", "for its tables", "" },
};

/* What a volume owns becomes the snapshot's, and the volume, if it is thin, needs nothing for blocks then. */
static uint64_t missing(const struct making *m)
{
	const struct map *map = &m->v->map;
	uint64_t owned = atomic_load_explicit(&map->owned, memory_order_relaxed);
	uint64_t used = atomic_load_explicit(&map->used, memory_order_relaxed),
		 more = map_owns(map);

	if (map_is_thin(map))
		more -= owned;
	else if (m->thin)
		more = more > used ? more - used : 0;
	return more > m->reserved ? more - m->reserved : 0;
}

/* Reserve more, for what it will own.  0 or -errno with message. */
static int reserve_more(struct making *m)
{
	struct kmemblk *h = m->v->h;
	bool thin = m->thin || map_is_thin(&m->v->map);
	uint64_t more = missing(m);
	int rc = more == 0 ? 0 : change_reserve(h, more, &needs[thin]);

	if (rc == 0)
		m->reserved += more;
	return rc;
}

/* The same, and where there are too few pages for a volume that is not thin, it is to become so. */
static int reserve_or_thin(struct making *m, unsigned int flags)
{
	int rc = reserve_more(m);

	if (rc != -ENOSPC || !(flags & KMEMBLK_THIN) || m->thin || map_is_thin(&m->v->map))
		return rc;
	rc = cache_take_table(&m->v->h->pool, "snapshot", &m->page);
	if (rc != 0)
		return rc;
	m->thin = true;
	return reserve_more(m);
}

/* With the gate closed: the volume becomes thin. */
static int publish_thin_locked(struct making *m)
{
	struct kmemblk_volume *v = m->v;
	struct record record = v->map.record;
	uint64_t page = m->page, old = 0;
	bool named;
	int rc;

	record.flags |= LAYOUT_RECORD_THIN;
	rc = change_replace(v, &record, page, change_root(v), &named, &old);
	/* If it failed and is named, nobody has it. */
	m->page = rc == 0 ? old : named ? 0 : page;
	if (rc == 0)
		m->needed -= map_shares(&v->map);
	return rc;
}

/* With the gate closed: publish, and make it the predecessor. */
static int publish_locked(struct making *m)
{
	struct kmemblk_volume *v = m->v, *s = m->snapshot;
	struct map *map = &v->map;
	struct record record;
	int rc = m->thin ? publish_thin_locked(m) : 0;

	if (rc != 0)
		return rc;
	record = map->record;
	/* The volume may have grown since. */
	s->map.record.blocks = record.blocks;
	s->map.record.height = record.height;
	record = s->map.record;
	rc = change_publish(v->h, s->number, &record, s->page, change_root(v), &m->named);
	if (rc != 0)
		return rc;
	m->needed += map_is_thin(map) ? map->owned_tables : map_owns(map);
	map_change_record(&s->map, &record, s->page);
	s->map.used = map->used;
	s->map.tables = map->tables;
	s->map.owned = map->owned;
	s->map.owned_tables = map->owned_tables;
	map->owned = 0;
	map->owned_tables = 0;
	s->predecessor = v->predecessor;
	volume_set_predecessor(v, s);
	pool_note_table(&v->h->pool, s->page);
	v->h->volumes[s->number] = s;
	return 0;
}

/*
 * All gates at once: all are of one instant.  After the grace period every section that has exchanged an entry is over,
 * and has drained it; those that begin later see the gate closed.
 */
static void close_gates(struct making *m, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		pthread_mutex_lock(&m[i].v->map.lock);
		map_close_gate(&m[i].v->map);
	}
	grace_wait();
}

static void open_gates(struct making *m, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		map_open_gate(&m[i].v->map);
		pthread_mutex_unlock(&m[i].v->map.lock);
	}
}

/* With the gates closed nobody adds to it: reserve what has been added since, unless that has to wait. */
static bool is_enough(struct making *m, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint64_t more = missing(&m[i]);

		if (!change_reserve_now(m[i].v->h, more, &needs[0]))
			return false;
		m[i].reserved += more;
	}
	return true;
}

/* With the gates closed. */
static int publish_all(struct making *m, unsigned int count)
{
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < count; i++)
		rc = publish_locked(&m[i]);
	return rc;
}

/* What was reserved and not needed. */
static uint64_t take_surplus(struct making *m, unsigned int count)
{
	uint64_t surplus = 0;

	for (unsigned int i = 0; i < count; i++) {
		surplus += m[i].reserved - m[i].needed;
		m[i].reserved = 0;
	}
	return surplus;
}

static int make_all(struct making *m, unsigned int count, unsigned int flags)
{
	struct pool *pool = &m[0].v->h->pool;
	bool enough = false;
	int rc = 0;

	while (rc == 0 && !enough) {
		for (unsigned int i = 0; rc == 0 && i < count; i++)
			rc = reserve_or_thin(&m[i], flags);
		if (rc != 0)
			break;
		close_gates(m, count);
		enough = is_enough(m, count);
		/* Before the gates are open, so that no writer is refused what is about to be given back. */
		if (enough)
			reserve_unmap_begin(pool);
		if (enough)
			rc = publish_all(m, count);
		open_gates(m, count);
		if (enough)
			reserve_unmap_end(pool, take_surplus(m, count));
	}
	return rc;
}

/* Give back what was not needed. */
static void finish_locked(struct making *m)
{
	struct kmemblk *h = m->v->h;
	struct kmemblk_volume *s = m->snapshot;
	bool made = s != NULL && h->volumes[s->number] == s;

	if (m->reserved > 0)
		change_unreserve(h, m->reserved);
	/* The record that the volume had, or one that it did not get. */
	if (m->page != 0 && map_is_thin(&m->v->map))
		change_retire(h, m->page);
	else if (m->page != 0)
		pool_put_table(&h->pool, m->page);
	if (made || s == NULL)
		return;
	if (!m->named)
		change_put(h, s->page);
	volume_free(s);
}

static int by_number(const void *a, const void *b)
{
	const struct making *x = a, *y = b;

	return (x->v->number > y->v->number) - (x->v->number < y->v->number);
}

#define SNAPSHOTS_MAX 64u

static int prepare_locked(struct kmemblk *h, const char *const *names, unsigned int count,
			  struct making *m)
{
	unsigned int number = 0;

	for (unsigned int i = 0; i < count; i++) {
		const char *own = NULL;
		int rc = parse_locked(h, names[i], &m[i].v, &own);

		if (rc != 0)
			return rc;
		if (record_is_snapshot(&m[i].v->map.record))
			return fail(EINVAL, "snapshot: %s: %s is one already", h->device.path,
				    names[i]);
		if (volume_look_up_locked(h, names[i]) != NULL)
			return fail(EEXIST, "snapshot: %s: there is %s already", h->device.path,
				    names[i]);
		for (unsigned int j = 0; j < i; j++)
			if (m[j].v == m[i].v)
				return fail(EINVAL, "snapshot: %s: two of one volume: %s and %s",
					    h->device.path, names[j], names[i]);
		rc = change_find_number_locked(h, "snapshot", &number);
		if (rc == 0 && m[i].v->past)
			rc = resize_cut_past(m[i].v);
		if (rc == 0)
			rc = begin_locked(&m[i], own, number++);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int kmemblk_snapshot(struct kmemblk *h, const char *const *names, unsigned int count,
		     unsigned int flags)
{
	struct making m[SNAPSHOTS_MAX] = { { 0 } };
	int rc = change_check(h, "snapshot");

	if (rc == 0 && (count == 0 || count > SNAPSHOTS_MAX))
		rc = fail(EINVAL, "snapshot: %s: %u at once: 1 to %u can be", h->device.path, count,
			  SNAPSHOTS_MAX);
	if (rc == 0 && flags & ~KMEMBLK_THIN)
		rc = fail(EINVAL, "snapshot: %s: unknown flags 0x%x", h->device.path, flags);
	if (rc != 0)
		return rc;
	change_begin(h);
	rc = prepare_locked(h, names, count, m);
	/* Everybody who takes several mutexes takes them in this order. */
	if (rc == 0) {
		qsort(m, count, sizeof(m[0]), by_number);
		rc = make_all(m, count, flags);
	}
	for (unsigned int i = 0; i < count && m[i].v != NULL; i++)
		finish_locked(&m[i]);
	return change_end(h, rc);
}
