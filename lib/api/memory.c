/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.c - the calls about memory: checks of what the caller says, in front of lent.c and server.c.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/request.h"
#include "lend/server.h"
#include "media/devdax.h"
#include "pages/lent.h"

static int check_memory(const struct kmemblk *h, const struct kmemblk_memory_options *options)
{
	uint64_t size = h->pool.count << LAYOUT_PAGE_SHIFT;

	if (h->readonly)
		return fail(EROFS, "set memory: %s: opened read-only", h->device.path);
	if (h->started)
		return fail(EINVAL, "set memory: %s: started already", h->device.path);
	if ((options->watermark != KMEMBLK_DEFAULT && options->watermark > size) ||
	    (options->headroom != KMEMBLK_DEFAULT && options->headroom > size))
		return fail(
			EINVAL,
			"set memory: %s: watermark and headroom are at most the %llu bytes of data "
			"pages",
			h->device.path, (unsigned long long)size);
	if ((unsigned int)options->punch > KMEMBLK_PUNCH)
		return fail(EINVAL, "set memory: %s: unknown kind of punching %u", h->device.path,
			    (unsigned int)options->punch);
	if (options->punch == KMEMBLK_PUNCH && !h->device.holes)
		return fail(
			EOPNOTSUPP,
			"set memory: %s: a devdax device has no holes, so its free pages cannot "
			"go back to the kernel; they can be lent",
			h->device.path);
	return 0;
}

static uint64_t pages_of(uint64_t bytes)
{
	return bytes / LAYOUT_PAGE_SIZE + (bytes % LAYOUT_PAGE_SIZE != 0);
}

int kmemblk_set_memory(struct kmemblk *h, const struct kmemblk_memory_options *options)
{
	struct keeper *keeper = &h->pool.keeper;
	unsigned int timeout_ms = keeper->user.timeout_ms;
	int rc = check_memory(h, options);

	if (rc != 0)
		return rc;
	/* No thread uses these before kmemblk_start(). */
	keeper->user = options->user;
	if (keeper->user.timeout_ms == 0)
		keeper->user.timeout_ms = timeout_ms;
	keeper->punch = h->device.holes && options->punch != KMEMBLK_PUNCH_NEVER;
	if (options->watermark != KMEMBLK_DEFAULT)
		keeper->watermark = pages_of(options->watermark);
	if (options->headroom != KMEMBLK_DEFAULT)
		keeper->headroom = pages_of(options->headroom);
	return 0;
}

int kmemblk_lend(struct kmemblk *h, const struct kmemblk_lend_options *options)
{
	if (h->readonly)
		return fail(EROFS, "lend: %s: opened read-only", h->device.path);
	if (h->started || h->lending != NULL || options->socket == NULL)
		return fail(EINVAL, "lend: %s: %s", h->device.path,
			    options->socket == NULL ? "no socket is given"
						    : "started, or lending, already");
	if (options->limit < ZONE_BYTES)
		return fail(EINVAL,
			    "lend: %s: a limit of %llu bytes is less than a zone, so nobody could "
			    "borrow: at least %llu are needed (lend-limit=2M)",
			    h->device.path, (unsigned long long)options->limit,
			    (unsigned long long)ZONE_BYTES);
	if (options->most != 0 && options->most < ZONE_BYTES)
		return fail(EINVAL,
			    "lend: %s: at most %llu bytes in all are less than a zone, of %llu "
			    "(lend-most=2M)",
			    h->device.path, (unsigned long long)options->most,
			    (unsigned long long)ZONE_BYTES);
	if (h->device.media == PM_FILE)
		return fail(EOPNOTSUPP,
			    "lend: %s: free pages of an ordinary file are no memory: serve a "
			    "devdax device, or a file on a DAX file system or tmpfs",
			    h->device.path);
	if (h->device.media == PM_DEVDAX) {
		int rc = devdax_check_lendable(&h->device);

		if (rc != 0)
			return rc;
	}
	return lending_make(h, options);
}

int kmemblk_borrow(struct kmemblk *h, size_t length, size_t alignment, void **memory)
{
	const size_t zone = ZONE_BYTES;
	uint64_t first;
	int rc = check_handle(h, "borrow");

	if (rc != 0)
		return rc;
	if (length == 0 || length % LAYOUT_PAGE_SIZE != 0 || length > zone)
		return fail(EINVAL, "borrow: %s: %zu bytes: a multiple of 4096, at most %zu",
			    h->device.path, length, zone);
	if (alignment < LAYOUT_PAGE_SIZE || alignment > zone || (alignment & (alignment - 1)) != 0)
		return fail(EINVAL, "borrow: %s: alignment %zu: a power of 2 from 4096 to %zu",
			    h->device.path, alignment, zone);
	pthread_mutex_lock(&h->pool.lock);
	rc = lent_take_locked(&h->pool, length >> LAYOUT_PAGE_SHIFT, alignment >> LAYOUT_PAGE_SHIFT,
			      &first);
	pthread_mutex_unlock(&h->pool.lock);
	if (rc == -ENOMEM || rc == -ENOSPC)
		return fail(ENOMEM,
			    "borrow: %s: no run of %zu bytes is left above spare and headroom",
			    h->device.path, length);
	if (rc != 0)
		return fail_errno(-rc, "borrow: %s: storage or contents of a free page",
				  h->device.path);
	*memory = pm_page(&h->device.pm, first);
	return 0;
}

int kmemblk_return(struct kmemblk *h, void *memory, size_t length)
{
	struct pool *pool = &h->pool;
	/* Outside the mapping it is a page that is not lent. */
	uint64_t at = (uint64_t)((uintptr_t)memory - (uintptr_t)h->device.pm.base);
	uint64_t first = at >> LAYOUT_PAGE_SHIFT, n = length >> LAYOUT_PAGE_SHIFT;
	bool lent;

	pthread_mutex_lock(&pool->lock);
	lent = (at | length) % LAYOUT_PAGE_SIZE == 0 && !h->readonly &&
	       pageset_has_run(&pool->lent, first, n);
	if (lent && n > 0) {
		pool->keeper.returned += n;
		lent_return_locked(pool, first, n);
	}
	pthread_mutex_unlock(&pool->lock);
	return lent ? 0
		    : fail(EINVAL, "return: %s: %zu bytes at %p are not all lent pages",
			   h->device.path, length, memory);
}
