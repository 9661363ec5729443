/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ask.c - list and change the volumes of a device, by its server if there is one that can be asked, else by opening it.
 *
 * The server is looked for first, since it is there or not whoever asks.  If nobody answers and the device cannot be
 * opened because somebody has it, the message has both: who has it, and why that one was not asked.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/error.h"
#include "control/listed.h"
#include "control/message.h"
#include "control/perform.h"
#include "control/reach.h"

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

static int change_idle(const char *path, struct kmemblk_change *change, const char *why)
{
	struct kmemblk *h = NULL;
	char who[1024];
	int rc;

	rc = kmemblk_open(path, 0, &h);
	if (rc == -EBUSY && why[0] != '\0') {
		snprintf(who, sizeof(who), "%s", kmemblk_error());
		return fail(EBUSY, "%s; %s", who, why);
	}
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
