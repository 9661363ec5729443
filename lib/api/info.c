/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * info.c - describe a device, open or not.
 *
 * kmemblk_probe() takes no claim, so that a device can be looked at while it is served.  It counts
 * the entries that name a page at that moment; it cannot tell whether two name the same, since a
 * page may move from one block to another during the walk.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <uuid/uuid.h>

#include "io/handle.h"
#include "media/claim.h"
#include "media/guard.h"
#include "media/holder.h"
#include "pages/pages.h"

static void describe(struct kmemblk_info *info, const struct device *device,
		     const struct super *super, enum cow cow)
{
	*info = (struct kmemblk_info){
		.type = super->type->name,
		.media = device_media_name(device->media),
		.check = check_name(super->check),
		.persistence = persistence_name(device->persistence),
		.format_version = LAYOUT_VERSION,
		.page_size = LAYOUT_PAGE_SIZE,
		.generation = super->generation,
		.created = super->created,
		.device_pages = super->device_pages,
		.index_pages = super->index_pages,
		.data_pages = super_data_pages(super),
		.blocks = super->blocks,
		.size_bytes = super->blocks << LAYOUT_PAGE_SHIFT,
		.pages_spare = super->spare_pages,
		.numa_node = device->numa_node,
		.copies_on_write = (int)cow,
	};
	uuid_unparse_lower(super->uuid, info->uuid);
	memcpy(info->label, super->label, sizeof(info->label));
}

void kmemblk_get_info(struct kmemblk *h, struct kmemblk_info *info)
{
	struct pages_count count;

	describe(info, &h->device, &h->super, h->cow);
	info->readonly = h->readonly || atomic_load_explicit(&h->failed, memory_order_relaxed);
	info->pages_used = h->index.used;
	info->entries_damaged = h->index.wild + h->index.unreadable + h->index.twice;
	info->mismatches = atomic_load_explicit(&h->mismatches, memory_order_relaxed);
	if (h->readonly) {
		info->pages_free = info->data_pages - info->pages_used;
		return;
	}
	pages_count(&h->pool, &count);
	info->pages_used = count.used;
	info->pages_free = count.free;
	info->pages_headroom = count.headroom;
	info->pages_quarantined = count.quarantined;
	info->pages_lent = count.lent;
	info->pages_resident = count.resident;
	info->pages_retired = count.retired;
	info->pages_reclaimed = count.reclaimed;
	info->pages_punched = count.punched;
	info->pages_returned = count.returned;
}

/* Data pages with storage.  What is data only in part of a page counts as data. */
static uint64_t count_stored(const struct device *device, const struct super *super)
{
	uint64_t at = super_data_start(super);
	uint64_t limit = at + super_data_pages(super);
	uint64_t start, end, n = 0;

	while (device_next_data(device, at << LAYOUT_PAGE_SHIFT, limit << LAYOUT_PAGE_SHIFT, &start,
				&end)) {
		at = (end + LAYOUT_PAGE_SIZE - 1) >> LAYOUT_PAGE_SHIFT;
		n += at - (start >> LAYOUT_PAGE_SHIFT);
	}
	return n;
}

int kmemblk_probe(const char *path, struct kmemblk_info *info)
{
	struct index_scan scan = { 0 };
	struct index index = { 0 };
	struct device device;
	struct super super;
	uint64_t stored;
	pid_t pid;
	int rc;

	rc = guard_install();
	if (rc == 0)
		rc = device_open(&device, path, true);
	if (rc != 0)
		return rc;
	rc = device_map(&device);
	if (rc == 0)
		rc = super_load(&device, &super);
	if (rc == 0)
		rc = index_open(&index, &device, &super, &scan);
	if (rc != 0)
		goto out;
	describe(info, &device, &super, cow_find(device.fd, device.media, device.size));
	info->pages_used = index.used;
	info->pages_free = info->data_pages - info->pages_used;
	/* A damaged entry may name a page without storage. */
	stored = count_stored(&device, &super);
	info->pages_resident = stored > index.used ? stored - index.used : 0;
	info->entries_damaged = index.wild + index.unreadable;
	if (claim_is_taken(&device))
		info->holder_pid =
			holder_find(&device, &pid, info->holder_name, sizeof(info->holder_name))
				? (int)pid
				: -1;
out:
	index_close(&index);
	device_close(&device);
	return rc;
}
