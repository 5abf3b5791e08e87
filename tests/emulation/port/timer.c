/* SPDX-License-Identifier: MIT */
/*
 * timer.c - timers that send events to a port.
 *
 * As in the kernel of illumos (os/timer.c there):
 *
 * - A timer has one event, which takes its place in the port's limit from
 *   timer_create() on. If it expires again before that is delivered, the event
 *   counts: portev_events is how often.
 * - Setting the time leaves an event in the queue where it is; deleting the
 *   timer drops it.
 * - Closing the port leaves the timer, which tells nobody any more.
 * - A child has none of its parent's timers.
 *
 * A timer is a timerfd in the port's epoll instance, level-triggered, which is
 * read when it is fetched. So a timer that expired is queued behind what was
 * fetched before, if not quite in the order of time.
 */
#include "state.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "../intercept.h"

/* As many as there may be in a process. */
#define TIMERS 256

struct timer {
	struct event *event; /* NULL if the port was closed */
	int fd;              /* the timerfd, or -1 likewise */
	bool used;
};

static struct timer timers[TIMERS];

/* The id of a timer is its place, so that the first one has 0, as there. NULL
 * if there is none. */
static struct timer *
find(timer_t id)
{
	uintptr_t number = (uintptr_t)id;

	if (number >= TIMERS || !timers[number].used)
		return NULL;
	return &timers[number];
}

static int
make_timer(int clock)
{
	return timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
}

/* 0 or an errno. */
static int
start(struct timer *t, struct port *p, clockid_t clock)
{
	struct epoll_event event = {.events = EPOLLIN};
	int error;

	t->fd = hidden_descriptor(make_timer, clock);
	if (t->fd < 0)
		return errno == EINVAL ? EINVAL : EAGAIN;
	event.data.u64 = (uint32_t)t->fd;
	if (epoll_ctl(p->fd, EPOLL_CTL_ADD, t->fd, &event) == 0) {
		t->used = true;
		return 0;
	}
	error = errno == ENOSPC ? EAGAIN : errno;
	(void)real_close(t->fd);
	return error;
}

/* 0 or an errno. */
static int
create(struct port *p, clockid_t clock, void *user, timer_t *id)
{
	struct event *e;
	uintptr_t i = 0;
	int error;

	while (i < TIMERS && timers[i].used)
		i++;
	if (i == TIMERS)
		return EAGAIN;
	e = emulation_new_event(p, PORT_SOURCE_TIMER, -1);
	if (e == NULL)
		return errno;
	error = start(&timers[i], p, clock);
	if (error != 0) {
		emulation_free_event(e);
		return error;
	}
	e->user = user;
	e->object = i;
	timers[i].event = e;
	*id = (timer_t)i;
	return 0;
}

int
emulation_timer_create(clockid_t clock, struct sigevent *how, timer_t *id)
{
	const port_notify_t *to;
	struct guard g;
	struct port *p;
	int error;

	if (how == NULL || how->sigev_notify != SIGEV_PORT) {
		errno = EINVAL;
		return -1;
	}
	if (clock == CLOCK_MONOTONIC &&
	    getenv("POLLING_EMULATION_PORT_UNPRIVILEGED") != NULL) {
		errno = EPERM;
		return -1;
	}
	to = how->sigev_value.sival_ptr;
	emulation_lock(&g);
	p = emulation_find(to->portnfy_port);
	if (p == NULL)
		return emulation_answer(&g, errno);
	error = create(p, clock, to->portnfy_user, id);
	emulation_settle(p);
	return emulation_answer(&g, error);
}

/* 0 or an errno. */
static int
set(struct timer *t, int flags, const struct itimerspec *value,
    struct itimerspec *old)
{
	struct port *p;
	int error;

	if (t == NULL)
		return EINVAL;
	if (t->event == NULL)
		return 0;
	p = t->event->port;
	/* What has expired is an event already. */
	emulation_harvest(p);
	error = timerfd_settime(t->fd,
		    flags & TIMER_ABSTIME ? TFD_TIMER_ABSTIME : 0, value,
		    old) < 0
		    ? errno
		    : 0;
	emulation_settle(p);
	return error;
}

int
emulation_timer_settime(timer_t id, int flags, const struct itimerspec *value,
    struct itimerspec *old)
{
	struct guard g;

	emulation_lock(&g);
	return emulation_answer(&g, set(find(id), flags, value, old));
}

/* Takes the timer from its port. */
static void
strip(struct timer *t)
{
	struct event *e = t->event;

	if (e == NULL)
		return;
	if (e->queued)
		emulation_unqueue(e);
	if (!e->port->inherited)
		(void)epoll_ctl(e->port->fd, EPOLL_CTL_DEL, t->fd,
		    &(struct epoll_event){.events = 0});
	emulation_free_event(e);
	(void)real_close(t->fd);
	t->event = NULL;
	t->fd = -1;
}

int
emulation_timer_delete(timer_t id)
{
	struct timer *t;
	struct guard g;
	struct port *p;

	emulation_lock(&g);
	t = find(id);
	if (t == NULL)
		return emulation_answer(&g, EINVAL);
	p = t->event != NULL ? t->event->port : NULL;
	strip(t);
	t->used = false;
	if (p != NULL)
		emulation_settle(p);
	return emulation_answer(&g, 0);
}

void
emulation_expired(int fd)
{
	struct timer *t = timers;
	uint64_t count;

	while (t < timers + TIMERS && (!t->used || t->fd != fd))
		t++;
	if (t == timers + TIMERS || t->event == NULL ||
	    read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	if (t->event->queued)
		t->event->events += (int)count;
	else
		emulation_queue(t->event, (int)count);
}

void
emulation_strip_timers(const struct port *p)
{
	for (int i = 0; i < TIMERS; i++)
		if (timers[i].event != NULL && timers[i].event->port == p)
			strip(&timers[i]);
}

void
emulation_forget_timers(void)
{
	for (int i = 0; i < TIMERS; i++) {
		strip(&timers[i]);
		timers[i].used = false;
	}
}
