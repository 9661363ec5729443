/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - the kmemblk command: finds the subcommand and runs it.
 *
 * A new subcommand is one line in the table below and one file.  Standard output is looked after
 * here for all of them: either it reaches its reader, or the exit status says that it did not.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk.h"
#include "command.h"

static const struct subcommand {
	const char *name;
	subcommand_fn *run;
	const char *summary;
} subcommands[] = {
	{ "format", format_main, "make a device of a file or of persistent memory" },
	{ "info", info_main, "describe a device, also while it is being served" },
	{ "check", check_main, "verify a device, and repair what can be repaired" },
	{ "run", run_main, "run a program with its heap on lent memory" },
	{ "stat", stat_main, "tell what a lending server is doing" },
	{ "top", top_main, "show live what a lending server is doing" },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

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

int command_failed(void)
{
	fprintf(stderr, "kmemblk: %s\n", kmemblk_error());
	return STATUS_FAILED;
}

void command_no_memory(void)
{
	fprintf(stderr, "kmemblk: out of memory\n");
	exit(STATUS_FAILED);
}

const struct argp_option command_options[] = { COMMAND_JSON, { 0 } };

error_t command_parse(int key, char *arg, struct argp_state *state)
{
	struct command *command = state->input;

	switch (key) {
	case COMMAND_KEY_JSON:
		command->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (command->object != NULL)
			argp_error(state, "one %s at a time: '%s' is the second", command->what,
				   arg);
		command->object = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "%s is missing: %s", command->what,
			   strcmp(command->what, "PATH") == 0
				   ? "name the device, such as /dev/dax0.0 or /dev/shm/d.img"
				   : "what the server was given as lend=SOCKET");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void list_subcommands(FILE *stream)
{
	fprintf(stream, "Subcommands:\n");
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(stream, "  %-8s %s\n", subcommands[i].name, subcommands[i].summary);
	fprintf(stream, "\nTry 'kmemblk SUBCOMMAND --help' for each, with examples.\n");
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

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		choice->subcommand = find_subcommand(arg);
		if (choice->subcommand == NULL) {
			fprintf(stderr, "kmemblk: unknown subcommand '%s'\n\n", arg);
			list_subcommands(stderr);
			exit(STATUS_USAGE);
		}
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

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "kmemblk %s (libkmemblk %s)\n", PACKAGE_VERSION, kmemblk_version());
}

/* At exit, so that it covers the ways out inside argp too. */
static void close_stdout(void)
{
	if (!ferror(stdout) && !fflush(stdout))
		return;
	fprintf(stderr, "kmemblk: cannot write to standard output: %s\n", strerror(errno));
	_exit(STATUS_FAILED);
}

int main(int argc, char **argv)
{
	static char command_name[] = "kmemblk";
	static const struct argp argp = {
		.parser = parse_opt,
		.args_doc = "SUBCOMMAND [OPTION...] PATH",
		.doc = doc,
		.help_filter = filter_help,
	};
	struct choice choice = { NULL, 0 };
	static char name[64]; /* outlives this call in argv */

	if (atexit(close_stdout))
		command_no_memory();
	argp_err_exit_status = STATUS_USAGE;
	argp_program_version_hook = print_version;
	/* Not what the file is called (libtool calls it otherwise in the build tree). */
	if (argc > 0)
		argv[0] = command_name;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &choice) ||
	    choice.subcommand == NULL)
		return STATUS_USAGE;
	snprintf(name, sizeof(name), "kmemblk %s", choice.subcommand->name);
	argv[choice.index] = name;
	return choice.subcommand->run(argc - choice.index, argv + choice.index);
}
