/* SPDX-License-Identifier: BSD-3-Clause */
/* ring.c - see ring.h. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/check.h"
#include "ring.h"

#define ENTRIES 32u

static void *map(const struct ring *ring, size_t size, unsigned long what)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, (off_t)what);

	CHECK(memory != MAP_FAILED, "io_uring: mmap: %m");
	return memory;
}

bool ring_open(struct ring *ring)
{
	struct io_uring_params params;
	char *sq, *cq;

	memset(&params, 0, sizeof(params));
	ring->fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring->fd == -1)
		return false;
	sq = map(ring, params.sq_off.array + params.sq_entries * sizeof(unsigned int),
		 IORING_OFF_SQ_RING);
	cq = map(ring, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe),
		 IORING_OFF_CQ_RING);
	ring->sqes = map(ring, params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	ring->sq_tail = (unsigned int *)(sq + params.sq_off.tail);
	ring->sq_mask = (unsigned int *)(sq + params.sq_off.ring_mask);
	ring->sq_array = (unsigned int *)(sq + params.sq_off.array);
	ring->cq_head = (unsigned int *)(cq + params.cq_off.head);
	ring->cq_tail = (unsigned int *)(cq + params.cq_off.tail);
	ring->cq_mask = (unsigned int *)(cq + params.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
	return true;
}

bool ring_register(const struct ring *ring, const struct iovec *parts, unsigned int count)
{
	long rc = syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS, parts, count);

	CHECK(rc == 0 || errno == ENOMEM, "io_uring: cannot register %u buffers: %m", count);
	return rc == 0;
}

void ring_submit(struct ring *ring, const struct io_uring_sqe *request)
{
	unsigned int tail = *ring->sq_tail, i = tail & *ring->sq_mask;

	ring->sqes[i] = *request;
	ring->sq_array[i] = i;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	CHECK(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) == 1, "io_uring_enter: %m");
}

int ring_next(struct ring *ring, uint64_t *kind)
{
	unsigned int head = *ring->cq_head;
	const struct io_uring_cqe *ended;
	int result;

	while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE))
		CHECK(syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL,
			      0) >= 0 ||
			      errno == EINTR,
		      "io_uring_enter: %m");
	ended = &ring->cqes[head & *ring->cq_mask];
	*kind = ended->user_data;
	result = ended->res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return result;
}
