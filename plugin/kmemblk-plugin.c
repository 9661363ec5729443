/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmemblk-plugin.c - serve a kmemblk device over NBD with nbdkit.
 *
 * Glue only: nbdkit's callbacks on one side, kmemblk.h on the other; memory-parameters.c has what
 * concerns free pages, exports.c the volumes and snapshots, control-parameters.c how these are changed.  All connections
 * share one handle of the library, which any number of threads may use, so there is nothing to lock here.
 *
 * Life cycle.  .get_ready opens the device while the user is still the one who typed the command.
 * The process that serves is a child of that one, both in the background and with --run, so the
 * library's threads start in .after_fork, and start.c takes errors from there to the terminal.
 * .cleanup closes the device, but nothing depends on it: neither it nor .unload is sure to run.  If
 * the start fails after .get_ready, neither runs, and the device is closed through start.c.
 *
 * nbdkit derives can_flush, can_trim, can_zero, can_extents and is_rotational from the callbacks
 * that are here, and its answers are the true ones.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "base/printable.h"
#include "base/shell.h"
#include "control-parameters.h"
#include "exports.h"
#include "kmemblk.h"
#include "lend-parameters.h"
#include "memory-parameters.h"
#include "node.h"
#include "requests.h"
#include "start.h"
#include "thread-model.h"
#include "value.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL /* at most: see thread-model.c */

/* The parameters. */
static char *path, *named; /* the same in words: no character that a terminal obeys */
static int64_t create_size;
static bool readonly;

/* Set in .get_ready, constant while clients are connected. */
static struct kmemblk *device;
static struct kmemblk_info info;

/* Turn what a call of the library returned into what a callback returns. */
static int answer(int rc)
{
	if (rc >= 0)
		return 0;
	nbdkit_error("%s", kmemblk_error());
	nbdkit_set_error(-rc);
	return -1;
}

/* ---- parameters ----------------------------------------------------------------------------- */

static int config_path(const char *value)
{
	if (path != NULL) {
		nbdkit_error("path=%s: a server serves one device, and that is %s", value, named);
		return -1;
	}
	/* For messages: in the background the server has another current folder. */
	path = nbdkit_absolute_path(value);
	if (path != NULL)
		named = strdup(path);
	if (named == NULL)
		return -1;
	printable_make(named);
	return 0;
}

static int config_create(const char *value)
{
	create_size = nbdkit_parse_size(value);
	if (create_size <= 0 || create_size % KMEMBLK_BLOCK_SIZE) {
		nbdkit_error("create=%s: type a size that is a multiple of %d bytes, as in "
			     "create=1G",
			     value, KMEMBLK_BLOCK_SIZE);
		return -1;
	}
	return 0;
}

static int plugin_config(const char *key, const char *value)
{
	int r;

	if (strcmp(key, "path") == 0)
		return config_path(value);
	if (strcmp(key, "create") == 0)
		return config_create(value);
	if (strcmp(key, "readonly") == 0)
		return value_bool(key, value, &readonly);
	if (strcmp(key, "numa") == 0)
		return node_config(value);
	if (strcmp(key, "volume") == 0)
		return exports_config(value);
	if (strcmp(key, "thread-model") == 0)
		return thread_model_config(value);
	r = control_config(key, value);
	if (r == 1)
		r = memory_config(key, value);
	if (r == 1)
		r = lend_config(key, value);
	if (r == 1)
		nbdkit_error("unknown parameter %s=: see nbdkit kmemblk --help", key);
	return r == 0 ? 0 : -1;
}

static int plugin_config_complete(void)
{
	if (path == NULL) {
		nbdkit_error("path= is missing: name a device, as in path=/dev/dax0.0, or a file "
			     "to make, as in path=/dev/shm/disk.img create=1G");
		return -1;
	}
	if (create_size && readonly) {
		nbdkit_error("readonly=true makes no file: leave out create= or readonly=");
		return -1;
	}
	if (control_config_complete(readonly) == -1 || memory_config_complete(readonly) == -1)
		return -1;
	return lend_config_complete(readonly);
}

static void plugin_dump_plugin(void)
{
	printf("kmemblk_library_version=%s\n", kmemblk_version());
	printf("kmemblk_parameters=path create readonly numa volume " THREAD_MODEL_PARAMETERS
	       " " CONTROL_PARAMETERS " " MEMORY_PARAMETERS " " LEND_PARAMETERS "\n");
	printf("kmemblk_media=devdax fsdax tmpfs file\n");
	printf("kmemblk_block_size=%d\n", KMEMBLK_BLOCK_SIZE);
}

/* ---- life cycle ----------------------------------------------------------------------------- */

/* nbdkit wants to know before the device is opened, and where it only dumps what the plugin is as well. */
static int plugin_thread_model(void)
{
	return thread_model_of(path, create_size != 0);
}

/* The file could be made: its name is free, and its folder is there. */
static bool can_be_made(void)
{
	char *copy = strdup(path);
	struct stat st;
	bool can;

	can = copy != NULL && lstat(path, &st) != 0 && stat(dirname(copy), &st) == 0;
	free(copy);
	return can;
}

/* What to type if it cannot be opened.  nbdkit's -r comes too late for the plugin to open it so. */
static const char *open_hint(int rc)
{
	if (rc == -ENOENT && can_be_made())
		return "; or add create=1G, for example";
	if (rc == -EPERM && create_size)
		return ": to serve what is there all the same, leave out create=";
	if (!readonly && (rc == -EACCES || rc == -EPERM || rc == -EROFS) &&
	    eaccess(path, R_OK) == 0)
		return ": to serve it for reading only (nbdkit's -r is not enough), add "
		       "readonly=true";
	return "";
}

static int open_device(void)
{
	unsigned int flags = readonly ? KMEMBLK_OPEN_READONLY : 0;
	int rc;

	/* With create= the file is meant to be the caller's own, not what another user put there. */
	if (create_size)
		flags |= KMEMBLK_OPEN_OWNED;
	rc = kmemblk_open(path, flags, &device);
	if (rc < 0) {
		nbdkit_error("%s%s", kmemblk_error(), open_hint(rc));
		return -1;
	}
	kmemblk_get_info(device, &info);
	if (strcmp(info.type, "none") == 0 && !lend_wanted()) {
		nbdkit_error("%s: a device of type none is all memory and has no disk to serve: "
			     "to lend it: add lend=SOCKET; to make a disk of it: kmemblk format "
			     "--force --type=blk %s",
			     named, SHELL_WORD(path));
		return -1;
	}
	return 0;
}

/* What was there already is used as it is, which need not be what create= says. */
static void warn_of_size(void)
{
	uint64_t there = info.device_pages * info.page_size;

	if (there != (uint64_t)create_size)
		fprintf(stderr,
			"nbdkit: kmemblk: warning: %s: create= asks for %" PRIi64
			" bytes, but the device is there already and has %" PRIu64
			" bytes: it is used as it is\n",
			named, create_size, there);
}

static void warn(const char *what)
{
	fprintf(stderr, "nbdkit: kmemblk: warning: %s: %s\n", named, what);
}

/* Of what the disk does not survive, and of slow media. */
static void warn_of_media(void)
{
	if (strcmp(info.persistence, "process") == 0)
		warn("what is written survives the server, not a restart of the host");
	else if (strcmp(info.persistence, "reboot") == 0)
		warn("what is written survives a warm restart of the host, not a power failure");
	else if (strcmp(info.persistence, "unknown") == 0)
		warn("the system does not tell whether what is written survives a power failure: "
		     "see PERSISTENCE in kmemblk(1)");
	if (strcmp(info.media, "file") == 0)
		warn("an ordinary file is slow: each write waits for it twice");
}

/* Of a file system on which overwrites, too, need room. */
static void warn_of_copies(void)
{
	bool always = info.copies_on_write == 1;

	fprintf(stderr,
		"nbdkit: kmemblk: warning: %s: its file system copies %s, so overwrites, too, can get "
		"ENOSPC while it is full: %s\n",
		named, always ? "what is overwritten" : "what the file shares with another",
		always ? "make the file by create=, which on btrfs makes one that is overwritten in "
			 "place"
		       : "end the server, copy the file by cp --reflink=never, and serve the "
			 "copy");
}

static void close_device(void)
{
	control_cleanup();
	kmemblk_close(device);
	device = NULL;
}

static int plugin_get_ready(void)
{
	struct kmemblk_format_options options = {
		.flags = KMEMBLK_FORMAT_OWNED,
		.create_size = create_size,
	};
	int rc = 0;

	if (start_get_ready(close_device) == -1)
		return -1;
	node_before_open();
	if (create_size)
		rc = kmemblk_format(path, &options);
	/* That the file is there already, also since a moment, is what create= allows for. */
	if (rc < 0 && rc != -EEXIST)
		return answer(rc);
	node_of_device(path);
	if (open_device() == -1)
		return -1;
	if (rc == -EEXIST)
		warn_of_size();
	if (!readonly && (answer(memory_get_ready(device, &info, lend_timeout_ms())) == -1 ||
			  answer(lend_get_ready(device, &info)) == -1 ||
			  answer(control_get_ready(device, named)) == -1))
		return -1;
	warn_of_media();
	if (!readonly && info.copies_on_write)
		warn_of_copies();
	return exports_get_ready(device);
}

static int plugin_after_fork(void)
{
	int rc = memory_after_fork(device);

	if (rc == 0 && control_after_fork() != 0) {
		start_failed("%s", kmemblk_error());
		rc = -1;
	}
	if (rc == -1) {
		/* First: who is told of it may start another server at once. */
		close_device();
		start_tell_failure();
		return -1;
	}
	start_succeeded();
	return 0;
}

static void plugin_cleanup(void)
{
	if (device != NULL)
		memory_debug(device);
	control_cleanup();
	memory_cleanup();
	close_device();
}

/* Runs also where the device was never opened, or belongs to another process. */
static void plugin_unload(void)
{
	free(path);
	free(named);
	control_unload();
	exports_unload();
	memory_unload();
	lend_unload();
}

/* ---- connections ---------------------------------------------------------------------------- */

static void plugin_close(void *handle)
{
	export_close(handle);
	memory_debug(device);
}

static int64_t plugin_get_size(void *handle)
{
	const struct connection *connection = handle;

	return (int64_t)connection->size;
}

static int plugin_block_size(void *handle, uint32_t *min, uint32_t *preferred, uint32_t *max)
{
	*min = 1;
	*preferred = KMEMBLK_BLOCK_SIZE;
	*max = 64 * 1024 * 1024; /* nbdkit takes no more in one request */
	return 0;
}

/* Not only readonly=true ends writing: a failure to persist does as well. */
static int plugin_can_write(void *handle)
{
	const struct connection *connection = handle;
	struct kmemblk_info now;

	if (connection->is_snapshot)
		return 0;
	kmemblk_get_info(device, &now);
	return !now.readonly;
}

/* What is acknowledged is durable, whether the client asked for it or not. */
static int plugin_can_fua(void *handle)
{
	return NBDKIT_FUA_NATIVE;
}

/* Likewise can_multi_conn: what one connection was told is durable, every other one reads. */
static int plugin_yes(void *handle)
{
	return 1;
}

/* Nothing is nearer than where the data is: a cache request is done before it comes. */
static int plugin_can_cache(void *handle)
{
	return NBDKIT_CACHE_NATIVE;
}

/* ---- requests ------------------------------------------------------------------------------- */

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint64_t begun = request_begin();
	int rc = kmemblk_read(export_volume(handle), buf, count, offset);

	request_end(KMEMBLK_READ, begun, count);
	return answer(rc);
}

static int plugin_pwrite(void *handle, const void *buf, uint32_t count, uint64_t offset,
			 uint32_t flags)
{
	uint64_t begun = request_begin();
	int rc = kmemblk_write(export_volume(handle), buf, count, offset);

	request_end(KMEMBLK_WRITE, begun, count);
	return answer(rc);
}

static int plugin_flush(void *handle, uint32_t flags)
{
	request_end(KMEMBLK_FLUSH, request_begin(), 0);
	return answer(export_volume(handle) == NULL ? 0 : kmemblk_flush(export_volume(handle)));
}

static int plugin_trim(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	uint64_t begun = request_begin();
	int rc = kmemblk_trim(export_volume(handle), count, offset);

	request_end(KMEMBLK_TRIM, begun, count);
	return answer(rc);
}

static int plugin_zero(void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
	bool may_trim = flags & NBDKIT_FLAG_MAY_TRIM;
	uint64_t begun;
	int rc;

	/* Pages of zeroes take as long to write as any others: not fast, and that is no fault. */
	if ((flags & NBDKIT_FLAG_FAST_ZERO) && !may_trim) {
		nbdkit_set_error(ENOTSUP);
		return -1;
	}
	begun = request_begin();
	rc = kmemblk_zero(export_volume(handle), count, offset,
			  may_trim ? 0 : KMEMBLK_ZERO_NO_HOLE);
	request_end(KMEMBLK_ZERO, begun, count);
	return answer(rc);
}

struct extents_walk {
	struct nbdkit_extents *extents;
	bool one; /* the client asks for the first extent only */
};

static int add_extent(void *opaque, uint64_t offset, uint64_t count, unsigned int flags)
{
	struct extents_walk *walk = opaque;
	bool hole = flags & KMEMBLK_EXTENT_HOLE;
	uint32_t type = hole ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;

	if (nbdkit_add_extent(walk->extents, offset, count, type) == -1)
		return -errno;
	return walk->one;
}

static int plugin_extents(void *handle, uint32_t count, uint64_t offset, uint32_t flags,
			  struct nbdkit_extents *extents)
{
	struct extents_walk walk = { extents, flags & NBDKIT_FLAG_REQ_ONE };
	uint64_t begun = request_begin();
	int rc = kmemblk_extents(export_volume(handle), count, offset, add_extent, &walk);

	request_end(KMEMBLK_EXTENTS, begun, count);
	return answer(rc);
}

static struct nbdkit_plugin plugin = {
	.name = "kmemblk",
	.longname = "kmemblk persistent memory disk",
	.version = PACKAGE_VERSION,
	.description = "Serve a disk on persistent memory whose free pages serve as memory.",
	.magic_config_key = "path",
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help =
		"[path=]<PATH>      (required) Device to serve: /dev/daxX.Y or a file.\n"
		"create=<SIZE>      Make and format the file if it is not there.\n"
		"readonly=true      Open the device for reading only.\n"
		"numa=auto|off|<N>  NUMA node to run on, by default that of the device.\n" EXPORTS_HELP
			THREAD_MODEL_HELP CONTROL_HELP MEMORY_HELP "\n" LEND_HELP,
	.dump_plugin = plugin_dump_plugin,
	.thread_model = plugin_thread_model,
	.get_ready = plugin_get_ready,
	.after_fork = plugin_after_fork,
	.cleanup = plugin_cleanup,
	.unload = plugin_unload,
	.list_exports = exports_list,
	.default_export = exports_default,
	.export_description = exports_description,
	.open = export_open,
	.close = plugin_close,
	.get_size = plugin_get_size,
	.block_size = plugin_block_size,
	.can_write = plugin_can_write,
	.can_fua = plugin_can_fua,
	.can_multi_conn = plugin_yes,
	.can_fast_zero = plugin_yes,
	.can_cache = plugin_can_cache,
	.pread = plugin_pread,
	.pwrite = plugin_pwrite,
	.flush = plugin_flush,
	.trim = plugin_trim,
	.zero = plugin_zero,
	.extents = plugin_extents,
	.errno_is_preserved = 1,
};

struct nbdkit_plugin *plugin_init(void); /* which the next line defines */
NBDKIT_REGISTER_PLUGIN(plugin)
