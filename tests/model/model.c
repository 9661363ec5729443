/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.c - random operations from many threads on one handle, against a reference.
 *
 * The operations come in phases.  After each, everything is verified by one thread, the device is
 * closed, checked and opened again, and verified once more: then every block must hold exactly what
 * it held before.  With --kill each phase runs in a child process that is killed at a random moment
 * of it; what the reference had seen acknowledged must be there.
 *
 * With --snapshots some of the operations are about snapshots of the disk (views.c).
 *
 * What is wrong is counted: torn (a mixture of versions), lost (older than what was certainly
 * written), foreign (another block's), late (in a snapshot, and begun after it), changed (in a snapshot, since it was
 * taken).  whole.c and parts.c state the rules.  Every other error, an ENOSPC included, ends the test: the disks never
 * have more blocks than the device has pages.
 *
 * The seed is printed, and gives the same operations again, though not the same order.
 */
#include "config.h"

#include <argp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/audit.h"
#include "common/disk.h"
#include "model.h"

struct reference *reference;
unsigned int threads = 16;

static uint64_t operations;
static unsigned int seconds; /* 0: no limit */
static unsigned int phases = 4;
static bool kill_phases;
static uint64_t seed;
static uint64_t size; /* 0: the default */
static uint64_t spare = 16;
static unsigned int snapshots; /* how many there are at the same time */

/* Of a device with one disk; and of the disk, if there are snapshots: a map of several leaves. */
#define DEVICE_SIZE (24ull << 20)
#define DISK_BLOCKS 1040ull
/* Of a thousand operations so many are about snapshots, if there are any. */
#define VIEW_WEIGHT 8u

static const char *const names[OPERATIONS] = {
	[READ] = "read",
	[READ_UNALIGNED] = "read unaligned",
	[WRITE] = "write",
	[WRITE_SEVERAL] = "write several",
	[TRIM] = "trim",
	[WRITE_LONG] = "write long",
	[ZERO] = "zero",
	[ZERO_NO_HOLE] = "zero, no hole",
	[PART_READ] = "read parts",
	[PART_WRITE] = "write parts",
	[PART_ZERO] = "zero parts",
	[EXTENTS] = "extents",
	[FLUSH] = "flush",
	[SNAPSHOT] = "snapshots taken",
	[SNAPSHOT_READ] = "snapshots read back whole",
	[SNAPSHOT_CLONE] = "snapshots cloned, and the clones read whole and deleted",
	[SNAPSHOT_DELETE] = "snapshots deleted",
};

static const char *const kinds[WRONGS] = { "torn", "lost", "foreign", "late", "changed" };

/* Of a thousand operations. */
static const unsigned int weights[OPERATIONS] = {
	[READ] = 180,	   [READ_UNALIGNED] = 70, [WRITE] = 180,  [WRITE_SEVERAL] = 90,
	[WRITE_LONG] = 3,  [TRIM] = 50,		  [ZERO] = 20,	  [ZERO_NO_HOLE] = 30,
	[PART_READ] = 130, [PART_WRITE] = 217,	  [EXTENTS] = 20, [FLUSH] = 10,
};

void *share(size_t length)
{
	void *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(memory != MAP_FAILED, "memory of %zu bytes: %m", length);
	return memory;
}

void wrong(enum wrong kind, const char *format, ...)
{
	char text[256];
	va_list args;

	if (ADD(reference->wrong[kind], 1) >= 10)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%s: %s\n", kinds[kind], text);
}

/* ---- phases --------------------------------------------------------------------------------- */

static uint64_t deadline; /* seconds of the monotonic clock, 0 for none */

static uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

static enum operation choose(struct worker *worker)
{
	unsigned int at = random_below(&worker->random, 1000), operation = 0;

	if (snapshots > 0 && random_below(&worker->random, 1000) < VIEW_WEIGHT)
		return SNAPSHOT;
	while (at >= weights[operation])
		at -= weights[operation++];
	return (enum operation)operation;
}

static enum operation do_one(struct worker *worker)
{
	enum operation operation = choose(worker);

	switch (operation) {
	case FLUSH:
		CHECK_CALL(kmemblk_flush(worker->disk));
		return operation;
	case SNAPSHOT:
		return views_do(worker);
	case PART_READ:
	case PART_WRITE:
		return parts_do(worker, operation);
	default:
		whole_do(worker, operation);
		return operation;
	}
}

static uint64_t per_thread(void)
{
	return operations / phases / threads + 1;
}

static void *work(void *opaque)
{
	struct worker *worker = opaque;

	for (uint64_t i = 0; i < per_thread(); i++) {
		ADD(reference->done[do_one(worker)], 1);
		ADD(reference->progress, 1);
		if (i % 128 == 0 && deadline != 0 && clock_now() >= deadline)
			break;
	}
	return NULL;
}

/* Let all threads do a phase's operations. */
static void run_phase(struct kmemblk *handle, struct worker *workers, unsigned int phase)
{
	for (unsigned int i = 0; i < threads; i++) {
		workers[i].handle = handle;
		workers[i].disk = disk_in_use(handle);
		workers[i].number = i;
		workers[i].random = seed + ((uint64_t)phase << 32) + i + 1;
		CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0,
		      "pthread_create");
	}
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
}

/* The same in a child, which is killed when a random part of them is done. */
static void run_killed(const char *path, struct worker *workers, unsigned int phase)
{
	uint64_t random = seed + phase;
	uint64_t until =
		LOAD(reference->progress) + random_next(&random) % (per_thread() * threads);
	pid_t child = fork(), ended = 0;
	int status;

	CHECK(child != -1, "fork: %m");
	if (child == 0) {
		run_phase(test_open(path), workers, phase);
		/* Without closing, which is not needed. */
		_exit(0);
	}
	while (ended == 0 && LOAD(reference->progress) < until) {
		usleep(200);
		ended = waitpid(child, &status, WNOHANG);
	}
	if (ended == 0) {
		kill(child, SIGKILL);
		CHECK(waitpid(child, &status, 0) == child, "waitpid: %m");
	}
	CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0,
	      "the child failed");
}

static void settle(struct kmemblk *handle, struct worker *worker)
{
	char why[200];

	worker->handle = handle;
	worker->disk = disk_in_use(handle);
	worker->number = 0;
	views_settle(worker);
	whole_settle(worker);
	parts_settle(worker);
	if (snapshots > 0)
		CHECK(audit(handle, why, sizeof(why)), "%s", why);
}

/*
 * Large enough for all snapshots and for a clone of each thread, should they have nothing in common.
 */
static char *make_device(void)
{
	uint64_t disk = size == 0 ? DISK_BLOCKS : size / BLOCK_SIZE;
	struct kmemblk_format_options options = { .spare_pages = spare };

	if (snapshots == 0)
		return test_make_device(size == 0 ? DEVICE_SIZE : size, spare);
	options.disk_size = disk * BLOCK_SIZE;
	return test_make_device_with(
		((disk + disk / 256 + 8) * (1 + snapshots + threads) + spare + 1024) * BLOCK_SIZE,
		&options);
}

static void run_phases(void)
{
	struct worker *workers = calloc(threads, sizeof(workers[0]));
	char *path = make_device();
	struct kmemblk *handle;
	struct kmemblk_info info;

	CHECK(workers != NULL, "out of memory");
	handle = test_open(path);
	kmemblk_get_info(handle, &info);
	CHECK(info.blocks >= 64 && info.blocks < UINT32_MAX / 2, "unsuitable size");
	whole_create((uint32_t)(info.blocks / 2), (uint32_t)(per_thread() * threads));
	parts_create((uint32_t)(info.blocks / 2), (uint32_t)(info.blocks - info.blocks / 2), seed);
	if (snapshots > 0)
		views_create(snapshots, (uint32_t)info.blocks);
	settle(handle, workers);
	for (unsigned int phase = 0; phase < phases; phase++) {
		if (kill_phases) {
			test_close_and_check(handle, path, UINT64_MAX);
			run_killed(path, workers, phase);
			handle = test_open(path);
		} else {
			run_phase(handle, workers, phase);
		}
		settle(handle, workers);
		kmemblk_get_info(handle, &info);
		test_close_and_check(handle, path, info.pages_used);
		handle = test_open(path);
		settle(handle, workers);
	}
	kmemblk_close(handle);
	free(path);
	free(workers);
}

/* ---- options and result --------------------------------------------------------------------- */

static const struct argp_option options[] = {
	{ "kill", 'k', NULL, 0, "kill each phase in its middle", 0 },
	{ "operations", 'o', "N", 0, "of all threads and phases", 0 },
	{ "phases", 'p', "N", 0, "close, check and open between them", 0 },
	{ "seconds", 't', "N", 0, "stop after so many, if there are operations left", 0 },
	{ "seed", 's', "N", 0, "repeat the operations of another run", 0 },
	{ "size", 'S', "MIB", 0, "of the device; with --snapshots of the disk", 0 },
	{ "snapshots", 'N', "N", 0, "that there are at the same time", 0 },
	{ "spare", 'P', "PAGES", 0, "of the device; 1 makes writers wait most", 0 },
	{ "threads", 'T', "N", 0, NULL, 0 },
	{ 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	unsigned long long number = 0;
	char *end;

	if (arg != NULL && key != ARGP_KEY_ARG) {
		number = strtoull(arg, &end, 0);
		if (*end != '\0' || number == 0)
			argp_error(state, "not a number above 0: %s", arg);
	}
	switch (key) {
	case 'k':
		kill_phases = true;
		return 0;
	case 'o':
		operations = number;
		return 0;
	case 'p':
		phases = (unsigned int)number;
		return 0;
	case 't':
		seconds = (unsigned int)number;
		return 0;
	case 's':
		seed = number;
		return 0;
	case 'S':
		size = number << 20;
		return 0;
	case 'N':
		snapshots = (unsigned int)number;
		return 0;
	case 'P':
		spare = number;
		return 0;
	case 'T':
		threads = (unsigned int)number;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool report(void)
{
	uint64_t sum = 0, bad = 0;

	for (unsigned int i = 0; i < OPERATIONS; i++) {
		printf("%12llu %s\n", (unsigned long long)LOAD(reference->done[i]), names[i]);
		sum += LOAD(reference->done[i]);
	}
	printf("%12llu operations by %u threads:", (unsigned long long)sum, threads);
	for (unsigned int i = 0; i < WRONGS; i++) {
		printf("%s %llu %s", i == 0 ? "" : ",",
		       (unsigned long long)LOAD(reference->wrong[i]), kinds[i]);
		bad += LOAD(reference->wrong[i]);
	}
	printf("\n");
	return bad == 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, NULL, "Random operations against a reference.", NULL, NULL, NULL
	};

	operations = scale_races(300000);
	seed = (uint64_t)time(NULL) << 16 ^ (uint64_t)getpid();
	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	printf("seed %llu\n", (unsigned long long)seed);
	fflush(stdout);
	if (seconds > 0)
		deadline = clock_now() + seconds;
	reference = share(sizeof(*reference));
	run_phases();
	return report() ? 0 : 1;
}
