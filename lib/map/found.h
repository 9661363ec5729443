/* SPDX-License-Identifier: BSD-3-Clause */
/* found.h - what the scan at open is given and finds.  See scan.c. */
#ifndef FOUND_H
#define FOUND_H

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

/* Something that is wrong with the directory, or with a record that it names. */
struct scan_problem {
	const char *text;
	unsigned int number; /* of the volume */
	bool copy;	     /* it is with the entry in the directory's copy */
	bool unreadable;     /* it is a media error */
	uint64_t page; /* of the record that the other entry names, and that is whole; 0: none */
};

/* A page that holds entries, as it was found. */
struct scan_page {
	uint64_t page;
	uint64_t number; /* of the table */
	uint64_t below;	 /* the predecessor's table at that place; 0: none */
	uint16_t view;	 /* whose it is: its number in `views`, of which there are at most 2^16 */
	uint8_t level;	 /* of the table; 0: a record, or a page of the directory */
	bool kept;	 /* by the kernel: what is read need not be what the disk has */
};

/* A volume or a snapshot, as it was found. */
struct scan_view {
	unsigned int number;	  /* in the directory */
	uint64_t page;		  /* of its record */
	struct map map;		  /* not prepared */
	struct scan_view *volume; /* whose snapshot it is; NULL: it is none, or that is not there */
	struct scan_view *predecessor; /* NULL: none */
	unsigned int walk;	       /* of ancestry_find(): in which it was first met */
	bool summed; /* the next two are sums, no longer what is more than the predecessor's */
	_Atomic uint64_t used;	 /* blocks that have a page ... */
	_Atomic uint64_t tables; /* ... and the tables that find them */
	_Atomic uint64_t
		owned; /* pages of blocks that it names and its predecessor does not, ... */
	_Atomic uint64_t owned_tables; /* ... and such tables */
	_Atomic uint64_t
		past; /* what stands past its last block: it was shrunk, and that has not been cleared */
	_Atomic uint64_t damaged; /* entries */
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
	/*
	 * Called in the calling thread for each problem with the directory or a record.  True: it has been
	 * mended, or can be, and does not count.  May be NULL.
	 */
	bool (*directory_problem)(void *opaque, const struct scan_problem *problem);
	void *directory_opaque;
	kmemblk_progress_fn progress; /* in the calling thread; may be NULL */
	void *progress_opaque;

	/* Found: */
	char problem[400]; /* the first with the directory or a record; "" for none */
	unsigned int problems;
	struct scan_view *views;
	unsigned int view_count;
	_Atomic uint64_t *named; /* data pages in use */
	_Atomic uint64_t *twice; /* those that more than one entry names */
	struct scan_page *pages; /* all that hold entries, leaves last */
	uint64_t page_count, page_room;
	uint64_t leaves;   /* how many of these are leaves */
	uint64_t used;	   /* data pages that blocks have */
	uint64_t tables;   /* data pages that are tables or records */
	uint64_t reserved; /* pages that are reserved: see docs/design.md, "Reservations" */
	bool unequal; /* an entry of the directory and its copy differ, as a crash may leave them */
	uint64_t wild;	     /* entries that name no page they could, or are no entries */
	uint64_t unreadable; /* entries behind a media error */
	uint64_t named_twice;
};

/* True if something is wrong with what names pages: then nothing may be written. */
static inline bool scan_found_damage(const struct scan *scan)
{
	return scan->problem[0] != '\0' || scan->wild > 0 || scan->unreadable > 0 ||
	       scan->named_twice > 0;
}

#endif /* FOUND_H */
