/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmemblk-volume.h - the volumes of a device: several disks, by name, and what is read from and written
 * to them.  Included by kmemblk.h.
 *
 * A device has up to 512 volumes, which share its pages.  Each has a name: 1 to 63 letters, digits, '.', '_'
 * and '-', beginning with a letter or digit.  Together they may be larger than the device: all are sparse.
 *
 * What hurts, first:
 *
 *  - A new block of one volume can get -ENOSPC because of another; a block that has a page can always be
 *    overwritten, whatever the others do.
 *  - What is open is neither deleted nor shrunk: -EBUSY.
 *  - The calls that make or change volumes are made one at a time, each to its end.  They may be made while
 *    requests are under way.  What they did is durable on return; a power failure inside leaves all of it or
 *    nothing, but for the pages of what was cut off or deleted, which are free at the latest after the next
 *    kmemblk_start().
 */
#ifndef KMEMBLK_VOLUME_H
#define KMEMBLK_VOLUME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kmemblk; /* see kmemblk.h */

/* A volume that somebody has open. */
struct kmemblk_volume;

struct kmemblk_volume_info {
	char name[64];	     /* NUL-terminated */
	char uuid[37];	     /* text form */
	uint64_t created;    /* seconds since 1970-01-01 UTC */
	uint64_t blocks;     /* of KMEMBLK_BLOCK_SIZE bytes */
	uint64_t size_bytes; /* blocks * KMEMBLK_BLOCK_SIZE */
	uint64_t pages_used; /* pages that hold its blocks */
	int is_default;	     /* 1: it is meant where no name is given */
	int users;	     /* kmemblk_volume_open() less kmemblk_volume_close() */
};

/*
 * kmemblk_volume_open - open a volume of an open device; `name` NULL: the only one, or the one that
 * kmemblk_format() made.
 *
 * Any number of times, each for itself; all of them see the same.  May be called before kmemblk_start().  End it
 * by kmemblk_volume_close(), before kmemblk_close().
 *
 * Errors: -ENOENT there is no such volume: the message tells which there are; -EUCLEAN its map has been damaged
 * since the device was opened; -ENOMEM.
 */
int kmemblk_volume_open(struct kmemblk *handle, const char *name, struct kmemblk_volume **volume);

/* kmemblk_volume_close - the end of one kmemblk_volume_open().  NULL is allowed.  Cannot fail. */
void kmemblk_volume_close(struct kmemblk_volume *volume);

/* kmemblk_volume_get_info - describe an open volume.  Cannot fail; the counts are of the moment. */
void kmemblk_volume_get_info(struct kmemblk_volume *volume, struct kmemblk_volume_info *info);

/* ---- I/O ------------------------------------------------------------------------------------ */

/*
 * kmemblk_read - read `count` bytes at `offset` into `buf`.
 *
 * Takes no lock and never waits for a writer.  Each block is read as it was at one instant.  Blocks
 * that no write has reached, or that were trimmed, read as zeroes.
 *
 * Errors: -EINVAL out of range; -EIO a media error, a damaged entry of the map, or a block that does not hold
 * what was written to it, as its check value tells.  After an error the contents of `buf` are undefined.
 */
int kmemblk_read(struct kmemblk_volume *volume, void *buf, size_t count, uint64_t offset);

/*
 * kmemblk_write - write `count` bytes of `buf` at `offset`.
 *
 * Durable on return.  May wait for other writers' pages when few are free, never for readers of
 * this range as such.  Concurrent writes to parts of one block are all kept.
 *
 * Errors: -EINVAL out of range; -EROFS the handle is read-only, or a failure to persist made it so;
 * -ENOSPC a block that has no page could not get one, and the message says who has the pages; -EIO a
 * media error, a block of which a part was to be written and the rest is damaged, or a failure to persist: of this call's blocks, or, on an ordinary file, of others'
 * at the same time, which the kernel does not tell apart.  After an error each block of the range
 * holds its old or its new contents, durably unless persisting failed.
 */
int kmemblk_write(struct kmemblk_volume *volume, const void *buf, size_t count, uint64_t offset);

/*
 * kmemblk_trim - give back the pages of the blocks that lie wholly inside the range.
 *
 * They read as zeroes afterwards, durably on return; blocks that are only partly inside keep their
 * contents.
 *
 * Errors: -EINVAL out of range; -EROFS as for write; -EIO.  After an error each block of the range
 * holds its old contents or zeroes.
 */
int kmemblk_trim(struct kmemblk_volume *volume, uint64_t count, uint64_t offset);

/*
 * Keep (or make) the range provisioned: afterwards a write there cannot get -ENOSPC.  Without it
 * whole blocks are trimmed, which is fast.
 */
#define KMEMBLK_ZERO_NO_HOLE (1u << 0)

/*
 * kmemblk_zero - make the range read as zeroes, bytes at its edges included.
 *
 * Durable on return.  Errors as for kmemblk_write(); without KMEMBLK_ZERO_NO_HOLE -ENOSPC only
 * where the file system copies on write.
 */
int kmemblk_zero(struct kmemblk_volume *volume, uint64_t count, uint64_t offset,
		 unsigned int flags);

/*
 * kmemblk_flush - wait until everything acknowledged is durable.
 *
 * It is already; the call exists so that a caller can say what it means.
 *
 * Errors: -EIO an earlier failure to persist has made the handle read-only.
 */
int kmemblk_flush(struct kmemblk_volume *volume);

/* The extent has no page: it reads as zeroes, and a write there needs a free page. */
#define KMEMBLK_EXTENT_HOLE (1u << 0)

/*
 * Receives one extent; `flags` is 0 or KMEMBLK_EXTENT_HOLE.  Extents come in ascending order without
 * gaps, the first begins at the range's first byte, and none goes beyond its last.  Return 0 to go
 * on, 1 to stop early without error, or a negative errno to fail.  It may read, not write or close.
 */
typedef int (*kmemblk_extent_fn)(void *opaque, uint64_t offset, uint64_t count, unsigned int flags);

/*
 * kmemblk_extents - tell which parts of the range have pages.
 *
 * Neighbouring blocks of one kind come as one extent.  The answer is a snapshot block by block,
 * not as a whole: others may write meanwhile.
 *
 * Errors: -EINVAL out of range; -EIO the map cannot be read; what `fn` returned.
 */
int kmemblk_extents(struct kmemblk_volume *volume, uint64_t count, uint64_t offset,
		    kmemblk_extent_fn fn, void *opaque);

/* ---- making and changing volumes ------------------------------------------------------------- */

/*
 * kmemblk_volume_list - call `fn` for each volume, in the order in which they were made while none was
 * deleted.  `fn` calls nothing of this header.  Returns the first value that is not 0 of `fn`, else 0.
 */
typedef int (*kmemblk_volume_fn)(void *opaque, const struct kmemblk_volume_info *info);
int kmemblk_volume_list(struct kmemblk *handle, kmemblk_volume_fn fn, void *opaque);

/*
 * kmemblk_probe_volumes - the same of a device that is not open here; while it is being served, too: the counts are
 * of the moment then.  Reads the map, no data.  Errors: as those of kmemblk_probe(); what `fn` returned.
 */
int kmemblk_probe_volumes(const char *path, kmemblk_volume_fn fn, void *opaque);

/* All pages of it now; else as its blocks are written. */
#define KMEMBLK_VOLUME_PREALLOC 1u

/*
 * kmemblk_volume_create - make a volume of `size` bytes, a multiple of KMEMBLK_BLOCK_SIZE, at most 2 PiB.
 *
 * `handle` was opened for writing and started.  Takes one page, with KMEMBLK_VOLUME_PREALLOC as many as it can
 * ever need.
 *
 * Errors, of which none changes anything: -EEXIST the name is in use; -EINVAL size, name or flags; -ENOSPC no page
 * is left, or no volume; -EROFS; -EIO; -ENOMEM.
 */
int kmemblk_volume_create(struct kmemblk *handle, const char *name, uint64_t size,
			  unsigned int flags);

/*
 * kmemblk_volume_delete - delete a volume that nobody has open, and all that it holds.  Needs no page; its
 * pages are free when it returns, or soon after.
 *
 * Errors, of which none but -EIO changes anything: -ENOENT; -EBUSY; -EROFS; -EIO.
 */
int kmemblk_volume_delete(struct kmemblk *handle, const char *name);

/* kmemblk_volume_rename - give a volume another name.  Errors: as for create, and -ENOENT. */
int kmemblk_volume_rename(struct kmemblk *handle, const char *name, const char *new_name);

/* Cut off what is written past the new end. */
#define KMEMBLK_VOLUME_FORCE 1u

/*
 * kmemblk_volume_resize - make a volume larger, or smaller.
 *
 * It may be open while it grows: who opens it afterwards, or asks for its information, sees the new size, and
 * requests may go to it at once.  What is new reads as zeroes, also where the volume was larger once.  It is made
 * smaller only while nobody has it open, and where something is written past the new end only with
 * KMEMBLK_VOLUME_FORCE.
 *
 * Errors, of which none but -EIO changes anything: -ENOENT; -EBUSY; -EEXIST something is written past the new
 * end; -EINVAL; -ENOSPC; -EROFS; -EIO; -ENOMEM.
 */
int kmemblk_volume_resize(struct kmemblk *handle, const char *name, uint64_t size,
			  unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif /* KMEMBLK_VOLUME_H */
