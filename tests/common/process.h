/* SPDX-License-Identifier: BSD-3-Clause */
/* process.h - children of a test, and programs of this build.  What goes wrong ends the test. */
#ifndef PROCESS_H
#define PROCESS_H

#include <sys/types.h>

/* fork(): the child dies with its parent, and ends with _exit(). */
pid_t process_fork(void);

/* Kill a child and take its status. */
void process_kill(pid_t pid);

/* The path of something that was built; holds until the next call. */
const char *process_built(const char *name);

/* Run a program, the last argument NULL; its exit status. */
int process_run(const char *program, ...);

#endif /* PROCESS_H */
