/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands.c - kmemblk-commands: every subcommand but run, and --version.
 *
 * `kmemblk` becomes this executable, with the subcommand as the first argument; see main.c.  A new
 * subcommand is one line in the table below, one in that of main.c, and one file.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "kmemblk.h"
#include "command.h"

static const struct subcommand {
	const char *name;
	subcommand_fn *run;
} subcommands[] = {
	{ "format", format_main },     { "info", info_main },	  { "check", check_main },
	{ "grow", grow_main },	       { "list", list_main },	  { "create", create_main },
	{ "delete", delete_main },     { "rename", rename_main }, { "resize", resize_main },
	{ "snapshot", snapshot_main }, { "clone", clone_main },	  { "rollback", rollback_main },
	{ "diff", diff_main },	       { "thin", thin_main },	  { "stat", stat_main },
	{ "top", top_main },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

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

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "kmemblk %s (libkmemblk %s)\n", PACKAGE_VERSION, kmemblk_version());
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	/* The kernel names a process after its file; `info` of a device in use shows that name. */
	prctl(PR_SET_NAME, "kmemblk");
	command_begin(argc, argv);
	argp_program_version_hook = print_version;
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (strcmp(name, subcommands[i].name) != 0)
			continue;
		argv[1] = command_name(name);
		return subcommands[i].run(argc - 1, argv + 1);
	}
	if (strcmp(name, "--version") == 0) {
		print_version(stdout, NULL);
		return STATUS_OK;
	}
	fprintf(stderr, "kmemblk: this is a part of the kmemblk command: type kmemblk --help\n");
	return STATUS_USAGE;
}
