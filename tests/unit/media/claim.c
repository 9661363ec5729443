/* SPDX-License-Identifier: BSD-3-Clause */
/* claim.c - one writable open of a device, in any process. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "media/claim.h"
#include "media/holder.h"
#include "unit.h"

static void open_it(struct device *device, bool readonly)
{
	ck_assert_msg(device_open(device, unit_device, readonly) == 0, "%s", kmemblk_error());
}

/* Open and claim: what the claim said. */
static int claim(struct device *device, bool readonly)
{
	open_it(device, readonly);
	return claim_take(device);
}

START_TEST(test_writer_excludes_writer_and_reader)
{
	struct device writer, other;
	char name[64];

	unit_make_file(unit_device, 4 * PAGE);
	prctl(PR_SET_NAME, "claimer");
	snprintf(name, sizeof(name), "in use by process %ld (claimer)", (long)getpid());
	ck_assert_int_eq(claim(&writer, false), 0);
	unit_expect_error(claim(&other, false), EBUSY, name);
	device_close(&other);
	unit_expect_error(claim(&other, true), EBUSY, name);
	device_close(&other);
	device_close(&writer);
	/* Given up with the descriptor. */
	ck_assert_int_eq(claim(&other, false), 0);
	device_close(&other);
}
END_TEST

START_TEST(test_readers_share_and_exclude_a_writer)
{
	struct device a, b, writer;

	unit_make_file(unit_device, 4 * PAGE);
	ck_assert_int_eq(claim(&a, true), 0);
	ck_assert_int_eq(claim(&b, true), 0);
	unit_expect_error(claim(&writer, false), EBUSY, "in use by process");
	device_close(&a);
	ck_assert_int_eq(claim_take(&writer), -EBUSY);
	device_close(&b);
	ck_assert_int_eq(claim_take(&writer), 0);
	device_close(&writer);
}
END_TEST

/* A child that claims (or, without `claims`, only keeps what it inherits) until it is killed. */
static pid_t start_child(bool claims)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		struct device device;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "claiming child");
		if (claims && claim(&device, false) != 0)
			_exit(1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void kill_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

START_TEST(test_other_process_is_named_and_its_death_ends_the_claim)
{
	struct device device;
	char words[64];
	pid_t pid;

	unit_make_file(unit_device, 4 * PAGE);
	pid = start_child(true);
	snprintf(words, sizeof(words), "in use by process %ld (claiming child)", (long)pid);
	unit_expect_error(claim(&device, false), EBUSY, words);
	kill_child(pid);
	ck_assert_int_eq(claim_take(&device), 0);
	device_close(&device);
}
END_TEST

START_TEST(test_a_forked_child_keeps_the_claim)
{
	struct device device, other;
	char words[64];
	pid_t pid;

	unit_make_file(unit_device, 4 * PAGE);
	ck_assert_int_eq(claim(&device, false), 0);
	pid = start_child(false);
	device_close(&device);
	/* Named is the child, which lives, not who took the claim. */
	snprintf(words, sizeof(words), "in use by process %ld (claiming child)", (long)pid);
	unit_expect_error(claim(&other, false), EBUSY, words);
	kill_child(pid);
	ck_assert_int_eq(claim_take(&other), 0);
	device_close(&other);
}
END_TEST

/* Whether it is claimed is told apart from who holds it: the latter cannot always be seen. */
static void expect_holder(const struct device *device, pid_t holder)
{
	char name[32] = "";
	pid_t pid = 0;

	ck_assert_int_eq(claim_is_taken(device), holder != 0);
	ck_assert_int_eq(holder_find(device, &pid, name, sizeof(name)), holder != 0);
	ck_assert_int_eq(pid, holder);
	ck_assert_int_eq(name[0] != '\0', holder != 0);
}

START_TEST(test_find_holder_passes_over_the_asking_descriptor)
{
	struct device device, other;

	unit_make_file(unit_device, 4 * PAGE);
	ck_assert_int_eq(claim(&device, false), 0);
	expect_holder(&device, 0);
	open_it(&other, true);
	expect_holder(&other, getpid());
	device_close(&device);
	expect_holder(&other, 0);
	/* A reader's claim is one. */
	ck_assert_int_eq(claim(&device, true), 0);
	expect_holder(&other, getpid());
	device_close(&device);
	device_close(&other);
}
END_TEST

START_TEST(test_borrowed_pages_are_seen_and_do_not_claim)
{
	struct flock lock = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3 * PAGE, .l_len = PAGE
	};
	struct device borrower, device;

	unit_make_file(unit_device, 4 * PAGE);
	open_it(&borrower, false);
	ck_assert_int_eq(fcntl(borrower.fd, F_OFD_SETLK, &lock), 0);
	open_it(&device, true);
	expect_holder(&device, 0);
	device_close(&device);
	ck_assert_int_eq(claim(&device, false), 0);
	unit_expect_error(claim_check_borrowers(&device), EBUSY, "pages of it are used as memory");
	device_close(&borrower);
	ck_assert_int_eq(claim_check_borrowers(&device), 0);
	device_close(&device);
}
END_TEST

UNIT_MAIN("claim", test_writer_excludes_writer_and_reader, test_readers_share_and_exclude_a_writer,
	  test_other_process_is_named_and_its_death_ends_the_claim,
	  test_a_forked_child_keeps_the_claim, test_find_holder_passes_over_the_asking_descriptor,
	  test_borrowed_pages_are_seen_and_do_not_claim)
