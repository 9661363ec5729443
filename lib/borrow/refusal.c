/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refusal.c - why a borrower has no connection, in words, and what to do.
 *
 * No command is proposed that would replace what is there, unless that is a socket, and none that
 * would fail.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.h"
#include "base/kind.h"
#include "base/shell.h"
#include "borrow/refusal.h"

/* Nothing is there. */
static int fail_absent(const char *what, const char *socket)
{
	struct stat st;

	if (lstat(socket, &st) == 0 && S_ISLNK(st.st_mode))
		return fail(ENOENT,
			    "%s: %s: a symbolic link that leads to nothing: name the socket that a "
			    "server was given as lend=SOCKET",
			    what, socket);
	if (!kind_has_folder(socket))
		return fail(ENOENT,
			    "%s: %s: its folder does not exist: name the socket that a server was "
			    "given as lend=SOCKET",
			    what, socket);
	return fail(ENOENT, "%s: %s: no lending server; start one: nbdkit kmemblk DEVICE lend=%s",
		    what, socket, SHELL_WORD(socket));
}

/* Whether it is the socket or a folder that keeps this user out shows in who may look at it. */
static int fail_denied(const char *what, const char *socket)
{
	struct stat st;

	if (stat(socket, &st) != 0 && errno == EACCES)
		return fail(
			EACCES,
			"%s: %s: permission denied: this user may not enter a folder on the way "
			"to the socket, which lend-mode= and lend-group= do not change: let the "
			"user enter it, or have the socket in another folder",
			what, socket);
	return fail(EACCES,
		    "%s: %s: permission denied: this user may not connect to the socket: "
		    "see lend-mode= and lend-group= in nbdkit-kmemblk-plugin(1)",
		    what, socket);
}

/* What is wrong with the name; 0 for nothing. */
static int fail_name(int rc, const char *what, const char *socket)
{
	struct stat st;

	if (socket[0] == '\0')
		return fail(-rc,
			    "%s: no socket is named: name the socket that a server was given as "
			    "lend=SOCKET",
			    what);
	if (stat(socket, &st) == 0 && !S_ISSOCK(st.st_mode))
		return fail(-rc,
			    "%s: %s: %s is there, not a socket: name the socket that a server was "
			    "given as lend=SOCKET",
			    what, socket, kind_name(st.st_mode));
	switch (-rc) {
	case ENOENT:
		return fail_absent(what, socket);
	case EACCES:
		return fail_denied(what, socket);
	case ENOTDIR:
		return fail(-rc,
			    "%s: %s: its folder is not one: name the socket that a server was "
			    "given as lend=SOCKET",
			    what, socket);
	case ENAMETOOLONG:
		return fail(-rc, "%s: %s: longer than the %zu bytes of a socket's path", what,
			    socket, sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	default:
		return 0;
	}
}

int refusal_fail(int rc, const char *what, const char *socket)
{
	if (fail_name(rc, what, socket) != 0)
		return rc;
	switch (-rc) {
	case ECONNREFUSED:
		return fail(-rc,
			    "%s: %s: the server has ended; start it again: nbdkit kmemblk DEVICE "
			    "lend=%s",
			    what, socket, SHELL_WORD(socket));
	case EPERM:
		return fail(-rc,
			    "%s: %s: the server does not lend to this user: see lend-allow= in "
			    "nbdkit-kmemblk-plugin(1)",
			    what, socket);
	case EUSERS:
		return fail(-rc,
			    "%s: %s: the server has no room for one more borrower: raise its limit "
			    "on open files (ulimit -n, or LimitNOFILE= of a service)",
			    what, socket);
	case EPROTO:
		return fail(-rc,
			    "%s: %s: what answers is no lending server, or one of another version "
			    "of kmemblk",
			    what, socket);
	case ETIMEDOUT:
		return fail(
			-rc,
			"%s: %s: the server is there and does not answer: it is stopped or busy; "
			"try again",
			what, socket);
	default:
		return fail_errno(-rc, "%s: %s", what, socket);
	}
}
