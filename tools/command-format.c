/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-format.c - kmemblk format: make a device.
 *
 * What can be judged without the device is refused here, as a mistake in the command line; the
 * rest is the library's to refuse.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk.h"
#include "command.h"

#define LABEL_BYTES 63

static const char doc[] =
	"Make a kmemblk device of PATH: a devdax device such as /dev/dax0.0, a file on a DAX file "
	"system, a file on tmpfs (emulated persistent memory), or an ordinary file.  All that it "
	"held is lost; a device that holds something recognisable, and a file that is not all "
	"zeroes, is refused without --force."
	"\v"
	"SIZE is in bytes, or with K, M, G or T (powers of 1024), and a multiple of 4096.\n"
	"\n"
	"Examples:\n"
	"  kmemblk format --create=1G /dev/shm/d.img   a new file on tmpfs\n"
	"  kmemblk format /dev/dax0.0                  all of a devdax device\n"
	"  kmemblk format --size=8G /dev/dax0.0        the rest stays memory\n"
	"  kmemblk format --type=none /dev/dax0.0      no disk, only memory\n";

enum {
	OPTION_TYPE = 256,
	OPTION_CREATE,
	OPTION_SIZE,
	OPTION_LABEL,
	OPTION_SPARE,
	OPTION_VIEWS,
	OPTION_PREALLOC,
	OPTION_CHECK,
	OPTION_FORCE,
};

static const struct argp_option options[] = {
	{ "type", OPTION_TYPE, "TYPE", 0, "blk, a disk (the default), or none, memory only", 0 },
	{ "create", OPTION_CREATE, "SIZE", 0, "make the file, which must not exist, this large",
	  0 },
	{ "size", OPTION_SIZE, "SIZE", 0,
	  "size of the disk; the default is as large as the device allows", 0 },
	{ "label", OPTION_LABEL, "TEXT", 0, "a name, at most 63 bytes", 0 },
	{ "spare", OPTION_SPARE, "PAGES", 0,
	  "pages kept for overwriting; the default is 1/64 of the device, at most 8192", 0 },
	{ "views", OPTION_VIEWS, "N", 0,
	  "volumes that there is room for; the default is 512, the most 65536", 0 },
	{ "check", OPTION_CHECK, "KIND", 0, "check values of blocks: crc24 (the default), or none",
	  0 },
	{ "prealloc", OPTION_PREALLOC, NULL, 0, "give every block its page now (thick)", 0 },
	{ "force", OPTION_FORCE, NULL, 0,
	  "format even though the device holds something, which is lost", 0 },
	{ 0 },
};

struct arguments {
	struct command command;
	struct kmemblk_format_options format;
};

static void parse_size(struct argp_state *state, const char *option, const char *arg,
		       uint64_t *bytes)
{
	const char *wrong = size_parse(arg, bytes);

	if (wrong != NULL)
		argp_error(state, "--%s=%s: %s", option, arg, wrong);
}

static void parse_number(struct argp_state *state, const char *option, const char *arg,
			 const char *what, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(arg, &end, 10);
	if (errno || *end || arg[strspn(arg, "0123456789")] || !*number)
		argp_error(state, "--%s=%s: not a number of %s: write 1 or more", option, arg,
			   what);
}

/* Labels are shown on terminals and in JSON, byte for byte if they are fit for both. */
static void parse_label(struct argp_state *state, const char *arg, const char **label)
{
	char *printable = text_printable(arg);

	if (strcmp(printable, arg))
		argp_error(state, "--label=%s: must be printable UTF-8", printable);
	if (strlen(arg) > LABEL_BYTES)
		argp_error(state, "--label=%s: must be at most %d bytes", arg, LABEL_BYTES);
	free(printable);
	*label = arg;
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	struct kmemblk_format_options *format = &arguments->format;

	switch (key) {
	case OPTION_TYPE:
		format->type = arg;
		return 0;
	case OPTION_CREATE:
		parse_size(state, "create", arg, &format->create_size);
		return 0;
	case OPTION_SIZE:
		parse_size(state, "size", arg, &format->disk_size);
		return 0;
	case OPTION_LABEL:
		parse_label(state, arg, &format->label);
		return 0;
	case OPTION_SPARE:
		parse_number(state, "spare", arg, "pages", &format->spare_pages);
		return 0;
	case OPTION_VIEWS:
		parse_number(state, "views", arg, "volumes", &format->views);
		return 0;
	case OPTION_CHECK:
		format->check = arg;
		return 0;
	case OPTION_PREALLOC:
		format->flags |= KMEMBLK_FORMAT_PREALLOC;
		return 0;
	case OPTION_FORCE:
		format->flags |= KMEMBLK_FORMAT_FORCE;
		return 0;
	default:
		return command_parse(key, arg, state);
	}
}

static void print_next(const char *path, const struct kmemblk_info *info)
{
	char *word = text_shell_word(path);

	if (!info->blocks)
		printf("Look at it:  kmemblk info %s\n", word);
	else
		/* nbdkit takes a word with '=' for a parameter; in the build tree, ours is there. */
		printf("Serve it:  nbdkit %s %s%s\n",
		       access("./kmemblk.so", F_OK) ? "kmemblk" : "./kmemblk.so",
		       strchr(path, '=') != NULL ? "path=" : "", word);
	free(word);
}

/* The device is made: that it cannot be described (umask 0777, for one) is no failure. */
static void print_summary(const struct arguments *arguments)
{
	struct kmemblk_info info;
	char size[SIZE_TEXT], *path = text_printable(arguments->command.object);

	if (kmemblk_probe(arguments->command.object, &info) < 0) {
		printf("%s: made\n", path);
		fprintf(stderr, "kmemblk: warning: it is made, but cannot be looked at: %s\n",
			kmemblk_error());
		free(path);
		return;
	}
	if (info.blocks)
		printf("%s: a disk of %s (%" PRIu64 " blocks), %s, on %s\n", path,
		       size_text(info.size_bytes, size), info.blocks,
		       info.pages_used ? "thick" : "sparse", info.media);
	else
		printf("%s: no disk, %s of memory to lend, on %s\n", path,
		       size_text(info.data_pages * info.page_size, size), info.media);
	free(path);
	print_next(arguments->command.object, &info);
}

int format_main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_opt, "PATH", doc, NULL, NULL, NULL };
	struct arguments arguments = { .command.what = "PATH" };
	struct progress progress;
	int rc;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments))
		return STATUS_USAGE;
	progress_begin(&progress, "format");
	arguments.format.progress = progress_update;
	arguments.format.progress_opaque = &progress;
	rc = kmemblk_format(arguments.command.object, &arguments.format);
	progress_end(&progress);
	if (rc < 0)
		return command_failed();
	print_summary(&arguments);
	return STATUS_OK;
}
