/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loans.h - which zone is with which borrower, and whether it still is.
 *
 * A zone is lent through an open file description of its own, which holds a lock on the zone's bytes
 * until its last descriptor and mapping are gone.  Only that makes the zone free again: a borrower's
 * word, or its end, is a reason to look.  A zone whose borrower has called it returned, or has gone,
 * and which is still locked, is *watched*: it is looked at now and then.  It is *unowned* only when the
 * borrower has gone: what he has called returned and keeps mapped is still his.
 *
 * Used by one thread, that of the lending server; takes pool->lock where needed.
 */
#ifndef LOANS_H
#define LOANS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "pages/pages.h"

/* The owner of an unowned zone. */
#define LOANS_UNOWNED (-1)

struct loan {
	bool lent;
	bool returned; /* the owner says */
	int owner;     /* as the server numbers its borrowers */
	time_t since;
};

struct loans {
	struct pool *pool;
	struct loan *loan; /* a zone */
	uint64_t zones;
	uint64_t lent;
	uint64_t unowned;
	uint64_t watched;
	bool fresh; /* a zone is watched since the last look */
	void (*ended)(void *opaque, int owner);
	void *opaque;
};

/*
 * Zones that are lent already are those of an earlier server.  `ended` is called for each loan of an
 * owner that has not gone, when it ends.  0 or -ENOMEM without message.
 */
int loans_init(struct loans *loans, struct pool *pool, void (*ended)(void *opaque, int owner),
	       void *opaque);
void loans_destroy(struct loans *loans);

/*
 * True for the user that the server runs as now: a loan can open the device.  0 or -errno with message.
 */
int loans_check_open(const struct device *device);

/*
 * Lend a zone: its offset, and a descriptor to map it through, which is the caller's to pass on and
 * close.  0; -ENOMEM if none is whole or may be lent; another -errno.
 */
int loans_lend(struct loans *loans, int owner, uint64_t *offset, int *fd);

/* A borrower says that he has had a zone for longer than he is known: true if nobody else has said so. */
bool loans_held(struct loans *loans, int owner, uint64_t offset);

/* Somebody says that he has unmapped a zone. */
void loans_returned(struct loans *loans, int owner, uint64_t offset);

/* A borrower has gone: his zones are worth a look. */
void loans_owner_gone(struct loans *loans, int owner);

/* Look at the zones that are watched.  True if one has become free. */
bool loans_look(struct loans *loans);

#endif /* LOANS_H */
