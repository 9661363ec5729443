/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-check.c - kmemblk check: verify a device, and repair what can be repaired without guessing.
 *
 * Findings are kept until the check has run to its end, then printed with the summary; of the
 * damaged entries of a device the library tells so many and counts the rest.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "kmemblk.h"
#include "command.h"

static const char doc[] =
	"Verify the kmemblk device at PATH: both copies of the superblock, and every entry of the "
	"map; with --data, every block, too.  Nothing is changed without --repair.  The device must not "
	"be in use."
	"\v"
	"Exit status: 0 clean, 1 damage corrected, 4 damage left, 8 the check could not run, "
	"16 wrong usage.\n"
	"\n"
	"Examples:\n"
	"  kmemblk check /dev/shm/d.img\n"
	"  kmemblk check --repair /dev/dax0.0\n"
	"  kmemblk check --data /dev/dax0.0\n"
	"  kmemblk check --json /dev/dax0.0 | jq .findings\n";

enum {
	OPTION_REPAIR = 256,
	OPTION_DATA,
};

static const struct argp_option options[] = {
	{ "repair", OPTION_REPAIR, NULL, 0, "correct what can be corrected without guessing", 0 },
	{ "data", OPTION_DATA, NULL, 0, "verify the data of every block, too", 0 },
	COMMAND_JSON,
	{ 0 },
};

struct arguments {
	struct command command;
	unsigned int flags;
};

struct finding {
	struct finding *next;
	enum kmemblk_finding_kind kind;
	char *text;
};

struct findings {
	struct finding *first;
	struct finding **last;
	bool lost; /* memory ran out */
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case OPTION_REPAIR:
		arguments->flags |= KMEMBLK_CHECK_REPAIR;
		return 0;
	case OPTION_DATA:
		arguments->flags |= KMEMBLK_CHECK_DATA;
		return 0;
	default:
		return command_parse(key, arg, state);
	}
}

static const char *kind_name(enum kmemblk_finding_kind kind)
{
	switch (kind) {
	case KMEMBLK_FINDING_NOTE:
		return "note";
	case KMEMBLK_FINDING_CORRECTED:
		return "corrected";
	case KMEMBLK_FINDING_CORRECTABLE:
		return "correctable";
	case KMEMBLK_FINDING_LEFT:
		return "left";
	}
	return "unknown";
}

/* Out of memory, a repair in its midst goes on all the same; the command fails after it. */
static void keep_finding(void *opaque, enum kmemblk_finding_kind kind, const char *text)
{
	struct findings *findings = opaque;
	struct finding *finding = calloc(1, sizeof(*finding));

	if (finding != NULL)
		finding->text = strdup(text);
	if (finding == NULL || finding->text == NULL) {
		free(finding);
		findings->lost = true;
		return;
	}
	finding->kind = kind;
	*findings->last = finding;
	findings->last = &finding->next;
}

static void free_findings(struct findings *findings)
{
	struct finding *finding;

	while ((finding = findings->first)) {
		findings->first = finding->next;
		free(finding->text);
		free(finding);
	}
}

static int exit_status(const struct kmemblk_check_result *result)
{
	if (result->left || result->correctable)
		return STATUS_LEFT;
	return result->corrected ? STATUS_CORRECTED : STATUS_OK;
}

static void print_json(const char *path, const struct findings *findings,
		       const struct kmemblk_check_result *result, bool data)
{
	struct json_object *object = json_new_object(), *array, *item;
	const struct finding *finding;

	json_put_text(object, "path", path);
	json_put_bool(object, "clean", exit_status(result) == STATUS_OK);
	json_put_number(object, "exit_code", (uint64_t)exit_status(result));
	json_put_number(object, "corrected", result->corrected);
	json_put_number(object, "correctable", result->correctable);
	json_put_number(object, "left", result->left);
	json_put_number(object, "entries", result->entries);
	json_put_number(object, "pages_used", result->pages_used);
	json_put_known(object, "verified", data, result->verified);
	array = json_object_new_array();
	json_put(object, "findings", array);
	for (finding = findings->first; finding != NULL; finding = finding->next) {
		item = json_new_object();
		json_put_text(item, "kind", kind_name(finding->kind));
		json_put_text(item, "text", finding->text);
		if (json_object_array_add(array, item))
			command_no_memory();
	}
	json_print(object);
}

static void print_summary(const char *path, const struct kmemblk_check_result *result, bool data)
{
	char *printable = text_printable(path), *word = text_shell_word(path);

	switch (exit_status(result)) {
	case STATUS_OK:
		printf("%s: clean", printable);
		break;
	case STATUS_CORRECTED:
		printf("%s: corrected, %" PRIu64 " in all", printable, result->corrected);
		break;
	default:
		printf("%s: damaged, %" PRIu64 " corrected, %" PRIu64 " correctable, %" PRIu64
		       " left",
		       printable, result->corrected, result->correctable, result->left);
		break;
	}
	printf(" (%" PRIu64 " entries, %" PRIu64 " pages used", result->entries,
	       result->pages_used);
	if (data)
		printf(", %" PRIu64 " verified", result->verified);
	printf(")\n");
	if (result->correctable)
		printf("To correct what is correctable:  kmemblk check --repair %s\n", word);
	free(word);
	free(printable);
}

static void print_human(const char *path, const struct findings *findings,
			const struct kmemblk_check_result *result, bool data)
{
	const struct finding *finding;
	char *printable;

	for (finding = findings->first; finding != NULL; finding = finding->next) {
		printable = text_printable(finding->text);
		printf("%s: %s\n", kind_name(finding->kind), printable);
		free(printable);
	}
	print_summary(path, result, data);
}

int check_main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_opt, "PATH", doc, NULL, NULL, NULL };
	struct arguments arguments = { .command.what = "PATH" };
	struct findings findings = { 0 };
	struct kmemblk_check_result result = { 0 };
	struct kmemblk_check_options check = { 0 };
	struct progress progress;
	int rc;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments))
		return STATUS_USAGE;
	findings.last = &findings.first;
	progress_begin(&progress, "check");
	check.flags = arguments.flags;
	check.finding = keep_finding;
	check.finding_opaque = &findings;
	check.progress = progress_update;
	check.progress_opaque = &progress;
	rc = kmemblk_check(arguments.command.object, &check, &result);
	progress_end(&progress);
	if (rc < 0)
		rc = command_failed();
	else if (findings.lost)
		command_no_memory();
	else if (arguments.command.json)
		print_json(arguments.command.object, &findings, &result,
			   arguments.flags & KMEMBLK_CHECK_DATA);
	else
		print_human(arguments.command.object, &findings, &result,
			    arguments.flags & KMEMBLK_CHECK_DATA);
	free_findings(&findings);
	return rc != 0 ? rc : exit_status(&result);
}
