/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder.c - stands between the library and pm.c, by the linker's --wrap.
 *
 * Stores to the recorded mapping are made here, in the order in which they are noted, under one
 * lock.  Calls on any other mapping go through to pm.c, so that images can be checked by the same
 * library in the same process.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "media/device.h"
#include "fatal.h"
#include "mutate.h"
#include "recorder.h"
#include "stage.h"

__thread unsigned int recorder_thread;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct trace *trace;
static const uint8_t *base;
static bool stored[MEDIA_PAGES];
static bool armed;
static enum { ALIVE, DYING, DEAD } process;
static unsigned int entries_left; /* of one that is dying */
static struct terms terms;

int __real_pm_map(struct pm *, int, size_t, enum pm_media, bool, const char *);
int __real_pm_copy(const struct pm *, void *, const void *, size_t, enum pm_order);
int __real_pm_zero(const struct pm *, void *, size_t, enum pm_order);
int __real_pm_copy_blocks(const struct pm *, void *, const void *, unsigned int,
			  struct crc24_prefix, uint32_t *, enum pm_order);
bool __real_pm_cas(const struct pm *, _Atomic uint64_t *, uint64_t *, uint64_t);
uint64_t __real_pm_swap(const struct pm *, _Atomic uint64_t *, uint64_t);
int __real_pm_flush(const struct pm *, const void *, size_t, enum pm_order);
void __real_pm_drain(const struct pm *, enum pm_order);
int __real_device_allocate(const struct device *, uint64_t, uint64_t);
int __real_device_punch(const struct device *, uint64_t, uint64_t);
int __real_device_punch_durably(const struct device *, uint64_t, uint64_t);

int __wrap_pm_map(struct pm *, int, size_t, enum pm_media, bool, const char *);
int __wrap_pm_copy(const struct pm *, void *, const void *, size_t, enum pm_order);
int __wrap_pm_zero(const struct pm *, void *, size_t, enum pm_order);
int __wrap_pm_copy_blocks(const struct pm *, void *, const void *, unsigned int,
			  struct crc24_prefix, uint32_t *, enum pm_order);
bool __wrap_pm_cas(const struct pm *, _Atomic uint64_t *, uint64_t *, uint64_t);
uint64_t __wrap_pm_swap(const struct pm *, _Atomic uint64_t *, uint64_t);
int __wrap_pm_flush(const struct pm *, const void *, size_t, enum pm_order);
void __wrap_pm_drain(const struct pm *, enum pm_order);
int __wrap_device_allocate(const struct device *, uint64_t, uint64_t);
int __wrap_device_punch(const struct device *, uint64_t, uint64_t);
int __wrap_device_punch_durably(const struct device *, uint64_t, uint64_t);

void recorder_start(struct trace *to, const struct terms *of)
{
	to->count = 0;
	trace = to;
	base = NULL;
	armed = true;
	process = ALIVE;
	terms = *of;
	mutate_start();
	stage_hold_reclaimer();
}

void recorder_stop(void)
{
	pthread_mutex_lock(&lock);
	trace = NULL;
	base = NULL;
	armed = false;
	pthread_mutex_unlock(&lock);
	mutate_stop();
	stage_free_reclaimer();
}

void recorder_kill(unsigned int after)
{
	process = DYING;
	entries_left = after;
}

bool recorder_has_killed(void)
{
	return process == DEAD;
}

void recorder_go_on(void)
{
	process = ALIVE;
	base = NULL;
	armed = true;
}

/* Lock held.  An entry has been stored. */
static void come_nearer_to_death(void)
{
	if (process == DYING && --entries_left == 0)
		process = DEAD;
}

static struct event *add(enum event_kind kind, enum pm_order order)
{
	struct event *event;

	if (trace->count == trace->room) {
		trace->room = trace->room == 0 ? 1024 : trace->room * 2;
		trace->event = realloc(trace->event, trace->room * sizeof(trace->event[0]));
		if (trace->event == NULL)
			fatal("out of memory for a trace");
	}
	event = &trace->event[trace->count++];
	event->kind = kind;
	event->order = order;
	event->thread = recorder_thread;
	event->entry = false;
	return event;
}

void recorder_note(enum event_kind kind, unsigned int op)
{
	if (kind != EVENT_BEGIN)
		stage_step();
	pthread_mutex_lock(&lock);
	add(kind, PM_ORDER_COUNT)->op = op;
	pthread_mutex_unlock(&lock);
}

/* Lock held. */
static void add_line(const uint8_t *at, enum pm_order order, bool entry)
{
	uint32_t line = (uint32_t)((size_t)(at - base) / LINE_SIZE);
	struct event *event = add(EVENT_STORE, order);

	event->line = line;
	event->entry = entry;
	memcpy(event->bytes, base + (size_t)line * LINE_SIZE, LINE_SIZE);
}

/* Lock held. */
static void add_flush(const uint8_t *at, size_t len, enum pm_order order)
{
	size_t offset = (size_t)(at - base);
	struct event *event = add(EVENT_FLUSH, order);

	event->line = (uint32_t)(offset / LINE_SIZE);
	event->lines = (uint32_t)((offset + len - 1) / LINE_SIZE) - event->line + 1;
}

/* How many pages of a range have storage. */
static unsigned int pages_stored(uint64_t offset, uint64_t length)
{
	unsigned int count = 0;

	for (uint64_t page = offset / LAYOUT_PAGE_SIZE; page * LAYOUT_PAGE_SIZE < offset + length;
	     page++)
		count += stored[page];
	return count;
}

static void set_stored(uint64_t offset, uint64_t length, bool value)
{
	memset(stored + offset / LAYOUT_PAGE_SIZE, value, length / LAYOUT_PAGE_SIZE);
}

/* What is stored to begin with: later tmpfs does not tell, for pages given and not yet written. */
static void find_stored(int fd, size_t size)
{
	if (size > sizeof(stored) * LAYOUT_PAGE_SIZE)
		fatal("a device of %zu bytes is too large to record", size);
	for (size_t at = 0; at < size; at += LAYOUT_PAGE_SIZE)
		stored[at / LAYOUT_PAGE_SIZE] = lseek(fd, (off_t)at, SEEK_DATA) == (off_t)at;
}

/* A store elsewhere would be a fault when the file system is full. */
static void check_storage(const uint8_t *dst, size_t len)
{
	uint64_t page = (uint64_t)(dst - base) / LAYOUT_PAGE_SIZE;

	for (; page * LAYOUT_PAGE_SIZE < (uint64_t)(dst - base) + len; page++)
		if (!stored[page])
			fatal("a store to page %llu, which has no storage",
			      (unsigned long long)page);
}

/* Lock held.  A store that changes nothing leaves no image of its own. */
static void store(uint8_t *dst, const uint8_t *src, size_t len, enum pm_order order)
{
	static const uint8_t zeroes[LINE_SIZE];
	size_t n;

	if (order != PM_ORDER_COUNT)
		check_storage(dst, len);
	for (; len > 0; dst += n, src = src == NULL ? NULL : src + n, len -= n) {
		const uint8_t *from = src == NULL ? zeroes : src;

		n = LINE_SIZE - (size_t)(dst - base) % LINE_SIZE;
		n = len < n ? len : n;
		if (memcmp(dst, from, n) == 0)
			continue;
		memcpy(dst, from, n);
		add_line(dst, order, false);
	}
}

static int store_and_flush(uint8_t *dst, const uint8_t *src, size_t len, enum pm_order order)
{
	stage_step();
	if (mutate_store(dst, src, len, order))
		return 0;
	recorder_put(dst, src, len, order);
	return 0;
}

void recorder_put(void *dst, const void *src, size_t len, enum pm_order order)
{
	pthread_mutex_lock(&lock);
	if (process != DEAD) {
		store(dst, src, len, order);
		add_flush(dst, len, order);
	}
	pthread_mutex_unlock(&lock);
}

void recorder_fill_file_system(void)
{
	pthread_mutex_lock(&lock);
	terms.room = 0;
	pthread_mutex_unlock(&lock);
}

void recorder_store(void *dst, const void *src, size_t len)
{
	stage_step();
	pthread_mutex_lock(&lock);
	store(dst, src, len, PM_ORDER_COUNT);
	pthread_mutex_unlock(&lock);
}

int __wrap_pm_map(struct pm *pm, int fd, size_t size, enum pm_media media, bool readonly,
		  const char *path)
{
	int rc = __real_pm_map(pm, fd, size, media, readonly, path);

	if (rc == 0 && armed && !readonly) {
		base = pm->base;
		find_stored(fd, size);
		armed = false;
	}
	return rc;
}

static bool is_recorded(const struct pm *pm)
{
	return base != NULL && pm->base == base;
}

int __wrap_pm_copy(const struct pm *pm, void *dst, const void *src, size_t len, enum pm_order order)
{
	return is_recorded(pm) ? store_and_flush(dst, src, len, order)
			       : __real_pm_copy(pm, dst, src, len, order);
}

int __wrap_pm_zero(const struct pm *pm, void *dst, size_t len, enum pm_order order)
{
	return is_recorded(pm) ? store_and_flush(dst, NULL, len, order)
			       : __real_pm_zero(pm, dst, len, order);
}

int __wrap_pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
			  struct crc24_prefix prefix, uint32_t *value, enum pm_order order)
{
	static const uint8_t zeroes[LAYOUT_PAGE_SIZE];

	if (!is_recorded(pm))
		return __real_pm_copy_blocks(pm, dst, src, n, prefix, value, order);
	for (unsigned int i = 0; i < n; i++, prefix.block++)
		value[i] = crc24_page(
			prefix, src == NULL ? zeroes : (const uint8_t *)src + i * LAYOUT_PAGE_SIZE);
	return store_and_flush(dst, src, (size_t)n * LAYOUT_PAGE_SIZE, order);
}

bool __wrap_pm_cas(const struct pm *pm, _Atomic uint64_t *word, uint64_t *expected,
		   uint64_t desired)
{
	bool done;

	if (!is_recorded(pm))
		return __real_pm_cas(pm, word, expected, desired);
	stage_step();
	pthread_mutex_lock(&lock);
	/* The dead take everything for done. */
	done = process == DEAD || __real_pm_cas(pm, word, expected, desired);
	if (done && process != DEAD) {
		add_line((const uint8_t *)word, PM_ORDER_COUNT, true);
		come_nearer_to_death();
	}
	pthread_mutex_unlock(&lock);
	if (done)
		mutate_published();
	return done;
}

uint64_t __wrap_pm_swap(const struct pm *pm, _Atomic uint64_t *word, uint64_t desired)
{
	uint64_t old;

	if (!is_recorded(pm))
		return __real_pm_swap(pm, word, desired);
	stage_step();
	pthread_mutex_lock(&lock);
	old = process == DEAD ? atomic_load(word) : __real_pm_swap(pm, word, desired);
	if (old != desired && process != DEAD) {
		add_line((const uint8_t *)word, PM_ORDER_COUNT, true);
		come_nearer_to_death();
	}
	pthread_mutex_unlock(&lock);
	if (old != desired)
		mutate_published();
	return old;
}

int __wrap_pm_flush(const struct pm *pm, const void *addr, size_t len, enum pm_order order)
{
	if (!is_recorded(pm))
		return __real_pm_flush(pm, addr, len, order);
	stage_step();
	pthread_mutex_lock(&lock);
	if (process != DEAD)
		add_flush(addr, len, order);
	pthread_mutex_unlock(&lock);
	return 0;
}

void __wrap_pm_drain(const struct pm *pm, enum pm_order order)
{
	if (!is_recorded(pm)) {
		__real_pm_drain(pm, order);
		return;
	}
	stage_step();
	pthread_mutex_lock(&lock);
	if (process != DEAD)
		add(EVENT_DRAIN, order);
	pthread_mutex_unlock(&lock);
}

/*
 * A hole is the file system's store, which fsync makes durable and which makes nothing else so:
 * events of a thread of its own.
 */
void recorder_hole(const struct pm *pm, uint64_t offset, uint64_t length)
{
	unsigned int caller = recorder_thread;
	uint8_t *at = pm->base + offset;

	pthread_mutex_lock(&lock);
	terms.room += pages_stored(offset, length);
	set_stored(offset, length, false);
	recorder_thread = PUNCH_THREAD;
	store(at, NULL, length, PM_ORDER_COUNT);
	add_flush(at, length, PM_ORDER_COUNT);
	add(EVENT_DRAIN, PM_ORDER_COUNT);
	recorder_thread = caller;
	pthread_mutex_unlock(&lock);
}

static int punch(const struct device *device, uint64_t offset, uint64_t length,
		 int (*real)(const struct device *, uint64_t, uint64_t))
{
	if (!is_recorded(&device->pm))
		return real(device, offset, length);
	if (terms.no_punch)
		return -EOPNOTSUPP;
	stage_step();
	recorder_hole(&device->pm, offset, length);
	return real(device, offset, length);
}

int __wrap_device_punch_durably(const struct device *device, uint64_t offset, uint64_t length)
{
	return punch(device, offset, length, __real_device_punch_durably);
}

/* Taken for durable as well: only free pages lose their storage so, and theirs is no contents. */
int __wrap_device_punch(const struct device *device, uint64_t offset, uint64_t length)
{
	return punch(device, offset, length, __real_device_punch);
}

int __wrap_device_allocate(const struct device *device, uint64_t offset, uint64_t length)
{
	unsigned int missing;

	if (mutate_is(MUTANT_NO_STORAGE, PM_ORDER_COUNT) && is_recorded(&device->pm))
		return 0;
	if (is_recorded(&device->pm)) {
		missing = (unsigned int)(length / LAYOUT_PAGE_SIZE) - pages_stored(offset, length);
		if (terms.limited && missing > terms.room)
			return -ENOSPC;
		terms.room -= missing;
		set_stored(offset, length, true);
	}
	return __real_device_allocate(device, offset, length);
}
