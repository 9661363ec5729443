/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * whole.c - whole blocks that many threads change at once, and what may be read from them.
 *
 * Each change (a write, a trim, a zero; of any number of blocks) takes the next tick of a clock
 * before it is issued: that is its version, which written blocks carry.  When it is acknowledged,
 * the clock is read again.  So change B was issued after change A was acknowledged exactly if
 * B's version is greater than A's acknowledgement; otherwise the two were concurrent, and may have
 * taken effect in either order.
 *
 * For each block, `floor` is the greatest version among the changes that certainly have taken
 * effect: acknowledged ones, and written ones that a read has seen.  The rule:
 *
 *	A read that begins when the floor is F must not return a version that was acknowledged
 *	before F was issued (acknowledgement < F): it was certainly overwritten, or else lost.
 *
 * A version that is not acknowledged yet may always be returned, once it has been issued.  Zeroes
 * may be returned if any change to zeroes is under way, or the latest acknowledgement of one is not
 * before F; the same for a hole and the changes that make one.
 *
 * A snapshot is taken between two looks at the clock.  All that was acknowledged before the first must be in it, and
 * nothing that was issued after the second; and all of it must be of one instant: if it has a change, then also each
 * that was acknowledged before that one was issued, or what came after.
 *
 * When nobody is at work (whole_settle) each block holds exactly one thing, the base.  A new tick,
 * the epoch, then stands for "written and acknowledged now", and no older version is right any
 * more: not that of a change that was cut by a kill either.
 */
#include "config.h"

#include <string.h>

#include "common/block.h"
#include "model.h"

/* Changes to zeroes, or to holes. */
struct clearing {
	_Atomic uint32_t under_way;
	_Atomic uint32_t latest; /* acknowledgement; before under_way falls */
};

struct whole {
	_Atomic uint32_t floor;
	uint32_t base; /* version, 0 for zeroes; changes only in whole_settle() */
	struct clearing zeroes;
	struct clearing holes;
};

struct change {
	_Atomic uint32_t first, count; /* blocks */
	_Atomic uint32_t acknowledged; /* 0 while it is not */
};

static struct whole *whole;
static uint32_t blocks;
static struct change *change; /* of version epoch + i */
static uint32_t changes;
static uint32_t epoch;
/* Of each thread: no version below it is under way; of a thread without one, the greatest number. */
static _Atomic uint32_t *under_way;

void whole_create(uint32_t count, uint32_t changes_per_phase)
{
	blocks = count;
	changes = changes_per_phase + 1;
	whole = share(blocks * sizeof(whole[0]));
	change = share(changes * sizeof(change[0]));
	under_way = share(threads * sizeof(under_way[0]));
	for (unsigned int i = 0; i < threads; i++)
		STORE(under_way[i], UINT32_MAX);
}

/* ---- what may be read ----------------------------------------------------------------------- */

static bool may_be_clear(const struct clearing *clearing, uint32_t floor)
{
	/* In this order: one that ends between the two is then in `latest`. */
	return LOAD(clearing->under_way) > 0 || LOAD(clearing->latest) >= floor;
}

/* Of a version of a block, 0: there is none yet. */
static uint32_t acknowledgement(uint32_t block, uint32_t version)
{
	if (version <= epoch)
		return version == whole[block].base ? epoch : version;
	return LOAD(change[version - epoch].acknowledged);
}

static void check_version(uint32_t block, uint32_t floor, uint32_t version)
{
	uint32_t now = LOAD(reference->clock), ack;

	if (version > now || version == 0) {
		wrong(FOREIGN, "block %u: version %u, which nobody wrote", block, version);
		return;
	}
	ack = acknowledgement(block, version);
	if (ack != 0 && ack < floor)
		wrong(LOST, "block %u: version %u of base %u, acknowledged %u, floor %u, epoch %u",
		      block, version, whole[block].base, ack, floor, epoch);
	else if (version > epoch)
		raise_to(&whole[block].floor, version);
}

/* `count` words from word `first` of a block, read when the floor was `floor`. */
static void check_words(uint32_t block, uint32_t floor, const void *buf, unsigned int first,
			unsigned int count)
{
	struct content content = block_recognise(buf, first, count);

	if (content.kind == CONTENT_MIXED)
		wrong(TORN, "block %u: a mixture; its first word is of block %u, version %u", block,
		      content.number, content.version);
	else if (content.kind == CONTENT_VERSION && content.number != block)
		wrong(FOREIGN, "block %u: holds block %u, version %u", block, content.number,
		      content.version);
	else if (content.kind == CONTENT_VERSION)
		check_version(block, floor, content.version);
	else if (!may_be_clear(&whole[block].zeroes, floor))
		wrong(LOST, "block %u: zeroes, floor %u, epoch %u", block, floor, epoch);
}

/* Part of the blocks at both ends, all of the others. */
static void do_read(struct worker *worker, uint32_t first, uint32_t count, unsigned int cut_front,
		    unsigned int cut_back)
{
	uint64_t from = (uint64_t)first * BLOCK_SIZE + cut_front;
	uint64_t to = (uint64_t)(first + count) * BLOCK_SIZE - cut_back;
	uint32_t floor[MOST_BLOCKS];

	for (uint32_t i = 0; i < count; i++)
		floor[i] = LOAD(whole[first + i].floor);
	CHECK_CALL(kmemblk_read(worker->disk, worker->buf, to - from, from));
	for (uint32_t i = 0; i < count; i++) {
		/* Whole words only. */
		unsigned int begin = i == 0 ? (cut_front + 7) / 8 : 0;
		unsigned int end = BLOCK_WORDS - (i == count - 1 ? (cut_back + 7) / 8 : 0);
		uint64_t at = (uint64_t)(first + i) * BLOCK_SIZE + begin * 8 - from;

		if (begin < end)
			check_words(first + i, floor[i], worker->buf + at, begin, end - begin);
	}
}

/* ---- extents -------------------------------------------------------------------------------- */

struct walk {
	uint64_t next, end; /* bytes */
	int kind;	    /* of the extent before, -1 for none */
	const uint32_t *floor;
	uint32_t first;
	uint64_t mapped; /* blocks */
};

static int on_extent(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct walk *walk = opaque;

	CHECK(offset == walk->next && count > 0 && count <= walk->end - offset,
	      "extent of %llu bytes at %llu, expected at %llu up to %llu",
	      (unsigned long long)count, (unsigned long long)offset, (unsigned long long)walk->next,
	      (unsigned long long)walk->end);
	CHECK((int)flags != walk->kind, "two neighbouring extents are of one kind");
	walk->kind = (int)flags;
	walk->next = offset + count;
	if (!(flags & KMEMBLK_EXTENT_HOLE)) {
		walk->mapped += count / BLOCK_SIZE;
		return 0;
	}
	for (uint64_t at = offset; at < offset + count; at += BLOCK_SIZE - at % BLOCK_SIZE) {
		uint32_t block = (uint32_t)(at / BLOCK_SIZE);

		if (!may_be_clear(&whole[block].holes, walk->floor[block - walk->first]))
			wrong(LOST, "block %u: has no page, floor %u, epoch %u", block,
			      walk->floor[block - walk->first], epoch);
	}
	return 0;
}

static void do_extents(struct worker *worker, uint32_t first, uint32_t count)
{
	uint64_t from = (uint64_t)first * BLOCK_SIZE + random_below(&worker->random, BLOCK_SIZE);
	uint64_t to = (uint64_t)(first + count) * BLOCK_SIZE;
	uint32_t floor[MOST_BLOCKS];
	struct walk walk = { .next = from, .end = to, .kind = -1, .floor = floor, .first = first };

	for (uint32_t i = 0; i < count; i++)
		floor[i] = LOAD(whole[first + i].floor);
	CHECK_CALL(kmemblk_extents(worker->disk, to - from, from, on_extent, &walk));
	CHECK(walk.next == to, "extents end at %llu instead of %llu", (unsigned long long)walk.next,
	      (unsigned long long)to);
}

/* ---- changes -------------------------------------------------------------------------------- */

static uint32_t issue(struct worker *worker, uint32_t first, uint32_t count)
{
	uint32_t version;

	STORE(under_way[worker->number], LOAD(reference->clock) + 1);
	version = ADD(reference->clock, 1) + 1;
	CHECK(version - epoch < changes, "the model is out of versions");
	STORE(change[version - epoch].first, first);
	STORE(change[version - epoch].count, count);
	return version;
}

static void took_effect(struct worker *worker, uint32_t first, uint32_t count, uint32_t version)
{
	for (uint32_t i = 0; i < count; i++)
		raise_to(&whole[first + i].floor, version);
	STORE(under_way[worker->number], UINT32_MAX);
}

static void acknowledge(uint32_t version)
{
	STORE(change[version - epoch].acknowledged, LOAD(reference->clock));
}

static void do_write(struct worker *worker, uint32_t first, uint32_t count)
{
	uint32_t version = issue(worker, first, count);

	for (uint32_t i = 0; i < count; i++)
		block_fill(worker->buf + i * BLOCK_SIZE, first + i, version);
	CHECK_CALL(kmemblk_write(worker->disk, worker->buf, (size_t)count * BLOCK_SIZE,
				 (uint64_t)first * BLOCK_SIZE));
	acknowledge(version);
	took_effect(worker, first, count, version);
}

static void clearing_begins(struct clearing *clearing)
{
	ADD(clearing->under_way, 1);
}

static void clearing_ends(struct clearing *clearing)
{
	raise_to(&clearing->latest, LOAD(reference->clock));
	ADD(clearing->under_way, UINT32_MAX);
}

/* A trim of some bytes more than the blocks, which must not change those. */
static void trim(struct worker *worker, uint32_t first, uint32_t count)
{
	uint64_t from = (uint64_t)first * BLOCK_SIZE;
	uint64_t to = (uint64_t)(first + count) * BLOCK_SIZE;

	if (first > 0)
		from -= random_below(&worker->random, BLOCK_SIZE);
	if (first + count < blocks)
		to += random_below(&worker->random, BLOCK_SIZE);
	CHECK_CALL(kmemblk_trim(worker->disk, to - from, from));
}

static void do_clear(struct worker *worker, uint32_t first, uint32_t count,
		     enum operation operation)
{
	uint32_t version = issue(worker, first, count);
	bool holes = operation != ZERO_NO_HOLE;

	for (uint32_t i = first; i < first + count; i++) {
		clearing_begins(&whole[i].zeroes);
		if (holes)
			clearing_begins(&whole[i].holes);
	}
	if (operation == TRIM)
		trim(worker, first, count);
	else
		CHECK_CALL(kmemblk_zero(worker->disk, (uint64_t)count * BLOCK_SIZE,
					(uint64_t)first * BLOCK_SIZE,
					holes ? 0 : KMEMBLK_ZERO_NO_HOLE));
	for (uint32_t i = first; i < first + count; i++) {
		if (holes)
			clearing_ends(&whole[i].holes);
		clearing_ends(&whole[i].zeroes);
	}
	acknowledge(version);
	took_effect(worker, first, count, version);
}

/* ---- what model.c calls --------------------------------------------------------------------- */

/* Some blocks; half of the time among a few that are fought for. */
static uint32_t choose(struct worker *worker, uint32_t most, uint32_t *first)
{
	uint32_t count = 1 + random_below(&worker->random, most < blocks ? most : blocks);
	uint32_t among = blocks;

	if (random_below(&worker->random, 2) == 0 && blocks > 2 * count + 16)
		among = 2 * count + 16;
	*first = random_below(&worker->random, among - count + 1);
	return count;
}

void whole_do(struct worker *worker, enum operation operation)
{
	static const uint32_t most[OPERATIONS] = {
		[READ] = 8,	     [READ_UNALIGNED] = 8, [WRITE] = 1,
		[WRITE_SEVERAL] = 8, [TRIM] = 8,	   [WRITE_LONG] = 300,
		[ZERO_NO_HOLE] = 8,  [ZERO] = 8,	   [EXTENTS] = MOST_BLOCKS,
	};
	uint32_t first, count = choose(worker, most[operation], &first);

	switch (operation) {
	case READ:
		do_read(worker, first, count, 0, 0);
		break;
	case READ_UNALIGNED:
		do_read(worker, first, count, random_below(&worker->random, BLOCK_SIZE / 2),
			random_below(&worker->random, BLOCK_SIZE / 2));
		break;
	case EXTENTS:
		do_extents(worker, first, count);
		break;
	case WRITE:
	case WRITE_SEVERAL:
	case WRITE_LONG:
		do_write(worker, first, count);
		break;
	default:
		do_clear(worker, first, count, operation);
	}
}

static bool is_hole(struct worker *worker, uint32_t block)
{
	uint32_t floor = LOAD(whole[block].floor);
	struct walk walk = { .next = (uint64_t)block * BLOCK_SIZE, .kind = -1, .first = block };

	walk.end = walk.next + BLOCK_SIZE;
	walk.floor = &floor;
	CHECK_CALL(kmemblk_extents(worker->disk, BLOCK_SIZE, walk.next, on_extent, &walk));
	return walk.mapped == 0;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

struct in_snapshot {
	uint32_t floor;	  /* when it was asked for */
	uint32_t cleared; /* the last acknowledgement of a change to zeroes when it was there */
	uint32_t version; /* that is in it, 0 for zeroes */
};

struct snapshot {
	uint32_t first; /* no version before it was under way when it was asked for */
	uint32_t after; /* the clock when it was there */
	struct in_snapshot block[];
};

size_t whole_snapshot_size(void)
{
	return sizeof(struct snapshot) + blocks * sizeof(struct in_snapshot);
}

void whole_snapshot_before(void *opaque)
{
	struct snapshot *snapshot = opaque;

	/* In this order: what begins between the two has a version past the clock. */
	snapshot->first = LOAD(reference->clock) + 1;
	for (unsigned int i = 0; i < threads; i++) {
		uint32_t oldest = LOAD(under_way[i]);

		snapshot->first = oldest < snapshot->first ? oldest : snapshot->first;
	}
	for (uint32_t i = 0; i < blocks; i++)
		snapshot->block[i].floor = LOAD(whole[i].floor);
}

void whole_snapshot_after(void *opaque)
{
	struct snapshot *snapshot = opaque;

	snapshot->after = LOAD(reference->clock);
	for (uint32_t i = 0; i < blocks; i++)
		snapshot->block[i].cleared = LOAD(whole[i].zeroes.under_way) > 0
						     ? UINT32_MAX
						     : LOAD(whole[i].zeroes.latest);
}

void whole_snapshot_block(void *opaque, uint32_t block, const void *bytes)
{
	struct snapshot *snapshot = opaque;
	struct content content = block_recognise(bytes, 0, BLOCK_WORDS);

	snapshot->block[block].version = content.kind == CONTENT_VERSION ? content.version : 0;
	if (content.kind == CONTENT_MIXED)
		wrong(TORN, "block %u of a snapshot: a mixture", block);
	else if (content.kind == CONTENT_VERSION &&
		 (content.number != block || content.version > LOAD(reference->clock)))
		wrong(FOREIGN, "block %u of a snapshot: holds block %u, version %u", block,
		      content.number, content.version);
}

/* What was acknowledged before the newest change that is in it was issued must be in it. */
static void raise_floors(struct snapshot *snapshot)
{
	uint32_t newest = 0;

	for (uint32_t i = 0; i < blocks; i++)
		if (snapshot->block[i].version > newest)
			newest = snapshot->block[i].version;
	for (uint32_t version = snapshot->first > epoch ? snapshot->first : epoch + 1;
	     version < newest; version++) {
		const struct change *c = &change[version - epoch];
		uint32_t ack = LOAD(c->acknowledged), first = LOAD(c->first);

		if (ack == 0 || ack >= newest)
			continue;
		for (uint32_t i = first; i < first + LOAD(c->count); i++)
			if (snapshot->block[i].floor < version)
				snapshot->block[i].floor = version;
	}
}

void whole_snapshot_judge(void *opaque)
{
	struct snapshot *snapshot = opaque;

	raise_floors(snapshot);
	for (uint32_t i = 0; i < blocks; i++) {
		const struct in_snapshot *in = &snapshot->block[i];

		if (in->version > snapshot->after)
			wrong(LATE, "block %u of a snapshot: version %u, taken at %u", i,
			      in->version, snapshot->after);
		else if (in->version != 0)
			check_version(i, in->floor, in->version);
		else if (in->cleared < in->floor)
			wrong(LOST, "block %u of a snapshot: zeroes, cleared at %u, floor %u", i,
			      in->cleared, in->floor);
	}
}

void whole_settle(struct worker *worker)
{
	uint32_t next = ADD(reference->clock, 1) + 1;

	for (uint32_t i = 0; i < blocks; i++) {
		bool hole = is_hole(worker, i);
		struct content content;

		do_read(worker, i, 1, 0, 0);
		content = block_recognise(worker->buf, 0, BLOCK_WORDS);
		whole[i].base = content.kind == CONTENT_ZEROES ? 0 : content.version;
		STORE(whole[i].floor, next);
		STORE(whole[i].zeroes.under_way, 0);
		STORE(whole[i].zeroes.latest, content.kind == CONTENT_ZEROES ? next : 0);
		STORE(whole[i].holes.under_way, 0);
		STORE(whole[i].holes.latest, hole ? next : 0);
	}
	epoch = next;
	memset((void *)change, 0, changes * sizeof(change[0]));
	for (unsigned int i = 0; i < threads; i++)
		STORE(under_way[i], UINT32_MAX);
}
