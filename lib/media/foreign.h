/* SPDX-License-Identifier: BSD-3-Clause */
/* foreign.h - does something else live on the device?  See foreign.c. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include <stddef.h>

#include "media/device.h"

/*
 * Look for a file system, a partition table or another known signature.  1 if there is one: its
 * name, such as "ext4", is in `name`.  0 if there is none, or -errno with message.
 */
int foreign_find(const struct device *device, char *name, size_t size);

/*
 * Look for anything but zeroes in a file, whether it is known or not; holes are passed over.  1 if
 * there is something: what to call it is in `name`.  0 if there is nothing, or the device is no
 * file; -errno with message.
 */
int foreign_find_contents(const struct device *device, char *name, size_t size);

#endif /* FOREIGN_H */
