/* SPDX-License-Identifier: BSD-3-Clause */
/* scan.h - read at open all that names a page.  See scan.c. */
#ifndef SCAN_H
#define SCAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bitmap.h"
#include "kmemblk.h"
#include "map/map.h"
#include "media/badblocks.h"

/* What is wrong with an entry. */
enum map_damage {
	DAMAGE_WILD,	   /* it names `page`, which is no data page */
	DAMAGE_TURNED,	   /* a bit of it has turned, or several have, or it belongs elsewhere */
	DAMAGE_UNREADABLE, /* media error */
	DAMAGE_SHARED,	   /* it names `page`, as an earlier one does */
};

/* A page that holds entries, as it was found. */
struct scan_page {
	uint64_t page;
	uint64_t number; /* of the table */
	uint16_t view;	 /* whose it is: its number in `views` */
	uint8_t level;	 /* of the table; 0: a record, or a page of the directory */
	bool kept;	 /* by the kernel: what is read need not be what the disk has */
};

/* A volume, as it was found. */
struct scan_view {
	unsigned int number;   /* in the directory */
	uint64_t page;	       /* of its record */
	struct map map;	       /* not prepared */
	_Atomic uint64_t used; /* entries that name the page of a block */
	_Atomic uint64_t
		past; /* what stands past its last block: it was shrunk, and that has not been cleared */
	_Atomic uint64_t damaged; /* entries */
	uint64_t tables;
};

struct scan {
	/* Given: */
	const struct badblocks *bad; /* not to be touched; NULL: all is, under guards */
	bool for_writing;	     /* learn what is to be made durable */
	/*
	 * Called for the damaged entry of a block (level 0), or of the table at a place; from several
	 * threads, but one at a time.  May be NULL.
	 */
	void (*damaged)(void *opaque, enum map_damage damage, const struct scan_view *view,
			unsigned int level, uint64_t number, uint64_t page);
	void *damaged_opaque;
	kmemblk_progress_fn progress; /* in the calling thread; may be NULL */
	void *progress_opaque;

	/* Found: */
	char problem[256]; /* the first with the directory or a record; "" for none */
	unsigned int problems;
	struct scan_view *views;
	unsigned int view_count;
	_Atomic uint64_t *named; /* data pages in use */
	_Atomic uint64_t *twice; /* those that more than one entry names */
	struct scan_page *pages; /* all that hold entries, leaves last */
	uint64_t page_count, page_room;
	uint64_t leaves; /* how many of these are leaves */
	uint64_t used;	 /* entries that name the page of a block */
	uint64_t tables; /* data pages that are tables or records */
	bool unequal; /* an entry of the directory and its copy differ, as a crash may leave them */
	uint64_t wild;	     /* entries that name no page they could, or are no entries */
	uint64_t unreadable; /* entries behind a media error */
	uint64_t named_twice;
};

/*
 * Read all that a mapped device has: its volumes and their maps.  0, also if it is damaged; -ENOMEM with message.
 * In any case end it by scan_free().
 */
int scan_open(struct scan *scan, const struct device *device, const struct super *super);
void scan_free(struct scan *scan);

/* True if something is wrong with what names pages: then nothing may be written. */
static inline bool scan_found_damage(const struct scan *scan)
{
	return scan->problem[0] != '\0' || scan->wild > 0 || scan->unreadable > 0 ||
	       scan->named_twice > 0;
}

/*
 * Make durable what the scan found, before anything relies on it.  `super_kept`: the superblock, too.  0 or
 * -errno with message.
 */
int scan_persist(const struct scan *scan, const struct device *device, bool super_kept);

#endif /* SCAN_H */
