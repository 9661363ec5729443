/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * disk-fills.c - the disk gets its memory back, and where it does not, only new blocks feel it.
 *
 * A borrower holds all that may be lent, and the disk is filled.  If it gives back, every write
 * succeeds, also where it is the one who writes, and answers on another thread.  If it refuses, or
 * never answers, new blocks get ENOSPC (in the second case after recall-timeout=), and every block
 * that has a page can be overwritten all the time.  One answer is one for all that it was asked before.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk.h"
#include "raw.h"

#define DEVICE_SIZE (48 << 20)

enum manner { GIVES, REFUSES, IGNORES, MISSES_ONE };

static struct borrower borrower;
static int heard[2]; /* a pipe: the borrower has heard the request that it will miss */

/* Answer whatever the server asks, until it hangs up. */
static void *answer(void *opaque)
{
	enum manner manner = *(enum manner *)opaque;
	struct lend_message message;

	while (raw_receive(borrower.fd, &message, NULL)) {
		CHECK(message.kind == LEND_RECALL && message.value > 0, "kind %u", message.kind);
		if (manner == MISSES_ONE && message.offset == 1)
			CHECK(write(heard[1], "", 1) == 1, "write: %m");
		else if (manner != IGNORES)
			raw_answer(&borrower, &message, manner != GIVES);
	}
	return NULL;
}

static void borrow_all(void)
{
	raw_hello(&borrower, server_lend_socket());
	/* The first may have to be made whole. */
	CHECK(raw_borrow(&borrower, RAW_WAIT_MS) == 0, "no zone");
	raw_borrow_all(&borrower, 0);
	CHECK(borrower.asked == 0, "asked for %lu bytes already", borrower.asked_for);
	raw_scribble(&borrower, 3);
}

/* A borrower in a process of its own, that has borrowed all that can be had, and listens. */
static pid_t start_borrower(enum manner manner)
{
	int ready[2];
	char byte;
	pid_t pid;

	CHECK(pipe(ready) == 0, "pipe: %m");
	pid = process_fork();
	if (pid == 0) {
		borrow_all();
		CHECK(write(ready[1], "", 1) == 1, "write: %m");
		answer(&manner);
		_exit(0);
	}
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1, "the borrower has ended");
	close(ready[0]);
	/* Half a second after the last refusal nobody counts as wanting any more. */
	raw_await(server_lend_socket(), "zones", "wanted", 0);
	return pid;
}

static void empty_disk(struct nbd_handle *nbd)
{
	disk_trim(nbd, 0, disk.blocks);
	for (uint64_t block = 0; block < disk.blocks / 8; block++)
		CHECK(disk_write(nbd, block) == 0, "%s", nbd_get_error());
	raw_await(server_lend_socket(), "zones", "lent", 0);
}

/* Until the headroom is touched, which is asked about while nobody waits. */
static void fill_to_headroom(struct nbd_handle *nbd)
{
	const char *path = server_lend_socket();
	uint64_t block = disk.blocks / 8;
	int64_t pages;
	char byte;

	pages = (int64_t)(raw_stat(path, "pages", "free") - raw_stat(path, "pages", "spare") -
			  raw_stat(path, "pages", "for_tables") - raw_stat(path, "pages", "lent") -
			  raw_stat(path, "pages", "headroom"));
	for (int64_t i = 0; i <= pages; i++)
		CHECK(disk_write(nbd, block++) == 0, "%s", nbd_get_error());
	CHECK(read(heard[0], &byte, 1) == 1, "read: %m");
}

static void fill_against(struct nbd_handle *nbd, enum manner manner)
{
	pid_t pid;
	uint64_t refused;

	empty_disk(nbd);
	pid = start_borrower(manner);
	if (manner == MISSES_ONE)
		fill_to_headroom(nbd);
	refused = disk_fill(nbd);
	disk_overwrite(nbd);
	if (manner == GIVES) {
		CHECK(refused == 0, "%" PRIu64 " new blocks got ENOSPC", refused);
	} else {
		CHECK(refused > 0, "lent pages were taken");
		CHECK(raw_stat(server_lend_socket(), "zones", "lent") > 0, "zones are gone");
	}
	disk_verify(nbd);
	CHECK(waitpid(pid, NULL, WNOHANG) == 0, "the borrower has ended");
	process_kill(pid);
	raw_await(server_lend_socket(), "zones", "lent", 0);
	CHECK(disk_fill(nbd) == 0, "zones have not come back");
	disk_verify(nbd);
}

/* This process borrows all, and fills the disk itself. */
static void fill_own(struct nbd_handle *nbd)
{
	enum manner manner = GIVES;
	pthread_t thread;

	empty_disk(nbd);
	borrow_all();
	CHECK(pthread_create(&thread, NULL, answer, &manner) == 0, "pthread_create");
	CHECK(disk_fill(nbd) == 0, "new blocks got ENOSPC");
	disk_overwrite(nbd);
	disk_verify(nbd);
	server_disconnect(nbd);
	/* Which ends the connection, and so the thread. */
	server_stop(SIGTERM);
	pthread_join(thread, NULL);
	raw_check(&borrower, 3);
}

static struct nbd_handle *start(const char *const *parameters, uint64_t create)
{
	struct nbd_handle *nbd;

	server_lends(parameters);
	server_start(create, NULL);
	nbd = server_connect();
	disk_init(nbd);
	return nbd;
}

int main(void)
{
	static const char *const forever[] = { "recall-timeout=86400", NULL };
	static const char *const short_time[] = { "recall-timeout=0.5", NULL };
	struct nbd_handle *nbd = start(short_time, DEVICE_SIZE);

	fill_against(nbd, IGNORES);
	server_disconnect(nbd);
	server_stop(SIGTERM);

	/* Whoever answers is not waited for any longer. */
	nbd = start(forever, 0);
	CHECK(pipe(heard) == 0, "pipe: %m");
	fill_against(nbd, REFUSES);
	fill_against(nbd, MISSES_ONE);
	fill_against(nbd, GIVES);
	fill_own(nbd);
	server_check_device();
	return 0;
}
