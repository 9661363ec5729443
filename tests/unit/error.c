/* SPDX-License-Identifier: BSD-3-Clause */
/* error.c - the message of a thread's last failed call. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "unit.h"

#include "base/error.h"

static void *read_message(void *opaque)
{
	strcpy(opaque, kmemblk_error());
	fail(EIO, "another thread's");
	return NULL;
}

START_TEST(test_each_thread_has_its_own)
{
	char seen[16] = "not called";
	pthread_t thread;

	fail(EIO, "this thread's");
	pthread_create(&thread, NULL, read_message, seen);
	pthread_join(thread, NULL);
	ck_assert_str_eq(seen, "");
	ck_assert_str_eq(kmemblk_error(), "this thread's");
}
END_TEST

START_TEST(test_fail_returns_the_errno_negated)
{
	ck_assert_int_eq(fail(ENOSPC, "open: %s: %d", "disk", 7), -ENOSPC);
	ck_assert_str_eq(kmemblk_error(), "open: disk: 7");
}
END_TEST

START_TEST(test_fail_errno_adds_the_reason)
{
	ck_assert_int_eq(fail_errno(ENOENT, "open: %s", "disk"), -ENOENT);
	ck_assert_str_eq(kmemblk_error(), "open: disk: No such file or directory");
}
END_TEST

START_TEST(test_long_text_is_cut)
{
	char text[2000];

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	fail(EIO, "%s", text);
	ck_assert_uint_eq(strlen(kmemblk_error()), 511);
	fail_errno(EIO, "%s", text);
	ck_assert_uint_eq(strlen(kmemblk_error()), 511);
}
END_TEST

UNIT_MAIN("error", test_each_thread_has_its_own, test_fail_returns_the_errno_negated,
	  test_fail_errno_adds_the_reason, test_long_text_is_cut)
