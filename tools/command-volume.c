/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-volume.c - kmemblk create, delete, rename, resize, snapshot, clone and rollback: change the volumes of a
 * device, also while it is being served.
 *
 * They are alike: they make one change, which the library has the device's server make or makes itself, and print what
 * was done.  A table has what differs: the arguments, the options, the change and the words.
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
	OPTION_RECURSIVE,
	OPTION_THIN,
	OPTION_OFF,
};

#define OPTION_LINE_SIZE                                                                           \
	{                                                                                          \
		"size", OPTION_SIZE, "SIZE", 0, "its size, such as 20G", 0                         \
	}

#define OPTION_LINE_THIN(help)                                                                     \
	{                                                                                          \
		"thin", OPTION_THIN, NULL, 0, help, 0                                              \
	}

/* So many snapshots can be made at once. */
#define NAMES_MAX 64

/* What was typed: PATH NAME, and then another name, or several. */
struct arguments {
	unsigned int least, most; /* words */
	const char *word[1 + NAMES_MAX];
	unsigned int count;
	bool has_size;
	bool off;
	struct kmemblk_change change;
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char *wrong;

	switch (key) {
	case OPTION_SIZE:
		wrong = size_parse(arg, &arguments->change.size);
		if (wrong != NULL)
			argp_error(state, "--size=%s: %s", arg, wrong);
		arguments->has_size = true;
		return 0;
	case OPTION_PREALLOC:
		arguments->change.flags |= KMEMBLK_VOLUME_PREALLOC;
		return 0;
	case OPTION_FORCE:
		arguments->change.flags |= KMEMBLK_VOLUME_FORCE;
		return 0;
	case OPTION_RECURSIVE:
		arguments->change.flags |= KMEMBLK_VOLUME_RECURSIVE;
		return 0;
	case OPTION_THIN:
		arguments->change.flags |= KMEMBLK_THIN;
		return 0;
	case OPTION_OFF:
		arguments->off = true;
		return 0;
	case ARGP_KEY_ARG:
		if (arguments->count == arguments->most)
			argp_error(state, "'%s' is one too many", arg);
		arguments->word[arguments->count++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (arguments->count == 0)
			argp_error(state,
				   "PATH is missing: name the device, such as /dev/dax0.0 or "
				   "/dev/shm/d.img");
		if (arguments->count < arguments->least)
			argp_error(state,
				   "a name is missing after '%s'; to see those there are, type: "
				   "kmemblk list %s",
				   arguments->word[arguments->count - 1], arguments->word[0]);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* A subcommand: `tell` prints what was done. */
struct subcommand {
	const struct argp *argp;
	enum kmemblk_change_kind kind;
	unsigned int least, most; /* words */
	bool needs_size;
	void (*tell)(const struct arguments *arguments);
};

/* Print "PATH: " for what follows. */
static void print_path(const struct arguments *a)
{
	char *path = text_printable(a->word[0]);

	printf("%s: ", path);
	free(path);
}

static int run(const struct subcommand *subcommand, int argc, char **argv)
{
	struct arguments arguments = {
		.least = subcommand->least,
		.most = subcommand->most,
		.change = { .kind = subcommand->kind },
	};

	argp_parse(subcommand->argp, argc, argv, 0, NULL, &arguments);
	if (subcommand->needs_size && !arguments.has_size) {
		fprintf(stderr, "%s: --size=SIZE is missing\n", argv[0]);
		return STATUS_USAGE;
	}
	if (subcommand->kind == KMEMBLK_CHANGE_THIN && !arguments.off)
		arguments.change.flags = KMEMBLK_THIN;
	arguments.change.names = &arguments.word[1];
	arguments.change.count = arguments.count - 1;
	if (kmemblk_change(arguments.word[0], &arguments.change) != 0)
		return command_failed();
	subcommand->tell(&arguments);
	return STATUS_OK;
}

/* ---- create --------------------------------------------------------------------------------- */

static void tell_create(const struct arguments *a)
{
	char size[SIZE_TEXT];

	print_path(a);
	printf("made volume %s of %s\n", a->word[1], size_text(a->change.size, size));
}

int create_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		OPTION_LINE_SIZE,
		{ "prealloc", OPTION_PREALLOC, NULL, 0, "give every block its page now", 0 },
		OPTION_LINE_THIN("reserve no pages for overwrites of what snapshots have"),
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH NAME",
		"Make a volume NAME on the kmemblk device at PATH, also while it is being served."
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

	static const struct subcommand subcommand = { &argp,	  KMEMBLK_CHANGE_CREATE, 2, 2, true,
						      tell_create };

	return run(&subcommand, argc, argv);
}

/* ---- delete --------------------------------------------------------------------------------- */

static void tell_delete(const struct arguments *a)
{
	print_path(a);
	printf("deleted %s", a->word[1]);
	if (a->change.snapshots > 0)
		printf(" and its %u snapshot%s", a->change.snapshots,
		       a->change.snapshots == 1 ? "" : "s");
	printf("\n");
}

int delete_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "recursive", OPTION_RECURSIVE, NULL, 0, "delete the volume's snapshots, too", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH NAME",
		"Delete the volume or the snapshot NAME of the kmemblk device at PATH, and all that only it holds."
		"\v"
		"A volume that has snapshots is refused unless --recursive is given, and a snapshot from which a clone "
		"was made is refused.  Nothing else depends on a snapshot: deleting it changes neither its volume nor "
		"other snapshots.  What clients of a server have open is not deleted.\n"
		"\n"
		"Examples:\n"
		"  kmemblk delete /dev/dax0.0 vm1@monday\n"
		"  kmemblk delete --recursive /dev/dax0.0 vm1\n",
		NULL,
		NULL,
		NULL
	};
	static const struct subcommand subcommand = { &argp, KMEMBLK_CHANGE_DELETE,
						      2,     2,
						      false, tell_delete };

	return run(&subcommand, argc, argv);
}

/* ---- rename --------------------------------------------------------------------------------- */

static void tell_rename(const struct arguments *a)
{
	print_path(a);
	printf("%s is %s now\n", a->word[1], a->word[2]);
}

int rename_main(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse_opt,
		"PATH NAME NEW-NAME",
		"Give the volume or the snapshot NAME of the kmemblk device at PATH another name, also while it is being "
		"served and used."
		"\v"
		"A snapshot stays with its volume, so both names begin with VOLUME@.  The snapshots of a volume go by "
		"its new name.\n"
		"\n"
		"Examples:\n"
		"  kmemblk rename /dev/dax0.0 vm1 web\n"
		"  kmemblk rename /dev/dax0.0 web@monday web@before-upgrade\n",
		NULL,
		NULL,
		NULL
	};

	static const struct subcommand subcommand = { &argp, KMEMBLK_CHANGE_RENAME,
						      3,     3,
						      false, tell_rename };

	return run(&subcommand, argc, argv);
}

/* ---- resize --------------------------------------------------------------------------------- */

static void tell_resize(const struct arguments *a)
{
	char size[SIZE_TEXT];

	print_path(a);
	printf("%s has %s now\n", a->word[1], size_text(a->change.size, size));
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
		"Make the volume NAME of the kmemblk device at PATH larger, also while it is being served and used, or "
		"smaller, while it has no clients."
		"\v"
		"What is new reads as zeroes.  What is written past a new end is lost, and that needs --force.\n"
		"\n"
		"Example:\n"
		"  kmemblk resize /dev/dax0.0 vm1 --size=40G\n",
		NULL,
		NULL,
		NULL
	};

	static const struct subcommand subcommand = { &argp,	  KMEMBLK_CHANGE_RESIZE, 2, 2, true,
						      tell_resize };

	return run(&subcommand, argc, argv);
}

/* ---- thin ----------------------------------------------------------------------------------- */

static void tell_thin(const struct arguments *a)
{
	print_path(a);
	if (a->off)
		printf("%s is not thin now: all of it can be overwritten\n", a->word[1]);
	else
		printf("%s is thin now: an overwrite of what a snapshot has may find no page\n",
		       a->word[1]);
}

int thin_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "off", OPTION_OFF, NULL, 0, "end it: reserve the pages", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH VOLUME",
		"Make a volume of the kmemblk device at PATH thin, also while it is being served: no pages are "
		"reserved for overwrites of what it shares with snapshots."
		"\v"
		"Those pages are free for new blocks and to lend.  In return, an overwrite of a block that a snapshot "
		"has too may get ENOSPC, as a new block may.  Trims and deletions always succeed.\n"
		"\n"
		"Examples:\n"
		"  kmemblk thin /dev/dax0.0 vm1\n"
		"  kmemblk thin --off /dev/dax0.0 vm1      if there are enough pages\n",
		NULL,
		NULL,
		NULL
	};
	static const struct subcommand subcommand = { &argp,	KMEMBLK_CHANGE_THIN, 2, 2, false,
						      tell_thin };

	return run(&subcommand, argc, argv);
}

/* ---- snapshot ------------------------------------------------------------------------------- */

static void tell_snapshot(const struct arguments *a)
{
	char *path;

	print_path(a);
	printf("made snapshot%s %s", a->count == 2 ? "" : "s", a->word[1]);
	for (unsigned int i = 2; i < a->count; i++)
		printf(", %s", a->word[i]);
	printf("%s\n", a->count == 2 ? "" : ", of one instant");
	if (a->count > 2)
		return;
	path = text_shell_word(a->word[0]);
	printf("To go back to it:  kmemblk rollback %s %s\n", path, a->word[1]);
	free(path);
}

int snapshot_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		OPTION_LINE_THIN("where there are too few pages, make the volume thin"),
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH VOLUME@SNAPSHOT...",
		"Keep what volumes of the kmemblk device at PATH hold now, also while it is being served and used, each "
		"under the name VOLUME@SNAPSHOT."
		"\v"
		"Several are of one instant.  A snapshot copies nothing and never changes; it is served as a read-only "
		"export of its name.  Pages are reserved so that all of the volume can still be overwritten; where "
		"there are too few, the snapshot is refused, or with --thin the volume becomes thin (see kmemblk thin "
		"--help).\n"
		"\n"
		"Examples:\n"
		"  kmemblk snapshot /dev/dax0.0 vm1@monday\n"
		"  kmemblk snapshot /dev/dax0.0 db@monday log@monday      of one instant\n"
		"  kmemblk rollback /dev/dax0.0 vm1@monday                back to what it was\n"
		"  kmemblk clone /dev/dax0.0 vm1@monday vm2               a volume to write to\n",
		NULL,
		NULL,
		NULL
	};
	static const struct subcommand subcommand = { &argp, KMEMBLK_CHANGE_SNAPSHOT,
						      2,     1 + NAMES_MAX,
						      false, tell_snapshot };

	return run(&subcommand, argc, argv);
}

/* ---- clone ---------------------------------------------------------------------------------- */

static void tell_clone(const struct arguments *a)
{
	print_path(a);
	printf("made volume %s of %s\n", a->word[2], a->word[1]);
}

int clone_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		OPTION_LINE_THIN("reserve no pages for overwrites of what the snapshot has"),
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH VOLUME@SNAPSHOT NAME",
		"Make a volume NAME that begins as what a snapshot holds, on the kmemblk device at PATH, also while it "
		"is being served."
		"\v"
		"It shares the snapshot's pages and copies nothing.  Pages are reserved so that all of it can be "
		"overwritten, unless it is thin.  The snapshot cannot be deleted while the clone is there.\n"
		"\n"
		"Example:\n"
		"  kmemblk clone /dev/dax0.0 vm1@monday vm2\n",
		NULL,
		NULL,
		NULL
	};
	static const struct subcommand subcommand = { &argp,	 KMEMBLK_CHANGE_CLONE, 3, 3, false,
						      tell_clone };

	return run(&subcommand, argc, argv);
}

/* ---- rollback ------------------------------------------------------------------------------- */

static void tell_rollback(const struct arguments *a)
{
	print_path(a);
	printf("%.*s is again what %s holds\n", (int)strcspn(a->word[1], "@"), a->word[1],
	       a->word[1]);
}

int rollback_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "force", OPTION_FORCE, NULL, 0, "delete younger snapshots of the volume", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		options,
		parse_opt,
		"PATH VOLUME@SNAPSHOT",
		"Make a volume of the kmemblk device at PATH again what it was when the snapshot was made, its size "
		"included."
		"\v"
		"While the device is being served, the volume must have no clients.  "
		"What was written to the volume since is lost.  The snapshot stays.  Younger snapshots of the volume "
		"stand in the way: --force deletes them.\n"
		"\n"
		"Examples:\n"
		"  kmemblk clone /dev/dax0.0 vm1@monday vm1-monday        to look at it first\n"
		"  kmemblk rollback /dev/dax0.0 vm1@monday\n",
		NULL,
		NULL,
		NULL
	};
	static const struct subcommand subcommand = { &argp, KMEMBLK_CHANGE_ROLLBACK,
						      2,     2,
						      false, tell_rollback };

	return run(&subcommand, argc, argv);
}
