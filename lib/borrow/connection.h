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

/* What is borrowed. */
struct zone {
	uint64_t offset; /* its name */
	int fd;		 /* to map it through; -1 none */
	uint64_t start;	 /* where it begins there */
};

struct connection {
	struct sockaddr_un address;
	pid_t pid; /* whose connection it is: a child of it has none */
	pthread_t receiver;
	pid_t receiver_id;    /* set by itself, read by who has joined it */
	pthread_mutex_t turn; /* who asks for a zone: one at a time */
	pthread_mutex_t lock; /* all that follows; taken after `turn` */
	pthread_cond_t changed;
	/* Called by the receiver, with no lock held. */
	struct connection_calls {
		/* It has connected, for the first time or again. */
		void (*renewed)(void *opaque);
		/* The others may be NULL.  connection_wanted() has something to tell. */
		void (*recalled)(void *opaque);
		/* It could not connect again: -errno, with a message. */
		void (*away)(void *opaque, int rc);
		void *opaque;
	} calls;
	size_t zone_size;
	uint64_t limit;		  /* bytes, as the server says */
	bool of_device;		  /* what it lends is the device's own memory */
	unsigned int patience_ms; /* how long an answer may take beyond what was asked for */
	uint64_t wanted;	  /* bytes that the disk wants back; 0 nothing */
	uint64_t recall;	  /* which LEND_RECALL said so, over this connection; 0 none */
	uint64_t taken_up;	  /* and which one connection_wanted() told of last */
	uint64_t asked, answered; /* zones, over this connection */
	bool waiting;		  /* for the answer whose number is `asked` */
	bool is_new;		  /* the server has not been told what it cannot know */
	bool ended;
	_Atomic bool
		deaf; /* it has taken nothing for long, and is not waited for again until it does */
	int fd;	      /* -1 the server is away */
	dev_t device;
	ino_t inode; /* of fd, to see that it still is what it was */
	int status;  /* the answer: 0 or -errno */
	struct zone zone;
};

/* Connects, and starts the receiver.  Errors as for kmemblk_borrower_connect(), with a message. */
int connection_open(struct connection *connection, const char *socket,
		    const struct connection_calls *calls);
/* Ends what connection_wanted() waits for. */
void connection_end(struct connection *connection);
/* The receiver is gone then, for the kernel too (thread_join()). */
void connection_close(struct connection *connection);

/*
 * Asks for a zone, and has `map` map it, which may keep the descriptor by setting it to -1.  Errors: what
 * the server answers; -ENOMEM none in time; -ENOTCONN; and if `map` fails, -(CONNECTION_NOT_MAPPED +
 * errno), which no other error is: then the server has it again.
 */
#define CONNECTION_NOT_MAPPED 4096
typedef int connection_map_fn(void *opaque, struct zone *zone);
int connection_ask(struct connection *connection, unsigned int wait_ms, connection_map_fn *map,
		   void *opaque);

/*
 * Tells the server of a zone, by its name: it is mapped no more; or, privately, and all of it has been
 * copied.  Waits a while for a server that is behind, so not to be called with a lock that others need.  One
 * that was not told finds by itself what is mapped no more, but not what has been copied: false.
 */
void connection_returned(struct connection *connection, uint64_t offset);
bool connection_copied(struct connection *connection, uint64_t offset);
/* Tells it of a zone that it does not know whose it is: 0, -EAGAIN later, or -ENOTCONN. */
int connection_tell_held(struct connection *connection, uint64_t offset);

/* Waits for the disk to want memory back: how many bytes, 0 after `wait_ms` or the connection's end. */
uint64_t connection_wanted(struct connection *connection, int wait_ms);
/* Tells the server how many bytes were given back of those that connection_wanted() told of last. */
void connection_answer(struct connection *connection, uint64_t returned);

/* What a server says to a borrower that has just connected. */
struct connection_terms {
	size_t zone_size;
	uint64_t limit; /* bytes */
	bool of_device; /* what it lends is the device's own memory */
};

/* Connects to see whether a server is there and lends to this user.  Errors as of connection_open(). */
int connection_look(const char *socket, struct connection_terms *terms);

/* Connects for one LEND_STAT: `*text` is malloc'ed.  With a message. */
int connection_question(const char *socket, char **text);

#endif /* CONNECTION_H */
