/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder.h - what the library did to one mapping, in order.
 *
 * The trace is what the explorer works on; nothing is looked at while the library runs, so a record
 * costs little, holds no lock of the library, and a mutant changes the replay and not the run.
 */
#ifndef RECORDER_H
#define RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pm.h"

/* What the media writes as one, and what a flush covers at least. */
#define LINE_SIZE 64u

/* Threads of a trace: those that the driver numbers, and the file system's own stores. */
#define DRIVEN_THREADS 3u
#define PUNCH_THREAD   DRIVEN_THREADS
#define TRACE_THREADS  (DRIVEN_THREADS + 1u)

enum event_kind {
	EVENT_STORE, /* `line` has become `bytes` */
	EVENT_FLUSH, /* of `lines` from `line` on */
	EVENT_DRAIN,
	EVENT_BEGIN, /* of operation `op`, by the driver */
	EVENT_ACK,   /* operation `op` has returned */
};

struct event {
	enum event_kind kind;
	enum pm_order order; /* PM_ORDER_COUNT: no order point */
	unsigned int thread;
	unsigned int op;
	uint32_t line, lines;
	uint8_t bytes[LINE_SIZE];
};

struct trace {
	struct event *event;
	size_t count, room;
};

/* Who makes the calls; set by each thread that the driver starts. */
extern __thread unsigned int recorder_thread;

/*
 * Record into `trace`, which is emptied, what is done to the next mapping made for writing.
 * Without `punch` the device cannot punch holes, as a devdax device cannot.
 */
void recorder_start(struct trace *trace, bool punch);
void recorder_stop(void);

/* Note the begin or the end of an operation. */
void recorder_note(enum event_kind kind, unsigned int op);

/*
 * Stop thread 0 after its `events`th event of the running trace until recorder_unpark().
 * recorder_wait_parked() returns when it stands there, or when it has told that it is done.
 */
void recorder_park(unsigned int events);
bool recorder_wait_parked(void);
void recorder_unpark(void);
void recorder_done(void);

#endif /* RECORDER_H */
