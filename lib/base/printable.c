/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * printable.c - what of a text a terminal shows, and does not obey.
 *
 * A path may be any bytes, and comes into messages that people read on terminals, where a control
 * character moves the cursor or does worse.  Characters are UTF-8 whatever the locale: to ask for
 * another allocates, and this is called where an error is told.  The control characters are those
 * of ASCII and U+0080 to U+009F, which terminals obey as well.
 */
#include "config.h"

#include "base/printable.h"

/* By the first byte: how long, and from where to where the second byte may be (RFC 3629). */
struct lead {
	unsigned char first, last, length, from, to;
};

static const struct lead leads[] = {
	{ 0xc2, 0xc2, 2, 0xa0, 0xbf }, /* not U+0080 to U+009F */
	{ 0xc3, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

size_t printable_length(const char *text)
{
	const unsigned char *byte = (const unsigned char *)text;

	if (byte[0] < 0x80)
		return byte[0] >= 0x20 && byte[0] != 0x7f;
	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		const struct lead *lead = &leads[i];

		if (byte[0] < lead->first || byte[0] > lead->last)
			continue;
		if (byte[1] < lead->from || byte[1] > lead->to)
			return 0;
		for (size_t j = 2; j < lead->length; j++)
			if (byte[j] < 0x80 || byte[j] > 0xbf)
				return 0;
		return lead->length;
	}
	return 0;
}

void printable_make(char *text)
{
	while (*text != '\0') {
		size_t length = printable_length(text);

		if (length == 0) {
			*text = '?';
			length = 1;
		}
		text += length;
	}
}
