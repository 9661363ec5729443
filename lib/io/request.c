/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request.c - what every request checks first, and what it does last.
 */
#include "config.h"

#include <errno.h>

#include "base/error.h"
#include "io/request.h"
#include "pages/grace.h"

int check_range(const struct kmemblk_volume *v, const char *what, uint64_t count, uint64_t offset)
{
	uint64_t size = map_blocks(&v->map) << LAYOUT_PAGE_SHIFT;

	if (__builtin_expect(offset <= size && count <= size - offset, 1))
		return 0;
	return fail(EINVAL, "%s: %s: %llu bytes at %llu are not inside the disk of %llu bytes",
		    what, v->h->device.path, (unsigned long long)count, (unsigned long long)offset,
		    (unsigned long long)size);
}

int check_handle(const struct kmemblk *h, const char *what)
{
	if (h->readonly)
		return fail(EROFS, "%s: %s: opened read-only", what, h->device.path);
	if (!h->started)
		return fail(EINVAL, "%s: %s: kmemblk_start() has not been called", what,
			    h->device.path);
	/* Relaxed: a request that misses it is not acknowledged, see acknowledge(). */
	if (atomic_load_explicit(&h->pool.frozen, memory_order_relaxed))
		return fail(EROFS,
			    "%s: %s: read-only since a failure to persist; see to the media, then "
			    "open it again",
			    what, h->device.path);
	return 0;
}

int check_writable(const struct kmemblk_volume *v, const char *what, uint64_t count,
		   uint64_t offset)
{
	int rc = check_handle(v->h, what);

	if (__builtin_expect(rc == 0 && v->map.is_snapshot, 0))
		rc = fail(EROFS, "%s: %s: a snapshot is never changed", what, v->h->device.path);
	return __builtin_expect(rc == 0, 1) ? check_range(v, what, count, offset) : rc;
}

void note_failed_flush(struct kmemblk *h)
{
	pool_freeze(&h->pool);
}

int fail_persist(const struct kmemblk *h, int err)
{
	fail_errno(err, "persist: %s: now read-only, since it is unknown what is durable",
		   h->device.path);
	return -EIO;
}

int acknowledge(struct kmemblk *h)
{
	if (h->device.pm.media != PM_FILE)
		return 0;
	/*
	 * The kernel tells a failure to write back once an open file, and all threads share one: our
	 * pages' failure may have been told to another thread's msync, and ours answered 0.  That
	 * msync overlapped with ours, or was over before.  Each is made in a section that ends only
	 * after its failure has been noted, so after a grace period it has been.
	 */
	grace_wait();
	if (atomic_load_explicit(&h->pool.frozen, memory_order_relaxed))
		return fail_persist(h, EIO);
	return 0;
}
