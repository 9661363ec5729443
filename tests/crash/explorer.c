/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explorer.c - see explorer.h.
 *
 * Of each pending line an image has one version.  While there are few combinations all are built;
 * beyond that: none, all, each line alone, all but each, pairs, and random choices, in which a line
 * may also be torn between words of 8 bytes.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "explorer.h"
#include "fatal.h"

/* As many combinations are all built: 10 lines of one version each. */
#define COMBINATIONS 1024u
#define PAIRS	     48u
#define RANDOMS	     40u
#define TORN	     4u
#define TOLD	     5u
/* In a light look: combinations of lines with entries, and what of the rest goes with each. */
#define LIGHT 48u

typedef unsigned char choice_t[MEDIA_LINES]; /* by position in media.pending: which version */

uint64_t explorer_random(struct explorer *e, uint64_t limit)
{
	e->random += 0x9e3779b97f4a7c15;
	return hash_mix(e->random) % limit;
}

double explorer_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool explorer_over(const struct explorer *e)
{
	return explorer_clock() >= e->tally->until ||
	       (e->tally->first_only && e->tally->violations > 0);
}

void explorer_begin(struct explorer *e, const uint8_t *bytes, size_t size)
{
	if (e->image.size != size) {
		image_free(&e->image);
		image_free(&e->scratch);
		image_make(&e->image, size);
		image_make(&e->scratch, size);
	}
	mutant_reorder(&e->mutant, &e->trace);
	media_begin(&e->media, bytes, size, &e->mutant);
	image_fill(&e->image, bytes);
}

/* The command that builds this image, and no other. */
static void tell_command(const struct explorer *e)
{
	char name[64];

	printf("VIOLATION: ./explore --scenario='%s' --image=", e->what);
	if (e->outer != NULL)
		printf("%" PRIu64 ".", e->outer->number);
	printf("%" PRIu64, e->number);
	/* What one of its images becomes is always looked at so. */
	if (e->outer == NULL ? e->light : e->outer->light)
		printf(" --light");
	mutant_print(&e->mutant, name, sizeof(name));
	if (name[0] != '\0')
		printf(" --mutant=%s", name);
	if (e->seed != 1)
		printf(" --seed=%" PRIu64, e->seed);
	putchar('\n');
}

void explorer_tell(struct explorer *e, size_t number, const char *why)
{
	static const char *const kinds[] = {
		"store", "flush", "drain", "begin", "answer", "refusal"
	};
	const struct event *event = &e->trace.event[number];
	unsigned int out = 0;

	if (e->tally->violations++ >= TOLD)
		return;
	tell_command(e);
	printf("  image: %016" PRIx64 "\n  at event %zu (%s %s, thread %u)\n  found: %s\n"
	       "  lines left out:",
	       e->image.hash, number, kinds[event->kind], mutant_order_name(event->order),
	       event->thread, why);
	for (unsigned int i = 0; i < e->media.pending_count; i++) {
		uint32_t line = e->media.pending[i];
		const uint8_t *newest = media_bytes(&e->media, line, e->media.line[line].count);

		if (memcmp(e->image.bytes + (size_t)line * LINE_SIZE, newest, LINE_SIZE) != 0 &&
		    out++ < 16)
			printf(" %u.%u", line / (LAYOUT_PAGE_SIZE / LINE_SIZE),
			       line % (LAYOUT_PAGE_SIZE / LINE_SIZE));
	}
	printf("%s of %u pending (page.line)\n",
	       out > 16	  ? " ..."
	       : out == 0 ? " none"
			  : "",
	       e->media.pending_count);
	fflush(stdout);
}

static void judge(struct explorer *e, size_t event)
{
	char why[256];
	bool first;

	e->number++;
	e->tally->explored++;
	if (e->only != 0 && e->number != e->only)
		return;
	seen_add(&e->tally->distinct, e->image.hash);
	first = seen_add(&e->tally->judged, hash_mix(e->image.hash ^ hash_mix(e->rules)));
	if (!first && e->only == 0)
		return;
	if (e->only != 0 && e->only_inner == 0 && e->save != NULL)
		image_save(&e->image, e->save);
	if (!e->judge(e, e->opaque, why, sizeof(why)))
		explorer_tell(e, event, why);
}

static void try(struct explorer *e, size_t event, const choice_t choice)
{
	for (unsigned int i = 0; i < e->media.pending_count; i++)
		image_put(&e->image, e->media.pending[i],
			  media_bytes(&e->media, e->media.pending[i], choice[i]));
	judge(e, event);
}

/* How many combinations there are, or one more than are all built. */
static unsigned int combinations(const struct explorer *e)
{
	unsigned int product = 1;

	for (unsigned int i = 0; i < e->media.pending_count && product <= COMBINATIONS; i++)
		product *= e->media.line[e->media.pending[i]].count + 1;
	return product;
}

/* Count through all of them, as an odometer does. */
static void look_all(struct explorer *e, size_t event)
{
	choice_t choice = { 0 };
	unsigned int i;

	do {
		try(e, event, choice);
		for (i = 0; i < e->media.pending_count; i++) {
			if (choice[i]++ < e->media.line[e->media.pending[i]].count)
				break;
			choice[i] = 0;
		}
	} while (i < e->media.pending_count);
}

static void choose(const struct explorer *e, choice_t choice, unsigned int i, bool newest)
{
	choice[i] = newest ? (unsigned char)e->media.line[e->media.pending[i]].count : 0;
}

static void choose_each(const struct explorer *e, choice_t choice, bool newest)
{
	for (unsigned int i = 0; i < e->media.pending_count; i++)
		choose(e, choice, i, newest);
}

/* One line, or two, unlike all others, both ways around. */
static void look_unlike(struct explorer *e, size_t event, bool newest)
{
	unsigned int count = e->media.pending_count;
	choice_t choice = { 0 };

	choose_each(e, choice, !newest);
	try(e, event, choice);
	for (unsigned int i = 0; i < count; i++) {
		choose(e, choice, i, newest);
		try(e, event, choice);
		choose(e, choice, i, !newest);
	}
	for (unsigned int n = 0; n < PAIRS; n++) {
		unsigned int i = (unsigned int)explorer_random(e, count);
		unsigned int j = (unsigned int)explorer_random(e, count);

		choose(e, choice, i, newest);
		choose(e, choice, j, newest);
		try(e, event, choice);
		choose(e, choice, i, !newest);
		choose(e, choice, j, !newest);
	}
}

/* Words of two neighbouring versions in one line of the image. */
static void tear(struct explorer *e, unsigned int i, unsigned int version)
{
	uint32_t line = e->media.pending[i];
	uint64_t mask = explorer_random(e, 256);
	uint8_t torn[LINE_SIZE];

	memcpy(torn, media_bytes(&e->media, line, version), LINE_SIZE);
	for (unsigned int w = 0; version > 0 && w < 8; w++)
		if (mask >> w & 1)
			memcpy(torn + w * 8, media_bytes(&e->media, line, version - 1) + w * 8, 8);
	image_put(&e->image, line, torn);
}

static void look_random(struct explorer *e, size_t event, unsigned int times, unsigned int torn)
{
	for (unsigned int n = 0; n < times; n++) {
		for (unsigned int i = 0; i < e->media.pending_count; i++) {
			uint32_t line = e->media.pending[i];
			unsigned int version =
				(unsigned int)explorer_random(e, e->media.line[line].count + 1);

			if (explorer_random(e, 4) < torn)
				tear(e, i, version);
			else
				image_put(&e->image, line, media_bytes(&e->media, line, version));
		}
		judge(e, event);
	}
}

/* What is on media of the lines without entries: a few ways. */
static void choose_contents(struct explorer *e, choice_t choice, unsigned int way)
{
	unsigned int count = e->media.pending_count;
	unsigned int one = (unsigned int)explorer_random(e, count);

	for (unsigned int i = 0; i < count; i++) {
		if (e->media.line[e->media.pending[i]].entries)
			continue;
		choose(e, choice, i, way == 0 || (way == 1 && i != one));
		if (way == 2)
			choose(e, choice, i, explorer_random(e, 2) == 0);
	}
}

/* All states of the entries, or some of them by chance, each with a few of the contents. */
static void look_light(struct explorer *e, size_t event)
{
	unsigned int product = 1;
	choice_t choice = { 0 };

	for (unsigned int i = 0; i < e->media.pending_count && product <= LIGHT; i++)
		if (e->media.line[e->media.pending[i]].entries)
			product *= e->media.line[e->media.pending[i]].count + 1;
	for (unsigned int n = 0; n < (product < LIGHT ? product : LIGHT); n++) {
		unsigned int rest = n;

		for (unsigned int i = 0; i < e->media.pending_count; i++) {
			uint32_t line = e->media.pending[i];
			unsigned int versions = e->media.line[line].count + 1;

			if (!e->media.line[line].entries)
				continue;
			choice[i] =
				(unsigned char)(product <= LIGHT ? rest % versions
								 : explorer_random(e, versions));
			rest /= versions;
		}
		for (unsigned int way = 0; way < 4; way++) {
			choose_contents(e, choice, way);
			try(e, event, choice);
		}
	}
}

void explorer_look(struct explorer *e, size_t event)
{
	if (e->tally->first_only && e->tally->violations > 0)
		return;
	if (combinations(e) <= (e->light ? LIGHT : COMBINATIONS)) {
		look_all(e, event);
	} else if (e->light) {
		look_light(e, event);
	} else {
		look_unlike(e, event, true);
		look_unlike(e, event, false);
		look_random(e, event, RANDOMS, 1);
	}
	if (e->media.pending_count > 0)
		look_random(e, event, TORN, 3);
}

void explorer_step(struct explorer *e, size_t event, bool look)
{
	const struct event *it = &e->trace.event[event];

	/*
	 * Stores and flushes only add to what is possible, so looking before each drain and each
	 * answer sees all; looking also after a drain, and before a flush, sees it with fewer lines
	 * pending, where more of the combinations are built.
	 */
	if (look && it->kind != EVENT_STORE && it->kind != EVENT_BEGIN)
		explorer_look(e, event);
	media_apply(&e->media, it);
	for (uint32_t line = 0; it->kind == EVENT_DRAIN && line < e->image.size / LINE_SIZE; line++)
		image_put(&e->image, line, media_bytes(&e->media, line, 0));
	if (look && it->kind == EVENT_DRAIN)
		explorer_look(e, event);
}
