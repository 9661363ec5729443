/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pins.c - pages that the kernel still uses are nobody else's, however their loan has ended.
 *
 * A borrower has the kernel use pages of its zones (uses.h), with I/O in flight.  Then it returns them, or
 * is killed, or is killed when it has forked a child that unmaps them and goes on with its descriptors.  Others
 * borrow at once what has become free, and the disk is written full, under a load that verifies.
 * Then what was pending is sent to.  No block changes, no other borrower sees a byte that is not zero when it
 * borrows and its own after that, and in the end all has come back.
 *
 * KMEMBLK_LEND_ROUNDS is the number of rounds (see `make check-lend`).
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/random.h"
#include "common/scale.h"
#include "disk.h"
#include "raw.h"
#include "uses.h"

#define DEVICE_SIZE (48 << 20)
#define OTHERS	    2u
/* At most, each. */
#define OTHERS_ZONES 4u

/* How the loans end. */
enum ending { RETURNED, KILLED, FORKED, ENDINGS };

static struct shared {
	struct zone zones[USES_ZONES];
	_Atomic bool used;   /* the kernel uses them */
	_Atomic bool end;    /* the loans are to end */
	_Atomic bool ended;  /* they are not mapped any more */
	_Atomic bool stored; /* the kernel has stored to a page since */
	_Atomic pid_t heir;  /* the child that was forked */
	struct other {
		_Atomic unsigned int zones, passes;
		_Atomic bool stop, stopped;
	} other[OTHERS];
} * shared;

static struct borrower borrower;
static uint64_t seed = 1;

/* Wait for the condition while that process lives. */
#define AWAIT_OF(pid, condition)                                                                   \
	do {                                                                                       \
		while (!(condition)) {                                                             \
			CHECK(waitpid(pid, NULL, WNOHANG) == 0, "process %d has ended", pid);      \
			usleep(1000);                                                              \
		}                                                                                  \
	} while (0)

/* ---- the borrower ----------------------------------------------------------------------------- */

static void __attribute__((noreturn)) go_on(void)
{
	uses_go_on();
	shared->stored = true;
	for (;;)
		pause();
}

static void __attribute__((noreturn)) return_zones(void)
{
	while (!shared->end)
		uses_repeat();
	while (borrower.zones > 0)
		raw_return(&borrower);
	shared->ended = true;
	go_on();
}

static void fork_heir(pid_t test)
{
	pid_t parent = getpid();

	if (fork() != 0)
		return;
	shared->heir = getpid();
	/* It gets another parent, the test, and ends with that one. */
	while (!shared->end && kill(test, 0) == 0)
		usleep(1000);
	CHECK(getppid() != parent && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0, "prctl: %m");
	while (borrower.zones > 0) {
		borrower.zones--;
		munmap(borrower.zone[borrower.zones].memory, ZONE_SIZE);
	}
	/* Nor are the loans held by the connection. */
	close(borrower.fd);
	shared->ended = true;
	go_on();
}

static void __attribute__((noreturn)) be_borrower(enum ending ending, pid_t test)
{
	raw_hello(&borrower, server_lend_socket());
	for (unsigned int i = 0; i < USES_ZONES; i++)
		CHECK(raw_borrow(&borrower, RAW_WAIT_MS) == 0, "borrowed %u", i);
	/* What others can get then are these zones. */
	raw_borrow_all(&borrower, 0);
	memcpy(shared->zones, borrower.zone, sizeof(shared->zones));
	uses_start(borrower.zone);
	if (ending == FORKED) {
		fork_heir(test);
		while (shared->heir == 0)
			uses_repeat();
	}
	shared->used = true;
	if (ending == RETURNED)
		return_zones();
	for (;;)
		uses_repeat();
}

/* ---- others ----------------------------------------------------------------------------------- */

/* raw_borrow() looks whether they are zeroed. */
static void __attribute__((noreturn)) be_other(unsigned int number)
{
	struct other *own = &shared->other[number];

	seed += number;
	raw_hello(&borrower, server_lend_socket());
	while (!own->stop) {
		while (borrower.zones < OTHERS_ZONES && raw_borrow(&borrower, 0) == 0)
			;
		raw_scribble(&borrower, number + 2);
		own->zones = borrower.zones;
		usleep(random_below(&seed, 20000));
		raw_check(&borrower, number + 2);
		while (borrower.zones > OTHERS_ZONES / 2)
			raw_return(&borrower);
		own->passes++;
	}
	raw_check(&borrower, number + 2);
	own->stopped = true;
	for (;;)
		pause();
}

static void start_others(pid_t *others)
{
	for (unsigned int i = 0; i < OTHERS; i++) {
		others[i] = process_fork();
		if (others[i] == 0)
			be_other(i);
	}
}

static void await_passes(const pid_t *others)
{
	for (unsigned int i = 0; i < OTHERS; i++) {
		unsigned int passes = shared->other[i].passes + 2;

		AWAIT_OF(others[i], shared->other[i].passes >= passes);
	}
}

static void end_others(const pid_t *others)
{
	for (unsigned int i = 0; i < OTHERS; i++) {
		shared->other[i].stop = true;
		AWAIT_OF(others[i], shared->other[i].stopped);
		process_kill(others[i]);
	}
}

/* ---- a round ---------------------------------------------------------------------------------- */

static pid_t start_borrower(enum ending ending)
{
	pid_t test = getpid(), pid;

	pid = process_fork();
	if (pid == 0)
		be_borrower(ending, test);
	AWAIT_OF(pid, shared->used);
	return pid;
}

/* Who has been killed keeps its number until nobody writes to it. */
static void end_loans(enum ending ending, pid_t *pid, pid_t writer)
{
	int status;

	if (ending == RETURNED)
		shared->end = true;
	else
		kill(*pid, SIGKILL);
	CHECK(waitpid(writer, NULL, 0) == writer, "waitpid: %m");
	if (ending != RETURNED)
		CHECK(waitpid(*pid, &status, 0) == *pid && WIFSIGNALED(status),
		      "the borrower has ended with status %#x", status);
	if (ending == FORKED) {
		*pid = shared->heir;
		shared->end = true;
	}
	if (ending != KILLED)
		AWAIT_OF(*pid, shared->ended);
}

static void check_all_is_back(void)
{
	char path[128];
	struct dirent *entry;
	DIR *loans;

	raw_await(server_lend_socket(), "zones", "lent", 0);
	CHECK(raw_stat(server_lend_socket(), "zones", "stuck") == 0, "a loan is stuck");
	snprintf(path, sizeof(path), "%s.loans", server_device());
	loans = opendir(path);
	CHECK(loans != NULL, "%s: %m", path);
	while ((entry = readdir(loans)) != NULL)
		CHECK(entry->d_name[0] == '.', "%s/%s is still there", path, entry->d_name);
	closedir(loans);
}

static void run_round(struct nbd_handle *nbd, enum ending ending)
{
	static struct load load;
	pid_t pid, writer, others[OTHERS];

	memset(shared, 0, sizeof(*shared));
	disk_trim(nbd, disk.blocks / 8, disk.blocks - disk.blocks / 8);
	load_start(&load, 0, disk.blocks / 8);
	uses_open();
	pid = start_borrower(ending);
	start_others(others);
	writer = process_fork();
	if (writer == 0) {
		uses_write_remotely(pid, shared->zones);
		_exit(0);
	}
	usleep(random_below(&seed, 10000));
	end_loans(ending, &pid, writer);
	for (unsigned int i = 0; i < OTHERS; i++)
		AWAIT_OF(others[i], shared->other[i].zones >= 2);
	disk_fill(nbd);
	uses_finish();
	if (ending != KILLED)
		AWAIT_OF(pid, shared->stored);
	await_passes(others);
	load_await(&load, 100);
	load_end(&load);
	disk_overwrite(nbd);
	disk_verify(nbd);
	end_others(others);
	if (ending != KILLED)
		process_kill(pid);
	uses_close();
	check_all_is_back();
	disk_verify(nbd);
}

int main(void)
{
	static const char *const parameters[] = { "recall-timeout=0.05", NULL };
	const char *text = getenv("KMEMBLK_LEND_ROUNDS");
	uint64_t rounds = text ? strtoull(text, NULL, 10) : scale(ENDINGS);
	struct nbd_handle *nbd;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	CHECK(shared != MAP_FAILED && prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "%m");
	server_lends(parameters);
	server_start(DEVICE_SIZE, NULL);
	nbd = server_connect();
	disk_init(nbd);
	disk_write_all(nbd);
	for (uint64_t i = 0; i < rounds; i++)
		run_round(nbd, i % ENDINGS);
	server_disconnect(nbd);
	server_stop_sound();
	return 0;
}
