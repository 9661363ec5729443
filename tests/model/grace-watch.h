/* SPDX-License-Identifier: BSD-3-Clause */
/* grace-watch.h - whether a grace period is under way; or never, with grace-mutant.c. */
#ifndef GRACE_WATCH_H
#define GRACE_WATCH_H

#include <stdbool.h>

bool grace_under_way(void);

#endif /* GRACE_WATCH_H */
