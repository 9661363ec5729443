/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.h - a real nbdkit with this build's plugin, for the C tests of this folder.
 *
 * A test has one device and one server at a time.  Both go when the test ends, also when a check
 * fails or a signal ends it.  What goes wrong ends the test with a sentence and status 1.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnbd.h>

/* End the test unless `condition` holds; what follows it is a message as for printf. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);            \
			fprintf(stderr, __VA_ARGS__);                                              \
			fprintf(stderr, "\n");                                                     \
			exit(EXIT_FAILURE);                                                        \
		}                                                                                  \
	} while (0)

/* End the test unless the libnbd call succeeds. */
#define NBD_CHECK(call) CHECK((call) != -1, "%s", nbd_get_error())

/* End the test unless the libnbd call fails with that errno. */
#define NBD_CHECK_FAILS(errnum, call)                                                              \
	do {                                                                                       \
		CHECK((call) == -1, "it should have failed with %s", #errnum);                     \
		CHECK(nbd_get_errno() == (errnum), "not %s: %s", #errnum, nbd_get_error());        \
	} while (0)

/*
 * Start nbdkit on the test's device, which is made of `create` bytes where it is not there yet
 * (0: it must be).  `option` is an option for nbdkit or NULL.  On return it accepts connections.
 */
void server_start(uint64_t create, const char *option);

/*
 * Parameters of the plugin for all servers started from now on: a list that ends with NULL and stays
 * the caller's; and lend= with the path at server_lend_socket(), which is there after the first start.
 */
void server_lends(const char *const *parameters);
const char *server_lend_socket(void);

/* End the server with `signum` and wait until it is gone. */
void server_stop(int signum);

/* End the test unless the server still runs. */
void server_check_alive(void);

/* Open a connection.  The caller ends it with nbd_shutdown() and nbd_close(). */
struct nbd_handle *server_connect(void);

/* End a connection politely. */
void server_disconnect(struct nbd_handle *nbd);

/* End the test unless `kmemblk check` finds the device sound.  The server must be stopped. */
void server_check_device(void);

/* The test's device. */
const char *server_device(void);

/* How much a test that can do more or less of the same shall do: less under valgrind. */
unsigned int test_scale(unsigned int amount);

#endif /* SERVER_H */
