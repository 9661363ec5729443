/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check.h - for programs that do not use the Check library: the condition holds, or the test ends,
 * failed, with a sentence as for printf.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);            \
			fprintf(stderr, __VA_ARGS__);                                              \
			fputc('\n', stderr);                                                       \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

/* A call of kmemblk.h that must succeed. */
#define CHECK_CALL(call) CHECK((call) == 0, "%s", kmemblk_error())

#endif /* CHECK_H */
