/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - what a client sends before the payload of a request, for tests that send what libnbd would
 * not.  Big-endian, as the NBD protocol has it.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdint.h>

#define WIRE_REQUEST_MAGIC 0x25609513u

enum wire_command {
	WIRE_READ,
	WIRE_WRITE,
	WIRE_DISCONNECT,
	WIRE_FLUSH,
	WIRE_TRIM,
	WIRE_CACHE,
	WIRE_WRITE_ZEROES,
	WIRE_BLOCK_STATUS,
};

struct __attribute__((packed)) wire_request {
	uint32_t magic;
	uint16_t flags;
	uint16_t type; /* enum wire_command */
	uint64_t cookie;
	uint64_t offset;
	uint32_t length;
};

#endif /* WIRE_H */
