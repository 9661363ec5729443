/* SPDX-License-Identifier: BSD-3-Clause */
/* kind.h - what kind of object a path names, for messages.  See kind.c. */
#ifndef KIND_H
#define KIND_H

#include <stdbool.h>
#include <sys/types.h>

/* With its article: "a regular file", "a folder", "a socket". */
const char *kind_name(mode_t mode);

/* False if the folder that the path names before its last part does not exist. */
bool kind_has_folder(const char *path);

#endif /* KIND_H */
