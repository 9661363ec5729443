/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * report.h - what a lending server says of itself, for stat and top.  See report.c.
 */
#ifndef KMEMBLK_REPORT_H
#define KMEMBLK_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_object;

#define PAGES_KINDS   15
#define ZONES_KINDS   5
#define REQUEST_KINDS 6

/* A number that the server may not have said. */
struct number {
	bool known;
	double value;
};

struct report_request {
	struct number count, bytes, p50, p99, p999, max; /* times in microseconds */
};

struct report_borrower {
	const char *name; /* printable */
	uint64_t pid, uid, zones, since, refused;
};

struct report {
	struct json_object *json; /* the whole; owns the texts */
	const char *path, *uuid;  /* printable; NULL not said */
	const char *refused;	  /* why no zone was lent; NULL one was */
	uint64_t zone_size;	  /* 0 not said */
	uint64_t mismatches;	  /* blocks that requests found damaged */
	struct number pages[PAGES_KINDS];
	struct number zones[ZONES_KINDS];
	struct report_request requests[REQUEST_KINDS];
	struct report_borrower *borrowers;
	size_t borrowers_count;
};

extern const char *const report_pages[PAGES_KINDS];
extern const char *const report_zones[ZONES_KINDS];
extern const char *const report_requests[REQUEST_KINDS];

/* Asks the server; -errno, and kmemblk_error() says why unless the answer made no sense. */
int report_ask(const char *socket, struct report *report);
/* The same, and prints a message. */
int report_get(const char *socket, struct report *report);
void report_free(struct report *report);

#define REPORT_TEXT 24
/* "12.3K" for counts, "-" for what is not known. */
const char *report_count(struct number number, char text[REPORT_TEXT]);
/* A time in microseconds, as "850 us" or "1.2 ms". */
const char *report_time(struct number number, char text[REPORT_TEXT]);
/* How long ago, as "5 s", "3 min", "2 h", "4 d". */
const char *report_age(uint64_t since, char text[REPORT_TEXT]);
/* Bytes of so many pages. */
const char *report_pages_size(struct number pages, char text[REPORT_TEXT]);
/* Bytes. */
const char *report_size(struct number bytes, char text[REPORT_TEXT]);

#endif /* KMEMBLK_REPORT_H */
