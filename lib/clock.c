/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the monotonic clock and arithmetic on its deadlines.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <limits.h>
#include <stdint.h>
#if HAVE_QUERYPERFORMANCECOUNTER
#include <windows.h>
#endif

#include "clock.h"
#include "polling.h"

/* The largest time_t, found without overflow: C has no TIME_T_MAX. POSIX.1-2008
 * does not say that time_t is signed, and QNX up to 7.0 has an unsigned one:
 * half of it will do. */
#define TIME_MAX \
	((time_t)((((uintmax_t)1) << (sizeof(time_t) * CHAR_BIT - 1)) - 1))

#if HAVE_QUERYPERFORMANCECOUNTER
void
polling_now(struct timespec *now)
{
	LARGE_INTEGER count, frequency;

	/* Since Windows XP neither fails. The other clocks step by 16 ms. */
	(void)QueryPerformanceFrequency(&frequency);
	(void)QueryPerformanceCounter(&count);
	now->tv_sec = (time_t)(count.QuadPart / frequency.QuadPart);
	now->tv_nsec = (long)(count.QuadPart % frequency.QuadPart *
			      NSEC_PER_SEC / frequency.QuadPart);
}
#else
void
polling_now(struct timespec *now)
{
	/* CLOCK_MONOTONIC with a valid pointer cannot fail. */
	(void)clock_gettime(CLOCK_MONOTONIC, now);
}
#endif

bool
clock_deadline(struct timespec *deadline, const struct timespec *timeout)
{
	struct timespec now;

	polling_now(&now);
	if (timeout->tv_sec > TIME_MAX - now.tv_sec - 1)
		return false;
	deadline->tv_sec = now.tv_sec + timeout->tv_sec;
	deadline->tv_nsec = now.tv_nsec + timeout->tv_nsec;
	if (deadline->tv_nsec >= NSEC_PER_SEC) {
		deadline->tv_sec++;
		deadline->tv_nsec -= NSEC_PER_SEC;
	}
	return true;
}

bool
clock_left(struct timespec *left, const struct timespec *deadline)
{
	struct timespec now;

	polling_now(&now);
	if (deadline->tv_sec < now.tv_sec ||
	    (deadline->tv_sec == now.tv_sec &&
		deadline->tv_nsec <= now.tv_nsec))
		return false;
	left->tv_sec = deadline->tv_sec - now.tv_sec;
	left->tv_nsec = deadline->tv_nsec - now.tv_nsec;
	if (left->tv_nsec < 0) {
		left->tv_sec--;
		left->tv_nsec += NSEC_PER_SEC;
	}
	return true;
}

int
clock_milliseconds(const struct timespec *t)
{
	if (t->tv_sec >= INT_MAX / 1000 - 1)
		return INT_MAX;
	return (int)t->tv_sec * 1000 + (int)((t->tv_nsec + 999999) / 1000000);
}
