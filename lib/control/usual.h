/* SPDX-License-Identifier: BSD-3-Clause */
/* usual.h - where a control socket is if nothing else is said.  See usual.c. */
#ifndef USUAL_H
#define USUAL_H

#include <stdbool.h>
#include <sys/un.h>

/* The folders, from the first to be used to the last. */
#define USUAL_FOLDERS 2

#define USUAL_SIZE sizeof(((struct sockaddr_un *)NULL)->sun_path)

/* The socket of a device in one of them; false: this user has no such folder. */
bool usual_name(unsigned int number, const char *uuid, char name[USUAL_SIZE]);

/* One of them, without the name of a socket; false likewise. */
bool usual_folder(unsigned int number, char name[USUAL_SIZE]);

/* The first that a server can make it in; the folder is made if need be.  0 or -ENOENT with message. */
int usual_make(const char *uuid, char name[USUAL_SIZE]);

#endif /* USUAL_H */
