/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmemblk-control.h - volumes of a device are listed and changed whether or not a server has it open.
 *
 * One writer has a device.  While that is a server, others change its volumes by asking it, on a UNIX socket: its
 * control socket.  The first half is for the server, the second for who asks.  Included by kmemblk.h.
 *
 * The server asks the kernel who has connected.  Whoever can connect may list; the owner of the device, root, and the
 * user that the server runs as may change.  The socket has the usual name if it is not given another:
 * /run/kmemblk/UUID.sock, where UUID is the device's, or, where the user cannot write that folder,
 * $XDG_RUNTIME_DIR/kmemblk/UUID.sock.  Who asks looks for it in both.
 */
#ifndef KMEMBLK_CONTROL_H
#define KMEMBLK_CONTROL_H

#include <stdint.h>

#include "kmemblk-volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the server ------------------------------------------------------------------------------ */

/* A control socket, and the thread that answers on it. */
struct kmemblk_control;

/*
 * kmemblk_control_make - make the control socket of a handle that is open for writing.
 *
 * `path` NULL: of the usual name, whose folder is made if it is not there.  A socket that no process has bound any more
 * is replaced, nothing else is.  Made by root, it has the owner and the group of the device, and may be used by those
 * who may read the device; made by another user, by that user and root.  Who connects before kmemblk_control_start()
 * waits for it.  Starts no thread, so the process may fork, and become another user, afterwards.
 *
 * `*control` is set on success and belongs to the caller, who ends it by kmemblk_control_close(), before
 * kmemblk_close().
 *
 * Errors: -EROFS the handle is read-only; -EADDRINUSE the socket is in use, as where the device is a copy of another
 * that is being served; -EEXIST something else than a socket is there; -ENAMETOOLONG; -ENOENT neither folder of the
 * usual names can be used; -ENOMEM; any error of socket(2), bind(2), chown(2), and of making a folder beside the socket.
 */
int kmemblk_control_make(struct kmemblk *handle, const char *path,
			 struct kmemblk_control **control);

/*
 * kmemblk_control_start - answer from now on, in a thread of the library's.
 *
 * Once, in the process that has called kmemblk_start().  One request is answered after the other; a client that is slow, sends
 * nonsense or goes keeps nobody waiting, neither other clients nor requests to the volumes.
 *
 * Errors: -EAGAIN or -ENOMEM no thread could be made.
 */
int kmemblk_control_start(struct kmemblk_control *control);

/*
 * kmemblk_control_close - remove the socket, if it still is the one that was made, and answer no more.
 *
 * A change that has been begun is made to its end first.  NULL is allowed.  Cannot fail.
 */
void kmemblk_control_close(struct kmemblk_control *control);

/* ---- who asks -------------------------------------------------------------------------------- */

/* Each stands for a call of kmemblk-volume.h: in brackets the names that it takes, and its flags. */
enum kmemblk_change_kind {
	KMEMBLK_CHANGE_CREATE, /* kmemblk_volume_create() [name; KMEMBLK_VOLUME_PREALLOC, KMEMBLK_THIN] */
	KMEMBLK_CHANGE_DELETE,	 /* kmemblk_volume_delete() [name; KMEMBLK_VOLUME_RECURSIVE] */
	KMEMBLK_CHANGE_RENAME,	 /* kmemblk_volume_rename() [name, new name] */
	KMEMBLK_CHANGE_RESIZE,	 /* kmemblk_volume_resize() [name; KMEMBLK_VOLUME_FORCE] */
	KMEMBLK_CHANGE_SNAPSHOT, /* kmemblk_snapshot() [1 to 64 names; KMEMBLK_THIN] */
	KMEMBLK_CHANGE_CLONE,	 /* kmemblk_volume_clone() [snapshot, name; KMEMBLK_THIN] */
	KMEMBLK_CHANGE_ROLLBACK, /* kmemblk_volume_rollback() [snapshot; KMEMBLK_VOLUME_FORCE] */
	KMEMBLK_CHANGE_THIN, /* kmemblk_volume_set_thin() [name; KMEMBLK_THIN, or 0 to end it] */
	KMEMBLK_CHANGE_KINDS
};

struct kmemblk_change {
	enum kmemblk_change_kind kind;
	const char *const *names;
	unsigned int count; /* of names */
	uint64_t size;	    /* in bytes, of create and resize */
	unsigned int flags; /* KMEMBLK_VOLUME_* and KMEMBLK_THIN, or'ed */
	/* Set on success: how many snapshots of a volume were deleted with it. */
	unsigned int snapshots;
};

/*
 * kmemblk_change - make one change of the volumes of the device at `path`.
 *
 * `path` is the device, or the control socket of its server.  If a server that can be asked has the device open, it is
 * asked, and the call waits for its answer, however long the change takes; else the call opens the device and makes the
 * change itself, and waits for up to ten seconds while another kmemblk command has it.  Either way what was done is
 * durable on return, and errors and their messages are those of the call that the change stands for, which says what is
 * unchanged then.  Needs no handle, and may be made by any thread.
 *
 * Further errors: those of kmemblk_open() and kmemblk_start(), of which -EBUSY somebody has the device open, and cannot
 * be asked: the message says why; -EPERM the server does not let this user change volumes; -ECONNRESET the server ended
 * before it answered, or had too many clients, and the change was made or not; -ETIMEDOUT the server did not take the
 * request, and nothing was changed; -EPROTO the answer makes no sense; -EINVAL `change` itself; any error of connect(2).
 */
int kmemblk_change(const char *path, struct kmemblk_change *change);

/*
 * kmemblk_list - call `fn` for each volume and each snapshot of the device at `path`, as kmemblk_volume_list() does.
 *
 * `path` is the device, or the control socket of its server.  Asks the server, if there is one that can be asked; else
 * reads the map, as kmemblk_probe_volumes() does, also if the device is open.  Errors: as there, and those of
 * kmemblk_change(); what `fn` returned.
 */
int kmemblk_list(const char *path, kmemblk_volume_fn fn, void *opaque);

/* A server that answers on a control socket of a usual name. */
struct kmemblk_server {
	const char *socket;
	/* NULL and 0: it does not answer, for it is stopped, or busy with a change. */
	const char *path; /* of its device, as it was opened; `?` for bytes that cannot be shown */
	const char *uuid; /* of its device */
	int process;
};

typedef int (*kmemblk_server_fn)(void *opaque, const struct kmemblk_server *server);

/*
 * kmemblk_list_servers - call `fn` for each server of this host that this user can find, and ask.
 *
 * Looks for control sockets of the usual names: in /run/kmemblk, whose names root and its owner may read, and in
 * $XDG_RUNTIME_DIR/kmemblk; the order is that of their names.  A folder that is not there, one that the user may not read,
 * a socket that he may not ask, and one whose server has ended, are passed over.  The call waits for each server's
 * answer, a second at most.  `*server` and its texts are gone when `fn` returns; it returns 0 to go on, and anything
 * else to end the call, which then returns that.  Needs no handle, and may be made by any thread.
 *
 * Errors: -ENOMEM; what `fn` returned.
 */
int kmemblk_list_servers(kmemblk_server_fn fn, void *opaque);

#ifdef __cplusplus
}
#endif

#endif /* KMEMBLK_CONTROL_H */
