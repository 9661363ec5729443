/* SPDX-License-Identifier: BSD-3-Clause */
/* map-file.c - see map-file.h. */
#include "config.h"

#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "map-file.h"

#define PAGE	  4096u
#define PAGE_MASK ((1ull << 39) - 1)

static uint64_t word(int fd, uint64_t at)
{
	uint64_t value;

	if (pread(fd, &value, sizeof(value), (off_t)at) != sizeof(value)) {
		perror("the map of a device");
		abort();
	}
	return le64toh(value);
}

static uint64_t record(int fd)
{
	return word(fd, word(fd, 56) * PAGE) & PAGE_MASK;
}

static uint64_t leaf(int fd, uint64_t block)
{
	uint64_t at = record(fd) * PAGE + PAGE - 8, page = 0;

	for (uint64_t level = word(fd, record(fd) * PAGE + 8) & 0xffffffff; level > 0; level--) {
		page = word(fd, at) & PAGE_MASK;
		if (page == 0)
			return 0;
		at = page * PAGE + 8 * (block >> 9 * (level - 1) & 511);
	}
	return page;
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd == -1) {
		perror(path);
		abort();
	}
	return fd;
}

uint64_t map_file_leaf(const char *path, uint64_t block)
{
	int fd = open_file(path);
	uint64_t page = leaf(fd, block);

	close(fd);
	return page;
}

uint64_t map_file_page(const char *path, uint64_t block)
{
	int fd = open_file(path);
	uint64_t page = leaf(fd, block);

	if (page != 0)
		page = word(fd, page * PAGE + 8 * (block & 511)) & PAGE_MASK;
	close(fd);
	return page;
}

uint64_t map_file_record(const char *path)
{
	int fd = open_file(path);
	uint64_t page = record(fd);

	close(fd);
	return page;
}
