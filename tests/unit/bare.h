/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bare.h - free pages without a handle around them: for the tests of what looks after pages.
 */
#ifndef BARE_H
#define BARE_H

#include "pages/pages.h"
#include "unit.h"

extern struct device bare_device;
extern struct pool bare;

/* `count` data pages, of which `spare` are spare and the first `used` hold blocks. */
int bare_try_open(uint64_t count, uint64_t spare, uint64_t used);
/* It must succeed; the reclaimer is started, too. */
void bare_open(uint64_t count, uint64_t spare, uint64_t used);
void bare_close(void);

/* reserve_blocks() by one who has looked at the entries just now. */
int bare_reserve(uint64_t n);

/* cache_take() by one who has no use for what is near. */
int bare_take_some(unsigned int most, uint64_t *page);
/* Take exactly so many. */
void bare_take(uint64_t *page, unsigned int n);

/* Each must be a data page, and none twice. */
void bare_expect_distinct(const uint64_t *page, unsigned int n);

#endif /* BARE_H */
