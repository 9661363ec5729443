/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.h - an io_uring, by system calls, for tests: requests one at a time.  A forked child may go on with
 * its parent's.  What goes wrong ends the test.
 */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* False where the kernel has none for this user. */
bool ring_open(struct ring *ring);

/* The kernel pins this memory until the ring is gone.  False if that is more than may be locked. */
bool ring_register(const struct ring *ring, const struct iovec *parts, unsigned int count);

/* Begin a request. */
void ring_submit(struct ring *ring, const struct io_uring_sqe *request);

/* Wait for one that has ended, whichever: its result, and its user_data. */
int ring_next(struct ring *ring, uint64_t *kind);

#endif /* RING_H */
