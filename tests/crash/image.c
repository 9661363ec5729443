/* SPDX-License-Identifier: BSD-3-Clause */
/* image.c - see image.h. */
#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fatal.h"
#include "image.h"
#include "recorder.h"

uint64_t hash_mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
	value = (value ^ value >> 27) * 0x94d049bb133111eb;
	return value ^ value >> 31;
}

uint64_t hash_bytes(const uint8_t *bytes, size_t size)
{
	uint64_t hash = size, word;

	for (size_t i = 0; i < size; i += sizeof(word)) {
		memcpy(&word, bytes + i, sizeof(word));
		hash = hash_mix(hash ^ word) + 0x9e3779b97f4a7c15;
	}
	return hash;
}

static uint64_t hash_line(uint32_t line, const uint8_t *bytes)
{
	return hash_mix(hash_bytes(bytes, LINE_SIZE) + line);
}

void image_make(struct image *image, size_t size)
{
	int fd = memfd_create("kmemblk-crash", MFD_CLOEXEC);

	image->fd = fd;
	image->size = size;
	image->hash = 0;
	if (fd == -1 || ftruncate(fd, (off_t)size) == -1)
		fatal("memfd of %zu bytes: %m", size);
	image->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (image->bytes == MAP_FAILED)
		fatal("map a memfd: %m");
	snprintf(image->path, sizeof(image->path), "/proc/self/fd/%d", fd);
}

void image_free(struct image *image)
{
	if (image->size == 0)
		return;
	munmap(image->bytes, image->size);
	close(image->fd);
	image->size = 0;
}

void image_save(const struct image *image, const char *path)
{
	FILE *to = fopen(path, "w");

	if (to == NULL || fwrite(image->bytes, image->size, 1, to) != 1 || fclose(to) != 0)
		fatal("write %s: %m", path);
}

void image_punch(struct image *image)
{
	static const uint8_t zeroes[LAYOUT_PAGE_SIZE];

	for (size_t at = 0; at < image->size; at += LAYOUT_PAGE_SIZE)
		if (memcmp(image->bytes + at, zeroes, LAYOUT_PAGE_SIZE) == 0 &&
		    fallocate(image->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
			      LAYOUT_PAGE_SIZE) != 0)
			fatal("punch a memfd: %m");
}

void image_fill(struct image *image, const uint8_t *bytes)
{
	memcpy(image->bytes, bytes, image->size);
	image->hash = 0;
	for (uint32_t line = 0; line < image->size / LINE_SIZE; line++)
		image->hash += hash_line(line, bytes + (size_t)line * LINE_SIZE);
}

void image_put(struct image *image, uint32_t line, const uint8_t *bytes)
{
	uint8_t *at = image->bytes + (size_t)line * LINE_SIZE;

	if (memcmp(at, bytes, LINE_SIZE) == 0)
		return;
	image->hash += hash_line(line, bytes) - hash_line(line, at);
	memcpy(at, bytes, LINE_SIZE);
}

static bool insert(struct seen *seen, uint64_t hash)
{
	size_t at = hash & (seen->size - 1);

	while (seen->slot[at] != 0) {
		if (seen->slot[at] == hash)
			return false;
		at = (at + 1) & (seen->size - 1);
	}
	seen->slot[at] = hash;
	seen->count++;
	return true;
}

static void grow(struct seen *seen)
{
	struct seen larger = { .size = seen->size == 0 ? 1u << 16 : seen->size * 2 };

	larger.slot = calloc(larger.size, sizeof(larger.slot[0]));
	if (larger.slot == NULL)
		fatal("out of memory for what has been seen");
	for (size_t i = 0; i < seen->size; i++)
		if (seen->slot[i] != 0)
			insert(&larger, seen->slot[i]);
	free(seen->slot);
	*seen = larger;
}

bool seen_add(struct seen *seen, uint64_t hash)
{
	if (seen->count * 2 >= seen->size)
		grow(seen);
	/* 0 marks an empty slot. */
	return insert(seen, hash == 0 ? 1 : hash);
}
