/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - what the lending server tells of itself, as JSON: kmemblk stat and top show it.
 *
 * A packet has its limit: with too many borrowers the last of them are left out, and counted.
 */
#include "config.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lend/lending.h"
#include "lend/status.h"
#include "pages/pages.h"

/* What a borrower takes at most, name and all; and all that is not borrowers. */
#define BORROWER_BYTES 256u
#define OTHER_BYTES    16384u

static void put(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

/* A tenth of a microsecond is all that is worth reading. */
static void put_us(struct json_object *object, const char *key, double us)
{
	char text[32];

	snprintf(text, sizeof(text), "%.1f", us);
	json_object_object_add(object, key, json_object_new_double_s(us, text));
}

static struct json_object *pages_status(struct lending *lending)
{
	struct json_object *object = json_object_new_object();
	struct pages_count count;

	pages_count(&lending->h->pool, &count);
	put(object, "used", count.used);
	put(object, "tables", count.tables);
	put(object, "free", count.free);
	put(object, "reserved", count.reserved);
	put(object, "spare", count.spare);
	put(object, "for_tables", count.for_tables);
	put(object, "headroom", count.headroom);
	put(object, "retired", count.retired);
	put(object, "lent", count.lent);
	put(object, "resident", count.resident);
	put(object, "quarantined", count.quarantined);
	put(object, "reclaimed", count.reclaimed);
	put(object, "punched", count.punched);
	put(object, "returned", count.returned);
	put(object, "moved", atomic_load_explicit(&lending->mover.moved, memory_order_relaxed));
	return object;
}

static struct json_object *zones_status(struct lending *lending)
{
	struct json_object *object = json_object_new_object();
	struct pool *pool = &lending->h->pool;
	const char *why = lending->loans.why;

	if (why == NULL && lending->pace.limited)
		why = "the disk is busy: little is lent meanwhile";
	put(object, "size", ZONE_BYTES);
	put(object, "lent", lending->loans.lent);
	put(object, "unowned", lending->loans.unowned);
	put(object, "stuck", lending->loans.stuck);
	pthread_mutex_lock(&pool->lock);
	put(object, "evacuating", pool->zones.count);
	put(object, "wanted", pool->zones.wanted);
	pthread_mutex_unlock(&pool->lock);
	json_object_object_add(object, "folder",
			       lending->loans.folder.path != NULL
				       ? json_object_new_string(lending->loans.folder.path)
				       : NULL);
	json_object_object_add(object, "refused", why != NULL ? json_object_new_string(why) : NULL);
	return object;
}

static struct json_object *borrowers_status(const struct lending *lending, size_t most,
					    uint64_t *left_out)
{
	struct json_object *array = json_object_new_array();
	size_t room = most > OTHER_BYTES ? (most - OTHER_BYTES) / BORROWER_BYTES : 0;

	*left_out = 0;
	for (int i = 0; i < lending->peer_count; i++) {
		const struct peer *peer = lending->peers[i];
		struct json_object *object;

		/* Who only asks for the status is no borrower. */
		if (peer == NULL || !peer->greeted)
			continue;
		if (json_object_array_length(array) >= room) {
			++*left_out;
			continue;
		}
		object = json_object_new_object();
		put(object, "pid", (uint64_t)peer->pid);
		put(object, "uid", peer->uid);
		json_object_object_add(object, "name", json_object_new_string(peer->name));
		put(object, "zones", peer->owner.zones);
		put(object, "since", (uint64_t)peer->since);
		put(object, "refused", peer->refused);
		json_object_array_add(array, object);
	}
	return array;
}

static struct json_object *requests_status(const struct lending *lending)
{
	static const char *const names[KMEMBLK_REQUEST_KINDS] = {
		[KMEMBLK_READ] = "read", [KMEMBLK_WRITE] = "write",	[KMEMBLK_TRIM] = "trim",
		[KMEMBLK_ZERO] = "zero", [KMEMBLK_EXTENTS] = "extents", [KMEMBLK_FLUSH] = "flush",
	};
	struct json_object *object = json_object_new_object();
	struct kmemblk_request_counts counts[KMEMBLK_REQUEST_KINDS] = { 0 };

	lending->count_requests(lending->count_opaque, counts);
	for (int kind = 0; kind < KMEMBLK_REQUEST_KINDS; kind++) {
		struct json_object *one = json_object_new_object();

		put(one, "count", counts[kind].count);
		put(one, "bytes", counts[kind].bytes);
		put_us(one, "p50_us", counts[kind].p50_us);
		put_us(one, "p99_us", counts[kind].p99_us);
		put_us(one, "p999_us", counts[kind].p999_us);
		put_us(one, "max_us", counts[kind].max_us);
		json_object_object_add(object, names[kind], one);
	}
	return object;
}

char *lending_status(struct lending *lending, size_t most)
{
	struct json_object *object = json_object_new_object();
	char *text = NULL;
	uint64_t left_out;

	if (object == NULL)
		return NULL;
	json_object_object_add(object, "path", json_object_new_string(lending->h->device.path));
	json_object_object_add(object, "uuid", json_object_new_string(lending->uuid));
	put(object, "mismatches",
	    atomic_load_explicit(&lending->h->mismatches, memory_order_relaxed));
	json_object_object_add(object, "pages", pages_status(lending));
	json_object_object_add(object, "zones", zones_status(lending));
	json_object_object_add(object, "borrowers", borrowers_status(lending, most, &left_out));
	put(object, "borrowers_left_out", left_out);
	if (lending->count_requests != NULL)
		json_object_object_add(object, "requests", requests_status(lending));
	text = strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	if (text != NULL && strlen(text) > most) {
		free(text);
		text = NULL;
	}
	json_object_put(object);
	return text;
}
