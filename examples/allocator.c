/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * allocator.c - malloc on the free pages of a kmemblk disk, loaded into its server.
 *
 *     cc -shared -fPIC allocator.c $(pkg-config --cflags libkmemblk) -o allocator.so
 *     nbdkit -v kmemblk /dev/shm/disk.img create=1G allocator=./allocator.so
 *
 * Other code in the process calls pool_alloc() and pool_free(), from any thread.  What the disk
 * offers comes into the pool by itself; when that does not suffice, a run is borrowed.  When the
 * disk wants memory back, whole pages that are free in the pool go at once; then the pool's user is
 * asked (pool_on_shrink), and what he frees goes to the disk until it has what it wants.
 *
 * Free memory is one list in order of addresses, so that neighbours join; its nodes lie in the
 * memory itself.  An object has its length in front.  The first piece that is large enough is taken:
 * simple, and slow when there are many.
 * The server's -v tells how many pages are lent, when a client goes and at the end.
 */
#include <pthread.h>
#include <stdbool.h>
#include <kmemblk-allocator.h>

#define PAGE   ((size_t)KMEMBLK_BLOCK_SIZE)
#define UNIT   ((size_t)16)	  /* of lengths and addresses */
#define MOST   ((size_t)2 << 20)  /* that can be borrowed at once */
#define BORROW ((size_t)64 << 10) /* so that not each object borrows */

void *pool_alloc(size_t size);
void pool_free(void *object);
void pool_on_shrink(bool (*fn)(size_t length));

/* The front of a free piece, or of an object: then `next` is not used. */
struct piece {	       /* no longer than UNIT */
	size_t length; /* bytes, with this */
	struct piece *next;
};

static const struct kmemblk_allocator_calls *calls;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* covers all below */
static struct piece *pieces;				 /* free, in order of addresses */
static size_t owed;					 /* bytes that the disk waits for */
static bool (*shrink)(size_t length);

static char *end_of(struct piece *piece)
{
	return (char *)piece + piece->length;
}

/* Put free memory where its address belongs, and join it to its neighbours. */
static void add(void *memory, size_t length)
{
	struct piece *piece = memory, *before = NULL, *after = pieces;

	while (after != NULL && after < piece) {
		before = after;
		after = after->next;
	}
	*piece = (struct piece){ .length = length, .next = after };
	if (after != NULL && end_of(piece) == (char *)after) {
		piece->length += after->length;
		piece->next = after->next;
	}
	if (before == NULL) {
		pieces = piece;
	} else if (end_of(before) == (char *)piece) {
		before->length += piece->length;
		before->next = piece->next;
	} else {
		before->next = piece;
	}
}

/* Take the end of the first piece that is long enough; NULL if none is. */
static struct piece *take(size_t length)
{
	struct piece **at = &pieces, *piece;

	while ((piece = *at) != NULL && piece->length < length)
		at = &piece->next;
	if (piece == NULL)
		return NULL;
	piece->length -= length;
	if (piece->length == 0)
		*at = piece->next;
	piece = (struct piece *)end_of(piece);
	piece->length = length;
	return piece;
}

/* Give the disk what it waits for: whole pages, wherever they lie in a free piece. */
static void pay(void)
{
	struct piece **at = &pieces;

	while (owed > 0 && *at != NULL) {
		struct piece *piece = *at;
		char *end = end_of(piece), *last = (char *)((size_t)end & ~(PAGE - 1));
		char *first = (char *)(((size_t)piece + PAGE - 1) & ~(PAGE - 1));

		if (first >= last) {
			at = &piece->next;
			continue;
		}
		if ((size_t)(last - first) > owed)
			last = first + owed;
		*at = piece->next;
		/* What is left of it, before the disk has the rest. */
		if (first > (char *)piece)
			add(piece, (size_t)(first - (char *)piece));
		if (end > last)
			add(last, (size_t)(end - last));
		owed -= (size_t)(last - first);
		calls->give_back(calls->device, first, (size_t)(last - first));
	}
}

/* As malloc(): NULL if there is no memory.  What it holds is undefined. */
void *pool_alloc(size_t size)
{
	size_t length = (size + 2 * UNIT - 1) & ~(UNIT - 1);
	size_t run = length < BORROW ? BORROW : (length + PAGE - 1) & ~(PAGE - 1);
	struct piece *piece;
	void *memory;

	if (calls == NULL || size > (size_t)1 << 40)
		return NULL;
	pthread_mutex_lock(&lock);
	piece = take(length);
	if (piece == NULL && owed == 0 && run <= MOST &&
	    calls->borrow(calls->device, run, PAGE, &memory) == 0) {
		add(memory, run);
		piece = take(length);
	}
	pthread_mutex_unlock(&lock);
	return piece != NULL ? (char *)piece + UNIT : NULL;
}

/* As free(). */
void pool_free(void *object)
{
	struct piece *piece;

	if (object == NULL)
		return;
	piece = (struct piece *)((char *)object - UNIT);
	pthread_mutex_lock(&lock);
	add(piece, piece->length);
	pay();
	pthread_mutex_unlock(&lock);
}

/* `fn` is called when the disk wants more than is free here.  It frees, or returns true: soon. */
void pool_on_shrink(bool (*fn)(size_t length))
{
	pthread_mutex_lock(&lock);
	shrink = fn;
	pthread_mutex_unlock(&lock);
}

/* ---- what the server calls ------------------------------------------------------------------ */

static int start(const struct kmemblk_allocator_calls *given)
{
	calls = given;
	return 0;
}

static int on_offer(void *opaque, void *memory, size_t length)
{
	(void)opaque;
	pthread_mutex_lock(&lock);
	add(memory, length);
	owed = 0; /* it has some to give away */
	pthread_mutex_unlock(&lock);
	return 1;
}

static int on_recall(void *opaque, size_t length)
{
	bool (*fn)(size_t length);

	(void)opaque;
	pthread_mutex_lock(&lock);
	owed = length;
	pay();
	length = owed;
	fn = shrink;
	pthread_mutex_unlock(&lock);
	/* Without the lock, for it frees; what it frees later is paid then. */
	return length > 0 && fn != NULL && fn(length);
}

const struct kmemblk_allocator *kmemblk_allocator(void)
{
	static const struct kmemblk_allocator allocator = { .version = KMEMBLK_ALLOCATOR_VERSION,
							    .start = start,
							    .offer = on_offer,
							    .recall = on_recall };

	return &allocator;
}
