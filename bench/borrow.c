/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * borrow.c - borrowers that do nothing but borrow.
 *
 * usage: borrow all SOCKET SERVER-PID ZONES
 *        borrow churn SOCKET BORROWERS
 *
 * all: borrow ZONES zones, store to each page of them, return them, and do it all once more; print for the
 * second time seconds, and seconds of the server's processor time.
 * churn: BORROWERS processes borrow a zone, store to its first page and return it, again and again.  A "p"
 * on the standard input stops them and has printed how many zones a second were borrowed since a "c", which
 * lets them go on.  They end when it ends.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kmemblk.h"

#define WAIT_MS 600000u

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "borrow: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) == -1)
		die("clock", strerror(errno));
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct kmemblk_borrower *connect_to(const char *socket)
{
	struct kmemblk_borrower *borrower;

	if (kmemblk_borrower_connect(socket, NULL, NULL, &borrower) != 0)
		die("connect", kmemblk_error());
	return borrower;
}

/* ---- all ------------------------------------------------------------------------------------ */

/* Wait until the server has ended every loan: its figures do not name one any more. */
static void await_none(const char *socket)
{
	char *text;
	int none;

	do {
		if (kmemblk_borrower_stat(socket, &text) != 0)
			die("stat", kmemblk_error());
		none = strstr(text, "\"lent\":0,\"unowned\":0,") != NULL;
		free(text);
		if (!none)
			usleep(1000);
	} while (!none);
}

static void borrow_all(struct kmemblk_borrower *borrower, void **zone, size_t zones)
{
	size_t size = kmemblk_borrower_zone_size(borrower);

	for (size_t i = 0; i < zones; i++) {
		if (kmemblk_borrower_borrow(borrower, NULL, WAIT_MS, &zone[i]) != 0)
			die("borrow", kmemblk_error());
		for (size_t at = 0; at < size; at += 4096)
			*((volatile uint8_t *)zone[i] + at) = 1;
	}
	for (size_t i = 0; i < zones; i++)
		if (kmemblk_borrower_return(borrower, zone[i], 0) != 0)
			die("return", kmemblk_error());
}

static void all(const char *socket, pid_t pid, size_t zones)
{
	struct kmemblk_borrower *borrower = connect_to(socket);
	void **zone = calloc(zones, sizeof(zone[0]));
	double elapsed = 0, cpu = 0;
	clockid_t server;

	if (zone == NULL)
		die("malloc", "no memory");
	if (clock_getcpuclockid(pid, &server) != 0)
		die("the server", "no such process");
	for (int round = 0; round < 2; round++) {
		elapsed = seconds(CLOCK_MONOTONIC);
		cpu = seconds(server);
		borrow_all(borrower, zone, zones);
		await_none(socket);
		elapsed = seconds(CLOCK_MONOTONIC) - elapsed;
		cpu = seconds(server) - cpu;
	}
	printf("%.3f %.3f\n", elapsed, cpu);
	kmemblk_borrower_close(borrower);
	free(zone);
}

/* ---- churn ---------------------------------------------------------------------------------- */

static void __attribute__((noreturn)) churn_one(const char *socket, _Atomic uint64_t *borrowed)
{
	struct kmemblk_borrower *borrower = connect_to(socket);
	void *zone;

	for (;;) {
		if (kmemblk_borrower_borrow(borrower, NULL, WAIT_MS, &zone) != 0)
			die("borrow", kmemblk_error());
		*(volatile uint8_t *)zone = 1;
		if (kmemblk_borrower_return(borrower, zone, 0) != 0)
			die("return", kmemblk_error());
		atomic_fetch_add_explicit(borrowed, 1, memory_order_relaxed);
	}
}

static void signal_all(const pid_t *pid, size_t n, int signal)
{
	for (size_t i = 0; i < n; i++)
		kill(pid[i], signal);
}

static void churn(const char *socket, size_t borrowers)
{
	_Atomic uint64_t *borrowed = mmap(NULL, sizeof(*borrowed), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t *pid = calloc(borrowers, sizeof(pid[0]));
	uint64_t before = 0, now;
	double since = 0;
	char byte;

	if (borrowed == MAP_FAILED || pid == NULL)
		die("malloc", "no memory");
	for (size_t i = 0; i < borrowers; i++) {
		pid[i] = fork();
		if (pid[i] == -1)
			die("fork", strerror(errno));
		if (pid[i] == 0)
			churn_one(socket, borrowed);
	}
	while (read(STDIN_FILENO, &byte, 1) == 1) {
		now = atomic_load_explicit(borrowed, memory_order_relaxed);
		if (byte == 'p') {
			signal_all(pid, borrowers, SIGSTOP);
			printf("%.0f\n",
			       (double)(now - before) / (seconds(CLOCK_MONOTONIC) - since));
			fflush(stdout);
		} else if (byte == 'c') {
			signal_all(pid, borrowers, SIGCONT);
			before = now;
			since = seconds(CLOCK_MONOTONIC);
		}
	}
	signal_all(pid, borrowers, SIGKILL);
	for (size_t i = 0; i < borrowers; i++)
		waitpid(pid[i], NULL, 0);
	free(pid);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "all") == 0)
		all(argv[2], (pid_t)strtol(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
	else if (argc == 4 && strcmp(argv[1], "churn") == 0)
		churn(argv[2], strtoul(argv[3], NULL, 10));
	else
		die("usage", "borrow all SOCKET SERVER-PID ZONES | borrow churn SOCKET BORROWERS");
	return EXIT_SUCCESS;
}
