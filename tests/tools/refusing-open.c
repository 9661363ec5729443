/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * refusing-open.c - preloaded into the command, fails to open $REFUSED_PATH for reading, as if there
 * were no more descriptors.
 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int open(const char *path, int flags, ...)
{
	const char *refused = getenv("REFUSED_PATH");
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	if (refused != NULL && strcmp(path, refused) == 0 && (flags & O_ACCMODE) == O_RDONLY) {
		errno = EMFILE;
		return -1;
	}
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}
