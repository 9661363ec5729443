/* SPDX-License-Identifier: BSD-3-Clause */
/* device.h - open a backing object, and tell what it is.  See device.c. */
#ifndef DEVICE_H
#define DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "media/persistence.h"
#include "media/pm.h"

struct device {
	int fd;	       /* -1: not open */
	int shared_fd; /* devdax, claimed: what all nodes of the device share, locked; else -1 */
	int folder;    /* where device_publish() gives it its name; else -1 */
	char *path;    /* as the caller named it, for messages; owned */
	enum pm_media media;
	uint64_t size; /* bytes, whole pages only */
	bool readonly;
	bool holes;		      /* parts of it may have no storage: a regular file */
	int numa_node;		      /* -1 unknown */
	struct pm pm;		      /* the mapping; base NULL until device_map() */
	enum persistence persistence; /* known when it is mapped */
};

/* The name as it stands in struct kmemblk_info. */
const char *device_media_name(enum pm_media media);

/* Open what is at `path` and recognise it.  0 or -errno with message; then nothing is open. */
int device_open(struct device *device, const char *path, bool readonly);

/* Whose file may be at the path: anybody's, or nobody else's in a folder that others may write. */
enum device_trust {
	DEVICE_ANYBODYS,
	DEVICE_OWNED, /* as owned.c judges: else -EPERM */
};
int device_open_as(struct device *device, const char *path, bool readonly, enum device_trust trust);

/*
 * Make a nameless file of `size` bytes beside `path`; device_publish() gives it the name, in the folder
 * that was judged as owned.c does.
 */
int device_create(struct device *device, const char *path, uint64_t size, enum device_trust trust);
/* Fails with -EEXIST, changing nothing, if something of that name has appeared meanwhile. */
int device_publish(struct device *device);

/* Map the whole device.  0 or -errno with message. */
int device_map(struct device *device);

/* Unmap and close, which also gives up the claim.  A device that is not open is allowed. */
void device_close(struct device *device);

/*
 * Find the next run of bytes that has storage, from `from` on and below `limit`: *start and *end.
 * False when there is none.  All of a device without holes has storage.
 */
bool device_next_data(const struct device *device, uint64_t from, uint64_t limit, uint64_t *start,
		      uint64_t *end);

/*
 * Give storage to a range, zeroed where it had none; the device never becomes longer.  0 or -errno
 * without message.
 */
int device_allocate(const struct device *device, uint64_t offset, uint64_t length);

/*
 * Take the storage of a range away; it reads as zeroes then.  What a power failure leaves of it may
 * still have its storage and its bytes.  -EOPNOTSUPP where the device cannot; 0 or another -errno,
 * without message.
 */
int device_punch(const struct device *device, uint64_t offset, uint64_t length);

/* Make the length of a file durable.  0 or -errno without message. */
int device_sync(const struct device *device);

/* Bytes of storage that the file has; 0 if that cannot be told. */
uint64_t device_storage(const struct device *device);

/*
 * Take the storage of a range away, durably; it reads as zeroes then.  -EOPNOTSUPP where the
 * device cannot; 0 or another -errno with message.
 */
int device_punch_durably(const struct device *device, uint64_t offset, uint64_t length);

#endif /* DEVICE_H */
