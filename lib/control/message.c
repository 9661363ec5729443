/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.c - requests as text, and what both kinds of message have in common.
 *
 * What arrives may be anything.  A request is taken only if every member of it is known and of the right kind, so that
 * what a newer command means more is refused, not left undone.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <json-c/json.h>

#include "base/error.h"
#include "control/message.h"

/* ---- JSON ----------------------------------------------------------------------------------- */

struct json_object *message_parse(const char *text, size_t length, int depth)
{
	struct json_tokener *tokener = json_tokener_new_ex(depth);
	struct json_object *object = NULL;

	if (tokener == NULL || length > INT_MAX)
		goto out;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	object = json_tokener_parse_ex(tokener, text, (int)length);
	if (json_tokener_get_error(tokener) == json_tokener_success &&
	    json_tokener_get_parse_end(tokener) == length &&
	    json_object_is_type(object, json_type_object))
		goto out;
	json_object_put(object);
	object = NULL;
out:
	if (tokener != NULL)
		json_tokener_free(tokener);
	return object;
}

bool message_put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value != NULL && json_object_object_add(object, key, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

bool message_put_text(struct json_object *object, const char *key, const char *text)
{
	return message_put(object, key, json_object_new_string(text));
}

bool message_put_number(struct json_object *object, const char *key, uint64_t number)
{
	return message_put(object, key, json_object_new_uint64(number));
}

bool message_is_text(struct json_object *value, const char **text)
{
	if (!json_object_is_type(value, json_type_string))
		return false;
	*text = json_object_get_string(value);
	return strlen(*text) == (size_t)json_object_get_string_len(value);
}

bool message_get_text(const struct json_object *object, const char *key, const char **text)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) && message_is_text(value, text);
}

bool message_get_number(const struct json_object *object, const char *key, uint64_t *number)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return false;
	*number = json_object_get_uint64(value);
	return true;
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* A call, and its members beside those that all have. */
struct call {
	const char *word;
	const char *names[2]; /* each a name; none: CALL_SNAPSHOT's has "names" */
	bool many;
	bool sized; /* "size" */
	struct {
		const char *word; /* true or false ... */
		unsigned int bit; /* ... and which flag it stands for */
	} flags[2];
};

static const struct call calls[] = {
	[KMEMBLK_CHANGE_CREATE] = { .word = "create",
				    .names = { "name" },
				    .sized = true,
				    .flags = { { "prealloc", KMEMBLK_VOLUME_PREALLOC },
					       { "thin", KMEMBLK_THIN } } },
	[KMEMBLK_CHANGE_DELETE] = { .word = "delete",
				    .names = { "name" },
				    .flags = { { "recursive", KMEMBLK_VOLUME_RECURSIVE } } },
	[KMEMBLK_CHANGE_RENAME] = { .word = "rename", .names = { "name", "new_name" } },
	[KMEMBLK_CHANGE_RESIZE] = { .word = "resize",
				    .names = { "name" },
				    .sized = true,
				    .flags = { { "force", KMEMBLK_VOLUME_FORCE } } },
	[KMEMBLK_CHANGE_SNAPSHOT] = { .word = "snapshot",
				      .many = true,
				      .flags = { { "thin", KMEMBLK_THIN } } },
	[KMEMBLK_CHANGE_CLONE] = { .word = "clone",
				   .names = { "snapshot", "name" },
				   .flags = { { "thin", KMEMBLK_THIN } } },
	[KMEMBLK_CHANGE_ROLLBACK] = { .word = "rollback",
				      .names = { "snapshot" },
				      .flags = { { "force", KMEMBLK_VOLUME_FORCE } } },
	[KMEMBLK_CHANGE_THIN] = { .word = "thin",
				  .names = { "name" },
				  .flags = { { "thin", KMEMBLK_THIN } } },
	[CALL_LIST] = { .word = "list" },
	[CALL_SERVER] = { .word = "server" },
};

#define FLAGS (sizeof(calls[0].flags) / sizeof(calls[0].flags[0]))
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static unsigned int names_of(const struct call *call)
{
	return (call->names[0] != NULL) + (call->names[1] != NULL);
}

int request_check(const struct kmemblk_change *change)
{
	const struct call *call;

	if ((unsigned int)change->kind >= KMEMBLK_CHANGE_KINDS)
		return fail(EINVAL, "change: unknown kind %u", (unsigned int)change->kind);
	call = &calls[change->kind];
	if (call->many ? change->count == 0 || change->count > NAMES_MOST
		       : change->count != names_of(call))
		return fail(EINVAL, "%s: %u are not as many names as it takes", call->word,
			    change->count);
	if (change->flags & ~(call->flags[0].bit | call->flags[1].bit))
		return fail(EINVAL, "%s: unknown flags 0x%x", call->word, change->flags);
	return 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

static bool put_names(struct json_object *object, const struct kmemblk_change *change)
{
	struct json_object *names = json_object_new_array();

	for (unsigned int i = 0; names != NULL && i < change->count; i++) {
		struct json_object *name = json_object_new_string(change->names[i]);

		if (name == NULL || json_object_array_add(names, name) != 0) {
			json_object_put(name);
			json_object_put(names);
			return false;
		}
	}
	return message_put(object, "names", names);
}

static bool put_change(struct json_object *object, const struct call *call,
		       const struct kmemblk_change *change)
{
	bool ok = !call->many || put_names(object, change);

	for (unsigned int i = 0; ok && i < names_of(call); i++)
		ok = message_put_text(object, call->names[i], change->names[i]);
	if (ok && call->sized)
		ok = message_put_number(object, "size", change->size);
	for (unsigned int i = 0; ok && i < FLAGS; i++)
		if (change->flags & call->flags[i].bit)
			ok = message_put(object, call->flags[i].word,
					 json_object_new_boolean(true));
	return ok;
}

char *request_text(unsigned int number, const char *device, const struct kmemblk_change *change)
{
	struct json_object *object = json_object_new_object();
	const struct call *call = &calls[number];
	const char *text = NULL;
	char *line = NULL;
	bool ok;

	ok = object != NULL && message_put_number(object, "version", MESSAGE_VERSION) &&
	     message_put_text(object, "call", call->word) &&
	     (device == NULL || message_put_text(object, "device", device)) &&
	     (!call_changes(number) || put_change(object, call, change));
	if (ok)
		text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	if (text == NULL)
		fail(ENOMEM, "%s: out of memory for the request", call->word);
	else if (strlen(text) + 1 > REQUEST_MOST)
		fail(EINVAL, "%s: names of %zu bytes are too long", call->word, strlen(text));
	else if (asprintf(&line, "%s\n", text) == -1) {
		line = NULL;
		fail(ENOMEM, "%s: out of memory for the request", call->word);
	}
	json_object_put(object);
	return line;
}

/* ---- receiving ------------------------------------------------------------------------------ */

static int fail_member(const struct call *call, const char *key, const char *wanted)
{
	return fail(EINVAL, "control: %s: its member \"%.64s\" must be %s", call->word, key,
		    wanted);
}

static bool is_member(const struct call *call, const char *key)
{
	if (strcmp(key, "version") == 0 || strcmp(key, "call") == 0 || strcmp(key, "device") == 0)
		return true;
	for (unsigned int i = 0; i < names_of(call); i++)
		if (strcmp(key, call->names[i]) == 0)
			return true;
	for (unsigned int i = 0; i < FLAGS; i++)
		if (call->flags[i].word != NULL && strcmp(key, call->flags[i].word) == 0)
			return true;
	return (call->many && strcmp(key, "names") == 0) ||
	       (call->sized && strcmp(key, "size") == 0);
}

static int get_many(struct request *request, const struct call *call)
{
	static const char wanted[] = "a list of 1 to 64 names";
	struct json_object *array;
	size_t count;

	if (!json_object_object_get_ex(request->json, "names", &array) ||
	    !json_object_is_type(array, json_type_array))
		return fail_member(call, "names", wanted);
	count = json_object_array_length(array);
	if (count == 0 || count > NAMES_MOST)
		return fail_member(call, "names", wanted);
	for (size_t i = 0; i < count; i++)
		if (!message_is_text(json_object_array_get_idx(array, i), &request->names[i]))
			return fail_member(call, "names", wanted);
	request->change.count = (unsigned int)count;
	return 0;
}

static int get_flags(struct request *request, const struct call *call)
{
	struct json_object *flag;

	for (unsigned int i = 0; i < FLAGS; i++) {
		const char *word = call->flags[i].word;

		if (word == NULL || !json_object_object_get_ex(request->json, word, &flag))
			continue;
		if (!json_object_is_type(flag, json_type_boolean))
			return fail_member(call, word, "true or false");
		if (json_object_get_boolean(flag))
			request->change.flags |= call->flags[i].bit;
	}
	return 0;
}

static int get_change(struct request *request, const struct call *call)
{
	struct kmemblk_change *change = &request->change;

	change->kind = (enum kmemblk_change_kind)request->call;
	change->names = request->names;
	if (call->many)
		return get_many(request, call) != 0 ? -EINVAL : get_flags(request, call);
	change->count = names_of(call);
	for (unsigned int i = 0; i < change->count; i++)
		if (!message_get_text(request->json, call->names[i], &request->names[i]))
			return fail_member(call, call->names[i], "a name");
	if (call->sized && !message_get_number(request->json, "size", &change->size))
		return fail_member(call, "size", "a number of bytes");
	return get_flags(request, call);
}

static int get_call(struct request *request)
{
	const char *word;
	uint64_t version;

	if (!message_get_number(request->json, "version", &version))
		return fail(EPROTO, "control: the request says no version");
	if (version != MESSAGE_VERSION)
		return fail(
			EPROTONOSUPPORT,
			"control: version %llu was asked for, and this server speaks %d: the command "
			"and the server must be of one version of kmemblk",
			(unsigned long long)version, MESSAGE_VERSION);
	if (!message_get_text(request->json, "call", &word))
		return fail(EPROTO, "control: the request says no call");
	for (request->call = 0; request->call < CALLS; request->call++)
		if (strcmp(word, calls[request->call].word) == 0)
			return 0;
	return fail(EOPNOTSUPP, "control: this server knows no call \"%.64s\"", word);
}

int request_parse(struct request *request, const char *text, size_t length)
{
	const struct call *call;
	int rc;

	*request = (struct request){ .json = message_parse(text, length, 4) };
	if (request->json == NULL)
		return fail(EPROTO, "control: the request is no JSON object");
	rc = get_call(request);
	if (rc != 0)
		return rc;
	call = &calls[request->call];
	json_object_object_foreach(request->json, key, value)
	{
		if (!is_member(call, key))
			return fail(EOPNOTSUPP,
				    "control: %s: this server knows no member \"%.64s\" of it",
				    call->word, key);
		if (strcmp(key, "device") == 0 && !message_is_text(value, &request->device))
			return fail_member(call, key, "a text");
	}
	return call_changes(request->call) ? get_change(request, call) : 0;
}

void request_free(struct request *request)
{
	json_object_put(request->json);
	request->json = NULL;
}
