/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * found-clear.c - who finds an entry clear makes that durable himself before he answers (invariant
 * 8).
 *
 * A thread that trims a block is stopped after it has cleared the entry and before it has flushed
 * it (the linker puts functions of this file before pm_flush() and pm_drain()).  Another one asks
 * for the same and gets its answer: by then it must have flushed that entry and drained after that.
 * Once in a leaf that holds nothing else, and once among others.
 */
#include "config.h"

#include "park.h"
#include "common/disk.h"

#define PAGES	     35u
#define BLOCKS	     28u
#define BLOCK	     5u
#define BLOCK_OFFSET ((uint64_t)BLOCK * BLOCK_SIZE)

static struct kmemblk *handle;
static __thread bool to_be_parked, watched;
static bool flushed, drained; /* by the thread that is watched */

int __real_pm_flush(const struct pm *pm, const void *addr, size_t len, enum pm_order order);
int __wrap_pm_flush(const struct pm *pm, const void *addr, size_t len, enum pm_order order);
void __real_pm_drain(const struct pm *pm, enum pm_order order);
void __wrap_pm_drain(const struct pm *pm, enum pm_order order);

int __wrap_pm_flush(const struct pm *pm, const void *addr, size_t len, enum pm_order order)
{
	if (watched) {
		const struct map *map = &disk_in_use(handle)->map;
		uintptr_t entry = (uintptr_t)&map_table(map, map_leaf_page(map, BLOCK))[BLOCK];
		uintptr_t from = (uintptr_t)addr;

		flushed = flushed || (entry >= from && entry < from + len);
	}
	if (to_be_parked) {
		to_be_parked = false;
		park();
	}
	return __real_pm_flush(pm, addr, len, order);
}

void __wrap_pm_drain(const struct pm *pm, enum pm_order order)
{
	__real_pm_drain(pm, order);
	if (watched && flushed)
		drained = true;
}

static void *trim_parked(void *opaque)
{
	(void)opaque;
	to_be_parked = true;
	CHECK_CALL(kmemblk_trim(disk_in_use(handle), BLOCK_SIZE, BLOCK_OFFSET));
	return NULL;
}

static const struct request {
	const char *name;
	bool zero;
	uint64_t count, offset;
} requests[] = {
	{ "trim", false, BLOCK_SIZE, BLOCK_OFFSET },
	{ "trim of more", false, 3ull * BLOCK_SIZE, BLOCK_OFFSET - BLOCK_SIZE },
	{ "zero", true, BLOCK_SIZE, BLOCK_OFFSET },
	{ "zero of a part", true, 100, BLOCK_OFFSET + 7 },
	{ "zero with a part at its end", true, BLOCK_SIZE + 100, BLOCK_OFFSET - BLOCK_SIZE },
};

static int run(const struct request *request)
{
	if (request->zero)
		return kmemblk_zero(disk_in_use(handle), request->count, request->offset, 0);
	return kmemblk_trim(disk_in_use(handle), request->count, request->offset);
}

static void try_request(const struct request *request, bool alone)
{
	char *path = test_make_device(PAGES * BLOCK_SIZE, 1);
	pthread_t thread;

	handle = test_open(path);
	for (uint32_t block = 0; block < BLOCKS - 1; block++)
		if (!alone || block == BLOCK)
			shortage_write(handle, block, 1);
	flushed = drained = false;
	thread = park_start(trim_parked, NULL);
	CHECK(shortage_page(handle, BLOCK) == 0, "stopped too early");
	watched = true;
	CHECK_CALL(run(request));
	watched = false;
	CHECK(drained, "%s, %s: answered before the entry it found clear was durable",
	      request->name, alone ? "alone" : "among others");
	park_end(thread);
	/* The page has been given back once: no two blocks get it. */
	for (uint32_t block = 0; block < BLOCKS; block++)
		shortage_write(handle, block, 2);
	test_close_and_check(handle, path, BLOCKS);
	free(path);
}

int main(void)
{
	for (unsigned int i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		try_request(&requests[i], true);
		try_request(&requests[i], false);
	}
	return 0;
}
