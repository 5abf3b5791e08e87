/* SPDX-License-Identifier: MIT */
/*
 * port.c - event ports of illumos, emulated on Linux: the calls.
 *
 * The order of the checks and the errors are those of the kernel of illumos
 * (portfs/port.c and port_fd.c there), and so is what surprises:
 *
 * - One-shot: a delivered association is inactive, though the port keeps it:
 *   it counts against the limit, and a child may still not dissociate it.
 * - port_getn() with *nget 0 returns at once, without events.
 * - ETIME may come with *nget > 0. Here it also comes with every so many
 *   blocked calls that got all they wanted, which is allowed, as the event
 *   may come in the moment in which the time is over.
 *
 * Not emulated: port_alert(); duplicates of a port's descriptor; a child's
 * use of its parent's port beyond close() and port_dissociate(), which ends
 * the program with a message, since on illumos it would disturb the parent.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "../intercept.h"

/* Of so many blocked calls with a timeout that got events, one says ETIME. */
#define LATE_REPORTS 8

/* Of the thread that forks, which holds the lock. */
static struct guard fork_guard;

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

int
emulation_answer(const struct guard *g, int error)
{
	emulation_unlock(g);
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

/* A child that asks would take from its parent. */
struct port *
emulation_find(int fd)
{
	static const char text[] = "port.c: a forked child uses a port of its "
				   "parent, which is not emulated\n";
	struct port *p = fd < 0 ? NULL : emulation_port(fd);

	if (p == NULL || p->closing) {
		errno = p == NULL && is_open(fd) ? EBADFD : EBADF;
		return NULL;
	}
	if (p->inherited) {
		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		abort();
	}
	emulation_harvest(p);
	return p;
}

static void
check_personality(void)
{
	const char *name = getenv("POLLING_EMULATION");

	if (name != NULL && strcmp(name, "illumos") != 0) {
		(void)fprintf(stderr,
		    "POLLING_EMULATION=%s: event ports know only illumos\n",
		    name);
		exit(2);
	}
}

int
port_create(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
	struct guard g;
	int fd, bell, error;

	(void)pthread_once(&once, check_personality);
	emulation_lock(&g);
	fd = epoll_create1(0);
	if (fd < 0)
		return emulation_answer(&g, errno);
	bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bell >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, bell, &event) == 0 &&
	    emulation_new_port(fd, bell) != NULL) {
		emulation_unlock(&g);
		return fd;
	}
	error = errno;
	if (bell >= 0)
		(void)real_close(bell);
	(void)real_close(fd);
	return emulation_answer(&g, error);
}

int
port_associate(int port, int source, uintptr_t object, int events, void *user)
{
	struct guard g;
	struct port *p;
	int error;

	emulation_lock(&g);
	p = emulation_find(port);
	if (p == NULL) {
		error = errno;
	} else if (source != PORT_SOURCE_FD) {
		error = EINVAL;
	} else if (object > INT_MAX || !is_open((int)object)) {
		error = EBADFD;
	} else {
		error = emulation_associate(p, (int)object, events, user);
	}
	if (p != NULL)
		emulation_settle(p);
	return emulation_answer(&g, error);
}

/* A child may ask: that is how it finds out what it has inherited. */
int
port_dissociate(int port, int source, uintptr_t object)
{
	struct guard g;
	struct port *p;
	int error;

	emulation_lock(&g);
	p = port < 0 ? NULL : emulation_port(port);
	if (p == NULL || !p->inherited)
		p = emulation_find(port);
	if (p == NULL) {
		error = errno;
	} else if (source != PORT_SOURCE_FD) {
		error = EINVAL;
	} else if (object > INT_MAX) {
		error = EBADFD;
	} else if (!p->used) {
		error = ENOENT;
	} else if (!is_open((int)object)) {
		error = EBADFD;
	} else {
		error = emulation_dissociate(p, (int)object);
	}
	if (p != NULL)
		emulation_settle(p);
	return emulation_answer(&g, error);
}

/* 0 or an errno. */
static int
send_one(int port, int events, void *user)
{
	struct port *p = emulation_find(port);
	struct event *e;
	int error = 0;

	if (p == NULL)
		return errno;
	e = emulation_new_event(p, PORT_SOURCE_USER, -1);
	if (e == NULL) {
		error = errno;
	} else {
		e->user = user;
		emulation_queue(e, events);
	}
	emulation_settle(p);
	return error;
}

int
port_send(int port, int events, void *user)
{
	int saved = errno, error;
	struct guard g;

	emulation_lock(&g);
	error = send_one(port, events, user);
	error = emulation_answer(&g, error);
	/* As a system call: errno is touched by failures only. */
	if (error == 0)
		errno = saved;
	return error;
}

int
port_sendn(int ports[], int errors[], uint_t nent, int events, void *user)
{
	int sent = 0, error;
	bool failed = false;
	struct guard g;

	if (nent == 0) {
		errno = EINVAL;
		return -1;
	}
	emulation_lock(&g);
	for (uint_t i = 0; i < nent; i++) {
		error = send_one(ports[i], events, user);
		if (error == 0) {
			sent++;
			if (failed)
				errors[i] = 0;
			continue;
		}
		/* The list of errors is written as a whole, or not at all. */
		if (!failed)
			memset(errors, 0, i * sizeof(errors[0]));
		failed = true;
		errors[i] = error;
	}
	emulation_unlock(&g);
	return sent;
}

/* Takes events from the queue: no more than max. */
static uint_t
take(struct port *p, port_event_t list[], uint_t max)
{
	uint_t count = 0;

	while (count < max && p->first != NULL) {
		struct event *e = p->first;

		list[count++] = (port_event_t){.portev_events = e->events,
		    .portev_source = (ushort_t)e->source,
		    .portev_object = e->object,
		    .portev_user = e->user};
		emulation_unqueue(e);
		e->active = false;
		if (e->source == PORT_SOURCE_USER)
			emulation_free_event(e);
	}
	return count;
}

static bool
is_zero(const timespec_t *timeout)
{
	return timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
}

/* 0 or an errno. */
static int
block(struct port *p, uint_t wanted, const timespec_t *timeout, bool one,
    struct guard *g)
{
	static unsigned blocked;
	int error;

	if (p->queued >= wanted || is_zero(timeout))
		return 0;
	error = emulation_wait(p, wanted, timeout, g);
	if (error == 0 && timeout != NULL && !one &&
	    ++blocked % LATE_REPORTS == 0)
		error = ETIME;
	return error;
}

/* What port_getn() does; one: for port_get(), which does not say ETIME with
 * an event. 0 or an errno; *nget is set with 0 and ETIME. */
static int
retrieve(struct port *p, port_event_t list[], uint_t max, uint_t *nget,
    const timespec_t *timeout, bool one, struct guard *g)
{
	int error;

	if (max == 0) {
		*nget = (uint_t)p->queued;
		return 0;
	}
	if (*nget > max)
		return EINVAL;
	if (list == NULL)
		return EFAULT;
	if (*nget == 0)
		return 0;
	error = block(p, *nget, timeout, one, g);
	if (error == 0 || (error == ETIME && !one))
		*nget = take(p, list, max);
	return error;
}

/* As retrieve(), for the port's number. The port is there to the end: closing
 * goes on only when the lock is let go. */
static int
get(int port, port_event_t list[], uint_t max, uint_t *nget,
    const timespec_t *timeout, bool one)
{
	struct guard g;
	struct port *p;
	int error;

	emulation_lock(&g);
	p = emulation_find(port);
	if (p == NULL)
		return emulation_answer(&g, errno);
	error = retrieve(p, list, max, nget, timeout, one, &g);
	if (error == 0 && one && *nget == 0)
		error = ETIME;
	emulation_settle(p);
	return emulation_answer(&g, error);
}

int
port_getn(int port, port_event_t list[], uint_t max, uint_t *nget,
    timespec_t *timeout)
{
	if (nget == NULL) {
		errno = EINVAL;
		return -1;
	}
	return get(port, list, max, nget, timeout, false);
}

int
port_get(int port, port_event_t *event, timespec_t *timeout)
{
	uint_t count = 1;

	return get(port, event, 1, &count, timeout, true);
}

/* Frees the port, whose descriptor is about to be closed, when its waiters
 * have left. */
static void
shut(struct port *p)
{
	struct event *e;

	p->closing = true;
	if (!p->inherited)
		emulation_wake_all(p);
	while (p->waiters != NULL)
		emulation_wait_for(&p->gone);
	while (p->associations != NULL)
		emulation_forget(p->associations);
	emulation_strip_timers(p);
	while (p->first != NULL) {
		e = p->first;
		emulation_unqueue(e);
		emulation_free_event(e);
	}
	(void)real_close(p->bell);
	emulation_free_port(p);
}

/* Most numbers need no lock. That also lets ThreadSanitizer close files of its
 * own in the middle of a report, when it must not find another. */
void
emulation_closing(int fd)
{
	int saved = errno;
	struct event *e;
	struct port *p;
	struct guard g;

	if (!emulation_may_know(fd))
		return;
	emulation_lock(&g);
	while ((e = emulation_association(NULL, fd)) != NULL) {
		p = e->port;
		emulation_harvest(p);
		emulation_forget(e);
		emulation_settle(p);
	}
	p = emulation_port(fd);
	if (p != NULL && !p->closing)
		shut(p);
	emulation_unlock(&g);
	errno = saved;
}

/* All of it is set: when what is not is copied, MemorySanitizer notes its
 * origin, for which it waits for a lock that its own fork() holds. */
static void
before_fork(void)
{
	struct guard g = {0};

	emulation_lock(&g);
	fork_guard = g;
}

static void
after_fork(void)
{
	emulation_unlock(&fork_guard);
}

/* The other half of after_fork(). Waiters are threads, which the child does
 * not have. */
void
emulation_forked(void)
{
	struct port *p = NULL;

	while ((p = emulation_next_port(p)) != NULL) {
		p->inherited = true;
		p->closing = false;
		p->waiters = NULL;
		p->leader = NULL;
		p->gone = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	}
	emulation_forget_timers();
	emulation_unlock(&fork_guard);
}

static void __attribute__((__constructor__)) watch_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork, NULL);
}
