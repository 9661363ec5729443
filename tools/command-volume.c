/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-volume.c - kmemblk create, delete, rename and resize: change the volumes of a device.
 *
 * They are alike: they open the device for writing, make one call of the library, and close it.  A table has what
 * differs: the arguments, the options and the call.
 */
#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmemblk.h"
#include "command.h"

enum {
	OPTION_SIZE = 256,
	OPTION_PREALLOC,
	OPTION_FORCE,
};

#define OPTION_LINE_SIZE                                                                           \
	{                                                                                          \
		"size", OPTION_SIZE, "SIZE", 0, "its size, such as 20G", 0                         \
	}

/* What was typed: PATH NAME, and for rename another name. */
struct arguments {
	unsigned int wanted; /* words */
	const char *word[3];
	unsigned int count;
	uint64_t size;
	bool has_size;
	unsigned int flags;
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char *wrong;

	switch (key) {
	case OPTION_SIZE:
		wrong = size_parse(arg, &arguments->size);
		if (wrong != NULL)
			argp_error(state, "--size=%s: %s", arg, wrong);
		arguments->has_size = true;
		return 0;
	case OPTION_PREALLOC:
		arguments->flags |= KMEMBLK_VOLUME_PREALLOC;
		return 0;
	case OPTION_FORCE:
		arguments->flags |= KMEMBLK_VOLUME_FORCE;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->count == arguments->wanted)
			argp_error(state, "'%s' is one too many", arg);
		arguments->word[arguments->count++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (arguments->count == 0)
			argp_error(state,
				   "PATH is missing: name the device, such as /dev/dax0.0 or "
				   "/dev/shm/d.img");
		if (arguments->count < arguments->wanted)
			argp_error(state,
				   "a volume's name is missing after '%s'; to see them, type: "
				   "kmemblk list %s",
				   arguments->word[arguments->count - 1], arguments->word[0]);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

typedef int call_fn(struct kmemblk *device, const struct arguments *arguments);

/* Parse, open, call, close. */
static int change(const struct argp *argp, unsigned int words, bool needs_size, call_fn *call,
		  int argc, char **argv)
{
	struct arguments arguments = { .wanted = words };
	struct kmemblk *device = NULL;
	int rc;

	argp_parse(argp, argc, argv, 0, NULL, &arguments);
	if (needs_size && !arguments.has_size) {
		fprintf(stderr, "%s: --size=SIZE is missing\n", argv[0]);
		return STATUS_USAGE;
	}
	rc = kmemblk_open(arguments.word[0], 0, &device);
	if (rc == 0)
		rc = kmemblk_start(device);
	if (rc == 0)
		rc = call(device, &arguments);
	if (rc != 0)
		rc = command_failed();
	kmemblk_close(device);
	return rc;
}

/* ---- create --------------------------------------------------------------------------------- */

static int call_create(struct kmemblk *device, const struct arguments *a)
{
	return kmemblk_volume_create(device, a->word[1], a->size, a->flags);
}

int create_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		OPTION_LINE_SIZE,
		{ "prealloc", OPTION_PREALLOC, NULL, 0, "give every block its page now", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH NAME",
		"Make a volume NAME on the kmemblk device at PATH, which must not be in use."
		"\v"
		"Volumes share the pages of the device, and together may be larger than it: a block takes a "
		"page when it is first written.\n"
		"\n"
		"Examples:\n"
		"  kmemblk create /dev/dax0.0 vm1 --size=20G\n"
		"  nbdkit kmemblk /dev/dax0.0      serves it as the export vm1\n",
		NULL,
		NULL,
		NULL
	};

	return change(&argp, 2, true, call_create, argc, argv);
}

/* ---- delete --------------------------------------------------------------------------------- */

static int call_delete(struct kmemblk *device, const struct arguments *a)
{
	return kmemblk_volume_delete(device, a->word[1]);
}

int delete_main(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse_opt,
		"PATH NAME",
		"Delete the volume NAME of the kmemblk device at PATH, which must not be in use, and all that "
		"the volume holds."
		"\v"
		"Example:\n"
		"  kmemblk delete /dev/dax0.0 vm1\n",
		NULL,
		NULL,
		NULL
	};

	return change(&argp, 2, false, call_delete, argc, argv);
}

/* ---- rename --------------------------------------------------------------------------------- */

static int call_rename(struct kmemblk *device, const struct arguments *a)
{
	return kmemblk_volume_rename(device, a->word[1], a->word[2]);
}

int rename_main(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse_opt,
		"PATH NAME NEW-NAME",
		"Give the volume NAME of the kmemblk device at PATH, which must not be in use, another name."
		"\v"
		"Example:\n"
		"  kmemblk rename /dev/dax0.0 vm1 web\n",
		NULL,
		NULL,
		NULL
	};

	return change(&argp, 3, false, call_rename, argc, argv);
}

/* ---- resize --------------------------------------------------------------------------------- */

static int call_resize(struct kmemblk *device, const struct arguments *a)
{
	return kmemblk_volume_resize(device, a->word[1], a->size, a->flags);
}

int resize_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		OPTION_LINE_SIZE,
		{ "force", OPTION_FORCE, NULL, 0, "cut off what is written past the new end", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH NAME",
		"Make the volume NAME of the kmemblk device at PATH, which must not be in use, larger or "
		"smaller."
		"\v"
		"What is new reads as zeroes.  What is written past a new end is lost, and that needs --force.\n"
		"\n"
		"Example:\n"
		"  kmemblk resize /dev/dax0.0 vm1 --size=40G\n",
		NULL,
		NULL,
		NULL
	};

	return change(&argp, 2, true, call_resize, argc, argv);
}
