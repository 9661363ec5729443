/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * place.c - where the other files of this build of the command are.
 *
 * In a build tree kmemblk-commands is beside this executable, in tools/; libtool makes a script of that
 * name, which finds the library of the build tree, and puts the library to preload into
 * preload/.libs.  Else all are where `make install` puts them.
 */
#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "place.h"

#define COMMANDS "kmemblk-commands"
#define PRELOAD	 "libkmemblk-preload.so"

/* The folder of this executable, if that is tools/ of a build tree; it has room for what is put behind. */
static bool find_tools(char folder[PATH_MAX])
{
	ssize_t n =
		readlink("/proc/self/exe", folder, PATH_MAX - sizeof("/../preload/.libs/" PRELOAD));
	char *name;
	bool built;

	if (n <= 0)
		return false;
	folder[n] = 0;
	name = strrchr(folder, '/');
	if (name == NULL)
		return false;
	strcpy(name, "/" COMMANDS);
	built = access(folder, X_OK) == 0;
	*name = 0;
	name = strrchr(folder, '/');
	return built && name != NULL && strcmp(name, "/tools") == 0;
}

static void place(char path[PATH_MAX], const char *built, const char *installed)
{
	if (find_tools(path))
		strcat(path, built);
	else
		snprintf(path, PATH_MAX, "%s", installed);
}

void place_commands(char path[PATH_MAX])
{
	place(path, "/" COMMANDS, PKGLIBEXECDIR "/" COMMANDS);
}

void place_preload(char path[PATH_MAX])
{
	place(path, "/../preload/.libs/" PRELOAD, PKGLIBDIR "/" PRELOAD);
}
