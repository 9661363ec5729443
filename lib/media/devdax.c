/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * devdax.c - the nodes of one devdax device.
 *
 * A device can have any number of nodes: the kernel makes one, /dev/NAME on devtmpfs, and mknod, as
 * container runtimes call it, makes more.  Each has an inode of its own, and a lock on one is not
 * seen on another.  What they share is the device's folder in sysfs.  So a claim (claim.c) locks
 * that folder too.
 *
 * Zones that are lent to other processes are locks on bytes, and a folder has none.  So a device is
 * lent only through the kernel's node, and who writes through another node looks at that one first.
 *
 * Each network namespace has a sysfs of its own: what is served in one cannot be seen in another.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "media/devdax.h"

/* The device's folder in sysfs. */
static int name_folder(const struct device *device, char *path, size_t size, const char *file)
{
	struct stat st;

	if (fstat(device->fd, &st) == -1)
		return fail_errno(errno, "claim: %s", device->path);
	snprintf(path, size, "/sys/dev/char/%u:%u%s", major(st.st_rdev), minor(st.st_rdev), file);
	return 0;
}

int devdax_open_shared(const struct device *device)
{
	char path[64];
	int fd, rc = name_folder(device, path, sizeof(path), "");

	if (rc != 0)
		return rc;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd != -1 ? fd : fail_errno(errno, "claim: %s: %s", device->path, path);
}

/* The path of the kernel's node, such as /dev/dax0.0. */
static int name_kernel_node(const struct device *device, char *path, size_t size)
{
	char line[128], uevent[80];
	bool found = false;
	FILE *file;
	int rc = name_folder(device, uevent, sizeof(uevent), "/uevent");

	if (rc != 0)
		return rc;
	file = fopen(uevent, "re");
	if (file == NULL)
		return fail_errno(errno, "claim: %s: %s", device->path, uevent);
	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = strncmp(line, "DEVNAME=", 8) == 0;
	fclose(file);
	if (!found)
		return fail(EINVAL, "claim: %s: %s does not name the device", device->path, uevent);
	line[strcspn(line, "\n")] = '\0';
	snprintf(path, size, "/dev/%s", line + 8);
	return 0;
}

static bool is_same_inode(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int devdax_open_kernel_node(const struct device *device, int *fd)
{
	struct stat own, st;
	char path[160];
	int rc = name_kernel_node(device, path, sizeof(path));

	if (rc != 0)
		return rc;
	if (fstat(device->fd, &own) == -1)
		return fail_errno(errno, "claim: %s", device->path);
	if (stat(path, &st) == -1 || !S_ISCHR(st.st_mode) || st.st_rdev != own.st_rdev ||
	    is_same_inode(&st, &own))
		return 0;
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd != -1)
		return 1;
	return fail_errno(errno,
			  "claim: %s: another node of %s, which must be looked at for memory that "
			  "is lent; as root, type: chown %u %s; it cannot be opened",
			  device->path, path, geteuid(), SHELL_WORD(path));
}

/* True if a file system of this number is a devtmpfs: what the kernel makes nodes on. */
static bool is_devtmpfs(dev_t dev)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool found = false;
	char *line = NULL, *type;
	size_t size = 0;
	unsigned int maj, min;

	if (file == NULL)
		return false;
	while (!found && getline(&line, &size, file) != -1) {
		/* 24 1 0:6 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw */
		type = strstr(line, " - ");
		found = type != NULL && strncmp(type + 3, "devtmpfs ", 9) == 0 &&
			sscanf(line, "%*u %*u %u:%u", &maj, &min) == 2 && makedev(maj, min) == dev;
	}
	free(line);
	fclose(file);
	return found;
}

int devdax_check_lendable(const struct device *device)
{
	struct stat own, st;
	char path[160];
	int rc = name_kernel_node(device, path, sizeof(path));

	if (rc != 0)
		return rc;
	if (fstat(device->fd, &own) == 0 && stat(path, &st) == 0 && is_same_inode(&own, &st) &&
	    is_devtmpfs(st.st_dev))
		return 0;
	return fail(EINVAL,
		    "lend: %s: not the node that the kernel made of this device: a server on that "
		    "one would not see what is lent here; open %s of the host instead",
		    device->path, path);
}
