/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz-ops.c - sequences of a disk's operations against an array of bytes.
 *
 * The input begins with three bytes: blocks of the disk (1 to 64), spare pages (1 to 8), and bit 0
 * of the third: prealloc.  Seven bytes an operation follow:
 *
 *     0      bits 0-2: which; bit 7: offset and count are cut to whole blocks; bits 3-6: the bytes
 *     1-3    offset, modulo a little more than the disk
 *     4-6    count, the same
 *
 * One thread on a device that never fails: each call in range must succeed, each block has a page
 * exactly when the rules of kmemblk.h say so, and after each close `check` finds nothing.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "common/disk.h"

#define BLOCKS_MAX 64u

enum { WRITE, TRIM, ZERO, ZERO_NO_HOLE, READ, EXTENTS, FLUSH, REOPEN };

struct op {
	unsigned int what;
	uint8_t fill;
	uint64_t offset, count;
};

static uint8_t disk[BLOCKS_MAX * PAGE], buf[BLOCKS_MAX * PAGE];
static bool mapped[BLOCKS_MAX];
static uint64_t size;
static struct kmemblk *h;

static uint64_t mapped_count(void)
{
	uint64_t count = 0;

	for (uint64_t block = 0; block < size / PAGE; block++)
		count += mapped[block];
	return count;
}

static void expect_sound(void)
{
	struct kmemblk_check_result result;

	EXPECT_OK(kmemblk_check(fuzz_path, NULL, &result));
	EXPECT(result.left == 0 && result.correctable == 0 && result.corrected == 0,
	       "check finds something");
	EXPECT(result.entries == size / PAGE && result.pages_used == mapped_count(),
	       "check counts %llu pages of %llu", (unsigned long long)result.pages_used,
	       (unsigned long long)mapped_count());
}

static void expect_disk(void)
{
	struct kmemblk_info info;

	EXPECT_OK(kmemblk_read(disk_of(h), buf, size, 0));
	EXPECT(memcmp(buf, disk, size) == 0, "the disk reads differently");
	kmemblk_get_info(h, &info);
	EXPECT(info.pages_used == mapped_count() &&
		       info.pages_used + info.pages_tables + info.pages_free == info.data_pages,
	       "info counts %llu pages of %llu", (unsigned long long)info.pages_used,
	       (unsigned long long)mapped_count());
}

static void reopen(void)
{
	kmemblk_close(h);
	expect_sound();
	EXPECT_OK(kmemblk_open(fuzz_path, KMEMBLK_OPEN_READONLY, &h));
	EXPECT_OK(kmemblk_start(h));
	expect_disk();
	kmemblk_close(h);
	EXPECT_OK(kmemblk_open(fuzz_path, 0, &h));
	EXPECT_OK(kmemblk_start(h));
	expect_disk();
}

struct told {
	uint64_t at, end;
};

static int extent(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct told *told = opaque;

	EXPECT(offset == told->at && count > 0 && count <= told->end - offset,
	       "extent %llu+%llu after %llu", (unsigned long long)offset, (unsigned long long)count,
	       (unsigned long long)told->at);
	for (uint64_t at = offset; at < offset + count; at = (at / PAGE + 1) * PAGE)
		EXPECT(mapped[at / PAGE] == !(flags & KMEMBLK_EXTENT_HOLE), "extent of block %llu",
		       (unsigned long long)(at / PAGE));
	told->at = offset + count;
	return 0;
}

static int call(const struct op *op, struct told *told)
{
	switch (op->what) {
	case WRITE:
		for (uint64_t i = 0; i < op->count && i < sizeof(buf); i++)
			buf[i] = (uint8_t)(op->fill + i / 8);
		return kmemblk_write(disk_of(h), buf, op->count, op->offset);
	case TRIM:
		return kmemblk_trim(disk_of(h), op->count, op->offset);
	case ZERO:
		return kmemblk_zero(disk_of(h), op->count, op->offset, 0);
	case ZERO_NO_HOLE:
		return kmemblk_zero(disk_of(h), op->count, op->offset, KMEMBLK_ZERO_NO_HOLE);
	case READ:
		return kmemblk_read(disk_of(h), buf, op->count, op->offset);
	case EXTENTS:
		*told = (struct told){ op->offset, op->offset + op->count };
		return kmemblk_extents(disk_of(h), op->count, op->offset, extent, told);
	default:
		return kmemblk_flush(disk_of(h));
	}
}

/* Blocks that lie wholly inside the range lose their pages. */
static void unmap(const struct op *op)
{
	for (uint64_t block = (op->offset + PAGE - 1) / PAGE;
	     (block + 1) * PAGE <= op->offset + op->count; block++) {
		mapped[block] = false;
		memset(disk + block * PAGE, 0, PAGE);
	}
}

static void map(const struct op *op)
{
	for (uint64_t at = op->offset; at < op->offset + op->count; at = (at / PAGE + 1) * PAGE)
		mapped[at / PAGE] = true;
}

/* What the call that succeeded must have done. */
static void follow(const struct op *op, const struct told *told)
{
	switch (op->what) {
	case WRITE:
		memcpy(disk + op->offset, buf, op->count);
		map(op);
		break;
	case TRIM:
		unmap(op);
		break;
	case ZERO:
		memset(disk + op->offset, 0, op->count);
		unmap(op);
		break;
	case ZERO_NO_HOLE:
		memset(disk + op->offset, 0, op->count);
		map(op);
		break;
	case READ:
		EXPECT(memcmp(buf, disk + op->offset, op->count) == 0,
		       "%llu bytes at %llu read differently", (unsigned long long)op->count,
		       (unsigned long long)op->offset);
		break;
	case EXTENTS:
		EXPECT(told->at == told->end, "extents end at %llu instead of %llu",
		       (unsigned long long)told->at, (unsigned long long)told->end);
		break;
	default:
		break;
	}
}

static struct op next_op(struct input *input)
{
	uint64_t byte = input_number(input, 1);
	struct op op = { .what = byte & 7, .fill = (uint8_t)((byte >> 3 & 15) * 16) };

	op.offset = input_number(input, 3) % (size + 64);
	op.count = input_number(input, 3) % (size + 64);
	if (byte & 128) {
		op.offset -= op.offset % PAGE;
		op.count -= op.count % PAGE;
	}
	return op;
}

static void run_op(const struct op *op)
{
	bool inside = op->offset <= size && op->count <= size - op->offset;
	struct told told = { 0 };
	int rc;

	if (op->what == REOPEN) {
		reopen();
		return;
	}
	/* The call must not look at bytes that are out of range, so they need not be there. */
	rc = call(op, &told);
	if (inside || op->what == FLUSH) {
		EXPECT(rc == 0, "operation %u, %llu bytes at %llu: %d: %s", op->what,
		       (unsigned long long)op->count, (unsigned long long)op->offset, rc,
		       kmemblk_error());
		follow(op, &told);
	} else {
		EXPECT(rc == -EINVAL, "operation %u out of range: %d", op->what, rc);
	}
}

static void format(struct input *input)
{
	uint64_t blocks = 1 + input_number(input, 1) % BLOCKS_MAX;
	uint64_t spare = 1 + input_number(input, 1) % 8;
	bool prealloc = input_number(input, 1) & 1;
	struct kmemblk_format_options options = {
		.flags = KMEMBLK_FORMAT_FORCE | (prealloc ? KMEMBLK_FORMAT_PREALLOC : 0),
		.disk_size = blocks * PAGE,
		.spare_pages = spare,
	};

	size = blocks * PAGE;
	memset(disk, 0, size);
	for (uint64_t block = 0; block < blocks; block++)
		mapped[block] = prealloc;
	/* Two superblocks, two directories, a record, a leaf; nothing is left over. */
	fuzz_device((6 + blocks + spare) * PAGE);
	EXPECT_OK(kmemblk_format(fuzz_path, &options));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	struct input input = { data, length };

	format(&input);
	EXPECT_OK(kmemblk_open(fuzz_path, 0, &h));
	EXPECT_OK(kmemblk_start(h));
	while (input.size > 0) {
		struct op op = next_op(&input);

		run_op(&op);
	}
	reopen();
	kmemblk_close(h);
	return 0;
}
