/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mutants.c - the library with one fault, to see that the fuzz targets find it.
 *
 * The linker puts these functions before the library's (--wrap).  KMEMBLK_MUTANT names the one that
 * is at work; without it all is as ever.
 */
#include "config.h"

#include <errno.h>
#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "io/volume.h"
#include "map/ancestry.h"
#include "map/ownership.h"
#include "map/scan.h"

static bool is(const char *name)
{
	const char *mutant = getenv("KMEMBLK_MUTANT");

	return mutant != NULL && strcmp(mutant, name) == 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

uint32_t __real_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix);
uint32_t __wrap_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix);

/* A block comes out as the one before it, of the same read. */
uint32_t __wrap_pm_read_block(void *dst, const void *src, struct crc24_prefix prefix)
{
	static __thread uint8_t *last;
	uint32_t value = __real_pm_read_block(dst, src, prefix);

	if (last != NULL && last + PAGE == dst && is("read-gives-the-neighbour"))
		memcpy(dst, last, PAGE);
	last = dst;
	return value;
}

int __real_pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
			  struct crc24_prefix prefix, uint32_t *value, enum pm_order order);
int __wrap_pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
			  struct crc24_prefix prefix, uint32_t *value, enum pm_order order);

/* The second block of several gets the check value of the first. */
int __wrap_pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
			  struct crc24_prefix prefix, uint32_t *value, enum pm_order order)
{
	int rc = __real_pm_copy_blocks(pm, dst, src, n, prefix, value, order);

	if (n > 1 && is("check-of-another-block"))
		value[1] = value[0];
	return rc;
}

uint64_t __real_pm_swap(const struct pm *pm, _Atomic uint64_t *word, uint64_t desired);
uint64_t __wrap_pm_swap(const struct pm *pm, _Atomic uint64_t *word, uint64_t desired);

/* A trim passes over each eighth entry. */
uint64_t __wrap_pm_swap(const struct pm *pm, _Atomic uint64_t *word, uint64_t desired)
{
	if ((uintptr_t)word % 64 == 56 && is("trim-forgets"))
		return 0;
	return __real_pm_swap(pm, word, desired);
}

int __real_check_range(const struct kmemblk_volume *v, const char *what, uint64_t count,
		       uint64_t offset);
int __wrap_check_range(const struct kmemblk_volume *v, const char *what, uint64_t count,
		       uint64_t offset);

/* Only the offset is looked at. */
int __wrap_check_range(const struct kmemblk_volume *v, const char *what, uint64_t count,
		       uint64_t offset)
{
	return __real_check_range(v, what, is("read-past-the-end") ? 0 : count, offset);
}

int __real_check_writable(const struct kmemblk_volume *v, const char *what, uint64_t count,
			  uint64_t offset);
int __wrap_check_writable(const struct kmemblk_volume *v, const char *what, uint64_t count,
			  uint64_t offset);

int __wrap_check_writable(const struct kmemblk_volume *v, const char *what, uint64_t count,
			  uint64_t offset)
{
	return __real_check_writable(v, what, is("write-past-the-end") ? 0 : count, offset);
}

void __real_reserve_end(struct pool *pool, uint64_t n, uint64_t committed);
void __wrap_reserve_end(struct pool *pool, uint64_t n, uint64_t committed);

/* A block that got its page is not counted. */
void __wrap_reserve_end(struct pool *pool, uint64_t n, uint64_t committed)
{
	__real_reserve_end(pool, n,
			   committed > 0 && is("reservation-is-lost") ? committed - 1 : committed);
}

/* ---- images ---------------------------------------------------------------------------------- */

enum super_state __real_super_read(const struct device *device, uint64_t page, struct super *super,
				   struct super_verdict *verdict);
enum super_state __wrap_super_read(const struct device *device, uint64_t page, struct super *super,
				   struct super_verdict *verdict);

/* The primary as it would be without what `mutant` does not look at. */
static enum super_state read_without(const struct device *device, struct super *super,
				     struct super_verdict *verdict, uint64_t at, size_t len)
{
	struct device other = *device;
	struct layout_super media;
	uint32_t crc;

	memcpy(&media, device->pm.base, sizeof(media));
	memset((uint8_t *)&media + at, 0, len);
	crc = ~crc32_iscsi((unsigned char *)&media, sizeof(media) - sizeof(crc), ~0u);
	media.crc.raw = htole32(crc);
	other.pm.base = (uint8_t *)&media;
	return __real_super_read(&other, 0, super, verdict);
}

enum super_state __wrap_super_read(const struct device *device, uint64_t page, struct super *super,
				   struct super_verdict *verdict)
{
	enum super_state state = __real_super_read(device, page, super, verdict);

	if (page == 0 && state == SUPER_DAMAGED && is("checksum-unseen"))
		return read_without(device, super, verdict, 0, 0);
	if (page == 0 && state == SUPER_DAMAGED && is("reserved-unseen") &&
	    strstr(verdict->reason, "reserved") != NULL)
		return read_without(device, super, verdict, 176, 4092 - 176);
	return state;
}

int __real_super_load(const struct device *device, struct super *super);
int __wrap_super_load(const struct device *device, struct super *super);

/* An open sees what check sees. */
int __wrap_super_load(const struct device *device, struct super *super)
{
	struct super_verdict verdict;
	int rc = __real_super_load(device, super);

	return rc == -EUCLEAN && __wrap_super_read(device, 0, super, &verdict) == SUPER_SOUND ? 0
											      : rc;
}

bool __real_super_same(const struct super *a, const struct super *b);
bool __wrap_super_same(const struct super *a, const struct super *b);

bool __wrap_super_same(const struct super *a, const struct super *b)
{
	return is("copy-unseen") || __real_super_same(a, b);
}

uint64_t __real_map_table_of(const struct map *map, uint64_t entry, unsigned int level,
			     uint64_t number);
uint64_t __wrap_map_table_of(const struct map *map, uint64_t entry, unsigned int level,
			     uint64_t number);

/* The scan follows a table that is of another place. */
uint64_t __wrap_map_table_of(const struct map *map, uint64_t entry, unsigned int level,
			     uint64_t number)
{
	uint64_t page = layout_entry_page(entry);

	if (is("table-out-of-place-followed") && layout_entry_is_even(entry) &&
	    map_names_data(map, page))
		return page;
	return __real_map_table_of(map, entry, level, number);
}

/* True if blocks of two volumes are on a page. */
static bool is_of_two_volumes(const struct scan *scan, const struct device *device, uint64_t page)
{
	int view = -1;

	for (uint64_t i = scan->page_count - scan->leaves; i < scan->page_count; i++) {
		const uint64_t *entry = (const uint64_t *)pm_page(&device->pm, scan->pages[i].page);

		for (unsigned int j = 0; j < LAYOUT_TABLE_ENTRIES; j++) {
			if (layout_entry_page(entry[j]) != page)
				continue;
			if (view != -1 && view != scan->pages[i].view)
				return true;
			view = scan->pages[i].view;
		}
	}
	return false;
}

int __real_scan_open(struct scan *scan, const struct device *device, const struct super *super);
int __wrap_scan_open(struct scan *scan, const struct device *device, const struct super *super);

int __wrap_scan_open(struct scan *scan, const struct device *device, const struct super *super)
{
	struct super other = *super;
	int rc;

	/* The superblock's copy counts as a data page. */
	if (is("range-one-too-far"))
		other.device_pages++;
	rc = __real_scan_open(scan, device, &other);
	for (unsigned int i = 0; i < scan->view_count && is("shared-counted-twice"); i++)
		if (scan->views[i].predecessor != NULL && scan->views[i].used > 0)
			scan->used++;
	if (is("shared-unseen"))
		scan->named_twice = 0;
	for (uint64_t page = 0; page < super_data_pages(super) && is("volumes-share-unseen");
	     page++)
		if (bitmap_test(scan->twice, page) &&
		    is_of_two_volumes(scan, device, page + super_data_start(super)))
			scan->named_twice--;
	return rc;
}

/* ---- snapshots and clones --------------------------------------------------------------------- */

int __real_ancestry_find(struct scan_view *views, unsigned int count, ancestry_problem_fn problem,
			 void *opaque);
int __wrap_ancestry_find(struct scan_view *views, unsigned int count, ancestry_problem_fn problem,
			 void *opaque);

struct telling {
	ancestry_problem_fn problem;
	void *opaque;
};

static void tell_others(void *opaque, const struct scan_view *view, const char *text)
{
	static const struct {
		const char *mutant, *words;
	} unseen[] = {
		{ "uuids-unseen", " has the uuid of " },
		{ "sequences-unseen", " has the sequence of " },
		{ "origin-gone-unseen", " is not there" },
		{ "origin-differs-unseen", " its origin is not " },
		{ "family-unseen", " its family is not " },
		{ "height-unseen", " is less high " },
		{ "circle-unseen", " came of itself" },
	};
	const struct telling *telling = opaque;

	for (size_t i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++)
		if (is(unseen[i].mutant) && strstr(text, unseen[i].words) != NULL)
			return;
	telling->problem(telling->opaque, view, text);
}

/* A rule is not looked at; or nobody has a predecessor; or who has none has the first, too. */
int __wrap_ancestry_find(struct scan_view *views, unsigned int count, ancestry_problem_fn problem,
			 void *opaque)
{
	struct telling telling = { problem, opaque };
	int rc = __real_ancestry_find(views, count, tell_others, &telling);

	for (unsigned int i = 0; i < count; i++) {
		if (is("predecessor-forgotten"))
			views[i].predecessor = NULL;
		if (is("predecessor-of-another") && i > 0 && views[i].predecessor == NULL &&
		    views[i - 1].predecessor != &views[i])
			views[i].predecessor = &views[i - 1];
	}
	return rc;
}

bool __real_record_read(const struct device *device, uint64_t page, struct record *record,
			struct record_verdict *verdict);
bool __wrap_record_read(const struct device *device, uint64_t page, struct record *record,
			struct record_verdict *verdict);

/* Half of a snapshot is a volume. */
bool __wrap_record_read(const struct device *device, uint64_t page, struct record *record,
			struct record_verdict *verdict)
{
	bool whole = __real_record_read(device, page, record, verdict);
	struct device other = *device;
	struct layout_record media;

	if (whole || !is("half-a-snapshot-unseen") || strstr(verdict->reason, "half") == NULL)
		return whole;
	memcpy(&media, pm_page(&device->pm, page), sizeof(media));
	media.flags.raw = 0;
	media.sequence.raw = 0;
	memset(media.volume, 0, sizeof(media.volume));
	media.crc.raw = htole32(~crc32_iscsi((unsigned char *)&media,
					     (int)offsetof(struct layout_record, crc), ~0u));
	other.pm.base = (uint8_t *)&media;
	return __real_record_read(&other, 0, record, verdict);
}

void __real_volume_set_predecessor(struct kmemblk_volume *v, struct kmemblk_volume *predecessor);
void __wrap_volume_set_predecessor(struct kmemblk_volume *v, struct kmemblk_volume *predecessor);

/* What a volume has is its own, and it changes it. */
void __wrap_volume_set_predecessor(struct kmemblk_volume *v, struct kmemblk_volume *predecessor)
{
	__real_volume_set_predecessor(v, predecessor);
	if (is("shared-changed"))
		atomic_store(&v->map.predecessor, NULL);
}

bool __real_ownership_visit(const struct map *map, const struct map *predecessor,
			    const struct map *successor, const struct ownership_visitor *visitor);
bool __wrap_ownership_visit(const struct map *map, const struct map *predecessor,
			    const struct map *successor, const struct ownership_visitor *visitor);

/* A deletion frees what the successor has, too; or what the predecessor has. */
bool __wrap_ownership_visit(const struct map *map, const struct map *predecessor,
			    const struct map *successor, const struct ownership_visitor *visitor)
{
	return __real_ownership_visit(map, is("frees-the-predecessors") ? NULL : predecessor,
				      is("frees-the-successors") ? NULL : successor, visitor);
}

/* ---- repair ---------------------------------------------------------------------------------- */

int __real_super_write(const struct device *device, uint64_t page, const struct super *super,
		       enum pm_order order);
int __wrap_super_write(const struct device *device, uint64_t page, const struct super *super,
		       enum pm_order order);

/* Repair makes the device a page smaller; or clears the first volume's entry behind the superblock. */
int __wrap_super_write(const struct device *device, uint64_t page, const struct super *super,
		       enum pm_order order)
{
	struct super other = *super;
	int rc;

	if (order == PM_REPAIR_SUPER && is("repair-takes-a-page"))
		other.device_pages--;
	rc = __real_super_write(device, page, &other, order);
	if (order == PM_REPAIR_SUPER && page == 0 && is("repair-takes-an-entry"))
		memset(device->pm.base + PAGE, 0, 8);
	return rc;
}
