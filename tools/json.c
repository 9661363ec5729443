/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * json.c - the objects that info, check and stat print with --json, by json-c.
 *
 * No key is ever left out for want of memory: the command ends instead, with nothing printed.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "command.h"

static void add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value) < 0)
		command_no_memory();
}

struct json_object *json_new_object(void)
{
	struct json_object *object = json_object_new_object();

	if (object == NULL)
		command_no_memory();
	return object;
}

void json_put(struct json_object *object, const char *key, struct json_object *value)
{
	if (value == NULL)
		command_no_memory();
	add(object, key, value);
}

void json_put_text(struct json_object *object, const char *key, const char *text)
{
	char *printable;

	if (text == NULL) {
		add(object, key, NULL);
		return;
	}
	printable = text_printable(text);
	json_put(object, key, json_object_new_string(printable));
	free(printable);
}

void json_put_number(struct json_object *object, const char *key, uint64_t number)
{
	json_put(object, key, json_object_new_uint64(number));
}

void json_put_bool(struct json_object *object, const char *key, bool value)
{
	json_put(object, key, json_object_new_boolean(value));
}

void json_put_known(struct json_object *object, const char *key, bool known, uint64_t number)
{
	if (known)
		json_put_number(object, key, number);
	else
		add(object, key, NULL);
}

void json_print(struct json_object *object)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

	if (text == NULL)
		command_no_memory();
	puts(text);
	json_object_put(object);
}
