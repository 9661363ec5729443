/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmemblk.h - a disk on persistent memory whose free pages serve as memory.
 *
 * A device (a devdax character device, a file on fsdax, a file on tmpfs as emulated persistent
 * memory, or an ordinary file) holds a map from logical block to physical page.  Blocks are
 * 4096 bytes and never torn: at every instant, power failure included, a block holds either what
 * it held before a write or what the write put there, never a mixture.
 *
 * What hurts, first:
 *
 *  - One writable handle a device.  The claim is a lock that the kernel holds (an open file
 *    description lock), so it works between processes and within one, and ends with the process.
 *    Readers share with readers, never with a writer.  It holds through all nodes of a devdax device
 *    on one host; not between network namespaces (containers), each of which has a sysfs of its own.
 *  - Atomicity is per block.  A write that spans blocks may be seen, or be cut by a power failure,
 *    between any two of them.
 *  - Every write needs a free page for a moment, also one that replaces what is there.  The device
 *    keeps a spare for that, so a block that has its page can always be overwritten; only a block
 *    that has none can get -ENOSPC.  For one kind of file system see below.
 *  - A device survives what its storage survives: see the member `persistence` of struct
 *    kmemblk_info.  An ordinary file is correct but slow (each write waits for msync twice).
 *  - fork: a handle belongs to the process that called kmemblk_start().  Its children do not
 *    inherit the mapping.  A child of a process with threads in this library must exec before it
 *    opens a device of its own.
 *  - The library installs a SIGBUS handler at the first open.  It turns media errors inside the
 *    device's mapping into -EIO and passes every other SIGBUS to the handler that was there.  It
 *    unblocks SIGBUS in each thread at the thread's first access to a device: a thread that blocks
 *    it after that is killed by the kernel when it meets bad media.
 *  - On a file system that copies on write (see `copies_on_write` in struct kmemblk_info) a call that
 *    changes a block can fail with -ENOSPC while the file system is full, also an overwrite, a trim
 *    and a zero; with -EROFS when the file system has become read-only.
 *
 * Conventions.  Offsets and counts are bytes, of any alignment; a range must lie inside the disk
 * or the call fails with -EINVAL and changes nothing.  Calls return 0 or a negative errno; after
 * a failure kmemblk_error() has the sentence to show a person.  Unless a call says otherwise, any
 * number of threads may make it at once on one handle, and it must not be made from a signal
 * handler.  A thread that the program itself registers with liburcu, flavour memb, is registered
 * before its first call, since liburcu ends a program that registers it twice.  "Durable" means:
 * survives a power failure where the media does (see the member `persistence` of struct
 * kmemblk_info).
 */
#ifndef KMEMBLK_H
#define KMEMBLK_H

#include <stddef.h>
#include <stdint.h>

#include "kmemblk-volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The size in bytes of a block and of a page. */
#define KMEMBLK_BLOCK_SIZE 4096

/* An open device.  Opaque; made by kmemblk_open(), ended by kmemblk_close(). */
struct kmemblk;

/*
 * kmemblk_error - the message of this thread's last failed call.
 *
 * "what failed: object: reason", in English, one line, without a newline at its end; an empty
 * string if no call of this thread has failed yet.  The text belongs to the thread and holds until
 * the thread's next call of this library.  Never NULL.
 */
const char *kmemblk_error(void);

/* kmemblk_version - the version of the library in use, such as "0.1.0".  Never NULL, static. */
const char *kmemblk_version(void);

/*
 * Progress of a long call (format --prealloc, check).  Called in the calling thread, now and then,
 * with done <= total in an arbitrary unit; the last call has done == total.  It must not call this
 * library.
 */
typedef void (*kmemblk_progress_fn)(void *opaque, uint64_t done, uint64_t total);

/* ---- format --------------------------------------------------------------------------------- */

/*
 * Format even though the device holds a kmemblk device, a file system or a partition table, or is a
 * file that is not all zeroes.  What it held is lost.
 */
#define KMEMBLK_FORMAT_FORCE (1u << 0)
/* Give every block its page, zeroed, now (thick); without it pages are bound by writes (sparse). */
#define KMEMBLK_FORMAT_PREALLOC (1u << 1)
/* With create_size: refuse, as KMEMBLK_OPEN_OWNED does, a folder to which another user leads. */
#define KMEMBLK_FORMAT_OWNED (1u << 2)

struct kmemblk_format_options {
	/* KMEMBLK_FORMAT_*, or'ed. */
	unsigned int flags;
	/* "blk" (a disk) or "none" (all memory to lend, no disk); NULL means "blk". */
	const char *type;
	/* At most 63 bytes of UTF-8, or NULL for none. */
	const char *label;
	/*
	 * Not 0: make the file at `path`, which must not exist, this many bytes long (a multiple of
	 * 4096).  The name appears only once the format is whole.
	 */
	uint64_t create_size;
	/*
	 * The disk's size in bytes, a multiple of 4096; 0 means as large as the device allows.  What
	 * a smaller disk leaves over stays memory.  Must be 0 for type "none".
	 */
	uint64_t disk_size;
	/*
	 * Pages that only overwrites may take; 0 means the default (1/64 of the device, at least 1,
	 * at most 8192).  More means that heavy concurrent overwriting waits less.
	 */
	uint64_t spare_pages;
	/*
	 * How many volumes the device is to have room for, at most 65536; 0 means 512.  The directory takes
	 * two pages for each 512 that are begun; more than one page in eight of the device is refused.
	 */
	uint64_t views;
	/* Values by which blocks are verified when they are read: "crc24" (also NULL), or "none". */
	const char *check;
	kmemblk_progress_fn progress; /* may be NULL */
	void *progress_opaque;
};

/*
 * kmemblk_format - make a kmemblk device of the device or file at `path`.
 *
 * `options` may be NULL: type "blk", sparse, the whole device.  All that the device held is lost.
 * On return the new device is durable.  A crash inside the call leaves one of three: what was there
 * before, if the crash comes early (kmemblk_check() may then find that an old device has lost one of
 * its two superblocks); no kmemblk device; or the whole new one.  With create_size it leaves no file
 * or the whole new device.
 *
 * Errors: -EEXIST the device holds something and KMEMBLK_FORMAT_FORCE is not given (a file holds
 * something if one byte of it is not zero; of a devdax device only what libblkid knows counts), or
 * create_size is given and the file exists; -EBUSY the device is open elsewhere, or pages of it are lent;
 * -EINVAL a bad option, or not a device that can be used; -ENOSPC the device is too small, or its
 * file system is full; -EIO the media failed; -EOPNOTSUPP create_size on a file system without
 * O_TMPFILE (make the file first); any error of open(2), ftruncate(2), mmap(2).  After -EEXIST,
 * -EBUSY, -EINVAL, -EOPNOTSUPP and too small a device nothing has been changed.
 */
int kmemblk_format(const char *path, const struct kmemblk_format_options *options);

/* ---- growth --------------------------------------------------------------------------------- */

struct kmemblk_grow_result {
	uint64_t device_pages_before; /* pages of the device that the format used ... */
	uint64_t device_pages;	      /* ... and uses now, of 4096 bytes each */
	int finished; /* 1: only the rest of a growth to this size, which was cut, was left to do */
};

/*
 * kmemblk_grow - use all of a device that has become larger, as a file has after truncate(1).
 *
 * What has been added becomes free pages, for all volumes; what it held is not looked at.  No volume changes:
 * kmemblk_volume_resize() makes one larger.  Spare and directory stay as they are.  A device that is not larger
 * than it says is left as it is: 0, and both numbers in `*result`, which must not be NULL, are equal.  At most
 * 2^39 pages (2 PiB) are used.
 *
 * On return the new size is durable.  A crash inside the call leaves the device as it was or grown, and either
 * opens; what is missing is made up for by the same call, or by kmemblk_check() with KMEMBLK_CHECK_REPAIR.  The
 * data are not touched.
 *
 * Errors: -EBUSY the device is open elsewhere; -EMEDIUMTYPE, -EUCLEAN, -EINVAL, -ENOMEM and those of open(2) and
 * mmap(2), as for kmemblk_open(), also of a device that has become smaller: nothing is changed then; -ENOSPC the
 * file system is full: the same; any error of fsync(2) of the file; -EIO the media failed: it is as after a crash.
 */
int kmemblk_grow(const char *path, struct kmemblk_grow_result *result);

/* ---- open and close ------------------------------------------------------------------------- */

/* Open for reading only: the media is mapped read-only and shared with other readers. */
#define KMEMBLK_OPEN_READONLY (1u << 0)
/*
 * Refuse, with -EPERM, what another user may have put at `path`, as anybody can in /dev/shm.  In a
 * folder that its group or others may write, each part of the path, the file itself included, must
 * belong to the caller's effective user, to root, or to the owner of the folder, and nobody but its
 * owner may be allowed to write the file.  For callers that make the file if it is not there.
 */
#define KMEMBLK_OPEN_OWNED (1u << 1)

/*
 * kmemblk_open - claim the device at `path`, check it, and map it.
 *
 * Reads the whole map once (in parallel on a large device).  Starts no thread that outlives the
 * call, so the process may fork or become a daemon between this call and kmemblk_start().
 * `*handle` is set on success and belongs to the caller, who ends it with kmemblk_close().
 *
 * Changes nothing that can be read.  For writing, the superblock and the map are durable on return
 * as they were found, whatever had become of the process, or the disk, that wrote them.  Never
 * repairs: a device whose superblock or map is damaged fails to open for writing, and the message
 * names the command to run.  With KMEMBLK_OPEN_READONLY a device with a damaged map opens, and
 * reads of the damaged blocks fail with -EIO; a damaged superblock fails to open in any case.
 *
 * Errors: -EBUSY open elsewhere (the message names the process where it can be seen), or opened for
 * writing through a devdax node other than the kernel's while pages of the device are lent;
 * -EMEDIUMTYPE not a kmemblk device, or of a newer format; -EPERM as KMEMBLK_OPEN_OWNED says;
 * -EUCLEAN damaged; -ENOSPC the file system has no room for the spare pages that overwrites need;
 * -EINVAL not a device that can be used, or, for writing, PMEM_NO_FLUSH=1 is in the environment,
 * which makes libpmem leave out flushes; -ENOMEM; -EIO the media failed, or the map cannot be made
 * durable; any error of open(2) and mmap(2).
 */
int kmemblk_open(const char *path, unsigned int flags, struct kmemblk **handle);

/*
 * kmemblk_start - make the handle ready for I/O in this process.
 *
 * Starts the threads that take retired pages back, give free ones away and lend them, and keeps the
 * mapping out of children forked later.  Call it once, after the last fork, before the first call
 * below; not from two threads.
 * A read-only handle needs it too (it starts no thread).
 *
 * Errors: -EAGAIN or -ENOMEM no thread could be made; the handle is as before, the socket of
 * kmemblk_lend() included, so it may be called again.
 */
int kmemblk_start(struct kmemblk *handle);

/*
 * kmemblk_close - end the handle and give up the claim.
 *
 * All other calls on the handle must have returned, and none may follow.  Memory that is lent goes
 * with it: whoever has some must not touch it any more.  There is nothing to
 * save: what was acknowledged is durable already, and a process that ends without this call loses
 * nothing.  NULL is allowed.
 */
void kmemblk_close(struct kmemblk *handle);

/* ---- memory --------------------------------------------------------------------------------- */

/*
 * What free pages are good for.  A page is free when no block has it, the clearing of its block's
 * entry is durable, and no read that may have looked it up is under way.  Until a block needs it,
 * it can serve as memory in two ways:
 *
 *  - Its storage goes back to the kernel ("punch"), where the device is a file with holes: the free
 *    memory of the host, or the free space of the file system, grows.  A new block takes storage
 *    again first, so a full file system is -ENOSPC for that write and nothing worse.
 *  - It is lent to a memory user in this process: offered by the callback `offer`, or borrowed.
 *
 * Loans never touch what the disk needs: the spare, the headroom, and the storage for overwriting
 * what is mapped are not lent.  New blocks may need what is lent: the callback `recall` asks for it
 * back, in the background when free pages fall to the headroom, and at the latest when a write would
 * get -ENOSPC, which then waits for the answer.
 *
 * The memory is that of the disk: a store beyond a loan, or after its return, may change a block.
 * It does not survive a crash, nothing about loans is on the media, and children made by fork() do
 * not inherit it.
 */

/* For sizes below: the library's own choice. */
#define KMEMBLK_DEFAULT UINT64_MAX

enum kmemblk_punch {
	KMEMBLK_PUNCH_AUTO,  /* where the device has holes: files */
	KMEMBLK_PUNCH_NEVER, /* free pages keep their storage */
	KMEMBLK_PUNCH,	     /* -EOPNOTSUPP where the device has no holes: devdax */
};

/*
 * A memory user.  Each callback may be NULL.  They are called by one thread of the library, one at
 * a time, with no lock held, from kmemblk_start() until kmemblk_close() returns.  They may call
 * kmemblk_borrow(), kmemblk_return(), kmemblk_get_info() and kmemblk_error(), and nothing else of
 * this library, and should return soon: while one runs, the others wait.  In particular they must
 * not wait for a write to the same disk, which may be waiting for them.
 */
struct kmemblk_memory_user {
	/*
	 * A run of free pages: `length` bytes at `memory`, whole pages, zeroed.  Return 1 to take
	 * it: it is the user's until kmemblk_return(), in whole or in parts.  Return 0 to leave it;
	 * nothing more is offered then until other pages become free.
	 */
	int (*offer)(void *opaque, void *memory, size_t length);
	/*
	 * The disk wants `length` bytes back.  Call kmemblk_return() for what can be given back,
	 * here or soon after from another thread.  Return 1 if more is to come: writes wait for it,
	 * up to timeout_ms; 0 if that was all: writes that still find no page get -ENOSPC.
	 */
	int (*recall)(void *opaque, size_t length);
	void *opaque;
	/* How long a write waits for memory to come back; 0 means 10 seconds. */
	unsigned int timeout_ms;
};

struct kmemblk_memory_options {
	enum kmemblk_punch punch;
	/*
	 * Free pages are punched when more bytes of them than this have storage, down to three quarters
	 * of it, so that blocks which come and go need no system call; KMEMBLK_DEFAULT is 1/256 of the
	 * data pages, at most 64 MiB.  What overwrites need keeps its storage in any case.
	 */
	uint64_t watermark;
	/*
	 * Bytes of free pages, beside the spare, that are not lent, so that new blocks seldom wait
	 * for memory to come back; KMEMBLK_DEFAULT is 1/32 of the data pages.
	 */
	uint64_t headroom;
	struct kmemblk_memory_user user;
};

/*
 * kmemblk_set_memory - say what free pages are to be used for.
 *
 * Between kmemblk_open() and kmemblk_start(), at most once.  Without it the device is punched where
 * it has holes, watermark and headroom are the defaults, and there is no memory user.  `options` is
 * copied.
 *
 * Errors: -EROFS the handle is read-only; -EINVAL the handle is started, or a size is larger than
 * the data pages; -EOPNOTSUPP KMEMBLK_PUNCH on a device without holes.  Nothing is changed then.
 */
int kmemblk_set_memory(struct kmemblk *handle, const struct kmemblk_memory_options *options);

/*
 * kmemblk_borrow - borrow a run of free pages.
 *
 * `length` is a multiple of 4096, at most 2 MiB; the address is a multiple of `alignment`, a power
 * of 2 from 4096 to 2 MiB.  The memory is zeroed and at `*memory`; it is the caller's until
 * kmemblk_return().  Needs no callbacks, but without `recall` nobody can ask for it back.
 *
 * Errors: -ENOMEM no such run is free above spare and headroom, or the file system has no room for
 * it; -EINVAL length or alignment, or the handle is not started; -EROFS the handle is read-only;
 * -EIO a media error met while zeroing (another try finds another run).
 */
int kmemblk_borrow(struct kmemblk *handle, size_t length, size_t alignment, void **memory);

/*
 * kmemblk_return - give back memory that was offered and taken, or borrowed.
 *
 * Any run of whole pages, all of which are lent: a loan may be given back in parts, and neighbouring
 * loans together.  From then on the memory is the disk's.
 *
 * Errors: -EINVAL a page of the range is not lent: nothing is given back.
 */
int kmemblk_return(struct kmemblk *handle, void *memory, size_t length);

/* ---- lending to other processes -------------------------------------------------------------- */

/*
 * Free pages as memory of other programs on the same host, in zones of 2 MiB, through a UNIX socket.
 * The programs' side is in kmemblk-borrower.h.
 *
 * A loan is a file of its own, which has the storage of the zone's pages, and a lock of the kernel's lasts
 * for as long as the borrower, or a process that it forked, has it mapped: so loans survive the end of the
 * server.  On devdax there are no files: there who may borrow may write to the device.  Let the socket's
 * owner, group and mode, and `allow`, decide.
 */

enum kmemblk_request_kind {
	KMEMBLK_READ,
	KMEMBLK_WRITE,
	KMEMBLK_TRIM,
	KMEMBLK_ZERO,
	KMEMBLK_EXTENTS,
	KMEMBLK_FLUSH,
	KMEMBLK_REQUEST_KINDS
};

/* Requests of one kind that the program has served: how many, of how many bytes in all, and the
 * time in microseconds within which half of them, 99 % and 99.9 % were done, and the slowest. */
struct kmemblk_request_counts {
	uint64_t count;
	uint64_t bytes;
	double p50_us, p99_us, p999_us, max_us;
};

struct kmemblk_lend_options {
	/*
	 * Path of the socket.  It must not exist, or be a socket that no process has bound any more,
	 * which is replaced; nothing else is.
	 */
	const char *socket;
	/* Of the socket; 0 means 0600.  Its owner and group; (uid_t)-1, (gid_t)-1: as created. */
	unsigned int mode;
	unsigned int owner;
	unsigned int group;
	/*
	 * Who may connect, beside what the mode allows: a list as in "uid:1000,gid:50", or NULL for
	 * all.
	 */
	const char *allow;
	/*
	 * At most this many bytes a borrower (a connection), what he has returned and not unmapped
	 * included; at least a zone of 2 MiB; KMEMBLK_DEFAULT: no limit.
	 */
	uint64_t limit;
	/* At most this many bytes in all, whole zones; 0: what the headroom leaves. */
	uint64_t most;
	/*
	 * Folder of the files that are lent; NULL: PATH.loans, where PATH is the device's, which is made,
	 * and removed when nothing in it is lent any more.  Not used on devdax.
	 */
	const char *folder;
	/* Fills in the requests served so far, for kmemblk stat; called by any thread; may be NULL. */
	void (*count_requests)(void *opaque,
			       struct kmemblk_request_counts counts[KMEMBLK_REQUEST_KINDS]);
	void *count_opaque;
};

/*
 * kmemblk_lend - make the socket of a lending server.
 *
 * Between kmemblk_open() and kmemblk_start(), at most once; lending begins with kmemblk_start() and
 * ends with kmemblk_close(), which removes the socket and leaves lent zones with their borrowers.
 * Lends what kmemblk_set_memory() lets be lent, and asks borrowers for it back when the disk wants
 * it, beside the memory user's `recall`.  Blocks are moved to make whole zones when somebody wants
 * one.  On a device of type "none" all is lent.
 *
 * kmemblk_start() opens the folder, as the user that the process runs as by then, and fails if it is not
 * on the device's file system (-EXDEV), not that user's own and closed to others (-EPERM), or another
 * server's (-EBUSY).  On devdax it fails with -EACCES where that user may not open the device again.
 *
 * Errors: -EROFS the handle is read-only; -EOPNOTSUPP the device is an ordinary file; -EINVAL an
 * option, or the handle is started, or the device is devdax and was not opened through the node that the
 * kernel made (/dev/NAME); -EADDRINUSE the socket is in use; -EEXIST something else than a socket is
 * there; any error of socket(2), bind(2), chown(2), and of making a folder beside the socket.
 */
int kmemblk_lend(struct kmemblk *handle, const struct kmemblk_lend_options *options);

/* ---- what a device is ----------------------------------------------------------------------- */

/*
 * What is written survives, by the word in `persistence`:
 *
 *   "power-fail"  a power failure
 *   "reboot"      a warm restart of the host, not a power failure
 *   "process"     the process, not a restart of the host
 *   "unknown"     the system does not tell
 *
 * It is read when the device is opened, from what the system says of the storage below it, and is
 * independent of `media`: a devdax device may be ordinary memory.
 */
struct kmemblk_info {
	const char *type;	 /* "blk" or "none"; static */
	const char *media;	 /* "devdax", "fsdax", "tmpfs" or "file"; static */
	const char *persistence; /* one of the words above; static */
	const char *check;	 /* "crc24" or "none", see struct kmemblk_format_options; static */
	char uuid[37];		 /* text form */
	char label[64];		 /* NUL-terminated */
	uint32_t format_version;
	uint32_t page_size;
	uint64_t generation;   /* raised each time the superblock is rewritten */
	uint64_t created;      /* seconds since 1970-01-01 UTC */
	uint64_t device_pages; /* pages of the device in use by the format */
	uint64_t data_pages;   /* pages that can hold blocks, and the tables that find them */
	uint64_t volumes;      /* how many there are ... */
	uint64_t snapshots;    /* ... and how many snapshots of them */
	uint64_t blocks;       /* of the volume that is meant where none is named; 0 if none is */
	uint64_t size_bytes;   /* blocks * page_size */
	uint64_t pages_used;   /* pages that hold a block */
	uint64_t pages_tables; /* pages that hold a table of the map, or the disk's record */
	/*
	 * Data pages that hold none of these and are not quarantined: pages_spare, pages_lent,
	 * pages_reserved and pages_resident are parts of them.  "free" means this in every output of the project.
	 */
	uint64_t pages_free;
	/*
	 * Of the free pages, how many are kept so that what volumes share with snapshots can be overwritten: 0 without
	 * snapshots.  pages_free less pages_reserved and pages_spare is what new blocks can have, or memory.
	 */
	uint64_t pages_reserved;
	uint64_t pages_spare; /* of the free pages, how many only overwrites may take */
	uint64_t
		pages_for_tables; /* of the free pages, how many only tables may take; 0 read-only or probed */
	uint64_t pages_headroom;    /* and how many more are never lent; 0 read-only or probed */
	uint64_t pages_quarantined; /* out of use after media errors; 0 from kmemblk_probe() */
	uint64_t pages_resident;    /* free pages that have storage and are not reserved */
	/* These are 0 from kmemblk_probe(): only the process that serves the device knows. */
	uint64_t pages_lent;	  /* now */
	uint64_t pages_retired;	  /* replaced or trimmed, and not yet free */
	uint64_t pages_reclaimed; /* ever become free after that, since the device was opened */
	uint64_t pages_punched;	  /* ever given back to the kernel, since the device was opened */
	uint64_t pages_returned;  /* ever given back by whoever had them, likewise */
	uint64_t entries_damaged; /* entries that no sound device has */
	uint64_t
		mismatches; /* blocks found damaged by a request since the device was opened; else 0 */
	int numa_node;	    /* of the device; -1 unknown */
	/*
	 * Not 0: its file system copies what is overwritten, so that an overwrite can get -ENOSPC while
	 * the file system is full.  1: always; 2: what another file shares, as after cp.
	 */
	int copies_on_write;
	int readonly; /* 1: the handle does not write; 0 from kmemblk_probe() */
	/* kmemblk_probe(): a process that has it open; 0 none; -1 one that this user cannot see. */
	int holder_pid;
	char holder_name[32]; /* and its name; empty if holder_pid is not a process */
};

/* kmemblk_get_info - describe an open device.  Cannot fail; the counts are a snapshot. */
void kmemblk_get_info(struct kmemblk *handle, struct kmemblk_info *info);

/*
 * kmemblk_probe - describe the device at `path` without claiming it.
 *
 * Works while it is being served; the counts are then a snapshot.  Reads the map, no data, and
 * writes nothing.
 *
 * Errors: -EMEDIUMTYPE, -EUCLEAN (superblock), -EINVAL, -EIO, -ENOMEM and those of open(2) and
 * mmap(2), as for kmemblk_open().
 */
int kmemblk_probe(const char *path, struct kmemblk_info *info);

/*
 * kmemblk_find_media - tell only which kind of device is at `path`, without claiming it or looking at what it holds.
 *
 * `*media` is then as in struct kmemblk_info.  Opens for reading; `flags` is 0 or KMEMBLK_OPEN_OWNED.  Where nothing is
 * at `path`, it is the kind of the file that kmemblk_format() would make there with create_size; to ask the file system, a
 * file without a name is made there, and is gone on return.
 *
 * Errors: -EPERM as KMEMBLK_OPEN_OWNED says; -EMEDIUMTYPE the file is empty; -EINVAL not a device that can be used;
 * -EOPNOTSUPP as for create_size; -ENOMEM; any error of open(2), ftruncate(2) and mmap(2).
 */
int kmemblk_find_media(const char *path, unsigned int flags, const char **media);

/* ---- check ---------------------------------------------------------------------------------- */

/* Correct what can be corrected without guessing. */
#define KMEMBLK_CHECK_REPAIR (1u << 0)
/* Verify all blocks, too: reads every page in use.  A device without check values is a note. */
#define KMEMBLK_CHECK_DATA (1u << 1)

enum kmemblk_finding_kind {
	KMEMBLK_FINDING_NOTE,	     /* worth knowing, not damage */
	KMEMBLK_FINDING_CORRECTED,   /* damage, corrected */
	KMEMBLK_FINDING_CORRECTABLE, /* damage that KMEMBLK_CHECK_REPAIR would correct */
	KMEMBLK_FINDING_LEFT,	     /* damage that cannot be corrected without guessing */
};

/*
 * Receives one finding, a line for a person that names the object, what is wrong and what to do.
 * `text` holds during the call.  It must not call this library.
 */
typedef void (*kmemblk_finding_fn)(void *opaque, enum kmemblk_finding_kind kind, const char *text);

struct kmemblk_check_options {
	/* KMEMBLK_CHECK_*, or'ed. */
	unsigned int flags;
	kmemblk_finding_fn finding; /* may be NULL */
	void *finding_opaque;
	kmemblk_progress_fn progress; /* may be NULL */
	void *progress_opaque;
};

struct kmemblk_check_result {
	uint64_t corrected;   /* findings corrected */
	uint64_t correctable; /* findings that repair would correct */
	uint64_t left;	      /* findings that cannot be corrected without guessing */
	uint64_t entries;     /* blocks whose entries were looked at */
	uint64_t pages_used;  /* pages that hold a block */
	uint64_t
		verified; /* blocks that hold what was written to them, as KMEMBLK_CHECK_DATA asks */
};

/*
 * kmemblk_check - verify all that the media can show of a device's soundness.
 *
 * Claims the device (for writing with KMEMBLK_CHECK_REPAIR, for reading without).  `options` may
 * be NULL.  Returns 0 when the check ran to its end, whatever it found: the findings are in
 * `*result`.  Corrections are durable on return; a crash inside the call leaves each of them done
 * or not done.
 *
 * Errors: -EBUSY open elsewhere; -EINVAL, -ENOMEM, -EIO and those of open(2) and mmap(2).  A device
 * that no superblock describes is a finding, not an error.
 */
int kmemblk_check(const char *path, const struct kmemblk_check_options *options,
		  struct kmemblk_check_result *result);

#ifdef __cplusplus
}
#endif

#include "kmemblk-borrower.h"
#include "kmemblk-control.h"

#endif /* KMEMBLK_H */
