/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command-top.c - kmemblk top: what a lending server is doing, again and again, on a whole screen.
 *
 * Rates are the differences between two answers of the server.  When it goes away the screen says
 * so and waits for it.
 */
#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <curses.h>

#include "kmemblk.h"
#include "command.h"
#include "report.h"

static const char doc[] =
	"Show live what the server that lends memory at SOCKET is doing.  Press q to quit."
	"\v"
	"Example:\n"
	"  kmemblk top /run/kmemblk/lend.sock\n";

enum {
	OPTION_INTERVAL = 256,
};

static const struct argp_option options[] = {
	{ "interval", OPTION_INTERVAL, "SECONDS", 0, "ask this often (default: 1)", 0 },
	{ 0 },
};

struct arguments {
	struct command command;
	double interval;
};

static error_t parse_opt(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;
	char *end;

	switch (key) {
	case OPTION_INTERVAL:
		arguments->interval = strtod(arg, &end);
		if (*end || end == arg ||
		    !(arguments->interval >= 0.1 && arguments->interval <= 3600))
			argp_error(state, "--interval=%s: write seconds, from 0.1 to 3600", arg);
		return 0;
	default:
		return command_parse(key, arg, state);
	}
}

/* What a number has grown by in a second; unknown at first, and when the server is another one. */
static struct number rate(struct number before, struct number after, double seconds)
{
	return (struct number){
		before.known && after.known && seconds > 0 && after.value >= before.value,
		seconds > 0 ? (after.value - before.value) / seconds : 0,
	};
}

/* In two columns: all of it fits on 24 lines. */
static void draw_pages(const struct report *s)
{
	char size[REPORT_TEXT], count[REPORT_TEXT];
	size_t rows = (PAGES_KINDS + 1) / 2;

	attron(A_BOLD);
	printw("\n  pages\n");
	attroff(A_BOLD);
	for (size_t i = 0; i < 2 * rows; i++) {
		size_t kind = i / 2 + i % 2 * rows;

		if (kind < PAGES_KINDS)
			printw("  %-11s %11s %12s", report_pages[kind],
			       report_pages_size(s->pages[kind], size),
			       report_count(s->pages[kind], count));
		if (i % 2)
			printw("\n");
	}
}

static void draw_requests(const struct report *s, const struct report *before, double seconds)
{
	char text[6][REPORT_TEXT];

	attron(A_BOLD);
	printw("\n  %-8s %10s %12s %9s %9s %9s %9s\n", "requests", "per second", "a second", "50 %",
	       "99 %", "99.9 %", "longest");
	attroff(A_BOLD);
	for (size_t i = 0; i < REQUEST_KINDS; i++) {
		const struct report_request *r = &s->requests[i], *old = &before->requests[i];

		printw("  %-8s %10s %12s %9s %9s %9s %9s\n", report_requests[i],
		       report_count(rate(old->count, r->count, seconds), text[0]),
		       report_size(rate(old->bytes, r->bytes, seconds), text[1]),
		       report_time(r->p50, text[2]), report_time(r->p99, text[3]),
		       report_time(r->p999, text[4]), report_time(r->max, text[5]));
	}
}

static int by_zones(const void *a, const void *b)
{
	const struct report_borrower *x = a, *y = b;

	return x->zones < y->zones ? 1 : x->zones > y->zones ? -1 : 0;
}

static void draw_borrowers(struct report *s)
{
	char size[REPORT_TEXT], age[REPORT_TEXT];
	size_t room = LINES > 27 ? (size_t)LINES - 25 : 2;

	if (s->borrowers != NULL)
		qsort(s->borrowers, s->borrowers_count, sizeof(*s->borrowers), by_zones);
	attron(A_BOLD);
	printw("\n  %8s %8s %-16s %12s %8s %10s\n", "pid", "uid", "borrower", "borrowed", "since",
	       "refused");
	attroff(A_BOLD);
	for (size_t i = 0; i < s->borrowers_count && i < room; i++) {
		const struct report_borrower *b = &s->borrowers[i];

		printw("  %8" PRIu64 " %8" PRIu64 " %-16s %12s %8s %10" PRIu64 "\n", b->pid, b->uid,
		       b->name, size_text(b->zones * s->zone_size, size), report_age(b->since, age),
		       b->refused);
	}
}

static void draw(const char *socket, struct report *s, const struct report *before, double seconds)
{
	char text[REPORT_TEXT];

	erase();
	move(0, 0);
	attron(A_REVERSE);
	printw("%s: %s%*s", socket, s->path != NULL ? s->path : "?", COLS, "");
	attroff(A_REVERSE);
	move(1, 0);
	printw("  zones");
	for (size_t i = 0; i < ZONES_KINDS; i++)
		printw("%s %s %s", i ? "," : ":", report_count(s->zones[i], text), report_zones[i]);
	printw("    q: quit\n");
	draw_borrowers(s);
	draw_requests(s, before, seconds);
	draw_pages(s);
	refresh();
}

static void draw_absence(const char *socket, int rc)
{
	char *reason = text_printable(kmemblk_error());

	erase();
	mvprintw(0, 0, "%s", socket);
	if (rc == -EBADMSG)
		mvprintw(1, 0, "  the server's answer is not a JSON object");
	else
		mvprintw(1, 0, "  %s", reason);
	mvprintw(LINES - 1, 0, "  waiting for the server    q: quit");
	refresh();
	free(reason);
}

/* Until q; the first answer is there already. */
static void watch(const struct arguments *arguments, const char *name, struct report *s)
{
	struct report before = { 0 };
	double then = progress_now(), time;
	int key, rc = 0;

	timeout((int)(arguments->interval * 1000));
	draw(name, s, &before, 0);
	while ((key = getch()) != 'q' && key != 'Q') {
		/* A change of the window's size, or a key that means nothing: draw again. */
		if (rc == 0) {
			report_free(&before);
			before = *s;
		}
		time = progress_now();
		rc = report_ask(arguments->command.object, s);
		if (rc == 0) {
			draw(name, s, &before, time - then);
			then = time;
		} else {
			draw_absence(name, rc);
		}
	}
	if (rc == 0)
		report_free(s);
	report_free(&before);
}

int top_main(int argc, char **argv)
{
	static const struct argp argp = { options, parse_opt, "SOCKET", doc, NULL, NULL, NULL };
	struct arguments arguments = { .command.what = "SOCKET", .interval = 1 };
	struct report report;
	char *name;
	SCREEN *screen;

	if (argp_parse(&argp, argc, argv, 0, NULL, &arguments))
		return STATUS_USAGE;
	if (report_get(arguments.command.object, &report))
		return STATUS_FAILED;
	setlocale(LC_CTYPE, "");
	screen =
		isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) ? newterm(NULL, stdout, stdin) : NULL;
	if (screen == NULL) {
		report_free(&report);
		name = text_shell_word(arguments.command.object);
		fprintf(stderr, "kmemblk: top: needs a terminal; for one look: kmemblk stat %s\n",
			name);
		free(name);
		return STATUS_FAILED;
	}
	cbreak();
	noecho();
	curs_set(0);
	name = text_printable(arguments.command.object);
	watch(&arguments, name, &report);
	endwin();
	delscreen(screen);
	free(name);
	return STATUS_OK;
}
