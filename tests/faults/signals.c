/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.c - signals that interrupt system calls (EINTR) make no call of the library fail.
 *
 * A thread rains a signal on the one that works, whose handler does not restart what it
 * interrupts, while a device is formatted, opened, written, read, trimmed, checked.  On tmpfs, and on
 * an ordinary file below the folder of the build.
 *
 * Newer kernels let only a deadly signal interrupt fallocate; others do what __wrap_fallocate() does
 * here.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"
#include "common/disk.h"

static pthread_t worker;
static _Atomic bool stop;
static atomic_uint handled;

static void on_signal(int signum)
{
	(void)signum;
	atomic_fetch_add(&handled, 1);
}

/* How fallocate is interrupted. */
static enum {
	NOW_AND_THEN,  /* two calls of three */
	BY_ANY_SIGNAL, /* each call, as long as the signal is not blocked */
	WHATEVER_IS_DONE,
} interrupted;

int __real_fallocate(int fd, int mode, off_t offset, off_t len);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t len);

int __wrap_fallocate(int fd, int mode, off_t offset, off_t len)
{
	static atomic_uint calls;
	unsigned int call = atomic_fetch_add(&calls, 1);
	bool interrupt = true;
	sigset_t blocked;

	if (interrupted == NOW_AND_THEN) {
		interrupt = call % 3 != 2;
	} else if (interrupted == BY_ANY_SIGNAL) {
		pthread_sigmask(SIG_SETMASK, NULL, &blocked);
		interrupt = sigismember(&blocked, SIGUSR1) == 0;
	}
	if (!interrupt)
		return __real_fallocate(fd, mode, offset, len);
	/* Whoever has tried this often will never end. */
	if (call > 100000)
		abort();
	errno = EINTR;
	return -1;
}

static void *rain(void *opaque)
{
	(void)opaque;
	while (!atomic_load(&stop)) {
		pthread_kill(worker, SIGUSR1);
		usleep(50);
	}
	return NULL;
}

/* Whatever the library waits in: each call must succeed. */
static void work(uint64_t size, unsigned int rounds)
{
	struct kmemblk_format_options again = { .flags = KMEMBLK_FORMAT_FORCE |
							 KMEMBLK_FORMAT_PREALLOC };
	struct kmemblk_info info;
	struct kmemblk *h;

	for (unsigned int round = 0; round < rounds; round++) {
		unlink(unit_device);
		unit_format(size, round % 2 ? KMEMBLK_FORMAT_PREALLOC : 0);
		h = unit_open(0);
		kmemblk_get_info(h, &info);
		for (uint64_t block = 0; block < info.blocks; block += 3) {
			unit_write(h, block, block);
			unit_expect(h, block, block);
		}
		ck_assert_msg(kmemblk_write(disk_of(h), "abc", 3, 5 * PAGE - 1) == 0, "%s",
			      kmemblk_error());
		ck_assert_msg(kmemblk_zero(disk_of(h), 5 * PAGE, 9 * PAGE + 1,
					   KMEMBLK_ZERO_NO_HOLE) == 0,
			      "%s", kmemblk_error());
		ck_assert_msg(kmemblk_trim(disk_of(h), info.size_bytes, 0) == 0, "%s",
			      kmemblk_error());
		unit_close_clean(h);
		ck_assert_msg(kmemblk_probe(unit_device, &info) == 0, "%s", kmemblk_error());
		ck_assert_msg(kmemblk_format(unit_device, &again) == 0, "%s", kmemblk_error());
		h = unit_open(KMEMBLK_OPEN_READONLY);
		unit_expect_zero(h, 0);
		kmemblk_close(h);
	}
}

static void work_in_the_rain(uint64_t size, unsigned int rounds)
{
	struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART */
	pthread_t thread;

	worker = pthread_self();
	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, rain, NULL), 0);
	work(size, rounds);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	ck_assert_uint_gt(atomic_load(&handled), 100);
}

START_TEST(test_on_tmpfs)
{
	work_in_the_rain(64 * MIB, (unsigned int)scale(10));
}
END_TEST

START_TEST(test_on_an_ordinary_file)
{
	work_in_the_rain(2 * MIB, (unsigned int)scale(4));
}
END_TEST

/* Faster than a large fallocate is done: trying again is not enough. */
START_TEST(test_faster_than_fallocate)
{
	sigset_t blocked;

	interrupted = BY_ANY_SIGNAL;
	work(4 * MIB, 1);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	ck_assert_int_eq(sigismember(&blocked, SIGUSR1), 0);
}
END_TEST

START_TEST(test_what_never_ends_is_an_error)
{
	struct kmemblk_format_options options = { .create_size = 4 * MIB };

	interrupted = WHATEVER_IS_DONE;
	unit_expect_error(kmemblk_format(unit_device, &options), EINTR, unit_device);
	ck_assert_int_eq(access(unit_device, F_OK), -1);
}
END_TEST

int main(void)
{
	const TTest *const on_tmpfs[] = { test_on_tmpfs, test_faster_than_fallocate,
					  test_what_never_ends_is_an_error };
	const TTest *const on_a_file[] = { test_on_an_ordinary_file };
	int status = unit_run("signals", on_tmpfs, 3);
	int other = unit_run_in(".", "signals", on_a_file, 1);

	return status != 0 ? status : other;
}
