/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * reach.c - the server that has a device open: find it, and ask it.
 *
 * The superblock tells the uuid of the device, without a claim and while it is served, and that tells the names that
 * the socket may have (usual.c).  A copy of a device has its uuid, too: so each request says which device is meant.
 *
 * A change may take long, and others may come first, so the answer is waited for as long as the server lives.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/deadline.h"
#include "base/error.h"
#include "control/message.h"
#include "control/reach.h"
#include "map/super.h"
#include "media/device.h"
#include "media/guard.h"

/* How long a server may take to let us connect, and to take a request; and how long between tries. */
#define REACH_MS 10000
#define TRY_MS	 5
/* What is read at first. */
#define ROOM 65536u

/* ---- find ----------------------------------------------------------------------------------- */

/* A descriptor that nothing waits on, or -errno without message. */
static int connect_to(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timespec until = deadline_after(REACH_MS);
	int fd, rc;

	if (strlen(name) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, name);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	/* EAGAIN: so many wait already to be accepted. */
	while ((rc = connect(fd, (const struct sockaddr *)&address, sizeof(address))) == -1 &&
	       errno == EAGAIN && !deadline_passed(&until))
		poll(NULL, 0, TRY_MS);
	if (rc == 0)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

/* Of a device that anybody may have open; false: that cannot be told, and whoever opens it will say why. */
static bool read_names(const char *path, char uuid[UUID_STR_LEN], char identity[IDENTITY_SIZE])
{
	struct device device;
	struct super super;
	struct stat st;
	bool ok;

	if (guard_install() != 0 || device_open(&device, path, true) != 0)
		return false;
	ok = fstat(device.fd, &st) == 0 && device_map(&device) == 0 &&
	     super_load(&device, &super) == 0;
	if (ok) {
		uuid_unparse_lower(super.uuid, uuid);
		identity_of(&st, identity);
	}
	device_close(&device);
	return ok;
}

static void tell_why(struct reached *r, const char *name, int err)
{
	if (err == ECONNREFUSED)
		snprintf(
			r->why, sizeof(r->why),
			"it is no server that can be asked: the socket %s is of one that has ended",
			name);
	else if (err == EACCES)
		snprintf(
			r->why, sizeof(r->why),
			"its server's socket %s is not for this user: the device's owner or root can ask it",
			name);
	else if (err != ENOENT && err != ENOTDIR)
		snprintf(r->why, sizeof(r->why), "its server cannot be asked: %s: %s", name,
			 strerrordesc_np(err));
}

static int reach_socket(struct reached *r, const char *path)
{
	r->fd = connect_to(path);
	if (r->fd == -ECONNREFUSED)
		return fail(
			ECONNREFUSED,
			"control: %s: the server whose socket this is has ended: name the device",
			path);
	if (r->fd < 0)
		return fail_errno(-r->fd, "control: %s", path);
	snprintf(r->name, sizeof(r->name), "%s", path);
	return 0;
}

int reach(struct reached *r, const char *path)
{
	char uuid[UUID_STR_LEN], name[USUAL_SIZE];
	struct stat st;

	*r = (struct reached){ .fd = -1, .patience = -1 };
	if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
		int rc = reach_socket(r, path);

		if (rc != 0)
			r->fd = -1;
		return rc;
	}
	if (!read_names(path, uuid, r->identity))
		return 0;
	usual_name(0, uuid, name);
	snprintf(
		r->why, sizeof(r->why),
		"if it is a server, it has no socket %s, nor one in this user's $XDG_RUNTIME_DIR: name "
		"the socket that it was given by control= instead of the device, or end it",
		name);
	for (unsigned int i = 0; i < USUAL_FOLDERS; i++) {
		int fd;

		if (!usual_name(i, uuid, name))
			continue;
		fd = connect_to(name);
		if (fd >= 0) {
			r->fd = fd;
			memcpy(r->name, name, sizeof(name));
			snprintf(
				r->why, sizeof(r->why),
				"it cannot be asked: the socket %s is of the server of another device with "
				"the same uuid, such as a copy",
				name);
			return 0;
		}
		tell_why(r, name, -fd);
	}
	return 0;
}

/* ---- ask ------------------------------------------------------------------------------------ */

static int send_request(const struct reached *r, const char *request)
{
	struct timespec until = deadline_after(REACH_MS);
	size_t length = strlen(request), sent = 0;

	while (sent < length) {
		struct pollfd wait = { .fd = r->fd, .events = POLLOUT };
		ssize_t n = send(r->fd, request + sent, length - sent, MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN && deadline_passed(&until))
			return fail(
				ETIMEDOUT,
				"control: %s: the server does not take the request: nothing was changed",
				r->name);
		else if (errno == EAGAIN)
			poll(&wait, 1, (int)deadline_left(&until));
		else if (errno != EINTR)
			return fail_errno(errno, "control: %s: nothing was changed", r->name);
	}
	return 0;
}

static int fail_cut(const struct reached *r)
{
	return fail(
		ECONNRESET,
		"control: %s: the server ended, or ended the connection, before it answered, or this is "
		"no control socket: look by kmemblk list whether it was done",
		r->name);
}

/* Read what there is, after waiting for it: 0, or -errno with message. */
static int receive_part(const struct reached *r, char *answer, size_t room, size_t *length)
{
	struct pollfd wait = { .fd = r->fd, .events = POLLIN };
	int ready = poll(&wait, 1, r->patience);
	ssize_t n;

	if (ready == 0)
		return fail(ETIMEDOUT, "control: %s: the server does not answer", r->name);
	if (ready == -1 && errno != EINTR)
		return fail_errno(errno, "control: %s", r->name);
	n = recv(r->fd, answer + *length, room - *length, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return fail_cut(r);
	*length += (size_t)n;
	return 0;
}

static int make_room(const struct reached *r, char **answer, size_t *room)
{
	size_t more = *room == 0 ? ROOM : 2 * *room;
	char *text;

	if (more > ANSWER_MOST)
		return fail(EPROTO, "control: %s: the answer is longer than any can be", r->name);
	text = realloc(*answer, more);
	if (text == NULL)
		return fail(ENOMEM, "control: %s: out of memory for the answer", r->name);
	*answer = text;
	*room = more;
	return 0;
}

ssize_t reach_ask(const struct reached *r, const char *request, char **answer)
{
	size_t length = 0, room = 0;
	int rc = send_request(r, request);

	*answer = NULL;
	while (rc == 0 && (length == 0 || (*answer)[length - 1] != '\n')) {
		if (length == room)
			rc = make_room(r, answer, &room);
		if (rc == 0)
			rc = receive_part(r, *answer, room, &length);
	}
	if (rc == 0)
		return (ssize_t)length - 1;
	free(*answer);
	*answer = NULL;
	return rc;
}
