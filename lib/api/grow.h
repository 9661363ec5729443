/* SPDX-License-Identifier: BSD-3-Clause */
/* grow.h - make a device use all the pages that there are.  See grow.c. */
#ifndef GROW_H
#define GROW_H

#include "map/super.h"

/* Exchange the superblock `super` for `grown`, which is of more pages; or finish that.  0 or -errno with message. */
int grow_write(const struct device *device, const struct super *super, const struct super *grown,
	       const char *what);

#endif /* GROW_H */
