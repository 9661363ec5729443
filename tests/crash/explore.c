/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explore.c - the crash explorer: every image that a power failure could leave, judged.
 *
 * On a tiny device of four blocks: format, repair, every sequence of up to three requests, two
 * threads stopped at each step, and sequences by chance.  The last lines say how much was seen.
 */
#include "config.h"

#include <argp.h>
#include <inttypes.h>
#include <string.h>

#include "fatal.h"
#include "scenario.h"

#define SECONDS	  60
#define SEQUENCES 3000u

enum {
	OPT_SECONDS = 's',
	OPT_SEED = 'r',
	OPT_SHARD = 'p',
	OPT_MUTANT = 'm',
	OPT_LIST = 'l',
	OPT_BASE = 'b',
	OPT_SEQUENCE = 'q'
};

static const struct argp_option options[] = {
	{ "seconds", OPT_SECONDS, "N", 0, "stop after N seconds ($CRASH_SECONDS, or 60)", 0 },
	{ "seed", OPT_SEED, "N", 0, "what chance begins from (1)", 0 },
	{ "shard", OPT_SHARD, "I/N", 0, "only each Nth scenario, from the Ith on", 0 },
	{ "mutant", OPT_MUTANT, "NAME", 0, "break one rule; stop at the first violation", 0 },
	{ "list-mutants", OPT_LIST, NULL, 0, "name the mutants", 0 },
	{ "base", OPT_BASE, "NAME", 0, "the device that --sequence begins from", 0 },
	{ "sequence", OPT_SEQUENCE, "OPS", 0, "only this, such as 'write@0+4096 trim@0+8192'", 0 },
	{ 0 },
};

struct arguments {
	struct explorer *e;
	long seconds;
	const struct base *base;
	struct op ops[16];
	unsigned int op_count;
};

static void parse_sequence(struct arguments *a, char *text, struct argp_state *state)
{
	for (char *op = strtok(text, " "); op != NULL; op = strtok(NULL, " ")) {
		if (a->op_count == sizeof(a->ops) / sizeof(a->ops[0]))
			argp_error(state, "too many operations");
		if (!op_parse(op, &a->ops[a->op_count++]))
			argp_error(state, "no operation: %s", op);
	}
}

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case OPT_SECONDS:
		a->seconds = atol(value);
		break;
	case OPT_SEED:
		a->e->random = strtoull(value, NULL, 10);
		break;
	case OPT_SHARD:
		if (sscanf(value, "%u/%u", &a->e->shard, &a->e->shards) != 2 ||
		    a->e->shard >= a->e->shards)
			argp_error(state, "no shard: %s", value);
		break;
	case OPT_MUTANT:
		if (!mutant_parse(value, &a->e->mutant))
			argp_error(state, "no mutant: %s; see --list-mutants", value);
		a->e->first_only = true;
		break;
	case OPT_LIST:
		mutant_list(stdout);
		exit(0);
	case OPT_BASE:
		a->base = base_by_name(value);
		if (a->base == NULL)
			argp_error(state, "no base: %s", value);
		break;
	case OPT_SEQUENCE:
		parse_sequence(a, value, state);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	options, parse,
	NULL,	 "Look at every state that a power failure could leave a kmemblk device in.",
	NULL,	 NULL,
	NULL,
};

static void explore_all(struct explorer *e)
{
	explore_formats(e);
	explore_repairs(e);
	explore_sequences(e, 1);
	explore_threads(e);
	explore_sequences(e, 2);
	explore_sequences(e, 3);
	explore_random(e, SEQUENCES);
}

int main(int argc, char **argv)
{
	static struct explorer e = { .shards = 1, .random = 1 };
	const char *slice = getenv("CRASH_SECONDS");
	struct arguments a = { .e = &e, .seconds = slice == NULL ? SECONDS : atol(slice) };

	bases_make();
	a.base = base_get(BASE_TIGHT_FULL);
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	/* Each shard takes its own chances. */
	e.random += (uint64_t)e.shard << 32;
	e.until = time(NULL) + a.seconds;
	if (a.op_count > 0)
		explore_requests(&e, a.base, a.ops, a.op_count, true);
	else
		explore_all(&e);
	printf("images explored: %" PRIu64 "\n", e.explored);
	printf("distinct images: %zu\n", e.distinct.count);
	printf("%" PRIu64 " violations\n", e.violations);
	return e.violations == 0 ? 0 : 1;
}
