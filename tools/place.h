/* SPDX-License-Identifier: BSD-3-Clause */
/* place.h - where the other files of this build of the command are.  See place.c. */
#ifndef PLACE_H
#define PLACE_H

#include <limits.h>

/* The executable of all subcommands but run. */
void place_commands(char path[PATH_MAX]);

/* The library that run loads into programs. */
void place_preload(char path[PATH_MAX]);

#endif /* PLACE_H */
