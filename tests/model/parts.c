/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parts.c - parts of blocks: pieces of any length and alignment, each changed by one thread only.
 *
 * The bytes are cut into pieces, from one byte to three blocks, without regard to where blocks
 * begin; the pieces of one block belong to different threads, which so change parts of the same
 * block at once.  A piece's versions count up; some of them are zeroes (is_zero()).
 *
 * The rule: what a read finds of a piece within one block is of one version, no older than the one
 * acknowledged before the read and no newer than the one issued after it.  For the owner, who knows
 * no other writer, that is exactly his last version: lost bytes show at once.
 */
#include "config.h"

#include <string.h>

#include "common/block.h"
#include "model.h"

/* Pieces that a read looks at, at most. */
#define MOST_PIECES 256u
/* Half of the time, one of so many a thread: they share blocks. */
#define HOT_PIECES 4u
/* In a piece's contents, so that they are not taken for a whole block's. */
#define PIECE 0x80000000u

struct piece {
	uint64_t from; /* byte of the disk */
	uint32_t length;
	_Atomic uint32_t issued;
	_Atomic uint32_t acknowledged;
};

static struct piece *pieces; /* in the order of bytes, without gaps */
static uint32_t count;
static uint32_t *piece_at;  /* of each block: the piece of its first byte */
static uint64_t start, end; /* bytes of the disk */

static uint32_t choose_length(uint64_t *random)
{
	switch (random_below(random, 4)) {
	case 0:
		return 1 + random_below(random, 64);
	case 1:
		return 1 + random_below(random, 3 * BLOCK_SIZE);
	default:
		return 64 + random_below(random, BLOCK_SIZE - 64);
	}
}

void parts_create(uint32_t first, uint32_t blocks, uint64_t seed)
{
	uint64_t random = seed, at;

	start = (uint64_t)first * BLOCK_SIZE;
	end = start + (uint64_t)blocks * BLOCK_SIZE;
	for (at = start; at < end; count++)
		at += choose_length(&random);
	CHECK(count >= threads, "the disk is too small for %u threads", threads);
	pieces = share(count * sizeof(pieces[0]));
	piece_at = share(blocks * sizeof(piece_at[0]));
	random = seed;
	at = start;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t length = choose_length(&random);

		pieces[i].from = at;
		pieces[i].length = (uint32_t)(length < end - at ? length : end - at);
		at += pieces[i].length;
	}
	for (uint32_t i = 0, block = 0; block < blocks; block++) {
		while (pieces[i].from + pieces[i].length <= start + (uint64_t)block * BLOCK_SIZE)
			i++;
		piece_at[block] = i;
	}
}

static bool is_zero(uint32_t number, uint32_t version)
{
	uint64_t random = (uint64_t)version << 32 | number;

	return version == 0 || random_next(&random) % 4 == 0;
}

/* ---- what may be read ----------------------------------------------------------------------- */

/* Some bytes of a piece in one block, read at disk byte `at`. */
struct fragment {
	uint32_t number; /* of the piece */
	uint64_t at;
	uint32_t length;
	const uint8_t *bytes;
};

static bool all_zero(const struct fragment *fragment)
{
	uint32_t i = 0;

	while (i < fragment->length && fragment->bytes[i] == 0)
		i++;
	return i == fragment->length;
}

static bool is_version(const struct fragment *fragment, uint32_t version)
{
	uint8_t expected[BLOCK_SIZE];

	if (is_zero(fragment->number, version))
		return all_zero(fragment);
	block_fill(expected, PIECE | fragment->number, version);
	return memcmp(expected + fragment->at % BLOCK_SIZE, fragment->bytes, fragment->length) == 0;
}

/* None of the versions that it may be: what is it? */
static enum wrong classify(const struct fragment *fragment, uint32_t oldest)
{
	uint32_t skip = (uint32_t)(-fragment->at % 8);
	struct content content = { .kind = CONTENT_MIXED };

	if (all_zero(fragment))
		return LOST;
	for (uint32_t back = 1; back <= oldest && back <= 64; back++)
		if (is_version(fragment, oldest - back))
			return LOST;
	if (fragment->length >= skip + 8)
		content = block_recognise(fragment->bytes + skip,
					  (unsigned int)((fragment->at + skip) % BLOCK_SIZE / 8),
					  (fragment->length - skip) / 8);
	if (content.kind == CONTENT_VERSION && content.number != (PIECE | fragment->number))
		return FOREIGN;
	return TORN;
}

static void check_fragment(const struct fragment *fragment, uint32_t oldest, uint32_t newest)
{
	/* Most often it is the newest. */
	for (uint32_t version = newest; version + 1 > oldest; version--) {
		if (is_version(fragment, version))
			return;
		if (version == 0)
			break;
	}
	wrong(classify(fragment, oldest),
	      "piece %u: bytes %llu to %llu are of none of its versions %u to %u", fragment->number,
	      (unsigned long long)fragment->at,
	      (unsigned long long)(fragment->at + fragment->length), oldest, newest);
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Read the bytes [from, to) and check them; fewer if there are too many pieces in them. */
static void check_range(struct worker *worker, uint64_t from, uint64_t to)
{
	uint32_t oldest[MOST_PIECES];
	uint32_t first = piece_at[(from - start) / BLOCK_SIZE], last;

	while (pieces[first].from + pieces[first].length <= from)
		first++;
	for (last = first; last < count && last - first < MOST_PIECES && pieces[last].from < to;
	     last++)
		oldest[last - first] = LOAD(pieces[last].acknowledged);
	to = min(to, pieces[last - 1].from + pieces[last - 1].length);
	CHECK_CALL(kmemblk_read(worker->disk, worker->buf, to - from, from));
	for (uint32_t i = first; i < last; i++) {
		struct fragment fragment = { .number = i };
		uint64_t stop = min(to, pieces[i].from + pieces[i].length);

		fragment.at = from > pieces[i].from ? from : pieces[i].from;
		while (fragment.at < stop) {
			/* Blocks are read one by one. */
			uint64_t block_end = (fragment.at / BLOCK_SIZE + 1) * BLOCK_SIZE;

			fragment.length = (uint32_t)(min(stop, block_end) - fragment.at);
			fragment.bytes = worker->buf + (fragment.at - from);
			check_fragment(&fragment, oldest[i - first], LOAD(pieces[i].issued));
			fragment.at += fragment.length;
		}
	}
}

/* ---- changes -------------------------------------------------------------------------------- */

static void change(struct worker *worker, uint32_t number, uint32_t version)
{
	struct piece *piece = &pieces[number];
	uint8_t contents[BLOCK_SIZE];

	STORE(piece->issued, version);
	if (is_zero(number, version)) {
		CHECK_CALL(
			kmemblk_zero(worker->disk, piece->length, piece->from,
				     random_below(&worker->random, 2) ? KMEMBLK_ZERO_NO_HOLE : 0));
	} else {
		block_fill(contents, PIECE | number, version);
		for (uint64_t at = 0; at < piece->length;) {
			uint64_t in_block = (piece->from + at) % BLOCK_SIZE;
			uint64_t length = min(BLOCK_SIZE - in_block, piece->length - at);

			memcpy(worker->buf + at, contents + in_block, length);
			at += length;
		}
		CHECK_CALL(kmemblk_write(worker->disk, worker->buf, piece->length, piece->from));
	}
	STORE(piece->acknowledged, version);
}

/* A piece of this worker. */
static uint32_t choose_own(struct worker *worker)
{
	uint32_t own = (count - worker->number + threads - 1) / threads;

	if (own > HOT_PIECES && random_below(&worker->random, 2) == 0)
		own = HOT_PIECES;
	return worker->number + random_below(&worker->random, own) * threads;
}

static void read_somewhere(struct worker *worker)
{
	uint64_t from = start + (random_next(&worker->random) >> 11) % (end - start);
	uint64_t to = from + 1 + random_below(&worker->random, 4 * BLOCK_SIZE);

	check_range(worker, from, min(to, end));
}

enum operation parts_do(struct worker *worker, enum operation operation)
{
	uint32_t number = choose_own(worker), version;
	const struct piece *piece = &pieces[number];

	if (operation == PART_READ) {
		if (random_below(&worker->random, 2) == 0)
			read_somewhere(worker);
		else
			check_range(worker, piece->from, piece->from + piece->length);
		return PART_READ;
	}
	version = LOAD(piece->issued) + 1;
	change(worker, number, version);
	return is_zero(number, version) ? PART_ZERO : PART_WRITE;
}

/* ---- snapshots ------------------------------------------------------------------------------ */

struct versions {
	uint32_t oldest; /* acknowledged when the snapshot was asked for */
	uint32_t newest; /* issued when it was there */
};

size_t parts_snapshot_size(void)
{
	return count * sizeof(struct versions);
}

void parts_snapshot_before(void *snapshot)
{
	struct versions *versions = snapshot;

	for (uint32_t i = 0; i < count; i++)
		versions[i].oldest = LOAD(pieces[i].acknowledged);
}

void parts_snapshot_after(void *snapshot)
{
	struct versions *versions = snapshot;

	for (uint32_t i = 0; i < count; i++)
		versions[i].newest = LOAD(pieces[i].issued);
}

void parts_snapshot_block(const void *snapshot, uint32_t block, const void *bytes)
{
	const struct versions *versions = snapshot;
	uint64_t from = (uint64_t)block * BLOCK_SIZE, to = from + BLOCK_SIZE;

	for (uint32_t i = piece_at[(from - start) / BLOCK_SIZE]; i < count && pieces[i].from < to;
	     i++) {
		uint64_t piece_end = pieces[i].from + pieces[i].length;
		struct fragment fragment = { .number = i };

		fragment.at = from > pieces[i].from ? from : pieces[i].from;
		fragment.length = (uint32_t)(min(to, piece_end) - fragment.at);
		fragment.bytes = (const uint8_t *)bytes + (fragment.at - from);
		check_fragment(&fragment, versions[i].oldest, versions[i].newest);
	}
}

void parts_settle(struct worker *worker)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t issued = LOAD(pieces[i].issued);

		check_range(worker, pieces[i].from, pieces[i].from + pieces[i].length);
		/* Cut by a kill: each block of it may be of either version. */
		if (LOAD(pieces[i].acknowledged) != issued)
			change(worker, i, issued + 1);
	}
}
