/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loan.c - a loan in a slot of the heap: shared, then private, then copied.
 *
 * Shared, stores go to the loan's file.  A child must not have that: it is kept out of children, so that what
 * comes past our fork (calls.c) faults rather than stores into its parent's heap.
 *
 * For a fork it is mapped again in place, privately, which the child inherits: whoever stores to a page
 * from now on copies it first.  The mapping is exchanged in one step, so other threads go on loading and
 * storing.  What the program has done to its pages by mprotect(2), mlock(2) or madvise(2) is kept, mapping by
 * mapping, as the kernel tells of them.
 *
 * When no child is left, the rest of the pages that somebody has is copied at once, by the kernel
 * (MADV_POPULATE_WRITE, which stores nothing), and the file's storage is needed no more.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "heap.h"
#include "libc.h"
#include "loan.h"

int loan_map(size_t s, struct zone *zone)
{
	/* The file has its storage; populating saves a fault a page. */
	if (mmap(heap_slot_at(s), HEAP_SLOT, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED | MAP_POPULATE, zone->fd, (off_t)zone->start) == MAP_FAILED)
		return -errno;
	/* Without this a child would share it: then it is better not to have it. */
	if (NEXT(madvise)(heap_slot_at(s), HEAP_SLOT, MADV_DONTFORK) == -1) {
		int rc = -errno;

		mmap(heap_slot_at(s), HEAP_SLOT, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		return rc;
	}
	heap.slot[s].fd = zone->fd;
	heap.slot[s].offset = zone->offset;
	zone->fd = -1;
	return 0;
}

/* ---- private -------------------------------------------------------------------------------- */

static int remap(uintptr_t from, uintptr_t to, int protection, int fd, off_t offset)
{
	return mmap((void *)from, to - from, protection, MAP_PRIVATE | MAP_FIXED, fd, offset) ==
			       MAP_FAILED
		       ? -errno
		       : 0;
}

/* What the kernel says of a mapping, in /proc/self/smaps. */
struct mapping {
	uintptr_t from, to;
	int protection;
	off_t offset;
	bool of_loan;
};

static bool read_mapping(const char *line, struct mapping *mapping)
{
	unsigned long from, to, offset;
	char permissions[5];

	if (sscanf(line, "%lx-%lx %4s %lx ", &from, &to, permissions, &offset) != 4)
		return false;
	*mapping = (struct mapping){
		.from = from,
		.to = to,
		.protection = (permissions[0] == 'r' ? PROT_READ : 0) |
			      (permissions[1] == 'w' ? PROT_WRITE : 0) |
			      (permissions[2] == 'x' ? PROT_EXEC : 0),
		.offset = (off_t)offset,
		/* Nothing else in the heap is shared. */
		.of_loan = permissions[3] == 's' && heap_has((void *)from),
	};
	return true;
}

/* Two letters in the line of flags, and what makes a new mapping so. */
static void keep_flags(const struct mapping *mapping, const char *flags)
{
	static const struct {
		char flag[4];
		int advice;
	} advice[] = {
		{ " sr", MADV_SEQUENTIAL }, { " rr", MADV_RANDOM },	{ " dd", MADV_DONTDUMP },
		{ " hg", MADV_HUGEPAGE },   { " nh", MADV_NOHUGEPAGE },
	};
	void *from = (void *)mapping->from;
	size_t length = mapping->to - mapping->from;

	for (size_t i = 0; i < sizeof(advice) / sizeof(advice[0]); i++)
		if (strstr(flags, advice[i].flag) != NULL)
			NEXT(madvise)(from, length, advice[i].advice);
	if (strstr(flags, " lo") != NULL)
		NEXT(mlock)(from, length);
}

/* Lines of a file, read without malloc: the thread that forks has its locks. */
struct lines {
	int fd;
	size_t at, end;
	char buffer[8192];
};

/* One line, cut off at `size`; false at the end. */
static bool next_line(struct lines *lines, char *line, size_t size)
{
	size_t length = 0;
	ssize_t n;

	for (;;) {
		if (lines->at == lines->end) {
			n = read(lines->fd, lines->buffer, sizeof(lines->buffer));
			if (n <= 0)
				return false;
			lines->at = 0;
			lines->end = (size_t)n;
		}
		if (lines->buffer[lines->at] == '\n')
			break;
		if (length + 1 < size)
			line[length++] = lines->buffer[lines->at];
		lines->at++;
	}
	lines->at++;
	line[length] = '\0';
	return true;
}

static int remap_as_it_is(const struct mapping *mapping, const char *flags)
{
	size_t s = (mapping->from - (uintptr_t)heap.base) / HEAP_SLOT;
	int rc = remap(mapping->from, mapping->to, mapping->protection, heap.slot[s].fd,
		       mapping->offset);

	if (rc == 0)
		keep_flags(mapping, flags);
	return rc;
}

/* Each mapping of loans as it is; loans of which a part could not be stay what they are. */
static int remap_marked(void)
{
	static struct lines lines;
	static char line[512];
	struct mapping mapping = { .of_loan = false };
	int rc = 0;

	lines = (struct lines){ .fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC) };
	if (lines.fd == -1)
		return -errno;
	while (rc == 0 && next_line(&lines, line, sizeof(line))) {
		if (strncmp(line, "VmFlags:", 8) != 0) {
			read_mapping(line, &mapping);
			continue;
		}
		if (mapping.of_loan)
			rc = remap_as_it_is(&mapping, line);
		mapping.of_loan = false;
	}
	close(lines.fd);
	return rc;
}

static void became_private(size_t s)
{
	close(heap.slot[s].fd);
	heap.slot[s].fd = -1;
	pthread_mutex_lock(&heap.lock);
	heap_set_kind_locked(s, SLOT_PRIVATE);
	pthread_mutex_unlock(&heap.lock);
}

int loan_make_all_private(void)
{
	bool marked = atomic_load_explicit(&heap.marked, memory_order_relaxed);
	int rc = marked ? remap_marked() : 0;

	for (size_t s = 0; rc == 0 && s < heap.top; s++) {
		if (heap.slot[s].kind != SLOT_LOAN)
			continue;
		if (!marked)
			rc = remap((uintptr_t)heap_slot_at(s), (uintptr_t)heap_slot_at(s + 1),
				   PROT_READ | PROT_WRITE, heap.slot[s].fd, 0);
		if (rc == 0)
			became_private(s);
	}
	return rc;
}

bool loan_copy(size_t s)
{
	size_t page = 0, n;
	bool copied = true;

	for (;;) {
		pthread_mutex_lock(&heap.lock);
		n = heap_next_taken_locked(s, &page);
		pthread_mutex_unlock(&heap.lock);
		if (n == 0 || !copied)
			return copied;
		/* A page that the program may not store to now is not copied: it may, later. */
		copied = NEXT(madvise)(heap_slot_at(s) + page * HEAP_PAGE, n * HEAP_PAGE,
				       MADV_POPULATE_WRITE) == 0;
		page += n;
	}
}
