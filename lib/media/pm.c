/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pm.c - the persistent mapping, on libpmem.
 *
 * libpmem chooses the flush instruction and the non-temporal copy for the CPU at hand.  What it
 * cannot decide is whether tmpfs counts as persistent memory: it says no, and its msync there does
 * nothing useful, so kmemblk treats tmpfs as emulated persistent memory and flushes caches on it.
 * An ordinary file gets msync at every flush, in the same places; that is slow and correct.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libpmem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/sanitizer.h"
#include "media/pm.h"

/* Mappings of this size and more begin where the processor's large pages do. */
#define LARGE_PAGE (2u << 20)

/*
 * The environment can make libpmem leave out flushes (PMEM_NO_FLUSH=1).  What is durable depends on
 * the device alone, so nothing is mapped for writing then.  Its other variables only choose
 * instructions, or concern functions that are not called here (PMEM_IS_PMEM_FORCE).
 */
static bool no_flush;

/* libpmem reads the environment once, when it is loaded, which is just before this. */
static __attribute__((constructor)) void look_at_environment(void)
{
	const char *value = getenv("PMEM_NO_FLUSH");

	no_flush = value != NULL && strcmp(value, "1") == 0;
}

/* Where a mapping of a file may begin so that large pages suit it; a hint, which another thread may
 * take in between. */
static void *find_address(size_t size)
{
	uint8_t *space;

	if (size < LARGE_PAGE)
		return NULL;
	space = mmap(NULL, size + LARGE_PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (space == MAP_FAILED)
		return NULL;
	munmap(space, size + LARGE_PAGE);
	return space + -(uintptr_t)space % LARGE_PAGE;
}

/*
 * mmap() and not libpmem's pmem_map_file(): that one lets the environment say what is persistent,
 * always asks for write access, and asks on devdax for an address that suits alignments up to 2 MiB
 * only; there the kernel chooses one that suits the device.
 */
int pm_map(struct pm *pm, int fd, size_t size, enum pm_media media, bool readonly, const char *path)
{
	int prot = readonly ? PROT_READ : PROT_READ | PROT_WRITE;
	struct stat st;
	void *base = MAP_FAILED, *near = media == PM_DEVDAX ? NULL : find_address(size);

	if (no_flush && !readonly)
		return fail(EINVAL,
			    "map: %s: PMEM_NO_FLUSH=1 in the environment makes libpmem leave out "
			    "flushes, and a power failure would lose data: type: unset "
			    "PMEM_NO_FLUSH",
			    path);
	/* Only a dax file system grants MAP_SYNC: a flush of the CPU is enough then. */
	if (media == PM_FSDAX)
		base = mmap(near, size, prot, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	if (base == MAP_FAILED) {
		base = mmap(near, size, prot, MAP_SHARED, fd, 0);
		media = media == PM_FSDAX ? PM_FILE : media;
	}
	if (base == MAP_FAILED)
		return fail_errno(errno, "map: %s", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size < size) {
		munmap(base, size);
		return fail(EINVAL, "map: %s: shrank while it was being opened", path);
	}
	/*
	 * Reading ahead makes the kernel's cache hold several of our pages as one.  A store to one of
	 * them then asks the file system (XFS and ext4 of Linux 6.18 were seen) for room for all, those
	 * without storage included, and on a full one an overwrite fails.  See pm_will_read().
	 */
	if (media == PM_FILE)
		(void)madvise(base, size, MADV_RANDOM);
	*pm = (struct pm){ .base = base, .size = size, .media = media, .readonly = readonly };
	return 0;
}

void pm_unmap(struct pm *pm)
{
	if (pm->base != NULL)
		munmap(pm->base, pm->size);
	pm->base = NULL;
}

int pm_keep_from_children(const struct pm *pm)
{
	return madvise(pm->base, pm->size, MADV_DONTFORK) == 0 ? 0 : -errno;
}

static int sync_range(const void *addr, size_t len)
{
	/* The kernel's pages may be larger than ours, and msync() wants a multiple of its own. */
	uintptr_t start = (uintptr_t)addr & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);

	return msync((void *)start, (uintptr_t)addr + len - start, MS_SYNC) == 0 ? 0 : -errno;
}

int pm_copy(const struct pm *pm, void *dst, const void *src, size_t len, enum pm_order order)
{
	if (pm->media == PM_FILE || PLAIN_ACCESS) {
		memcpy(dst, src, len);
		return pm_flush(pm, dst, len, order);
	}
	pmem_memcpy(dst, src, len, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
	return 0;
}

int pm_zero(const struct pm *pm, void *dst, size_t len, enum pm_order order)
{
	if (pm->media == PM_FILE || PLAIN_ACCESS) {
		memset(dst, 0, len);
		return pm_flush(pm, dst, len, order);
	}
	pmem_memset(dst, 0, len, PMEM_F_MEM_NODRAIN | PMEM_F_MEM_NONTEMPORAL);
	return 0;
}

int pm_copy_blocks(const struct pm *pm, void *dst, const void *src, unsigned int n,
		   struct crc24_prefix prefix, uint32_t *value, enum pm_order order)
{
	static const uint8_t zeroes[LAYOUT_PAGE_SIZE] __attribute__((aligned(64)));
	bool stream = pm->media != PM_FILE && crc24_can_stream();

	for (unsigned int i = 0; i < n; i++, prefix.block++) {
		const uint8_t *from =
			src == NULL ? zeroes : (const uint8_t *)src + i * LAYOUT_PAGE_SIZE;
		uint8_t *to = (uint8_t *)dst + i * LAYOUT_PAGE_SIZE;

		value[i] = stream ? crc24_stream(prefix, to, from) : crc24_copy(prefix, to, from);
	}
	return stream ? 0 : pm_flush(pm, dst, (size_t)n * LAYOUT_PAGE_SIZE, order);
}

bool pm_cas(const struct pm *pm, _Atomic uint64_t *word, uint64_t *expected, uint64_t desired)
{
	(void)pm;
	return atomic_compare_exchange_strong_explicit(word, expected, desired,
						       memory_order_acq_rel, memory_order_acquire);
}

uint64_t pm_swap(const struct pm *pm, _Atomic uint64_t *word, uint64_t desired)
{
	(void)pm;
	return atomic_exchange_explicit(word, desired, memory_order_acq_rel);
}

/* Only an ordinary file is cached.  Larger pages have more in them than one of ours. */
static bool can_forget(const struct pm *pm)
{
	return pm->media == PM_FILE && sysconf(_SC_PAGESIZE) == LAYOUT_PAGE_SIZE;
}

void pm_forget(const struct pm *pm, int fd)
{
	if (!can_forget(pm))
		return;
	/*
	 * What the disk has been sent is durable after it.  The first may end before that, to tell of a
	 * page that could not be written: that one is clean then, and forgotten like the rest.
	 */
	if (fdatasync(fd) == -1 && fdatasync(fd) == -1)
		return;
	/* What is mapped is not forgotten, and a look at one page maps those beside it. */
	(void)madvise(pm->base, pm->size, MADV_DONTNEED);
	(void)posix_fadvise(fd, 0, (off_t)pm->size, POSIX_FADV_DONTNEED);
}

bool pm_is_kept(const struct pm *pm, uint64_t page)
{
	unsigned char kept;

	return !can_forget(pm) || mincore(pm_page(pm, page), LAYOUT_PAGE_SIZE, &kept) == -1 ||
	       (kept & 1);
}

void pm_dirty(const struct pm *pm, void *addr, size_t len)
{
	/* A flush of the processor asks nobody whether there is something to write. */
	if (pm->media != PM_FILE)
		return;
	for (size_t at = 0; at < len; at += LAYOUT_PAGE_SIZE) {
		/* Volatile: a compiler may take a store of what is there for none. */
		volatile uint64_t *word = (volatile uint64_t *)((uint8_t *)addr + at);
		uint64_t held = *word;

		*word = held;
	}
}

int pm_flush(const struct pm *pm, const void *addr, size_t len, enum pm_order order)
{
	(void)order;
	if (pm->media == PM_FILE)
		return sync_range(addr, len);
	pmem_flush(addr, len);
	return 0;
}

void pm_drain(const struct pm *pm, enum pm_order order)
{
	(void)order;
	if (pm->media != PM_FILE)
		pmem_drain();
}

void pm_read_ahead(const void *src, size_t len)
{
	uintptr_t start = (uintptr_t)src & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);

	/* Advice; it makes no folio larger than a page. */
	(void)madvise((void *)start, (uintptr_t)src + len - start, MADV_WILLNEED);
}

void pm_clear(void *dst, size_t len)
{
	memset(dst, 0, len);
}

void pm_read(void *dst, const void *src, size_t len)
{
	/*
	 * The same either way, but of a constant size and alignment the compiler knows to choose a
	 * string move, which gets one page out of memory faster than a loop of vector loads; and
	 * nothing else: to align the move itself it would load both ends of the page first (a
	 * fifteenth of a 4 KiB read at random, measured).  ThreadSanitizer would not see that.
	 */
	if (len == LAYOUT_PAGE_SIZE && ((uintptr_t)dst | (uintptr_t)src) % 8 == 0 && !PLAIN_ACCESS)
		memcpy(__builtin_assume_aligned(dst, 8), __builtin_assume_aligned(src, 8),
		       LAYOUT_PAGE_SIZE);
	else
		memcpy(dst, src, len);
}

uint32_t pm_read_block(void *dst, const void *src, struct crc24_prefix prefix)
{
	return crc24_copy(prefix, dst, src);
}
