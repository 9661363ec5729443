/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devloan.c - the loan on devdax, which has no files: a zone of the device, through an open file description
 * of its own that has a lock on the zone's bytes.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "lend/devloan.h"
#include "pages/pool.h"

/* A new open file description of the device: the descriptor or -errno. */
static int open_anew(const struct device *device)
{
	char self[32];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", device->fd);
	fd = open(self, O_RDWR | O_CLOEXEC);
	return fd == -1 ? -errno : fd;
}

int devloan_open(const struct device *device, uint64_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)offset,
		.l_len = (off_t)ZONE_BYTES,
	};
	int fd = open_anew(device), rc;

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	rc = errno == EACCES ? -EAGAIN : -errno;
	close(fd);
	return rc;
}

int devloan_check(const struct device *device)
{
	const struct passwd *user;
	char number[16], reason[128];
	int fd = open_anew(device);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (fd != -EACCES && fd != -EPERM)
		return fail(-fd,
			    "start: %s: cannot open it again through /proc/self/fd, as each loan "
			    "must: %s",
			    device->path, strerror_r(-fd, reason, sizeof(reason)));
	user = getpwuid(geteuid());
	snprintf(number, sizeof(number), "%u", geteuid());
	return fail(-fd,
		    "start: %s: cannot lend: the server runs as user %s, who may not write the "
		    "device, as each loan must: to let that user, type: chown %s %s",
		    device->path, user != NULL ? user->pw_name : number,
		    user != NULL ? user->pw_name : number, SHELL_WORD(device->path));
}
