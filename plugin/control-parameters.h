/* SPDX-License-Identifier: BSD-3-Clause */
/* control-parameters.h - the plugin's parameter about its control socket.  See control-parameters.c. */
#ifndef PLUGIN_CONTROL_PARAMETERS_H
#define PLUGIN_CONTROL_PARAMETERS_H

#include <stdbool.h>

#include "kmemblk.h"

#define CONTROL_PARAMETERS "control"
#define CONTROL_HELP                                                                               \
	"control=<SOCKET>|none  Where kmemblk list, create and so on reach this server.\n"

/* One parameter: 0, -1 with nbdkit's error, or 1 if the name is none of these. */
int control_config(const char *key, const char *value);

/* After all parameters, with what readonly= said.  0 or -1. */
int control_config_complete(bool readonly);

/*
 * In .get_ready, with the device, named so in words, open for writing: 0, or what the library returned.  Where the
 * usual socket cannot be made there is none, and a warning.
 */
int control_get_ready(struct kmemblk *device, const char *named);
/* In .after_fork, when the device is started: 0, or what the library returned. */
int control_after_fork(void);
/* Before the device is closed. */
void control_cleanup(void);

void control_unload(void);

#endif /* PLUGIN_CONTROL_PARAMETERS_H */
