/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory-user.c - many threads write, trim and verify blocks while others use the free pages as
 * memory and the rest is punched.
 *
 * Writers: each has blocks of its own and knows what each of them holds.  Users: they borrow runs of
 * any length and alignment, which must be zeroed, fill them, look at them again after a while and
 * return them in parts; what `offer` shows them goes to them as well, and `recall` makes all of them
 * give back what they hold.  Nobody's bytes may ever change, and no write may fail: the disk never
 * has more blocks than there are pages.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "common/disk.h"

#define WRITERS 8u
#define USERS	4u
#define RUNS	64u
#define MOST	32u /* blocks a request */
#define SIZE	(24u << 20)

static struct kmemblk *handle;
static uint32_t blocks; /* of each writer */
static unsigned int rounds;
static _Atomic bool wanted;
static _Atomic unsigned int writing;
static _Atomic uint64_t borrowed, offered, asked;

struct writer {
	pthread_t thread;
	uint32_t first;
	uint64_t random;
	uint32_t *version; /* 0: zeroes */
	uint8_t buf[MOST * BLOCK_SIZE];
};

struct run {
	uint8_t *memory;
	size_t length;
	uint32_t mark;
};

struct user {
	pthread_t thread;
	pthread_mutex_t lock; /* covers the runs: one user takes what is offered, too */
	uint64_t random;
	unsigned int count;
	struct run runs[RUNS];
};

static struct user users[USERS];

static void verify(struct writer *w, uint32_t at, uint32_t n)
{
	CHECK_CALL(kmemblk_read(disk_of(handle), w->buf, (size_t)n * BLOCK_SIZE,
				(uint64_t)(w->first + at) * BLOCK_SIZE));
	for (uint32_t i = 0; i < n; i++) {
		struct content c = block_recognise(w->buf + i * BLOCK_SIZE, 0, BLOCK_WORDS);
		uint32_t version = w->version[at + i];

		CHECK(version == 0 ? c.kind == CONTENT_ZEROES
				   : c.kind == CONTENT_VERSION && c.number == w->first + at + i &&
					     c.version == version,
		      "block %u is not version %u of it", w->first + at + i, version);
	}
}

static bool all_happened(void)
{
	struct kmemblk_info info;

	kmemblk_get_info(handle, &info);
	return borrowed > 0 && offered > 0 && info.pages_returned > 0;
}

static void *write_and_trim(void *opaque)
{
	struct writer *w = opaque;

	/* Long enough, and until all has happened that is to happen beside it. */
	for (uint32_t round = 1; round <= rounds || !all_happened(); round++) {
		uint32_t n = 1 + random_below(&w->random, MOST);
		uint32_t at = random_below(&w->random, blocks - n);
		/* Now the disk fills, now it empties. */
		uint32_t kind = random_below(&w->random, 8) + (round / 256 % 2 ? 2 : 0);

		if (kind < 3) {
			CHECK_CALL(kmemblk_trim(disk_of(handle), (uint64_t)n * BLOCK_SIZE,
						(uint64_t)(w->first + at) * BLOCK_SIZE));
		} else if (kind < 7) {
			for (uint32_t i = 0; i < n; i++)
				block_fill(w->buf + i * BLOCK_SIZE, w->first + at + i, round);
			CHECK_CALL(kmemblk_write(disk_of(handle), w->buf, (size_t)n * BLOCK_SIZE,
						 (uint64_t)(w->first + at) * BLOCK_SIZE));
		} else {
			verify(w, at, n);
			continue;
		}
		for (uint32_t i = 0; i < n; i++)
			w->version[at + i] = kind < 3 ? 0 : round;
	}
	for (uint32_t at = 0; at < blocks; at += MOST)
		verify(w, at, blocks - at < MOST ? blocks - at : MOST);
	atomic_fetch_sub(&writing, 1);
	return NULL;
}

static void mark(struct run *run, uint32_t mark)
{
	run->mark = mark;
	for (size_t i = 0; i < run->length; i += BLOCK_SIZE)
		block_fill(run->memory + i, mark, mark + 1);
}

static void look_at(const struct run *run)
{
	for (size_t i = 0; i < run->length; i += BLOCK_SIZE) {
		struct content c = block_recognise(run->memory + i, 0, BLOCK_WORDS);

		CHECK(c.kind == CONTENT_VERSION && c.number == run->mark &&
			      c.version == run->mark + 1,
		      "lent memory changed");
	}
}

static void accept_run(struct user *u, void *memory, size_t length)
{
	struct run *run = &u->runs[u->count++];

	*run = (struct run){ .memory = memory, .length = length };
	for (size_t i = 0; i < length; i += BLOCK_SIZE)
		CHECK(block_recognise(run->memory + i, 0, BLOCK_WORDS).kind == CONTENT_ZEROES,
		      "lent memory is not zeroed");
	mark(run, (uint32_t)random_next(&u->random) >> 2);
}

/* Give the last run back, whole or a part of it. */
static void give_back(struct user *u)
{
	struct run *run = &u->runs[u->count - 1];
	size_t part =
		(1 + random_below(&u->random, (uint32_t)(run->length / BLOCK_SIZE))) * BLOCK_SIZE;

	look_at(run);
	run->length -= part;
	CHECK_CALL(kmemblk_return(handle, run->memory + run->length, part));
	if (run->length == 0)
		u->count--;
}

static void borrow(struct user *u)
{
	size_t length = (size_t)BLOCK_SIZE << random_below(&u->random, 8);
	size_t align = (size_t)BLOCK_SIZE << random_below(&u->random, 10);
	void *memory;

	if (kmemblk_borrow(handle, length, align, &memory) != 0)
		return;
	CHECK((uintptr_t)memory % align == 0, "%p is not aligned to %zu", memory, align);
	accept_run(u, memory, length);
	atomic_fetch_add(&borrowed, 1);
}

static void *use(void *opaque)
{
	struct user *u = opaque;

	while (writing > 0) {
		bool hurry = wanted;

		pthread_mutex_lock(&u->lock);
		if (u->count > 0 && (hurry || random_below(&u->random, 3) == 0))
			give_back(u);
		else if (u->count < RUNS && !hurry)
			borrow(u);
		if (u->count > 0)
			look_at(&u->runs[random_below(&u->random, u->count)]);
		if (hurry && u->count == 0 && u == &users[0])
			wanted = false;
		pthread_mutex_unlock(&u->lock);
		usleep(hurry ? 0 : 200);
	}
	/* An offer may have been accepted just before the last writer ended. */
	pthread_mutex_lock(&u->lock);
	while (u->count > 0)
		give_back(u);
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

static int on_offer(void *opaque, void *memory, size_t length)
{
	struct user *u = &users[atomic_fetch_add(&offered, 1) % USERS];
	int take;

	(void)opaque;
	pthread_mutex_lock(&u->lock);
	take = u->count < RUNS && !wanted && writing > 0;
	if (take)
		accept_run(u, memory, length);
	pthread_mutex_unlock(&u->lock);
	return take;
}

static int on_recall(void *opaque, size_t length)
{
	(void)opaque;
	(void)length;
	atomic_fetch_add(&asked, 1);
	wanted = true;
	return 1;
}

static char *open_device(void)
{
	struct kmemblk_memory_options options = {
		.watermark = 256 * BLOCK_SIZE,
		.headroom = 64 * BLOCK_SIZE,
		.user = { .offer = on_offer, .recall = on_recall, .timeout_ms = 600000 },
	};
	char *path = test_make_device(SIZE, 16);
	struct kmemblk_info info;

	CHECK_CALL(kmemblk_open(path, 0, &handle));
	CHECK_CALL(kmemblk_set_memory(handle, &options));
	CHECK_CALL(kmemblk_start(handle));
	kmemblk_get_info(handle, &info);
	blocks = (uint32_t)info.blocks / WRITERS;
	return path;
}

int main(void)
{
	struct writer *writers = calloc(WRITERS, sizeof(writers[0]));
	struct kmemblk_info info;
	char *path;

	CHECK(writers != NULL, "out of memory");
	rounds = scale_races(6000);
	writing = WRITERS;
	for (unsigned int i = 0; i < USERS; i++) {
		users[i].random = 1000 + i;
		pthread_mutex_init(&users[i].lock, NULL);
	}
	path = open_device();
	for (unsigned int i = 0; i < WRITERS; i++) {
		writers[i].first = i * blocks;
		writers[i].random = i;
		writers[i].version = calloc(blocks, sizeof(writers[i].version[0]));
		CHECK(writers[i].version != NULL, "out of memory");
		CHECK(pthread_create(&writers[i].thread, NULL, write_and_trim, &writers[i]) == 0,
		      "pthread_create");
	}
	for (unsigned int i = 0; i < USERS; i++)
		CHECK(pthread_create(&users[i].thread, NULL, use, &users[i]) == 0,
		      "pthread_create");
	for (unsigned int i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		free(writers[i].version);
	}
	for (unsigned int i = 0; i < USERS; i++)
		pthread_join(users[i].thread, NULL);
	kmemblk_get_info(handle, &info);
	printf("%llu borrowed, %llu offered, %llu asked, %llu pages punched, %llu given back\n",
	       (unsigned long long)borrowed, (unsigned long long)offered, (unsigned long long)asked,
	       (unsigned long long)info.pages_punched, (unsigned long long)info.pages_returned);
	test_close_and_check(handle, path, info.pages_used);
	free(path);
	free(writers);
	return 0;
}
