/* SPDX-License-Identifier: BSD-3-Clause */
/* kind.c - see kind.h. */
#include "config.h"

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
