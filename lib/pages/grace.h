/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * grace.h - read-side sections and grace periods (invariant 4).
 *
 * A reader looks up a page and copies from it inside a section; whoever wants to reuse a retired
 * page first waits for a grace period, after which no section that could have looked it up is
 * left.  Sections must be short (tens of pages), and must not wait for anything: their length is
 * the length of a grace period.
 */
#ifndef GRACE_H
#define GRACE_H

/* Enter and leave a section.  They do not nest. */
void grace_enter(void);
void grace_leave(void);

/* Wait for a grace period.  Never inside a section: it would wait for itself. */
void grace_wait(void);

#endif /* GRACE_H */
