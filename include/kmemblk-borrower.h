/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmemblk-borrower.h - memory borrowed from a server that lends its free pages.
 *
 * Part of kmemblk.h, which includes it and whose conventions hold here.
 */
#ifndef KMEMBLK_BORROWER_H
#define KMEMBLK_BORROWER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A connection to a lending server.  Opaque; may be used by any number of threads. */
struct kmemblk_borrower;

/*
 * kmemblk_borrower_connect - become a borrower.
 *
 * `recall` may be NULL.  It is called on a thread of the library's own when the disk wants `length`
 * bytes back, and returns what it can with kmemblk_borrower_return(); it must not wait for a write
 * to that disk, and not borrow or close.  If the server goes away the zones stay, and the connection
 * is made again when it is back; it is also when the program has closed its descriptor.
 *
 * Signals that are sent to the process are not taken by the library's threads; those that `recall`
 * causes itself (SIGSEGV and the like) reach the program's handlers.
 *
 * Errors: any error of connect(2); -EACCES the socket's mode or folder keeps this user out; -EPERM the
 * server does not lend to this user; -EUSERS it has no room for one more borrower; -EPROTO not a lending
 * server, or one of another version; -ETIMEDOUT it does not answer; -EINVAL `socket` is empty; -ENOMEM,
 * -EAGAIN no thread.
 */
int kmemblk_borrower_connect(const char *socket, void (*recall)(void *opaque, size_t length),
			     void *opaque, struct kmemblk_borrower **borrower);

/* The size of a zone, in bytes. */
size_t kmemblk_borrower_zone_size(const struct kmemblk_borrower *borrower);

/*
 * kmemblk_borrower_borrow - borrow and map a zone.
 *
 * It is zeroed, writable, shared with nobody, and at `*memory`, aligned to its size: at `at` if that
 * is not NULL (what was mapped there, no zone, is replaced).  Waits up to `wait_ms` for one to become
 * free, and two seconds more for a server that does not answer; several threads wait in turn.
 * A store before or after it faults, unless something else of the program's is there.  Children made
 * by fork() share it, and it is lent until they have unmapped it, too; on devdax they do not have it.
 * See kmemblk(1), "run", for a heap that a fork copies.
 *
 * Each zone is a mapping of its own, of which the kernel allows a process vm.max_map_count, 65530 if
 * nobody has changed it: enough for about 128 GiB.  Beyond that it is -ENOMEM.  For 512 GiB, which are
 * 262144 zones, root types: sysctl -w vm.max_map_count=524288
 *
 * Errors: -ENOMEM none to be had (in time); -EBUSY none in time, for the disk is busy and little is lent
 * meanwhile; -EDQUOT over the limit; -EMFILE the server has as many
 * open files as it may; -ENOTCONN the server is away,
 * or this is a child of the process that connected; -EINVAL `at`; any error of mmap(2).
 */
int kmemblk_borrower_borrow(struct kmemblk_borrower *borrower, void *at, unsigned int wait_ms,
			    void **memory);

/*
 * kmemblk_borrower_return - unmap a zone and say so.
 *
 * `memory` is what borrow gave.  With `keep_place` the address range stays taken, inaccessible,
 * for a later borrow with `at`.
 *
 * Errors: -EINVAL not a zone of this borrower's; any error of munmap(2).
 */
int kmemblk_borrower_return(struct kmemblk_borrower *borrower, void *memory, int keep_place);

/*
 * kmemblk_borrower_close - end the connection.  Zones that are still mapped stay so, and are free
 * when they are unmapped.  NULL is allowed.
 */
void kmemblk_borrower_close(struct kmemblk_borrower *borrower);

/*
 * kmemblk_borrower_stat - what a lending server says of itself.
 *
 * `*text` is a JSON object, to be freed with free().  Connects for this one question.
 *
 * Errors: as for kmemblk_borrower_connect().
 */
int kmemblk_borrower_stat(const char *socket, char **text);

#ifdef __cplusplus
}
#endif

#endif /* KMEMBLK_BORROWER_H */
