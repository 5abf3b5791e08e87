/* SPDX-License-Identifier: MIT */
/*
 * watch.c - associations.
 *
 * port_associate() looks at the descriptor by poll(). What holds then is
 * queued at once, as a snapshot that later changes do not touch; else the
 * descriptor is armed in the port's epoll instance for one report, and becomes
 * a snapshot when that is fetched: by any call for the port, by the threads
 * that wait, and by closing one of its descriptors. A condition that comes and
 * goes between two such moments is missed, where illumos delivers it late.
 *
 * The one hard case is a socket that is neither connected nor was. Linux says
 * that it is hung up, which epoll cannot be told to keep for itself, and
 * illumos says nothing. It is armed for changes (EPOLLET) and looked at on
 * each, until it is something else.
 */
#include "state.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* How many reports are fetched by one call. */
#define BATCH 64

/* Every so many associations of a FIFO it is reported readable and is not. */
#define FALSE_REPORTS 5

#define READING (POLLIN | POLLRDNORM)
#define WRITING (POLLOUT | POLLWRNORM | POLLWRBAND)
#define ALWAYS  (POLLERR | POLLHUP)

/* What can be asked for. epoll has the same numbers, and others above. */
#define KNOWN (READING | WRITING | POLLPRI | POLLRDBAND | POLLRDHUP)

_Static_assert(POLLIN == EPOLLIN && POLLPRI == EPOLLPRI &&
		   POLLOUT == EPOLLOUT && POLLERR == EPOLLERR &&
		   POLLHUP == EPOLLHUP && POLLRDNORM == EPOLLRDNORM &&
		   POLLRDBAND == EPOLLRDBAND && POLLWRNORM == EPOLLWRNORM &&
		   POLLWRBAND == EPOLLWRBAND && POLLRDHUP == EPOLLRDHUP,
    "poll() and epoll use the same numbers");

/* What holds of the descriptor now and is to be reported, or POLLNVAL. */
static int
look(struct event *e)
{
	struct pollfd p = {.fd = e->fd, .events = (short)e->asked};
	int found;

	if (e->socket)
		p.events |= POLLRDHUP;
	(void)poll(&p, 1, 0);
	found = p.revents;
	/* Whatever hangs up a socket that was connected ends reading too. */
	e->unconnected = e->socket && (found & POLLHUP) != 0 &&
			 (found & POLLRDHUP) == 0;
	if (e->unconnected)
		found &= ~(POLLHUP | WRITING);
	return found & (e->asked | ALWAYS | POLLNVAL);
}

/* What kind of descriptor it is, which look() needs to know. */
static void
classify(struct event *e)
{
	struct stat status;
	struct statfs system;

	if (fstat(e->fd, &status) != 0)
		return;
	e->socket = S_ISSOCK(status.st_mode);
	e->fifo = S_ISFIFO(status.st_mode) && fstatfs(e->fd, &system) == 0 &&
		  system.f_type != PIPEFS_MAGIC;
}

static int
control(struct event *e, int operation)
{
	struct epoll_event event = {
	    .events = (uint32_t)e->asked |
		      (e->unconnected ? EPOLLET : EPOLLONESHOT),
	    .data.u64 = (uint64_t)e->generation << 32 | (uint32_t)e->fd};

	return epoll_ctl(e->port->fd, operation, e->fd, &event) != 0 ? errno
								     : 0;
}

/* 0 or an errno. */
static int
arm(struct event *e)
{
	int error;

	if (e->watch == WATCH_NONE) {
		error = control(e, EPOLL_CTL_ADD);
		/* The number was closed where nobody saw it. */
		if (error == EEXIST)
			error = control(e, EPOLL_CTL_MOD);
	} else {
		error = control(e, EPOLL_CTL_MOD);
		if (error == ENOENT)
			error = control(e, EPOLL_CTL_ADD);
	}
	if (error == EPERM) {
		/* A regular file: what it is now, it stays. */
		e->watch = WATCH_NONE;
		return 0;
	}
	if (error == 0)
		e->watch = e->unconnected ? WATCH_EDGE : WATCH_ONESHOT;
	return error == ENOSPC ? ENOMEM : error;
}

/* No further reports. A spent one may stay: arming it again is cheaper. */
static void
disarm(struct event *e)
{
	if (e->watch != WATCH_ONESHOT && e->watch != WATCH_EDGE)
		return;
	(void)control(e, EPOLL_CTL_DEL);
	e->watch = WATCH_NONE;
}

/* The event of a new look, or the wait for one. 0 or an errno. */
static int
start(struct event *e)
{
	static unsigned associations;
	int found = look(e), error;

	if ((found & POLLNVAL) != 0)
		return EBADFD;
	if (e->fifo && (e->asked & READING) != 0 &&
	    ++associations % FALSE_REPORTS == 0)
		found |= e->asked & READING;
	e->active = true;
	if (found != 0) {
		disarm(e);
		emulation_queue(e, found);
		return 0;
	}
	error = arm(e);
	/* The report of what is no news must not be seen in the port. */
	if (error == 0 && e->unconnected)
		emulation_harvest(e->port);
	return error;
}

static void
end(struct event *e)
{
	if (e->queued)
		emulation_unqueue(e);
	if (e->watch != WATCH_NONE && !e->port->inherited)
		(void)control(e, EPOLL_CTL_DEL);
	emulation_free_event(e);
}

int
emulation_associate(struct port *p, int fd, int events, void *user)
{
	struct event *e = emulation_association(p, fd);
	int error;

	p->used = true;
	if (e == NULL) {
		e = emulation_new_event(p, PORT_SOURCE_FD, fd);
		if (e == NULL)
			return errno;
		classify(e);
	} else if (e->queued) {
		emulation_unqueue(e);
	}
	e->asked = events & KNOWN;
	e->user = user;
	error = start(e);
	if (error != 0)
		end(e);
	return error;
}

int
emulation_dissociate(struct port *p, int fd)
{
	struct event *e = emulation_association(p, fd);
	bool active;

	if (e == NULL)
		return ENOENT;
	if (p->inherited)
		return EACCES;
	active = e->active;
	end(e);
	return active ? 0 : ENOENT;
}

void
emulation_forget(struct event *e)
{
	end(e);
}

/* epoll has a report of an association, which may have changed since. True if
 * it is armed anew, so that there may be another. */
static bool
report(struct event *e, int found)
{
	if (e->watch == WATCH_ONESHOT)
		e->watch = WATCH_SPENT;
	if (e->watch == WATCH_EDGE || (e->socket && (found & POLLHUP) != 0))
		found = look(e);
	if ((found & POLLNVAL) != 0)
		return false; /* closed where nobody saw it */
	if (found != 0) {
		disarm(e);
		emulation_queue(e, found);
		return false;
	}
	/* Arming what epoll has already does not fail. */
	return (e->watch != WATCH_EDGE || !e->unconnected) && arm(e) == 0;
}

/* A report of a descriptor that was closed where nobody saw it. */
static void
disown(struct port *p, int fd)
{
	(void)epoll_ctl(
	    p->fd, EPOLL_CTL_DEL, fd, &(struct epoll_event){.events = 0});
}

/* As report(), of what epoll says. */
static bool
fetch(struct port *p, const struct epoll_event *found)
{
	int fd = (int)(uint32_t)found->data.u64;
	struct event *e = emulation_association(p, fd);

	/* The bell, which has no number, is for others. */
	if (found->data.u64 == UINT64_MAX)
		return false;
	/* No association has the generation 0. */
	if (found->data.u64 >> 32 == 0) {
		emulation_expired(fd);
		return false;
	}
	if (e == NULL) {
		disown(p, fd);
		return false;
	}
	return e->generation == found->data.u64 >> 32 &&
	       (e->watch == WATCH_ONESHOT || e->watch == WATCH_EDGE) &&
	       report(e, (int)found->events);
}

void
emulation_harvest(struct port *p)
{
	struct epoll_event list[BATCH];
	bool more;
	int count;

	if (p->inherited)
		return;
	do {
		count = epoll_wait(p->fd, list, BATCH, 0);
		more = count == BATCH;
		for (int i = 0; i < count; i++)
			more |= fetch(p, &list[i]);
	} while (more);
}
