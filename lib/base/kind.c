/* SPDX-License-Identifier: BSD-3-Clause */
/* kind.c - see kind.h. */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/kind.h"

const char *kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a folder";
	case S_IFCHR:
		return "a character device";
	case S_IFBLK:
		return "a block device";
	case S_IFIFO:
		return "a FIFO";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFSOCK:
		return "a socket";
	default:
		return "an object of another kind";
	}
}

bool kind_has_folder(const char *path)
{
	const char *end = strrchr(path, '/');
	char folder[PATH_MAX];
	struct stat st;

	/* In the current folder, in the root, or too long to look at. */
	if (end == NULL || end == path || (size_t)(end - path) >= sizeof(folder))
		return true;
	memcpy(folder, path, (size_t)(end - path));
	folder[end - path] = '\0';
	return stat(folder, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}
