/* SPDX-License-Identifier: BSD-3-Clause */
/* super.c - superblocks: what is written, what is accepted, and what is said of the rest. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "media/guard.h"
#include "map/super.h"
#include "unit.h"

/* A device of 1000 pages, with a spare of 40. */
#define PAGES 1000u

static struct device device;

static void open_device(bool readonly)
{
	ck_assert_int_eq(guard_install(), 0);
	ck_assert_msg(device_open(&device, unit_device, readonly) == 0, "%s", kmemblk_error());
	ck_assert_msg(device_map(&device) == 0, "%s", kmemblk_error());
}

static struct super example(void)
{
	struct super super = {
		.type = type_by_id(1),
		.compat = 0x1122334455667788,
		.device_pages = PAGES,
		.directory_start = 1,
		.directory_pages = 1,
		.spare_pages = 40,
		.generation = 0x0102030405060708,
		.created = 0x1112131415161718,
		.check = LAYOUT_CHECK_CRC24,
		.label = "example",
	};

	for (unsigned int i = 0; i < sizeof(super.uuid); i++)
		super.uuid[i] = (uint8_t)(0xa0 + i);
	return super;
}

/* Written as primary and copy of a new file. */
static void write_example(void)
{
	struct super super = example();

	unit_make_file(unit_device, PAGES * PAGE);
	open_device(false);
	ck_assert_int_eq(super_write(&device, 0, &super, PM_FORMAT_PRIMARY), 0);
	ck_assert_int_eq(super_write(&device, PAGES - 1, &super, PM_FORMAT_COPY), 0);
}

START_TEST(test_crc32c)
{
	uint8_t zeroes[32] = { 0 };
	uint64_t written;

	/* RFC 3720, appendix B.4: the tests' own function is right ... */
	ck_assert_uint_eq(unit_crc32c((const uint8_t *)"123456789", 9), 0xe3069283);
	ck_assert_uint_eq(unit_crc32c(zeroes, 32), 0x8a9136aa);
	/* ... and so is the library's. */
	write_example();
	written = unit_peek_number(4092, 4);
	unit_seal(0);
	ck_assert_uint_eq(unit_peek_number(4092, 4), written);
	device_close(&device);
}
END_TEST

START_TEST(test_layout)
{
	uint8_t bytes[PAGE];

	write_example();
	unit_peek(0, bytes, PAGE);
	ck_assert_mem_eq(bytes, "KMEMBLK\n", 8);
	ck_assert_uint_eq(unit_peek_number(8, 4), 2);
	ck_assert_uint_eq(unit_peek_number(12, 4), 1);
	ck_assert_uint_eq(unit_peek_number(16, 8), 0x1122334455667788);
	ck_assert_uint_eq(unit_peek_number(24, 8), 0);
	ck_assert_uint_eq(unit_peek_number(32, 8), 0);
	ck_assert_uint_eq(unit_peek_number(40, 4), 4096);
	ck_assert_uint_eq(unit_peek_number(44, 4), 1);
	ck_assert_uint_eq(unit_peek_number(48, 8), PAGES);
	ck_assert_uint_eq(unit_peek_number(56, 8), 1);
	ck_assert_uint_eq(unit_peek_number(64, 8), 1);
	ck_assert_uint_eq(unit_peek_number(72, 8), 40);
	ck_assert_uint_eq(unit_peek_number(80, 8), 0x0102030405060708);
	ck_assert_uint_eq(unit_peek_number(88, 8), 0x1112131415161718);
	for (unsigned int i = 0; i < 16; i++)
		ck_assert_uint_eq(bytes[96 + i], 0xa0 + i);
	ck_assert_mem_eq(bytes + 112, "example", 8);
	ck_assert(unit_is_zero(bytes + 119, 176 - 119));
	ck_assert(unit_is_zero(bytes + 176, 4092 - 176));
	device_close(&device);
}
END_TEST

START_TEST(test_what_was_written_is_read)
{
	struct super_verdict verdict;
	struct super super, written = example();

	write_example();
	ck_assert_int_eq(super_read(&device, 0, &super, &verdict), SUPER_SOUND);
	ck_assert(super_same(&super, &written));
	ck_assert_int_eq(super_read(&device, PAGES - 1, &super, &verdict), SUPER_SOUND);
	ck_assert(super_same(&super, &written));
	ck_assert_uint_eq(super.spare_pages, 40);
	ck_assert_str_eq(super.label, "example");
	written.generation++;
	ck_assert(!super_same(&super, &written));
	written = super;
	written.uuid[15] ^= 1;
	ck_assert(!super_same(&super, &written));
	device_close(&device);
}
END_TEST

/* ---- wrong values with a right checksum ------------------------------------------------------ */

struct wrong {
	unsigned int at, width;
	uint64_t value;
	enum super_state state;
	const char *reason;
};

static const char no_fit[] = "directory and spare do not fit the device";

static const struct wrong wrongs[] = {
	{ 0, 1, 'k', SUPER_ABSENT, "no kmemblk superblock" },
	{ 7, 1, 0, SUPER_ABSENT, "no kmemblk superblock" },
	{ 8, 4, 0, SUPER_UNSUPPORTED, "format version 0; this version reads 2" },
	{ 8, 4, 1, SUPER_UNSUPPORTED, "format version 1; this version reads 2: copy its disk" },
	{ 8, 4, 3, SUPER_UNSUPPORTED, "format version 3; this version reads 2" },
	{ 8, 4, ~0u, SUPER_UNSUPPORTED, "format version 4294967295; this version reads 2" },
	{ 12, 4, 0, SUPER_DAMAGED, no_fit },
	{ 12, 4, 2, SUPER_UNSUPPORTED, "format type 2 is unknown" },
	{ 12, 4, ~0u, SUPER_UNSUPPORTED, "format type 4294967295 is unknown" },
	{ 16, 8, ~0ull, SUPER_SOUND, "" },
	{ 24, 8, ~0ull, SUPER_SOUND, "" },
	{ 32, 8, 1, SUPER_UNSUPPORTED, "(incompat 0x1)" },
	{ 32, 8, 1ull << 63, SUPER_UNSUPPORTED, "(incompat 0x8000000000000000)" },
	{ 40, 4, 0, SUPER_DAMAGED, "page size 0" },
	{ 40, 4, 8192, SUPER_DAMAGED, "page size 8192" },
	{ 44, 4, 0, SUPER_SOUND, "" },
	{ 44, 4, 2, SUPER_UNSUPPORTED, "check values of kind 2 are unknown" },
	{ 44, 4, ~0u, SUPER_UNSUPPORTED, "check values of kind 4294967295 are unknown" },
	{ 48, 8, 0, SUPER_DAMAGED, no_fit },
	{ 48, 8, PAGES + 1, SUPER_CUT_SHORT, "made for 1001 pages, but the device has only 1000" },
	{ 48, 8, 1ull << 39, SUPER_CUT_SHORT, "made for 549755813888 pages" },
	{ 48, 8, (1ull << 39) + 1, SUPER_DAMAGED, "impossible size: 549755813889 pages" },
	{ 48, 8, ~0ull, SUPER_DAMAGED, "impossible size: 18446744073709551615 pages" },
	{ 48, 8, 46, SUPER_DAMAGED, no_fit },
	{ 48, 8, 47, SUPER_SOUND, "" },
	{ 56, 8, 0, SUPER_DAMAGED, no_fit },
	{ 56, 8, 2, SUPER_DAMAGED, no_fit },
	{ 56, 8, ~0ull, SUPER_DAMAGED, no_fit },
	{ 64, 8, 0, SUPER_DAMAGED, no_fit },
	{ 64, 8, 2, SUPER_SOUND, "" },
	{ 64, 8, 128, SUPER_SOUND, "" },
	{ 64, 8, 129, SUPER_DAMAGED, no_fit },
	{ 64, 8, ~0ull, SUPER_DAMAGED, no_fit },
	{ 72, 8, 0, SUPER_DAMAGED, no_fit },
	{ 72, 8, 994, SUPER_DAMAGED, no_fit },
	{ 72, 8, 993, SUPER_SOUND, "" },
	{ 72, 8, ~0ull, SUPER_DAMAGED, no_fit },
	{ 80, 8, 0, SUPER_DAMAGED, "generation 0" },
	{ 88, 8, ~0ull, SUPER_SOUND, "" },
	{ 96, 8, 0, SUPER_SOUND, "" },
	{ 175, 1, 'x', SUPER_DAMAGED, "label without an end" },
	{ 176, 1, 1, SUPER_DAMAGED, "reserved bytes are not zero" },
	{ 4091, 1, 0x80, SUPER_DAMAGED, "reserved bytes are not zero" },
};

START_TEST(test_each_wrong_field_is_named)
{
	struct super_verdict verdict;
	struct super super;

	for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		const struct wrong *wrong = &wrongs[i];

		write_example();
		unit_poke_number(wrong->at, wrong->width, wrong->value);
		unit_seal(0);
		super_read(&device, 0, &super, &verdict);
		ck_assert_msg(verdict.state == wrong->state &&
				      strstr(verdict.reason, wrong->reason) != NULL,
			      "case %zu, byte %u: state %d, \"%s\"", i, wrong->at, verdict.state,
			      verdict.reason);
		device_close(&device);
	}
}
END_TEST

START_TEST(test_every_flipped_bit_is_seen)
{
	struct super_verdict verdict;
	struct super super;
	uint64_t step = 32768 / scale(32768);

	write_example();
	for (uint64_t bit = 0; bit < 8 * PAGE; bit += step) {
		uint8_t *byte = device.pm.base + bit / 8;

		*byte ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_eq(super_read(&device, 0, &super, &verdict),
				 bit < 64 ? SUPER_ABSENT : SUPER_DAMAGED);
		ck_assert_str_eq(verdict.reason,
				 bit < 64 ? "no kmemblk superblock" : "wrong checksum");
		*byte ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(super_read(&device, 0, &super, &verdict), SUPER_SOUND);
	device_close(&device);
}
END_TEST

START_TEST(test_hole_is_absent_and_stays_a_hole)
{
	struct super_verdict verdict;
	struct super super;

	unit_make_file(unit_device, PAGES * PAGE);
	open_device(false);
	ck_assert_int_eq(super_read(&device, 0, &super, &verdict), SUPER_ABSENT);
	ck_assert_uint_eq(unit_storage(unit_device), 0);
	device_close(&device);
}
END_TEST

START_TEST(test_media_error_is_unreadable)
{
	struct super_verdict verdict;
	struct super super;

	if (!unit_faults_work())
		return;
	write_example();
	ck_assert_int_eq(truncate(unit_device, PAGE), 0);
	/* As a device without holes: the page past the end is loaded from. */
	device.holes = false;
	ck_assert_int_eq(super_read(&device, PAGES - 1, &super, &verdict), SUPER_UNREADABLE);
	ck_assert_str_eq(verdict.reason, "media error");
	unit_expect_error(super_write(&device, PAGES - 1, &(struct super){ .type = type_by_id(1) },
				      PM_FORMAT_COPY),
			  EIO, "write superblock: ");
	device_close(&device);
}
END_TEST

/* ---- super_load ------------------------------------------------------------------------------ */

static int load(bool readonly)
{
	struct super super;
	int rc;

	device_close(&device);
	open_device(readonly);
	rc = super_load(&device, &super);
	device_close(&device);
	return rc;
}

START_TEST(test_load_says_what_to_type)
{
	write_example();
	ck_assert_int_eq(load(false), 0);
	unit_poke_number(4092, 4, 1);
	unit_expect_error(load(false), EUCLEAN, "superblock: wrong checksum; type: kmemblk check ");
	/* Overwritten, but the copy at the end tells what it was. */
	unit_poke_number(0, 8, 0);
	unit_expect_error(load(true), EUCLEAN, "no kmemblk superblock; type: kmemblk check ");
	unit_poke_number((PAGES - 1) * PAGE, 8, 0);
	/* No command for what holds something. */
	unit_expect_error(load(true), EMEDIUMTYPE,
			  "not a kmemblk device, but a file with contents (4096000 bytes)");
	ck_assert(strstr(kmemblk_error(), "type:") == NULL);
	unit_make_file(unit_device, PAGES * PAGE);
	unit_expect_error(
		load(true), EMEDIUMTYPE,
		"not a kmemblk device, and all zeroes; to make it one, type: kmemblk format ");
}
END_TEST

START_TEST(test_load_and_feature_words)
{
	write_example();
	unit_poke_number(24, 8, 4);
	unit_seal(0);
	unit_expect_error(load(false), EMEDIUMTYPE, "(ro-compat 0x4); open it read-only");
	ck_assert_int_eq(load(true), 0);
	unit_poke_number(32, 8, 4);
	unit_seal(0);
	unit_expect_error(load(true), EMEDIUMTYPE, "(incompat 0x4)");
}
END_TEST

UNIT_MAIN("super", test_crc32c, test_layout, test_what_was_written_is_read,
	  test_each_wrong_field_is_named, test_every_flipped_bit_is_seen,
	  test_hole_is_absent_and_stays_a_hole, test_media_error_is_unreadable,
	  test_load_says_what_to_type, test_load_and_feature_words)
