/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-run.c - kmemblk run: a program with its heap on borrowed zones.
 *
 * Sees that there is a lending server, tells the preloaded library through the environment what to
 * do, and becomes the program.  The work is in preload/.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "borrow/connection.h"
#include "kmemblk.h"
#include "command.h"
#include "environment.h"
#include "executable.h"
#include "place.h"

/* As of nohup(1) and the like. */
#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND  127

static const char doc[] =
	"Run PROGRAM with its heap on memory that the lending server at SOCKET lends: what malloc gives "
	"it lies on free pages of the device.  When there are no more, ordinary memory takes their "
	"place.  This process becomes the program, so signals and exit status are the program's."
	"\v"
	"Examples:\n"
	"  nbdkit kmemblk /dev/dax0.0 lend=/run/kmemblk/lend.sock\n"
	"  kmemblk run --lend=/run/kmemblk/lend.sock -- redis-server --port 7000\n"
	"  kmemblk run --lend=/run/kmemblk/lend.sock --limit=4G -- ./simulation\n";

enum {
	OPTION_LEND = 256,
	OPTION_LIMIT,
	OPTION_STRICT,
	OPTION_VERBOSE,
};

static const struct argp_option options[] = {
	{ "lend", OPTION_LEND, "SOCKET", 0, "the socket of the lending server", 0 },
	{ "limit", OPTION_LIMIT, "SIZE", 0, "borrow at most this much", 0 },
	{ "strict", OPTION_STRICT, NULL, 0, "no ordinary memory: malloc fails instead", 0 },
	{ "verbose", OPTION_VERBOSE, NULL, 0,
	  "print at the end, for each process, how much was borrowed and how much of its heap was "
	  "ordinary memory",
	  0 },
	{ 0 },
};

struct arguments {
	const char *socket;
	uint64_t limit; /* 0 none */
	bool strict, verbose;
	char **program; /* in argv, NULL-terminated */
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	const char *wrong;

	switch (key) {
	case OPTION_LEND:
		arguments->socket = arg;
		return 0;
	case OPTION_LIMIT:
		wrong = size_parse(arg, &arguments->limit);
		if (wrong != NULL)
			argp_error(state, "--limit=%s: %s", arg, wrong);
		return 0;
	case OPTION_STRICT:
		arguments->strict = true;
		return 0;
	case OPTION_VERBOSE:
		arguments->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		/* The rest is the program's. */
		arguments->program = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "PROGRAM is missing: name what to run, such as: -- redis-server");
		return 0;
	case ARGP_KEY_END:
		if (arguments->socket == NULL)
			argp_error(state,
				   "--lend=SOCKET is missing: the socket that the server was given "
				   "as lend=SOCKET");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void set(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		command_no_memory();
}

/* `first`, a separator and what the variable has already, or the other way round. */
static void add(const char *name, const char *value, const char *separator, bool first)
{
	const char *had = getenv(name);
	char *all;

	if (had == NULL || !*had) {
		set(name, value);
		return;
	}
	if (asprintf(&all, "%s%s%s", first ? value : had, separator, first ? had : value) < 0)
		command_no_memory();
	set(name, all);
	free(all);
}

static void set_environment(const struct arguments *arguments, const char *preload)
{
	char number[32], *socket = realpath(arguments->socket, NULL);

	if (socket == NULL) {
		fprintf(stderr, "kmemblk: run: %s: %s\n", arguments->socket, strerror(errno));
		exit(STATUS_FAILED);
	}
	set(ENVIRONMENT_SOCKET, socket);
	free(socket);
	snprintf(number, sizeof(number), "%ld", (long)getpid());
	set(ENVIRONMENT_PID, number);
	unsetenv(ENVIRONMENT_LIMIT);
	unsetenv(ENVIRONMENT_STRICT);
	unsetenv(ENVIRONMENT_VERBOSE);
	if (arguments->limit) {
		snprintf(number, sizeof(number), "%" PRIu64, arguments->limit);
		set(ENVIRONMENT_LIMIT, number);
	}
	if (arguments->strict)
		set(ENVIRONMENT_STRICT, "1");
	if (arguments->verbose)
		set(ENVIRONMENT_VERBOSE, "1");
	/* Its malloc must come before any other. */
	add("LD_PRELOAD", preload, ":", true);
	/* For a program that is linked with jemalloc, which takes the later of two settings. */
	add("MALLOC_CONF", JEMALLOC_OPTIONS, ",", false);
}

/*
 * A core dump leaves mapped files out, and zones are mapped files: adds them to what is dumped, on
 * DAX or not, private or shared (see core(5)).  Without that the program runs as well.
 */
static void dump_zones(void)
{
	static const unsigned long mapped = 1 << 2 | 1 << 3 | 1 << 7 | 1 << 8;
	char text[32];
	ssize_t n;
	int fd = open("/proc/self/coredump_filter", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text) - 1);
	if (n > 0) {
		text[n] = 0;
		n = snprintf(text, sizeof(text), "%#lx\n", strtoul(text, NULL, 16) | mapped);
		n = pwrite(fd, text, (size_t)n, 0);
	}
	close(fd);
}

/* There is a server, it lets this user borrow, and the library is there. */
static int look(const struct arguments *arguments, const char *preload)
{
	struct connection_terms terms;

	if (connection_look(arguments->socket, &terms) != 0)
		return command_failed();
	if (terms.of_device) {
		fprintf(stderr,
			"kmemblk: run: %s: it lends memory of a devdax device, of which nobody can tell "
			"when a program is done with it: serve a file on a DAX file system on the "
			"same memory instead (see nbdkit-kmemblk-plugin(1), \"Lending to other programs\")\n",
			arguments->socket);
		return STATUS_FAILED;
	}
	if (arguments->limit && arguments->limit < terms.zone_size) {
		fprintf(stderr,
			"kmemblk: run: --limit: smaller than a zone, which has %zu bytes here\n",
			terms.zone_size);
		return STATUS_FAILED;
	}
	if (terms.limit < terms.zone_size) {
		fprintf(stderr,
			"kmemblk: run: %s: the server lends less than a zone of %zu bytes\n",
			arguments->socket, terms.zone_size);
		return STATUS_FAILED;
	}
	if (access(preload, R_OK)) {
		fprintf(stderr, "kmemblk: run: %s: %s; is kmemblk installed as a whole?\n", preload,
			strerror(errno));
		return STATUS_FAILED;
	}
	return STATUS_OK;
}

/* Whether the program can have its heap on lent memory at all; if not, this says so. */
static int judge(const struct arguments *arguments)
{
	char path[PATH_MAX], *name, *interpreter;
	enum executable_kind kind = executable_look(arguments->program[0], path);

	if (kind == EXECUTABLE_LOADS)
		return STATUS_OK;
	name = text_printable(arguments->program[0]);
	interpreter = text_printable(path);
	fprintf(stderr, "kmemblk: run: %s: %s%s%s%s, so its heap %s%s%s\n", name,
		*path ? "its interpreter " : "", interpreter, *path ? " " : "",
		executable_obstacle(kind),
		arguments->strict ? "cannot be on lent memory: " : "stays in ordinary memory",
		arguments->strict ? executable_remedy(kind) : "",
		arguments->strict ? ", or leave out --strict" : "");
	free(name);
	free(interpreter);
	return arguments->strict ? STATUS_FAILED : STATUS_OK;
}

int run_main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse_opt,
		.args_doc = "PROGRAM [ARGUMENT...]",
		.doc = doc,
	};
	struct arguments arguments = { 0 };
	char preload[PATH_MAX], *program;
	const char *reason;
	int status;

	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &arguments) ||
	    arguments.program == NULL)
		return STATUS_USAGE;
	place_preload(preload);
	status = look(&arguments, preload);
	if (!status)
		status = judge(&arguments);
	if (status)
		return status;
	set_environment(&arguments, preload);
	dump_zones();
	execvp(arguments.program[0], arguments.program);
	status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
	reason = strerror(errno);
	program = text_printable(arguments.program[0]);
	fprintf(stderr, "kmemblk: run: %s: %s\n", program, reason);
	free(program);
	return status;
}
