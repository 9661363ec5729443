/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - start, watch and end the nbdkit of a C test (see server.h).
 *
 * nbdkit runs with --exit-with-parent, so it cannot outlive the test even if the test is killed;
 * under AddressSanitizer in a build with it, and under valgrind in `make check-valgrind`.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block.h"
#include "process.h"
#include "scale.h"
#include "server.h"

static char folder[64]; /* of the socket and the pid file */
static char device[64]; /* "" until the first server_start() */
static char socket_path[96];
static char pid_file[96];
static char lend_parameter[96];
static const char *const *lend_parameters; /* NULL: it does not lend */
static pid_t server;			   /* 0: none runs */
static pid_t test;			   /* children of the test must not clean up */

void server_lends(const char *const *parameters)
{
	lend_parameters = parameters;
}

const char *server_lend_socket(void)
{
	return lend_parameter + strlen("lend=");
}

/* Left by a server that was killed. */
static void remove_loans(void)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *loans;

	snprintf(path, sizeof path, "%s.loans", device);
	loans = opendir(path);
	while (loans && (entry = readdir(loans)) != NULL)
		unlinkat(dirfd(loans), entry->d_name, 0);
	if (loans)
		closedir(loans);
	rmdir(path);
}

static void clean_up(void)
{
	if (getpid() != test)
		return;
	/* It may be making a loan's file. */
	if (server && kill(server, SIGKILL) == 0)
		waitpid(server, NULL, 0);
	unlink(device);
	remove_loans();
	unlink(socket_path);
	unlink(pid_file);
	unlink(server_lend_socket());
	rmdir(folder);
}

static void on_signal(int signum)
{
	clean_up();
	signal(signum, SIG_DFL);
	raise(signum);
}

static void set_up(void)
{
	test = getpid();
	snprintf(folder, sizeof folder, "/tmp/%s.XXXXXX", program_invocation_short_name);
	CHECK(mkdtemp(folder), "%s: %m", folder);
	snprintf(device, sizeof device, "/dev/shm/%s.%d", program_invocation_short_name, test);
	snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
	snprintf(pid_file, sizeof pid_file, "%s/pid", folder);
	snprintf(lend_parameter, sizeof lend_parameter, "lend=%s/lend", folder);
	atexit(clean_up);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
}

/* The child's part of server_start(): become nbdkit.  `argv` has room for the arguments. */
static void __attribute__((noreturn)) run_nbdkit(char **argv, int argc)
{
	const char *asan = getenv("asan_library");
	char *valgrind[] = { "valgrind", "-q", "--error-exitcode=119" };
	const int words = sizeof valgrind / sizeof *valgrind;

	if (asan && *asan) { /* it must be in nbdkit before a plugin that needs it */
		setenv("LD_PRELOAD", asan, 1);
		setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	}
	if (under_valgrind()) {
		memmove(argv + words, argv, (argc + 1) * sizeof *argv);
		memcpy(argv, valgrind, sizeof valgrind);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_FAILURE);
}

void server_start(uint64_t create, const char *option)
{
	char create_parameter[32];
	char *argv[24] = { "nbdkit", "--exit-with-parent", "-U", socket_path, "-P", pid_file };
	int argc = 6;
	struct stat st;

	if (!device[0])
		set_up();
	CHECK(!server, "a server runs already");
	snprintf(create_parameter, sizeof create_parameter, "create=%" PRIu64, create);
	if (option)
		argv[argc++] = (char *)option;
	argv[argc++] = (char *)process_built("kmemblk.so");
	argv[argc++] = device;
	/* In the folder of the system, where it would stay when the server is killed. */
	argv[argc++] = (char *)"control=none";
	if (create)
		argv[argc++] = create_parameter;
	if (lend_parameters)
		argv[argc++] = lend_parameter;
	for (int i = 0; lend_parameters && lend_parameters[i]; i++)
		argv[argc++] = (char *)lend_parameters[i];
	unlink(pid_file);
	unlink(socket_path);
	server = process_fork();
	if (server == 0)
		run_nbdkit(argv, argc);
	/* nbdkit writes the file once it accepts connections. */
	while (stat(pid_file, &st) == -1 || st.st_size == 0) {
		if (waitpid(server, NULL, WNOHANG) == server) {
			server = 0;
			CHECK(false, "nbdkit did not start");
		}
		usleep(10000);
	}
}

void server_stop(int signum)
{
	pid_t pid = server;
	int status;

	kill(pid, signum);
	CHECK(waitpid(pid, &status, 0) == pid, "waitpid: %m");
	server = 0;
	if (signum != SIGKILL)
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "nbdkit ended with status %#x",
		      status);
}

void server_check_alive(void)
{
	if (waitpid(server, NULL, WNOHANG) == 0)
		return;
	server = 0;
	CHECK(false, "nbdkit is gone");
}

struct nbd_handle *server_connect(void)
{
	struct nbd_handle *nbd = nbd_create();

	CHECK(nbd, "%s", nbd_get_error());
	NBD_CHECK(nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION));
	NBD_CHECK(nbd_connect_unix(nbd, socket_path));
	return nbd;
}

void server_disconnect(struct nbd_handle *nbd)
{
	NBD_CHECK(nbd_shutdown(nbd, 0));
	nbd_close(nbd);
}

void server_check_device(void)
{
	int status = process_run(process_built("tools/kmemblk"), "check", device, (char *)NULL);

	CHECK(status == 0, "kmemblk check ended with status %d: the device is not sound", status);
}

void server_stop_sound(void)
{
	server_stop(SIGTERM);
	server_check_device();
}

const char *server_device(void)
{
	return device;
}

int server_write_block(struct nbd_handle *nbd, uint64_t number, uint64_t version)
{
	char buf[BLOCK_SIZE];

	block_fill(buf, (uint32_t)number, (uint32_t)version);
	return nbd_pwrite(nbd, buf, sizeof(buf), number * BLOCK_SIZE, 0);
}

void server_expect_block(struct nbd_handle *nbd, uint64_t number, uint64_t version)
{
	char buf[BLOCK_SIZE];
	uint64_t got;

	NBD_CHECK(nbd_pread(nbd, buf, sizeof(buf), number * BLOCK_SIZE, 0));
	CHECK(block_version(buf, (uint32_t)number, &got) && got == version,
	      "block %" PRIu64 " has version %" PRIu64 " instead of %" PRIu64, number, got,
	      version);
}
