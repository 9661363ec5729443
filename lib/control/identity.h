/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * identity.h - which device is meant: its uuid alone does not tell it from a copy of it.
 *
 * For a file what the file system knows it by, for a devdax device, which may have several nodes, its number.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define IDENTITY_SIZE 80

static inline void identity_of(const struct stat *st, char identity[IDENTITY_SIZE])
{
	if (S_ISCHR(st->st_mode))
		snprintf(identity, IDENTITY_SIZE, "device %u:%u", major(st->st_rdev),
			 minor(st->st_rdev));
	else
		snprintf(identity, IDENTITY_SIZE, "file %u:%u %llu", major(st->st_dev),
			 minor(st->st_dev), (unsigned long long)st->st_ino);
}

#endif /* IDENTITY_H */
