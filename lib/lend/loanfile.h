/* SPDX-License-Identifier: BSD-3-Clause */
/* loanfile.h - the file that is a loan.  See loanfile.c. */
#ifndef LOANFILE_H
#define LOANFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "lend/folder.h"

struct loan_file {
	int fd;	   /* -1: none */
	void *map; /* on fsdax, inaccessible; else NULL */
};

/*
 * Make the file of the zone that begins with a page, all zeroes, with storage, and locked through `*send`,
 * a descriptor for the borrower, which is the caller's to pass on and close.  0 or -errno without
 * message; then there is no file.
 */
int loan_file_make(const struct folder *folder, uint64_t page, struct loan_file *file, int *send);

/* Open one of an earlier server, by its name: 0 and its page; 1 not one of this device's; -errno. */
int loan_file_adopt(const struct folder *folder, const char *name, struct loan_file *file,
		    uint64_t *page);

/*
 * Remove one that the folder's device had before it was formatted, or another device, unless it is held:
 * then it stays until another start.
 */
void loan_file_end_foreign(const struct folder *folder, const char *name);

/* True while somebody has a descriptor or a mapping of it, or if that cannot be told. */
bool loan_file_is_held(const struct loan_file *file);

/* True if its borrower has made it larger than what he was lent. */
bool loan_file_has_grown(const struct loan_file *file);

/*
 * Give its storage to the file system, and remove it.  `copied`: it is mapped still, by a process that has
 * copies of its own of all pages.  0; or -errno: it is as it was.  On fsdax it waits for pinned pages,
 * until a signal comes: -EINTR.
 */
int loan_file_end(const struct folder *folder, uint64_t page, struct loan_file *file, bool copied);

/* Leave it to its borrower, and to the next server. */
void loan_file_leave(struct loan_file *file);

#endif /* LOANFILE_H */
