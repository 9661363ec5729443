/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unit.h - what the tests of the library share: a folder on tmpfs that is gone when the program
 * ends, a device in it, and ways to damage it.
 */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/await.h"
#include "common/scale.h"
#include "kmemblk.h"

/* An old name of the Check library's, and one of ours in error.h. */
#undef fail

#define PAGE 4096u
#define MIB  (1ull << 20)

/*
 * main(): run the tests, each in a process of its own, and remove the folder whatever becomes of
 * them.  Exits 77 where /dev/shm is no tmpfs.
 */
#define UNIT_MAIN(name, ...)                                                                       \
	int main(void)                                                                             \
	{                                                                                          \
		const TTest *const tests[] = { __VA_ARGS__ };                                      \
		return unit_run(name, tests, sizeof(tests) / sizeof(tests[0]));                    \
	}

int unit_run(const char *name, const TTest *const *tests, size_t count);

/* The same in a folder below `where`, which need not be a tmpfs. */
int unit_run_in(const char *where, const char *name, const TTest *const *tests, size_t count);

/* The device of the test at hand: a name in the folder; at the start of each test no such file. */
extern char unit_device[];

/* Another name in the folder; holds until the eighth call after this one. */
const char *unit_path(const char *name);

/*
 * False, with a sentence to stderr, where a media error can be met only once: ThreadSanitizer blocks
 * the signal in its handler, and valgrind does not let go of the handler's stack.
 */
bool unit_faults_work(void);

/* ---- devices -------------------------------------------------------------------------------- */

/* Make unit_device of this size; the call must succeed. */
void unit_format(uint64_t bytes, unsigned int flags);
void unit_format_with(const struct kmemblk_format_options *options);

/* Open unit_device and start it; both must succeed. */
struct kmemblk *unit_open(unsigned int flags);
/* Make it and open it for writing. */
struct kmemblk *unit_make(uint64_t bytes);
/* Open for writing, with kmemblk_set_memory() in between. */
struct kmemblk *unit_open_memory(const struct kmemblk_memory_options *options);

struct kmemblk_info unit_info(struct kmemblk *h);

/* Fill a block so that each differs from every other, and tell which one it is. */
void unit_fill(uint8_t *block, uint64_t number);
bool unit_is(const uint8_t *block, uint64_t number);
bool unit_is_zero(const uint8_t *bytes, size_t len);

/* One block by its number; the call must succeed. */
void unit_write(struct kmemblk *h, uint64_t block, uint64_t number);
void unit_expect(struct kmemblk *h, uint64_t block, uint64_t number);
void unit_expect_zero(struct kmemblk *h, uint64_t block);

/* What kmemblk_check() says of unit_device: findings joined by newlines, in a static buffer. */
const char *unit_check(unsigned int flags, struct kmemblk_check_result *result);
/* It must find nothing. */
void unit_expect_clean(void);
/* The same, once the handle is closed. */
void unit_close_clean(struct kmemblk *h);

/* The call must have failed with this error and a message that contains these words. */
void unit_expect_error(int rc, int err, const char *words);

/* ---- the file behind ------------------------------------------------------------------------ */

void unit_poke(uint64_t at, const void *bytes, size_t len);
void unit_peek(uint64_t at, void *bytes, size_t len);
/* A little-endian number of `width` bytes. */
void unit_poke_number(uint64_t at, unsigned int width, uint64_t value);
uint64_t unit_peek_number(uint64_t at, unsigned int width);
/* Give the superblock at `page` the checksum that its other bytes want. */
void unit_seal(uint64_t page);

/* ---- the map in the file (entries.c), of the first volume --------------------------------------- */

/* Where its record is, and where the entry of a block is; the second makes tables that are missing. */
uint64_t unit_record(void);
uint64_t unit_find_entry(uint64_t block);
/* The page of the table of a level on the way to a block; it must be there. */
uint64_t unit_table(uint64_t block, unsigned int level);
/* The entry of a block; where there is no leaf the first makes one, and the second says 0. */
void unit_poke_entry(uint64_t block, uint64_t entry);
uint64_t unit_peek_entry(uint64_t block);
/* One that names a page and has this check value, and one with 0, and how it is written. */
uint64_t unit_entry_with(uint64_t page, uint32_t check);
uint64_t unit_entry(uint64_t page);
void unit_poke_page(uint64_t block, uint64_t page);
/* The page of a block. */
uint64_t unit_peek_page(uint64_t block);
/* The entry that names the table at a place of the first volume, and a record. */
uint64_t unit_table_entry(uint64_t page, unsigned int level, uint64_t number);
uint64_t unit_record_entry(uint64_t page, unsigned int number);
/* Give the record on a page the checksum that its other bytes want. */
void unit_seal_record(uint64_t page);

void unit_make_file(const char *path, uint64_t bytes);
/* Bytes of storage that the file has. */
uint64_t unit_storage(const char *path);
/* True if both files hold the same bytes. */
void unit_copy_file(const char *from, const char *to);
bool unit_same_file(const char *a, const char *b);

/* CRC-32C a bit at a time: slow, plain, and nothing to do with the library's. */
uint32_t unit_crc32c(const uint8_t *bytes, size_t len);

/* ---- processes ------------------------------------------------------------------------------ */

/* Open descriptors of this process. */
unsigned int unit_count_descriptors(void);

/* Run `fn` in a child; its wait status. */
int unit_in_child(void (*fn)(void));

#endif /* UNIT_H */
