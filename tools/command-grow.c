/* SPDX-License-Identifier: BSD-3-Clause */
/* command-grow.c - kmemblk grow: use all of a device that has become larger. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kmemblk.h"
#include "command.h"

static const char doc[] =
	"Use all of the kmemblk device at PATH, which has become larger and must not be in use."
	"\v"
	"What has been added is free for all volumes; what it held is lost.  No volume becomes larger by it: "
	"kmemblk resize does that.\n"
	"\n"
	"Example:\n"
	"  truncate --size=2G /dev/shm/d.img\n"
	"  kmemblk grow /dev/shm/d.img\n"
	"  kmemblk resize /dev/shm/d.img kmem0 --size=1900M\n";

static void print_result(const char *object, const struct kmemblk_grow_result *result)
{
	char before[SIZE_TEXT], now[SIZE_TEXT], *path = text_printable(object), *word;

	size_text(result->device_pages_before * KMEMBLK_BLOCK_SIZE, before);
	size_text(result->device_pages * KMEMBLK_BLOCK_SIZE, now);
	if (result->finished) {
		printf("%s: finished a growth to %s (%" PRIu64 " pages) that was cut\n", path, now,
		       result->device_pages);
		free(path);
		return;
	}
	if (result->device_pages == result->device_pages_before) {
		printf("%s: nothing to do: the device has %" PRIu64
		       " pages, and the format uses %" PRIu64 " (%s)\n",
		       path, result->device_pages, result->device_pages_before, now);
		free(path);
		return;
	}
	printf("%s: grown from %s (%" PRIu64 " pages) to %s (%" PRIu64 " pages)\n", path, before,
	       result->device_pages_before, now, result->device_pages);
	free(path);
	word = text_shell_word(object);
	printf("To make a volume larger:  kmemblk resize %s NAME --size=SIZE\n", word);
	free(word);
}

int grow_main(int argc, char **argv)
{
	static const struct argp argp = { NULL, command_parse, "PATH", doc, NULL, NULL, NULL };
	struct command command = { .what = "PATH" };
	struct kmemblk_grow_result result;

	if (argp_parse(&argp, argc, argv, 0, NULL, &command))
		return STATUS_USAGE;
	if (kmemblk_grow(command.object, &result) < 0)
		return command_failed();
	print_result(command.object, &result);
	return STATUS_OK;
}
