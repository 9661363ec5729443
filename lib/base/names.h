/* SPDX-License-Identifier: BSD-3-Clause */
/* names.h - a list of names in a message.  See names.c. */
#ifndef NAMES_H
#define NAMES_H

#include <stddef.h>

/* All zero at the start.  A message has room for so much, and for what is around it. */
struct names {
	char text[400];
	size_t length;
	unsigned int left_out;
};

void names_add(struct names *names, const char *name);

/* "a, b, c", with "and 7 more" where not all had room; "none" if there are none. */
const char *names_text(struct names *names);

#endif /* NAMES_H */
