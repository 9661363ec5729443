/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handle.h - the handle, and the invariants that the rest of the library cites by number.
 *
 * 1. A published page never changes.  Every write fills a page nobody else can see, makes it
 *    durable, then publishes it; so a block is never torn.
 * 2. Data before index: a page's bytes are durable before the entry that names it can be.
 * 3. Index before reuse: a page is reused only after the entry that named it is durably something
 *    else.
 * 4. Readers before reuse: a page is reused only after every read that may have looked it up is
 *    over.
 * 5. Each page has one owner (pool.h lists them), and each transfer is one atomic step.
 * 6. Only the superblock and the index are on media; all else is rebuilt from the index at open.
 * 7. Nothing on media is trusted until checked; every entry is checked when it is loaded.
 * 8. What is acknowledged is durable, also what a request found already done.
 * 9. A byte of a block is neither returned nor copied on before the block has been verified, where entries
 *    have check values.
 */
#ifndef HANDLE_H
#define HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kmemblk.h"
#include "map/index.h"
#include "map/super.h"
#include "media/cow.h"
#include "media/device.h"
#include "pages/pool.h"

struct lending;

struct kmemblk {
	struct device device;
	struct super super;
	struct index index;
	struct pool pool;	 /* not in a read-only handle */
	struct lending *lending; /* lend/server.h; NULL for none */
	/* A read-only handle of a damaged device: the pages that two entries name, else NULL. */
	_Atomic uint64_t *shared;
	enum cow cow; /* at open */
	bool readonly;
	bool started;
	_Atomic uint64_t mismatches; /* blocks that were read and did not hold what was written */
	/* Persisting failed, so nothing is known of what is durable: no more writes. */
	_Atomic bool failed;
};

#endif /* HANDLE_H */
