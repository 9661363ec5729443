/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * exports.c - the volumes and snapshots of the device, as NBD's exports.
 *
 * Each volume is an export of its name, and each snapshot a read-only one, VOLUME@SNAPSHOT.  The export "" is that of volume=, or the only one, or the one that the
 * format made; where none of these is, it is refused with the names there are: what comes first would be another
 * disk after a deletion.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "exports.h"

static char *wanted; /* volume= */
static struct kmemblk *device;
static struct kmemblk_info info;

int exports_config(const char *value)
{
	if (wanted != NULL) {
		nbdkit_error("volume=%s: one volume is meant where none is named, and that is %s",
			     value, wanted);
		return -1;
	}
	wanted = strdup(value);
	return wanted == NULL ? -1 : 0;
}

/* A device of type none has no disk to name. */
static bool has_volumes(void)
{
	return strcmp(info.type, "none") != 0;
}

int exports_get_ready(struct kmemblk *opened)
{
	struct kmemblk_volume *volume;

	device = opened;
	kmemblk_get_info(device, &info);
	if (wanted == NULL)
		return 0;
	if (kmemblk_volume_open(device, wanted, &volume) != 0) {
		nbdkit_error("volume=: %s", kmemblk_error());
		return -1;
	}
	kmemblk_volume_close(volume);
	return 0;
}

void exports_unload(void)
{
	free(wanted);
}

/* Of the device; for one without volumes, too. */
static void describe(bool thin, char description[EXPORT_DESCRIPTION])
{
	snprintf(description, EXPORT_DESCRIPTION, "kmemblk %s on %s%s%s, uuid %s%s", info.type,
		 info.media, info.label[0] ? ", label " : "", info.label, info.uuid,
		 thin ? ", thin" : "");
}

static void describe_snapshot(const struct kmemblk_volume_info *snapshot,
			      char description[EXPORT_DESCRIPTION])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	double size = (double)snapshot->size_bytes / 1024;
	time_t created = (time_t)snapshot->created;
	unsigned int unit = 0;
	char date[64];
	struct tm tm;

	while (size >= 1023.95 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		size /= 1024;
		unit++;
	}
	/* The media gives any number, and not every number is a time that has a date. */
	if (snapshot->created > INT64_MAX || gmtime_r(&created, &tm) == NULL ||
	    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		snprintf(date, sizeof(date), "%" PRIu64 " s after 1970", snapshot->created);
	snprintf(description, EXPORT_DESCRIPTION, "snapshot of %.*s, %.1f %s, made %s",
		 (int)strcspn(snapshot->name, "@"), snapshot->name, size, units[unit], date);
}

static void describe_volume(const struct kmemblk_volume_info *volume,
			    char description[EXPORT_DESCRIPTION])
{
	if (volume->is_snapshot)
		describe_snapshot(volume, description);
	else
		describe(volume->is_thin, description);
}

/* nbdkit refuses a longer list, and then there is none. */
#define EXPORTS_LISTED 10000u

struct listing {
	struct nbdkit_exports *exports;
	unsigned int count;
};

static int add_export(void *opaque, const struct kmemblk_volume_info *volume)
{
	struct listing *listing = opaque;
	char description[EXPORT_DESCRIPTION];

	if (listing->count++ == EXPORTS_LISTED)
		return 1;
	describe_volume(volume, description);
	return nbdkit_add_export(listing->exports, volume->name, description);
}

int exports_list(int for_reading, int is_tls, struct nbdkit_exports *exports)
{
	struct listing listing = { exports, 0 };
	int rc = kmemblk_volume_list(device, add_export, &listing);

	/* What add_export() returned has been told. */
	if (rc == -ENOMEM)
		nbdkit_error("%s", kmemblk_error());
	return rc >= 0 ? 0 : -1;
}

/* The name of the volume that is meant where none is named; NULL if none is. */
static int find_default(void *opaque, const struct kmemblk_volume_info *volume)
{
	char *name = opaque;

	if (!volume->is_default)
		return 0;
	memcpy(name, volume->name, sizeof(volume->name));
	return 1;
}

const char *exports_default(int for_reading, int is_tls)
{
	char name[sizeof(((struct kmemblk_volume_info *)NULL)->name)];

	if (wanted != NULL)
		return wanted;
	if (kmemblk_volume_list(device, find_default, name) != 1)
		return "";
	return nbdkit_strdup_intern(name);
}

const char *exports_description(void *handle)
{
	const struct connection *connection = handle;

	return connection->description;
}

/* The volume or snapshot that a client asks for.  0, or -1 with nbdkit's error. */
static int open_volume(struct connection *connection)
{
	const char *name = nbdkit_export_name();
	struct kmemblk_volume_info volume;
	int rc;

	if (name != NULL && name[0] == '\0')
		name = wanted;
	rc = kmemblk_volume_open(device, name, &connection->volume);
	if (rc != 0) {
		nbdkit_error("%s", kmemblk_error());
		nbdkit_set_error(-rc);
		return -1;
	}
	kmemblk_volume_get_info(connection->volume, &volume);
	connection->size = volume.size_bytes;
	connection->is_snapshot = volume.is_snapshot;
	describe_volume(&volume, connection->description);
	return 0;
}

void *export_open(int for_reading)
{
	struct connection *connection = calloc(1, sizeof(*connection));

	if (connection == NULL) {
		nbdkit_error("out of memory for a connection");
		return NULL;
	}
	describe(false, connection->description);
	if (has_volumes() && open_volume(connection) == -1) {
		free(connection);
		return NULL;
	}
	return connection;
}

void export_close(void *handle)
{
	struct connection *connection = handle;

	kmemblk_volume_close(connection->volume);
	free(connection);
}
