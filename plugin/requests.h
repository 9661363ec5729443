/* SPDX-License-Identifier: BSD-3-Clause */
/* requests.h - how many requests there were, and how long they took.  See requests.c. */
#ifndef PLUGIN_REQUESTS_H
#define PLUGIN_REQUESTS_H

#include <stdint.h>

#include "kmemblk.h"

/* Begin to count.  Before it, a request costs a look at a flag and nothing else. */
void requests_count(void);

/* Around a request: what the first returns is for the second. */
uint64_t request_begin(void);
void request_end(enum kmemblk_request_kind kind, uint64_t begun, uint64_t bytes);

/* What was counted so far, for kmemblk_lend(). */
void requests_get(void *opaque, struct kmemblk_request_counts requests[KMEMBLK_REQUEST_KINDS]);

#endif /* PLUGIN_REQUESTS_H */
