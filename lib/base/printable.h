/* SPDX-License-Identifier: BSD-3-Clause */
/* printable.h - what of a text a terminal shows, and does not obey.  See printable.c. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

#include <stddef.h>

/* The bytes of the character that the text begins with; 0 if it is none to be shown. */
size_t printable_length(const char *text);

/* Make `?` of every byte that belongs to no such character. */
void printable_make(char *text);

#endif /* PRINTABLE_H */
