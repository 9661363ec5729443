/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * recorder.h - what the library did to one mapping, in order.
 *
 * The trace is what the explorer works on; nothing is looked at while the library runs, so a record
 * costs little and holds no lock of the library.
 */
#ifndef RECORDER_H
#define RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "media/pm.h"

/* What the media writes as one, and what a flush covers at least. */
#define LINE_SIZE 64u

/* The largest device. */
#define MEDIA_PAGES 28u

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
	EVENT_FAIL,  /* operation `op` has returned an error */
};

struct event {
	enum event_kind kind;
	enum pm_order order; /* PM_ORDER_COUNT: no order point */
	unsigned int thread;
	unsigned int op;
	uint32_t line, lines;
	bool entry; /* a store of one entry */
	uint8_t bytes[LINE_SIZE];
};

struct trace {
	struct event *event;
	size_t count, room;
};

/* Who makes the calls; set by each thread that the driver starts. */
extern __thread unsigned int recorder_thread;

/* What the recorded device is like. */
struct terms {
	bool no_punch; /* it cannot punch holes, as a devdax device cannot */
	bool limited;  /* its file system has room for only so many pages more: */
	unsigned int room;
};

/* Record into `trace`, which is emptied, what is done to the next mapping made for writing. */
void recorder_start(struct trace *trace, const struct terms *terms);
void recorder_stop(void);

/*
 * The process is to be killed when it has stored so many entries more: what it stores, flushes and waits for
 * after that has not happened.  Then another opens the device: record that, too, behind the first.
 */
void recorder_kill(unsigned int after);
bool recorder_has_killed(void);
void recorder_go_on(void);

/* Note the begin or the end of an operation. */
void recorder_note(enum event_kind kind, unsigned int op);

/* Store and flush, without a step. */
void recorder_put(void *dst, const void *src, size_t len, enum pm_order order);
/* A store that is not made through pm.h, without a flush, such as a borrower's to a lent page. */
void recorder_store(void *dst, const void *src, size_t len);
/* Somebody else has taken what room its file system has left. */
void recorder_fill_file_system(void);
/* Storage has been taken away, durably. */
void recorder_hole(const struct pm *pm, uint64_t offset, uint64_t length);

#endif /* RECORDER_H */
