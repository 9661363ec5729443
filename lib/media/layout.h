/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * layout.h - the on-media format, version 2, and nothing else.
 *
 *   page 0            superblock
 *   pages 1..N        directory: an entry names the record of a volume or a snapshot
 *   pages N+1..2N     copy of the directory
 *   pages 2N+1..D-2   data pages: blocks, tables and records, found by entries and by nothing else
 *   page D-1          copy of the superblock
 *
 * All numbers are little-endian; types le32 and le64 say so, and only the functions of super.c and
 * the two entry functions below convert them.  A page is 4096 bytes and is named by its number
 * from the start of the device.  Reserved fields are zero.  An entry is a word of 64 bits; a table is a
 * page of them.  kmemblk-format(5) says the same in
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
	LAYOUT_TYPE_NONE = 0, /* no directory, no blocks: all data pages are memory to lend */
	LAYOUT_TYPE_BLK = 1,  /* a disk */
};

/* What the check values in entries are. */
enum layout_check {
	LAYOUT_CHECK_NONE = 0,	/* there are none: those bits are 0 */
	LAYOUT_CHECK_CRC24 = 1, /* see crc24.c */
};

#define LAYOUT_LABEL_SIZE 64

/* Pages of the directory, its copy not counted: 512 volumes and snapshots a page, 65536 in all. */
#define LAYOUT_DIRECTORY_MAX 128u

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
	le64 directory_start;	       /*   56-63   page: 1 */
	le64 directory_pages;	       /*   64-71   1 to LAYOUT_DIRECTORY_MAX; 0 for type none */
	le64 spare_pages;	       /*   72-79   pages that only overwrites may take */
	le64 generation;	       /*   80-87   1 at format, one more at each rewrite */
	le64 created;		       /*   88-95   seconds since 1970-01-01 UTC */
	uint8_t uuid[16];	       /*   96-111  RFC 4122 byte order */
	char label[LAYOUT_LABEL_SIZE]; /*  112-175  UTF-8, zero-filled, at least one zero */
	uint8_t reserved[4092 - 176];  /*  176-4091 zero */
	le32 crc;		       /* 4092-4095 CRC-32C (Castagnoli) of bytes 0-4091 */
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
static_assert(offsetof(struct layout_super, directory_start) == 56, "format");
static_assert(offsetof(struct layout_super, directory_pages) == 64, "format");
static_assert(offsetof(struct layout_super, spare_pages) == 72, "format");
static_assert(offsetof(struct layout_super, generation) == 80, "format");
static_assert(offsetof(struct layout_super, created) == 88, "format");
static_assert(offsetof(struct layout_super, uuid) == 96, "format");
static_assert(offsetof(struct layout_super, label) == 112, "format");
static_assert(offsetof(struct layout_super, reserved) == 176, "format");
static_assert(offsetof(struct layout_super, crc) == 4092, "format");

/*
 * An entry, 0 for nothing.  Bits 0-38: the page that it names, never 0, which is the superblock.  Bits 39-62:
 * a check value.  Bit 63: makes the number of set bits even, so that any one that has turned is seen before
 * the entry is acted on.
 *
 * In a table of level 1, a leaf, entries name the pages of blocks, and the check value is the block's, or 0
 * without such.  In a table of level L > 1 they name tables of level L - 1; in a record, the table of the
 * level that is its height; in the directory, records.  There the check value is that of crc24_place(): what
 * names a table or record elsewhere than in its place is no entry.
 */
#define LAYOUT_ENTRY_PAGE_BITS	39
#define LAYOUT_ENTRY_CHECK_BITS 24
#define LAYOUT_MAX_PAGES	(1ull << LAYOUT_ENTRY_PAGE_BITS)
#define LAYOUT_CHECK_MASK	((1ull << LAYOUT_ENTRY_CHECK_BITS) - 1)

#define LAYOUT_TABLE_ENTRIES (LAYOUT_PAGE_SIZE / sizeof(uint64_t))
#define LAYOUT_TABLE_SHIFT   9
static_assert(LAYOUT_TABLE_ENTRIES == 1u << LAYOUT_TABLE_SHIFT, "format");

/* Levels of a map: 512 blocks, 512 times 512, and so on.  Five are enough for all that a device can hold. */
#define LAYOUT_HEIGHT_MAX 5u
#define LAYOUT_MAX_BLOCKS LAYOUT_MAX_PAGES
/* What stands for the level, and the family, in the check value of an entry of the directory. */
#define LAYOUT_LEVEL_RECORD  63u
#define LAYOUT_FAMILY_RECORD 0ull

/* The entry that says "it is on `page`, and its check value is `check`". */
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

#define LAYOUT_RECORD_MAGIC_BYTES                                                                  \
	{                                                                                          \
		'K', 'M', 'E', 'M', 'R', 'E', 'C', '\n'                                            \
	}

#define LAYOUT_NAME_SIZE 64

/* The volume that is meant where none is named; a snapshot; a volume without pages for overwrites of what it shares. */
#define LAYOUT_RECORD_DEFAULT  1u
#define LAYOUT_RECORD_SNAPSHOT 2u
#define LAYOUT_RECORD_THIN     4u
#define LAYOUT_RECORD_FLAGS    (LAYOUT_RECORD_DEFAULT | LAYOUT_RECORD_SNAPSHOT | LAYOUT_RECORD_THIN)

/* A volume or a snapshot.  All but the root stays as it was written. */
struct layout_record {
	uint8_t magic[8]; /*    0-7    LAYOUT_RECORD_MAGIC_BYTES */
	le32 height;	  /*    8-11   levels of its map: at least as many as its blocks need */
	le32 flags;	  /*   12-15   LAYOUT_RECORD_* */
	le64 blocks;	  /*   16-23   its size */
	le64 family;	  /*   24-31   at random: in the check values of its map */
	le64 created;	  /*   32-39   seconds since 1970-01-01 UTC */
	uint8_t uuid[16]; /*   40-55   RFC 4122 byte order */
	char name[LAYOUT_NAME_SIZE]; /*   56-119  zero-filled, at least one zero */
	uint8_t volume[16]; /*  120-135  of a snapshot: the uuid of its volume; else zero */
	uint8_t origin
		[16]; /*  136-151  of a volume that is a clone, and of its snapshots: the uuid of the
				 snapshot that it was made from; else zero */
	le64 sequence; /*  152-159  of a snapshot: larger than of every older one of its volume; else zero */
	uint8_t zero[4084 - 160]; /*  160-4083 zero */
	le32 crc;		  /* 4084-4087 CRC-32C of bytes 0-4083 */
	uint64_t root;		  /* 4088-4095 the entry of its uppermost table */
};

static_assert(sizeof(struct layout_record) == LAYOUT_PAGE_SIZE, "a record is one page");
static_assert(offsetof(struct layout_record, magic) == 0, "format");
static_assert(offsetof(struct layout_record, height) == 8, "format");
static_assert(offsetof(struct layout_record, flags) == 12, "format");
static_assert(offsetof(struct layout_record, blocks) == 16, "format");
static_assert(offsetof(struct layout_record, family) == 24, "format");
static_assert(offsetof(struct layout_record, created) == 32, "format");
static_assert(offsetof(struct layout_record, uuid) == 40, "format");
static_assert(offsetof(struct layout_record, name) == 56, "format");
static_assert(offsetof(struct layout_record, volume) == 120, "format");
static_assert(offsetof(struct layout_record, origin) == 136, "format");
static_assert(offsetof(struct layout_record, sequence) == 152, "format");
static_assert(offsetof(struct layout_record, zero) == 160, "format");
static_assert(offsetof(struct layout_record, crc) == 4084, "format");
static_assert(offsetof(struct layout_record, root) == 4088, "format");

#endif /* LAYOUT_H */
