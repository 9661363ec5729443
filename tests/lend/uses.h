/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uses.h - the kernel uses pages of lent zones, in ways that outlast their mappings and their process.
 *
 *   direct I/O      reads and writes of a file by libaio and io_uring, again and again
 *   io_uring        a registered buffer, with a read of a pipe pending into it; a read and a receive
 *                   that are pending without one
 *   vmsplice(2)     pages in a pipe
 *   MSG_ZEROCOPY    pages in the queues of TCP and UDP sockets on the loopback interface, whose other ends
 *                   do not read
 *   process_vm_writev(2) by another process
 *
 * The test has the other ends.  All bytes that it sends are USES_FOREIGN, and what the borrower's zones
 * hold is USES_OWN, so whatever arrives in a wrong place shows.  What cannot be done here is told, and left
 * out.
 */
#ifndef USES_H
#define USES_H

#include <stdbool.h>
#include <sys/types.h>

#include "raw.h"

#define USES_ZONES   9u
#define USES_OWN     0xa1
#define USES_FOREIGN 0x5e

/* In the test, before the borrower is forked: the other ends. */
void uses_open(void);

/* In the borrower: the kernel begins to use each of USES_ZONES zones. */
void uses_start(const struct zone *zones);

/* In the borrower: direct I/O that has ended begins anew. */
void uses_repeat(void);

/*
 * In the borrower, or a child that it has forked, when the zones are no longer mapped: read into pages that
 * are still registered, until something has come.
 */
void uses_go_on(void);

/* In a process of its own: write to one of the borrower's zones until that fails. */
void uses_write_remotely(pid_t borrower, const struct zone *zones);

/* In the test: send to all that is pending, so that it ends; and look at what was sent from the pages. */
void uses_finish(void);

void uses_close(void);

#endif /* USES_H */
