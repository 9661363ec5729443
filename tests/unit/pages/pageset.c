/* SPDX-License-Identifier: BSD-3-Clause */
/* pageset.c - what goes in comes out once, in ascending runs, partly used zones first. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "pages/pageset.h"
#include "unit.h"

START_TEST(test_empty_gives_nothing)
{
	struct pageset set;
	uint64_t first;

	ck_assert_int_eq(pageset_init(&set, 100, 1000), 0);
	ck_assert_uint_eq(pageset_take(&set, 10, &first), 0);
	ck_assert(!pageset_has(&set, 100));
	pageset_destroy(&set);
	ck_assert_int_eq(pageset_init(&set, 5, 0), 0);
	ck_assert_uint_eq(pageset_take(&set, 1, &first), 0);
	pageset_destroy(&set);
}
END_TEST

START_TEST(test_runs_go_on_where_the_last_ended)
{
	struct pageset set;
	uint64_t first;

	pageset_init(&set, 3, 2045);
	pageset_add(&set, 3, 2045);
	ck_assert_uint_eq(set.total, 2045);
	ck_assert_uint_eq(pageset_take(&set, 100, &first), 100);
	ck_assert_uint_eq(first, 3);
	ck_assert_uint_eq(pageset_take(&set, 100, &first), 100);
	ck_assert_uint_eq(first, 103);
	/* A run ends with its zone. */
	ck_assert_uint_eq(pageset_take(&set, 1000, &first), 512 - 203);
	ck_assert_uint_eq(first, 203);
	ck_assert_uint_eq(pageset_take(&set, 1000, &first), 512);
	ck_assert_uint_eq(first, 512);
	ck_assert(!pageset_has(&set, 1023));
	ck_assert(pageset_has(&set, 1024));
	pageset_destroy(&set);
}
END_TEST

START_TEST(test_runs_end_at_what_is_not_in)
{
	struct pageset set;
	uint64_t first;

	pageset_init(&set, 0, 512);
	pageset_add(&set, 10, 5);
	pageset_add(&set, 60, 70);
	pageset_add(&set, 511, 1);
	ck_assert_uint_eq(pageset_take(&set, 512, &first), 5);
	ck_assert_uint_eq(first, 10);
	ck_assert_uint_eq(pageset_take(&set, 512, &first), 70);
	ck_assert_uint_eq(first, 60);
	ck_assert_uint_eq(pageset_take(&set, 512, &first), 1);
	ck_assert_uint_eq(first, 511);
	ck_assert_uint_eq(pageset_take(&set, 512, &first), 0);
	pageset_destroy(&set);
}
END_TEST

START_TEST(test_partly_used_zones_come_before_whole_ones)
{
	struct pageset set;
	uint64_t first;

	/* 200 zones, so that the zone maps have several words; only zone 150 is partly used. */
	pageset_init(&set, 0, 200 * ZONE_PAGES);
	pageset_add(&set, 0, 200 * ZONE_PAGES);
	for (uint64_t left = ZONE_PAGES; left > 0;)
		left -= pageset_take(&set, left, &first);
	pageset_add(&set, 0, ZONE_PAGES - 1);
	for (uint64_t zone = 1; zone < 200; zone++)
		ck_assert_uint_eq(set.count[zone], ZONE_PAGES);
	ck_assert_uint_eq(pageset_take(&set, ZONE_PAGES, &first), ZONE_PAGES - 1);
	ck_assert_uint_eq(first, 0);
	pageset_destroy(&set);

	pageset_init(&set, 0, 200 * ZONE_PAGES);
	pageset_add(&set, ZONE_PAGES, 149 * ZONE_PAGES);
	pageset_add(&set, 150 * ZONE_PAGES, 3);
	pageset_add(&set, 151 * ZONE_PAGES, ZONE_PAGES);
	ck_assert_uint_eq(pageset_take(&set, 5, &first), 3);
	ck_assert_uint_eq(first, 150 * ZONE_PAGES);
	/* Then the next whole one from there, and around the end. */
	ck_assert_uint_eq(pageset_take(&set, ZONE_PAGES, &first), ZONE_PAGES);
	ck_assert_uint_eq(first, 151 * ZONE_PAGES);
	ck_assert_uint_eq(pageset_take(&set, ZONE_PAGES, &first), ZONE_PAGES);
	ck_assert_uint_eq(first, ZONE_PAGES);
	pageset_destroy(&set);
}
END_TEST

START_TEST(test_giving_away_begins_with_whole_zones)
{
	struct pageset set;
	uint64_t first;

	pageset_init(&set, 0, 200 * ZONE_PAGES);
	ck_assert_uint_eq(pageset_take_back(&set, 10, &first), 0);
	pageset_add(&set, 3, 100);
	pageset_add(&set, 150 * ZONE_PAGES, ZONE_PAGES);
	ck_assert_uint_eq(pageset_take_back(&set, 10000, &first), ZONE_PAGES);
	ck_assert_uint_eq(first, 150 * ZONE_PAGES);
	ck_assert_uint_eq(pageset_take_back(&set, 60, &first), 60);
	ck_assert_uint_eq(first, 3);
	ck_assert_uint_eq(set.total, 40);
	pageset_destroy(&set);
}
END_TEST

START_TEST(test_aligned_runs)
{
	struct pageset set;
	uint64_t first;

	/* Partly free zones: one run that is too short, one that holds an aligned run of 8. */
	pageset_init(&set, 1000, 10 * ZONE_PAGES);
	pageset_add(&set, 1025, 9);
	pageset_add(&set, 1541, 15);
	ck_assert(!pageset_take_aligned(&set, 16, 1, 0, &first));
	ck_assert(!pageset_take_aligned(&set, 13, 8, 0, &first));
	ck_assert_uint_eq(set.total, 24);
	ck_assert(pageset_take_aligned(&set, 8, 8, 0, &first));
	ck_assert_uint_eq(first % 8, 0);
	ck_assert_uint_eq(set.total, 16);
	ck_assert(!pageset_has(&set, first) && !pageset_has(&set, first + 7));
	/* The first page is shift modulo align, where the mapping does not begin at a zone. */
	ck_assert(pageset_take_aligned(&set, 2, 4, 3, &first));
	ck_assert_uint_eq(first % 4, 3);
	/* A whole zone, only from a whole zone. */
	ck_assert(!pageset_take_aligned(&set, ZONE_PAGES, ZONE_PAGES, 0, &first));
	pageset_add(&set, 4 * ZONE_PAGES, ZONE_PAGES);
	ck_assert(!pageset_take_aligned(&set, ZONE_PAGES, ZONE_PAGES, 7, &first));
	ck_assert(pageset_take_aligned(&set, ZONE_PAGES, ZONE_PAGES, 0, &first));
	ck_assert_uint_eq(first, 4 * ZONE_PAGES);
	pageset_destroy(&set);
}
END_TEST

START_TEST(test_remove_and_has_run)
{
	struct pageset set;

	pageset_init(&set, 600, 3000);
	pageset_add(&set, 700, 2000);
	ck_assert(pageset_has_run(&set, 700, 2000));
	ck_assert(!pageset_has_run(&set, 700, 2001));
	ck_assert(!pageset_has_run(&set, 699, 2));
	pageset_remove(&set, 1500, 1);
	ck_assert_uint_eq(set.total, 1999);
	ck_assert(!pageset_has_run(&set, 700, 2000));
	ck_assert(pageset_has_run(&set, 700, 800));
	ck_assert(pageset_has_run(&set, 1501, 1199));
	/* Outside of all that the set can hold, also where sums overflow. */
	ck_assert(!pageset_has_run(&set, 0, 1));
	ck_assert(!pageset_has_run(&set, 1ull << 40, 1));
	ck_assert(!pageset_has_run(&set, 1600, UINT64_MAX));
	ck_assert(!pageset_has_run(&set, UINT64_MAX, 2));
	pageset_remove(&set, 700, 800);
	pageset_remove(&set, 1501, 1199);
	ck_assert_uint_eq(set.total, 0);
	pageset_destroy(&set);
}
END_TEST

/* ---- against an array of flags -------------------------------------------------------------- */

#define MODEL_FIRST 777u
#define MODEL_PAGES (70u * ZONE_PAGES + 33)

struct model {
	struct pageset set;
	bool in[MODEL_PAGES];
	uint64_t total;
};

static void model_add(struct model *m)
{
	uint64_t at = (uint64_t)rand() % MODEL_PAGES, most = 1 + (uint64_t)rand() % 1500, n = 0;

	while (at + n < MODEL_PAGES && n < most && !m->in[at + n])
		m->in[at + n++] = true;
	if (n > 0)
		pageset_add(&m->set, MODEL_FIRST + at, n);
	m->total += n;
}

/* Assertions are slow: one for all pages. */
static bool model_give(struct model *m, uint64_t page)
{
	if (page < MODEL_FIRST || page - MODEL_FIRST >= MODEL_PAGES || !m->in[page - MODEL_FIRST])
		return false;
	m->in[page - MODEL_FIRST] = false;
	return true;
}

static void model_take(struct model *m)
{
	uint64_t first = 0, most = 1 + (uint64_t)rand() % 700;
	uint64_t n, good = 0;

	switch (rand() % 4) {
	case 0:
		n = pageset_take_back(&m->set, most, &first);
		break;
	case 1:
		n = 1 + (uint64_t)rand() % 64;
		if (!pageset_take_aligned(&m->set, n, 16, (uint64_t)rand() % 16, &first))
			return;
		ck_assert(n <= m->total);
		most = n;
		break;
	default:
		n = pageset_take(&m->set, most, &first);
	}

	ck_assert_uint_le(n, most);
	ck_assert((n == 0) == (m->total == 0));
	for (uint64_t i = 0; i < n; i++)
		good += model_give(m, first + i);
	ck_assert_uint_eq(good, n);
	m->total -= n;
}

static void model_compare(const struct model *m)
{
	uint64_t good = 0;

	for (uint64_t p = 0; p < MODEL_PAGES; p++)
		good += pageset_has(&m->set, MODEL_FIRST + p) == m->in[p];
	ck_assert_uint_eq(good, MODEL_PAGES);
}

START_TEST(test_random_against_a_model)
{
	static struct model m;

	ck_assert_int_eq(pageset_init(&m.set, MODEL_FIRST, MODEL_PAGES), 0);
	srand(1);
	for (uint64_t i = 0; i < scale(60000); i++) {
		/* Phases, so that it fills up and runs empty. */
		if ((uint64_t)rand() % 10 < (i / 1000 % 2 == 0 ? 7u : 3u))
			model_add(&m);
		else
			model_take(&m);
		ck_assert_uint_eq(m.set.total, m.total);
		if (i % 500 == 0)
			model_compare(&m);
	}
	while (m.total > 0)
		model_take(&m);
	pageset_destroy(&m.set);
}
END_TEST

UNIT_MAIN("pageset", test_empty_gives_nothing, test_runs_go_on_where_the_last_ended,
	  test_runs_end_at_what_is_not_in, test_partly_used_zones_come_before_whole_ones,
	  test_giving_away_begins_with_whole_zones, test_aligned_runs, test_remove_and_has_run,
	  test_random_against_a_model)
