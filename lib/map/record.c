/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.c - read, check and write the page that describes a volume.
 *
 * All of a record but its root is written once, before the directory names it, and has a checksum.  The root
 * changes when the uppermost table is made, copied or dropped, so it has the check value of an entry instead.
 */
#include "config.h"

#include <isa-l/crc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "map/record.h"
#include "media/crc24.h"
#include "media/guard.h"

static uint32_t checksum(const struct layout_record *media)
{
	/* The library takes a pointer to writable bytes and does not write them. */
	return ~crc32_iscsi((unsigned char *)media, offsetof(struct layout_record, crc), ~0u);
}

static bool judge(struct record_verdict *verdict, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Always false. */
static bool judge(struct record_verdict *verdict, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(verdict->reason, sizeof(verdict->reason), format, args);
	va_end(args);
	return false;
}

unsigned int record_height(uint64_t blocks)
{
	unsigned int height = 1;

	while (blocks > 1ull << (LAYOUT_TABLE_SHIFT * height))
		height++;
	return height;
}

uint64_t record_all_tables(uint64_t blocks)
{
	uint64_t tables = 0;

	for (unsigned int level = record_height(blocks); level > 0; level--)
		tables += record_tables(blocks, level);
	return tables;
}

bool record_name_is_valid(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char all[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t length = strnlen(name, LAYOUT_NAME_SIZE);

	return length > 0 && length < LAYOUT_NAME_SIZE && strchr(letters, name[0]) != NULL &&
	       strspn(name, all) == length;
}

static bool is_zero(const void *bytes, size_t length)
{
	const uint8_t *byte = bytes;

	while (length > 0 && byte[length - 1] == 0)
		length--;
	return length == 0;
}

/* The fields against each other. */
static bool check_fields(const struct layout_record *media, const struct record *record,
			 struct record_verdict *verdict)
{
	if (record->blocks == 0 || record->blocks > LAYOUT_MAX_BLOCKS)
		return judge(verdict, "impossible size: %llu blocks",
			     (unsigned long long)record->blocks);
	if (record->height < record_height(record->blocks) || record->height > LAYOUT_HEIGHT_MAX)
		return judge(verdict, "height %u for %llu blocks", record->height,
			     (unsigned long long)record->blocks);
	if (!record_name_is_valid(record->name) ||
	    !is_zero(record->name + strlen(record->name),
		     sizeof(record->name) - strlen(record->name)))
		return judge(verdict, "a name that is none");
	if ((record->flags & ~LAYOUT_RECORD_FLAGS) != 0 ||
	    !is_zero(media->zero, sizeof(media->zero)))
		return judge(verdict, "reserved bytes are not zero");
	if (record_is_snapshot(record) != !is_zero(record->volume, sizeof(record->volume)) ||
	    record_is_snapshot(record) != (record->sequence > 0) ||
	    (record_is_snapshot(record) &&
	     record->flags & (LAYOUT_RECORD_DEFAULT | LAYOUT_RECORD_THIN)))
		return judge(verdict, "half of a snapshot");
	return true;
}

bool record_read(const struct device *device, uint64_t page, struct record *record,
		 struct record_verdict *verdict)
{
	static const uint8_t magic[] = LAYOUT_RECORD_MAGIC_BYTES;
	struct layout_record media;
	struct record decoded;

	if (!guard_read(&device->pm, &media, pm_page(&device->pm, page), sizeof(media)))
		return judge(verdict, "media error at page %llu", (unsigned long long)page);
	if (memcmp(media.magic, magic, sizeof(magic)) != 0)
		return judge(verdict, "page %llu is no record", (unsigned long long)page);
	if (le32toh(media.crc.raw) != checksum(&media))
		return judge(verdict, "wrong checksum of page %llu", (unsigned long long)page);
	decoded = (struct record){
		.blocks = le64toh(media.blocks.raw),
		.family = le64toh(media.family.raw),
		.created = le64toh(media.created.raw),
		.height = le32toh(media.height.raw),
		.flags = le32toh(media.flags.raw),
		.sequence = le64toh(media.sequence.raw),
	};
	memcpy(decoded.volume, media.volume, sizeof(decoded.volume));
	memcpy(decoded.origin, media.origin, sizeof(decoded.origin));
	memcpy(decoded.uuid, media.uuid, sizeof(decoded.uuid));
	memcpy(decoded.name, media.name, sizeof(decoded.name));
	if (!check_fields(&media, &decoded, verdict))
		return false;
	*record = decoded;
	return true;
}

int record_write(const struct device *device, uint64_t page, const struct record *record,
		 uint64_t root, enum pm_order order, bool *unflushed)
{
	struct layout_record media = { .magic = LAYOUT_RECORD_MAGIC_BYTES };
	int rc;

	media.height.raw = htole32(record->height);
	media.flags.raw = htole32(record->flags);
	media.blocks.raw = htole64(record->blocks);
	media.family.raw = htole64(record->family);
	media.created.raw = htole64(record->created);
	media.sequence.raw = htole64(record->sequence);
	memcpy(media.uuid, record->uuid, sizeof(media.uuid));
	memcpy(media.volume, record->volume, sizeof(media.volume));
	memcpy(media.origin, record->origin, sizeof(media.origin));
	memcpy(media.name, record->name, sizeof(media.name));
	media.crc.raw = htole32(checksum(&media));
	media.root = root;
	rc = guard_write(device, pm_page(&device->pm, page), &media, sizeof(media), order,
			 unflushed);
	if (rc != 0)
		return fail_errno(-rc, "write record: %s", device->path);
	pm_drain(&device->pm, order);
	return 0;
}

_Atomic uint64_t *record_root(const struct device *device, uint64_t page)
{
	return (_Atomic uint64_t *)(pm_page(&device->pm, page) +
				    offsetof(struct layout_record, root));
}
