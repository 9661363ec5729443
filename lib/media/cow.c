/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cow.c - whether the file system of a device copies on write.
 *
 * There an overwrite takes new space, so it can fail on a full file system, although kmemblk keeps
 * storage for it: the word that an overwrite never gets ENOSPC does not hold then, and people
 * are told.  btrfs copies always, unless the file was made without (FS_NOCOW_FL, which counts for
 * an empty file only); bcachefs, ZFS and NILFS always.  XFS, and btrfs for any file, copy what two
 * files share after a copy by reference, which is what cp does by itself.
 */
#include "config.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "media/cow.h"

/* statfs(2) lists them; linux/magic.h has only some. */
#define BTRFS_MAGIC    0x9123683eu
#define BCACHEFS_MAGIC 0xca451a4eu
#define NILFS_MAGIC    0x3434u
#define ZFS_MAGIC      0x2fc12fc1u

/* Extents looked at: a file in so many pieces that these show nothing is not looked through. */
#define EXTENTS	   64u
#define CALLS_MOST 256u

static bool copies_always(int fd)
{
	struct statfs fs;
	int flags = 0;

	if (fstatfs(fd, &fs) == -1)
		return false;
	switch ((unsigned int)fs.f_type) {
	case BTRFS_MAGIC:
		return ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1 || !(flags & FS_NOCOW_FL);
	case BCACHEFS_MAGIC:
	case NILFS_MAGIC:
	case ZFS_MAGIC:
		return true;
	default:
		return false;
	}
}

/* One piece of the file from `map->fm_start` on: true if an extent of it is shared. */
static bool piece_is_shared(struct fiemap *map, bool *last)
{
	*last = true;
	for (unsigned int i = 0; i < map->fm_mapped_extents; i++) {
		const struct fiemap_extent *extent = &map->fm_extents[i];

		if (extent->fe_flags & FIEMAP_EXTENT_SHARED)
			return true;
		*last = extent->fe_flags & FIEMAP_EXTENT_LAST;
		map->fm_start = extent->fe_logical + extent->fe_length;
	}
	return false;
}

static bool is_shared(int fd, uint64_t size)
{
	struct fiemap *map = calloc(1, sizeof(*map) + EXTENTS * sizeof(map->fm_extents[0]));
	bool shared = false, last = map == NULL;

	for (unsigned int i = 0; !shared && !last && i < CALLS_MOST; i++) {
		map->fm_length = size - map->fm_start;
		map->fm_extent_count = EXTENTS;
		if (map->fm_start >= size || ioctl(fd, FS_IOC_FIEMAP, map) == -1)
			break;
		shared = piece_is_shared(map, &last);
	}
	free(map);
	return shared;
}

enum cow cow_find(int fd, enum pm_media media, uint64_t size)
{
	if (media != PM_FILE && media != PM_FSDAX)
		return COW_NONE;
	if (copies_always(fd))
		return COW_ALWAYS;
	return is_shared(fd, size) ? COW_SHARED : COW_NONE;
}

void cow_avoid(int fd)
{
	int flags;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == -1)
		return;
	flags |= FS_NOCOW_FL;
	/* A file system that does not know it refuses, and is left as it is. */
	if (ioctl(fd, FS_IOC_SETFLAGS, &flags) == -1)
		return;
}
