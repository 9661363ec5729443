/* SPDX-License-Identifier: BSD-3-Clause */
/* blocks.c - see blocks.h. */
#include "config.h"

#include "blocks.h"
#include "io/handle.h"
#include "unit.h"

struct kmemblk_volume *unit_open_volume(struct kmemblk *h, const char *name)
{
	struct kmemblk_volume *v;

	ck_assert_msg(kmemblk_volume_open(h, name, &v) == 0, "%s", kmemblk_error());
	return v;
}

void unit_take_snapshot(struct kmemblk *h, const char *name)
{
	ck_assert_msg(kmemblk_snapshot(h, &name, 1, 0) == 0, "%s", kmemblk_error());
}

void unit_write_to(struct kmemblk_volume *v, uint64_t block, uint64_t number)
{
	uint8_t bytes[PAGE];

	unit_fill(bytes, number);
	ck_assert_msg(kmemblk_write(v, bytes, PAGE, block * PAGE) == 0, "%s", kmemblk_error());
}

void unit_expect_in(struct kmemblk_volume *v, uint64_t block, uint64_t number)
{
	uint8_t bytes[PAGE];

	ck_assert_msg(kmemblk_read(v, bytes, PAGE, block * PAGE) == 0, "%s", kmemblk_error());
	ck_assert_msg(number == 0 ? unit_is_zero(bytes, PAGE) : unit_is(bytes, number),
		      "block %llu of %s is not %llu", (unsigned long long)block, v->map.record.name,
		      (unsigned long long)number);
}
