/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * block.c - see block.h.
 *
 * Word i is key + i * STEP, where the key is number and version, scattered over 64 bits by a
 * one-to-one function.  So any word gives the key, and the key gives number and version back.
 */
#include <string.h>

#include "block.h"

#define STEP 0x9e3779b97f4a7c15ull

static uint64_t scatter(uint64_t x)
{
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	x = (x ^ x >> 32) * 0xd6e8feb86659fd93;
	return x ^ x >> 32;
}

static uint64_t gather(uint64_t x)
{
	/* The inverse of the factor above modulo 2^64. */
	x = (x ^ x >> 32) * 0xcfee444d8b59a89b;
	x = (x ^ x >> 32) * 0xcfee444d8b59a89b;
	return x ^ x >> 32;
}

void block_fill(void *buf, uint32_t number, uint32_t version)
{
	uint64_t key = scatter((uint64_t)version << 32 | number);
	uint64_t word[BLOCK_WORDS];

	for (unsigned int i = 0; i < BLOCK_WORDS; i++)
		word[i] = key + i * STEP;
	memcpy(buf, word, sizeof(word));
}

struct content block_recognise(const void *buf, unsigned int first, unsigned int count)
{
	struct content content = { .kind = CONTENT_VERSION };
	uint64_t word[BLOCK_WORDS];
	uint64_t key, differ = 0, any = 0;

	memcpy(word, buf, count * sizeof(word[0]));
	key = word[0] - first * STEP;
	for (unsigned int i = 0; i < count; i++) {
		differ |= word[i] ^ (key + (first + i) * STEP);
		any |= word[i];
	}
	if (any == 0)
		content.kind = CONTENT_ZEROES;
	else if (differ != 0)
		content.kind = CONTENT_MIXED;
	key = gather(key);
	content.number = (uint32_t)key;
	content.version = (uint32_t)(key >> 32);
	return content;
}

bool block_version(const void *buf, uint32_t number, uint64_t *version)
{
	struct content content = block_recognise(buf, 0, BLOCK_WORDS);

	*version = content.kind == CONTENT_ZEROES ? 0 : content.version;
	return content.kind == CONTENT_ZEROES ||
	       (content.kind == CONTENT_VERSION && content.number == number);
}
