/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check-directory.c - tell what is wrong with the directory, and write one entry anew from the other.
 *
 * An entry and its copy say the same, but for what a crash leaves between the two (directory.c): then the
 * directory is right, and the next start makes the copy equal.  Where one of them is damaged or lost, and the
 * other is an entry whose record is whole, nothing is guessed: both are set to that, in the order in which a
 * change of the directory sets them.  So the one that was found sound is durable before the other can rely on
 * it, for its writer may have been killed before he flushed it; and a crash at any point leaves the damage, or
 * none.
 *
 * Had a crash left the two different before one was damaged, the other may be the older: the volume as it was
 * before a change that nobody was told of, and nothing of that was reused (3).
 *
 * All else is left: two that are damaged, one that is damaged beside 0, which is no volume's or one of a volume
 * that is being deleted, and two that are whole and of different volumes.
 */
#include "config.h"

#include "api/check.h"
#include "base/error.h"
#include "map/directory.h"
#include "map/scan.h"

/* Findings of a kind that are told one by one; the rest are only counted. */
#define FINDINGS_TOLD 100u

/* Count a finding; true if it is to be told. */
static bool counts(uint64_t *count)
{
	return (*count)++ < FINDINGS_TOLD;
}

static int write_anew(struct checking *c, const struct scan_problem *problem)
{
	uint64_t page = directory_page(&c->super, problem->number, problem->copy);
	int rc = check_may_repair(c);

	if (rc != 0)
		return rc;
	/* It may be a hole. */
	rc = device_allocate(&c->device, page << LAYOUT_PAGE_SHIFT, LAYOUT_PAGE_SIZE);
	if (rc != 0)
		return fail_errno(-rc, "repair: %s: storage", c->device.path);
	rc = directory_set(&c->device, &c->super, problem->number, problem->page);
	return rc == 0 ? 0 : fail_errno(-rc, "repair: %s: directory", c->device.path);
}

/* The other one is whole.  True if this one is, too, from now on, or would be with repair. */
static bool mend(struct directory_check *d, const struct scan_problem *problem)
{
	struct checking *c = d->c;

	if (!c->repair) {
		if (counts(&d->correctable))
			check_found(c, KMEMBLK_FINDING_CORRECTABLE,
				    "%s; %s is whole: add --repair to write it anew from there",
				    problem->text, problem->copy ? "the directory's" : "its copy");
		return true;
	}
	if (d->rc == 0)
		d->rc = write_anew(c, problem);
	if (d->rc != 0)
		return false;
	if (counts(&d->corrected))
		check_found(c, KMEMBLK_FINDING_CORRECTED, "%s; written anew from %s", problem->text,
			    problem->copy ? "the directory" : "its copy");
	return true;
}

bool check_directory(void *opaque, const struct scan_problem *problem)
{
	struct directory_check *d = opaque;

	if (problem->unreadable) {
		/* A line is eight entries, and a page 512: the first stands for all. */
		if (d->unreadable++ == 0)
			check_found(
				d->c, KMEMBLK_FINDING_LEFT,
				"%s; clear it (ndctl clear-errors, which zeroes what is bad), and "
				"check again",
				problem->text);
		return false;
	}
	if (problem->page != 0)
		return mend(d, problem);
	if (counts(&d->left))
		check_found(d->c, KMEMBLK_FINDING_LEFT, "%s", problem->text);
	return false;
}

static void tell_more(struct directory_check *d, enum kmemblk_finding_kind kind, uint64_t count,
		      uint64_t told, const char *words)
{
	if (count > told)
		check_found(d->c, kind, "directory: %llu more %s",
			    (unsigned long long)(count - told), words);
}

void check_directory_end(struct directory_check *d)
{
	tell_more(d, KMEMBLK_FINDING_LEFT, d->left, FINDINGS_TOLD, "problems");
	tell_more(d, KMEMBLK_FINDING_LEFT, d->unreadable, 1, "entries behind media errors");
	tell_more(d, KMEMBLK_FINDING_CORRECTABLE, d->correctable, FINDINGS_TOLD,
		  "entries to be written anew");
	tell_more(d, KMEMBLK_FINDING_CORRECTED, d->corrected, FINDINGS_TOLD,
		  "entries written anew");
}
