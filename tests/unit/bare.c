/* SPDX-License-Identifier: BSD-3-Clause */
/* bare.c - see bare.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "media/guard.h"
#include "pages/cache.h"
#include "pages/reclaim.h"
#include "pages/reserve.h"

struct device bare_device;
struct pool bare;

int bare_try_open(uint64_t count, uint64_t spare, uint64_t used)
{
	_Atomic uint64_t *named = bitmap_new(count);
	uint64_t index_pages = (count - spare + 511) / 512;
	struct pages_found found = {
		.first = 1 + index_pages,
		.count = count,
		.spare = spare,
		.named = named,
		.blocks = used,
		.reserved = used,
	};
	int rc;

	ck_assert_int_eq(guard_install(), 0);
	unit_make_file(unit_device, (2 + index_pages + count) * PAGE);
	for (uint64_t i = 0; i < used; i++) {
		bitmap_set(named, i);
		unit_poke((found.first + i) * PAGE, "x", 1);
	}
	ck_assert_int_eq(device_open(&bare_device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&bare_device), 0);
	rc = pages_open(&bare, &bare_device, &found);
	free((void *)named);
	/* As where nobody takes storage away: the thread that would is not running. */
	bare.keeper.punch = false;
	return rc;
}

void bare_open(uint64_t count, uint64_t spare, uint64_t used)
{
	ck_assert_msg(bare_try_open(count, spare, used) == 0, "%s", kmemblk_error());
	ck_assert_int_eq(reclaim_start(&bare), 0);
}

void bare_close(void)
{
	reclaim_stop(&bare);
	pages_close(&bare);
	device_close(&bare_device);
}

int bare_take_some(unsigned int most, uint64_t *page)
{
	struct near near;

	near.what = "write";
	return cache_take(&bare, most, page, &near);
}

void bare_take(uint64_t *page, unsigned int n)
{
	while (n > 0) {
		int got = bare_take_some(n, page);

		ck_assert_msg(got > 0 && (unsigned int)got <= n, "%d: %s", got, kmemblk_error());
		page += got;
		n -= (unsigned int)got;
	}
}

void bare_expect_distinct(const uint64_t *page, unsigned int n)
{
	bool *seen = calloc(bare.count, 1);

	for (unsigned int i = 0; i < n; i++) {
		ck_assert(page[i] >= bare.first && page[i] - bare.first < bare.count);
		ck_assert(!seen[page[i] - bare.first]);
		seen[page[i] - bare.first] = true;
	}
	free(seen);
}

int bare_reserve(uint64_t n)
{
	struct reservation reservation = { .what = "write", .changes = reserve_changes(&bare) };

	return reserve_blocks(&bare, n, &reservation);
}
