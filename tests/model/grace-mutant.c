/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grace-mutant.c - a library that does not wait for readers (invariant 4 broken).
 *
 * Linked into a test with -Wl,--wrap=grace_wait, this takes the place of grace_wait().  The test
 * must then fail.
 */
#include "config.h"

#include "pages/grace.h"
#include "grace-watch.h"

void __wrap_grace_wait(void);

void __wrap_grace_wait(void)
{
}

bool grace_under_way(void)
{
	return false;
}
