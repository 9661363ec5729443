/* SPDX-License-Identifier: BSD-3-Clause */
/* fatal.h - the explorer itself cannot go on; not a violation, but the test has failed. */
#ifndef FATAL_H
#define FATAL_H

#include <stdio.h>
#include <stdlib.h>

/* The scenario that is being explored, as --scenario takes it; NULL for none. */
extern const char *fatal_scenario;

#define fatal(...)                                                                                 \
	do {                                                                                       \
		fprintf(stderr, "explore: ");                                                      \
		if (fatal_scenario != NULL)                                                        \
			fprintf(stderr, "--scenario='%s': ", fatal_scenario);                      \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		exit(2);                                                                           \
	} while (0)

#endif /* FATAL_H */
