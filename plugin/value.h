/* SPDX-License-Identifier: BSD-3-Clause */
/* value.h - values of parameters, read by nbdkit.  0, or -1 with its error and what to type. */
#ifndef PLUGIN_VALUE_H
#define PLUGIN_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "kmemblk.h"

int value_bool(const char *key, const char *value, bool *yes);
int value_size(const char *key, const char *value, uint64_t *size);
/* A size, or a percentage, and then *percent is not -1 ... */
int value_share(const char *key, const char *value, uint64_t *size, int *percent);
/* ... of the pages that can hold blocks: in bytes. */
uint64_t value_percent(const struct kmemblk_info *info, int percent);

#endif /* PLUGIN_VALUE_H */
