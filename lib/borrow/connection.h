/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - a borrower's connection to a lending server.  See link.c.
 *
 * But for link_open() and link_question(), nothing here sets a message or calls malloc: it serves
 * an allocator.
 */
#ifndef LINK_H
#define LINK_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

struct link {
	struct sockaddr_un address;
	pid_t pid; /* whose connection it is: a child of it has none */
	pthread_t receiver;
	pthread_mutex_t turn; /* who asks for a zone: one at a time */
	pthread_mutex_t lock; /* all that follows; taken after `turn` */
	pthread_cond_t changed;
	size_t zone_size;
	uint64_t limit;		  /* bytes, as the server says */
	uint64_t wanted;	  /* bytes that the disk wants back; 0 nothing */
	uint64_t asked, answered; /* zones, over this connection */
	bool waiting;		  /* for the answer whose number is `asked` */
	bool ended;
	int fd; /* -1 the server is away */
	dev_t device;
	ino_t inode; /* of fd, to see that it still is what it was */
	int status;  /* the answer: 0 or -errno */
	int zone;    /* its descriptor, -1 none */
	uint64_t offset;
};

/* Connects, and starts the receiver.  Errors as for kmemblk_borrower_connect(), with a message. */
int link_open(struct link *link, const char *socket);
/* Ends what link_wanted() waits for. */
void link_end(struct link *link);
void link_close(struct link *link);

/*
 * Asks for a zone and maps it at `at`, an address range of its size that is the caller's.  Gives
 * the zone's offset.  Errors: what the server answers; -ENOMEM none in time; -ENOTCONN; and if it
 * cannot be mapped, -(LINK_NOT_MAPPED + errno), which no other error is.
 */
#define LINK_NOT_MAPPED 4096
int link_ask(struct link *link, void *at, unsigned int wait_ms, uint64_t *offset);

/* Tells the server something that has no answer; says nothing if it is away or does not listen. */
void link_tell(struct link *link, uint32_t kind, uint64_t offset, uint64_t value);

/* Waits for the disk to want memory back: how many bytes, 0 after `wait_ms` or the link's end. */
uint64_t link_wanted(struct link *link, int wait_ms);

/* Around fork(), in the thread that calls it: no descriptor of a zone reaches the child. */
void link_before_fork(struct link *link);
void link_after_fork(struct link *link);
/* In the child: closes what it got. */
void link_in_child(struct link *link);

/* Connects for one LEND_STAT: `*text` is malloc'ed.  With a message. */
int link_question(const char *socket, char **text);

#endif /* LINK_H */
