/* SPDX-License-Identifier: BSD-3-Clause */
/* requests.h - how many requests there were, and how long they took.  See requests.c. */
#ifndef PLUGIN_REQUESTS_H
#define PLUGIN_REQUESTS_H

#include <stdint.h>

enum request {
	REQUEST_READ,
	REQUEST_WRITE,
	REQUEST_TRIM,
	REQUEST_ZERO,
	REQUEST_EXTENTS,
	REQUEST_FLUSH,
	REQUESTS
};

/* Begin to count.  Before it, a request costs a look at a flag and nothing else. */
void requests_count(void);

/* Around a request: what the first returns is for the second. */
uint64_t request_begin(void);
void request_end(enum request kind, uint64_t begun, uint64_t bytes);

/* A JSON object, to be freed; NULL without memory. */
char *requests_describe(void *opaque);

#endif /* PLUGIN_REQUESTS_H */
