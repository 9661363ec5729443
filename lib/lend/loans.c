/* SPDX-License-Identifier: BSD-3-Clause */
/* loans.c - see loans.h. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "lend/loans.h"
#include "media/claim.h"
#include "pages/lent.h"
#include "pages/zone.h"

static uint64_t zone_of(const struct loans *loans, uint64_t offset)
{
	return ((offset >> LAYOUT_PAGE_SHIFT) - loans->pool->lent.base) >> ZONE_SHIFT;
}

static uint64_t offset_of(const struct loans *loans, uint64_t zone)
{
	return (loans->pool->lent.base + (zone << ZONE_SHIFT)) << LAYOUT_PAGE_SHIFT;
}

static bool is_watched(const struct loan *loan)
{
	return loan->lent && (loan->owner == LOANS_UNOWNED || loan->returned);
}

static void watch(struct loans *loans, uint64_t zone, bool returned, int owner)
{
	struct loan *loan = &loans->loan[zone];

	loans->watched += !is_watched(loan);
	loans->unowned += owner == LOANS_UNOWNED;
	loans->fresh = true;
	loan->returned = returned;
	loan->owner = owner;
}

int loans_init(struct loans *loans, struct pool *pool, void (*ended)(void *opaque, int owner),
	       void *opaque)
{
	*loans = (struct loans){
		.pool = pool, .zones = pool->lent.zones, .ended = ended, .opaque = opaque
	};
	loans->loan = calloc(loans->zones + 1, sizeof(loans->loan[0]));
	if (loans->loan == NULL)
		return -ENOMEM;
	for (uint64_t zone = 0; zone < loans->zones; zone++) {
		if (pool->lent.count[zone] == 0)
			continue;
		loans->loan[zone] = (struct loan){ .lent = true, .since = time(NULL) };
		loans->lent++;
		watch(loans, zone, false, LOANS_UNOWNED);
	}
	return 0;
}

void loans_destroy(struct loans *loans)
{
	free(loans->loan);
	*loans = (struct loans){ 0 };
}

/* A new open file description of the device: the descriptor or -errno. */
static int open_anew(const struct device *device)
{
	char self[32];
	int fd;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", device->fd);
	fd = open(self, O_RDWR | O_CLOEXEC);
	return fd == -1 ? -errno : fd;
}

int loans_check_open(const struct device *device)
{
	const struct passwd *user;
	char number[16], reason[128];
	int fd = open_anew(device);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (fd != -EACCES && fd != -EPERM)
		return fail(-fd,
			    "start: %s: cannot open it again through /proc/self/fd, as each loan "
			    "must: %s",
			    device->path, strerror_r(-fd, reason, sizeof(reason)));
	user = getpwuid(geteuid());
	snprintf(number, sizeof(number), "%u", geteuid());
	return fail(-fd,
		    "start: %s: cannot lend: the server runs as user %s, who may not write the "
		    "device, as each loan must: to let that user, type: chown %s %s",
		    device->path, user != NULL ? user->pw_name : number,
		    user != NULL ? user->pw_name : number, SHELL_WORD(device->path));
}

/*
 * The borrower gets it by a number, which the program may use for something else of its own by mistake.
 * At the largest position that the file system takes a write(2) fails; a device is not written that way.
 */
static void seek_beyond(int fd)
{
	off_t low = 0, high = INT64_MAX, middle;

	if (lseek(fd, high, SEEK_SET) != -1)
		return;
	while (high - low > 1) {
		middle = low + (high - low) / 2;
		if (lseek(fd, middle, SEEK_SET) != -1)
			low = middle;
		else
			high = middle;
	}
	lseek(fd, low, SEEK_SET);
}

/* The same, with a lock on the zone.  -EAGAIN: somebody else has one. */
static int open_zone(const struct device *device, uint64_t offset)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)offset,
		.l_len = (off_t)ZONE_BYTES,
	};
	int fd = open_anew(device), rc;

	if (fd < 0)
		return fd;
	if (fcntl(fd, F_OFD_SETLK, &lock) == -1) {
		rc = errno == EACCES ? -EAGAIN : -errno;
		close(fd);
		return rc;
	}
	seek_beyond(fd);
	return fd;
}

/* The zone's free pages go back to the disk.  What else is in it was never lent. */
static void take_back(struct loans *loans, uint64_t zone)
{
	struct loan loan = loans->loan[zone];
	struct pool *pool = loans->pool;
	uint64_t first, n;

	pthread_mutex_lock(&pool->lock);
	while ((n = pageset_first_run(&pool->lent, zone, &first)) > 0) {
		pool->keeper.returned += n;
		lent_return_locked(pool, first, n);
	}
	pthread_mutex_unlock(&pool->lock);
	loans->lent--;
	loans->watched -= is_watched(&loan);
	loans->unowned -= loan.owner == LOANS_UNOWNED;
	loans->loan[zone] = (struct loan){ .lent = false };
	if (loan.owner != LOANS_UNOWNED)
		loans->ended(loans->opaque, loan.owner);
}

/* Take back what is free of the zones [zone, zone + n), halved until that is known: mostly, all is. */
static bool look_at(struct loans *loans, uint64_t zone, uint64_t n)
{
	int rc = claim_is_held(loans->pool->device, offset_of(loans, zone), n * ZONE_BYTES);
	bool any;

	if (rc == 0) {
		for (uint64_t i = 0; i < n; i++)
			take_back(loans, zone + i);
		return true;
	}
	if (rc < 0 || n == 1)
		return false;
	any = look_at(loans, zone, n / 2);
	return look_at(loans, zone + n / 2, n - n / 2) || any;
}

/* Take a whole zone from the pool: its number.  0 or -errno. */
static int take_zone(struct loans *loans, int owner, uint64_t *zone)
{
	struct pool *pool = loans->pool;
	uint64_t first;
	int rc;

	pthread_mutex_lock(&pool->lock);
	rc = zone_lend_locked(pool, &first);
	pthread_mutex_unlock(&pool->lock);
	if (rc != 0)
		return rc == -ENOSPC ? -ENOMEM : rc;
	*zone = zone_of(loans, first << LAYOUT_PAGE_SHIFT);
	loans->loan[*zone] = (struct loan){ .lent = true, .owner = owner, .since = time(NULL) };
	loans->lent++;
	return 0;
}

int loans_lend(struct loans *loans, int owner, uint64_t *offset, int *fd)
{
	uint64_t zone;
	int rc;

	do {
		rc = take_zone(loans, owner, &zone);
		if (rc != 0)
			return rc;
		*offset = offset_of(loans, zone);
		*fd = open_zone(loans->pool->device, *offset);
		if (*fd < 0)
			watch(loans, zone, false, LOANS_UNOWNED);
		/* What somebody has locked stays out of the way until he lets go of it. */
	} while (*fd == -EAGAIN);
	if (*fd >= 0)
		return 0;
	take_back(loans, zone);
	return *fd;
}

static bool is_lent(const struct loans *loans, uint64_t offset)
{
	uint64_t zone = zone_of(loans, offset);

	return offset % ZONE_BYTES == 0 && zone < loans->zones && loans->loan[zone].lent;
}

bool loans_held(struct loans *loans, int owner, uint64_t offset)
{
	struct loan *loan;

	if (!is_lent(loans, offset))
		return false;
	loan = &loans->loan[zone_of(loans, offset)];
	if (loan->owner != LOANS_UNOWNED)
		return false;
	loan->owner = owner;
	loan->returned = false;
	loans->unowned--;
	loans->watched--;
	return true;
}

void loans_returned(struct loans *loans, int owner, uint64_t offset)
{
	uint64_t zone = zone_of(loans, offset);

	if (!is_lent(loans, offset))
		return;
	if (loans->loan[zone].owner == owner && !loans->loan[zone].returned)
		watch(loans, zone, true, owner);
	/* From whoever else it comes, it is a reason to look, and no more. */
	if (is_watched(&loans->loan[zone]))
		look_at(loans, zone, 1);
}

void loans_owner_gone(struct loans *loans, int owner)
{
	for (uint64_t zone = 0; zone < loans->zones; zone++)
		if (loans->loan[zone].lent && loans->loan[zone].owner == owner)
			watch(loans, zone, false, LOANS_UNOWNED);
}

bool loans_look(struct loans *loans)
{
	bool any = false;
	uint64_t n;

	loans->fresh = false;
	for (uint64_t zone = 0; loans->watched > 0 && zone < loans->zones; zone += n + 1) {
		for (n = 0; zone + n < loans->zones && is_watched(&loans->loan[zone + n]);)
			n++;
		if (n > 0)
			any |= look_at(loans, zone, n);
	}
	return any;
}
