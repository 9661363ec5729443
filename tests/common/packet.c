/* SPDX-License-Identifier: BSD-3-Clause */
/* packet.c - see packet.h. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "packet.h"

struct sockaddr_un packet_address(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return address;
}

int packet_connect(const char *path)
{
	struct sockaddr_un address = packet_address(path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), err;

	if (fd == -1 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

bool packet_send(int fd, uint32_t kind, uint64_t offset, uint64_t value)
{
	struct lend_message message = {
		.version = LEND_VERSION, .kind = kind, .offset = offset, .value = value
	};

	return send(fd, &message, sizeof(message), MSG_NOSIGNAL) == sizeof(message);
}

ssize_t packet_receive(int fd, void *message, size_t size, int *descriptor)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec part = { message, size };
	struct msghdr packet = { .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(fd, &packet, MSG_CMSG_CLOEXEC);

	*descriptor = -1;
	if (n > 0 && CMSG_FIRSTHDR(&packet) != NULL)
		memcpy(descriptor, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof(int));
	return n;
}
