/* SPDX-License-Identifier: BSD-3-Clause */
/* image.h - what the parts of fuzz-image.c share. */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "fuzz.h"

#define PAGES_MAX   768u
#define VOLUMES_MAX 1024u /* that an input speaks of: of two pages of the directory */
#define ENTRIES	    512u
#define CRC_AT	    4092u
#define PAGE_MASK   ((1ull << 39) - 1)

#define FLAG_SEAL	 (1u << 0) /* make the primary's checksum right */
#define FLAG_SEAL_COPY	 (1u << 1) /* and the copy's */
#define FLAG_NO_COPY	 (1u << 2) /* leave the copy's page without storage */
#define FLAG_COPY_AT_END (1u << 3) /* copy in the device's last page, not where the primary says */
#define FLAG_DATA_HOLES                                                                            \
	(1u << 4)	     /* pages of odd numbers have no storage, but for tables and records */
#define FLAG_PROBE (1u << 5) /* also kmemblk_probe(), which goes through /proc and is slow */

/* ---- image-make.c: the device that an input tells -------------------------------------------- */

/* A block that the input speaks of. */
struct target {
	unsigned int number; /* of the volume, in the directory */
	uint64_t block;
};

#define TARGETS_MAX 80u

struct image {
	uint8_t bytes[PAGES_MAX * PAGE];
	bool touched[PAGES_MAX]; /* pages that are not all zero, or tables */
	uint64_t pages, device_size;
	unsigned int flags; /* FLAG_* */
	struct target target[TARGETS_MAX];
	unsigned int targets;
};

extern struct image image;

void image_make(struct input *input);
void image_forget(void);

/* ---- image-view.c: what the bytes say -------------------------------------------------------- */

/* No page: the block cannot be read. */
#define LOST UINT64_MAX

struct volume {
	unsigned int number; /* in the directory */
	unsigned int height;
	uint64_t page; /* of its record */
	uint64_t blocks, family;
	uint64_t past; /* entries past its end */
	uint64_t sequence;
	uint8_t uuid[16], of[16], origin[16]; /* `of`: of a snapshot, its volume's */
	bool is_snapshot;
	int before; /* its predecessor, in view.volume; -1: none */
	unsigned int walk;
	char own[64], name[128]; /* as in its record; of a snapshot VOLUME@SNAPSHOT */
};

struct view {
	uint64_t directory; /* pages of it */
	uint64_t data_start, data_end, ro_compat;
	bool checks;
	bool growing; /* a growth was cut before the primary; check goes by what is to be */
	struct volume volume[PAGES_MAX];
	unsigned int volumes;
	uint8_t names[PAGES_MAX]; /* entries that name a page, at most 2 */
	uint64_t blocks;	  /* of all volumes */
	uint64_t used, tables;
	uint64_t problems, bad, shared; /* with directory and records; entries; pages */
	uint64_t mendable;   /* of the problems: entries of the directory, from the other */
	uint64_t verified;   /* entries of blocks that check looks behind */
	uint64_t mismatched; /* of these, blocks that do not hold what was written there */
};

/* Read the device, which the library has opened, into `bytes`; and what it says. */
void view_look(struct view *view);

static inline uint64_t view_damage(const struct view *view)
{
	return view->problems + view->bad + view->shared;
}

/* The page of a block, 0 for zeroes, or LOST. */
uint64_t view_find(const struct view *view, const struct volume *volume, uint64_t block);
/* What the block holds that is on that page. */
const uint8_t *view_contents(uint64_t page);

/* Blocks of a volume that are worth a look; how many. */
#define PROBES_MAX 400u
unsigned int view_probes(const struct view *view, const struct volume *volume,
			 uint64_t probes[PROBES_MAX]);

bool view_is_zero(const uint8_t *page);

/* Check has found nothing at all: there is nothing. */
void view_expect_flawless(const struct view *view);

uint64_t number_at(const uint8_t *bytes, unsigned int width);

/* ---- image-family.c: which comes before which ------------------------------------------------ */

/* Find predecessors and names, and count what is wrong with them. */
void view_relate(struct view *view);

/* ---- image-use.c: reading -------------------------------------------------------------------- */

/* An error is one of those that are documented, and none of an access. */
void use_expect_clear(int rc);
bool use_speaks_of_access(const char *text);

/* True if the device opens read-only; then `view` is what it holds. */
bool use_read(struct view *view);

/* ---- image-write.c: writing ------------------------------------------------------------------ */

/* `sound`: check finds nothing. */
void use_write(const struct view *view, bool sound);

/* ---- image-kin.c: snapshots and clones ------------------------------------------------------- */

#define KIN_BLOCKS 12u

/* A volume, and blocks of it. */
struct kin {
	const char *name;
	uint64_t blocks;
	uint64_t block[KIN_BLOCKS];
	unsigned int count;
};

/* Make a snapshot of it and a clone; afterwards the volume's blocks hold anything.  `keep`: these two. */
void kin_use(struct kmemblk *h, const struct kin *kin, bool keep);
/* Delete some of the snapshots that the device had. */
void kin_delete(struct kmemblk *h, const struct view *view);

#endif /* IMAGE_H */
