/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * borrower.c - borrow zones of a device from the process that serves it.
 *
 * connection.c talks to the server; here is which zones are mapped where, and the thread that calls the
 * program when the disk wants memory back.  What the server must be told of a zone is its offset in
 * the device, and what the program knows is its address: a hash table with linear probing, in pages
 * of its own, since an allocator may be above.
 */
#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/shell.h"
#include "base/thread.h"
#include "borrow/connection.h"
#include "kmemblk.h"

#define FIRST_PLACES 256u

struct borrowed {
	uintptr_t memory; /* 0 none */
	uint64_t offset;  /* in the device */
};

struct kmemblk_borrower {
	struct connection connection;
	pthread_mutex_t lock;	/* what follows; taken before those of the connection */
	struct borrowed *zones; /* a hash table by memory */
	size_t places;		/* of it, a power of two */
	size_t used;
	uint64_t returned; /* bytes, ever */
	/* With a recall callback only. */
	pthread_t thread;
	void (*recall)(void *opaque, size_t length);
	void *opaque;
};

/* ---- which zone is where -------------------------------------------------------------------- */

static struct borrowed *make_table(size_t places)
{
	void *table = mmap(NULL, places * sizeof(struct borrowed), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return table == MAP_FAILED ? NULL : table;
}

static size_t place_of(const struct kmemblk_borrower *b, uintptr_t memory)
{
	return (memory / b->connection.zone_size) & (b->places - 1);
}

/* Where `memory` is, or the empty place where it would be. */
static size_t find(const struct kmemblk_borrower *b, uintptr_t memory)
{
	size_t i = place_of(b, memory);

	while (b->zones[i].memory && b->zones[i].memory != memory)
		i = (i + 1) & (b->places - 1);
	return i;
}

/* There must be room for one more, at half full at the most. */
static int make_room(struct kmemblk_borrower *b)
{
	struct borrowed *old = b->zones, *table;
	size_t places = b->places;

	if (2 * (b->used + 1) <= places)
		return 0;
	table = make_table(2 * places);
	if (table == NULL)
		return -ENOMEM;
	b->zones = table;
	b->places = 2 * places;
	for (size_t i = 0; i < places; i++) {
		if (old[i].memory)
			b->zones[find(b, old[i].memory)] = old[i];
	}
	munmap(old, places * sizeof(*old));
	return 0;
}

static void forget(struct kmemblk_borrower *b, size_t i)
{
	size_t next = i, home;

	/* Close the gap: what could not be where it belongs moves up. */
	for (;;) {
		next = (next + 1) & (b->places - 1);
		if (!b->zones[next].memory)
			break;
		home = place_of(b, b->zones[next].memory);
		if (((next - home) & (b->places - 1)) < ((next - i) & (b->places - 1)))
			continue;
		b->zones[i] = b->zones[next];
		i = next;
	}
	b->zones[i].memory = 0;
	b->used--;
}

/*
 * A server that has been started again, or has lost the connection, knows which zones are lent and not
 * to whom, so it would ask nobody to give them back.  Each is told while the table still has it.
 */
static void tell_held(void *opaque)
{
	struct kmemblk_borrower *b = opaque;
	struct borrowed *copy;
	size_t places, i = 0, at;
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	places = b->places;
	copy = b->used > 0 ? make_table(places) : NULL;
	if (copy != NULL)
		memcpy(copy, b->zones, places * sizeof(*copy));
	pthread_mutex_unlock(&b->lock);
	while (copy != NULL && i < places && rc != -ENOTCONN) {
		pthread_mutex_lock(&b->lock);
		at = find(b, copy[i].memory);
		rc = copy[i].memory != 0 && b->zones[at].memory == copy[i].memory &&
				     b->zones[at].offset == copy[i].offset
			     ? connection_tell_held(&b->connection, copy[i].offset)
			     : 0;
		pthread_mutex_unlock(&b->lock);
		/* Without the lock, and until the server reads. */
		if (rc == -EAGAIN)
			usleep(1000);
		else
			i++;
	}
	if (copy != NULL)
		munmap(copy, places * sizeof(*copy));
}

/* ---- borrowing ------------------------------------------------------------------------------ */

static int init(struct kmemblk_borrower *b, const char *socket)
{
	struct connection_calls calls = { .renewed = tell_held, .opaque = b };
	int rc;

	memset(b, 0, sizeof(*b));
	b->places = FIRST_PLACES;
	b->zones = make_table(b->places);
	if (b->zones == NULL)
		return fail_errno(errno, "borrow: %s", socket);
	pthread_mutex_init(&b->lock, NULL);
	rc = connection_open(&b->connection, socket, &calls);
	if (rc != 0)
		munmap(b->zones, b->places * sizeof(*b->zones));
	return rc;
}

static void destroy(struct kmemblk_borrower *b)
{
	connection_close(&b->connection);
	munmap(b->zones, b->places * sizeof(*b->zones));
	pthread_mutex_destroy(&b->lock);
}

static int put_in(struct kmemblk_borrower *b, const void *memory, uint64_t offset)
{
	int rc;

	pthread_mutex_lock(&b->lock);
	rc = make_room(b);
	if (rc == 0) {
		b->zones[find(b, (uintptr_t)memory)] =
			(struct borrowed){ .memory = (uintptr_t)memory, .offset = offset };
		b->used++;
	}
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* Unmaps, and keeps the addresses from being used. */
static int vacate(void *memory, size_t size)
{
	void *place = mmap(memory, size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return place == MAP_FAILED ? -errno : 0;
}

struct mapping {
	const struct connection *connection;
	void *at;
	uint64_t offset;
};

/* The server has given the zone its storage; populating saves a fault a page. */
static int map_zone(void *opaque, struct zone *zone)
{
	struct mapping *mapping = opaque;
	size_t size = mapping->connection->zone_size;

	if (mmap(mapping->at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
		 zone->fd, (off_t)zone->start) == MAP_FAILED)
		return -errno;
	/* A child would write to the device after its parent has given the zone back. */
	if (mapping->connection->of_device)
		madvise(mapping->at, size, MADV_DONTFORK);
	mapping->offset = zone->offset;
	return 0;
}

/* At `at`, a range of a zone's size, and aligned to it, that is the caller's.  No message. */
static int borrow_at(struct kmemblk_borrower *b, void *at, unsigned int wait_ms)
{
	struct mapping mapping = { .connection = &b->connection, .at = at };
	int rc = connection_ask(&b->connection, wait_ms, map_zone, &mapping);

	if (rc != 0)
		return rc;
	rc = put_in(b, at, mapping.offset);
	if (rc != 0) {
		vacate(at, b->connection.zone_size);
		connection_returned(&b->connection, mapping.offset);
	}
	return rc;
}

/* Takes the zone from the table. */
static int take_out(struct kmemblk_borrower *b, const void *memory, uint64_t *offset)
{
	int rc = -EINVAL;
	size_t i;

	pthread_mutex_lock(&b->lock);
	i = find(b, (uintptr_t)memory);
	if (memory != NULL && b->zones[i].memory) {
		*offset = b->zones[i].offset;
		forget(b, i);
		b->returned += b->connection.zone_size;
		rc = 0;
	}
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* ---- kmemblk.h ------------------------------------------------------------------------------ */

static void *run_recall(void *opaque)
{
	struct kmemblk_borrower *b = opaque;
	uint64_t wanted, before, returned;

	for (;;) {
		wanted = connection_wanted(&b->connection, -1);
		if (!wanted)
			return NULL;
		pthread_mutex_lock(&b->lock);
		before = b->returned;
		pthread_mutex_unlock(&b->lock);
		b->recall(b->opaque, wanted);
		pthread_mutex_lock(&b->lock);
		returned = b->returned - before;
		pthread_mutex_unlock(&b->lock);
		connection_answer(&b->connection, returned);
	}
}

int kmemblk_borrower_connect(const char *socket, void (*recall)(void *opaque, size_t length),
			     void *opaque, struct kmemblk_borrower **borrower)
{
	struct kmemblk_borrower *b = malloc(sizeof(*b));
	int rc;

	*borrower = NULL;
	if (b == NULL)
		return fail_errno(ENOMEM, "borrow: %s", socket);
	rc = init(b, socket);
	if (rc != 0)
		goto out;
	b->recall = recall;
	b->opaque = opaque;
	if (recall != NULL) {
		rc = thread_start(&b->thread, 0, run_recall, b);
		if (rc != 0) {
			thread_fail(rc, "borrow", socket, "callback");
			destroy(b);
			goto out;
		}
	}
	*borrower = b;
	return 0;
out:
	free(b);
	return rc;
}

size_t kmemblk_borrower_zone_size(const struct kmemblk_borrower *borrower)
{
	return borrower->connection.zone_size;
}

/* A range of a zone's size, aligned to it, inaccessible. */
static void *reserve(size_t size)
{
	uint8_t *range, *aligned;

	range = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED)
		return NULL;
	aligned = range + (-(uintptr_t)range & (size - 1));
	if (aligned > range)
		munmap(range, (size_t)(aligned - range));
	munmap(aligned + size, (size_t)(range + size - aligned));
	return aligned;
}

static int fail_borrow(const struct kmemblk_borrower *b, int rc)
{
	const char *socket = b->connection.address.sun_path;
	char reason[128];

	if (rc < -CONNECTION_NOT_MAPPED) {
		rc += CONNECTION_NOT_MAPPED;
		return fail(-rc,
			    "borrow: %s: cannot map a zone: %s: raise the limits on this process's "
			    "memory (sysctl vm.max_map_count, ulimit -v)",
			    socket, strerror_r(-rc, reason, sizeof(reason)));
	}
	switch (-rc) {
	case ENOMEM:
		return fail(
			-rc,
			"borrow: %s: no zone is free: to see what the pages are used for, type: "
			"kmemblk stat %s",
			socket, SHELL_WORD(socket));
	case EBUSY:
		return fail(
			-rc,
			"borrow: %s: the disk is busy, and little is lent meanwhile: wait longer",
			socket);
	case EDQUOT:
		return fail(-rc,
			    "borrow: %s: this borrower has as much as the server gives one "
			    "(lend-limit=, %llu bytes): return a zone first",
			    socket, (unsigned long long)b->connection.limit);
	case ENOTCONN:
		if (b->connection.pid != getpid())
			return fail(-rc,
				    "borrow: %s: the connection is that of the parent process: "
				    "connect in this one",
				    socket);
		return fail(-rc,
			    "borrow: %s: the server is away: the connection is made again when it "
			    "is back",
			    socket);
	default:
		return fail(-rc, "borrow: %s: the server cannot lend a zone: %s", socket,
			    strerror_r(-rc, reason, sizeof(reason)));
	}
}

int kmemblk_borrower_borrow(struct kmemblk_borrower *borrower, void *at, unsigned int wait_ms,
			    void **memory)
{
	size_t size = borrower->connection.zone_size;
	void *range = at;
	bool known;
	int rc;

	*memory = NULL;
	if (at != NULL) {
		if ((uintptr_t)at % size)
			return fail(EINVAL, "borrow: %p: not aligned to a zone", at);
		pthread_mutex_lock(&borrower->lock);
		known = borrower->zones[find(borrower, (uintptr_t)at)].memory;
		pthread_mutex_unlock(&borrower->lock);
		if (known)
			return fail(EINVAL, "borrow: %p: a zone is there already", at);
	} else {
		range = reserve(size);
		if (range == NULL)
			return fail_errno(errno, "borrow: cannot reserve addresses for a zone");
	}
	rc = borrow_at(borrower, range, wait_ms);
	if (rc != 0) {
		if (at == NULL)
			munmap(range, size);
		return fail_borrow(borrower, rc);
	}
	*memory = range;
	return 0;
}

int kmemblk_borrower_return(struct kmemblk_borrower *borrower, void *memory, int keep_place)
{
	size_t size = borrower->connection.zone_size;
	uint64_t offset;
	int rc;

	/* First out of the table: once unmapped, the range may be another zone's at once. */
	if (take_out(borrower, memory, &offset))
		return fail(EINVAL, "return: %p: not a zone of this borrower's", memory);
	rc = keep_place ? vacate(memory, size) : (munmap(memory, size) ? -errno : 0);
	if (rc != 0) {
		put_in(borrower, memory, offset);
		return fail_errno(-rc, "return: %p", memory);
	}
	connection_returned(&borrower->connection, offset);
	return 0;
}

void kmemblk_borrower_close(struct kmemblk_borrower *borrower)
{
	bool ours;

	if (borrower == NULL)
		return;
	ours = borrower->connection.pid == getpid();
	if (ours && borrower->recall != NULL) {
		connection_end(&borrower->connection);
		pthread_join(borrower->thread, NULL);
	}
	destroy(borrower);
	free(borrower);
}

int kmemblk_borrower_stat(const char *socket, char **text)
{
	return connection_question(socket, text);
}
