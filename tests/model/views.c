/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * views.c - snapshots of the disk that the others write to: taken, read whole, cloned, and deleted.
 *
 * Each snapshot belongs to one thread, so that nothing is needed here that would put threads in order.  When it has been
 * taken it is read whole, and judged: what is in it must have been there at one instant (whole.c, parts.c).  From then on
 * each of its blocks must be what it was, which a hash of each tells; and so must be those of a clone, but for those
 * that were changed in the clone.
 *
 * A process that is killed leaves of each snapshot how far it was.  What had been taken must be there; what was being taken
 * or deleted may be, and is judged like all others if it is.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "common/block.h"
#include "model.h"

/* Blocks read at once. */
#define CHUNK 64u
/* Most blocks that are changed in a clone. */
#define CHANGES 8u
/* In their contents, so that they are taken for nobody else's. */
#define CLONED	  0x40000000u
#define NAME_SIZE 32u

enum state {
	NONE,
	BEING_TAKEN,
	TAKEN,
	JUDGED,
	BEING_DELETED,
};

struct view {
	_Atomic unsigned int state;
	unsigned int number;
	void *whole, *parts; /* what may be in it */
	uint64_t *hash;	     /* of each block */
};

/* Blocks that are no longer what they are in the snapshot. */
struct changed {
	uint32_t first, count;
	uint32_t version; /* 0: zeroes */
};

static struct view *views;
static unsigned int count;
static uint32_t blocks, whole_blocks;

void views_create(unsigned int most, uint32_t disk_blocks)
{
	count = (most + threads - 1) / threads * threads;
	blocks = disk_blocks;
	whole_blocks = disk_blocks / 2;
	views = share(count * sizeof(views[0]));
	for (unsigned int i = 0; i < count; i++) {
		views[i].number = i;
		views[i].whole = share(whole_snapshot_size());
		views[i].parts = share(parts_snapshot_size());
		views[i].hash = share(blocks * sizeof(views[i].hash[0]));
	}
}

static const char *snapshot_name(const struct view *view, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "kmem0@s%u", view->number);
	return name;
}

static const char *clone_name(const struct view *view, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "clone%u", view->number);
	return name;
}

static uint64_t hash_of(const void *bytes)
{
	uint64_t word[BLOCK_WORDS], hash = 0;

	memcpy(word, bytes, sizeof(word));
	for (unsigned int i = 0; i < BLOCK_WORDS; i++)
		hash = (hash << 7 ^ hash >> 57 ^ word[i]) * 0x9e3779b97f4a7c15ull;
	return hash;
}

/* ---- reading one whole ---------------------------------------------------------------------- */

static void judge_block(struct view *view, uint32_t block, const void *bytes)
{
	view->hash[block] = hash_of(bytes);
	if (block < whole_blocks)
		whole_snapshot_block(view->whole, block, bytes);
	else
		parts_snapshot_block(view->parts, block, bytes);
}

static void compare_block(const struct view *view, uint32_t block, const void *bytes,
			  const struct changed *changed)
{
	struct content content;

	if (changed == NULL || block < changed->first || block >= changed->first + changed->count) {
		if (hash_of(bytes) != view->hash[block])
			wrong(CHANGED, "block %u of snapshot %u%s", block, view->number,
			      changed == NULL ? "" : ", in a clone");
		return;
	}
	content = block_recognise(bytes, 0, BLOCK_WORDS);
	if (changed->version == 0
		    ? content.kind != CONTENT_ZEROES
		    : content.kind != CONTENT_VERSION || content.number != (CLONED | block) ||
			      content.version != changed->version)
		wrong(LOST, "block %u of a clone of snapshot %u: what was written to the clone",
		      block, view->number);
}

/* Not judged yet, it is now; else it is compared with what it was then. */
static void read_whole(struct worker *worker, struct view *view, const char *name,
		       const struct changed *changed)
{
	bool judge = LOAD(view->state) != JUDGED;
	struct kmemblk_volume *v;

	CHECK_CALL(kmemblk_volume_open(worker->handle, name, &v));
	for (uint32_t block = 0; block < blocks; block++) {
		const uint8_t *bytes = worker->buf + block % CHUNK * BLOCK_SIZE;
		uint32_t n = blocks - block < CHUNK ? blocks - block : CHUNK;

		if (block % CHUNK == 0)
			CHECK_CALL(kmemblk_read(v, worker->buf, (size_t)n * BLOCK_SIZE,
						(uint64_t)block * BLOCK_SIZE));
		if (judge)
			judge_block(view, block, bytes);
		else
			compare_block(view, block, bytes, changed);
	}
	kmemblk_volume_close(v);
	if (judge) {
		whole_snapshot_judge(view->whole);
		STORE(view->state, JUDGED);
	}
}

static void read_snapshot(struct worker *worker, struct view *view)
{
	char name[NAME_SIZE];

	read_whole(worker, view, snapshot_name(view, name), NULL);
}

/* ---- taking, cloning, deleting -------------------------------------------------------------- */

static void has_been_taken(struct view *view)
{
	whole_snapshot_after(view->whole);
	parts_snapshot_after(view->parts);
	STORE(view->state, TAKEN);
}

static void take_one(struct worker *worker, struct view *view)
{
	char text[NAME_SIZE];
	const char *name = snapshot_name(view, text);

	whole_snapshot_before(view->whole);
	parts_snapshot_before(view->parts);
	STORE(view->state, BEING_TAKEN);
	CHECK_CALL(kmemblk_snapshot(worker->handle, &name, 1, 0));
	has_been_taken(view);
	read_snapshot(worker, view);
}

/* Some of its blocks are written or trimmed. */
static void change_clone(struct worker *worker, const char *name, struct changed *changed)
{
	uint64_t offset, length;
	struct kmemblk_volume *v;

	changed->count = 1 + random_below(&worker->random, CHANGES);
	changed->first = random_below(&worker->random, blocks - CHANGES);
	changed->version = random_below(&worker->random, 4);
	offset = (uint64_t)changed->first * BLOCK_SIZE;
	length = (uint64_t)changed->count * BLOCK_SIZE;
	for (uint32_t i = 0; i < changed->count && changed->version != 0; i++)
		block_fill(worker->buf + i * BLOCK_SIZE, CLONED | (changed->first + i),
			   changed->version);
	CHECK_CALL(kmemblk_volume_open(worker->handle, name, &v));
	if (changed->version == 0)
		CHECK_CALL(kmemblk_trim(v, length, offset));
	else
		CHECK_CALL(kmemblk_write(v, worker->buf, length, offset));
	kmemblk_volume_close(v);
}

static void clone_one(struct worker *worker, struct view *view)
{
	char of[NAME_SIZE], name[NAME_SIZE];
	struct changed changed;

	snapshot_name(view, of);
	clone_name(view, name);
	CHECK_CALL(kmemblk_volume_clone(worker->handle, of, name, 0));
	change_clone(worker, name, &changed);
	read_whole(worker, view, name, &changed);
	CHECK(kmemblk_volume_delete(worker->handle, of, 0) == -EBUSY,
	      "a snapshot was deleted that has a clone");
	CHECK_CALL(kmemblk_volume_delete(worker->handle, name, 0));
}

static void delete_one(struct worker *worker, struct view *view)
{
	char name[NAME_SIZE];

	STORE(view->state, BEING_DELETED);
	CHECK_CALL(kmemblk_volume_delete(worker->handle, snapshot_name(view, name), 0));
	STORE(view->state, NONE);
}

enum operation views_do(struct worker *worker)
{
	unsigned int own = random_below(&worker->random, count / threads);
	struct view *view = &views[worker->number + own * threads];

	if (LOAD(view->state) == NONE) {
		take_one(worker, view);
		return SNAPSHOT;
	}
	switch (random_below(&worker->random, 4)) {
	case 0:
		clone_one(worker, view);
		return SNAPSHOT_CLONE;
	case 1:
		delete_one(worker, view);
		return SNAPSHOT_DELETE;
	default:
		read_snapshot(worker, view);
		return SNAPSHOT_READ;
	}
}

/* ---- between phases -------------------------------------------------------------------------- */

static bool is_there(struct worker *worker, const char *name)
{
	struct kmemblk_volume *v;
	int rc = kmemblk_volume_open(worker->handle, name, &v);

	CHECK(rc == 0 || rc == -ENOENT, "%s", kmemblk_error());
	if (rc == 0)
		kmemblk_volume_close(v);
	return rc == 0;
}

void views_settle(struct worker *worker)
{
	for (unsigned int i = 0; i < count; i++) {
		struct view *view = &views[i];
		unsigned int state = LOAD(view->state);
		char name[NAME_SIZE];

		if (is_there(worker, clone_name(view, name)))
			CHECK_CALL(kmemblk_volume_delete(worker->handle, name, 0));
		CHECK(state != NONE || !is_there(worker, snapshot_name(view, name)),
		      "a snapshot that was deleted is there");
		if ((state == BEING_TAKEN || state == BEING_DELETED) &&
		    !is_there(worker, snapshot_name(view, name)))
			state = NONE;
		else if (state == BEING_TAKEN)
			has_been_taken(view);
		else if (state == BEING_DELETED)
			STORE(view->state, JUDGED);
		if (state == NONE)
			STORE(view->state, NONE);
		else
			read_snapshot(worker, view);
	}
}
