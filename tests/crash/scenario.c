/* SPDX-License-Identifier: BSD-3-Clause */
/* scenario.c - run a scenario from its text. */
#include "config.h"

#include <string.h>

#include "fatal.h"
#include "scenario.h"

const char *fatal_scenario;

static const struct {
	const char *name;
	void (*run)(struct explorer *e, char *words);
} kinds[] = {
	{ "requests ", requests_run },
	{ "threads ", threads_run },
	{ "restart ", restart_run },
	{ "format ", format_run },
	{ "repair ", repair_run },
	{ "grow ", grow_run },
	{ "volumes ", volumes_run },
	{ "volume-threads ", volume_threads_run },
	{ "volume-restart ", volume_restart_run },
};

void scenario_run(struct explorer *e, const char *text)
{
	char words[SCENARIO_SIZE];
	uint64_t hash = e->seed;

	snprintf(words, sizeof(words), "%s", text);
	for (const char *at = text; *at != '\0'; at++)
		hash = hash_mix(hash + (unsigned char)*at);
	fatal_scenario = text;
	e->what = text;
	e->number = 0;
	e->random = hash;
	fixed_begin(hash);
	for (unsigned int k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (strncmp(words, kinds[k].name, strlen(kinds[k].name)) == 0) {
			kinds[k].run(e, words + strlen(kinds[k].name));
			fatal_scenario = NULL;
			return;
		}
	fatal("no such scenario");
}
