/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loanfile.c - the file that is a loan: made, given away, asked for, ended.
 *
 * The kernel owns lent memory: it knows the last user of a page, also one that has pinned it, and no page
 * of the file is ever a page of the disk.
 *
 * Two open file descriptions: the server's own, and one for the borrower, which has a lock.  The kernel
 * keeps that for as long as a descriptor or a mapping of it is anywhere, in a socket's queue or in a
 * forked child too; so asking for the lock through our own tells whether the loan is over.
 *
 * On fsdax (but not on tmpfs, whose pages live as long as they are pinned) storage must not be given back
 * while a page of it is pinned.  The kernel sees to that in ftruncate(), if the file is mapped: so it is,
 * without access, by the server.  There, too, it is zeroed before it goes, since nobody else does that.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lend/loanfile.h"
#include "pages/pool.h"

#define NAME_MAX_BYTES 96
/* For zeroes at a time. */
#define PIECE_BYTES 65536u
#define PIECES	    (ZONE_BYTES / PIECE_BYTES)

static void name_file(const struct folder *folder, uint64_t page, char name[NAME_MAX_BYTES])
{
	snprintf(name, NAME_MAX_BYTES, "%s-%llu-%u", folder->uuid, (unsigned long long)page,
		 ZONE_PAGES);
}

static bool parse_name(const struct folder *folder, const char *name, uint64_t *page)
{
	size_t length = strlen(folder->uuid);
	char again[NAME_MAX_BYTES];
	unsigned long long number;

	if (strncmp(name, folder->uuid, length) != 0 ||
	    sscanf(name + length, "-%llu-", &number) != 1)
		return false;
	*page = number;
	name_file(folder, number, again);
	return strcmp(name, again) == 0;
}

/* By write(2), which leaves a bad page of the media as an error and not as a signal. */
static int write_zeroes(int fd)
{
	static const char zeroes[PIECE_BYTES];
	struct iovec parts[PIECES];
	uint64_t at = 0;
	ssize_t n;

	for (unsigned int i = 0; i < PIECES; i++)
		parts[i] = (struct iovec){ (void *)zeroes, PIECE_BYTES };
	while (at < ZONE_BYTES) {
		n = pwritev(fd, parts, (int)((ZONE_BYTES - at + PIECE_BYTES - 1) / PIECE_BYTES),
			    (off_t)at);
		if (n <= 0)
			return n == -1 ? -errno : -EIO;
		at += (uint64_t)n;
		/* The next begins where it ended, if that was in a piece. */
		parts[0].iov_len = PIECE_BYTES - at % PIECE_BYTES;
	}
	return 0;
}

static int map_inaccessible(const struct folder *folder, struct loan_file *file)
{
	file->map = NULL;
	if (!folder->dax)
		return 0;
	file->map = mmap(NULL, ZONE_BYTES, PROT_NONE, MAP_SHARED, file->fd, 0);
	if (file->map != MAP_FAILED)
		return 0;
	file->map = NULL;
	return -errno;
}

/* Storage for all of it, in which on fsdax every page is written: a page that is not could be a fault. */
static int fill(const struct folder *folder, const struct loan_file *file)
{
	int rc = 0;

	if (fallocate(file->fd, 0, 0, (off_t)ZONE_BYTES) == -1)
		rc = -errno;
	return rc == 0 && folder->dax ? write_zeroes(file->fd) : rc;
}

static struct flock whole_file(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
}

/*
 * The borrower gets it by a number, which the program may use for something else of its own by mistake:
 * at the largest position a write(2) fails.
 */
static int open_for_borrower(const struct folder *folder, const struct loan_file *file)
{
	struct flock lock = whole_file();
	char self[32];
	int fd, rc;

	snprintf(self, sizeof(self), "/proc/self/fd/%d", file->fd);
	fd = open(self, O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0 && lseek(fd, folder->beyond, SEEK_SET) != -1)
		return fd;
	rc = -errno;
	close(fd);
	return rc;
}

int loan_file_make(const struct folder *folder, uint64_t page, struct loan_file *file, int *send)
{
	char name[NAME_MAX_BYTES];
	int rc;

	name_file(folder, page, name);
	/* None that we know of is there; one that could not be taken over at the start keeps its storage. */
	unlinkat(folder->fd, name, 0);
	file->map = NULL;
	file->fd =
		openat(folder->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file->fd == -1)
		return -errno;
	rc = fill(folder, file);
	if (rc == 0)
		rc = map_inaccessible(folder, file);
	if (rc == 0) {
		*send = open_for_borrower(folder, file);
		rc = *send < 0 ? *send : 0;
	}
	if (rc != 0) {
		unlinkat(folder->fd, name, 0);
		loan_file_leave(file);
	}
	return rc;
}

int loan_file_adopt(const struct folder *folder, const char *name, struct loan_file *file,
		    uint64_t *page)
{
	struct stat st;
	int rc;

	file->map = NULL;
	if (!parse_name(folder, name, page))
		return 1;
	file->fd = openat(folder->fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file->fd == -1)
		return -errno;
	rc = fstat(file->fd, &st) == -1 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (rc == 0)
		rc = map_inaccessible(folder, file);
	if (rc != 0)
		loan_file_leave(file);
	return rc;
}

void loan_file_end_foreign(const struct folder *folder, const char *name)
{
	unsigned long long page;
	unsigned int pages;
	struct loan_file file = { .fd = -1 };
	int end = 0;

	/* A uuid has 36 characters.  On fsdax it could take for ever, which is not worth it. */
	if (folder->dax || strlen(name) < 37 ||
	    sscanf(name + 36, "-%llu-%u%n", &page, &pages, &end) != 2 || name[36 + end] != '\0' ||
	    pages != ZONE_PAGES)
		return;
	file.fd = openat(folder->fd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file.fd == -1)
		return;
	if (!loan_file_is_held(&file) && ftruncate(file.fd, 0) == 0)
		unlinkat(folder->fd, name, 0);
	close(file.fd);
}

bool loan_file_is_held(const struct loan_file *file)
{
	struct flock lock = whole_file();

	return fcntl(file->fd, F_OFD_GETLK, &lock) == -1 || lock.l_type != F_UNLCK;
}

bool loan_file_has_grown(const struct loan_file *file)
{
	struct stat st;

	return fstat(file->fd, &st) == 0 &&
	       ((uint64_t)st.st_size > ZONE_BYTES || (uint64_t)st.st_blocks * 512 > 2 * ZONE_BYTES);
}

int loan_file_end(const struct folder *folder, uint64_t page, struct loan_file *file, bool copied)
{
	char name[NAME_MAX_BYTES];
	int rc;

	/* Where the media fail at it, what can be done has been done. */
	if (folder->dax && !copied)
		write_zeroes(file->fd);
	/* Truncating would take the copies as well. */
	rc = copied ? fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				(off_t)ZONE_BYTES)
		    : ftruncate(file->fd, 0);
	if (rc == -1)
		return -errno;
	name_file(folder, page, name);
	unlinkat(folder->fd, name, 0);
	loan_file_leave(file);
	return 0;
}

void loan_file_leave(struct loan_file *file)
{
	if (file->map != NULL)
		munmap(file->map, ZONE_BYTES);
	if (file->fd != -1)
		close(file->fd);
	*file = (struct loan_file){ .fd = -1 };
}
