/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * out-of-memory.c - every allocation and every other request for a resource that the library makes
 * in a call fails in turn: the call says so, leaks nothing, and the device is none the worse.
 *
 * The linker sends the library's calls of malloc() and the like here.
 */
#include "config.h"

#include <blkid/blkid.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/packet.h"
#include "unit.h"
#include "common/disk.h"

/* Calls until one fails; -1: none will. */
static _Atomic int fails_in = -1;
/* It has failed. */
static _Atomic bool failed;
/* What was allocated and not freed. */
static _Atomic long live;

static bool fail_now(void)
{
	if (fails_in < 0 || fails_in-- > 0)
		return false;
	failed = true;
	return true;
}

#define WRAP(type, name, parameters, arguments, nothing, error)                                    \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		if (fail_now()) {                                                                  \
			errno = error;                                                             \
			return nothing;                                                            \
		}                                                                                  \
		return __real_##name arguments;                                                    \
	}

#define WRAP_ALLOCATION(name, parameters, arguments)                                               \
	void *__real_##name parameters;                                                            \
	void *__wrap_##name parameters;                                                            \
	void *__wrap_##name parameters                                                             \
	{                                                                                          \
		void *memory = NULL;                                                               \
                                                                                                   \
		errno = ENOMEM;                                                                    \
		if (!fail_now())                                                                   \
			memory = __real_##name arguments;                                          \
		live += memory != NULL;                                                            \
		return memory;                                                                     \
	}

WRAP_ALLOCATION(malloc, (size_t size), (size))
WRAP_ALLOCATION(calloc, (size_t n, size_t size), (n, size))
WRAP_ALLOCATION(aligned_alloc, (size_t alignment, size_t size), (alignment, size))
WRAP_ALLOCATION(strdup, (const char *text), (text))
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL, EMFILE)
WRAP(DIR *, opendir, (const char *path), (path), NULL, EMFILE)
WRAP(blkid_probe, blkid_new_probe, (void), (), NULL, ENOMEM)
WRAP(int, memfd_create, (const char *name, unsigned int flags), (name, flags), -1, EMFILE)
WRAP(int, fsync, (int fd), (fd), -1, EIO)
WRAP(int, pthread_create,
     (pthread_t * thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
     (thread, attr, fn, arg), EAGAIN, 0)

void __real_free(void *memory);
void __wrap_free(void *memory);

void __wrap_free(void *memory)
{
	live -= memory != NULL;
	__real_free(memory);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
	void *moved = NULL;

	errno = ENOMEM;
	if (!fail_now())
		moved = __real_realloc(memory, size);
	live += memory == NULL && moved != NULL;
	return moved;
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if (fail_now()) {
		errno = EMFILE;
		return -1;
	}
	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	return __real_open(path, flags, mode);
}

/* ---- the calls ------------------------------------------------------------------------------- */

/* 0 when the call has succeeded (and been undone), else -errno. */
typedef int (*call_fn)(void);

static int open_and_write(void)
{
	uint8_t page[PAGE];
	struct kmemblk *h;
	int rc = kmemblk_open(unit_device, 0, &h);

	if (rc != 0)
		return rc;
	unit_fill(page, 1);
	rc = kmemblk_start(h);
	/* The handle is as before: it can be started. */
	if (rc != 0 && kmemblk_start(h) != 0)
		abort();
	if (rc == 0)
		rc = kmemblk_write(disk_of(h), page, PAGE, 0);
	else if (kmemblk_write(disk_of(h), page, PAGE, 0) != 0)
		abort();
	kmemblk_close(h);
	return rc;
}

/* A lending server answers at the socket. */
static bool is_served(const char *path)
{
	struct lend_message message;
	int fd = packet_connect(path);
	bool served;

	served = packet_send(fd, LEND_HELLO, 0, 0) &&
		 recv(fd, &message, sizeof(message), 0) == sizeof(message) &&
		 message.kind == LEND_WELCOME;
	close(fd);
	return served;
}

static int open_and_lend(void)
{
	struct kmemblk_lend_options options = {
		.socket = unit_path("lend"), .owner = -1u, .group = -1u, .limit = KMEMBLK_DEFAULT
	};
	struct kmemblk *h;
	int rc = kmemblk_open(unit_device, 0, &h);

	if (rc != 0)
		return rc;
	rc = kmemblk_lend(h, &options);
	if (rc == 0) {
		rc = kmemblk_start(h);
		/* The handle is as before, and the socket is there. */
		if (rc != 0 && kmemblk_start(h) != 0)
			abort();
		fails_in = -1;
		if (!is_served(options.socket))
			abort();
	}
	kmemblk_close(h);
	if (access(options.socket, F_OK) == 0)
		abort();
	return rc;
}

static int open_readonly(void)
{
	struct kmemblk *h;
	int rc = kmemblk_open(unit_device, KMEMBLK_OPEN_READONLY, &h);

	if (rc != 0)
		return rc;
	rc = kmemblk_start(h);
	kmemblk_close(h);
	return rc;
}

static int probe(void)
{
	struct kmemblk_info info;

	return kmemblk_probe(unit_device, &info);
}

static int check(void)
{
	struct kmemblk_check_result result;

	return kmemblk_check(unit_device, NULL, &result);
}

static int check_and_repair(void)
{
	struct kmemblk_check_options options = { .flags = KMEMBLK_CHECK_REPAIR };
	struct kmemblk_check_result result;

	return kmemblk_check(unit_device, &options, &result);
}

static int format(void)
{
	int rc = kmemblk_format(unit_path("formatted"), NULL);

	fails_in = -1;
	if (rc == 0)
		unit_make_file(unit_path("formatted"), MIB);
	return rc;
}

static int create(void)
{
	int rc = kmemblk_format(unit_path("created"),
				&(struct kmemblk_format_options){ .create_size = MIB });

	if (rc == 0)
		unlink(unit_path("created"));
	return rc;
}

/* Once a failure at every place in turn; then all is as it was.  Returns how many places. */
static unsigned int fail_each(call_fn call, void (*after_failure)(void))
{
	unsigned int places = 0, descriptors = unit_count_descriptors();
	long before = live;
	int rc;

	do {
		failed = false;
		fails_in = (int)places++;
		rc = call();
		fails_in = -1;
		ck_assert_msg(rc == 0 || failed, "%d: %s", rc, kmemblk_error());
		if (rc != 0) {
			ck_assert_str_ne(kmemblk_error(), "");
			ck_assert_msg(strstr(kmemblk_error(), "kmemblk-unit.") != NULL ||
					      strstr(kmemblk_error(), "SIGBUS") != NULL,
				      "place %u: %s", places, kmemblk_error());
			if (after_failure != NULL)
				after_failure();
		}
		ck_assert_msg(live == before, "place %u: %ld leaked", places, live - before);
		ck_assert_uint_eq(unit_count_descriptors(), descriptors);
	} while (failed);
	ck_assert_int_eq(rc, 0);
	return places - 1;
}

static void make(void)
{
	struct kmemblk *h = unit_make(MIB);

	unit_write(h, 0, 1);
	kmemblk_close(h);
}

START_TEST(test_open)
{
	make();
	ck_assert_uint_ge(fail_each(open_and_write, unit_expect_clean), 10);
	ck_assert_uint_ge(fail_each(open_readonly, unit_expect_clean), 5);
	open_and_write();
	unit_expect_clean();
}
END_TEST

START_TEST(test_lend)
{
	make();
	/* Five of them at the start. */
	ck_assert_uint_ge(fail_each(open_and_lend, unit_expect_clean), 15);
}
END_TEST

START_TEST(test_probe)
{
	make();
	ck_assert_uint_ge(fail_each(probe, NULL), 4);
}
END_TEST

START_TEST(test_check)
{
	make();
	ck_assert_uint_ge(fail_each(check, NULL), 5);
	/* libblkid is asked, too. */
	unit_poke_number(0, 8, 0);
	ck_assert_uint_ge(fail_each(check, NULL), 6);
	ck_assert_uint_ge(fail_each(check_and_repair, NULL), 6);
	unit_expect_clean();
}
END_TEST

/* Nothing with the name is left. */
static void no_file(void)
{
	ck_assert_int_eq(access(unit_path("created"), F_OK), -1);
}

START_TEST(test_create)
{
	ck_assert_uint_ge(fail_each(create, no_file), 4);
}
END_TEST

START_TEST(test_format)
{
	unit_make_file(unit_path("formatted"), MIB);
	ck_assert_uint_ge(fail_each(format, NULL), 4);
	unlink(unit_path("formatted"));
}
END_TEST

UNIT_MAIN("out-of-memory", test_open, test_lend, test_probe, test_check, test_create, test_format)
