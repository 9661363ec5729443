/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hold.c - a proxy between NBD clients and their server that holds one write back.
 *
 * usage: hold SOCKET SERVER-SOCKET
 *
 * Listens on SOCKET, connects each client to SERVER-SOCKET and passes on what either side says.  The
 * first connection on which a block of bytes FILL comes is stopped there: neither this block nor
 * anything after it gets to the server until SIGUSR1, and then also if the client is gone.  What follows
 * the block waits until the server has answered: nbdkit drops a request that it has read when it sees
 * the end of the connection before it begins with the request.  Blocks of that kind that come on other
 * connections pass.  Prints a line for what happened:
 *
 *     held N        that block has come on connection N, and is held
 *     write N       connection N has brought a whole such block
 *     let go        what was held is on its way to the server
 *     over N        the server has ended connection N: nothing of it is under way any more
 *
 * Bytes are counted, not requests: the first byte of a block may come with a header before it, and a
 * header may have a few such bytes by chance, never so many.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FILL	   0xee
#define BLOCK_SIZE 4096

struct connection {
	int number, client, server;
	bool answered; /* the server has spoken, or ended, since the block was let go */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool is_held, is_let_go;

static void die(const char *what)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		exit(2);
	strcpy(address.sun_path, path);
	return address;
}

static int make_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		die("socket");
	return fd;
}

/* To a peer that is gone nothing is said: the other one is told by the end of its connection. */
static void pass(int fd, const char *buf, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, buf, len, MSG_NOSIGNAL);

		if (n == -1)
			return;
		buf += n;
		len -= (size_t)n;
	}
}

static size_t count(const char *buf, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += (unsigned char)buf[i] == FILL;
	return n;
}

/* The first to come here waits for SIGUSR1, and is told that it was held. */
static bool hold(const struct connection *connection)
{
	bool mine;

	pthread_mutex_lock(&lock);
	mine = !is_held;
	if (mine) {
		is_held = true;
		printf("held %d\n", connection->number);
		while (!is_let_go)
			pthread_cond_wait(&changed, &lock);
		puts("let go");
	}
	pthread_mutex_unlock(&lock);
	return mine;
}

static void server_has_spoken(struct connection *connection)
{
	pthread_mutex_lock(&lock);
	connection->answered = is_let_go;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void await_answer(const struct connection *connection)
{
	pthread_mutex_lock(&lock);
	while (!connection->answered)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

static void *to_server(void *opaque)
{
	struct connection *connection = opaque;
	size_t found = 0, blocks = 0;
	bool was_held = false;
	char buf[8192];
	ssize_t len;

	while ((len = recv(connection->client, buf, sizeof(buf), 0)) > 0) {
		size_t n = count(buf, (size_t)len);

		if (n >= 64 && hold(connection))
			was_held = true;
		pass(connection->server, buf, (size_t)len);
		for (found += n; blocks < found / BLOCK_SIZE; blocks++) {
			printf("write %d\n", connection->number);
			if (was_held)
				await_answer(connection);
			was_held = false;
		}
	}
	shutdown(connection->server, SHUT_WR);
	return NULL;
}

static void *to_client(void *opaque)
{
	struct connection *connection = opaque;
	char buf[8192];
	ssize_t len;

	while ((len = recv(connection->server, buf, sizeof(buf), 0)) > 0) {
		server_has_spoken(connection);
		pass(connection->client, buf, (size_t)len);
	}
	server_has_spoken(connection);
	printf("over %d\n", connection->number);
	shutdown(connection->client, SHUT_WR);
	return NULL;
}

static void start(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument) != 0 || pthread_detach(thread) != 0)
		die("thread");
}

/* SIGUSR1 is blocked in all threads and taken here. */
static void *await_signal(void *set)
{
	int number;

	if (sigwait(set, &number) != 0)
		die("sigwait");
	pthread_mutex_lock(&lock);
	is_let_go = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_un here, server;
	int listener = make_socket();
	sigset_t set;

	if (argc != 3)
		exit(2);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	start(await_signal, &set);
	here = address_of(argv[1]);
	server = address_of(argv[2]);
	if (bind(listener, (struct sockaddr *)&here, sizeof(here)) == -1 ||
	    listen(listener, 16) == -1)
		die(argv[1]);
	for (int number = 1;; number++) {
		struct connection *connection = malloc(sizeof(*connection));

		if (connection == NULL)
			die("no memory");
		connection->number = number;
		connection->answered = false;
		connection->client = accept(listener, NULL, NULL);
		connection->server = make_socket();
		if (connection->client == -1)
			die("accept");
		if (connect(connection->server, (struct sockaddr *)&server, sizeof(server)) == -1)
			die(argv[2]);
		start(to_server, connection);
		start(to_client, connection);
	}
}
