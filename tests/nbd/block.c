/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block.c - make and recognise the blocks of block.h.
 *
 * Word 0 is the number, word 1 the version, and each other word is what a generator seeded with
 * both gives, so that each word checks itself.
 */
#include "config.h"

#include <string.h>

#include "block.h"

#define WORDS (BLOCK_SIZE / sizeof(uint64_t))

uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

void block_fill(void *buf, uint64_t number, uint64_t version)
{
	uint64_t words[WORDS];
	uint64_t state = (number + 1) * 0x9e3779b97f4a7c15 ^ (version + 1) * 0xc2b2ae3d27d4eb4f;

	words[0] = number;
	words[1] = version;
	for (unsigned int i = 2; i < WORDS; i++)
		words[i] = random_next(&state) | 1; /* never 0: unlike a hole in every word */
	memcpy(buf, words, sizeof words);
}

bool block_version(const void *buf, uint64_t number, uint64_t *version)
{
	static const char zeroes[BLOCK_SIZE];
	char expected[BLOCK_SIZE];

	*version = 0;
	if (memcmp(buf, zeroes, BLOCK_SIZE) == 0)
		return true;
	memcpy(version, (const char *)buf + sizeof(uint64_t), sizeof *version);
	block_fill(expected, number, *version);
	return memcmp(buf, expected, BLOCK_SIZE) == 0;
}
