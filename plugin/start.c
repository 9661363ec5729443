/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * start.c - the command that starts a server learns whether it serves.
 *
 * nbdkit goes to the background by fork(): its parent exits with 0 at once, and what fails in the child
 * after that, in .after_fork, is told to the system's log at best.  So the parent waits for a word of
 * the child's.  Nothing calls us there, but exit() does: a handler of on_exit(), which knows the status
 * that the process was about to exit with, reads from a pipe that was made before the fork.  The child
 * writes one packet: a NUL if it serves, or the sentence that says why not.  If the child ends without
 * a word, that is the end of the pipe.  Under --run the child has the terminal still, and nbdkit_error()
 * has told it there: the packet then says so by TOLD at its beginning, and the parent is silent.
 *
 * The handler runs in every process that inherits it, so it asks who it is:
 *
 *  - the child: nothing is to be done.  What failed there was told, and closed, in .after_fork.
 *  - the process that called .get_ready, and serves itself (-f, -s, socket activation): nothing either.
 *  - the same, ending with an error: the start has failed before the fork, as when the NBD port is in
 *    use, of which no callback is told (or a command of --run has failed; its server has ended by
 *    then).  What was made is removed.
 *  - the same, ending with 0: it has gone to the background, or was a command of --run.  It waits for
 *    the word, and if that is not good, says it and exits with 1.
 *
 * Nothing here touches the device: only the parent of a child that does not serve gives it up.  The
 * plugin is never unloaded (-z nodelete), so the handler is there when it is called.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "start.h"

#define WORD_MAX 2048
#define TOLD	 "\001"

static pid_t launcher;	/* the process that called .get_ready */
static bool began_here; /* .after_fork was called in this process */
static int word_pipe[2] = { -1, -1 };
static char failure[WORD_MAX - sizeof(TOLD)]; /* why it does not serve */
/* What .get_ready had as standard input, standard error and current folder. */
static struct stat surroundings[3];
static void (*abandon)(void);

static void close_pipe(void)
{
	for (int i = 0; i < 2; i++) {
		if (word_pipe[i] != -1)
			close(word_pipe[i]);
		word_pipe[i] = -1;
	}
}

/* The child's word: true if it serves, else with the reason. */
static bool hear_word(char reason[WORD_MAX])
{
	ssize_t n;

	close(word_pipe[1]);
	word_pipe[1] = -1;
	do {
		n = read(word_pipe[0], reason, WORD_MAX - 1);
	} while (n == -1 && errno == EINTR);
	if (n > 0) {
		reason[n] = '\0';
		return reason[0] == '\0';
	}
	snprintf(reason, WORD_MAX,
		 "the server ended before it served: to see why, start it with -f");
	return false;
}

static void at_exit(int status, void *opaque)
{
	char reason[WORD_MAX];

	if (getpid() != launcher || began_here)
		return;
	if (status != 0) {
		abandon();
		return;
	}
	if (hear_word(reason))
		return;
	if (reason[0] != TOLD[0])
		fprintf(stderr, "nbdkit: kmemblk: error: %s\n", reason);
	abandon();
	/* In a handler, exit() is not allowed. */
	fflush(NULL);
	_exit(EXIT_FAILURE);
}

static bool look_around(struct stat seen[3])
{
	return fstat(STDIN_FILENO, &seen[0]) == 0 && fstat(STDERR_FILENO, &seen[1]) == 0 &&
	       stat(".", &seen[2]) == 0;
}

/* Going to the background changes at least one of them, mostly all; nothing else does. */
static bool is_in_foreground(void)
{
	struct stat now[3];

	if (!look_around(now))
		return false;
	for (int i = 0; i < 3; i++)
		if (now[i].st_dev != surroundings[i].st_dev ||
		    now[i].st_ino != surroundings[i].st_ino)
			return false;
	return true;
}

int start_get_ready(void (*how_to_abandon)(void))
{
	look_around(surroundings);
	launcher = getpid();
	abandon = how_to_abandon;
	if (pipe2(word_pipe, O_CLOEXEC) == -1 || on_exit(at_exit, NULL) != 0) {
		nbdkit_error("start: cannot make a pipe: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* A packet of this size is written whole or not at all, and there is room for it. */
static void say_word(const char *word, size_t length)
{
	began_here = true;
	if (write(word_pipe[1], word, length) == -1)
		nbdkit_debug("start: nobody waits for it: %s", strerror(errno));
	close_pipe();
}

void start_succeeded(void)
{
	say_word("", 1);
}

void start_failed(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(failure, sizeof(failure), format, args);
	va_end(args);
	nbdkit_error("%s", failure);
}

void start_tell_failure(void)
{
	char word[WORD_MAX];

	snprintf(word, sizeof(word), "%s%s", is_in_foreground() ? TOLD : "", failure);
	say_word(word, strlen(word));
}
