/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * handle.h - the handle, and the invariants that the rest of the library cites by number.
 *
 * 1. A published page never changes.  Every write fills a page nobody else can see, makes it
 *    durable, then publishes it; so a block is never torn.
 * 2. Data before entry: a page's bytes are durable before the entry that names it can be.
 * 3. Entry before reuse: a page is reused only after the entry that named it is durably something
 *    else.
 * 4. Readers before reuse: a page is reused only after every read that may have looked it up is
 *    over.
 * 5. Each page has one owner (pool.h lists them), and each transfer is one atomic step.
 * 6. Only the superblock, the directory, records and tables are on media; all else is rebuilt from
 *    them at open.
 * 7. Nothing on media is trusted until checked; every entry is checked when it is loaded.
 * 8. What is acknowledged is durable, also what a request found already done.
 * 9. A byte of a block is neither returned nor copied on before the block has been verified, where entries
 *    have check values.
 * 10. A table is empty, or says what the shared one says that it replaces, and is durable when it is published; and
 *     nothing is published in it before every entry from the directory to it is durable.
 * 11. An entry is changed only in a table that its volume owns, in a section in which the gate was seen open.
 * 12. What a volume's entry named is retired if the predecessor does not name it at that place, else left to it: by
 *     the predecessor of the section in which the entry was changed.
 */
#ifndef HANDLE_H
#define HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kmemblk.h"
#include "map/map.h"
#include "map/super.h"
#include "media/cow.h"
#include "media/device.h"
#include "pages/pool.h"

struct lending;
struct kmemblk;

/* A volume or a snapshot.  One for all who have it open. */
struct kmemblk_volume {
	struct kmemblk *h;
	unsigned int number;	   /* in the directory */
	uint64_t page;		   /* of its record; changes with h->volumes_lock and map.lock */
	struct map map;		   /* prepared while there are users */
	struct kmemblk_volume *of; /* whose snapshot it is, as long as it is there; NULL: none's */
	struct kmemblk_volume *predecessor; /* with volumes_lock; see map/ancestry.h */
	/* With h->volumes_lock: */
	unsigned int users;   /* who have it open */
	bool held;	      /* the mover is in it */
	_Atomic bool leaving; /* and is to leave it; set with the lock, read without */
	bool claimed;	      /* by a change that is under way: who wants to open it waits */
	bool past;	      /* it was shrunk, and what is past its end is still to be cleared */
};

struct kmemblk {
	struct device device;
	struct super super;
	/*
	 * All views there are, by their number in the directory, NULL for none.  Who makes or changes one has both
	 * locks, the first from beginning to end, the second but while it takes long; who opens or closes one has
	 * the second.  Outside all other locks, in this order.
	 */
	struct kmemblk_volume **volumes;
	pthread_mutex_t changes_lock;
	pthread_mutex_t volumes_lock;
	pthread_cond_t volumes_left; /* the mover has left one, or a change has ended */
	struct pool pool;	     /* all zero in a read-only handle; frozen: no more writes */
	struct lending *lending;     /* lend/server.h; NULL for none */
	/* A read-only handle of a damaged device: the pages that two entries name, else NULL. */
	_Atomic uint64_t *shared;
	/* As the scan at open found them, for a read-only handle: */
	uint64_t used;	   /* pages of blocks */
	uint64_t tables;   /* tables and records */
	uint64_t reserved; /* all pages that are reserved, those in use included */
	uint64_t damaged;  /* entries */
	bool unequal;	   /* the directory and its copy differ: start makes them equal */
	enum cow cow;	   /* at open */
	bool readonly;
	bool started;
	_Atomic uint64_t collected;  /* leaves that were given up: see collect.c */
	_Atomic uint64_t mismatches; /* blocks that were read and did not hold what was written */
};

#endif /* HANDLE_H */
