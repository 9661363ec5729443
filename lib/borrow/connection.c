/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.c - a borrower's connection to a lending server.
 *
 * One thread, the receiver, takes all that the server says, and connects again when the server has been
 * away.  Who asks for a zone sends the question, and the receiver puts the answer into the connection;
 * questions go one at a time, so an answer is known by its number.  One that comes when its asker has
 * stopped waiting is given back at once, and until it has come nobody asks again: a server that has been
 * stopped costs one time-out, not one for each zone.
 *
 * The program around may close descriptors that are not its own (daemons do at their start), and the
 * number may then name something else: before each use the descriptor is compared with what it was.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/thread.h"
#include "borrow/connection.h"
#include "borrow/refusal.h"
#include "lend/protocol.h"

/* How long a server that is there may take, beyond what it was told that it may. */
#define PATIENCE_MS 2000
/* Between attempts to connect again, and between looks whether the descriptor is still ours. */
#define TICK_MS 1000
/* Above what programs use: some close all that they think theirs, or use select(). */
#define HIGH_DESCRIPTOR 700
#define RECEIVER_STACK	(128 * 1024)

/* ---- packets -------------------------------------------------------------------------------- */

static int send_message(int fd, const struct lend_message *message, int flags)
{
	ssize_t n;

	do {
		n = send(fd, message, sizeof(*message), flags | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static struct lend_message message_of(uint32_t kind, uint64_t offset, uint64_t value)
{
	return (struct lend_message){
		.version = LEND_VERSION, .kind = kind, .offset = offset, .value = value
	};
}

/* The first descriptor of a packet; a server sends no more, and what it does is closed. */
static int take_descriptor(struct msghdr *header)
{
	int first = -1, fd;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at + sizeof(fd) <= c->cmsg_len; at += sizeof(fd)) {
			memcpy(&fd, (unsigned char *)c + at, sizeof(fd));
			if (first < 0)
				first = fd;
			else
				close(fd);
		}
	}
	return first;
}

/*
 * One packet: 0, -EAGAIN none there, -ENOTCONN the end, -EPROTO not one of ours.  `text` with room
 * for `room` bytes takes what follows the message; `*length` is how much that was.
 */
static int receive(int fd, int flags, struct lend_message *message, int *zone, char *text,
		   size_t room, size_t *length)
{
	struct iovec parts[] = { { message, sizeof(*message) }, { text, room } };
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr header = { .msg_iov = parts,
				 .msg_iovlen = text != NULL ? 2 : 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control) };
	ssize_t n;

	*zone = -1;
	do {
		/* A server that hangs up on what we said is told first, and once; then what it said. */
		n = recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -ENOTCONN;
	*zone = take_descriptor(&header);
	if (n == 0)
		return -ENOTCONN;
	if ((size_t)n < sizeof(*message) || message->version != LEND_VERSION)
		return -EPROTO;
	if (length != NULL)
		*length = (size_t)n - sizeof(*message);
	return 0;
}

/* Waits PATIENCE_MS for a message of that kind, or of any that says that it is refused. */
static int expect(int fd, uint32_t kind, struct lend_message *message, char *text, size_t room,
		  size_t *length)
{
	struct pollfd poll_for = { .fd = fd, .events = POLLIN };
	int zone, n, rc;

	do {
		n = poll(&poll_for, 1, PATIENCE_MS);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	rc = receive(fd, MSG_DONTWAIT, message, &zone, text, room, length);
	if (zone >= 0)
		close(zone);
	if (rc != 0)
		return rc == -ENOTCONN ? -EPROTO : rc;
	if (message->status < 0)
		return message->status;
	return message->kind != kind || message->status > 0 ? -EPROTO : 0;
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* An absolute name, where it fits: the program may change its folder. */
static int make_address(struct sockaddr_un *address, const char *socket)
{
	size_t room = sizeof(address->sun_path), folder;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	/* The folder's name, as an absolute one for it would be, is never the socket's. */
	if (socket[0] == '\0')
		return -EINVAL;
	if (strlen(socket) >= room)
		return -ENAMETOOLONG;
	strcpy(address->sun_path, socket);
	if (socket[0] == '/' || getcwd(address->sun_path, room) == NULL)
		return 0;
	folder = strlen(address->sun_path);
	if (folder + 1 + strlen(socket) < room)
		snprintf(address->sun_path + folder, room - folder, "/%s", socket);
	else
		strcpy(address->sun_path, socket);
	return 0;
}

/* A connected descriptor with a high number, or -errno. */
static int connect_to(const struct sockaddr_un *address)
{
	int fd, high, rc;

	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address))) {
		rc = errno == EPROTOTYPE ? -EPROTO : -errno;
		close(fd);
		return rc;
	}
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR);
	if (high < 0)
		return fd;
	close(fd);
	return high;
}

/* Connects and says hello.  Under `lock`, or before anybody else has it. */
static int connect_anew(struct connection *connection)
{
	struct lend_message hello = message_of(LEND_HELLO, 0, 0), welcome;
	struct stat st;
	int fd, rc;

	fd = connect_to(&connection->address);
	if (fd < 0)
		return fd;
	/* If it has hung up already, it may have said why. */
	send_message(fd, &hello, MSG_DONTWAIT);
	rc = expect(fd, LEND_WELCOME, &welcome, NULL, 0, NULL);
	if (rc == 0 && fstat(fd, &st))
		rc = -errno;
	/* A power of two, and what it was: the zones that are here stay where they are. */
	if (rc == 0 && (welcome.length < 4096 || welcome.length & (welcome.length - 1) ||
			(connection->zone_size && connection->zone_size != welcome.length)))
		rc = -EPROTO;
	if (rc != 0) {
		close(fd);
		return rc;
	}
	connection->zone_size = welcome.length;
	connection->limit = welcome.value;
	connection->of_device = welcome.offset & LEND_OF_DEVICE;
	connection->device = st.st_dev;
	connection->inode = st.st_ino;
	connection->asked = connection->answered = 0;
	connection->wanted = connection->recall = connection->taken_up = 0;
	connection->fd = fd;
	connection->is_new = true;
	return 0;
}

static bool still_ours(const struct connection *connection)
{
	struct stat st;

	return connection->fd >= 0 && !fstat(connection->fd, &st) &&
	       st.st_dev == connection->device && st.st_ino == connection->inode;
}

/* The connection is over. */
static void lose_locked(struct connection *connection)
{
	if (still_ours(connection))
		close(connection->fd);
	connection->fd = -1;
	connection->waiting = false;
	connection->status = -ENOTCONN;
	pthread_cond_broadcast(&connection->changed);
}

/* ---- the receiver --------------------------------------------------------------------------- */

static void take_zone_locked(struct connection *connection, const struct lend_message *message,
			     int zone)
{
	connection->answered++;
	if (connection->waiting && connection->answered == connection->asked) {
		connection->waiting = false;
		connection->status = message->status;
		if (!connection->status && (zone < 0 || message->length != connection->zone_size))
			connection->status = -EPROTO;
		connection->zone = (struct zone){ message->offset, zone, message->value };
		pthread_cond_broadcast(&connection->changed);
		return;
	}
	if (zone >= 0)
		close(zone);
	if (!message->status) {
		struct lend_message returned = message_of(LEND_RETURNED, message->offset, 0);

		send_message(connection->fd, &returned, MSG_DONTWAIT);
	}
}

/* Everything that has come.  True if the disk wants memory back. */
static bool take_all_locked(struct connection *connection)
{
	struct lend_message message;
	bool recalled = false;
	int zone, rc;

	for (;;) {
		rc = receive(connection->fd, MSG_DONTWAIT, &message, &zone, NULL, 0, NULL);
		if (rc == -EAGAIN)
			return recalled;
		if (rc == 0 && message.kind == LEND_ZONE) {
			take_zone_locked(connection, &message, zone);
			continue;
		}
		if (zone >= 0)
			close(zone);
		if (rc != 0) {
			lose_locked(connection);
			return false;
		}
		if (message.kind == LEND_RECALL) {
			recalled = true;
			/* The newest says all that is missing: its answer is that of those before. */
			connection->wanted = message.value;
			connection->recall = message.offset;
			pthread_cond_broadcast(&connection->changed);
		}
	}
}

static void tell_away_locked(struct connection *connection, int rc)
{
	if (connection->calls.away == NULL)
		return;
	pthread_mutex_unlock(&connection->lock);
	refusal_fail(rc, "borrow", connection->address.sun_path);
	connection->calls.away(connection->calls.opaque, rc);
	pthread_mutex_lock(&connection->lock);
}

static void *run_receiver(void *opaque)
{
	struct connection *connection = opaque;
	struct pollfd poll_for = { .events = POLLIN };
	bool recalled;
	int rc;

	connection->receiver_id = gettid();
	pthread_mutex_lock(&connection->lock);
	while (!connection->ended) {
		rc = connection->fd < 0 ? connect_anew(connection) : 0;
		if (rc != 0) {
			struct timespec until = deadline_after(TICK_MS);

			tell_away_locked(connection, rc);
			pthread_cond_timedwait(&connection->changed, &connection->lock, &until);
			continue;
		}
		if (connection->is_new) {
			connection->is_new = false;
			pthread_mutex_unlock(&connection->lock);
			connection->calls.renewed(connection->calls.opaque);
			pthread_mutex_lock(&connection->lock);
			continue;
		}
		poll_for.fd = connection->fd;
		pthread_mutex_unlock(&connection->lock);
		/* connection_close() shuts the connection down, which ends this. */
		poll(&poll_for, 1, TICK_MS);
		pthread_mutex_lock(&connection->lock);
		if (connection->ended)
			break;
		recalled = still_ours(connection) && take_all_locked(connection);
		if (!still_ours(connection))
			lose_locked(connection);
		if (!recalled || connection->calls.recalled == NULL)
			continue;
		pthread_mutex_unlock(&connection->lock);
		connection->calls.recalled(connection->calls.opaque);
		pthread_mutex_lock(&connection->lock);
	}
	pthread_mutex_unlock(&connection->lock);
	return NULL;
}

/* ---- what connection.h says ----------------------------------------------------------------------- */

int connection_open(struct connection *connection, const char *socket,
		    const struct connection_calls *calls)
{
	pthread_condattr_t attr;
	int rc;

	memset(connection, 0, sizeof(*connection));
	connection->fd = connection->zone.fd = -1;
	connection->pid = getpid();
	connection->calls = *calls;
	connection->patience_ms = PATIENCE_MS;
	rc = make_address(&connection->address, socket);
	if (rc == 0)
		rc = connect_anew(connection);
	if (rc != 0)
		return refusal_fail(rc, "borrow", socket);
	pthread_mutex_init(&connection->turn, NULL);
	pthread_mutex_init(&connection->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&connection->changed, &attr);
	pthread_condattr_destroy(&attr);
	rc = thread_start(&connection->receiver, RECEIVER_STACK, run_receiver, connection);
	if (rc != 0) {
		close(connection->fd);
		return thread_fail(rc, "borrow", socket, "receiver");
	}
	return 0;
}

void connection_end(struct connection *connection)
{
	pthread_mutex_lock(&connection->lock);
	connection->ended = true;
	if (still_ours(connection))
		shutdown(connection->fd, SHUT_RDWR);
	pthread_cond_broadcast(&connection->changed);
	pthread_mutex_unlock(&connection->lock);
}

/* In a child of the process whose it is: what it got of it. */
static void close_in_child(struct connection *connection)
{
	if (still_ours(connection))
		close(connection->fd);
	if (connection->zone.fd >= 0)
		close(connection->zone.fd);
	connection->fd = connection->zone.fd = -1;
}

void connection_close(struct connection *connection)
{
	if (connection->pid != getpid()) {
		close_in_child(connection);
		return;
	}
	connection_end(connection);
	thread_join(connection->receiver, &connection->receiver_id);
	pthread_mutex_lock(&connection->lock);
	lose_locked(connection);
	pthread_mutex_unlock(&connection->lock);
	if (connection->zone.fd >= 0)
		close(connection->zone.fd);
	pthread_cond_destroy(&connection->changed);
	pthread_mutex_destroy(&connection->lock);
	pthread_mutex_destroy(&connection->turn);
}

/* Sends the question and waits for its answer.  With `turn`, too. */
static int ask_locked(struct connection *connection, unsigned int wait_ms)
{
	struct lend_message question = message_of(LEND_BORROW, 0, wait_ms);
	struct timespec until = deadline_after((uint64_t)wait_ms + connection->patience_ms);
	int rc;

	if (connection->ended || !still_ours(connection))
		return -ENOTCONN;
	if (connection->answered != connection->asked)
		return -ENOMEM;
	rc = send_message(connection->fd, &question, MSG_DONTWAIT);
	if (rc != 0)
		return rc == -EAGAIN ? -ENOMEM : -ENOTCONN;
	connection->asked++;
	connection->waiting = true;
	while (connection->waiting) {
		if (pthread_cond_timedwait(&connection->changed, &connection->lock, &until) ==
			    ETIMEDOUT &&
		    connection->waiting) {
			connection->waiting = false;
			return -ENOMEM;
		}
	}
	return connection->status == -EAGAIN || connection->status == -ENOSPC ? -ENOMEM
									      : connection->status;
}

int connection_ask(struct connection *connection, unsigned int wait_ms, connection_map_fn *map,
		   void *opaque)
{
	struct zone *zone = &connection->zone;
	bool given;
	int rc;

	if (connection->pid != getpid())
		return -ENOTCONN;
	pthread_mutex_lock(&connection->turn);
	pthread_mutex_lock(&connection->lock);
	rc = ask_locked(connection, wait_ms);
	given = rc == 0;
	if (given)
		rc = map(opaque, zone);
	/* Else the server takes it for lent. */
	if (zone->fd >= 0)
		close(zone->fd);
	zone->fd = -1;
	if (given && rc != 0) {
		struct lend_message message = message_of(LEND_RETURNED, zone->offset, 0);

		rc -= CONNECTION_NOT_MAPPED;
		send_message(connection->fd, &message, MSG_DONTWAIT);
	}
	pthread_mutex_unlock(&connection->lock);
	pthread_mutex_unlock(&connection->turn);
	return rc;
}

static int try_to_say(struct connection *connection, const struct lend_message *message)
{
	int rc = -ENOTCONN;

	pthread_mutex_lock(&connection->lock);
	/* A server that came after the one that asked is owed no answer. */
	if (still_ours(connection) &&
	    (message->kind != LEND_RECALLED || message->offset == connection->taken_up))
		rc = send_message(connection->fd, message, MSG_DONTWAIT);
	if (rc == 0)
		connection->deaf = false;
	if (rc == 0 && message->kind == LEND_RECALLED)
		connection->taken_up = 0;
	pthread_mutex_unlock(&connection->lock);
	return rc == 0 || rc == -EAGAIN ? rc : -ENOTCONN;
}

/* Waits for a server that is behind; for one that has stopped, once. */
static int say(struct connection *connection, const struct lend_message *message)
{
	struct timespec until = deadline_after(PATIENCE_MS);
	int rc;

	if (connection->pid != getpid())
		return -ENOTCONN;
	while ((rc = try_to_say(connection, message)) == -EAGAIN && !connection->deaf) {
		if (deadline_passed(&until))
			connection->deaf = true;
		else
			usleep(1000);
	}
	return rc;
}

void connection_returned(struct connection *connection, uint64_t offset)
{
	struct lend_message message = message_of(LEND_RETURNED, offset, 0);

	say(connection, &message);
}

bool connection_copied(struct connection *connection, uint64_t offset)
{
	struct lend_message message = message_of(LEND_COPIED, offset, 0);

	return say(connection, &message) == 0;
}

int connection_tell_held(struct connection *connection, uint64_t offset)
{
	struct lend_message message = message_of(LEND_HELD, offset, 0);

	return try_to_say(connection, &message);
}

uint64_t connection_wanted(struct connection *connection, int wait_ms)
{
	struct timespec until = deadline_after(wait_ms < 0 ? 0 : (uint64_t)wait_ms);
	uint64_t wanted;

	pthread_mutex_lock(&connection->lock);
	while (!connection->wanted && !connection->ended) {
		if (wait_ms < 0)
			pthread_cond_wait(&connection->changed, &connection->lock);
		else if (pthread_cond_timedwait(&connection->changed, &connection->lock, &until))
			break;
	}
	wanted = connection->ended ? 0 : connection->wanted;
	connection->wanted = 0;
	connection->taken_up = connection->recall;
	pthread_mutex_unlock(&connection->lock);
	return wanted;
}

void connection_answer(struct connection *connection, uint64_t returned)
{
	struct lend_message message = message_of(LEND_RECALLED, 0, returned);

	pthread_mutex_lock(&connection->lock);
	message.offset = connection->taken_up;
	pthread_mutex_unlock(&connection->lock);
	if (message.offset > 0)
		say(connection, &message);
}

int connection_look(const char *socket, struct connection_terms *terms)
{
	struct connection connection = { .fd = -1 };
	int rc = make_address(&connection.address, socket);

	if (rc == 0)
		rc = connect_anew(&connection);
	if (rc != 0)
		return refusal_fail(rc, "borrow", socket);
	close(connection.fd);
	*terms = (struct connection_terms){ connection.zone_size, connection.limit,
					    connection.of_device };
	return 0;
}

int connection_question(const char *socket, char **text)
{
	struct lend_message stat = message_of(LEND_STAT, 0, 0), status;
	struct sockaddr_un address;
	size_t length = 0;
	int fd, rc;

	*text = malloc(LEND_PACKET_MAX + 1);
	if (!*text)
		return fail_errno(ENOMEM, "stat: %s", socket);
	rc = make_address(&address, socket);
	fd = rc != 0 ? rc : connect_to(&address);
	if (fd < 0) {
		rc = fd;
		goto out;
	}
	send_message(fd, &stat, MSG_DONTWAIT);
	rc = expect(fd, LEND_STATUS, &status, *text, LEND_PACKET_MAX, &length);
	close(fd);
	(*text)[length] = 0;
out:
	if (rc == 0)
		return 0;
	free(*text);
	*text = NULL;
	return refusal_fail(rc, "stat", socket);
}
