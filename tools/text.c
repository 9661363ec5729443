/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * text.c - text that somebody else chose, made safe for where it is going.
 *
 * A label comes from the media, a process chooses its own name, and a path may be any bytes: none
 * of them may move the cursor of a terminal, break JSON, or be read by a shell as more than a word.
 */
#include <config.h>

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/shell.h"
#include "command.h"

char *text_printable(const char *text)
{
	/* Always UTF-8, whatever the caller's locale: labels and JSON are.  Else plain ASCII. */
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = uselocale(utf8);
	size_t left = strlen(text), length;
	mbstate_t state = { 0 };
	char *copy = malloc(left + 1), *to = copy;
	wchar_t wide;

	while (copy != NULL && left) {
		length = mbrtowc(&wide, text, left, &state);
		if (length <= left && iswprint(wide)) {
			to = mempcpy(to, text, length);
		} else {
			if (length > left) {
				length = 1;
				memset(&state, 0, sizeof(state));
			}
			*to++ = '?';
		}
		text += length;
		left -= length;
	}
	if (utf8 != NULL) {
		uselocale(before);
		freelocale(utf8);
	}
	if (copy == NULL)
		command_no_memory();
	*to = 0;
	return copy;
}

char *text_shell_word(const char *word)
{
	size_t room = SHELL_ROOM(strlen(word));
	char *copy = malloc(room);

	if (copy == NULL)
		command_no_memory();
	/* For people to replace. */
	if (!shell_quote(copy, room, word))
		strcpy(copy, "PATH");
	return copy;
}
