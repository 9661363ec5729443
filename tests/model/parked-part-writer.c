/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parked-part-writer.c - who writes part of a block does not take a page that has come back for one
 * that has stayed (invariant 4: no ABA).
 *
 * The writer is stopped after it has copied the block's old contents, or just before its exchange
 * (the linker puts functions of this file before pm_read_block() and pm_drain()).  Meanwhile another
 * thread overwrites that very block, until it is on the page where it was, with other contents,
 * which must not happen: the exchange would succeed, and the newer contents be lost.
 *
 * Linked with grace-mutant.c it must happen.
 */
#include "config.h"

#include "park.h"
#include "common/disk.h"

#define PAGES 35u
#define BLOCK 3u
/* Not where the block's words would tell its version. */
#define PART_WORDS 64u

/* Where the writer is stopped. */
enum place { NOWHERE, AFTER_READ, AFTER_DRAIN };

static struct kmemblk *handle;
static __thread enum place park_at;

uint32_t __real_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix);
uint32_t __wrap_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix);
void __real_pm_drain(const struct pm *pm, enum pm_order order);
void __wrap_pm_drain(const struct pm *pm, enum pm_order order);

static void park_once(enum place place)
{
	if (park_at != place)
		return;
	park_at = NOWHERE;
	park();
}

uint32_t __wrap_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix)
{
	uint32_t value = __real_pm_read_block(dst, src, prefix);

	park_once(AFTER_READ);
	return value;
}

void __wrap_pm_drain(const struct pm *pm, enum pm_order order)
{
	__real_pm_drain(pm, order);
	if (order == PM_PART_DATA)
		park_once(AFTER_DRAIN);
}

static void *write_parked(void *opaque)
{
	uint64_t part[PART_WORDS] = { 0 };

	park_at = *(const enum place *)opaque;
	CHECK_CALL(kmemblk_write(disk_in_use(handle), part, sizeof(part),
				 (uint64_t)BLOCK * BLOCK_SIZE));
	return NULL;
}

static void try_place(enum place place)
{
	char *path = test_make_device(PAGES * BLOCK_SIZE, 4);
	uint64_t word[BLOCK_WORDS], page;
	struct shortage shortage;
	struct content content;
	pthread_t thread;

	handle = test_open(path);
	shortage_write(handle, BLOCK, 1);
	page = shortage_page(handle, BLOCK);
	thread = park_start(write_parked, &place);
	shortage_begin(&shortage, handle, BLOCK, page);
	CHECK(!shortage_reaches(&shortage),
	      "the block came back to the page that is still being read");
	shortage_end(&shortage);
	park_end(thread);
	shortage_join(&shortage);
	CHECK_CALL(
		kmemblk_read(disk_in_use(handle), word, BLOCK_SIZE, (uint64_t)BLOCK * BLOCK_SIZE));
	content = block_recognise(word + PART_WORDS, PART_WORDS, BLOCK_WORDS - PART_WORDS);
	CHECK(content.kind == CONTENT_VERSION && content.version == GET(shortage.written),
	      "the block's last version, %u, is lost", GET(shortage.written));
	test_close_and_check(handle, path, 1);
	free(path);
}

int main(void)
{
	try_place(AFTER_READ);
	try_place(AFTER_DRAIN);
	return 0;
}
