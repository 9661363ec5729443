/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * msync-error-shared.c - the pages of one thread's request fail to reach the disk under an ordinary
 * file, and the kernel tells it to another thread's msync, once: neither request is acknowledged.
 *
 * msync() is replaced by one that acts as the kernel does: the failure to write back is told once an
 * open file, to whichever msync asks next.  The loser's msync meets the failure; the taker's, which
 * overlaps with it, takes it, and returns only when the loser has been answered or waits.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/handle.h"
#include "unit.h"
#include "common/disk.h"

enum role { NEITHER, LOSER, TAKER };

static __thread enum role role;
static __thread int calls; /* of msync by this thread, since its request began */

static int loser_call, taker_call; /* which of their calls it is about */

/* The steps, in their order; each is set by one thread and awaited by the other. */
static _Atomic bool failed;   /* the loser's pages have failed, in its msync */
static _Atomic bool taken;    /* the taker has been told */
static _Atomic bool answered; /* the loser has its answer, or waits before it */

static void await(const _Atomic bool *step)
{
	while (!atomic_load(step))
		sched_yield();
}

int __wrap_msync(void *addr, size_t len, int flags);
int __real_msync(void *addr, size_t len, int flags);
void __wrap_grace_wait(void);
void __real_grace_wait(void);

int __wrap_msync(void *addr, size_t len, int flags)
{
	int call = calls++;

	if (role == LOSER && call == loser_call) {
		atomic_store(&failed, true);
		await(&taken);
	}
	if (role == TAKER && call == taker_call) {
		await(&failed);
		atomic_store(&taken, true);
		await(&answered);
		errno = EIO;
		return -1;
	}
	return __real_msync(addr, len, flags);
}

void __wrap_grace_wait(void)
{
	if (role == LOSER)
		atomic_store(&answered, true);
	__real_grace_wait();
}

/* A kind of request, and how many times it calls msync. */
struct kind {
	const char *name;
	int (*run)(struct kmemblk *h, uint64_t at);
	int calls;
};

static int write_block(struct kmemblk *h, uint64_t at)
{
	static const uint8_t page[PAGE] = { 1 };

	return kmemblk_write(disk_of(h), page, PAGE, at);
}

static int write_bytes(struct kmemblk *h, uint64_t at)
{
	return kmemblk_write(disk_of(h), "abc", 3, at + 5);
}

static int trim_block(struct kmemblk *h, uint64_t at)
{
	return kmemblk_trim(disk_of(h), PAGE, at);
}

static int zero_block(struct kmemblk *h, uint64_t at)
{
	return kmemblk_zero(disk_of(h), PAGE, at, KMEMBLK_ZERO_NO_HOLE);
}

static const struct kind kinds[] = {
	{ "write", write_block, 2 },
	{ "write of a part", write_bytes, 2 },
	{ "trim", trim_block, 1 },
	{ "zero", zero_block, 2 },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct request {
	struct kmemblk *h;
	const struct kind *kind;
	enum role role;
	int rc;
};

static void *run(void *opaque)
{
	struct request *request = opaque;

	role = request->role;
	calls = 0;
	request->rc = request->kind->run(request->h, request->role * PAGE);
	if (role == LOSER)
		atomic_store(&answered, true);
	return NULL;
}

static void lose_and_take(const struct kind *loser, const struct kind *taker)
{
	struct request requests[2];
	pthread_t threads[2];
	struct kmemblk *h = unit_make(8 * MIB);

	h->device.pm.media = PM_FILE;
	unit_write(h, LOSER, 1);
	unit_write(h, TAKER, 2);
	atomic_store(&failed, false);
	atomic_store(&taken, false);
	atomic_store(&answered, false);
	requests[0] = (struct request){ h, loser, LOSER, 0 };
	requests[1] = (struct request){ h, taker, TAKER, 0 };
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, &requests[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_msg(requests[0].rc == -EIO && requests[1].rc == -EIO,
		      "%s, call %d, fails; %s, call %d, is told: %d and %d", loser->name,
		      loser_call, taker->name, taker_call, requests[0].rc, requests[1].rc);
	ck_assert_int_eq(kmemblk_flush(disk_of(h)), -EIO);
	/* What the loser retired may still be what the media name. */
	ck_assert(atomic_load(&h->pool.frozen));
	kmemblk_close(h);
	unlink(unit_device);
}

START_TEST(test_a_failure_told_to_another_fails_both)
{
	for (size_t l = 0; l < KINDS; l++)
		for (size_t t = 0; t < KINDS; t++)
			for (loser_call = 0; loser_call < kinds[l].calls; loser_call++)
				for (taker_call = 0; taker_call < kinds[t].calls; taker_call++)
					lose_and_take(&kinds[l], &kinds[t]);
}
END_TEST

UNIT_MAIN("msync-error-shared", test_a_failure_told_to_another_fails_both)
