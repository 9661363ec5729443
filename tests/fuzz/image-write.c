/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image-write.c - write to a device's volumes, and make, change and delete some; all that comes back is compared with
 * what was written since.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image.h"
#include "io/handle.h"

/* Volumes that are written to. */
#define WRITTEN	  3u
#define LINES_MAX 12u

static uint8_t buf[PAGE];

/* A block of a volume, and what it holds now. */
struct line {
	uint64_t block;
	uint8_t bytes[PAGE];
};

static struct written {
	char name[128];
	uint64_t blocks;
	bool has_snapshots;
	struct line line[LINES_MAX];
	unsigned int lines;
} written[WRITTEN];

/* What the device has no room for changes nothing.  True if it was done. */
static bool done(int rc)
{
	EXPECT(rc == 0 || rc == -ENOSPC, "%d: %s", rc, kmemblk_error());
	return rc == 0;
}

static void expect_line(struct kmemblk_volume *v, const struct line *line)
{
	EXPECT_OK(kmemblk_read(v, buf, PAGE, line->block * PAGE));
	EXPECT(memcmp(buf, line->bytes, PAGE) == 0, "block %llu reads differently",
	       (unsigned long long)line->block);
}

/* Some of everything. */
static void change_line(struct kmemblk_volume *v, struct line *line, unsigned int how)
{
	uint64_t at = line->block * PAGE;

	memset(buf, 0x5a + (int)how, PAGE);
	if (how != 0 && done(kmemblk_write(v, buf, PAGE, at)))
		memset(line->bytes, 0x5a + (int)how, PAGE);
	expect_line(v, line);
	memset(buf, 0xa5, 1000);
	if (done(kmemblk_write(v, buf, 1000, at + 1000)))
		memset(line->bytes + 1000, 0xa5, 1000);
	expect_line(v, line);
	if (done(kmemblk_zero(v, PAGE - 1500, at + 1500, 0)))
		memset(line->bytes + 1500, 0, PAGE - 1500);
	if (how == 2) {
		EXPECT_OK(kmemblk_trim(v, PAGE, at));
		memset(line->bytes, 0, PAGE);
	}
	if (how == 3 && done(kmemblk_zero(v, PAGE, at, KMEMBLK_ZERO_NO_HOLE)))
		memset(line->bytes, 0, PAGE);
	expect_line(v, line);
}

/* A part of each of two neighbours in one call: each is old or new, and new if that succeeds. */
static void cross(struct kmemblk_volume *v, struct line *first, struct line *second)
{
	struct line *lines[2] = { first, second };
	uint8_t new[2 * PAGE];
	bool all;

	memcpy(new, first->bytes, PAGE);
	memcpy(new + PAGE, second->bytes, PAGE);
	memset(new + 3000, 0x77, 2000);
	all = done(kmemblk_write(v, new + 3000, 2000, first->block * PAGE + 3000));
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_OK(kmemblk_read(v, buf, PAGE, lines[i]->block * PAGE));
		EXPECT(memcmp(buf, new + i *PAGE, PAGE) == 0 ||
			       (!all && memcmp(buf, lines[i]->bytes, PAGE) == 0),
		       "block %llu is torn", (unsigned long long)lines[i]->block);
		memcpy(lines[i]->bytes, buf, PAGE);
	}
}

static void cross_all(struct kmemblk_volume *v, struct written *what)
{
	for (unsigned int i = 0; i < what->lines; i++)
		for (unsigned int j = 0; j < what->lines; j++)
			if (what->line[j].block == what->line[i].block + 1)
				cross(v, &what->line[i], &what->line[j]);
}

/* A block that is damaged is written whole, or trimmed, which alone is possible. */
static void fill_line(struct kmemblk_volume *v, const struct view *view,
		      const struct volume *volume, struct line *line)
{
	uint64_t page = view_find(view, volume, line->block);

	if (page != LOST) {
		memcpy(line->bytes, view_contents(page), PAGE);
		return;
	}
	memset(buf, 0x33, PAGE);
	EXPECT(kmemblk_write(v, buf, 1, line->block * PAGE) == -EIO,
	       "a part was written over damage");
	memset(line->bytes, 0, PAGE);
	if (line->block % 2 == 0)
		EXPECT_OK(kmemblk_trim(v, PAGE, line->block * PAGE));
	else if (done(kmemblk_write(v, buf, PAGE, line->block * PAGE)))
		memset(line->bytes, 0x33, PAGE);
	else
		EXPECT_OK(kmemblk_trim(v, PAGE, line->block * PAGE));
}

/* Different blocks of those worth a look. */
static void choose_lines(const struct view *view, const struct volume *volume, struct written *to)
{
	uint64_t probes[PROBES_MAX];
	unsigned int n = view_probes(view, volume, probes);

	*to = (struct written){ 0 };
	memcpy(to->name, volume->name, sizeof(to->name));
	to->blocks = volume->blocks;
	for (unsigned int i = 0; i < view->volumes; i++)
		to->has_snapshots |= view->volume[i].is_snapshot &&
				     memcmp(view->volume[i].of, volume->uuid, 16) == 0;
	for (unsigned int i = 0; i < n && to->lines < LINES_MAX; i += 1 + n / 40) {
		unsigned int j = 0;

		while (j < to->lines && to->line[j].block != probes[i])
			j++;
		if (j == to->lines)
			to->line[to->lines++].block = probes[i];
	}
}

static void write_volume(struct kmemblk *h, const struct view *view, const struct volume *volume,
			 struct written *to)
{
	struct kmemblk_volume *v;

	choose_lines(view, volume, to);
	EXPECT_OK(kmemblk_volume_open(h, volume->name, &v));
	for (unsigned int i = 0; i < to->lines; i++) {
		fill_line(v, view, volume, &to->line[i]);
		change_line(v, &to->line[i], i % 4);
	}
	cross_all(v, to);
	EXPECT(kmemblk_write(v, buf, 1, volume->blocks * PAGE) == -EINVAL, "write past the end");
	EXPECT_OK(kmemblk_flush(v));
	kmemblk_volume_close(v);
}

static void expect_lines(struct kmemblk *h, const struct written *what)
{
	struct kmemblk_volume *v;

	EXPECT_OK(kmemblk_volume_open(h, what->name, &v));
	for (unsigned int i = 0; i < what->lines; i++)
		expect_line(v, &what->line[i]);
	kmemblk_volume_close(v);
}

/* ---- managing -------------------------------------------------------------------------------- */

#define NEW "made-by-fuzz.1"

static void make_new(struct kmemblk *h)
{
	struct line line = { .block = 599 };
	struct kmemblk_volume *v;

	if (!done(kmemblk_volume_create(h, NEW, 600 * PAGE, 0)))
		return;
	EXPECT(kmemblk_volume_create(h, NEW, PAGE, 0) == -EEXIST, "a second of its name");
	EXPECT_OK(kmemblk_volume_open(h, NEW, &v));
	change_line(v, &line, 1);
	EXPECT(kmemblk_volume_delete(h, NEW, 0) == -EBUSY, "deleted while in use");
	/* Higher while it is in use. */
	if (done(kmemblk_volume_resize(h, NEW, 300000ull * PAGE, 0))) {
		struct line far = { .block = 299999 };

		change_line(v, &far, 0);
		expect_line(v, &line);
	}
	kmemblk_volume_close(v);
	EXPECT_OK(kmemblk_volume_rename(h, NEW, NEW "b"));
	EXPECT_OK(kmemblk_volume_delete(h, NEW "b", 0));
	if (done(kmemblk_volume_create(h, NEW, 5 * PAGE, KMEMBLK_VOLUME_PREALLOC)))
		EXPECT_OK(kmemblk_volume_delete(h, NEW, 0));
}

/* Half as large, and again as it was: what was cut off reads as zeroes. */
static void cut(struct kmemblk *h, struct written *what, uint64_t blocks)
{
	uint64_t half = blocks / 2 + 1;

	if (half >= blocks)
		return;
	EXPECT_OK(kmemblk_volume_resize(h, what->name, half * PAGE, KMEMBLK_VOLUME_FORCE));
	what->blocks = half;
	if (!done(kmemblk_volume_resize(h, what->name, blocks * PAGE, 0)))
		return;
	what->blocks = blocks;
	for (unsigned int i = 0; i < what->lines; i++)
		if (what->line[i].block >= half)
			memset(what->line[i].bytes, 0, PAGE);
	expect_lines(h, what);
}

/* A level higher, if there is one. */
static void raise(struct kmemblk *h, struct written *what)
{
	if (what->blocks > 1ull << 30 ||
	    !done(kmemblk_volume_resize(h, what->name, (what->blocks << 9) * PAGE, 0)))
		return;
	what->blocks <<= 9;
	expect_lines(h, what);
}

/* Snapshots of a volume, which then holds something else. */
static void use_kin(struct kmemblk *h, struct written *what, bool keep)
{
	struct kin kin = { .name = what->name, .blocks = what->blocks };
	struct kmemblk_volume *v;

	for (unsigned int i = 0; i < what->lines && kin.count < KIN_BLOCKS; i++)
		if (what->line[i].block < what->blocks)
			kin.block[kin.count++] = what->line[i].block;
	kin_use(h, &kin, keep);
	EXPECT_OK(kmemblk_volume_open(h, what->name, &v));
	what->lines = kin.count;
	for (unsigned int i = 0; i < kin.count; i++) {
		what->line[i].block = kin.block[i];
		EXPECT_OK(kmemblk_read(v, what->line[i].bytes, PAGE, kin.block[i] * PAGE));
	}
	kmemblk_volume_close(v);
}

/* Delete the last that was written, unless it has snapshots. */
static void delete_last(struct kmemblk *h, unsigned int *count)
{
	int rc = kmemblk_volume_delete(h, written[*count - 1].name, 0);

	EXPECT(rc == (written[*count - 1].has_snapshots ? -EBUSY : 0), "%d: %s", rc,
	       kmemblk_error());
	if (rc != 0)
		return;
	--*count;
	EXPECT(kmemblk_volume_delete(h, written[*count].name, 0) == -ENOENT,
	       "deleted and still there");
}

static void manage(struct kmemblk *h, const struct view *view, unsigned int *count)
{
	if (view->volumes < view->directory * ENTRIES)
		make_new(h);
	else
		EXPECT(kmemblk_volume_create(h, NEW, PAGE, 0) == -ENOSPC, "a volume too many");
	if (*count > 1) {
		EXPECT(kmemblk_volume_rename(h, written[0].name, written[1].name) == -EEXIST,
		       "two of one name");
		delete_last(h, count);
	}
	if (*count > 0) {
		cut(h, &written[0], written[0].blocks);
		raise(h, &written[*count - 1]);
		use_kin(h, &written[*count - 1], view->volumes % 2 == 1);
	}
	kin_delete(h, view);
}

/* What the last session has left: sound, and as it was written. */
static void expect_written(unsigned int count, bool sound)
{
	static struct view view;
	struct kmemblk_check_result result;
	struct kmemblk *h;

	EXPECT_OK(kmemblk_check(fuzz_path, NULL, &result));
	EXPECT(result.left == 0 || !sound, "damaged by writes");
	view_look(&view);
	EXPECT(view_damage(&view) == 0, "damaged by writes, and check finds nothing");
	for (unsigned int i = 0; i < view.volumes; i++)
		EXPECT(view.volume[i].is_snapshot || view.volume[i].past == 0,
		       "%s: something is past its end", view.volume[i].name);
	EXPECT(result.entries == view.blocks && result.pages_used == view.used,
	       "check counts %llu pages of %llu", (unsigned long long)result.pages_used,
	       (unsigned long long)view.used);
	EXPECT_OK(kmemblk_open(fuzz_path, KMEMBLK_OPEN_READONLY, &h));
	EXPECT_OK(kmemblk_start(h));
	for (unsigned int i = 0; i < count; i++)
		expect_lines(h, &written[i]);
	kmemblk_close(h);
}

struct sums {
	uint64_t reserved, used, tables;
};

static struct sums sums_of(struct kmemblk *h)
{
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	return (struct sums){ h->pool.reserved, info.pages_used, info.pages_tables };
}

/* What the next open counts is what the last session had. */
static void expect_sums(const struct sums *left)
{
	struct kmemblk *h;
	struct sums found;

	EXPECT_OK(kmemblk_open(fuzz_path, 0, &h));
	EXPECT_OK(kmemblk_start(h));
	found = sums_of(h);
	kmemblk_close(h);
	EXPECT(found.reserved == left->reserved && found.used == left->used &&
		       found.tables == left->tables,
	       "%llu blocks, %llu tables, %llu reserved were left, and are %llu, %llu, %llu",
	       (unsigned long long)left->used, (unsigned long long)left->tables,
	       (unsigned long long)left->reserved, (unsigned long long)found.used,
	       (unsigned long long)found.tables, (unsigned long long)found.reserved);
}

/* Only a device without damage opens. */
void use_write(const struct view *view, bool sound)
{
	unsigned int count = 0;
	struct sums left;
	struct kmemblk *h;
	int rc = kmemblk_open(fuzz_path, 0, &h);

	if (rc != 0) {
		use_expect_clear(rc);
		EXPECT(!sound || (rc == -EMEDIUMTYPE && view->ro_compat != 0),
		       "a sound device does not open: %s", kmemblk_error());
		return;
	}
	EXPECT(view_damage(view) == 0, "a damaged device opens for writing");
	EXPECT_OK(kmemblk_start(h));
	for (unsigned int i = 0; i < view->volumes && count < WRITTEN; i++)
		if (!view->volume[i].is_snapshot)
			write_volume(h, view, &view->volume[i], &written[count++]);
	if (view->data_start > 1)
		manage(h, view, &count);
	left = sums_of(h);
	kmemblk_close(h);
	expect_sums(&left);
	expect_written(count, sound);
}
