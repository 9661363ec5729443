/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals-served.c - signals that interrupt the system calls of a server's threads fail no request.
 *
 * Several clients write, read, trim and zero blocks of their own, verifying each, while a thread sends
 * a signal to every thread of the server in turn, as fast as it can.  harmless-handler.c sees to it
 * that the signal interrupts and does nothing else.
 */
#include "config.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/block.h"
#include "common/scale.h"
#include "common/server.h"

#define CLIENTS 4u
#define BLOCKS	2000u /* each */
#define ROUNDS	6u

static pid_t server;
static _Atomic bool stop;
static unsigned long sent;

static void *rain(void *opaque)
{
	char path[64];

	(void)opaque;
	snprintf(path, sizeof path, "/proc/%d/task", server);
	while (!atomic_load(&stop)) {
		DIR *dir = opendir(path);
		struct dirent *entry;

		CHECK(dir, "%s: %m", path);
		while ((entry = readdir(dir)) != NULL)
			/* One that has just ended is none to miss. */
			if (entry->d_name[0] != '.' &&
			    syscall(SYS_tgkill, server, atoi(entry->d_name), SIGUSR2) == 0)
				sent++;
		closedir(dir);
	}
	return NULL;
}

static void *work(void *opaque)
{
	const uint64_t first = *(const unsigned int *)opaque * BLOCKS;
	const unsigned int rounds = scale(ROUNDS);
	struct nbd_handle *nbd = server_connect();
	char buf[BLOCK_SIZE];

	for (uint64_t round = 1; round <= rounds; round++) {
		for (uint64_t number = first; number < first + BLOCKS; number++) {
			block_fill(buf, number, round);
			NBD_CHECK(nbd_pwrite(nbd, buf, sizeof buf, number * BLOCK_SIZE, 0));
			NBD_CHECK(nbd_pwrite(nbd, buf + 7, 100, number * BLOCK_SIZE + 7, 0));
			server_expect_block(nbd, number, round);
		}
		for (uint64_t number = first; number < first + BLOCKS; number++)
			server_expect_block(nbd, number, round);
		NBD_CHECK(nbd_trim(nbd, BLOCKS / 2 * BLOCK_SIZE, first * BLOCK_SIZE, 0));
		NBD_CHECK(nbd_zero(nbd, 100 * BLOCK_SIZE, first * BLOCK_SIZE,
				   LIBNBD_CMD_FLAG_NO_HOLE));
		NBD_CHECK(nbd_flush(nbd, 0));
		server_expect_block(nbd, first, 0);
		server_expect_block(nbd, first + BLOCKS / 2 - 1, 0);
		server_expect_block(nbd, first + BLOCKS / 2, round);
	}
	server_disconnect(nbd);
	return NULL;
}

/* The process at the other end of a connection. */
static pid_t find_server(void)
{
	struct nbd_handle *nbd = server_connect();
	struct ucred peer = { 0 };
	socklen_t len = sizeof peer;

	CHECK(getsockopt(nbd_aio_get_fd(nbd), SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0, "%m");
	server_disconnect(nbd);
	return peer.pid;
}

int main(void)
{
	pthread_t clients[CLIENTS], rainer;
	unsigned int numbers[CLIENTS];
	const char *asan = getenv("asan_library");

	if (asan && *asan) {
		fprintf(stderr, "skipped: AddressSanitizer has LD_PRELOAD to itself\n");
		return 77;
	}
	CHECK(access(".libs/harmless-handler.so", R_OK) == 0, "%m");
	setenv("LD_PRELOAD", ".libs/harmless-handler.so", 1);
	server_start(64 << 20, NULL);
	unsetenv("LD_PRELOAD");
	server = find_server();
	CHECK(pthread_create(&rainer, NULL, rain, NULL) == 0, "thread");
	for (unsigned int i = 0; i < CLIENTS; i++) {
		numbers[i] = i;
		CHECK(pthread_create(&clients[i], NULL, work, &numbers[i]) == 0, "thread");
	}
	for (unsigned int i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	atomic_store(&stop, true);
	pthread_join(rainer, NULL);
	CHECK(sent > 1000, "only %lu signals", sent);
	server_check_alive();
	server_stop_sound();
	return 0;
}
