/* SPDX-License-Identifier: MIT */
/*
 * timer.c - timers, and the clock of a kqueue.
 *
 * A timer is but the moment when it is due next: whether it has expired, and
 * how often, follows from the time. So it counts on while it is disabled, as
 * on the real systems. The clock, one timerfd for each kqueue, wakes those who
 * wait at the first moment of all.
 *
 * What the systems differ in: for NetBSD zero is no time, while others take it
 * for the shortest one, or for at once with EV_ONESHOT. EV_ADD of a timer that
 * is there begins anew and drops what has expired on FreeBSD, OpenBSD and
 * macOS. On NetBSD it does not, as in version 9 and before: the new time is
 * taken for the round after the current one. OpenBSD and NetBSD have a limit
 * on their number. Below zero is EINVAL everywhere, and so is any fflags:
 * units other than milliseconds are not emulated, nor are ticks.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "../intercept.h"
#include "kernel.h"

#define MILLISECOND INT64_C(1000000)
#define SECOND      INT64_C(1000000000)

/* No test waits for that long, and nothing overflows. */
#define LONGEST (INT64_C(86400000) * 365)

/* Of all kqueues. */
static unsigned timers;

int64_t
clock_now(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

static int
make_clock(int clock)
{
	return timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
}

int
clock_open(struct kqueue *kq)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = TOKEN_CLOCK};

	if (kq->clock >= 0)
		return 0;
	kq->clock = hidden_descriptor(make_clock, CLOCK_MONOTONIC);
	if (kq->clock < 0)
		return ENOMEM;
	if (epoll_ctl(kq->instances[0], EPOLL_CTL_ADD, kq->clock, &event) == 0)
		return 0;
	(void)real_close(kq->clock);
	kq->clock = -1;
	return ENOMEM;
}

void
clock_set(const struct kqueue *kq, int64_t moment)
{
	struct itimerspec when = {.it_interval = {0, 0}};

	if (moment != INT64_MAX) {
		when.it_value.tv_sec = (time_t)(moment / SECOND);
		when.it_value.tv_nsec = (long)(moment % SECOND);
	}
	/* It also takes back that it has expired. */
	(void)timerfd_settime(kq->clock, TFD_TIMER_ABSTIME, &when, NULL);
}

/* The time of one round. */
static int64_t
period(const struct knote *kn)
{
	int64_t milliseconds = kn->event.data;

	if (milliseconds > LONGEST)
		milliseconds = LONGEST;
	if (milliseconds == 0 && !(kn->event.flags & EV_ONESHOT))
		milliseconds = 1;
	return milliseconds * MILLISECOND;
}

int
timer_check(const struct kevent *change)
{
	if (change->fflags != 0 || change->data < 0)
		return EINVAL;
	if (change->data == 0 && emulated_system()->refuses_zero)
		return EINVAL;
	return 0;
}

int
timer_open(struct knote *kn)
{
	unsigned max = emulated_system()->max_timers;

	/* Counted all the same, since the knote will be dropped. */
	timers++;
	kn->due = clock_now() + period(kn);
	return max != 0 && timers > max ? ENOMEM : clock_open(kn->kq);
}

void
timer_again(struct knote *kn)
{
	if (emulated_system()->restarts_timers)
		kn->due = clock_now() + period(kn);
}

void
timer_close(void)
{
	timers--;
}

void
timer_judge(const struct knote *kn, struct verdict *v)
{
	int64_t late = clock_now() - kn->due;

	if (late < 0)
		return;
	v->ready = true;
	v->data = 1;
	if (!(kn->event.flags & EV_ONESHOT))
		v->data += late / period(kn);
}

void
timer_reported(struct knote *kn, const struct verdict *v)
{
	kn->due += v->data * period(kn);
}
