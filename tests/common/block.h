/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block.h - contents that tell what they are.
 *
 * Every word of a block carries its owner's number, a version and the word's own place, so that a
 * mixture of two versions, a block of another number and a word in the wrong place all show.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_SIZE  4096
#define BLOCK_WORDS 512u

/* Fill a whole block with version `version`, not 0, of `number`. */
void block_fill(void *buf, uint32_t number, uint32_t version);

/* What some words of a block hold. */
enum content_kind {
	CONTENT_ZEROES,
	CONTENT_VERSION, /* all of one version of one number */
	CONTENT_MIXED,
};

struct content {
	enum content_kind kind;
	uint32_t number;
	uint32_t version;
};

/* Recognise `count` words, which stand at word `first` of a block.  `buf` may be unaligned. */
struct content block_recognise(const void *buf, unsigned int first, unsigned int count);

/*
 * The version of the whole block `number` in `buf`; 0 where it is all zeroes.  False where it is no
 * whole version of that block.
 */
bool block_version(const void *buf, uint32_t number, uint64_t *version);

#endif /* BLOCK_H */
