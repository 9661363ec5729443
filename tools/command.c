/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command.c - how both executables of the kmemblk command begin and fail.
 *
 * Standard output is looked after here for all subcommands: either it reaches its reader, or the exit
 * status says that it did not.
 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmemblk.h"
#include "command.h"

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

/* At exit, so that it covers the ways out inside argp too. */
static void close_stdout(void)
{
	if (!ferror(stdout) && !fflush(stdout))
		return;
	fprintf(stderr, "kmemblk: cannot write to standard output: %s\n", strerror(errno));
	_exit(STATUS_FAILED);
}

void command_begin(int argc, char **argv)
{
	static char command_name[] = "kmemblk";

	if (atexit(close_stdout))
		command_no_memory();
	argp_err_exit_status = STATUS_USAGE;
	/* Not what the file is called. */
	if (argc > 0)
		argv[0] = command_name;
}

char *command_name(const char *subcommand)
{
	static char name[64]; /* outlives the call in argv */

	snprintf(name, sizeof(name), "kmemblk %s", subcommand);
	return name;
}
