/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * foreign.c - what else is on a device, before it is overwritten: what libblkid knows, and of a file
 * anything but zeroes.
 *
 * A file that is not empty was not made for us: no program but its own can tell whether its contents
 * are of worth.  A devdax device is: what an earlier user has left there is judged by libblkid alone.
 *
 * libblkid reads through a descriptor, and a devdax node cannot be read.  For that it gets a sparse
 * memory file of the device's size with the device's first and last MiB in it, where nearly all
 * signatures are.
 */
#include "config.h"

#include <blkid/blkid.h>
#include <errno.h>
#include <isa-l/mem_routines.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "media/foreign.h"
#include "media/guard.h"

#define EDGE_BYTES (1u << 20)

/* Bytes of a file that are read at once. */
#define PIECE_BYTES (1u << 20)

/* Copy part of the device to the same place of the file. */
static int copy_edge(const struct device *device, int fd, uint64_t at, size_t len)
{
	uint8_t page[LAYOUT_PAGE_SIZE];

	for (uint64_t end = at + len; at < end; at += sizeof(page)) {
		/* A media error: nothing to be seen on this page. */
		if (!guard_read(&device->pm, page, device->pm.base + at, sizeof(page)))
			continue;
		if (pwrite(fd, page, sizeof(page), (off_t)at) != sizeof(page))
			return fail_errno(errno, "look for other contents: %s", device->path);
	}
	return 0;
}

/* A descriptor that libblkid can read; the caller closes it unless it is the device's own. */
static int readable_fd(const struct device *device, int *fd)
{
	size_t edge = device->size < EDGE_BYTES ? device->size : EDGE_BYTES;
	int rc;

	*fd = device->fd;
	if (device->media != PM_DEVDAX)
		return 0;
	*fd = memfd_create("kmemblk-edges", MFD_CLOEXEC);
	if (*fd == -1 || ftruncate(*fd, (off_t)device->size) == -1)
		return fail_errno(errno, "look for other contents: %s", device->path);
	rc = copy_edge(device, *fd, 0, edge);
	if (rc == 0)
		rc = copy_edge(device, *fd, device->size - edge, edge);
	return rc;
}

static int probe(blkid_probe prober, char *name, size_t size)
{
	const char *value = NULL;

	blkid_probe_enable_superblocks(prober, 1);
	blkid_probe_set_superblocks_flags(prober, BLKID_SUBLKS_TYPE);
	blkid_probe_enable_partitions(prober, 1);
	switch (blkid_do_safeprobe(prober)) {
	case 0:
		break;
	case 1:
		return 0;
	case -2:
		snprintf(name, size, "several file systems or partition tables");
		return 1;
	default:
		return -EIO;
	}
	if (blkid_probe_lookup_value(prober, "TYPE", &value, NULL) == 0)
		snprintf(name, size, "%s", value);
	else if (blkid_probe_lookup_value(prober, "PTTYPE", &value, NULL) == 0)
		snprintf(name, size, "a partition table (%s)", value);
	else
		return 0;
	return 1;
}

int foreign_find(const struct device *device, char *name, size_t size)
{
	blkid_probe prober = blkid_new_probe();
	int fd = -1, rc;

	if (prober == NULL)
		return fail(ENOMEM, "look for other contents: %s: out of memory", device->path);
	rc = readable_fd(device, &fd);
	if (rc != 0)
		goto out;
	if (blkid_probe_set_device(prober, fd, 0, (blkid_loff_t)device->size) != 0)
		rc = fail(EIO, "look for other contents: %s: libblkid cannot read it",
			  device->path);
	else
		rc = probe(prober, name, size);
	if (rc == -EIO)
		fail(EIO, "look for other contents: %s: libblkid failed", device->path);
out:
	blkid_free_probe(prober);
	if (fd != -1 && fd != device->fd)
		close(fd);
	return rc;
}

/* True if the range, which has storage, is not all zeroes.  `piece` has PIECE_BYTES. */
static bool is_data(const struct device *device, uint64_t start, uint64_t end, uint8_t *piece)
{
	while (start < end) {
		size_t len = end - start < PIECE_BYTES ? (size_t)(end - start) : PIECE_BYTES;
		ssize_t n = pread(device->fd, piece, len, (off_t)start);

		if (n == -1 && errno == EINTR)
			continue;
		/* What cannot be read is not known to be nothing. */
		if (n == -1 || (n > 0 && isal_zero_detect(piece, (size_t)n) != 0))
			return true;
		/* Cut short meanwhile. */
		if (n == 0)
			return false;
		start += (uint64_t)n;
	}
	return false;
}

int foreign_find_contents(const struct device *device, char *name, size_t size)
{
	uint64_t start, end = 0, length;
	uint8_t *piece;
	struct stat st;
	int rc = 0;

	if (!device->holes)
		return 0;
	if (fstat(device->fd, &st) == -1)
		return fail_errno(errno, "look for other contents: %s", device->path);
	piece = malloc(PIECE_BYTES);
	if (piece == NULL)
		return fail(ENOMEM, "look for other contents: %s: out of memory", device->path);
	/* All of the file: what is beyond the last whole page is somebody's as well. */
	length = (uint64_t)st.st_size;
	while (rc == 0 && device_next_data(device, end, length, &start, &end))
		rc = is_data(device, start, end, piece);
	free(piece);
	if (rc != 0)
		snprintf(name, size, "a file with contents (%llu bytes)",
			 (unsigned long long)length);
	return rc;
}
