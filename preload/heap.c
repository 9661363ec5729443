/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * heap.c - which pages of the heap's addresses are free, and what is mapped there.
 *
 * A large range of addresses is reserved at the start, inaccessible, so loans can be mapped one by
 * one and still adjoin: an allocation that is larger than a slot spans several.  A bit a page says
 * whether it is free; for each slot the free pages at both ends and the longest free run are kept,
 * so that a search goes from slot to slot and looks at the bits of one only.  The first place that
 * fits is taken, lowest address first: what is at the end becomes free and goes back.
 *
 * A slot is filled when pages of it are taken for the first time: with a loan, which the helper brings, or,
 * when there is none or it is not worth while yet, with ordinary memory.  Who takes pages claims the slots
 * that are to be filled first, and then has no lock while he waits.
 *
 * Free pages of ordinary memory are given to the kernel at once.  Those of a shared loan stay: their storage
 * is the device's.  So do those of a private one, in which a page that nobody has copied is still the
 * file's: new allocations pass it over while other memory can be had.
 *
 * The tables are as large as the reserved range needs, and mapped without storage until used.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "heap.h"
#include "libc.h"

#define RANGE_MAX ((size_t)1 << 40)
#define RANGE_MIN ((size_t)1 << 30)
#define NOWHERE	  ((size_t)-1)

struct heap heap = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void *map_table(size_t size)
{
	void *table = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return table == MAP_FAILED ? NULL : table;
}

int heap_init(bool strict)
{
	uint8_t *range = MAP_FAILED;
	size_t size;

	/* A limit on the program's address space may leave room for less. */
	for (size = RANGE_MAX; size >= RANGE_MIN && range == MAP_FAILED; size /= 2)
		range = mmap(NULL, size + HEAP_ALIGNMENT, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return -errno;
	size *= 2;
	heap.base = range + (-(uintptr_t)range & (HEAP_ALIGNMENT - 1));
	heap.slots = size / HEAP_SLOT;
	heap.slot = map_table(heap.slots * sizeof(*heap.slot));
	heap.free_bits = map_table(size / HEAP_PAGE / 8);
	heap.clean_bits = map_table(size / HEAP_PAGE / 8);
	if (heap.slot == NULL || heap.free_bits == NULL || heap.clean_bits == NULL)
		return -ENOMEM;
	heap.of_kind[SLOT_EMPTY] = heap.slots;
	heap.strict = strict;
	heap.active = true;
	return 0;
}

/* ---- bits ----------------------------------------------------------------------------------- */

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
	size_t page = s * HEAP_SLOT_PAGES, end = page + HEAP_SLOT_PAGES, n;
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

void heap_set_kind_locked(size_t s, enum slot_kind kind)
{
	heap.of_kind[heap.slot[s].kind]--;
	heap.slot[s].kind = kind;
	if (++heap.of_kind[kind] > heap.most_of_kind[kind])
		heap.most_of_kind[kind] = heap.of_kind[kind];
}

/* Ordinary memory in the place of pages that are free; false: they stay as they are. */
static bool make_ordinary(size_t page, size_t n)
{
	return mmap(heap.base + page * HEAP_PAGE, n * HEAP_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

void heap_all_free_locked(size_t s)
{
	heap.grown++;
	put_bits(heap.free_bits, s * HEAP_SLOT_PAGES, HEAP_SLOT_PAGES, true);
	put_bits(heap.clean_bits, s * HEAP_SLOT_PAGES, HEAP_SLOT_PAGES, true);
	survey(s);
}

/* A claimed slot becomes memory, all of it free and zeroed.  May let go of the lock. */
static bool fill_locked(size_t s)
{
	bool filled = heap.borrow_locked(s);

	if (!filled) {
		if (heap.must_borrow())
			return false;
		if (!make_ordinary(s * HEAP_SLOT_PAGES, HEAP_SLOT_PAGES))
			return false;
		heap_set_kind_locked(s, SLOT_ORDINARY);
	}
	heap_all_free_locked(s);
	return true;
}

void heap_forked_locked(void)
{
	for (size_t s = 0; s < heap.top; s++) {
		struct slot *slot = &heap.slot[s];

		slot->wanted = slot->filling = false;
		slot->idle = 0;
		/* Whoever claimed it is not in this process. */
		if (slot->kind == SLOT_CLAIMED)
			heap_set_kind_locked(s, SLOT_EMPTY);
		if (slot->kind == SLOT_PRIVATE)
			heap_set_kind_locked(s, SLOT_INHERITED);
	}
	heap.grown = 0;
	memcpy(heap.most_of_kind, heap.of_kind, sizeof(heap.most_of_kind));
}

bool heap_vacate_locked(size_t s)
{
	if (mmap(heap_slot_at(s), HEAP_SLOT, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		return false;
	put_bits(heap.free_bits, s * HEAP_SLOT_PAGES, HEAP_SLOT_PAGES, false);
	survey(s);
	heap_set_kind_locked(s, SLOT_EMPTY);
	return true;
}

void heap_free_private_locked(size_t s)
{
	size_t page = s * HEAP_SLOT_PAGES, end = page + HEAP_SLOT_PAGES, n;

	while (page < end) {
		page += run_length(heap.free_bits, page, end, false);
		n = run_length(heap.free_bits, page, end, true);
		if (n > 0 && make_ordinary(page, n))
			put_bits(heap.clean_bits, page, n, true);
		page += n;
	}
}

size_t heap_next_taken_locked(size_t s, size_t *page)
{
	size_t at = s * HEAP_SLOT_PAGES + *page, end = (s + 1) * HEAP_SLOT_PAGES;

	at += run_length(heap.free_bits, at, end, true);
	*page = at - s * HEAP_SLOT_PAGES;
	return run_length(heap.free_bits, at, end, false);
}

/* ---- take and give -------------------------------------------------------------------------- */

static size_t round_up(size_t page, size_t align)
{
	return (page + align - 1) & ~(align - 1);
}

/* The first free run of n pages, aligned, inside one slot, from a page of it on. */
static size_t find_inside(size_t s, size_t from, size_t n, size_t align)
{
	size_t page = s * HEAP_SLOT_PAGES + from, end = (s + 1) * HEAP_SLOT_PAGES, first, length;

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

/* Where to look for pages. */
struct where {
	bool empty;   /* in slots that are yet to be filled, too */
	bool private; /* in private loans, too */
};

static bool is_passed(const struct slot *slot, bool private)
{
	return !private && (slot->kind == SLOT_PRIVATE || slot->kind == SLOT_INHERITED);
}

/*
 * In a slot that is used already, and not at the end of a run that begins before it: so slots and runs stay
 * whole, for what is larger, and to be given back.
 */
static size_t find_in_used(size_t n, size_t align)
{
	size_t tail = 0, first;

	for (size_t s = 0; s < heap.top; tail = heap.slot[s++].tail) {
		const struct slot *slot = &heap.slot[s];

		if (is_passed(slot, false) || slot->free == HEAP_SLOT_PAGES || slot->longest < n)
			continue;
		first = find_inside(s, tail > 0 ? slot->head : 0, n, align);
		if (first != NOWHERE)
			return first;
	}
	return NOWHERE;
}

/* Addresses relative to the range's start are aligned as far as the range is. */
static size_t find(size_t n, size_t align, struct where where)
{
	size_t slots = where.empty ? heap.slots : heap.top, start = 0, length = 0, first;

	for (size_t s = 0; s < slots; s++) {
		const struct slot *slot = &heap.slot[s];
		bool empty = slot->kind == SLOT_EMPTY, passed = is_passed(slot, where.private);
		size_t head = empty ? (where.empty ? HEAP_SLOT_PAGES : 0) : passed ? 0 : slot->head;

		if (length == 0)
			start = s * HEAP_SLOT_PAGES;
		length += head;
		first = round_up(start, align);
		if (first + n <= start + length)
			return first;
		if (head == HEAP_SLOT_PAGES)
			continue;
		if (!passed && slot->longest >= n) {
			first = find_inside(s, 0, n, align);
			if (first != NOWHERE)
				return first;
		}
		length = empty || passed ? 0 : slot->tail;
		start = (s + 1) * HEAP_SLOT_PAGES - length;
	}
	return NOWHERE;
}

static size_t find_place(size_t n, size_t align)
{
	static const struct where order[] = {
		{ .empty = false, .private = false },
		{ .empty = true, .private = false },
		{ .empty = false, .private = true },
		{ .empty = true, .private = true },
	};
	bool any = heap.of_kind[SLOT_PRIVATE] + heap.of_kind[SLOT_INHERITED] > 0;
	size_t page = n < HEAP_SLOT_PAGES ? find_in_used(n, align) : NOWHERE;

	for (unsigned int i = 0; i < 4 && page == NOWHERE; i++) {
		/* Without private loans two of them would be the other two again. */
		if (any ? i == 1 && !heap.can_borrow_locked() : i >= 2)
			continue;
		page = find(n, align, order[i]);
	}
	return page;
}

/* True if [page, page + n) can be taken: it is free, or not yet filled. */
static bool can_take(size_t page, size_t n)
{
	size_t end = page + n, some;

	for (; page < end; page += some) {
		size_t s = page / HEAP_SLOT_PAGES, rest = (s + 1) * HEAP_SLOT_PAGES - page;

		some = end - page < rest ? end - page : rest;
		if (heap.slot[s].kind != SLOT_EMPTY &&
		    run_length(heap.free_bits, page, page + some, true) < some)
			return false;
	}
	return true;
}

/* Nobody else takes them any more.  True if those that need not be filled hold zeroes. */
static bool claim(size_t page, size_t n)
{
	size_t end = page + n, some;
	bool clean = true;

	for (; page < end; page += some) {
		size_t s = page / HEAP_SLOT_PAGES, rest = (s + 1) * HEAP_SLOT_PAGES - page;

		some = end - page < rest ? end - page : rest;
		if (heap.slot[s].kind == SLOT_EMPTY) {
			heap_set_kind_locked(s, SLOT_CLAIMED);
			if (s >= heap.top)
				heap.top = s + 1;
			continue;
		}
		clean &= run_length(heap.clean_bits, page, page + some, true) == some;
		put_bits(heap.free_bits, page, some, false);
		put_bits(heap.clean_bits, page, some, false);
		survey(s);
	}
	return clean;
}

/* What was claimed goes back. */
static void give_up(size_t page, size_t n)
{
	size_t end = page + n, some;

	for (; page < end; page += some) {
		size_t s = page / HEAP_SLOT_PAGES, rest = (s + 1) * HEAP_SLOT_PAGES - page;

		some = end - page < rest ? end - page : rest;
		if (heap.slot[s].kind == SLOT_CLAIMED) {
			heap_set_kind_locked(s, SLOT_EMPTY);
			continue;
		}
		put_bits(heap.free_bits, page, some, true);
		survey(s);
	}
}

/* Claim a run and fill what is to be filled.  May let go of the lock. */
static bool take_run(size_t page, size_t n, bool *clean)
{
	size_t first = page / HEAP_SLOT_PAGES, last = (page + n - 1) / HEAP_SLOT_PAGES;

	*clean = claim(page, n);
	for (size_t s = first; s <= last; s++) {
		size_t from = s == first ? page : s * HEAP_SLOT_PAGES;
		size_t to = s == last ? page + n : (s + 1) * HEAP_SLOT_PAGES;

		if (heap.slot[s].kind != SLOT_CLAIMED)
			continue;
		if (!fill_locked(s)) {
			give_up(page, n);
			return false;
		}
		put_bits(heap.free_bits, from, to - from, false);
		put_bits(heap.clean_bits, from, to - from, false);
		survey(s);
	}
	return true;
}

void *heap_take(size_t size, size_t alignment, bool *clean)
{
	size_t n = size / HEAP_PAGE, align = alignment / HEAP_PAGE, page;
	bool taken;

	if (n == 0 || size % HEAP_PAGE != 0 || alignment > HEAP_ALIGNMENT)
		return NULL;
	pthread_mutex_lock(&heap.lock);
	page = find_place(n, align != 0 ? align : 1);
	taken = page != NOWHERE && take_run(page, n, clean);
	pthread_mutex_unlock(&heap.lock);
	return taken ? heap.base + page * HEAP_PAGE : NULL;
}

bool heap_take_at(void *memory, size_t size, bool *clean)
{
	size_t page = (size_t)((uint8_t *)memory - heap.base) / HEAP_PAGE, n = size / HEAP_PAGE;
	bool taken;

	if (page + n > heap.slots * HEAP_SLOT_PAGES)
		return false;
	pthread_mutex_lock(&heap.lock);
	taken = can_take(page, n) && take_run(page, n, clean);
	pthread_mutex_unlock(&heap.lock);
	return taken;
}

/* Free pages of a slot: true if they hold zeroes now. */
static bool is_clean_again(size_t s, size_t page, size_t n)
{
	if (heap.slot[s].kind == SLOT_ORDINARY)
		return NEXT(madvise)(heap.base + page * HEAP_PAGE, n * HEAP_PAGE, MADV_DONTNEED) ==
		       0;
	return heap.slot[s].kind == SLOT_COPIED && make_ordinary(page, n);
}

void heap_give(void *memory, size_t size)
{
	size_t page = (size_t)((uint8_t *)memory - heap.base) / HEAP_PAGE, end, some;

	pthread_mutex_lock(&heap.lock);
	end = page + size / HEAP_PAGE;
	for (; page < end; page += some) {
		size_t s = page / HEAP_SLOT_PAGES, rest = (s + 1) * HEAP_SLOT_PAGES - page;

		some = end - page < rest ? end - page : rest;
		put_bits(heap.free_bits, page, some, true);
		if (is_clean_again(s, page, some))
			put_bits(heap.clean_bits, page, some, true);
		survey(s);
	}
	pthread_mutex_unlock(&heap.lock);
}
