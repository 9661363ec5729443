/* SPDX-License-Identifier: BSD-3-Clause */
/* devdax.h - the nodes of one devdax device.  See devdax.c. */
#ifndef DEVDAX_H
#define DEVDAX_H

#include "media/device.h"

/* Open what all nodes of the device share on this host: the descriptor, or -errno with message. */
int devdax_open_shared(const struct device *device);

/*
 * Open the node that the kernel made, if the device was opened through another one.  1 with *fd;
 * 0 if it was not, or the kernel's node is not there; -errno with message.
 */
int devdax_open_kernel_node(const struct device *device, int *fd);

/* 0 if the device was opened through the node that the kernel made; -EINVAL with message. */
int devdax_check_lendable(const struct device *device);

#endif /* DEVDAX_H */
