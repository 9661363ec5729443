/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loans.c - a zone is lent until its lock is gone, whatever anybody says, and counts against its
 * borrower until then.
 *
 * What holds the lock is the descriptor that the borrower is sent, and his mappings of it.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bare.h"
#include "lend/loans.h"
#include "media/claim.h"

#define COUNT (16u * ZONE_PAGES)
#define SPARE 16u
#define OWNER 3
#define OTHER 4

static struct loans loans;
static unsigned int ended[OTHER + 1];

/* Looks at locks; and what to answer, 0 for the truth. */
static unsigned int looks;
static int locked_rc;

int __real_claim_is_held(const struct device *device, uint64_t offset, uint64_t length);
int __wrap_claim_is_held(const struct device *device, uint64_t offset, uint64_t length);

int __wrap_claim_is_held(const struct device *device, uint64_t offset, uint64_t length)
{
	looks++;
	return locked_rc != 0 ? locked_rc : __real_claim_is_held(device, offset, length);
}

/* No descriptor is to be had. */
static bool no_files;

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);

int __wrap_open(const char *path, int flags, mode_t mode)
{
	errno = EMFILE;
	return no_files ? -1 : __real_open(path, flags, mode);
}

static void on_ended(void *opaque, int owner)
{
	ck_assert_ptr_eq(opaque, &loans);
	ended[owner]++;
}

static void init_loans(void)
{
	ck_assert_int_eq(loans_init(&loans, &bare, on_ended, &loans), 0);
}

static void open_loans(void)
{
	bare_open(COUNT, SPARE, 0);
	bare.keeper.headroom = 0;
	init_loans();
}

static void close_loans(void)
{
	loans_destroy(&loans);
	bare_close();
}

static void expect(uint64_t lent, uint64_t watched, uint64_t unowned)
{
	ck_assert_uint_eq(loans.lent, lent);
	ck_assert_uint_eq(loans.watched, watched);
	ck_assert_uint_eq(loans.unowned, unowned);
	ck_assert_uint_eq(bare.lent.total, lent * ZONE_PAGES);
}

struct borrowed {
	uint64_t offset;
	int fd;
};

static struct borrowed borrow(int owner)
{
	struct borrowed zone;

	ck_assert_int_eq(loans_lend(&loans, owner, &zone.offset, &zone.fd), 0);
	ck_assert_uint_eq(zone.offset % ZONE_BYTES, 0);
	ck_assert_int_ge(zone.fd, 0);
	return zone;
}

START_TEST(test_each_zone_is_locked_by_itself)
{
	struct borrowed a, b;

	open_loans();
	a = borrow(OWNER);
	b = borrow(OTHER);
	expect(2, 0, 0);
	ck_assert_uint_ne(a.offset, b.offset);
	ck_assert_int_eq(claim_is_held(&bare_device, a.offset, ZONE_BYTES), 1);
	ck_assert_int_eq(claim_is_held(&bare_device, b.offset, ZONE_BYTES), 1);
	close(a.fd);
	ck_assert_int_eq(claim_is_held(&bare_device, a.offset, ZONE_BYTES), 0);
	ck_assert_int_eq(claim_is_held(&bare_device, b.offset, ZONE_BYTES), 1);
	close_loans();
}
END_TEST

START_TEST(test_all_that_may_be_lent_and_no_more)
{
	struct borrowed zone;
	uint64_t n = 0;
	int rc;

	open_loans();
	while ((rc = loans_lend(&loans, OWNER, &zone.offset, &zone.fd)) == 0)
		n++;
	ck_assert_int_eq(rc, -ENOMEM);
	ck_assert_uint_ge(n, 13);
	expect(n, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_returned_by_its_owner)
{
	struct borrowed zone;

	open_loans();
	zone = borrow(OWNER);
	close(zone.fd);
	/* Nobody has said so: it may be on its way to him. */
	ck_assert(!loans_look(&loans));
	expect(1, 0, 0);
	loans_returned(&loans, OWNER, zone.offset);
	expect(0, 0, 0);
	ck_assert_uint_eq(ended[OWNER], 1);
	/* Once. */
	loans_returned(&loans, OWNER, zone.offset);
	expect(0, 0, 0);
	ck_assert_uint_eq(ended[OWNER], 1);
	close_loans();
}
END_TEST

START_TEST(test_returned_by_another_is_nothing)
{
	struct borrowed zone;

	open_loans();
	zone = borrow(OWNER);
	close(zone.fd);
	looks = 0;
	loans_returned(&loans, OTHER, zone.offset);
	expect(1, 0, 0);
	ck_assert_uint_eq(looks, 0);
	ck_assert_uint_eq(ended[OWNER] + ended[OTHER], 0);
	close_loans();
}
END_TEST

START_TEST(test_what_is_no_zone_is_nothing)
{
	struct borrowed zone;

	open_loans();
	zone = borrow(OWNER);
	loans_returned(&loans, OWNER, zone.offset + PAGE);
	loans_returned(&loans, OWNER, zone.offset + ZONE_BYTES);
	loans_returned(&loans, OWNER, 0);
	loans_returned(&loans, OWNER, UINT64_MAX);
	loans_returned(&loans, OWNER, -ZONE_BYTES);
	for (unsigned int bit = 0; bit < 64; bit++)
		if (UINT64_C(1) << bit != zone.offset)
			loans_returned(&loans, OWNER, UINT64_C(1) << bit);
	expect(1, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_returned_but_locked_is_still_its_owners)
{
	struct borrowed zone;
	void *memory;

	open_loans();
	zone = borrow(OWNER);
	memory = mmap(NULL, ZONE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, zone.fd,
		      (off_t)zone.offset);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	close(zone.fd);
	loans_returned(&loans, OWNER, zone.offset);
	loans_returned(&loans, OWNER, zone.offset);
	expect(1, 1, 0);
	ck_assert(loans.fresh);
	ck_assert(!loans_look(&loans));
	ck_assert(!loans.fresh);
	expect(1, 1, 0);
	ck_assert_uint_eq(ended[OWNER], 0);
	munmap(memory, ZONE_BYTES);
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	ck_assert_uint_eq(ended[OWNER], 1);
	close_loans();
}
END_TEST

START_TEST(test_owner_gone)
{
	struct borrowed free, held, returned, foreign;

	open_loans();
	free = borrow(OWNER);
	held = borrow(OWNER);
	returned = borrow(OWNER);
	foreign = borrow(OTHER);
	close(free.fd);
	close(foreign.fd);
	loans_returned(&loans, OWNER, returned.offset);
	expect(4, 1, 0);
	loans_owner_gone(&loans, OWNER);
	expect(4, 3, 3);
	ck_assert(loans_look(&loans));
	expect(3, 2, 2);
	/* From anybody it is a reason to look. */
	loans_returned(&loans, OTHER, held.offset);
	expect(3, 2, 2);
	close(held.fd);
	loans_returned(&loans, OTHER, held.offset);
	expect(2, 1, 1);
	close(returned.fd);
	ck_assert(loans_look(&loans));
	/* The other borrower's has been unlocked all the time. */
	expect(1, 0, 0);
	ck_assert_uint_eq(ended[OWNER] + ended[OTHER], 0);
	close_loans();
}
END_TEST

START_TEST(test_neighbours_are_looked_at_together)
{
	struct borrowed zone[12];

	open_loans();
	for (unsigned int i = 0; i < 12; i++) {
		zone[i] = borrow(OWNER);
		ck_assert_uint_eq(zone[i].offset, zone[0].offset + i * ZONE_BYTES);
	}
	loans_owner_gone(&loans, OWNER);
	looks = 0;
	ck_assert(!loans_look(&loans));
	ck_assert_uint_lt(looks, 2 * 12);
	expect(12, 12, 12);
	/* All but two. */
	for (unsigned int i = 0; i < 12; i++)
		if (i != 0 && i != 7)
			close(zone[i].fd);
	ck_assert(loans_look(&loans));
	expect(2, 2, 2);
	ck_assert(loans.loan[zone[0].offset / ZONE_BYTES].lent);
	ck_assert(loans.loan[zone[7].offset / ZONE_BYTES].lent);
	close(zone[0].fd);
	close(zone[7].fd);
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	for (unsigned int i = 0; i < 12; i++)
		close(borrow(OWNER).fd);
	loans_owner_gone(&loans, OWNER);
	looks = 0;
	ck_assert(loans_look(&loans));
	ck_assert_uint_eq(looks, 1);
	expect(0, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_of_an_earlier_server)
{
	struct borrowed zone[3];

	open_loans();
	for (unsigned int i = 0; i < 3; i++)
		zone[i] = borrow(OWNER);
	loans_destroy(&loans);
	init_loans();
	expect(3, 3, 3);
	ck_assert(loans.fresh);
	close(zone[1].fd);
	ck_assert(loans_look(&loans));
	expect(2, 2, 2);
	close_loans();
}
END_TEST

START_TEST(test_what_somebody_has_locked_is_passed_over)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = (off_t)ZONE_BYTES };
	struct borrowed zone;
	int foreign;

	open_loans();
	zone = borrow(OWNER);
	lock.l_start = (off_t)(zone.offset + ZONE_BYTES);
	foreign = open(unit_device, O_RDONLY);
	ck_assert_int_eq(fcntl(foreign, F_OFD_SETLK, &lock), 0);
	zone = borrow(OWNER);
	ck_assert_uint_eq(zone.offset, (uint64_t)lock.l_start + ZONE_BYTES);
	expect(3, 1, 1);
	close(foreign);
	ck_assert(loans_look(&loans));
	expect(2, 0, 0);
	ck_assert_uint_eq(ended[OWNER], 0);
	close_loans();
}
END_TEST

START_TEST(test_write_through_a_descriptor_fails)
{
	char byte = 'x', found;
	struct borrowed zone;

	open_loans();
	zone = borrow(OWNER);
	ck_assert_int_eq(write(zone.fd, &byte, 1), -1);
	ck_assert_int_eq(pread(zone.fd, &found, 1, 0), 1);
	ck_assert_int_ne(found, byte);
	close_loans();
}
END_TEST

START_TEST(test_an_earlier_servers_borrower_says_what_he_holds)
{
	struct borrowed zone;

	open_loans();
	zone = borrow(OWNER);
	/* It is somebody's. */
	ck_assert(!loans_held(&loans, OTHER, zone.offset));
	loans_destroy(&loans);
	init_loans();
	ck_assert(!loans_held(&loans, OTHER, zone.offset + PAGE));
	ck_assert(!loans_held(&loans, OTHER, zone.offset + ZONE_BYTES));
	ck_assert(!loans_held(&loans, OTHER, UINT64_MAX));
	ck_assert(loans_held(&loans, OTHER, zone.offset));
	ck_assert(!loans_held(&loans, OWNER, zone.offset));
	expect(1, 0, 0);
	ended[OTHER] = 0;
	close(zone.fd);
	loans_returned(&loans, OTHER, zone.offset);
	expect(0, 0, 0);
	ck_assert_uint_eq(ended[OTHER], 1);
	close_loans();
}
END_TEST

START_TEST(test_what_cannot_be_asked_is_locked)
{
	struct borrowed zone;

	open_loans();
	zone = borrow(OWNER);
	close(zone.fd);
	locked_rc = -EIO;
	loans_returned(&loans, OWNER, zone.offset);
	expect(1, 1, 0);
	locked_rc = 0;
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_no_descriptor_no_loan)
{
	struct borrowed zone;

	open_loans();
	no_files = true;
	ck_assert_int_eq(loans_lend(&loans, OWNER, &zone.offset, &zone.fd), -EMFILE);
	no_files = false;
	expect(0, 0, 0);
	ck_assert_uint_eq(ended[OWNER], 0);
	borrow(OWNER);
	expect(1, 0, 0);
	close_loans();
}
END_TEST

UNIT_MAIN("loans", test_each_zone_is_locked_by_itself, test_all_that_may_be_lent_and_no_more,
	  test_returned_by_its_owner, test_returned_by_another_is_nothing,
	  test_what_is_no_zone_is_nothing, test_returned_but_locked_is_still_its_owners,
	  test_owner_gone, test_neighbours_are_looked_at_together, test_of_an_earlier_server,
	  test_what_somebody_has_locked_is_passed_over, test_write_through_a_descriptor_fails,
	  test_an_earlier_servers_borrower_says_what_he_holds, test_what_cannot_be_asked_is_locked,
	  test_no_descriptor_no_loan)
