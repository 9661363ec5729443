/* SPDX-License-Identifier: BSD-3-Clause */
/* mutate.h - mutants that change what the library does while it is recorded. */
#ifndef MUTATE_H
#define MUTATE_H

#include <pthread.h>

#include "mutant.h"

struct kmemblk;
struct map_way;

/* The one that is set. */
extern struct mutant mutate;

/* It acts between these. */
void mutate_start(void);
void mutate_stop(void);

/* A store and flush is about to be made; true if it is not to be, or not yet. */
bool mutate_store(void *dst, const void *src, size_t len, enum pm_order order);
/* True if it is this one, and acts. */
bool mutate_is(enum mutant_kind kind, enum pm_order order);
/* This thread has published a page. */
void mutate_published(void);
/* This thread has walked so far, to look for a table. */
void mutate_walked(const struct map_way *way);
/* A change of views begins; and true if this thread is not to wait now for the sections of others. */
void mutate_begin_view(void);
bool mutate_skips_wait(void);
/* This thread begins, or ends, to change volumes. */
void mutate_manage(bool value);
/* It is to go on without this mutex. */
bool mutate_leaves_open(const pthread_mutex_t *mutex, const struct kmemblk *h);

#endif /* MUTATE_H */
