/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pm.h - the persistent mapping: the only way in which the library stores to a device.
 *
 * This is the seam between what kmemblk decides and what the hardware does.  Nothing else includes
 * libpmem, and nothing else writes to the mapping, so a test that replaces pm.c sees every store,
 * flush and drain, and may lose or reorder them.
 *
 * A store is durable after it has been flushed and the same thread has then drained:
 *
 *   pm_copy(), pm_zero(),
 *   pm_copy_blocks()       store and flush
 *   pm_cas(), pm_swap()    store only; pm_flush() flushes
 *   pm_drain()             waits for this thread's flushes
 *
 * On an ordinary file a flush is msync(MS_SYNC), which can fail; there pm_drain() has nothing left
 * to wait for.  What a flush or drain is for is said by an order point, so that the rules stand in
 * one list and a test can break any one of them.
 */
#ifndef PM_H
#define PM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/crc24.h"
#include "media/layout.h"

/* What stands behind the mapping, and so what a flush is; persistence.c says what it survives. */
enum pm_media {
	PM_DEVDAX, /* CPU flush */
	PM_FSDAX,  /* CPU flush (MAP_SYNC) */
	PM_TMPFS,  /* CPU flush, as emulated persistent memory */
	PM_FILE,   /* msync */
};

/*
 * The order points: what each flush and drain puts before what, and what a power failure could
 * show if it were left out.
 */
enum pm_order {
	/* Write: page contents before the entry that names the page (invariant 2).
	 * Else a block could show whatever the page held before. */
	PM_WRITE_DATA,
	/* Write: the entry before the acknowledgement (8) and before the old page's reuse (3).
	 * Else an acknowledged write could be lost, or two blocks could share a page. */
	PM_WRITE_ENTRY,
	/* The same two for a write of part of a block. */
	PM_PART_DATA,
	PM_PART_ENTRY,
	/* Trim: the cleared entries before the acknowledgement and the pages' reuse (8, 3).
	 * Covers entries found clear, which another thread may have cleared and not drained, and that above a
	 * leaf that is dropped. */
	PM_TRIM_ENTRY,
	/* First write in a table's range, or to it after a snapshot: its zeroes, or the copy, before the entry
	 * that names it.  Else blocks could show what the page held before. */
	PM_TABLE_CONTENTS,
	/* The same: that entry before the table is used.
	 * Else acknowledged writes behind it could be lost. */
	PM_TABLE_ENTRY,
	/* A view is made or changed: its record, and tables above its old root, before the directory names
	 * them.  Else it could name what is no record. */
	PM_RECORD,
	/* The entry of the directory before its copy, and before what it replaced is reused; and the copy's.
	 * Repair: before the correction is reported. */
	PM_DIRECTORY,
	PM_DIRECTORY_COPY,
	/* What is past the end of a volume that was shrunk: cleared before its pages are reused. */
	PM_CUT,
	/* Format: old superblocks gone before anything else changes.
	 * Else an old superblock could describe a half-cleared device. */
	PM_FORMAT_DESTROY,
	/* Format: directory clear, and with prealloc the zeroed pages, before entries name them. */
	PM_FORMAT_CLEAR,
	/* Format: record, directory, and the tables of a thick device, before a superblock says they are
	 * there. */
	PM_FORMAT_ENTRIES,
	/* Superblock copy before the primary: a whole device has both. */
	PM_FORMAT_COPY,
	/* Primary before format (or repair) returns. */
	PM_FORMAT_PRIMARY,
	/* Growth: the copy at the new end before the one at the old end is cleared.
	 * Else the device could be left without any. */
	PM_GROW_COPY,
	/* Growth: the old copy is gone before the primary says that its page is one for data.
	 * Else it would stay there for ever, and could be taken for the copy if the device is cut short. */
	PM_GROW_CLEAR,
	/* Growth: the checksum of the new primary before its size and generation.
	 * Else one that is cut between could not be told from one that is damaged. */
	PM_GROW_CHECKSUM,
	/* Growth: the primary before the call returns, and what relies on its size is written. */
	PM_GROW_PRIMARY,
	/* Repair: one superblock rewritten from the other, before the correction is reported. */
	PM_REPAIR_SUPER,
	/* Open for writing: superblock, directory, record and tables as they were found, before anything relies on them
	 * (3, 8).  Else a page that the media still names could be given to another block. */
	PM_OPEN_FOUND,
	PM_ORDER_COUNT
};

struct pm {
	uint8_t *base;	     /* NULL: not mapped */
	size_t size;	     /* bytes mapped */
	enum pm_media media; /* decides what a flush is */
	bool readonly;	     /* mapped PROT_READ */
};

/*
 * Map `size` bytes of the open file or device `fd`; `path` is for messages only.  The mapping is
 * made through the descriptor, so that what is mapped is what was claimed.  On success an fsdax
 * file without MAP_SYNC has become PM_FILE in pm->media.  0 or -errno with message.
 */
int pm_map(struct pm *pm, int fd, size_t size, enum pm_media media, bool readonly,
	   const char *path);
void pm_unmap(struct pm *pm);

/* Keep the mapping out of children forked from now on.  0 or -errno. */
int pm_keep_from_children(const struct pm *pm);

/* Store len bytes at dst and flush them.  Never torn below 8 aligned bytes.  0 or -errno. */
int pm_copy(const struct pm *pm, void *dst, const void *src, size_t len, enum pm_order order);
int pm_zero(const struct pm *pm, void *dst, size_t len, enum pm_order order);

/*
 * The same for `n` adjacent pages of as many adjacent blocks, of which the first is the prefix's, and the
 * check value of what was stored to each.  `src` NULL: zeroes.
 */
int pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
		   struct crc24_prefix prefix, uint32_t *value, enum pm_order order);

/*
 * One 8-byte atomic store.  Both are acquire-release: release, so that whoever loads the new entry
 * sees the page's contents; acquire, since the caller goes on to use what the old value named.
 */
bool pm_cas(const struct pm *pm, _Atomic uint64_t *word, uint64_t *expected, uint64_t desired);
uint64_t pm_swap(const struct pm *pm, _Atomic uint64_t *word, uint64_t desired);

/*
 * Have the kernel forget what it has cached of the mapped file, `fd`, so that a page is read from the disk when
 * it is looked at again.  Then, before the first look at a page: true if it has not been forgotten, or where
 * nothing is to be.
 */
void pm_forget(const struct pm *pm, int fd);
bool pm_is_kept(const struct pm *pm, uint64_t page);

/*
 * Make sure that a flush of these bytes, whole pages, writes them, also if the kernel takes them for
 * clean after it has failed to write them.  They stay as they are; nobody else may store to them
 * meanwhile.
 */
void pm_dirty(const struct pm *pm, void *addr, size_t len);

/* Flush len bytes at addr.  0, or -errno of msync: then nothing may rely on them being durable. */
int pm_flush(const struct pm *pm, const void *addr, size_t len, enum pm_order order);
/* Wait until this thread's flushes are on the media. */
void pm_drain(const struct pm *pm, enum pm_order order);

/* Zero memory that is about to be lent: nothing of it is to be durable. */
void pm_clear(void *dst, size_t len);

/* Begin to read what will be copied soon, where a disk is behind it. */
void pm_read_ahead(const void *src, size_t len);
static inline void pm_will_read(const struct pm *pm, const void *src, size_t len)
{
	if (__builtin_expect(len > LAYOUT_PAGE_SIZE && pm->media == PM_FILE, 0))
		pm_read_ahead(src, len);
}

/* Copy out of the mapping.  A function, so that ThreadSanitizer sees the accesses. */
void pm_read(void *dst, const void *src, size_t len);

/* The same for a block's page, and the check value of what was copied. */
uint32_t pm_read_block(void *dst, const void *src, struct crc24_prefix prefix);

/* The address of a page. */
static inline uint8_t *pm_page(const struct pm *pm, uint64_t page)
{
	return pm->base + (page << LAYOUT_PAGE_SHIFT);
}

#endif /* PM_H */
