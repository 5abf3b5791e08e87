/* SPDX-License-Identifier: MIT */
/*
 * slack.c - the timer slack of the calling thread: see prctl(2). Other systems
 * have none.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include "slack.h"

#include <stdbool.h>
#if HAVE_DECL_PR_SET_TIMERSLACK
#include <sys/prctl.h>
#endif

/* A wait is short below 5 ms, of which the usual slack is a hundredth. */
#define SHORT_NS 5000000L

/* The kernel's default, in nanoseconds, and the least that can be set: 0
 * stands for the default. */
#define USUAL_SLACK 50000
#define LEAST_SLACK 1L

static bool
is_short(const struct timespec *timeout)
{
	return timeout != NULL && timeout->tv_sec == 0 &&
	       timeout->tv_nsec < SHORT_NS && timeout->tv_nsec > 0;
}

int
slack_tighten(const struct timespec *timeout)
{
	int slack = 0;

	if (!is_short(timeout))
		return 0;
#if HAVE_DECL_PR_SET_TIMERSLACK
	/* -1 where a filter of system calls forbids to ask, 0 for a thread of
	 * a real-time class, which has none. Whoever has set more than usual
	 * wants to be woken up rarely. */
	slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	if (slack <= LEAST_SLACK || slack > USUAL_SLACK ||
	    prctl(PR_SET_TIMERSLACK, LEAST_SLACK, 0, 0, 0) != 0)
		slack = 0;
#endif
	return slack;
}

void
slack_restore(int slack)
{
#if HAVE_DECL_PR_SET_TIMERSLACK
	if (slack != 0)
		(void)prctl(PR_SET_TIMERSLACK, (long)slack, 0, 0, 0);
#else
	(void)slack;
#endif
}
