/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz.h - what the fuzz targets share.  See fuzz.c. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "kmemblk.h"

#define PAGE 4096u

/* What libFuzzer calls with each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input, taken from its front; what is beyond its end is zero. */
struct input {
	const uint8_t *data;
	size_t size;
};

uint64_t input_number(struct input *input, unsigned int bytes);

/* Make the device an empty file of `size` bytes. */
void fuzz_device(uint64_t size);

/* Its name, for the library, and a descriptor of it. */
extern char fuzz_path[64];
extern int fuzz_fd;

/* A sum over all bytes of the device; a page of zeroes counts like one without storage. */
uint64_t fuzz_digest(void);

/* End with a finding: libFuzzer keeps the input. */
void fuzz_found(const char *where, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

/* What must hold, whatever the input. */
#define EXPECT(condition, ...)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_found(__func__, __LINE__, __VA_ARGS__);                               \
	} while (0)

/* A call that must succeed. */
#define EXPECT_OK(call)                                                                            \
	do {                                                                                       \
		int rc_ = (call);                                                                  \
		EXPECT(rc_ == 0, "%s: %d: %s", #call, rc_, kmemblk_error());                       \
	} while (0)

#endif /* FUZZ_H */
