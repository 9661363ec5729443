/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.c - what a lending server says of itself, as numbers.
 *
 * Servers of other versions may say less or more: what is missing is unknown, not an error.  Names
 * of processes are chosen by their owners: they are made printable.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "kmemblk.h"
#include "command.h"
#include "report.h"

const char *const report_pages[PAGES_KINDS] = {
	"used",	       "tables",    "free",    "reserved", "spare",
	"for_tables",  "headroom",  "retired", "lent",	   "resident",
	"quarantined", "reclaimed", "punched", "returned", "moved",
};
const char *const report_zones[ZONES_KINDS] = { "lent", "unowned", "stuck", "evacuating",
						"wanted" };
const char *const report_requests[REQUEST_KINDS] = {
	"read", "write", "trim", "zero", "extents", "flush",
};

static struct number get_number(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !(json_object_is_type(value, json_type_int) ||
	      json_object_is_type(value, json_type_double)))
		return (struct number){ false, 0 };
	return (struct number){ true, json_object_get_double(value) };
}

static uint64_t get_count(struct json_object *object, const char *key)
{
	double value = get_number(object, key).value;

	return value > 0 && value < 1e18 ? (uint64_t)value : 0;
}

/* Replaces a text by its printable copy, which the object owns. */
static const char *get_text(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	json_put_text(object, key, json_object_get_string(value));
	json_object_object_get_ex(object, key, &value);
	return json_object_get_string(value);
}

/* NULL when there is none of that name, which the functions above take. */
static struct json_object *get_object(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return json_object_is_type(value, json_type_object) ? value : NULL;
}

static void get_request(struct json_object *object, struct report_request *request)
{
	request->count = get_number(object, "count");
	request->bytes = get_number(object, "bytes");
	request->p50 = get_number(object, "p50_us");
	request->p99 = get_number(object, "p99_us");
	request->p999 = get_number(object, "p999_us");
	request->max = get_number(object, "max_us");
}

static void get_borrowers(struct json_object *json, struct report *report)
{
	struct json_object *list, *one;
	const char *name;
	size_t n;

	if (!json_object_object_get_ex(json, "borrowers", &list) ||
	    !json_object_is_type(list, json_type_array))
		return;
	n = json_object_array_length(list);
	if (!n)
		return;
	report->borrowers = calloc(n, sizeof(*report->borrowers));
	if (report->borrowers == NULL)
		command_no_memory();
	for (size_t i = 0; i < n; i++) {
		one = json_object_array_get_idx(list, i);
		if (!json_object_is_type(one, json_type_object))
			continue;
		name = get_text(one, "name");
		report->borrowers[report->borrowers_count++] = (struct report_borrower){
			.name = name != NULL ? name : "?",
			.pid = get_count(one, "pid"),
			.uid = get_count(one, "uid"),
			.zones = get_count(one, "zones"),
			.since = get_count(one, "since"),
			.refused = get_count(one, "refused"),
		};
	}
}

int report_ask(const char *socket, struct report *report)
{
	struct json_object *json, *part;
	char *text;
	int rc;

	memset(report, 0, sizeof(*report));
	rc = kmemblk_borrower_stat(socket, &text);
	if (rc != 0)
		return rc;
	json = json_tokener_parse(text);
	free(text);
	if (!json_object_is_type(json, json_type_object)) {
		json_object_put(json);
		return -EBADMSG;
	}
	report->json = json;
	report->path = get_text(json, "path");
	report->uuid = get_text(json, "uuid");
	report->mismatches = get_count(json, "mismatches");
	part = get_object(json, "pages");
	for (size_t i = 0; i < PAGES_KINDS; i++)
		report->pages[i] = get_number(part, report_pages[i]);
	part = get_object(json, "zones");
	for (size_t i = 0; i < ZONES_KINDS; i++)
		report->zones[i] = get_number(part, report_zones[i]);
	report->zone_size = get_count(part, "size");
	report->refused = get_text(part, "refused");
	part = get_object(json, "requests");
	for (size_t i = 0; i < REQUEST_KINDS; i++)
		get_request(get_object(part, report_requests[i]), &report->requests[i]);
	get_borrowers(json, report);
	return 0;
}

int report_get(const char *socket, struct report *report)
{
	int rc = report_ask(socket, report);
	char *printable = text_printable(socket);

	if (rc == -EBADMSG)
		fprintf(stderr,
			"kmemblk: stat: %s: the server's answer is not a JSON object: is it of "
			"another version of kmemblk?\n",
			printable);
	else if (rc != 0)
		command_failed();
	free(printable);
	return rc;
}

void report_free(struct report *report)
{
	free(report->borrowers);
	json_object_put(report->json);
}

const char *report_count(struct number number, char text[REPORT_TEXT])
{
	if (number.known)
		snprintf(text, REPORT_TEXT, "%.0f", number.value);
	else
		strcpy(text, "-");
	return text;
}

const char *report_time(struct number number, char text[REPORT_TEXT])
{
	if (!number.known)
		strcpy(text, "-");
	else if (number.value < 1000)
		snprintf(text, REPORT_TEXT, "%.0f us", number.value);
	else if (number.value < 1e6)
		snprintf(text, REPORT_TEXT, "%.1f ms", number.value / 1e3);
	else
		snprintf(text, REPORT_TEXT, "%.1f s", number.value / 1e6);
	return text;
}

const char *report_age(uint64_t since, char text[REPORT_TEXT])
{
	uint64_t now = (uint64_t)time(NULL), age = now > since ? now - since : 0;

	if (!since)
		strcpy(text, "-");
	else if (age < 120)
		snprintf(text, REPORT_TEXT, "%" PRIu64 " s", age);
	else if (age < 7200)
		snprintf(text, REPORT_TEXT, "%" PRIu64 " min", age / 60);
	else if (age < 172800)
		snprintf(text, REPORT_TEXT, "%" PRIu64 " h", age / 3600);
	else
		snprintf(text, REPORT_TEXT, "%" PRIu64 " d", age / 86400);
	return text;
}

const char *report_size(struct number bytes, char text[REPORT_TEXT])
{
	if (bytes.known && bytes.value >= 0 && bytes.value < 1.8e19)
		size_text((uint64_t)bytes.value, text);
	else
		strcpy(text, "-");
	return text;
}

const char *report_pages_size(struct number pages, char text[REPORT_TEXT])
{
	pages.value *= KMEMBLK_BLOCK_SIZE;
	return report_size(pages, text);
}
