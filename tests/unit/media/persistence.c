/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * persistence.c - what a device survives, as far as every machine has it.  The rest needs a kernel
 * with the devices: tests/vm/test-persistence.sh.
 */
#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#include "media/device.h"
#include "unit.h"

START_TEST(test_words)
{
	ck_assert_str_eq(persistence_name(PERSISTENCE_PROCESS), "process");
	ck_assert_str_eq(persistence_name(PERSISTENCE_UNKNOWN), "unknown");
	ck_assert_str_eq(persistence_name(PERSISTENCE_REBOOT), "reboot");
	ck_assert_str_eq(persistence_name(PERSISTENCE_POWER_FAIL), "power-fail");
}
END_TEST

START_TEST(test_known_once_it_is_mapped)
{
	struct device device;

	unit_make_file(unit_device, 4 * PAGE);
	ck_assert_int_eq(device_open(&device, unit_device, true), 0);
	ck_assert_int_eq(device_map(&device), 0);
	ck_assert_int_eq(device.persistence, PERSISTENCE_PROCESS);
	/* The file system says it, and not the media. */
	ck_assert_int_eq(persistence_of(device.fd, PM_FSDAX), PERSISTENCE_PROCESS);
	ck_assert_int_eq(persistence_of(device.fd, PM_FILE), PERSISTENCE_PROCESS);
	device_close(&device);
}
END_TEST

START_TEST(test_file_system_without_a_block_device)
{
	int fd = open("/proc/version", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(persistence_of(fd, PM_FILE), PERSISTENCE_UNKNOWN);
	close(fd);
}
END_TEST

START_TEST(test_what_cannot_be_read_is_unknown)
{
	ck_assert_int_eq(persistence_of(-1, PM_FILE), PERSISTENCE_UNKNOWN);
	ck_assert_int_eq(persistence_of(-1, PM_DEVDAX), PERSISTENCE_UNKNOWN);
}
END_TEST

UNIT_MAIN("persistence", test_words, test_known_once_it_is_mapped,
	  test_file_system_without_a_block_device, test_what_cannot_be_read_is_unknown)
