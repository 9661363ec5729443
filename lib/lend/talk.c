/* SPDX-License-Identifier: BSD-3-Clause */
/* talk.c - see talk.h. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lend/lending.h"
#include "lend/protocol.h"
#include "lend/status.h"
#include "lend/talk.h"

void talk_end(struct lending *lending, int number)
{
	struct peer *peer = lending->peers[number];

	lending->peers[number] = NULL;
	loans_owner_gone(&lending->loans, &peer->owner);
	close(peer->fd);
	free(peer);
}

bool talk_say(struct lending *lending, int number, const struct lend_message *message, int fd,
	      const char *text)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec parts[2] = {
		{ (void *)message, sizeof(*message) },
		{ (void *)text, text != NULL ? strlen(text) : 0 },
	};
	struct msghdr packet = { .msg_iov = parts, .msg_iovlen = 2 };
	struct cmsghdr *cmsg;

	if (fd != -1) {
		packet.msg_control = control.bytes;
		packet.msg_controllen = sizeof(control.bytes);
		cmsg = CMSG_FIRSTHDR(&packet);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	if (sendmsg(lending->peers[number]->fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
		return true;
	talk_end(lending, number);
	return false;
}

void talk_refuse(struct lending *lending, int number, int rc)
{
	struct lend_message message = { .version = LEND_VERSION, .kind = LEND_ZONE, .status = rc };

	lending->peers[number]->waiting = false;
	talk_say(lending, number, &message, -1, NULL);
}

void talk_welcome(struct lending *lending, int number)
{
	struct lend_message message = {
		.version = LEND_VERSION,
		.kind = LEND_WELCOME,
		.offset = lending->h->device.holes ? 0 : LEND_OF_DEVICE,
		.length = ZONE_BYTES,
		.value = lending->limit > UINT64_MAX / ZONE_BYTES ? UINT64_MAX
								  : lending->limit * ZONE_BYTES,
	};

	lending->peers[number]->greeted = true;
	talk_say(lending, number, &message, -1, NULL);
}

void talk_status(struct lending *lending, int number)
{
	struct lend_message message = { .version = LEND_VERSION, .kind = LEND_STATUS };
	char *text = lending_status(lending, LEND_PACKET_MAX - sizeof(message));

	if (text == NULL)
		message.status = -ENOMEM;
	talk_say(lending, number, &message, -1, text);
	free(text);
}

void talk_turn_away(int fd, int status)
{
	struct lend_message message = { .version = LEND_VERSION,
					.kind = LEND_WELCOME,
					.status = status };

	/* Into an empty queue: it fails only if the other end has gone. */
	send(fd, &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}
