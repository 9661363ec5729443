/* SPDX-License-Identifier: BSD-3-Clause */
/* error.c - the message of a thread's last failed call. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "unit.h"

#include "base/error.h"
#include "base/printable.h"

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
	ck_assert_uint_eq(strlen(kmemblk_error()), 1023);
	ck_assert_str_eq(kmemblk_error() + 1018, "xx...");
	fail_errno(EIO, "%s", text);
	ck_assert_uint_eq(strlen(kmemblk_error()), 1023);
	ck_assert_str_eq(kmemblk_error() + 1018, "xx...");
	/* As much as there is room for. */
	text[1023] = '\0';
	fail(EIO, "%s", text);
	ck_assert_str_eq(kmemblk_error(), text);
}
END_TEST

START_TEST(test_no_control_character_reaches_a_terminal)
{
	/* The last is what a terminal of 8 bits takes for ESC [. */
	const char *hostile = "a\033[2Jb\nc\177d\xc2\x9b"
			      "2Je\x9b";

	fail(EIO, "open: %s: gr\xc3\xbc\xc3\x9f", hostile);
	ck_assert_str_eq(kmemblk_error(), "open: a?[2Jb?c?d??2Je?: gr\xc3\xbc\xc3\x9f");
	fail_errno(ENOENT, "open: %s", hostile);
	ck_assert_str_eq(kmemblk_error(), "open: a?[2Jb?c?d??2Je?: No such file or directory");
}
END_TEST

/* What UTF-8 allows, and at each edge what it does not. */
START_TEST(test_only_characters_are_shown)
{
	static const char *const shown[] = { "\xc2\xa0",	"\xdf\xbf",	"\xe0\xa0\x80",
					     "\xed\x9f\xbf",	"\xef\xbf\xbf", "\xf0\x90\x80\x80",
					     "\xf4\x8f\xbf\xbf" };
	static const char *const hidden[] = { "\xc1\xbf",
					      "\xc2\x80",
					      "\xc2\x9f",
					      "\xe0\x9f\xbf",
					      "\xed\xa0\x80",
					      "\xf0\x8f\xbf\xbf",
					      "\xf4\x90\x80\x80",
					      "\xf5\x80\x80\x80",
					      "\xc3",
					      "\xe1\x80",
					      "\xe1\x80x",
					      "\xf1\x80\x80",
					      "\xff",
					      "\x80",
					      "\001",
					      "\177" };

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		ck_assert_uint_eq(printable_length(shown[i]), strlen(shown[i]));
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		ck_assert_uint_eq(printable_length(hidden[i]), 0);
	ck_assert_uint_eq(printable_length(""), 0);
}
END_TEST

UNIT_MAIN("error", test_each_thread_has_its_own, test_fail_returns_the_errno_negated,
	  test_fail_errno_adds_the_reason, test_long_text_is_cut,
	  test_no_control_character_reaches_a_terminal, test_only_characters_are_shown)
