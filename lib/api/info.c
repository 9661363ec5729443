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
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

#include "base/error.h"
#include "io/volume.h"
#include "map/directory.h"
#include "map/listing.h"
#include "map/scan.h"
#include "media/claim.h"
#include "media/guard.h"
#include "media/holder.h"
#include "pages/pages.h"

static void describe(struct kmemblk_info *info, const struct device *device,
		     const struct super *super, const struct record *record, enum cow cow)
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
		.data_pages = super_data_pages(super),
		.blocks = record->blocks,
		.size_bytes = record->blocks << LAYOUT_PAGE_SHIFT,
		.pages_spare = super->spare_pages,
		.numa_node = device->numa_node,
		.copies_on_write = (int)cow,
	};
	uuid_unparse_lower(super->uuid, info->uuid);
	memcpy(info->label, super->label, sizeof(info->label));
}

/* Reserved pages besides those in use.  A damaged map may name pages that nothing was reserved for. */
static uint64_t reserved_besides(uint64_t reserved, uint64_t in_use)
{
	return reserved > in_use ? reserved - in_use : 0;
}

static void count_views_locked(const struct kmemblk *h, struct kmemblk_info *info)
{
	for (unsigned int i = 0; i < directory_size(&h->super); i++) {
		if (h->volumes[i] == NULL)
			continue;
		if (record_is_snapshot(&h->volumes[i]->map.record))
			info->snapshots++;
		else
			info->volumes++;
	}
}

void kmemblk_get_info(struct kmemblk *h, struct kmemblk_info *info)
{
	struct record none = { .blocks = 0 };
	struct kmemblk_volume *v;
	struct pages_count count;

	pthread_mutex_lock(&h->volumes_lock);
	v = volume_default_locked(h);
	describe(info, &h->device, &h->super, v == NULL ? &none : &v->map.record, h->cow);
	count_views_locked(h, info);
	pthread_mutex_unlock(&h->volumes_lock);
	info->readonly = h->readonly || atomic_load_explicit(&h->pool.frozen, memory_order_relaxed);
	info->pages_used = h->used;
	info->pages_tables = h->tables;
	info->entries_damaged = h->damaged;
	info->mismatches = atomic_load_explicit(&h->mismatches, memory_order_relaxed);
	if (h->readonly) {
		info->pages_free = info->data_pages - h->used - h->tables;
		info->pages_reserved = reserved_besides(h->reserved, h->used + h->tables);
		return;
	}
	pages_count(&h->pool, &count);
	info->pages_used = count.used;
	info->pages_tables = count.tables;
	info->pages_free = count.free;
	info->pages_reserved = count.reserved;
	info->pages_for_tables = count.for_tables;
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

/* Of the volume that is meant where none is named. */
static const struct record *default_record(const struct scan *scan)
{
	static const struct record none;
	const struct record *only = &none;
	unsigned int volumes = 0;

	for (unsigned int i = 0; i < scan->view_count; i++) {
		const struct record *record = &scan->views[i].map.record;

		if (record_is_snapshot(record))
			continue;
		if (record->flags & LAYOUT_RECORD_DEFAULT)
			return record;
		only = record;
		volumes++;
	}
	return volumes == 1 ? only : &none;
}

/* A device that somebody else may have open, and all that it has; to be ended by probe_end() in any case. */
struct probe {
	struct device device;
	struct super super;
	struct scan scan;
	bool is_open;
};

static int probe_begin(struct probe *probe, const char *path)
{
	int rc = guard_install();

	if (rc == 0)
		rc = device_open(&probe->device, path, true);
	if (rc != 0)
		return rc;
	probe->is_open = true;
	rc = device_map(&probe->device);
	if (rc == 0)
		rc = super_load(&probe->device, &probe->super);
	if (rc == 0)
		rc = scan_open(&probe->scan, &probe->device, &probe->super);
	return rc;
}

static void probe_end(struct probe *probe)
{
	scan_free(&probe->scan);
	if (probe->is_open)
		device_close(&probe->device);
}

static void find_holder(const struct device *device, struct kmemblk_info *info)
{
	pid_t pid;

	if (claim_is_taken(device))
		info->holder_pid =
			holder_find(device, &pid, info->holder_name, sizeof(info->holder_name))
				? (int)pid
				: -1;
}

int kmemblk_probe(const char *path, struct kmemblk_info *info)
{
	struct probe probe = { .is_open = false };
	const struct scan *scan = &probe.scan;
	const struct device *device = &probe.device;
	uint64_t stored;
	int rc = probe_begin(&probe, path);

	if (rc != 0)
		goto out;
	describe(info, device, &probe.super, default_record(scan),
		 cow_find(device->fd, device->media, device->size));
	for (unsigned int i = 0; i < scan->view_count; i++) {
		bool snapshot = record_is_snapshot(&scan->views[i].map.record);

		info->snapshots += snapshot;
		info->volumes += !snapshot;
	}
	info->pages_used = scan->used;
	info->pages_tables = scan->tables;
	info->pages_free = info->data_pages - scan->used - scan->tables;
	info->pages_reserved = reserved_besides(scan->reserved, scan->used + scan->tables);
	/* A damaged entry may name a page without storage. */
	stored = count_stored(device, &probe.super);
	if (stored > scan->used + scan->tables + info->pages_reserved)
		info->pages_resident = stored - scan->used - scan->tables - info->pages_reserved;
	info->entries_damaged = scan->problems + scan->wild + scan->unreadable;
	find_holder(device, info);
out:
	probe_end(&probe);
	return rc;
}

int kmemblk_find_media(const char *path, unsigned int flags, const char **media)
{
	enum device_trust trust = flags & KMEMBLK_OPEN_OWNED ? DEVICE_OWNED : DEVICE_ANYBODYS;
	struct device device;
	int rc;

	if (flags & ~KMEMBLK_OPEN_OWNED)
		return fail(EINVAL, "open: %s: unknown flags 0x%x", path, flags);
	rc = device_open_as(&device, path, true, trust);
	if (rc == -ENOENT)
		rc = device_create(&device, path, LAYOUT_PAGE_SIZE, trust);
	if (rc != 0)
		return rc;
	/* Whether a file system is dax shows in the mapping. */
	rc = device_map(&device);
	if (rc == 0)
		*media = device_media_name(device.media);
	device_close(&device);
	return rc;
}

/* Sorted as they are listed; NULL with message. */
static struct listing_entry *list_views(const struct probe *probe)
{
	const struct scan *scan = &probe->scan;
	struct listing_entry *entry = calloc(scan->view_count + 1u, sizeof(entry[0]));

	if (entry == NULL) {
		fail(ENOMEM, "list: %s: out of memory", probe->device.path);
		return NULL;
	}
	for (unsigned int i = 0; i < scan->view_count; i++) {
		const struct scan_view *view = &scan->views[i], *of = view->volume;

		entry[i] = (struct listing_entry){
			.record = &view->map.record,
			.number = view->number,
			.volume_number = listing_place(&view->map.record, view->number,
						       of == NULL ? NULL : &of->number),
			.volume = of == NULL ? NULL : &of->map.record,
			.view = view,
		};
	}
	listing_sort(entry, scan->view_count);
	return entry;
}

static void describe_origin(const struct scan_view *view, char name[LISTING_NAME_SIZE])
{
	const struct scan_view *origin = view->predecessor, *of;

	while (origin != NULL && origin->volume == view)
		origin = origin->predecessor;
	of = origin == NULL ? NULL : origin->volume;
	listing_origin(&view->map.record, origin == NULL ? NULL : &origin->map.record,
		       of == NULL ? NULL : &of->map.record, name);
}

int kmemblk_probe_volumes(const char *path, kmemblk_volume_fn fn, void *opaque)
{
	struct probe probe = { .is_open = false };
	const struct record *meant = NULL;
	struct listing_entry *entry = NULL;
	int rc = probe_begin(&probe, path);

	if (rc == 0) {
		meant = default_record(&probe.scan);
		entry = list_views(&probe);
		rc = entry == NULL ? -ENOMEM : 0;
	}
	for (unsigned int i = 0; rc == 0 && i < probe.scan.view_count; i++) {
		const struct scan_view *view = entry[i].view;
		struct kmemblk_volume_info info;

		volume_describe(&info, entry[i].record, view->used,
				view->owned + view->owned_tables);
		listing_name(entry[i].record, entry[i].volume, info.name);
		describe_origin(view, info.origin);
		info.is_default = entry[i].record == meant;
		rc = fn(opaque, &info);
	}
	free(entry);
	probe_end(&probe);
	return rc;
}
