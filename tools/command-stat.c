/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-stat.c - kmemblk stat: what a lending server says of itself, once.
 */
#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "kmemblk.h"
#include "command.h"
#include "report.h"

static const char doc[] =
	"Show what the server that lends memory at SOCKET is doing: what its pages are used for, who "
	"has borrowed zones and since when, and how many requests of which kind the disk has served, "
	"how fast."
	"\v"
	"Examples:\n"
	"  kmemblk stat /run/kmemblk/lend.sock\n"
	"  kmemblk stat --json /run/kmemblk/lend.sock | jq .pages.lent\n";

static void print_pages(const struct report *report)
{
	char size[REPORT_TEXT], count[REPORT_TEXT];

	printf("\n  pages\n");
	for (size_t i = 0; i < PAGES_KINDS; i++)
		printf("    %-12s %12s %14s\n", report_pages[i],
		       report_pages_size(report->pages[i], size),
		       report_count(report->pages[i], count));
}

static void print_zones(const struct report *report)
{
	char count[REPORT_TEXT], size[REPORT_TEXT];

	printf("\n  zones");
	if (report->zone_size)
		printf(" of %s", size_text(report->zone_size, size));
	for (size_t i = 0; i < ZONES_KINDS; i++)
		printf("%s %s %s", i ? "," : ":", report_count(report->zones[i], count),
		       report_zones[i]);
	printf("\n");
	if (report->refused != NULL)
		printf("  none is lent now: %s\n", report->refused);
}

static void print_borrowers(const struct report *report)
{
	char size[REPORT_TEXT], age[REPORT_TEXT];

	if (!report->borrowers_count) {
		printf("\n  borrowers: none\n");
		return;
	}
	printf("\n  %8s %8s %-16s %12s %8s %10s\n", "pid", "uid", "borrower", "borrowed", "since",
	       "refused");
	for (size_t i = 0; i < report->borrowers_count; i++) {
		const struct report_borrower *b = &report->borrowers[i];

		printf("  %8" PRIu64 " %8" PRIu64 " %-16s %12s %8s %10" PRIu64 "\n", b->pid, b->uid,
		       b->name, size_text(b->zones * report->zone_size, size),
		       report_age(b->since, age), b->refused);
	}
}

static void print_requests(const struct report *report)
{
	char text[6][REPORT_TEXT];

	printf("\n  %-8s %12s %12s %9s %9s %9s %9s\n", "requests", "count", "size", "50 %", "99 %",
	       "99.9 %", "longest");
	for (size_t i = 0; i < REQUEST_KINDS; i++) {
		const struct report_request *r = &report->requests[i];

		printf("  %-8s %12s %12s %9s %9s %9s %9s\n", report_requests[i],
		       report_count(r->count, text[0]), report_size(r->bytes, text[1]),
		       report_time(r->p50, text[2]), report_time(r->p99, text[3]),
		       report_time(r->p999, text[4]), report_time(r->max, text[5]));
	}
}

static void print_human(const char *socket, const struct report *report)
{
	char *printable = text_printable(socket);

	printf("%s: lends from %s\n", printable, report->path != NULL ? report->path : "?");
	free(printable);
	if (report->uuid != NULL)
		printf("  uuid         %s\n", report->uuid);
	if (report->mismatches)
		printf("  damaged      %" PRIu64
		       " times a block did not hold what was written: see the "
		       "server's log\n",
		       report->mismatches);
	print_pages(report);
	print_zones(report);
	print_borrowers(report);
	print_requests(report);
}

int stat_main(int argc, char **argv)
{
	static const struct argp argp = {
		command_options, command_parse, "SOCKET", doc, NULL, NULL, NULL
	};
	struct command command = { .what = "SOCKET" };
	struct report report;

	if (argp_parse(&argp, argc, argv, 0, NULL, &command))
		return STATUS_USAGE;
	if (report_get(command.object, &report))
		return STATUS_FAILED;
	if (command.json) {
		/* json_print() takes one reference; report_free() has the other. */
		json_print(json_object_get(report.json));
	} else {
		print_human(command.object, &report);
	}
	report_free(&report);
	return STATUS_OK;
}
