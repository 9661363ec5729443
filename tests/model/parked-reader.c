/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * parked-reader.c - a page that a reader has looked up is not reused before the reader has left.
 *
 * A reader is stopped between its look-up and its copy (the linker puts __wrap_pm_read_block() in the
 * place of pm_read_block()).  Meanwhile its block is trimmed, and another one overwritten again and again
 * on a small device, until the trimmed page is used anew or the writer has come to a stop, for want
 * of a page.  Then the reader goes on: it must get what it looked up.
 *
 * Linked with grace-mutant.c, where waiting for readers does nothing, it must not: that shows that
 * the test sees the fault.  ThreadSanitizer must report it too, so the threads here tell each other
 * how far they are by relaxed atomics, which put nothing in order.
 */
#include "config.h"

#include "park.h"
#include "common/disk.h"

#define READ_BLOCK    0u
#define WRITTEN_BLOCK 1u
#define PAGES	      35u

static struct kmemblk *handle;
static __thread bool to_be_parked;
static uint8_t seen[BLOCK_SIZE];
static int seen_rc;

uint32_t __real_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix);
uint32_t __wrap_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix);

uint32_t __wrap_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix)
{
	if (to_be_parked)
		park();
	return __real_pm_read_block(dst, src, prefix);
}

static void *read_parked(void *opaque)
{
	(void)opaque;
	to_be_parked = true;
	seen_rc = kmemblk_read(disk_in_use(handle), seen, BLOCK_SIZE, READ_BLOCK * BLOCK_SIZE);
	return NULL;
}

int main(void)
{
	char *path = test_make_device(PAGES * BLOCK_SIZE, 4);
	struct shortage shortage;
	pthread_t reader;
	struct content content;
	uint64_t page;
	bool reused;

	handle = test_open(path);
	shortage_write(handle, READ_BLOCK, 1);
	page = shortage_page(handle, READ_BLOCK);
	reader = park_start(read_parked, NULL);
	CHECK_CALL(kmemblk_trim(disk_in_use(handle), BLOCK_SIZE, READ_BLOCK * BLOCK_SIZE));
	shortage_begin(&shortage, handle, WRITTEN_BLOCK, page);
	reused = shortage_reaches(&shortage);
	shortage_end(&shortage);
	park_end(reader);
	shortage_join(&shortage);
	content = block_recognise(seen, 0, BLOCK_WORDS);
	CHECK(!reused, "the page was reused under the reader, who saw %s",
	      seen_rc != 0 ? "an error"
	      : content.kind == CONTENT_VERSION && content.number == READ_BLOCK
		      ? "its old bytes, by luck"
		      : "others");
	CHECK(seen_rc == 0 && content.kind == CONTENT_VERSION && content.number == READ_BLOCK &&
		      content.version == 1,
	      "the reader saw something else than it looked up");
	test_close_and_check(handle, path, 1);
	free(path);
	return 0;
}
