/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * many-connections.c - a thousand connections at once, as the plugin's manual says how: one thread
 * each, and room for open files.
 *
 * Each connection writes its own block while all others stand, and reads what its neighbour wrote.
 * Each takes one open file of the server's, as the manual says.
 */
#include "config.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/scale.h"
#include "common/server.h"

#define MOST_CONNECTIONS 1000
#define OPEN_FILES	 4096 /* of the test and of the server, with room to spare */

static struct nbd_handle *connections[MOST_CONNECTIONS];

/* Also for the server, which inherits it.  False if it is not allowed. */
static bool raise_limit(void)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0, "%m");
	if (limit.rlim_max < OPEN_FILES)
		return false;
	limit.rlim_cur = OPEN_FILES;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0, "%m");
	return true;
}

/* Of the process at the other end of the connection. */
static unsigned int open_files(struct nbd_handle *nbd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof peer;
	unsigned int n = 0;
	char path[64];
	DIR *dir;

	CHECK(getsockopt(nbd_aio_get_fd(nbd), SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0, "%m");
	snprintf(path, sizeof path, "/proc/%d/fd", peer.pid);
	dir = opendir(path);
	CHECK(dir, "%s: %m", path);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

int main(void)
{
	const unsigned int count = scale(MOST_CONNECTIONS);

	if (!raise_limit()) {
		fprintf(stderr, "many-connections: skipped: the limit of open files is below %d\n",
			OPEN_FILES);
		return 77;
	}
	server_start(16 << 20, NULL);
	for (unsigned int i = 0; i < count; i++)
		connections[i] = server_connect();
	CHECK(open_files(connections[0]) < count + 50, "%u open files of the server",
	      open_files(connections[0]));
	for (unsigned int i = 0; i < count; i++)
		NBD_CHECK(server_write_block(connections[i], i, i + 1));
	for (unsigned int i = 0; i < count; i++)
		server_expect_block(connections[i], (i + 1) % count, (i + 1) % count + 1);
	server_check_alive();
	for (unsigned int i = 0; i < count; i++)
		server_disconnect(connections[i]);
	server_check_alive();
	server_stop_sound();
	return 0;
}
