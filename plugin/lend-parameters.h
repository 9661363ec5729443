/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lend-parameters.h - the plugin's parameters about lending to other processes.  See
 * lend-parameters.c.
 */
#ifndef PLUGIN_LEND_PARAMETERS_H
#define PLUGIN_LEND_PARAMETERS_H

#include <stdbool.h>

#include "kmemblk.h"

/* Names of the parameters, and their lines of help. */
#define LEND_PARAMETERS                                                                            \
	"lend lend-mode lend-group lend-allow lend-limit lend-most lend-folder recall-timeout"
#define LEND_HELP                                                                                  \
	"lend=<SOCKET>      Lend free pages to other programs on this host: kmemblk run.\n"        \
	"lend-mode=<OCTAL>  Mode of that socket, by default 0600.\n"                               \
	"lend-group=<GROUP> Group of that socket.\n"                                               \
	"lend-allow=<LIST>  Who may borrow, as in uid:1000,gid:50.\n"                              \
	"lend-limit=<SIZE>  How much one borrower may have.\n"                                     \
	"lend-most=<SIZE>|<N>%  How much may be lent in all.\n"                                    \
	"lend-folder=<PATH> Where the files that are lent are (default: beside the device).\n"     \
	"recall-timeout=<SECONDS>  How long a write waits for memory to come back."

/* One parameter: 0, -1 with nbdkit's error, or 1 if the name is none of these. */
int lend_config(const char *key, const char *value);

/* After all parameters, with what readonly= said.  0 or -1. */
int lend_config_complete(bool readonly);

/* True if lend= was given. */
bool lend_wanted(void);

/* What recall-timeout= said, in milliseconds; 0 if nothing. */
unsigned int lend_timeout_ms(void);

/* In .get_ready, with the device open for writing: 0, or what the library returned. */
int lend_get_ready(struct kmemblk *device, const struct kmemblk_info *info);

void lend_unload(void);

#endif /* PLUGIN_LEND_PARAMETERS_H */
