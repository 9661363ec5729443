/* SPDX-License-Identifier: BSD-3-Clause */
/* pm.c - the mapping: made through the claimed descriptor, stored to, flushed. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "media/pm.h"
#include "unit.h"

#define PAGES 16u

static int fd;
static struct pm pm;

static void map(enum pm_media media, bool readonly)
{
	unit_make_file(unit_device, PAGES * PAGE);
	fd = open(unit_device, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	ck_assert_int_eq(pm_map(&pm, fd, PAGES * PAGE, media, readonly, unit_device), 0);
	ck_assert_uint_eq(pm.size, PAGES * PAGE);
	ck_assert(pm.readonly == readonly);
}

static void unmap(void)
{
	pm_unmap(&pm);
	ck_assert(pm.base == NULL);
	/* Again is allowed. */
	pm_unmap(&pm);
	close(fd);
}

START_TEST(test_stores_reach_the_file)
{
	static const enum pm_media media[] = { PM_DEVDAX, PM_TMPFS, PM_FILE };
	uint8_t page[PAGE], seen[PAGE];

	for (int i = 0; i < 3; i++) {
		map(media[i], false);
		ck_assert_int_eq(pm.media, media[i]);
		unit_fill(page, 3);
		ck_assert_int_eq(pm_copy(&pm, pm_page(&pm, 2), page, PAGE, PM_WRITE_DATA), 0);
		/* Any length and alignment. */
		ck_assert_int_eq(pm_copy(&pm, pm_page(&pm, 4) + 3, page, 17, PM_WRITE_DATA), 0);
		ck_assert_int_eq(pm_zero(&pm, pm_page(&pm, 2) + 100, 5, PM_WRITE_DATA), 0);
		ck_assert_int_eq(pm_flush(&pm, pm.base + 5, 3 * PAGE, PM_WRITE_DATA), 0);
		pm_drain(&pm, PM_WRITE_DATA);
		unit_peek(2 * PAGE, seen, PAGE);
		memset(page + 100, 0, 5);
		ck_assert_mem_eq(seen, page, PAGE);
		unit_peek(4 * PAGE, seen, PAGE);
		unit_fill(page, 3);
		ck_assert(seen[2] == 0 && seen[20] == 0 && memcmp(seen + 3, page, 17) == 0);
		unmap();
	}
}
END_TEST

START_TEST(test_read_only)
{
	uint8_t byte = 1;

	map(PM_TMPFS, true);
	unit_poke_number(5 * PAGE, 1, 77);
	pm_read(&byte, pm_page(&pm, 5), 1);
	ck_assert_uint_eq(byte, 77);
	unmap();
}
END_TEST

START_TEST(test_maps_what_is_open_not_what_has_the_name)
{
	uint8_t byte;

	map(PM_TMPFS, false);
	pm_unmap(&pm);
	unit_poke_number(0, 1, 1);
	ck_assert_int_eq(unlink(unit_device), 0);
	unit_make_file(unit_device, PAGES * PAGE);
	unit_poke_number(0, 1, 2);
	ck_assert_int_eq(pm_map(&pm, fd, PAGES * PAGE, PM_TMPFS, false, unit_device), 0);
	pm_read(&byte, pm.base, 1);
	ck_assert_uint_eq(byte, 1);
	unmap();
}
END_TEST

START_TEST(test_file_that_shrank)
{
	unit_make_file(unit_device, 4 * PAGE);
	fd = open(unit_device, O_RDWR | O_CLOEXEC);
	unit_expect_error(pm_map(&pm, fd, 5 * PAGE, PM_TMPFS, false, unit_device), EINVAL,
			  "shrank while it was being opened");
	ck_assert(pm.base == NULL);
	close(fd);
}
END_TEST

START_TEST(test_exchanges)
{
	_Atomic uint64_t *word;
	uint64_t expected = 5;

	map(PM_TMPFS, false);
	word = (_Atomic uint64_t *)pm_page(&pm, 1);
	ck_assert(!pm_cas(&pm, word, &expected, 9));
	ck_assert_uint_eq(expected, 0);
	ck_assert(pm_cas(&pm, word, &expected, 9));
	ck_assert_uint_eq(pm_swap(&pm, word, 10), 9);
	ck_assert_uint_eq(unit_peek_number(PAGE, 8), 10);
	unmap();
}
END_TEST

static void *count_up(void *opaque)
{
	_Atomic uint64_t *word = opaque;

	for (int i = 0; i < 20000; i++) {
		uint64_t seen = 0;

		while (!pm_cas(&pm, word, &seen, seen + 1))
			;
	}
	return NULL;
}

START_TEST(test_exchanges_are_atomic)
{
	pthread_t threads[3];

	map(PM_TMPFS, false);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, count_up, pm.base);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(unit_peek_number(0, 8), 60000);
	unmap();
}
END_TEST

UNIT_MAIN("pm", test_stores_reach_the_file, test_read_only,
	  test_maps_what_is_open_not_what_has_the_name, test_file_that_shrank, test_exchanges,
	  test_exchanges_are_atomic)
