/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmemblk-volume.h - the volumes of a device: several disks, by name, their snapshots, and what is read from
 * and written to them.  Included by kmemblk.h.
 *
 * A device has room for 512 volumes and snapshots together, or for as many as kmemblk_format() was asked for.
 * They share its pages.  A volume has a name: 1 to 63 letters, digits, '.', '_' and '-', beginning with a letter
 * or digit.  Together volumes may be larger than the device: all are sparse.
 *
 * A snapshot keeps what a volume holds at one instant.  It is named VOLUME@SNAPSHOT, where each part is such a
 * name, and is opened and read like a volume; whatever changes anything of it is -EROFS or -EINVAL.  It copies
 * nothing: a page that both have is there once, until the volume replaces it.  A clone is a volume that begins
 * as what a snapshot holds, and shares its pages in the same way.
 *
 * What hurts, first:
 *
 *  - A new block of one volume can get -ENOSPC because of another.  A block that has a page can always be
 *    overwritten, whatever the others do, and whether or not a snapshot has that page, too.
 *  - That has a price: a snapshot reserves as many pages as its volume has replaced or added since the snapshot
 *    before, and a clone as many as its snapshot has.  After a snapshot of a volume that fills half of the device
 *    there is no page for new blocks, and none to lend.  Trimming the volume, or deleting the snapshot, gives
 *    them back.
 *  - A thin volume does not pay it, and has no such guarantee: to overwrite a block whose page a snapshot has can be
 *    -ENOSPC, like a new block.  What it shares with none can be overwritten, and trims, zeroes that unmap, and deletions
 *    of volumes and snapshots succeed on a full device, as ever.
 *  - The first write to 2 MiB of a volume after a snapshot copies a page, or a few, before it goes on.
 *  - What is open is neither deleted, shrunk nor rolled back: -EBUSY.  A volume that has snapshots, and a
 *    snapshot that a clone was made from, are not deleted either.
 *  - The calls that make or change volumes are made one at a time, each to its end.  Who opens a volume that is
 *    being deleted, cut or rolled back waits for that; else opening, closing and listing wait for moments only.
 *    Requests do not wait, but for a moment when a snapshot of their volume is made or deleted.  What they did
 *    is durable on return; a power failure inside leaves all of it or nothing, but for several snapshots made at
 *    once, snapshots that a rollback deletes first, and the pages of what was cut off or deleted, which are free
 *    at the latest after the next kmemblk_start().
 *
 * All calls may be made by any thread at any time, but kmemblk_volume_close() after all requests of its own, and
 * none by a callback of this header that does not say so.  A call returns 0, or a negative errno, and then
 * kmemblk_error() has a message.  Names and buffers are the caller's, and are not kept.
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

/* A volume or a snapshot. */
struct kmemblk_volume_info {
	/* NUL-terminated; of a snapshot VOLUME@SNAPSHOT, or UUID@SNAPSHOT if damage has taken its volume */
	char name[128];
	char uuid[37];	     /* text form */
	uint64_t created;    /* seconds since 1970-01-01 UTC */
	uint64_t blocks;     /* of KMEMBLK_BLOCK_SIZE bytes */
	uint64_t size_bytes; /* blocks * KMEMBLK_BLOCK_SIZE */
	uint64_t pages_used; /* pages that hold its blocks, shared ones included */
	/*
	 * Pages, of blocks and of tables, that no older snapshot has: those before it of the same volume, and what a
	 * clone was made from.  Younger ones may share them.
	 */
	uint64_t pages_owned;
	int is_default;	 /* 1: it is meant where no name is given */
	int is_snapshot; /* 1: it never changes */
	int is_thin;	 /* 1: no pages are reserved for overwrites of what it shares */
	int users;	 /* kmemblk_volume_open() less kmemblk_volume_close(); 0 if probed */
	/* Of a clone the snapshot that it was made from, VOLUME@SNAPSHOT, or its uuid if damage has taken it; else "" */
	char origin[128];
};

/*
 * kmemblk_volume_open - open a volume of an open device; `name` NULL: the only one, or the one that
 * kmemblk_format() made.
 *
 * VOLUME, or VOLUME@SNAPSHOT; a snapshot whose volume is not there has the uuid of that in its place.  Any number
 * of times, each for itself; all of them see the same.  May be called before kmemblk_start().  End it by
 * kmemblk_volume_close(), before kmemblk_close().
 *
 * Errors: -ENOENT there is no such volume: the message tells which there are; -EUCLEAN its map has been damaged
 * since the device was opened; -ENOMEM.
 */
int kmemblk_volume_open(struct kmemblk *handle, const char *name, struct kmemblk_volume **volume);

/* kmemblk_volume_close - the end of one kmemblk_volume_open().  NULL is allowed.  Cannot fail. */
void kmemblk_volume_close(struct kmemblk_volume *volume);

/* kmemblk_volume_get_info - describe an open volume.  Cannot fail; the counts are of the moment.  Takes a lock. */
void kmemblk_volume_get_info(struct kmemblk_volume *volume, struct kmemblk_volume_info *info);

/* ---- I/O ------------------------------------------------------------------------------------ */

/*
 * kmemblk_read - read `count` bytes at `offset` into `buf`.
 *
 * In bytes, which need not be aligned.  Takes no lock and never waits for a writer.  Each block is read as it was
 * at one instant.  Blocks that no write has reached, or that were trimmed, read as zeroes.
 *
 * Errors: -EINVAL out of range; -EIO a media error, a damaged entry of the map, or a block that does not hold
 * what was written to it, as its check value tells.  After an error the contents of `buf` are undefined.
 */
int kmemblk_read(struct kmemblk_volume *volume, void *buf, size_t count, uint64_t offset);

/*
 * kmemblk_write - write `count` bytes of `buf` at `offset`.
 *
 * In bytes, which need not be aligned.  Durable on return.  May wait for other writers' pages when few are free,
 * and while a snapshot of the volume is made or deleted for a moment, never for readers of this range as such.
 * Concurrent writes to parts of one block are all kept.
 *
 * Errors: -EINVAL out of range, or kmemblk_start() has not been called; -EROFS the handle is read-only, or a failure
 * to persist made it so, or this is a snapshot; -ENOSPC a block that has no page could not get one, or one of a thin
 * volume whose page a snapshot has, and the message says who has the pages; -EIO a media error, a damaged entry of the map, or a block of which a part was to be
 * written and the rest is damaged; or a failure to persist: of this call's blocks, or, on an ordinary file, of
 * others' at the same time, which the kernel does not tell apart.  After an error each block of the range holds its
 * old or its new contents, durably unless persisting failed.
 */
int kmemblk_write(struct kmemblk_volume *volume, const void *buf, size_t count, uint64_t offset);

/*
 * kmemblk_trim - give back the pages of the blocks that lie wholly inside the range.
 *
 * They read as zeroes afterwards, durably on return; blocks that are only partly inside keep their
 * contents.  Pages that a snapshot has stay with it.  May wait like kmemblk_write().
 *
 * Errors: -EINVAL and -EROFS as for write; -EIO; -ENOSPC only where the file system copies on write.  After an error
 * each block of the range holds its old contents or zeroes.
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

/*
 * Receives a range of whole blocks that may differ; `flags` is 0 if it has data, or KMEMBLK_EXTENT_HOLE if it reads as
 * zeroes.  Ranges come in ascending order, do not overlap, and two neighbours are of different kinds.  Return 0 to go
 * on, 1 to stop early without error, or a negative errno to fail.  It may call anything but kmemblk_volume_close() of
 * the two volumes.
 */
typedef int (*kmemblk_diff_fn)(void *opaque, uint64_t offset, uint64_t count, unsigned int flags);

/*
 * kmemblk_diff - tell which blocks of `to` may differ from those of `from`.
 *
 * For two snapshots of a volume, or any two volumes and snapshots that have been made from each other or from a
 * common one; both open, of one handle, which may be read-only and need not be started.  `from` NULL: compare with a
 * volume of zeroes, so that all that has data is told, and no holes.
 *
 * Every block that differs is told.  A block that was written and holds the same bytes as before may be told, too.
 * What both share is skipped, so that the call takes time in proportion to what has been written since, not to the
 * size.  It reads maps, no blocks: what is damaged in a block shows when it is read.
 *
 * The sizes may differ.  Nothing is told past the end of `to`.  Past the end of `from` what has data is told; what is
 * not told there reads as zeroes.  kmemblk_volume_get_info() has the sizes, and a program that brings a copy up to date
 * gives it the size of `to` first.
 *
 * Snapshots are compared exactly.  Either may also be a volume that is written to meanwhile: then each block is
 * compared as it was at some instant during the call, not all of them at the same, and what a volume grows by meanwhile
 * is left out.  For a backup make a snapshot and compare that.  Writers are not held up, and snapshots of the volumes
 * may be made and deleted meanwhile.  Any number of threads may call it at once.
 *
 * Errors: -EINVAL `from` and `to` are of different handles, or have no common origin; -EIO the map cannot be read, or
 * an entry that would have to be followed is damaged: what has been told until then is right, and the rest is not
 * known; what `fn` returned.
 */
int kmemblk_diff(struct kmemblk_volume *from, struct kmemblk_volume *to, kmemblk_diff_fn fn,
		 void *opaque);

/* ---- making and changing volumes ------------------------------------------------------------- */

/*
 * kmemblk_volume_list - call `fn` for each volume and each snapshot.
 *
 * Volumes come in the order in which they were made while none was deleted, each followed by its snapshots, the
 * oldest first.  `fn` calls nothing of this header.  Returns the first value that is not 0 of `fn`, else 0;
 * -ENOMEM.
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

/* The volume is thin, or for kmemblk_snapshot() becomes so if need be: see above, and kmemblk_volume_set_thin(). */
#define KMEMBLK_THIN 2u

/*
 * kmemblk_volume_create - make a volume of `size` bytes, a multiple of KMEMBLK_BLOCK_SIZE, at most 2 PiB.
 *
 * `handle` was opened for writing and started, for this call and those below.  Takes one page, with
 * KMEMBLK_VOLUME_PREALLOC as many as it can ever need while it has no snapshot.  `flags`: these two, or 0.
 *
 * Errors: -EEXIST the name is in use; -EINVAL size, name or flags, or a device without volumes; -ENOSPC no page is
 * left, or the directory is full; -EROFS; -ENOMEM: none of these changes anything.  -EIO a media error, and nothing
 * has changed; or a failure to persist, as for write, after which the volume may be there at the next open.
 */
int kmemblk_volume_create(struct kmemblk *handle, const char *name, uint64_t size,
			  unsigned int flags);

/*
 * kmemblk_snapshot - keep what volumes hold at this instant, each as VOLUME@SNAPSHOT.
 *
 * All of `count`, 1 to 64, are of one instant: each has all that was acknowledged before the call, each block that was
 * under way whole, old or new, and nothing that was begun after it returned.  They are of as many volumes, which may
 * be open and in use.  Takes a page for each and copies nothing.  A power failure inside may keep only some of them.
 *
 * Each reserves as many pages as its volume owns: those that hold its blocks or tables and are not shared with the
 * snapshot before.  It may wait for lent memory for them, as kmemblk_write() does.  Of a thin volume it reserves those of
 * tables only.  `flags`: 0, or KMEMBLK_THIN: a volume for which there are too few pages becomes thin, durably before its
 * snapshot is there, and stays so; the others stay as they are.
 *
 * Errors: -ENOENT no such volume; -EEXIST there is one of that name; -EINVAL a name, `count`, flags, two of one volume;
 * -ENOSPC too few pages are left to keep what is there and to overwrite all of it, and the message says how many are
 * wanted and left; or the directory is full; -EROFS; -ENOMEM: none of these changes anything.  -EIO as for create: some
 * may have been made, and volumes have become thin.
 */
int kmemblk_snapshot(struct kmemblk *handle, const char *const *names, unsigned int count,
		     unsigned int flags);

/* Its snapshots, too. */
#define KMEMBLK_VOLUME_RECURSIVE 1u

/*
 * kmemblk_volume_delete - delete a volume, and all that it holds, or a snapshot, VOLUME@SNAPSHOT, and what only that
 * holds.
 *
 * Nobody has it open; the volume of a snapshot may be open and in use.  Needs no page, but memory: two bits for each
 * page of the device.  Pages are free when the call returns, or soon after.  A volume that has snapshots is deleted
 * only with KMEMBLK_VOLUME_RECURSIVE: then they go first, the newest before the others.
 *
 * Errors: -ENOENT; -EBUSY somebody has it open, a clone was made from it, or it has snapshots, and the message names
 * which; -EINVAL flags; -EROFS; -EIO; -ENOMEM.  None but -EIO changes anything; with KMEMBLK_VOLUME_RECURSIVE some
 * snapshots may be gone after -EIO and -ENOMEM, and nothing is deleted if any of all that is to be deleted is
 * -EBUSY.  A power failure inside leaves the volume with those of its snapshots that were not deleted yet.
 */
int kmemblk_volume_delete(struct kmemblk *handle, const char *name, unsigned int flags);

/*
 * kmemblk_volume_rename - give a volume or a snapshot another name, also while it is open.
 *
 * A snapshot stays with its volume: VOLUME@OLD becomes VOLUME@NEW.  The snapshots of a volume go by its new name.
 * Works on a full device.
 *
 * Errors, of which none changes anything: -ENOENT; -EEXIST the name is in use; -EINVAL it can be no name, or is that of
 * another volume's snapshot; -EROFS; -EIO; -ENOMEM.
 */
int kmemblk_volume_rename(struct kmemblk *handle, const char *name, const char *new_name);

/* Cut off what is written past the new end. */
#define KMEMBLK_VOLUME_FORCE 1u

/*
 * kmemblk_volume_resize - make a volume larger, or smaller.
 *
 * It may be open while it grows: who opens it afterwards, or asks for its information, sees the new size, and
 * requests may go to it at once.  What is new reads as zeroes, also where the volume was larger once.  It is made
 * smaller only while nobody has it open, and where something is written past the new end only with
 * KMEMBLK_VOLUME_FORCE.  Its snapshots keep their size, and what they hold.
 *
 * Errors, of which none but -EIO changes anything: -ENOENT; -EBUSY; -EEXIST something is written past the new
 * end; -EINVAL size or flags, or it is a snapshot; -ENOSPC; -EROFS; -EIO; -ENOMEM.
 */
int kmemblk_volume_resize(struct kmemblk *handle, const char *name, uint64_t size,
			  unsigned int flags);

/*
 * kmemblk_volume_clone - make a volume that begins as what a snapshot holds, and shares its pages.
 *
 * `snapshot` is VOLUME@SNAPSHOT, which cannot be deleted while the clone is there.  Takes one page and copies nothing;
 * pages are reserved so that all of it can be overwritten.  `flags`: 0, or KMEMBLK_THIN: it is thin, and pages are reserved for
 * its tables only.  Errors: as for create; -ENOENT no such snapshot; -EINVAL, too, where it is a volume; -ENOSPC, and
 * the message says how many pages are wanted and left.
 */
int kmemblk_volume_clone(struct kmemblk *handle, const char *snapshot, const char *name,
			 unsigned int flags);

/*
 * kmemblk_volume_set_thin - make a volume thin, or with `is_thin` 0 end that.
 *
 * It may be open and in use: its requests wait for a moment.  It becomes thin on a full device, too, and what was
 * reserved for overwrites of what it shares is free for others when the call returns.  To end it reserves a page for each
 * block that it shares, for which it may wait for lent memory, as kmemblk_write() does.  Nothing happens where it is so
 * already.
 *
 * Errors, of which none but -EIO changes anything: -ENOENT no such volume; -EINVAL it is a snapshot; -ENOSPC too few
 * pages are left to end it, and the message says how many are wanted and left; -EROFS; -EIO a failure to persist: it may be
 * either at the next open.
 */
int kmemblk_volume_set_thin(struct kmemblk *handle, const char *name, int is_thin);

/*
 * kmemblk_volume_rollback - make a volume again what it was when `snapshot`, VOLUME@SNAPSHOT, was made, its size
 * included.
 *
 * Nobody has it open.  The snapshot stays.  Snapshots that are younger stand in the way; with KMEMBLK_VOLUME_FORCE
 * they are deleted first, the youngest first.  What the snapshot has more than the volume is reserved; a thin volume
 * stays thin.
 *
 * Errors, of which none but -EIO changes anything, but with KMEMBLK_VOLUME_FORCE younger snapshots may be gone after
 * -ENOSPC, -EUCLEAN and -ENOMEM: -ENOENT no such snapshot, or its volume is not there; -EBUSY the volume is open, or a younger snapshot is, or a
 * clone was made from that; -EEXIST there are younger ones; -EINVAL it is a volume, or flags; -ENOSPC; -EUCLEAN the map
 * has been damaged; -EROFS; -ENOMEM; -EIO a failure to persist: it may be rolled back at the next open.
 */
int kmemblk_volume_rollback(struct kmemblk *handle, const char *snapshot, unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif /* KMEMBLK_VOLUME_H */
