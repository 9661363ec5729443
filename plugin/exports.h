/* SPDX-License-Identifier: BSD-3-Clause */
/* exports.h - the volumes and snapshots of the device, as NBD's exports.  See exports.c. */
#ifndef PLUGIN_EXPORTS_H
#define PLUGIN_EXPORTS_H

#include <stdbool.h>
#include <stdint.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "kmemblk.h"

/* volume=: the export that is meant where none is named.  0, or -1 with nbdkit's error. */
int exports_config(const char *value);
#define EXPORTS_HELP "volume=<NAME>      Volume or snapshot that a client gets who names none.\n"

/* Of a device that has been opened: 0, or -1 with nbdkit's error if volume= names none. */
int exports_get_ready(struct kmemblk *device);
void exports_unload(void);

/* nbdkit's callbacks. */
int exports_list(int for_reading, int is_tls, struct nbdkit_exports *exports);
const char *exports_default(int for_reading, int is_tls);
const char *exports_description(void *handle);

#define EXPORT_DESCRIPTION 256

/* A connection, which is nbdkit's handle: the volume it is about; NULL for a device that has none. */
struct connection {
	struct kmemblk_volume *volume;
	uint64_t size;
	bool is_snapshot; /* which never changes */
	char description[EXPORT_DESCRIPTION];
};

void *export_open(int for_reading);
void export_close(void *handle);

static inline struct kmemblk_volume *export_volume(void *handle)
{
	const struct connection *connection = handle;

	return connection->volume;
}

#endif /* PLUGIN_EXPORTS_H */
