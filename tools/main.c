/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - the kmemblk command: finds the subcommand and runs it.
 *
 * The command is two executables.  This one has `run`, which should cost a program that it becomes as
 * little as can be, and so links nothing but libc.  For every other subcommand it becomes
 * kmemblk-commands, which has the library and all that it is linked with.
 */
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "place.h"

static const struct subcommand {
	const char *name;
	subcommand_fn *run; /* NULL: in kmemblk-commands */
	const char *summary;
} subcommands[] = {
	{ "format", NULL, "make a device of a file or of persistent memory" },
	{ "info", NULL, "describe a device, also while it is being served" },
	{ "check", NULL, "verify a device, and repair what can be repaired" },
	{ "grow", NULL, "use all of a device that has become larger" },
	{ "list", NULL, "list volumes and snapshots, or the servers of this host" },
	{ "create", NULL, "make a volume" },
	{ "delete", NULL, "delete a volume or a snapshot, and what it holds" },
	{ "rename", NULL, "give a volume or a snapshot another name" },
	{ "resize", NULL, "make a volume larger or smaller" },
	{ "snapshot", NULL, "keep what volumes hold now" },
	{ "clone", NULL, "make a volume of a snapshot" },
	{ "rollback", NULL, "make a volume again what it was at a snapshot" },
	{ "thin", NULL, "reserve no pages for overwrites of what snapshots have" },
	{ "diff", NULL, "tell what changed between two snapshots" },
	{ "run", run_main, "run a program with its heap on lent memory" },
	{ "stat", NULL, "tell what a lending server is doing" },
	{ "top", NULL, "show live what a lending server is doing" },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

/* What is guessed at: a name no longer than this, with no more slips of the finger. */
#define NAME_MOST  16u
#define SLIPS_MOST 2u

static char help_option[] = "--help";

static const char doc[] =
	"Make, describe and check kmemblk devices, disks on persistent memory whose free pages serve as "
	"memory, and run programs on that memory."
	"\v"
	"A first device, on emulated persistent memory:\n"
	"\n"
	"  kmemblk format --create=1G /dev/shm/d.img\n"
	"  nbdkit kmemblk /dev/shm/d.img\n"
	"  kmemblk info /dev/shm/d.img\n";

struct choice {
	const struct subcommand *subcommand;
	int index; /* of its name in argv */
};

/* Becomes kmemblk-commands with these arguments; argv[0] is the command's name already. */
static void become_commands(char **argv) __attribute__((noreturn));
static void become_commands(char **argv)
{
	char path[PATH_MAX];

	place_commands(path);
	execv(path, argv);
	fprintf(stderr, "kmemblk: %s: %s; is kmemblk installed as a whole?\n", path,
		strerror(errno));
	exit(STATUS_FAILED);
}

static void list_subcommands(FILE *stream)
{
	fprintf(stream, "Subcommands:\n");
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(stream, "  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
	fprintf(stream, "\nTry 'kmemblk help SUBCOMMAND' for each, with examples.\n");
}

/* Adds the list of subcommands to the end of --help. */
static char *filter_help(int key, const char *text, void *input)
{
	char *list = NULL;
	size_t size;
	FILE *stream;

	(void)input;
	if (key != ARGP_KEY_HELP_EXTRA)
		return (char *)text;
	stream = open_memstream(&list, &size);
	if (stream == NULL)
		command_no_memory();
	list_subcommands(stream);
	if (fclose(stream))
		command_no_memory();
	return list;
}

static const struct subcommand *find_subcommand(const char *name)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (strcmp(name, subcommands[i].name) == 0)
			return &subcommands[i];
	}
	return NULL;
}

/* The library's version is in it, which is linked there. */
static void print_version(FILE *stream, struct argp_state *state)
{
	char *argv[] = { "kmemblk", "--version", NULL };

	(void)stream;
	(void)state;
	become_commands(argv);
}

/* Letters to be put in, left out or changed, to make one name of another; only names as short as ours. */
static size_t count_slips(const char *from, const char *to)
{
	size_t row[NAME_MOST + 1], length = strlen(to);

	for (size_t i = 0; i <= length; i++)
		row[i] = i;
	for (size_t n = 1; *from != '\0'; from++, n++) {
		size_t before = row[0];

		row[0] = n;
		for (size_t i = 1; i <= length; i++) {
			size_t least = before + (*from != to[i - 1]);

			before = row[i];
			if (before + 1 < least)
				least = before + 1;
			if (row[i - 1] + 1 < least)
				least = row[i - 1] + 1;
			row[i] = least;
		}
	}
	return row[length];
}

/* The subcommand that was perhaps meant, or NULL. */
static const char *guess_subcommand(const char *name)
{
	const char *best = NULL;
	size_t least = SLIPS_MOST + 1;

	if (strlen(name) > NAME_MOST)
		return NULL;
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		size_t slips = count_slips(name, subcommands[i].name);

		if (slips < least && slips < strlen(subcommands[i].name) / 2 + 1) {
			least = slips;
			best = subcommands[i].name;
		}
	}
	return best;
}

static const struct subcommand *need_subcommand(const char *name)
{
	const struct subcommand *subcommand = find_subcommand(name);
	const char *guess = subcommand == NULL ? guess_subcommand(name) : NULL;

	if (subcommand != NULL)
		return subcommand;
	fprintf(stderr, "kmemblk: unknown subcommand '%s'", name);
	if (guess != NULL)
		fprintf(stderr, ": did you mean '%s'?", guess);
	fprintf(stderr, "\n\n");
	list_subcommands(stderr);
	exit(STATUS_USAGE);
}

/* Make `SUBCOMMAND --help` of `help SUBCOMMAND`; the subcommand. */
static char *parse_help(struct argp_state *state)
{
	char **argv = &state->argv[state->next - 1];

	if (state->next == state->argc)
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
	argv[0] = argv[1];
	argv[1] = help_option;
	return argv[0];
}

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	switch (key) {
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		if (strcmp(arg, "version") == 0)
			print_version(stdout, state);
		if (strcmp(arg, "help") == 0)
			arg = parse_help(state);
		choice->subcommand = need_subcommand(arg);
		/* The rest is the subcommand's. */
		choice->index = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		fprintf(stderr, "kmemblk: a subcommand is missing\n\n");
		list_subcommands(stderr);
		exit(STATUS_USAGE);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.args_doc = "SUBCOMMAND [OPTION...] PATH",
		.doc = doc,
		.help_filter = filter_help,
	};
	struct choice choice = { NULL, 0 };

	command_begin(argc, argv);
	argp_program_version_hook = print_version;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &choice) ||
	    choice.subcommand == NULL)
		return STATUS_USAGE;
	/* argp knows no -h; only as the first, for what follows may be a program's. */
	if (choice.index + 1 < argc && strcmp(argv[choice.index + 1], "-h") == 0)
		argv[choice.index + 1] = help_option;
	if (choice.subcommand->run != NULL) {
		argv[choice.index] = command_name(choice.subcommand->name);
		return choice.subcommand->run(argc - choice.index, argv + choice.index);
	}
	/* The command's name before the subcommand, whatever was between them. */
	argv[choice.index - 1] = argv[0];
	become_commands(argv + choice.index - 1);
}
