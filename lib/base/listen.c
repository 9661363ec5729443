/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen.c - a server's socket: made with its owner and mode, in place of a dead one and of nothing else,
 * and removed if it is still the same.
 *
 * A name can be exchanged between a look at it and a call that changes what it names.  So:
 *
 *  - The socket is made in a private folder beside its place, which nobody else can enter.  There it
 *    gets its owner and mode, and begins to listen; then it gets its name by linkat(), which replaces
 *    nothing.
 *  - What stands in the way must be a socket that no process has bound any more.  It is moved into the
 *    private folder and looked at again there, before it is removed.  What has come in its place
 *    meanwhile goes back.
 *  - Servers take turns: each has a lock on the folder while it does this.  So no server ever moves the
 *    socket of another that lives.
 *
 * A server that is killed meanwhile leaves the private folder (.kmemblk-...) behind, with a socket at
 * the most.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/kind.h"
#include "base/listen.h"

/* Names in the private folder: the new socket, and what was in its way. */
#define NEW "new"
#define OLD "old"
/* How long to wait for another server's turn, and between tries. */
#define TURN_MS 10000
#define TRY_NS	5000000L
/* How long to wait where no descriptor is left for who connects. */
#define PAUSE_MS 20

struct private
{
	char name[40];
	int fd; /* -1 none */
};

/* ---- the folder ----------------------------------------------------------------------------- */

static int split_path(struct listener *l, const struct listener_options *options)
{
	char *copy = strdup(options->path);
	int rc = 0;

	l->name = strdup(options->path);
	if (copy == NULL || l->name == NULL) {
		rc = fail(ENOMEM, "%s: %s: out of memory", options->what, options->path);
		goto out;
	}
	/* basename() may point into what it is given. */
	memmove(l->name, basename(copy), strlen(basename(copy)) + 1);
	strcpy(copy, options->path);
	l->folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->folder == -1)
		rc = fail_errno(errno, "%s: %s: cannot open its folder", options->what,
				options->path);
out:
	free(copy);
	return rc;
}

/* Where the file system has no such locks (NFS), servers that start at once may disturb each other. */
static int take_turn(int folder, const struct listener_options *options)
{
	struct timespec until = deadline_after(TURN_MS), pause = { .tv_nsec = TRY_NS };

	while (flock(folder, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK) {
		if (deadline_passed(&until))
			return fail(EADDRINUSE,
				    "%s: %s: another process has locked the folder: choose a "
				    "folder that others cannot read",
				    options->what, options->path);
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* A folder that only this user can enter, so that names in it mean what they meant before. */
static int make_private(const struct listener *l, struct private *private,
			const struct listener_options *options)
{
	unsigned long long number;
	struct stat st;
	int tries = 0, rc;

	private->fd = -1;
	do {
		if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
			return fail_errno(errno, "%s: %s: random number", options->what,
					  options->path);
		snprintf(private->name, sizeof(private->name), ".kmemblk-%016llx", number);
		rc = mkdirat(l->folder, private->name, 0700);
	} while (rc == -1 && errno == EEXIST && ++tries < 10);
	if (rc == -1)
		return fail_errno(errno, "%s: %s: cannot make a socket in its folder",
				  options->what, options->path);
	private->fd =
		openat(l->folder, private->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (private->fd == -1) {
		rc = fail_errno(errno, "%s: %s: cannot make a socket in its folder", options->what,
				options->path);
		unlinkat(l->folder, private->name, AT_REMOVEDIR);
		return rc;
	}
	if (fstat(private->fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 0777) == 0700)
		return 0;
	/* Not the one that was made: nothing in it is ours. */
	close(private->fd);
	private->fd = -1;
	return fail(EACCES,
		    "%s: %s: another user exchanges files in its folder: choose a folder that "
		    "only you can write",
		    options->what, options->path);
}

static void remove_private(const struct listener *l, struct private *private)
{
	if (private->fd == -1)
		return;
	unlinkat(private->fd, NEW, 0);
	/* Only if it is empty: what could not be put back stays. */
	unlinkat(l->folder, private->name, AT_REMOVEDIR);
	close(private->fd);
	private->fd = -1;
}

/* ---- what is in the way --------------------------------------------------------------------- */

/* The address of a socket in a folder that is open; false if the name is too long for one. */
static bool address_in(struct sockaddr_un *address, int folder, const char *name)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", folder,
			name) < (int)sizeof(address->sun_path);
}

/*
 * 0 if there is a socket that no process has bound any more, else -errno with message.  A socket for
 * datagrams asks: it disturbs no server, and tells also of one that does not listen yet (EPROTOTYPE).
 */
static int check_dead(int folder, const char *name, const struct listener_options *options)
{
	struct sockaddr_un address;
	struct stat st;
	int probe, rc;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return errno == ENOENT ? 0
				       : fail_errno(errno, "%s: %s", options->what, options->path);
	if (!S_ISSOCK(st.st_mode))
		return fail(EEXIST, "%s: %s: %s is there, not a socket: choose another name",
			    options->what, options->path, kind_name(st.st_mode));
	if (!address_in(&address, folder, name))
		return fail(ENAMETOOLONG,
			    "%s: %s: a socket is there, whose name is too long to see whether it "
			    "is in use: choose a shorter name",
			    options->what, options->path);
	probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe == -1)
		return fail_errno(errno, "%s: %s", options->what, options->path);
	rc = connect(probe, (const struct sockaddr *)&address, sizeof(address)) == -1 ? errno : 0;
	close(probe);
	if (rc == ECONNREFUSED)
		return 0;
	if (rc == EACCES)
		return fail(EADDRINUSE,
			    "%s: %s: a socket of another user is there, which may be in use: "
			    "choose another name",
			    options->what, options->path);
	return fail(EADDRINUSE, "%s: %s: in use by another server: choose another name",
		    options->what, options->path);
}

/* Take a dead socket away from the place, and nothing else. */
static int clear_place(const struct listener *l, const struct private *private,
		       const struct listener_options *options)
{
	int rc = check_dead(l->folder, l->name, options);

	if (rc != 0)
		return rc;
	if (renameat(l->folder, l->name, private->fd, OLD) == -1)
		return errno == ENOENT
			       ? 0
			       : fail_errno(errno,
					    "%s: %s: the socket of a server that has ended is "
					    "there and cannot be removed",
					    options->what, options->path);
	/* Here nobody exchanges it any more. */
	rc = check_dead(private->fd, OLD, options);
	if (rc == 0)
		unlinkat(private->fd, OLD, 0);
	else if (renameat2(private->fd, OLD, l->folder, l->name, RENAME_NOREPLACE) == -1)
		return fail(EADDRINUSE,
			    "%s: %s: it came into being while the server started, and is now "
			    "%s/%s in the same folder: move it back",
			    options->what, options->path, private->name, OLD);
	return rc;
}

/* ---- the socket ----------------------------------------------------------------------------- */

/* Bound, and listening, in the private folder.  It is closed to all until it has its owner. */
static int make_socket(struct listener *l, const struct private *private,
		       const struct listener_options *options)
{
	mode_t mode = options->mode != 0 ? options->mode : 0600;
	struct sockaddr_un address;
	struct stat st;

	if (!address_in(&address, private->fd, NEW) ||
	    bind(l->fd, (const struct sockaddr *)&address, sizeof(address)) == -1 ||
	    fstatat(private->fd, NEW, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return fail_errno(errno, "%s: %s", options->what, options->path);
	if (fchownat(private->fd, NEW, options->owner, options->group, AT_SYMLINK_NOFOLLOW) == -1)
		return fail_errno(errno, "%s: %s: cannot give it to its owner and group",
				  options->what, options->path);
	if (fchmodat(private->fd, NEW, mode, 0) == -1 || listen(l->fd, 128) == -1)
		return fail_errno(errno, "%s: %s", options->what, options->path);
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

static int name_socket(struct listener *l, const struct private *private,
		       const struct listener_options *options)
{
	int rc;

	if (linkat(private->fd, NEW, l->folder, l->name, 0) == -1) {
		if (errno != EEXIST)
			return fail_errno(errno, "%s: %s", options->what, options->path);
		rc = clear_place(l, private, options);
		if (rc != 0)
			return rc;
		if (linkat(private->fd, NEW, l->folder, l->name, 0) == -1)
			return fail_errno(errno, "%s: %s", options->what, options->path);
	}
	l->named = true;
	return 0;
}

int listener_make(struct listener *l, const struct listener_options *options)
{
	struct private private = { .fd = -1 };
	int rc;

	/* Clients must be able to name it. */
	if (strlen(options->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return fail(ENAMETOOLONG, "%s: %s: longer than the %zu bytes of a socket's path",
			    options->what, options->path,
			    sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
	l->fd = socket(AF_UNIX, options->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd == -1)
		return fail_errno(errno, "%s: %s", options->what, options->path);
	rc = split_path(l, options);
	if (rc == 0)
		rc = take_turn(l->folder, options);
	if (rc != 0)
		return rc;
	rc = make_private(l, &private, options);
	if (rc == 0)
		rc = make_socket(l, &private, options);
	if (rc == 0)
		rc = name_socket(l, &private, options);
	remove_private(l, &private);
	flock(l->folder, LOCK_UN);
	return rc;
}

/*
 * While it still listens, so no other server takes it for a dead one and puts its own there: that needs no
 * turn, which another user's lock on the folder could keep from us.
 */
static void remove_name(const struct listener *l)
{
	struct stat st;

	if (fstatat(l->folder, l->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode) &&
	    st.st_dev == l->dev && st.st_ino == l->ino)
		unlinkat(l->folder, l->name, 0);
}

int listener_accept(const struct listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	/* Out of descriptors the thread would be told of the same connection for ever. */
	if (fd == -1 && (errno == EMFILE || errno == ENFILE))
		poll(NULL, 0, PAUSE_MS);
	return fd;
}

void listener_close(struct listener *l)
{
	if (l->named)
		remove_name(l);
	if (l->folder != -1)
		close(l->folder);
	if (l->fd != -1)
		close(l->fd);
	free(l->name);
}
