/* SPDX-License-Identifier: MIT */
/*
 * wait.c - the queue of a port and the threads that wait for it.
 *
 * One of the waiting threads, the leader, sleeps in ppoll() on the port's
 * epoll instance, for itself and for the others, which sleep on a futex each.
 * So an event wakes one thread. Who finds that there is enough for others, or
 * that nobody leads, wakes one of them: emulation_settle().
 *
 * The bell, an eventfd in the epoll instance, makes the port's descriptor
 * readable while the queue is not empty. A leader that wants more events than
 * there are would not sleep then, so the bell is muffled for as long.
 */
#include "state.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A time that no test waits for, and that may be added to any other. */
#define FOR_EVER 1000000000

void
emulation_queue(struct event *e, int events)
{
	struct port *p = e->port;

	e->events = events;
	e->queued = true;
	e->queue_next = NULL;
	e->queue_previous = p->last;
	if (p->last != NULL)
		p->last->queue_next = e;
	else
		p->first = e;
	p->last = e;
	p->queued++;
}

void
emulation_unqueue(struct event *e)
{
	struct port *p = e->port;

	if (e->queue_next != NULL)
		e->queue_next->queue_previous = e->queue_previous;
	else
		p->last = e->queue_previous;
	if (e->queue_previous != NULL)
		e->queue_previous->queue_next = e->queue_next;
	else
		p->first = e->queue_next;
	e->queued = false;
	p->queued--;
}

/* SYS_futex takes the C library's timespec where that has not grown. */
static int
futex(atomic_int *word, int operation, int value, const timespec_t *deadline)
{
	long call = SYS_futex;

#ifdef SYS_futex_time64
	if (sizeof(deadline->tv_sec) > sizeof(long))
		call = SYS_futex_time64;
#endif
	return (int)syscall(call, word, operation | FUTEX_PRIVATE_FLAG, value,
	    deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}

/* Brings the bell to what the port's descriptor is to show. */
static void
ring(struct port *p)
{
	bool loud = p->queued > 0 || p->closing;
	bool muffled = loud && p->leader != NULL && !p->leader->woken;
	struct epoll_event event = {.data.u64 = UINT64_MAX};

	if (muffled != p->muffled) {
		event.events = muffled ? 0 : EPOLLIN;
		(void)epoll_ctl(p->fd, EPOLL_CTL_MOD, p->bell, &event);
	}
	p->muffled = muffled;
	if (loud && !p->rung)
		(void)eventfd_write(p->bell, 1);
	else if (!loud && p->rung)
		(void)eventfd_read(p->bell, &(eventfd_t){0});
	p->rung = loud;
}

/* The leader needs no more than the bell. */
static void
wake(const struct port *p, struct waiter *w)
{
	w->woken = true;
	if (w != p->leader) {
		atomic_store(&w->word, 1);
		(void)futex(&w->word, FUTEX_WAKE, 1, NULL);
	}
}

/* Wakes the waiter if that many events are enough for it. How many of them are
 * left for others. */
static size_t
allot(const struct port *p, struct waiter *w, size_t left)
{
	if (!w->woken && w->wanted <= left)
		wake(p, w);
	if (!w->woken)
		return left;
	return left > w->wanted ? left - w->wanted : 0;
}

void
emulation_settle(struct port *p)
{
	size_t left = p->queued;
	bool coming = p->leader != NULL;

	if (p->inherited)
		return;
	/* First the leader, whom the bell wakes in any case. */
	if (p->leader != NULL)
		left = allot(p, p->leader, left);
	for (struct waiter *w = p->waiters; w != NULL; w = w->next) {
		if (w == p->leader)
			continue;
		left = allot(p, w, left);
		coming |= w->woken;
	}
	if (!coming && p->waiters != NULL)
		wake(p, p->waiters);
	ring(p);
}

void
emulation_wake_all(struct port *p)
{
	for (struct waiter *w = p->waiters; w != NULL; w = w->next)
		wake(p, w);
	ring(p);
}

/* Those that want less come first, then those that came last, as on illumos. */
static void
enter(struct port *p, struct waiter *w)
{
	struct waiter **link = &p->waiters, *previous = NULL;

	while (*link != NULL && (*link)->wanted < w->wanted) {
		previous = *link;
		link = &previous->next;
	}
	w->previous = previous;
	w->next = *link;
	if (w->next != NULL)
		w->next->previous = w;
	*link = w;
}

static void
leave(struct port *p, struct waiter *w)
{
	if (w->next != NULL)
		w->next->previous = w->previous;
	if (w->previous != NULL)
		w->previous->next = w->next;
	else
		p->waiters = w->next;
	if (p->closing)
		(void)pthread_cond_signal(&p->gone);
}

/* Sleeps as the leader. Signals stay blocked until ppoll() lets them in, so
 * that none is missed. 0 or an errno. */
static int
lead(struct port *p, const timespec_t *deadline, struct guard *g)
{
	struct pollfd look = {.fd = p->fd, .events = POLLIN};
	timespec_t now, left;
	int result;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	left.tv_sec = deadline->tv_sec - now.tv_sec;
	left.tv_nsec = deadline->tv_nsec - now.tv_nsec;
	if (left.tv_nsec < 0) {
		left.tv_sec--;
		left.tv_nsec += 1000000000;
	}
	if (left.tv_sec < 0)
		return ETIME;
	emulation_unlock_only();
	result = ppoll(&look, 1, &left, &g->mask);
	if (result < 0)
		result = errno;
	else
		result = result == 0 ? ETIME : 0;
	emulation_lock_only();
	return result;
}

/* Sleeps until somebody has something for this thread. The deadline makes the
 * futex end at a signal even if that asks for restarts. 0 or an errno. */
static int
follow(struct waiter *w, const timespec_t *deadline, struct guard *g)
{
	int result;

	emulation_unlock(g);
	result = futex(&w->word, FUTEX_WAIT_BITSET, 0, deadline);
	if (result < 0)
		result = errno == ETIMEDOUT ? ETIME : errno;
	emulation_lock(g);
	return result == EAGAIN ? 0 : result;
}

/* 0 or an errno, after one sleep. */
static int
sleep_once(struct port *p, struct waiter *w, const timespec_t *deadline,
    struct guard *g)
{
	int error;

	w->woken = false;
	atomic_store(&w->word, 0);
	if (p->leader == NULL)
		p->leader = w;
	emulation_settle(p);
	if (p->leader == w) {
		error = lead(p, deadline, g);
		p->leader = NULL;
	} else {
		error = follow(w, deadline, g);
	}
	return error;
}

/* 0, or EINVAL for what is no time. */
static int
deadline_of(timespec_t *deadline, const timespec_t *timeout)
{
	time_t seconds = FOR_EVER;

	(void)clock_gettime(CLOCK_MONOTONIC, deadline);
	if (timeout != NULL) {
		if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
		    timeout->tv_nsec >= 1000000000)
			return EINVAL;
		if (timeout->tv_sec < FOR_EVER)
			seconds = timeout->tv_sec;
		deadline->tv_nsec += timeout->tv_nsec;
	}
	deadline->tv_sec += seconds;
	if (deadline->tv_nsec >= 1000000000) {
		deadline->tv_sec++;
		deadline->tv_nsec -= 1000000000;
	}
	return 0;
}

int
emulation_wait(
    struct port *p, unsigned wanted, const timespec_t *timeout, struct guard *g)
{
	struct waiter w = {.wanted = wanted};
	timespec_t deadline;
	int error = deadline_of(&deadline, timeout);

	if (error != 0)
		return error;
	enter(p, &w);
	do {
		error = sleep_once(p, &w, &deadline, g);
		emulation_harvest(p);
		if (p->closing)
			error = EBADFD;
		else if (error == ETIME && p->queued >= wanted)
			error = 0;
	} while (error == 0 && !p->closing && p->queued < wanted);
	leave(p, &w);
	return error;
}
