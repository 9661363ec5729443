/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * protect.h - hold back the program's stores while its memory is exchanged.  See protect.c.
 */
#ifndef PROTECT_H
#define PROTECT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Install the handler of faults; -errno.  After heap_init(). */
int protect_init(void);

/* Returns when no store is held back.  Safe in a signal handler. */
void protect_wait(void);

/* Changes whenever stores begin, or cease, to be held back. */
uint32_t protect_count(void);

/* What the program thinks its action for SIGSEGV is: exchange it.  Either may be NULL. */
void protect_action(const struct sigaction *action, struct sigaction *old);

/* Moves up to `bytes` of zones in use to ordinary memory, in place; returns how many it moved. */
uint64_t protect_move(uint64_t bytes);

/* For fork(): see protect.c. */
void protect_before_fork(void);
void protect_in_parent(void);
void protect_in_child(void);

#endif /* PROTECT_H */
