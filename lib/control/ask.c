/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ask.c - list and change the volumes of a device, by its server if there is one that can be asked, else by opening it.
 *
 * The server is looked for first, since it is there or not whoever asks.  If nobody answers and the device cannot be
 * opened because somebody has it, the message has both: who has it, and why that one was not asked.
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/deadline.h"
#include "base/error.h"
#include "control/listed.h"
#include "control/message.h"
#include "control/perform.h"
#include "control/reach.h"
#include "media/guard.h"
#include "media/holder.h"

/* How long a change waits for other commands, such as those that a script began together; and how long between tries. */
#define COMMANDS_MS 10000
#define TRY_MS	    20
#define UNSEEN_MOST 25u

/* Ask the server that has been reached: as the call returns there, with *result; -EXDEV: it has another device. */
static int ask(const struct reached *r, unsigned int call, const struct kmemblk_change *change,
	       struct json_object **result)
{
	char *request = request_text(call, r->identity[0] != '\0' ? r->identity : NULL, change);
	char *answer = NULL;
	ssize_t length;
	int rc;

	if (request == NULL)
		return -EINVAL;
	length = reach_ask(r, request, &answer);
	rc = length < 0 ? (int)length : answer_parse(r->name, answer, (size_t)length, result);
	free(request);
	free(answer);
	return rc;
}

/* Find the server and ask it: 1 if there is none to be asked, and the device is to be opened. */
static int ask_server(struct reached *r, const char *path, unsigned int call,
		      const struct kmemblk_change *change, struct json_object **result)
{
	int rc = reach(r, path);

	if (rc != 0 || r->fd == -1)
		return rc != 0 ? rc : 1;
	rc = ask(r, call, change, result);
	close(r->fd);
	return rc == -EXDEV ? 1 : rc;
}

/*
 * True if the device may be free soon: who has it is a command like this one, or has let go of it since.  One that this
 * user cannot see looks like that, too, so `unseen` counts how often nobody was found.
 */
static bool will_be_free(const char *path, unsigned int *unseen)
{
	struct device device;
	char name[32];
	pid_t pid;
	bool found;

	if (guard_install() != 0 || device_open(&device, path, true) != 0)
		return false;
	found = holder_find(&device, &pid, name, sizeof(name));
	device_close(&device);
	return found ? strcmp(name, "kmemblk") == 0 : (*unseen)++ < UNSEEN_MOST;
}

/* Open it, after other commands. */
static int open_idle(const char *path, const char *why, struct kmemblk **h)
{
	struct timespec until = deadline_after(COMMANDS_MS);
	unsigned int unseen = 0;
	char who[1024];
	int rc;

	while ((rc = kmemblk_open(path, 0, h)) == -EBUSY) {
		snprintf(who, sizeof(who), "%s", kmemblk_error());
		if (!will_be_free(path, &unseen) || deadline_passed(&until))
			return why[0] == '\0' ? fail(EBUSY, "%s", who)
					      : fail(EBUSY, "%s; %s", who, why);
		poll(NULL, 0, TRY_MS);
	}
	return rc;
}

static int change_idle(const char *path, struct kmemblk_change *change, const char *why)
{
	struct kmemblk *h = NULL;
	int rc = open_idle(path, why, &h);

	if (rc == 0)
		rc = kmemblk_start(h);
	if (rc == 0)
		rc = perform_change(h, change);
	kmemblk_close(h);
	return rc;
}

int kmemblk_change(const char *path, struct kmemblk_change *change)
{
	struct json_object *result = NULL;
	struct reached r;
	uint64_t number;
	int rc = request_check(change);

	if (rc != 0)
		return rc;
	change->snapshots = 0;
	rc = ask_server(&r, path, change->kind, change, &result);
	if (rc == 1)
		return change_idle(path, change, r.why);
	if (rc == 0 && message_get_number(result, "snapshots", &number))
		change->snapshots = (unsigned int)number;
	json_object_put(result);
	return rc;
}

int kmemblk_list(const char *path, kmemblk_volume_fn fn, void *opaque)
{
	struct json_object *result = NULL;
	struct reached r;
	int rc = ask_server(&r, path, CALL_LIST, NULL, &result);

	if (rc == 1)
		return kmemblk_probe_volumes(path, fn, opaque);
	if (rc == 0)
		rc = listed_read(r.name, result, fn, opaque);
	json_object_put(result);
	return rc;
}
