/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * growths.c - a device that has become larger is grown, cut anywhere.
 *
 * Each image must open with the old size or the new, hold what the device held, and keep a copy of the superblock:
 * from when the new one is durable, a primary that is lost must come back by it.  With the new size, the place of the
 * old copy is clear.  Growing again, or repair, must finish what was begun, also when either is cut; and so must
 * growing once more when the device was served with the size that the image has.
 */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "scenario.h"

/* One image in so many is grown, or repaired, under the eyes of another explorer; and served first. */
#define AGAIN  24u
#define SERVED 4u
/* A write of a judge's own. */
#define OWN_NUMBER 500u

struct growth {
	const struct base *base;
	const uint8_t *begun;	 /* the device's bytes when the call began ... */
	uint64_t before, after;	 /* ... its size in pages, and how many there are */
	const uint8_t *old_copy; /* the copy that the device had, if it was whole */
	const uint8_t *grown;	 /* its bytes after another growth, which was not cut */
	bool copied;		 /* the new copy must be durable */
	bool returned;
	bool again; /* what is cut finishes what was cut before ... */
	bool repair; /* ... and is a repair: before there is a new copy, nothing tells it of a growth */
};

static struct explorer inner;

static bool judge_growth(struct explorer *e, void *opaque, char *why, size_t size);

/* ---- what a device is ------------------------------------------------------------------------ */

static bool is_zero(const uint8_t *page)
{
	static const uint8_t zeroes[LAYOUT_PAGE_SIZE];

	return memcmp(page, zeroes, sizeof(zeroes)) == 0;
}

static const uint8_t *page_of(const uint8_t *bytes, uint64_t page)
{
	return bytes + page * LAYOUT_PAGE_SIZE;
}

/* Its volumes, or the blocks of its disk where these were not written by calls.  `filled`: by serve(). */
static bool holds_all(const struct growth *g, struct kmemblk *h, bool filled, char *why,
		      size_t size)
{
	static uint8_t disk[DISK_SIZE], wanted[DISK_SIZE];
	struct op op = { OP_WRITE, 0, DISK_SIZE };
	struct world world = g->base->world, found;
	struct call call;

	if (g->base->filled > 0) {
		memcpy(wanted, g->base->disk, DISK_SIZE);
		for (uint32_t block = 0; filled && block < BLOCKS; block++)
			op_apply(&op, OWN_NUMBER, block, wanted + (size_t)block * BLOCK_SIZE);
		snprintf(why, size, "the disk is not as it was");
		return ops_read(h, disk) == 0 && memcmp(disk, wanted, DISK_SIZE) == 0;
	}
	call_parse("write:a:0", &call);
	if (filled)
		call_apply(&call, OWN_NUMBER, &world);
	if (!world_read(h, &found, why, size))
		return false;
	snprintf(why, size, "the volumes are not as they were");
	return world_equal(&found, &world);
}

/* Open it for reading: how many pages it has, and is all there? */
static bool opens(const struct growth *g, const char *path, bool filled, uint64_t *pages, char *why,
		  size_t size)
{
	struct kmemblk_info info;
	struct kmemblk *h;
	bool whole;

	if (kmemblk_open(path, KMEMBLK_OPEN_READONLY, &h) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	kmemblk_get_info(h, &info);
	*pages = info.device_pages;
	if (kmemblk_start(h) != 0)
		fatal("%s", kmemblk_error());
	whole = holds_all(g, h, filled, why, size);
	kmemblk_close(h);
	return whole;
}

static bool is_grown(const struct growth *g, struct explorer *e, bool filled, char *why,
		     size_t size)
{
	uint64_t pages;

	if (!opens(g, e->scratch.path, filled, &pages, why, size) ||
	    !check_clean(e->scratch.path, why, size))
		return false;
	snprintf(why, size, "%llu pages after it was finished", (unsigned long long)pages);
	return pages == g->after;
}

/* ---- what goes on after a cut ------------------------------------------------------------------ */

static int finish(const char *path, bool repair)
{
	struct kmemblk_check_options options = { .flags = KMEMBLK_CHECK_REPAIR };
	struct kmemblk_check_result checked;
	struct kmemblk_grow_result grown;

	return repair ? kmemblk_check(path, &options, &checked) : kmemblk_grow(path, &grown);
}

static void replay(struct explorer *e, struct growth *g)
{
	e->judge = judge_growth;
	e->opaque = g;
	explorer_begin(e, g->begun, (size_t)g->after * LAYOUT_PAGE_SIZE);
	for (size_t i = 0; i < e->trace.count; i++) {
		const struct event *event = &e->trace.event[i];

		explorer_step(e, i, true);
		if (event->kind == EVENT_DRAIN && event->order == PM_GROW_COPY)
			g->copied = true;
		else if (event->kind == EVENT_ACK)
			g->returned = !g->repair || g->copied;
		else
			continue;
		e->rules++;
		explorer_look(e, i);
	}
}

static int record(struct explorer *e, const char *path, bool repair)
{
	const struct terms terms = { .no_punch = false };
	int rc;

	recorder_thread = 0;
	recorder_start(&e->trace, &terms);
	recorder_note(EVENT_BEGIN, 0);
	rc = finish(path, repair);
	recorder_note(EVENT_ACK, 0);
	recorder_stop();
	return rc;
}

/* Power lost in what finishes the image that `e` has made. */
static void explore_again(struct explorer *e, const struct growth *g, bool repair)
{
	struct growth again = *g;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	if (record(&inner, e->scratch.path, repair) != 0)
		fatal("%s", kmemblk_error());
	/* It was finished already. */
	if (inner.trace.count <= 2)
		return;
	again.begun = e->image.bytes;
	again.again = true;
	again.repair = repair;
	inner.tally = e->tally;
	inner.outer = e;
	inner.mutant = e->mutant;
	inner.seed = e->seed;
	inner.what = e->what;
	inner.light = true;
	inner.random = hash_mix(e->image.hash + repair);
	inner.only = e->only_inner;
	inner.save = e->only_inner == 0 ? NULL : e->save;
	inner.rules = e->rules + 2 + repair;
	replay(&inner, &again);
}

static bool finishes(struct explorer *e, const struct growth *g, bool repair, char *why,
		     size_t size)
{
	uint64_t pages;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	if (finish(e->scratch.path, repair) != 0) {
		snprintf(why, size, "%s: %.200s", repair ? "repaired" : "grown again",
			 kmemblk_error());
		return false;
	}
	/* Before there is a new copy, nothing tells repair that a growth has begun. */
	if (!repair || g->copied)
		return is_grown(g, e, false, why, size);
	return opens(g, e->scratch.path, false, &pages, why, size) &&
	       check_clean(e->scratch.path, why, size);
}

/* Whoever loses the primary then gets it back. */
static bool survives_loss(struct explorer *e, const struct growth *g, char *why, size_t size)
{
	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	memset(e->scratch.bytes, 0, LAYOUT_PAGE_SIZE);
	if (finish(e->scratch.path, true) != 0) {
		snprintf(why, size, "without its primary: %.200s", kmemblk_error());
		return false;
	}
	return is_grown(g, e, false, why, size);
}

/* Served and written to with the size that it has; then grown. */
static bool serves(struct explorer *e, const struct growth *g, char *why, size_t size)
{
	struct op op = { OP_WRITE, 0, DISK_SIZE };
	struct kmemblk *h;
	struct call call;
	int rc;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	call_parse("write:a:0", &call);
	rc = kmemblk_open(e->scratch.path, 0, &h);
	if (rc == 0) {
		rc = kmemblk_start(h);
		if (rc == 0)
			rc = g->base->filled > 0 ? op_run(h, &op, OWN_NUMBER)
						 : call_run(h, &call, OWN_NUMBER);
		kmemblk_close(h);
	}
	if (rc == 0)
		rc = finish(e->scratch.path, false);
	if (rc == 0)
		return is_grown(g, e, true, why, size);
	snprintf(why, size, "served: %.200s", kmemblk_error());
	return false;
}

/* ---- judging an image ------------------------------------------------------------------------ */

static bool has_right_size(const struct explorer *e, const struct growth *g, uint64_t pages,
			   char *why, size_t size)
{
	const uint8_t *old_copy = page_of(e->image.bytes, g->before - 1);
	const uint8_t *copy = page_of(e->image.bytes, g->after - 1);

	if (pages != g->after && (pages != g->before || g->returned))
		snprintf(why, size, "it has %llu pages%s", (unsigned long long)pages,
			 g->returned ? " after it has returned" : "");
	else if (pages == g->after && !is_zero(old_copy))
		snprintf(why, size, "the old copy is still there, with the new size");
	else if (pages == g->after &&
		 memcmp(copy, page_of(g->grown, g->after - 1), LAYOUT_PAGE_SIZE) != 0)
		snprintf(why, size, "the new copy is not there, with the new size");
	else if (!g->copied && g->old_copy != NULL &&
		 memcmp(old_copy, g->old_copy, LAYOUT_PAGE_SIZE) != 0)
		snprintf(why, size, "the old copy is gone before the new one is there");
	else
		return true;
	return false;
}

static bool judge_growth(struct explorer *e, void *opaque, char *why, size_t size)
{
	const struct growth *g = opaque;
	uint64_t pages;

	if (!opens(g, e->image.path, false, &pages, why, size) ||
	    !has_right_size(e, g, pages, why, size))
		return false;
	if (g->returned && pages == g->after && !check_clean(e->image.path, why, size))
		return false;
	if (!finishes(e, g, false, why, size) || !finishes(e, g, true, why, size) ||
	    (g->copied && !survives_loss(e, g, why, size)))
		return false;
	if (e->image.hash % SERVED == 0 && !serves(e, g, why, size))
		return false;
	if (!g->again && e->image.hash % AGAIN == 0) {
		inner.number = 0;
		explore_again(e, g, false);
		explore_again(e, g, true);
		if (e->only_inner > inner.number)
			fatal("what finishes image %llu has only %llu images",
			      (unsigned long long)e->number, (unsigned long long)inner.number);
	}
	return true;
}

/* ---- the scenario ---------------------------------------------------------------------------- */

static void take_page(struct base *base, const uint8_t *grown, uint64_t page)
{
	memcpy(base->bytes + page * LAYOUT_PAGE_SIZE, page_of(grown, page), LAYOUT_PAGE_SIZE);
}

/* How it is found. */
static void prepare(struct base *base, const struct growth *g, const char *state)
{
	const size_t word = LAYOUT_PAGE_SIZE - sizeof(uint64_t);
	size_t from = (size_t)g->before * LAYOUT_PAGE_SIZE;

	if (strcmp(state, "used") == 0) {
		memset(base->bytes + from, 0x5a, base->size - from);
		return;
	}
	if (strcmp(state, "no-copy") == 0) {
		memset(base->bytes + from - LAYOUT_PAGE_SIZE, 0, LAYOUT_PAGE_SIZE);
		return;
	}
	if (strcmp(state, "new") == 0)
		return;
	/* The first steps have been made. */
	take_page(base, g->grown, g->after - 1);
	if (strcmp(state, "copied") == 0)
		return;
	take_page(base, g->grown, g->before - 1);
	if (strcmp(state, "cleared") == 0)
		return;
	if (strcmp(state, "cut") != 0)
		fatal("no such state: %s", state);
	memcpy(base->bytes + word, g->grown + word, sizeof(uint64_t));
}

void grow_run(struct explorer *e, char *words)
{
	static uint8_t grown[MEDIA_LINES * LINE_SIZE];
	static struct base base;
	char *save, *name = strtok_r(words, " ", &save), *more = strtok_r(NULL, " ", &save);
	const struct base *small = name == NULL ? NULL : base_get(name);
	struct growth g = { .base = &base, .grown = grown, .begun = base.bytes };

	if (small == NULL || more == NULL)
		fatal("no such base");
	base = *small;
	g.before = base.size / LAYOUT_PAGE_SIZE;
	g.after = g.before + strtoul(more, NULL, 10);
	if (g.after <= g.before || g.after > MEDIA_PAGES)
		fatal("from %llu pages to %llu", (unsigned long long)g.before,
		      (unsigned long long)g.after);
	base.size = (size_t)g.after * LAYOUT_PAGE_SIZE;
	memset(base.bytes + small->size, 0, base.size - small->size);
	if (finish(base_device(&base)->path, false) != 0)
		fatal("%s", kmemblk_error());
	memcpy(grown, base_device_now(&base)->bytes, base.size);
	prepare(&base, &g, save);
	if (strcmp(save, "no-copy") != 0)
		g.old_copy = page_of(small->bytes, g.before - 1);
	g.copied = memcmp(page_of(base.bytes, g.after - 1), page_of(grown, g.after - 1),
			  LAYOUT_PAGE_SIZE) == 0;
	e->rules = hash_bytes(grown, base.size) + hash_mix(g.copied);
	if (record(e, base_device(&base)->path, false) != 0)
		fatal("%s", kmemblk_error());
	replay(e, &g);
}
