/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fixed.c - what would differ from run to run does not: names, times, and the CPU at hand.
 *
 * By the linker's --wrap.  With this and stage.c a scenario leaves the same images each time, so
 * one of them can be had again by its number.
 */
#include "config.h"

#include <sched.h>
#include <string.h>
#include <time.h>
#include <uuid/uuid.h>

#include "image.h"
#include "scenario.h"

static uint64_t names;

void __wrap_uuid_generate(uuid_t uuid);
time_t __wrap_time(time_t *to);
ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags);
int __wrap_sched_getcpu(void);

void fixed_begin(uint64_t seed)
{
	names = seed;
}

void __wrap_uuid_generate(uuid_t uuid)
{
	for (size_t i = 0; i < sizeof(uuid_t); i += sizeof(names)) {
		names = hash_mix(names + 0x9e3779b97f4a7c15);
		memcpy(uuid + i, &names, sizeof(names));
	}
}

time_t __wrap_time(time_t *to)
{
	const time_t now = 1700000000;

	if (to != NULL)
		*to = now;
	return now;
}

int __wrap_sched_getcpu(void)
{
	return 0;
}

ssize_t __wrap_getrandom(void *buf, size_t len, unsigned int flags)
{
	uint8_t *to = buf;

	(void)flags;
	for (size_t i = 0; i < len; i++) {
		names = hash_mix(names + 0x9e3779b97f4a7c15);
		to[i] = (uint8_t)names;
	}
	return (ssize_t)len;
}
