/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * control-parameters.c - what the plugin does about its control socket.
 *
 * The socket is made while the user is still the one who typed the command, so that it can be where only he may make
 * one; the thread that answers, in the process that serves.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "control-parameters.h"

static char *path; /* NULL: the usual one */
static bool none;
static struct kmemblk_control *control;

int control_config(const char *key, const char *value)
{
	if (strcmp(key, "control") != 0)
		return 1;
	if (path != NULL || none) {
		nbdkit_error(
			"control=%s: a server has one such socket at most, and control= was given "
			"before",
			value);
		return -1;
	}
	none = strcmp(value, "none") == 0;
	if (none)
		return 0;
	/* In the background the server has another current folder. */
	path = *value != '\0' ? nbdkit_absolute_path(value) : NULL;
	if (path == NULL)
		nbdkit_error(
			"control=%s: type the path of a socket, as in control=/run/disk/control.sock, or none",
			value);
	return path != NULL ? 0 : -1;
}

int control_config_complete(bool readonly)
{
	if (!readonly || path == NULL)
		return 0;
	nbdkit_error(
		"readonly=true changes no volumes, and so has no control socket: leave out control=");
	return -1;
}

int control_get_ready(struct kmemblk *device, const char *named)
{
	int rc;

	if (none)
		return 0;
	rc = kmemblk_control_make(device, path, &control);
	if (rc == 0 || path != NULL)
		return rc;
	fprintf(stderr,
		"nbdkit: kmemblk: warning: %s: its volumes cannot be changed while it is served: %s (see "
		"control=)\n",
		named, kmemblk_error());
	return 0;
}

int control_after_fork(void)
{
	return control == NULL ? 0 : kmemblk_control_start(control);
}

void control_cleanup(void)
{
	kmemblk_control_close(control);
	control = NULL;
}

void control_unload(void)
{
	free(path);
}
