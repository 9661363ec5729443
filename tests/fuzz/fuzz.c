/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz.c - the device that the fuzz targets work on, and how a finding ends them.
 *
 * The device is a memfd: tmpfs for the library, and nothing is left behind however the fuzzer ends.
 * It is opened by its name in /proc, so each open has a descriptor and a lock of its own.
 */
#include "config.h"

#include <isa-l/crc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

char fuzz_path[64];
int fuzz_fd = -1;

void fuzz_found(const char *where, int line, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "finding: %s, line %d: ", where, line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

uint64_t input_number(struct input *input, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes && input->size > 0; i++) {
		value |= (uint64_t)*input->data++ << (8 * i);
		input->size--;
	}
	return value;
}

void fuzz_device(uint64_t size)
{
	if (fuzz_fd == -1) {
		fuzz_fd = memfd_create("kmemblk-fuzz", MFD_CLOEXEC);
		snprintf(fuzz_path, sizeof(fuzz_path), "/proc/self/fd/%d", fuzz_fd);
	}
	EXPECT(fuzz_fd != -1 && ftruncate(fuzz_fd, 0) == 0 && ftruncate(fuzz_fd, (off_t)size) == 0,
	       "no device of %llu bytes", (unsigned long long)size);
}

uint64_t fuzz_digest(void)
{
	static const uint8_t zeroes[PAGE];
	uint8_t page[PAGE];
	uint64_t sum = 0;
	off_t at = 0;
	ssize_t got;

	while ((at = lseek(fuzz_fd, at, SEEK_DATA)) != -1) {
		at &= ~(off_t)(PAGE - 1);
		got = pread(fuzz_fd, page, PAGE, at);
		EXPECT(got > 0, "cannot read back the device");
		if (memcmp(page, zeroes, (size_t)got) != 0)
			sum = sum * 31 + crc32_iscsi(page, (int)got, (unsigned int)at);
		at += PAGE;
	}
	return sum ^ (uint64_t)lseek(fuzz_fd, 0, SEEK_END) << 32;
}
