/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * model.c - many connections read, write, trim and zero the same blocks, against a model.
 *
 * Every block carries its number, a version and a check value.  Writers of one block take turns (a
 * lock a block, in this program), so versions of a block rise; readers take no lock.  A read is
 * right if each block is whole and of a version between the latest acknowledged before the read
 * was sent and the latest sent when its reply came.  That one connection sees what another was
 * acknowledged is what multi-conn promises.  The first blocks have no lock: there only wholeness
 * is checked.  At the end each block must be exactly of its latest version, also after a restart.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/block.h"
#include "common/random.h"
#include "common/scale.h"
#include "common/server.h"

#define BLOCKS	    2048
#define UNORDERED   16 /* blocks without a lock */
#define CONNECTIONS 16
#define MOST	    16 /* blocks a request */

static struct {
	pthread_mutex_t writer;
	_Atomic uint64_t acknowledged; /* latest version, a trim counts as one */
	_Atomic uint64_t sent;
	_Atomic uint64_t trimmed; /* latest version sent that was a trim or a zero */
} model[BLOCKS];

struct client {
	pthread_t thread;
	struct nbd_handle *nbd;
	unsigned int number;
	uint64_t random;
	char buf[MOST * BLOCK_SIZE];
};

static unsigned int operations;

static bool ordered(unsigned int first)
{
	return first >= UNORDERED;
}

static void lock(unsigned int first, unsigned int count)
{
	for (unsigned int i = first; ordered(first) && i < first + count; i++)
		pthread_mutex_lock(&model[i].writer);
}

static void unlock(unsigned int first, unsigned int count)
{
	for (unsigned int i = first; ordered(first) && i < first + count; i++)
		pthread_mutex_unlock(&model[i].writer);
}

static void read_blocks(struct client *client, unsigned int first, unsigned int count)
{
	uint64_t oldest[MOST], version;

	for (unsigned int i = 0; i < count; i++)
		oldest[i] = model[first + i].acknowledged;
	NBD_CHECK(nbd_pread(client->nbd, client->buf, (size_t)count * BLOCK_SIZE,
			    (uint64_t)first * BLOCK_SIZE, 0));
	for (unsigned int i = 0; i < count; i++) {
		unsigned int number = first + i;
		uint64_t trimmed = model[number].trimmed; /* before the next: it is no newer */
		uint64_t newest = model[number].sent;

		CHECK(block_version(client->buf + i * BLOCK_SIZE, number, &version),
		      "block %u is torn or foreign", number);
		if (!ordered(number))
			continue;
		if (version == 0)
			version = trimmed;
		CHECK(version >= oldest[i] && version <= newest,
		      "block %u: version %lu, acknowledged %lu, sent %lu", number, version,
		      oldest[i], newest);
	}
}

/* Write (kind 0), trim (1), zero (2) or zero without a hole (3). */
static void change_blocks(struct client *client, unsigned int first, unsigned int count,
			  unsigned int kind)
{
	uint64_t length = (uint64_t)count * BLOCK_SIZE, offset = (uint64_t)first * BLOCK_SIZE;

	lock(first, count);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t version = atomic_fetch_add(&model[first + i].sent, 1) + 1;

		if (kind > 0)
			model[first + i].trimmed = version;
		block_fill(client->buf + i * BLOCK_SIZE, first + i, version);
	}
	if (kind == 0)
		NBD_CHECK(nbd_pwrite(client->nbd, client->buf, length, offset, 0));
	else if (kind == 1)
		NBD_CHECK(nbd_trim(client->nbd, length, offset, 0));
	else
		NBD_CHECK(nbd_zero(client->nbd, length, offset,
				   kind == 3 ? LIBNBD_CMD_FLAG_NO_HOLE : 0));
	for (unsigned int i = 0; i < count; i++)
		model[first + i].acknowledged = model[first + i].sent;
	unlock(first, count);
}

static void *run_client(void *opaque)
{
	struct client *client = opaque;

	for (unsigned int i = 0; i < operations; i++) {
		unsigned int count = 1 + random_next(&client->random) % MOST;
		unsigned int first = random_next(&client->random) % (BLOCKS - MOST);
		unsigned int kind = random_next(&client->random) % 16;

		if (random_next(&client->random) % 8 == 0) /* often: contended */
			first = 0;
		if (!ordered(first) && first + count > UNORDERED)
			count = UNORDERED - first;
		if (kind < 8)
			read_blocks(client, first, count);
		else
			change_blocks(client, first, count, kind < 12 ? 0 : kind - 12);
	}
	return NULL;
}

static void run_clients(void)
{
	static struct client clients[CONNECTIONS];

	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		clients[i].number = i;
		clients[i].random = i + 1;
		clients[i].nbd = server_connect();
		CHECK(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]) == 0,
		      "pthread_create");
	}
	for (unsigned int i = 0; i < CONNECTIONS; i++) {
		pthread_join(clients[i].thread, NULL);
		server_disconnect(clients[i].nbd);
	}
}

static void verify(void)
{
	static struct client client;

	client.nbd = server_connect();
	for (unsigned int i = 0; i < BLOCKS; i++)
		read_blocks(&client, i, 1);
	server_disconnect(client.nbd);
}

int main(void)
{
	for (unsigned int i = 0; i < BLOCKS; i++)
		pthread_mutex_init(&model[i].writer, NULL);
	operations = scale(20000);
	/* Little more than the blocks need: overwriting has to wait for pages now and then. */
	server_start((BLOCKS + 80) * BLOCK_SIZE, NULL);
	run_clients();
	verify();
	server_stop_sound();
	server_start(0, NULL);
	verify();
	server_stop(SIGTERM);
	return 0;
}
