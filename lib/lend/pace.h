/* SPDX-License-Identifier: BSD-3-Clause */
/* pace.h - lending beside a busy disk.  See pace.c. */
#ifndef PACE_H
#define PACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define PACE_THREADS 3

struct pace {
	clockid_t clock[PACE_THREADS]; /* processor time of the threads that lend */
	unsigned int threads;
	long processors; /* that the process may run on */

	/* At the beginning of the present turn, in ns: the time, and what had been used of processors. */
	int64_t since, process, lending;
	bool limited;
	int64_t left; /* ns that lending may use until the turn is over; negative: owed */
};

void pace_init(struct pace *pace);
/* The processor time of this thread is lending's. */
void pace_add(struct pace *pace, pthread_t thread);

/* True if a zone may be lent now.  To be called by one thread. */
bool pace_allows(struct pace *pace);

#endif /* PACE_H */
