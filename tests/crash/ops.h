/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ops.h - the requests that scenarios are made of: how each is written, done, and what it means.
 *
 * A new kind of request is a line in the table of ops.c, and letters of alphabets.c.  If it stores
 * to the device other than through pm.h, the recorder must be told: recorder_store(),
 * recorder_hole().
 */
#ifndef OPS_H
#define OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmemblk.h"

#define BLOCK_SIZE KMEMBLK_BLOCK_SIZE
#define BLOCKS	   4u
#define DISK_SIZE  (BLOCKS * BLOCK_SIZE) /* of those that are looked at */

enum op_kind {
	OP_WRITE,
	OP_TRIM,
	OP_ZERO,
	OP_ZERO_NO_HOLE,
	OP_MOVE,	 /* its blocks, to other pages */
	OP_PUNCH,	 /* all free pages that may be; place and length mean nothing */
	OP_LEND,	 /* pages are borrowed, as many as the length has, and stored to */
	OP_RETURN,	 /* they are stored to once more, and given back */
	OP_RETURN_AGAIN, /* the last of them once more, which is to be refused or do no harm */
	OP_FILL,	 /* the file system runs full, where it can */
	OP_KINDS
};

struct op {
	enum op_kind kind;
	uint32_t offset, count;
};

/* Where on the disk its blocks stand, in ascending order, of those that follow; and how large that makes it. */
void ops_place(const uint64_t at[BLOCKS]);
uint64_t ops_disk_size(void);

/* Read all of them.  0 or -errno with message; -EUCLEAN if another block of the disk has a page. */
int ops_read(struct kmemblk *handle, uint8_t *disk);
/* True if a block that the operation touches has no page. */
bool ops_find_hole(struct kmemblk *handle, const struct op *op);

/* Pages that are lent now. */
unsigned int ops_lent(void);

/* Another device is opened: nothing of it is lent. */
void ops_begin(void);

/* "write@0+4096".  False if it is not such a text. */
bool op_parse(const char *text, struct op *op);
void op_print(const struct op *op, char *text, size_t size);

/* Do it, as number `number` of its sequence: that, and the place, make its bytes its own. */
int op_run(struct kmemblk *handle, const struct op *op, unsigned int number);

/* True if a block without a page may be refused a new one by it: -ENOSPC. */
bool op_may_be_refused(const struct op *op);

/* True if it changes what block `block` holds; op_apply() changes `bytes` of that block so. */
bool op_touches(const struct op *op, uint32_t block);
void op_apply(const struct op *op, unsigned int number, uint32_t block, uint8_t *bytes);

#endif /* OPS_H */
