/* SPDX-License-Identifier: MIT */
/*
 * clock.h - arithmetic on deadlines.
 *
 * Inside the library time is a deadline on the monotonic clock, and "for
 * ever" is a NULL pointer, not a number.
 */
#ifndef LIBPOLLING_CLOCK_H
#define LIBPOLLING_CLOCK_H

#include <stdbool.h>
#include <time.h>

#include "namespace.h"

#define NSEC_PER_SEC 1000000000L

/* Whether t is a time that a caller may hand in: not negative, nanoseconds in
 * range. */
static inline bool
clock_valid(const struct timespec *t)
{
	return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < NSEC_PER_SEC;
}

static inline bool
clock_is_zero(const struct timespec *t)
{
	return t->tv_sec == 0 && t->tv_nsec == 0;
}

/* The shorter of two times; NULL for a is without limit. */
static inline const struct timespec *
clock_shorter(const struct timespec *a, const struct timespec *b)
{
	if (a == NULL || a->tv_sec > b->tv_sec ||
	    (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec))
		return b;
	return a;
}

/* Stores the moment that lies timeout after now. False if it is past what a
 * timespec can hold: such a deadline never comes. */
bool clock_deadline(struct timespec *deadline, const struct timespec *timeout);

/* Stores the time left until deadline. False if there is none. */
bool clock_left(struct timespec *left, const struct timespec *deadline);

/* A valid time in milliseconds, rounded up and clamped to INT_MAX: a caller
 * that waits for longer comes back and waits again. */
int clock_milliseconds(const struct timespec *t);

#endif
