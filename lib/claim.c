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
 * An OFD lock has no owner's process id.  /proc/PID/fdinfo lists each descriptor's locks, so the
 * holder is found by looking for a lock on the same inode in the processes that can be seen.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "error.h"

/* True if the fdinfo file holds an OFD lock on the inode that is a claim, not one on lent pages. */
static bool fdinfo_locks(const char *fdinfo, const struct stat *st)
{
	bool found = false;
	char line[256];
	unsigned int maj, min;
	unsigned long inode, start;
	FILE *file = fopen(fdinfo, "re");

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		/* lock:	1: OFDLCK  ADVISORY  WRITE -1 00:1a:123 0 4095 */
		if (strncmp(line, "lock:", 5) != 0 || strstr(line, "OFDLCK") == NULL)
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %x:%x:%lu %lu", &maj, &min, &inode,
			   &start) == 4)
			found = inode == st->st_ino && makedev(maj, min) == st->st_dev &&
				start < CLAIM_BYTES;
	}
	fclose(file);
	return found;
}

/* True if one of the process's descriptors, other than our own `own_fd`, locks the inode. */
static bool process_locks(const char *pid, const struct stat *st, int own_fd)
{
	char dir_path[64], path[sizeof(dir_path) + 256];
	bool self = atol(pid) == (long)getpid();
	bool found = false;
	struct dirent *entry;
	DIR *dir;

	snprintf(dir_path, sizeof(dir_path), "/proc/%.20s/fdinfo", pid);
	dir = opendir(dir_path);
	if (dir == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (self && atoi(entry->d_name) == own_fd)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
		found = fdinfo_locks(path, st);
	}
	closedir(dir);
	return found;
}

static void read_process_name(const char *pid, char *name, size_t name_size)
{
	char path[64];
	FILE *file;

	snprintf(name, name_size, "?");
	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fgets(name, (int)name_size, file) != NULL)
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

bool claim_find_holder(const struct device *device, pid_t *pid, char *name, size_t name_size)
{
	bool found = false;
	struct dirent *entry;
	struct stat st;
	DIR *proc;

	if (fstat(device->fd, &st) == -1)
		return false;
	proc = opendir("/proc");
	if (proc == NULL)
		return false;
	while (!found && (entry = readdir(proc)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		found = process_locks(entry->d_name, &st, device->fd);
		if (found) {
			*pid = (pid_t)atol(entry->d_name);
			read_process_name(entry->d_name, name, name_size);
		}
	}
	closedir(proc);
	return found;
}

static int fail_busy(const struct device *device)
{
	char name[32];
	pid_t pid;

	if (claim_find_holder(device, &pid, name, sizeof(name)))
		return fail(EBUSY, "claim: %s: in use by process %ld (%s)", device->path, (long)pid,
			    name);
	return fail(EBUSY, "claim: %s: in use by another process (run as root to see which)",
		    device->path);
}

int claim_take(const struct device *device)
{
	struct flock lock = {
		.l_type = device->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = 0,
		.l_len = CLAIM_BYTES,
	};

	if (fcntl(device->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return fail_busy(device);
	return fail_errno(errno, "claim: %s", device->path);
}

int claim_locked(const struct device *device, uint64_t offset, uint64_t length)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)offset,
		.l_len = (off_t)length,
	};

	if (fcntl(device->fd, F_OFD_GETLK, &lock) == -1)
		return fail_errno(errno, "claim: %s", device->path);
	return lock.l_type != F_UNLCK;
}

int claim_check_borrowers(const struct device *device)
{
	/* Length 0: to the end. */
	int rc = claim_locked(device, CLAIM_BYTES, 0);

	if (rc <= 0)
		return rc;
	return fail(
		EBUSY,
		"claim: %s: pages of it are used as memory by programs that have borrowed them: "
		"end those first; they show in /proc/PID/maps",
		device->path);
}
