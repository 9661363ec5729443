/* SPDX-License-Identifier: BSD-3-Clause */
/* loans.c - see loans.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loans.h"

static uint64_t zone_of(const struct loans *loans, uint64_t offset)
{
	return ((offset >> LAYOUT_PAGE_SHIFT) - loans->pages->lent.base) >> ZONE_SHIFT;
}

static uint64_t offset_of(const struct loans *loans, uint64_t zone)
{
	return (loans->pages->lent.base + (zone << ZONE_SHIFT)) << LAYOUT_PAGE_SHIFT;
}

int loans_init(struct loans *loans, struct pages *pages)
{
	*loans = (struct loans){ .pages = pages, .zones = pages->lent.zones };
	loans->loan = calloc(loans->zones + 1, sizeof(loans->loan[0]));
	if (loans->loan == NULL)
		return -ENOMEM;
	for (uint64_t zone = 0; zone < loans->zones; zone++) {
		if (pages->lent.count[zone] == 0)
			continue;
		loans->loan[zone] = (struct loan){ true, LOANS_UNOWNED, time(NULL) };
		loans->lent++;
		loans->unowned++;
	}
	return 0;
}

void loans_destroy(struct loans *loans)
{
	free(loans->loan);
	*loans = (struct loans){ 0 };
}

/* A new open file description of the device, with a lock on the zone: the descriptor or -errno. */
static int open_zone(const struct device *device, uint64_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)offset,
		.l_len = (off_t)ZONE_BYTES,
	};
	char self[32];
	int fd, rc = 0;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", device->fd);
	fd = open(self, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) == -1) {
		rc = -errno;
		close(fd);
	}
	return rc == 0 ? fd : rc;
}

/* The zone's free pages go back to the disk.  What else is in it was never lent. */
static void take_back(struct loans *loans, uint64_t zone)
{
	struct pages *pages = loans->pages;
	uint64_t first, n;

	pthread_mutex_lock(&pages->lock);
	while ((n = pageset_first_run(&pages->lent, zone, &first)) > 0) {
		pages->memory.reclaimed += n;
		memory_return(pages, first, n);
	}
	pthread_mutex_unlock(&pages->lock);
	if (loans->loan[zone].owner == LOANS_UNOWNED)
		loans->unowned--;
	loans->loan[zone].lent = false;
	loans->lent--;
}

/* True if it was free and is taken back. */
static bool look(struct loans *loans, uint64_t zone)
{
	if (claim_locked(loans->pages->device, offset_of(loans, zone), ZONE_BYTES) != 0)
		return false;
	take_back(loans, zone);
	return true;
}

int loans_lend(struct loans *loans, int owner, uint64_t *offset, int *fd)
{
	struct pages *pages = loans->pages;
	uint64_t first, zone;
	int rc;

	pthread_mutex_lock(&pages->lock);
	rc = zones_lend(pages, &first);
	pthread_mutex_unlock(&pages->lock);
	if (rc != 0)
		return rc == -ENOSPC ? -ENOMEM : rc;
	*offset = first << LAYOUT_PAGE_SHIFT;
	zone = zone_of(loans, *offset);
	loans->loan[zone] = (struct loan){ true, owner, time(NULL) };
	loans->lent++;
	*fd = open_zone(pages->device, *offset);
	if (*fd < 0) {
		take_back(loans, zone);
		return *fd;
	}
	return 0;
}

static void disown(struct loans *loans, uint64_t zone)
{
	if (look(loans, zone))
		return;
	loans->loan[zone].owner = LOANS_UNOWNED;
	loans->unowned++;
}

bool loans_returned(struct loans *loans, int owner, uint64_t offset)
{
	uint64_t zone = zone_of(loans, offset);

	/* From whoever else it comes, it is a reason to look, and no more. */
	if (offset % ZONE_BYTES != 0 || zone >= loans->zones || !loans->loan[zone].lent)
		return false;
	if (loans->loan[zone].owner == owner) {
		disown(loans, zone);
		return true;
	}
	if (loans->loan[zone].owner == LOANS_UNOWNED)
		look(loans, zone);
	return false;
}

void loans_owner_gone(struct loans *loans, int owner)
{
	for (uint64_t zone = 0; zone < loans->zones; zone++)
		if (loans->loan[zone].lent && loans->loan[zone].owner == owner)
			disown(loans, zone);
}

bool loans_look(struct loans *loans)
{
	bool any = false;

	for (uint64_t zone = 0; loans->unowned > 0 && zone < loans->zones; zone++)
		if (loans->loan[zone].lent && loans->loan[zone].owner == LOANS_UNOWNED)
			any |= look(loans, zone);
	return any;
}
