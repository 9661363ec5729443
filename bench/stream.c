/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.c - long reads and writes: 1 MiB at a time, one after the other, of a volume that was written in that order.
 *
 * usage: stream [MIB [ROUNDS [DIRECTORY]]]
 *
 *   plain copy      memcpy() of 1 MiB out of a mapped file as large
 *   read            kmemblk_read() from a device without check values
 *   checked read    the same with
 *   streaming copy  1 MiB copied into that file with non-temporal stores, and one drain
 *   write           kmemblk_write() to a device without check values
 *   checked write   the same with
 *
 * In rounds that alternate.
 */
#include "config.h"

#include <fcntl.h>
#include <libpmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmemblk.h"
#include "measure.h"
#include "figures.h"

#define PIECE ((uint64_t)1 << 20)

enum figure { COPY, READ, CHECKED_READ, STREAM, WRITE, CHECKED_WRITE, FIGURES };

static const char *const names[FIGURES] = { "plain copy",     "read",  "checked read",
					    "streaming copy", "write", "checked write" };

struct bench {
	struct kmemblk *h[2];
	struct kmemblk_volume *plain, *checked;
	uint8_t *file, *buf;
	uint64_t pieces;
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, kmemblk_error());
	exit(1);
}

static void name_file(char *path, size_t size, const char *dir)
{
	snprintf(path, size, "%s/kmemblk-bench.%ld", dir, (long)getpid());
}

static struct kmemblk *make(const char *dir, uint64_t bytes, const char *check,
			    struct kmemblk_volume **volume)
{
	/* Twice as large: pages are then taken in the order in which they lie. */
	struct kmemblk_format_options options = { .create_size = 2 * bytes,
						  .disk_size = bytes,
						  .check = check,
						  .flags = KMEMBLK_FORMAT_PREALLOC };
	char path[256];
	struct kmemblk *h = NULL;

	name_file(path, sizeof(path), dir);
	if (kmemblk_format(path, &options) != 0 || kmemblk_open(path, 0, &h) != 0 ||
	    kmemblk_start(h) != 0 || kmemblk_volume_open(h, NULL, volume) != 0)
		die(path);
	unlink(path);
	return h;
}

static void map_file(struct bench *b, const char *dir, uint64_t bytes)
{
	char path[256];
	int fd;

	name_file(path, sizeof(path), dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd == -1 || ftruncate(fd, (off_t)bytes) == -1)
		die(path);
	unlink(path);
	b->file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	close(fd);
	if (b->file == MAP_FAILED)
		die("mmap");
	memset(b->file, 1, bytes);
}

static void do_piece(struct bench *b, enum figure figure, uint64_t at)
{
	int rc = 0;

	switch (figure) {
	case COPY:
		memcpy(b->buf, b->file + at, PIECE);
		break;
	case READ:
		rc = kmemblk_read(b->plain, b->buf, PIECE, at);
		break;
	case CHECKED_READ:
		rc = kmemblk_read(b->checked, b->buf, PIECE, at);
		break;
	case STREAM:
		pmem_memcpy(b->file + at, b->buf, PIECE,
			    PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
		pmem_drain();
		break;
	case WRITE:
		rc = kmemblk_write(b->plain, b->buf, PIECE, at);
		break;
	case CHECKED_WRITE:
		rc = kmemblk_write(b->checked, b->buf, PIECE, at);
		break;
	case FIGURES:
		break;
	}
	if (rc != 0)
		die(names[figure]);
}

int main(int argc, char **argv)
{
	uint64_t bytes = (argc > 1 ? strtoull(argv[1], NULL, 0) : 512) << 20;
	unsigned int rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 25;
	const char *dir = argc > 3 ? argv[3] : "/dev/shm";
	static double us[FIGURES][ROUNDS_MAX];
	struct bench b = { 0 };
	char what[64];

	if (bytes == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: stream [MIB [ROUNDS [DIRECTORY]]]\n");
		return 2;
	}
	b.pieces = bytes / PIECE;
	b.buf = malloc(PIECE);
	if (b.buf == NULL)
		die("memory");
	memset(b.buf, 1, PIECE);
	map_file(&b, dir, bytes);
	b.h[0] = make(dir, bytes, "none", &b.plain);
	b.h[1] = make(dir, bytes, "crc24", &b.checked);
	/* The first round of all is not counted: in it the blocks get their pages. */
	for (unsigned int round = 0; round <= rounds; round++)
		for (unsigned int i = 0; i < FIGURES; i++) {
			enum figure figure = (enum figure)((round + FIGURES - 1 - i) % FIGURES);
			double start = now();

			for (uint64_t piece = 0; piece < b.pieces; piece++)
				do_piece(&b, figure, piece * PIECE);
			if (round > 0)
				us[figure][round - 1] = (now() - start) / 1e3 / (double)b.pieces;
		}
	snprintf(what, sizeof(what), "%llu MiB, 1 MiB in order", (unsigned long long)(bytes >> 20));
	for (int figure = 0; figure < FIGURES; figure++)
		print_figures("stream", what, names[figure], "us", us[figure], rounds);
	kmemblk_volume_close(b.plain);
	kmemblk_volume_close(b.checked);
	kmemblk_close(b.h[0]);
	kmemblk_close(b.h[1]);
	return 0;
}
