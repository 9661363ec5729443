/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image-use.c - read a device's volumes, and compare what comes back with what the bytes said (image-view.c).
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image.h"
#include "io/handle.h"

/* Volumes that are looked at, of hundreds. */
#define MANY 16u

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

struct differences {
	const struct volume *volume;
	const uint64_t *probes;
	unsigned int count;
	bool told[PROBES_MAX];
	uint64_t end; /* of the last range */
};

static int difference(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct differences *d = opaque;

	EXPECT(flags == 0 && offset >= d->end && count > 0 && offset % PAGE == 0 &&
		       count % PAGE == 0 && count <= d->volume->blocks * PAGE - offset,
	       "%s: a range of %llu at %llu", d->volume->name, (unsigned long long)count,
	       (unsigned long long)offset);
	d->end = offset + count;
	for (unsigned int i = 0; i < d->count; i++)
		if (d->probes[i] * PAGE - offset < count)
			d->told[i] = true;
	return 0;
}

/* All that it has, which is told whole or not at all; from itself it does not differ. */
static void expect_differences(struct kmemblk_volume *v, const struct view *view,
			       const struct volume *volume, const uint64_t *probes,
			       unsigned int count)
{
	struct differences d = { .volume = volume, .probes = probes, .count = count };
	int rc = kmemblk_diff(NULL, v, difference, &d);

	if (rc != 0) {
		EXPECT(rc == -EIO && view_damage(view) > 0, "%s: diff: %d: %s", volume->name, rc,
		       kmemblk_error());
		use_expect_clear(rc);
	}
	for (unsigned int i = 0; rc == 0 && i < count; i++)
		EXPECT(d.told[i] == (view_find(view, volume, probes[i]) != 0),
		       "%s: diff of block %llu", volume->name, (unsigned long long)probes[i]);
	d.end = volume->blocks * PAGE;
	rc = kmemblk_diff(v, v, difference, &d);
	EXPECT(rc == 0 || (rc == -EIO && view_damage(view) > 0), "%s: diff from itself: %d",
	       volume->name, rc);
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
	expect_differences(v, view, volume, probes, n);
	EXPECT(kmemblk_read(v, buf, 1, volume->blocks * PAGE) == -EINVAL, "read past the end");
	kmemblk_volume_close(v);
}

struct listing {
	const struct view *view;
	unsigned int count;
	bool seen[PAGES_MAX];
	char volume[128]; /* the last that was no snapshot */
};

/* Each once, and behind its volume. */
static int listed(void *opaque, const struct kmemblk_volume_info *info)
{
	struct listing *listing = opaque;
	const struct view *view = listing->view;
	unsigned int i = 0;

	while (i < view->volumes && strcmp(info->name, view->volume[i].name) != 0)
		i++;
	EXPECT(i < view->volumes && !listing->seen[i], "%s is listed", info->name);
	listing->seen[i] = true;
	listing->count++;
	if (!view->volume[i].is_snapshot)
		memcpy(listing->volume, view->volume[i].name, sizeof(listing->volume));
	else if (memcmp(info->name, listing->volume, strlen(listing->volume)) != 0)
		/* Its volume is not there: it is named by a uuid. */
		EXPECT(strcspn(info->name, "@") == 36, "%s is not listed behind its volume",
		       info->name);
	return 0;
}

static void expect_told(struct kmemblk *h, const struct view *view)
{
	struct listing listing = { .view = view };
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	EXPECT(info.device_pages == view->data_end + 1 &&
		       info.data_pages == view->data_end - view->data_start &&
		       info.volumes + info.snapshots == view->volumes,
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
