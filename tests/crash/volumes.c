/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * volumes.c - calls that make and change volumes, cut anywhere, alone and beside others.
 *
 * Each call is done or not, as a whole: so an image must show one of the worlds that come about when those that
 * were answered have been done, and any of those in flight, in an order that real time allows.  It must show one
 * of them, too, when each entry of the directory is lost and its copy stands in.  And it must go on to live:
 * open for writing, clear what was left, count right, grow, write, and be sound after that.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fatal.h"
#include "io/volume.h"
#include "map/directory.h"
#include "play.h"
#include "scenario.h"
#include "stage.h"

#define WORLDS	  32u
#define CALLS_MAX SCENARIO_OPS
/* Of a light look one image in so many is also written to, and read by way of the directory's copy; else each. */
#define LOOK_ON 4u
/* And of those that a start has to finish, power is lost in that start: of one in so many, else of each. */
#define STARTED 4u
/* A call of a judge's own. */
#define OWN_NUMBER 500u

struct calls {
	const struct base *base;
	struct call calls[CALLS_MAX];
	unsigned int count, from;
	struct kmemblk *handle;
	struct kmemblk_volume *open[DRIVEN_THREADS]; /* for the requests of threads */
	unsigned int kill; /* entries that the first stores before it is killed */
};

struct possible {
	struct world world;
	unsigned int done; /* bit i: flight[i] is */
	unsigned int half; /* ... and only the first half of it */
};

/* What an image may show now. */
struct rules {
	struct possible possible[WORLDS];
	unsigned int count;
	struct {
		const struct call *call;
		unsigned int number;
	} flight[DRIVEN_THREADS];
	bool rests; /* nothing is in flight */
};

/* ---- rules ---------------------------------------------------------------------------------- */

static void add_possible(struct rules *rules, const struct possible *one)
{
	for (unsigned int i = 0; i < rules->count; i++)
		if (rules->possible[i].done == one->done && rules->possible[i].half == one->half &&
		    world_equal(&rules->possible[i].world, &one->world))
			return;
	if (rules->count == WORLDS)
		fatal("too many worlds");
	rules->possible[rules->count++] = *one;
}

static void begin_call(struct rules *rules, const struct call *call, unsigned int number)
{
	unsigned int f = 0;

	while (f < DRIVEN_THREADS && rules->flight[f].call != NULL)
		f++;
	if (f == DRIVEN_THREADS)
		fatal("more calls in flight than threads");
	rules->flight[f].call = call;
	rules->flight[f].number = number;
	rules->rests = false;
	/* The count grows meanwhile. */
	for (unsigned int i = 0; i < rules->count; i++)
		for (f = 0; f < DRIVEN_THREADS; f++) {
			struct possible next = rules->possible[i];

			if (rules->flight[f].call == NULL || next.done >> f & 1)
				continue;
			next.half |= 1u << f;
			if (call_apply_half(rules->flight[f].call, &next.world))
				add_possible(rules, &next);
			next = rules->possible[i];
			next.half &= ~(1u << f);
			next.done |= 1u << f;
			if (call_apply(rules->flight[f].call, rules->flight[f].number, &next.world))
				add_possible(rules, &next);
		}
}

/* A call has been answered, or refused. */
static void end_call(struct rules *rules, unsigned int number, bool done)
{
	struct rules before = *rules;
	unsigned int f = 0;

	while (f < DRIVEN_THREADS &&
	       (rules->flight[f].call == NULL || rules->flight[f].number != number))
		f++;
	if (f == DRIVEN_THREADS)
		fatal("call %u is answered and was not in flight", number);
	rules->flight[f].call = NULL;
	rules->count = 0;
	for (unsigned int i = 0; i < before.count; i++) {
		struct possible one = before.possible[i];

		if ((one.done >> f & 1) != done || one.half >> f & 1)
			continue;
		one.done &= ~(1u << f);
		add_possible(rules, &one);
	}
	if (rules->count == 0)
		fatal("no world in which call %u has ended so", number);
	rules->rests = true;
	for (f = 0; f < DRIVEN_THREADS; f++)
		rules->rests = rules->rests && rules->flight[f].call == NULL;
}

static uint64_t hash_rules(const struct rules *rules)
{
	uint64_t hash = rules->rests;

	for (unsigned int i = 0; i < rules->count; i++)
		hash += hash_mix(world_hash(&rules->possible[i].world));
	return hash;
}

static bool allows(const struct rules *rules, const struct world *found, const char *how, char *why,
		   size_t size)
{
	char was[100], may[100];

	for (unsigned int i = 0; i < rules->count; i++)
		if (world_equal(&rules->possible[i].world, found))
			return true;
	world_print(found, was, sizeof(was));
	world_print(&rules->possible[0].world, may, sizeof(may));
	snprintf(why, size, "%s%s; allowed: %s, or one of %u others", how, was, may,
		 rules->count == 0 ? 0 : rules->count - 1);
	return false;
}

/* ---- judging an image ----------------------------------------------------------------------- */

/* True if something is named that a volume has been cut off from. */
static bool holds_past(const struct kmemblk *h)
{
	bool past = false;

	for (unsigned int i = 0; i < directory_size(&h->super); i++)
		past = past || (h->volumes[i] != NULL && h->volumes[i]->past);
	return past;
}

static bool read_image(const char *path, struct world *world, bool *past, char *why, size_t size)
{
	struct kmemblk *h;
	bool whole;

	if (kmemblk_open(path, KMEMBLK_OPEN_READONLY, &h) != 0 || kmemblk_start(h) != 0) {
		snprintf(why, size, "%.200s", kmemblk_error());
		return false;
	}
	*past = holds_past(h);
	whole = world_read(h, world, why, size);
	kmemblk_close(h);
	return whole;
}

/* Each entry of the directory that is there has turned. */
static void lose_directory(struct explorer *e)
{
	uint64_t entry, copy;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	for (size_t at = 0; at < LAYOUT_PAGE_SIZE; at += sizeof(entry)) {
		uint8_t *first = e->scratch.bytes + LAYOUT_PAGE_SIZE + at;

		memcpy(&entry, first, sizeof(entry));
		memcpy(&copy, first + LAYOUT_PAGE_SIZE, sizeof(copy));
		if (entry == 0 && copy == 0)
			continue;
		entry ^= 1;
		memcpy(first, &entry, sizeof(entry));
	}
}

static bool copy_stands_in(struct explorer *e, const struct rules *rules, char *why, size_t size)
{
	struct world found;
	bool past;

	lose_directory(e);
	return read_image(e->scratch.path, &found, &past, why, size) &&
	       allows(rules, &found, "by the copy: ", why, size);
}

/* The largest that is looked at; what is new must read as zeroes. */
#define GROWN (512 * 512 + 8)

/* Every volume grows, and one more is made; each is written to, where there is a page for that. */
static int grow_all(struct kmemblk *h, struct world *world)
{
	struct call call = { .n = GROWN };
	struct world before = *world;
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < before.count; i++) {
		/* Not a snapshot. */
		if (before.volume[i].sequence > 0)
			continue;
		memcpy(call.name, before.volume[i].name, sizeof(call.name));
		call.kind = CALL_RESIZE;
		rc = call_run(h, &call, OWN_NUMBER);
		if (rc == 0)
			call_apply(&call, OWN_NUMBER, world);
		if (rc == -ENOSPC)
			rc = 0;
	}
	call_parse("create:z:3", &call);
	if (rc == 0)
		rc = call_run(h, &call, OWN_NUMBER);
	if (rc == 0)
		call_apply(&call, OWN_NUMBER, world);
	call_parse("write:z:1", &call);
	if (rc == 0)
		rc = call_run(h, &call, OWN_NUMBER);
	if (rc == 0)
		call_apply(&call, OWN_NUMBER, world);
	return rc == -ENOSPC ? 0 : rc;
}

static bool lives_on(struct explorer *e, struct world *world, char *why, size_t size)
{
	struct kmemblk_info counted;
	struct world found;
	struct kmemblk *h;
	bool past, whole, fits;
	int rc;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	rc = kmemblk_open(e->scratch.path, 0, &h);
	if (rc != 0) {
		snprintf(why, size, "for writing: %.200s", kmemblk_error());
		return false;
	}
	rc = kmemblk_start(h);
	/* Whatever was being changed, what was guaranteed is. */
	fits = h->pool.reserved + h->pool.spare <= h->pool.usable;
	if (rc == 0 && fits)
		rc = grow_all(h, world);
	if (rc != 0)
		snprintf(why, size, "for writing: %.200s", kmemblk_error());
	else if (!fits)
		snprintf(why, size, "more pages are reserved than there are");
	whole = rc == 0 && fits && world_read(h, &found, why, size);
	kmemblk_get_info(h, &counted);
	kmemblk_close(h);
	if (!whole || !counts_agree(e->scratch.path, &counted, why, size) ||
	    !check_clean(e->scratch.path, why, size) ||
	    !read_image(e->scratch.path, &found, &past, why, size))
		return false;
	if (world_equal(&found, world) && !past)
		return true;
	snprintf(why, size, "%s", past ? "past the end, after a start: " : "grown: ");
	world_print(&found, why + strlen(why), size - strlen(why));
	return false;
}

/* ---- the start of what a crash has left ------------------------------------------------------ */

/* Power lost in it. */
static struct explorer inner;

struct starting {
	const struct rules *
		rules; /* by the directory's copy; as before, and in the end as the directory says */
	struct world found; /* what the directory says */
};

static bool judge_volumes(struct explorer *e, void *opaque, char *why, size_t size);

static bool judge_start(struct explorer *e, void *opaque, char *why, size_t size)
{
	struct starting *s = opaque;
	struct rules now = { .count = 1 };
	struct world found;
	bool past;

	now.possible[0].world = s->found;
	return read_image(e->image.path, &found, &past, why, size) &&
	       allows(&now, &found, "after a start: ", why, size) &&
	       judge_volumes(e, (void *)s->rules, why, size);
}

static void record_start(struct explorer *e)
{
	const struct terms terms = { .no_punch = false };
	struct kmemblk *h;

	memcpy(e->scratch.bytes, e->image.bytes, e->image.size);
	recorder_thread = 0;
	recorder_start(&inner.trace, &terms);
	recorder_note(EVENT_BEGIN, 0);
	if (kmemblk_open(e->scratch.path, 0, &h) != 0)
		fatal("%s", kmemblk_error());
	h->pool.keeper.punch = false;
	if (kmemblk_start(h) != 0)
		fatal("%s", kmemblk_error());
	recorder_note(EVENT_ACK, 0);
	recorder_stop();
	kmemblk_close(h);
}

static void explore_start(struct explorer *e, const struct rules *rules, const struct world *found)
{
	struct starting starting = { rules, *found };
	struct rules after = { .count = 1, .rests = true };

	after.possible[0].world = *found;
	record_start(e);
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
	inner.rules = e->rules + 1 + world_hash(found);
	inner.judge = judge_start;
	inner.opaque = &starting;
	explorer_begin(&inner, e->image.bytes, e->image.size);
	for (size_t i = 0; i < inner.trace.count; i++) {
		explorer_step(&inner, i, true);
		if (inner.trace.event[i].kind != EVENT_ACK)
			continue;
		starting.rules = &after;
		inner.rules++;
		explorer_look(&inner, i);
	}
	if (inner.only > inner.number)
		fatal("the start of image %llu has only %llu images", (unsigned long long)e->number,
		      (unsigned long long)inner.number);
}

/* True if a start has something to do: the directory and its copy differ, or a volume was cut off. */
static bool has_to_start(const struct explorer *e, bool past)
{
	const uint8_t *directory = e->image.bytes + LAYOUT_PAGE_SIZE;

	return past || memcmp(directory, directory + LAYOUT_PAGE_SIZE, LAYOUT_PAGE_SIZE) != 0;
}

static bool judge_volumes(struct explorer *e, void *opaque, char *why, size_t size)
{
	const struct rules *rules = opaque;
	struct world found, grown;
	bool past;

	if (!read_image(e->image.path, &found, &past, why, size) ||
	    !allows(rules, &found, "", why, size) || !check_clean(e->image.path, why, size))
		return false;
	if (rules->rests && past) {
		snprintf(why, size, "what was cut off is still named after the answer");
		return false;
	}
	if (e->light && e->image.hash % LOOK_ON != 0)
		return true;
	grown = found;
	if (!copy_stands_in(e, rules, why, size) || !lives_on(e, &grown, why, size))
		return false;
	if (e->outer == NULL && has_to_start(e, past) &&
	    (!e->light || e->image.hash / LOOK_ON % STARTED == 0))
		explore_start(e, rules, &found);
	return true;
}

/* ---- running and replaying ------------------------------------------------------------------ */

static void replay(struct explorer *e, const struct calls *calls)
{
	static struct rules rules;
	bool look = false;

	rules = (struct rules){ .count = 1, .rests = true };
	rules.possible[0].world = calls->base->world;
	e->judge = judge_volumes;
	e->opaque = &rules;
	explorer_begin(e, calls->base->bytes, calls->base->size);
	for (size_t i = 0; i < e->trace.count; i++) {
		const struct event *event = &e->trace.event[i];

		if (event->kind == EVENT_BEGIN) {
			look = look || event->op >= calls->from;
			begin_call(&rules, &calls->calls[event->op], event->op);
		}
		e->rules = hash_rules(&rules);
		explorer_step(e, i, look);
		if (event->kind == EVENT_ACK || event->kind == EVENT_FAIL) {
			end_call(&rules, event->op, event->kind == EVENT_ACK);
			e->rules = hash_rules(&rules);
			if (look)
				explorer_look(e, i);
		}
	}
}

/* What the volumes are before the calls, and the first of these; NULL: no such word. */
static const char *parse_call(struct calls *calls, char *words, char **save)
{
	char *word = strtok_r(words, " ", save);

	if (words != NULL) {
		calls->base = word == NULL ? NULL : base_get(word);
		if (calls->base == NULL)
			fatal("no such base");
		word = strtok_r(NULL, " ", save);
	}
	return word;
}

static void add_call(struct calls *calls, const char *word)
{
	if (calls->count == CALLS_MAX || !call_parse(word, &calls->calls[calls->count++]))
		fatal("no such call, or too many: %s", word);
}

/* A call has failed: may it, so? */
static void refused(const struct call *call, const struct world *world, bool possible, int rc)
{
	char now[200];

	if (!possible || rc == -EBUSY || (rc == -ENOSPC && !call_needs_no_page(call)))
		return;
	world_print(world, now, sizeof(now));
	fatal("of %s: %s", now, kmemblk_error());
}

/* Calls from `first` on, of a device that holds this; each is answered before the next begins. */
static void run_calls(struct calls *calls, unsigned int first, struct world *world)
{
	for (unsigned int i = first; i < calls->count; i++) {
		struct world after = *world;
		bool possible;
		int rc;

		recorder_note(EVENT_BEGIN, i);
		rc = call_run(calls->handle, &calls->calls[i], i);
		recorder_note(rc == 0 ? EVENT_ACK : EVENT_FAIL, i);
		if (rc == 0)
			call_note(calls->handle, &calls->calls[i]);
		possible = call_apply(&calls->calls[i], i, &after);
		if (rc != 0)
			refused(&calls->calls[i], world, possible, rc);
		else
			*world = after;
		stage_reclaim();
	}
	recorder_stop();
	base_close(calls->base, calls->handle);
}

void volumes_run(struct explorer *e, char *words)
{
	struct calls calls = { .count = 0 };
	struct world world;
	const char *word;
	char *save;

	for (word = parse_call(&calls, words, &save); word != NULL;
	     word = parse_call(&calls, NULL, &save))
		if (strcmp(word, "|") == 0)
			calls.from = calls.count;
		else
			add_call(&calls, word);
	world = calls.base->world;
	recorder_thread = 0;
	calls.handle = base_open(calls.base, &e->trace);
	run_calls(&calls, 0, &world);
	replay(e, &calls);
}

static int run_one(void *opaque, unsigned int number)
{
	struct calls *calls = opaque;
	const struct call *call = &calls->calls[number];
	int rc = calls->open[number] != NULL ? call_run_in(calls->open[number], call, number)
					     : call_run(calls->handle, call, number);

	if (rc != 0 && (rc != -ENOSPC || call_needs_no_page(call)))
		fatal("%s", kmemblk_error());
	return rc;
}

/* Before one of them is renamed. */
static void open_all(struct calls *calls)
{
	for (unsigned int i = 0; i < calls->count; i++) {
		struct call *call = &calls->calls[i];

		if (call_is_change(call))
			continue;
		if (kmemblk_volume_open(calls->handle, call->name, &calls->open[i]) != 0)
			fatal("%s", kmemblk_error());
		for (unsigned int j = 0; j < calls->count; j++)
			if (calls->calls[j].kind == CALL_RENAME &&
			    strcmp(calls->calls[j].name, call->name) == 0)
				memcpy(call->also, calls->calls[j].to, sizeof(call->also));
	}
}

void volume_threads_run(struct explorer *e, char *words)
{
	struct calls calls = { .count = 0 };
	struct play play = { .run = run_one, .opaque = &calls };
	bool steps = false, used;
	const char *word;
	char *save;

	for (word = parse_call(&calls, words, &save); word != NULL;
	     word = parse_call(&calls, NULL, &save))
		if (strcmp(word, "|") == 0)
			steps = true;
		else if (steps)
			play_parse_step(&play, word, calls.count);
		else
			add_call(&calls, word);
	if (calls.count > DRIVEN_THREADS)
		fatal("more calls than threads");
	calls.handle = base_open(calls.base, &e->trace);
	open_all(&calls);
	used = play_run(&play, calls.count);
	recorder_stop();
	for (unsigned int i = 0; i < calls.count; i++)
		call_note(calls.handle, &calls.calls[i]);
	base_close(calls.base, calls.handle);
	if (used)
		replay(e, &calls);
}

/* What the second process finds need not be durable, and it must not rely on it. */
void volume_restart_run(struct explorer *e, char *words)
{
	struct calls calls = { .from = 1 };
	struct world world;
	const char *word;
	char *save, why[256];

	for (word = parse_call(&calls, words, &save); word != NULL;
	     word = parse_call(&calls, NULL, &save))
		if (sscanf(word, "%u", &calls.kill) != 1)
			add_call(&calls, word);
	if (calls.kill == 0)
		fatal("after how many entries?");
	recorder_thread = 0;
	calls.handle = base_open(calls.base, &e->trace);
	recorder_note(EVENT_BEGIN, 0);
	recorder_kill(calls.kill);
	/* What the dead got does not come about. */
	(void)call_run(calls.handle, &calls.calls[0], 0);
	stage_watch(NULL);
	stage_free_reclaimer();
	kmemblk_close(calls.handle);
	stage_hold_reclaimer();
	calls.handle = base_open_again(calls.base);
	if (!world_read(calls.handle, &world, why, sizeof(why)))
		fatal("%s", why);
	run_calls(&calls, 1, &world);
	replay(e, &calls);
}
