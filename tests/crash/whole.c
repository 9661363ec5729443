/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * whole.c - format and repair, cut anywhere.
 *
 * Format leaves no device, or a whole one: the old one as it was, or the new one.  An image that
 * does not open is refused in words; and if repair brings a device back from it, that one must be
 * whole, too.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fatal.h"
#include "scenario.h"

struct whole {
	const struct base *base;
	char old_uuid[37];
	bool thick;	 /* the new device has a page for each block */
	bool done;	 /* the call has returned */
	bool formatting; /* else repairing */
};

/* A device that opens: is it the old one or the new one, and whole? */
static bool is_whole(const struct whole *w, const struct kmemblk_info *info, const uint8_t *disk,
		     char *why, size_t size)
{
	static const uint8_t zeroes[DISK_SIZE];
	bool old = strcmp(info->uuid, w->old_uuid) == 0;

	if (info->entries_damaged != 0 || info->size_bytes != DISK_SIZE)
		snprintf(why, size, "the device opens, with a damaged index");
	else if (w->formatting && old && w->done)
		snprintf(why, size, "the old device is back after format has returned");
	else if (old && memcmp(disk, w->base->disk, DISK_SIZE) != 0)
		snprintf(why, size, "the old device opens, and is not as it was");
	else if (!old && memcmp(disk, zeroes, DISK_SIZE) != 0)
		snprintf(why, size, "the new device has something in it");
	else if (!old && w->thick && info->pages_used != BLOCKS)
		snprintf(why, size, "the new device has %llu pages bound, of %u",
			 (unsigned long long)info->pages_used, BLOCKS);
	else
		return true;
	return false;
}

/* An image that does not open: let repair do what it can. */
static bool mended_is_whole(struct explorer *e, const struct whole *w, char *why, size_t size)
{
	struct kmemblk_check_options options = { .flags = KMEMBLK_CHECK_REPAIR };
	struct kmemblk_check_result result;
	struct kmemblk_info info;
	static uint8_t disk[DISK_SIZE];
	int rc;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	if (kmemblk_check(e->scratch.path, &options, &result) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	rc = read_disk(e->scratch.path, disk, &info);
	if (rc == 0)
		return is_whole(w, &info, disk, why, size) &&
		       check_clean(e->scratch.path, why, size);
	snprintf(why, size, "repair has not brought the device back: %.180s", kmemblk_error());
	return w->formatting && result.left > 0;
}

static bool judge_whole(struct explorer *e, void *opaque, char *why, size_t size)
{
	const struct whole *w = opaque;
	struct kmemblk_info info;
	static uint8_t disk[DISK_SIZE];
	int rc = read_disk(e->image.path, disk, &info);

	if (rc != 0 && (w->done || (rc != -EMEDIUMTYPE && rc != -EUCLEAN))) {
		snprintf(why, size, "%s: %.200s", w->done ? "after it has returned" : "in flight",
			 kmemblk_error());
		return false;
	}
	if (rc == 0 && !is_whole(w, &info, disk, why, size))
		return false;
	/* A new device that opens is complete, its copy included; so is a repaired one. */
	if (w->done || (rc == 0 && w->formatting && strcmp(info.uuid, w->old_uuid) != 0))
		return check_clean(e->image.path, why, size);
	return mended_is_whole(e, w, why, size);
}

static void replay(struct explorer *e, struct whole *w)
{
	e->judge = judge_whole;
	e->opaque = w;
	e->rules = hash_mix(w->formatting);
	explorer_begin(e, w->base->bytes, w->base->size);
	for (size_t i = 0; i < e->trace.count; i++) {
		explorer_step(e, i, true);
		if (e->trace.event[i].kind == EVENT_ACK) {
			w->done = true;
			e->rules++;
			explorer_look(e, i);
		}
	}
}

static void uuid_of(const struct base *base, char *uuid)
{
	struct kmemblk_info info;

	if (kmemblk_probe(base_device(base)->path, &info) != 0)
		fatal("%s", kmemblk_error());
	memcpy(uuid, info.uuid, sizeof(info.uuid));
}

static void explore_format(struct explorer *e, const struct base *base, bool thick, bool punch)
{
	struct kmemblk_format_options options = {
		.flags = KMEMBLK_FORMAT_FORCE | (thick ? KMEMBLK_FORMAT_PREALLOC : 0),
		.disk_size = DISK_SIZE,
		.spare_pages = 1,
	};
	struct whole w = { .base = base, .thick = thick, .formatting = true };
	char what[128];

	snprintf(what, sizeof(what), "format of %s, %s, %s", base->name, thick ? "thick" : "thin",
		 punch ? "by holes" : "without holes");
	e->what = what;
	uuid_of(base, w.old_uuid);
	recorder_start(&e->trace, punch);
	recorder_note(EVENT_BEGIN, 0);
	if (kmemblk_format(base_device(base)->path, &options) != 0)
		fatal("%s", kmemblk_error());
	recorder_note(EVENT_ACK, 0);
	recorder_stop();
	replay(e, &w);
}

void explore_formats(struct explorer *e)
{
	unsigned int number = 0;

	for (unsigned int b = 0; b < BASES; b++)
		for (unsigned int how = 0; how < 4 && !explorer_over(e); how++, number++)
			if (explorer_mine(e, number))
				explore_format(e, base_get(b), how & 1, how & 2);
}

enum damage {
	DAMAGE_PRIMARY,
	DAMAGE_PRIMARY_TORN,
	DAMAGE_COPY,
	DAMAGE_COPY_TORN,
	DAMAGE_TAIL,
	DAMAGES
};

static void damage(struct base *base, enum damage kind)
{
	uint8_t *copy = base->bytes + base->size - LAYOUT_PAGE_SIZE;

	switch (kind) {
	case DAMAGE_PRIMARY:
		memset(base->bytes, 0, LAYOUT_PAGE_SIZE);
		break;
	case DAMAGE_PRIMARY_TORN:
		memset(base->bytes + LINE_SIZE, 0x5a, LAYOUT_PAGE_SIZE - 2 * LINE_SIZE);
		break;
	case DAMAGE_COPY:
		memset(copy, 0, LAYOUT_PAGE_SIZE);
		break;
	case DAMAGE_COPY_TORN:
		memset(copy + LINE_SIZE, 0x5a, LAYOUT_PAGE_SIZE - LINE_SIZE);
		break;
	default:
		/* The leaf is page 1; its line 0 also has the entries of blocks. */
		memset(base->bytes + LAYOUT_PAGE_SIZE + BLOCKS * sizeof(uint64_t), 0x5a, 20 * 64);
		break;
	}
}

static void explore_repair(struct explorer *e, const struct base *sound, enum damage kind)
{
	static const char *const kinds[] = { "no primary", "torn primary", "no copy", "torn copy",
					     "entries past the last block" };
	struct kmemblk_check_options options = { .flags = KMEMBLK_CHECK_REPAIR };
	struct kmemblk_check_result result;
	static struct base base;
	struct whole w = { .base = &base };
	char what[128];

	snprintf(what, sizeof(what), "repair of %s with %s", sound->name, kinds[kind]);
	e->what = what;
	base = *sound;
	uuid_of(sound, w.old_uuid);
	damage(&base, kind);
	recorder_start(&e->trace, true);
	recorder_note(EVENT_BEGIN, 0);
	if (kmemblk_check(base_device(&base)->path, &options, &result) != 0)
		fatal("%s", kmemblk_error());
	recorder_note(EVENT_ACK, 0);
	recorder_stop();
	if (result.corrected != 1 || result.left != 0)
		fatal("%s: %llu corrected", what, (unsigned long long)result.corrected);
	replay(e, &w);
}

void explore_repairs(struct explorer *e)
{
	unsigned int number = 0;

	for (unsigned int b = 0; b < BASES; b++)
		for (unsigned int d = 0; d < DAMAGES && !explorer_over(e); d++, number++)
			if (explorer_mine(e, number))
				explore_repair(e, base_get(b), d);
}
