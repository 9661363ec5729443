/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * explore.c - the crash explorer: every image that a power failure could leave, judged.
 *
 * On a tiny device of four blocks, by the groups of alphabets.c, on so many processors.  The last
 * lines say how much was seen.
 */
#include "config.h"

#include <argp.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fatal.h"
#include "mutate.h"
#include "scenario.h"
#include "stage.h"

#define SECONDS	 60
#define JOBS_MAX 64u

enum {
	OPT_SECONDS = 's',
	OPT_SEED = 'r',
	OPT_JOBS = 'j',
	OPT_MUTANT = 'm',
	OPT_LIST = 'l',
	OPT_SCENARIO = 'c',
	OPT_IMAGE = 'i',
	OPT_LIGHT = 'g',
	OPT_SAVE = 'o',
};

static const struct argp_option options[] = {
	{ "seconds", OPT_SECONDS, "N", 0, "stop after N seconds ($CRASH_SECONDS, or 60)", 0 },
	{ "seed", OPT_SEED, "N", 0, "what chance begins from (1)", 0 },
	{ "jobs", OPT_JOBS, "N", 0, "so many processes share the scenarios (1)", 0 },
	{ "mutant", OPT_MUTANT, "NAME", 0, "break one rule; stop at the first violation", 0 },
	{ "list-mutants", OPT_LIST, NULL, 0, "name the mutants", 0 },
	{ "scenario", OPT_SCENARIO, "TEXT", 0, "only this one, as a report names it", 0 },
	{ "image", OPT_IMAGE, "N[.M]", 0, "of the scenario only this image is judged", 0 },
	{ "light", OPT_LIGHT, NULL, 0, "fewer images, as a report says if it had fewer", 0 },
	{ "save", OPT_SAVE, "FILE", 0, "and written to FILE", 0 },
	{ 0 },
};

static struct tally tally;
static struct explorer e = { .tally = &tally, .seed = 1 };

/* What one process has seen; its hashes follow. */
struct seen_by {
	uint64_t done[GROUPS];
	uint64_t explored, violations, hashes;
};

struct arguments {
	long seconds;
	unsigned int jobs;
	const char *scenario;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case OPT_SECONDS:
		a->seconds = atol(value);
		break;
	case OPT_SEED:
		e.seed = strtoull(value, NULL, 10);
		break;
	case OPT_JOBS:
		a->jobs = (unsigned int)strtoul(value, NULL, 10);
		if (a->jobs == 0 || a->jobs > JOBS_MAX)
			argp_error(state, "1 to %u processes", JOBS_MAX);
		break;
	case OPT_MUTANT:
		if (!mutant_parse(value, &e.mutant))
			argp_error(state, "no mutant: %s; see --list-mutants", value);
		tally.first_only = true;
		break;
	case OPT_LIST:
		mutant_list(stdout);
		exit(0);
	case OPT_SCENARIO:
		a->scenario = value;
		break;
	case OPT_IMAGE:
		if (sscanf(value, "%" SCNu64 ".%" SCNu64, &e.only, &e.only_inner) < 1)
			argp_error(state, "no image: %s", value);
		break;
	case OPT_LIGHT:
		e.light = true;
		break;
	case OPT_SAVE:
		e.save = value;
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

/*
 * The scenarios of a group that are this job's.  In an order that jumps about in it, so that what is
 * seen in little time is of all kinds; the step is a prime larger than any group.
 */
static uint64_t explore_group(const struct group *group, unsigned int job, unsigned int jobs)
{
	const uint64_t step = 2654435761;
	char text[SCENARIO_SIZE];
	uint64_t done = 0;

	e.light = group->light;
	for (uint64_t k = job; (group->total == 0 || k < group->total) && !explorer_over(&e);
	     k += jobs, done++) {
		group->print(group->total == 0 ? k : k * step % group->total, e.seed, text,
			     sizeof(text));
		scenario_run(&e, text);
	}
	return done;
}

/* A mutant is looked for where it can be seen. */
static bool may_show(const struct group *group, const struct mutant *mutant)
{
	if (mutant->kind == MUTANT_NONE)
		return true;
	if (mutant->order == PM_ORDER_COUNT)
		return group->place == PLACE_REQUESTS || group->place == PLACE_THREADS;
	return group->place == mutant_place(mutant);
}

static void explore_all(struct seen_by *seen, unsigned int job, unsigned int jobs)
{
	double end = tally.until;

	for (unsigned int g = 0; g < GROUPS; g++) {
		const struct group *group = group_get(g);
		double now = explorer_clock();

		if (!may_show(group, &e.mutant))
			continue;
		tally.until = now + group->share * (end - now);
		seen->done[g] = explore_group(group, job, jobs);
	}
	tally.until = end;
	seen->explored = tally.explored;
	seen->violations = tally.violations;
	seen->hashes = tally.distinct.count;
}

static void job_main(unsigned int job, unsigned int jobs, FILE *to)
{
	struct seen_by seen = { .explored = 0 };

	explore_all(&seen, job, jobs);
	fwrite(&seen, sizeof(seen), 1, to);
	for (size_t i = 0; i < tally.distinct.size; i++)
		if (tally.distinct.slot[i] != 0)
			fwrite(&tally.distinct.slot[i], sizeof(uint64_t), 1, to);
	if (fclose(to) != 0)
		fatal("tell what was seen: %m");
}

static FILE *start_job(unsigned int job, unsigned int jobs, pid_t *pid)
{
	int ends[2];

	if (pipe(ends) != 0)
		fatal("pipe: %m");
	fflush(stdout);
	*pid = fork();
	if (*pid == -1)
		fatal("fork: %m");
	if (*pid == 0) {
		close(ends[0]);
		bases_make();
		job_main(job, jobs, fdopen(ends[1], "w"));
		exit(0);
	}
	close(ends[1]);
	return fdopen(ends[0], "r");
}

/* Add what a job has seen to the sum, each image once. */
static void collect(FILE *from, pid_t pid, struct seen_by *sum)
{
	struct seen_by seen;
	uint64_t hash;
	int status;

	if (fread(&seen, sizeof(seen), 1, from) == 1) {
		for (unsigned int g = 0; g < GROUPS; g++)
			sum->done[g] += seen.done[g];
		sum->explored += seen.explored;
		sum->violations += seen.violations;
		while (seen.hashes-- > 0 && fread(&hash, sizeof(hash), 1, from) == 1)
			seen_add(&tally.distinct, hash);
	}
	fclose(from);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fatal("a process has failed, status 0x%x", (unsigned int)status);
}

static void run_jobs(unsigned int jobs, struct seen_by *sum)
{
	FILE *from[JOBS_MAX];
	pid_t pid[JOBS_MAX];

	for (unsigned int job = 0; job < jobs; job++)
		from[job] = start_job(job, jobs, &pid[job]);
	for (unsigned int job = 0; job < jobs; job++)
		collect(from[job], pid[job], sum);
}

static void report(const struct seen_by *sum)
{
	for (unsigned int g = 0; g < GROUPS; g++) {
		const struct group *group = group_get(g);

		printf("%s: %" PRIu64, group->name, sum->done[g]);
		if (group->total != 0)
			printf(" of %u", group->total);
		putchar('\n');
	}
	printf("images explored: %" PRIu64 "\n", sum->explored);
	printf("distinct images: %zu\n", tally.distinct.count);
	printf("%" PRIu64 " violations\n", sum->violations);
}

static int one_scenario(const char *text)
{
	tally.until = explorer_clock() + 3600;
	bases_make();
	scenario_run(&e, text);
	if (e.only > e.number)
		fatal("the scenario has only %" PRIu64 " images", e.number);
	printf("images explored: %" PRIu64 "\n", e.only != 0 ? (uint64_t)1 : tally.explored);
	printf("distinct images: %zu\n", tally.distinct.count);
	printf("%" PRIu64 " violations\n", tally.violations);
	return tally.violations == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *slice = getenv("CRASH_SECONDS");
	struct arguments a = { .seconds = slice == NULL ? SECONDS : atol(slice), .jobs = 1 };
	struct seen_by sum = { .explored = 0 };

	argp_parse(&argp, argc, argv, 0, NULL, &a);
	stage_own_thread();
	mutate = e.mutant;
	if (a.scenario != NULL)
		return one_scenario(a.scenario);
	tally.until = explorer_clock() + (double)a.seconds;
	if (a.jobs == 1) {
		bases_make();
		explore_all(&sum, 0, 1);
	} else {
		run_jobs(a.jobs, &sum);
	}
	report(&sum);
	return sum.violations == 0 ? 0 : 1;
}
