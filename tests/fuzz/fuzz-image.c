/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz-image.c - a device with anything in its superblocks and index: opened, checked, repaired,
 * written to.
 *
 * The input tells the device (all that it does not tell is zero):
 *
 *     0          FLAG_*
 *     1-2        pages of the device, modulo PAGES_MAX + 1
 *     3          bytes more, in units of 16
 *     4-195      the first bytes of the superblock; the rest of it is zero
 *     196-387    the same of its copy, as what differs from the primary (exclusive or)
 *     388-395    pokes into the superblocks: offset (2), primary's byte (1), copy's byte (1), twice
 *     from 396   five bytes each: place in the index (2), the low bits of an entry's page (2), WRONG_* (1)
 *
 * The checksums are made right when a flag says so, and check values and parity unless a WRONG_* says
 * otherwise, or nothing behind them would ever be reached.  A page that an entry names holds its own number,
 * again and again.
 *
 * What must hold is told from the bytes alone, with the numbers of kmemblk-format(5): which blocks
 * can be read, and what they hold, at first, after repair, and after writes.
 */
#include "config.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "media/crc24.h"

#define PAGES_MAX   768u
#define LEAVES_MAX  3u
#define SUPER_BYTES 192u
#define CRC_AT	    4092u

#define FLAG_SEAL	 (1u << 0) /* make the primary's checksum right */
#define FLAG_SEAL_COPY	 (1u << 1) /* and the copy's */
#define FLAG_NO_COPY	 (1u << 2) /* leave the copy's page without storage */
#define FLAG_COPY_AT_END (1u << 3) /* copy in the device's last page, not where the primary says */
#define FLAG_DATA_HOLES	 (1u << 4) /* pages of odd numbers have no storage */
#define FLAG_PROBE	 (1u << 5) /* also kmemblk_probe(), which goes through /proc and is slow */

#define WRONG_PAGE   0x1fu /* bits 34-38 of the page */
#define WRONG_CHECK  0x20u /* another check value */
#define NO_CHECK     0x40u /* check value 0 */
#define WRONG_PARITY 0x80u

/* No page: the block cannot be read. */
#define LOST UINT64_MAX

/* The image as it was made; data pages never change but by writes. */
static uint8_t image[PAGES_MAX * PAGE];
static bool touched[PAGES_MAX];
static uint64_t pages, device_size;
static unsigned int flags;

/* What a superblock and the index say. */
struct view {
	uint64_t blocks, data_start, data_end, ro_compat;
	uint64_t page[PAGES_MAX]; /* of each block; 0 for zeroes, or LOST */
	uint64_t damaged; /* blocks that are lost by their entries; the others by their data */
};

/* What a run of check says. */
struct outcome {
	int rc;
	struct kmemblk_check_result result;
	uint64_t told[KMEMBLK_FINDING_LEFT + 1];
};

static uint8_t disk[PAGES_MAX * PAGE], buf[PAGES_MAX * PAGE];

/* ---- making the device ----------------------------------------------------------------------- */

static uint64_t number_at(const uint8_t *bytes, unsigned int width)
{
	uint64_t value = 0;

	while (width-- > 0)
		value = value << 8 | bytes[width];
	return value;
}

static void put_number(uint64_t at, unsigned int width, uint64_t value)
{
	for (unsigned int i = 0; i < width; i++)
		image[at + i] = (uint8_t)(value >> (8 * i));
	touched[at / PAGE] = true;
}

static void seal(uint64_t page)
{
	put_number(page * PAGE + CRC_AT, 4, ~crc32_iscsi(image + page * PAGE, CRC_AT, ~0u));
}

static void put_supers(struct input *input)
{
	uint8_t first[PAGE] = { 0 }, second[PAGE];
	uint64_t copy_page;

	for (unsigned int i = 0; i < SUPER_BYTES; i++)
		first[i] = (uint8_t)input_number(input, 1);
	memcpy(second, first, PAGE);
	for (unsigned int i = 0; i < SUPER_BYTES; i++)
		second[i] ^= (uint8_t)input_number(input, 1);
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t at = input_number(input, 2) % PAGE;

		first[at] ^= (uint8_t)input_number(input, 1);
		second[at] ^= (uint8_t)input_number(input, 1);
	}
	copy_page = flags & FLAG_COPY_AT_END ? pages - 1 : number_at(first + 48, 8) - 1;
	if (!(flags & FLAG_NO_COPY) && copy_page < pages) {
		memcpy(image + copy_page * PAGE, second, PAGE);
		touched[copy_page] = true;
		if (flags & FLAG_SEAL_COPY)
			seal(copy_page);
	}
	memcpy(image, first, PAGE);
	touched[0] = true;
	if (flags & FLAG_SEAL)
		seal(0);
}

/* Of the pages that are named, as they are in the end. */
static void put_entry(uint64_t slot, uint64_t page, uint64_t wrong)
{
	struct crc24_prefix prefix = { number_at(image + 184, 8), slot };
	uint64_t entry = page | (wrong & WRONG_PAGE) << 34, check = 0;

	if (!(wrong & NO_CHECK) && image[44] != 0 && page < pages)
		check = crc24_page(prefix, image + page * PAGE);
	if (wrong & WRONG_CHECK)
		check ^= 1;
	entry |= check << 39;
	entry |= (uint64_t)__builtin_parityll(entry) << 63;
	put_number(PAGE + slot * 8, 8, wrong & WRONG_PARITY ? entry ^ 1ull << 63 : entry);
}

static void put_entries(struct input *input)
{
	static uint64_t named[LEAVES_MAX * PAGE / 8][2];
	bool put[LEAVES_MAX * PAGE / 8] = { false };

	while (input->size > 0) {
		uint64_t slot = input_number(input, 2) % (LEAVES_MAX * PAGE / 8);
		uint64_t page = input_number(input, 2), wrong = input_number(input, 1);

		if (PAGE + slot * 8 >= pages * PAGE)
			continue;
		put[slot] = true;
		named[slot][0] = page;
		named[slot][1] = wrong;
		touched[1 + slot / 512] = true;
		if (page <= LEAVES_MAX || page >= pages || touched[page] ||
		    (flags & FLAG_DATA_HOLES && page % 2 == 1))
			continue;
		for (unsigned int i = 0; i < PAGE; i += 8)
			put_number(page * PAGE + i, 8, page * 0x0101010101010101 + i);
	}
	for (uint64_t slot = 0; slot < LEAVES_MAX * PAGE / 8; slot++)
		if (put[slot])
			put_entry(slot, named[slot][0], named[slot][1]);
}

static void make(struct input *input)
{
	flags = (unsigned int)input_number(input, 1);
	pages = input_number(input, 2) % (PAGES_MAX + 1);
	device_size = pages * PAGE + input_number(input, 1) * 16;
	fuzz_device(device_size);
	if (pages == 0)
		return;
	put_supers(input);
	put_entries(input);
	for (uint64_t page = 0; page < pages; page++)
		EXPECT(!touched[page] || pwrite(fuzz_fd, image + page * PAGE, PAGE,
						(off_t)(page * PAGE)) == PAGE,
		       "cannot write page %llu", (unsigned long long)page);
}

static void forget(void)
{
	for (uint64_t page = 0; page < PAGES_MAX; page++)
		if (touched[page])
			memset(image + page * PAGE, 0, PAGE);
	memset(touched, 0, sizeof(touched));
}

/* ---- what the bytes say ---------------------------------------------------------------------- */

static bool all_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

/* The library has found this superblock sound: is it? */
static void expect_super(uint8_t *super)
{
	uint64_t type = number_at(super + 12, 4), blocks = number_at(super + 72, 8);

	EXPECT(memcmp(super, "KMEMBLK\n", 8) == 0 && number_at(super + 8, 4) == 2 &&
		       number_at(super + 32, 8) == 0 &&
		       number_at(super + CRC_AT, 4) == (uint32_t)~crc32_iscsi(super, CRC_AT, ~0u),
	       "a wrong superblock was accepted");
	EXPECT(number_at(super + 44, 4) <= type &&
		       all_zero(super + SUPER_BYTES, CRC_AT - SUPER_BYTES) && super[183] == 0,
	       "reserved bytes were accepted, or a label without an end");
	EXPECT(number_at(super + 40, 4) == PAGE && number_at(super + 56, 8) == 1 &&
		       number_at(super + 88, 8) != 0 &&
		       number_at(super + 64, 8) == (blocks + 511) / 512,
	       "an impossible field was accepted");
	EXPECT(type == 1 ? blocks > 0 && number_at(super + 80, 8) > 0 : type == 0 && blocks == 0,
	       "an impossible type was accepted");
}

/* What an entry says of its block: a page, 0, or LOST.  `names` counts the entries of each page. */
static uint64_t page_of(const struct view *view, uint64_t entry, bool checks, uint8_t *names)
{
	uint64_t page = entry & ((1ull << 39) - 1);

	if (entry == 0)
		return 0;
	if (__builtin_parityll(entry) || (!checks && entry >> 39 & 0xffffff) ||
	    page < view->data_start || page >= view->data_end)
		return LOST;
	if (names[page] < 2)
		names[page]++;
	return page;
}

/* Find what the data of blocks whose entries are whole has lost. */
static void verify(struct view *view, const uint8_t *bytes, const uint8_t *names)
{
	struct crc24_prefix prefix = { .family = number_at(bytes + 184, 8) };
	bool checks = number_at(bytes + 44, 4) == 1;

	for (uint64_t block = 0; block < view->blocks; block++) {
		uint64_t page = view->page[block], entry = number_at(bytes + PAGE + block * 8, 8);

		if (page == 0 || page == LOST)
			continue;
		view->damaged += names[page] == 2;
		prefix.block = block;
		if (checks ? crc24_page(prefix, image + page * PAGE) != (entry >> 39 & 0xffffff)
			   : names[page] == 2)
			view->page[block] = LOST;
	}
}

/* Read the device's index by its primary, which the library has found sound. */
static void look(struct view *view)
{
	uint8_t bytes[(1 + LEAVES_MAX) * PAGE] = { 0 };
	uint8_t names[PAGES_MAX] = { 0 };

	EXPECT(pread(fuzz_fd, bytes, sizeof(bytes), 0) >= (ssize_t)(2 * PAGE), "no index");
	expect_super(bytes);
	view->blocks = number_at(bytes + 72, 8);
	view->data_start = 1 + number_at(bytes + 64, 8);
	view->data_end = number_at(bytes + 48, 8) - 1;
	view->ro_compat = number_at(bytes + 24, 8);
	EXPECT(view->data_end < pages && view->data_start <= 1 + LEAVES_MAX &&
		       view->data_start <= view->data_end &&
		       view->blocks <= view->data_end - view->data_start,
	       "an impossible superblock was accepted");
	view->damaged = 0;
	for (uint64_t block = 0; block < view->blocks; block++) {
		view->page[block] = page_of(view, number_at(bytes + PAGE + block * 8, 8),
					    number_at(bytes + 44, 4) == 1, names);
		view->damaged += view->page[block] == LOST;
	}
	verify(view, bytes, names);
}

/* Check has found nothing at all: there is nothing. */
static void expect_flawless(const struct view *view)
{
	uint8_t bytes[(1 + LEAVES_MAX) * PAGE], copy[PAGE];
	uint64_t tail = PAGE + view->blocks * 8;

	EXPECT(pread(fuzz_fd, bytes, sizeof(bytes), 0) >= (ssize_t)(view->data_start * PAGE) &&
		       pread(fuzz_fd, copy, PAGE, (off_t)(view->data_end * PAGE)) == PAGE,
	       "cannot read back the device");
	EXPECT(memcmp(bytes, copy, PAGE) == 0, "the copy differs, and check finds nothing");
	EXPECT(all_zero(bytes + tail, view->data_start * PAGE - tail),
	       "an entry past the last block, and check finds nothing");
}

static uint64_t lost_blocks(const struct view *view)
{
	uint64_t lost = 0;

	for (uint64_t block = 0; block < view->blocks; block++)
		lost += view->page[block] == LOST;
	return lost;
}

static const uint8_t *contents(const struct view *view, uint64_t block)
{
	static const uint8_t zeroes[PAGE];

	return view->page[block] == 0 ? zeroes : image + view->page[block] * PAGE;
}

/* Nothing was touched that is not there. */
static bool speaks_of_access(const char *text)
{
	return strstr(text, "media error") != NULL || strstr(text, "cut short before") != NULL;
}

/* An error is one of those that are documented, and none of an access. */
static void expect_clear(int rc)
{
	const char *text = kmemblk_error();

	EXPECT(rc == -EMEDIUMTYPE || rc == -EUCLEAN || rc == -EIO || rc == -EINVAL, "%d: %s", rc,
	       text);
	EXPECT(strstr(text, fuzz_path) != NULL && strchr(text, '\n') == NULL, "%s", text);
	EXPECT(!speaks_of_access(text), "%s", text);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void expect_contents(struct kmemblk *h, const struct view *view)
{
	for (uint64_t block = 0; block < view->blocks; block++) {
		int rc = kmemblk_read(h, buf, PAGE, block * PAGE);

		if (view->page[block] == LOST) {
			EXPECT(rc == -EIO, "block %llu is lost, and reads: %d",
			       (unsigned long long)block, rc);
			expect_clear(rc);
		} else {
			EXPECT(rc == 0, "block %llu: %s", (unsigned long long)block,
			       kmemblk_error());
			EXPECT(memcmp(buf, contents(view, block), PAGE) == 0,
			       "block %llu reads differently", (unsigned long long)block);
		}
	}
	if (view->blocks > 0 && lost_blocks(view) == 0)
		EXPECT_OK(kmemblk_read(h, buf, view->blocks * PAGE, 0));
	EXPECT(kmemblk_read(h, buf, 1, view->blocks * PAGE) == -EINVAL, "read past the end");
}

struct extents {
	const struct view *view;
	uint64_t at;
};

static int extent(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct extents *extents = opaque;

	EXPECT(offset == extents->at && count > 0, "extent at %llu, expected at %llu",
	       (unsigned long long)offset, (unsigned long long)extents->at);
	extents->at += count;
	EXPECT(extents->at <= extents->view->blocks * PAGE, "extent past the end");
	for (uint64_t block = offset / PAGE; block < extents->at / PAGE; block++)
		EXPECT((extents->view->page[block] == 0) == !!(flags & KMEMBLK_EXTENT_HOLE),
		       "extent of block %llu", (unsigned long long)block);
	return 0;
}

static void expect_told(struct kmemblk *h, const struct view *view)
{
	struct extents extents = { view, 0 };
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	EXPECT(info.blocks == view->blocks && info.size_bytes == view->blocks * PAGE &&
		       info.device_pages == view->data_end + 1 &&
		       info.data_pages == view->data_end - view->data_start,
	       "info differs from the superblock");
	EXPECT((info.entries_damaged == 0) == (view->damaged == 0), "%llu damaged entries",
	       (unsigned long long)info.entries_damaged);
	EXPECT(strnlen(info.label, sizeof(info.label)) < sizeof(info.label) &&
		       strnlen(info.uuid, sizeof(info.uuid)) == 36,
	       "label or uuid without an end");
	EXPECT_OK(kmemblk_extents(h, view->blocks * PAGE, 0, extent, &extents));
	EXPECT(extents.at == view->blocks * PAGE, "extents end at %llu",
	       (unsigned long long)extents.at);
}

/* True if the device opens read-only; then `view` is what it holds. */
static bool read_all(struct view *view)
{
	struct kmemblk_info info;
	struct kmemblk *h;
	int rc = kmemblk_open(fuzz_path, KMEMBLK_OPEN_READONLY, &h);

	if (rc != 0)
		expect_clear(rc);
	if (flags & FLAG_PROBE)
		EXPECT((kmemblk_probe(fuzz_path, &info) == 0) == (rc == 0),
		       "probe and open differ: %d", rc);
	if (rc != 0)
		return false;
	look(view);
	EXPECT_OK(kmemblk_start(h));
	expect_told(h, view);
	expect_contents(h, view);
	kmemblk_close(h);
	return true;
}

/* ---- check and repair ------------------------------------------------------------------------ */

static void count_finding(void *opaque, enum kmemblk_finding_kind kind, const char *text)
{
	struct outcome *outcome = opaque;

	EXPECT(strchr(text, '\n') == NULL && !speaks_of_access(text), "%s", text);
	outcome->told[kind]++;
}

static struct outcome check(unsigned int how)
{
	struct outcome outcome = { 0 };
	struct kmemblk_check_options options = {
		.flags = how,
		.finding = count_finding,
		.finding_opaque = &outcome,
	};
	const struct kmemblk_check_result *result = &outcome.result;

	outcome.rc = kmemblk_check(fuzz_path, &options, &outcome.result);
	if (outcome.rc != 0)
		expect_clear(outcome.rc);
	EXPECT(result->corrected == outcome.told[KMEMBLK_FINDING_CORRECTED] &&
		       result->correctable == outcome.told[KMEMBLK_FINDING_CORRECTABLE] &&
		       result->left == outcome.told[KMEMBLK_FINDING_LEFT],
	       "findings told and counted differ");
	return outcome;
}

/* Each block that could be read holds the same afterwards. */
static void expect_kept(const struct view *before, const struct view *after)
{
	EXPECT(after->blocks >= before->blocks, "repair made the disk smaller");
	for (uint64_t block = 0; block < before->blocks; block++)
		EXPECT(before->page[block] == LOST || before->page[block] == after->page[block],
		       "block %llu was readable before repair", (unsigned long long)block);
}

/* `found` is what check without repair said.  True if the device could be repaired. */
static bool repair(const struct outcome *found)
{
	struct outcome repaired, again;
	uint64_t digest = fuzz_digest();

	repaired = check(KMEMBLK_CHECK_REPAIR);
	if (repaired.rc != 0) {
		EXPECT(repaired.rc == -EMEDIUMTYPE && found->result.correctable > 0,
		       "repair fails: %d: %s", repaired.rc, kmemblk_error());
		EXPECT(fuzz_digest() == digest, "a repair that was refused changed the device");
		return false;
	}
	EXPECT(repaired.result.correctable == 0 &&
		       repaired.result.corrected == found->result.correctable &&
		       repaired.result.left == found->result.left,
	       "repair did not correct what check said it would");
	EXPECT(repaired.result.corrected > 0 || fuzz_digest() == digest,
	       "repair corrected nothing and changed the device");
	digest = fuzz_digest();
	again = check(0);
	EXPECT(again.rc == 0 && again.result.correctable == 0 &&
		       again.result.left == repaired.result.left &&
		       again.result.entries == repaired.result.entries &&
		       again.result.pages_used == repaired.result.pages_used,
	       "check after repair differs from what repair said");
	again = check(KMEMBLK_CHECK_REPAIR);
	EXPECT(again.rc == 0 && again.result.corrected == 0 && fuzz_digest() == digest,
	       "a second repair changes something");
	return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Some of everything, in and around `block`. */
static void change(struct kmemblk *h, uint64_t block, uint64_t blocks)
{
	uint64_t at = block * PAGE, more = block + 1 < blocks ? 100 : 0;

	memset(disk + at, 0x5a, PAGE);
	EXPECT_OK(kmemblk_write(h, disk + at, PAGE, at));
	memset(disk + at + 1000, 0xa5, PAGE - 1000 + more);
	EXPECT_OK(kmemblk_write(h, disk + at + 1000, PAGE - 1000 + more, at + 1000));
	memset(disk + at + 2000, 0, PAGE - 2000 + more);
	EXPECT_OK(kmemblk_zero(h, PAGE - 2000 + more, at + 2000, 0));
}

/* What a block holds goes to `disk`; one that is damaged is written whole, which alone is possible. */
static void fill(struct kmemblk *h, const struct view *view, uint64_t block)
{
	uint64_t at = block * PAGE;

	if (view->page[block] != LOST) {
		memcpy(disk + at, contents(view, block), PAGE);
		return;
	}
	memset(disk + at, 0x33, PAGE);
	EXPECT(kmemblk_write(h, disk + at, 1, at) == -EIO, "a part was written over damage");
	EXPECT_OK(kmemblk_write(h, disk + at, PAGE, at));
}

/* Only a device without a damaged entry opens. */
static void write_all(const struct view *view, bool sound)
{
	struct kmemblk_check_result result;
	uint64_t size = view->blocks * PAGE;
	struct kmemblk *h;
	int rc = kmemblk_open(fuzz_path, 0, &h);

	if (rc != 0) {
		expect_clear(rc);
		EXPECT(!sound || (rc == -EMEDIUMTYPE && view->ro_compat != 0),
		       "a sound device does not open: %s", kmemblk_error());
		return;
	}
	EXPECT(view->damaged == 0, "a device with damaged entries opens for writing");
	EXPECT_OK(kmemblk_start(h));
	if (view->blocks > 0) {
		for (uint64_t block = 0; block < view->blocks; block++)
			fill(h, view, block);
		for (uint64_t block = 0; block < view->blocks; block += 1 + view->blocks / 3)
			change(h, block, view->blocks);
		memset(disk + size - PAGE, 0, PAGE);
		EXPECT_OK(kmemblk_trim(h, PAGE, size - PAGE));
		memset(disk, 0, PAGE);
		EXPECT_OK(kmemblk_zero(h, PAGE, 0, KMEMBLK_ZERO_NO_HOLE));
		EXPECT_OK(kmemblk_read(h, buf, size, 0));
		EXPECT(memcmp(buf, disk, size) == 0, "what was written reads differently");
	}
	kmemblk_close(h);
	EXPECT_OK(kmemblk_check(fuzz_path, NULL, &result));
	EXPECT(!sound || (result.left == 0 && result.correctable == 0), "damaged by writes");
	EXPECT_OK(kmemblk_open(fuzz_path, KMEMBLK_OPEN_READONLY, &h));
	EXPECT(size == 0 || kmemblk_read(h, buf, size, 0) == 0, "%s", kmemblk_error());
	EXPECT(memcmp(buf, disk, size) == 0, "what was written is gone");
	kmemblk_close(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct view before, after;
	struct input input = { data, size };
	struct outcome found, whole;
	bool opened, repaired;
	uint64_t digest;

	make(&input);
	digest = fuzz_digest();
	opened = read_all(&before);
	found = check(0);
	EXPECT(fuzz_digest() == digest, "reading changed the device");
	EXPECT(opened || found.rc != 0 || found.result.left + found.result.correctable > 0,
	       "does not open, and check finds nothing");
	if (opened && found.result.left + found.result.correctable == 0)
		expect_flawless(&before);
	EXPECT(found.result.left > 0 || !opened || before.damaged == 0,
	       "damaged entries, and check leaves nothing");
	whole = check(KMEMBLK_CHECK_DATA);
	EXPECT(!opened || whole.result.left == 0 || whole.result.left > found.result.left ||
		       lost_blocks(&before) <= before.damaged,
	       "lost data, and check --data finds none");
	repaired = repair(&found);
	if (read_all(&after)) {
		if (opened)
			expect_kept(&before, &after);
		if (repaired && found.result.left == 0)
			expect_flawless(&after);
		write_all(&after, repaired && found.result.left == 0);
	} else {
		EXPECT(!opened && (!repaired || found.result.left > 0),
		       "does not open after repair");
	}
	forget();
	return 0;
}
