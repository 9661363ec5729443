/* SPDX-License-Identifier: BSD-3-Clause */
/* grace.c - a grace period lasts as long as the sections that were open when it began. */
#include "config.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <urcu/urcu-memb.h>

#include "pages/grace.h"
#include "unit.h"

static sem_t entered, may_leave;
static _Atomic bool over;

static void *hold_section(void *opaque)
{
	(void)opaque;
	grace_enter();
	sem_post(&entered);
	sem_wait(&may_leave);
	grace_leave();
	return NULL;
}

static void *wait_grace(void *opaque)
{
	(void)opaque;
	grace_wait();
	atomic_store(&over, true);
	return NULL;
}

START_TEST(test_waits_for_an_open_section)
{
	pthread_t reader, waiter;

	sem_init(&entered, 0, 0);
	sem_init(&may_leave, 0, 0);
	pthread_create(&reader, NULL, hold_section, NULL);
	sem_wait(&entered);
	pthread_create(&waiter, NULL, wait_grace, NULL);
	/* Time for a wait that does not wait to show itself. */
	usleep(100000);
	ck_assert(!atomic_load(&over));
	sem_post(&may_leave);
	pthread_join(waiter, NULL);
	pthread_join(reader, NULL);
	ck_assert(atomic_load(&over));
}
END_TEST

static void *one_section(void *opaque)
{
	(void)opaque;
	grace_enter();
	grace_leave();
	return NULL;
}

START_TEST(test_ended_threads_are_forgotten)
{
	pthread_t thread;

	for (uint64_t i = 0; i < scale(500); i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, one_section, NULL), 0);
		pthread_join(thread, NULL);
	}
	/* Would wait for ever, or touch what is gone, if one of them were still registered. */
	grace_wait();
}
END_TEST

static void read_late(void *opaque)
{
	one_section(opaque);
}

static pthread_key_t early, late;

static void *one_section_with_keys(void *opaque)
{
	pthread_setspecific(early, &early);
	pthread_setspecific(late, &late);
	return one_section(opaque);
}

START_TEST(test_sections_in_destructors_of_other_keys)
{
	pthread_t thread;

	/* One made before the library's key, one after it. */
	pthread_key_create(&early, read_late);
	one_section(NULL);
	pthread_key_create(&late, read_late);
	for (int i = 0; i < 20; i++) {
		pthread_create(&thread, NULL, one_section_with_keys, NULL);
		pthread_join(thread, NULL);
	}
	grace_wait();
}
END_TEST

/* The program uses liburcu, too. */
static void *one_section_registered(void *opaque)
{
	urcu_memb_register_thread();
	one_section(opaque);
	/* Its own sections and ours nest. */
	urcu_memb_read_lock();
	one_section(opaque);
	urcu_memb_read_unlock();
	urcu_memb_unregister_thread();
	/* And now it is the library that registers it. */
	return one_section(opaque);
}

START_TEST(test_sections_in_a_thread_that_the_program_registered)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, one_section_registered, NULL), 0);
	pthread_join(thread, NULL);
	grace_wait();
}
END_TEST

#define FRESH 1
#define STALE 2

/* What sections look up; stale ones are poisoned after a grace period. */
static _Atomic(_Atomic int *) current;
static _Atomic bool stop;
static _Atomic unsigned int stale_seen;

static void *look_up(void *opaque)
{
	(void)opaque;
	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		_Atomic int *found;

		grace_enter();
		found = atomic_load_explicit(&current, memory_order_acquire);
		for (int i = 0; i < 50; i++)
			if (atomic_load_explicit(found, memory_order_relaxed) != FRESH)
				atomic_fetch_add(&stale_seen, 1);
		grace_leave();
	}
	return NULL;
}

START_TEST(test_what_was_looked_up_stays_until_the_section_ends)
{
	static _Atomic int objects[2];
	pthread_t readers[3];

	atomic_store(&objects[0], FRESH);
	atomic_store(&current, &objects[0]);
	for (int i = 0; i < 3; i++)
		pthread_create(&readers[i], NULL, look_up, NULL);
	for (uint64_t i = 0; i < scale(500); i++) {
		_Atomic int *old = &objects[i % 2], *new = &objects[(i + 1) % 2];

		atomic_store_explicit(new, FRESH, memory_order_relaxed);
		atomic_store_explicit(&current, new, memory_order_release);
		grace_wait();
		atomic_store_explicit(old, STALE, memory_order_relaxed);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(readers[i], NULL);
	ck_assert_uint_eq(atomic_load(&stale_seen), 0);
}
END_TEST

UNIT_MAIN("grace", test_waits_for_an_open_section, test_ended_threads_are_forgotten,
	  test_sections_in_destructors_of_other_keys,
	  test_sections_in_a_thread_that_the_program_registered,
	  test_what_was_looked_up_stays_until_the_section_ends)
