/* SPDX-License-Identifier: BSD-3-Clause */
/* answer.c - answers as text. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/error.h"
#include "control/message.h"

/* The error that this thread has met last. */
static struct json_object *error_object(int rc)
{
	struct json_object *error = json_object_new_object();

	if (error == NULL || (message_put_number(error, "errno", (uint64_t)-rc) &&
			      message_put_text(error, "message", kmemblk_error())))
		return error;
	json_object_put(error);
	return NULL;
}

char *answer_text(int rc, struct json_object *result)
{
	struct json_object *object = json_object_new_object();
	const char *text = NULL;
	char *line = NULL;
	bool ok;

	if (rc == 0 && result == NULL)
		result = json_object_new_object();
	ok = object != NULL && message_put_number(object, "version", MESSAGE_VERSION);
	if (ok && rc != 0)
		ok = message_put(object, "error", error_object(rc));
	if (ok && rc == 0) {
		ok = message_put(object, "result", result);
		result = NULL;
	}
	if (ok)
		text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	if (text != NULL && asprintf(&line, "%s\n", text) == -1)
		line = NULL;
	json_object_put(result);
	json_object_put(object);
	return line;
}

static int fail_sense(const char *name, const char *what)
{
	return fail(
		EPROTO,
		"control: %s: the answer of the server %s: what listens there is no kmemblk server of "
		"this version",
		name, what);
}

/* The server's error becomes ours. */
static int take_error(const char *name, const struct json_object *error)
{
	const char *text;
	uint64_t number;

	if (!message_get_number(error, "errno", &number) || number == 0 || number > 4095 ||
	    !message_get_text(error, "message", &text))
		return fail_sense(name, "has an error that makes no sense");
	return fail((int)number, "%s", text);
}

int answer_parse(const char *name, const char *text, size_t length, struct json_object **result)
{
	struct json_object *object = message_parse(text, length, 6), *part;
	uint64_t version;
	int rc = 0;

	if (object == NULL)
		return fail_sense(name, "is no JSON object");
	if (!message_get_number(object, "version", &version) || version != MESSAGE_VERSION)
		rc = fail_sense(name, "is of another version");
	else if (json_object_object_get_ex(object, "error", &part))
		rc = take_error(name, part);
	else if (!json_object_object_get_ex(object, "result", &part) ||
		 !json_object_is_type(part, json_type_object))
		rc = fail_sense(name, "has no result");
	else
		*result = json_object_get(part);
	json_object_put(object);
	return rc;
}
