/* SPDX-License-Identifier: BSD-3-Clause */
/* fault.h - what a SIGBUS in the mapping means on the media at hand.  See fault.c. */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "media/device.h"

/* A fault that ended an access; guard_run() fills it in. */
struct fault {
	uint64_t page; /* of the device, where the access met it */
	int code;      /* si_code of the signal */
};

/*
 * What is behind the fault of a store, found by asking the kernel:
 *
 *   -EIO     the media failed at that page, or the file was cut short and the page is lost
 *   -ENOSPC  nothing is wrong with the page: a store found no room in the file system
 *   -EROFS   nothing is wrong with the page: the file system takes no stores any more
 */
int fault_error(const struct device *device, const struct fault *fault);

/*
 * The same, with the message "WHAT: DEVICE: ...".  `kept`: the page held something that counts, so if
 * it has lost its storage it is lost.
 */
int fault_fail(const struct device *device, const struct fault *fault, const char *what, bool kept);

/*
 * The fault of a load, at a block or before it, which means that a page is lost: -EIO with such a
 * message.
 */
int fault_fail_load(const struct device *device, const struct fault *fault, const char *what,
		    uint64_t block);

#endif /* FAULT_H */
