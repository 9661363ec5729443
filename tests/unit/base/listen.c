/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * listen.c - the socket of a server takes the place of a dead socket and of nothing else, and
 * only this socket is removed at the end; whatever is done to its name meanwhile.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/listen.h"
#include "common/packet.h"
#include "unit.h"

static char folder[128], path[160];

/* What happens between the look at what is in the way and the call that moves it. */
static void (*meanwhile)(void);

int __real_renameat(int from, const char *name, int to, const char *new_name);
int __wrap_renameat(int from, const char *name, int to, const char *new_name);

int __wrap_renameat(int from, const char *name, int to, const char *new_name)
{
	if (meanwhile != NULL)
		meanwhile();
	meanwhile = NULL;
	return __real_renameat(from, name, to, new_name);
}

static void make_folder(void)
{
	static unsigned int made;
	char name[64];

	/* Mostly, each test is a process. */
	snprintf(name, sizeof(name), "folder%ld.%u", (long)getpid(), made++);
	snprintf(folder, sizeof(folder), "%s", unit_path(name));
	snprintf(path, sizeof(path), "%s/socket", folder);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
}

static unsigned int entries(void)
{
	DIR *dir = opendir(folder);
	unsigned int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n - 2;
}

static struct stat look(void)
{
	struct stat st;

	ck_assert_int_eq(lstat(path, &st), 0);
	return st;
}

/* A socket at `path`, bound, and listening if it can. */
static int bound(int type, bool listening)
{
	struct sockaddr_un address = packet_address(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert(!listening || listen(fd, 5) == 0);
	return fd;
}

static struct listener_options usual(void)
{
	return (struct listener_options){
		.what = "test",
		.path = path,
		.type = SOCK_SEQPACKET,
		.owner = (uid_t)-1,
		.group = (gid_t)-1,
	};
}

static int make_with(struct listener *l, const struct listener_options *options)
{
	*l = (struct listener){ .fd = -1, .folder = -1 };
	return listener_make(l, options);
}

static int make(struct listener *l)
{
	struct listener_options options = usual();

	return make_with(l, &options);
}

static bool answers(void)
{
	int fd = packet_connect(path);

	return fd != -1 && close(fd) == 0;
}

/* It is refused, and nothing in the folder has changed. */
static void refuse(int err, const char *words)
{
	struct stat before = look(), after;
	unsigned int n = entries();
	struct listener l;

	unit_expect_error(make(&l), err, words);
	listener_close(&l);
	after = look();
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_uint_eq(after.st_mode, before.st_mode);
	ck_assert_uint_eq(after.st_gid, before.st_gid);
	ck_assert_int_eq(after.st_size, before.st_size);
	ck_assert_uint_eq(entries(), n);
}

START_TEST(test_only_a_socket_is_replaced)
{
	const char *dead = unit_path("dead");

	make_folder();
	unit_make_file(path, PAGE);
	refuse(EEXIST, "socket: a regular file is there, not a socket: choose another name");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refuse(EEXIST, "a FIFO is there, not a socket");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	refuse(EEXIST, "a folder is there, not a socket");
	ck_assert_int_eq(rmdir(path), 0);
	/* Also one that names a dead socket. */
	close(bound(SOCK_SEQPACKET, true));
	ck_assert_int_eq(rename(path, dead), 0);
	ck_assert_int_eq(symlink(dead, path), 0);
	refuse(EEXIST, "a symbolic link is there, not a socket");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/nonexistent", path), 0);
	refuse(EEXIST, "a symbolic link is there, not a socket");
	ck_assert_int_eq(unlink(path), 0);
	if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) == 0)
		refuse(EEXIST, "a character device is there, not a socket");
}
END_TEST

START_TEST(test_a_socket_in_use_is_not_replaced)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	struct listener l;

	make_folder();
	for (unsigned int i = 0; i < 3; i++) {
		/* One that does not listen yet has a server all the same. */
		for (unsigned int listening = 0; listening < 2; listening++) {
			int fd = bound(types[i], listening && types[i] != SOCK_DGRAM);

			refuse(EADDRINUSE, "in use by another server: choose another name");
			close(fd);
			/* And now it is dead. */
			ck_assert_msg(make(&l) == 0, "%s", kmemblk_error());
			ck_assert(answers());
			ck_assert_uint_eq(entries(), 1);
			listener_close(&l);
			ck_assert_uint_eq(entries(), 0);
		}
	}
}
END_TEST

START_TEST(test_it_has_its_mode_and_group)
{
	struct listener_options options = usual();
	struct listener l;
	mode_t mask = umask(077);

	make_folder();
	ck_assert_int_eq(make_with(&l, &options), 0);
	ck_assert_uint_eq(look().st_mode, S_IFSOCK | 0600);
	listener_close(&l);
	umask(mask);
	options.mode = 0666;
	options.group = getgid();
	if (geteuid() == 0) {
		options.owner = 12345;
		options.group = 54321;
	}
	ck_assert_int_eq(make_with(&l, &options), 0);
	ck_assert_uint_eq(look().st_mode, S_IFSOCK | 0666);
	ck_assert_uint_eq(look().st_gid, options.group);
	ck_assert_uint_eq(look().st_uid, geteuid() == 0 ? options.owner : geteuid());
	listener_close(&l);
	ck_assert_uint_eq(entries(), 0);
}
END_TEST

/* ---- what others do meanwhile --------------------------------------------------------------- */

static int other;

static void put_file(void)
{
	unlink(path);
	unit_make_file(path, PAGE);
}

static void put_folder(void)
{
	unlink(path);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void put_server(void)
{
	unlink(path);
	other = bound(SOCK_SEQPACKET, true);
}

static void expect_lock(void)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), -1);
	ck_assert_int_eq(errno, EWOULDBLOCK);
	close(fd);
}

static void exchanged(void (*by)(void), int err, const char *words, mode_t kind)
{
	struct listener l;

	close(bound(SOCK_SEQPACKET, true));
	meanwhile = by;
	unit_expect_error(make(&l), err, words);
	ck_assert_ptr_null(meanwhile);
	listener_close(&l);
	ck_assert_uint_eq(look().st_mode & S_IFMT, kind);
	ck_assert_uint_eq(entries(), 1);
}

START_TEST(test_what_comes_meanwhile_is_put_back)
{
	make_folder();
	exchanged(put_file, EEXIST, "a regular file is there", S_IFREG);
	ck_assert_int_eq(look().st_size, PAGE);
	unlink(path);
	exchanged(put_folder, EEXIST, "a folder is there", S_IFDIR);
	rmdir(path);
	exchanged(put_server, EADDRINUSE, "in use by another server", S_IFSOCK);
	ck_assert(answers());
	close(other);
}
END_TEST

START_TEST(test_servers_take_turns)
{
	struct listener l;

	make_folder();
	close(bound(SOCK_SEQPACKET, true));
	meanwhile = expect_lock;
	ck_assert_int_eq(make(&l), 0);
	ck_assert_ptr_null(meanwhile);
	listener_close(&l);
}
END_TEST

/* Sixteen processes want the place of one dead socket: one has it, and all others are told so. */
START_TEST(test_one_of_many_gets_the_place)
{
	int go[2], told[2], done[2], got = 0;
	struct listener l;
	char word;

	make_folder();
	close(bound(SOCK_SEQPACKET, true));
	ck_assert(pipe(go) == 0 && pipe(told) == 0 && pipe(done) == 0);
	for (unsigned int i = 0; i < 16; i++) {
		if (fork() != 0)
			continue;
		close(go[1]);
		close(done[1]);
		/* Ends when all have been started, and when all have told. */
		word = read(go[0], &word, 1) == 0 && make(&l) == 0 ? 'y' : 'n';
		if (write(told[1], &word, 1) != 1 || read(done[0], &word, 1) != 0)
			_exit(1);
		listener_close(&l);
		_exit(0);
	}
	close(go[1]);
	for (unsigned int i = 0; i < 16; i++) {
		ck_assert_int_eq(read(told[0], &word, 1), 1);
		got += word == 'y';
	}
	ck_assert_int_eq(got, 1);
	ck_assert(answers());
	ck_assert_uint_eq(entries(), 1);
	close(done[1]);
	while (wait(NULL) > 0)
		;
	ck_assert_uint_eq(entries(), 0);
}
END_TEST

/* ---- at the end ----------------------------------------------------------------------------- */

START_TEST(test_only_its_own_is_removed)
{
	struct listener l, second;
	ino_t inode;

	make_folder();
	ck_assert_int_eq(make(&l), 0);
	put_file();
	listener_close(&l);
	ck_assert_uint_eq(look().st_mode & S_IFMT, S_IFREG);
	unlink(path);

	ck_assert_int_eq(make(&l), 0);
	unlink(path);
	ck_assert_int_eq(make(&second), 0);
	inode = look().st_ino;
	listener_close(&l);
	ck_assert_uint_eq(look().st_ino, inode);
	ck_assert(answers());
	listener_close(&second);
	ck_assert_uint_eq(entries(), 0);
}
END_TEST

/* Who can read the folder can lock it. */
START_TEST(test_it_is_removed_while_another_has_locked_its_folder)
{
	struct listener l;
	int fd;

	make_folder();
	ck_assert_int_eq(make(&l), 0);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	listener_close(&l);
	ck_assert_uint_eq(entries(), 0);
	close(fd);
}
END_TEST

START_TEST(test_it_is_removed_wherever_its_folder_is)
{
	struct listener l;

	make_folder();
	ck_assert_int_eq(make(&l), 0);
	ck_assert_int_eq(rename(folder, unit_path("moved")), 0);
	snprintf(folder, sizeof(folder), "%s", unit_path("moved"));
	ck_assert_uint_eq(entries(), 1);
	listener_close(&l);
	ck_assert_uint_eq(entries(), 0);
}
END_TEST

START_TEST(test_errors_say_what_is_wrong)
{
	struct listener_options options = usual();
	char name[200];
	struct listener l;

	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[199] = '\0';
	options.path = name;
	unit_expect_error(make_with(&l, &options), ENAMETOOLONG, "longer than the 107 bytes");
	listener_close(&l);
	options.path = "/nonexistent/socket";
	unit_expect_error(make_with(&l, &options), ENOENT, "cannot open its folder: No such");
	listener_close(&l);
}
END_TEST

UNIT_MAIN("listen", test_only_a_socket_is_replaced, test_a_socket_in_use_is_not_replaced,
	  test_it_has_its_mode_and_group, test_what_comes_meanwhile_is_put_back,
	  test_servers_take_turns, test_one_of_many_gets_the_place, test_only_its_own_is_removed,
	  test_it_is_removed_while_another_has_locked_its_folder,
	  test_it_is_removed_wherever_its_folder_is, test_errors_say_what_is_wrong)
