/* SPDX-License-Identifier: BSD-3-Clause */
/* device.c - what is recognised, what is refused and why; storage of a file with holes. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/packet.h"
#include "media/device.h"
#include "unit.h"

/* Another process makes the file, just before or just after a look finds nothing. */
static enum { NEVER, BEFORE_LOOK, AFTER_LOOK } appears;

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __real_lstat(const char *path, struct stat *st);
int __wrap_lstat(const char *path, struct stat *st);

static int look(int (*look_fn)(const char *, struct stat *), const char *path, struct stat *st)
{
	int rc, err;

	if (appears == BEFORE_LOOK)
		unit_make_file(unit_device, 2 * PAGE);
	rc = look_fn(path, st);
	err = errno;
	if (appears == AFTER_LOOK)
		unit_make_file(unit_device, 2 * PAGE);
	appears = NEVER;
	errno = err;
	return rc;
}

int __wrap_stat(const char *path, struct stat *st)
{
	return look(__real_stat, path, st);
}

int __wrap_lstat(const char *path, struct stat *st)
{
	return look(__real_lstat, path, st);
}

START_TEST(test_file_on_tmpfs)
{
	struct device device;

	unit_make_file(unit_device, 10 * PAGE + 17);
	ck_assert_int_eq(device_open(&device, unit_device, false), 0);
	ck_assert_int_eq(device.media, PM_TMPFS);
	ck_assert_str_eq(device_media_name(device.media), "tmpfs");
	ck_assert(device.holes && !device.readonly);
	/* Whole pages only. */
	ck_assert_uint_eq(device.size, 10 * PAGE);
	ck_assert_str_eq(device.path, unit_device);
	ck_assert(fcntl(device.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert((fcntl(device.fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	device_close(&device);
	ck_assert_int_eq(device.fd, -1);
	/* Again is allowed. */
	device_close(&device);

	ck_assert_int_eq(device_open(&device, unit_device, true), 0);
	ck_assert(device.readonly && (fcntl(device.fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	device_close(&device);
}
END_TEST

START_TEST(test_names_of_all_media)
{
	ck_assert_str_eq(device_media_name(PM_DEVDAX), "devdax");
	ck_assert_str_eq(device_media_name(PM_FSDAX), "fsdax");
	ck_assert_str_eq(device_media_name(PM_FILE), "file");
}
END_TEST

/* It must fail thus, for reading and for writing, and leave nothing open. */
static void refused(const char *path, int err, const char *words)
{
	unsigned int before = unit_count_descriptors();

	for (int readonly = 0; readonly < 2; readonly++) {
		struct device device;

		unit_expect_error(device_open(&device, path, readonly), err, words);
		ck_assert_msg(strstr(kmemblk_error(), path) != NULL, "%s", kmemblk_error());
		ck_assert_int_eq(device.fd, -1);
		ck_assert(device.path == NULL);
	}
	ck_assert_uint_eq(unit_count_descriptors(), before);
}

START_TEST(test_missing_file_names_the_command)
{
	refused(unit_device, ENOENT, "kmemblk format --create=SIZE ");
}
END_TEST

START_TEST(test_missing_devdax_names_the_command)
{
	refused("/dev/dax99.7", ENOENT, "daxctl reconfigure-device --force --mode=devdax dax99.7");
}
END_TEST

START_TEST(test_directory)
{
	struct device device;

	mkdir(unit_device, 0700);
	unit_expect_error(device_open(&device, unit_device, true), EINVAL,
			  "neither a devdax device nor a regular file");
	unit_expect_error(device_open(&device, unit_device, false), EISDIR, "Is a directory");
	rmdir(unit_device);
}
END_TEST

START_TEST(test_fifo_does_not_hang)
{
	ck_assert_int_eq(mkfifo(unit_device, 0600), 0);
	refused(unit_device, EINVAL, "neither a devdax device nor a regular file");
}
END_TEST

START_TEST(test_socket)
{
	struct sockaddr_un address = packet_address(unit_device);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	refused(unit_device, ENXIO, "a socket: name the device");
	close(fd);
}
END_TEST

START_TEST(test_other_character_device)
{
	refused("/dev/null", EINVAL, "a character device, but not a devdax one");
}
END_TEST

START_TEST(test_block_device)
{
	struct device device;
	glob_t found = { 0 };

	glob("/dev/loop[0-9]", 0, NULL, &found);
	glob("/dev/[sv]d[a-z]", GLOB_APPEND, NULL, &found);
	/* Without root there may be none that can be opened. */
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);

		if (fd == -1)
			continue;
		close(fd);
		unit_expect_error(device_open(&device, found.gl_pathv[i], true), EINVAL,
				  "a block device; give a devdax device");
		break;
	}
	globfree(&found);
}
END_TEST

/* ---- holes ---------------------------------------------------------------------------------- */

static void open_holey(struct device *device)
{
	uint8_t bytes[2 * PAGE];

	unit_make_file(unit_device, 16 * PAGE);
	memset(bytes, 5, sizeof(bytes));
	unit_poke(2 * PAGE, bytes, 2 * PAGE);
	unit_poke(6 * PAGE, bytes, PAGE);
	ck_assert_int_eq(device_open(device, unit_device, false), 0);
}

static void expect_data(const struct device *device, uint64_t from, uint64_t limit, uint64_t first,
			uint64_t end)
{
	uint64_t start = 0, stop = 0;

	ck_assert(device_next_data(device, from * PAGE, limit * PAGE, &start, &stop));
	ck_assert_uint_eq(start, first * PAGE);
	ck_assert_uint_eq(stop, end * PAGE);
}

START_TEST(test_next_data_finds_each_run)
{
	struct device device;
	uint64_t start, end;

	open_holey(&device);
	expect_data(&device, 0, 16, 2, 4);
	expect_data(&device, 3, 16, 3, 4);
	expect_data(&device, 4, 16, 6, 7);
	/* Cut to the limit; nothing at or past it. */
	expect_data(&device, 0, 3, 2, 3);
	ck_assert(!device_next_data(&device, 0, 2 * PAGE, &start, &end));
	ck_assert(!device_next_data(&device, 7 * PAGE, 16 * PAGE, &start, &end));
	ck_assert(!device_next_data(&device, 3 * PAGE, 3 * PAGE, &start, &end));
	ck_assert(!device_next_data(&device, 100 * PAGE, 200 * PAGE, &start, &end));
	/* A device without holes is data all over. */
	device.holes = false;
	expect_data(&device, 4, 16, 4, 16);
	device_close(&device);
}
END_TEST

START_TEST(test_allocate_gives_storage_and_keeps_data)
{
	struct device device;
	uint8_t page[PAGE];

	open_holey(&device);
	ck_assert_uint_eq(unit_storage(unit_device), 3 * PAGE);
	ck_assert_int_eq(device_allocate(&device, 0, 8 * PAGE), 0);
	ck_assert_uint_eq(unit_storage(unit_device), 8 * PAGE);
	unit_peek(3 * PAGE, page, PAGE);
	ck_assert_uint_eq(page[0], 5);
	unit_peek(5 * PAGE, page, PAGE);
	ck_assert(unit_is_zero(page, PAGE));
	device_close(&device);
}
END_TEST

START_TEST(test_punch_takes_storage)
{
	struct device device;
	uint8_t page[PAGE];

	open_holey(&device);
	ck_assert_int_eq(device_punch_durably(&device, 0, 3 * PAGE), 0);
	ck_assert_uint_eq(unit_storage(unit_device), 2 * PAGE);
	unit_peek(2 * PAGE, page, PAGE);
	ck_assert(unit_is_zero(page, PAGE));
	unit_peek(3 * PAGE, page, PAGE);
	ck_assert_uint_eq(page[PAGE - 1], 5);
	device.holes = false;
	ck_assert_int_eq(device_punch_durably(&device, 0, 16 * PAGE), -EOPNOTSUPP);
	ck_assert_uint_eq(unit_storage(unit_device), 2 * PAGE);
	device_close(&device);
}
END_TEST

/* ---- files that are made -------------------------------------------------------------------- */

START_TEST(test_created_file_has_no_name_until_published)
{
	struct device device;
	struct stat st;

	ck_assert_int_eq(device_create(&device, unit_device, 8 * PAGE, DEVICE_ANYBODYS), 0);
	ck_assert_uint_eq(device.size, 8 * PAGE);
	ck_assert_int_eq(stat(unit_device, &st), -1);
	ck_assert_int_eq(device_publish(&device), 0);
	ck_assert_int_eq(stat(unit_device, &st), 0);
	ck_assert_int_eq(st.st_size, 8 * PAGE);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	device_close(&device);
}
END_TEST

START_TEST(test_create_refuses_what_exists)
{
	unsigned int before = unit_count_descriptors();
	struct device device;

	unit_make_file(unit_device, 3);
	unit_expect_error(device_create(&device, unit_device, 8 * PAGE, DEVICE_ANYBODYS), EEXIST,
			  "exists already");
	ck_assert_uint_eq(unit_count_descriptors(), before);
}
END_TEST

START_TEST(test_publish_does_not_replace)
{
	struct device device;
	struct stat st;

	ck_assert_int_eq(device_create(&device, unit_device, 8 * PAGE, DEVICE_ANYBODYS), 0);
	unit_make_file(unit_device, 3);
	unit_expect_error(device_publish(&device), EEXIST, unit_device);
	device_close(&device);
	ck_assert_int_eq(stat(unit_device, &st), 0);
	ck_assert_int_eq(st.st_size, 3);
}
END_TEST

START_TEST(test_a_file_that_appears_is_no_symlink)
{
	struct device device;

	appears = BEFORE_LOOK;
	unit_expect_error(device_open(&device, unit_device, false), ENOENT, "no such file");
	unlink(unit_device);

	appears = AFTER_LOOK;
	ck_assert_int_eq(device_create(&device, unit_device, 8 * PAGE, DEVICE_ANYBODYS), 0);
	unit_expect_error(device_publish(&device), EEXIST, "create: ");
	device_close(&device);

	unlink(unit_device);
	appears = BEFORE_LOOK;
	unit_expect_error(device_create(&device, unit_device, 8 * PAGE, DEVICE_ANYBODYS), EEXIST,
			  "exists already");
}
END_TEST

START_TEST(test_create_in_a_missing_folder)
{
	struct device device;

	unit_expect_error(device_create(&device, unit_path("no/such"), 8 * PAGE, DEVICE_ANYBODYS),
			  ENOENT, "no/such");
}
END_TEST

UNIT_MAIN("device", test_file_on_tmpfs, test_names_of_all_media,
	  test_missing_file_names_the_command, test_missing_devdax_names_the_command,
	  test_directory, test_fifo_does_not_hang, test_socket, test_other_character_device,
	  test_block_device, test_next_data_finds_each_run,
	  test_allocate_gives_storage_and_keeps_data, test_punch_takes_storage,
	  test_created_file_has_no_name_until_published, test_create_refuses_what_exists,
	  test_publish_does_not_replace, test_a_file_that_appears_is_no_symlink,
	  test_create_in_a_missing_folder)
