/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * persistence.c - what the contents of a device survive, as the system tells it.
 *
 * The media (pm.h) says how a store gets to where it is kept; what that place survives is another
 * question.  A devdax device may be memory that was set aside at boot, and an ordinary file may be
 * on a RAM disk.  So the answer is read for each device, from sysfs and from the list of mounts:
 *
 *   devdax        the region that the device is a part of
 *   a file        its file system: one in memory, or the block device below it
 *   block device  what it is made of (device mapper, md, loop: the worst of these), the region that
 *                 it is a part of (pmem), or else a disk
 *
 * What cannot be read is unknown.  No environment variable changes the answer.
 *
 * A region of the kernel's libnvdimm tells its persistence domain where the platform tells it.  The
 * kernel leaves the attribute out, or empty, where it does not know; then the provider of the
 * region's bus may say what it is:
 *
 *   e820, ramdax  Memory that memmap= on the kernel's command line sets aside.  Nothing else uses it,
 *                 so it keeps its contents over a warm restart.  The kernel describes NVDIMMs from
 *                 before ACPI 6 in the same way, so this is less than the truth for those.
 *   virtio-pmem   The host's page cache.  Only a request to the host makes it durable, and the kernel
 *                 sends one for msync of an ordinary file.  On devdax, and where the kernel grants
 *                 MAP_SYNC by mistake (6.1 did in our tests), only the CPU's caches are flushed.
 *
 * The kernel makes a region read-only when one of its NVDIMMs reports that it is not armed: it could
 * not save its contents.  A devdax device can be written all the same.
 *
 * A devdax device outside such a region is ordinary memory, as the firmware tells it: soft-reserved
 * memory, or a region of volatile CXL memory.  Persistent CXL memory has a region of libnvdimm, like
 * an NVDIMM.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "media/persistence.h"

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#define ZFS_SUPER_MAGIC 0x2fc12fc1

/* Room for the name of a folder or an attribute of sysfs.  What needs more counts as not there. */
#define SYSFS_PATH 1024

/* So many layers, such as a loop device on a file on a loop device; what is deeper is unknown. */
#define DEPTH 16

static enum persistence of_file(int fd, enum pm_media media, int depth);
static enum persistence of_block(const char *dir, enum pm_media media, int depth);

const char *persistence_name(enum persistence persistence)
{
	static const char *const names[] = {
		[PERSISTENCE_PROCESS] = "process",
		[PERSISTENCE_UNKNOWN] = "unknown",
		[PERSISTENCE_REBOOT] = "reboot",
		[PERSISTENCE_POWER_FAIL] = "power-fail",
	};

	return names[persistence];
}

/* ---- sysfs ---------------------------------------------------------------------------------- */

/* The name in a folder of sysfs, in `path`; false if it does not fit. */
static bool join(char path[SYSFS_PATH], const char *dir, const char *name)
{
	return snprintf(path, SYSFS_PATH, "%s/%s", dir, name) < SYSFS_PATH;
}

/* The first line of an attribute, which may be empty; false if there is no such attribute. */
static bool read_attribute(const char *dir, const char *name, char *value, size_t size)
{
	char path[SYSFS_PATH];
	FILE *file;

	file = join(path, dir, name) ? fopen(path, "re") : NULL;
	if (file == NULL)
		return false;
	if (fgets(value, (int)size, file) == NULL)
		value[0] = '\0';
	value[strcspn(value, "\n")] = '\0';
	fclose(file);
	return true;
}

/* Set `dir` to the folder that `link` leads to; false if there is none. */
static bool follow(const char *link, char dir[SYSFS_PATH])
{
	char *real = realpath(link, NULL);
	bool fits = real != NULL && snprintf(dir, SYSFS_PATH, "%s", real) < SYSFS_PATH;

	free(real);
	return fits;
}

/* Set `dir` to the folder of the device, "block" or "char", with this number. */
static bool find_device(const char *kind, dev_t dev, char dir[SYSFS_PATH])
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u", kind, major(dev), minor(dev));
	return follow(path, dir);
}

/* Make `dir` the folder of its parent device; false if it has none. */
static bool go_up(char *dir)
{
	char *slash = strrchr(dir, '/');

	if (slash == NULL || slash == dir)
		return false;
	*slash = '\0';
	return true;
}

/* Make `dir`, a device's folder, that of the region it belongs to. */
static bool find_region(char *dir, char *type, size_t type_size)
{
	do
		if (read_attribute(dir, "devtype", type, type_size) &&
		    (strcmp(type, "nd_pmem") == 0 || strcmp(type, "nd_volatile") == 0))
			return true;
	while (go_up(dir));
	return false;
}

/* True, and the word, if the device is part of a region. */
static bool of_region(const char *device_dir, enum pm_media media, enum persistence *word)
{
	char dir[SYSFS_PATH], type[32], domain[32] = "", provider[32] = "", readonly[8] = "";

	snprintf(dir, sizeof(dir), "%s", device_dir);
	if (!find_region(dir, type, sizeof(type)))
		return false;
	read_attribute(dir, "persistence_domain", domain, sizeof(domain));
	read_attribute(dir, "read_only", readonly, sizeof(readonly));
	if (go_up(dir))
		read_attribute(dir, "provider", provider, sizeof(provider));
	if (strcmp(type, "nd_volatile") == 0)
		*word = PERSISTENCE_PROCESS;
	else if (strcmp(readonly, "1") == 0)
		*word = PERSISTENCE_UNKNOWN;
	else if (strcmp(domain, "cpu_cache") == 0 || strcmp(domain, "memory_controller") == 0)
		*word = PERSISTENCE_POWER_FAIL;
	else if (strcmp(provider, "e820") == 0 || strcmp(provider, "ramdax") == 0)
		*word = PERSISTENCE_REBOOT;
	else if (strcmp(provider, "virtio-pmem") == 0 && media == PM_FILE)
		*word = PERSISTENCE_POWER_FAIL;
	else
		*word = PERSISTENCE_UNKNOWN;
	return true;
}

static enum persistence of_devdax(int fd)
{
	enum persistence word;
	char dir[SYSFS_PATH];
	struct stat st;

	if (fstat(fd, &st) == -1 || !find_device("char", st.st_rdev, dir))
		return PERSISTENCE_UNKNOWN;
	return of_region(dir, PM_DEVDAX, &word) ? word : PERSISTENCE_PROCESS;
}

/* ---- block devices -------------------------------------------------------------------------- */

/* True, and the worst word, if the folder has links to the folders of block devices. */
static bool worst_of_links(const char *folder, enum pm_media media, int depth,
			   enum persistence *word)
{
	char path[SYSFS_PATH], dir[SYSFS_PATH];
	enum persistence one;
	struct dirent *entry;
	bool found = false;
	DIR *links = opendir(folder);

	if (links == NULL)
		return false;
	*word = PERSISTENCE_POWER_FAIL;
	while ((entry = readdir(links)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		found = true;
		one = PERSISTENCE_UNKNOWN;
		if (join(path, folder, entry->d_name) && follow(path, dir))
			one = of_block(dir, media, depth);
		if (one < *word)
			*word = one;
	}
	closedir(links);
	return found;
}

/* Of the block device with this number. */
static enum persistence of_number(dev_t dev, enum pm_media media, int depth)
{
	char dir[SYSFS_PATH];

	/* A file system without a block device has a number that no device has. */
	return find_device("block", dev, dir) ? of_block(dir, media, depth) : PERSISTENCE_UNKNOWN;
}

/*
 * Of a loop device: of the file, or the block device, behind it.  The kernel gives the file's name;
 * where this process does not see the file, as in a container, it is unknown.
 */
/* True if the loop device of that name is on this file, and not on another that had its name. */
static bool is_backing_file(const char *name, const struct stat *file)
{
	struct loop_info64 info;
	char path[64];
	bool same;
	int fd;

	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	same = fd != -1 && ioctl(fd, LOOP_GET_STATUS64, &info) == 0 &&
	       info.lo_inode == file->st_ino && info.lo_device == file->st_dev;
	if (fd != -1)
		close(fd);
	return same;
}

/* Its file is found by name, which in this mount namespace, or by now, may be another's. */
static enum persistence of_loop(const char *dir, int depth)
{
	enum persistence word = PERSISTENCE_UNKNOWN;
	char path[PATH_MAX];
	struct stat st;
	int fd;

	if (!read_attribute(dir, "loop/backing_file", path, sizeof(path)))
		return PERSISTENCE_UNKNOWN;
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd == -1)
		return PERSISTENCE_UNKNOWN;
	if (fstat(fd, &st) == 0 && is_backing_file(strrchr(dir, '/') + 1, &st))
		word = S_ISBLK(st.st_mode) ? of_number(st.st_rdev, PM_FILE, depth)
					   : of_file(fd, PM_FILE, depth);
	close(fd);
	return word;
}

/* True for the names NAME0, NAME1, ... */
static bool is_numbered(const char *device, const char *name)
{
	size_t len = strlen(name);

	return strncmp(device, name, len) == 0 && device[len] != '\0' &&
	       strspn(device + len, "0123456789") == strlen(device + len);
}

/* Of a block device that is made of no other, and part of no region. */
static enum persistence of_disk(const char *dir, int depth)
{
	const char *name = strrchr(dir, '/') + 1;

	if (is_numbered(name, "ram") || is_numbered(name, "zram"))
		return PERSISTENCE_PROCESS;
	/* The kernel's own test disk, scsi_debug, is memory as well. */
	if (strncmp(dir, "/sys/devices/pseudo_", 20) == 0)
		return PERSISTENCE_PROCESS;
	if (is_numbered(name, "loop"))
		return of_loop(dir, depth);
	/*
	 * A device without hardware: a program or another host stores it (nbd, ublk, drbd).  NVMe
	 * disks with several paths are here, too.
	 */
	if (strncmp(dir, "/sys/devices/virtual/", 21) == 0 &&
	    strncmp(dir, "/sys/devices/virtual/nvme-subsystem/", 36) != 0)
		return PERSISTENCE_UNKNOWN;
	return PERSISTENCE_POWER_FAIL;
}

/* Of the block device whose folder is `dir`. */
static enum persistence of_block(const char *block_dir, enum pm_media media, int depth)
{
	char dir[SYSFS_PATH], slaves[SYSFS_PATH], number[16];
	enum persistence word;

	if (depth == 0)
		return PERSISTENCE_UNKNOWN;
	snprintf(dir, sizeof(dir), "%s", block_dir);
	if (read_attribute(dir, "partition", number, sizeof(number)))
		go_up(dir);
	if (of_region(dir, media, &word))
		return word;
	if (join(slaves, dir, "slaves") && worst_of_links(slaves, media, depth - 1, &word))
		return word;
	return of_disk(dir, depth - 1);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* A file system of its own device number, on any number of block devices. */
static enum persistence of_btrfs(int fd, enum pm_media media, int depth)
{
	struct btrfs_ioctl_fs_info_args info = { 0 };
	char self[32], uuid[UUID_STR_LEN], folder[96];
	enum persistence word;
	int readable, rc;

	/* The descriptor may be one that only names the file. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	readable = open(self, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (readable == -1)
		return PERSISTENCE_UNKNOWN;
	rc = ioctl(readable, BTRFS_IOC_FS_INFO, &info);
	close(readable);
	if (rc == -1)
		return PERSISTENCE_UNKNOWN;
	uuid_unparse_lower(info.fsid, uuid);
	snprintf(folder, sizeof(folder), "/sys/fs/btrfs/%s/devices", uuid);
	return worst_of_links(folder, media, depth, &word) ? word : PERSISTENCE_UNKNOWN;
}

/* The options of the file system of that mount, in `line`; NULL if it cannot be seen from here. */
static char *find_options(FILE *mounts, unsigned long long mount, char **line, size_t *size)
{
	unsigned long long id;

	while (getline(line, size, mounts) > 0) {
		if (sscanf(*line, "%llu", &id) != 1 || id != mount)
			continue;
		(*line)[strcspn(*line, "\n")] = '\0';
		/* The last of the words; a blank within a word is escaped. */
		return strrchr(*line, ' ') + 1;
	}
	return NULL;
}

/*
 * Undo the escapes of the list of mounts, where \040 is a blank, and below them those of overlayfs,
 * where a backslash precedes a comma, a colon or a backslash of the name.
 */
static void unescape(char *text)
{
	unsigned int code;
	char *to = text;

	for (const char *from = text; *from != '\0'; to++) {
		if (from[0] == '\\' && sscanf(from + 1, "%3o", &code) == 1) {
			*to = (char)code;
			from += 4;
		} else {
			*to = *from++;
		}
	}
	*to = '\0';
	to = text;
	for (const char *from = text; *from != '\0'; to++) {
		from += from[0] == '\\' && from[1] != '\0';
		*to = *from++;
	}
	*to = '\0';
}

/* Of the folder that an overlay with these options writes to. */
static enum persistence of_upper(char *options, int depth)
{
	enum persistence word = PERSISTENCE_UNKNOWN;
	char *rest, *option, *upper = NULL;
	int fd;

	for (option = strtok_r(options, ",", &rest); option != NULL;
	     option = strtok_r(NULL, ",", &rest)) {
		/* Then fsync and msync do nothing there. */
		/* The second is how newer kernels write the first. */
		if (strcmp(option, "volatile") == 0 || strcmp(option, "fsync=volatile") == 0)
			return PERSISTENCE_PROCESS;
		if (strncmp(option, "upperdir=", 9) == 0)
			upper = option + 9;
	}
	if (upper == NULL)
		return PERSISTENCE_UNKNOWN;
	unescape(upper);
	if (upper[0] != '/')
		return PERSISTENCE_UNKNOWN;
	fd = open(upper, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return PERSISTENCE_UNKNOWN;
	word = of_file(fd, PM_FILE, depth);
	close(fd);
	return word;
}

/* In a container the list of mounts names folders that only the host sees: unknown. */
static enum persistence of_overlay(int fd, int depth)
{
	enum persistence word = PERSISTENCE_UNKNOWN;
	struct statx stx;
	char *line = NULL, *options = NULL;
	size_t size = 0;
	FILE *mounts;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) == -1 ||
	    !(stx.stx_mask & STATX_MNT_ID))
		return PERSISTENCE_UNKNOWN;
	mounts = fopen("/proc/self/mountinfo", "re");
	if (mounts == NULL)
		return PERSISTENCE_UNKNOWN;
	options = find_options(mounts, stx.stx_mnt_id, &line, &size);
	if (options != NULL)
		word = of_upper(options, depth);
	free(line);
	fclose(mounts);
	return word;
}

static enum persistence of_file(int fd, enum pm_media media, int depth)
{
	struct statfs fs;
	struct stat st;

	if (depth == 0 || fstatfs(fd, &fs) == -1 || fstat(fd, &st) == -1)
		return PERSISTENCE_UNKNOWN;
	switch (fs.f_type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
	case HUGETLBFS_MAGIC:
		return PERSISTENCE_PROCESS;
	case OVERLAYFS_SUPER_MAGIC:
		return of_overlay(fd, depth - 1);
	case BTRFS_SUPER_MAGIC:
		return of_btrfs(fd, media, depth - 1);
	case ZFS_SUPER_MAGIC:
		/* It does not tell which disks it is on. */
		return PERSISTENCE_POWER_FAIL;
	case FUSE_SUPER_MAGIC:
		/* A program stores it, also where it claims to be on a block device. */
		return PERSISTENCE_UNKNOWN;
	default:
		/* A network's file system has no block device on this host. */
		return of_number(st.st_dev, media, depth - 1);
	}
}

enum persistence persistence_of(int fd, enum pm_media media)
{
	if (media == PM_DEVDAX)
		return of_devdax(fd);
	return of_file(fd, media, DEPTH);
}
