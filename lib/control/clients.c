/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clients.c - those who are connected to a control socket.
 *
 * A client is not trusted: it may send a part and stop, send without end, go, or not take its answer, and others do
 * not wait for it.  Nothing here waits but poll(); what a client sends has a limit, and so has its time, and all
 * answers together.  Who connects when all places are taken gets the place of the one who has waited longest, of the
 * user who has most: so no user keeps another out, and a user's thousand connections do not keep out his next.
 *
 * The one thing that takes time is the answer: it is made by this thread, one at a time, while others wait for it.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/deadline.h"
#include "control/clients.h"
#include "control/message.h"

/* How long a client may take to send its request, and to take the answer. */
#define REQUEST_MS 5000
#define ANSWER_MS  10000
/* What is read at once. */
#define PART 4096u

static void drop(struct client *client)
{
	close(client->fd);
	free(client->text);
	*client = (struct client){ .fd = -1 };
}

/* Close the gaps, so that the oldest stays first. */
static void tidy_up(struct clients *clients)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < clients->count; i++)
		if (clients->client[i].fd != -1)
			clients->client[left++] = clients->client[i];
	clients->count = left;
}

static unsigned int count_of(const struct clients *clients, uid_t uid)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < clients->count; i++)
		n += clients->client[i].uid == uid;
	return n;
}

/* The oldest of the user who has most. */
static struct client *find_most(struct clients *clients)
{
	struct client *found = &clients->client[0];
	unsigned int most = 0;

	for (unsigned int i = 0; i < clients->count; i++) {
		unsigned int n = count_of(clients, clients->client[i].uid);

		if (n > most) {
			most = n;
			found = &clients->client[i];
		}
	}
	return found;
}

void clients_add(struct clients *clients, int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == -1) {
		close(fd);
		return;
	}
	if (clients->count == CLIENTS_MOST) {
		drop(find_most(clients));
		tidy_up(clients);
	}
	clients->client[clients->count++] = (struct client){
		.fd = fd,
		.uid = who.uid,
		.until = deadline_after(REQUEST_MS),
	};
}

void clients_await(const struct clients *clients, struct pollfd polls[CLIENTS_MOST])
{
	for (unsigned int i = 0; i < clients->count; i++)
		polls[i] = (struct pollfd){
			.fd = clients->client[i].fd,
			.events = clients->client[i].answered ? POLLOUT : POLLIN,
		};
}

int clients_patience(const struct clients *clients)
{
	int least = INT_MAX;

	for (unsigned int i = 0; i < clients->count; i++) {
		int left = (int)deadline_left(&clients->client[i].until);

		least = left < least ? left : least;
	}
	return clients->count == 0 ? -1 : least;
}

/* Answers that nobody takes: while they are too much, the oldest goes, but for the one that was made last. */
static void limit_answers(struct clients *clients, const struct client *last)
{
	size_t all = 0;

	for (unsigned int i = 0; i < clients->count; i++)
		if (clients->client[i].answered)
			all += clients->client[i].length;
	for (unsigned int i = 0; all > ANSWER_MOST && i < clients->count; i++) {
		struct client *client = &clients->client[i];

		if (!client->answered || client == last)
			continue;
		all -= client->length;
		drop(client);
	}
}

static void send_answer(struct client *client)
{
	ssize_t n = send(client->fd, client->text + client->sent, client->length - client->sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		client->sent += (size_t)n;
	if (n <= 0 || client->sent == client->length)
		drop(client);
}

/* A client that has gone by its turn has thought better of it. */
static bool has_gone(const struct client *client)
{
	struct pollfd now = { .fd = client->fd };

	return poll(&now, 1, 0) == 1 && now.revents & (POLLHUP | POLLERR);
}

static void answer(struct clients *clients, struct client *client, size_t length)
{
	char *text;

	if (has_gone(client)) {
		drop(client);
		return;
	}
	client->text[length] = '\0';
	text = clients->answer(clients->opaque, client->uid, client->text, length);
	if (text == NULL) {
		drop(client);
		return;
	}
	free(client->text);
	client->text = text;
	client->length = strlen(text);
	client->answered = true;
	client->until = deadline_after(ANSWER_MS);
	limit_answers(clients, client);
	send_answer(client);
}

/* Room for a part more; false: the client has had enough of it, or there is no memory. */
static bool make_room(struct client *client)
{
	char *more;

	if (client->length + PART > REQUEST_MOST)
		return false;
	/* The NUL included. */
	more = realloc(client->text, client->length + PART + 1);
	if (more == NULL)
		return false;
	client->text = more;
	return true;
}

/* All that is there; the line ends with the newline behind which nothing is. */
static void hear(struct clients *clients, struct client *client)
{
	ssize_t n;

	while (make_room(client)) {
		n = recv(client->fd, client->text + client->length, PART, MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		/* It ends before its line does. */
		if (n <= 0)
			break;
		client->length += (size_t)n;
		if (client->text[client->length - 1] == '\n') {
			answer(clients, client, client->length - 1);
			return;
		}
	}
	drop(client);
}

void clients_serve(struct clients *clients, const struct pollfd *polls)
{
	unsigned int count = clients->count;

	for (unsigned int i = 0; i < count; i++) {
		struct client *client = &clients->client[i];

		if (client->fd == -1)
			continue;
		if (polls[i].revents != 0 && client->answered)
			send_answer(client);
		else if (polls[i].revents != 0)
			hear(clients, client);
		/* After that: what is there counts, however long others were answered meanwhile. */
		if (client->fd != -1 && deadline_passed(&client->until))
			drop(client);
	}
	tidy_up(clients);
}

void clients_end(struct clients *clients)
{
	for (unsigned int i = 0; i < clients->count; i++)
		drop(&clients->client[i]);
	clients->count = 0;
}
