/* SPDX-License-Identifier: BSD-3-Clause */
/* pool.c - the example allocator inside another module, which has the name that the plugin calls. */
#define kmemblk_allocator pool_allocator
#include "../../examples/allocator.c"
