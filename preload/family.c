/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * family.c - whether children that this process has forked still live, or theirs.
 *
 * A page of a nameless file is mapped, with a read lock on it, while the process forks.  The lock lives as
 * long as the mapping: the parent unmaps the page after the fork, a child has it until it ends or becomes
 * another program, and its own children likewise.  Whoever asks for a write lock learns whether there
 * is one.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "family.h"
#include "heap.h"

static int fd = -1;
static void *page; /* while it forks */

int family_before_fork(void)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	char self[48];
	int other, rc = 0;

	if (fd == -1) {
		fd = memfd_create("kmemblk-family", MFD_CLOEXEC);
		if (fd == -1 || ftruncate(fd, (off_t)HEAP_PAGE) == -1)
			return -errno;
	}
	/* A description of its own, in this thread's table. */
	snprintf(self, sizeof(self), "/proc/thread-self/fd/%d", fd);
	other = open(self, O_RDWR | O_CLOEXEC);
	if (other == -1)
		return -errno;
	if (fcntl(other, F_OFD_SETLK, &lock) == -1)
		rc = -errno;
	page = rc == 0 ? mmap(NULL, HEAP_PAGE, PROT_READ, MAP_SHARED, other, 0) : NULL;
	if (page == MAP_FAILED) {
		rc = -errno;
		page = NULL;
	}
	close(other);
	return rc;
}

bool family_lives(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };

	/* What cannot be told is so. */
	return fd == -1 || fcntl(fd, F_OFD_GETLK, &lock) == -1 || lock.l_type != F_UNLCK;
}

void family_close(void)
{
	if (fd != -1)
		close(fd);
	fd = -1;
}

void family_in_parent(void)
{
	if (page != NULL)
		munmap(page, HEAP_PAGE);
	page = NULL;
}

void family_in_child(void)
{
	/* The page stays: it is what tells. */
	page = NULL;
	fd = -1;
}
