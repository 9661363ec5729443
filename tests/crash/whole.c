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

/* One in so many images of a repair is repaired again under the eyes of an explorer. */
#define AGAIN 64u

struct whole {
	const struct base *base;
	char old_uuid[37];
	bool formatting; /* else repairing */
	bool thick;	 /* the new device has a page for each block */
	bool returned;	 /* format has */
	bool must_open;
};

/* Explores the repair of an image that another explorer has made. */
static struct explorer inner;

static bool judge_whole(struct explorer *e, void *opaque, char *why, size_t size);

/* A device that opens: is it the old one or the new one, and whole? */
static bool is_whole(const struct whole *w, const struct image *image,
		     const struct kmemblk_info *info, const uint8_t *disk, char *why, size_t size)
{
	static const uint8_t zeroes[DISK_SIZE];
	const uint8_t *directory = image->bytes + LAYOUT_PAGE_SIZE;
	bool old = strcmp(info->uuid, w->old_uuid) == 0;

	if (info->entries_damaged != 0 || info->size_bytes != ops_disk_size())
		snprintf(why, size, "the device opens, with a damaged map");
	else if (old && w->returned)
		snprintf(why, size, "the old device is back after format has returned");
	else if (old && memcmp(disk, w->base->disk, DISK_SIZE) != 0)
		snprintf(why, size, "the old device opens, and is not as it was");
	else if (!old && (info->volumes != 1 || memcmp(disk, zeroes, DISK_SIZE) != 0))
		snprintf(why, size, "the new device has something in it");
	else if (!old && memcmp(directory, directory + LAYOUT_PAGE_SIZE, LAYOUT_PAGE_SIZE) != 0)
		snprintf(why, size, "the new device's directory and its copy differ");
	else if (!old && w->thick && info->pages_used != BLOCKS)
		snprintf(why, size, "the new device has %llu pages bound, of %u",
			 (unsigned long long)info->pages_used, BLOCKS);
	else
		return true;
	return false;
}

static void replay(struct explorer *e, struct whole *w, const uint8_t *bytes, bool opens)
{
	e->judge = judge_whole;
	e->opaque = w;
	explorer_begin(e, bytes, w->base->size);
	for (size_t i = 0; i < e->trace.count; i++) {
		explorer_step(e, i, true);
		if (e->trace.event[i].kind == EVENT_ACK) {
			w->must_open = opens;
			w->returned = w->formatting && e->outer == NULL;
			e->rules++;
			explorer_look(e, i);
		}
	}
}

/* Repair the scratch copy; of an image that is not itself of a repair's repair, recorded. */
static int repair_scratch(struct explorer *e, struct kmemblk_check_result *result)
{
	struct kmemblk_check_options options = { .flags = KMEMBLK_CHECK_REPAIR };
	struct terms terms = { .no_punch = false };
	int rc;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	if (e->outer != NULL)
		return kmemblk_check(e->scratch.path, &options, result);
	recorder_thread = 0;
	recorder_start(&inner.trace, &terms);
	recorder_note(EVENT_BEGIN, 0);
	rc = kmemblk_check(e->scratch.path, &options, result);
	recorder_note(EVENT_ACK, 0);
	recorder_stop();
	return rc;
}

/* Power lost in the repair that has just been recorded, of the image that `e` has made. */
static void explore_repair_of(struct explorer *e, const struct whole *w, bool opens)
{
	struct whole again = *w;

	/* Nothing but begin and answer: nothing was changed.  And repairs cut twice, a few do. */
	if (inner.trace.count <= 2 || (!w->formatting && e->image.hash % AGAIN != 0))
		return;
	inner.tally = e->tally;
	inner.outer = e;
	inner.mutant = e->mutant;
	inner.seed = e->seed;
	inner.what = e->what;
	inner.light = true;
	inner.random = hash_mix(e->image.hash);
	inner.number = 0;
	inner.only = e->only_inner;
	inner.save = e->only_inner == 0 ? NULL : e->save;
	inner.rules = e->rules + 2;
	again.must_open = false;
	again.returned = false;
	replay(&inner, &again, e->image.bytes, opens);
	if (inner.only > inner.number)
		fatal("the repair of image %llu has only %llu images",
		      (unsigned long long)e->number, (unsigned long long)inner.number);
}

/* An image that does not open, or of the old device: let repair do what it can. */
static bool mended_is_whole(struct explorer *e, const struct whole *w, char *why, size_t size)
{
	struct kmemblk_check_result result;
	struct kmemblk_info info;
	static uint8_t disk[DISK_SIZE];
	int rc;

	if (repair_scratch(e, &result) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	rc = read_disk(e->scratch.path, disk, &info);
	if (e->outer == NULL)
		explore_repair_of(e, w, rc == 0);
	if (rc == 0)
		return is_whole(w, &e->scratch, &info, disk, why, size) &&
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

	/* An entry of the directory that repair has not come to: the other one stands in. */
	if (rc == 0 && !w->formatting && !w->must_open)
		info.entries_damaged = 0;
	if (rc != 0 && (w->must_open || (rc != -EMEDIUMTYPE && rc != -EUCLEAN))) {
		snprintf(why, size, "%s: %.200s",
			 w->must_open ? "after it has returned" : "in flight", kmemblk_error());
		return false;
	}
	if (rc == 0 && !is_whole(w, &e->image, &info, disk, why, size))
		return false;
	/* A new device that opens is complete, its copy included; so is a repaired one. */
	if (w->must_open || (rc == 0 && w->formatting && strcmp(info.uuid, w->old_uuid) != 0))
		return check_clean(e->image.path, why, size);
	return mended_is_whole(e, w, why, size);
}

static void uuid_of(const struct base *base, char *uuid)
{
	struct kmemblk_info info;

	if (kmemblk_probe(base_device(base)->path, &info) != 0)
		fatal("%s", kmemblk_error());
	memcpy(uuid, info.uuid, sizeof(info.uuid));
}

/* The first word, as one of two: the second? */
static bool choice(char **save, const char *first, const char *second)
{
	const char *word = strtok_r(NULL, " ", save);

	if (word == NULL || (strcmp(word, first) != 0 && strcmp(word, second) != 0))
		fatal("neither %s nor %s", first, second);
	return strcmp(word, second) == 0;
}

static const struct base *parse_base(char *words, char **save)
{
	char *word = strtok_r(words, " ", save);
	const struct base *base = word == NULL ? NULL : base_get(word);

	if (base == NULL)
		fatal("no such base");
	return base;
}

static void begin_rules(struct explorer *e, const struct whole *w)
{
	e->rules = hash_bytes((const uint8_t *)w->old_uuid, sizeof(w->old_uuid) / 8 * 8) +
		   hash_mix(4 * (unsigned int)w->formatting + 8 * (unsigned int)w->thick);
}

void format_run(struct explorer *e, char *words)
{
	struct kmemblk_format_options options = {
		.flags = KMEMBLK_FORMAT_FORCE,
		.disk_size = DISK_SIZE,
		.spare_pages = 1,
	};
	struct terms terms = { .no_punch = false };
	struct whole w = { .formatting = true };
	char *save;

	w.base = parse_base(words, &save);
	w.thick = choice(&save, "sparse", "thick");
	terms.no_punch = choice(&save, "holes", "stores");
	if (w.thick)
		options.flags |= KMEMBLK_FORMAT_PREALLOC;
	uuid_of(w.base, w.old_uuid);
	begin_rules(e, &w);
	recorder_thread = 0;
	recorder_start(&e->trace, &terms);
	recorder_note(EVENT_BEGIN, 0);
	if (kmemblk_format(base_device(w.base)->path, &options) != 0)
		fatal("%s", kmemblk_error());
	recorder_note(EVENT_ACK, 0);
	recorder_stop();
	replay(e, &w, w.base->bytes, true);
}

/* A bit of each entry that is there has turned, of every second one, or of the others. */
static void turn(uint8_t *page, unsigned int first, unsigned int step)
{
	for (unsigned int i = first; i < LAYOUT_TABLE_ENTRIES; i += step)
		page[8 * i + 1] ^= page[8 * i] != 0;
}

static void damage(struct base *base, const char *kind)
{
	uint8_t *copy = base->bytes + base->size - LAYOUT_PAGE_SIZE;
	uint8_t *directory = base->bytes + LAYOUT_PAGE_SIZE;

	if (strcmp(kind, "directory-turned") == 0) {
		turn(directory, 0, 1);
	} else if (strcmp(kind, "directory-copy-turned") == 0) {
		turn(directory + LAYOUT_PAGE_SIZE, 0, 1);
	} else if (strcmp(kind, "directory-each-turned") == 0) {
		turn(directory, 0, 2);
		turn(directory + LAYOUT_PAGE_SIZE, 1, 2);
	} else if (strcmp(kind, "directory-cleared") == 0) {
		memset(directory, 0, LAYOUT_PAGE_SIZE);
		memset(copy, 0, LAYOUT_PAGE_SIZE);
	} else if (strcmp(kind, "no-primary") == 0) {
		memset(base->bytes, 0, LAYOUT_PAGE_SIZE);
	} else if (strcmp(kind, "torn-primary") == 0) {
		memset(base->bytes + LINE_SIZE, 0x5a, LAYOUT_PAGE_SIZE - 2 * LINE_SIZE);
	} else if (strcmp(kind, "no-copy") == 0) {
		memset(copy, 0, LAYOUT_PAGE_SIZE);
	} else if (strcmp(kind, "torn-copy") == 0) {
		memset(copy + LINE_SIZE, 0x5a, LAYOUT_PAGE_SIZE - LINE_SIZE);
	} else {
		fatal("no such damage: %s", kind);
	}
}

void repair_run(struct explorer *e, char *words)
{
	struct kmemblk_check_options options = { .flags = KMEMBLK_CHECK_REPAIR };
	struct terms terms = { .no_punch = false };
	struct kmemblk_check_result result;
	static struct base base;
	struct whole w = { .base = &base };
	const struct base *sound;
	char *save;

	sound = parse_base(words, &save);
	base = *sound;
	uuid_of(sound, w.old_uuid);
	begin_rules(e, &w);
	damage(&base, save);
	recorder_thread = 0;
	recorder_start(&e->trace, &terms);
	recorder_note(EVENT_BEGIN, 0);
	if (kmemblk_check(base_device(&base)->path, &options, &result) != 0)
		fatal("%s", kmemblk_error());
	recorder_note(EVENT_ACK, 0);
	recorder_stop();
	if (result.corrected == 0 || result.left != 0)
		fatal("%llu corrected, %llu left", (unsigned long long)result.corrected,
		      (unsigned long long)result.left);
	replay(e, &w, base.bytes, true);
}
