/* SPDX-License-Identifier: BSD-3-Clause */
/* kind.h - what kind of object a path names, in words for messages.  See kind.c. */
#ifndef KIND_H
#define KIND_H

#include <sys/types.h>

/* With its article: "a regular file", "a folder", "a socket". */
const char *kind_name(mode_t mode);

#endif /* KIND_H */
