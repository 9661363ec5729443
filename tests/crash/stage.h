/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stage.h - who runs when, so that a run can be had again exactly.
 *
 * Threads of a scenario run one at a time: each has a number of steps to go, stands still before the
 * next event that it would cause, or where it waits for somebody, and goes on when the driver gives
 * it more.  The library's own thread, the reclaimer, frees pages only in stage_reclaim(), while nobody
 * else runs.
 */
#ifndef STAGE_H
#define STAGE_H

#include <limits.h>
#include <stdbool.h>

struct kmemblk;

#define STAGE_TO_THE_END UINT_MAX

/* This thread is not the library's.  First of all in each. */
void stage_own_thread(void);

/* Between these two the reclaimer is held as said above. */
void stage_hold_reclaimer(void);
void stage_free_reclaimer(void);

/* This handle is about to be started: it is the one that the rest is about. */
void stage_watch(struct kmemblk *handle);

/* Have the reclaimer free all that has been retired, unless a thread stands inside a section. */
void stage_reclaim(void);

/* Nobody has entered. */
void stage_clear(void);
/* Thread `number` begins, and stands until it is given steps; and ends. */
void stage_enter(unsigned int number);
void stage_leave(void);
/* Before each event. */
void stage_step(void);

/*
 * Give a thread steps and wait until it stands, has left, or waits for somebody.  False if it
 * had left, or has, with steps to spare.
 */
bool stage_run(unsigned int number, unsigned int steps);
bool stage_has_left(unsigned int number);

/* True if some thread is inside a section. */
bool stage_in_section(void);

#endif /* STAGE_H */
