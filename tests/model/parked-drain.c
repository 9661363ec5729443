/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parked-drain.c - a page is not reused before the entry that named it is durably something else
 * (invariant 3).
 *
 * A thread that trims or overwrites a block is stopped after it has changed the entry and before it
 * drains that (the linker puts __wrap_pm_drain() in the place of pm_drain()).  The device is full but
 * for one page, and another thread overwrites another block until it has the page that the entry
 * named, which must not happen; then the first goes on, and it must.
 */
#include "config.h"

#include "park.h"
#include "common/disk.h"

#define PAGES	     35u
#define BLOCKS	     28u /* all that are there with a spare of one page */
#define BLOCK	     5u
#define OTHER_BLOCK  6u
#define PART	     1000u
#define BLOCK_OFFSET ((uint64_t)BLOCK * BLOCK_SIZE)

static struct kmemblk *handle;
static __thread bool to_be_parked;
static enum pm_order park_at;

void __real_pm_drain(const struct pm *pm, enum pm_order order);
void __wrap_pm_drain(const struct pm *pm, enum pm_order order);

void __wrap_pm_drain(const struct pm *pm, enum pm_order order)
{
	if (to_be_parked && order == park_at)
		park();
	__real_pm_drain(pm, order);
}

static int trim(void)
{
	return kmemblk_trim(disk_in_use(handle), BLOCK_SIZE, BLOCK_OFFSET);
}

static int zero(void)
{
	return kmemblk_zero(disk_in_use(handle), BLOCK_SIZE, BLOCK_OFFSET, 0);
}

static int zero_no_hole(void)
{
	return kmemblk_zero(disk_in_use(handle), BLOCK_SIZE, BLOCK_OFFSET, KMEMBLK_ZERO_NO_HOLE);
}

static int write_whole_block(void)
{
	uint8_t buf[BLOCK_SIZE];

	block_fill(buf, BLOCK, 2);
	return kmemblk_write(disk_in_use(handle), buf, BLOCK_SIZE, BLOCK_OFFSET);
}

static int write_part_of_block(void)
{
	uint8_t buf[PART] = { 1 };

	return kmemblk_write(disk_in_use(handle), buf, PART, BLOCK_OFFSET);
}

static int zero_part_of_block(void)
{
	return kmemblk_zero(disk_in_use(handle), PART, BLOCK_OFFSET, 0);
}

static const struct request {
	const char *name;
	int (*run)(void);
	enum pm_order order; /* of the drain before its answer */
	bool unmaps;
} requests[] = {
	{ "trim", trim, PM_TRIM_ENTRY, true },
	{ "zero", zero, PM_TRIM_ENTRY, true },
	{ "zero without a hole", zero_no_hole, PM_WRITE_ENTRY, false },
	{ "write", write_whole_block, PM_WRITE_ENTRY, false },
	{ "write of a part", write_part_of_block, PM_PART_ENTRY, false },
	{ "zero of a part", zero_part_of_block, PM_PART_ENTRY, false },
};

static void *run_parked(void *opaque)
{
	const struct request *request = opaque;

	to_be_parked = true;
	CHECK_CALL(request->run());
	return NULL;
}

static void try_request(struct request request)
{
	char *path = test_make_device(PAGES * BLOCK_SIZE, 1);
	struct shortage shortage;
	pthread_t thread;
	uint64_t page;

	handle = test_open(path);
	for (uint32_t block = 0; block < BLOCKS; block++)
		shortage_write(handle, block, 1);
	page = shortage_page(handle, BLOCK);
	park_at = request.order;
	thread = park_start(run_parked, &request);
	CHECK(shortage_page(handle, BLOCK) != page, "%s: stopped too early", request.name);
	shortage_begin(&shortage, handle, OTHER_BLOCK, page);
	CHECK(!shortage_reaches(&shortage),
	      "%s: the page was reused before its entry was durably something else", request.name);
	park_end(thread);
	CHECK(shortage_must_reach(&shortage), "%s: the page is not reused afterwards, either",
	      request.name);
	shortage_end(&shortage);
	shortage_join(&shortage);
	test_close_and_check(handle, path, BLOCKS - request.unmaps);
	free(path);
}

int main(void)
{
	for (unsigned int i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		try_request(requests[i]);
	return 0;
}
