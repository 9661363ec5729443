/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * progress.c - a bar for what takes over a second, on a terminal.
 *
 * The library calls progress_update() now and then; the bar appears when a second has passed, is
 * drawn anew ten times a second at most, and is wiped by progress_end(), so that nothing of it
 * stays among the messages.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

#define QUIET_SECONDS  1.0
#define REDRAW_SECONDS 0.1
#define BAR_CELLS      40
#define LINE_WIDTH     79

double progress_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

void progress_begin(struct progress *progress, const char *what)
{
	progress->what = what;
	progress->begun = progress_now();
	progress->drawn = 0;
	progress->terminal = isatty(STDERR_FILENO);
}

void progress_update(void *opaque, uint64_t done, uint64_t total)
{
	struct progress *progress = opaque;
	char bar[BAR_CELLS + 1];
	double time, part, left;
	int cells;

	if (!progress->terminal || !total || !done)
		return;
	time = progress_now();
	if (time - progress->begun < QUIET_SECONDS || time - progress->drawn < REDRAW_SECONDS)
		return;
	part = done < total ? (double)done / (double)total : 1;
	cells = (int)(part * BAR_CELLS);
	memset(bar, '#', cells);
	memset(bar + cells, '-', BAR_CELLS - cells);
	bar[BAR_CELLS] = 0;
	left = (time - progress->begun) * (1 - part) / part;
	fprintf(stderr, "\r%-8s [%s] %3d %%, %6.0f s left ", progress->what, bar, (int)(part * 100),
		left);
	progress->drawn = time;
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fprintf(stderr, "\r%*s\r", LINE_WIDTH, "");
	progress->drawn = 0;
}
