/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * store.c - what the library costs above what the hardware must be paid, and beside libpmemblk.
 *
 * usage: store [MIB [ROUNDS [DIRECTORY]]]
 *
 * All in one run, on fully mapped devices whose blocks have been shuffled over their pages by
 * random overwriting, 4 KiB at random, one thread, in rounds that alternate between these figures:
 *
 *   copy + drain    a page copied with non-temporal stores to a random page, and one drain
 *   write floor     the same, then one random 8-byte entry stored, flushed and drained: the least
 *                   that an untorn, durable block costs
 *   write           kmemblk_write() to a device without check values
 *   checked write   the same with
 *   memcpy          a random page copied out
 *   read floor      one random entry loaded, and the page it names copied out
 *   read            kmemblk_read() from a device without check values
 *   checked read    the same with
 *   libpmemblk write, read    of PMDK's own store of untorn blocks, in a pool as large, where it is installed
 *
 * The floors run on a device of their own, on the same random numbers.  They store to pages in place, and
 * to entries what they hold already, so the blocks stay where they are.
 *
 * A round takes the figures in turn many times, a slice of a few milliseconds each, so that whatever
 * else the machine does meanwhile falls on all of them alike; a figure's time in a round is that of
 * all its slices.  A slice begins with the caches full of the one before, so slices must be long.
 * What is left of that falls on the library, which always follows a figure on the other mapping,
 * while each floor follows one on its own.
 */
#include "config.h"

#include <fcntl.h>
#include <libpmem.h>
#ifdef HAVE_LIBPMEMBLK
#include <libpmemblk.h>
#endif
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kmemblk.h"
#include "measure.h"
#include "figures.h"

#define PAGE	  4096u
#define PAGE_BITS ((1ull << 39) - 1) /* of an entry */
#define SLICES	  25
#define SLICE_OPS 4000u

enum figure {
	COPY_DRAIN,
	WRITE_FLOOR,
	WRITE,
	CHECKED_WRITE,
	MEMCPY,
	READ_FLOOR,
	READ,
	CHECKED_READ,
#ifdef HAVE_LIBPMEMBLK
	PMEMBLK_WRITE,
	PMEMBLK_READ,
#endif
	FIGURES
};

static const char *const names[FIGURES] = {
	"copy + drain",	    "write floor",     "write", "checked write",
	"memcpy",	    "read floor",      "read",	"checked read",
#ifdef HAVE_LIBPMEMBLK
	"libpmemblk write", "libpmemblk read",
#endif
};

struct bench {
	struct kmemblk_volume *plain, *checked;
	struct kmemblk_info info;
	uint8_t *floor;		   /* the device that is only mapped */
	_Atomic uint64_t *entries; /* its leaves, which lie together: so they are made at format */
	uint64_t first;		   /* page: its blocks lie from here on */
	uint64_t seed;
	uint8_t buf[PAGE];
#ifdef HAVE_LIBPMEMBLK
	PMEMblkpool *pool;
#endif
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, kmemblk_error());
	exit(1);
}

/* Format, map every block and shuffle. */
static struct kmemblk *make_device(const char *path, uint64_t size, const char *check,
				   struct kmemblk_info *info, struct kmemblk_volume **volume)
{
	struct kmemblk_format_options options = { .create_size = size,
						  .check = check,
						  .flags = KMEMBLK_FORMAT_PREALLOC };
	uint64_t seed = 88172645463325252u;
	uint8_t buf[PAGE] = { 1 };
	struct kmemblk *h = NULL;

	if (kmemblk_format(path, &options) != 0 || kmemblk_open(path, 0, &h) != 0 ||
	    kmemblk_start(h) != 0 || kmemblk_volume_open(h, NULL, volume) != 0)
		die(path);
	kmemblk_get_info(h, info);
	for (uint64_t i = 0; i < 2 * info->blocks; i++)
		if (kmemblk_write(*volume, buf, PAGE, next(&seed) % info->blocks * PAGE) != 0)
			die("shuffle");
	return h;
}

static void map_floor(struct bench *b, const char *path)
{
	struct stat st;
	int fd = open(path, O_RDWR);

	if (fd == -1 || fstat(fd, &st) == -1)
		die(path);
	b->floor = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			fd, 0);
	close(fd);
	if (b->floor == MAP_FAILED)
		die("mmap");
	/* Superblock, directory, its copy, record, leaves, other tables, blocks. */
	b->entries = (_Atomic uint64_t *)(b->floor + (size_t)4 * PAGE);
	b->first = b->info.device_pages - 1 - b->info.data_pages + b->info.pages_tables;
}

#ifdef HAVE_LIBPMEMBLK
/* With as many blocks at least, all written and shuffled. */
static void make_pool(struct bench *b, const char *path, uint64_t size)
{
	uint64_t seed = 88172645463325252u;

	b->pool = pmemblk_create(path, PAGE, size + (64 << 20), 0600);
	if (b->pool == NULL || pmemblk_nblock(b->pool) < b->info.blocks) {
		fprintf(stderr, "bench: libpmemblk: %s\n", pmemblk_errormsg());
		exit(1);
	}
	for (uint64_t i = 0; i < 3 * b->info.blocks; i++)
		if (pmemblk_write(b->pool, b->buf,
				  (long long)(i < b->info.blocks ? i
								 : next(&seed) % b->info.blocks)) !=
		    0)
			die("libpmemblk");
}
#endif

static uint8_t *floor_page(struct bench *b, uint64_t block)
{
	return b->floor + (b->entries[block] & PAGE_BITS) * PAGE;
}

/* One slice; ns an operation. */
static double run(struct bench *b, enum figure figure)
{
	uint64_t blocks = b->info.blocks, seed = b->seed, sum = 0;
	double start = now();

	for (uint64_t i = 0; i < SLICE_OPS; i++) {
		uint64_t block = next(&seed) % blocks;
		uint64_t other = (block * 2654435761u + i) % blocks;

		memcpy(b->buf, &block, sizeof(block));
		switch (figure) {
		case COPY_DRAIN:
			pmem_memcpy(b->floor + (b->first + block) * PAGE, b->buf, PAGE,
				    PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
			pmem_drain();
			break;
		case WRITE_FLOOR:
			pmem_memcpy(floor_page(b, other), b->buf, PAGE,
				    PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
			pmem_drain();
			atomic_store_explicit(&b->entries[block],
					      atomic_load_explicit(&b->entries[block],
								   memory_order_relaxed),
					      memory_order_release);
			pmem_persist((void *)&b->entries[block], sizeof(b->entries[block]));
			break;
		case WRITE:
			if (kmemblk_write(b->plain, b->buf, PAGE, block * PAGE) != 0)
				die("write");
			break;
		case CHECKED_WRITE:
			if (kmemblk_write(b->checked, b->buf, PAGE, block * PAGE) != 0)
				die("write");
			break;
		case MEMCPY:
			memcpy(b->buf, b->floor + (b->first + block) * PAGE, PAGE);
			break;
		case READ_FLOOR:
			memcpy(b->buf, floor_page(b, block), PAGE);
			break;
		case READ:
			if (kmemblk_read(b->plain, b->buf, PAGE, block * PAGE) != 0)
				die("read");
			break;
		case CHECKED_READ:
			if (kmemblk_read(b->checked, b->buf, PAGE, block * PAGE) != 0)
				die("read");
			break;
#ifdef HAVE_LIBPMEMBLK
		case PMEMBLK_WRITE:
			if (pmemblk_write(b->pool, b->buf, (long long)block) != 0)
				die("libpmemblk");
			break;
		case PMEMBLK_READ:
			if (pmemblk_read(b->pool, b->buf, (long long)block) != 0)
				die("libpmemblk");
			break;
#endif
		case FIGURES:
			break;
		}
		sum += b->buf[17];
	}
	/* So that no copy can be left out. */
	b->buf[100] = (uint8_t)sum;
	return (now() - start) / SLICE_OPS;
}

static void run_round(struct bench *b, double ns[FIGURES][ROUNDS_MAX], unsigned int round)
{
	for (int slice = 0; slice < SLICES; slice++)
		for (int figure = 0; figure < FIGURES; figure++) {
			b->seed = b->seed * 6364136223846793005u + 1;
			ns[figure][round] += run(b, (enum figure)figure) / SLICES;
		}
}

int main(int argc, char **argv)
{
	uint64_t size = (argc > 1 ? strtoull(argv[1], NULL, 0) : 1024) << 20;
	unsigned int rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 7;
	const char *dir = argc > 3 ? argv[3] : "/dev/shm";
	char path[256], what[64];
	static double ns[FIGURES][ROUNDS_MAX];
	struct kmemblk *h, *checked;
	static struct bench b = { .seed = 0x9E3779B97F4A7C15u };

	if (size == 0 || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "usage: store [MIB [ROUNDS [DIRECTORY]]]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/kmemblk-bench.%ld", dir, (long)getpid());
	h = make_device(path, size, "none", &b.info, &b.plain);
	kmemblk_volume_close(b.plain);
	kmemblk_close(h);
	map_floor(&b, path);
	unlink(path);
	h = make_device(path, size, "none", &b.info, &b.plain);
	unlink(path);
	checked = make_device(path, size, "crc24", &b.info, &b.checked);
	unlink(path);
#ifdef HAVE_LIBPMEMBLK
	make_pool(&b, path, size);
	unlink(path);
#endif
	for (unsigned int round = 0; round < rounds; round++)
		run_round(&b, ns, round);
	snprintf(what, sizeof(what), "%llu MiB, 4 KiB at random", (unsigned long long)(size >> 20));
	for (int figure = 0; figure < FIGURES; figure++)
		print_figures("store", what, names[figure], "ns", ns[figure], rounds);
	kmemblk_volume_close(b.plain);
	kmemblk_volume_close(b.checked);
	kmemblk_close(h);
	kmemblk_close(checked);
	return 0;
}
