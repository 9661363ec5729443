/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shell.c - a name as a word of a command that a message tells people to type.
 *
 * A name may be any bytes.  Put into a command as it is, "my disk" is two files, and "a;b" is a
 * second command: what is typed would change what nobody has named.  So it is written as a POSIX
 * shell reads it:
 *
 *     plain.img                        unchanged
 *     'my disk', 'it'\''s'             what a shell would not take as it is
 *     "$(printf 'my\033disk')"         what must not reach a terminal: see printable.c
 *     ./-x                             what a command would take for an option
 *
 * No shell has a short word for a name that ends in a newline: $() takes that away.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/shell.h"

/* The text so far. */
struct text {
	char *to;
	size_t size, length;
	bool full;
};

static void add(struct text *text, const char *more, size_t length)
{
	if (text->full || length >= text->size - text->length) {
		text->full = true;
		return;
	}
	memcpy(text->to + text->length, more, length);
	text->length += length;
	text->to[text->length] = '\0';
}

static void add_string(struct text *text, const char *more)
{
	add(text, more, strlen(more));
}

static bool is_plain(const char *name)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789_@%+=:,./-";

	return name[0] != '\0' && name[strspn(name, plain)] == '\0';
}

static bool is_printable(const char *name)
{
	size_t length = 1;

	while (*name != '\0' && length > 0) {
		length = printable_length(name);
		name += length;
	}
	return *name == '\0';
}

static void add_quoted(struct text *text, const char *name)
{
	add_string(text, "'");
	for (; *name != '\0'; name++)
		if (*name == '\'')
			add_string(text, "'\\''");
		else
			add(text, name, 1);
	add_string(text, "'");
}

/* As the format of printf, which would take one that begins with - for an option. */
static void add_printf(struct text *text, const char *before, const char *name)
{
	char octal[8];
	size_t length;

	add_string(text, "\"$(printf '");
	add_string(text, before);
	for (; *name != '\0'; name += length) {
		length = printable_length(name);
		if (length > 0 && strchr("'\\%", *name) == NULL) {
			add(text, name, length);
			continue;
		}
		length = 1;
		snprintf(octal, sizeof(octal), "\\%03o", (unsigned char)*name);
		add_string(text, octal);
	}
	add_string(text, "')\"");
}

bool shell_quote(char *to, size_t size, const char *name)
{
	const char *before = name[0] == '-' ? "./" : "";
	struct text text = { .to = to, .size = size };
	size_t length = strlen(name);

	if (length > 0 && name[length - 1] == '\n')
		return false;
	if (!is_printable(name)) {
		add_printf(&text, before, name);
		return !text.full;
	}
	add_string(&text, before);
	if (is_plain(name))
		add_string(&text, name);
	else
		add_quoted(&text, name);
	return !text.full;
}

const char *shell_put(struct shell_word *word, const char *name)
{
	return shell_quote(word->text, sizeof(word->text), name) ? word->text : "PATH";
}
