/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nbdload.c - a fixed number of requests at random, as fast as one connection gives them.
 *
 * usage: nbdload URI SERVER-PID read|write|fill DEPTH REQUESTS BYTES RANGE SEED
 *
 * Sends REQUESTS requests of BYTES bytes, DEPTH of them on their way at any time, to places at
 * random in the first RANGE bytes (fill: one after the other), and prints three numbers: requests a
 * second, microseconds of the server's processor time (user and system, of all its threads) a
 * request, and within how many microseconds 99 of 100 requests were answered.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

#define MOST_DEPTH 256

struct load {
	struct nbd_handle *nbd;
	bool write, fill;
	unsigned int depth;
	uint64_t requests, bytes, range;
	uint64_t random; /* state of the generator, not 0 */
	uint64_t sent, done;
	double *waited; /* of each that is done, in microseconds */
	struct slot {
		struct load *load;
		bool busy;
		double since;
		char *buf;
	} slot[MOST_DEPTH];
};

static void __attribute__((noreturn)) die(const char *what, const char *why)
{
	fprintf(stderr, "nbdload: %s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static double microseconds(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) == -1)
		die("clock", strerror(errno));
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static uint64_t next_offset(struct load *load)
{
	if (load->fill)
		return load->sent * load->bytes % load->range;
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return load->random % (load->range / load->bytes) * load->bytes;
}

static int completed(void *opaque, int *error)
{
	struct slot *slot = opaque;

	if (*error)
		die("request", strerror(*error));
	slot->busy = false;
	slot->load->waited[slot->load->done++] = microseconds(CLOCK_MONOTONIC) - slot->since;
	return 1; /* libnbd may forget it */
}

static void send_request(struct load *load, struct slot *slot)
{
	nbd_completion_callback callback = { .callback = completed, .user_data = slot };
	uint64_t offset = next_offset(load);
	int64_t cookie;

	slot->busy = true;
	slot->since = microseconds(CLOCK_MONOTONIC);
	if (load->write)
		cookie = nbd_aio_pwrite(load->nbd, slot->buf, load->bytes, offset, callback, 0);
	else
		cookie = nbd_aio_pread(load->nbd, slot->buf, load->bytes, offset, callback, 0);
	if (cookie == -1)
		die("request", nbd_get_error());
	load->sent++;
}

static void run(struct load *load)
{
	while (load->done < load->requests) {
		for (unsigned int i = 0; i < load->depth && load->sent < load->requests; i++)
			if (!load->slot[i].busy)
				send_request(load, &load->slot[i]);
		if (nbd_poll(load->nbd, -1) == -1)
			die("poll", nbd_get_error());
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double percentile_99(struct load *load)
{
	qsort(load->waited, load->done, sizeof(load->waited[0]), compare);
	return load->waited[(load->done - 1) * 99 / 100];
}

int main(int argc, char **argv)
{
	static struct load load;
	clockid_t server; /* user and system time of all its threads, also of those that ended */
	double time, cpu;

	if (argc != 9)
		die("usage",
		    "nbdload URI SERVER-PID read|write|fill DEPTH REQUESTS BYTES RANGE SEED");
	load.fill = strcmp(argv[3], "fill") == 0;
	load.write = load.fill || strcmp(argv[3], "write") == 0;
	load.depth = atoi(argv[4]);
	load.requests = strtoull(argv[5], NULL, 10);
	load.bytes = strtoull(argv[6], NULL, 10);
	load.range = strtoull(argv[7], NULL, 10);
	load.random = strtoull(argv[8], NULL, 10) * 0x9e3779b97f4a7c15 | 1;
	if (load.depth < 1 || load.depth > MOST_DEPTH || !load.bytes || load.range < load.bytes ||
	    !load.requests)
		die("usage", "DEPTH, REQUESTS, BYTES or RANGE");
	load.waited = calloc(load.requests, sizeof(load.waited[0]));
	if (load.waited == NULL)
		die("malloc", "no memory");

	for (unsigned int i = 0; i < load.depth; i++) {
		load.slot[i].load = &load;
		load.slot[i].buf = malloc(load.bytes);
		if (load.slot[i].buf == NULL)
			die("malloc", "no memory");
		memset(load.slot[i].buf, 0x5a, load.bytes);
	}
	load.nbd = nbd_create();
	if (load.nbd == NULL || nbd_connect_uri(load.nbd, argv[1]) == -1)
		die(argv[1], nbd_get_error());

	if (clock_getcpuclockid(atoi(argv[2]), &server) != 0)
		die(argv[2], "no such process");
	time = microseconds(CLOCK_MONOTONIC);
	cpu = microseconds(server);
	run(&load);
	time = microseconds(CLOCK_MONOTONIC) - time;
	cpu = microseconds(server) - cpu;
	printf("%.0f %.3f %.1f\n", load.requests / time * 1e6, cpu / load.requests,
	       percentile_99(&load));

	nbd_shutdown(load.nbd, 0);
	nbd_close(load.nbd);
	return EXIT_SUCCESS;
}
