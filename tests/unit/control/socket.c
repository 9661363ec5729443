/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * socket.c - what is said on a control socket: each request does what its call does, and is refused by name if
 * anything of it is not known; whatever a client sends, or does not, others are answered; what a server answers is
 * believed only if it makes sense.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/listen.h"
#include "common/packet.h"
#include "control/message.h"
#include "control/usual.h"
#include "unit.h"

static struct kmemblk *h;
static struct kmemblk_control *control;
static char path[160];

static void serve(void)
{
	snprintf(path, sizeof(path), "%s", unit_path("control"));
	h = unit_make(16 * MIB);
	ck_assert_int_eq(kmemblk_control_make(h, path, &control), 0);
	ck_assert_int_eq(kmemblk_control_start(control), 0);
}

static void end(void)
{
	struct stat st;

	kmemblk_control_close(control);
	ck_assert_int_eq(lstat(path, &st), -1);
	unit_close_clean(h);
}

static int connected(void)
{
	struct sockaddr_un address = packet_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* All until the end of the connection. */
static void hear(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while ((n = recv(fd, text + length, size - 1 - length, 0)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(fd);
}

/* What is answered to these bytes. */
static const char *answer_to(const char *bytes, size_t length)
{
	static char text[4096];
	int fd = connected();

	ck_assert_int_eq(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
	hear(fd, text, sizeof(text));
	return text;
}

static void expect(const char *request, const char *words)
{
	const char *answer = answer_to(request, strlen(request));

	ck_assert_msg(strstr(answer, words) != NULL, "%s: %s", request, answer);
}

/* ---- requests ------------------------------------------------------------------------------- */

static int change(enum kmemblk_change_kind kind, const char *a, const char *b, uint64_t size,
		  unsigned int flags)
{
	const char *names[] = { a, b };
	struct kmemblk_change made = { .kind = kind,
				       .names = names,
				       .count = b == NULL ? 1 : 2,
				       .size = size,
				       .flags = flags };
	int rc = kmemblk_change(path, &made);

	return rc == 0 ? (int)made.snapshots : rc;
}

static int list_names(void *opaque, const struct kmemblk_volume_info *info)
{
	char *names = opaque;

	sprintf(names + strlen(names), "%s:%llu:%s ", info->name,
		(unsigned long long)info->size_bytes / PAGE, info->origin);
	return 0;
}

static void expect_volumes(const char *wanted)
{
	char names[1024] = "", own[1024] = "";

	ck_assert_int_eq(kmemblk_list(path, list_names, names), 0);
	ck_assert_int_eq(kmemblk_volume_list(h, list_names, own), 0);
	ck_assert_str_eq(names, own);
	ck_assert_str_eq(strchr(names, ' ') + 1, wanted);
}

START_TEST(test_each_call_does_what_it_says)
{
	serve();
	ck_assert_int_eq(change(KMEMBLK_CHANGE_CREATE, "a", NULL, 8 * PAGE, 0), 0);
	ck_assert_int_eq(
		change(KMEMBLK_CHANGE_CREATE, "b", NULL, 2 * PAGE, KMEMBLK_VOLUME_PREALLOC), 0);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_SNAPSHOT, "a@1", "b@1", 0, 0), 0);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_SNAPSHOT, "a@2", NULL, 0, 0), 0);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_RESIZE, "a", NULL, 16 * PAGE, 0), 0);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_CLONE, "b@1", "c", 0, 0), 0);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_RENAME, "c", "d", 0, 0), 0);
	expect_volumes("a:16: a@1:8: a@2:8: b:2: b@1:2: d:2:b@1 ");
	unit_expect_error(change(KMEMBLK_CHANGE_ROLLBACK, "a@1", NULL, 0, 0), EEXIST,
			  "volume a has younger snapshots: 2");
	ck_assert_int_eq(change(KMEMBLK_CHANGE_ROLLBACK, "a@1", NULL, 0, KMEMBLK_VOLUME_FORCE), 0);
	unit_expect_error(change(KMEMBLK_CHANGE_DELETE, "a", NULL, 0, 0), EBUSY,
			  "has snapshots: 1");
	ck_assert_int_eq(change(KMEMBLK_CHANGE_DELETE, "a", NULL, 0, KMEMBLK_VOLUME_RECURSIVE), 1);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_DELETE, "d", NULL, 0, 0), 0);
	expect_volumes("b:2: b@1:2: ");
	/* What is in a name is for the call to judge. */
	unit_expect_error(change(KMEMBLK_CHANGE_DELETE, "\xff\"\n", NULL, 0, 0), ENOENT,
			  "there is no volume ?\"?; there are:");
	end();
}
END_TEST

START_TEST(test_what_is_open_is_not_taken_away)
{
	struct kmemblk_volume *volume;

	serve();
	ck_assert_int_eq(change(KMEMBLK_CHANGE_CREATE, "a", NULL, 8 * PAGE, 0), 0);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_SNAPSHOT, "a@1", NULL, 0, 0), 0);
	ck_assert_int_eq(kmemblk_volume_open(h, "a", &volume), 0);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_ROLLBACK, "a@1", NULL, 0, 0), -EBUSY);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_RESIZE, "a", NULL, PAGE, 0), -EBUSY);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_DELETE, "a", NULL, 0, KMEMBLK_VOLUME_RECURSIVE),
			 -EBUSY);
	ck_assert_int_eq(change(KMEMBLK_CHANGE_RESIZE, "a", NULL, 9 * PAGE, 0), 0);
	kmemblk_volume_close(volume);
	end();
}
END_TEST

START_TEST(test_a_wrong_change_is_not_sent)
{
	const char *names[65] = { "a", "b" };
	struct kmemblk_change wrong[] = {
		{ .kind = KMEMBLK_CHANGE_KINDS, .names = names, .count = 1 },
		{ .kind = KMEMBLK_CHANGE_CREATE, .names = names, .count = 2, .size = PAGE },
		{ .kind = KMEMBLK_CHANGE_CREATE, .names = names, .count = 1, .flags = 4 },
		{ .kind = KMEMBLK_CHANGE_RENAME, .names = names, .count = 1 },
		{ .kind = KMEMBLK_CHANGE_RENAME, .names = names, .count = 2, .flags = 1 },
		{ .kind = KMEMBLK_CHANGE_SNAPSHOT, .names = names, .count = 0 },
		{ .kind = KMEMBLK_CHANGE_SNAPSHOT, .names = names, .count = 65 },
	};

	snprintf(path, sizeof(path), "/nonexistent");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_int_eq(kmemblk_change(path, &wrong[i]), -EINVAL);
}
END_TEST

#define V "{\"version\":1,\"call\":"

static const struct {
	const char *request, *words;
} nonsense[] = {
	{ "\n", "the request is no JSON object" },
	{ "hello\n", "no JSON object" },
	{ "[1]\n", "no JSON object" },
	{ "{\"version\":1\n", "no JSON object" },
	{ V "\"list\"} {}\n", "no JSON object" },
	{ V "'list'}\n", "no JSON object" },
	{ V "\"list\",\"a\":[[[[[[1]]]]]]}\n", "no JSON object" },
	{ "{\"call\":\"list\"}\n", "says no version" },
	{ "{\"version\":-1,\"call\":\"list\"}\n", "says no version" },
	{ "{\"version\":2,\"call\":\"list\"}\n",
	  "version 2 was asked for, and this server speaks 1" },
	{ "{\"version\":1}\n", "says no call" },
	{ V "7}\n", "says no call" },
	{ V "\"format\"}\n", "knows no call \\\"format\\\"" },
	{ V "\"list\",\"name\":\"a\"}\n", "list: this server knows no member \\\"name\\\"" },
	{ V "\"list\",\"device\":1}\n", "list: its member \\\"device\\\" must be a text" },
	{ V "\"list\",\"device\":\"file 0:0 1\"}\n", "\"errno\":18,\"message\":\"control: " },
	{ V "\"create\",\"name\":\"a\"}\n", "create: its member \\\"size\\\" must be a number" },
	{ V "\"create\",\"name\":\"a\",\"size\":-4096}\n", "must be a number of bytes" },
	{ V "\"create\",\"name\":\"a\",\"size\":\"4096\"}\n", "must be a number of bytes" },
	{ V "\"create\",\"name\":\"a\",\"size\":4096.0}\n", "must be a number of bytes" },
	{ V "\"create\",\"name\":\"a\",\"size\":99999999999999999999}\n", "\"errno\":22" },
	{ V "\"create\",\"name\":\"a\",\"size\":4096,\"prealloc\":1}\n", "must be true or false" },
	{ V "\"create\",\"name\":\"a\",\"size\":4096,\"force\":true}\n",
	  "create: this server knows no member \\\"force\\\"" },
	{ V "\"create\",\"name\":\"a\\u0000b\",\"size\":4096}\n", "\\\"name\\\" must be a name" },
	{ V "\"create\",\"size\":4096}\n", "\\\"name\\\" must be a name" },
	{ V "\"rename\",\"name\":\"kmem0\",\"new_name\":null}\n",
	  "\\\"new_name\\\" must be a name" },
	{ V "\"snapshot\",\"names\":\"kmem0@1\"}\n", "must be a list of 1 to 64 names" },
	{ V "\"snapshot\",\"names\":[]}\n", "must be a list of 1 to 64 names" },
	{ V "\"snapshot\",\"names\":[\"kmem0@1\",2]}\n", "must be a list of 1 to 64 names" },
};

START_TEST(test_a_request_that_is_not_understood_changes_nothing)
{
	static const char nul[] = V "\"create\",\"name\":\"a\",\"size\":4096}\0}\n";

	serve();
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++)
		expect(nonsense[i].request, nonsense[i].words);
	ck_assert_ptr_nonnull(strstr(answer_to(nul, sizeof(nul) - 1), "no JSON object"));
	expect_volumes("");
	expect(V "\"create\",\"name\":\"a\",\"size\":4096,\"prealloc\":false}\n",
	       "{\"version\":1,\"result\":{}}\n");
	end();
}
END_TEST

/* ---- clients -------------------------------------------------------------------------------- */

START_TEST(test_a_request_that_is_cut_is_not_done)
{
	static const char request[] = V "\"create\",\"name\":\"a\",\"size\":4096}\n";

	serve();
	for (size_t length = 0; length < sizeof(request) - 1; length++) {
		char text[256];
		int fd = connected();

		ck_assert_int_eq(send(fd, request, length, MSG_NOSIGNAL), (ssize_t)length);
		shutdown(fd, SHUT_WR);
		hear(fd, text, sizeof(text));
		ck_assert_str_eq(text, "");
	}
	expect_volumes("");
	expect(request, "\"result\"");
	end();
}
END_TEST

/* What would be one, behind too much that means nothing. */
START_TEST(test_a_request_has_a_limit)
{
	static const char request[] = V "\"create\",\"name\":\"a\",\"size\":4096}\n";
	size_t length = REQUEST_MOST + sizeof(request) - 1, sent = 0;
	char *text = malloc(length), rest[256];
	ssize_t n;
	int fd;

	serve();
	memset(text, ' ', REQUEST_MOST);
	memcpy(text + REQUEST_MOST, request, sizeof(request) - 1);
	fd = connected();
	while (sent < length && (n = send(fd, text + sent, length - sent, MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	hear(fd, rest, sizeof(rest));
	ck_assert_str_eq(rest, "");
	free(text);
	expect_volumes("");
	end();
}
END_TEST

/* Each byte by itself. */
START_TEST(test_a_request_may_come_in_parts)
{
	static const char request[] = V "\"create\",\"name\":\"a\",\"size\":4096}\n";
	char text[256];
	int fd;

	serve();
	fd = connected();
	for (size_t i = 0; i < sizeof(request) - 1; i++)
		ck_assert_int_eq(send(fd, request + i, 1, MSG_NOSIGNAL), 1);
	hear(fd, text, sizeof(text));
	ck_assert_str_eq(text, "{\"version\":1,\"result\":{}}\n");
	expect_volumes("a:1: ");
	end();
}
END_TEST

/* Connections that say nothing, and such that do not take what they are told: more than there are places. */
START_TEST(test_many_clients_keep_nobody_out)
{
	enum { MANY = 300 };
	static const char request[] = V "\"list\"}\n";
	int fds[MANY];

	serve();
	for (unsigned int i = 0; i < MANY; i++) {
		fds[i] = connected();
		if (i % 3 == 1)
			ck_assert_int_eq(send(fds[i], "{", 1, MSG_NOSIGNAL), 1);
		if (i % 3 == 2)
			ck_assert_int_eq(send(fds[i], request, sizeof(request) - 1, MSG_NOSIGNAL),
					 sizeof(request) - 1);
		expect_volumes("");
	}
	ck_assert_int_eq(change(KMEMBLK_CHANGE_CREATE, "a", NULL, PAGE, 0), 0);
	for (unsigned int i = 0; i < MANY; i++)
		close(fds[i]);
	expect_volumes("a:1: ");
	end();
}
END_TEST

/* Until it is told that it waits no longer, and nobody waits for it. */
START_TEST(test_a_client_that_stops_is_hung_up_on)
{
	char text[256];
	int fd;

	serve();
	fd = connected();
	ck_assert_int_eq(send(fd, "{", 1, MSG_NOSIGNAL), 1);
	expect_volumes("");
	hear(fd, text, sizeof(text));
	ck_assert_str_eq(text, "");
	end();
}
END_TEST

START_TEST(test_who_waits_at_the_end_is_let_go)
{
	char text[256];
	int fd;

	serve();
	fd = connected();
	expect_volumes("");
	end();
	hear(fd, text, sizeof(text));
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_no_descriptor_is_left)
{
	unsigned int before = unit_count_descriptors();

	serve();
	for (unsigned int i = 0; i < 20; i++)
		expect("nonsense\n", "no JSON object");
	ck_assert_int_eq(change(KMEMBLK_CHANGE_CREATE, "a", NULL, PAGE, 0), 0);
	end();
	ck_assert_uint_eq(unit_count_descriptors(), before);
}
END_TEST

/* ---- a server that is none ------------------------------------------------------------------ */

static struct listener listener;
static const char *said;

/* Takes a line and says what it is told to. */
static void *pretend(void *opaque)
{
	char line[4096];
	size_t length = 0;
	int fd = accept(listener.fd, NULL, NULL);

	while (length == 0 || line[length - 1] != '\n')
		length += (size_t)recv(fd, line + length, sizeof(line) - length, 0);
	send(fd, said, strlen(said), MSG_NOSIGNAL);
	close(fd);
	return opaque;
}

static int ignore(void *opaque, const struct kmemblk_volume_info *info)
{
	(void)info;
	++*(unsigned int *)opaque;
	return 0;
}

static void believe(const char *what, int err, const char *words)
{
	unsigned int count = 0;
	pthread_t thread;

	said = what;
	ck_assert_int_eq(pthread_create(&thread, NULL, pretend, NULL), 0);
	unit_expect_error(kmemblk_list(path, ignore, &count), err, words);
	ck_assert_uint_eq(count, 0);
	pthread_join(thread, NULL);
}

#define VOLUME                                                                                     \
	"{\"name\":\"a\",\"uuid\":\"u\",\"created\":1,\"blocks\":1,\"size_bytes\":4096,"           \
	"\"pages_used\":0,\"pages_owned\":0,\"is_default\":0,\"is_snapshot\":0,\"users\":0"

START_TEST(test_an_answer_that_makes_no_sense_is_not_believed)
{
	struct listener_options options = { .what = "test",
					    .path = path,
					    .type = SOCK_STREAM,
					    .owner = (uid_t)-1,
					    .group = (gid_t)-1 };
	char many[1024];

	snprintf(path, sizeof(path), "%s", unit_path("control"));
	listener = (struct listener){ .fd = -1, .folder = -1 };
	ck_assert_int_eq(listener_make(&listener, &options), 0);
	ck_assert_int_eq(fcntl(listener.fd, F_SETFL, 0), 0);
	believe("", ECONNRESET, "before it answered");
	believe("{\"version\":1", ECONNRESET, "before it answered");
	believe("hello\n", EPROTO, "is no JSON object");
	believe("{\"version\":3,\"result\":{}}\n", EPROTO, "another version");
	believe("{\"version\":1}\n", EPROTO, "has no result");
	believe("{\"version\":1,\"result\":{}}\n", EPROTO, "list makes no sense");
	believe("{\"version\":1,\"result\":{\"volumes\":[1]}}\n", EPROTO, "list makes no sense");
	believe("{\"version\":1,\"result\":{\"volumes\":[" VOLUME "}]}}\n", EPROTO,
		"list makes no sense");
	/* One that is right before one whose origin is too long: nothing is told of either. */
	snprintf(many, sizeof(many),
		 "{\"version\":1,\"result\":{\"volumes\":[" VOLUME ",\"origin\":\"\"}," VOLUME
		 ",\"origin\":\"%0200d\"}]}}\n",
		 0);
	believe(many, EPROTO, "list makes no sense");
	believe("{\"version\":1,\"error\":{\"errno\":0,\"message\":\"a\"}}\n", EPROTO,
		"an error that makes no sense");
	believe("{\"version\":1,\"error\":{\"errno\":5,\"message\":\"a\\u001b[31mb\"}}\n", EIO,
		"a?[31mb");
	listener_close(&listener);
}
END_TEST

/* ---- making it ------------------------------------------------------------------------------ */

START_TEST(test_making_it_fails_with_words)
{
	char name[200];

	h = unit_make(16 * MIB);
	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[199] = '\0';
	unit_expect_error(kmemblk_control_make(h, name, &control), ENAMETOOLONG, "control: /nnn");
	unit_expect_error(kmemblk_control_make(h, unit_device, &control), EEXIST,
			  "a regular file is there, not a socket");
	kmemblk_close(h);
	h = unit_open(KMEMBLK_OPEN_READONLY);
	unit_expect_error(kmemblk_control_make(h, unit_path("control"), &control), EROFS,
			  "opened read-only");
	kmemblk_close(h);
}
END_TEST

START_TEST(test_the_usual_name_is_one_of_two)
{
	char name[USUAL_SIZE];

	ck_assert(usual_name(0, "UUID", name));
	ck_assert_str_eq(name, "/run/kmemblk/UUID.sock");
	unsetenv("XDG_RUNTIME_DIR");
	ck_assert(!usual_name(1, "UUID", name));
	setenv("XDG_RUNTIME_DIR", "relative", 1);
	ck_assert(!usual_name(1, "UUID", name));
	setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
	ck_assert(usual_name(1, "UUID", name));
	ck_assert_str_eq(name, "/run/user/1000/kmemblk/UUID.sock");
	setenv("XDG_RUNTIME_DIR",
	       "/a-folder-whose-name-is-so-long-that-a-socket-in-it-has-no-room-for-its-name-and-that-"
	       "is-no-longer-one",
	       1);
	ck_assert(!usual_name(1, "UUID", name));
}
END_TEST

UNIT_MAIN("control-socket", test_each_call_does_what_it_says, test_what_is_open_is_not_taken_away,
	  test_a_wrong_change_is_not_sent, test_a_request_that_is_not_understood_changes_nothing,
	  test_a_request_that_is_cut_is_not_done, test_a_request_has_a_limit,
	  test_a_request_may_come_in_parts, test_many_clients_keep_nobody_out,
	  test_a_client_that_stops_is_hung_up_on, test_who_waits_at_the_end_is_let_go,
	  test_no_descriptor_is_left, test_an_answer_that_makes_no_sense_is_not_believed,
	  test_making_it_fails_with_words, test_the_usual_name_is_one_of_two)
