/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve.c - the server's side of a control socket: who may ask what, and the thread that answers.
 *
 * Listing is for whoever can connect: of a server that root has started those who may read the device, and so could
 * list it idle; else that user and root.  Changing is for the owner of the device, for root, and for the user that the
 * server runs as, who could do worse by ending it.  The kernel says who it is that has connected.
 *
 * The socket is made before the server becomes another user or goes to the background, the thread after that.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/error.h"
#include "base/listen.h"
#include "base/printable.h"
#include "base/thread.h"
#include "control/clients.h"
#include "control/listed.h"
#include "control/message.h"
#include "control/perform.h"
#include "control/usual.h"
#include "io/handle.h"

struct kmemblk_control {
	struct kmemblk *h;
	struct listener listener;
	int stop; /* an eventfd that ends the thread */
	pthread_t thread;
	bool running;
	struct clients clients; /* the thread's own */
};

/* ---- requests ------------------------------------------------------------------------------- */

static int check_device(const struct kmemblk *h, const struct stat *st, const char *wanted)
{
	char identity[IDENTITY_SIZE];

	identity_of(st, identity);
	if (wanted == NULL || strcmp(wanted, identity) == 0)
		return 0;
	return fail(EXDEV, "control: %s: another device is meant, %.64s: this is %s",
		    h->device.path, wanted, identity);
}

static int check_may_change(const struct kmemblk *h, const struct stat *st, uid_t uid)
{
	if (uid == 0 || uid == st->st_uid || uid == geteuid())
		return 0;
	return fail(
		EPERM,
		"control: %s: while it is being served, its volumes are changed by its owner (user %u) "
		"and by root only: this is user %u",
		h->device.path, (unsigned int)st->st_uid, (unsigned int)uid);
}

/* Who this is, and what it serves. */
static int describe(struct kmemblk *h, struct json_object **result)
{
	struct kmemblk_info info;
	char path[PATH_MAX];
	bool ok;

	kmemblk_get_info(h, &info);
	snprintf(path, sizeof(path), "%s", h->device.path);
	/* JSON has no other bytes, and people read it. */
	printable_make(path);
	*result = json_object_new_object();
	ok = *result != NULL && message_put_text(*result, "path", path) &&
	     message_put_text(*result, "uuid", info.uuid) &&
	     message_put_number(*result, "process", (uint64_t)getpid());
	return ok ? 0 : fail(ENOMEM, "control: %s: out of memory", h->device.path);
}

static int perform(struct kmemblk *h, uid_t uid, struct request *request,
		   struct json_object **result)
{
	struct stat st;
	int rc;

	if (fstat(h->device.fd, &st) == -1)
		return fail_errno(errno, "control: %s", h->device.path);
	rc = check_device(h, &st, request->device);
	if (rc != 0)
		return rc;
	if (request->call == CALL_LIST)
		return listed_make(h, result);
	if (request->call == CALL_SERVER)
		return describe(h, result);
	rc = check_may_change(h, &st, uid);
	if (rc == 0)
		rc = perform_change(h, &request->change);
	if (rc != 0 || request->call != KMEMBLK_CHANGE_DELETE)
		return rc;
	*result = json_object_new_object();
	if (*result != NULL)
		message_put_number(*result, "snapshots", request->change.snapshots);
	return 0;
}

static char *answer(void *opaque, uid_t uid, const char *line, size_t length)
{
	struct kmemblk_control *control = opaque;
	struct json_object *result = NULL;
	struct request request;
	int rc;

	rc = request_parse(&request, line, length);
	if (rc == 0)
		rc = perform(control->h, uid, &request, &result);
	request_free(&request);
	return answer_text(rc, result);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void accept_some(struct kmemblk_control *control)
{
	/* No more than there are places: what they send is to be read. */
	for (unsigned int i = 0; i < CLIENTS_MOST; i++) {
		int fd = listener_accept(&control->listener);

		if (fd == -1)
			return;
		clients_add(&control->clients, fd);
	}
}

static void *serve(void *opaque)
{
	struct kmemblk_control *control = opaque;
	struct pollfd polls[2 + CLIENTS_MOST] = {
		{ .fd = control->stop, .events = POLLIN },
		{ .fd = control->listener.fd, .events = POLLIN },
	};

	while (polls[0].revents == 0) {
		clients_await(&control->clients, polls + 2);
		if (poll(polls, 2 + control->clients.count, clients_patience(&control->clients)) ==
		    -1)
			continue;
		clients_serve(&control->clients, polls + 2);
		if (polls[1].revents != 0)
			accept_some(control);
	}
	return NULL;
}

/* ---- making and ending ---------------------------------------------------------------------- */

static int listen_as(struct kmemblk_control *control, const char *path)
{
	const struct kmemblk *h = control->h;
	struct listener_options options = {
		.what = "control",
		.path = path,
		.type = SOCK_STREAM,
		.mode = 0600,
		.owner = (uid_t)-1,
		.group = (gid_t)-1,
	};
	struct stat st;

	if (fstat(h->device.fd, &st) == -1)
		return fail_errno(errno, "control: %s", h->device.path);
	if (geteuid() == 0) {
		options.owner = st.st_uid;
		options.group = st.st_gid;
		/* To connect is to write. */
		options.mode |=
			(st.st_mode & S_IRGRP ? 0060 : 0) | (st.st_mode & S_IROTH ? 0006 : 0);
	}
	return listener_make(&control->listener, &options);
}

int kmemblk_control_make(struct kmemblk *h, const char *path, struct kmemblk_control **control)
{
	struct kmemblk_control *made;
	char usual[USUAL_SIZE];
	struct kmemblk_info info;
	int rc = 0;

	if (h->readonly)
		return fail(EROFS, "control: %s: opened read-only", h->device.path);
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return fail(ENOMEM, "control: %s: out of memory", h->device.path);
	made->h = h;
	made->listener = (struct listener){ .fd = -1, .folder = -1 };
	made->clients.answer = answer;
	made->clients.opaque = made;
	made->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (made->stop == -1)
		rc = fail_errno(errno, "control: %s", h->device.path);
	if (rc == 0 && path == NULL) {
		kmemblk_get_info(h, &info);
		rc = usual_make(info.uuid, usual);
		path = usual;
	}
	if (rc == 0)
		rc = listen_as(made, path);
	if (rc == 0)
		*control = made;
	else
		kmemblk_control_close(made);
	return rc;
}

int kmemblk_control_start(struct kmemblk_control *control)
{
	int rc = thread_start(&control->thread, 0, serve, control);

	if (rc != 0)
		return thread_fail(rc, "control", control->h->device.path, "control");
	control->running = true;
	return 0;
}

void kmemblk_control_close(struct kmemblk_control *control)
{
	uint64_t one = 1;

	if (control == NULL)
		return;
	if (control->running && write(control->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(control->thread, NULL);
	clients_end(&control->clients);
	listener_close(&control->listener);
	if (control->stop != -1)
		close(control->stop);
	free(control);
}
