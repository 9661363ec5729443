/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * holder.c - which process holds a claim.
 *
 * Neither lock of a claim (claim.c) tells a process that holds it now.  /proc/PID/fdinfo lists the
 * locks of each descriptor, so the holder is found by looking through the descriptors of the
 * processes that can be seen.  Whether a descriptor is one of the device tells stat, not the
 * numbers in the line of the lock: some file systems (btrfs, overlay) show another number there.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/devdax.h"
#include "media/holder.h"

/* What a claim locks: the device's node or file, or what the nodes of a devdax device share. */
struct object {
	struct statx id;
	const char *kind; /* of lock, as fdinfo calls it */
	int own_fd;	  /* ours, which is not looked for */
};

/* From what the kernel has at hand: a file on a server that is out of reach must not stop us. */
static bool identify(int folder, const char *path, int flags, struct statx *id)
{
	return statx(folder, path, flags | AT_STATX_DONT_SYNC, STATX_INO, id) == 0;
}

static bool is_same(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	       a->stx_dev_minor == b->stx_dev_minor;
}

/* True if the descriptor holds a lock of this kind that is a claim, not one on lent pages. */
static bool fdinfo_locks(int folder, const char *number, const char *kind)
{
	unsigned long start;
	bool found = false;
	char line[256];
	FILE *file = NULL;
	int fd;

	fd = openat(folder, number, O_RDONLY | O_CLOEXEC);
	if (fd != -1)
		file = fdopen(fd, "r");
	if (file == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		/* lock:	1: OFDLCK  ADVISORY  WRITE -1 00:1a:123 0 4095 */
		if (strncmp(line, "lock:", 5) != 0 || strstr(line, kind) == NULL)
			continue;
		found = sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %lu", &start) == 1 &&
			start < CLAIM_BYTES;
	}
	fclose(file);
	return found;
}

/* True if one of the process's descriptors holds a claim on one of the objects. */
static bool process_locks(const char *pid, const struct object *objects, size_t count)
{
	bool self = atol(pid) == (long)getpid(), found = false;
	struct dirent *entry;
	struct statx id;
	char path[64];
	DIR *fds = NULL, *infos = NULL;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	fds = opendir(path);
	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo", pid);
	infos = opendir(path);
	if (fds == NULL || infos == NULL)
		goto out;
	while (!found && (entry = readdir(fds)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !identify(dirfd(fds), entry->d_name, 0, &id))
			continue;
		for (size_t i = 0; i < count && !found; i++) {
			if (!is_same(&id, &objects[i].id) ||
			    (self && atoi(entry->d_name) == objects[i].own_fd))
				continue;
			found = fdinfo_locks(dirfd(infos), entry->d_name, objects[i].kind);
		}
	}
out:
	if (fds != NULL)
		closedir(fds);
	if (infos != NULL)
		closedir(infos);
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

/* What a claim on the device locks; how many they are. */
static size_t find_objects(const struct device *device, struct object objects[2])
{
	size_t count = 0;
	int fd = device->shared_fd;

	objects[0] = (struct object){ .kind = "OFDLCK", .own_fd = device->fd };
	if (identify(device->fd, "", AT_EMPTY_PATH, &objects[0].id))
		count++;
	if (device->media != PM_DEVDAX)
		return count;
	if (fd == -1)
		fd = devdax_open_shared(device);
	if (fd < 0)
		return count;
	objects[count] = (struct object){ .kind = "FLOCK", .own_fd = device->shared_fd };
	if (identify(fd, "", AT_EMPTY_PATH, &objects[count].id))
		count++;
	if (fd != device->shared_fd)
		close(fd);
	return count;
}

bool holder_find(const struct device *device, pid_t *pid, char *name, size_t name_size)
{
	struct object objects[2];
	size_t count = find_objects(device, objects);
	struct dirent *entry;
	bool found = false;
	DIR *proc;

	proc = opendir("/proc");
	if (proc == NULL)
		return false;
	while (!found && (entry = readdir(proc)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		found = process_locks(entry->d_name, objects, count);
		if (found) {
			*pid = (pid_t)atol(entry->d_name);
			read_process_name(entry->d_name, name, name_size);
		}
	}
	closedir(proc);
	return found;
}
