/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * type-none-lends-all.c - of a device without a disk, every whole zone above spare and headroom is lent.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>

#include "raw.h"

#define ZONE_PAGES 512u

int main(void)
{
	static const char *const parameters[] = { "headroom=0", NULL };
	static struct borrower borrower;
	const char *socket = server_lend_socket();
	uint64_t free;

	server_lends(parameters);
	server_start(64 << 20, NULL);
	server_stop(SIGTERM);
	CHECK(process_run(process_built("tools/kmemblk"), "format", "--force", "--type=none",
			  server_device(), (char *)NULL) == 0,
	      "format");
	server_start(0, NULL);
	free = raw_stat(socket, "pages", "free") - raw_stat(socket, "pages", "spare");
	raw_hello(&borrower, socket);
	CHECK(raw_borrow_all(&borrower, 0) == -ENOMEM, "not the right refusal");
	/* A zone may be cut by the superblock, one by the end, and one by the spare. */
	CHECK((borrower.zones + 3) * ZONE_PAGES >= free && borrower.zones * ZONE_PAGES <= free,
	      "%u zones of %" PRIu64 " pages", borrower.zones, free);
	raw_scribble(&borrower, 1);
	raw_check(&borrower, 1);
	while (borrower.zones > 0)
		raw_return(&borrower);
	raw_await(socket, "zones", "lent", 0);
	server_stop_sound();
	return 0;
}
