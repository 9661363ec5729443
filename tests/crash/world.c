/* SPDX-License-Identifier: BSD-3-Clause */
/* world.c - see world.h. */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fatal.h"
#include "image.h"
#include "io/handle.h"
#include "mutate.h"
#include "ops.h"
#include "world.h"

const uint64_t world_places[WORLD_PLACES] = { 0, 1, 511, 512, 512 * 512 };

static const struct {
	const char *name;
	bool changes;	 /* which volumes there are */
	bool needs_none; /* no page for which it could be refused */
} kinds[CALL_KINDS] = {
	[CALL_CREATE] = { "create", true, false },
	[CALL_PREALLOC] = { "prealloc", true, false },
	[CALL_DELETE] = { "delete", true, true },
	[CALL_RENAME] = { "rename", true, true },
	[CALL_RESIZE] = { "resize", true, false },
	[CALL_WRITE] = { "write", false, false },
	[CALL_TRIM] = { "trim", false, true },
	[CALL_OPEN] = { "open", false, true },
	[CALL_SNAPSHOT] = { "snapshot", true, false },
	[CALL_SNAPTHIN] = { "snapthin", true, false },
	[CALL_CLONE] = { "clone", true, false },
	[CALL_ROLLBACK] = { "rollback", true, false },
	[CALL_THIN] = { "thin", true, true },
	[CALL_NOT_THIN] = { "notthin", true, false },
};

bool call_parse(const char *text, struct call *call)
{
	char kind[12], rest[16] = "";
	int fields;

	*call = (struct call){ .n = 0 };
	fields = sscanf(text, "%11[a-z]:%7[a-z0-9@]:%15[a-z0-9]", kind, call->name, rest);
	if (fields < 2)
		return false;
	sscanf(rest, "%7s", call->to);
	sscanf(rest, "%" SCNu64, &call->n);
	for (unsigned int k = 0; k < CALL_KINDS; k++) {
		call->kind = k;
		if (strcmp(kind, kinds[k].name) == 0)
			return true;
	}
	return false;
}

bool call_needs_no_page(const struct call *call)
{
	return kinds[call->kind].needs_none;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static void fill(uint8_t *bytes, uint64_t token, uint64_t block)
{
	memset(bytes, 0, BLOCK_SIZE);
	if (token == 0)
		return;
	for (uint64_t at = 0; at < BLOCK_SIZE; at += sizeof(uint64_t)) {
		uint64_t word = at == 0 ? token : hash_mix(token << 32 | (block * 512 + at / 8));

		memcpy(bytes + at, &word, sizeof(word));
	}
}

/* The number of a place, WORLD_PLACES for another block. */
static unsigned int place_of(uint64_t block)
{
	unsigned int i = 0;

	while (i < WORLD_PLACES && world_places[i] != block)
		i++;
	return i;
}

/* ---- doing calls ---------------------------------------------------------------------------- */

bool call_is_change(const struct call *call)
{
	return kinds[call->kind].changes;
}

int call_run_in(struct kmemblk_volume *v, const struct call *call, unsigned int number)
{
	uint8_t bytes[BLOCK_SIZE];

	if (call->kind == CALL_TRIM)
		return kmemblk_trim(v, BLOCK_SIZE, call->n * BLOCK_SIZE);
	fill(bytes, number + 1, call->n);
	return kmemblk_write(v, bytes, BLOCK_SIZE, call->n * BLOCK_SIZE);
}

static int run_on_volume(struct kmemblk *h, const struct call *call, unsigned int number)
{
	struct kmemblk_volume *v;
	int rc = kmemblk_volume_open(h, call->name, &v);

	if (rc != 0 || call->kind == CALL_OPEN)
		return rc;
	rc = call_run_in(v, call, number);
	kmemblk_volume_close(v);
	return rc;
}

static int run_change(struct kmemblk *h, const struct call *call)
{
	const char *snapshot = call->name;
	uint64_t size = call->n * BLOCK_SIZE;

	switch (call->kind) {
	case CALL_SNAPSHOT:
		return kmemblk_snapshot(h, &snapshot, 1, 0);
	case CALL_SNAPTHIN:
		return kmemblk_snapshot(h, &snapshot, 1, KMEMBLK_THIN);
	case CALL_CLONE:
		return kmemblk_volume_clone(h, snapshot, call->to, 0);
	case CALL_ROLLBACK:
		return kmemblk_volume_rollback(h, snapshot, 0);
	case CALL_CREATE:
		return kmemblk_volume_create(h, call->name, size, 0);
	case CALL_PREALLOC:
		return kmemblk_volume_create(h, call->name, size, KMEMBLK_VOLUME_PREALLOC);
	case CALL_DELETE:
		return kmemblk_volume_delete(h, call->name, 0);
	case CALL_RENAME:
		return kmemblk_volume_rename(h, call->name, call->to);
	case CALL_THIN:
	case CALL_NOT_THIN:
		return kmemblk_volume_set_thin(h, call->name, call->kind == CALL_THIN);
	default:
		return kmemblk_volume_resize(h, call->name, size, KMEMBLK_VOLUME_FORCE);
	}
}

int call_run(struct kmemblk *h, const struct call *call, unsigned int number)
{
	int rc;

	if (!kinds[call->kind].changes)
		return run_on_volume(h, call, number);
	mutate_manage(true);
	rc = run_change(h, call);
	mutate_manage(false);
	return rc;
}

void call_note(struct kmemblk *h, struct call *call)
{
	char name[WORLD_NAME] = "";
	struct kmemblk_volume_info info;
	struct kmemblk_volume *v;

	if (call->kind != CALL_SNAPTHIN)
		return;
	memcpy(name, call->name, strcspn(call->name, "@"));
	if (kmemblk_volume_open(h, name, &v) != 0)
		fatal("%s", kmemblk_error());
	kmemblk_volume_get_info(v, &info);
	call->thins = info.is_thin;
	kmemblk_volume_close(v);
}

/* ---- the model ------------------------------------------------------------------------------ */

static struct world_volume *find(struct world *world, const char *name)
{
	for (unsigned int i = 0; i < world->count; i++)
		if (strcmp(world->volume[i].name, name) == 0)
			return &world->volume[i];
	return NULL;
}

static bool add(struct world *world, const struct world_volume *volume)
{
	unsigned int i = (unsigned int)world->count;

	if (i == WORLD_VOLUMES || find(world, volume->name) != NULL)
		return false;
	for (; i > 0 && strcmp(world->volume[i - 1].name, volume->name) > 0; i--)
		world->volume[i] = world->volume[i - 1];
	world->volume[i] = *volume;
	world->count++;
	return true;
}

static void drop(struct world *world, struct world_volume *volume)
{
	size_t after = (size_t)(&world->volume[world->count] - (volume + 1));

	memmove(volume, volume + 1, after * sizeof(*volume));
	memset(&world->volume[--world->count], 0, sizeof(*volume));
}

/* True if it is a snapshot of the other. */
static bool is_of(const struct world_volume *snapshot, const struct world_volume *v)
{
	size_t length = strlen(v->name);

	return strncmp(snapshot->name, v->name, length) == 0 && snapshot->name[length] == '@';
}

/* The sequence of its youngest snapshot, 0 for none. */
static uint64_t youngest(const struct world *world, const struct world_volume *v)
{
	uint64_t sequence = 0;

	for (unsigned int i = 0; i < world->count; i++)
		if (is_of(&world->volume[i], v) && world->volume[i].sequence > sequence)
			sequence = world->volume[i].sequence;
	return sequence;
}

/* The volume that VOLUME@SNAPSHOT is of. */
static struct world_volume *find_volume_of(struct world *world, const char *name)
{
	char volume[WORLD_NAME] = "";

	memcpy(volume, name, strcspn(name, "@"));
	return find(world, volume);
}

/* The calls of snapshots. */
static bool apply_snapshot(const struct call *call, struct world *world)
{
	struct world_volume *of = find_volume_of(world, call->name), made;
	const struct world_volume *from = find(world, call->name);
	bool takes = call->kind == CALL_SNAPSHOT || call->kind == CALL_SNAPTHIN;

	if (of == NULL || (from == NULL) != takes)
		return false;
	if (call->kind == CALL_ROLLBACK) {
		if (from->sequence != youngest(world, of))
			return false;
		of->blocks = from->blocks;
		memcpy(of->token, from->token, sizeof(of->token));
		return true;
	}
	if (call->thins)
		of->thin = 1;
	made = takes ? *of : *from;
	made.sequence = takes ? youngest(world, of) + 1 : 0;
	made.thin = 0;
	memset(made.name, 0, sizeof(made.name));
	snprintf(made.name, sizeof(made.name), "%s", takes ? call->name : call->to);
	return add(world, &made);
}

/* With its snapshots, which are named by it. */
static bool rename_all(struct world *world, struct world_volume *v, const char *to)
{
	struct world before = *world;
	struct world_volume old = *v;
	bool fits = find(world, to) == NULL;

	*world = (struct world){ .count = 0 };
	for (unsigned int i = 0; i < before.count; i++) {
		struct world_volume one = before.volume[i];
		char name[2 * WORLD_NAME];

		if (is_of(&one, &old) || strcmp(one.name, old.name) == 0) {
			snprintf(name, sizeof(name), "%s%s", to, one.name + strlen(old.name));
			memset(one.name, 0, sizeof(one.name));
			memcpy(one.name, name, strnlen(name, sizeof(one.name) - 1));
		}
		fits = add(world, &one) && fits;
	}
	return fits;
}

static bool apply_to(const struct call *call, unsigned int number, struct world *world,
		     struct world_volume *v)
{
	switch (call->kind) {
	case CALL_DELETE:
		if (youngest(world, v) > 0)
			return false;
		drop(world, v);
		return true;
	case CALL_RENAME:
		return rename_all(world, v, call->to);
	case CALL_RESIZE:
		v->blocks = call->n;
		for (unsigned int i = 0; i < WORLD_PLACES; i++)
			if (world_places[i] >= call->n)
				v->token[i] = 0;
		return true;
	case CALL_THIN:
	case CALL_NOT_THIN:
		v->thin = call->kind == CALL_THIN;
		return v->sequence == 0;
	case CALL_OPEN:
		return true;
	default:
		if (call->n >= v->blocks)
			return false;
		v->token[place_of(call->n)] = call->kind == CALL_TRIM ? 0 : number + 1;
		return true;
	}
}

bool call_apply(const struct call *call, unsigned int number, struct world *world)
{
	struct world_volume made = { .blocks = call->n }, *v;

	if (call->kind == CALL_CREATE || call->kind == CALL_PREALLOC) {
		memcpy(made.name, call->name, sizeof(made.name));
		return add(world, &made);
	}
	if (call->kind == CALL_SNAPSHOT || call->kind == CALL_SNAPTHIN ||
	    call->kind == CALL_CLONE || call->kind == CALL_ROLLBACK)
		return apply_snapshot(call, world);
	v = find(world, call->name);
	if (v == NULL && call->also[0] != '\0')
		v = find(world, call->also);
	return v != NULL && apply_to(call, number, world, v);
}

bool call_apply_half(const struct call *call, struct world *world)
{
	struct world_volume *of = call->thins ? find_volume_of(world, call->name) : NULL;

	if (of == NULL || of->thin)
		return false;
	of->thin = 1;
	return true;
}

bool world_equal(const struct world *a, const struct world *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

uint64_t world_hash(const struct world *world)
{
	return hash_bytes((const uint8_t *)world, sizeof(*world));
}

void world_print(const struct world *world, char *text, size_t size)
{
	size_t at = (size_t)snprintf(text, size, "%s", world->count == 0 ? "none" : "");

	for (unsigned int i = 0; i < world->count && at < size; i++) {
		const struct world_volume *v = &world->volume[i];

		at += (size_t)snprintf(text + at, size - at, "%s%s:%s%" PRIu64, i > 0 ? " " : "",
				       v->name, v->thin ? "thin:" : "", v->blocks);
		for (unsigned int p = 0; p < WORLD_PLACES && at < size; p++)
			at += (size_t)snprintf(text + at, size - at, "%c%" PRIu64,
					       p > 0 ? ',' : '/', v->token[p]);
	}
}

/* ---- looking at a device -------------------------------------------------------------------- */

struct reading {
	struct world *world;
	struct kmemblk_volume *v;
	const char *problem;
};

static int note_volume(void *opaque, const struct kmemblk_volume_info *info)
{
	struct reading *r = opaque;
	struct world_volume volume = { .blocks = info->blocks, .thin = (uint64_t)info->is_thin };

	if (strlen(info->name) >= sizeof(volume.name)) {
		r->problem = "a volume of another name";
		return 1;
	}
	memcpy(volume.name, info->name, strlen(info->name));
	if (!add(r->world, &volume))
		r->problem = "too many volumes, or two of one name";
	return 0;
}

/* What has a page beside the places reads as zeroes. */
static int note_extent(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	static const uint8_t zeroes[BLOCK_SIZE];
	struct reading *r = opaque;
	uint8_t bytes[BLOCK_SIZE];
	int rc = 0;

	if (flags & KMEMBLK_EXTENT_HOLE)
		return 0;
	for (uint64_t at = offset; rc == 0 && at < offset + count; at += BLOCK_SIZE) {
		if (place_of(at / BLOCK_SIZE) < WORLD_PLACES)
			continue;
		rc = kmemblk_read(r->v, bytes, BLOCK_SIZE, at);
		if (rc == 0 && memcmp(bytes, zeroes, BLOCK_SIZE) != 0)
			r->problem = "something is where nobody wrote";
	}
	return rc;
}

static int read_volume(struct reading *r, struct world_volume *volume)
{
	uint8_t bytes[BLOCK_SIZE], expected[BLOCK_SIZE];
	int rc = 0;

	volume->sequence = r->v->map.record.sequence;

	for (unsigned int i = 0; rc == 0 && i < WORLD_PLACES; i++) {
		if (world_places[i] >= volume->blocks)
			continue;
		rc = kmemblk_read(r->v, bytes, BLOCK_SIZE, world_places[i] * BLOCK_SIZE);
		memcpy(&volume->token[i], bytes, sizeof(volume->token[i]));
		fill(expected, volume->token[i], world_places[i]);
		if (rc == 0 && memcmp(bytes, expected, BLOCK_SIZE) != 0)
			r->problem = "a block is torn, or another's";
	}
	/* Of a damaged map that takes a walk for each block. */
	if (rc == 0 && !r->v->map.damaged)
		rc = kmemblk_extents(r->v, volume->blocks * BLOCK_SIZE, 0, note_extent, r);
	return rc;
}

bool world_read(struct kmemblk *h, struct world *world, char *why, size_t size)
{
	struct reading r = { .world = world };
	int rc;

	*world = (struct world){ .count = 0 };
	rc = kmemblk_volume_list(h, note_volume, &r);
	for (unsigned int i = 0; rc == 0 && i < world->count; i++) {
		rc = kmemblk_volume_open(h, world->volume[i].name, &r.v);
		if (rc != 0)
			break;
		rc = read_volume(&r, &world->volume[i]);
		kmemblk_volume_close(r.v);
	}
	if (r.problem != NULL)
		snprintf(why, size, "%s", r.problem);
	else if (rc != 0)
		snprintf(why, size, "%.200s", kmemblk_error());
	return r.problem == NULL && rc == 0;
}
