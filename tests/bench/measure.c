/* SPDX-License-Identifier: MIT */
/*
 * measure.c - clocks, memory and descriptors for the benchmarks.
 */
#define _GNU_SOURCE

#include "measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define DESCRIPTORS_SPARE 64
#define DESCRIPTORS_MAX   500000 /* more takes minutes and shows nothing new */

_Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
seconds_of(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		die("clock_gettime");
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double
cpu_seconds(void)
{
	return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

double
wall_seconds(void)
{
	return seconds_of(CLOCK_MONOTONIC);
}

void *
allocate(size_t n, size_t size)
{
	void *memory = calloc(n, size);

	if (memory == NULL)
		die("calloc");
	/* The first memset() makes the pages, the second keeps the promise. */
	memset(memory, 1, n * size);
	return memset(memory, 0, n * size);
}

uint64_t
random_number(void)
{
	static uint64_t state = 88172645463325252u;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

size_t
descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
	if (limit.rlim_cur > DESCRIPTORS_MAX)
		return DESCRIPTORS_MAX;
	return (size_t)limit.rlim_cur - DESCRIPTORS_SPARE;
}

void
give_up_after(unsigned seconds)
{
	(void)alarm(seconds); /* what was left of the last one */
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double
quantile(double *values, size_t n, double share)
{
	size_t i = (size_t)((double)n * share);

	qsort(values, n, sizeof *values, compare);
	return values[i < n ? i : n - 1];
}
