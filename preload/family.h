/* SPDX-License-Identifier: BSD-3-Clause */
/* family.h - whether children that this process has forked still live.  See family.c. */
#ifndef FAMILY_H
#define FAMILY_H

#include <stdbool.h>

/* All these in the thread with the descriptors.  0 or -errno. */
int family_before_fork(void);
bool family_lives(void);
void family_close(void);

/* After the fork, in any thread. */
void family_in_parent(void);
void family_in_child(void);

#endif /* FAMILY_H */
