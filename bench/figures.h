/* SPDX-License-Identifier: BSD-3-Clause */
/* figures.h - what a bench measured, as report.py reads it. */
#ifndef FIGURES_H
#define FIGURES_H

/*
 * Print one line of JSON to standard output: of `subject`, in the `what` of `bench`, one value a round, in `unit`.  Who
 * reads them makes medians, and pairs the rounds of one subject with those of another.
 */
void print_figures(const char *bench, const char *what, const char *subject, const char *unit,
		   const double *values, unsigned int n);

#endif /* FIGURES_H */
