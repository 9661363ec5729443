/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * raw.h - a borrower that speaks protocol.h itself, word by word, for the tests of the server.
 *
 * It can say what the library's borrower would never say.  What goes wrong ends the test.
 */
#ifndef RAW_H
#define RAW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/packet.h"
#include "common/process.h"
#include "common/server.h"

#define ZONE_SIZE  ((uint64_t)2 << 20)
#define MOST_ZONES 512u

struct zone {
	uint64_t offset;
	uint64_t *memory;
};

struct borrower {
	int fd;
	uint64_t limit; /* as LEND_WELCOME said */
	struct zone zone[MOST_ZONES];
	unsigned int zones;
	unsigned int asked; /* LEND_RECALLs that were met while another answer was awaited */
	uint64_t asked_for; /* bytes, of the last one */
};

/* Receive a message, with its descriptor or -1 if `descriptor` is not NULL; false if hung up. */
bool raw_receive(int fd, struct lend_message *message, int *descriptor);

/* Connect and be welcomed. */
void raw_hello(struct borrower *borrower, const char *path);

/* For a zone that must come, however slow the machine is; the test's time limit comes first. */
#define RAW_WAIT_MS 3600000u

/*
 * Borrow a zone, which must be zeroed, and map it: 0 or the server's -errno.  LEND_RECALL that comes
 * before the answer is counted.
 */
int raw_borrow(struct borrower *borrower, unsigned int wait_ms);

/* Borrow until the server refuses; its -errno. */
int raw_borrow_all(struct borrower *borrower, unsigned int wait_ms);

/* Unmap the zone borrowed last and say so. */
void raw_return(struct borrower *borrower);

/* Answer a LEND_RECALL, and those before it, by returning zones, or with 0 if `refuse`. */
void raw_answer(struct borrower *borrower, const struct lend_message *recall, bool refuse);

/* Fill all zones with a pattern of `seed`'s; end the test unless it is still there. */
void raw_scribble(const struct borrower *borrower, uint64_t seed);
void raw_check(const struct borrower *borrower, uint64_t seed);

/* A number of LEND_STATUS, as in raw_stat(path, "zones", "lent"). */
uint64_t raw_stat(const char *path, const char *object, const char *key);

/* Wait until that number is `wanted`: as long as it takes. */
void raw_await(const char *path, const char *object, const char *key, uint64_t wanted);

#endif /* RAW_H */
