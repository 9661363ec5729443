/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen.c - the socket of a lending server: made with its owner and mode, in place of a dead one,
 * and removed if it is still the same.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kmemblk.h"
#include "lending.h"

/* Bind, in place of a socket that nobody listens on any more. */
static int bind_socket(struct lending *lending, const struct sockaddr_un *address)
{
	const struct sockaddr *sa = (const struct sockaddr *)address;
	int probe, rc;

	if (bind(lending->listener, sa, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	/* A server that is stopped may not answer: then it is in use. */
	probe = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe == -1)
		return -errno;
	rc = connect(probe, sa, sizeof(*address)) == -1 ? -errno : 0;
	close(probe);
	/* Only this says that it is a socket, and that its server has gone. */
	if (rc != -ECONNREFUSED || unlink(address->sun_path) == -1)
		return -EADDRINUSE;
	return bind(lending->listener, sa, sizeof(*address)) == 0 ? 0 : -errno;
}

int lending_listen(struct lending *lending, const struct kmemblk_lend_options *options)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t mode = options->mode != 0 ? options->mode : 0600, mask;
	int rc;

	if (strlen(options->socket) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, options->socket);
	lending->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (lending->listener == -1)
		return -errno;
	/* Closed to all until it has its owner and mode. */
	mask = umask(0177);
	rc = bind_socket(lending, &address);
	umask(mask);
	if (rc != 0)
		return rc;
	lending->path = strdup(options->socket);
	if (lending->path == NULL || stat(options->socket, &st) == -1) {
		unlink(options->socket);
		return -ENOMEM;
	}
	lending->path_dev = st.st_dev;
	lending->path_ino = st.st_ino;
	if (chown(options->socket, options->owner, options->group) == -1 ||
	    chmod(options->socket, mode) == -1 || listen(lending->listener, 128) == -1)
		return -errno;
	return 0;
}

void lending_remove_socket(const struct lending *lending)
{
	struct stat st;

	if (lending->path != NULL && lstat(lending->path, &st) == 0 &&
	    st.st_dev == lending->path_dev && st.st_ino == lending->path_ino)
		unlink(lending->path);
}
