/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pageset.c - see pageset.h.
 *
 * All changes go through change(), which keeps the counts and the zone bits true, one word of 64
 * pages at a time.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pages/pageset.h"

#define WORD 64u

int pageset_init(struct pageset *set, uint64_t first, uint64_t count)
{
	uint64_t base = first & ~(uint64_t)(ZONE_PAGES - 1);
	uint64_t zones = (first + count - base + ZONE_PAGES - 1) >> ZONE_SHIFT;

	*set = (struct pageset){ .base = base, .zones = zones };
	set->bits = calloc(zones * (ZONE_PAGES / WORD) + 1, sizeof(set->bits[0]));
	set->count = calloc(zones + 1, sizeof(set->count[0]));
	set->partly = calloc(zones / WORD + 1, sizeof(set->partly[0]));
	set->wholly = calloc(zones / WORD + 1, sizeof(set->wholly[0]));
	if (set->bits == NULL || set->count == NULL || set->partly == NULL || set->wholly == NULL) {
		pageset_destroy(set);
		return -ENOMEM;
	}
	return 0;
}

void pageset_destroy(struct pageset *set)
{
	free(set->bits);
	free(set->count);
	free(set->partly);
	free(set->wholly);
	*set = (struct pageset){ 0 };
}

static void assign_bit(uint64_t *words, uint64_t bit, bool value)
{
	uint64_t mask = 1ull << (bit % WORD);

	words[bit / WORD] = value ? words[bit / WORD] | mask : words[bit / WORD] & ~mask;
}

/* Put the bits of `mask` in word `word` into the set, or take them out. */
static void change(struct pageset *set, uint64_t word, uint64_t mask, bool in)
{
	uint64_t zone = word / (ZONE_PAGES / WORD);
	unsigned int n = (unsigned int)__builtin_popcountll(mask);

	if (in) {
		set->bits[word] |= mask;
		set->count[zone] = (uint16_t)(set->count[zone] + n);
		set->total += n;
	} else {
		set->bits[word] &= ~mask;
		set->count[zone] = (uint16_t)(set->count[zone] - n);
		set->total -= n;
	}
	assign_bit(set->partly, zone, set->count[zone] > 0 && set->count[zone] < ZONE_PAGES);
	assign_bit(set->wholly, zone, set->count[zone] == ZONE_PAGES);
}

static uint64_t run_mask(unsigned int from, uint64_t n)
{
	return (n >= WORD ? ~0ull : (1ull << n) - 1) << from;
}

/* Change a run of pages, given as bit numbers. */
static void change_run(struct pageset *set, uint64_t bit, uint64_t count, bool in)
{
	while (count > 0) {
		unsigned int from = (unsigned int)(bit % WORD);
		uint64_t n = WORD - from < count ? WORD - from : count;

		change(set, bit / WORD, run_mask(from, n), in);
		bit += n;
		count -= n;
	}
}

void pageset_add(struct pageset *set, uint64_t first, uint64_t count)
{
	change_run(set, first - set->base, count, true);
}

void pageset_remove(struct pageset *set, uint64_t first, uint64_t count)
{
	change_run(set, first - set->base, count, false);
}

/* The first zone at or after `from`, around the end, whose bit is set in `map`; false if none. */
static bool find_zone(const uint64_t *map, uint64_t zones, uint64_t from, uint64_t *zone)
{
	uint64_t words = zones / WORD + 1;
	uint64_t word = from / WORD;
	uint64_t value = map[word] & (~0ull << (from % WORD));

	/* One more than all words: the first is looked at twice, for the bits before `from`. */
	for (uint64_t i = 0; i <= words; i++) {
		if (value != 0) {
			*zone = word * WORD + (uint64_t)__builtin_ctzll(value);
			return true;
		}
		word = word + 1 == words ? 0 : word + 1;
		value = map[word];
	}
	return false;
}

/* Length of the run of set bits that begins at `bit`, within its zone, at most `most`. */
static uint64_t run_length(const struct pageset *set, uint64_t bit, uint64_t most)
{
	uint64_t limit = (bit | (ZONE_PAGES - 1)) + 1 - bit;
	uint64_t length = 0;

	if (most < limit)
		limit = most;
	while (length < limit) {
		uint64_t at = bit + length;
		uint64_t clear = ~(set->bits[at / WORD] >> (at % WORD));
		uint64_t left = WORD - at % WORD;
		uint64_t ones = clear == 0 ? WORD : (uint64_t)__builtin_ctzll(clear);

		if (ones > left)
			ones = left;
		length += ones;
		if (ones < left)
			break;
	}
	return length < limit ? length : limit;
}

uint64_t pageset_first_run(const struct pageset *set, uint64_t zone, uint64_t *first)
{
	uint64_t word = zone * (ZONE_PAGES / WORD);
	uint64_t bit;

	if (set->count[zone] == 0)
		return 0;
	while (set->bits[word] == 0)
		word++;
	bit = word * WORD + (uint64_t)__builtin_ctzll(set->bits[word]);
	*first = set->base + bit;
	return run_length(set, bit, ZONE_PAGES);
}

/* Take the first run of a zone that is not empty. */
static uint64_t take_in_zone(struct pageset *set, uint64_t zone, uint64_t most, uint64_t *first)
{
	uint64_t length = pageset_first_run(set, zone, first);

	if (length > most)
		length = most;
	change_run(set, *first - set->base, length, false);
	return length;
}

uint64_t pageset_take(struct pageset *set, uint64_t most, uint64_t *first)
{
	uint64_t zone;

	if (set->total == 0)
		return 0;
	/* Stay in the zone that was last taken from, so that runs go on; then a partly used one. */
	zone = set->cursor;
	if (set->count[zone] == 0 && !find_zone(set->partly, set->zones, zone, &zone) &&
	    !find_zone(set->wholly, set->zones, zone, &zone))
		return 0;
	set->cursor = zone;
	return take_in_zone(set, zone, most, first);
}

uint64_t pageset_take_back(struct pageset *set, uint64_t most, uint64_t *first)
{
	uint64_t zone;

	if (!find_zone(set->wholly, set->zones, set->cursor, &zone) &&
	    !find_zone(set->partly, set->zones, set->cursor, &zone))
		return 0;
	return take_in_zone(set, zone, most, first);
}

/* Partly free zones that one search looks at: it is made under a lock that writers need. */
#define SEARCH_ZONES 256u

static bool take_aligned_in(struct pageset *set, uint64_t zone, uint64_t count, uint64_t align,
			    uint64_t shift, uint64_t *first)
{
	uint64_t begin = zone * ZONE_PAGES;
	/* Of set->base + bit, which is a multiple of the zone. */
	uint64_t bit = begin + (shift & (align - 1));

	for (; bit + count <= begin + ZONE_PAGES; bit += align)
		if (run_length(set, bit, count) == count) {
			change_run(set, bit, count, false);
			*first = set->base + bit;
			return true;
		}
	return false;
}

bool pageset_take_aligned(struct pageset *set, uint64_t count, uint64_t align, uint64_t shift,
			  uint64_t *first)
{
	uint64_t zone = set->cursor;

	for (unsigned int i = 0; i < SEARCH_ZONES; i++) {
		if (count == ZONE_PAGES || !find_zone(set->partly, set->zones, zone, &zone))
			break;
		if (set->count[zone] >= count &&
		    take_aligned_in(set, zone, count, align, shift, first))
			return true;
		zone = zone + 1 == set->zones ? 0 : zone + 1;
	}
	return find_zone(set->wholly, set->zones, set->cursor, &zone) &&
	       take_aligned_in(set, zone, count, align, shift, first);
}

void pageset_take_zone(struct pageset *set, uint64_t zone, uint64_t bits[ZONE_PAGES / 64])
{
	uint64_t word = zone * (ZONE_PAGES / WORD);

	for (unsigned int i = 0; i < ZONE_PAGES / WORD; i++) {
		bits[i] = set->bits[word + i];
		change(set, word + i, bits[i], false);
	}
}

void pageset_put_zone(struct pageset *set, uint64_t zone, const uint64_t bits[ZONE_PAGES / 64])
{
	for (unsigned int i = 0; i < ZONE_PAGES / WORD; i++)
		change(set, zone * (ZONE_PAGES / WORD) + i, bits[i], true);
}

bool pageset_has(const struct pageset *set, uint64_t page)
{
	uint64_t bit = page - set->base;

	return set->bits[bit / WORD] >> (bit % WORD) & 1;
}

bool pageset_has_run(const struct pageset *set, uint64_t first, uint64_t count)
{
	uint64_t pages = set->zones << ZONE_SHIFT;
	uint64_t n;

	/* Below base the difference wraps and is huge. */
	if (first - set->base >= pages || count > pages - (first - set->base))
		return false;
	for (; count > 0; first += n, count -= n) {
		n = run_length(set, first - set->base, count);
		if (n == 0)
			return false;
	}
	return true;
}
