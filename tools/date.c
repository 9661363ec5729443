/* SPDX-License-Identifier: BSD-3-Clause */
/* date.c - times as people read them. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "command.h"

const char *date_text(uint64_t seconds, char text[DATE_TEXT])
{
	time_t time = (time_t)seconds;
	struct tm tm;

	/* The media gives any number, and not every number is a time that has a date. */
	if (seconds > INT64_MAX || gmtime_r(&time, &tm) == NULL ||
	    !strftime(text, DATE_TEXT, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(text, DATE_TEXT, "%" PRIu64 " s after 1970", seconds);
	return text;
}
