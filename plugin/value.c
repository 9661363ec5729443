/* SPDX-License-Identifier: BSD-3-Clause */
/* value.c - values of parameters.  See value.h. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "value.h"

int value_bool(const char *key, const char *value, bool *yes)
{
	int answer = nbdkit_parse_bool(value);

	if (answer == -1) {
		nbdkit_error("%s=%s: type %s=true or %s=false", key, value, key, key);
		return -1;
	}
	*yes = answer == 1;
	return 0;
}

int value_size(const char *key, const char *value, uint64_t *size)
{
	int64_t n = nbdkit_parse_size(value);

	if (n < 0) {
		nbdkit_error("%s=%s: type a size, as in %s=512M", key, value, key);
		return -1;
	}
	*size = (uint64_t)n;
	return 0;
}

int value_share(const char *key, const char *value, uint64_t *size, int *percent)
{
	size_t length = strlen(value);
	char *end;
	long n;

	*percent = -1;
	if (length == 0 || value[length - 1] != '%')
		return value_size(key, value, size);
	n = strtol(value, &end, 10);
	if (end != value + length - 1 || end == value || n < 0 || n > 100) {
		nbdkit_error("%s=%s: type a size or a percentage, as in %s=5%%", key, value, key);
		return -1;
	}
	*percent = (int)n;
	return 0;
}

uint64_t value_percent(const struct kmemblk_info *info, int percent)
{
	return info->data_pages * (unsigned int)percent / 100 * KMEMBLK_BLOCK_SIZE;
}
