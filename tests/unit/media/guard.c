/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * guard.c - SIGBUS inside the mapping is an error of the access, elsewhere it is somebody else's.
 *
 * A page past the end of a mapped file stands for one with a media error.  The handler is
 * installed once a process, so each case runs in a child that has none yet.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "media/guard.h"
#include "unit.h"

#define PAGES 8u
#define GOOD  3u /* pages before the end of the file */

/* In a child nothing can be asserted; it ends with one of these. */
#define REQUIRE(condition)                                                                         \
	do {                                                                                       \
		if (!(condition))                                                                  \
			_exit(1);                                                                  \
	} while (0)
#define HANDLED 42

static void map_through(struct pm *pm, int *kept)
{
	int fd = open(unit_path("mapped"), O_CREAT | O_RDWR, 0600);

	REQUIRE(fd != -1 && ftruncate(fd, GOOD * PAGE) == 0);
	*pm = (struct pm){ .size = PAGES * PAGE, .media = PM_TMPFS };
	pm->base = mmap(NULL, pm->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(pm->base != MAP_FAILED);
	*kept = fd;
}

static void map(struct pm *pm)
{
	int fd;

	map_through(pm, &fd);
	close(fd);
}

static void no_core(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
}

static void faults_inside(void)
{
	struct device device = { .media = PM_TMPFS, .holes = true };
	const struct pm *pm = &device.pm;
	uint8_t buf[PAGE];

	map_through(&device.pm, &device.fd);
	REQUIRE(guard_install() == 0);
	memset(pm_page(pm, 1), 7, PAGE);
	REQUIRE(guard_read(pm, buf, pm_page(pm, 1), PAGE) && buf[PAGE - 1] == 7);
	/* Again and again: the second would kill if the signal stayed blocked. */
	for (int i = 0; i < 100; i++) {
		REQUIRE(!guard_read(pm, buf, pm_page(pm, GOOD), PAGE));
		REQUIRE(guard_write(&device, pm_page(pm, GOOD + 1), buf, PAGE, PM_WRITE_DATA,
				    NULL) == -EIO);
		REQUIRE(guard_write(&device, pm_page(pm, GOOD + 1), NULL, PAGE, PM_WRITE_DATA,
				    NULL) == -EIO);
	}
	REQUIRE(guard_read(pm, buf, pm_page(pm, 1), PAGE) && buf[0] == 7);
	REQUIRE(guard_write(&device, pm_page(pm, 1), NULL, PAGE, PM_WRITE_DATA, NULL) == 0);
	REQUIRE(unit_is_zero(pm_page(pm, 1), PAGE));
	close(device.fd);
}

START_TEST(test_fault_inside_is_an_error_every_time)
{
	if (!unit_faults_work())
		return;
	ck_assert_int_eq(unit_in_child(faults_inside), 0);
}
END_TEST

struct walk {
	struct pm pm;
	volatile uint64_t page;
};

static void walk_pages(void *opaque)
{
	struct walk *walk = opaque;

	for (; walk->page < PAGES; walk->page = walk->page + 1)
		(void)*(volatile uint8_t *)(pm_page(&walk->pm, walk->page) + 5);
}

static void names_page(void)
{
	struct walk walk = { .page = 0 };
	struct fault fault = { 0 };

	map(&walk.pm);
	REQUIRE(guard_install() == 0);
	REQUIRE(!guard_run(&walk.pm, walk_pages, &walk, &fault));
	REQUIRE(fault.page == GOOD && fault.code == BUS_ADRERR && walk.page == GOOD);
}

START_TEST(test_the_bad_page_is_named)
{
	ck_assert_int_eq(unit_in_child(names_page), 0);
}
END_TEST

static void exit_handled(int sig)
{
	(void)sig;
	_exit(HANDLED);
}

static void exit_handled_info(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	_exit(info->si_code == BUS_ADRERR && info->si_addr != NULL ? HANDLED : 1);
}

/* A fault in a mapping that is not the guarded one, while a guard is on. */
static void touch_other(void *opaque)
{
	struct pm *other = opaque;

	(void)*(volatile uint8_t *)pm_page(other, GOOD);
}

static void fault_outside(void)
{
	struct pm pm, other;
	struct fault fault;

	no_core();
	map(&pm);
	map(&other);
	REQUIRE(guard_install() == 0);
	guard_run(&pm, touch_other, &other, &fault);
}

/* The same without any guard, inside the device's mapping: nobody is there to be told. */
static void fault_unguarded(void)
{
	struct pm pm;

	no_core();
	map(&pm);
	REQUIRE(guard_install() == 0);
	touch_other(&pm);
}

static void outside_plain_handler(void)
{
	signal(SIGBUS, exit_handled);
	fault_outside();
}

static void unguarded_plain_handler(void)
{
	signal(SIGBUS, exit_handled);
	fault_unguarded();
}

static void outside_info_handler(void)
{
	struct sigaction action = { .sa_sigaction = exit_handled_info, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
	fault_outside();
}

static void outside_default(void)
{
	signal(SIGBUS, SIG_DFL);
	fault_outside();
}

static void outside_ignored(void)
{
	signal(SIGBUS, SIG_IGN);
	fault_outside();
}

START_TEST(test_fault_outside_goes_to_the_previous_handler)
{
	ck_assert_int_eq(WEXITSTATUS(unit_in_child(outside_plain_handler)), HANDLED);
	ck_assert_int_eq(WEXITSTATUS(unit_in_child(outside_info_handler)), HANDLED);
	ck_assert_int_eq(WEXITSTATUS(unit_in_child(unguarded_plain_handler)), HANDLED);
}
END_TEST

START_TEST(test_fault_outside_without_handler_kills)
{
	ck_assert_int_eq(WTERMSIG(unit_in_child(outside_default)), SIGBUS);
	ck_assert_int_eq(WTERMSIG(unit_in_child(outside_ignored)), SIGBUS);
}
END_TEST

static void sent_to_default(void)
{
	no_core();
	signal(SIGBUS, SIG_DFL);
	REQUIRE(guard_install() == 0);
	raise(SIGBUS);
}

static void sent_to_handler(void)
{
	signal(SIGBUS, exit_handled);
	REQUIRE(guard_install() == 0);
	raise(SIGBUS);
}

static void sent_to_ignored(void)
{
	signal(SIGBUS, SIG_IGN);
	faults_inside();
	raise(SIGBUS);
	/* Still on guard. */
	faults_inside();
	_exit(HANDLED);
}

START_TEST(test_a_sent_signal_goes_to_the_previous_handler)
{
	ck_assert_int_eq(WTERMSIG(unit_in_child(sent_to_default)), SIGBUS);
	ck_assert_int_eq(WEXITSTATUS(unit_in_child(sent_to_handler)), HANDLED);
	if (unit_faults_work())
		ck_assert_int_eq(WEXITSTATUS(unit_in_child(sent_to_ignored)), HANDLED);
}
END_TEST

/* As the kernel tells of memory that has failed and that nobody has touched yet. */
static void tell_early(uint8_t *address)
{
	siginfo_t info = { .si_signo = SIGBUS, .si_code = BUS_MCEERR_AO };

	info.si_addr = address;
	info.si_addr_lsb = 12;
	REQUIRE(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS, &info) == 0);
}

struct told {
	const struct pm *pm;
	bool went_on;
};

static void told_in_access(void *opaque)
{
	struct told *told = opaque;

	tell_early(pm_page(told->pm, 1));
	told->went_on = true;
}

/* Before an access, in it, and again: each access ends as it would without. */
static void told_early(void)
{
	struct fault fault;
	struct told told;
	uint8_t byte;
	struct pm pm;

	map(&pm);
	REQUIRE(guard_install() == 0);
	told = (struct told){ &pm, false };
	for (int i = 0; i < 3; i++) {
		tell_early(pm_page(&pm, 1));
		REQUIRE(!guard_read(&pm, &byte, pm_page(&pm, GOOD), 1));
		told.went_on = false;
		REQUIRE(guard_run(&pm, told_in_access, &told, &fault) && told.went_on);
		REQUIRE(guard_read(&pm, &byte, pm_page(&pm, 1), 1));
	}
}

static void told_early_by_default(void)
{
	signal(SIGBUS, SIG_DFL);
	told_early();
}

static void told_early_to_handler(void)
{
	struct pm pm;

	signal(SIGBUS, exit_handled);
	map(&pm);
	REQUIRE(guard_install() == 0);
	tell_early(pm_page(&pm, 1));
}

START_TEST(test_memory_that_fails_untouched_ends_no_access)
{
	ck_assert_int_eq(WEXITSTATUS(unit_in_child(told_early_to_handler)), HANDLED);
	if (unit_faults_work())
		ck_assert_int_eq(unit_in_child(told_early_by_default), 0);
}
END_TEST

static void *block_and_fault(void *opaque)
{
	struct pm *pm = opaque;
	sigset_t all;
	uint8_t byte;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (int i = 0; i < 3; i++)
		REQUIRE(!guard_read(pm, &byte, pm_page(pm, GOOD), 1));
	return NULL;
}

static void faults_where_blocked(void)
{
	pthread_t thread;
	struct pm pm;

	no_core();
	map(&pm);
	REQUIRE(guard_install() == 0);
	REQUIRE(pthread_create(&thread, NULL, block_and_fault, &pm) == 0);
	pthread_join(thread, NULL);
	block_and_fault(&pm);
}

START_TEST(test_a_thread_that_blocked_all_signals_lives)
{
	if (unit_faults_work())
		ck_assert_int_eq(unit_in_child(faults_where_blocked), 0);
}
END_TEST

static void *fault_often(void *opaque)
{
	struct pm *pm = opaque;
	uint8_t buf[16];

	for (int i = 0; i < 1000; i++) {
		REQUIRE(!guard_read(pm, buf, pm_page(pm, GOOD + 1), sizeof(buf)));
		REQUIRE(guard_read(pm, buf, pm_page(pm, GOOD - 1), sizeof(buf)));
	}
	return NULL;
}

static void faults_in_threads(void)
{
	pthread_t threads[4];
	struct pm pm;

	map(&pm);
	REQUIRE(guard_install() == 0);
	for (int i = 0; i < 4; i++)
		REQUIRE(pthread_create(&threads[i], NULL, fault_often, &pm) == 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

START_TEST(test_each_thread_has_its_own_guard)
{
	if (!unit_faults_work())
		return;
	ck_assert_int_eq(unit_in_child(faults_in_threads), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { test_fault_inside_is_an_error_every_time,
				       test_the_bad_page_is_named,
				       test_fault_outside_goes_to_the_previous_handler,
				       test_fault_outside_without_handler_kills,
				       test_a_sent_signal_goes_to_the_previous_handler,
				       test_memory_that_fails_untouched_ends_no_access,
				       test_a_thread_that_blocked_all_signals_lives,
				       test_each_thread_has_its_own_guard };

	if (under_valgrind()) {
		fprintf(stderr, "guard: skipped: valgrind has its own way with signals\n");
		return 77;
	}
	return unit_run("guard", tests, sizeof(tests) / sizeof(tests[0]));
}
