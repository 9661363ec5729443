/* SPDX-License-Identifier: BSD-3-Clause */
/* shell.h - a name as a word of a command that a message tells people to type.  See shell.c. */
#ifndef SHELL_H
#define SHELL_H

#include <stdbool.h>
#include <stddef.h>

/* Room for any name of n bytes. */
#define SHELL_ROOM(n) (4 * (n) + 16)

/* Put the word for `name` into `to`; false if there is no room for it, or no word that is it. */
bool shell_quote(char *to, size_t size, const char *name);

/* A word in a message, where room is short. */
struct shell_word {
	char text[256];
};

/* The word, or PATH, for people to replace, if shell_quote() has none. */
const char *shell_put(struct shell_word *word, const char *name);

/* For an argument of fail(): it is there until the end of the block. */
#define SHELL_WORD(name) shell_put(&(struct shell_word){ "" }, name)

#endif /* SHELL_H */
