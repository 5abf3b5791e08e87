/* SPDX-License-Identifier: MIT */
/*
 * state.h - what the emulated kernel keeps, and the seams between its parts:
 *
 *     port.c    the calls, and what closing and forking mean to them
 *     watch.c   associations, and how Linux is asked about their descriptors
 *     timer.c   timers, which are timerfds
 *     wait.c    the threads that wait for events
 *     table.c   the lock, the memory, and what is found by its number
 *
 * A port is an epoll instance, whose number is the port's, with an eventfd in
 * it that is readable while events are queued. Associations are registered
 * in the same instance for one report each, and so are the timers. So the
 * port's descriptor is
 * readable exactly while it has events, queued or to be fetched from epoll.
 *
 * Every function is called with the lock held, unless it says otherwise.
 */
#ifndef EMULATION_PORT_STATE_H
#define EMULATION_PORT_STATE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* ppoll, POLLRDHUP */
#endif

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "port.h"

/* Where Linux stands with an association. */
enum watch {
	WATCH_NONE,    /* not in the epoll instance */
	WATCH_SPENT,   /* in it, but silent until it is armed again */
	WATCH_ONESHOT, /* armed for one report */
	WATCH_EDGE,    /* armed for changes: see watch.c */
};

/* A user's event, or an association or a timer with the event that it may
 * have. */
struct event {
	struct event *queue_next, *queue_previous; /* if queued */
	struct event *number_next;                 /* table.c: in its chain */
	struct event *port_next, *port_previous;   /* associations of a port */
	struct port *port;
	void *user;
	uintptr_t object;    /* as it is delivered */
	int source;          /* PORT_SOURCE_ */
	int fd;              /* from here on of associations only, but events */
	unsigned generation; /* tells it from others of the same number */
	int asked;           /* POLL bits */
	int events;          /* what is, or will be, delivered */
	enum watch watch;
	bool queued;
	bool active;      /* from port_associate() until the delivery */
	bool socket;      /* the descriptor is one */
	bool fifo;        /* the descriptor is one, with a name */
	bool unconnected; /* at the last look: a socket that is neither
			     connected nor was */
};

/* A thread that waits in port_getn(); on its stack. */
struct waiter {
	struct waiter *next, *previous;
	unsigned wanted; /* how many events end the wait */
	bool woken;      /* there is something to look at */
	atomic_int word; /* for the futex: not 0 once woken */
};

/* A port. */
struct port {
	struct port *number_next; /* table.c: in its chain */
	int fd;                   /* the epoll instance */
	int bell;                 /* the eventfd in it */
	bool rung;                /* the eventfd is readable */
	bool muffled;             /* epoll does not look at the eventfd */
	bool used;                /* there was an association */
	bool closing;
	bool inherited;             /* from before the fork: the parent's */
	size_t limit;               /* for count */
	size_t count;               /* associations and users' events */
	size_t queued;              /* length of the queue */
	struct event *first, *last; /* the queue */
	struct event *associations;
	struct waiter *waiters; /* those that want least come first */
	struct waiter *leader;  /* the one that sleeps in the epoll instance */
	pthread_cond_t gone;    /* a waiter has left, and it is closing */
};

/* What the thread has to get back when it lets go of the lock. */
struct guard {
	sigset_t mask;
	int cancel;
};

/* table.c */

/* Takes the lock, with all signals blocked and no cancellation: a handler
 * that uses a port must not find its own thread inside. Not with the lock. */
void emulation_lock(struct guard *g);
void emulation_unlock(const struct guard *g);
/* The lock alone, for a thread that is going to sleep. */
void emulation_lock_only(void);
void emulation_unlock_only(void);
void emulation_wait_for(pthread_cond_t *condition);

/* NULL with errno set. They begin as zeros. */
struct port *emulation_new_port(int fd, int bell);
void emulation_free_port(struct port *p);
/* False if the number is neither a port's nor associated with one. Without the
 * lock: what another thread does at the same time may be missed. */
bool emulation_may_know(int fd);
/* NULL if there is none. */
struct port *emulation_port(int fd);
/* The one after p, or the first one after NULL. */
struct port *emulation_next_port(const struct port *p);

/* NULL with errno set: EAGAIN if the port is full. */
struct event *emulation_new_event(struct port *p, int source, int fd);
void emulation_free_event(struct event *e);
/* The association of the port and the number, or of any port if that is NULL.
 */
struct event *emulation_association(const struct port *p, int fd);

/* watch.c: 0 or an errno */
int emulation_associate(struct port *p, int fd, int events, void *user);
int emulation_dissociate(struct port *p, int fd);
/* Ends the association, whose descriptor is about to be closed. */
void emulation_forget(struct event *e);
/* Queues what Linux has to report. */
void emulation_harvest(struct port *p);

/* timer.c */

/* The timerfd of one has a report for epoll. */
void emulation_expired(int fd);
/* The port is about to be closed: its timers have none any more. */
void emulation_strip_timers(const struct port *p);
/* In a child, which has no timers of its parent's. */
void emulation_forget_timers(void);

/* port.c */

/* The port, with what Linux has to report in its queue, so that the caller has
 * to end with emulation_settle(); or NULL with errno set. */
struct port *emulation_find(int fd);
/* Lets go of the lock. The result of a call that has an error, or none. */
int emulation_answer(const struct guard *g, int error);

/* wait.c */

void emulation_queue(struct event *e, int events);
void emulation_unqueue(struct event *e);
/* After any change of the queue: wakes whom it concerns. */
void emulation_settle(struct port *p);
void emulation_wake_all(struct port *p);
/* Until that many events are queued, or the timeout, which may be NULL, is
 * over. 0 or an errno: ETIME, EINTR, EBADFD, or EINVAL for no time. */
int emulation_wait(struct port *p, unsigned wanted, const timespec_t *timeout,
    struct guard *g);

#endif
