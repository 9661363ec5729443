/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * protocol.h - what a lending server and its borrowers say to each other.
 *
 * A UNIX socket of type SOCK_SEQPACKET: a packet is a message, which is struct lend_message and,
 * for LEND_STATUS only, text after it.  Both ends run on one host, so numbers are in its order.
 *
 *   borrower                      server
 *   LEND_HELLO                    LEND_WELCOME   length: of a zone; value: this borrower's limit;
 *                                                offset: LEND_OF_DEVICE or 0
 *   LEND_BORROW  value: may take  LEND_ZONE      status 0: offset, the zone's name, its length, and
 *                this many ms                    with the packet a descriptor to map it through, from
 *                                                `value` on; or -errno
 *   LEND_HELD    offset                          no answer: of a zone that it has from a server or a
 *                                                connection before this one
 *   LEND_RETURNED offset                         no answer
 *   LEND_COPIED  offset                          no answer: it is mapped privately, every page of it has
 *                                                been copied, and nobody else has it
 *                                 LEND_RECALL    value: bytes that the disk wants back; offset: how many
 *                                                of these it has sent; at any time
 *   LEND_RECALLED value: bytes                  no answer; offset: of the LEND_RECALL that it answers,
 *                                               with all before that
 *   LEND_STAT                     LEND_STATUS    and JSON text
 *
 * A borrower that is turned away is sent, without being asked, LEND_WELCOME with the status -EPERM
 * (the server does not lend to this user) or -EUSERS (it has no room), and the connection ends.
 *
 * The descriptor is a new open file description of the loan, a file of its own, on which the server has a
 * lock; on devdax, of the device, of which it serves for this zone only.  The borrower maps exactly the
 * zone, and closes it, or keeps it where the program does not come; the kernel keeps the lock until the
 * last descriptor and mapping, in the borrower and whomever it forked, is gone.  Nothing else makes the
 * zone free: LEND_RETURNED, or the end of the connection, only says that it is worth looking.  So a zone
 * outlives the server, and the connection, without harm.
 */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdint.h>

#define LEND_VERSION 2u

enum lend_kind {
	LEND_HELLO = 1,
	LEND_WELCOME,
	LEND_BORROW,
	LEND_ZONE,
	LEND_RETURNED,
	LEND_RECALL,
	LEND_RECALLED,
	LEND_STAT,
	LEND_STATUS,
	LEND_HELD,
	LEND_COPIED,
};

/* The memory is the device's own: it does not come back by itself, and fork() shares it. */
#define LEND_OF_DEVICE 1u

struct lend_message {
	uint32_t version; /* LEND_VERSION */
	uint32_t kind;
	int32_t status;
	uint32_t zero;
	uint64_t offset; /* bytes, in the device: the name of a zone */
	uint64_t length; /* bytes */
	uint64_t value;
};

/* At most, the text of LEND_STATUS included. */
#define LEND_PACKET_MAX 65536u

#endif /* PROTOCOL_H */
