/* SPDX-License-Identifier: BSD-3-Clause */
/* start.h - the command that starts a server learns whether it serves.  See start.c. */
#ifndef PLUGIN_START_H
#define PLUGIN_START_H

/*
 * In .get_ready, before anything is made that must be removed if the start fails: `abandon` does that,
 * in this process, if the server ends before it serves.  0, or -1 with nbdkit's error.
 */
int start_get_ready(void (*abandon)(void));

/* In .after_fork: this process serves from now on. */
void start_succeeded(void);

/*
 * Or it cannot: nbdkit's error.  And then, once the device has been given up, what reaches the terminal as well: who
 * is told may start another server at once.
 */
void start_failed(const char *format, ...) __attribute__((format(printf, 1, 2)));
void start_tell_failure(void);

#endif /* PLUGIN_START_H */
