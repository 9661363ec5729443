/* SPDX-License-Identifier: BSD-3-Clause */
/* thread-model.h - the parameter thread-model=: how many requests of a connection at a time.  See thread-model.c. */
#ifndef PLUGIN_THREAD_MODEL_H
#define PLUGIN_THREAD_MODEL_H

#include <stdbool.h>

#define THREAD_MODEL_PARAMETERS "thread-model"
#define THREAD_MODEL_HELP                                                                          \
	"thread-model=auto|requests|parallel  A connection's requests one by one, or at once.\n"

/* The parameter's value: 0, or -1 with nbdkit's error. */
int thread_model_config(const char *value);

/*
 * In .thread_model, which comes before .get_ready: the model for the device at `path`, NULL if none is named, which is
 * `made` if it is not there.
 */
int thread_model_of(const char *path, bool made);

#endif /* PLUGIN_THREAD_MODEL_H */
