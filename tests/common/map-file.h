/* SPDX-License-Identifier: BSD-3-Clause */
/* map-file.h - follow the map of the first volume in a file, as kmemblk-format(5) has it. */
#ifndef TEST_MAP_FILE_H
#define TEST_MAP_FILE_H

#include <stdint.h>

/* The page of a block's leaf, and of a block; 0 for none.  Aborts if the file cannot be read. */
uint64_t map_file_leaf(const char *path, uint64_t block);
uint64_t map_file_page(const char *path, uint64_t block);
/* The page of the record. */
uint64_t map_file_record(const char *path);

#endif /* TEST_MAP_FILE_H */
