/* SPDX-License-Identifier: MIT */
/*
 * What every benchmark needs: clocks, memory that is there, descriptors.
 */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* A benchmark that cannot go on has no result: there is nothing to undo. */
_Noreturn void die(const char *what);

/* Processor time of the calling thread. */
double cpu_seconds(void);

/* The monotonic clock. */
double wall_seconds(void);

/* Zeroed memory, whose pages are there before the time is taken. */
void *allocate(size_t n, size_t size);

/* The same numbers in every run. */
uint64_t random_number(void);

/* Raises the soft limit of descriptors to the hard one. Returns how many may be
 * opened, less some for standard streams and for the libraries' own. */
size_t descriptor_limit(void);

/* A lost wake-up, or a library that spins, ends the program. */
void give_up_after(unsigned seconds);

/* The value below which the given share of the n values is; sorts them. */
double quantile(double *values, size_t n, double share);

#endif /* BENCH_MEASURE_H */
