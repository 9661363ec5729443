/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loans.h - which zone is with which borrower, and whether it still is.
 *
 * A loan is a file of its own (loanfile.c); on devdax, which has no files, the zone itself, through an open
 * file description of the device that has a lock on its bytes.  Either way the kernel's lock is the loan:
 * a borrower's word, or its end, is a reason to look.  A loan whose borrower has called it returned, or has
 * gone, is *watched*: it is looked at now and then, and ended when its lock is gone.  It is *unowned* only
 * when the borrower has gone: what he has called returned and keeps mapped is still his.
 *
 * What counts as back is what could be ended.  A loan that cannot be, since the kernel has pinned a page
 * of it or its file system does not let it go, is *stuck*: it is tried again, ever more seldom.
 *
 * Used by one thread, that of the lending server; takes pool->lock where needed.
 */
#ifndef LOANS_H
#define LOANS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "lend/ender.h"
#include "lend/folder.h"
#include "lend/loanfile.h"
#include "pages/pages.h"

/* A borrower, as far as loans go. */
struct owner {
	LIST_HEAD(loan_list, loan) loans;
	uint64_t zones;
};

enum loan_state {
	LOAN_NONE,
	LOAN_LENT,
	LOAN_WATCHED,
	LOAN_ENDING, /* the ender has it */
};

struct loan {
	enum loan_state state;
	bool returned;	     /* the owner says */
	bool copied;	     /* he has copies of his own */
	bool held_back;	     /* devdax: unlocked by an end that was none of the borrower's will */
	struct owner *owner; /* NULL: unowned */
	unsigned int tries;  /* to end it, in vain */
	struct timespec look_at; /* not before */
	struct loan_file file;
	LIST_ENTRY(loan) of_owner;
	TAILQ_ENTRY(loan) of_all;
	TAILQ_ENTRY(loan) of_watched;
	struct ending ending;
};

/* What a borrower is sent. */
struct lent_zone {
	uint64_t offset; /* in the device: its name */
	uint64_t start;	 /* where it begins in the descriptor */
	int fd;		 /* the caller's to close */
};

struct loans_options {
	const char *uuid;   /* of the device, as text */
	const char *folder; /* of loan files; NULL: the usual one */
	uint64_t most;	    /* zones that may be lent in all */
	/* Called, by any thread, when it is time for loans_collect(). */
	void (*wake)(void *opaque);
	void *opaque;
};

struct loans {
	struct pool *pool;
	struct loans_options options;
	struct folder folder; /* not open on devdax */
	struct loan *loan;    /* a zone */
	uint64_t zones;
	uint64_t most_files;
	uint64_t lent;
	uint64_t unowned;
	uint64_t watched;
	uint64_t ending; /* the ender has them */
	uint64_t stuck;
	TAILQ_HEAD(loan_queue, loan) watch;
	struct loan_queue all; /* in the order in which they are audited */
	bool fresh;	       /* one is watched since the last look */
	struct ender ender;    /* runs on fsdax */
	/* Making a file failed: none is made before this. */
	struct timespec paused_until;
	unsigned int pause_ms;
	const char *why; /* the last one could not be lent; NULL: it could */
};

/*
 * Loans that an earlier server has made, and that are not over, are taken over; the others are ended.
 * What the options point to must last.  0 or -errno with message.
 */
int loans_init(struct loans *loans, struct pool *pool, const struct loans_options *options);
/* What is lent stays with its borrowers. */
void loans_destroy(struct loans *loans);

/* Lend a zone.  0; -ENOMEM if none is whole or may be lent, or none for now; another -errno. */
int loans_lend(struct loans *loans, struct owner *owner, struct lent_zone *zone);

/* A borrower says that he has had a zone for longer than he is known: true if nobody else has said so. */
bool loans_held(struct loans *loans, struct owner *owner, uint64_t offset);

/* Somebody says that he has unmapped a zone. */
void loans_returned(struct loans *loans, struct owner *owner, uint64_t offset);

/* Its owner says that he has copies of his own of all its pages, and that nobody else has it. */
void loans_copied(struct loans *loans, struct owner *owner, uint64_t offset);

/* A borrower has gone: his zones are worth a look. */
void loans_owner_gone(struct loans *loans, struct owner *owner);

/* Take what the ender is done with.  True if a loan has become free. */
bool loans_collect(struct loans *loans);

/*
 * That, and look at the loans that are watched.  To be called now and then while any is, and while the ender
 * has any: it takes turns only then.  True if one has become free.
 */
bool loans_look(struct loans *loans);

/*
 * See which of some of the loans, the next ones each time, are not locked any more, and whether borrowers have
 * made the files of some larger: one who has, or NULL.
 */
struct owner *loans_audit(struct loans *loans, unsigned int count);

#endif /* LOANS_H */
