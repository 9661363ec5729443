/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image-use.c - read a device's volumes, write to them, and make, change and delete some; all that comes back is
 * compared with what the bytes said (image-view.c) and with what was written since.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image.h"

/* Volumes that are looked at, of hundreds; and those that are written to. */
#define MANY	  16u
#define WRITTEN	  3u
#define LINES_MAX 12u

/* Blocks in succession that are asked for extents: a damaged map is walked for each. */
#define EXTENT_BLOCKS 2048u

/* Blocks in succession that are read at once. */
#define RUN_BLOCKS 40u

static uint8_t buf[RUN_BLOCKS * PAGE];

/* Nothing was touched that is not there. */
bool use_speaks_of_access(const char *text)
{
	return strstr(text, "media error") != NULL || strstr(text, "cut short before") != NULL;
}

void use_expect_clear(int rc)
{
	const char *text = kmemblk_error();

	EXPECT(rc == -EMEDIUMTYPE || rc == -EUCLEAN || rc == -EIO || rc == -EINVAL, "%d: %s", rc,
	       text);
	EXPECT(strstr(text, fuzz_path) != NULL && strchr(text, '\n') == NULL, "%s", text);
	EXPECT(!use_speaks_of_access(text), "%s", text);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void expect_block(struct kmemblk_volume *v, const struct view *view,
			 const struct volume *volume, uint64_t block)
{
	uint64_t page = view_find(view, volume, block);
	int rc = kmemblk_read(v, buf, PAGE, block * PAGE);

	if (page == LOST) {
		EXPECT(rc == -EIO, "%s: block %llu is lost, and reads: %d", volume->name,
		       (unsigned long long)block, rc);
		use_expect_clear(rc);
		return;
	}
	EXPECT(rc == 0, "%s: block %llu: %s", volume->name, (unsigned long long)block,
	       kmemblk_error());
	EXPECT(memcmp(buf, view_contents(page), PAGE) == 0, "%s: block %llu reads differently",
	       volume->name, (unsigned long long)block);
}

/* Several at once, which can be read if each of them can. */
static void expect_run(struct kmemblk_volume *v, const struct view *view,
		       const struct volume *volume, uint64_t first)
{
	uint64_t left = volume->blocks - first, n = left < RUN_BLOCKS ? left : RUN_BLOCKS;
	int rc = kmemblk_read(v, buf, n * PAGE, first * PAGE);
	uint64_t lost = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t page = view_find(view, volume, first + i);

		lost += page == LOST;
		EXPECT(rc != 0 || page == LOST ||
			       memcmp(buf + i * PAGE, view_contents(page), PAGE) == 0,
		       "%s: block %llu reads differently with others", volume->name,
		       (unsigned long long)(first + i));
	}
	EXPECT(rc == (lost > 0 ? -EIO : 0), "%s: %llu blocks at %llu, of which %llu are lost: %d",
	       volume->name, (unsigned long long)n, (unsigned long long)first,
	       (unsigned long long)lost, rc);
}

struct extents {
	const struct view *view;
	const struct volume *volume;
	uint64_t at, end;
};

static int extent(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct extents *e = opaque;

	EXPECT(offset == e->at && count > 0 && count <= e->end - offset,
	       "extent at %llu, expected at %llu", (unsigned long long)offset,
	       (unsigned long long)e->at);
	e->at += count;
	for (uint64_t block = offset / PAGE; block < e->at / PAGE; block++)
		EXPECT((view_find(e->view, e->volume, block) == 0) ==
			       !!(flags & KMEMBLK_EXTENT_HOLE),
		       "%s: extent of block %llu", e->volume->name, (unsigned long long)block);
	return 0;
}

/* Around a block. */
static void expect_extents(struct kmemblk_volume *v, const struct view *view,
			   const struct volume *volume, uint64_t block)
{
	uint64_t first = block < EXTENT_BLOCKS / 2 ? 0 : block - EXTENT_BLOCKS / 2;
	uint64_t n =
		volume->blocks - first < EXTENT_BLOCKS ? volume->blocks - first : EXTENT_BLOCKS;
	struct extents e = { view, volume, first * PAGE, (first + n) * PAGE };

	EXPECT_OK(kmemblk_extents(v, n * PAGE, first * PAGE, extent, &e));
	EXPECT(e.at == e.end, "extents end at %llu", (unsigned long long)e.at);
}

static void read_volume(struct kmemblk *h, const struct view *view, const struct volume *volume)
{
	uint64_t probes[PROBES_MAX];
	unsigned int n = view_probes(view, volume, probes);
	struct kmemblk_volume_info info;
	struct kmemblk_volume *v;

	EXPECT_OK(kmemblk_volume_open(h, volume->name, &v));
	kmemblk_volume_get_info(v, &info);
	EXPECT(info.blocks == volume->blocks && info.size_bytes == volume->blocks * PAGE,
	       "%s: its size differs from the record's", volume->name);
	for (unsigned int i = 0; i < n; i++)
		expect_block(v, view, volume, probes[i]);
	for (unsigned int i = 0; i < n; i += 1 + n / 6) {
		expect_extents(v, view, volume, probes[i]);
		expect_run(v, view, volume, probes[i]);
	}
	EXPECT(kmemblk_read(v, buf, 1, volume->blocks * PAGE) == -EINVAL, "read past the end");
	kmemblk_volume_close(v);
}

struct listing {
	const struct view *view;
	unsigned int count;
};

static int listed(void *opaque, const struct kmemblk_volume_info *info)
{
	struct listing *listing = opaque;
	unsigned int i = listing->count++;

	EXPECT(i < listing->view->volumes && strcmp(info->name, listing->view->volume[i].name) == 0,
	       "%s is listed", info->name);
	return 0;
}

static void expect_told(struct kmemblk *h, const struct view *view)
{
	struct listing listing = { view, 0 };
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	EXPECT(info.device_pages == view->data_end + 1 &&
		       info.data_pages == view->data_end - view->data_start &&
		       info.volumes == view->volumes,
	       "info differs from the superblock");
	EXPECT(info.pages_used == view->used && info.pages_tables == view->tables,
	       "info counts %llu pages and %llu tables of %llu and %llu",
	       (unsigned long long)info.pages_used, (unsigned long long)info.pages_tables,
	       (unsigned long long)view->used, (unsigned long long)view->tables);
	EXPECT((info.entries_damaged == 0) == (view_damage(view) == 0), "%llu damaged entries",
	       (unsigned long long)info.entries_damaged);
	EXPECT(strnlen(info.label, sizeof(info.label)) < sizeof(info.label) &&
		       strnlen(info.uuid, sizeof(info.uuid)) == 36,
	       "label or uuid without an end");
	EXPECT_OK(kmemblk_volume_list(h, listed, &listing));
	EXPECT(listing.count == view->volumes, "%u volumes are listed", listing.count);
}

bool use_read(struct view *view)
{
	struct kmemblk_info info;
	struct kmemblk *h;
	int rc = kmemblk_open(fuzz_path, KMEMBLK_OPEN_READONLY, &h);

	if (rc != 0)
		use_expect_clear(rc);
	if (image.flags & FLAG_PROBE)
		EXPECT((kmemblk_probe(fuzz_path, &info) == 0) == (rc == 0),
		       "probe and open differ: %d", rc);
	if (rc != 0)
		return false;
	view_look(view);
	EXPECT_OK(kmemblk_start(h));
	expect_told(h, view);
	for (unsigned int i = 0; i < view->volumes; i += 1 + view->volumes / MANY)
		read_volume(h, view, &view->volume[i]);
	kmemblk_close(h);
	return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* A block of a volume, and what it holds now. */
struct line {
	uint64_t block;
	uint8_t bytes[PAGE];
};

static struct written {
	char name[64];
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
	EXPECT(kmemblk_volume_delete(h, NEW) == -EBUSY, "deleted while in use");
	/* Higher while it is in use. */
	if (done(kmemblk_volume_resize(h, NEW, 300000ull * PAGE, 0))) {
		struct line far = { .block = 299999 };

		change_line(v, &far, 0);
		expect_line(v, &line);
	}
	kmemblk_volume_close(v);
	EXPECT_OK(kmemblk_volume_rename(h, NEW, NEW "b"));
	EXPECT_OK(kmemblk_volume_delete(h, NEW "b"));
	if (done(kmemblk_volume_create(h, NEW, 5 * PAGE, KMEMBLK_VOLUME_PREALLOC)))
		EXPECT_OK(kmemblk_volume_delete(h, NEW));
}

/* Half as large, and again as it was: what was cut off reads as zeroes. */
static void cut(struct kmemblk *h, struct written *what, uint64_t blocks)
{
	uint64_t half = blocks / 2 + 1;

	if (half >= blocks)
		return;
	EXPECT_OK(kmemblk_volume_resize(h, what->name, half * PAGE, KMEMBLK_VOLUME_FORCE));
	if (!done(kmemblk_volume_resize(h, what->name, blocks * PAGE, 0)))
		return;
	for (unsigned int i = 0; i < what->lines; i++)
		if (what->line[i].block >= half)
			memset(what->line[i].bytes, 0, PAGE);
	expect_lines(h, what);
}

/* A level higher, if there is one. */
static void raise(struct kmemblk *h, const struct written *what, uint64_t blocks)
{
	if (blocks <= 1ull << 30 &&
	    done(kmemblk_volume_resize(h, what->name, (blocks << 9) * PAGE, 0)))
		expect_lines(h, what);
}

static void manage(struct kmemblk *h, const struct view *view, unsigned int *count)
{
	if (view->volumes < VOLUMES_MAX)
		make_new(h);
	else
		EXPECT(kmemblk_volume_create(h, NEW, PAGE, 0) == -ENOSPC, "a volume too many");
	if (*count > 1) {
		EXPECT(kmemblk_volume_rename(h, written[0].name, written[1].name) == -EEXIST,
		       "two of one name");
		EXPECT_OK(kmemblk_volume_delete(h, written[--*count].name));
		EXPECT(kmemblk_volume_delete(h, written[*count].name) == -ENOENT,
		       "deleted and still there");
	}
	if (*count > 0) {
		cut(h, &written[0], view->volume[0].blocks);
		raise(h, &written[*count - 1], view->volume[*count - 1].blocks);
	}
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
		EXPECT(view.volume[i].past == 0, "%s: something is past its end",
		       view.volume[i].name);
	EXPECT(result.entries == view.blocks && result.pages_used == view.used,
	       "check counts %llu pages of %llu", (unsigned long long)result.pages_used,
	       (unsigned long long)view.used);
	EXPECT_OK(kmemblk_open(fuzz_path, KMEMBLK_OPEN_READONLY, &h));
	EXPECT_OK(kmemblk_start(h));
	for (unsigned int i = 0; i < count; i++)
		expect_lines(h, &written[i]);
	kmemblk_close(h);
}

/* Only a device without damage opens. */
void use_write(const struct view *view, bool sound)
{
	unsigned int count = 0;
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
	for (; count < view->volumes && count < WRITTEN; count++)
		write_volume(h, view, &view->volume[count], &written[count]);
	if (view->data_start > 1)
		manage(h, view, &count);
	kmemblk_close(h);
	expect_written(count, sound);
}
