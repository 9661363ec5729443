/* SPDX-License-Identifier: BSD-3-Clause */
/* change.h - what all changes of views have in common.  See change.c. */
#ifndef CHANGE_H
#define CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/handle.h"

/* 0 if the handle can write and has volumes, else -errno with message. */
int change_check(const struct kmemblk *h, const char *what);

/* -EINVAL with the message that it cannot be a name. */
int change_fail_name(const struct kmemblk *h, const char *what, const char *name);

/*
 * Begin a change: nobody else makes one until its end, and nobody opens or closes a volume while volumes_lock is held.
 * End it: acknowledge it, unless `rc` says that it failed.
 */
void change_begin(struct kmemblk *h);
int change_end(struct kmemblk *h, int rc);

/* The rest with both locks. */

/* 0 if it can be the name of another volume, else -errno with message. */
int change_check_name_locked(const struct kmemblk *h, const char *what, const char *name);

/*
 * Take a page that is counted as reserved from now on: 0 or -errno with message.  And give it back.  Lets go of
 * volumes_lock while it waits.
 */
int change_take(struct kmemblk *h, const char *what, uint64_t *page);
void change_put(struct kmemblk *h, uint64_t page);

/* What pages are reserved for, in the words of the message that there are too few of them. */
struct change_need {
	const char *what; /* "snapshot" */
	const char *aim;  /* "so that all of it can be overwritten" */
	const char *cure; /* what helps beside what always does: ", or ..."; or "" */
};

/*
 * Reserve so many pages.  Lets go of volumes_lock while it waits.  0 or -errno with message.  They are committed at once: who reserves once more, as
 * for a record, must not wait for himself.  And cancel them.
 */
int change_reserve(struct kmemblk *h, uint64_t n, const struct change_need *need);
void change_unreserve(struct kmemblk *h, uint64_t n);

/* The same without a wait, as with a gate closed.  False, and nothing, if there was something to wait for, or no room. */
bool change_reserve_now(struct kmemblk *h, uint64_t n, const struct change_need *need);

/* Raise *number to the next that no view has.  0, or -ENOSPC with message. */
int change_find_number_locked(const struct kmemblk *h, const char *what, unsigned int *number);

/* A record or table that nothing names any more. */
void change_retire(struct kmemblk *h, uint64_t page);

/*
 * Fill a record on `page`, and have the directory name it: in one section, in which a failure is noted.  *named:
 * the directory may name it.  0 or -errno with message.
 */
int change_publish(struct kmemblk *h, unsigned int number, const struct record *record,
		   uint64_t page, uint64_t root, bool *named);

/*
 * The same in place of the record that a volume has, whose map's mutex is held.  *old: the page that is to be
 * retired then.
 */
int change_replace(struct kmemblk_volume *v, const struct record *record, uint64_t page,
		   uint64_t root, bool *named, uint64_t *old);

/* Have the directory name nothing there.  The same. */
int change_clear(struct kmemblk *h, unsigned int number);

/* The entry in a view's record.  With the map's mutex. */
uint64_t change_root(const struct kmemblk_volume *v);

#endif /* CHANGE_H */
