/* SPDX-License-Identifier: BSD-3-Clause */
/* kmemblk.c - a handle's life: open, start, fork, close. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

START_TEST(test_version)
{
	ck_assert_str_eq(kmemblk_version(), PACKAGE_VERSION);
}
END_TEST

START_TEST(test_open_changes_nothing)
{
	const char *before = unit_path("before");
	struct kmemblk *h;
	uint64_t first;

	unit_format(8 * MIB, 0);
	unit_copy_file(unit_device, before);
	first = unit_storage(unit_device);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	kmemblk_close(h);
	ck_assert_uint_eq(unit_storage(unit_device), first);
	h = unit_open(0);
	kmemblk_close(h);
	ck_assert(unit_same_file(unit_device, before));
	/* For writing, storage for overwriting what there is: the record. */
	ck_assert_uint_le(unit_storage(unit_device), first + 2 * PAGE);
}
END_TEST

START_TEST(test_one_writer_or_many_readers)
{
	struct kmemblk *h, *other, *third;

	h = unit_make(MIB);
	unit_expect_error(kmemblk_open(unit_device, 0, &other), EBUSY, "in use by process");
	unit_expect_error(kmemblk_open(unit_device, 1, &other), EBUSY, "in use by process");
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	other = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_open(unit_device, 0, &third), EBUSY, "in use by process");
	kmemblk_close(h);
	kmemblk_close(other);
	kmemblk_close(NULL);
}
END_TEST

START_TEST(test_failed_open_leaves_nothing)
{
	unsigned int descriptors = unit_count_descriptors();
	struct kmemblk *h;

	unit_expect_error(kmemblk_open(unit_device, 0, &h), ENOENT, "no such file");
	unit_expect_error(kmemblk_open(unit_device, 4, &h), EINVAL, "unknown flags 0x4");
	for (unsigned int flags = 0; flags <= KMEMBLK_OPEN_READONLY; flags++) {
		unit_make_file(unit_device, 0);
		unit_expect_error(kmemblk_open(unit_device, flags, &h), EMEDIUMTYPE, "and empty");
		unit_make_file(unit_device, 100);
		unit_expect_error(kmemblk_open(unit_device, flags, &h), EMEDIUMTYPE,
				  "smaller than a page");
	}
	unit_make_file(unit_device, MIB);
	unit_expect_error(kmemblk_open(unit_device, 0, &h), EMEDIUMTYPE, "not a kmemblk device");
	ck_assert_uint_eq(unit_count_descriptors(), descriptors);
	/* Nor the claim. */
	ck_assert_int_eq(kmemblk_format(unit_device, NULL), 0);
}
END_TEST

START_TEST(test_damaged_map_opens_for_reading_only)
{
	struct kmemblk *h;

	unit_format(8 * MIB, 0);
	unit_poke_entry(2, ~0ull);
	unit_poke_entry(3, ~0ull);
	unit_poke_page(4, 10);
	unit_poke_page(5, 10);
	unit_expect_error(kmemblk_open(unit_device, 0, &h), EUCLEAN,
			  "the map is damaged (2 bad entries, 1 pages named twice, 0 entries "
			  "unreadable); for details type: kmemblk check ");
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_zero(h, 0);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_start_twice)
{
	struct kmemblk *h = unit_make(MIB);

	unit_expect_error(kmemblk_start(h), EINVAL, "started already");
	unit_write(h, 0, 1);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_close_without_start)
{
	struct kmemblk *h;

	unit_format(MIB, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	kmemblk_close(h);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	kmemblk_close(h);
}
END_TEST

static void *wait_for_it(void *opaque)
{
	sem_wait(opaque);
	return NULL;
}

static unsigned int count_threads(void)
{
	char line[64];
	unsigned int n = 0;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	char text[4096] = "";
	const char *at;

	ck_assert(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	at = strstr(text, "\nThreads:");
	ck_assert(at != NULL && sscanf(at, "%63s %u", line, &n) == 2);
	return n;
}

/* The kernel counts a thread for a moment after it has been joined. */
static void expect_threads(unsigned int n)
{
	AWAIT(count_threads() == n);
}

START_TEST(test_threads_come_at_start_and_go_at_close)
{
	unsigned int before;
	struct kmemblk *h;
	pthread_t thread;
	sem_t go;

	/* The first thread may bring a helper of a sanitizer's with it. */
	sem_init(&go, 0, 0);
	pthread_create(&thread, NULL, wait_for_it, &go);
	before = count_threads() - 1;
	sem_post(&go);
	pthread_join(thread, NULL);
	expect_threads(before);
	unit_format(MIB, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	ck_assert_uint_eq(count_threads(), before);
	ck_assert_int_eq(kmemblk_start(h), 0);
	ck_assert_uint_eq(count_threads(), before + 2);
	kmemblk_close(h);
	expect_threads(before);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	ck_assert_uint_eq(count_threads(), before);
	kmemblk_close(h);
}
END_TEST

/* As a server that becomes a daemon: the parent opens, the child starts. */
START_TEST(test_the_child_serves_what_the_parent_opened)
{
	struct kmemblk *h, *other;
	int status;
	pid_t pid;

	unit_format(8 * MIB, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	pid = fork();
	if (pid == 0) {
		uint8_t page[PAGE];

		unit_fill(page, 5);
		if (kmemblk_start(h) != 0 || kmemblk_write(disk_of(h), page, PAGE, 7 * PAGE) != 0)
			_exit(1);
		/* Dies without closing: nothing is lost. */
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	/* The parent's descriptor still holds the claim. */
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &other), -EBUSY);
	kmemblk_close(h);
	h = unit_open(0);
	unit_expect(h, 7, 5);
	unit_close_clean(h);
}
END_TEST

static uint8_t *mapped;

static void touch_mapping(void)
{
	signal(SIGSEGV, SIG_DFL);
	_exit(*(volatile uint8_t *)mapped);
}

START_TEST(test_children_do_not_inherit_the_mapping)
{
	struct kmemblk *h;
	int status;

	h = unit_make(MIB);
	mapped = h->device.pm.base;
	status = unit_in_child(touch_mapping);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	unit_write(h, 0, 1);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_killed_in_the_middle_of_writing)
{
	struct kmemblk *h;
	pid_t pid;

	unit_format(8 * MIB, 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		h = unit_open(0);
		for (uint64_t i = 0;; i++)
			unit_write(h, i % 1000, i % 1000);
	}
	AWAIT(unit_peek_entry(0) != 0);
	usleep(20000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	unit_expect_clean();
	h = unit_open(0);
	unit_expect(h, 0, 0);
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("kmemblk", test_version, test_open_changes_nothing, test_one_writer_or_many_readers,
	  test_failed_open_leaves_nothing, test_damaged_map_opens_for_reading_only,
	  test_start_twice, test_close_without_start, test_threads_come_at_start_and_go_at_close,
	  test_the_child_serves_what_the_parent_opened, test_children_do_not_inherit_the_mapping,
	  test_killed_in_the_middle_of_writing)
