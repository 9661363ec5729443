/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * threads.c - two threads on one block: the first is stopped after each of its steps in turn, the
 * second runs to its end and is acknowledged, and the first goes on.
 *
 * Among these: the first has changed an entry and not drained, and the second finds it done.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>

#include "fatal.h"
#include "scenario.h"

struct run {
	struct kmemblk *handle;
	const struct op *op;
	unsigned int number;
};

/* Trims first: the second finding done what the first has not drained is the case to see soon. */
static const struct op alphabet[] = {
	{ OP_TRIM, 0, BLOCK_SIZE },	{ OP_TRIM, 0, DISK_SIZE },
	{ OP_WRITE, 0, BLOCK_SIZE },	{ OP_WRITE, 0, 2 * BLOCK_SIZE },
	{ OP_ZERO, 0, BLOCK_SIZE },	{ OP_ZERO_NO_HOLE, 0, BLOCK_SIZE },
	{ OP_ZERO, 0, BLOCK_SIZE / 2 },
};

#define LETTERS ((unsigned int)(sizeof(alphabet) / sizeof(alphabet[0])))

static void *run_one(void *opaque)
{
	struct run *run = opaque;

	recorder_thread = run->number;
	recorder_note(EVENT_BEGIN, run->number);
	if (op_run(run->handle, run->op, run->number) != 0)
		fatal("%s", kmemblk_error());
	recorder_note(EVENT_ACK, run->number);
	if (run->number == 0)
		recorder_done();
	return NULL;
}

/* False if the first thread has fewer steps than `steps`. */
static bool explore_pair(struct explorer *e, const struct op *ops, unsigned int steps)
{
	/* The first holds pages and promises while it stands: the second must not need them. */
	const struct base *base = base_get(BASE_ROOMY_FULL);
	struct run runs[2];
	pthread_t threads[2];
	struct kmemblk *handle;
	bool stood;

	recorder_start(&e->trace, true);
	if (kmemblk_open(base_device(base)->path, 0, &handle) != 0 || kmemblk_start(handle) != 0)
		fatal("%s", kmemblk_error());
	recorder_park(steps);
	for (unsigned int i = 0; i < 2; i++)
		runs[i] = (struct run){ handle, &ops[i], i };
	if (pthread_create(&threads[0], NULL, run_one, &runs[0]) != 0)
		fatal("pthread_create");
	stood = recorder_wait_parked();
	if (pthread_create(&threads[1], NULL, run_one, &runs[1]) != 0)
		fatal("pthread_create");
	pthread_join(threads[1], NULL);
	recorder_unpark();
	pthread_join(threads[0], NULL);
	recorder_stop();
	kmemblk_close(handle);
	replay_requests(e, base, ops, 0);
	return stood;
}

void explore_threads(struct explorer *e)
{
	char what[160], first[40], second[40];

	for (unsigned int n = 0; n < LETTERS * LETTERS; n++) {
		struct op ops[2] = { alphabet[n % LETTERS], alphabet[n / LETTERS] };

		/* What the model cannot say: a part that the other's whole block comes into. */
		if (!explorer_mine(e, n) || ops[0].count < BLOCK_SIZE)
			continue;
		op_print(&ops[0], first, sizeof(first));
		op_print(&ops[1], second, sizeof(second));
		e->what = what;
		for (unsigned int steps = 1; !explorer_over(e); steps++) {
			snprintf(what, sizeof(what), "%s, stopped after %u steps for %s", first,
				 steps, second);
			if (!explore_pair(e, ops, steps))
				break;
		}
	}
}
