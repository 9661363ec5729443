/* SPDX-License-Identifier: BSD-3-Clause */
/* keeper.h - the thread that gives free pages away and asks for them.  See keeper.c. */
#ifndef KEEPER_H
#define KEEPER_H

#include "pages/pool.h"

/* Start and end the thread.  0 or -errno with message. */
int keeper_start(struct pool *pool);
void keeper_stop(struct pool *pool);

#endif /* KEEPER_H */
