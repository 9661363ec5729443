/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lend-parameters.c - what the plugin does about lending to other processes: parameters.
 *
 * The socket is made while the user is still the one who typed the command, so that it can be where
 * only he may make one.
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lend-parameters.h"
#include "requests.h"
#include "value.h"

static char *socket_path;
static char *allow;
static char *folder;
static int most_percent = -1;
static struct kmemblk_lend_options options = {
	.owner = (unsigned int)-1,
	.group = (unsigned int)-1,
	.limit = KMEMBLK_DEFAULT,
};
static unsigned int timeout_ms;
static bool given; /* one of those that need lend= was given */

static int config_socket(const char *value)
{
	if (socket_path != NULL) {
		nbdkit_error("lend=%s: a server has one such socket, and that is %s", value,
			     socket_path);
		return -1;
	}
	socket_path = *value != '\0' ? nbdkit_absolute_path(value) : NULL;
	if (socket_path == NULL)
		nbdkit_error(
			"lend=%s: type the path of a socket, as in lend=/run/kmemblk/lend.sock",
			value);
	return socket_path != NULL ? 0 : -1;
}

static int config_mode(const char *value)
{
	char *end;
	unsigned long mode = strtoul(value, &end, 8);

	if (end == value || *end || mode == 0 || mode > 0777) {
		nbdkit_error("lend-mode=%s: type a mode in octal, as in lend-mode=0660", value);
		return -1;
	}
	options.mode = (unsigned int)mode;
	return 0;
}

static int config_group(const char *value)
{
	const struct group *group = getgrnam(value);

	if (group == NULL) {
		nbdkit_error("lend-group=%s: there is no such group", value);
		return -1;
	}
	options.group = group->gr_gid;
	return 0;
}

static int config_allow(const char *value)
{
	free(allow);
	allow = strdup(value);
	if (allow == NULL) {
		nbdkit_error("lend-allow=: %s", strerror(errno));
		return -1;
	}
	options.allow = allow;
	return 0;
}

static int config_folder(const char *value)
{
	free(folder);
	folder = *value != '\0' ? nbdkit_absolute_path(value) : NULL;
	if (folder == NULL) {
		nbdkit_error("lend-folder=%s: type the path of a folder on the file system of the "
			     "device",
			     value);
		return -1;
	}
	options.folder = folder;
	return 0;
}

static int config_most(const char *value)
{
	if (value_share("lend-most", value, &options.most, &most_percent) == -1)
		return -1;
	if (options.most != 0 || most_percent > 0)
		return 0;
	nbdkit_error("lend-most=%s: to lend nothing, leave out lend=", value);
	return -1;
}

static int config_timeout(const char *value)
{
	char *end;
	double seconds = strtod(value, &end);

	if (end == value || *end || !(seconds > 0) || seconds > 86400) {
		nbdkit_error(
			"recall-timeout=%s: type seconds, at most 86400, as in recall-timeout=10",
			value);
		return -1;
	}
	timeout_ms = (unsigned int)(seconds * 1000 + 0.999);
	return 0;
}

int lend_config(const char *key, const char *value)
{
	if (strcmp(key, "recall-timeout") == 0)
		return config_timeout(value);
	if (strcmp(key, "lend") == 0)
		return config_socket(value);
	given = true;
	if (strcmp(key, "lend-mode") == 0)
		return config_mode(value);
	if (strcmp(key, "lend-group") == 0)
		return config_group(value);
	if (strcmp(key, "lend-allow") == 0)
		return config_allow(value);
	if (strcmp(key, "lend-limit") == 0)
		return value_size(key, value, &options.limit);
	if (strcmp(key, "lend-most") == 0)
		return config_most(value);
	if (strcmp(key, "lend-folder") == 0)
		return config_folder(value);
	return 1;
}

int lend_config_complete(bool readonly)
{
	if (given && socket_path == NULL) {
		nbdkit_error("lend-mode=, lend-group=, lend-allow=, lend-limit=, lend-most= and "
			     "lend-folder= are about what lend= lends: add lend=SOCKET");
		return -1;
	}
	if (readonly && (socket_path != NULL || timeout_ms > 0)) {
		nbdkit_error("readonly=true has no free pages to lend: leave out lend= and "
			     "recall-timeout=");
		return -1;
	}
	return 0;
}

bool lend_wanted(void)
{
	return socket_path != NULL;
}

unsigned int lend_timeout_ms(void)
{
	return timeout_ms;
}

/* Programs may keep what they are lent: the disk can be sure of the rest. */
static void tell_share(struct kmemblk *device)
{
	const double mib = 1048576.0 / KMEMBLK_BLOCK_SIZE;
	struct kmemblk_info now;
	uint64_t blocks, most;

	kmemblk_get_info(device, &now);
	blocks = now.data_pages - now.pages_spare;
	most = blocks > now.pages_headroom ? blocks - now.pages_headroom : 0;
	if (options.most != 0 && options.most / KMEMBLK_BLOCK_SIZE < most)
		most = options.most / KMEMBLK_BLOCK_SIZE;
	fprintf(stderr,
		"nbdkit: kmemblk: up to %.1f MiB may be lent, so the disk is sure of %.1f MiB (see "
		"lend-most= and headroom=)\n",
		(double)most / mib, (double)(blocks - most) / mib);
}

/* Each loan and each borrower is an open file: as many as the system lets this process have. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* If not, fewer are lent, which kmemblk stat tells. */
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

int lend_get_ready(struct kmemblk *device, const struct kmemblk_info *info)
{
	int rc;

	if (socket_path == NULL)
		return 0;
	if (most_percent >= 0)
		options.most = value_percent(info, most_percent);
	options.socket = socket_path;
	options.count_requests = requests_get;
	requests_count();
	raise_files();
	rc = kmemblk_lend(device, &options);
	if (rc == 0)
		tell_share(device);
	return rc;
}

void lend_unload(void)
{
	free(socket_path);
	free(allow);
	free(folder);
}
