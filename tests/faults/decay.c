/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * decay.c - whatever becomes of pages, entries, the record and the directory, a block reads as it was written, or is an error.
 *
 * Without a media error: bits that turn, lines that become zeroes or noise, entries and pages that change
 * places or are copied over others.  Many times, from a seed that is printed; to repeat them set
 * KMEMBLK_DECAY_SEED, for another number of times KMEMBLK_DECAY_COUNT.
 *
 * An entry that turned to 0 reads as a hole, which is counted apart: no check value can tell that.
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

#include "common/random.h"
#include "unit.h"
#include "common/disk.h"

#define PAGES  100u
#define BLOCKS 40u
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
	KINDS
};

static const char *const names[KINDS] = {
	"one to three bits of a page", "one to three bits of an entry",
	"two entries changed places",  "an entry over another",
	"two pages changed places",    "a page over another",
	"a line of a page zeroed",     "noise in a line of a page",
	"a line of a leaf zeroed",     "noise in a line of a leaf",
	"one to three bits above",     "noise in a line above",
};

/* The media, and what it was. */
static uint8_t *media, sound[PAGES * PAGE];
static uint64_t random_state;
static uint64_t leaf;	  /* its page */
static uint64_t above[6]; /* pages: the directory and its copy, the record twice, two tables */
static uint64_t tried[KINDS], lost[KINDS], holes[KINDS];

static uint64_t *entry_of(uint8_t *bytes, uint64_t block)
{
	return (uint64_t *)(void *)(bytes + leaf * PAGE) + block;
}

static uint8_t *page_of(uint64_t block)
{
	return media + (*entry_of(sound, block) & 0x7fffffffff) * PAGE;
}

static uint32_t any(uint32_t limit)
{
	return random_below(&random_state, limit);
}

static void make(void)
{
	struct kmemblk *h;
	int fd;

	unit_format_with(&(struct kmemblk_format_options){ .create_size = PAGES * PAGE });
	h = unit_open(0);
	/* So large that its map has three levels. */
	ck_assert_int_eq(kmemblk_volume_delete(h, "kmem0"), 0);
	ck_assert_int_eq(kmemblk_volume_create(h, "large", 1ull << 32, 0), 0);
	/* Free pages hold what blocks held before. */
	for (uint64_t block = 0; block < BLOCKS; block++)
		unit_write(h, block, 1000 + block);
	for (uint64_t block = 0; block < BLOCKS; block++)
		unit_write(h, block, block);
	unit_close_clean(h);
	unit_peek(0, sound, sizeof(sound));
	leaf = unit_table(0, 1);
	above[0] = 1;
	above[1] = 2;
	above[2] = above[3] = unit_record();
	above[4] = unit_table(0, 2);
	above[5] = unit_table(0, 3);
	fd = open(unit_device, O_RDWR | O_CLOEXEC);
	media = mmap(NULL, sizeof(sound), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(media != MAP_FAILED);
	close(fd);
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

static void damage(enum kind kind, uint64_t block, uint64_t other)
{
	uint8_t *entry = (uint8_t *)entry_of(media, block), *page = page_of(block);
	uint8_t *line = page + any(PAGE / LINE) * LINE;
	uint8_t *leaf_line = (uint8_t *)entry_of(media, 0) + any(BLOCKS * 8 / LINE) * LINE;

	switch (kind) {
	case BITS_OF_PAGE:
		turn_bits(page, PAGE);
		break;
	case BITS_OF_ENTRY:
		turn_bits(entry, 8);
		break;
	case SWAPPED_ENTRIES:
		swap(entry, (uint8_t *)entry_of(media, other), 8);
		break;
	case COPIED_ENTRY:
		memmove(entry, entry_of(media, other), 8);
		break;
	case SWAPPED_PAGES:
		swap(page, page_of(other), PAGE);
		break;
	case COPIED_PAGE:
		memmove(page, page_of(other), PAGE);
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
		turn_bits(media + above[any(6)] * PAGE, any(4) == 0 ? PAGE : LINE);
		break;
	case NOISE_ABOVE:
		noise(media + above[any(6)] * PAGE + (any(4) == 0 ? any(PAGE / LINE) * LINE : 0));
		break;
	case KINDS:
		break;
	}
}

/* Each block as it was, or an error; how many are an error. */
static unsigned int expect_right_or_error(struct kmemblk *h, enum kind kind, uint64_t seed)
{
	unsigned int errors = 0;
	uint8_t buf[PAGE];

	for (uint64_t block = 0; block < BLOCKS; block++) {
		int rc = kmemblk_read(disk_of(h), buf, PAGE, block * PAGE);

		if (rc == 0 && *entry_of(media, block) == 0) {
			ck_assert(unit_is_zero(buf, PAGE));
			holes[kind]++;
			continue;
		}
		ck_assert_msg(rc == -EIO || (rc == 0 && unit_is(buf, block)),
			      "%s, seed %" PRIu64 ": block %" PRIu64 " reads wrong", names[kind],
			      seed, block);
		errors += rc != 0;
	}
	return errors;
}

/* What is above the leaves is read when a volume is opened: it opens not at all, or as it was. */
static unsigned int expect_opened(enum kind kind, uint64_t seed)
{
	struct kmemblk_info info;
	struct kmemblk *h;
	unsigned int errors = BLOCKS;

	if (kmemblk_open(unit_device, KMEMBLK_OPEN_READONLY, &h) != 0)
		return errors;
	ck_assert_int_eq(kmemblk_start(h), 0);
	kmemblk_get_info(h, &info);
	if (info.blocks > 0)
		errors = expect_right_or_error(h, kind, seed);
	kmemblk_close(h);
	/* And if anything is wrong, nobody may write. */
	if (errors > 0)
		ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), -EUCLEAN);
	return errors;
}

/* Opened anew; and check finds what reads have found. */
static void expect_check(enum kind kind, uint64_t seed, unsigned int errors)
{
	struct kmemblk *h = unit_open(KMEMBLK_OPEN_READONLY);
	struct kmemblk_check_result result;

	ck_assert_uint_eq(expect_right_or_error(h, kind, seed), errors);
	kmemblk_close(h);
	unit_check(KMEMBLK_CHECK_DATA, &result);
	ck_assert_msg((result.left > 0) >= (errors > 0), "%s, seed %" PRIu64, names[kind], seed);
}

static uint64_t number(const char *variable, uint64_t otherwise)
{
	const char *value = getenv(variable);

	return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

START_TEST(test_right_or_an_error)
{
	uint64_t count = number("KMEMBLK_DECAY_COUNT", scale_races(100000));
	uint64_t first_seed = number("KMEMBLK_DECAY_SEED", (uint64_t)time(NULL) * 1000000);
	struct kmemblk *h;

	printf("%" PRIu64 " damages from seed %" PRIu64 "\n", count, first_seed);
	make();
	h = unit_open(KMEMBLK_OPEN_READONLY);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t seed = first_seed + i, block, other;
		enum kind kind;
		unsigned int errors;

		random_state = seed;
		kind = (enum kind)any(KINDS);
		block = any(BLOCKS);
		other = any(BLOCKS);
		damage(kind, block, other);
		if (kind == BITS_ABOVE || kind == NOISE_ABOVE) {
			kmemblk_close(h);
			errors = expect_opened(kind, seed);
			h = NULL;
		} else
			errors = expect_right_or_error(h, kind, seed);
		tried[kind]++;
		lost[kind] += errors;
		if (i % OPEN_EVERY == 0 && kind != BITS_ABOVE && kind != NOISE_ABOVE) {
			kmemblk_close(h);
			expect_check(kind, seed, errors);
			h = unit_open(KMEMBLK_OPEN_READONLY);
		}
		restore(media + leaf * PAGE);
		for (unsigned int a = 0; a < 6; a++)
			restore(media + above[a] * PAGE);
		restore(page_of(block));
		restore(page_of(other));
		if (h == NULL)
			h = unit_open(KMEMBLK_OPEN_READONLY);
	}
	ck_assert_mem_eq(media, sound, sizeof(sound));
	kmemblk_close(h);
	for (unsigned int kind = 0; kind < KINDS; kind++)
		printf("%-32s %8" PRIu64 " times, %8" PRIu64 " blocks an error, %6" PRIu64
		       " a hole, 0 wrong\n",
		       names[kind], tried[kind], lost[kind], holes[kind]);
}
END_TEST

UNIT_MAIN("decay", test_right_or_an_error)
