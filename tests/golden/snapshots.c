/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * snapshots.c - the stored image of snapshots and clones, and that of a directory of two pages, are what
 * kmemblk-format(5) says, open, and read as they did.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image.h"

#define PAGES 600u
#define NONE  0xffu

struct contents {
	uint64_t block;
	const char *text;
};

/* The volumes and snapshots, as the manual page, make-snapshots.c and make-pages.c have them. */
struct view {
	const char *name, *own;
	unsigned int number;	  /* in the directory */
	unsigned int predecessor; /* in this table */
	unsigned int volume;	  /* of a snapshot: the number of its volume */
	unsigned int origin;	  /* the number of the snapshot that it was cloned from */
	uint64_t sequence, family, blocks;
	unsigned int height, flags;
	struct contents contents[7];
	unsigned int owned,
		owned_tables; /* pages of blocks, and tables, that are not its predecessor's */
};

#define FIRST  0x0123456789abcdefull
#define SECOND 0xfedcba9876543210ull
#define THIRD  0x78695a4b3c2d1e0full

#define GONE "fedcba98-7654-4321-8fed-cba987654302@s"

static const struct view family[] = {
	{ "kmem0",
	  "kmem0",
	  0,
	  6,
	  NONE,
	  NONE,
	  0,
	  FIRST,
	  800,
	  4,
	  1,
	  { { 0, "the first of now" },
	    { 1, "kept by all     " },
	    { 3, "only in kmem0   " },
	    { 600, "second leaf of c" } },
	  2,
	  5 },
	{ "a", "a", 1, 3, NONE, NONE, 0, SECOND, 9, 1, 0, { { 8, "last of volume a" } }, 0, 0 },
	{ "kmem0@a",
	  "a",
	  3,
	  NONE,
	  0,
	  NONE,
	  1,
	  FIRST,
	  500,
	  1,
	  2,
	  { { 0, "the first of a  " }, { 1, "kept by all     " }, { 2, "to be trimmed   " } },
	  3,
	  1 },
	{ "a@a", "a", 4, NONE, 1, NONE, 1, SECOND, 9, 1, 2, { { 8, "last of volume a" } }, 1, 1 },
	{ GONE,
	  "s",
	  5,
	  NONE,
	  2,
	  NONE,
	  1,
	  THIRD,
	  600,
	  2,
	  2,
	  { { 0, "of what is gone " }, { 599, "its last block  " } },
	  2,
	  3 },
	{ "kmem0@b",
	  "b",
	  6,
	  2,
	  0,
	  NONE,
	  2,
	  FIRST,
	  1000,
	  2,
	  2,
	  { { 0, "the first of b  " }, { 1, "kept by all     " }, { 600, "a second leaf   " } },
	  2,
	  3 },
	{ "kmem0@c",
	  "c",
	  7,
	  5,
	  0,
	  NONE,
	  3,
	  FIRST,
	  900,
	  3,
	  2,
	  { { 0, "the first of b  " },
	    { 1, "kept by all     " },
	    { 600, "second leaf of c" },
	    { 899, "the end of c    " } },
	  2,
	  3 },
	{ "copy",
	  "copy",
	  8,
	  9,
	  NONE,
	  6,
	  0,
	  FIRST,
	  1000,
	  2,
	  0,
	  { { 0, "the first of cop" }, { 1, "kept by all     " }, { 5, "in copy and x   " } },
	  1,
	  2 },
	{ "heir",
	  "heir",
	  9,
	  4,
	  NONE,
	  5,
	  0,
	  THIRD,
	  600,
	  2,
	  0,
	  { { 0, "of what is gone " }, { 1, "only in heir    " }, { 599, "its last block  " } },
	  1,
	  2 },
	{ "copy@x",
	  "x",
	  10,
	  5,
	  8,
	  6,
	  1,
	  FIRST,
	  1000,
	  2,
	  2,
	  { { 0, "the first of b  " },
	    { 1, "kept by all     " },
	    { 5, "in copy and x   " },
	    { 600, "only in copy@x  " } },
	  2,
	  3 },
};

static const struct view pages[] = {
	{ "kmem0",
	  "kmem0",
	  0,
	  NONE,
	  NONE,
	  NONE,
	  0,
	  FIRST,
	  9,
	  1,
	  1,
	  { { 0, "of the first vol" } },
	  1,
	  1 },
	{ "v512@s",
	  "s",
	  1,
	  NONE,
	  512,
	  NONE,
	  1,
	  THIRD,
	  9,
	  1,
	  2,
	  { { 2, "begin of the 2nd" } },
	  1,
	  1 },
	{ "v511",
	  "v511",
	  511,
	  NONE,
	  NONE,
	  NONE,
	  0,
	  SECOND,
	  9,
	  1,
	  0,
	  { { 1, "end of the first" } },
	  1,
	  1 },
	{ "v512",
	  "v512",
	  512,
	  1,
	  NONE,
	  NONE,
	  0,
	  THIRD,
	  9,
	  1,
	  0,
	  { { 2, "after snapshot s" } },
	  1,
	  1 },
	{ "v514",
	  "v514",
	  514,
	  NONE,
	  NONE,
	  NONE,
	  0,
	  SECOND,
	  9,
	  1,
	  0,
	  { { 8, "the last volume " } },
	  1,
	  1 },
};

static const struct {
	const char *file;
	const struct view *views;
	unsigned int count;
} images[] = {
	{ "snapshots.od", family, sizeof(family) / sizeof(family[0]) },
	{ "pages.od", pages, sizeof(pages) / sizeof(pages[0]) },
};
#define IMAGES (sizeof(images) / sizeof(images[0]))

/* NULL: zeroes. */
static const char *text_of(const struct view *view, uint64_t block)
{
	for (unsigned int i = 0; i < 7 && view->contents[i].text != NULL; i++)
		if (view->contents[i].block == block)
			return view->contents[i].text;
	return NULL;
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void expect_uuid(uint64_t at, unsigned int number)
{
	uint8_t uuid[16] = { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x43, 0x21,
			     0x8f, 0xed, 0xcb, 0xa9, 0x87, 0x65, 0x43, 0x00 };

	uuid[14] ^= (uint8_t)(number >> 8);
	uuid[15] = (uint8_t)number;
	if (number == NONE)
		memset(uuid, 0, sizeof(uuid));
	ck_assert_mem_eq(image + at, uuid, 16);
}

/* Where its root is. */
static uint64_t expect_record(const struct view *view, bool *named)
{
	uint64_t entry = PAGE + 8ull * view->number, page, at;
	size_t length = strlen(view->own);

	ck_assert_uint_eq(image_number(entry, 8),
			  image_number(entry + PAGE * image_number(64, 8), 8));
	page = image_page_of_place(entry, 0, 63, view->number);
	at = page * PAGE;
	ck_assert(!named[page]);
	named[page] = true;
	ck_assert_mem_eq(image + at, "KMEMREC\n", 8);
	ck_assert_uint_eq(image_number(at + 8, 4), view->height);
	ck_assert_uint_eq(image_number(at + 12, 4), view->flags);
	ck_assert_uint_eq(image_number(at + 16, 8), view->blocks);
	ck_assert_uint_eq(image_number(at + 24, 8), view->family);
	ck_assert_uint_eq(image_number(at + 32, 8), 10000000000); /* created */
	expect_uuid(at + 40, view->number);
	ck_assert_mem_eq(image + at + 56, view->own, length);
	ck_assert(unit_is_zero(image + at + 56 + length, 64 - length));
	expect_uuid(at + 120, view->volume);
	expect_uuid(at + 136, view->origin);
	ck_assert_uint_eq(image_number(at + 152, 8), view->sequence);
	ck_assert(unit_is_zero(image + at + 160, 4084 - 160));
	ck_assert_uint_eq(image_number(at + 4084, 4), unit_crc32c(image + at, 4084));
	return at + 4088;
}

/* The page that a view has at a place, 0 for none; its record is where its entry of the directory says. */
static uint64_t page_at(const struct view *view, unsigned int level, uint64_t place)
{
	uint64_t record = image_page_of(PAGE + 8ull * view->number), at = record * PAGE + 4088;

	if (level > view->height || place >> 9 * (view->height - level) != 0)
		return 0;
	for (unsigned int here = view->height; here > level; here--) {
		if (image_number(at, 8) == 0)
			return 0;
		at = image_page_of(at) * PAGE + 8 * (place >> 9 * (here - 1 - level) & 511);
	}
	return image_number(at, 8) == 0 ? 0 : image_page_of(at);
}

/* What was found below a record. */
struct found {
	const struct view *view, *predecessor;
	bool *named;
	unsigned int blocks, owned, owned_tables;
};

static void expect_block(struct found *found, uint64_t at, uint64_t block)
{
	const uint8_t *contents = image + image_page_of(at) * PAGE;
	const struct contents *wanted = &found->view->contents[found->blocks++];

	ck_assert_ptr_nonnull(wanted->text);
	ck_assert_uint_eq(block, wanted->block);
	ck_assert(image_says(contents, wanted->text));
	ck_assert_uint_eq(image_number(at, 8) >> 39 & 0xffffff,
			  image_check_value(found->view->family, block, contents));
}

/* The entry of what is at a place, and all below. */
static void expect_entry(struct found *found, uint64_t at, unsigned int level, uint64_t place)
{
	uint64_t page;

	if (image_number(at, 8) == 0)
		return;
	page = level == 0 ? image_page_of(at)
			  : image_page_of_place(at, found->view->family, level, place);
	if (found->predecessor == NULL || page_at(found->predecessor, level, place) != page) {
		found->owned += level == 0;
		found->owned_tables += level > 0;
		ck_assert_msg(!found->named[page], "page %llu has two owners",
			      (unsigned long long)page);
		found->named[page] = true;
	}
	if (level == 0)
		expect_block(found, at, place);
	for (unsigned int i = 0; level > 0 && i < 512; i++)
		expect_entry(found, page * PAGE + 8 * i, level - 1, 512 * place + i);
}

START_TEST(test_bytes_are_as_documented)
{
	for (unsigned int i = 0; i < IMAGES; i++) {
		bool named[PAGES] = { false };

		image_read(images[i].file, PAGES);
		for (unsigned int j = 0; j < images[i].count; j++) {
			const struct view *view = &images[i].views[j];
			struct found found = { .view = view, .named = named };
			uint64_t root = expect_record(view, named);

			if (view->predecessor != NONE)
				found.predecessor = &images[i].views[view->predecessor];
			expect_entry(&found, root, view->height, 0);
			ck_assert_ptr_null(view->contents[found.blocks].text);
			ck_assert_uint_eq(found.owned, view->owned);
			ck_assert_uint_eq(found.owned_tables, view->owned_tables);
		}
		/* And nothing else is there. */
		for (uint64_t page = 1 + 2 * image_number(64, 8); page < PAGES - 1; page++)
			ck_assert(named[page] || unit_is_zero(image + page * PAGE, PAGE));
	}
}
END_TEST

/* ---- by the library -------------------------------------------------------------------------- */

static void expect_contents(struct kmemblk *h, const struct view *view)
{
	struct kmemblk_volume *v;
	uint8_t page[PAGE];

	ck_assert_msg(kmemblk_volume_open(h, view->name, &v) == 0, "%s", kmemblk_error());
	for (uint64_t block = 0; block < view->blocks; block++) {
		const char *text = text_of(view, block);

		ck_assert_msg(kmemblk_read(v, page, PAGE, block * PAGE) == 0, "%s",
			      kmemblk_error());
		ck_assert_msg(text == NULL ? unit_is_zero(page, PAGE) : image_says(page, text),
			      "%s: block %llu", view->name, (unsigned long long)block);
	}
	ck_assert_int_eq(kmemblk_read(v, page, 1, view->blocks * PAGE), -EINVAL);
	kmemblk_volume_close(v);
}

struct listing {
	const struct view *views;
	unsigned int all, count;
};

static int expect_listed(void *opaque, const struct kmemblk_volume_info *info)
{
	struct listing *listing = opaque;
	const struct view *view = listing->views;
	unsigned int used = 0;

	/* In another order than that of the directory. */
	while (strcmp(info->name, view->name) != 0)
		ck_assert_msg(++view < listing->views + listing->all, "%s", info->name);
	listing->count++;
	while (view->contents[used].text != NULL)
		used++;
	ck_assert_uint_eq(info->created, 10000000000);
	ck_assert_uint_eq(info->pages_used, used);
	ck_assert_int_eq(info->is_default, view->flags == 1);
	return 0;
}

START_TEST(test_opens_and_reads)
{
	for (unsigned int i = 0; i < 2 * IMAGES; i++) {
		unsigned int owned = 0, tables = images[i / 2].count;
		struct listing listing = { images[i / 2].views, images[i / 2].count, 0 };
		struct kmemblk *h;

		image_make(images[i / 2].file, PAGES);
		unit_expect_clean();
		h = unit_open(i % 2);
		for (unsigned int j = 0; j < images[i / 2].count; j++) {
			expect_contents(h, &images[i / 2].views[j]);
			owned += images[i / 2].views[j].owned;
			tables += images[i / 2].views[j].owned_tables;
		}
		ck_assert_uint_eq(unit_info(h).pages_used, owned);
		ck_assert_uint_eq(unit_info(h).pages_tables, tables);
		ck_assert_uint_eq(unit_info(h).volumes + unit_info(h).snapshots,
				  images[i / 2].count);
		ck_assert_int_eq(kmemblk_volume_list(h, expect_listed, &listing), 0);
		ck_assert_uint_eq(listing.count, images[i / 2].count);
		kmemblk_close(h);
	}
}
END_TEST

/* A whole volume: the first four blocks, and each eighth. */
static void overwrite(struct kmemblk *h, const struct view *view)
{
	struct kmemblk_volume *v;
	uint8_t page[PAGE];

	memset(page, 'x', PAGE);
	ck_assert_int_eq(kmemblk_volume_open(h, view->name, &v), 0);
	for (uint64_t block = 0; block < view->blocks; block += block < 4 ? 1 : 8)
		ck_assert_msg(kmemblk_write(v, page, PAGE, block * PAGE) == 0, "%s",
			      kmemblk_error());
	ck_assert_int_eq(kmemblk_trim(v, view->blocks / 2 * PAGE, 0), 0);
	kmemblk_volume_close(v);
}

START_TEST(test_snapshots_stay)
{
	for (unsigned int i = 0; i < IMAGES; i++) {
		struct kmemblk *h;

		image_make(images[i].file, PAGES);
		h = unit_open(0);
		for (unsigned int j = 0; j < images[i].count; j++)
			if (images[i].views[j].flags != 2)
				overwrite(h, &images[i].views[j]);
		unit_close_clean(h);
		h = unit_open(0);
		for (unsigned int j = 0; j < images[i].count; j++)
			if (images[i].views[j].flags == 2)
				expect_contents(h, &images[i].views[j]);
		kmemblk_close(h);
	}
}
END_TEST

START_TEST(test_views_are_changed)
{
	static const char *const name = "heir@new";
	struct kmemblk *h;

	image_make("snapshots.od", PAGES);
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@b", 0), -EBUSY);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@a", 0), 0);
	ck_assert_int_eq(kmemblk_volume_clone(h, GONE, "second", 0), 0);
	ck_assert_int_eq(kmemblk_snapshot(h, &name, 1, 0), 0);
	ck_assert_int_eq(kmemblk_volume_rollback(h, "kmem0@c", 0), 0);
	for (unsigned int i = 0; i < sizeof(family) / sizeof(family[0]); i++)
		if (family[i].number != 0 && family[i].number != 3)
			expect_contents(h, &family[i]);
	unit_close_clean(h);
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "copy@x", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "copy", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@b", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0@c", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "second", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "heir@new", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "heir", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, GONE, 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "a@a", 0), 0);
	ck_assert_int_eq(kmemblk_volume_delete(h, "a", 0), 0);
	ck_assert_uint_eq(unit_info(h).pages_used + unit_info(h).pages_tables, 0);
	unit_close_clean(h);
}
END_TEST

UNIT_MAIN("snapshots", test_bytes_are_as_documented, test_opens_and_reads, test_snapshots_stay,
	  test_views_are_changed)
