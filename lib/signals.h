/* SPDX-License-Identifier: MIT */
/*
 * signals.h - watching signals: those of one poller, and those of the process.
 */
#ifndef LIBPOLLING_SIGNALS_H
#define LIBPOLLING_SIGNALS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "namespace.h"
#include "polling.h"

/* One who is told of a signal of the process. */
struct signal_watch {
	_Atomic(struct signal_watch *) beside; /* the next one of this signal;
						* for signals.c */
	atomic_uint count;                     /* signals not taken yet */
	int signo;
	void (*alert)(void *); /* called by the handler after counting */
	void *argument;        /* of alert */
};

/* Has w told of its signal, which can be watched, from now on. Returns 0 or a
 * negative errno. */
int signal_attach(struct signal_watch *w);

/* Ends that. Once it has returned no handler looks at w. Does nothing in a
 * forked child that has not attached w itself. */
void signal_detach(struct signal_watch *w);

#if HAVE_SIGACTION
/* For fork.c: before a fork, after it, and after it in the child, where nobody
 * watches anything any more. */
void signal_before_fork(void);
void signal_after_fork(void);
void signal_after_fork_in_child(void);
#endif

struct signal_source;

/* The signal sources of one poller, whose lock guards them. All zeros is an
 * empty one, but for the end of its list. */
struct signal_list {
	struct signal_source *first;
	struct signal_source **end; /* where the next one is linked */
	uint64_t round;             /* of the last look for events */
	bool due;                   /* an armed one may have something */
};

void signals_init(struct signal_list *l);

/* Stores the events, at most max, of armed sources that have something and have
 * told nothing in this round or a later one. */
int signals_take(
    struct signal_list *l, uint64_t round, struct polling_event *out, int max);

/* Forgets all. */
void signals_clear(struct signal_list *l);

/* In a child whose poller is its own again: watches all of them again. Returns
 * 0 or a negative errno. */
int signals_attach_again(struct signal_list *l);

#endif
