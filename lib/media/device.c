/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * device.c - the backing object: open it, tell what it is, map it, give and take its storage.
 *
 * Four kinds are recognised by themselves: a devdax character device, and a regular file on tmpfs,
 * on a dax file system, or on any other.  Whether a file system is dax only shows when the file is
 * mapped, so a regular file begins as PM_FSDAX and pm_map() may make it PM_FILE.  Everything else
 * is refused with a message that says what to use instead.
 *
 * A regular file may have holes.  Loading from a hole through the mapping allocates storage on
 * tmpfs, and on a full tmpfs even a load is SIGBUS; so the store asks here what has storage, gives
 * a page storage before it stores to it, and never loads from a hole.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/kind.h"
#include "base/shell.h"
#include "media/cow.h"
#include "media/device.h"
#include "media/owned.h"

const char *device_media_name(enum pm_media media)
{
	static const char *const names[] = {
		[PM_DEVDAX] = "devdax",
		[PM_FSDAX] = "fsdax",
		[PM_TMPFS] = "tmpfs",
		[PM_FILE] = "file",
	};

	return names[media];
}

/* Read a number from a sysfs file of the device; false if there is none. */
static bool read_sysfs(const char *kind, dev_t dev, const char *attribute, long long *value)
{
	char path[128];
	bool found;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/dev/%s/%u:%u/%s", kind, major(dev), minor(dev),
		 attribute);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	found = fscanf(file, "%lld", value) == 1;
	fclose(file);
	return found;
}

static int recognise_character_device(struct device *device, const struct stat *st)
{
	char link[128], target[PATH_MAX];
	long long value;
	ssize_t len;

	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/subsystem", major(st->st_rdev),
		 minor(st->st_rdev));
	len = readlink(link, target, sizeof(target) - 1);
	if (len > 0)
		target[len] = '\0';
	if (len <= 0 || strcmp(basename(target), "dax") != 0)
		return fail(EINVAL, "open: %s: a character device, but not a devdax one",
			    device->path);
	if (!read_sysfs("char", st->st_rdev, "size", &value) || value <= 0)
		return fail(EINVAL, "open: %s: the kernel gives no size for it (daxctl list)",
			    device->path);
	device->media = PM_DEVDAX;
	device->holes = false;
	device->size = (uint64_t)value;
	if (read_sysfs("char", st->st_rdev, "numa_node", &value))
		device->numa_node = (int)value;
	return 0;
}

static int recognise_file(struct device *device, const struct stat *st)
{
	long long node;
	struct statfs fs;

	if (fstatfs(device->fd, &fs) == -1)
		return fail_errno(errno, "open: %s", device->path);
	device->media = fs.f_type == TMPFS_MAGIC ? PM_TMPFS : PM_FSDAX;
	device->holes = true;
	device->size = (uint64_t)st->st_size;
	if (read_sysfs("block", st->st_dev, "device/numa_node", &node) ||
	    read_sysfs("block", st->st_dev, "../device/numa_node", &node))
		device->numa_node = (int)node;
	return 0;
}

static int recognise(struct device *device)
{
	struct stat st;
	int rc;

	if (fstat(device->fd, &st) == -1)
		return fail_errno(errno, "open: %s", device->path);
	device->numa_node = -1;
	if (S_ISCHR(st.st_mode))
		rc = recognise_character_device(device, &st);
	else if (S_ISREG(st.st_mode))
		rc = recognise_file(device, &st);
	else if (S_ISBLK(st.st_mode))
		rc = fail(
			EINVAL,
			"open: %s: a block device; give a devdax device or a file.  To make a devdax "
			"device of a pmem namespace and lose what it holds, type: ndctl "
			"create-namespace --force --mode=devdax --reconfig=NAMESPACE (ndctl list "
			"tells its name)",
			device->path);
	else
		rc = fail(EINVAL, "open: %s: neither a devdax device nor a regular file",
			  device->path);
	device->size &= ~(uint64_t)(LAYOUT_PAGE_SIZE - 1);
	return rc;
}

/* Nothing is there.  A command is named only where it can make something. */
static int fail_absent(const char *path)
{
	struct stat st;

	if (path[0] == '\0')
		return fail(ENOENT, "open: no path is given: name a devdax device or a file");
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		return fail(ENOENT, "open: %s: a symbolic link that leads to nothing", path);
	if (!kind_has_folder(path))
		return fail(ENOENT, "open: %s: no such file, and its folder does not exist", path);
	/* By its name, a control socket. */
	if (strlen(path) > 5 && strcmp(path + strlen(path) - 5, ".sock") == 0)
		return fail(ENOENT,
			    "open: %s: no such socket; if its server has ended, name the device",
			    path);
	return fail(ENOENT,
		    "open: %s: no such file; to make one, type: kmemblk format --create=SIZE %s",
		    path, SHELL_WORD(path));
}

static int fail_open(const char *path, int err)
{
	struct stat st;

	/* Its node may still be there when the kernel uses the device as memory: ENXIO. */
	if ((err == ENOENT || err == ENXIO) && strncmp(path, "/dev/dax", 8) == 0)
		return fail(err,
			    "open: %s: no such device; if it is in system-ram mode (daxctl list), "
			    "type: daxctl reconfigure-device --force --mode=devdax %s",
			    path, SHELL_WORD(path + 5));
	if (err == EACCES && strncmp(path, "/dev/dax", 8) == 0)
		return fail(err,
			    "open: %s: permission denied; to let this user use it, as root, type: "
			    "chown %u %s",
			    path, geteuid(), SHELL_WORD(path));
	if (err == ENOENT)
		return fail_absent(path);
	if (err == ENXIO && stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		return fail(err, "open: %s: a socket: name the device", path);
	return fail_errno(err, "open: %s", path);
}

static int open_path(const char *path, int flags, enum device_trust trust, bool *told)
{
	int fd;

	if (trust == DEVICE_OWNED)
		return owned_open(path, flags, told);
	*told = false;
	fd = open(path, flags);
	return fd != -1 ? fd : -errno;
}

int device_open_as(struct device *device, const char *path, bool readonly, enum device_trust trust)
{
	bool told;
	int rc;

	*device = (struct device){
		.fd = -1, .shared_fd = -1, .folder = -1, .readonly = readonly, .numa_node = -1
	};
	device->path = strdup(path);
	if (device->path == NULL)
		return fail(ENOMEM, "open: %s: out of memory", path);
	/* O_NONBLOCK: opening a FIFO by mistake must give an error, not wait for a writer. */
	rc = open_path(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK, trust, &told);
	if (rc >= 0) {
		device->fd = rc;
		rc = recognise(device);
	} else if (!told) {
		rc = fail_open(path, -rc);
	}
	if (rc != 0)
		device_close(device);
	return rc;
}

int device_open(struct device *device, const char *path, bool readonly)
{
	return device_open_as(device, path, readonly, DEVICE_ANYBODYS);
}

static int fail_create(int err, const char *path)
{
	if (err != EOPNOTSUPP)
		return fail_errno(err, "create: %s", path);
	return fail(
		err,
		"create: %s: its file system (overlay, NFS and FAT among them) cannot make a file "
		"that gets its name when it is whole; make it first, type: truncate --size=SIZE %s "
		"&& kmemblk format %s",
		path, SHELL_WORD(path), SHELL_WORD(path));
}

/* The folder of a file that is to be made: its descriptor, or -errno with message. */
static int open_folder(const char *path, enum device_trust trust)
{
	char *copy = strdup(path);
	const char *folder;
	bool told = false;
	int rc = -ENOMEM;

	if (copy != NULL) {
		folder = dirname(copy);
		/* A walk needs a name to look for. */
		rc = open_path(strcmp(folder, "/") == 0 ? "/." : folder,
			       O_RDONLY | O_DIRECTORY | O_CLOEXEC, trust, &told);
	}
	if (rc < 0 && !told)
		fail_errno(-rc, "create: %s", path);
	free(copy);
	return rc;
}

static int check_name(const char *path)
{
	struct stat st;

	/* One look for each answer: another process may make the file meanwhile. */
	if (lstat(path, &st) == -1)
		return 0;
	if (S_ISLNK(st.st_mode) && stat(path, &st) == -1)
		return errno != ENOENT
			       ? 0
			       : fail(ENOENT,
				      "create: %s: is a symlink that leads to nothing: name what "
				      "it is to lead to, or remove it",
				      path);
	if (S_ISREG(st.st_mode))
		return fail(EEXIST,
			    "create: %s: exists already; name a file that does not exist, or leave "
			    "out --create to format the one that is there and lose what it holds",
			    path);
	return fail(EEXIST, "create: %s: %s is there; name a file that does not exist", path,
		    kind_name(st.st_mode));
}

int device_create(struct device *device, const char *path, uint64_t size, enum device_trust trust)
{
	int rc = check_name(path);

	*device = (struct device){
		.fd = -1, .shared_fd = -1, .folder = -1, .numa_node = -1, .path = strdup(path)
	};
	if (rc == 0 && device->path == NULL)
		rc = fail(ENOMEM, "create: %s: out of memory", path);
	if (rc != 0)
		goto out;
	device->folder = rc = open_folder(path, trust);
	if (rc < 0)
		goto out;
	/* Nameless until it is whole: a crash leaves nothing behind. */
	device->fd = openat(device->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (device->fd == -1) {
		rc = fail_create(errno, path);
		goto out;
	}
	/* While it is empty, or it does not count. */
	cow_avoid(device->fd);
	if (ftruncate(device->fd, (off_t)size) == -1) {
		rc = fail_errno(errno, "create: %s", path);
		goto out;
	}
	rc = recognise(device);
out:
	if (rc != 0)
		device_close(device);
	return rc;
}

/* Take the name away again, if it still is the name of this file. */
static void withdraw(const struct device *device, const char *name)
{
	struct stat own, named;

	if (fstat(device->fd, &own) == 0 &&
	    fstatat(device->folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	    own.st_dev == named.st_dev && own.st_ino == named.st_ino)
		unlinkat(device->folder, name, 0);
}

int device_publish(struct device *device)
{
	char *copy = strdup(device->path), self[32];
	const char *name;
	int rc = 0;

	if (copy == NULL)
		return fail(ENOMEM, "create: %s: out of memory", device->path);
	name = basename(copy);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", device->fd);
	if (fsync(device->fd) == -1 ||
	    linkat(AT_FDCWD, self, device->folder, name, AT_SYMLINK_FOLLOW) == -1) {
		rc = fail_errno(errno, "create: %s", device->path);
		goto out;
	}
	/* The name, too, must survive a power failure. */
	if (fsync(device->folder) == -1) {
		rc = fail_errno(errno, "create: %s: sync its directory", device->path);
		withdraw(device, name);
	}
out:
	free(copy);
	return rc;
}

/* A command is named for what is empty only: what is typed must not cost anything. */
static int fail_small(const struct device *device)
{
	struct stat st;

	if (fstat(device->fd, &st) == 0 && st.st_size == 0)
		return fail(
			EMEDIUMTYPE,
			"open: %s: not a kmemblk device, and empty; to make it one, type: truncate "
			"--size=SIZE %s && kmemblk format %s",
			device->path, SHELL_WORD(device->path), SHELL_WORD(device->path));
	return fail(EMEDIUMTYPE, "open: %s: not a kmemblk device, and smaller than a page",
		    device->path);
}

int device_map(struct device *device)
{
	int rc;

	/* As mmap(2) would say of it: Invalid argument. */
	if (device->size == 0)
		return fail_small(device);
	rc = pm_map(&device->pm, device->fd, device->size, device->media, device->readonly,
		    device->path);
	if (rc == 0) {
		device->media = device->pm.media;
		device->persistence = persistence_of(device->fd, device->media);
	}
	return rc;
}

void device_close(struct device *device)
{
	pm_unmap(&device->pm);
	if (device->fd != -1)
		close(device->fd);
	if (device->shared_fd != -1)
		close(device->shared_fd);
	if (device->folder != -1)
		close(device->folder);
	free(device->path);
	device->fd = -1;
	device->folder = -1;
	device->shared_fd = -1;
	device->path = NULL;
}

bool device_next_data(const struct device *device, uint64_t from, uint64_t limit, uint64_t *start,
		      uint64_t *end)
{
	off_t at = (off_t)from;

	if (from >= limit)
		return false;
	*start = from;
	*end = limit;
	if (!device->holes)
		return true;
	at = lseek(device->fd, at, SEEK_DATA);
	if (at == -1) {
		/* ENXIO: no data up to the end.  Otherwise the file system cannot say: all data. */
		return errno != ENXIO;
	}
	if ((uint64_t)at >= limit)
		return false;
	*start = (uint64_t)at;
	at = lseek(device->fd, at, SEEK_HOLE);
	if (at != -1 && (uint64_t)at < limit)
		*end = (uint64_t)at;
	return true;
}

/* Tries to get past signals; with all but the deadly ones blocked, the second does. */
#define FALLOCATE_TRIES 10

/*
 * fallocate() that signals do not cut short.  Some kernels give up at any signal and undo what they
 * did, so that where signals come faster than the call is done, a loop around it would never end:
 * after the first of them they are kept waiting.  0 or -errno.
 */
static int fallocate_whole(const struct device *device, int mode, uint64_t offset, uint64_t length)
{
	sigset_t all, old;
	int rc;

	if (fallocate(device->fd, mode, (off_t)offset, (off_t)length) == 0)
		return 0;
	if (errno != EINTR)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = -EINTR;
	for (int i = 1; rc == -EINTR && i < FALLOCATE_TRIES; i++)
		if (fallocate(device->fd, mode, (off_t)offset, (off_t)length) == 0)
			rc = 0;
		else
			rc = -errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

/* In pieces: a file system may refuse one large one that it has room for. */
#define ALLOCATE_BYTES (1ull << 30)

static int allocate_piece(const struct device *device, uint64_t offset, uint64_t length)
{
	/*
	 * Never makes the file longer: if it was cut short, what lies beyond its end is lost, which
	 * must go on being an error and not become zeroes.
	 */
	int rc = fallocate_whole(device, FALLOC_FL_KEEP_SIZE, offset, length);

	/* A file system without fallocate gives storage at the store. */
	return rc == -EOPNOTSUPP ? 0 : rc;
}

int device_allocate(const struct device *device, uint64_t offset, uint64_t length)
{
	int rc = 0;

	while (device->holes && rc == 0 && length > 0) {
		uint64_t piece = length < ALLOCATE_BYTES ? length : ALLOCATE_BYTES;

		rc = allocate_piece(device, offset, piece);
		offset += piece;
		length -= piece;
	}
	return rc;
}

int device_punch(const struct device *device, uint64_t offset, uint64_t length)
{
	if (!device->holes)
		return -EOPNOTSUPP;
	return fallocate_whole(device, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

int device_sync(const struct device *device)
{
	return !device->holes || fsync(device->fd) == 0 ? 0 : -errno;
}

uint64_t device_storage(const struct device *device)
{
	struct stat st;

	return fstat(device->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

int device_punch_durably(const struct device *device, uint64_t offset, uint64_t length)
{
	int rc = device_punch(device, offset, length);

	/* The file system's own record of it is durable only after fsync. */
	if (rc == 0)
		rc = device_sync(device);
	if (rc != 0 && rc != -EOPNOTSUPP)
		fail_errno(-rc, "punch: %s", device->path);
	return rc;
}
