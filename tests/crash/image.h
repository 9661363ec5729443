/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image.h - a device file to try things on, and sets of what has been tried.
 *
 * A memfd: a file on tmpfs without a name, so nothing is left behind, which the library opens by
 * its path under /proc.  Its hash is a sum over its lines, so that it costs only what changes.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
	int fd;
	char path[32];
	uint8_t *bytes;
	size_t size;
	uint64_t hash;
};

void image_make(struct image *image, size_t size);
/* One that was never made is allowed. */
void image_free(struct image *image);

/* Write it to a file. */
void image_save(const struct image *image, const char *path);

/* All of it. */
void image_fill(struct image *image, const uint8_t *bytes);
/* Take the storage of pages that are all zeroes away. */
void image_punch(struct image *image);
/* One line. */
void image_put(struct image *image, uint32_t line, const uint8_t *bytes);

/* A 64-bit number of which each bit depends on all bits of `value`. */
uint64_t hash_mix(uint64_t value);
uint64_t hash_bytes(const uint8_t *bytes, size_t size);

/* A set of hashes. */
struct seen {
	uint64_t *slot;
	size_t size, count;
};

/* Add one; false if it was there. */
bool seen_add(struct seen *seen, uint64_t hash);

#endif /* IMAGE_H */
