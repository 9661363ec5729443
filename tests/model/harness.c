/* SPDX-License-Identifier: BSD-3-Clause */
/* harness.c - see harness.h. */
#include "config.h"

#include <sys/mman.h>
#include <unistd.h>

#include "common/disk.h"
#include "harness.h"

char *test_make_device_with(uint64_t size, const struct kmemblk_format_options *options)
{
	int fd = memfd_create(TEST_DEVICE_NAME, MFD_CLOEXEC);
	char *path;

	CHECK(fd != -1 && ftruncate(fd, (off_t)size) == 0, "memfd of %llu bytes: %m",
	      (unsigned long long)size);
	CHECK(asprintf(&path, "/proc/self/fd/%d", fd) != -1, "out of memory");
	CHECK_CALL(kmemblk_format(path, options));
	return path;
}

char *test_make_device(uint64_t size, uint64_t spare)
{
	struct kmemblk_format_options options = { .spare_pages = spare };

	return test_make_device_with(size, &options);
}

struct kmemblk *test_open(const char *path)
{
	struct kmemblk *handle;

	CHECK_CALL(kmemblk_open(path, 0, &handle));
	CHECK_CALL(kmemblk_start(handle));
	(void)disk_of(handle);
	return handle;
}

static void tell(void *opaque, enum kmemblk_finding_kind kind, const char *text)
{
	(void)opaque;
	(void)kind;
	fprintf(stderr, "check: %s\n", text);
}

void test_close_and_check(struct kmemblk *handle, const char *path, uint64_t used)
{
	struct kmemblk_check_options options = { .finding = tell };
	struct kmemblk_check_result result = { 0 };

	kmemblk_close(handle);
	CHECK_CALL(kmemblk_check(path, &options, &result));
	CHECK(result.corrected + result.correctable + result.left == 0, "the device is damaged");
	CHECK(used == UINT64_MAX || result.pages_used == used,
	      "%llu pages are used, and %llu blocks are mapped",
	      (unsigned long long)result.pages_used, (unsigned long long)used);
}
