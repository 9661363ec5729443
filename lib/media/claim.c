/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * claim.c - one writable open of a device, in any process.
 *
 * The claim is an open file description (OFD) lock on the superblock's bytes: the kernel drops it
 * when the last descriptor of that description is closed, so a killed server leaves nothing behind,
 * it holds between two handles of one process as between processes, and a forked child keeps it.
 * Readers take it shared: a reader in another process is outside a writer's grace periods and could
 * be shown a page in the middle of its reuse (invariant 4).
 *
 * On devdax that lock is one of the node, of which a device can have several (devdax.c).  There the
 * claim is a second lock as well, flock() on the device's folder in sysfs, with the same life.  The
 * first stays: a program that knows only that one (kmemblk-format(5)) is seen, and sees us.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "media/claim.h"
#include "media/devdax.h"
#include "media/holder.h"

/* How often a claim is tried that somebody has who cannot be found. */
#define TRIES 3u

/* True if it is to be tried again: who had it is not to be found, and has most often just ended. */
static bool try_again(const struct device *device, unsigned int *tries)
{
	char name[32];
	pid_t pid;

	return (*tries)++ < TRIES && !holder_find(device, &pid, name, sizeof(name));
}

static int fail_busy(const struct device *device)
{
	char name[32];
	pid_t pid;

	if (holder_find(device, &pid, name, sizeof(name)))
		return fail(EBUSY, "claim: %s: in use by process %ld (%s)", device->path, (long)pid,
			    name);
	if (geteuid() == 0)
		return fail(EBUSY,
			    "claim: %s: in use by a process that cannot be seen from here; it may "
			    "be in another container, or see the device through another path",
			    device->path);
	return fail(EBUSY,
		    "claim: %s: in use by another process, which this user cannot see; to see it, "
		    "as root, type: kmemblk info %s",
		    device->path, SHELL_WORD(device->path));
}

static int lock_node(const struct device *device)
{
	struct flock lock = {
		.l_type = device->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = 0,
		.l_len = CLAIM_BYTES,
	};
	unsigned int tries = 0;
	int rc;

	do
		rc = fcntl(device->fd, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
	while ((rc == -EAGAIN || rc == -EACCES) && try_again(device, &tries));
	if (rc == -EAGAIN || rc == -EACCES)
		return fail_busy(device);
	return rc == 0 ? 0 : fail_errno(-rc, "claim: %s", device->path);
}

/* On a descriptor for reading, which is all that sysfs gives, an exclusive flock() works as well. */
static int lock_shared(struct device *device)
{
	int rc, operation = (device->readonly ? LOCK_SH : LOCK_EX) | LOCK_NB;
	unsigned int tries = 0;

	rc = devdax_open_shared(device);
	if (rc < 0)
		return rc;
	device->shared_fd = rc;
	do
		rc = flock(device->shared_fd, operation) == 0 ? 0 : -errno;
	while (rc == -EWOULDBLOCK && try_again(device, &tries));
	if (rc == -EWOULDBLOCK)
		return fail_busy(device);
	return rc == 0 ? 0 : fail_errno(-rc, "claim: %s: its folder in /sys", device->path);
}

/* 1 if another open file description has a lock in the range, 0 if not; -errno without message. */
static int is_held(int fd, uint64_t offset, uint64_t length)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)offset,
		.l_len = (off_t)length,
	};

	if (fcntl(fd, F_OFD_GETLK, &lock) == -1)
		return -errno;
	return lock.l_type != F_UNLCK;
}

static int fail_lent(const struct device *device)
{
	return fail(
		EBUSY,
		"claim: %s: pages of it are used as memory by programs that have borrowed them: "
		"end those first; they show in /proc/PID/maps",
		device->path);
}

/* A writer through another node than the kernel's sees no loans there: it must not be one. */
static int check_kernel_node(const struct device *device)
{
	int fd, claimed, lent, rc = devdax_open_kernel_node(device, &fd);

	if (rc <= 0)
		return rc;
	claimed = is_held(fd, 0, CLAIM_BYTES);
	/* Length 0: to the end. */
	lent = is_held(fd, CLAIM_BYTES, 0);
	close(fd);
	if (claimed < 0 || lent < 0)
		return fail_errno(claimed < 0 ? -claimed : -lent,
				  "claim: %s: the node that the kernel made", device->path);
	if (claimed > 0)
		return fail(EBUSY, "claim: %s: in use through the node that the kernel made of it",
			    device->path);
	return lent > 0 ? fail_lent(device) : 0;
}

int claim_take(struct device *device)
{
	int rc = lock_node(device);

	if (device->media != PM_DEVDAX)
		return rc;
	if (rc == 0)
		rc = lock_shared(device);
	if (rc == 0 && !device->readonly)
		rc = check_kernel_node(device);
	return rc;
}

int claim_is_held(const struct device *device, uint64_t offset, uint64_t length)
{
	int rc = is_held(device->fd, offset, length);

	return rc < 0 ? fail_errno(-rc, "claim: %s", device->path) : rc;
}

int claim_check_borrowers(const struct device *device)
{
	/* Length 0: to the end. */
	int rc = claim_is_held(device, CLAIM_BYTES, 0);

	return rc > 0 ? fail_lent(device) : rc;
}

/*
 * True if /proc/locks has a flock() on what all nodes share.  To try the lock instead would keep a
 * server that starts at that moment from starting.
 */
static bool is_shared_held(const struct device *device)
{
	int fd = devdax_open_shared(device);
	unsigned int maj, min;
	unsigned long inode;
	bool found = false;
	FILE *file = NULL;
	char line[256];
	struct stat st;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0)
		file = fopen("/proc/locks", "re");
	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
		/* 1: FLOCK  ADVISORY  WRITE 123 00:16:4711 0 EOF */
		found = sscanf(line, "%*s FLOCK %*s %*s %*d %x:%x:%lu", &maj, &min, &inode) == 3 &&
			inode == st.st_ino && makedev(maj, min) == st.st_dev;
	if (file != NULL)
		fclose(file);
	close(fd);
	return found;
}

bool claim_is_taken(const struct device *device)
{
	return is_held(device->fd, 0, CLAIM_BYTES) > 0 ||
	       (device->media == PM_DEVDAX && is_shared_held(device));
}
