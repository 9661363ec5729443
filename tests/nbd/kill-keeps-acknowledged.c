/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kill-keeps-acknowledged.c - kill -9 of the server under load loses nothing that it acknowledged.
 *
 * Several connections write and trim, each its own blocks, and remember for each block the request
 * that was acknowledged and the one that was sent.  The server is killed in the middle, the device
 * checked, a new server started; each block must then be whole and be one of those two.
 *
 * KMEMBLK_KILLS is the number of rounds (see `make check-kill`).
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/block.h"
#include "common/random.h"
#include "common/scale.h"
#include "common/server.h"

#define DEVICE_SIZE (64 << 20)
#define CONNECTIONS 8
#define BLOCKS	    (CONNECTIONS * 1024)
#define MOST	    8 /* blocks a request */

/* What block number i holds: a version, or NOTHING + a version where it was trimmed then. */
#define NOTHING (UINT64_C(1) << 63)
static uint64_t acknowledged[BLOCKS], sent[BLOCKS];

/* What block number i held when it was verified last; and how often it was acknowledged news. */
static uint64_t known[BLOCKS];
static unsigned long verified;

struct client {
	pthread_t thread;
	struct nbd_handle *nbd;
	unsigned int first; /* of its blocks */
	uint64_t random;
	uint64_t version;	      /* of its latest request */
	_Atomic unsigned int answers; /* since it has connected */
};

static int send_request(struct client *client, unsigned int first, unsigned int count)
{
	static _Thread_local char buf[MOST * BLOCK_SIZE];
	bool trim = random_next(&client->random) % 4 == 0;
	uint64_t version = ++client->version;

	for (unsigned int i = first; i < first + count; i++) {
		sent[i] = trim ? version | NOTHING : version;
		block_fill(buf + (i - first) * BLOCK_SIZE, i, version);
	}
	if (trim)
		return nbd_trim(client->nbd, (uint64_t)count * BLOCK_SIZE,
				(uint64_t)first * BLOCK_SIZE, 0);
	return nbd_pwrite(client->nbd, buf, (size_t)count * BLOCK_SIZE,
			  (uint64_t)first * BLOCK_SIZE, 0);
}

/* Until the connection breaks. */
static void *run_client(void *opaque)
{
	struct client *client = opaque;

	for (;;) {
		unsigned int count = 1 + random_next(&client->random) % MOST;
		unsigned int first = client->first +
				     random_next(&client->random) % (BLOCKS / CONNECTIONS - MOST);

		if (send_request(client, first, count) == -1)
			return NULL;
		memcpy(acknowledged + first, sent + first, count * sizeof *sent);
		client->answers++;
	}
}

/* Each block holds what was acknowledged last or what was on its way; that is its state now. */
static void verify(void)
{
	struct nbd_handle *nbd = server_connect();
	char buf[BLOCK_SIZE];
	uint64_t version;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		NBD_CHECK(nbd_pread(nbd, buf, sizeof buf, (uint64_t)i * BLOCK_SIZE, 0));
		CHECK(block_version(buf, i, &version), "block %u is torn or foreign", i);
		if (version == 0 && acknowledged[i] & NOTHING)
			version = acknowledged[i];
		if (version == 0 && sent[i] & NOTHING)
			version = sent[i];
		CHECK(version == acknowledged[i] || version == sent[i],
		      "block %u: version %#lx, acknowledged %#lx, sent %#lx", i, version,
		      acknowledged[i], sent[i]);
		verified += acknowledged[i] != known[i];
		known[i] = acknowledged[i] = sent[i] = version;
	}
	server_disconnect(nbd);
}

/* When each client has had so many answers. */
static void kill_under_load(struct client *clients, unsigned int answers)
{
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		clients[i].nbd = server_connect();
		clients[i].answers = 0;
		CHECK(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) == 0,
		      "pthread_create");
	}
	for (unsigned int i = 0; i < CONNECTIONS; i++)
		while (clients[i].answers < answers) {
			server_check_alive();
			usleep(1000);
		}
	server_stop(SIGKILL);
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		pthread_join(clients[i].thread, NULL);
		nbd_close(clients[i].nbd);
	}
}

int main(void)
{
	static struct client clients[CONNECTIONS];
	const char *kills = getenv("KMEMBLK_KILLS");
	unsigned int rounds = kills ? (unsigned int)strtoul(kills, NULL, 10) : scale(20);

	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		clients[i].first = i * (BLOCKS / CONNECTIONS);
		clients[i].random = i + 1;
	}
	server_start(DEVICE_SIZE, NULL);
	for (unsigned int round = 0; round < rounds; round++) {
		kill_under_load(clients, 50 + 37 * (round % 20));
		server_check_device();
		server_start(0, NULL);
		verify();
	}
	server_stop_sound();
	/* Else it would have ended before. */
	printf("rounds %u, acknowledged writes verified %lu, 0 lost, 0 torn\n", rounds, verified);
	return 0;
}
