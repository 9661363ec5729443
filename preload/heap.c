/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.c - which pages of the heap's addresses are free, and what is mapped there.
 *
 * A large range of addresses is reserved at the start, inaccessible, so zones can be mapped one by
 * one and still adjoin: an allocation that is larger than a zone spans several.  A bit a page says
 * whether it is free; for each slot the free pages at both ends and the longest free run are kept,
 * so that a search goes from slot to slot and looks at the bits of one only.  The first place that
 * fits is taken, lowest address first: what is at the end becomes free and goes back.
 *
 * A slot is filled when pages of it are taken for the first time, with a zone, or, when there is
 * none, with ordinary memory.  The free pages of ordinary memory are given to the kernel at once.
 * Those of a zone stay: their storage is the device's.
 *
 * The tables are as large as the reserved range needs, and mapped without storage until used.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/deadline.h"
#include "heap.h"

#define RANGE_MAX ((size_t)1 << 40)
#define RANGE_MIN ((size_t)1 << 30)
/* How long an allocation waits for a zone, and then none asks again. */
#define WAIT_MS		50
#define PAUSE_MS	1000
#define STRICT_ATTEMPTS 40
#define NOWHERE		((size_t)-1)

struct heap heap = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void *map_table(size_t size)
{
	void *table = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return table == MAP_FAILED ? NULL : table;
}

int heap_init(struct kmemblk_borrower *borrower, uint64_t limit, bool strict)
{
	size_t size, zone = borrower->connection.zone_size;
	uint8_t *range = MAP_FAILED;

	/* A limit on the program's address space may leave room for less. */
	for (size = RANGE_MAX; size >= RANGE_MIN && range == MAP_FAILED; size /= 2)
		range = mmap(NULL, size + HEAP_ALIGNMENT, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return -errno;
	size *= 2;
	heap.base = range + (-(uintptr_t)range & (HEAP_ALIGNMENT - 1));
	heap.zone_size = zone;
	heap.zone_pages = zone / HEAP_PAGE;
	heap.slots = size / zone;
	heap.slot = map_table(heap.slots * sizeof(*heap.slot));
	heap.free_bits = map_table(size / HEAP_PAGE / 8);
	heap.clean_bits = map_table(size / HEAP_PAGE / 8);
	if (heap.slot == NULL || heap.free_bits == NULL || heap.clean_bits == NULL ||
	    heap.zone_pages < 64)
		return -ENOMEM;
	heap.borrower = borrower;
	heap.zones_max = limit / zone;
	heap.strict = strict;
	heap.active = true;
	return 0;
}

/* ---- bits ----------------------------------------------------------------------------------- */

static bool test_bit(const uint64_t *bits, size_t page)
{
	return bits[page / 64] >> (page % 64) & 1;
}

/* Sets or clears [page, page + n). */
static void put_bits(uint64_t *bits, size_t page, size_t n, bool value)
{
	while (n) {
		size_t from = page % 64, some = 64 - from < n ? 64 - from : n;
		uint64_t mask = (some == 64 ? ~0ull : (1ull << some) - 1) << from;

		if (value)
			bits[page / 64] |= mask;
		else
			bits[page / 64] &= ~mask;
		page += some;
		n -= some;
	}
}

/* The length of the run of pages from `page` to `end` whose bit is `value`. */
static size_t run_length(const uint64_t *bits, size_t page, size_t end, bool value)
{
	size_t from = page;

	while (page < end) {
		uint64_t rest = (value ? ~bits[page / 64] : bits[page / 64]) >> (page % 64);

		if (rest) {
			page += (size_t)__builtin_ctzll(rest);
			break;
		}
		page += 64 - page % 64;
	}
	return (page < end ? page : end) - from;
}

/* What struct slot says of its bits. */
static void survey(size_t s)
{
	size_t page = s * heap.zone_pages, end = page + heap.zone_pages, n;
	struct slot *slot = &heap.slot[s];

	slot->free = slot->tail = slot->longest = 0;
	slot->idle = 0;
	slot->head = (uint32_t)run_length(heap.free_bits, page, end, true);
	while (page < end) {
		page += run_length(heap.free_bits, page, end, false);
		n = run_length(heap.free_bits, page, end, true);
		page += n;
		slot->free += (uint32_t)n;
		if (n > slot->longest)
			slot->longest = (uint32_t)n;
		if (page == end)
			slot->tail = (uint32_t)n;
	}
}

/* ---- what is mapped ------------------------------------------------------------------------- */

static bool wholly_free(size_t s)
{
	return heap.slot[s].kind != SLOT_EMPTY && heap.slot[s].free == heap.zone_pages;
}

static bool fill_with_zone(size_t s)
{
	int rc = -ENOMEM, attempts = heap.strict ? STRICT_ATTEMPTS : 1;

	if (heap.borrower == NULL || heap.zones >= heap.zones_max ||
	    !deadline_passed(&heap.retry_at))
		return false;
	while (attempts-- && rc == -ENOMEM)
		rc = borrower_borrow(heap.borrower, heap_slot_at(s), WAIT_MS);
	if (rc != 0) {
		heap.retry_at = deadline_after(PAUSE_MS);
		return false;
	}
	heap.zones++;
	heap.slot[s].kind = SLOT_ZONE;
	return true;
}

static bool fill_with_ordinary(size_t s)
{
	if (heap.strict && heap.borrower != NULL)
		return false;
	if (mprotect(heap_slot_at(s), heap.zone_size, PROT_READ | PROT_WRITE))
		return false;
	heap.slot[s].kind = SLOT_ORDINARY;
	return true;
}

static bool fill(size_t s)
{
	if (!fill_with_zone(s) && !fill_with_ordinary(s))
		return false;
	put_bits(heap.free_bits, s * heap.zone_pages, heap.zone_pages, true);
	put_bits(heap.clean_bits, s * heap.zone_pages, heap.zone_pages, true);
	survey(s);
	if (s >= heap.top)
		heap.top = s + 1;
	return true;
}

static bool vacate(size_t s)
{
	if (mmap(heap_slot_at(s), heap.zone_size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	put_bits(heap.free_bits, s * heap.zone_pages, heap.zone_pages, false);
	survey(s);
	if (heap.slot[s].kind == SLOT_ZONE && heap.borrower != NULL) {
		heap.zones--;
		borrower_gone(heap.borrower, heap_slot_at(s));
	}
	heap.slot[s].kind = SLOT_EMPTY;
	return true;
}

/* ---- take and give -------------------------------------------------------------------------- */

static size_t round_up(size_t page, size_t align)
{
	return (page + align - 1) & ~(align - 1);
}

/* The first free run of n pages, aligned, inside one slot. */
static size_t find_inside(size_t s, size_t n, size_t align)
{
	size_t page = s * heap.zone_pages, end = page + heap.zone_pages, first, length;

	while (page < end) {
		page += run_length(heap.free_bits, page, end, false);
		length = run_length(heap.free_bits, page, end, true);
		first = round_up(page, align);
		if (first + n <= page + length)
			return first;
		page += length;
	}
	return NOWHERE;
}

/* The first place for n pages; with `grow`, slots that are empty count as free. */
static size_t find(size_t n, size_t align, bool grow)
{
	size_t slots = grow ? heap.slots : heap.top, start = 0, length = 0, first;

	for (size_t s = 0; s < slots; s++) {
		const struct slot *slot = &heap.slot[s];
		bool all = slot->kind == SLOT_EMPTY ? grow : slot->head == heap.zone_pages;

		if (!length)
			start = s * heap.zone_pages;
		length += all ? heap.zone_pages : slot->head;
		first = round_up(start, align);
		if (first + n <= start + length)
			return first;
		if (all)
			continue;
		if (slot->longest >= n) {
			first = find_inside(s, n, align);
			if (first != NOWHERE)
				return first;
		}
		length = slot->tail;
		start = (s + 1) * heap.zone_pages - length;
	}
	return NOWHERE;
}

/* Addresses relative to the range's start are aligned as far as the range is. */
static size_t find_place(size_t n, size_t align)
{
	size_t page, last;

	page = find(n, align, false);
	if (page != NOWHERE)
		return page;
	page = find(n, align, true);
	if (page == NOWHERE)
		return NOWHERE;
	last = (page + n - 1) / heap.zone_pages;
	for (size_t s = page / heap.zone_pages; s <= last; s++) {
		if (heap.slot[s].kind == SLOT_EMPTY && !fill(s))
			return NOWHERE;
	}
	return page;
}

void *heap_take(size_t size, size_t alignment, bool *clean)
{
	size_t n = size / HEAP_PAGE, align = alignment / HEAP_PAGE, page, last;

	if (!n || size % HEAP_PAGE || alignment > HEAP_ALIGNMENT)
		return NULL;
	pthread_mutex_lock(&heap.lock);
	page = find_place(n, align ? align : 1);
	if (page != NOWHERE) {
		*clean = run_length(heap.clean_bits, page, page + n, true) == n;
		put_bits(heap.free_bits, page, n, false);
		put_bits(heap.clean_bits, page, n, false);
		last = (page + n - 1) / heap.zone_pages;
		for (size_t s = page / heap.zone_pages; s <= last; s++)
			survey(s);
	}
	pthread_mutex_unlock(&heap.lock);
	return page == NOWHERE ? NULL : heap.base + page * HEAP_PAGE;
}

void heap_give(void *memory, size_t size)
{
	size_t page = (size_t)((uint8_t *)memory - heap.base) / HEAP_PAGE, end, some;

	pthread_mutex_lock(&heap.lock);
	end = page + size / HEAP_PAGE;
	for (; page < end; page += some) {
		size_t s = page / heap.zone_pages, rest = (s + 1) * heap.zone_pages - page;

		some = end - page < rest ? end - page : rest;
		put_bits(heap.free_bits, page, some, true);
		if (heap.slot[s].kind == SLOT_ORDINARY &&
		    !madvise(heap.base + page * HEAP_PAGE, some * HEAP_PAGE, MADV_DONTNEED))
			put_bits(heap.clean_bits, page, some, true);
		survey(s);
	}
	pthread_mutex_unlock(&heap.lock);
}

/* ---- what protect.c and the helper do with slots -------------------------------------------- */

void heap_copy_slot_locked(void *to, size_t s)
{
	size_t first = s * heap.zone_pages, end = first + heap.zone_pages, page = first, n;

	while (page < end) {
		page += run_length(heap.free_bits, page, end, true);
		n = run_length(heap.free_bits, page, end, false);
		memcpy((uint8_t *)to + (page - first) * HEAP_PAGE, heap.base + page * HEAP_PAGE,
		       n * HEAP_PAGE);
		page += n;
	}
}

void heap_now_ordinary_locked(size_t s)
{
	size_t page = s * heap.zone_pages, end = page + heap.zone_pages;

	heap.slot[s].kind = SLOT_ORDINARY;
	for (; page < end; page++) {
		if (test_bit(heap.free_bits, page))
			put_bits(heap.clean_bits, page, 1, true);
	}
}

uint64_t heap_trim(unsigned int rounds)
{
	uint64_t before, bytes;

	pthread_mutex_lock(&heap.lock);
	before = heap.zones;
	for (size_t s = 0; s < heap.top; s++) {
		if (!wholly_free(s))
			continue;
		if (heap.slot[s].idle < rounds)
			heap.slot[s].idle++;
		else
			vacate(s);
	}
	bytes = (before - heap.zones) * heap.zone_size;
	pthread_mutex_unlock(&heap.lock);
	return bytes;
}

void heap_pause(void)
{
	pthread_mutex_lock(&heap.lock);
	heap.retry_at = deadline_after(PAUSE_MS);
	pthread_mutex_unlock(&heap.lock);
}
