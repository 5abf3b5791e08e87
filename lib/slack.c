/* SPDX-License-Identifier: MIT */
/*
 * slack.c - the timer slack of the calling thread: see prctl(2). Other systems
 * have none.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include "slack.h"

#include <stdatomic.h>
#include <stdbool.h>
#if HAVE_DECL_PR_SET_TIMERSLACK
#include <sys/prctl.h>
#endif

#if HAVE_DECL_PR_SET_TIMERSLACK
/* A wait is short below 5 ms, of which the usual slack is a hundredth. */
#define SHORT_NS 5000000L

/* The kernel's default, in nanoseconds, and the least that can be set: 0
 * stands for the default. */
#define USUAL_SLACK 50000
#define LEAST_SLACK 1L

/* A filter of system calls forbids it. */
static atomic_bool denied;

static bool
is_short(const struct timespec *timeout)
{
	return timeout != NULL && timeout->tv_sec == 0 &&
	       timeout->tv_nsec < SHORT_NS && timeout->tv_nsec > 0;
}

int
slack_tighten(const struct timespec *timeout)
{
	int slack;

	if (!is_short(timeout) ||
	    atomic_load_explicit(&denied, memory_order_relaxed))
		return 0;
	slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	/* A thread of a real-time class has none, and whoever has set more
	 * than usual, be it more than an int can say, wants to be woken up
	 * rarely. */
	if (slack != -1 && (slack <= LEAST_SLACK || slack > USUAL_SLACK))
		return 0;
	if (slack != -1 && prctl(PR_SET_TIMERSLACK, LEAST_SLACK, 0, 0, 0) == 0)
		return slack;
	atomic_store(&denied, true);
	return 0;
}

void
slack_restore(int slack)
{
	/* What was allowed before the wait is so after it. */
	if (slack != 0)
		(void)prctl(PR_SET_TIMERSLACK, (long)slack, 0, 0, 0);
}
#else
int
slack_tighten(const struct timespec *timeout)
{
	(void)timeout;
	return 0;
}

void
slack_restore(int slack)
{
	(void)slack;
}
#endif
