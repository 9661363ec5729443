/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * garbage.c - a client that sends garbage harms only itself.
 *
 * Nonsense in the handshake and in the place of requests: wrong magic numbers, lengths that are too
 * large or that do not fit each other, ranges beyond the disk, unknown flags and commands, random
 * bytes, and each of these cut off at some byte.  The server lives on, a bystander is served
 * throughout, and nothing on the disk has changed but what the bystander wrote.
 *
 * With one thread a connection, as for client-vanishes.
 */
#include "config.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/block.h"
#include "common/random.h"
#include "common/scale.h"
#include "common/server.h"
#include "common/wire.h"

#define ROUNDS 200

/* The NBD protocol's numbers, big-endian on the wire. */
#define OPTION_MAGIC UINT64_C(0x49484156454f5054)
enum option { EXPORT_NAME = 1, LIST = 3, INFO = 6, GO = 7, SET_META_CONTEXT = 10 };

struct __attribute__((packed)) option_header {
	uint64_t magic;
	uint32_t option;
	uint32_t length; /* bytes that follow */
};

static uint64_t seed = 1;
static struct sockaddr_un address;
static struct nbd_handle *bystander;
static uint64_t newest; /* version of the bystander's blocks */

/* As much of it as the server takes: it may have hung up. */
static void send_bytes(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t n;

	for (; len > 0; at += n, len -= (size_t)n) {
		n = send(fd, at, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
	}
}

/*
 * Say that nothing more comes, and read answers until the server hangs up.  Not at once: a client
 * that does not wait for answers is another test.
 */
static void hang_up(int fd)
{
	char buf[4096];

	shutdown(fd, SHUT_WR);
	while (recv(fd, buf, sizeof buf, 0) > 0)
		;
	close(fd);
}

/* A connection on which the server has greeted. */
static int greet(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char greeting[18];

	CHECK(fd != -1, "socket: %m");
	CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect: %m");
	CHECK(recv(fd, greeting, sizeof greeting, MSG_WAITALL) == sizeof greeting, "greeting: %m");
	return fd;
}

/* Client flags, then an option of which `len` bytes come though it announces `length`. */
static void send_option(uint64_t magic, uint32_t option, uint32_t length, const void *bytes,
			size_t len)
{
	struct option_header header = { htobe64(magic), htonl(option), htonl(length) };
	uint32_t flags = htonl(3);
	int fd = greet();

	send_bytes(fd, &flags, sizeof flags);
	send_bytes(fd, &header, sizeof header);
	send_bytes(fd, bytes, len);
	hang_up(fd);
}

static void send_random(size_t len)
{
	uint64_t bytes[512];
	int fd = greet();

	for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
		bytes[i] = random_next(&seed);
	send_bytes(fd, bytes, len);
	hang_up(fd);
}

static void garble_handshake(void)
{
	static const uint32_t options[] = { EXPORT_NAME, LIST, INFO, GO, SET_META_CONTEXT, 9999 };
	static const uint32_t lengths[] = { 0, 1, 4, 8, 4096, 0x7fffffff, 0xffffffff };
	uint8_t ones[64];

	memset(ones, 0xff, sizeof ones); /* inner lengths and counts of 4 GiB */
	for (size_t o = 0; o < sizeof options / sizeof *options; o++)
		for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++)
			send_option(OPTION_MAGIC, options[o], lengths[l], ones, sizeof ones);
	send_option(~OPTION_MAGIC, GO, 0, ones, 0);
	for (size_t len = 0; len < 4096; len = len * 2 + 1)
		send_random(len);
}

/* A connection that has shaken hands, past libnbd from there on. */
static int shake_hands(void)
{
	struct option_header header = { htobe64(OPTION_MAGIC), htonl(EXPORT_NAME), 0 };
	uint32_t flags = htonl(3); /* fixed newstyle, no zeroes */
	char answer[10];	   /* size, transmission flags */
	int fd = greet();

	send_bytes(fd, &flags, sizeof flags);
	send_bytes(fd, &header, sizeof header);
	CHECK(recv(fd, answer, sizeof answer, MSG_WAITALL) == sizeof answer, "export: %m");
	return fd;
}

/* `len` bytes of a request, then `payload` bytes of ones. */
static void send_request(const struct wire_request *host, size_t len, size_t payload)
{
	static uint8_t ones[BLOCK_SIZE * 4];
	struct wire_request request = { htonl(host->magic),    htons(host->flags),
					htons(host->type),     host->cookie,
					htobe64(host->offset), htonl(host->length) };
	int fd = shake_hands();

	memset(ones, 0xff, sizeof ones);
	send_bytes(fd, &request, len);
	send_bytes(fd, ones, payload);
	hang_up(fd);
}

static void garble_requests(uint64_t size)
{
	static const uint32_t lengths[] = {
		0, 1, BLOCK_SIZE, 4 * BLOCK_SIZE, 0x04000001, 0xffffffff
	};
	const uint64_t offsets[] = { size - 1,		size,	   size + 1, INT64_MAX,
				     UINT64_MAX - 4095, UINT64_MAX };
	struct wire_request request = { .magic = WIRE_REQUEST_MAGIC };

	for (request.type = WIRE_READ; request.type <= WIRE_BLOCK_STATUS + 2; request.type++)
		for (size_t o = 0; o < sizeof offsets / sizeof *offsets; o++)
			for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
				/* Not what is allowed: one byte before the end. */
				if (offsets[o] == size - 1 && lengths[l] <= 1)
					continue;
				request.offset = offsets[o];
				request.length = lengths[l];
				request.flags = (uint16_t)(l % 2 ? 0 : 0xffff);
				send_request(&request, sizeof request, 4 * BLOCK_SIZE);
			}
	/* Inside the disk, and cut off: of the header, or of the payload. */
	request = (struct wire_request){ .magic = WIRE_REQUEST_MAGIC,
					 .type = WIRE_WRITE,
					 .length = BLOCK_SIZE };
	request.offset = 100 * BLOCK_SIZE;
	for (size_t len = 0; len < sizeof request; len++)
		send_request(&request, len, 0);
	for (size_t payload = 0; payload < BLOCK_SIZE; payload += 819)
		send_request(&request, sizeof request, payload);
	request.magic = ~WIRE_REQUEST_MAGIC;
	send_request(&request, sizeof request, BLOCK_SIZE);
}

/* One block, in a place that garbage with good numbers would hit. */
static void serve_bystander(void)
{
	server_check_alive();
	NBD_CHECK(server_write_block(bystander, 0, ++newest));
	server_expect_block(bystander, 0, newest);
}

/* The bystander's block is there, and no other. */
static void verify(uint64_t size)
{
	static const char zeroes[BLOCK_SIZE];
	char buf[BLOCK_SIZE];

	serve_bystander();
	for (uint64_t at = BLOCK_SIZE; at < size; at += BLOCK_SIZE) {
		NBD_CHECK(nbd_pread(bystander, buf, sizeof buf, at, 0));
		CHECK(memcmp(buf, zeroes, sizeof buf) == 0, "garbage was written at %lu", at);
	}
}

int main(void)
{
	socklen_t len = sizeof address;
	uint64_t size;

	server_start(8 << 20, NULL);
	bystander = server_connect();
	size = (uint64_t)nbd_get_size(bystander);
	CHECK(getpeername(nbd_aio_get_fd(bystander), (struct sockaddr *)&address, &len) == 0, "%m");
	garble_handshake();
	serve_bystander();
	garble_requests(size);
	serve_bystander();
	for (unsigned int round = 0; round < scale(ROUNDS); round++)
		send_random(random_next(&seed) % 4096);
	verify(size);
	server_disconnect(bystander);
	server_check_alive();
	server_stop_sound();
	return 0;
}
