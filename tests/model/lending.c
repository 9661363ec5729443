/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lending.c - the library with a lending server: writers, trimmers, the mover and a borrower at once.
 *
 * Each writer has blocks of its own, which it writes, trims and reads, verified.  A thread speaks the
 * protocol: it borrows all it can get, which keeps the mover at work, checks that each zone is zeroed
 * and that nobody else writes to it, returns some, and gives back what it is asked for.  So no write
 * may fail.  It has its own mappings of its zones, as another process would.
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/packet.h"
#include "harness.h"
#include "common/disk.h"

#define DEVICE_SIZE (24 << 20)
#define WRITERS	    4u
#define MOST_ZONES  16u
#define ZONE_SIZE   (2u << 20)

struct writer {
	pthread_t thread;
	uint32_t number, first, count;
	uint32_t *version; /* a block; 0: none */
	uint64_t random;
};

struct zone {
	uint64_t offset;
	uint64_t *memory;
};

static struct kmemblk *handle;
static unsigned int operations;
static _Atomic bool stop;

/* The borrower's own. */
static int fd;
static struct zone zone[MOST_ZONES];
static unsigned int zones;
static uint64_t borrowed, given_back;

/* ---- writers -------------------------------------------------------------------------------- */

static void verify(struct writer *writer, uint32_t i)
{
	uint32_t version = writer->version[i], block = writer->first + i;
	uint8_t buf[BLOCK_SIZE];
	struct content content;

	CHECK_CALL(kmemblk_read(disk_of(handle), buf, sizeof(buf), (uint64_t)block * BLOCK_SIZE));
	content = block_recognise(buf, 0, BLOCK_WORDS);
	CHECK(version == 0 ? content.kind == CONTENT_ZEROES
			   : content.kind == CONTENT_VERSION && content.number == block &&
				     content.version == version,
	      "block %u: kind %d, number %u, version %u instead of %u", block, content.kind,
	      content.number, content.version, version);
}

static void write_or_trim(struct writer *writer, uint32_t i, bool write)
{
	uint64_t offset = (uint64_t)(writer->first + i) * BLOCK_SIZE;
	uint8_t buf[BLOCK_SIZE];

	if (write) {
		block_fill(buf, writer->first + i, ++writer->number);
		CHECK_CALL(kmemblk_write(disk_of(handle), buf, sizeof(buf), offset));
		writer->version[i] = writer->number;
	} else {
		CHECK_CALL(kmemblk_trim(disk_of(handle), BLOCK_SIZE, offset));
		writer->version[i] = 0;
	}
}

/* In phases, so that the disk fills and empties. */
static void *run_writer(void *opaque)
{
	struct writer *writer = opaque;

	for (unsigned int n = 0; n < operations; n++) {
		uint32_t i = random_below(&writer->random, writer->count);
		bool filling = n * 6 / operations % 2 == 0;

		if (random_below(&writer->random, 3) == 0)
			verify(writer, i);
		else
			write_or_trim(writer, i,
				      random_below(&writer->random, 8) < (filling ? 7u : 1u));
	}
	for (uint32_t i = 0; i < writer->count; i++)
		verify(writer, i);
	return NULL;
}

/* ---- the borrower --------------------------------------------------------------------------- */

static void say(uint32_t kind, uint64_t offset, uint64_t value)
{
	CHECK(packet_send(fd, kind, offset, value), "send: %m");
}

static struct lend_message hear(int *descriptor)
{
	struct lend_message message;

	CHECK(packet_receive(fd, &message, sizeof(message), descriptor) == sizeof(message),
	      "recvmsg: %m");
	return message;
}

static void take(const struct lend_message *message, int descriptor)
{
	uint64_t offset = message->offset;
	uint64_t *memory = mmap(NULL, ZONE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor,
				(off_t)message->value);

	CHECK(memory != MAP_FAILED && zones < MOST_ZONES, "mmap: %m");
	close(descriptor);
	for (unsigned int i = 0; i < ZONE_SIZE / sizeof(memory[0]); i++) {
		CHECK(memory[i] == 0, "zone at %llu: not zeroed", (unsigned long long)offset);
		memory[i] = offset + i;
	}
	zone[zones++] = (struct zone){ offset, memory };
	borrowed++;
}

static void give_back(void)
{
	const struct zone *last = &zone[--zones];

	for (unsigned int i = 0; i < ZONE_SIZE / sizeof(last->memory[0]); i++)
		CHECK(last->memory[i] == last->offset + i, "zone at %llu: written to",
		      (unsigned long long)last->offset);
	munmap(last->memory, ZONE_SIZE);
	say(LEND_RETURNED, last->offset, 0);
}

static void answer(const struct lend_message *recall)
{
	uint64_t given = 0;

	for (; given < recall->value && zones > 0; given += ZONE_SIZE)
		give_back();
	given_back += given / ZONE_SIZE;
	say(LEND_RECALLED, recall->offset, given);
}

static void *run_borrower(void *opaque)
{
	uint64_t random = 1;
	int descriptor;

	(void)opaque;
	say(LEND_HELLO, 0, 0);
	CHECK(hear(&descriptor).kind == LEND_WELCOME, "no welcome");
	/* And until there was a zone, for which the mover may need a while. */
	while (!atomic_load(&stop) || borrowed == 0) {
		struct lend_message message;

		say(LEND_BORROW, 0, 20);
		while ((message = hear(&descriptor)).kind == LEND_RECALL)
			answer(&message);
		if (message.status == 0)
			take(&message, descriptor);
		if (zones > 0 && random_below(&random, 4) == 0)
			give_back();
	}
	while (zones > 0)
		give_back();
	return NULL;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void open_and_lend(const char *path, const char *socket_path)
{
	struct kmemblk_memory_options memory = {
		.watermark = KMEMBLK_DEFAULT,
		.headroom = KMEMBLK_DEFAULT,
		.user.timeout_ms = 3600000, /* whoever answers is waited for */
	};
	struct kmemblk_lend_options lend = {
		.socket = socket_path, .owner = -1u, .group = -1u, .limit = KMEMBLK_DEFAULT
	};

	CHECK_CALL(kmemblk_open(path, 0, &handle));
	CHECK_CALL(kmemblk_set_memory(handle, &memory));
	CHECK_CALL(kmemblk_lend(handle, &lend));
	CHECK_CALL(kmemblk_start(handle));
	fd = packet_connect(socket_path);
	CHECK(fd != -1, "%s: %m", socket_path);
}

static void run(struct writer *writers)
{
	struct kmemblk_info info;
	pthread_t borrower;

	kmemblk_get_info(handle, &info);
	CHECK(pthread_create(&borrower, NULL, run_borrower, NULL) == 0, "pthread_create");
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i].count = (uint32_t)info.blocks / WRITERS;
		writers[i].first = i * writers[i].count;
		writers[i].random = i + 1;
		writers[i].version = calloc(writers[i].count, sizeof(uint32_t));
		CHECK(pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]) == 0,
		      "pthread_create");
	}
	for (uint32_t i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		free(writers[i].version);
	}
	atomic_store(&stop, true);
	pthread_join(borrower, NULL);
	close(fd);
}

/* With a name, beside which what is lent can be. */
static void make_device(const char *path)
{
	struct kmemblk_format_options options = { .create_size = DEVICE_SIZE, .spare_pages = 32 };

	CHECK_CALL(kmemblk_format(path, &options));
}

int main(void)
{
	static struct writer writers[WRITERS];
	char folder[] = "/tmp/kmemblk-lending.XXXXXX", socket_path[64];
	char path[64], loans[80];

	operations = scale_races(200000);
	CHECK(mkdtemp(folder) != NULL, "%s: %m", folder);
	snprintf(socket_path, sizeof(socket_path), "%s/lend", folder);
	snprintf(path, sizeof(path), "/dev/shm/kmemblk-lending.%d", getpid());
	snprintf(loans, sizeof(loans), "%s.loans", path);
	make_device(path);
	open_and_lend(path, socket_path);
	run(writers);
	printf("%llu zones borrowed, %llu asked back\n", (unsigned long long)borrowed,
	       (unsigned long long)given_back);
	test_close_and_check(handle, path, UINT64_MAX);
	CHECK(rmdir(folder) == 0, "%s: the socket is still there: %m", folder);
	CHECK(unlink(path) == 0 && access(loans, F_OK) == -1, "%s is still there", loans);
	return 0;
}
