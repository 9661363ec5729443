/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory-parameters.c - what the plugin does about free pages: parameters, and loading an allocator.
 *
 * The module is loaded while parameters are checked, so that a wrong one is told at once, and
 * started in the process that serves, as soon as it can borrow.  The library may call back from
 * kmemblk_start() until kmemblk_close(), so the callbacks go through here: none reaches the module
 * before its start has returned, or once its stop has begun.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "kmemblk-allocator.h"
#include "memory-parameters.h"
#include "start.h"
#include "value.h"

/* The parameters. */
static struct kmemblk_memory_options options = {
	.punch = KMEMBLK_PUNCH_AUTO,
	.watermark = KMEMBLK_DEFAULT,
	.headroom = KMEMBLK_DEFAULT,
};
static int headroom_percent = -1;
static bool given; /* one of them was given */

static void *module;
static char *module_path;
static const struct kmemblk_allocator *allocator;
static struct kmemblk_allocator_calls calls = {
	.borrow = kmemblk_borrow,
	.give_back = kmemblk_return,
	.error = kmemblk_error,
};

/* Held while the module runs: start, stop, or a callback. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static bool started; /* and not stopped */

static int offer(void *opaque, void *memory, size_t length)
{
	int taken = 0;

	pthread_mutex_lock(&turn);
	if (started)
		taken = allocator->offer(opaque, memory, length);
	pthread_mutex_unlock(&turn);
	return taken;
}

static int recall(void *opaque, size_t length)
{
	int more = 0;

	pthread_mutex_lock(&turn);
	if (started)
		more = allocator->recall(opaque, length);
	pthread_mutex_unlock(&turn);
	return more;
}

static int config_punch(const char *value)
{
	bool punch;

	if (value_bool("punch", value, &punch) == -1)
		return -1;
	options.punch = punch ? KMEMBLK_PUNCH : KMEMBLK_PUNCH_NEVER;
	return 0;
}

static int config_allocator(const char *value)
{
	const struct kmemblk_allocator *(*get)(void);

	if (module != NULL) {
		nbdkit_error("allocator=%s: a device has one, and that is %s", value, module_path);
		return -1;
	}
	module_path = realpath(value, NULL);
	if (module_path == NULL) {
		nbdkit_error("allocator=%s: type the path of a module: %s", value, strerror(errno));
		return -1;
	}
	module = dlopen(module_path, RTLD_NOW | RTLD_GLOBAL);
	if (module == NULL) {
		nbdkit_error("allocator=%s: %s", value, dlerror());
		return -1;
	}
	*(void **)&get = dlsym(module, "kmemblk_allocator");
	allocator = get != NULL ? get() : NULL;
	if (allocator == NULL || allocator->version != KMEMBLK_ALLOCATOR_VERSION ||
	    allocator->start == NULL) {
		nbdkit_error("allocator=%s: not an allocator for this kmemblk, whose interface has "
			     "version %d: see kmemblk-allocator.h",
			     value, KMEMBLK_ALLOCATOR_VERSION);
		return -1;
	}
	options.user.offer = allocator->offer != NULL ? offer : NULL;
	options.user.recall = allocator->recall != NULL ? recall : NULL;
	options.user.opaque = allocator->opaque;
	return 0;
}

int memory_config(const char *key, const char *value)
{
	bool first = !given;

	given = true;
	if (strcmp(key, "punch") == 0)
		return config_punch(value);
	if (strcmp(key, "watermark") == 0)
		return value_size(key, value, &options.watermark);
	if (strcmp(key, "headroom") == 0)
		return value_share(key, value, &options.headroom, &headroom_percent);
	if (strcmp(key, "allocator") == 0)
		return config_allocator(value);
	given = !first;
	return 1;
}

int memory_config_complete(bool readonly)
{
	if (readonly && given) {
		nbdkit_error("readonly=true has no free pages to give away: leave out punch=, "
			     "watermark=, headroom= and allocator=");
		return -1;
	}
	return 0;
}

int memory_get_ready(struct kmemblk *device, const struct kmemblk_info *info,
		     unsigned int timeout_ms)
{
	calls.device = device;
	options.user.timeout_ms = timeout_ms;
	if (headroom_percent >= 0)
		options.headroom = value_percent(info, headroom_percent);
	return kmemblk_set_memory(device, &options);
}

int memory_after_fork(struct kmemblk *device)
{
	int rc;

	/* What is offered meanwhile waits, and is not lost. */
	pthread_mutex_lock(&turn);
	rc = kmemblk_start(device);
	if (rc < 0) {
		start_failed("%s", kmemblk_error());
	} else if (allocator != NULL) {
		rc = allocator->start(&calls);
		if (rc < 0)
			start_failed("allocator=%s: cannot start: %s", module_path, strerror(-rc));
	}
	started = rc >= 0;
	pthread_mutex_unlock(&turn);
	return rc < 0 ? -1 : 0;
}

void memory_cleanup(void)
{
	pthread_mutex_lock(&turn);
	if (started && allocator != NULL && allocator->stop != NULL)
		allocator->stop();
	started = false;
	pthread_mutex_unlock(&turn);
}

void memory_debug(struct kmemblk *device)
{
	struct kmemblk_info info;

	kmemblk_get_info(device, &info);
	nbdkit_debug("pages: used=%" PRIu64 " free=%" PRIu64 " resident=%" PRIu64 " lent=%" PRIu64
		     " retired=%" PRIu64 " reclaimed=%" PRIu64 " punched=%" PRIu64
		     " returned=%" PRIu64,
		     info.pages_used, info.pages_free, info.pages_resident, info.pages_lent,
		     info.pages_retired, info.pages_reclaimed, info.pages_punched,
		     info.pages_returned);
}

void memory_unload(void)
{
	/* The module stays: threads of its own may be running in it. */
	free(module_path);
}
