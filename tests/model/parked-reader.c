/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parked-reader.c - a page that a reader has looked up is not reused before the reader has left.
 *
 * A reader is stopped between its look-up and its copy (the linker puts __wrap_pm_read() in the
 * place of pm_read()).  Meanwhile its block is trimmed, and another one overwritten again and again
 * on a small device, until the trimmed page is used anew or the writer has come to a stop, for want
 * of a page.  Then the reader goes on: it must get what it looked up.
 *
 * Linked with grace-mutant.c, where waiting for readers does nothing, it must not: that shows that
 * the test sees the fault.  ThreadSanitizer must report it too, so the threads here tell each other
 * how far they are by relaxed atomics, which put nothing in order.
 */
#include "config.h"

#include <pthread.h>
#include <unistd.h>

#include "block.h"
#include "harness.h"
#include "internal.h"

#define READ_BLOCK    0u
#define WRITTEN_BLOCK 1u
#define PAGES	      32u
/* Tenths of a second without progress, after which the writer counts as stopped. */
#define STOPPED 5u

/* Overwrites, after which it does not count on stopping any more. */
#define ENDLESS 100000u

#define GET(object)	atomic_load_explicit(&(object), memory_order_relaxed)
#define SET(object, to) atomic_store_explicit(&(object), (to), memory_order_relaxed)

static struct kmemblk *handle;
static __thread bool to_be_parked;
static _Atomic bool parked, go, enough;
static _Atomic unsigned int written;
static uint8_t seen[BLOCK_SIZE];

void __real_pm_read(void *dst, const void *src, size_t len);
void __wrap_pm_read(void *dst, const void *src, size_t len);

void __wrap_pm_read(void *dst, const void *src, size_t len)
{
	if (to_be_parked) {
		SET(parked, true);
		while (!GET(go))
			usleep(1000);
	}
	__real_pm_read(dst, src, len);
}

static void *read_parked(void *opaque)
{
	(void)opaque;
	to_be_parked = true;
	CHECK_CALL(kmemblk_read(handle, seen, BLOCK_SIZE, READ_BLOCK * BLOCK_SIZE));
	return NULL;
}

static void write_block(uint32_t block, uint32_t version)
{
	uint8_t buf[BLOCK_SIZE];

	block_fill(buf, block, version);
	CHECK_CALL(kmemblk_write(handle, buf, BLOCK_SIZE, (uint64_t)block * BLOCK_SIZE));
}

static void *overwrite(void *opaque)
{
	(void)opaque;
	for (uint32_t i = 1; !GET(enough); i++) {
		write_block(WRITTEN_BLOCK, i);
		SET(written, i);
	}
	return NULL;
}

static uint64_t entry_of(uint32_t block)
{
	return GET(handle->index.entries[block]);
}

/* Wait until the writer has used the page, or has stopped.  True if it has used it. */
static bool wait_for_reuse(uint64_t page)
{
	unsigned int before = 0, still = 0;

	while (still < STOPPED) {
		CHECK(before < ENDLESS, "the writer does not run out of pages");
		for (unsigned int i = 0; i < 1000; i++) {
			if (entry_of(WRITTEN_BLOCK) == page)
				return true;
			usleep(100);
		}
		still = GET(written) == before ? still + 1 : 0;
		before = GET(written);
	}
	return false;
}

int main(void)
{
	char *path = test_make_device(PAGES * BLOCK_SIZE, 4);
	pthread_t reader, writer;
	struct content content;
	uint64_t page;
	bool reused;

	handle = test_open(path);
	write_block(READ_BLOCK, 1);
	page = entry_of(READ_BLOCK);
	CHECK(pthread_create(&reader, NULL, read_parked, NULL) == 0, "pthread_create");
	while (!GET(parked))
		usleep(1000);
	CHECK_CALL(kmemblk_trim(handle, BLOCK_SIZE, READ_BLOCK * BLOCK_SIZE));
	CHECK(pthread_create(&writer, NULL, overwrite, NULL) == 0, "pthread_create");
	reused = wait_for_reuse(page);
	SET(enough, true);
	if (reused)
		pthread_join(writer, NULL);
	SET(go, true);
	pthread_join(reader, NULL);
	if (!reused)
		pthread_join(writer, NULL);
	content = block_recognise(seen, 0, BLOCK_WORDS);
	CHECK(!reused, "the page was reused under the reader, who saw %s",
	      content.kind == CONTENT_VERSION && content.number == READ_BLOCK
		      ? "its old bytes, by luck"
		      : "others");
	CHECK(content.kind == CONTENT_VERSION && content.number == READ_BLOCK &&
		      content.version == 1,
	      "the reader saw something else than it looked up");
	test_close_and_check(handle, path, 1);
	free(path);
	return 0;
}
