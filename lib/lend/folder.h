/* SPDX-License-Identifier: BSD-3-Clause */
/* folder.h - the folder of loan files, and its lock.  See folder.c. */
#ifndef FOLDER_H
#define FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "media/device.h"

struct folder {
	int fd; /* -1: not open */
	char *path;
	bool ours;     /* of the usual name, and locked: removed at the end, if it is empty */
	char uuid[37]; /* of the device, whose loan files are looked at, and nobody else's */
	off_t beyond;  /* the largest position in a file that its file system takes */
	bool dax;
};

/*
 * Open the folder at `path`, or, if that is NULL, the usual one beside the device, which is made if it
 * is not there; lock it; see that loan files can be made in it.  0 or -errno with message.
 */
int folder_open(struct folder *folder, const struct device *device, const char *uuid,
		const char *path);
/* One that is not open is allowed. */
void folder_close(struct folder *folder);

#endif /* FOLDER_H */
