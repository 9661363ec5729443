/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pace.c - lending beside a busy disk: it takes little of what the disk could use.
 *
 * To lend a zone and to take it back costs the server as much processor time as a hundred requests, and
 * borrowers can ask for zones without end.  So time is cut into turns.  If in the last turn the rest of the
 * process, which is the disk, used more than a BUSY-th of the processors, then lending may use a
 * SHARE-th of what the disk used; what it uses beyond that is owed.  Memory that comes back costs, too, and
 * is never held up: what it costs counts for the next zone that is lent.  While the disk uses less there are
 * processors left, and there is no limit.
 */
#include "config.h"

#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "lend/pace.h"

#define TURN_NS	     20000000
#define BUSY	     8
#define SHARE	     40
#define MOST_OWED_NS 50000000
#define NS_SECOND    INT64_C(1000000000)

static int64_t used(clockid_t clock)
{
	struct timespec ts;

	return clock_gettime(clock, &ts) == 0 ? ts.tv_sec * NS_SECOND + ts.tv_nsec : 0;
}

static int64_t used_by_lending(const struct pace *pace)
{
	int64_t ns = 0;

	for (unsigned int i = 0; i < pace->threads; i++)
		ns += used(pace->clock[i]);
	return ns;
}

static long processors(void)
{
	cpu_set_t set;
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	/* Which fails where there are more than the set has room for. */
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	return n > 0 ? n : 1;
}

void pace_init(struct pace *pace)
{
	memset(pace, 0, sizeof(*pace));
	pace->processors = processors();
}

void pace_add(struct pace *pace, pthread_t thread)
{
	if (pace->threads < PACE_THREADS &&
	    pthread_getcpuclockid(thread, &pace->clock[pace->threads]) == 0)
		pace->threads++;
}

static void next_turn(struct pace *pace, int64_t now)
{
	int64_t process = used(CLOCK_PROCESS_CPUTIME_ID), lending = used_by_lending(pace);
	int64_t length = now - pace->since, lent = lending - pace->lending;
	int64_t disk = process - pace->process - lent;

	pace->left = pace->limited ? pace->left - lent : 0;
	if (pace->left > 0)
		pace->left = 0;
	if (pace->left < -MOST_OWED_NS)
		pace->left = -MOST_OWED_NS;
	pace->left += disk / SHARE;
	/* Of what was long ago an average says nothing. */
	pace->limited = length < 10 * TURN_NS &&
			(double)disk / (double)length > (double)pace->processors / BUSY;
	pace->since = now;
	pace->process = process;
	pace->lending = lending;
}

bool pace_allows(struct pace *pace)
{
	int64_t now = now_ns();

	if (now - pace->since >= TURN_NS)
		next_turn(pace, now);
	return !pace->limited || pace->left > used_by_lending(pace) - pace->lending;
}
