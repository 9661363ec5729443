/* SPDX-License-Identifier: BSD-3-Clause */
/* uses.c - see uses.h. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ring.h"
#include "uses.h"

/* Which zone is for what. */
enum { AIO_READ, AIO_WRITE, RING_DIRECT, PENDING, SPLICED, TCP, UDP, REMOTE };

#define FILE_BYTES (4 * ZONE_SIZE)
#define AIO_DEPTH  8u
/* Registered, of each zone; little, since the limit on locked memory may be small. */
#define FIXED_BYTES 4096u
#define PIECE_BYTES 16384u
#define SENT_BYTES  (512u << 10)

/* Pipes, and a pair of sockets: the borrower reads from [0] or splices to [1], the test has the other. */
static int fixed[2], slow[2], late[2], spliced[2];
static int listener, receiver; /* TCP and UDP */
static int file = -1;	       /* for direct I/O */
static struct ring ring;
static bool has_ring;
static struct iovec registered[USES_ZONES];

/* Of a request of io_uring: it reads into registered pages. */
#define OF_FIXED 1u

static aio_context_t aio;
static struct iocb blocks[AIO_DEPTH];

static void leave_out(const char *what)
{
	fprintf(stderr, "left out: %s: %s\n", what, strerror(errno));
}

/* ---- the other ends ------------------------------------------------------------------------- */

/*
 * In the folder of the build, since direct I/O does not work everywhere on tmpfs.  The first half is read, the
 * other is written.
 */
static void open_file(void)
{
	static char bytes[ZONE_SIZE];
	char name[] = "pins.XXXXXX";

	file = mkostemp(name, O_CLOEXEC);
	CHECK(file != -1 && unlink(name) == 0, "%s: %m", name);
	for (uint64_t at = 0; at < FILE_BYTES; at += sizeof(bytes)) {
		memset(bytes, at < FILE_BYTES / 2 ? USES_FOREIGN : USES_OWN, sizeof(bytes));
		CHECK(pwrite(file, bytes, sizeof(bytes), (off_t)at) == sizeof(bytes), "%s: %m",
		      name);
	}
	if (fcntl(file, F_SETFL, O_DIRECT) == 0)
		return;
	leave_out("direct I/O");
	close(file);
	file = -2;
}

static int bind_loopback(int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), small = 4096;

	/* The less is received, the more stays where it was sent from. */
	CHECK(fd != -1 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0 &&
		      bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0,
	      "loopback: %m");
	return fd;
}

void uses_open(void)
{
	if (file == -1)
		open_file();
	CHECK(pipe2(fixed, O_CLOEXEC) == 0 && pipe2(slow, O_CLOEXEC) == 0 &&
		      pipe2(spliced, O_CLOEXEC) == 0 &&
		      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, late) == 0,
	      "pipe: %m");
	listener = bind_loopback(SOCK_STREAM);
	CHECK(listen(listener, 1) == 0, "listen: %m");
	receiver = bind_loopback(SOCK_DGRAM);
}

void uses_close(void)
{
	const int fds[] = { fixed[0], fixed[1],	  slow[0],    slow[1],	late[0],
			    late[1],  spliced[0], spliced[1], listener, receiver };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
}

/* ---- direct I/O ----------------------------------------------------------------------------- */

static void submit_aio(struct iocb *block)
{
	CHECK(syscall(SYS_io_submit, aio, 1, &block) == 1, "io_submit: %m");
}

static void start_aio(const struct zone *zones)
{
	CHECK(syscall(SYS_io_setup, AIO_DEPTH, &aio) == 0, "io_setup: %m");
	for (unsigned int i = 0; i < AIO_DEPTH; i++) {
		bool writes = i % 4 == 3;

		blocks[i] = (struct iocb){
			.aio_lio_opcode = writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
			.aio_fildes = (uint32_t)file,
			.aio_buf = (uintptr_t)zones[writes ? AIO_WRITE : AIO_READ].memory,
			.aio_nbytes = ZONE_SIZE,
			.aio_offset = (int64_t)(i % 2 * ZONE_SIZE + (writes ? FILE_BYTES / 2 : 0)),
		};
		submit_aio(&blocks[i]);
	}
}

void uses_repeat(void)
{
	struct timespec none = { 0, 0 };
	struct io_event ended[AIO_DEPTH];
	long n;

	if (file < 0)
		return;
	n = syscall(SYS_io_getevents, aio, 0, AIO_DEPTH, ended, &none);
	CHECK(n >= 0 || errno == EINTR, "io_getevents: %m");
	for (long i = 0; i < n; i++) {
		CHECK(ended[i].res == (int64_t)ZONE_SIZE, "direct I/O: %s",
		      strerror((int)-ended[i].res));
		submit_aio((struct iocb *)(uintptr_t)ended[i].obj);
	}
}

/* ---- io_uring ------------------------------------------------------------------------------- */

static void ring_read(uint8_t opcode, int fd, void *memory, size_t length)
{
	struct io_uring_sqe request = {
		.opcode = opcode,
		.fd = fd,
		.addr = (uintptr_t)memory,
		.len = (uint32_t)length,
	};

	ring_submit(&ring, &request);
}

/* From a pipe into the page of each zone that is registered. */
static void read_fixed(void)
{
	for (uint16_t i = 0; i < USES_ZONES; i++) {
		struct io_uring_sqe request = {
			.opcode = IORING_OP_READ_FIXED,
			.fd = fixed[0],
			.addr = (uintptr_t)registered[i].iov_base,
			.len = FIXED_BYTES,
			.buf_index = i,
			.user_data = OF_FIXED,
		};

		ring_submit(&ring, &request);
	}
}

static void start_ring(const struct zone *zones)
{
	char *pending = (char *)zones[PENDING].memory;

	/* The last page, which is not sent. */
	for (unsigned int i = 0; i < USES_ZONES; i++)
		registered[i] = (struct iovec){ (char *)zones[i].memory + ZONE_SIZE - FIXED_BYTES,
						FIXED_BYTES };
	has_ring = ring_open(&ring) && ring_register(&ring, registered, USES_ZONES);
	if (!has_ring) {
		leave_out("io_uring");
		return;
	}
	read_fixed();
	ring_read(IORING_OP_READ, slow[0], pending, ZONE_SIZE / 2);
	ring_read(IORING_OP_RECV, late[0], pending + ZONE_SIZE / 2, ZONE_SIZE / 2);
	if (file >= 0)
		ring_read(IORING_OP_READ, file, zones[RING_DIRECT].memory, ZONE_SIZE);
}

void uses_go_on(void)
{
	unsigned int stored = 0;
	uint64_t kind;

	if (!has_ring)
		return;
	/* A child has nothing pending: that was its parent's. */
	read_fixed();
	while (stored < USES_ZONES) {
		int result = ring_next(&ring, &kind);

		stored += kind == OF_FIXED && result > 0;
	}
}

/* ---- what is sent from the pages ------------------------------------------------------------ */

static void splice_pages(const struct zone *zone)
{
	struct iovec part = { zone->memory, SENT_BYTES };

	CHECK(vmsplice(spliced[1], &part, 1, SPLICE_F_NONBLOCK) > 0, "vmsplice: %m");
}

static void send_pages(const struct zone *zone, int type, int to)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), on = 1, size = 2 * SENT_BYTES;
	const char *memory = (const char *)zone->memory;

	CHECK(fd != -1 && getsockname(to, (struct sockaddr *)&address, &length) == 0 &&
		      connect(fd, (struct sockaddr *)&address, length) == 0 &&
		      setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0,
	      "loopback: %m");
	if (setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof(on)) == -1) {
		leave_out("MSG_ZEROCOPY");
		close(fd);
		return;
	}
	for (size_t at = 0; at < SENT_BYTES; at += PIECE_BYTES)
		if (send(fd, memory + at, PIECE_BYTES,
			 MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL) == -1) {
			/* All that the socket, or the limit on locked memory, allows. */
			CHECK(errno == EAGAIN || errno == ENOBUFS, "send: %m");
			break;
		}
	shutdown(fd, SHUT_WR);
}

/* Zeroes are what a DAX file system has put there in the end. */
static void check_sent(const char *what, const char *bytes, ssize_t n)
{
	for (ssize_t i = 0; i < n; i++)
		CHECK(bytes[i] == (char)USES_OWN || bytes[i] == 0,
		      "%s: byte %zd of a page that was sent is %#x", what, i,
		      (unsigned char)bytes[i]);
}

static void receive(const char *what, int fd)
{
	static char bytes[PIECE_BYTES];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		check_sent(what, bytes, n);
	CHECK(n == 0 || errno == EAGAIN, "%s: %m", what);
}

/* ---- all of it ------------------------------------------------------------------------------ */

void uses_start(const struct zone *zones)
{
	for (unsigned int z = 0; z < USES_ZONES; z++)
		memset(zones[z].memory, USES_OWN, ZONE_SIZE);
	/* First, since all but direct I/O counts as locked memory. */
	start_ring(zones);
	splice_pages(&zones[SPLICED]);
	send_pages(&zones[TCP], SOCK_STREAM, listener);
	send_pages(&zones[UDP], SOCK_DGRAM, receiver);
	if (file >= 0)
		start_aio(zones);
	/* Where only ancestors may write to others. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}

void uses_write_remotely(pid_t borrower, const struct zone *zones)
{
	static char bytes[ZONE_SIZE / 4];
	struct iovec from = { bytes, sizeof(bytes) }, to = { zones[REMOTE].memory, sizeof(bytes) };

	memset(bytes, USES_FOREIGN, sizeof(bytes));
	while (process_vm_writev(borrower, &from, 1, &to, 1, 0) > 0)
		;
	if (errno == EPERM || errno == ENOSYS)
		leave_out("process_vm_writev");
}

static void check_file(void)
{
	static char bytes[PIECE_BYTES] __attribute__((aligned(4096)));

	for (uint64_t at = FILE_BYTES / 2; at < FILE_BYTES; at += sizeof(bytes)) {
		CHECK(pread(file, bytes, sizeof(bytes), (off_t)at) == sizeof(bytes),
		      "direct I/O: %m");
		check_sent("direct I/O", bytes, sizeof(bytes));
	}
}

static void send_foreign(int fd)
{
	static char bytes[USES_ZONES * FIXED_BYTES];

	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0, "fcntl: %m");
	memset(bytes, USES_FOREIGN, sizeof(bytes));
	CHECK(write(fd, bytes, sizeof(bytes)) > 0 || errno == EAGAIN, "write: %m");
}

void uses_finish(void)
{
	int connection;

	send_foreign(fixed[1]);
	send_foreign(slow[1]);
	send_foreign(late[1]);
	CHECK(fcntl(spliced[0], F_SETFL, O_NONBLOCK) == 0 &&
		      fcntl(receiver, F_SETFL, O_NONBLOCK) == 0,
	      "fcntl: %m");
	if (file >= 0)
		check_file();
	receive("vmsplice", spliced[0]);
	receive("UDP", receiver);
	connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	CHECK(connection != -1, "accept: %m");
	receive("TCP", connection);
	close(connection);
}
