/* SPDX-License-Identifier: BSD-3-Clause */
/* loans.c - see loans.h. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/error.h"
#include "lend/devloan.h"
#include "lend/loans.h"
#include "media/claim.h"
#include "pages/lent.h"
#include "pages/zone.h"

/* How long nothing is lent after a file could not be made: at first, doubled up to the most. */
#define PAUSE_MS      1000u
#define PAUSE_MOST_MS 64000u
/* When to try again to end a loan, likewise. */
#define RETRY_MS      20u
#define RETRY_MOST_MS 5000u
/*
 * On devdax nothing tells whether the kernel still writes to a page for a process that was killed: so its
 * zones wait.
 */
#define HOLD_BACK_MS 30000u
/* What loans that can be ended at the start may take. */
#define START_MS 1000u

static uint64_t zone_of(const struct loans *loans, uint64_t offset)
{
	return ((offset >> LAYOUT_PAGE_SHIFT) - loans->pool->lent.base) >> ZONE_SHIFT;
}

static uint64_t number_of(const struct loans *loans, const struct loan *loan)
{
	return (uint64_t)(loan - loans->loan);
}

static uint64_t page_of(const struct loans *loans, uint64_t zone)
{
	return loans->pool->lent.base + (zone << ZONE_SHIFT);
}

static uint64_t offset_of(const struct loans *loans, uint64_t zone)
{
	return page_of(loans, zone) << LAYOUT_PAGE_SHIFT;
}

static bool has_files(const struct loans *loans)
{
	return loans->folder.fd != -1;
}

/* ---- owners --------------------------------------------------------------------------------- */

static void own(struct loans *loans, struct loan *loan, struct owner *owner)
{
	LIST_INSERT_HEAD(&owner->loans, loan, of_owner);
	loan->owner = owner;
	if (owner->zones++ == 0)
		atomic_fetch_add_explicit(&loans->pool->lender.borrowers, 1, memory_order_relaxed);
}

static void disown(struct loans *loans, struct loan *loan)
{
	LIST_REMOVE(loan, of_owner);
	if (--loan->owner->zones == 0)
		atomic_fetch_sub_explicit(&loans->pool->lender.borrowers, 1, memory_order_relaxed);
	loan->owner = NULL;
}

/* ---- watching ------------------------------------------------------------------------------- */

/* Not one that is worth a look at once. */
static void keep_watching(struct loans *loans, struct loan *loan)
{
	loan->state = LOAN_WATCHED;
	loans->watched++;
	TAILQ_INSERT_TAIL(&loans->watch, loan, of_watched);
}

static void watch(struct loans *loans, struct loan *loan)
{
	keep_watching(loans, loan);
	loans->fresh = true;
}

static void unwatch(struct loans *loans, struct loan *loan)
{
	loan->state = LOAN_LENT;
	loans->watched--;
	TAILQ_REMOVE(&loans->watch, loan, of_watched);
}

/* Its owner has gone, or has never had it. */
static void leave_unowned(struct loans *loans, struct loan *loan)
{
	disown(loans, loan);
	loans->unowned++;
	if (loan->state == LOAN_LENT)
		watch(loans, loan);
}

static void begin(struct loans *loans, struct loan *loan, struct owner *owner)
{
	*loan = (struct loan){ .state = LOAN_LENT, .file = { .fd = -1 } };
	loans->lent++;
	TAILQ_INSERT_TAIL(&loans->all, loan, of_all);
	if (owner != NULL) {
		own(loans, loan, owner);
		return;
	}
	loans->unowned++;
	watch(loans, loan);
}

/* The zone's free pages go back to the disk.  What else is in it was never lent. */
static void take_back(struct loans *loans, struct loan *loan)
{
	struct pool *pool = loans->pool;

	pthread_mutex_lock(&pool->lock);
	zone_return_locked(pool, page_of(loans, number_of(loans, loan)));
	pthread_mutex_unlock(&pool->lock);
	loans->lent--;
	TAILQ_REMOVE(&loans->all, loan, of_all);
	loans->stuck -= loan->tries > 0;
	if (loan->owner != NULL)
		disown(loans, loan);
	else
		loans->unowned--;
	loan->state = LOAN_NONE;
}

/* ---- ending --------------------------------------------------------------------------------- */

/* On fsdax in the ender's thread: it touches nothing of the loan but its file. */
static int end_file(void *opaque, struct ending *ending)
{
	struct loans *loans = opaque;
	struct loan *loan = (struct loan *)((char *)ending - offsetof(struct loan, ending));
	uint64_t page = page_of(loans, number_of(loans, loan));

	if (has_files(loans))
		return loan_file_end(&loans->folder, page, &loan->file, loan->copied);
	/* Nobody's bytes are to stay there; what cannot be cleared is cleared before it is lent. */
	(void)lent_clear(loans->pool, page, ZONE_PAGES);
	return 0;
}

static void ended_one(void *opaque)
{
	struct loans *loans = opaque;

	loans->options.wake(loans->options.opaque);
}

/* True if it is over. */
static bool ended(struct loans *loans, struct loan *loan)
{
	uint64_t ms = RETRY_MOST_MS;

	if (loan->ending.rc == 0) {
		take_back(loans, loan);
		return true;
	}
	loans->stuck += loan->tries == 0;
	if (loan->tries < 12)
		ms = RETRY_MS << loan->tries;
	loan->tries++;
	loan->look_at = deadline_after(ms < RETRY_MOST_MS ? ms : RETRY_MOST_MS);
	keep_watching(loans, loan);
	return false;
}

/* Its lock is gone.  True if it is over. */
static bool end(struct loans *loans, struct loan *loan)
{
	if (!has_files(loans) && !loan->returned && !loan->held_back) {
		loan->held_back = true;
		loan->look_at = deadline_after(HOLD_BACK_MS);
		return false;
	}
	unwatch(loans, loan);
	if (loans->ender.running) {
		loan->state = LOAN_ENDING;
		loans->ending++;
		ender_put(&loans->ender, &loan->ending);
		return false;
	}
	loan->ending.rc = end_file(loans, &loan->ending);
	return ended(loans, loan);
}

static bool is_held(const struct loans *loans, const struct loan *loan)
{
	if (loan->copied)
		return false;
	if (has_files(loans))
		return loan_file_is_held(&loan->file);
	/* What cannot be told is held. */
	return claim_is_held(loans->pool->device, offset_of(loans, number_of(loans, loan)),
			     ZONE_BYTES) != 0;
}

static bool look_at(struct loans *loans, struct loan *loan)
{
	return deadline_passed(&loan->look_at) && !is_held(loans, loan) && end(loans, loan);
}

bool loans_collect(struct loans *loans)
{
	struct ending *ending;
	bool any = false;

	while (loans->ending > 0 && (ending = ender_take(&loans->ender)) != NULL) {
		loans->ending--;
		any |= ended(loans,
			     (struct loan *)((char *)ending - offsetof(struct loan, ending)));
	}
	return any;
}

bool loans_look(struct loans *loans)
{
	struct loan *loan, *next;
	bool any = loans_collect(loans);

	loans->fresh = false;
	ender_hurry(&loans->ender);
	for (loan = TAILQ_FIRST(&loans->watch); loan != NULL; loan = next) {
		next = TAILQ_NEXT(loan, of_watched);
		any |= look_at(loans, loan);
	}
	return any;
}

/* ---- lending -------------------------------------------------------------------------------- */

/* Take a whole zone from the pool, which is not lent yet.  0 or -errno. */
static int take_zone(struct loans *loans, uint64_t *zone)
{
	struct pool *pool = loans->pool;
	uint64_t first;
	int rc;

	do {
		pthread_mutex_lock(&pool->lock);
		rc = zone_lend_locked(pool, &first);
		pthread_mutex_unlock(&pool->lock);
		if (rc != 0)
			return rc == -ENOSPC ? -ENOMEM : rc;
		*zone = zone_of(loans, first << LAYOUT_PAGE_SHIFT);
		/* One whose file an earlier server's borrower has: that loan has the rest of it now. */
	} while (loans->loan[*zone].state != LOAN_NONE);
	return 0;
}

static const char *why_no_zone(const struct loans *loans)
{
	const struct pool *pool = loans->pool;

	if (pool->device->holes && !pool->keeper.punch)
		return "free pages keep their storage (punch=false)";
	return "all free pages are spare, headroom, or not together in zones yet";
}

/* Nothing is lent for a while: what has failed would fail again. */
static void pause_lending(struct loans *loans, int rc)
{
	loans->pause_ms = loans->pause_ms == 0 ? PAUSE_MS : 2 * loans->pause_ms;
	if (loans->pause_ms > PAUSE_MOST_MS)
		loans->pause_ms = PAUSE_MOST_MS;
	loans->paused_until = deadline_after(loans->pause_ms);
	loans->why =
		rc == -ENOSPC || rc == -EDQUOT	 ? "others have taken the room on its file system"
		: rc == -EMFILE || rc == -ENFILE ? "the server has as many open files as it may"
						 : "the file of a loan cannot be made";
}

/* The file, or on devdax the descriptor, of a zone.  0 or -errno. */
static int give_out(struct loans *loans, struct loan *loan, struct lent_zone *zone)
{
	uint64_t page = page_of(loans, number_of(loans, loan));

	if (!has_files(loans)) {
		zone->start = zone->offset;
		zone->fd = devloan_open(loans->pool->device, zone->offset);
		return zone->fd < 0 ? zone->fd : 0;
	}
	zone->start = 0;
	return loan_file_make(&loans->folder, page, &loan->file, &zone->fd);
}

int loans_lend(struct loans *loans, struct owner *owner, struct lent_zone *zone)
{
	uint64_t number;
	int rc;

	if (!deadline_passed(&loans->paused_until))
		return -ENOMEM;
	loans->why = loans->lent >= loans->options.most ? "lend-most= is lent"
		     : has_files(loans) && loans->lent >= loans->most_files
			     ? "the server has as many open files as it may"
			     : NULL;
	if (loans->why != NULL)
		return loans->lent >= loans->options.most ? -ENOMEM : -EMFILE;
	do {
		rc = take_zone(loans, &number);
		if (rc != 0) {
			loans->why = why_no_zone(loans);
			return rc;
		}
		zone->offset = offset_of(loans, number);
		begin(loans, &loans->loan[number], owner);
		rc = give_out(loans, &loans->loan[number], zone);
		/* What somebody has locked stays out of the way until he lets go of it. */
		if (rc == -EAGAIN)
			leave_unowned(loans, &loans->loan[number]);
	} while (rc == -EAGAIN);
	if (rc == 0) {
		loans->pause_ms = 0;
		return 0;
	}
	take_back(loans, &loans->loan[number]);
	pause_lending(loans, rc);
	return rc == -ENOSPC || rc == -EDQUOT ? -ENOMEM : rc;
}

/* ---- what borrowers say --------------------------------------------------------------------- */

/* NULL: it is not lent. */
static struct loan *find(const struct loans *loans, uint64_t offset)
{
	uint64_t zone = zone_of(loans, offset);

	if (offset % ZONE_BYTES != 0 || zone >= loans->zones ||
	    loans->loan[zone].state == LOAN_NONE)
		return NULL;
	return &loans->loan[zone];
}

bool loans_held(struct loans *loans, struct owner *owner, uint64_t offset)
{
	struct loan *loan = find(loans, offset);

	if (loan == NULL || loan->owner != NULL || loan->state != LOAN_WATCHED)
		return false;
	unwatch(loans, loan);
	loans->unowned--;
	own(loans, loan, owner);
	loan->returned = loan->held_back = false;
	loan->look_at = (struct timespec){ 0 };
	return true;
}

void loans_returned(struct loans *loans, struct owner *owner, uint64_t offset)
{
	struct loan *loan = find(loans, offset);

	if (loan == NULL)
		return;
	if (loan->owner == owner && loan->state == LOAN_LENT) {
		loan->returned = true;
		watch(loans, loan);
	}
	/* From whoever else it comes, it is a reason to look, and no more. */
	if (loan->state == LOAN_WATCHED)
		look_at(loans, loan);
}

void loans_copied(struct loans *loans, struct owner *owner, uint64_t offset)
{
	struct loan *loan = find(loans, offset);

	if (loan == NULL || !has_files(loans) || loan->owner != owner || loan->state != LOAN_LENT)
		return;
	loan->returned = loan->copied = true;
	watch(loans, loan);
	look_at(loans, loan);
}

void loans_owner_gone(struct loans *loans, struct owner *owner)
{
	struct loan *loan;

	while ((loan = LIST_FIRST(&owner->loans)) != NULL)
		leave_unowned(loans, loan);
}

struct owner *loans_audit(struct loans *loans, unsigned int count)
{
	for (unsigned int i = 0; i < count && i < loans->lent; i++) {
		struct loan *loan = TAILQ_FIRST(&loans->all);

		TAILQ_REMOVE(&loans->all, loan, of_all);
		TAILQ_INSERT_TAIL(&loans->all, loan, of_all);
		/* Its borrower's word was lost. */
		if (loan->state == LOAN_LENT && !is_held(loans, loan))
			watch(loans, loan);
		if (has_files(loans) && loan->owner != NULL && loan->state != LOAN_ENDING &&
		    loan_file_has_grown(&loan->file))
			return loan->owner;
	}
	return NULL;
}

/* ---- from a start to an end ----------------------------------------------------------------- */

/* A loan of an earlier server.  What is none of its files stays. */
static void adopt_file(struct loans *loans, const char *name)
{
	struct loan_file file;
	uint64_t page, zone;
	int rc = loan_file_adopt(&loans->folder, name, &file, &page);

	if (rc > 0)
		loan_file_end_foreign(&loans->folder, name);
	if (rc != 0)
		return;
	zone = zone_of(loans, page << LAYOUT_PAGE_SHIFT);
	if (page % ZONE_PAGES != 0 || zone >= loans->zones ||
	    loans->loan[zone].state != LOAN_NONE) {
		loan_file_leave(&file);
		return;
	}
	pthread_mutex_lock(&loans->pool->lock);
	zone_adopt_file_locked(loans->pool, page);
	pthread_mutex_unlock(&loans->pool->lock);
	begin(loans, &loans->loan[zone], NULL);
	loans->loan[zone].file = file;
}

static int adopt_files(struct loans *loans)
{
	int fd = openat(loans->folder.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (folder == NULL) {
		if (fd != -1)
			close(fd);
		return fail_errno(errno, "start: %s: cannot read it", loans->folder.path);
	}
	while ((entry = readdir(folder)) != NULL)
		adopt_file(loans, entry->d_name);
	closedir(folder);
	return 0;
}

static void adopt_zones(struct loans *loans)
{
	for (uint64_t zone = 0; zone < loans->zones; zone++)
		if (loans->pool->lent.count[zone] > 0)
			begin(loans, &loans->loan[zone], NULL);
}

/* Those that nobody has any more. */
static void end_unheld(struct loans *loans)
{
	struct timespec until = deadline_after(START_MS);

	do {
		loans_look(loans);
		if (!loans->ender.running || loans->lent == loans->watched)
			break;
		usleep(1000);
	} while (!deadline_passed(&until));
}

/* Each loan is an open file; so are connections (peers_most()) and the disk's clients. */
static uint64_t files_most(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 2 : UINT64_MAX;
}

static int open_files(struct loans *loans)
{
	int rc = folder_open(&loans->folder, loans->pool->device, loans->options.uuid,
			     loans->options.folder);

	if (rc == 0 && loans->folder.dax)
		rc = ender_start(&loans->ender, loans->pool->device->path);
	if (rc == 0)
		rc = adopt_files(loans);
	return rc;
}

int loans_init(struct loans *loans, struct pool *pool, const struct loans_options *options)
{
	int rc;

	*loans = (struct loans){
		.pool = pool,
		.options = *options,
		.folder = { .fd = -1 },
		.zones = pool->lent.zones,
		.most_files = files_most(),
		.ender = { .end = end_file, .ended = ended_one, .opaque = loans },
	};
	TAILQ_INIT(&loans->watch);
	TAILQ_INIT(&loans->all);
	loans->loan = calloc(loans->zones + 1, sizeof(loans->loan[0]));
	if (loans->loan == NULL)
		return fail(ENOMEM, "start: %s: out of memory for zones", pool->device->path);
	if (pool->device->holes) {
		rc = open_files(loans);
	} else {
		rc = devloan_check(pool->device);
		if (rc == 0)
			adopt_zones(loans);
	}
	/* They are over before the first client comes. */
	if (rc == 0)
		end_unheld(loans);
	else
		loans_destroy(loans);
	return rc;
}

void loans_destroy(struct loans *loans)
{
	struct loan *loan;

	if (loans->loan == NULL)
		return;
	for (loan = TAILQ_FIRST(&loans->all); loan != NULL; loan = TAILQ_NEXT(loan, of_all))
		if (loan->state == LOAN_LENT)
			watch(loans, loan);
	if (has_files(loans))
		end_unheld(loans);
	ender_stop(&loans->ender);
	for (loan = TAILQ_FIRST(&loans->all); loan != NULL; loan = TAILQ_NEXT(loan, of_all))
		loan_file_leave(&loan->file);
	folder_close(&loans->folder);
	free(loans->loan);
	*loans = (struct loans){ .folder = { .fd = -1 } };
}
