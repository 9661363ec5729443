/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harness.h - what the programs of this folder share: a device in memory.
 *
 * The device is a memfd, which is a file on tmpfs without a name: however a test ends, nothing is
 * left behind, and a forked child reaches it by the same path.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/block.h"
#include "common/check.h"
#include "common/random.h"
#include "common/scale.h"
#include "kmemblk.h"

/* Stands in /proc/self/maps for a device of these tests. */
#define TEST_DEVICE_NAME "kmemblk-test"

/* Make and format a device; 0 for `spare` means the default.  Its path, to be freed. */
char *test_make_device(uint64_t size, uint64_t spare);
char *test_make_device_with(uint64_t size, const struct kmemblk_format_options *options);

/* Open for writing, and start; its disk is in use from now on. */
struct kmemblk *test_open(const char *path);

/* Close, and check that the device is sound.  `used` pages hold blocks, unless it is UINT64_MAX. */
void test_close_and_check(struct kmemblk *handle, const char *path, uint64_t used);

#endif /* HARNESS_H */
