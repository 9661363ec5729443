/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node.c - run near the device.
 *
 * The main thread's policy passes to the tables that the library makes at open and to every thread
 * that the server starts, so it is set before both.
 */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <numa.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "kmemblk.h"
#include "node.h"

/* Values of the parameter that are not a node. */
#define NUMA_AUTO -1
#define NUMA_OFF  -2

static int numa = NUMA_AUTO;

int node_config(const char *value)
{
	numa = strcmp(value, "off") == 0 ? NUMA_OFF : NUMA_AUTO;
	if (numa == NUMA_OFF || strcmp(value, "auto") == 0)
		return 0;
	if (nbdkit_parse_int("numa", value, &numa) == -1 || numa < 0) {
		nbdkit_error("numa=%s: type numa=auto, numa=off or a node, as in numa=0", value);
		return -1;
	}
	if (numa_available() == -1 || numa > numa_max_node() ||
	    !numa_bitmask_isbitset(numa_all_nodes_ptr, numa)) {
		nbdkit_error("numa=%s: this process has no such node: type numa=auto", value);
		return -1;
	}
	return 0;
}

static void run_on_node(int node)
{
	nbdkit_debug("running on NUMA node %d", node);
	/* A node of memory only has no processor to run on: its memory is all there is to take. */
	if (numa_run_on_node(node) == -1)
		nbdkit_debug("numa_run_on_node: %d: %s", node, strerror(errno));
	numa_set_preferred(node);
}

void node_before_open(void)
{
	if (numa >= 0)
		run_on_node(numa);
}

void node_of_device(const char *path)
{
	struct kmemblk_info probed;

	/* Where there is a choice and the device tells. */
	if (numa != NUMA_AUTO || numa_available() == -1 || numa_max_node() == 0)
		return;
	/* What fails here fails in kmemblk_open() as well, which says why. */
	if (kmemblk_probe(path, &probed) != 0 || probed.numa_node < 0)
		return;
	run_on_node(probed.numa_node);
	/* What the probe has freed lies on any node, and would be what open gets for its tables. */
	malloc_trim(0);
}
