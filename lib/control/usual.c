/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * usual.c - where a control socket is if nothing else is said: in /run/kmemblk, which all users can enter and only
 * root, or the user of the services, can write; or in a folder that is the user's alone.
 *
 * Neither is one in which anybody else can put a socket, so who asks trusts what is there.
 */
#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "control/usual.h"

#define SYSTEM_FOLDER "/run/kmemblk"

bool usual_folder(unsigned int number, char name[USUAL_SIZE])
{
	const char *own;

	if (number == 0)
		return snprintf(name, USUAL_SIZE, SYSTEM_FOLDER) < (int)USUAL_SIZE;
	own = getenv("XDG_RUNTIME_DIR");
	return own != NULL && own[0] == '/' &&
	       snprintf(name, USUAL_SIZE, "%s/kmemblk", own) < (int)USUAL_SIZE;
}

bool usual_name(unsigned int number, const char *uuid, char name[USUAL_SIZE])
{
	char folder[USUAL_SIZE];

	return usual_folder(number, folder) &&
	       snprintf(name, USUAL_SIZE, "%s/%s.sock", folder, uuid) < (int)USUAL_SIZE;
}

int usual_make(const char *uuid, char name[USUAL_SIZE])
{
	/* Who could read the system's could lock it, and no server would start then: listen.c. */
	static const mode_t modes[USUAL_FOLDERS] = { 0711, 0700 };
	char copy[USUAL_SIZE];

	for (unsigned int i = 0; i < USUAL_FOLDERS; i++) {
		const char *folder;

		if (!usual_name(i, uuid, name))
			continue;
		snprintf(copy, sizeof(copy), "%s", name);
		folder = dirname(copy);
		/* What the umask has taken away is given back: only to what was made here. */
		if (mkdir(folder, modes[i]) == 0 && chmod(folder, modes[i]) == -1)
			continue;
		if (eaccess(folder, R_OK | W_OK | X_OK) == 0)
			return 0;
	}
	return fail(ENOENT, "control: this user can make a socket neither in " SYSTEM_FOLDER
			    " nor in $XDG_RUNTIME_DIR/kmemblk");
}
