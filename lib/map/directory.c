/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * directory.c - which records there are.
 *
 * One entry a volume, and a copy of all of them in other pages, which stands in, for reading, for an entry that
 * cannot be followed.  An entry is set or replaced first, then its copy; it is cleared in the copy first.  Each
 * is drained before the next.  So after a crash an entry that can be followed is right, and 0 beside a copy
 * that is not 0 is damage.  Nothing that either named is reused before both are durable.
 */
#include "config.h"

#include <errno.h>

#include "map/directory.h"
#include "media/crc24.h"
#include "media/guard.h"

uint64_t directory_entry(uint64_t page, unsigned int number)
{
	return layout_pack_entry(page, crc24_place(LAYOUT_FAMILY_RECORD, page, LAYOUT_LEVEL_RECORD,
						   number));
}

uint64_t directory_page(const struct super *super, unsigned int number, bool copy)
{
	return super->directory_start + (copy ? super->directory_pages : 0) +
	       number / LAYOUT_TABLE_ENTRIES;
}

/* Where an entry is. */
static _Atomic uint64_t *find(const struct device *device, const struct super *super,
			      unsigned int number, bool copy)
{
	uint64_t page = directory_page(super, number, copy);

	return (_Atomic uint64_t *)pm_page(&device->pm, page) + number % LAYOUT_TABLE_ENTRIES;
}

/* An entry as it stands on the media; false after a media error. */
static bool load(const struct device *device, const struct super *super, unsigned int number,
		 bool copy, uint64_t *entry)
{
	return guard_read(&device->pm, entry, (const void *)find(device, super, number, copy),
			  sizeof(*entry));
}

uint64_t directory_read(const struct device *device, const struct super *super, unsigned int number,
			bool copy)
{
	uint64_t entry, page;

	if (!load(device, super, number, copy, &entry))
		return DIRECTORY_UNREADABLE;
	if (entry == 0)
		return 0;
	page = layout_entry_page(entry);
	/* Below the data the difference wraps and is huge. */
	if (page - super_data_start(super) >= super_data_pages(super) ||
	    entry != directory_entry(page, number))
		return DIRECTORY_DAMAGED;
	return page;
}

struct putting {
	const struct pm *pm;
	_Atomic uint64_t *at;
	uint64_t entry;
	enum pm_order order;
	int rc;
};

static void put_access(void *opaque)
{
	struct putting *p = opaque;

	(void)pm_swap(p->pm, p->at, p->entry);
	p->rc = pm_flush(p->pm, (const void *)p->at, sizeof(p->entry), p->order);
	pm_drain(p->pm, p->order);
}

static int put(const struct device *device, const struct super *super, unsigned int number,
	       bool copy, uint64_t entry)
{
	struct putting p = {
		.pm = &device->pm,
		.at = find(device, super, number, copy),
		.entry = entry,
		.order = copy ? PM_DIRECTORY_COPY : PM_DIRECTORY,
	};
	struct fault fault;

	return guard_run(p.pm, put_access, &p, &fault) ? p.rc : -EIO;
}

int directory_set(const struct device *device, const struct super *super, unsigned int number,
		  uint64_t page)
{
	uint64_t entry = directory_entry(page, number);
	int rc = put(device, super, number, false, entry);

	return rc == 0 ? put(device, super, number, true, entry) : rc;
}

int directory_clear(const struct device *device, const struct super *super, unsigned int number)
{
	int rc = put(device, super, number, true, 0);

	return rc == 0 ? put(device, super, number, false, 0) : rc;
}

int directory_equalize(const struct device *device, const struct super *super)
{
	int rc = 0;

	for (unsigned int i = 0; rc == 0 && i < directory_size(super); i++) {
		uint64_t entry, copy;

		if (!load(device, super, i, false, &entry) || !load(device, super, i, true, &copy))
			rc = -EIO;
		else if (entry != copy)
			rc = put(device, super, i, true, entry);
	}
	return rc;
}
