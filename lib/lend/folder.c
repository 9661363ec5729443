/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * folder.c - where loan files are.
 *
 * It is on the file system of the device, whose free pages' storage goes into the files.  Nobody but
 * the user that the server runs as may enter it, so that names in it mean what they meant before; and
 * one server has it at a time, by a lock on the folder, since at its start it ends the loans of a server
 * before it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "lend/folder.h"

#define SUFFIX ".loans"
/* Between a server's look at a folder and its lock, the one before may have removed it. */
#define TRIES 10

/* The usual folder: beside the file that is open, wherever its name has led to. */
static int name_usual(const struct device *device, char **path)
{
	char self[32], target[PATH_MAX];
	struct stat own, st;
	size_t size;
	ssize_t n;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", device->fd);
	n = readlink(self, target, sizeof(target) - 1);
	if (n == -1)
		return fail_errno(errno, "lend: %s: cannot tell in which folder it is",
				  device->path);
	target[n] = '\0';
	if (fstat(device->fd, &own) == -1 || stat(target, &st) == -1 || st.st_dev != own.st_dev ||
	    st.st_ino != own.st_ino)
		return fail(ENOENT,
			    "lend: %s: it has no name any more, beside which its loans could be: "
			    "name a folder by lend-folder=",
			    device->path);
	size = strlen(target) + sizeof(SUFFIX);
	*path = malloc(size);
	if (*path == NULL)
		return fail(ENOMEM, "lend: %s: out of memory", device->path);
	snprintf(*path, size, "%s" SUFFIX, target);
	return 0;
}

static int fail_make(const char *path, int err)
{
	const struct passwd *user = getpwuid(geteuid());
	char number[16], reason[128];

	snprintf(number, sizeof(number), "%u", geteuid());
	return fail(err,
		    "lend: %s: cannot make this folder, for the memory that is lent: %s: name "
		    "another by lend-folder=, or type: install -d -m 0700 -o %s %s",
		    path, strerror_r(err, reason, sizeof(reason)),
		    user != NULL ? user->pw_name : number, SHELL_WORD(path));
}

static int check_folder(const struct folder *folder, const struct device *device)
{
	struct stat st, own;

	if (fstat(folder->fd, &st) == -1 || fstat(device->fd, &own) == -1)
		return fail_errno(errno, "lend: %s", folder->path);
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return fail(EPERM,
			    "lend: %s: this folder of lent memory must be the server's own (user "
			    "%u), and closed to all others: type: chown %u %s && chmod 0700 %s",
			    folder->path, geteuid(), geteuid(), SHELL_WORD(folder->path),
			    SHELL_WORD(folder->path));
	if (st.st_dev != own.st_dev)
		return fail(EXDEV,
			    "lend: %s: this folder is on another file system than %s, whose free "
			    "pages are to be lent: name one that is on the same by lend-folder=",
			    folder->path, device->path);
	return 0;
}

/* Open it, and lock it.  -EAGAIN: it has been removed meanwhile. */
static int open_locked(struct folder *folder, const struct device *device)
{
	struct stat st;
	int rc;

	if (mkdir(folder->path, 0700) == -1 && errno != EEXIST)
		return fail_make(folder->path, errno);
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder->fd == -1)
		return errno == ENOENT ? -EAGAIN : fail_errno(errno, "lend: %s", folder->path);
	rc = check_folder(folder, device);
	if (rc != 0)
		return rc;
	if (flock(folder->fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK
			       ? fail(EBUSY,
				      "lend: %s: another server has its lent memory in this "
				      "folder: name another by lend-folder=",
				      folder->path)
			       : fail_errno(errno, "lend: %s: cannot lock it", folder->path);
	if (fstat(folder->fd, &st) == 0 && st.st_nlink == 0) {
		close(folder->fd);
		folder->fd = -1;
		return -EAGAIN;
	}
	return 0;
}

/* The largest position that a file there can have. */
static off_t find_beyond(int fd)
{
	off_t low = 0, high = INT64_MAX, middle;

	if (lseek(fd, high, SEEK_SET) != -1)
		return high;
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (lseek(fd, middle, SEEK_SET) != -1)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Make a file as a loan is, and see what it is like there. */
static int try_file(struct folder *folder, const struct device *device)
{
	char name[64];
	struct statx stx;
	int fd, rc = 0;

	snprintf(name, sizeof(name), "%s-try", folder->uuid);
	fd = openat(folder->fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return fail_errno(errno, "lend: %s: cannot make a file for lent memory",
				  folder->path);
	folder->beyond = find_beyond(fd);
	folder->dax = device->media == PM_FSDAX;
	if (folder->dax && (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &stx) == -1 ||
			    !(stx.stx_attributes & STATX_ATTR_DAX)))
		rc = fail(EINVAL,
			  "lend: %s: files in this folder are not DAX, as %s is: type: xfs_io -c "
			  "'chattr +x' %s",
			  folder->path, device->path, SHELL_WORD(folder->path));
	unlinkat(folder->fd, name, 0);
	close(fd);
	return rc;
}

int folder_open(struct folder *folder, const struct device *device, const char *uuid,
		const char *path)
{
	int rc = -EAGAIN;

	*folder = (struct folder){ .fd = -1 };
	snprintf(folder->uuid, sizeof(folder->uuid), "%s", uuid);
	if (path == NULL) {
		rc = name_usual(device, &folder->path);
	} else {
		folder->path = strdup(path);
		rc = folder->path != NULL ? 0 : fail(ENOMEM, "lend: %s: out of memory", path);
	}
	for (int i = 0; rc == 0 && i < TRIES; i++) {
		rc = open_locked(folder, device);
		if (rc != -EAGAIN)
			break;
		rc = i + 1 < TRIES ? 0
				   : fail(EAGAIN, "lend: %s: it is removed again and again",
					  folder->path);
	}
	/* Nobody else's is to be removed. */
	folder->ours = rc == 0 && path == NULL;
	if (rc == 0)
		rc = try_file(folder, device);
	if (rc != 0)
		folder_close(folder);
	return rc;
}

void folder_close(struct folder *folder)
{
	/* While it is locked, and only if no loan is left in it. */
	if (folder->fd != -1 && folder->ours)
		rmdir(folder->path);
	if (folder->fd != -1)
		close(folder->fd);
	free(folder->path);
	*folder = (struct folder){ .fd = -1 };
}
