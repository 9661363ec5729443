/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * packet.h - the borrower's side of a lending socket, for tests that speak it word by word: one
 * packet, with the descriptor that may come with it.  What it must say is the test's matter.
 */
#ifndef PACKET_H
#define PACKET_H

#include <string.h>
#include <sys/socket.h>

/* As recv(2) returns.  *descriptor: the one that came with it, the caller's to close; -1 for none. */
static inline ssize_t packet_receive(int fd, void *message, size_t size, int *descriptor)
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

#endif /* PACKET_H */
