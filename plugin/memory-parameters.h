/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory-parameters.h - the plugin's parameters about free pages, and the allocator module.  See
 * memory-parameters.c.
 */
#ifndef PLUGIN_MEMORY_PARAMETERS_H
#define PLUGIN_MEMORY_PARAMETERS_H

#include <stdbool.h>

#include "kmemblk.h"

/* Names of the parameters, and their lines of help. */
#define MEMORY_PARAMETERS "punch watermark headroom allocator"
#define MEMORY_HELP                                                                                \
	"punch=true|false   Give free pages back to the kernel (default: true for files).\n"       \
	"watermark=<SIZE>   Free pages that are not given back, ready for new blocks.\n"           \
	"headroom=<SIZE>|<N>%  Free pages that are not lent as memory.\n"                          \
	"allocator=<MODULE> Load a module that uses free pages as memory."

/* One parameter: 0, -1 with nbdkit's error, or 1 if the name is none of these. */
int memory_config(const char *key, const char *value);

/* After all parameters, with what readonly= said.  0 or -1. */
int memory_config_complete(bool readonly);

/*
 * In .get_ready, with the device open for writing; timeout_ms as in struct kmemblk_memory_user.  0,
 * or what the library returned.
 */
int memory_get_ready(struct kmemblk *device, const struct kmemblk_info *info,
		     unsigned int timeout_ms);

/* In .after_fork: start the device, then the module.  0, or -1 after start_failed(). */
int memory_after_fork(struct kmemblk *device);

/* Before kmemblk_close(). */
void memory_cleanup(void);

/* Write to nbdkit's debug output where the pages are. */
void memory_debug(struct kmemblk *device);

void memory_unload(void);

#endif /* PLUGIN_MEMORY_PARAMETERS_H */
