/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * perform.c - a change, by the calls of kmemblk-volume.h.
 *
 * The server of a device and who has it idle go through here, so that both do the same and say the same.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "control/perform.h"

struct snapshots {
	const char *volume;
	unsigned int count;
};

static int count_snapshot(void *opaque, const struct kmemblk_volume_info *info)
{
	struct snapshots *snapshots = opaque;
	size_t length = strlen(snapshots->volume);

	snapshots->count +=
		strncmp(info->name, snapshots->volume, length) == 0 && info->name[length] == '@';
	return 0;
}

static int delete_counting(struct kmemblk *h, struct kmemblk_change *change)
{
	struct snapshots snapshots = { .volume = change->names[0] };
	int rc = kmemblk_volume_list(h, count_snapshot, &snapshots);

	if (rc == 0)
		rc = kmemblk_volume_delete(h, change->names[0], change->flags);
	if (rc == 0)
		change->snapshots = snapshots.count;
	return rc;
}

int perform_change(struct kmemblk *h, struct kmemblk_change *change)
{
	const char *const *names = change->names;

	switch (change->kind) {
	case KMEMBLK_CHANGE_CREATE:
		return kmemblk_volume_create(h, names[0], change->size, change->flags);
	case KMEMBLK_CHANGE_DELETE:
		return delete_counting(h, change);
	case KMEMBLK_CHANGE_RENAME:
		return kmemblk_volume_rename(h, names[0], names[1]);
	case KMEMBLK_CHANGE_RESIZE:
		return kmemblk_volume_resize(h, names[0], change->size, change->flags);
	case KMEMBLK_CHANGE_SNAPSHOT:
		return kmemblk_snapshot(h, names, change->count, change->flags);
	case KMEMBLK_CHANGE_CLONE:
		return kmemblk_volume_clone(h, names[0], names[1], change->flags);
	case KMEMBLK_CHANGE_ROLLBACK:
		return kmemblk_volume_rollback(h, names[0], change->flags);
	case KMEMBLK_CHANGE_THIN:
		return kmemblk_volume_set_thin(h, names[0], change->flags != 0);
	case KMEMBLK_CHANGE_KINDS:
		break;
	}
	return fail(EINVAL, "change: unknown kind %u", (unsigned int)change->kind);
}
