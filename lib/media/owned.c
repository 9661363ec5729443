/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * owned.c - open a path, unless another user may have put something else there.
 *
 * In a folder that others may write, /dev/shm for one, anybody can make a file of the name that a
 * server will look for after the next reboot.  What is in such a folder is used only if it belongs
 * to the caller, to root, or to the folder's owner, who decides in any case what is there; and a
 * file only if no others may write it.  It is the rule of the kernel's fs.protected_regular, for
 * folders without the sticky bit and for folders and symlinks on the way as well.
 *
 * What is judged is what is used: the path is walked part by part, each part is looked at through a
 * descriptor, and the next is looked for from there.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "media/owned.h"

/* As the kernel follows at most. */
#define MOST_SYMLINKS 40

struct walk {
	const char *path; /* for messages */
	int folder;	  /* where the rest is looked for; an O_PATH descriptor */
	struct stat in;	  /* what the folder is */
	char rest[PATH_MAX];
	int symlinks; /* followed */
};

static bool is_shared(const struct stat *folder)
{
	return (folder->st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

static int judge(const struct walk *walk, const char *name, const struct stat *st)
{
	const char *what = S_ISDIR(st->st_mode)	  ? "folder"
			   : S_ISLNK(st->st_mode) ? "symlink"
						  : "file";

	if (!is_shared(&walk->in))
		return 0;
	if (st->st_uid != geteuid() && st->st_uid != 0 && st->st_uid != walk->in.st_uid)
		return fail(EPERM,
			    "open: %s: the %s %s belongs to user %u, who may have put it there, "
			    "since others may write in its folder: use a folder that only you may "
			    "write",
			    walk->path, what, name, st->st_uid);
	if (S_ISREG(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return fail(EPERM,
			    "open: %s: others may write this file and in its folder, and may have "
			    "changed it; if you trust what it holds, type: chmod go-w %s",
			    walk->path, SHELL_WORD(walk->path));
	return 0;
}

/* Look for the rest from another folder.  Takes the descriptor. */
static int enter(struct walk *walk, int fd)
{
	if (fd == -1 || fstat(fd, &walk->in) == -1) {
		int err = errno;

		if (fd != -1)
			close(fd);
		return -err;
	}
	if (walk->folder != -1)
		close(walk->folder);
	walk->folder = fd;
	return 0;
}

/* Put what the symlink says before the rest. */
static int follow(struct walk *walk, int fd)
{
	char target[PATH_MAX];
	size_t length = strlen(walk->rest);
	ssize_t n = readlinkat(fd, "", target, sizeof(target));

	if (n == -1)
		return -errno;
	if (++walk->symlinks > MOST_SYMLINKS)
		return -ELOOP;
	if ((size_t)n + 1 + length + 1 > sizeof(walk->rest))
		return -ENAMETOOLONG;
	memmove(walk->rest + n + 1, walk->rest, length + 1);
	memcpy(walk->rest, target, (size_t)n);
	walk->rest[n] = '/';
	if (target[0] != '/')
		return 0;
	return enter(walk, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

/* Take the next name from the rest; false if there is none. */
static bool next_name(struct walk *walk, char *name)
{
	size_t skip = strspn(walk->rest, "/"), length = strcspn(walk->rest + skip, "/");

	memcpy(name, walk->rest + skip, length);
	name[length] = '\0';
	skip += length;
	skip += strspn(walk->rest + skip, "/");
	memmove(walk->rest, walk->rest + skip, strlen(walk->rest + skip) + 1);
	return length > 0;
}

/* Go into a folder that has been judged. */
static int descend(struct walk *walk, char *name, int fd)
{
	int again;

	if (is_shared(&walk->in))
		return enter(walk, fd);
	/* Once more by its name, with more behind: that mounts what is mounted on demand. */
	strcat(name, "/.");
	again = openat(walk->folder, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	close(fd);
	return enter(walk, again);
}

/* One step of the walk.  1: go on; 0: *fd is what is at the end; -errno with or without message. */
static int step(struct walk *walk, char *name, int *fd, bool *told)
{
	struct stat st;
	int rc;

	*fd = openat(walk->folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (*fd == -1)
		return -errno;
	rc = fstat(*fd, &st) == -1 ? -errno : judge(walk, name, &st);
	*told = rc == -EPERM;
	if (rc != 0 || (walk->rest[0] == '\0' && !S_ISLNK(st.st_mode)))
		return rc;
	if (!S_ISLNK(st.st_mode)) {
		rc = descend(walk, name, *fd);
		*fd = -1;
		return rc != 0 ? rc : 1;
	}
	rc = follow(walk, *fd);
	close(*fd);
	*fd = -1;
	return rc != 0 ? rc : 1;
}

int owned_open(const char *path, int flags, bool *told)
{
	struct walk walk = { .path = path, .folder = -1 };
	/* With room for what descend() appends. */
	char name[PATH_MAX + 2], self[32];
	int fd = -1, opened, rc;

	*told = false;
	if (strlen(path) >= sizeof(walk.rest))
		return -ENAMETOOLONG;
	strcpy(walk.rest, path);
	rc = enter(&walk, open(path[0] == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
	if (rc == 0)
		rc = 1;
	while (rc == 1)
		rc = next_name(&walk, name) ? step(&walk, name, &fd, told) : -ENOENT;
	if (rc == 0) {
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		opened = open(self, flags);
		rc = opened != -1 ? opened : -errno;
	}
	if (fd != -1)
		close(fd);
	if (walk.folder != -1)
		close(walk.folder);
	return rc;
}
