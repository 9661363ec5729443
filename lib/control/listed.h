/* SPDX-License-Identifier: BSD-3-Clause */
/* listed.h - the volumes of a device, as the result of a list.  See listed.c. */
#ifndef LISTED_H
#define LISTED_H

#include "kmemblk.h"

struct json_object;

/* On a handle that is started: 0 and *result, or -errno with message. */
int listed_make(struct kmemblk *h, struct json_object **result);

/*
 * Call `fn` for each of them, in their order; the first value that is not 0 of it, else 0.  -EPROTO with message, before
 * the first call, if it is no such result; `name` is the socket's.
 */
int listed_read(const char *name, const struct json_object *result, kmemblk_volume_fn fn,
		void *opaque);

#endif /* LISTED_H */
