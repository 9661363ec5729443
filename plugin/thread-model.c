/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * thread-model.c - one request of a connection at a time, or many.
 *
 * nbdkit hands each request of a connection to one of sixteen threads.  On memory a request is done sooner than it
 * is handed over, so there each connection has one thread, and clients with much to do have several connections.
 * On an ordinary file a request waits for msync, and waits had better overlap.
 *
 * A request that waits for lent memory holds up what comes after it on its own connection, and no other.
 */
#include "config.h"

#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "kmemblk.h"
#include "thread-model.h"

#define AUTO -1

static int wanted = AUTO;

int thread_model_config(const char *value)
{
	if (strcmp(value, "auto") == 0)
		wanted = AUTO;
	else if (strcmp(value, "requests") == 0)
		wanted = NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS;
	else if (strcmp(value, "parallel") == 0)
		wanted = NBDKIT_THREAD_MODEL_PARALLEL;
	else {
		nbdkit_error("thread-model=%s: type thread-model=auto, thread-model=requests or "
			     "thread-model=parallel",
			     value);
		return -1;
	}
	return 0;
}

int thread_model_of(const char *path, bool made)
{
	const char *media;

	if (wanted != AUTO)
		return wanted;
	/* Nothing is named where nbdkit only asks what the plugin is. */
	if (path == NULL)
		return NBDKIT_THREAD_MODEL_PARALLEL;
	/* What fails here fails when it is opened, which is told. */
	if (kmemblk_find_media(path, made ? KMEMBLK_OPEN_OWNED : 0, &media) != 0) {
		nbdkit_debug("thread-model=auto: %s", kmemblk_error());
		return NBDKIT_THREAD_MODEL_PARALLEL;
	}
	return strcmp(media, "file") == 0 ? NBDKIT_THREAD_MODEL_PARALLEL
					  : NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS;
}
