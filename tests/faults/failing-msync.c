/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * failing-msync.c - for LD_PRELOAD: msync() fails with EIO while the file that the environment
 * variable MSYNC_FAILS names exists.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int msync(void *addr, size_t len, int flags)
{
	const char *trigger = getenv("MSYNC_FAILS");
	int (*real)(void *, size_t, int);

	if (trigger != NULL && access(trigger, F_OK) == 0) {
		errno = EIO;
		return -1;
	}
	*(void **)&real = dlsym(RTLD_NEXT, "msync");
	return real(addr, len, flags);
}
