/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load.c - a verified load on a disk or a file, whose acknowledgements may leave the machine.
 *
 * Each thread has its own blocks and a sequence of requests that is always the same: request k of
 * a thread is a function of its number (see request_make()).  So what every block must hold is known
 * from one number a thread, that of its last acknowledged request; the one after it may have been
 * under way, in any part.  Each request is made durable, by FUA or by a flush, before it is
 * acknowledged, and a thread sends one only after the acknowledgement of the one before is out.
 *
 * usage: load NAME FILE [-a DESCRIPTOR] [-n REQUESTS] [-s SECONDS] [DONE...]
 *
 *   NAME          goes into the blocks and before each acknowledgement
 *   -a DESCRIPTOR write a line "NAME THREAD REQUEST" there for each acknowledgement
 *   -n REQUESTS   end after so many more of each thread
 *   -s SECONDS    end after this time; without either: verify and end
 *   DONE          the last acknowledged request of thread 0, 1, ...; 0 where none is given
 *
 * Verifies, then goes on with the sequence, then verifies again, reading past the page cache.  Prints
 * what it verified; exits 1 with a sentence at the first error or block that is not what it must be.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/block.h"
#include "common/random.h"

/* Of <linux/fs.h>, which has a BLOCK_SIZE of its own. */
#define BLKDISCARD _IO(0x12, 119)

#define THREADS	      4
#define THREAD_BLOCKS 1024
#define BLOCKS	      (THREADS * THREAD_BLOCKS)
#define MOST	      16 /* blocks a request */

enum kind { WRITE_FUA, WRITE_FLUSH, TRIM_FLUSH };

struct request {
	enum kind kind;
	unsigned int first, count; /* blocks */
};

struct thread {
	pthread_t thread;
	unsigned int number;
	uint64_t done; /* the last acknowledged request */
};

static const char *name;
static int fd, acks = -1;
static bool is_disk;  /* else a file on one */
static uint32_t salt; /* of the blocks' numbers: other loads have others */
static uint64_t limit;
static time_t end;
static struct thread threads[THREADS];

/* End the program; `what` may have been said by several threads, each in one line. */
static void die(const char *what, unsigned int block)
{
	fprintf(stderr, "load %s: block %u: %s: %s\n", name, block, what, strerror(errno));
	_exit(1);
}

static struct request request_make(unsigned int thread, uint64_t k)
{
	uint64_t state = (k + 1) * 0x9e3779b97f4a7c15 ^ (thread + 1);
	struct request request;
	unsigned int roll;

	random_next(&state);
	roll = random_next(&state) % 8;
	request.kind = roll < 4 ? WRITE_FUA : roll < 6 ? WRITE_FLUSH : TRIM_FLUSH;
	request.count = 1 + random_next(&state) % MOST;
	request.first =
		thread * THREAD_BLOCKS + random_next(&state) % (THREAD_BLOCKS - request.count + 1);
	return request;
}

static int trim(off_t offset, size_t count)
{
	uint64_t range[2] = { (uint64_t)offset, count };

	if (is_disk)
		return ioctl(fd, BLKDISCARD, range);
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, (off_t)count);
}

static void request_send(const struct request *request, uint64_t k, char *buf)
{
	struct iovec iov = { buf, (size_t)request->count * BLOCK_SIZE };
	off_t offset = (off_t)request->first * BLOCK_SIZE;

	for (unsigned int i = 0; i < request->count; i++)
		block_fill(buf + (size_t)i * BLOCK_SIZE, salt + request->first + i, (uint32_t)k);
	if (request->kind == TRIM_FLUSH) {
		if (trim(offset, iov.iov_len) == -1)
			die("trim", request->first);
	} else if (pwritev2(fd, &iov, 1, offset, request->kind == WRITE_FUA ? RWF_DSYNC : 0) !=
		   (ssize_t)iov.iov_len) {
		die("write", request->first);
	}
	if (request->kind != WRITE_FUA && fdatasync(fd) == -1)
		die("flush", request->first);
}

static void acknowledge(unsigned int thread, uint64_t k)
{
	char line[128];
	int len = snprintf(line, sizeof(line), "%s %u %lu\n", name, thread, k);

	if (acks != -1 && write(acks, line, (size_t)len) != len)
		die("acknowledge", thread * THREAD_BLOCKS);
}

static char *make_buffer(void)
{
	char *buf = aligned_alloc(BLOCK_SIZE, MOST * BLOCK_SIZE);

	if (buf == NULL)
		die("no memory", 0);
	return buf;
}

static void *run(void *opaque)
{
	struct thread *thread = opaque;
	char *buf = make_buffer();

	for (uint64_t i = 0; i < limit && (end == 0 || time(NULL) < end); i++) {
		uint64_t k = thread->done + 1;
		struct request request = request_make(thread->number, k);

		request_send(&request, k, buf);
		acknowledge(thread->number, k);
		thread->done = k;
	}
	free(buf);
	return NULL;
}

/* What blocks hold after request `k`; version 0 is zeroes. */
static void apply(unsigned int thread, uint64_t k, uint64_t *version)
{
	struct request request = request_make(thread, k);

	for (unsigned int i = 0; i < request.count; i++)
		version[request.first + i] = request.kind == TRIM_FLUSH ? 0 : k;
}

static void verify_block(const char *buf, unsigned int block, uint64_t before, uint64_t after)
{
	uint64_t version;

	if (!block_version(buf, salt + block, &version)) {
		fprintf(stderr, "load %s: block %u is torn or foreign\n", name, block);
		exit(1);
	}
	if (version != before && version != after) {
		fprintf(stderr, "load %s: block %u: version %lu is lost, found %lu\n", name, block,
			before, version);
		exit(1);
	}
}

/* Before: the versions that are acknowledged.  After: the same with the request under way done. */
static void verify(void)
{
	static uint64_t before[BLOCKS], after[BLOCKS];
	char *buf = make_buffer();
	uint64_t total = 0;

	memset(before, 0, sizeof(before));
	for (unsigned int i = 0; i < THREADS; i++) {
		for (uint64_t k = 1; k <= threads[i].done; k++)
			apply(i, k, before);
		total += threads[i].done;
	}
	memcpy(after, before, sizeof(before));
	for (unsigned int i = 0; i < THREADS; i++)
		apply(i, threads[i].done + 1, after);
	for (unsigned int i = 0; i < BLOCKS; i += MOST) {
		if (pread(fd, buf, MOST * BLOCK_SIZE, (off_t)i * BLOCK_SIZE) != MOST * BLOCK_SIZE)
			die("read", i);
		for (unsigned int j = i; j < i + MOST; j++)
			verify_block(buf + (j - i) * BLOCK_SIZE, j, before[j], after[j]);
	}
	free(buf);
	printf("load %s: verified %lu acknowledged requests, %d blocks, 0 lost, 0 torn\n", name,
	       total, BLOCKS);
}

static void parse(int argc, char **argv)
{
	struct stat st;
	int option;

	if (argc < 3)
		exit(2);
	name = argv[1];
	for (const char *c = name; *c; c++)
		salt = salt * 31 + (unsigned char)*c;
	salt *= BLOCKS;
	fd = open(argv[2], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1)
		die(argv[2], 0);
	is_disk = S_ISBLK(st.st_mode);
	argc -= 2;
	argv += 2;
	while ((option = getopt(argc, argv, "a:n:s:")) != -1) {
		if (option == 'a')
			acks = (int)strtol(optarg, NULL, 10);
		else if (option == 'n')
			limit = strtoul(optarg, NULL, 10);
		else if (option == 's')
			end = time(NULL) + strtol(optarg, NULL, 10);
		else
			exit(2);
	}
	if (limit == 0 && end != 0)
		limit = UINT64_MAX;
	for (unsigned int i = 0; i < THREADS; i++) {
		threads[i].number = i;
		if (optind < argc)
			threads[i].done = strtoul(argv[optind++], NULL, 10);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	verify();
	if (limit == 0)
		return 0;
	fflush(stdout);
	for (unsigned int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i].thread, NULL, run, &threads[i]) != 0)
			die("thread", 0);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(threads[i].thread, NULL);
	verify();
	for (unsigned int i = 0; i < THREADS; i++)
		printf("load %s: thread %u: %lu\n", name, i, threads[i].done);
	return 0;
}
