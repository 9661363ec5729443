/* SPDX-License-Identifier: BSD-3-Clause */
/* listed.c - struct kmemblk_volume_info to JSON and back. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include <json-c/json.h>

#include "base/error.h"
#include "control/listed.h"
#include "control/message.h"

/* Its members: texts with their room, numbers of 64 bits, and what is an int. */
struct member {
	const char *key;
	size_t at;
	enum { TEXT, NUMBER, INT } kind;
	size_t room;
};

#define MEMBER(name, kind)                                                                         \
	{                                                                                          \
#name, offsetof(struct kmemblk_volume_info, name), kind,                           \
			sizeof(((struct kmemblk_volume_info *)NULL)->name)                         \
	}

static const struct member members[] = {
	MEMBER(name, TEXT),	     MEMBER(uuid, TEXT),	 MEMBER(created, NUMBER),
	MEMBER(blocks, NUMBER),	     MEMBER(size_bytes, NUMBER), MEMBER(pages_used, NUMBER),
	MEMBER(pages_owned, NUMBER), MEMBER(is_default, INT),	 MEMBER(is_snapshot, INT),
	MEMBER(is_thin, INT),	     MEMBER(users, INT),	 MEMBER(origin, TEXT),
};

#define MEMBERS (sizeof(members) / sizeof(members[0]))

static bool put_member(struct json_object *object, const struct member *member, const void *value)
{
	switch (member->kind) {
	case TEXT:
		return message_put_text(object, member->key, value);
	case NUMBER:
		return message_put_number(object, member->key, *(const uint64_t *)value);
	default:
		return message_put_number(object, member->key, (uint64_t) * (const int *)value);
	}
}

static bool get_member(const struct json_object *object, const struct member *member, void *value)
{
	const char *text;
	uint64_t number;

	switch (member->kind) {
	case TEXT:
		if (!message_get_text(object, member->key, &text) || strlen(text) >= member->room)
			return false;
		strcpy(value, text);
		return true;
	case NUMBER:
		return message_get_number(object, member->key, value);
	default:
		if (!message_get_number(object, member->key, &number) || number > INT_MAX)
			return false;
		*(int *)value = (int)number;
		return true;
	}
}

static int add_volume(void *opaque, const struct kmemblk_volume_info *info)
{
	struct json_object *volumes = opaque, *object = json_object_new_object();
	bool ok = object != NULL;

	for (size_t i = 0; ok && i < MEMBERS; i++)
		ok = put_member(object, &members[i], (const char *)info + members[i].at);
	if (ok && json_object_array_add(volumes, object) == 0)
		return 0;
	json_object_put(object);
	return fail(ENOMEM, "list: out of memory");
}

int listed_make(struct kmemblk *h, struct json_object **result)
{
	struct json_object *object = json_object_new_object();
	struct json_object *volumes = json_object_new_array();
	int rc;

	if (object == NULL || !message_put(object, "volumes", volumes)) {
		if (object == NULL)
			json_object_put(volumes);
		json_object_put(object);
		return fail(ENOMEM, "list: out of memory");
	}
	rc = kmemblk_volume_list(h, add_volume, volumes);
	if (rc == 0)
		*result = object;
	else
		json_object_put(object);
	return rc;
}

static bool read_volume(const struct json_object *object, struct kmemblk_volume_info *info)
{
	bool ok = json_object_is_type(object, json_type_object);

	*info = (struct kmemblk_volume_info){ .created = 0 };
	for (size_t i = 0; ok && i < MEMBERS; i++)
		ok = get_member(object, &members[i], (char *)info + members[i].at);
	return ok;
}

int listed_read(const char *name, const struct json_object *result, kmemblk_volume_fn fn,
		void *opaque)
{
	struct json_object *volumes;
	struct kmemblk_volume_info info;
	size_t count;
	int rc = 0;
	bool ok;

	ok = json_object_object_get_ex(result, "volumes", &volumes) &&
	     json_object_is_type(volumes, json_type_array);
	count = ok ? json_object_array_length(volumes) : 0;
	for (size_t i = 0; ok && i < count; i++)
		ok = read_volume(json_object_array_get_idx(volumes, i), &info);
	if (!ok)
		return fail(EPROTO, "control: %s: the server's list makes no sense", name);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		read_volume(json_object_array_get_idx(volumes, i), &info);
		rc = fn(opaque, &info);
	}
	return rc;
}
