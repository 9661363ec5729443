/* SPDX-License-Identifier: BSD-3-Clause */
/* format.c - what is made, what is refused before anything has changed, and what is left behind. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"

static int format(const struct kmemblk_format_options *options)
{
	return kmemblk_format(unit_device, options);
}

/* Whatever is there. */
static void force(void)
{
	struct kmemblk_format_options options = { .flags = KMEMBLK_FORMAT_FORCE };

	ck_assert_int_eq(format(&options), 0);
	unit_expect_clean();
}

START_TEST(test_defaults)
{
	struct kmemblk_info info;
	time_t before = time(NULL);

	unit_make_file(unit_device, 8 * MIB);
	ck_assert_int_eq(format(NULL), 0);
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_str_eq(info.type, "blk");
	ck_assert_str_eq(info.label, "");
	ck_assert_uint_eq(info.device_pages, 2048);
	ck_assert_uint_eq(info.pages_spare, 32);
	ck_assert_uint_eq(info.pages_tables, 1);
	/* Superblocks and directories, the spare, a record, four leaves and a table that names them. */
	ck_assert_uint_eq(info.blocks, 2048 - 4 - 32 - 1 - 4 - 1);
	ck_assert_uint_eq(info.generation, 1);
	ck_assert(info.created >= (uint64_t)before && info.created <= (uint64_t)time(NULL));
	ck_assert_uint_eq(info.pages_used, 0);
	/* Sparse: superblocks, directories, the record. */
	ck_assert_uint_eq(unit_storage(unit_device), 5 * PAGE);
	unit_expect_clean();
}
END_TEST

START_TEST(test_each_device_has_its_own_uuid)
{
	struct kmemblk_info a, b;

	unit_format(MIB, 0);
	ck_assert_int_eq(kmemblk_probe(unit_device, &a), 0);
	unlink(unit_device);
	unit_format(MIB, 0);
	ck_assert_int_eq(kmemblk_probe(unit_device, &b), 0);
	ck_assert_str_ne(a.uuid, b.uuid);
}
END_TEST

START_TEST(test_options)
{
	char label[65];
	struct kmemblk_info info;

	memset(label, 'x', sizeof(label));
	label[63] = '\0';
	unit_format_with(&(struct kmemblk_format_options){
		.create_size = 8 * MIB, .disk_size = 5 * PAGE, .spare_pages = 7, .label = label });
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_str_eq(info.label, label);
	ck_assert_uint_eq(info.size_bytes, 5 * PAGE);
	ck_assert_uint_eq(info.pages_spare, 7);
	ck_assert_uint_eq(info.data_pages, 2048 - 4);
	unlink(unit_device);
	label[63] = 'x';
	label[64] = '\0';
	unit_expect_error(
		format(&(struct kmemblk_format_options){ .create_size = MIB, .label = label }),
		EINVAL, "longer than 63 bytes");
}
END_TEST

static unsigned int last_call_done;

static void note_progress(void *opaque, uint64_t done, uint64_t total)
{
	ck_assert_ptr_eq(opaque, &last_call_done);
	ck_assert_uint_le(done, total);
	last_call_done = done == total;
}

START_TEST(test_prealloc_gives_every_block_its_page)
{
	struct kmemblk_info info;
	struct kmemblk *h;

	unit_format_with(&(struct kmemblk_format_options){ .create_size = 8 * MIB,
							   .flags = KMEMBLK_FORMAT_PREALLOC,
							   .progress = note_progress,
							   .progress_opaque = &last_call_done });
	ck_assert(last_call_done);
	ck_assert_uint_eq(unit_storage(unit_device), 8 * MIB);
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_uint_eq(info.pages_used, info.blocks);
	ck_assert_uint_eq(info.pages_free, info.pages_spare);
	h = unit_open(0);
	for (uint64_t block = 0; block < info.blocks; block++)
		unit_expect_zero(h, block);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_type_none)
{
	struct kmemblk_info info;

	unit_format_with(&(struct kmemblk_format_options){ .create_size = MIB, .type = "none" });
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_str_eq(info.type, "none");
	ck_assert_uint_eq(info.blocks + info.pages_tables + info.pages_spare + info.pages_used, 0);
	ck_assert_uint_eq(info.data_pages, 254);
	ck_assert_uint_eq(info.pages_free, 254);
	unit_expect_clean();
}
END_TEST

/* ---- refusals: nothing changes --------------------------------------------------------------- */

/* Refused thus, and the file is as it was. */
static void refused(const struct kmemblk_format_options *options, int err, const char *words)
{
	const char *before = unit_path("before");
	unsigned int descriptors = unit_count_descriptors();

	unit_copy_file(unit_device, before);
	unit_expect_error(format(options), err, words);
	ck_assert(unit_same_file(unit_device, before));
	ck_assert_uint_eq(unit_count_descriptors(), descriptors);
	unlink(before);
}

START_TEST(test_bad_options)
{
	static const struct {
		struct kmemblk_format_options options;
		int err;
		const char *words;
	} cases[] = {
		{ { .flags = 8 }, EINVAL, "unknown flags 0x8" },
		{ { .type = "raid" }, EINVAL, "no type \"raid\"; there are: blk, none" },
		{ { .type = "" }, EINVAL, "no type \"\"" },
		{ { .disk_size = 4097 }, EINVAL, "must be a multiple of 4096" },
		{ { .disk_size = 1ull << 52 }, EINVAL, "at most 2 PiB" },
		{ { .create_size = 4095 }, EINVAL, "must be a multiple of 4096" },
		{ { .create_size = 4096 }, EEXIST, "exists already" },
		{ { .disk_size = MIB }, ENOSPC, "does not fit; at most " },
		{ { .spare_pages = 253 }, ENOSPC, "too few" },
		{ { .type = "none", .disk_size = 4096 }, EINVAL, "give no size" },
		{ { .type = "none", .spare_pages = 1 }, EINVAL, "give no spare" },
		{ { .type = "none", .check = "crc24" }, EINVAL, "give no check" },
		{ { .check = "crc32" },
		  EINVAL,
		  "no check values \"crc32\"; there are: crc24, none" },
	};

	unit_make_file(unit_device, MIB);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(&cases[i].options, cases[i].err, cases[i].words);
	ck_assert_uint_eq(unit_storage(unit_device), 0);
}
END_TEST

START_TEST(test_too_small)
{
	for (uint64_t pages = 0; pages < 8; pages++) {
		unit_make_file(unit_device, pages * PAGE);
		refused(NULL, ENOSPC, "too few");
	}
	unit_make_file(unit_device, 8 * PAGE);
	ck_assert_int_eq(format(NULL), 0);
	unit_expect_clean();
}
END_TEST

START_TEST(test_busy)
{
	struct kmemblk *h;

	unit_format(MIB, 0);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	/* Not even with force. */
	refused(&(struct kmemblk_format_options){ .flags = KMEMBLK_FORMAT_FORCE }, EBUSY,
		"in use by process");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_lent_pages)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 9 * PAGE, .l_len = PAGE
	};
	int fd;

	unit_format(MIB, 0);
	fd = open(unit_device, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	refused(&(struct kmemblk_format_options){ .flags = KMEMBLK_FORMAT_FORCE }, EBUSY,
		"pages of it are used as memory");
	close(fd);
}
END_TEST

START_TEST(test_holds_a_device)
{
	unit_format(MIB, 0);
	refused(NULL, EEXIST, "holds a kmemblk device already; to lose its contents, add --force");
	/* Also a damaged one, and one of which only the copy is left. */
	unit_poke_number(100, 1, 99);
	refused(NULL, EEXIST, "holds a kmemblk device already");
	unit_poke_number(0, 8, 0);
	refused(NULL, EEXIST, "holds a kmemblk device already");
	force();
}
END_TEST

START_TEST(test_holds_something_else)
{
	unit_make_file(unit_device, 8 * MIB);
	/* A swap area: version and size, the signature at the end of the first page. */
	unit_poke_number(1024, 4, 1);
	unit_poke_number(1028, 4, 2047);
	unit_poke(PAGE - 10, "SWAPSPACE2", 10);
	refused(NULL, EEXIST, "holds swap; to lose its contents, add --force");
	force();
}
END_TEST

START_TEST(test_holds_a_partition_table)
{
	static const uint8_t entry[16] = { 0, 0, 2, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0 };

	unit_make_file(unit_device, 8 * MIB);
	unit_poke(446, entry, 16);
	unit_poke_number(510, 2, 0xaa55);
	refused(NULL, EEXIST, "holds a partition table (dos)");
}
END_TEST

/* ---- force and create ------------------------------------------------------------------------ */

START_TEST(test_force_leaves_nothing_of_the_old_device)
{
	struct kmemblk_info info;
	struct kmemblk *h;
	uint8_t page[PAGE];

	h = unit_make(4 * MIB);
	for (uint64_t block = 0; block < 600; block++)
		unit_write(h, block, block);
	kmemblk_close(h);
	/* The device has grown since: the old copy is in the middle of the new one. */
	ck_assert_int_eq(truncate(unit_device, 8 * MIB), 0);
	force();
	unit_peek(4 * MIB - PAGE, page, PAGE);
	ck_assert(unit_is_zero(page, PAGE));
	ck_assert_int_eq(kmemblk_probe(unit_device, &info), 0);
	ck_assert_uint_eq(info.device_pages, 2048);
	ck_assert_uint_eq(info.pages_used, 0);
	h = unit_open(0);
	for (uint64_t block = 0; block < info.blocks; block++)
		unit_expect_zero(h, block);
	unit_close_clean(h);
}
END_TEST

/* Names in the folder of the tests. */
static unsigned int count_files(void)
{
	char path[256];
	unsigned int n = 0;
	DIR *dir;

	strcpy(path, unit_device);
	dir = opendir(dirname(path));
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

START_TEST(test_failed_create_leaves_nothing)
{
	unsigned int before = count_files();

	unit_expect_error(format(&(struct kmemblk_format_options){ .create_size = 4 * PAGE }),
			  ENOSPC, "too few");
	unit_expect_error(
		format(&(struct kmemblk_format_options){ .create_size = MIB, .disk_size = MIB }),
		ENOSPC, "does not fit");
	/* More than the file system can have. */
	ck_assert_int_lt(format(&(struct kmemblk_format_options){
				 .create_size = 1ull << 51, .flags = KMEMBLK_FORMAT_PREALLOC }),
			 0);
	ck_assert_uint_eq(count_files(), before);
}
END_TEST

START_TEST(test_create_does_not_replace)
{
	unit_make_file(unit_device, 3);
	refused(&(struct kmemblk_format_options){ .create_size = MIB,
						  .flags = KMEMBLK_FORMAT_FORCE },
		EEXIST, "exists already; name a file that does not exist");
}
END_TEST

UNIT_MAIN("format", test_defaults, test_each_device_has_its_own_uuid, test_options,
	  test_prealloc_gives_every_block_its_page, test_type_none, test_bad_options,
	  test_too_small, test_busy, test_lent_pages, test_holds_a_device,
	  test_holds_something_else, test_holds_a_partition_table,
	  test_force_leaves_nothing_of_the_old_device, test_failed_create_leaves_nothing,
	  test_create_does_not_replace)
