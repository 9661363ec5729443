/* SPDX-License-Identifier: BSD-3-Clause */
/* trim.h - take pages away from blocks.  See trim.c. */
#ifndef TRIM_H
#define TRIM_H

#include <stdint.h>

#include "io/handle.h"

/* Blocks [block, block + n); `what` names the request in messages. */
int trim_blocks(struct kmemblk_volume *v, uint64_t block, uint64_t n, const char *what);

#endif /* TRIM_H */
