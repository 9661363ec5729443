/* SPDX-License-Identifier: BSD-3-Clause */
/* foreign.c - what else lives on a device is seen, also where libblkid cannot read. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "media/foreign.h"
#include "media/guard.h"
#include "unit.h"

#define SIZE (64 * MIB)

static struct device device;

/* What is found on a file of this kind; "" for nothing. */
static const char *find(enum pm_media media)
{
	unsigned int descriptors = unit_count_descriptors();
	static char name[64];
	int rc;

	ck_assert_int_eq(guard_install(), 0);
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	device.media = media;
	name[0] = '\0';
	rc = foreign_find(&device, name, sizeof(name));
	ck_assert_msg(rc == (name[0] != '\0'), "%d: %s", rc, kmemblk_error());
	device_close(&device);
	ck_assert_uint_eq(unit_count_descriptors(), descriptors);
	return name;
}

static void expect(const char *name)
{
	ck_assert_str_eq(find(PM_TMPFS), name);
	/* As a devdax node, which cannot be read, only mapped. */
	ck_assert_str_eq(find(PM_DEVDAX), name);
}

START_TEST(test_nothing)
{
	uint8_t page[PAGE];

	unit_make_file(unit_device, SIZE);
	expect("");
	unit_fill(page, 1);
	unit_poke(0, page, PAGE);
	expect("");
	/* A device that ends before the first MiB does. */
	unit_make_file(unit_device, 5 * PAGE);
	expect("");
}
END_TEST

START_TEST(test_ext4)
{
	unit_make_file(unit_device, SIZE);
	unit_poke_number(1024 + 0x38, 2, 0xef53);
	unit_poke_number(1024 + 0x4c, 4, 1);	/* revision */
	unit_poke_number(1024 + 0x5c, 4, 4);	/* a journal */
	unit_poke_number(1024 + 0x60, 4, 0x42); /* extents */
	expect("ext4");
}
END_TEST

START_TEST(test_partition_tables)
{
	static const uint8_t entry[16] = { 0, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0 };

	unit_make_file(unit_device, SIZE);
	unit_poke(446, entry, 16);
	unit_poke_number(510, 2, 0xaa55);
	expect("a partition table (dos)");
}
END_TEST

START_TEST(test_signature_at_the_end)
{
	/* RAID, metadata 1.0: eight to twelve KiB before the end. */
	uint64_t at = SIZE - 2 * PAGE;

	unit_make_file(unit_device, SIZE);
	unit_poke_number(at, 4, 0xa92b4efc);
	unit_poke_number(at + 4, 4, 1);
	unit_poke_number(at + 144, 8, at / 512);
	/* The sum of its words, which newer versions of libblkid look at. */
	unit_poke_number(at + 216, 4, (uint32_t)(0xa92b4efc + 1 + at / 512));
	expect("linux_raid_member");
}
END_TEST

START_TEST(test_bad_media_hides_nothing_else)
{
	char name[64] = "";

	if (!unit_faults_work())
		return;
	unit_make_file(unit_device, SIZE);
	unit_poke_number(1024, 4, 1);
	unit_poke_number(1028, 4, 1000);
	unit_poke(PAGE - 10, "SWAPSPACE2", 10);
	ck_assert_int_eq(guard_install(), 0);
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device_map(&device), 0);
	device.media = PM_DEVDAX;
	ck_assert_int_eq(truncate(unit_device, 20 * PAGE), 0);
	ck_assert_int_eq(foreign_find(&device, name, sizeof(name)), 1);
	ck_assert_str_eq(name, "swap");
	device_close(&device);
}
END_TEST

/* What is said of the file's contents; "" for nothing. */
static const char *contents(void)
{
	static char name[64];
	int rc;

	ck_assert_int_eq(device_open(&device, unit_device, true), 0);
	name[0] = '\0';
	rc = foreign_find_contents(&device, name, sizeof(name));
	ck_assert_msg(rc == (name[0] != '\0'), "%d: %s", rc, kmemblk_error());
	device_close(&device);
	return name;
}

START_TEST(test_any_byte_of_a_file_is_contents)
{
	/* In the first byte, the last, before and after the end of what is read at once. */
	const uint64_t at[] = { 0, 5 * MIB - 1, MIB - 1, MIB, 3 * MIB + 4711 };
	static const uint8_t zeroes[2 * MIB];

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		unit_make_file(unit_device, 5 * MIB);
		unit_poke(0, zeroes, sizeof(zeroes));
		ck_assert_str_eq(contents(), "");
		unit_poke_number(at[i], 1, 1);
		ck_assert_str_eq(contents(), "a file with contents (5242880 bytes)");
		unlink(unit_device);
	}
}
END_TEST

START_TEST(test_bytes_beyond_the_last_page_are_contents)
{
	unit_make_file(unit_device, 10 * PAGE + 17);
	ck_assert_str_eq(contents(), "");
	unit_poke_number(10 * PAGE + 16, 1, 1);
	ck_assert_str_eq(contents(), "a file with contents (40977 bytes)");
}
END_TEST

/* Read byte by byte it would take hours. */
START_TEST(test_holes_are_passed_over)
{
	unit_make_file(unit_device, 4ull << 40);
	ck_assert_str_eq(contents(), "");
	unit_poke_number((4ull << 40) - 1, 1, 1);
	ck_assert_str_eq(contents(), "a file with contents (4398046511104 bytes)");
}
END_TEST

UNIT_MAIN("foreign", test_nothing, test_ext4, test_partition_tables, test_signature_at_the_end,
	  test_bad_media_hides_nothing_else, test_any_byte_of_a_file_is_contents,
	  test_bytes_beyond_the_last_page_are_contents, test_holes_are_passed_over)
