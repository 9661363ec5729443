/* SPDX-License-Identifier: BSD-3-Clause */
/* request.h - what every request checks first, and what it does last.  See request.c. */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdint.h>

#include "io/handle.h"

/* 0 if [offset, offset + count) lies in the disk, else -EINVAL with a message. */
int check_range(const struct kmemblk_volume *v, const char *what, uint64_t count, uint64_t offset);

/* 0 if the handle can write, else -EROFS or -EINVAL with a message. */
int check_handle(const struct kmemblk *h, const char *what);
/* Both. */
int check_writable(const struct kmemblk_volume *v, const char *what, uint64_t count,
		   uint64_t offset);

/*
 * A flush failed: the handle is read-only from now on, and nothing that was retired is reused.  In
 * the section in which it failed, so that a grace period shows it to whoever relied on that flush.
 */
void note_failed_flush(struct kmemblk *h);

/* The message for it.  Returns -EIO. */
int fail_persist(const struct kmemblk *h, int err);

/*
 * Last of all in a request that has changed something: 0 if it may be acknowledged, else -EIO with a
 * message.  May wait for a grace period, so outside sections and holding no page.
 */
int acknowledge(struct kmemblk *h);

#endif /* REQUEST_H */
