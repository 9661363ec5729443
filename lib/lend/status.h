/* SPDX-License-Identifier: BSD-3-Clause */
/* status.h - what a lending server tells of itself.  See status.c. */
#ifndef STATUS_H
#define STATUS_H

#include <stddef.h>

struct lending;

/* JSON text for LEND_STATUS, at most `most` bytes, to be freed; NULL without memory. */
char *lending_status(struct lending *lending, size_t most);

#endif /* STATUS_H */
