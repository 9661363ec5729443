/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * image-kin.c - make, read, clone, roll back to and delete snapshots on a device that opened for writing.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image.h"

#define CLONE "cloned-by-fuzz"

static uint8_t held[KIN_BLOCKS][PAGE], now[PAGE];

/* What the device has no room for changes nothing.  True if it was done. */
static bool done(int rc)
{
	EXPECT(rc == 0 || rc == -ENOSPC, "%d: %s", rc, kmemblk_error());
	return rc == 0;
}

static struct kmemblk_volume *opened(struct kmemblk *h, const char *name)
{
	struct kmemblk_volume *v;

	EXPECT_OK(kmemblk_volume_open(h, name, &v));
	return v;
}

static void read_held(struct kmemblk *h, const struct kin *kin)
{
	struct kmemblk_volume *v = opened(h, kin->name);

	for (unsigned int i = 0; i < kin->count; i++)
		EXPECT_OK(kmemblk_read(v, held[i], PAGE, kin->block[i] * PAGE));
	kmemblk_volume_close(v);
}

static void expect_held(struct kmemblk *h, const struct kin *kin, const char *name)
{
	struct kmemblk_volume *v = opened(h, name);

	for (unsigned int i = 0; i < kin->count; i++) {
		EXPECT_OK(kmemblk_read(v, now, PAGE, kin->block[i] * PAGE));
		EXPECT(memcmp(now, held[i], PAGE) == 0, "%s: block %llu is not what it was", name,
		       (unsigned long long)kin->block[i]);
	}
	EXPECT(kmemblk_read(v, now, 1, kin->blocks * PAGE) == -EINVAL, "%s: read past the end",
	       name);
	kmemblk_volume_close(v);
}

static void overwrite(struct kmemblk *h, const struct kin *kin, const char *name, uint8_t with)
{
	struct kmemblk_volume *v = opened(h, name);

	for (unsigned int i = 0; i < kin->count; i++) {
		memset(now, with, PAGE);
		if (i % 3 == 2)
			EXPECT_OK(kmemblk_trim(v, PAGE, kin->block[i] * PAGE));
		else
			done(kmemblk_write(v, now, PAGE, kin->block[i] * PAGE));
	}
	/* What is shared is dropped whole. */
	if (with % 2 == 0)
		EXPECT_OK(kmemblk_trim(v, (kin->blocks < 2048 ? kin->blocks : 2048) * PAGE, 0));
	kmemblk_volume_close(v);
}

/* Everything that a clone is for.  True if it is there. */
static bool use_clone(struct kmemblk *h, const struct kin *kin, const char *snapshot)
{
	if (!done(kmemblk_volume_clone(h, snapshot, CLONE, 0)))
		return false;
	expect_held(h, kin, CLONE);
	overwrite(h, kin, CLONE, 0x43);
	expect_held(h, kin, snapshot);
	EXPECT(kmemblk_volume_delete(h, snapshot, 0) == -EBUSY, "deleted under its clone");
	return true;
}

void kin_use(struct kmemblk *h, const struct kin *kin, bool keep)
{
	char name[140];
	const char *const names = name;
	bool cloned;

	snprintf(name, sizeof(name), "%s@fuzz", kin->name);
	read_held(h, kin);
	if (!done(kmemblk_snapshot(h, &names, 1, 0)))
		return;
	expect_held(h, kin, name);
	overwrite(h, kin, kin->name, 0x42);
	expect_held(h, kin, name);
	cloned = use_clone(h, kin, name);
	EXPECT(kmemblk_snapshot(h, &names, 1, 0) == -EEXIST, "two of one name");
	if (done(kmemblk_volume_rollback(h, name, 0)))
		expect_held(h, kin, kin->name);
	overwrite(h, kin, kin->name, 0x45);
	expect_held(h, kin, name);
	if (keep)
		return;
	if (cloned)
		EXPECT_OK(kmemblk_volume_delete(h, CLONE, 0));
	expect_held(h, kin, name);
	EXPECT_OK(kmemblk_volume_delete(h, name, 0));
}

void kin_delete(struct kmemblk *h, const struct view *view)
{
	for (unsigned int i = 0, n = 0; i < view->volumes && n < 3; i++) {
		const struct volume *snapshot = &view->volume[i];
		bool cloned = false;
		int rc;

		if (!snapshot->is_snapshot)
			continue;
		n++;
		for (unsigned int j = 0; j < view->volumes; j++)
			cloned |= view->volume[j].before == (int)i &&
				  memcmp(view->volume[j].is_snapshot ? view->volume[j].of
								     : view->volume[j].uuid,
					 snapshot->of, 16) != 0;
		rc = kmemblk_volume_delete(h, snapshot->name, 0);
		EXPECT(rc == 0 || (cloned && rc == -EBUSY), "%s: %d: %s", snapshot->name, rc,
		       kmemblk_error());
	}
}
