/* SPDX-License-Identifier: BSD-3-Clause */
/* figures.c - see figures.h. */
#include "config.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "figures.h"

void print_figures(const char *bench, const char *what, const char *subject, const char *unit,
		   const double *values, unsigned int n)
{
	struct json_object *line = json_object_new_object();
	struct json_object *array = json_object_new_array();
	char number[32];

	for (unsigned int i = 0; i < n; i++) {
		/* Six digits are more than any clock is good for. */
		snprintf(number, sizeof(number), "%.6g", values[i]);
		json_object_array_add(array, json_object_new_double_s(values[i], number));
	}
	json_object_object_add(line, "bench", json_object_new_string(bench));
	json_object_object_add(line, "case", json_object_new_string(what));
	json_object_object_add(line, "subject", json_object_new_string(subject));
	json_object_object_add(line, "unit", json_object_new_string(unit));
	json_object_object_add(line, "values", array);
	puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
	fflush(stdout);
	json_object_put(line);
}
