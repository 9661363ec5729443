/* SPDX-License-Identifier: BSD-3-Clause */
/* node.h - the parameter numa=: on which NUMA node the server runs.  See node.c. */
#ifndef PLUGIN_NODE_H
#define PLUGIN_NODE_H

/* The parameter's value: 0, or -1 with nbdkit's error. */
int node_config(const char *value);

/* In .get_ready, before anything is opened or made: go to the node that was named, if one was. */
void node_before_open(void);

/* And before the device is opened: with numa=auto go to its node. */
void node_of_device(const char *path);

#endif /* PLUGIN_NODE_H */
