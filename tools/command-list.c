/* SPDX-License-Identifier: BSD-3-Clause */
/* command-list.c - kmemblk list: the volumes and snapshots of a device, also while it is being served. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "kmemblk.h"
#include "command.h"

static const char doc[] =
	"List the volumes of the kmemblk device at PATH, each with its snapshots, also while the device is "
	"being served."
	"\v"
	"A size is what a client sees.  Used is what its blocks take of the device, those that it shares with "
	"snapshots included.  Own is what no older snapshot has.  Snapshots stand below their volume, the "
	"oldest first.\n"
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
	json_put_number(object, "pages_owned", volume->pages_owned);
	json_put_bool(object, "default", volume->is_default);
	json_put_bool(object, "snapshot", volume->is_snapshot);
	json_put_bool(object, "thin", volume->is_thin);
	json_put_text(object, "origin", volume->origin[0] ? volume->origin : NULL);
	if (json_object_array_add(listing->volumes, object) != 0)
		command_no_memory();
	return 0;
}

/* What stands behind the figures. */
static void print_remarks(FILE *text, const struct kmemblk_volume_info *volume)
{
	char date[DATE_TEXT];

	if (volume->is_default)
		fprintf(text, "  default");
	if (volume->is_thin)
		fprintf(text, "  thin");
	if (volume->origin[0])
		fprintf(text, "  clone of %s", volume->origin);
	if (volume->is_snapshot)
		fprintf(text, "  made %s", date_text(volume->created, date));
	fprintf(text, "\n");
}

static int add_volume(void *opaque, const struct kmemblk_volume_info *volume)
{
	struct listing *listing = opaque;
	char size[SIZE_TEXT], used[SIZE_TEXT], own[SIZE_TEXT];

	if (listing->volumes != NULL)
		return add_json(listing, volume);
	fprintf(listing->text, "%s%-*s %12s %12s %12s", volume->is_snapshot ? "  " : "",
		volume->is_snapshot ? 18 : 20, volume->name, size_text(volume->size_bytes, size),
		size_text(volume->pages_used * KMEMBLK_BLOCK_SIZE, used),
		size_text(volume->pages_owned * KMEMBLK_BLOCK_SIZE, own));
	print_remarks(listing->text, volume);
	return 0;
}

static int print(const struct command *command, struct listing *listing, char *text)
{
	struct json_object *object;
	char *path;

	if (!command->json) {
		printf("%-20s %12s %12s %12s\n%s", "volume", "size", "used", "own", text);
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
	if (kmemblk_list(command.object, add_volume, &listing) != 0)
		status = command_failed();
	else if (fflush(listing.text) != 0)
		command_no_memory();
	else
		status = print(&command, &listing, text);
	fclose(listing.text);
	free(text);
	return status;
}
