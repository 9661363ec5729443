/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * size.c - sizes as people write and read them: powers of 1024.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <ctype.h>

#include "kmemblk.h"
#include "command.h"

static const char suffixes[] = "KMGT";

const char *size_parse(const char *text, uint64_t *bytes)
{
	static const char malformed[] =
		"not a size: write a whole number and K, M, G or T, such as 512M or 1G";
	static const char large[] = "too large";
	const char *suffix;
	uint64_t size = 0;

	if (!isdigit((unsigned char)*text))
		return malformed;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(size, 10, &size) ||
		    __builtin_add_overflow(size, *text - '0', &size))
			return large;
	}
	if (*text) {
		suffix = strchr(suffixes, toupper((unsigned char)*text));
		if (suffix == NULL || text[1])
			return malformed;
		if (__builtin_mul_overflow(size, 1ull << (10 * (suffix - suffixes + 1)), &size))
			return large;
	}
	if (!size)
		return "must be larger than 0";
	if (size % KMEMBLK_BLOCK_SIZE)
		return "must be a multiple of 4096 bytes";
	if (size > INT64_MAX)
		return large;
	*bytes = size;
	return NULL;
}

const char *size_text(uint64_t bytes, char text[SIZE_TEXT])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double size = (double)bytes / 1024;
	size_t unit = 0;

	/* What would round to 1024.0 goes to the next unit. */
	while (size >= 1023.95 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		size /= 1024;
		unit++;
	}
	snprintf(text, SIZE_TEXT, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
	return text;
}
