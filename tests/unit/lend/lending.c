/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lending.c - zones that stay locked are looked at less and less, until somebody wants one.
 *
 * The borrower's side is spoken here, word by word; the descriptor that it is sent holds the lock.
 */
#include "config.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "common/packet.h"
#include "lend/loanfile.h"
#include "unit.h"
#include "common/disk.h"

static _Atomic unsigned int looks;

bool __real_loan_file_is_held(const struct loan_file *file);
bool __wrap_loan_file_is_held(const struct loan_file *file);

bool __wrap_loan_file_is_held(const struct loan_file *file)
{
	looks++;
	return __real_loan_file_is_held(file);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void lend(struct kmemblk *h)
{
	struct kmemblk_lend_options options = {
		.socket = unit_path("lend"), .owner = -1u, .group = -1u, .limit = KMEMBLK_DEFAULT
	};

	ck_assert_msg(kmemblk_lend(h, &options) == 0, "%s", kmemblk_error());
	ck_assert_int_eq(kmemblk_start(h), 0);
}

static struct kmemblk *open_and_lend(void)
{
	struct kmemblk *h;

	unit_format(16 * MIB, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	lend(h);
	return h;
}

/* The descriptor that came with the message, or -1. */
static int hear(int fd, uint32_t kind)
{
	struct lend_message message;
	int received;

	ck_assert_int_eq(packet_receive(fd, &message, sizeof(message), &received), sizeof(message));
	ck_assert_uint_eq(message.kind, kind);
	ck_assert_int_eq(message.status, 0);
	return received;
}

static int become_borrower(void)
{
	int fd = packet_connect(unit_path("lend"));

	ck_assert_int_ne(fd, -1);
	ck_assert(packet_send(fd, LEND_HELLO, 0, 0));
	hear(fd, LEND_WELCOME);
	return fd;
}

static int borrow(int fd)
{
	int zone;

	ck_assert(packet_send(fd, LEND_BORROW, 0, 0));
	zone = hear(fd, LEND_ZONE);
	ck_assert_int_ge(zone, 0);
	return zone;
}

/* And wait until the server has seen it. */
static void go_away(int fd)
{
	looks = 0;
	close(fd);
	AWAIT(looks != 0);
}

static void wait_until_lent(struct kmemblk *h, uint64_t zones)
{
	AWAIT(unit_info(h).pages_lent == zones * 512);
}

START_TEST(test_locked_zones_are_looked_at_less_and_less)
{
	struct kmemblk *h = open_and_lend();
	int fd = become_borrower(), zone = borrow(fd);
	double start;

	go_away(fd);
	start = now();
	looks = 0;
	AWAIT(looks >= 8);
	/*
	 * The first may come at once; then, at the soonest, after 40, 80, 160, 320 ms and three times
	 * 640.  Every 20 ms would be 140.
	 */
	ck_assert(now() - start >= 2.5);
	/* It goes on. */
	close(zone);
	wait_until_lent(h, 0);
	unit_close_clean(h);
}
END_TEST

START_TEST(test_who_wants_one_gets_what_has_become_free)
{
	struct kmemblk *h = open_and_lend();
	int fd = become_borrower(), other = become_borrower(), zone[16];
	unsigned int n;

	/* So many that the other cannot be given others. */
	for (n = 0; n < 7 && unit_info(h).pages_free - unit_info(h).pages_lent > 1100; n++)
		zone[n] = borrow(fd);
	ck_assert_uint_ge(n, 4);
	go_away(fd);
	/* Several for each zone, each time: seldom enough that it does not look just then by itself. */
	AWAIT(looks >= 80);
	/* Nothing says that it has been closed: whoever wants a zone must make the server look. */
	for (unsigned int i = 0; i < n; i++)
		close(zone[i]);
	for (unsigned int i = 0; i < n; i++)
		borrow(other);
	kmemblk_close(h);
}
END_TEST

START_TEST(test_a_full_disk_says_who_has_the_pages)
{
	struct kmemblk_memory_options memory = { .watermark = KMEMBLK_DEFAULT,
						 .user = { .timeout_ms = 50 } };
	uint8_t block[PAGE] = { 1 };
	struct kmemblk *h;
	uint64_t b = 0;
	int rc;

	unit_format(16 * MIB, 0);
	ck_assert_int_eq(kmemblk_open(unit_device, 0, &h), 0);
	ck_assert_msg(kmemblk_set_memory(h, &memory) == 0, "%s", kmemblk_error());
	lend(h);
	borrow(become_borrower());
	do {
		rc = kmemblk_write(disk_of(h), block, PAGE, b++ * PAGE);
	} while (rc == 0 && b < unit_info(h).blocks);
	/* Who does not answer and who declines at once are told of by the same words. */
	unit_expect_error(rc, ENOSPC,
			  ", 512 lent as memory and not given back: end programs that borrow from "
			  "its server (kmemblk stat names them), or trim what is not needed");
	kmemblk_close(h);
}
END_TEST

UNIT_MAIN("lending", test_locked_zones_are_looked_at_less_and_less,
	  test_who_wants_one_gets_what_has_become_free, test_a_full_disk_says_who_has_the_pages)
