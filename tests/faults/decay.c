/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decay.c - whatever becomes of pages, entries, records and the directory, a block reads as it was written, or is an error:
 * in a volume, in its snapshots, and in a clone of one.
 *
 * Without a media error: bits that turn, lines that become zeroes or noise, entries and pages that change
 * places or are copied over others.  Many times, from a seed that is printed; to repeat them set
 * KMEMBLK_DECAY_SEED, for another number of times KMEMBLK_DECAY_COUNT.
 *
 * An entry that turned to 0 reads as a hole, which is counted apart: no check value can tell that.  Nor can one tell
 * another version of the same block in a view of the same family, so nothing changes places with that.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "blocks.h"
#include "common/random.h"
#include "media/layout.h"
#include "unit.h"

#define PAGES  300u
#define BLOCKS 30u
#define VIEWS  4u
#define HEIGHT 3u
#define LINE   64u
/* Damages between two openings of the device, at which all of it is checked. */
#define OPEN_EVERY 500u

enum kind {
	BITS_OF_PAGE,
	BITS_OF_ENTRY,
	SWAPPED_ENTRIES,
	COPIED_ENTRY,
	SWAPPED_PAGES,
	COPIED_PAGE,
	ZEROED_LINE,
	NOISE_IN_LINE,
	ZEROED_LINE_OF_LEAF,
	NOISE_IN_LEAF,
	BITS_ABOVE,
	NOISE_ABOVE,
	SWAPPED_TABLES,
	KINDS
};

static const char *const names[KINDS] = {
	"one to three bits of a page", "one to three bits of an entry",
	"two entries changed places",  "an entry over another",
	"two pages changed places",    "a page over another",
	"a line of a page zeroed",     "noise in a line of a page",
	"a line of a leaf zeroed",     "noise in a line of a leaf",
	"one to three bits above",     "noise in a line above",
	"two tables changed places",
};

/* The media, and what it was. */
static uint8_t *media, sound[PAGES * PAGE];
static uint64_t random_state;
static uint64_t table[VIEWS][HEIGHT + 1]; /* pages, by level; at 0 the record */
static uint64_t tried[KINDS], lost[KINDS], holes[KINDS];

/* In the order of the directory. */
static const char *const views[VIEWS] = { "large", "large@a", "large@b", "copy" };

static struct kmemblk *h;
static struct kmemblk_volume *open_view[VIEWS];

static uint64_t *entry_of(uint8_t *bytes, unsigned int view, uint64_t block)
{
	return (uint64_t *)(void *)(bytes + table[view][1] * PAGE) + block;
}

static uint8_t *page_of(unsigned int view, uint64_t block)
{
	return media + (*entry_of(sound, view, block) & (LAYOUT_MAX_PAGES - 1)) * PAGE;
}

static uint32_t any(uint32_t limit)
{
	return random_below(&random_state, limit);
}

/* What a block of a view holds: all is written, a third again after each snapshot, and another in the clone. */
static uint64_t content(unsigned int view, uint64_t block)
{
	static const uint64_t third[VIEWS][3] = {
		{ 0, 1000, 2000 },
		{ 0, 0, 0 },
		{ 0, 1000, 0 },
		{ 3000, 0, 0 },
	};

	return third[view][block % 3] + block;
}

static void write_third(const char *name, unsigned int view, uint64_t third)
{
	struct kmemblk_volume *v = unit_open_volume(h, name);

	for (uint64_t block = third; block < BLOCKS; block += 3)
		unit_write_to(v, block, content(view, block) + 1);
	kmemblk_volume_close(v);
}

static void find_tables(unsigned int view)
{
	uint64_t entry = *(uint64_t *)(void *)(sound + PAGE + view * sizeof(entry));

	for (unsigned int level = HEIGHT + 1; level-- > 0;) {
		uint64_t page = entry & (LAYOUT_MAX_PAGES - 1);

		table[view][level == HEIGHT ? 0 : level + 1] = page;
		/* The root is the last word of the record, and block 0 the first of each table. */
		entry = *(uint64_t *)(void *)(sound + page * PAGE +
					      (level == HEIGHT ? PAGE - sizeof(entry) : 0));
	}
}

static void make(void)
{
	int fd;

	unit_format_with(&(struct kmemblk_format_options){ .create_size = PAGES * PAGE });
	h = unit_open(0);
	/* So large that its map has three levels. */
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0", 0), 0);
	ck_assert_int_eq(kmemblk_volume_create(h, "large", 1ull << 32, 0), 0);
	/* Free pages hold what blocks held before. */
	write_third("large", 0, 1);
	for (uint64_t third = 0; third < 3; third++)
		write_third("large", 1, third);
	unit_take_snapshot(h, "large@a");
	write_third("large", 2, 1);
	unit_take_snapshot(h, "large@b");
	write_third("large", 0, 2);
	ck_assert_int_eq(kmemblk_volume_clone(h, "large@a", "copy", 0), 0);
	write_third("copy", 3, 0);
	unit_close_clean(h);
	unit_peek(0, sound, sizeof(sound));
	for (unsigned int view = 0; view < VIEWS; view++)
		find_tables(view);
	fd = open(unit_device, O_RDWR | O_CLOEXEC);
	media = mmap(NULL, sizeof(sound), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(media != MAP_FAILED);
	close(fd);
}

/* Damage may keep any of the views from being opened. */
static void open_views(void)
{
	for (unsigned int view = 0; view < VIEWS; view++)
		if (kmemblk_volume_open(h, views[view], &open_view[view]) != 0)
			open_view[view] = NULL;
}

static void open_all(void)
{
	h = unit_open(KMEMBLK_OPEN_READONLY);
	open_views();
}

static void close_all(void)
{
	for (unsigned int view = 0; view < VIEWS; view++)
		kmemblk_volume_close(open_view[view]);
	kmemblk_close(h);
	h = NULL;
}

static void turn_bits(uint8_t *bytes, uint32_t length)
{
	for (uint32_t n = 1 + any(3); n > 0; n--)
		bytes[any(length)] ^= (uint8_t)(1u << any(8));
}

static void swap(uint8_t *a, uint8_t *b, size_t length)
{
	uint8_t was[PAGE];

	memcpy(was, a, length);
	memmove(a, b, length);
	memcpy(b, was, length);
}

static void noise(uint8_t *line)
{
	for (unsigned int i = 0; i < LINE; i++)
		line[i] = (uint8_t)any(256);
}

static void restore(uint8_t *page)
{
	memcpy(page, sound + (page - media), PAGE);
}

/* What damage is done to: two blocks, and two tables, each of a view. */
struct place {
	unsigned int view, level;
	uint64_t block;
};

static uint8_t *table_at(const struct place *place)
{
	return media + table[place->view][place->level] * PAGE;
}

/* A record, or one of the pages of the directory, or a table that is no leaf. */
static uint8_t *above(const struct place *place)
{
	uint32_t which = any(6);

	if (which < 2)
		return media + (1 + which) * PAGE;
	return media + table[place->view][which < 4 ? 0 : which - 2] * PAGE;
}

static bool is_above(enum kind kind)
{
	return kind == BITS_ABOVE || kind == NOISE_ABOVE || kind == SWAPPED_TABLES;
}

static void damage(enum kind kind, const struct place *at, const struct place *other)
{
	uint8_t *entry = (uint8_t *)entry_of(media, at->view, at->block);
	uint8_t *from = (uint8_t *)entry_of(media, other->view, other->block);
	uint8_t *page = page_of(at->view, at->block);
	uint8_t *line = page + any(PAGE / LINE) * LINE;
	uint8_t *leaf_line =
		(uint8_t *)entry_of(media, at->view, 0) + any(BLOCKS * 8 / LINE) * LINE;

	switch (kind) {
	case BITS_OF_PAGE:
		turn_bits(page, PAGE);
		break;
	case BITS_OF_ENTRY:
		turn_bits(entry, 8);
		break;
	case SWAPPED_ENTRIES:
		swap(entry, from, 8);
		break;
	case COPIED_ENTRY:
		memmove(entry, from, 8);
		break;
	case SWAPPED_PAGES:
		swap(page, page_of(other->view, other->block), PAGE);
		break;
	case COPIED_PAGE:
		memmove(page, page_of(other->view, other->block), PAGE);
		break;
	case ZEROED_LINE:
		memset(line, 0, LINE);
		break;
	case NOISE_IN_LINE:
		noise(line);
		break;
	case ZEROED_LINE_OF_LEAF:
		memset(leaf_line, 0, LINE);
		break;
	case NOISE_IN_LEAF:
		noise(leaf_line);
		break;
	case BITS_ABOVE:
		/* Most often where something stands. */
		turn_bits(above(at), any(4) == 0 ? PAGE : LINE);
		break;
	case NOISE_ABOVE:
		noise(above(at) + (any(4) == 0 ? any(PAGE / LINE) * LINE : 0));
		break;
	case SWAPPED_TABLES:
		swap(table_at(at), table_at(other), PAGE);
		break;
	case KINDS:
		break;
	}
}

static void restore_all(const struct place *at, const struct place *other)
{
	restore(media + PAGE);
	restore(media + 2 * PAGE);
	for (unsigned int view = 0; view < VIEWS; view++)
		for (unsigned int level = 0; level <= HEIGHT; level++)
			restore(media + table[view][level] * PAGE);
	restore(page_of(at->view, at->block));
	restore(page_of(other->view, other->block));
}

static unsigned int expect_view(unsigned int view, enum kind kind, uint64_t seed)
{
	unsigned int errors = 0;
	uint8_t buf[PAGE];

	for (uint64_t block = 0; block < BLOCKS; block++) {
		int rc = kmemblk_read(open_view[view], buf, PAGE, block * PAGE);

		if (rc == 0 && *entry_of(media, view, block) == 0) {
			ck_assert(unit_is_zero(buf, PAGE));
			holes[kind]++;
			continue;
		}
		ck_assert_msg(rc == -EIO || (rc == 0 && unit_is(buf, content(view, block) + 1)),
			      "%s, seed %" PRIu64 ": block %" PRIu64 " of %s reads wrong",
			      names[kind], seed, block, views[view]);
		errors += rc != 0;
	}
	return errors;
}

/* Each block of each view as it was, or an error; how many are an error. */
static unsigned int expect_right_or_error(enum kind kind, uint64_t seed)
{
	unsigned int errors = 0;

	for (unsigned int view = 0; view < VIEWS; view++)
		errors += open_view[view] == NULL ? BLOCKS : expect_view(view, kind, seed);
	return errors;
}

/* What is above the leaves is read when a view is opened: it opens not at all, or as it was. */
static unsigned int expect_opened(enum kind kind, uint64_t seed)
{
	struct kmemblk *writing;
	unsigned int errors = VIEWS * BLOCKS;

	if (kmemblk_open(unit_device, KMEMBLK_OPEN_READONLY, &h) != 0)
		return errors;
	ck_assert_int_eq(kmemblk_start(h), 0);
	open_views();
	errors = expect_right_or_error(kind, seed);
	close_all();
	/* And if anything is wrong, nobody may write. */
	if (errors > 0)
		ck_assert_int_eq(kmemblk_open(unit_device, 0, &writing), -EUCLEAN);
	return errors;
}

/* Opened anew; and check finds what reads have found. */
static void expect_check(enum kind kind, uint64_t seed, unsigned int errors)
{
	struct kmemblk_check_result result;

	close_all();
	open_all();
	ck_assert_uint_eq(expect_right_or_error(kind, seed), errors);
	close_all();
	unit_check(KMEMBLK_CHECK_DATA, &result);
	ck_assert_msg((result.left > 0) >= (errors > 0), "%s, seed %" PRIu64, names[kind], seed);
	open_all();
}

static uint64_t number(const char *variable, uint64_t otherwise)
{
	const char *value = getenv(variable);

	return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

/* Where, and what it is swapped with: another block, and a table of another level. */
static void choose(struct place *at, struct place *other)
{
	at->view = any(VIEWS);
	at->block = any(BLOCKS);
	at->level = 1 + any(HEIGHT);
	other->view = any(VIEWS);
	other->block = (at->block + 1 + any(BLOCKS - 1)) % BLOCKS;
	other->level = 1 + (at->level + any(HEIGHT - 1)) % HEIGHT;
}

static void try_one(uint64_t seed, bool check)
{
	struct place at, other;
	unsigned int errors;
	enum kind kind;

	random_state = seed;
	kind = (enum kind)any(KINDS);
	choose(&at, &other);
	if (is_above(kind))
		close_all();
	damage(kind, &at, &other);
	errors = is_above(kind) ? expect_opened(kind, seed) : expect_right_or_error(kind, seed);
	tried[kind]++;
	lost[kind] += errors;
	if (check && !is_above(kind))
		expect_check(kind, seed, errors);
	restore_all(&at, &other);
	if (is_above(kind))
		open_all();
}

START_TEST(test_right_or_an_error)
{
	uint64_t count = number("KMEMBLK_DECAY_COUNT", scale_races(30000));
	uint64_t first_seed = number("KMEMBLK_DECAY_SEED", (uint64_t)time(NULL) * 1000000);

	printf("%" PRIu64 " damages from seed %" PRIu64 "\n", count, first_seed);
	make();
	open_all();
	ck_assert_uint_eq(expect_right_or_error(BITS_OF_PAGE, 0), 0);
	for (uint64_t i = 0; i < count; i++)
		try_one(first_seed + i, i % OPEN_EVERY == 0);
	ck_assert_mem_eq(media, sound, sizeof(sound));
	close_all();
	for (unsigned int kind = 0; kind < KINDS; kind++)
		printf("%-32s %8" PRIu64 " times, %8" PRIu64 " blocks an error, %6" PRIu64
		       " a hole, 0 wrong\n",
		       names[kind], tried[kind], lost[kind], holes[kind]);
}
END_TEST

UNIT_MAIN("decay", test_right_or_an_error)
