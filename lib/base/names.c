/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * names.c - a list of names in a message.
 *
 * A name is there whole or not at all, for half of one may be another's; what has no room is counted.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/names.h"

#define SEPARATOR ", "
/* " and 65536 more", with its end. */
#define COUNT_SIZE 20

void names_add(struct names *names, const char *name)
{
	size_t between = names->length > 0 ? strlen(SEPARATOR) : 0;
	size_t room = sizeof(names->text) - COUNT_SIZE - names->length;

	/* In order: none after one that was left out. */
	if (names->left_out > 0 || between + strlen(name) > room) {
		names->left_out++;
		return;
	}
	names->length += (size_t)snprintf(names->text + names->length, room + 1, "%s%s",
					  between > 0 ? SEPARATOR : "", name);
}

const char *names_text(struct names *names)
{
	if (names->left_out > 0)
		snprintf(names->text + names->length, sizeof(names->text) - names->length,
			 " and %u more", names->left_out);
	return names->length == 0 ? "none" : names->text;
}
