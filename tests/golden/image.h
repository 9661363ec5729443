/* SPDX-License-Identifier: BSD-3-Clause */
/* image.h - a stored image, and its bytes by the numbers of kmemblk-format(5).  See image.c. */
#ifndef IMAGE_H
#define IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "unit.h"

#define IMAGE_PAGES_MAX 700u

extern uint8_t image[IMAGE_PAGES_MAX * PAGE];

/* Read tests/golden/NAME, od(1)'s text of a device of so many pages. */
void image_read(const char *name, uint64_t pages);

/* The same, and unit_device becomes that, with holes where it has zeroes. */
void image_make(const char *name, uint64_t pages);

/* A number in it. */
uint64_t image_number(uint64_t at, unsigned int width);

/* What stands in an entry of a block's check value, and of a place's. */
uint64_t image_check_value(uint64_t family, uint64_t block, const uint8_t *page);
uint64_t image_place_value(uint64_t family, uint64_t page, uint64_t level, uint64_t place);

/* The data page that an entry names, whose bits are even in number; and one whose check value must be a place's. */
uint64_t image_page_of(uint64_t at);
uint64_t image_page_of_place(uint64_t at, uint64_t family, unsigned int level, uint64_t place);

/* True if a page is a text of 16 bytes, again and again. */
bool image_says(const uint8_t *page, const char *text);

#endif /* IMAGE_H */
