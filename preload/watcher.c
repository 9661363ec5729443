/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watcher.c - the process ends with the program's last thread.
 *
 * A process whose main thread has ended by pthread_exit() lives until its last thread ends, and libc, which
 * sees to that, counts ours as well.  So when the main thread ends so, another thread is started, which
 * ends the process when only ours are left.  It has the program's descriptors, which the helper has not:
 * what the program has buffered for its standard output is written.
 */
#include "config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/thread.h"
#include "heap.h"
#include "helper.h"
#include "watcher.h"

#define LOOK_US 100000
#define STACK	(256 * 1024)

/* A folder has a link for each folder in it, and "." and "..". */
static unsigned long threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) == 0 ? st.st_nlink - 2 : 0;
}

static bool main_has_ended(void)
{
	char path[64], text[128], *state;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", (long)getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* "PID (NAME) Z ..."; a name may have parentheses as well. */
	state = strrchr(text, ')');
	return state != NULL && strncmp(state, ") Z", 3) == 0;
}

static void *watch(void *opaque)
{
	(void)opaque;
	/* This thread, and the main one, of which something is left till the end. */
	while (threads() != 2 + helper_threads() || !main_has_ended())
		usleep(LOOK_US);
	exit(0);
}

void watcher_start(void)
{
	pthread_t thread;

	/* Without it the process would live on, as a process does that has a thread left. */
	if (heap.active && thread_start(&thread, STACK, watch, NULL) == 0)
		pthread_detach(thread);
}
