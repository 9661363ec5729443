/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * advise.c - a program that knows nothing of kmemblk, to be run by `kmemblk run --strict`: its heap is
 * to the kernel's calls as ordinary memory is.
 *
 *   advise memory     madvise(2), mprotect(2) and mlock(2), across a fork
 *   advise locked     mlockall(2), across a fork
 *   advise starting   asks for what the helper must end for, while its heap makes it start
 *   advise namespace  a user namespace of its own; prints what came of that
 *   advise filter     a filter of system calls for all threads
 *   advise prctl      one by prctl(2)
 *   advise fork       children made by syscall(2), by SYS_fork where there is one
 *   advise clone      the same by SYS_clone
 *
 * Exit 0: all was as it must be; 1: it was not, and standard error says what.
 */
#include "config.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/check.h"

#define PAGE  ((size_t)4096)
#define PAGES ((size_t)4096)

static unsigned char *heap;

/* Aligned, of PAGES pages, all 7. */
static void take_heap(void)
{
	CHECK(posix_memalign((void **)&heap, PAGE, PAGES * PAGE) == 0, "no memory");
	memset(heap, 7, PAGES * PAGE);
}

static void check_bytes(size_t page, size_t pages, unsigned char value)
{
	for (size_t i = page * PAGE; i < (page + pages) * PAGE; i++)
		CHECK(heap[i] == value, "byte %zu is %u, not %u", i, heap[i], value);
}

static void await_child(pid_t pid)
{
	int status;

	CHECK(pid != -1, "fork: %m");
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "a child ended with status %#x",
	      status);
}

/* What a load of it would meet: the kernel's answer where the program would get a signal. */
static bool can_be_read(const void *memory)
{
	int fds[2];
	bool can;

	CHECK(pipe(fds) == 0, "pipe: %m");
	can = write(fds[1], memory, 1) == 1;
	CHECK(can || errno == EFAULT, "write: %m");
	close(fds[0]);
	close(fds[1]);
	return can;
}

/* The kernel says in /proc/self/smaps which mappings are locked. */
static bool is_locked(const void *memory)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	bool here = false, locked = false;
	char line[4096];

	CHECK(smaps != NULL, "smaps: %m");
	while (fgets(line, sizeof(line), smaps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)memory && (uintptr_t)memory < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			locked = strstr(line, " lo") != NULL;
	}
	fclose(smaps);
	return locked;
}

/* ---- memory --------------------------------------------------------------------------------- */

static void check_advice(void)
{
	CHECK(madvise(heap + 1000 * PAGE, 600 * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED: %m");
	check_bytes(999, 1, 7);
	check_bytes(1000, 600, 0);
	check_bytes(1600, 1, 7);
	memset(heap + 1000 * PAGE, 7, 600 * PAGE);
	CHECK(madvise(heap + PAGE, PAGE, MADV_FREE) == 0, "MADV_FREE: %m");
	CHECK(madvise(heap, PAGE, MADV_REMOVE) == -1 && errno == EINVAL, "MADV_REMOVE: %m");
	/* Whatever the program itself may do with it now. */
	CHECK(mprotect(heap + 10 * PAGE, PAGE, PROT_NONE) == 0 &&
		      mprotect(heap + 11 * PAGE, PAGE, PROT_READ) == 0,
	      "mprotect: %m");
	CHECK(madvise(heap + 9 * PAGE, 4 * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED: %m");
	check_bytes(9, 1, 0);
	CHECK(!can_be_read(heap + 10 * PAGE), "it can be read after MADV_DONTNEED");
	check_bytes(11, 2, 0);
	CHECK(mprotect(heap + 10 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect: %m");
	check_bytes(10, 1, 0);
	memset(heap, 7, 16 * PAGE);
}

static void check_kept(void)
{
	CHECK(!can_be_read(heap + 100 * PAGE), "a page without access can be read");
	check_bytes(99, 1, 7);
	check_bytes(101, 1, 7);
}

static void test_memory(void)
{
	pid_t pid;

	check_advice();
	CHECK(mprotect(heap + 100 * PAGE, PAGE, PROT_NONE) == 0, "mprotect: %m");
	CHECK(mlock(heap + 200 * PAGE, PAGE) == 0 && is_locked(heap + 200 * PAGE), "mlock: %m");
	pid = fork();
	check_kept();
	if (pid == 0) {
		CHECK(madvise(heap + 300 * PAGE, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED: %m");
		check_bytes(300, 1, 0);
		_exit(0);
	}
	CHECK(is_locked(heap + 200 * PAGE), "a locked page is not locked after a fork");
	await_child(pid);
	check_bytes(300, 1, 7);
	/* By now the copies may be made. */
	usleep(300000);
	check_kept();
	CHECK(is_locked(heap + 200 * PAGE), "a locked page is not locked after a child has ended");
	check_advice();
}

static void test_all_locked(void)
{
	pid_t pid;

	CHECK(mlockall(MCL_CURRENT) == 0 && is_locked(heap), "mlockall: %m");
	pid = fork();
	if (pid == 0)
		_exit(0);
	await_child(pid);
	CHECK(is_locked(heap), "what mlockall() has locked is not locked after a fork");
}

/* ---- one thread, and filters ---------------------------------------------------------------- */

static void check_goes_on(void)
{
	pid_t pid;

	check_bytes(0, PAGES, 7);
	pid = fork();
	if (pid == 0) {
		memset(heap, 8, PAGES * PAGE);
		_exit(0);
	}
	await_child(pid);
	check_bytes(0, PAGES, 7);
	free(heap);
	take_heap();
	check_bytes(0, PAGES, 7);
}

static void test_namespace(void)
{
	printf("%s\n", unshare(CLONE_NEWUSER) == 0 ? "done" : strerror(errno));
	check_goes_on();
}

/* Without --strict.  There is no such namespace, but it might have been one of a user. */
static void test_starting(void)
{
	for (int i = 0; i < 16; i++) {
		unsigned char *memory = malloc(256 * PAGE);

		CHECK(memory != NULL, "no memory");
		memset(memory, 1, 256 * PAGE);
		CHECK(setns(-1, CLONE_NEWUSER) == -1 && errno == EBADF, "setns: %m");
	}
}

static void test_filter(bool by_prctl)
{
	/* getppid() fails, all else goes on. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 4, code };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "prctl: %m");
	if (by_prctl)
		CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "prctl: %m");
	else
		CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
			      &program) == 0,
		      "seccomp: %m");
	CHECK(syscall(SYS_getppid) == -1 && errno == ENOTTY, "there is no filter");
	check_goes_on();
}

/* ---- raw ------------------------------------------------------------------------------------ */

static void test_raw(bool by_fork)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = -1;

		(void)by_fork;
#ifdef SYS_fork
		if (by_fork)
			pid = (pid_t)syscall(SYS_fork);
#endif
		if (pid == -1)
			pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
		if (pid == 0) {
			check_bytes(0, PAGES, 7);
			memset(heap, 8, PAGES * PAGE);
			check_bytes(0, PAGES, 8);
			_exit(0);
		}
		await_child(pid);
		check_bytes(0, PAGES, 7);
	}
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	take_heap();
	if (!strcmp(what, "memory"))
		test_memory();
	else if (!strcmp(what, "locked"))
		test_all_locked();
	else if (!strcmp(what, "starting"))
		test_starting();
	else if (!strcmp(what, "namespace"))
		test_namespace();
	else if (!strcmp(what, "filter") || !strcmp(what, "prctl"))
		test_filter(!strcmp(what, "prctl"));
	else if (!strcmp(what, "fork") || !strcmp(what, "clone"))
		test_raw(!strcmp(what, "fork"));
	else
		CHECK(false, "no such test");
	return 0;
}
