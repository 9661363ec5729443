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
#include "kmemblk.h"

static __thread char message[512];

const char *kmemblk_error(void)
{
	return message;
}

int fail(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return -err;
}

int fail_errno(int err, const char *format, ...)
{
	char reason[128];
	va_list args;
	size_t used;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	used = strlen(message);
	snprintf(message + used, sizeof(message) - used, ": %s",
		 strerror_r(err, reason, sizeof(reason)));
	return -err;
}
