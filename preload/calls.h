/* SPDX-License-Identifier: BSD-3-Clause */
/* calls.h - what the program calls and gets us.  See calls.c. */
#ifndef CALLS_H
#define CALLS_H

/* Register the handlers of fork, if that has not happened. */
void calls_register_fork(void);

#endif /* CALLS_H */
