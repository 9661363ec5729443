/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * await.h - wait for a condition that nothing tells of, however long the machine takes: the test's time
 * limit ends what does not come.
 */
#ifndef AWAIT_H
#define AWAIT_H

#include <unistd.h>

#define AWAIT(condition)                                                                           \
	do {                                                                                       \
		while (!(condition))                                                               \
			usleep(1000);                                                              \
	} while (0)

#endif /* AWAIT_H */
