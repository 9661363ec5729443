/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harness.h - what the programs of this folder share: a device in memory, checks, random numbers.
 *
 * The device is a memfd, which is a file on tmpfs without a name: however a test ends, nothing is
 * left behind, and a forked child reaches it by the same path.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "kmemblk.h"

#define BLOCK_SIZE KMEMBLK_BLOCK_SIZE
/* Stands in /proc/self/maps for a device of these tests. */
#define TEST_DEVICE_NAME "kmemblk-test"

#if defined(__SANITIZE_THREAD__)
#define TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TEST_TSAN 1
#endif
#endif

/* End the test, failed, with a sentence, unless the condition holds. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                            \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* A call of the library that must succeed. */
#define CHECK_CALL(call) CHECK((call) == 0, "%s", kmemblk_error())

/* Make and format a device; 0 for `spare` means the default.  Its path, to be freed. */
char *test_make_device(uint64_t size, uint64_t spare);

/* Open for writing, and start. */
struct kmemblk *test_open(const char *path);

/* Close, and check that the device is sound.  `used` pages hold blocks, unless it is UINT64_MAX. */
void test_close_and_check(struct kmemblk *handle, const char *path, uint64_t used);

/* A random number; `state` belongs to one thread. */
uint64_t random_next(uint64_t *state);

/* A random number below `limit`. */
static inline uint32_t random_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)((random_next(state) >> 32) * limit >> 32);
}

/* `count`, or much less where everything is slow. */
unsigned int test_scale(unsigned int count);

#endif /* HARNESS_H */
