/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.h - a borrower's connection to a lending server.  See connection.c.
 *
 * But for connection_open() and connection_question(), nothing here sets a message or calls malloc: it
 * serves an allocator.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

struct connection {
	struct sockaddr_un address;
	pid_t pid; /* whose connection it is: a child of it has none */
	pthread_t receiver;
	pthread_mutex_t turn; /* who asks for a zone: one at a time */
	pthread_mutex_t lock; /* all that follows; taken after `turn` */
	pthread_cond_t changed;
	/* Called by the receiver when it has connected again, with no lock held. */
	void (*renewed)(void *opaque);
	void *opaque;
	size_t zone_size;
	uint64_t limit;		  /* bytes, as the server says */
	uint64_t wanted;	  /* bytes that the disk wants back; 0 nothing */
	uint64_t recall;	  /* which LEND_RECALL said so, over this connection; 0 none */
	uint64_t taken_up;	  /* and which one connection_wanted() told of last */
	uint64_t asked, answered; /* zones, over this connection */
	bool waiting;		  /* for the answer whose number is `asked` */
	bool is_new;		  /* the server has not been told what it cannot know */
	bool ended;
	int fd; /* -1 the server is away */
	dev_t device;
	ino_t inode; /* of fd, to see that it still is what it was */
	int status;  /* the answer: 0 or -errno */
	int zone;    /* its descriptor, -1 none */
	uint64_t offset;
	uint64_t start; /* where it begins in the descriptor */
};

/*
 * Connects, and starts the receiver, which calls `renewed` after each time that it has connected again.
 * Errors as for kmemblk_borrower_connect(), with a message.
 */
int connection_open(struct connection *connection, const char *socket,
		    void (*renewed)(void *opaque), void *opaque);
/* Ends what connection_wanted() waits for. */
void connection_end(struct connection *connection);
void connection_close(struct connection *connection);

/*
 * Asks for a zone and maps it at `at`, an address range of its size that is the caller's.  Gives
 * the zone's offset.  Errors: what the server answers; -ENOMEM none in time; -ENOTCONN; and if it
 * cannot be mapped, -(CONNECTION_NOT_MAPPED + errno), which no other error is.
 */
#define CONNECTION_NOT_MAPPED 4096
int connection_ask(struct connection *connection, void *at, unsigned int wait_ms, uint64_t *offset);

/* Tells the server something that has no answer; says nothing if it is away or does not listen. */
void connection_tell(struct connection *connection, uint32_t kind, uint64_t offset, uint64_t value);
/* Tells it of a zone that it does not know whose it is: 0, -EAGAIN later, or -ENOTCONN. */
int connection_tell_held(struct connection *connection, uint64_t offset);

/* Waits for the disk to want memory back: how many bytes, 0 after `wait_ms` or the connection's end. */
uint64_t connection_wanted(struct connection *connection, int wait_ms);
/* Tells the server how many bytes were given back of those that connection_wanted() told of last. */
void connection_answer(struct connection *connection, uint64_t returned);

/* Around fork(), in the thread that calls it: no descriptor of a zone reaches the child. */
void connection_before_fork(struct connection *connection);
void connection_after_fork(struct connection *connection);
/* In the child: closes what it got. */
void connection_in_child(struct connection *connection);

/* Connects for one LEND_STAT: `*text` is malloc'ed.  With a message. */
int connection_question(const char *socket, char **text);

#endif /* CONNECTION_H */
