/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * make-snapshots.c - write the device that snapshots.od shows, for whoever wants to see how it came about:
 *
 *     ./make-snapshots /dev/shm/snapshots.img && od -A x -t x1 -w32 /dev/shm/snapshots.img
 *
 * Each session that frees a page ends with that, so that nothing depends on when it can be taken again.
 */
#include "config.h"

#include <stdio.h>

#include "make.h"

static bool resize(struct kmemblk *h, uint64_t blocks)
{
	return kmemblk_volume_resize(h, "kmem0", blocks * PAGE, KMEMBLK_VOLUME_FORCE) == 0;
}

static bool trim(struct kmemblk *h, const char *volume, uint64_t block, uint64_t n)
{
	struct kmemblk_volume *v;
	bool done;

	if (kmemblk_volume_open(h, volume, &v) != 0)
		return false;
	done = kmemblk_trim(v, n * PAGE, block * PAGE) == 0;
	kmemblk_volume_close(v);
	return done;
}

static bool snapshot(struct kmemblk *h, const char *name)
{
	return kmemblk_snapshot(h, &name, 1, 0) == 0;
}

static bool make_volumes(struct kmemblk *h)
{
	return kmemblk_volume_create(h, "a", 9 * PAGE, 0) == 0 &&
	       kmemblk_volume_create(h, "gone", 600 * PAGE, 0) == 0;
}

static bool write_first(struct kmemblk *h)
{
	return make_put(h, "kmem0", 0, "the first of a  ") &&
	       make_put(h, "kmem0", 1, "kept by all     ") &&
	       make_put(h, "kmem0", 2, "to be trimmed   ") &&
	       make_put(h, "a", 8, "last of volume a") &&
	       make_put(h, "gone", 0, "of what is gone ") &&
	       make_put(h, "gone", 599, "its last block  ");
}

/* Of one instant. */
static bool snapshot_first(struct kmemblk *h)
{
	static const char *const names[] = { "kmem0@a", "a@a", "gone@s" };

	return kmemblk_snapshot(h, names, 3, 0) == 0;
}

static bool raise_to_2(struct kmemblk *h)
{
	return resize(h, 1000);
}

static bool write_b(struct kmemblk *h)
{
	return make_put(h, "kmem0", 0, "the first of b  ") &&
	       make_put(h, "kmem0", 600, "a second leaf   ") && trim(h, "kmem0", 2, 1);
}

static bool snapshot_b(struct kmemblk *h)
{
	return snapshot(h, "kmem0@b");
}

static bool raise_to_3(struct kmemblk *h)
{
	return resize(h, 300000);
}

static bool shrink_to_900(struct kmemblk *h)
{
	return resize(h, 900);
}

static bool write_c(struct kmemblk *h)
{
	return make_put(h, "kmem0", 600, "second leaf of c") &&
	       make_put(h, "kmem0", 899, "the end of c    ");
}

static bool snapshot_c(struct kmemblk *h)
{
	return snapshot(h, "kmem0@c");
}

static bool raise_to_4(struct kmemblk *h)
{
	return resize(h, (1ull << 27) + 1);
}

static bool shrink_to_800(struct kmemblk *h)
{
	return resize(h, 800);
}

static bool write_now(struct kmemblk *h)
{
	return make_put(h, "kmem0", 0, "the first of now") &&
	       make_put(h, "kmem0", 3, "only in kmem0   ");
}

static bool make_clones(struct kmemblk *h)
{
	return kmemblk_volume_clone(h, "kmem0@b", "copy", 0) == 0 &&
	       kmemblk_volume_clone(h, "gone@s", "heir", 0) == 0;
}

static bool write_copy(struct kmemblk *h)
{
	return make_put(h, "copy", 5, "in copy and x   ") &&
	       make_put(h, "copy", 600, "only in copy@x  ") &&
	       make_put(h, "heir", 1, "only in heir    ");
}

static bool snapshot_copy(struct kmemblk *h)
{
	return snapshot(h, "copy@x");
}

/* The second leaf is dropped. */
static bool change_copy(struct kmemblk *h)
{
	return make_put(h, "copy", 0, "the first of cop") && trim(h, "copy", 512, 488);
}

static bool (*const sessions[])(struct kmemblk *h) = {
	make_volumes, write_first,   snapshot_first, raise_to_2,    write_b,	 snapshot_b,
	raise_to_3,   shrink_to_900, write_c,	     snapshot_c,    raise_to_4,	 shrink_to_800,
	write_now,    make_clones,   write_copy,     snapshot_copy, change_copy,
};

int main(int argc, char **argv)
{
	struct kmemblk_format_options options = { .label = "golden snapshots",
						  .create_size = 600 * PAGE,
						  .disk_size = 500 * PAGE,
						  .spare_pages = 20 };
	bool done;

	if (argc != 2) {
		fprintf(stderr, "usage: make-snapshots FILE\n");
		return 2;
	}
	done = make_begin(argv[1], &options);
	for (size_t i = 0; done && i < sizeof(sessions) / sizeof(sessions[0]); i++)
		done = make_run(sessions[i]);
	/* Its snapshot stays. */
	return make_end("make-snapshots", done && make_forget(2) && make_erase_free());
}
