/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * make-pages.c - write the device that pages.od shows, whose directory has two pages:
 *
 *     ./make-pages /dev/shm/pages.img && od -A x -t x1 -w32 /dev/shm/pages.img
 *
 * So many volumes are made that the second page is used, and then most of them are deleted.  Where the snapshot's
 * record is, depends on which of the pages that were freed is taken first.
 */
#include "config.h"

#include <stdio.h>

#include "make.h"

#define LAST 514u

static bool create(struct kmemblk *h)
{
	char name[64];
	bool done = true;

	for (unsigned int i = 1; done && i <= LAST; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		done = kmemblk_volume_create(h, name, 9 * PAGE, 0) == 0;
	}
	return done;
}

/* Two are left in each page. */
static bool delete_most(struct kmemblk *h)
{
	char name[64];
	bool done = true;

	for (unsigned int i = 1; done && i < LAST; i++) {
		snprintf(name, sizeof(name), "v%u", i);
		done = i == 511 || i == 512 || kmemblk_volume_delete(h, name, 0) == 0;
	}
	return done;
}

static bool write_first(struct kmemblk *h)
{
	return make_put(h, "kmem0", 0, "of the first vol") &&
	       make_put(h, "v511", 1, "end of the first") &&
	       make_put(h, "v512", 2, "begin of the 2nd") &&
	       make_put(h, "v514", 8, "the last volume ");
}

/* Its record is named in the first page, and that of its volume in the second. */
static bool snapshot(struct kmemblk *h)
{
	static const char *const name = "v512@s";

	return kmemblk_snapshot(h, &name, 1, 0) == 0;
}

static bool write_more(struct kmemblk *h)
{
	return make_put(h, "v512", 2, "after snapshot s");
}

int main(int argc, char **argv)
{
	struct kmemblk_format_options options = { .label = "golden pages",
						  .create_size = 600 * PAGE,
						  .disk_size = 9 * PAGE,
						  .views = 1024,
						  .spare_pages = 20 };

	if (argc != 2) {
		fprintf(stderr, "usage: make-pages FILE\n");
		return 2;
	}
	return make_end("make-pages", make_begin(argv[1], &options) && make_run(create) &&
					      make_run(delete_most) && make_run(write_first) &&
					      make_run(snapshot) && make_run(write_more) &&
					      make_erase_free());
}
