/* SPDX-License-Identifier: BSD-3-Clause */
/* persistence.h - what the contents of a device survive.  See persistence.c. */
#ifndef PERSISTENCE_H
#define PERSISTENCE_H

#include "media/pm.h"

/* From the least to the most, so that the least of two is the smaller. */
enum persistence {
	PERSISTENCE_PROCESS,	/* the server, not a restart of the host */
	PERSISTENCE_UNKNOWN,	/* the system does not tell */
	PERSISTENCE_REBOOT,	/* a warm restart of the host, not a power failure */
	PERSISTENCE_POWER_FAIL, /* a power failure */
};

/* The word as it stands in struct kmemblk_info. */
const char *persistence_name(enum persistence persistence);

/* Ask the system about an open device, whose media is final: it has been mapped. */
enum persistence persistence_of(int fd, enum pm_media media);

#endif /* PERSISTENCE_H */
