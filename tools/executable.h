/* SPDX-License-Identifier: BSD-3-Clause */
/* executable.h - whether what run loads into programs can be loaded into a program.  See executable.c. */
#ifndef EXECUTABLE_H
#define EXECUTABLE_H

#include <limits.h>

enum executable_kind {
	EXECUTABLE_LOADS,
	EXECUTABLE_STATIC,  /* without a dynamic linker */
	EXECUTABLE_SET_ID,  /* changes the user or the group */
	EXECUTABLE_CAPABLE, /* gets capabilities from its file */
	EXECUTABLE_FOREIGN, /* for another machine, or of another word size */
};

/* Looks at what execvp(program) executes; `path` is the interpreter of a script, else "". */
enum executable_kind executable_look(const char *program, char path[PATH_MAX]);

/* What keeps the heap of such a program from lent memory, and what to do, as parts of a sentence. */
const char *executable_obstacle(enum executable_kind kind);
const char *executable_remedy(enum executable_kind kind);

#endif /* EXECUTABLE_H */
