/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout.h - the on-media format, version 2, and nothing else.
 *
 *   page 0            superblock
 *   pages 1..N        index: one little-endian 64-bit entry a block
 *   pages N+1..D-2    data
 *   page D-1          copy of the superblock
 *
 * All numbers are little-endian; types le32 and le64 say so, and only the functions of super.c and
 * the two entry functions below convert them.  A page is 4096 bytes and is named by its number
 * from the start of the device.  Reserved fields are zero.  kmemblk-format(5) says the same in
 * prose; tests/golden holds a device that must open for ever.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAYOUT_PAGE_SIZE  4096u
#define LAYOUT_PAGE_SHIFT 12
#define LAYOUT_VERSION	  2u

/* Eight bytes as they stand on the media; the newline shows a transfer that treated it as text. */
#define LAYOUT_MAGIC "KMEMBLK\n"
#define LAYOUT_MAGIC_BYTES                                                                         \
	{                                                                                          \
		'K', 'M', 'E', 'M', 'B', 'L', 'K', '\n'                                            \
	}

/* A number as it stands on the media. */
typedef struct {
	uint32_t raw;
} le32;
typedef struct {
	uint64_t raw;
} le64;

/*
 * Feature words, as in ext4: an unknown bit in `compat` changes nothing, one in `ro_compat` allows
 * reading only, one in `incompat` forbids opening.  This version knows none.
 */
#define LAYOUT_KNOWN_RO_COMPAT 0ull
#define LAYOUT_KNOWN_INCOMPAT  0ull

enum layout_type {
	LAYOUT_TYPE_NONE = 0, /* no index, no blocks: all data pages are memory to lend */
	LAYOUT_TYPE_BLK = 1,  /* one disk */
};

/* What the check values in entries are. */
enum layout_check {
	LAYOUT_CHECK_NONE = 0,	/* there are none: those bits are 0 */
	LAYOUT_CHECK_CRC24 = 1, /* see crc24.c */
};

#define LAYOUT_LABEL_SIZE 64

/* Page 0 and the last page.  Byte ranges are in the comments, units beside them. */
struct layout_super {
	uint8_t magic[8];	       /*    0-7    LAYOUT_MAGIC */
	le32 version;		       /*    8-11   LAYOUT_VERSION */
	le32 type;		       /*   12-15   enum layout_type */
	le64 compat;		       /*   16-23   feature bits */
	le64 ro_compat;		       /*   24-31   feature bits */
	le64 incompat;		       /*   32-39   feature bits */
	le32 page_size;		       /*   40-43   bytes: LAYOUT_PAGE_SIZE */
	le32 check;		       /*   44-47   enum layout_check */
	le64 device_pages;	       /*   48-55   pages, both superblocks included */
	le64 index_start;	       /*   56-63   page: 1 */
	le64 index_pages;	       /*   64-71   pages; 0 for type none */
	le64 blocks;		       /*   72-79   blocks of the disk; 0 for type none */
	le64 spare_pages;	       /*   80-87   pages that only overwrites may take */
	le64 generation;	       /*   88-95   1 at format, one more at each rewrite */
	le64 created;		       /*   96-103  seconds since 1970-01-01 UTC */
	uint8_t uuid[16];	       /*  104-119  RFC 4122 byte order */
	char label[LAYOUT_LABEL_SIZE]; /*  120-183  UTF-8, zero-filled, at least one zero */
	le64 family; /*  184-191  at random: stands before each block for its check value */
	uint8_t reserved[4092 - 192]; /*  192-4091 zero */
	le32 crc;		      /* 4092-4095 CRC-32C (Castagnoli) of bytes 0-4091 */
};

static_assert(sizeof(struct layout_super) == LAYOUT_PAGE_SIZE, "a superblock is one page");
static_assert(offsetof(struct layout_super, magic) == 0, "format");
static_assert(offsetof(struct layout_super, version) == 8, "format");
static_assert(offsetof(struct layout_super, type) == 12, "format");
static_assert(offsetof(struct layout_super, compat) == 16, "format");
static_assert(offsetof(struct layout_super, ro_compat) == 24, "format");
static_assert(offsetof(struct layout_super, incompat) == 32, "format");
static_assert(offsetof(struct layout_super, page_size) == 40, "format");
static_assert(offsetof(struct layout_super, check) == 44, "format");
static_assert(offsetof(struct layout_super, device_pages) == 48, "format");
static_assert(offsetof(struct layout_super, index_start) == 56, "format");
static_assert(offsetof(struct layout_super, index_pages) == 64, "format");
static_assert(offsetof(struct layout_super, blocks) == 72, "format");
static_assert(offsetof(struct layout_super, spare_pages) == 80, "format");
static_assert(offsetof(struct layout_super, generation) == 88, "format");
static_assert(offsetof(struct layout_super, created) == 96, "format");
static_assert(offsetof(struct layout_super, uuid) == 104, "format");
static_assert(offsetof(struct layout_super, label) == 120, "format");
static_assert(offsetof(struct layout_super, family) == 184, "format");
static_assert(offsetof(struct layout_super, reserved) == 192, "format");
static_assert(offsetof(struct layout_super, crc) == 4092, "format");

/*
 * An index entry, 0 for a block that is on no page.  Bits 0-38: the page that holds the block, never 0, which
 * is the superblock.  Bits 39-62: the block's check value.  Bit 63: makes the number of set bits even, so
 * that any one that has turned is seen before the entry is acted on.
 */
#define LAYOUT_ENTRY_PAGE_BITS	39
#define LAYOUT_ENTRY_CHECK_BITS 24
#define LAYOUT_MAX_PAGES	(1ull << LAYOUT_ENTRY_PAGE_BITS)
#define LAYOUT_CHECK_MASK	((1ull << LAYOUT_ENTRY_CHECK_BITS) - 1)

/* Entries in a page of the index; such a page is called a leaf. */
#define LAYOUT_LEAF_ENTRIES (LAYOUT_PAGE_SIZE / sizeof(uint64_t))
#define LAYOUT_LEAF_SHIFT   9
static_assert(LAYOUT_LEAF_ENTRIES == 1u << LAYOUT_LEAF_SHIFT, "format");

/* The entry that says "the block is on `page`, and its check value is `check`". */
static inline uint64_t layout_pack_entry(uint64_t page, uint32_t check)
{
	uint64_t entry = page | (uint64_t)check << LAYOUT_ENTRY_PAGE_BITS;

	return htole64(entry | (uint64_t)__builtin_parityll(entry) << 63);
}

/* False if a bit of it has turned. */
static inline bool layout_entry_is_even(uint64_t entry)
{
	return !__builtin_parityll(entry);
}

static inline uint64_t layout_entry_page(uint64_t entry)
{
	return le64toh(entry) & (LAYOUT_MAX_PAGES - 1);
}

static inline uint32_t layout_entry_check(uint64_t entry)
{
	return le64toh(entry) >> LAYOUT_ENTRY_PAGE_BITS & LAYOUT_CHECK_MASK;
}

#endif /* LAYOUT_H */
