/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * zones-survive-the-server.c - the kernel says when a zone is free, not the server or the socket.
 *
 * Three borrowers scribble over their zones: one as usual, one that has closed all its descriptors,
 * the socket among them, and one that is the forked child of a borrower that has ended.  The server
 * is killed; the next server counts the zones as lent, and the disk
 * is written full: no block and no zone changes.  Each zone is free once its last user has ended.
 */
#include "config.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/await.h"
#include "common/await.h"
#include "disk.h"
#include "raw.h"

#define DEVICE_SIZE (64 << 20)
#define ZONES	    3u /* a borrower */

enum kind { USUAL, CLOSED, INHERITED, KINDS };

/* Shared with the borrowers. */
static struct shared {
	_Atomic pid_t pid; /* who has the zones mapped; set when they are scribbled over */
	_Atomic bool check, checked;
} * shared;

static void __attribute__((noreturn)) hold(struct borrower *borrower, enum kind kind, pid_t test)
{
	struct shared *own = &shared[kind];

	raw_scribble(borrower, kind);
	own->pid = getpid();
	while (!own->check && kill(test, 0) == 0)
		raw_scribble(borrower, kind);
	usleep(100000);
	raw_check(borrower, kind);
	own->checked = true;
	/* An orphan has nobody who would end it with the test. */
	while (kill(test, 0) == 0)
		usleep(10000);
	_exit(1);
}

static void borrow_and_hold(enum kind kind, pid_t test)
{
	static struct borrower borrower;

	raw_hello(&borrower, server_lend_socket());
	for (unsigned int i = 0; i < ZONES; i++)
		CHECK(raw_borrow(&borrower, RAW_WAIT_MS) == 0, "borrowed %u", i);
	if (kind == INHERITED && fork() != 0)
		_exit(0);
	if (kind == INHERITED)
		close(borrower.fd);
	if (kind == CLOSED)
		CHECK(close_range(0, ~0u, 0) == 0, "close_range: %m");
	hold(&borrower, kind, test);
}

static void start(enum kind kind)
{
	pid_t test = getpid(), pid = process_fork();

	if (pid == 0)
		borrow_and_hold(kind, test);
	if (kind == INHERITED)
		CHECK(waitpid(pid, NULL, 0) == pid, "waitpid: %m");
	AWAIT(shared[kind].pid != 0);
}

/* It finds in its zones what it has put there. */
static void check(enum kind kind)
{
	shared[kind].check = true;
	while (!shared[kind].checked) {
		CHECK(waitpid(shared[kind].pid, NULL, WNOHANG) == 0, "borrower %d has ended", kind);
		usleep(1000);
	}
}

static void borrow_by_all(const char *socket)
{
	for (int kind = 0; kind < KINDS; kind++)
		start((enum kind)kind);
	raw_await(socket, "zones", "unowned", (KINDS - 1) * ZONES);
	CHECK(raw_stat(socket, "zones", "lent") == KINDS * ZONES, "not all are lent");
}

int main(void)
{
	static const char *const parameters[] = { NULL };
	const char *socket = server_lend_socket();
	struct nbd_handle *nbd;

	shared = mmap(NULL, KINDS * sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED, "mmap: %m");
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "prctl: %m");
	server_lends(parameters);
	server_start(DEVICE_SIZE, NULL);
	nbd = server_connect();
	disk_init(nbd);
	for (uint64_t block = 0; block < disk.blocks / 2; block++)
		CHECK(disk_write(nbd, block) == 0, "%s", nbd_get_error());
	borrow_by_all(socket);
	server_stop(SIGKILL);
	nbd_close(nbd);

	server_start(0, NULL);
	nbd = server_connect();
	CHECK(raw_stat(socket, "zones", "lent") == KINDS * ZONES &&
		      raw_stat(socket, "zones", "unowned") == KINDS * ZONES,
	      "zones are not counted as lent");
	CHECK(disk_fill(nbd) > 0, "the disk has pages that are lent");
	disk_overwrite(nbd);
	for (int kind = 0; kind < KINDS; kind++)
		check((enum kind)kind);
	disk_verify(nbd);
	for (int kind = 0; kind < KINDS; kind++) {
		process_kill(shared[kind].pid);
		raw_await(socket, "zones", "lent", (uint64_t)(KINDS - 1 - kind) * ZONES);
	}
	CHECK(disk_fill(nbd) == 0, "zones have not come back");
	disk_verify(nbd);
	server_disconnect(nbd);
	server_stop_sound();
	return 0;
}
