/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * servers.c - the servers of this host: whoever answers on a socket in the folders of usual.c.
 *
 * Which sockets there are is read before any is asked, so that servers that come and go meanwhile do no harm.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/error.h"
#include "control/message.h"
#include "control/reach.h"
#include "control/usual.h"
#include "kmemblk.h"

#define SUFFIX ".sock"

/* How long one may take to say who it is: it may be stopped, or busy with a change for minutes. */
#define PATIENCE_MS 1000

static int is_socket_name(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > strlen(SUFFIX) &&
	       strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static bool read_answer(const char *name, const char *answer, size_t length,
			struct kmemblk_server *server, struct json_object **result)
{
	uint64_t process;

	if (answer_parse(name, answer, length, result) != 0 ||
	    !message_get_text(*result, "path", &server->path) ||
	    !message_get_text(*result, "uuid", &server->uuid) ||
	    !message_get_number(*result, "process", &process) || process > INT_MAX)
		return false;
	server->process = (int)process;
	return true;
}

/* Ask who answers there: true if it is a server of ours, with the texts in *result, or one that does not answer. */
static bool ask_who(const char *name, struct kmemblk_server *server, struct json_object **result)
{
	struct reached r;
	struct stat st;
	char *request, *answer = NULL;
	ssize_t length = -EINVAL;
	bool ok;

	*server = (struct kmemblk_server){ .socket = name };
	/* Nothing else than a socket: that would be looked at as a device. */
	if (lstat(name, &st) == -1 || !S_ISSOCK(st.st_mode) || reach(&r, name) != 0)
		return false;
	r.patience = PATIENCE_MS;
	request = request_text(CALL_SERVER, NULL, NULL);
	if (request != NULL)
		length = reach_ask(&r, request, &answer);
	ok = length == -ETIMEDOUT ||
	     (length >= 0 && read_answer(name, answer, (size_t)length, server, result));
	free(request);
	free(answer);
	close(r.fd);
	return ok;
}

static int tell_of(const char *folder, const char *file, kmemblk_server_fn fn, void *opaque)
{
	struct json_object *result = NULL;
	struct kmemblk_server server;
	char name[USUAL_SIZE];
	int rc = 0;

	if (snprintf(name, sizeof(name), "%s/%s", folder, file) >= (int)sizeof(name))
		return 0;
	if (ask_who(name, &server, &result))
		rc = fn(opaque, &server);
	json_object_put(result);
	return rc;
}

int kmemblk_list_servers(kmemblk_server_fn fn, void *opaque)
{
	char folder[USUAL_SIZE];
	int rc = 0;

	for (unsigned int number = 0; number < USUAL_FOLDERS && rc == 0; number++) {
		struct dirent **entry = NULL;
		int count = -1;

		if (usual_folder(number, folder))
			count = scandir(folder, &entry, is_socket_name, alphasort);
		if (count == -1 && errno == ENOMEM)
			rc = fail(ENOMEM, "list: %s: out of memory", folder);
		for (int i = 0; i < count; i++) {
			if (rc == 0)
				rc = tell_of(folder, entry[i]->d_name, fn, opaque);
			free(entry[i]);
		}
		free(entry);
	}
	return rc;
}
