/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.c - the message of a thread's last failed call.
 *
 * The text lives in thread-local storage of fixed size: reporting an error never allocates, so it
 * works when memory has run out, and needs no clean-up when a thread ends.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/printable.h"
#include "kmemblk.h"

/* Not much longer: a program's threads have it on their stacks, which may be the smallest. */
static __thread char message[1024];

const char *kmemblk_error(void)
{
	return message;
}

/*
 * What is named may be any bytes, and none of them may move the cursor of a terminal.  And who reads
 * must see that an end is missing: the rest of a path is another path.
 */
static void tidy(int length)
{
	static const char cut[] = "...";

	if (length >= (int)sizeof(message))
		memcpy(message + sizeof(message) - sizeof(cut), cut, sizeof(cut));
	printable_make(message);
}

int fail(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tidy(vsnprintf(message, sizeof(message), format, args));
	va_end(args);
	return -err;
}

int fail_errno(int err, const char *format, ...)
{
	char reason[128];
	va_list args;
	size_t used;

	va_start(args, format);
	tidy(vsnprintf(message, sizeof(message), format, args));
	va_end(args);
	used = strlen(message);
	snprintf(message + used, sizeof(message) - used, ": %s",
		 strerror_r(err, reason, sizeof(reason)));
	return -err;
}
