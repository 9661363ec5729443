/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.h - a real nbdkit with this build's plugin, for C tests.
 *
 * A test has one device and one server at a time.  Both go when the test ends, also when a check
 * fails or a signal ends it.  What goes wrong ends the test with a sentence and status 1.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdint.h>

#include <libnbd.h>

#include "check.h"

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

/* End it politely, and the test unless the device is sound then. */
void server_stop_sound(void);

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

/* Write a version of a block: 0, or -1 with libnbd's error. */
int server_write_block(struct nbd_handle *nbd, uint64_t number, uint64_t version);

/* End the test unless the block has that version; 0: zeroes. */
void server_expect_block(struct nbd_handle *nbd, uint64_t number, uint64_t version);

#endif /* SERVER_H */
