/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crowd.c - many writers on a spare of one page: each gets its turn, and a page that becomes free wakes who may have it,
 * not all who wait for one.
 */
#include "config.h"

#include <pthread.h>
#include <sys/resource.h>

#include "unit.h"

#define WRITES 10u

/* Switches a write that a crowd may cost: its wait for a page, and those of the reclaimer, with as much again. */
#define SWITCHES 24.0

static struct kmemblk_volume *volume;
static pthread_barrier_t together;

static void *overwrite(void *opaque)
{
	static const uint8_t bytes[PAGE] = { 1 };
	uint64_t block = *(uint64_t *)opaque;

	pthread_barrier_wait(&together);
	for (unsigned int i = 0; i < WRITES; i++)
		ck_assert_int_eq(kmemblk_write(volume, bytes, PAGE, block * PAGE), 0);
	return NULL;
}

/* Voluntary context switches of the process. */
static double switches(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return (double)usage.ru_nvcsw;
}

START_TEST(test_a_page_wakes_who_may_have_it)
{
	enum { WRITERS = 300 };
	static pthread_t thread[WRITERS];
	static uint64_t block[WRITERS];
	static uint8_t bytes[WRITERS * PAGE];
	struct kmemblk_info info;
	struct kmemblk *h;
	double before;

	unit_format_with(
		&(struct kmemblk_format_options){ .create_size = 4 * MIB, .spare_pages = 1 });
	h = unit_open(0);
	ck_assert_int_eq(kmemblk_volume_open(h, NULL, &volume), 0);
	kmemblk_get_info(h, &info);
	ck_assert_uint_ge(info.blocks, WRITERS);
	/* All blocks have pages, so nothing is free but the spare. */
	for (uint64_t at = 0; at < info.blocks * PAGE; at += PAGE)
		ck_assert_int_eq(kmemblk_write(volume, bytes, PAGE, at), 0);
	pthread_barrier_init(&together, NULL, WRITERS + 1);
	for (unsigned int i = 0; i < WRITERS; i++) {
		block[i] = i;
		ck_assert_int_eq(pthread_create(&thread[i], NULL, overwrite, &block[i]), 0);
	}
	before = switches();
	pthread_barrier_wait(&together);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(thread[i], NULL);
	ck_assert_double_lt((switches() - before) / (WRITERS * WRITES), SWITCHES);
	kmemblk_volume_close(volume);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("crowd", test_a_page_wakes_who_may_have_it)
