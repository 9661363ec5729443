/* SPDX-License-Identifier: BSD-3-Clause */
/* names.c - names in a message are whole, and those that have no room are counted. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/names.h"
#include "unit.h"

START_TEST(test_names_are_separated)
{
	struct names names = { 0 };

	ck_assert_str_eq(names_text(&names), "none");
	names_add(&names, "a");
	ck_assert_str_eq(names_text(&names), "a");
	names_add(&names, "b");
	ck_assert_str_eq(names_text(&names), "a, b");
}
END_TEST

/* However long they are, each is whole or counted. */
START_TEST(test_names_without_room_are_counted)
{
	for (unsigned int length = 1; length <= 130; length++) {
		struct names names = { 0 };
		unsigned int whole = 0, more = 0;
		char name[131], *end;
		const char *at;

		memset(name, 'x', length);
		name[length] = '\0';
		for (unsigned int i = 0; i < 65536; i++)
			names_add(&names, name);
		for (at = names_text(&names); strncmp(at, name, length) == 0; whole++)
			at += length + (at[length] == ',' ? 2 : 0);
		ck_assert_int_eq(sscanf(at, " and %u more", &more), 1);
		ck_assert_uint_eq(whole + more, 65536);
		end = strstr(names_text(&names), " more");
		ck_assert(end != NULL && end[5] == '\0');
		/* As many as had room. */
		ck_assert_uint_ge(strlen(names.text) + 2 + length + 20, sizeof(names.text));
	}
}
END_TEST

UNIT_MAIN("names", test_names_are_separated, test_names_without_room_are_counted)
