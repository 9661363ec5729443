/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * unit.c - see unit.h.
 *
 * The suite runs in a child, so that the folder can be removed also after a crash or a signal.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"
#include "common/disk.h"

#define PATH_SIZE 200

char unit_device[PATH_SIZE];
static char folder[PATH_SIZE / 2];

/* ---- running -------------------------------------------------------------------------------- */

static volatile pid_t suite_pid;

static void end_suite(int sig)
{
	kill(suite_pid, sig);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void no_device(void)
{
	unlink(unit_device);
}

static int run_suite(const char *name, const TTest *const *tests, size_t count)
{
	Suite *suite = suite_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	for (size_t i = 0; i < count; i++) {
		TCase *tcase = tcase_create(tests[i]->name);

		tcase_add_checked_fixture(tcase, no_device, NULL);
		/* The program has a limit of its own, which is to come first: it cleans up. */
		tcase_set_timeout(tcase, 1800);
		tcase_add_test(tcase, tests[i]);
		suite_add_tcase(suite, tcase);
	}
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}

int unit_run_in(const char *where, const char *name, const TTest *const *tests, size_t count)
{
	int status = 0;

	snprintf(folder, sizeof(folder), "%s/kmemblk-unit.XXXXXX", where);
	if (mkdtemp(folder) == NULL) {
		perror(folder);
		return 99;
	}
	snprintf(unit_device, sizeof(unit_device), "%s/device", folder);
	suite_pid = fork();
	if (suite_pid == 0) {
		setpgid(0, 0);
		exit(run_suite(name, tests, count));
	}
	signal(SIGINT, end_suite);
	signal(SIGTERM, end_suite);
	while (waitpid(suite_pid, &status, 0) == -1 && errno == EINTR)
		;
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (WIFSIGNALED(status))
		fprintf(stderr, "%s: ended by signal %d\n", name, WTERMSIG(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int unit_run(const char *name, const TTest *const *tests, size_t count)
{
	struct statfs fs;

	if (statfs("/dev/shm", &fs) == -1 || fs.f_type != TMPFS_MAGIC) {
		fprintf(stderr, "%s: skipped: /dev/shm is no tmpfs\n", name);
		return 77;
	}
	return unit_run_in("/dev/shm", name, tests, count);
}

const char *unit_path(const char *name)
{
	static char paths[8][PATH_SIZE];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, PATH_SIZE, "%s/%s", folder, name);
	return path;
}

bool unit_faults_work(void)
{
	bool work = !WITH_TSAN && !under_valgrind();

	if (!work)
		fprintf(stderr, "one case is left out: no faults under this tool\n");
	return work;
}

/* ---- devices -------------------------------------------------------------------------------- */

void unit_format_with(const struct kmemblk_format_options *options)
{
	ck_assert_msg(kmemblk_format(unit_device, options) == 0, "%s", kmemblk_error());
}

void unit_format(uint64_t bytes, unsigned int flags)
{
	unit_format_with(&(struct kmemblk_format_options){ .create_size = bytes, .flags = flags });
}

struct kmemblk *unit_open(unsigned int flags)
{
	struct kmemblk *h = NULL;

	ck_assert_msg(kmemblk_open(unit_device, flags, &h) == 0, "%s", kmemblk_error());
	ck_assert_msg(kmemblk_start(h) == 0, "%s", kmemblk_error());
	return h;
}

struct kmemblk *unit_make(uint64_t bytes)
{
	unit_format(bytes, 0);
	return unit_open(0);
}

struct kmemblk *unit_open_memory(const struct kmemblk_memory_options *options)
{
	struct kmemblk *h = NULL;

	ck_assert_msg(kmemblk_open(unit_device, 0, &h) == 0, "%s", kmemblk_error());
	ck_assert_msg(kmemblk_set_memory(h, options) == 0, "%s", kmemblk_error());
	ck_assert_msg(kmemblk_start(h) == 0, "%s", kmemblk_error());
	return h;
}

struct kmemblk_info unit_info(struct kmemblk *h)
{
	struct kmemblk_info info;

	kmemblk_get_info(h, &info);
	return info;
}

void unit_fill(uint8_t *block, uint64_t number)
{
	uint64_t word = number * 0x9e3779b97f4a7c15ull + 1;

	for (size_t i = 0; i < PAGE; i += sizeof(word), word = word * 6364136223846793005ull + 1)
		memcpy(block + i, &word, sizeof(word));
}

bool unit_is(const uint8_t *block, uint64_t number)
{
	uint8_t expected[PAGE];

	unit_fill(expected, number);
	return memcmp(block, expected, PAGE) == 0;
}

bool unit_is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

void unit_write(struct kmemblk *h, uint64_t block, uint64_t number)
{
	uint8_t bytes[PAGE];

	unit_fill(bytes, number);
	ck_assert_msg(kmemblk_write(disk_of(h), bytes, PAGE, block * PAGE) == 0, "%s",
		      kmemblk_error());
}

void unit_expect(struct kmemblk *h, uint64_t block, uint64_t number)
{
	uint8_t bytes[PAGE];

	ck_assert_msg(kmemblk_read(disk_of(h), bytes, PAGE, block * PAGE) == 0, "%s",
		      kmemblk_error());
	ck_assert_msg(unit_is(bytes, number), "block %llu is not number %llu",
		      (unsigned long long)block, (unsigned long long)number);
}

void unit_expect_zero(struct kmemblk *h, uint64_t block)
{
	uint8_t bytes[PAGE];

	ck_assert_msg(kmemblk_read(disk_of(h), bytes, PAGE, block * PAGE) == 0, "%s",
		      kmemblk_error());
	ck_assert_msg(unit_is_zero(bytes, PAGE), "block %llu is not zero",
		      (unsigned long long)block);
}

struct findings {
	char text[16384];
	size_t used;
};

static void note_finding(void *opaque, enum kmemblk_finding_kind kind, const char *text)
{
	static const char *const kinds[] = { "note", "corrected", "correctable", "left" };
	struct findings *findings = opaque;
	size_t room = sizeof(findings->text) - findings->used;
	int n = snprintf(findings->text + findings->used, room, "%s: %s\n", kinds[kind], text);

	findings->used += (size_t)n < room ? (size_t)n : room - 1;
}

const char *unit_check(unsigned int flags, struct kmemblk_check_result *result)
{
	static struct findings findings;
	struct kmemblk_check_options options = { .flags = flags,
						 .finding = note_finding,
						 .finding_opaque = &findings };

	findings.used = 0;
	findings.text[0] = '\0';
	ck_assert_msg(kmemblk_check(unit_device, &options, result) == 0, "%s", kmemblk_error());
	return findings.text;
}

void unit_expect_clean(void)
{
	struct kmemblk_check_result result;

	ck_assert_str_eq(unit_check(0, &result), "");
	ck_assert_uint_eq(result.correctable + result.left + result.corrected, 0);
}

void unit_close_clean(struct kmemblk *h)
{
	kmemblk_close(h);
	unit_expect_clean();
}

void unit_expect_error(int rc, int err, const char *words)
{
	ck_assert_msg(rc == -err, "%d instead of %d: %s", rc, -err, kmemblk_error());
	ck_assert_msg(strstr(kmemblk_error(), words) != NULL, "\"%s\" is not in: %s", words,
		      kmemblk_error());
}

/* ---- the file behind ------------------------------------------------------------------------ */

void unit_poke(uint64_t at, const void *bytes, size_t len)
{
	int fd = open(unit_device, O_WRONLY | O_CLOEXEC);

	ck_assert(pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
	close(fd);
}

void unit_peek(uint64_t at, void *bytes, size_t len)
{
	int fd = open(unit_device, O_RDONLY | O_CLOEXEC);

	ck_assert(pread(fd, bytes, len, (off_t)at) == (ssize_t)len);
	close(fd);
}

void unit_poke_number(uint64_t at, unsigned int width, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> (8 * i));
	unit_poke(at, bytes, width);
}

uint64_t unit_peek_number(uint64_t at, unsigned int width)
{
	uint8_t bytes[8];
	uint64_t value = 0;

	unit_peek(at, bytes, width);
	for (unsigned int i = 0; i < width; i++)
		value |= (uint64_t)bytes[i] << (8 * i);
	return value;
}

void unit_seal(uint64_t page)
{
	uint8_t bytes[PAGE];

	unit_peek(page * PAGE, bytes, PAGE);
	unit_poke_number(page * PAGE + 4092, 4, unit_crc32c(bytes, 4092));
}

void unit_make_file(const char *path, uint64_t bytes)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	ck_assert(fd != -1);
	ck_assert(ftruncate(fd, (off_t)bytes) == 0);
	close(fd);
}

uint64_t unit_storage(const char *path)
{
	struct stat st;

	ck_assert(stat(path, &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}

void unit_copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	uint8_t bytes[PAGE];
	ssize_t n;

	ck_assert(in != -1 && out != -1);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		ck_assert(write(out, bytes, (size_t)n) == n);
	close(in);
	close(out);
}

bool unit_same_file(const char *a, const char *b)
{
	FILE *file_a = fopen(a, "re"), *file_b = fopen(b, "re");
	uint8_t bytes_a[PAGE], bytes_b[PAGE];
	size_t n;
	bool same = true;

	ck_assert(file_a != NULL && file_b != NULL);
	do {
		n = fread(bytes_a, 1, PAGE, file_a);
		same = fread(bytes_b, 1, PAGE, file_b) == n && memcmp(bytes_a, bytes_b, n) == 0;
	} while (same && n > 0);
	fclose(file_a);
	fclose(file_b);
	return same;
}

uint32_t unit_crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

/* ---- processes ------------------------------------------------------------------------------ */

unsigned int unit_count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

int unit_in_child(void (*fn)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		fn();
		_exit(0);
	}
	ck_assert(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}
