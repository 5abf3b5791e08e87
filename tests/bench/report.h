/* SPDX-License-Identifier: MIT */
/*
 * Results: what was measured of each variant in each round becomes medians and
 * ratios, on standard output and, as CSV, in a file.
 *
 * A ratio is the median over the rounds of the quotient within one round, in
 * which the variants have taken turns: what the machine does beside that lasts
 * for longer than a round touches both sides of it.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#define ROUNDS_MAX 101

/* What is measured. All strings are the caller's, without commas. */
struct figure {
	const char *workload; /* "chain" */
	const char *detail;   /* "eventfd"; a kind of it, or "" */
	const char *name;     /* "cpu per event" */
	const char *unit;     /* "ns" */
	size_t sources;       /* how many, and how many of them are active; 0 */
	size_t active;        /* if there are none or one stands for all */
};

/* One variant's values. The first series is what the others are compared to:
 * the hand-written loop. */
struct series {
	const char *name; /* "libpolling" */
	const char *mode; /* "oneshot"; or "" */
	bool timeout;     /* every wait has one */
	size_t base;      /* number of the series to compare with as well, such
			   * as the hand-written loop of the same mode */
	double values[ROUNDS_MAX]; /* by round */
};

/* Opens the file, or goes on with it if append; path may be NULL for none. */
void report_open(const char *path, bool append);

/* Writes to the file; prints a table as well. */
void report_write(
    const struct figure *f, const struct series *s, size_t count, int rounds);
void report_figure(
    const struct figure *f, const struct series *s, size_t count, int rounds);
double series_median(const struct series *s, int rounds);
void report_close(void);

/* Calls measure(v, r) for each variant v in each round r. Each variant begins
 * as many rounds as the others. */
void take_turns(size_t variants, int rounds, void (*measure)(size_t v, int r));

#endif /* BENCH_REPORT_H */
