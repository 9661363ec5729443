/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nbdload.c - one load over NBD, given to several servers in turn.
 *
 * In each round each server has its turn, in an order that rotates, so that what the machine does meanwhile meets all
 * alike; rounds should be short, a tenth of a second, and many, for the machine's speed wanders within seconds.  A turn is
 * a fixed number of requests, so many of them on their way at any time, to places at random.  A connection is one thread
 * with one libnbd handle, open from the first round to the last.
 *
 * Prints, for each server: requests a second and microseconds of the server's processor a request, a value a round; and
 * within how many microseconds 50, 99 and 99.9 of 100 requests were answered, of those of all rounds.
 */
#include "config.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "figures.h"

#define MOST_DEPTH	 256u
#define MOST_CONNECTIONS 16u
#define MOST_SERVERS	 16u
#define MOST_PROCESSES	 64u

struct server {
	const char *name, *uri;
	pid_t process;
	clockid_t clock
		[MOST_PROCESSES]; /* processor time, of all threads: of the process and its children */
	unsigned int processes;
	struct nbd_handle *nbd[MOST_CONNECTIONS];
	float *waited; /* of each request, in microseconds */
	uint64_t answered;
	double *rate, *cpu; /* a round */
};

static struct {
	const char *what;
	unsigned int depth, connections, reads, trims, rounds;
	uint64_t requests, bytes, range;
	bool sequential;
	struct server server[MOST_SERVERS];
	unsigned int servers;
} load = { "load", 1, 1, 100, 0, 1, 1000, 4096, 1 << 30, false, { { 0 } }, 0 };

/* One connection's part of a turn. */
struct part {
	struct nbd_handle *nbd;
	uint64_t seed, requests, sent, answered, first;
	float *waited;
	struct slot {
		struct part *part;
		bool busy;
		double since;
	} slot[MOST_DEPTH];
	char *buf[MOST_DEPTH];
};

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "nbdload: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void *allocate(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	if (memory == NULL)
		die("memory", strerror(ENOMEM));
	return memory;
}

/* ---- a connection's part -------------------------------------------------------------------- */

static int answer(void *opaque, int *error)
{
	struct slot *slot = opaque;
	struct part *part = slot->part;

	if (*error)
		die("request", strerror(*error));
	slot->busy = false;
	part->waited[part->answered++] = (float)((now() - slot->since) / 1e3);
	return 1; /* libnbd may forget it */
}

static void send_request(struct part *part, unsigned int i)
{
	struct slot *slot = &part->slot[i];
	nbd_completion_callback callback = { .callback = answer, .user_data = slot };
	uint64_t places = load.range / load.bytes;
	uint64_t place = load.sequential ? part->first + part->sent : next(&part->seed);
	uint64_t offset = place % places * load.bytes;
	unsigned int kind = next(&part->seed) >> 20 & 0xffff;
	int64_t cookie;

	slot->busy = true;
	slot->since = now();
	if (kind < load.reads * 65536 / 100)
		cookie = nbd_aio_pread(part->nbd, part->buf[i], load.bytes, offset, callback, 0);
	else if (kind < (load.reads + load.trims) * 65536 / 100)
		cookie = nbd_aio_trim(part->nbd, load.bytes, offset, callback, 0);
	else
		cookie = nbd_aio_pwrite(part->nbd, part->buf[i], load.bytes, offset, callback, 0);
	if (cookie == -1)
		die("request", nbd_get_error());
	part->sent++;
}

static void *run_part(void *opaque)
{
	struct part *part = opaque;

	while (part->answered < part->requests) {
		for (unsigned int i = 0; i < load.depth && part->sent < part->requests; i++)
			if (!part->slot[i].busy)
				send_request(part, i);
		if (nbd_poll(part->nbd, -1) == -1)
			die("poll", nbd_get_error());
	}
	return NULL;
}

static struct part *make_parts(void)
{
	struct part *parts = allocate(load.connections, sizeof(parts[0]));

	for (unsigned int c = 0; c < load.connections; c++) {
		parts[c].requests = load.requests / load.connections;
		for (unsigned int i = 0; i < load.depth; i++) {
			parts[c].slot[i].part = &parts[c];
			parts[c].buf[i] = allocate(1, load.bytes);
			memset(parts[c].buf[i], 0x5a, load.bytes);
		}
	}
	return parts;
}

/* ---- servers -------------------------------------------------------------------------------- */

static void add_clock(struct server *server, pid_t process)
{
	if (server->processes == MOST_PROCESSES ||
	    clock_getcpuclockid(process, &server->clock[server->processes++]) != 0)
		die(server->name, "no such process, or too many");
}

/* A server may have a process for each connection. */
static void find_processes(struct server *server)
{
	char path[64];
	FILE *children;
	int child;

	add_clock(server, server->process);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)server->process,
		 (int)server->process);
	children = fopen(path, "r");
	while (children != NULL && fscanf(children, "%d", &child) == 1)
		add_clock(server, child);
	if (children != NULL)
		fclose(children);
}

static double processor(const struct server *server)
{
	struct timespec t;
	double sum = 0;

	for (unsigned int i = 0; i < server->processes; i++)
		if (clock_gettime(server->clock[i], &t) == 0)
			sum += (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
	return sum;
}

static void connect_to(struct server *server)
{
	for (unsigned int c = 0; c < load.connections; c++) {
		server->nbd[c] = nbd_create();
		if (server->nbd[c] == NULL || nbd_connect_uri(server->nbd[c], server->uri) == -1)
			die(server->uri, nbd_get_error());
	}
	find_processes(server);
	server->waited = allocate(load.rounds * load.requests, sizeof(server->waited[0]));
	server->rate = allocate(load.rounds, sizeof(double));
	server->cpu = allocate(load.rounds, sizeof(double));
}

static void take_turn(struct server *server, struct part *parts, unsigned int round)
{
	pthread_t thread[MOST_CONNECTIONS];
	uint64_t requests = 0;
	double cpu, time;

	for (unsigned int c = 0; c < load.connections; c++) {
		parts[c].nbd = server->nbd[c];
		parts[c].seed = ((uint64_t)round * MOST_CONNECTIONS + c) * 0x9e3779b97f4a7c15 | 1;
		parts[c].first = (uint64_t)round * load.requests + c * parts[c].requests;
		parts[c].sent = parts[c].answered = 0;
		parts[c].waited = server->waited + server->answered + requests;
		requests += parts[c].requests;
	}
	cpu = processor(server);
	time = now();
	for (unsigned int c = 1; c < load.connections; c++)
		if (pthread_create(&thread[c], NULL, run_part, &parts[c]) != 0)
			die("thread", "cannot be started");
	run_part(&parts[0]);
	for (unsigned int c = 1; c < load.connections; c++)
		pthread_join(thread[c], NULL);
	time = now() - time;
	server->cpu[round] = (processor(server) - cpu) / 1e3 / (double)requests;
	server->rate[round] = (double)requests / time * 1e9;
	server->answered += requests;
}

static int by_length(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static void tell(struct server *server)
{
	static const struct {
		const char *unit;
		double share;
	} within[] = { { "p50 us", 0.5 }, { "p99 us", 0.99 }, { "p99.9 us", 0.999 } };

	print_figures("nbd", load.what, server->name, "requests/s", server->rate, load.rounds);
	print_figures("nbd", load.what, server->name, "CPU us", server->cpu, load.rounds);
	qsort(server->waited, server->answered, sizeof(server->waited[0]), by_length);
	for (unsigned int i = 0; i < sizeof(within) / sizeof(within[0]); i++) {
		double us = server->waited[(uint64_t)((double)(server->answered - 1) *
						      within[i].share)];

		print_figures("nbd", load.what, server->name, within[i].unit, &us, 1);
	}
}

/* ---- the command line ----------------------------------------------------------------------- */

static const struct argp_option options[] = {
	{ "bytes", 'b', "N", 0, "bytes a request (4096)", 0 },
	{ "connections", 'c', "N", 0, "connections to each server (1)", 0 },
	{ "depth", 'd', "N", 0, "requests of a connection under way at a time (1)", 0 },
	{ "range", 'g', "N", 0, "places are in the first N bytes (1 GiB)", 0 },
	{ "reads", 'r', "PERCENT", 0, "of the requests (100); the rest are writes", 0 },
	{ "requests", 'n', "N", 0, "a turn (1000)", 0 },
	{ "rounds", 'o', "N", 0, "rounds (1)", 0 },
	{ "sequential", 's', NULL, 0, "one place after the other", 0 },
	{ "trims", 't', "PERCENT", 0, "of the requests (0)", 0 },
	{ "what", 'w', "NAME", 0, "what this load is called", 0 },
	{ 0 },
};

/* NAME=PID=URI */
static void add_server(char *argument)
{
	struct server *server = &load.server[load.servers++];
	char *process = strchr(argument, '='),
	     *uri = process == NULL ? NULL : strchr(process + 1, '=');

	if (uri == NULL || load.servers > MOST_SERVERS)
		die(argument, "not NAME=PID=URI, or too many servers");
	*process++ = *uri++ = '\0';
	server->name = argument;
	server->process = (pid_t)strtol(process, NULL, 10);
	server->uri = uri;
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
	(void)state;
	switch (key) {
	case 'b':
		load.bytes = strtoull(argument, NULL, 0);
		break;
	case 'c':
		load.connections = (unsigned int)strtoul(argument, NULL, 0);
		break;
	case 'd':
		load.depth = (unsigned int)strtoul(argument, NULL, 0);
		break;
	case 'g':
		load.range = strtoull(argument, NULL, 0);
		break;
	case 'n':
		load.requests = strtoull(argument, NULL, 0);
		break;
	case 'o':
		load.rounds = (unsigned int)strtoul(argument, NULL, 0);
		break;
	case 'r':
		load.reads = (unsigned int)strtoul(argument, NULL, 0);
		break;
	case 's':
		load.sequential = true;
		break;
	case 't':
		load.trims = (unsigned int)strtoul(argument, NULL, 0);
		break;
	case 'w':
		load.what = argument;
		break;
	case ARGP_KEY_ARG:
		add_server(argument);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = { options,
				  parse,
				  "NAME=PID=URI...",
				  "One load over NBD, given to several servers in turn.",
				  NULL,
				  NULL,
				  NULL };

int main(int argc, char **argv)
{
	struct part *parts;

	argp_parse(&argp, argc, argv, 0, NULL, NULL);
	if (load.servers == 0 || load.depth < 1 || load.depth > MOST_DEPTH ||
	    load.connections < 1 || load.connections > MOST_CONNECTIONS || load.bytes == 0 ||
	    load.range < load.bytes || load.requests < load.connections || load.rounds == 0 ||
	    load.reads + load.trims > 100)
		die("usage", "see nbdload --help");
	parts = make_parts();
	for (unsigned int i = 0; i < load.servers; i++)
		connect_to(&load.server[i]);
	for (unsigned int round = 0; round < load.rounds; round++)
		for (unsigned int i = 0; i < load.servers; i++)
			take_turn(&load.server[(round + i) % load.servers], parts, round);
	for (unsigned int i = 0; i < load.servers; i++)
		tell(&load.server[i]);
	return EXIT_SUCCESS;
}
