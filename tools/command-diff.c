/* SPDX-License-Identifier: BSD-3-Clause */
/* command-diff.c - kmemblk diff: which ranges of a snapshot or volume differ from an older one. */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <json-c/json.h>

#include "kmemblk.h"
#include "command.h"

static const char doc[] =
	"Tell in which ranges the snapshot or volume TO of the kmemblk device at PATH differs from FROM, "
	"without FROM all that has data.  The device must not be served for writing."
	"\v"
	"Offsets and lengths are bytes.  The kind is data, or zero for what reads as zeroes in TO.  FROM and TO "
	"are two snapshots of one volume, or others with a common origin.\n"
	"\n"
	"Examples:\n"
	"  kmemblk diff /dev/dax0.0 vm1@monday vm1@tuesday\n"
	"  kmemblk diff --json /dev/dax0.0 vm1@tuesday | jq .data_bytes\n";

struct arguments {
	struct command command; /* its object is not used */
	const char *word[3];	/* PATH [FROM] TO */
	unsigned int count;
};

/* What was found, printed when it is whole. */
struct listing {
	struct json_object *ranges; /* with --json */
	FILE *text;
	uint64_t count;
	uint64_t bytes[2]; /* of data, and that read as zeroes */
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (arguments->count == 3)
			argp_error(state, "'%s' is one too many", arg);
		arguments->word[arguments->count++] = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "PATH is missing: name the device, such as /dev/dax0.0 or "
				  "/dev/shm/d.img");
		return 0;
	case ARGP_KEY_END:
		if (arguments->count == 1)
			argp_error(state,
				   "the name of a snapshot or volume is missing after '%s'; to see "
				   "them, type: kmemblk list %s",
				   arguments->word[0], text_shell_word(arguments->word[0]));
		return 0;
	default:
		return command_parse(key, arg, state);
	}
}

static int add_range(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct listing *listing = opaque;
	bool zero = flags & KMEMBLK_EXTENT_HOLE;
	struct json_object *object;

	listing->count++;
	listing->bytes[zero] += count;
	if (listing->ranges == NULL) {
		fprintf(listing->text, "%16" PRIu64 " %16" PRIu64 "  %s\n", offset, count,
			zero ? "zero" : "data");
		return 0;
	}
	object = json_new_object();
	json_put_number(object, "offset", offset);
	json_put_number(object, "length", count);
	json_put_bool(object, "zero", zero);
	if (json_object_array_add(listing->ranges, object) != 0)
		command_no_memory();
	return 0;
}

static void print_json(const struct arguments *a, struct listing *listing, uint64_t size)
{
	struct json_object *object = json_new_object();

	json_put_text(object, "path", a->word[0]);
	json_put_text(object, "from", a->count == 3 ? a->word[1] : NULL);
	json_put_text(object, "to", a->word[a->count - 1]);
	json_put_number(object, "size_bytes", size);
	json_put_number(object, "data_bytes", listing->bytes[false]);
	json_put_number(object, "zero_bytes", listing->bytes[true]);
	json_put(object, "ranges", listing->ranges);
	json_print(object);
}

static void print_human(const struct listing *listing, const char *text)
{
	char data[SIZE_TEXT], zero[SIZE_TEXT];

	printf("%16s %16s  kind\n%s", "offset", "length", text);
	printf("%" PRIu64 " %s: %s of data, %s of zeroes\n", listing->count,
	       listing->count == 1 ? "range" : "ranges", size_text(listing->bytes[false], data),
	       size_text(listing->bytes[true], zero));
}

/* Open both, ask, and close.  0 or -errno; the size of TO. */
static int find(const struct arguments *a, struct listing *listing, uint64_t *size)
{
	struct kmemblk_volume *from = NULL, *to = NULL;
	struct kmemblk_volume_info info;
	struct kmemblk *device = NULL;
	int rc = kmemblk_open(a->word[0], KMEMBLK_OPEN_READONLY, &device);

	if (rc == 0 && a->count == 3)
		rc = kmemblk_volume_open(device, a->word[1], &from);
	if (rc == 0)
		rc = kmemblk_volume_open(device, a->word[a->count - 1], &to);
	if (rc == 0)
		rc = kmemblk_diff(from, to, add_range, listing);
	if (rc == 0) {
		kmemblk_volume_get_info(to, &info);
		*size = info.size_bytes;
	}
	kmemblk_volume_close(from);
	kmemblk_volume_close(to);
	kmemblk_close(device);
	return rc;
}

int diff_main(int argc, char **argv)
{
	static const struct argp argp = {
		command_options, parse_opt, "PATH [FROM] TO", doc, NULL, NULL, NULL
	};
	struct arguments arguments = { .count = 0 };
	struct listing listing = { .count = 0 };
	int status = STATUS_OK;
	uint64_t bytes = 0;
	char *text = NULL;
	size_t length;

	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	listing.text = open_memstream(&text, &length);
	if (arguments.command.json)
		listing.ranges = json_object_new_array();
	if (listing.text == NULL || (arguments.command.json && listing.ranges == NULL))
		command_no_memory();
	if (find(&arguments, &listing, &bytes) != 0)
		status = command_failed();
	else if (fflush(listing.text) != 0)
		command_no_memory();
	else if (arguments.command.json)
		print_json(&arguments, &listing, bytes);
	else
		print_human(&listing, text);
	fclose(listing.text);
	free(text);
	return status;
}
