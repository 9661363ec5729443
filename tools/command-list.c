/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-list.c - kmemblk list: the volumes and snapshots of a device, also while it is being served; or the servers
 * of this host.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "kmemblk.h"
#include "command.h"

static const char doc[] =
	"List the volumes of the kmemblk device at PATH, each with its snapshots, also while the device is "
	"being served.  Without PATH, list the servers of this host, with their devices."
	"\v"
	"A size is what a client sees.  Used is what its blocks take of the device, those that it shares with "
	"snapshots included.  Own is what no older snapshot has.  Snapshots stand below their volume, the "
	"oldest first.\n"
	"\n"
	"Examples:\n"
	"  kmemblk list\n"
	"  kmemblk list /dev/dax0.0\n"
	"  kmemblk list --json /dev/dax0.0 | jq -r '.volumes[].name'\n";

/* What was found, printed when it is whole. */
struct listing {
	struct kmemblk_volume_info *volume;
	size_t count;
};

static struct json_object *json_of(const struct kmemblk_volume_info *volume)
{
	struct json_object *object = json_new_object();

	json_put_text(object, "name", volume->name);
	json_put_text(object, "uuid", volume->uuid);
	json_put_number(object, "created", volume->created);
	json_put_number(object, "blocks", volume->blocks);
	json_put_number(object, "size_bytes", volume->size_bytes);
	json_put_number(object, "pages_used", volume->pages_used);
	json_put_number(object, "pages_owned", volume->pages_owned);
	json_put_bool(object, "default", volume->is_default);
	json_put_bool(object, "snapshot", volume->is_snapshot);
	json_put_bool(object, "thin", volume->is_thin);
	json_put_text(object, "origin", volume->origin[0] ? volume->origin : NULL);
	return object;
}

/* What stands behind the figures. */
static void print_remarks(const struct kmemblk_volume_info *volume)
{
	char date[DATE_TEXT];

	if (volume->is_default)
		printf("  default");
	if (volume->is_thin)
		printf("  thin");
	if (volume->origin[0])
		printf("  clone of %s", volume->origin);
	if (volume->is_snapshot)
		printf("  made %s", date_text(volume->created, date));
	printf("\n");
}

static int add_volume(void *opaque, const struct kmemblk_volume_info *volume)
{
	struct listing *listing = opaque;

	listing->volume = reallocarray(listing->volume, listing->count + 1, sizeof(*volume));
	if (listing->volume == NULL)
		command_no_memory();
	listing->volume[listing->count++] = *volume;
	return 0;
}

/* Snapshots stand below their volume, and to the right. */
static int indent(const struct kmemblk_volume_info *volume)
{
	return volume->is_snapshot ? 2 : 0;
}

static void print_text(const struct listing *listing)
{
	int width = 20;

	for (size_t i = 0; i < listing->count; i++) {
		const struct kmemblk_volume_info *volume = &listing->volume[i];
		int length = indent(volume) + (int)strlen(volume->name);

		width = length > width ? length : width;
	}
	printf("%-*s %12s %12s %12s\n", width, "volume", "size", "used", "own");
	for (size_t i = 0; i < listing->count; i++) {
		const struct kmemblk_volume_info *volume = &listing->volume[i];
		char size[SIZE_TEXT], used[SIZE_TEXT], own[SIZE_TEXT];

		printf("%*s%-*s %12s %12s %12s", indent(volume), "", width - indent(volume),
		       volume->name, size_text(volume->size_bytes, size),
		       size_text(volume->pages_used * KMEMBLK_BLOCK_SIZE, used),
		       size_text(volume->pages_owned * KMEMBLK_BLOCK_SIZE, own));
		print_remarks(volume);
	}
}

static void print_json(const char *path, const struct listing *listing)
{
	struct json_object *object = json_new_object(), *volumes = json_object_new_array();
	char *printable = text_printable(path);

	json_put_text(object, "path", printable);
	free(printable);
	json_put(object, "volumes", volumes);
	for (size_t i = 0; i < listing->count; i++)
		if (json_object_array_add(volumes, json_of(&listing->volume[i])) != 0)
			command_no_memory();
	json_print(object);
}

/* ---- servers -------------------------------------------------------------------------------- */

static int add_server(void *opaque, const struct kmemblk_server *server)
{
	struct json_object *servers = opaque, *object = json_new_object();

	json_put_text(object, "path", server->path);
	json_put_text(object, "uuid", server->uuid);
	json_put_known(object, "process", server->path != NULL, (uint64_t)server->process);
	json_put_text(object, "socket", server->socket);
	if (json_object_array_add(servers, object) != 0)
		command_no_memory();
	return 0;
}

/* A member of the i-th server as text, or `none`. */
static const char *server_text(struct json_object *servers, size_t i, const char *key,
			       const char *none)
{
	struct json_object *value =
		json_object_object_get(json_object_array_get_idx(servers, i), key);

	return value == NULL ? none : json_object_get_string(value);
}

static const char *server_device(struct json_object *servers, size_t i)
{
	return server_text(servers, i, "path", "(does not answer)");
}

static void print_servers(struct json_object *servers)
{
	size_t count = json_object_array_length(servers);
	int width = 20;

	for (size_t i = 0; i < count; i++) {
		int length = (int)strlen(server_device(servers, i));

		width = length > width ? length : width;
	}
	if (count == 0)
		printf("no server that this user may find, in /run/kmemblk or in $XDG_RUNTIME_DIR/kmemblk\n");
	else
		printf("%-*s %9s  %s\n", width, "device", "process", "socket");
	for (size_t i = 0; i < count; i++)
		printf("%-*s %9s  %s\n", width, server_device(servers, i),
		       server_text(servers, i, "process", "-"),
		       server_text(servers, i, "socket", ""));
}

static int list_servers(bool json)
{
	struct json_object *object = json_new_object(), *servers = json_object_new_array();

	json_put(object, "servers", servers);
	if (kmemblk_list_servers(add_server, servers) != 0) {
		json_object_put(object);
		return command_failed();
	}
	if (json) {
		json_print(object);
		return STATUS_OK;
	}
	print_servers(servers);
	json_object_put(object);
	return STATUS_OK;
}

/* As others, but that PATH may be missing. */
static error_t parse(int key, char *arg, struct argp_state *state)
{
	return key == ARGP_KEY_NO_ARGS ? 0 : command_parse(key, arg, state);
}

int list_main(int argc, char **argv)
{
	static const struct argp argp = { command_options, parse, "[PATH]", doc, NULL, NULL, NULL };
	struct command command = { .what = "PATH" };
	struct listing listing = { NULL, 0 };
	int status = STATUS_OK;

	argp_parse(&argp, argc, argv, 0, NULL, &command);
	if (command.object == NULL)
		return list_servers(command.json);
	if (kmemblk_list(command.object, add_volume, &listing) != 0)
		status = command_failed();
	else if (command.json)
		print_json(command.object, &listing);
	else
		print_text(&listing);
	free(listing.volume);
	return status;
}
