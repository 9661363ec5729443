/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * super.c - read, check and write superblocks.
 *
 * Nothing on media is trusted (invariant 7): a superblock counts only after magic, checksum,
 * features and every field have been checked against each other and against the device's size.
 * After that the rest of the library may compute with its numbers without fear of overflow, since
 * none of them is larger than the device.
 */
#include "config.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/shell.h"
#include "map/super.h"
#include "media/foreign.h"
#include "media/guard.h"

#define DIRECTORY_START 1

static uint32_t get32(le32 value)
{
	return le32toh(value.raw);
}

static uint64_t get64(le64 value)
{
	return le64toh(value.raw);
}

static le32 put32(uint32_t value)
{
	return (le32){ htole32(value) };
}

static le64 put64(uint64_t value)
{
	return (le64){ htole64(value) };
}

static uint32_t checksum(const struct layout_super *media)
{
	/* The library takes a pointer to writable bytes and does not write them. */
	return ~crc32_iscsi((unsigned char *)media, offsetof(struct layout_super, crc), ~0u);
}

static enum super_state judge(struct super_verdict *verdict, enum super_state state,
			      const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum super_state judge(struct super_verdict *verdict, enum super_state state,
			      const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(verdict->reason, sizeof(verdict->reason), format, args);
	va_end(args);
	verdict->state = state;
	return state;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

/* Copy the page out; a page without storage is all zeroes and must not be loaded from. */
static bool fetch(const struct device *device, uint64_t page, struct layout_super *media)
{
	uint64_t at = page << LAYOUT_PAGE_SHIFT, start, end;

	memset(media, 0, sizeof(*media));
	if (!device_next_data(device, at, at + LAYOUT_PAGE_SIZE, &start, &end))
		return true;
	return guard_read(&device->pm, media, pm_page(&device->pm, page), sizeof(*media));
}

/* The fields that every version has, up to the one that says whether we can read the rest. */
static enum super_state check_identity(const struct layout_super *media, struct super_verdict *v)
{
	uint32_t version = get32(media->version);

	if (memcmp(media->magic, LAYOUT_MAGIC, sizeof(media->magic)) != 0)
		return judge(v, SUPER_ABSENT, "no kmemblk superblock");
	if (get32(media->crc) != checksum(media))
		return judge(v, SUPER_DAMAGED, "wrong checksum");
	if (version == 1)
		return judge(v, SUPER_UNSUPPORTED,
			     "format version 1; this version reads %u: copy its disk with the "
			     "kmemblk that made it, by nbdcopy, to a device formatted anew",
			     LAYOUT_VERSION);
	if (version != LAYOUT_VERSION)
		return judge(v, SUPER_UNSUPPORTED, "format version %u; this version reads %u",
			     version, LAYOUT_VERSION);
	if (get64(media->incompat) & ~LAYOUT_KNOWN_INCOMPAT)
		return judge(v, SUPER_UNSUPPORTED,
			     "needs features this version does not have (incompat 0x%llx)",
			     (unsigned long long)get64(media->incompat));
	if (type_by_id(get32(media->type)) == NULL)
		return judge(v, SUPER_UNSUPPORTED, "format type %u is unknown to this version",
			     get32(media->type));
	if (get32(media->check) > LAYOUT_CHECK_CRC24)
		return judge(v, SUPER_UNSUPPORTED,
			     "check values of kind %u are unknown to this version",
			     get32(media->check));
	return SUPER_SOUND;
}

/* All fields against each other.  `super` has been filled from `media`. */
static enum super_state check_fields(const struct layout_super *media, const struct super *super,
				     struct super_verdict *v)
{
	if (get32(media->page_size) != LAYOUT_PAGE_SIZE)
		return judge(v, SUPER_DAMAGED, "page size %u", get32(media->page_size));
	if (!all_zero(media->reserved, sizeof(media->reserved)))
		return judge(v, SUPER_DAMAGED, "reserved bytes are not zero");
	if (super->device_pages > LAYOUT_MAX_PAGES)
		return judge(v, SUPER_DAMAGED, "impossible size: %llu pages",
			     (unsigned long long)super->device_pages);
	if (super->directory_start != DIRECTORY_START || !super->type->sound(super))
		return judge(v, SUPER_DAMAGED, "directory and spare do not fit the device");
	if (super->generation == 0)
		return judge(v, SUPER_DAMAGED, "generation 0");
	if (super->label[LAYOUT_LABEL_SIZE - 1] != '\0')
		return judge(v, SUPER_DAMAGED, "label without an end");
	return SUPER_SOUND;
}

static void decode(const struct layout_super *media, struct super *super)
{
	super->type = type_by_id(get32(media->type));
	super->compat = get64(media->compat);
	super->ro_compat = get64(media->ro_compat);
	super->device_pages = get64(media->device_pages);
	super->directory_start = get64(media->directory_start);
	super->directory_pages = get64(media->directory_pages);
	super->spare_pages = get64(media->spare_pages);
	super->generation = get64(media->generation);
	super->created = get64(media->created);
	super->check = get32(media->check);
	memcpy(super->uuid, media->uuid, sizeof(super->uuid));
	memcpy(super->label, media->label, sizeof(super->label));
}

enum super_state super_read(const struct device *device, uint64_t page, struct super *super,
			    struct super_verdict *verdict)
{
	struct layout_super media;
	struct super decoded;
	enum super_state state;
	uint64_t pages = device->size >> LAYOUT_PAGE_SHIFT;

	verdict->reason[0] = '\0';
	verdict->state = SUPER_SOUND;
	if (!fetch(device, page, &media))
		return judge(verdict, SUPER_UNREADABLE, "media error");
	state = check_identity(&media, verdict);
	if (state != SUPER_SOUND)
		return state;
	decode(&media, &decoded);
	state = check_fields(&media, &decoded, verdict);
	if (state != SUPER_SOUND)
		return state;
	if (decoded.device_pages > pages)
		return judge(verdict, SUPER_CUT_SHORT,
			     "made for %llu pages, but the device has only %llu: it was cut short",
			     (unsigned long long)decoded.device_pages, (unsigned long long)pages);
	*super = decoded;
	return SUPER_SOUND;
}

/* What a superblock is on media, checksum included. */
static void encode(const struct super *super, struct layout_super *media)
{
	*media = (struct layout_super){ .magic = LAYOUT_MAGIC_BYTES };
	media->version = put32(LAYOUT_VERSION);
	media->type = put32(super->type->id);
	media->compat = put64(super->compat);
	media->ro_compat = put64(super->ro_compat);
	media->page_size = put32(LAYOUT_PAGE_SIZE);
	media->device_pages = put64(super->device_pages);
	media->directory_start = put64(super->directory_start);
	media->directory_pages = put64(super->directory_pages);
	media->spare_pages = put64(super->spare_pages);
	media->generation = put64(super->generation);
	media->created = put64(super->created);
	media->check = put32(super->check);
	memcpy(media->uuid, super->uuid, sizeof(media->uuid));
	memcpy(media->label, super->label, sizeof(media->label));
	media->crc = put32(checksum(media));
}

bool super_same(const struct super *a, const struct super *b)
{
	struct layout_super media_a, media_b;

	encode(a, &media_a);
	encode(b, &media_b);
	return memcmp(&media_a, &media_b, sizeof(media_a)) == 0;
}

struct super super_grown(const struct super *super, uint64_t device_pages)
{
	struct super grown = *super;

	grown.device_pages = device_pages;
	grown.generation++;
	return grown;
}

bool super_find_grown(const struct device *device, const struct super *super, struct super *grown)
{
	uint64_t last = super_last_page(device);
	struct super_verdict verdict;
	struct super copy;

	if (last <= super_copy_page(super) ||
	    super_read(device, last, &copy, &verdict) != SUPER_SOUND)
		return false;
	*grown = super_grown(super, last + 1);
	return super_same(&copy, grown);
}

/*
 * super_exchange() may have been cut.  True if page 0 has the checksum of the copy at the device's end, and all but the
 * two words that were to follow: those say what a growth can have left there.  Then the copy is in *super.  A device
 * that has not grown has generation 1.
 */
static bool find_exchanged(const struct device *device, struct super *super)
{
	uint64_t last = super_last_page(device);
	struct layout_super found, copied;
	struct super_verdict verdict;
	struct super copy;

	if (super_read(device, last, &copy, &verdict) != SUPER_SOUND ||
	    super_copy_page(&copy) != last || copy.generation == 1 || !fetch(device, 0, &found))
		return false;
	if (get64(found.device_pages) > copy.device_pages ||
	    copy.generation - get64(found.generation) > 1)
		return false;
	encode(&copy, &copied);
	found.device_pages = copied.device_pages;
	found.generation = copied.generation;
	if (memcmp(&found, &copied, sizeof(found)) != 0)
		return false;
	*super = copy;
	return true;
}

/* A command is named only where nothing is known to be lost by it. */
static int fail_absent(const struct device *device)
{
	const char *path = device->path;
	char name[64] = "";
	int rc = foreign_find(device, name, sizeof(name));

	if (rc > 0)
		return fail(EMEDIUMTYPE, "open: %s: not a kmemblk device: it holds %s", path, name);
	if (rc == 0)
		rc = foreign_find_contents(device, name, sizeof(name));
	if (rc > 0)
		return fail(EMEDIUMTYPE, "open: %s: not a kmemblk device, but %s", path, name);
	if (rc < 0)
		return fail(EMEDIUMTYPE, "open: %s: not a kmemblk device", path);
	if (device->holes)
		return fail(EMEDIUMTYPE,
			    "open: %s: not a kmemblk device, and all zeroes; to make it one, type: "
			    "kmemblk format %s",
			    path, SHELL_WORD(path));
	return fail(EMEDIUMTYPE,
		    "open: %s: not a kmemblk device; to make it one, and lose what it holds, type: "
		    "kmemblk format %s",
		    path, SHELL_WORD(path));
}

static int check_features(const struct device *device, const struct super *super)
{
	if ((super->ro_compat & ~LAYOUT_KNOWN_RO_COMPAT) == 0 || device->readonly)
		return 0;
	return fail(EMEDIUMTYPE,
		    "open: %s: has features this version can only read (ro-compat 0x%llx); open it "
		    "read-only",
		    device->path, (unsigned long long)super->ro_compat);
}

int super_load(const struct device *device, struct super *super)
{
	struct super_verdict verdict, copy_verdict;
	struct super copy;

	switch (super_read(device, 0, super, &verdict)) {
	case SUPER_SOUND:
		return check_features(device, super);
	case SUPER_DAMAGED:
		if (find_exchanged(device, super))
			return check_features(device, super);
		break;
	case SUPER_UNSUPPORTED:
		return fail(EMEDIUMTYPE, "open: %s: superblock: %s", device->path, verdict.reason);
	case SUPER_ABSENT:
		/* Here the copy only changes the advice: it is not used in place of the primary. */
		if (super_read(device, super_last_page(device), &copy, &copy_verdict) ==
		    SUPER_SOUND)
			break;
		return fail_absent(device);
	default:
		break;
	}
	return fail(EUCLEAN, "open: %s: superblock: %s; type: kmemblk check %s", device->path,
		    verdict.reason, SHELL_WORD(device->path));
}

int super_write(const struct device *device, uint64_t page, const struct super *super,
		enum pm_order order)
{
	struct layout_super media;
	int rc;

	encode(super, &media);
	rc = guard_write(device, pm_page(&device->pm, page), &media, sizeof(media), order, NULL);
	if (rc != 0)
		return fail_errno(-rc, "write superblock: %s", device->path);
	pm_drain(&device->pm, order);
	return 0;
}

/* The word with the checksum, the last. */
#define LAST_WORD (LAYOUT_PAGE_SIZE - sizeof(uint64_t))

int super_exchange(const struct device *device, const struct super *super)
{
	uint8_t *primary = pm_page(&device->pm, 0);
	struct layout_super media;
	int rc;

	encode(super, &media);
	rc = guard_write(device, primary + LAST_WORD, (const uint8_t *)&media + LAST_WORD,
			 sizeof(uint64_t), PM_GROW_CHECKSUM, NULL);
	/* Before what it is of: by it find_exchanged() tells what was cut from what is damaged. */
	pm_drain(&device->pm, PM_GROW_CHECKSUM);
	if (rc == 0)
		rc = guard_write(device, primary, &media, LAST_WORD, PM_GROW_PRIMARY, NULL);
	if (rc != 0)
		return fail_errno(-rc, "write superblock: %s", device->path);
	/* Before anything relies on the new size. */
	pm_drain(&device->pm, PM_GROW_PRIMARY);
	return 0;
}
