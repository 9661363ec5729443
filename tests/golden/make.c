/* SPDX-License-Identifier: BSD-3-Clause */
/* make.c - what the programs that made the stored images share.  See make.h. */
#include "config.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "make.h"

static const char *device;
static int fd;
static uint64_t last; /* page */
#define NUMBERS 1024u

static bool settled[NUMBERS];

bool make_put(struct kmemblk *h, const char *volume, uint64_t block, const char *text)
{
	struct kmemblk_volume *v;
	uint8_t page[PAGE];
	bool done;

	for (size_t i = 0; i < PAGE; i += 16)
		memcpy(page + i, text, 16);
	if (kmemblk_volume_open(h, volume, &v) != 0)
		return false;
	done = kmemblk_write(v, page, PAGE, block * PAGE) == 0;
	kmemblk_volume_close(v);
	return done;
}

/* ---- what differs from run to run ------------------------------------------------------------ */

static bool put_bytes(uint64_t page, unsigned int at, const void *bytes, size_t len)
{
	return pwrite(fd, bytes, len, (off_t)(page * PAGE + at)) == (ssize_t)len;
}

/* The checksum of a page's first bytes, behind them. */
static bool seal(uint64_t page, unsigned int at)
{
	uint8_t bytes[PAGE], crc[4];
	uint32_t value;

	if (pread(fd, bytes, PAGE, (off_t)(page * PAGE)) != PAGE)
		return false;
	value = unit_crc32c(bytes, at);
	for (int i = 0; i < 4; i++)
		crc[i] = (uint8_t)(value >> (8 * i));
	return put_bytes(page, at, crc, 4);
}

static const uint8_t created[8] = { 0x00, 0xe4, 0x0b, 0x54, 0x02 }; /* 10000000000 */

static bool settle_super(uint64_t page)
{
	static const uint8_t uuid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0x4c, 0xde,
					  0x8f, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd };

	return put_bytes(page, 88, created, 8) && put_bytes(page, 96, uuid, 16) && seal(page, 4092);
}

/* The family of a volume that shares with no other, by its number. */
static const uint8_t families[][8] = {
	{ 0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01 },
	{ 0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe },
	{ 0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x69, 0x78 },
};

static bool is_zero(const uint8_t *bytes, size_t len)
{
	while (len > 0 && bytes[len - 1] == 0)
		len--;
	return len == 0;
}

/* A number on the device, and the page that an entry names; 0 if it cannot be read. */
static uint64_t number_at(uint64_t at, unsigned int width)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	if (pread(fd, bytes, width, (off_t)at) != (ssize_t)width)
		return 0;
	while (width-- > 0)
		value = value << 8 | bytes[width];
	return value;
}

static uint64_t page_of(uint64_t at)
{
	return number_at(at, 8) & 0x7fffffffff;
}

/* How many entries the directory has. */
static unsigned int numbers(void)
{
	return (unsigned int)number_at(64, 8) * 512;
}

/* The record that entry `number` of the directory names, before it has tables or others name it. */
static bool settle_record(unsigned int number)
{
	uint8_t uuid[16] = { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x43, 0x21,
			     0x8f, 0xed, 0xcb, 0xa9, 0x87, 0x65, 0x43, 0x00 };
	uint8_t relations[32];
	uint64_t page = page_of(PAGE + 8 * (uint64_t)number);

	uuid[14] ^= (uint8_t)(number >> 8);
	uuid[15] = (uint8_t)number;
	if (page == 0)
		settled[number] = false;
	if (page == 0 || settled[number])
		return true;
	settled[number] = true;
	if (pread(fd, relations, 32, (off_t)(page * PAGE + 120)) != 32)
		return false;
	if (is_zero(relations, 32) && !put_bytes(page, 24, families[number % 3], 8))
		return false;
	return put_bytes(page, 32, created, 8) && put_bytes(page, 40, uuid, 16) && seal(page, 4084);
}

static bool settle_records(void)
{
	for (unsigned int i = 0; i < numbers() && i < NUMBERS; i++)
		if (!settle_record(i))
			return false;
	return true;
}

/* ---- what is not there ----------------------------------------------------------------------- */

bool make_forget(unsigned int number)
{
	static const uint8_t none[8];

	return put_bytes(1, 8 * number, none, 8) &&
	       put_bytes(1 + number_at(64, 8), 8 * number, none, 8);
}

static bool named[1024];

static void name_below(uint64_t page, unsigned int level)
{
	named[page % 1024] = true;
	for (unsigned int i = 0; level > 0 && i < 512; i++)
		if (page_of(page * PAGE + 8 * i) != 0)
			name_below(page_of(page * PAGE + 8 * i), level - 1);
}

bool make_erase_free(void)
{
	static const uint8_t zeroes[PAGE];
	uint64_t page = 1 + 2 * number_at(64, 8);
	bool done = true;

	for (unsigned int i = 0; i < numbers(); i++) {
		uint64_t record = page_of(PAGE + 8 * (uint64_t)i), root = record * PAGE + 4088;

		named[record % 1024] = true;
		if (record != 0 && page_of(root) != 0)
			name_below(page_of(root), (unsigned int)number_at(record * PAGE + 8, 4));
	}
	for (; done && page < last; page++)
		done = named[page % 1024] || put_bytes(page, 0, zeroes, PAGE);
	return done;
}

/* ---- all ------------------------------------------------------------------------------------- */

bool make_begin(const char *path, const struct kmemblk_format_options *options)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	device = path;
	last = options->create_size / PAGE - 1;
	if (kmemblk_format(path, options) != 0)
		return false;
	fd = open(path, O_RDWR | O_CLOEXEC);
	/* The families first: what is written depends on them. */
	return fd != -1 && settle_super(0) && settle_super(last) && settle_records();
}

bool make_run(bool (*session)(struct kmemblk *h))
{
	struct kmemblk *h;
	bool done;

	if (kmemblk_open(device, 0, &h) != 0)
		return false;
	done = kmemblk_start(h) == 0 && session(h);
	kmemblk_close(h);
	return done && settle_records();
}

int make_end(const char *program, bool done)
{
	if (!done)
		fprintf(stderr, "%s: %s\n", program, kmemblk_error());
	return done ? 0 : 1;
}
