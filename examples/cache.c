/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cache.c - a key-value cache that keeps its entries on a kmemblk disk and its hot copies in the
 * pages that the entries leave free.
 *
 *     cc cache.c $(pkg-config --cflags --libs libkmemblk) -lpthread -o cache
 *     ./cache /dev/shm/cache.img 64      # MiB, if there is no such file
 *
 * Commands, a line each: `set KEY VALUE`, `get KEY`, `del KEY`, `stats`.  Started again on the same
 * device it has all entries.
 *
 * An entry is a block, so setting it anew is one write that is never torn, and deleting it is a trim.
 * Nothing else is on the disk: at the start the blocks that have pages are read and found by their
 * keys again.  What is got is copied to a borrowed page and served from there; when the disk wants
 * pages back, for new entries, the copies that were not used for longest go.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <kmemblk.h>

#define BLOCK KMEMBLK_BLOCK_SIZE
#define NONE  UINT32_MAX

/* What a block holds: the key and the value, each with a 0 at its end. */
struct record {
	char text[BLOCK];
};

struct entry {
	uint32_t next;	    /* of the same bucket, or free; NONE ends it */
	struct record *hot; /* a copy, or NULL: covered by `lock` */
	TAILQ_ENTRY(entry) by_use;
};

static struct kmemblk *device;
static struct kmemblk_volume *disk; /* on it */
static struct entry *entries;	    /* a block of the disk each */
static uint32_t *buckets;	    /* the first entry of each, or NONE */
static uint32_t count;		    /* of both */
static uint32_t unused = NONE;	    /* entries without a key */
static uint64_t keys, hits, misses;

/*
 * The library's thread evicts, too.  Never held during a write: that may wait for memory to come
 * back, which is done under this lock.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(hot_list, entry) hot = TAILQ_HEAD_INITIALIZER(hot); /* the latest used first */

static const char *value_of(const struct record *record)
{
	return record->text + strlen(record->text) + 1;
}

/* True if there are two strings in it: what is on a disk is not trusted. */
static bool sound(const struct record *record)
{
	const char *end = memchr(record->text, '\0', BLOCK);

	return end != NULL && end != record->text &&
	       memchr(end + 1, '\0', (size_t)(record->text + BLOCK - end - 1)) != NULL;
}

static uint32_t *bucket_of(const char *key)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 1099511628211u;
	return &buckets[hash % count];
}

static int read_record(uint32_t i, struct record *record)
{
	return kmemblk_read(disk, record, BLOCK, (uint64_t)i * BLOCK);
}

/* ---- hot copies ----------------------------------------------------------------------------- */

/* With the lock: give the page of a copy back to the disk. */
static void evict(struct entry *entry)
{
	TAILQ_REMOVE(&hot, entry, by_use);
	kmemblk_return(device, entry->hot, BLOCK);
	entry->hot = NULL;
}

/* The disk wants so many bytes back. */
static int recall(void *opaque, size_t length)
{
	(void)opaque;
	pthread_mutex_lock(&lock);
	for (; length > 0 && !TAILQ_EMPTY(&hot); length -= BLOCK)
		evict(TAILQ_LAST(&hot, hot_list));
	pthread_mutex_unlock(&lock);
	return 0;
}

/* Get the record of an entry: from its copy, or from the disk, and then make one if there is room. */
static int get_record(uint32_t i, struct record *record)
{
	struct entry *entry = &entries[i];
	void *page;
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (entry->hot != NULL) {
		hits++;
		*record = *entry->hot;
		TAILQ_REMOVE(&hot, entry, by_use);
		TAILQ_INSERT_HEAD(&hot, entry, by_use);
		goto out;
	}
	misses++;
	rc = read_record(i, record);
	if (rc == 0 && kmemblk_borrow(device, BLOCK, BLOCK, &page) == 0) {
		entry->hot = page;
		*entry->hot = *record;
		TAILQ_INSERT_HEAD(&hot, entry, by_use);
	}
out:
	pthread_mutex_unlock(&lock);
	return rc;
}

static void forget_copy(uint32_t i)
{
	pthread_mutex_lock(&lock);
	if (entries[i].hot != NULL)
		evict(&entries[i]);
	pthread_mutex_unlock(&lock);
}

/* ---- entries -------------------------------------------------------------------------------- */

/* The place in its bucket that leads to the entry with the key, or to NONE.  Reads its record. */
static uint32_t *find(const char *key, struct record *record, int *rc)
{
	uint32_t *at = bucket_of(key);

	for (*rc = 0; *at != NONE; at = &entries[*at].next) {
		*rc = get_record(*at, record);
		if (*rc < 0 || strcmp(record->text, key) == 0)
			break;
	}
	return at;
}

static int set(const char *key, const char *value)
{
	struct record record = { { 0 } };
	uint32_t *at, i;
	int rc;

	if (strlen(key) + strlen(value) + 2 > BLOCK) {
		printf("too long\n");
		return 0;
	}
	at = find(key, &record, &rc);
	if (rc < 0)
		return rc;
	memset(&record, 0, sizeof(record));
	memcpy(record.text, key, strlen(key));
	memcpy(record.text + strlen(key) + 1, value, strlen(value));
	i = *at != NONE ? *at : unused;
	rc = i == NONE ? -ENOSPC : kmemblk_write(disk, &record, BLOCK, (uint64_t)i * BLOCK);
	if (rc == -ENOSPC) {
		printf("full\n");
		return 0;
	}
	if (rc < 0)
		return rc;
	forget_copy(i);
	if (*at == NONE) {
		unused = entries[i].next;
		entries[i].next = NONE;
		*at = i;
		keys++;
	}
	printf("ok\n");
	return 0;
}

static int get(const char *key)
{
	struct record record;
	int rc;

	if (*find(key, &record, &rc) == NONE)
		printf("none\n");
	else if (rc == 0)
		printf("= %s\n", value_of(&record));
	return rc;
}

static int del(const char *key)
{
	struct record record;
	uint32_t *at, i;
	int rc;

	at = find(key, &record, &rc);
	i = *at;
	if (rc == 0 && i != NONE)
		rc = kmemblk_trim(disk, BLOCK, (uint64_t)i * BLOCK);
	if (rc < 0)
		return rc;
	printf(i == NONE ? "none\n" : "ok\n");
	if (i == NONE)
		return 0;
	forget_copy(i);
	*at = entries[i].next;
	entries[i].next = unused;
	unused = i;
	keys--;
	return 0;
}

static int stats(void)
{
	struct kmemblk_info info;

	kmemblk_get_info(device, &info);
	printf("keys=%llu hits=%llu misses=%llu lent=%llu returned=%llu free=%llu\n",
	       (unsigned long long)keys, (unsigned long long)hits, (unsigned long long)misses,
	       (unsigned long long)info.pages_lent, (unsigned long long)info.pages_returned,
	       (unsigned long long)info.pages_free);
	return 0;
}

/* ---- start and commands --------------------------------------------------------------------- */

/* Blocks with pages are entries, the others are free for some. */
static int load_extent(void *opaque, uint64_t offset, uint64_t length, unsigned int flags)
{
	struct record record;
	uint32_t *bucket;

	(void)opaque;
	for (uint64_t i = offset / BLOCK; i < (offset + length) / BLOCK; i++) {
		int rc = flags & KMEMBLK_EXTENT_HOLE ? 0 : read_record((uint32_t)i, &record);

		if (rc < 0)
			return rc;
		if (flags & KMEMBLK_EXTENT_HOLE) {
			bucket = &unused;
		} else if (sound(&record)) {
			bucket = bucket_of(record.text);
			keys++;
		} else {
			continue; /* not ours: left alone */
		}
		entries[i].next = *bucket;
		*bucket = (uint32_t)i;
	}
	return 0;
}

static int open_disk(const char *path, uint64_t size)
{
	struct kmemblk_format_options format = { .create_size = size };
	struct kmemblk_memory_options memory = { .watermark = KMEMBLK_DEFAULT,
						 .headroom = KMEMBLK_DEFAULT,
						 .user.recall = recall };
	struct kmemblk_info info;
	int rc = size > 0 ? kmemblk_format(path, &format) : 0;

	if (rc < 0 && rc != -EEXIST)
		return rc;
	rc = kmemblk_open(path, 0, &device);
	if (rc == 0)
		rc = kmemblk_set_memory(device, &memory);
	if (rc == 0)
		rc = kmemblk_start(device);
	if (rc == 0)
		rc = kmemblk_volume_open(device, NULL, &disk);
	if (rc < 0)
		return rc;
	kmemblk_get_info(device, &info);
	count = info.blocks < NONE ? (uint32_t)info.blocks : NONE - 1;
	entries = calloc(count, sizeof(entries[0]));
	buckets = malloc(count * sizeof(buckets[0]));
	if (entries == NULL || buckets == NULL) {
		fprintf(stderr, "cache: out of memory\n");
		exit(1);
	}
	memset(buckets, 0xff, count * sizeof(buckets[0]));
	return kmemblk_extents(disk, (uint64_t)count * BLOCK, 0, load_extent, NULL);
}

static int command(char *line)
{
	char *word = strtok(line, " \n"), *key = strtok(NULL, " \n"), *value = strtok(NULL, "\n");

	if (word != NULL && strcmp(word, "stats") == 0)
		return stats();
	if (word != NULL && strcmp(word, "set") == 0 && value != NULL)
		return set(key, value);
	if (word != NULL && strcmp(word, "get") == 0 && key != NULL)
		return get(key);
	if (word != NULL && strcmp(word, "del") == 0 && key != NULL)
		return del(key);
	printf("? set KEY VALUE, get KEY, del KEY, stats\n");
	return 0;
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;
	int rc;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: cache PATH [MIB-TO-CREATE]\n");
		return 2;
	}
	rc = open_disk(argv[1], argc == 3 ? strtoull(argv[2], NULL, 10) << 20 : 0);
	while (rc == 0 && getline(&line, &room, stdin) != -1) {
		rc = command(line);
		fflush(stdout);
	}
	if (rc < 0)
		fprintf(stderr, "cache: %s\n", kmemblk_error());
	kmemblk_volume_close(disk);
	kmemblk_close(device);
	free(line);
	free(entries);
	free(buckets);
	return rc < 0;
}
