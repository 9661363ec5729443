/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bad-borrowers.c - whatever a borrower says or does, the server lives, and nobody else feels it.
 *
 * One honest borrower keeps a pattern in its zones, and a verified load runs on the disk, while
 * others send garbage, speak out of turn, return what is not theirs, ask for more than they may
 * have, lie about what they have, connect a thousand times, stop, do not read, and store beyond their zone.  After each the
 * honest one can still borrow.  Who may connect at all is tried, too, and who may have the socket.
 *
 * What goes wrong is mostly an answer that does not come.  So when the test's time limit ends it, it
 * says where it was.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/random.h"
#include "disk.h"
#include "raw.h"

#define DEVICE_SIZE (64 << 20)
#define LIMIT	    3u /* zones, as below */
#define CONNECTIONS 1000
#define OPEN_FILES  512 /* of the server, at most: fewer than connections */
#define FOREIGN	    77	/* the honest one's pattern */

static const char *const limited[] = { "lend-limit=6M", "lend-mode=0640", "recall-timeout=0.5",
				       NULL };
static const char *const for_others[] = { "lend-allow=uid:54321,gid:54321", NULL };

static struct borrower honest;
static const char *last_part;
static pid_t test;
static void (*clean_up)(int signum);

static void on_time_limit(int signum)
{
	static const char words[] =
		": this was the last that went well, and then nothing happened\n";

	if (getpid() == test && (write(STDERR_FILENO, last_part, strlen(last_part)) == -1 ||
				 write(STDERR_FILENO, words, sizeof words - 1) == -1))
		_exit(EXIT_FAILURE);
	/* What removes the server and its files. */
	clean_up(signum);
}

/* It has what it had, and can still borrow. */
static void check_honest(const char *after)
{
	int rc;

	raw_check(&honest, FOREIGN);
	raw_return(&honest);
	rc = raw_borrow(&honest, RAW_WAIT_MS);
	CHECK(rc == 0, "no zone after %s: %d", after, rc);
	raw_scribble(&honest, FOREIGN);
	server_check_alive();
	last_part = after;
}

/* True if the server has hung up on us, which is all that we may hear from now on. */
static bool hung_up(int fd)
{
	char packet[sizeof(struct lend_message)];
	ssize_t n;

	while ((n = recv(fd, packet, sizeof packet, 0)) > 0)
		;
	close(fd);
	return n == 0 || errno == ECONNRESET;
}

static int new_connection(bool greet)
{
	static struct borrower borrower;

	if (greet) {
		raw_hello(&borrower, server_lend_socket());
		return borrower.fd;
	}
	borrower.fd = packet_connect(server_lend_socket());
	CHECK(borrower.fd != -1, "%m");
	return borrower.fd;
}

/* Bytes of any number, on a new connection: the end of it, at once or with what comes next. */
static void send_bytes(const void *bytes, size_t length, bool greet)
{
	int fd = new_connection(greet);

	CHECK(send(fd, bytes, length, MSG_NOSIGNAL) == (ssize_t)length, "send: %m");
	CHECK(hung_up(fd), "%zu bytes were taken for a message", length);
}

static void send_garbage(void)
{
	static const size_t lengths[] = { 0, 1, 39, 41, 80, 65536 };
	struct lend_message message = { .version = LEND_VERSION + 1, .kind = LEND_HELLO };
	static uint64_t words[LEND_PACKET_MAX / sizeof(uint64_t)];
	uint64_t random = 5;

	for (unsigned int i = 0; i < sizeof words / sizeof words[0]; i++)
		words[i] = random_next(&random);
	for (unsigned int i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		send_bytes(words, lengths[i], false);
		send_bytes(words, lengths[i], true);
	}
	for (unsigned int i = 0; i < 100; i++)
		send_bytes(words + i, sizeof message, i % 2);
	send_bytes(&message, sizeof message, false);
	message.version = LEND_VERSION;
	message.zero = 1;
	send_bytes(&message, sizeof message, false);
	check_honest("garbage");
}

static void speak_out_of_turn(void)
{
	static const uint32_t before_hello[] = {
		LEND_BORROW, LEND_HELD, LEND_RETURNED, LEND_RECALLED, LEND_COPIED, LEND_WELCOME, 0
	};
	static const uint32_t after_hello[] = { LEND_HELLO,  LEND_WELCOME, LEND_RECALLED,
						LEND_RECALL, LEND_STATUS,  LEND_COPIED + 1 };
	int fd;

	for (unsigned int i = 0; i < sizeof before_hello / sizeof before_hello[0]; i++) {
		fd = new_connection(false);
		CHECK(packet_send(fd, before_hello[i], 0, 0) && hung_up(fd), "kind %u",
		      before_hello[i]);
	}
	for (unsigned int i = 0; i < sizeof after_hello / sizeof after_hello[0]; i++) {
		fd = new_connection(true);
		CHECK(packet_send(fd, after_hello[i], 0, 0) && hung_up(fd), "kind %u",
		      after_hello[i]);
	}
	check_honest("messages out of turn");
}

static void return_what_is_not_ours(void)
{
	uint64_t lent = raw_stat(server_lend_socket(), "zones", "lent"), random = 9;
	int fd = new_connection(true);

	for (unsigned int i = 0; i < honest.zones; i++)
		CHECK(packet_send(fd, LEND_HELD, honest.zone[i].offset, 0), "hung up");
	for (unsigned int i = 0; i < honest.zones; i++)
		CHECK(packet_send(fd, LEND_RETURNED, honest.zone[i].offset, 0) &&
			      packet_send(fd, LEND_COPIED, honest.zone[i].offset, 0),
		      "hung up");
	for (unsigned int i = 0; i < 1000; i++)
		CHECK(packet_send(fd, LEND_RETURNED,
				  i % 2 ? random_next(&random) : random_next(&random) << 21, 0),
		      "hung up");
	for (unsigned int i = 0; i < 64; i++)
		CHECK(packet_send(fd, LEND_RETURNED, UINT64_C(1) << i, 0) &&
			      packet_send(fd, LEND_HELD, UINT64_C(1) << i, 0) &&
			      packet_send(fd, LEND_RETURNED, -(UINT64_C(1) << i), 0),
		      "hung up");
	CHECK(raw_stat(server_lend_socket(), "zones", "lent") == lent, "somebody's zone was taken");
	close(fd);
	/* Nor is what is ours, while it is mapped. */
	CHECK(packet_send(honest.fd, LEND_RETURNED, honest.zone[0].offset, 0), "hung up");
	CHECK(raw_stat(server_lend_socket(), "zones", "lent") == lent, "a mapped zone was taken");
	check_honest("returns");
}

static void ask_for_too_much(void)
{
	static struct borrower greedy;

	raw_hello(&greedy, server_lend_socket());
	CHECK(greedy.limit == LIMIT * ZONE_SIZE, "limit %lu", greedy.limit);
	CHECK(raw_borrow_all(&greedy, RAW_WAIT_MS) == -EDQUOT && greedy.zones == LIMIT, "%u zones",
	      greedy.zones);
	raw_return(&greedy);
	CHECK(raw_borrow(&greedy, RAW_WAIT_MS) == 0, "back within the limit");
	while (greedy.zones > 0)
		raw_return(&greedy);
	/* Two questions at once make no sense. */
	CHECK(packet_send(greedy.fd, LEND_BORROW, 0, UINT64_MAX), "hung up");
	close(greedy.fd);
	check_honest("requests over the limit");
}

/* What is called returned and is mapped counts; what is unmapped without a word does not. */
static void lie_about_returns(void)
{
	static struct borrower liar;

	raw_hello(&liar, server_lend_socket());
	CHECK(raw_borrow_all(&liar, RAW_WAIT_MS) == -EDQUOT && liar.zones == LIMIT, "%u zones",
	      liar.zones);
	for (unsigned int i = 0; i < LIMIT; i++)
		CHECK(packet_send(liar.fd, LEND_RETURNED, liar.zone[i].offset, 0), "hung up");
	CHECK(raw_borrow(&liar, 0) == -EDQUOT, "more than the limit is mapped");
	CHECK(munmap(liar.zone[0].memory, ZONE_SIZE) == 0, "munmap: %m");
	CHECK(raw_borrow(&liar, RAW_WAIT_MS) == 0 && raw_borrow(&liar, 0) == -EDQUOT,
	      "one zone has been unmapped");
	for (unsigned int i = 1; i < liar.zones; i++)
		CHECK(munmap(liar.zone[i].memory, ZONE_SIZE) == 0, "munmap: %m");
	close(liar.fd);
	check_honest("lies");
}

static void limit_files(rlim_t count)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "%m");
	limit.rlim_cur = count;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "%lu open files: %m", (unsigned long)count);
}

/* By a process that may have more open files than the server. */
static void connect_often(void)
{
	struct nbd_handle *nbd;
	int made[2], go[2], status;
	char byte;
	pid_t pid;

	CHECK(pipe(made) == 0 && pipe(go) == 0, "pipe: %m");
	pid = process_fork();
	if (pid == 0) {
		limit_files(2 * CONNECTIONS);
		for (unsigned int i = 0; i < CONNECTIONS; i++)
			packet_connect(server_lend_socket());
		if (write(made[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(made[1]);
	CHECK(read(made[0], &byte, 1) == 1, "a thousand connections could not be tried");
	/* The disk's clients still get in, and the honest one is served. */
	nbd = server_connect();
	NBD_CHECK(nbd_flush(nbd, 0));
	server_disconnect(nbd);
	check_honest("a thousand connections");
	CHECK(write(go[1], "x", 1) == 1, "%m");
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "status %#x", status);
	close(made[0]);
	close(go[0]);
	close(go[1]);
}

static void stop_a_borrower(struct nbd_handle *nbd)
{
	static struct borrower borrower;
	pid_t pid = process_fork();

	if (pid == 0) {
		raw_hello(&borrower, server_lend_socket());
		raw_borrow_all(&borrower, RAW_WAIT_MS);
		raise(SIGSTOP);
		_exit(1);
	}
	CHECK(waitpid(pid, NULL, WUNTRACED) == pid, "waitpid: %m");
	check_honest("a borrower's stop");
	CHECK(disk_fill(nbd) > 0, "what is lent was taken");
	disk_trim(nbd, disk.blocks / 2, disk.blocks / 2);
	process_kill(pid);
	check_honest("its end");
}

/* Until the server does not want to talk any more. */
static void never_read(void)
{
	int fd = new_connection(true);
	unsigned int i = 0;

	while (packet_send(fd, LEND_STAT, 0, 0))
		i++;
	CHECK(i > 1, "hung up after %u questions", i);
	close(fd);
	check_honest("a connection that never reads");
}

static void store_beyond(void)
{
	for (int before = 0; before < 2; before++) {
		int status;
		pid_t pid = process_fork();

		if (pid == 0) {
			static struct borrower borrower;
			volatile char *zone;

			raw_hello(&borrower, server_lend_socket());
			CHECK(raw_borrow(&borrower, RAW_WAIT_MS) == 0, "no zone");
			/* As the library does it: nothing of ours is next to it. */
			zone = mmap(NULL, 3 * ZONE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				    0);
			zone = mremap(borrower.zone[0].memory, ZONE_SIZE, ZONE_SIZE,
				      MREMAP_MAYMOVE | MREMAP_FIXED, (char *)zone + ZONE_SIZE);
			CHECK(zone != MAP_FAILED, "mremap: %m");
			zone[0] = zone[ZONE_SIZE - 1] = 1;
			signal(SIGSEGV, SIG_DFL);
			zone[before ? -1 : (long)ZONE_SIZE] = 1;
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
			      WTERMSIG(status) == SIGSEGV,
		      "a stray store did not fault: status %#x", status);
	}
	check_honest("stray stores");
}

/* A second server, of another device, may not have the socket; one that is dead gives it up. */
static void fight_for_socket(void)
{
	char path[128], parameter[160];
	struct stat before, after;
	int rc;

	snprintf(path, sizeof path, "%s.second", server_device());
	snprintf(parameter, sizeof parameter, "lend=%s", server_lend_socket());
	CHECK(stat(server_lend_socket(), &before) == 0, "%m");
	CHECK(S_ISSOCK(before.st_mode) && (before.st_mode & 0777) == 0640, "mode %o",
	      before.st_mode);
	rc = process_run("nbdkit", "-f", "-U", "-", process_built("kmemblk.so"), path, "create=16M",
			 parameter, "--run", "true", (char *)NULL);
	unlink(path);
	CHECK(rc != 0, "two servers have one socket");
	CHECK(stat(server_lend_socket(), &after) == 0 && after.st_ino == before.st_ino,
	      "the socket is another");
	check_honest("a second server");
}

static void refuse_others(void)
{
	int fd;

	server_lends(for_others);
	/* The socket of the server that was killed is in the way. */
	server_start(0, NULL);
	fd = packet_connect(server_lend_socket());
	CHECK(fd == -1 || ((void)packet_send(fd, LEND_STAT, 0, 0), hung_up(fd)),
	      "who is not allowed was let in");
	server_check_alive();
	server_stop(SIGTERM);
}

int main(void)
{
	struct nbd_handle *nbd;
	struct load load;

	last_part = "the beginning";
	limit_files(OPEN_FILES);
	server_lends(limited);
	server_start(DEVICE_SIZE, NULL);
	test = getpid();
	clean_up = signal(SIGTERM, on_time_limit);
	nbd = server_connect();
	disk_init(nbd);
	for (uint64_t block = 0; block < disk.blocks / 4; block++)
		CHECK(disk_write(nbd, block) == 0, "%s", nbd_get_error());
	raw_hello(&honest, server_lend_socket());
	for (unsigned int i = 0; i < 2; i++)
		CHECK(raw_borrow(&honest, RAW_WAIT_MS) == 0, "no zone");
	raw_scribble(&honest, FOREIGN);
	load_start(&load, 0, disk.blocks / 4);
	check_honest("the load's start");

	send_garbage();
	speak_out_of_turn();
	return_what_is_not_ours();
	ask_for_too_much();
	lie_about_returns();
	connect_often();
	stop_a_borrower(nbd);
	never_read();
	store_beyond();
	fight_for_socket();

	load_await(&load, 10);
	load_end(&load);
	disk_verify(nbd);
	raw_check(&honest, FOREIGN);
	server_stop(SIGKILL);
	nbd_close(nbd);
	last_part = "the end";
	refuse_others();
	server_check_device();
	return 0;
}
