/* SPDX-License-Identifier: BSD-3-Clause */
/* watcher.h - the process ends with the program's last thread.  See watcher.c. */
#ifndef WATCHER_H
#define WATCHER_H

/* The main thread is about to end by pthread_exit(). */
void watcher_start(void);

#endif /* WATCHER_H */
