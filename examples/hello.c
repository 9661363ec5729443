/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hello.c - a program with a kmemblk disk inside: makes a device, writes to it, reads it back.
 *
 *     cc hello.c $(pkg-config --cflags --libs libkmemblk) -o hello
 *     ./hello /dev/shm/hello.img
 */
#include <errno.h>
#include <stdio.h>
#include <kmemblk.h>

int main(int argc, char **argv)
{
	struct kmemblk_format_options options = { .create_size = 16 << 20 };
	struct kmemblk *device = NULL;
	struct kmemblk_volume *disk = NULL;
	char text[] = "hello, persistent memory";
	int rc;

	if (argc != 2) {
		fprintf(stderr, "usage: hello PATH\n");
		return 2;
	}

	/* The first time, make the device; afterwards it is there. */
	rc = kmemblk_format(argv[1], &options);
	if (rc < 0 && rc != -EEXIST)
		goto out;

	rc = kmemblk_open(argv[1], 0, &device);
	if (rc < 0)
		goto out;
	/* A program that forks or becomes a daemon does so here. */
	rc = kmemblk_start(device);
	if (rc < 0)
		goto out;
	/* The one that was made with the device. */
	rc = kmemblk_volume_open(device, NULL, &disk);
	if (rc < 0)
		goto out;

	/* Any offset and length; durable on return. */
	rc = kmemblk_write(disk, text, sizeof(text), 5000);
	if (rc < 0)
		goto out;
	rc = kmemblk_read(disk, text, sizeof(text), 5000);
	if (rc < 0)
		goto out;
	printf("%s\n", text);
out:
	if (rc < 0)
		fprintf(stderr, "hello: %s\n", kmemblk_error());
	kmemblk_volume_close(disk);
	kmemblk_close(device);
	return rc < 0;
}
