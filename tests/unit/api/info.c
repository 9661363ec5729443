/* SPDX-License-Identifier: BSD-3-Clause */
/* info.c - a device is described, open or not, served or not. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"
#include "common/disk.h"

START_TEST(test_open_device)
{
	struct kmemblk_info info;
	struct kmemblk *h;

	unit_format_with(&(struct kmemblk_format_options){
		.create_size = 2000 * PAGE, .disk_size = 1900 * PAGE, .label = "described" });
	h = unit_open(0);
	for (uint64_t block = 0; block < 600; block += 2)
		unit_write(h, block, block);
	kmemblk_get_info(h, &info);
	ck_assert_str_eq(info.type, "blk");
	ck_assert_str_eq(info.media, "tmpfs");
	ck_assert_str_eq(info.persistence, "process");
	ck_assert_uint_eq(strlen(info.uuid), 36);
	ck_assert_str_eq(info.label, "described");
	ck_assert_uint_eq(info.format_version, 2);
	ck_assert_uint_eq(info.page_size, PAGE);
	ck_assert_uint_eq(info.generation, 1);
	ck_assert_uint_eq(info.device_pages, 2000);
	ck_assert_uint_eq(info.volumes, 1);
	/* The record, two leaves, and a table that names them. */
	ck_assert_uint_eq(info.pages_tables, 4);
	ck_assert_uint_eq(info.data_pages, 1996);
	ck_assert_uint_eq(info.blocks, 1900);
	ck_assert_uint_eq(info.size_bytes, 1900 * PAGE);
	ck_assert_uint_eq(info.pages_used, 300);
	ck_assert_uint_eq(info.pages_free, 1996 - 4 - 300);
	ck_assert_uint_eq(info.pages_spare, 31);
	ck_assert_uint_eq(info.pages_quarantined, 0);
	ck_assert_uint_eq(info.entries_damaged, 0);
	ck_assert_int_eq(info.readonly, 0);
	/* The counts follow. */
	ck_assert_int_eq(kmemblk_trim(disk_of(h), 10 * PAGE, 0), 0);
	kmemblk_get_info(h, &info);
	ck_assert_uint_eq(info.pages_used, 295);
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	kmemblk_get_info(h, &info);
	ck_assert_int_eq(info.readonly, 1);
	ck_assert_uint_eq(info.pages_used, 295);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_probe_while_served)
{
	struct kmemblk_info open_info, info;
	struct kmemblk *h = unit_make(8 * MIB);

	unit_write(h, 7, 7);
	kmemblk_get_info(h, &open_info);
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_int_eq(info.holder_pid, getpid());
	ck_assert_str_ne(info.holder_name, "");
	ck_assert_str_eq(info.uuid, open_info.uuid);
	ck_assert_uint_eq(info.pages_used, 1);
	/* A block, and a record, a leaf and a table that names it. */
	ck_assert_uint_eq(info.pages_free, info.data_pages - 1 - 3);
	/* And takes no claim. */
	unit_write(h, 8, 8);
	kmemblk_close(h);
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_int_eq(info.holder_pid, 0);
	ck_assert_str_eq(info.holder_name, "");
}
END_TEST

START_TEST(test_probe_takes_no_storage)
{
	struct kmemblk_info info;
	uint64_t before;

	unit_format(64 * MIB, 0);
	before = unit_storage(unit_device);
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_uint_eq(unit_storage(unit_device), before);
}
END_TEST

START_TEST(test_damaged_entries_are_counted)
{
	struct kmemblk_info info;
	struct kmemblk *h = unit_make(8 * MIB);

	unit_write(h, 0, 0);
	unit_write(h, 1, 1);
	kmemblk_close(h);
	unit_poke_entry(9, ~0ull);
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_uint_eq(info.entries_damaged, 1);
	unit_poke_entry(0, unit_peek_entry(1));
	h = unit_open(KMEMBLK_OPEN_READONLY);
	kmemblk_get_info(h, &info);
	ck_assert_uint_eq(info.entries_damaged, 2);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_probe_of_what_is_no_device)
{
	unsigned int descriptors = unit_count_descriptors();
	struct kmemblk_info info;

	unit_expect_error(kmemblk_probe(unit_device, &info), ENOENT, "no such file");
	unit_make_file(unit_device, 0);
	unit_expect_error(kmemblk_probe(unit_device, &info), EMEDIUMTYPE,
			  "and empty; to make it one, type: truncate --size=SIZE ");
	unit_make_file(unit_device, 100);
	unit_expect_error(kmemblk_probe(unit_device, &info), EMEDIUMTYPE, "smaller than a page");
	unit_make_file(unit_device, 100 * PAGE);
	unit_expect_error(kmemblk_probe(unit_device, &info), EMEDIUMTYPE, "not a kmemblk device");
	unlink(unit_device);
	unit_format(MIB, 0);
	unit_poke_number(50, 1, 9);
	unit_expect_error(kmemblk_probe(unit_device, &info), EUCLEAN, "kmemblk check ");
	ck_assert_uint_eq(unit_count_descriptors(), descriptors);
}
END_TEST

/* What is there need not be a device of ours; where nothing is, nothing is left. */
START_TEST(test_media_alone)
{
	unsigned int descriptors = unit_count_descriptors();
	struct kmemblk *h = unit_make(8 * MIB);
	const char *media = "";

	ck_assert_int_eq(kmemblk_find_media(unit_device, 0, &media), 0);
	ck_assert_str_eq(media, "tmpfs");
	kmemblk_close(h);
	unlink(unit_device);
	media = "";
	ck_assert_int_eq(kmemblk_find_media(unit_device, KMEMBLK_OPEN_OWNED, &media), 0);
	ck_assert_str_eq(media, "tmpfs");
	ck_assert_int_eq(access(unit_device, F_OK), -1);
	unit_make_file(unit_device, 0);
	unit_expect_error(kmemblk_find_media(unit_device, 0, &media), EMEDIUMTYPE, "and empty");
	unit_expect_error(kmemblk_find_media("/dev/null", 0, &media), EINVAL, "not a devdax one");
	unit_expect_error(kmemblk_find_media("/no/folder/disk", 0, &media), ENOENT,
			  "/no/folder/disk");
	unit_expect_error(kmemblk_find_media(unit_device, KMEMBLK_OPEN_READONLY, &media), EINVAL,
			  "unknown flags");
	ck_assert_uint_eq(unit_count_descriptors(), descriptors);
}
END_TEST

UNIT_MAIN("info", test_open_device, test_probe_while_served, test_probe_takes_no_storage,
	  test_damaged_entries_are_counted, test_probe_of_what_is_no_device, test_media_alone)
