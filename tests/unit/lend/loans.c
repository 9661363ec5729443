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
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bare.h"
#include "lend/loans.h"
#include "pages/reclaim.h"

#define COUNT (16u * ZONE_PAGES)
#define SPARE 16u

static struct loans loans;
static struct owner owner, other;

/* Looks at locks; and whether what is asked cannot be told. */
static unsigned int looks;
static bool unknown;

bool __real_loan_file_is_held(const struct loan_file *file);
bool __wrap_loan_file_is_held(const struct loan_file *file);

bool __wrap_loan_file_is_held(const struct loan_file *file)
{
	looks++;
	return unknown || __real_loan_file_is_held(file);
}

/* What making a file fails with; 0: it does not. */
static int make_rc;

int __real_loan_file_make(const struct folder *folder, uint64_t page, struct loan_file *file,
			  int *send);
int __wrap_loan_file_make(const struct folder *folder, uint64_t page, struct loan_file *file,
			  int *send);

int __wrap_loan_file_make(const struct folder *folder, uint64_t page, struct loan_file *file,
			  int *send)
{
	return make_rc != 0 ? make_rc : __real_loan_file_make(folder, page, file, send);
}

/* What ending one fails with. */
static int end_rc;

int __real_loan_file_end(const struct folder *folder, uint64_t page, struct loan_file *file,
			 bool copied);
int __wrap_loan_file_end(const struct folder *folder, uint64_t page, struct loan_file *file,
			 bool copied);

int __wrap_loan_file_end(const struct folder *folder, uint64_t page, struct loan_file *file,
			 bool copied)
{
	return end_rc != 0 ? end_rc : __real_loan_file_end(folder, page, file, copied);
}

static void wake(void *opaque)
{
	(void)opaque;
}

static struct loans_options options = { .uuid = "12345678-1234-1234-1234-123456789abc",
					.most = UINT64_MAX,
					.wake = wake };

static void init_loans(void)
{
	LIST_INIT(&owner.loans);
	LIST_INIT(&other.loans);
	owner.zones = other.zones = 0;
	ck_assert_msg(loans_init(&loans, &bare, &options) == 0, "%s", kmemblk_error());
}

static void open_loans(void)
{
	bare_open(COUNT, SPARE, 0);
	bare.keeper.headroom = 0;
	bare.keeper.punch = true;
	init_loans();
}

/* The device is taken for one without files. */
static void open_devdax_loans(void)
{
	bare_open(COUNT, SPARE, 0);
	bare_device.holes = false;
	bare.keeper.headroom = 0;
	bare.keeper.punch = true;
	init_loans();
}

static void close_loans(void)
{
	loans_destroy(&loans);
	bare_close();
}

/* What a server does that ends and starts again; on devdax it would find the locks at open. */
static void start_again(void)
{
	loans_destroy(&loans);
	bare_close();
	ck_assert_int_eq(bare_try_open(COUNT, SPARE, 0), 0);
	bare.keeper.headroom = 0;
	bare.keeper.punch = true;
	ck_assert_int_eq(reclaim_start(&bare), 0);
	init_loans();
}

static void expect(uint64_t lent, uint64_t watched, uint64_t unowned)
{
	ck_assert_uint_eq(loans.lent, lent);
	ck_assert_uint_eq(loans.watched, watched);
	ck_assert_uint_eq(loans.unowned, unowned);
	ck_assert_uint_eq(bare.lent.total, lent * ZONE_PAGES);
}

static struct lent_zone borrow(struct owner *who)
{
	struct lent_zone zone;

	ck_assert_int_eq(loans_lend(&loans, who, &zone), 0);
	ck_assert_uint_eq(zone.offset % ZONE_BYTES, 0);
	ck_assert_int_ge(zone.fd, 0);
	return zone;
}

static const struct loan_file *file_of(struct lent_zone zone)
{
	return &loans.loan[zone.offset / ZONE_BYTES].file;
}

START_TEST(test_each_zone_is_locked_by_itself)
{
	struct lent_zone a, b;

	open_loans();
	a = borrow(&owner);
	b = borrow(&other);
	expect(2, 0, 0);
	ck_assert_uint_ne(a.offset, b.offset);
	ck_assert(loan_file_is_held(file_of(a)) && loan_file_is_held(file_of(b)));
	close(a.fd);
	ck_assert(!loan_file_is_held(file_of(a)) && loan_file_is_held(file_of(b)));
	close_loans();
}
END_TEST

START_TEST(test_all_that_may_be_lent_and_no_more)
{
	struct lent_zone zone;
	uint64_t n = 0;
	int rc;

	open_loans();
	while ((rc = loans_lend(&loans, &owner, &zone)) == 0)
		n++;
	ck_assert_int_eq(rc, -ENOMEM);
	ck_assert_uint_ge(n, 13);
	expect(n, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_returned_by_its_owner)
{
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	close(zone.fd);
	/* Nobody has said so: it may be on its way to him. */
	ck_assert(!loans_look(&loans));
	expect(1, 0, 0);
	loans_returned(&loans, &owner, zone.offset);
	expect(0, 0, 0);
	ck_assert_uint_eq(owner.zones, 0);
	/* Once. */
	loans_returned(&loans, &owner, zone.offset);
	expect(0, 0, 0);
	ck_assert_uint_eq(owner.zones, 0);
	close_loans();
}
END_TEST

START_TEST(test_returned_by_another_is_nothing)
{
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	close(zone.fd);
	looks = 0;
	loans_returned(&loans, &other, zone.offset);
	expect(1, 0, 0);
	ck_assert_uint_eq(looks, 0);
	ck_assert_uint_eq(owner.zones, 1);
	close_loans();
}
END_TEST

START_TEST(test_what_is_no_zone_is_nothing)
{
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	loans_returned(&loans, &owner, zone.offset + PAGE);
	loans_returned(&loans, &owner, zone.offset + ZONE_BYTES);
	loans_returned(&loans, &owner, 0);
	loans_returned(&loans, &owner, UINT64_MAX);
	loans_returned(&loans, &owner, -ZONE_BYTES);
	for (unsigned int bit = 0; bit < 64; bit++)
		if (UINT64_C(1) << bit != zone.offset)
			loans_returned(&loans, &owner, UINT64_C(1) << bit);
	expect(1, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_returned_but_locked_is_still_its_owners)
{
	struct lent_zone zone;
	void *memory;

	open_loans();
	zone = borrow(&owner);
	memory = mmap(NULL, ZONE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, zone.fd,
		      (off_t)zone.start);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	close(zone.fd);
	loans_returned(&loans, &owner, zone.offset);
	loans_returned(&loans, &owner, zone.offset);
	expect(1, 1, 0);
	ck_assert(loans.fresh);
	ck_assert(!loans_look(&loans));
	ck_assert(!loans.fresh);
	expect(1, 1, 0);
	ck_assert_uint_eq(owner.zones, 1);
	munmap(memory, ZONE_BYTES);
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	ck_assert_uint_eq(owner.zones, 0);
	close_loans();
}
END_TEST

START_TEST(test_owner_gone)
{
	struct lent_zone free, held, returned, foreign;

	open_loans();
	free = borrow(&owner);
	held = borrow(&owner);
	returned = borrow(&owner);
	foreign = borrow(&other);
	close(free.fd);
	close(foreign.fd);
	loans_returned(&loans, &owner, returned.offset);
	expect(4, 1, 0);
	loans_owner_gone(&loans, &owner);
	expect(4, 3, 3);
	ck_assert(loans_look(&loans));
	expect(3, 2, 2);
	/* From anybody it is a reason to look. */
	loans_returned(&loans, &other, held.offset);
	expect(3, 2, 2);
	close(held.fd);
	loans_returned(&loans, &other, held.offset);
	expect(2, 1, 1);
	close(returned.fd);
	ck_assert(loans_look(&loans));
	/* The other borrower's has been unlocked all the time. */
	expect(1, 0, 0);
	ck_assert(owner.zones == 0 && other.zones == 1);
	close_loans();
}
END_TEST

START_TEST(test_only_what_is_watched_is_looked_at)
{
	struct lent_zone zone[12];

	open_loans();
	for (unsigned int i = 0; i < 12; i++)
		zone[i] = borrow(i % 2 != 0 ? &owner : &other);
	loans_owner_gone(&loans, &owner);
	looks = 0;
	ck_assert(!loans_look(&loans));
	ck_assert_uint_eq(looks, 6);
	expect(12, 6, 6);
	close(zone[3].fd);
	ck_assert(loans_look(&loans));
	expect(11, 5, 5);
	ck_assert_int_eq(loans.loan[zone[3].offset / ZONE_BYTES].state, LOAN_NONE);
	close_loans();
}
END_TEST

START_TEST(test_of_an_earlier_server)
{
	struct lent_zone zone[3];

	open_loans();
	for (unsigned int i = 0; i < 3; i++)
		zone[i] = borrow(&owner);
	close(zone[2].fd);
	start_again();
	expect(2, 2, 2);
	close(zone[1].fd);
	ck_assert(loans_look(&loans));
	expect(1, 1, 1);
	close(zone[0].fd);
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_what_somebody_has_locked_is_passed_over)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = (off_t)ZONE_BYTES };
	struct lent_zone zone;
	int foreign;

	open_devdax_loans();
	zone = borrow(&owner);
	lock.l_start = (off_t)(zone.offset + ZONE_BYTES);
	foreign = open(unit_device, O_RDONLY);
	ck_assert_int_eq(fcntl(foreign, F_OFD_SETLK, &lock), 0);
	zone = borrow(&owner);
	ck_assert_uint_eq(zone.offset, (uint64_t)lock.l_start + ZONE_BYTES);
	expect(3, 1, 1);
	close(foreign);
	ck_assert(!loans_look(&loans));
	/* Its end tells nothing of why, so the zone waits. */
	expect(3, 1, 1);
	ck_assert_uint_eq(owner.zones, 2);
	close_loans();
}
END_TEST

START_TEST(test_write_through_a_descriptor_fails)
{
	char byte = 'x', found;
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	ck_assert_int_eq(write(zone.fd, &byte, 1), -1);
	ck_assert_int_eq(pread(zone.fd, &found, 1, 0), 1);
	ck_assert_int_ne(found, byte);
	close_loans();
}
END_TEST

START_TEST(test_an_earlier_servers_borrower_says_what_he_holds)
{
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	/* It is somebody's. */
	ck_assert(!loans_held(&loans, &other, zone.offset));
	start_again();
	ck_assert(!loans_held(&loans, &other, zone.offset + PAGE));
	ck_assert(!loans_held(&loans, &other, zone.offset + ZONE_BYTES));
	ck_assert(!loans_held(&loans, &other, UINT64_MAX));
	ck_assert(loans_held(&loans, &other, zone.offset));
	ck_assert(!loans_held(&loans, &owner, zone.offset));
	expect(1, 0, 0);
	ck_assert_uint_eq(other.zones, 1);
	close(zone.fd);
	loans_returned(&loans, &other, zone.offset);
	expect(0, 0, 0);
	ck_assert_uint_eq(other.zones, 0);
	close_loans();
}
END_TEST

START_TEST(test_what_cannot_be_asked_is_locked)
{
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	close(zone.fd);
	unknown = true;
	loans_returned(&loans, &owner, zone.offset);
	expect(1, 1, 0);
	unknown = false;
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	close_loans();
}
END_TEST

/* The pause is over. */
static void resume(void)
{
	loans.paused_until = (struct timespec){ 0 };
}

START_TEST(test_no_file_no_loan)
{
	struct lent_zone zone;

	open_loans();
	make_rc = -EMFILE;
	ck_assert_int_eq(loans_lend(&loans, &owner, &zone), -EMFILE);
	expect(0, 0, 0);
	ck_assert_uint_eq(owner.zones, 0);
	ck_assert_ptr_ne(loans.why, NULL);
	/* It would fail again, so it waits, and longer each time. */
	make_rc = 0;
	ck_assert_int_eq(loans_lend(&loans, &owner, &zone), -ENOMEM);
	make_rc = -ENOSPC;
	resume();
	ck_assert_int_eq(loans_lend(&loans, &owner, &zone), -ENOMEM);
	ck_assert_uint_eq(loans.pause_ms, 2000);
	make_rc = 0;
	resume();
	borrow(&owner);
	ck_assert_uint_eq(loans.pause_ms, 0);
	ck_assert_ptr_eq(loans.why, NULL);
	expect(1, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_what_cannot_be_ended_is_still_its_owners)
{
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	close(zone.fd);
	end_rc = -EINTR;
	loans_returned(&loans, &owner, zone.offset);
	expect(1, 1, 0);
	ck_assert(loans.stuck == 1 && owner.zones == 1);
	end_rc = 0;
	/* Not at once. */
	ck_assert(!loans_look(&loans));
	loans.loan[zone.offset / ZONE_BYTES].look_at = (struct timespec){ 0 };
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	ck_assert(loans.stuck == 0 && owner.zones == 0);
	close_loans();
}
END_TEST

START_TEST(test_no_more_in_all_than_is_allowed)
{
	struct lent_zone zone;

	options.most = 2;
	open_loans();
	zone = borrow(&owner);
	borrow(&other);
	ck_assert_int_eq(loans_lend(&loans, &owner, &zone), -ENOMEM);
	ck_assert_str_eq(loans.why, "lend-most= is lent");
	options.most = UINT64_MAX;
	close_loans();
}
END_TEST

START_TEST(test_a_copied_zone_is_back_while_it_is_mapped)
{
	struct lent_zone zone;
	uint8_t *memory;

	open_loans();
	zone = borrow(&owner);
	memory = mmap(NULL, ZONE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, zone.fd, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	memset(memory, 7, ZONE_BYTES);
	loans_copied(&loans, &other, zone.offset);
	expect(1, 0, 0);
	loans_copied(&loans, &owner, zone.offset);
	expect(0, 0, 0);
	for (unsigned int i = 0; i < ZONE_BYTES; i++)
		ck_assert_uint_eq(memory[i], 7);
	close_loans();
}
END_TEST

START_TEST(test_a_file_that_grows_is_seen)
{
	struct lent_zone zone;

	open_loans();
	zone = borrow(&owner);
	borrow(&other);
	ck_assert_ptr_eq(loans_audit(&loans, 9), NULL);
	ck_assert_int_eq(fallocate(zone.fd, FALLOC_FL_KEEP_SIZE, ZONE_BYTES, 2 * ZONE_BYTES), 0);
	/* One at a time, in turn. */
	ck_assert_ptr_eq(loans_audit(&loans, 1), &owner);
	ck_assert_ptr_eq(loans_audit(&loans, 1), NULL);
	close_loans();
}
END_TEST

START_TEST(test_on_devdax_an_unclean_end_is_waited_out)
{
	struct lent_zone clean, killed;

	open_devdax_loans();
	clean = borrow(&owner);
	killed = borrow(&owner);
	ck_assert_uint_eq(killed.start, killed.offset);
	close(clean.fd);
	loans_returned(&loans, &owner, clean.offset);
	expect(1, 0, 0);
	close(killed.fd);
	loans_owner_gone(&loans, &owner);
	ck_assert(!loans_look(&loans));
	expect(1, 1, 1);
	loans.loan[killed.offset / ZONE_BYTES].look_at = (struct timespec){ 0 };
	ck_assert(loans_look(&loans));
	expect(0, 0, 0);
	close_loans();
}
END_TEST

START_TEST(test_what_is_mapped_no_more_is_found_without_a_word)
{
	struct lent_zone kept, lost;

	open_loans();
	kept = borrow(&owner);
	lost = borrow(&owner);
	close(lost.fd);
	ck_assert(!loans_look(&loans));
	ck_assert_ptr_null(loans_audit(&loans, 1));
	ck_assert_ptr_null(loans_audit(&loans, 1));
	ck_assert(loans_look(&loans));
	expect(1, 0, 0);
	close(kept.fd);
	close_loans();
}
END_TEST

UNIT_MAIN("loans", test_each_zone_is_locked_by_itself, test_all_that_may_be_lent_and_no_more,
	  test_returned_by_its_owner, test_returned_by_another_is_nothing,
	  test_what_is_no_zone_is_nothing, test_returned_but_locked_is_still_its_owners,
	  test_owner_gone, test_only_what_is_watched_is_looked_at, test_of_an_earlier_server,
	  test_what_somebody_has_locked_is_passed_over, test_write_through_a_descriptor_fails,
	  test_an_earlier_servers_borrower_says_what_he_holds, test_what_cannot_be_asked_is_locked,
	  test_no_file_no_loan, test_what_cannot_be_ended_is_still_its_owners,
	  test_no_more_in_all_than_is_allowed, test_a_copied_zone_is_back_while_it_is_mapped,
	  test_a_file_that_grows_is_seen, test_what_is_mapped_no_more_is_found_without_a_word,
	  test_on_devdax_an_unclean_end_is_waited_out)
