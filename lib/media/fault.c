/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fault.c - what a SIGBUS in the mapping means.
 *
 * SIGBUS is not always bad media.  The kernel sends it whenever it cannot finish a page fault, and a
 * store to a file that copies on write (btrfs; XFS after a copy that shares extents) cannot be
 * finished while the file system is full.  To take such a page for bad would take it out of use for
 * good, and all others after it.  si_code tells some of it apart, and the file the rest:
 *
 *   BUS_MCEERR_AR           the processor met the error: media, whatever is behind the mapping
 *   devdax                  has no file system that could refuse a store: media
 *   past the end of a file  the file was cut short: the page is lost
 *   a hole of tmpfs         the page has no storage, and there is none to give: no room for a free
 *                           page, and the loss of one that held something
 *   any other page of tmpfs it was swapped out and cannot be read back: media
 *   other files             read(2) of the page fails as the load did: media.  Else the store was
 *                           refused: no room, or a file system that has become read-only.
 *
 * docs/design.md, section 10, has the same as a table of media.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "media/fault.h"

enum cause { MEDIA, CUT_SHORT, NO_ROOM, READ_ONLY };

/* Not through the mapping: read(2) says what is wrong, and never gives a hole storage. */
static bool readable(const struct device *device, uint64_t at)
{
	uint8_t byte;

	return pread(device->fd, &byte, 1, (off_t)at) == 1;
}

static enum cause find_cause(const struct device *device, const struct fault *fault)
{
	uint64_t at = fault->page << LAYOUT_PAGE_SHIFT, start, end;
	struct statvfs fs;
	struct stat st;

	if (fault->code == BUS_MCEERR_AR || device->media == PM_DEVDAX)
		return MEDIA;
	if (fstat(device->fd, &st) == 0 && (uint64_t)st.st_size < at + LAYOUT_PAGE_SIZE)
		return CUT_SHORT;
	if (device->media == PM_TMPFS)
		return device_next_data(device, at, at + LAYOUT_PAGE_SIZE, &start, &end) ? MEDIA
											 : NO_ROOM;
	if (!readable(device, at))
		return MEDIA;
	return fstatvfs(device->fd, &fs) == 0 && (fs.f_flag & ST_RDONLY) ? READ_ONLY : NO_ROOM;
}

static int error_of(enum cause cause)
{
	switch (cause) {
	case NO_ROOM:
		return -ENOSPC;
	case READ_ONLY:
		return -EROFS;
	default:
		return -EIO;
	}
}

int fault_error(const struct device *device, const struct fault *fault)
{
	return error_of(find_cause(device, fault));
}

static int fail_cause(const struct device *device, unsigned long long page, enum cause cause,
		      const char *what)
{
	switch (cause) {
	case MEDIA:
		fail(EIO, "%s: %s: media error at page %llu", what, device->path, page);
		break;
	case CUT_SHORT:
		fail(EIO, "%s: %s: cut short before page %llu", what, device->path, page);
		break;
	case NO_ROOM:
		fail(ENOSPC,
		     "%s: %s: its file system has no room for a store to page %llu: free some "
		     "space there, or raise the quota",
		     what, device->path, page);
		break;
	case READ_ONLY:
		fail(EROFS, "%s: %s: its file system has become read-only: see the kernel's log",
		     what, device->path);
		break;
	}
	return error_of(cause);
}

int fault_fail(const struct device *device, const struct fault *fault, const char *what, bool kept)
{
	enum cause cause = find_cause(device, fault);

	if (kept && cause == NO_ROOM && device->media == PM_TMPFS)
		cause = MEDIA;
	return fail_cause(device, fault->page, cause, what);
}

int fault_fail_load(const struct device *device, const struct fault *fault, const char *what,
		    uint64_t block)
{
	/* A page of a block that has no storage any more is as lost as one that cannot be read. */
	const char *how =
		find_cause(device, fault) == CUT_SHORT ? "cut short before" : "media error at";

	return fail(EIO, "%s: %s: %s page %llu, near block %llu", what, device->path, how,
		    (unsigned long long)fault->page, (unsigned long long)block);
}
