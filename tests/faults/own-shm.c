/* SPDX-License-Identifier: BSD-3-Clause */
/* own-shm.c - see own-shm.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "own-shm.h"

#define PAGE_SIZE 4096

static int filler = -1;

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd != -1)
		close(fd);
	return written;
}

/* Root of namespaces of our own: who may mount there. */
static bool enter_namespaces(void)
{
	char uids[64], gids[64];

	snprintf(uids, sizeof uids, "0 %u 1", geteuid());
	snprintf(gids, sizeof gids, "0 %u 1", getegid());
	return unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
	       write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", uids) && write_file("/proc/self/gid_map", gids);
}

bool own_shm(uint64_t bytes)
{
	char options[64];

	snprintf(options, sizeof options, "size=%llu,mode=1777", (unsigned long long)bytes);
	if (!enter_namespaces() || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("kmemblk-test", "/dev/shm", "tmpfs", 0, options) == -1) {
		fprintf(stderr, "skipped: no namespace and mount of its own: %m\n");
		return false;
	}
	filler = open("/dev/shm/filler", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	return filler != -1;
}

bool own_shm_fill(void)
{
	static const char zeroes[PAGE_SIZE];

	if (lseek(filler, 0, SEEK_END) == -1)
		return false;
	while (write(filler, zeroes, sizeof zeroes) == sizeof zeroes)
		;
	return errno == ENOSPC && own_shm_left() == 0;
}

bool own_shm_give_back(unsigned int pages)
{
	struct stat st;

	return fstat(filler, &st) == 0 &&
	       ftruncate(filler, st.st_size - (off_t)pages * PAGE_SIZE) == 0 &&
	       own_shm_left() >= pages;
}

uint64_t own_shm_left(void)
{
	struct statvfs fs;

	return fstatvfs(filler, &fs) == 0 ? fs.f_bavail * fs.f_frsize / PAGE_SIZE : UINT64_MAX;
}

bool own_shm_punch(const char *path, uint64_t page)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool punched = fd != -1 && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					     (off_t)page * PAGE_SIZE, PAGE_SIZE) == 0;

	if (fd != -1)
		close(fd);
	return punched && own_shm_fill();
}
