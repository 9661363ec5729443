/* SPDX-License-Identifier: BSD-3-Clause */
/* value.c - values of parameters.  See value.h. */
#include "config.h"

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
