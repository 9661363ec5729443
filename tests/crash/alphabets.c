/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * alphabets.c - the scenarios there are: every sequence of up to three requests, every way to
 * interleave two and three threads at one or two points each, and more by chance.
 */
#include "config.h"

#include "fatal.h"
#include "scenario.h"

/* Of one thread. */
static const char *const letters[] = {
	"write@0+4096",	    "write@4096+4096",	"write@0+12288",
	"write@1000+2000",  "write@3000+1096",	"write@2048+4096",
	"write@2048+8192",  "write@4093+7",	"trim@0+4096",
	"trim@2048+8192",   "trim@0+16384",	"zero@0+4096",
	"zero@1000+2000",   "zero@100+8192",	"zero-no-hole@0+4096",
	"zero-no-hole@8+8", "write@8192+4096",	"zero-no-hole@100+8192",
	"move@0+16384",	    "punch@0+0",	"lend@0+16384",
	"return@0+0",	    "return-again@0+0", "fill@0+0",
};

/*
 * Of threads.  One block, first: what is not here would wait, on a tight device, for pages that a
 * thread which stands still has.
 */
#define ONE_BLOCK 11u

static const char *const thread_letters[] = {
	"trim@0+4096",	       "write@0+4096",	  "write@1000+2000", "zero@1000+2000",
	"zero-no-hole@0+4096", "write@2000+96",	  "zero@0+4096",     "punch@0+0",
	"lend@0+4096",	       "move@0+4096",	  "write@4096+4096", "trim@0+16384",
	"write@0+8192",	       "write@2048+4096",
};

static const char *const bases[] = {
	"tight-full", "tight-empty", "roomy-full", "worn",	  "no-room",   "little-room",
	"roomy-one",  "two-empty",   "two-one",	   "three-empty", "three-one", "three-full",
};

static const char *const thread_bases[] = { "roomy-full", "roomy-one", "tight-full" };

/* Of threads of which one makes the tables of its block, or both do. */
static const char *const maker_bases[] = { "two-empty", "three-empty", "two-one", "three-one" };
static const char *const maker_letters[] = {
	"write@0+4096",	  "write@4096+4096", "write@8192+4096",	    "write@12288+4096",
	"write@5000+100", "trim@0+16384",    "zero-no-hole@0+4096",
};

/* Of calls that make and change volumes, among requests to them. */
static const char *const volume_bases[] = { "two", "bare", "deep", "none", "no-page" };
static const char *const calls[] = {
	"create:c:1",	  "create:c:262145", "prealloc:c:3", "delete:a",     "delete:b",
	"rename:a:d",	  "rename:b:a",	     "resize:a:1",   "resize:a:513", "resize:a:262145",
	"resize:b:2",	  "resize:b:262145", "write:a:0",    "write:a:1",    "write:a:512",
	"write:a:262144", "write:b:0",	     "write:c:0",    "trim:a:0",     "trim:a:512",
	"open:a",
};

/* The same where there are snapshots. */
static const char *const kept_bases[] = { "kept", "shared", "two" };
static const char *const kept_calls[] = {
	"snapshot:a@x", "snapshot:a@z", "delete:a@x",	"delete:a@y",  "delete:a",
	"clone:a@x:c",	"rollback:a@x", "rollback:a@y", "resize:a:1",  "rename:a:d",
	"delete:c",	"write:a:0",	"write:a:1",	"write:a:512", "trim:a:0",
	"trim:a:512",	"write:c:0",	"trim:c:0",	"thin:a",      "notthin:a",
};
static const char *const kept_thread_bases[] = { "kept-low", "shared-low", "shared-two" };
static const char *const kept_changes[][6] = {
	{ "snapshot:a@z", "delete:a@x", "clone:a@x:c", "rename:a:d", "resize:a:513", "thin:a" },
	{ "snapshot:a@z", "delete:a@x", "clone:a@x:c", "delete:a@y", "rename:a:d", "thin:a" },
	{ "snapshot:a@z", "delete:a@x", "clone:a@x:c", "rename:a:d", "resize:a:262145", "thin:a" },
};

/* The same on full devices, where leaves are given up, and volumes become thin. */
static const char *const full_bases[] = { "leaves", "kept-leaves", "brim", "kept-full",
					  "thin-full" };
static const char *const full_calls[] = {
	"snapthin:a@z", "snapshot:a@z", "snapthin:b@w", "delete:a@x",	"delete:a@z",
	"thin:a",	"notthin:a",	"clone:a@z:c",	"rollback:a@z", "create:c:1",
	"prealloc:c:1", "write:a:0",	"write:a:1",	"write:a:511",	"write:b:0",
	"write:b:1",	"trim:a:0",	"trim:a:1",	"trim:b:0",	"delete:b",
};
static const char *const full_thread_calls[] = {
	"snapthin:a@z", "create:c:1", "notthin:a", "thin:a", "write:b:1", "trim:a:1",
};
static const char *const full_requests[] = { "write:a:0", "write:a:1", "write:b:0", "trim:a:0" };

/* The same of threads, where each must be possible after each, but for want of a page. */
static const char *const thread_volume_bases[] = { "two", "bare", "deep" };
static const char *const changes[][5] = {
	{ "rename:a:d", "resize:a:262152", "create:c:1", "delete:b", "resize:b:1" },
	{ "rename:a:d", "resize:a:262152", "create:c:1", "prealloc:c:1", "resize:a:700" },
	{ "rename:a:d", "resize:a:262152", "create:c:1", "prealloc:c:1", "create:c:600" },
};
static const char *const volume_requests[] = { "write:a:0", "write:a:1", "trim:a:0", "trim:a:1" };

static const char *const format_bases[] = { "tight-full", "tight-empty", "roomy-full", "many" };
static const char *const repair_bases[] = { "tight-full", "tight-empty", "roomy-full", "many" };
static const char *const damages[] = {
	"no-primary",
	"torn-primary",
	"no-copy",
	"torn-copy",
	"directory-turned",
	"directory-copy-turned",
	"directory-each-turned",
	"directory-cleared",
};

static const char *const grow_bases[] = { "tight-full", "many", "kept", "shared" };
static const char *const grow_states[] = { "new", "used", "no-copy", "copied", "cleared", "cut" };

/* What is killed when it has published one entry, and what follows. */
static const char *const killed_letters[] = { "write@0+4096", "write@1000+2000", "trim@0+4096" };
static const char *const next_letters[] = {
	"write@4096+4096", "write@0+4096", "write@2048+4096", "trim@0+4096", "zero@0+4096",
};
static const char *const restart_bases[] = { "tight-full", "roomy-full",  "roomy-one",
					     "two-empty",  "two-empty 2", "two-empty 3" };

#define COUNT(list) ((unsigned int)(sizeof(list) / sizeof((list)[0])))

static const struct alphabet {
	const char *const *bases;
	unsigned int base_count;
	const char *const *calls;
	unsigned int call_count;
} any = { volume_bases, COUNT(volume_bases), calls, COUNT(calls) },
  kept = { kept_bases, COUNT(kept_bases), kept_calls, COUNT(kept_calls) },
  full = { full_bases, COUNT(full_bases), full_calls, COUNT(full_calls) };

#define LETTERS	       COUNT(letters)
#define THREAD_LETTERS COUNT(thread_letters)
/* The longest of thread_letters[] causes so many events; of maker_letters[]; of changes[]. */
#define EVENTS	      8u
#define MAKER_EVENTS  24u
#define CHANGE_EVENTS 16u

/* The next digit of a number in a base of its own. */
static unsigned int digit(uint64_t *number, unsigned int of)
{
	unsigned int value = (unsigned int)(*number % of);

	*number /= of;
	return value;
}

static void print_format(uint64_t number, uint64_t seed, char *text, size_t size)
{
	const char *base = format_bases[digit(&number, COUNT(format_bases))];
	const char *how = digit(&number, 2) == 0 ? "sparse" : "thick";

	(void)seed;
	snprintf(text, size, "format %s %s %s", base, how, number == 0 ? "holes" : "stores");
}

static void print_repair(uint64_t number, uint64_t seed, char *text, size_t size)
{
	const char *base = repair_bases[digit(&number, COUNT(repair_bases))];

	(void)seed;
	snprintf(text, size, "repair %s %s", base, damages[number]);
}

static void print_growth(uint64_t number, uint64_t seed, char *text, size_t size)
{
	const char *base = grow_bases[digit(&number, COUNT(grow_bases))];
	int more = digit(&number, 2) == 0 ? 1 : 4;

	(void)seed;
	snprintf(text, size, "grow %s %d %s", base, more, grow_states[number]);
}

/* Of a sequence only the last request is explored: those before it are a shorter sequence. */
static void print_sequence(uint64_t number, unsigned int length, char *text, size_t size)
{
	const char *base = bases[digit(&number, COUNT(bases))];
	size_t at = (size_t)snprintf(text, size, "requests %s", base);

	for (unsigned int i = 0; i < length; i++)
		at += (size_t)snprintf(text + at, size - at, "%s %s", i + 1 == length ? " |" : "",
				       letters[digit(&number, LETTERS)]);
}

static void print_one(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_sequence(number, 1, text, size);
}

static void print_two(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_sequence(number, 2, text, size);
}

static void print_three(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_sequence(number, 3, text, size);
}

/* The first stands, the second is answered, the first goes on. */
static void print_parked(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int events = 1 + digit(&number, EVENTS);
	const char *first = thread_letters[digit(&number, ONE_BLOCK)];
	const char *second = thread_letters[digit(&number, ONE_BLOCK)];

	(void)seed;
	snprintf(text, size, "threads %s %s %s | 0:%u 1 0", thread_bases[number], first, second,
		 events);
}

/* Both stand, and go on in either order. */
static void print_both_parked(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int i = 1 + digit(&number, EVENTS), j = 1 + digit(&number, EVENTS);
	const char *order = digit(&number, 2) == 0 ? "0 1" : "1 0";
	const char *first = thread_letters[digit(&number, THREAD_LETTERS)];
	const char *second = thread_letters[digit(&number, THREAD_LETTERS)];

	(void)seed;
	snprintf(text, size, "threads %s %s %s | 0:%u 1:%u %s", thread_bases[number], first, second,
		 i, j, order);
}

/* Two stand while the third is answered, or stands too. */
static void print_three_threads(uint64_t number, uint64_t seed, char *text, size_t size)
{
	static const char *const ends[] = { "2 0 1", "2 1 0", "2:3 1 0 2", "2:3 0 2 1" };
	unsigned int i = 1 + digit(&number, EVENTS), j = 1 + digit(&number, EVENTS);
	const char *end = ends[digit(&number, COUNT(ends))];
	const char *first = thread_letters[digit(&number, ONE_BLOCK)];
	const char *second = thread_letters[digit(&number, ONE_BLOCK)];
	const char *third = thread_letters[digit(&number, ONE_BLOCK)];

	(void)seed;
	snprintf(text, size, "threads %s %s %s %s | 0:%u 1:%u %s", thread_bases[number], first,
		 second, third, i, j, end);
}

static void print_one_maker(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int events = 1 + digit(&number, MAKER_EVENTS);
	const char *base = maker_bases[digit(&number, COUNT(maker_bases))];
	const char *first = maker_letters[digit(&number, COUNT(maker_letters))];

	(void)seed;
	snprintf(text, size, "threads %s %s %s | 0:%u 1 0", base, first, maker_letters[number],
		 events);
}

static void print_both_makers(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int events = 1 + digit(&number, MAKER_EVENTS);
	const char *base = maker_bases[digit(&number, COUNT(maker_bases))];
	const char *first = maker_letters[digit(&number, COUNT(maker_letters))];
	const char *second = maker_letters[digit(&number, COUNT(maker_letters))];

	(void)seed;
	snprintf(text, size, "threads %s %s %s | 0:%u 1:%u 0 1", base, first, second, events,
		 1 + (unsigned int)number);
}

static void print_calls(const struct alphabet *of, uint64_t number, unsigned int length, char *text,
			size_t size)
{
	const char *base = of->bases[digit(&number, of->base_count)];
	size_t at = (size_t)snprintf(text, size, "volumes %s", base);

	for (unsigned int i = 0; i < length; i++)
		at += (size_t)snprintf(text + at, size - at, "%s %s", i + 1 == length ? " |" : "",
				       of->calls[digit(&number, of->call_count)]);
}

static void print_one_call(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&any, number, 1, text, size);
}

static void print_two_calls(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&any, number, 2, text, size);
}

static void print_three_calls(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&any, number, 3, text, size);
}

static void print_one_kept(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&kept, number, 1, text, size);
}

static void print_two_kept(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&kept, number, 2, text, size);
}

static void print_three_kept(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&kept, number, 3, text, size);
}

static void print_kept_changes(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int events = 1 + digit(&number, CHANGE_EVENTS);
	unsigned int first = digit(&number, 2);
	unsigned int base = digit(&number, COUNT(kept_thread_bases));
	const char *change = kept_changes[base][digit(&number, COUNT(kept_changes[0]))];
	const char *request = volume_requests[digit(&number, COUNT(volume_requests))];

	(void)seed;
	snprintf(text, size, "volume-threads %s %s %s | %u:%u %u %u", kept_thread_bases[base],
		 change, request, first, events, 1 - first, first);
}

static void print_one_full(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&full, number, 1, text, size);
}

static void print_two_full(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&full, number, 2, text, size);
}

static void print_three_full(uint64_t number, uint64_t seed, char *text, size_t size)
{
	(void)seed;
	print_calls(&full, number, 3, text, size);
}

static void print_full_threads(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int events = 1 + digit(&number, CHANGE_EVENTS);
	unsigned int first = digit(&number, 2);
	const char *base = full_bases[digit(&number, COUNT(full_bases))];
	const char *call = full_thread_calls[digit(&number, COUNT(full_thread_calls))];
	const char *request = full_requests[digit(&number, COUNT(full_requests))];

	(void)seed;
	snprintf(text, size, "volume-threads %s %s %s | %u:%u %u %u", base, call, request, first,
		 events, 1 - first, first);
}

/* A change beside a request, or beside another change; either stands while the other is answered. */
static void print_changes(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int events = 1 + digit(&number, CHANGE_EVENTS);
	unsigned int first = digit(&number, 2);
	unsigned int base = digit(&number, COUNT(thread_volume_bases));
	unsigned int change = digit(&number, COUNT(changes[0]));
	unsigned int request = digit(&number, COUNT(volume_requests));

	(void)seed;
	snprintf(text, size, "volume-threads %s %s %s | %u:%u %u %u", thread_volume_bases[base],
		 changes[base][change], volume_requests[request], first, events, 1 - first, first);
}

static void print_restart(uint64_t number, uint64_t seed, char *text, size_t size)
{
	const char *base = restart_bases[digit(&number, COUNT(restart_bases))];
	const char *killed = killed_letters[digit(&number, COUNT(killed_letters))];
	const char *next = next_letters[digit(&number, COUNT(next_letters))];

	(void)seed;
	snprintf(text, size, "restart %s %s %s %s", base, killed, next, next_letters[number]);
}

/* The first call is killed when it has stored one entry, two, or three. */
static void print_volume_restart(uint64_t number, uint64_t seed, char *text, size_t size)
{
	unsigned int kill = 1 + digit(&number, 3);
	const char *base = volume_bases[digit(&number, COUNT(volume_bases))];
	const char *killed = calls[digit(&number, COUNT(calls))];
	const char *next = calls[digit(&number, COUNT(calls))];

	(void)seed;
	snprintf(text, size, "volume-restart %s %u %s %s", base, kill, killed, next);
}

static uint64_t draw(uint64_t *state, uint64_t limit)
{
	*state += 0x9e3779b97f4a7c15;
	return hash_mix(*state) % limit;
}

/* Calls by chance. */
static void print_random_calls(uint64_t number, uint64_t seed, char *text, size_t size)
{
	uint64_t state = hash_mix(seed) + hash_mix(number + 1);
	unsigned int count = 4 + (unsigned int)draw(&state, 7);
	const char *base = volume_bases[draw(&state, COUNT(volume_bases))];
	size_t at = (size_t)snprintf(text, size, "volumes %s |", base);

	for (unsigned int i = 0; i < count; i++)
		at += (size_t)snprintf(text + at, size - at, " %s",
				       calls[draw(&state, COUNT(calls))]);
}

/* By chance, on any bytes. */
static void print_random(uint64_t number, uint64_t seed, char *text, size_t size)
{
	uint64_t state = hash_mix(seed) + hash_mix(number);
	unsigned int count = 4 + (unsigned int)draw(&state, 9);
	size_t at =
		(size_t)snprintf(text, size, "requests %s |", bases[draw(&state, COUNT(bases))]);

	for (unsigned int i = 0; i < count; i++) {
		struct op op = { .kind = (enum op_kind)draw(&state, OP_KINDS) };
		char word[40];

		op.offset = (uint32_t)draw(&state, DISK_SIZE);
		op.count = 1 + (uint32_t)draw(&state, DISK_SIZE - op.offset);
		if (draw(&state, 2) == 0) {
			op.offset -= op.offset % BLOCK_SIZE;
			op.count = (op.count / BLOCK_SIZE + 1) * BLOCK_SIZE;
			if (op.count > DISK_SIZE - op.offset)
				op.count = DISK_SIZE - op.offset;
		}
		op_print(&op, word, sizeof(word));
		at += (size_t)snprintf(text + at, size - at, " %s", word);
	}
}

static const struct group groups[GROUPS] = {
	{ "formats", 1, COUNT(format_bases) * 2 * 2, print_format, PLACE_WHOLE, false },
	{ "repairs", 1, COUNT(repair_bases) * COUNT(damages), print_repair, PLACE_WHOLE, false },
	{ "growths", 0.5, COUNT(grow_bases) * 2 * COUNT(grow_states), print_growth, PLACE_GROWTH,
	  false },
	{ "restarts", 0.25,
	  COUNT(restart_bases) * COUNT(killed_letters) * COUNT(next_letters) * COUNT(next_letters),
	  print_restart, PLACE_RESTART, false },
	{ "single calls", 0.25, COUNT(volume_bases) * COUNT(calls), print_one_call, PLACE_VOLUMES,
	  false },
	{ "single requests", 0.3, COUNT(bases) * LETTERS, print_one, PLACE_REQUESTS, false },
	{ "makers of tables, one parked", 0.15,
	  COUNT(maker_bases) * COUNT(maker_letters) * COUNT(maker_letters) * MAKER_EVENTS,
	  print_one_maker, PLACE_MAKERS, true },
	{ "makers of tables, both parked", 0.1,
	  COUNT(maker_bases) * COUNT(maker_letters) * COUNT(maker_letters) *
		  MAKER_EVENTS *MAKER_EVENTS,
	  print_both_makers, PLACE_MAKERS, true },
	{ "single calls with snapshots", 0.25, COUNT(kept_bases) * COUNT(kept_calls),
	  print_one_kept, PLACE_VOLUMES, false },
	{ "two calls with snapshots", 0.2,
	  COUNT(kept_bases) * COUNT(kept_calls) * COUNT(kept_calls), print_two_kept, PLACE_VOLUMES,
	  true },
	{ "single calls on full devices", 0.25, COUNT(full_bases) * COUNT(full_calls),
	  print_one_full, PLACE_VOLUMES, false },
	{ "two calls on full devices", 0.2,
	  COUNT(full_bases) * COUNT(full_calls) * COUNT(full_calls), print_two_full, PLACE_VOLUMES,
	  true },
	{ "two calls", 0.2, COUNT(volume_bases) * COUNT(calls) * COUNT(calls), print_two_calls,
	  PLACE_VOLUMES, true },
	{ "calls beside others", 0.15,
	  2 * CHANGE_EVENTS *COUNT(thread_volume_bases) * COUNT(changes[0]) *
		  COUNT(volume_requests),
	  print_changes, PLACE_VOLUME_THREADS, true },
	{ "snapshots beside others", 0.15,
	  2 * CHANGE_EVENTS *COUNT(kept_thread_bases) * COUNT(kept_changes[0]) *
		  COUNT(volume_requests),
	  print_kept_changes, PLACE_VOLUME_THREADS, true },
	{ "calls on full devices beside others", 0.15,
	  2 * CHANGE_EVENTS *COUNT(full_bases) * COUNT(full_thread_calls) * COUNT(full_requests),
	  print_full_threads, PLACE_VOLUME_THREADS, true },
	{ "restarts of volumes", 0.15, 3 * COUNT(volume_bases) * COUNT(calls) * COUNT(calls),
	  print_volume_restart, PLACE_VOLUME_RESTART, true },
	{ "two threads, one parked", 0.3, COUNT(thread_bases) * ONE_BLOCK *ONE_BLOCK *EVENTS,
	  print_parked, PLACE_THREADS, true },
	{ "two requests", 0.35, COUNT(bases) * LETTERS *LETTERS, print_two, PLACE_REQUESTS, true },
	{ "two threads, both parked", 0.25, 2 * THREAD_LETTERS *THREAD_LETTERS * 2 * EVENTS *EVENTS,
	  print_both_parked, PLACE_THREADS, true },
	{ "three threads", 0.3, 2 * ONE_BLOCK *ONE_BLOCK *ONE_BLOCK * 4 * EVENTS *EVENTS,
	  print_three_threads, PLACE_THREADS, true },
	{ "three calls", 0.3, COUNT(volume_bases) * COUNT(calls) * COUNT(calls) * COUNT(calls),
	  print_three_calls, PLACE_VOLUMES, true },
	{ "three requests", 0.7, COUNT(bases) * LETTERS *LETTERS *LETTERS, print_three,
	  PLACE_REQUESTS, true },
	{ "three calls with snapshots", 0.3,
	  COUNT(kept_bases) * COUNT(kept_calls) * COUNT(kept_calls) * COUNT(kept_calls),
	  print_three_kept, PLACE_VOLUMES, true },
	{ "three calls on full devices", 0.3,
	  COUNT(full_bases) * COUNT(full_calls) * COUNT(full_calls) * COUNT(full_calls),
	  print_three_full, PLACE_VOLUMES, true },
	{ "calls by chance", 0.5, 1u << 20, print_random_calls, PLACE_VOLUMES, false },
	{ "requests by chance", 1, 0, print_random, PLACE_REQUESTS, false },
};

const struct group *group_get(unsigned int i)
{
	return &groups[i];
}
