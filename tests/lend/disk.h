/* SPDX-License-Identifier: BSD-3-Clause */
/* disk.h - a disk over NBD of which the test knows what each block must hold. */
#ifndef DISK_H
#define DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/block.h"
#include "common/server.h"

#define MOST_BLOCKS 65536u

struct disk {
	uint64_t blocks;
	uint64_t version[MOST_BLOCKS]; /* that each block must have; 0: none */
	uint64_t next;		       /* version */
};

extern struct disk disk;

/* Learn how large it is. */
void disk_init(struct nbd_handle *nbd);

/* Write one block anew; 0 or the errno. */
int disk_write(struct nbd_handle *nbd, uint64_t block);

/* Write every block anew; all must succeed. */
void disk_write_all(struct nbd_handle *nbd);

/* Write the blocks that have none, one by one, until some get ENOSPC: how many did. */
uint64_t disk_fill(struct nbd_handle *nbd);

/* Write each block that has one anew: all must succeed. */
void disk_overwrite(struct nbd_handle *nbd);

void disk_trim(struct nbd_handle *nbd, uint64_t block, uint64_t count);

/* Every block must hold what it should. */
void disk_verify(struct nbd_handle *nbd);

/*
 * A load that overwrites and reads, verified, the blocks of [first, first + count) that have a
 * version, on a connection of its own, until it is ended.
 */
struct load {
	pthread_t thread;
	struct nbd_handle *nbd;
	uint64_t first, count, random;
	_Atomic bool stop;
	_Atomic uint64_t done;
};

void load_start(struct load *load, uint64_t first, uint64_t count);
/* Wait until it has done that much more. */
void load_await(struct load *load, uint64_t more);
void load_end(struct load *load);

#endif /* DISK_H */
