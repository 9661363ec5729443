/* SPDX-License-Identifier: BSD-3-Clause */
/* command-list.c - kmemblk list: the volumes of a device, also while it is being served. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "kmemblk.h"
#include "command.h"

static const char doc[] =
	"List the volumes of the kmemblk device at PATH, also while it is being served."
	"\v"
	"A size is what a client sees; used is what its blocks take of the device.\n"
	"\n"
	"Examples:\n"
	"  kmemblk list /dev/dax0.0\n"
	"  kmemblk list --json /dev/dax0.0 | jq -r '.volumes[].name'\n";

/* What was found, printed when it is whole. */
struct listing {
	struct json_object *volumes; /* with --json */
	FILE *text;
};

static int add_json(struct listing *listing, const struct kmemblk_volume_info *volume)
{
	struct json_object *object = json_new_object();

	json_put_text(object, "name", volume->name);
	json_put_text(object, "uuid", volume->uuid);
	json_put_number(object, "created", volume->created);
	json_put_number(object, "blocks", volume->blocks);
	json_put_number(object, "size_bytes", volume->size_bytes);
	json_put_number(object, "pages_used", volume->pages_used);
	json_put_bool(object, "default", volume->is_default);
	if (json_object_array_add(listing->volumes, object) != 0)
		command_no_memory();
	return 0;
}

static int add_volume(void *opaque, const struct kmemblk_volume_info *volume)
{
	struct listing *listing = opaque;
	char size[SIZE_TEXT], used[SIZE_TEXT];

	if (listing->volumes != NULL)
		return add_json(listing, volume);
	fprintf(listing->text, "%-20s %12s %12s%s\n", volume->name,
		size_text(volume->size_bytes, size),
		size_text(volume->pages_used * KMEMBLK_BLOCK_SIZE, used),
		volume->is_default ? "  default" : "");
	return 0;
}

static int print(const struct command *command, struct listing *listing, char *text)
{
	struct json_object *object;
	char *path;

	if (!command->json) {
		printf("%-20s %12s %12s\n%s", "volume", "size", "used", text);
		return STATUS_OK;
	}
	object = json_new_object();
	path = text_printable(command->object);
	json_put_text(object, "path", path);
	free(path);
	json_put(object, "volumes", listing->volumes);
	json_print(object);
	return STATUS_OK;
}

int list_main(int argc, char **argv)
{
	static const struct argp argp = {
		command_options, command_parse, "PATH", doc, NULL, NULL, NULL
	};
	struct command command = { .what = "PATH" };
	struct listing listing = { NULL, NULL };
	char *text = NULL;
	size_t length;
	int status = STATUS_FAILED;

	argp_parse(&argp, argc, argv, 0, NULL, &command);
	listing.text = open_memstream(&text, &length);
	if (command.json)
		listing.volumes = json_object_new_array();
	if (listing.text == NULL || (command.json && listing.volumes == NULL))
		command_no_memory();
	if (kmemblk_probe_volumes(command.object, add_volume, &listing) != 0)
		status = command_failed();
	else if (fflush(listing.text) != 0)
		command_no_memory();
	else
		status = print(&command, &listing, text);
	fclose(listing.text);
	free(text);
	return status;
}
