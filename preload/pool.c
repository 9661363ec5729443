/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pool.c - which pages of the heap's addresses are free, and what is mapped there.
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
#include <time.h>

#include "pool.h"

#define RANGE_MAX ((size_t)1 << 40)
#define RANGE_MIN ((size_t)1 << 30)
/* How long an allocation waits for a zone, and then none asks again. */
#define WAIT_MS		50
#define PAUSE_MS	1000
#define STRICT_ATTEMPTS 40
#define NOWHERE		((size_t)-1)

struct pool pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void *map_table(size_t size)
{
	void *table = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return table == MAP_FAILED ? NULL : table;
}

int pool_init(struct kmemblk_borrower *borrower, uint64_t limit, bool strict)
{
	size_t size, zone = borrower->link.zone_size;
	uint8_t *range = MAP_FAILED;

	/* A limit on the program's address space may leave room for less. */
	for (size = RANGE_MAX; size >= RANGE_MIN && range == MAP_FAILED; size /= 2)
		range = mmap(NULL, size + zone, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return -errno;
	size *= 2;
	pool.base = range + (-(uintptr_t)range & (zone - 1));
	pool.zone_size = zone;
	pool.zone_pages = zone / POOL_PAGE;
	pool.slots = size / zone;
	pool.slot = map_table(pool.slots * sizeof(*pool.slot));
	pool.free_bits = map_table(size / POOL_PAGE / 8);
	pool.clean_bits = map_table(size / POOL_PAGE / 8);
	if (!pool.slot || !pool.free_bits || !pool.clean_bits || pool.zone_pages < 64)
		return -ENOMEM;
	pool.borrower = borrower;
	pool.zones_max = limit / zone;
	pool.strict = strict;
	pool.active = true;
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
	size_t page = s * pool.zone_pages, end = page + pool.zone_pages, n;
	struct slot *slot = &pool.slot[s];

	slot->free = slot->tail = slot->longest = 0;
	slot->idle = 0;
	slot->head = (uint32_t)run_length(pool.free_bits, page, end, true);
	while (page < end) {
		page += run_length(pool.free_bits, page, end, false);
		n = run_length(pool.free_bits, page, end, true);
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
	return pool.slot[s].kind != SLOT_EMPTY && pool.slot[s].free == pool.zone_pages;
}

static bool fill_with_zone(size_t s)
{
	int err = -ENOMEM, attempts = pool.strict ? STRICT_ATTEMPTS : 1;

	if (!pool.borrower || pool.zones >= pool.zones_max || now_ms() < pool.retry_at)
		return false;
	while (attempts-- && err == -ENOMEM)
		err = borrower_borrow(pool.borrower, pool_slot_at(s), WAIT_MS);
	if (err) {
		pool.retry_at = now_ms() + PAUSE_MS;
		return false;
	}
	pool.zones++;
	pool.slot[s].kind = SLOT_ZONE;
	return true;
}

static bool fill_with_ordinary(size_t s)
{
	if (pool.strict && pool.borrower)
		return false;
	if (mprotect(pool_slot_at(s), pool.zone_size, PROT_READ | PROT_WRITE))
		return false;
	pool.slot[s].kind = SLOT_ORDINARY;
	return true;
}

static bool fill(size_t s)
{
	if (!fill_with_zone(s) && !fill_with_ordinary(s))
		return false;
	put_bits(pool.free_bits, s * pool.zone_pages, pool.zone_pages, true);
	put_bits(pool.clean_bits, s * pool.zone_pages, pool.zone_pages, true);
	survey(s);
	if (s >= pool.top)
		pool.top = s + 1;
	return true;
}

static bool vacate(size_t s)
{
	if (mmap(pool_slot_at(s), pool.zone_size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	put_bits(pool.free_bits, s * pool.zone_pages, pool.zone_pages, false);
	survey(s);
	if (pool.slot[s].kind == SLOT_ZONE && pool.borrower) {
		pool.zones--;
		borrower_gone(pool.borrower, pool_slot_at(s));
	}
	pool.slot[s].kind = SLOT_EMPTY;
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
	size_t page = s * pool.zone_pages, end = page + pool.zone_pages, first, length;

	while (page < end) {
		page += run_length(pool.free_bits, page, end, false);
		length = run_length(pool.free_bits, page, end, true);
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
	size_t slots = grow ? pool.slots : pool.top, start = 0, length = 0, first;

	for (size_t s = 0; s < slots; s++) {
		const struct slot *slot = &pool.slot[s];
		bool all = slot->kind == SLOT_EMPTY ? grow : slot->head == pool.zone_pages;

		if (!length)
			start = s * pool.zone_pages;
		length += all ? pool.zone_pages : slot->head;
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
		start = (s + 1) * pool.zone_pages - length;
	}
	return NOWHERE;
}

/* Addresses relative to the range's start are aligned if the range is: to a zone, that is. */
static size_t find_place(size_t n, size_t align)
{
	size_t page, last;

	page = find(n, align, false);
	if (page != NOWHERE)
		return page;
	page = find(n, align, true);
	if (page == NOWHERE)
		return NOWHERE;
	last = (page + n - 1) / pool.zone_pages;
	for (size_t s = page / pool.zone_pages; s <= last; s++) {
		if (pool.slot[s].kind == SLOT_EMPTY && !fill(s))
			return NOWHERE;
	}
	return page;
}

void *pool_take(size_t size, size_t alignment, bool *clean)
{
	size_t n = size / POOL_PAGE, align = alignment / POOL_PAGE, page, last;

	if (!n || size % POOL_PAGE || alignment > pool.zone_size)
		return NULL;
	pthread_mutex_lock(&pool.lock);
	page = find_place(n, align ? align : 1);
	if (page != NOWHERE) {
		*clean = run_length(pool.clean_bits, page, page + n, true) == n;
		put_bits(pool.free_bits, page, n, false);
		put_bits(pool.clean_bits, page, n, false);
		last = (page + n - 1) / pool.zone_pages;
		for (size_t s = page / pool.zone_pages; s <= last; s++)
			survey(s);
	}
	pthread_mutex_unlock(&pool.lock);
	return page == NOWHERE ? NULL : pool.base + page * POOL_PAGE;
}

void pool_give(void *memory, size_t size)
{
	size_t page = (size_t)((uint8_t *)memory - pool.base) / POOL_PAGE, end, some;

	pthread_mutex_lock(&pool.lock);
	end = page + size / POOL_PAGE;
	for (; page < end; page += some) {
		size_t s = page / pool.zone_pages, rest = (s + 1) * pool.zone_pages - page;

		some = end - page < rest ? end - page : rest;
		put_bits(pool.free_bits, page, some, true);
		if (pool.slot[s].kind == SLOT_ORDINARY &&
		    !madvise(pool.base + page * POOL_PAGE, some * POOL_PAGE, MADV_DONTNEED))
			put_bits(pool.clean_bits, page, some, true);
		survey(s);
	}
	pthread_mutex_unlock(&pool.lock);
}

/* ---- what protect.c and the keeper do with slots -------------------------------------------- */

void pool_copy_slot(void *to, size_t s)
{
	size_t first = s * pool.zone_pages, end = first + pool.zone_pages, page = first, n;

	while (page < end) {
		page += run_length(pool.free_bits, page, end, true);
		n = run_length(pool.free_bits, page, end, false);
		memcpy((uint8_t *)to + (page - first) * POOL_PAGE, pool.base + page * POOL_PAGE,
		       n * POOL_PAGE);
		page += n;
	}
}

void pool_now_ordinary(size_t s)
{
	size_t page = s * pool.zone_pages, end = page + pool.zone_pages;

	pool.slot[s].kind = SLOT_ORDINARY;
	for (; page < end; page++) {
		if (test_bit(pool.free_bits, page))
			put_bits(pool.clean_bits, page, 1, true);
	}
}

uint64_t pool_trim(unsigned int rounds)
{
	uint64_t before, bytes;

	pthread_mutex_lock(&pool.lock);
	before = pool.zones;
	for (size_t s = 0; s < pool.top; s++) {
		if (!wholly_free(s))
			continue;
		if (pool.slot[s].idle < rounds)
			pool.slot[s].idle++;
		else
			vacate(s);
	}
	bytes = (before - pool.zones) * pool.zone_size;
	pthread_mutex_unlock(&pool.lock);
	return bytes;
}

void pool_pause(void)
{
	pthread_mutex_lock(&pool.lock);
	pool.retry_at = now_ms() + PAUSE_MS;
	pthread_mutex_unlock(&pool.lock);
}
