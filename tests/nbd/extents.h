/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * extents.h - ask a server for block status and keep the answer.
 */
#ifndef EXTENTS_H
#define EXTENTS_H

#include <stdint.h>

#include <libnbd.h>

#define EXTENTS_KEPT 64

#define DATA 0
#define HOLE (LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO)

struct extents {
	uint64_t total;	    /* bytes */
	unsigned int count; /* extents; those beyond the array are only counted */
	struct {
		uint64_t length; /* bytes */
		uint32_t type;	 /* DATA or HOLE */
	} extent[EXTENTS_KEPT];
};

/* The status of `length` bytes at `offset`.  Ends the test on an error. */
void extents_ask(struct nbd_handle *nbd, uint64_t length, uint64_t offset, uint32_t flags,
		 struct extents *extents);

#endif /* EXTENTS_H */
