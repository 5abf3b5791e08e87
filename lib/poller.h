/* SPDX-License-Identifier: MIT */
/*
 * poller.h - the poller, as the public functions see it.
 */
#ifndef LIBPOLLING_POLLER_H
#define LIBPOLLING_POLLER_H

#include <stdatomic.h>

#include "backend.h"
#include "file.h"
#include "fork.h"
#include "lock.h"
#include "polling.h"
#include "post.h"
#include "process.h"
#include "signals.h"
#include "timer.h"

/* Who reports first in a wait, in turn: with room for one event, nobody
 * starves. */
enum turn {
	TURN_FILES,
	TURN_POSTS,
	TURN_TIMERS,
	TURN_SIGNALS,
	TURN_PROCESSES,
	TURN_KERNEL
};

/* struct polling.attention: what comes in without the lock, also from signal
 * handlers. */
#define ATTENTION_NOTIFIED 0x1u /* a notification that no wait has met */
#define ATTENTION_SIGNAL   0x2u /* a signal that no wait has looked at */

/* struct polling.work: what prepare() has to do. */
#define WORK_NOW    0x1u /* there is something, or a thread must look after it */
#define WORK_TIMERS 0x2u /* there are timers, whose time comes */

struct waiting;

struct polling {
	struct lock lock;        /* guards all but the atomic members */
	atomic_uint sleepers;    /* threads that block or are about to; one
				  * more for ever once the descriptor was
				  * handed out, since its reader is unseen */
	atomic_uint attention;   /* ATTENTION_ */
	atomic_uint work;        /* WORK_ */
	atomic_uint changes;     /* how often a source was modified, modulo its
				  * range; written with the lock held */
	unsigned flags;          /* as given to polling_create() */
	atomic_uint stamp;       /* fork_stamp() of the process it belongs to */
	bool exposed;            /* polling_get_fd() was called */
	bool pruned;             /* by a polling_reinit() that failed later */
	enum turn turn;          /* who has the first right to room */
	unsigned credit;         /* reports that pay for checks, see verify() */
	struct backend *backend; /* never NULL */
	struct registry registry;
	struct file_queue files;
	struct post_queue posts;
	struct timer_queue timers;
	struct waiting *keeper; /* the wait that ends for the timers, or NULL */
	int64_t keeper_at;      /* the moment at which it does */
	bool unattended;        /* a timer for which no wait ends in time,
				 * though threads wait */
	int64_t alarm_at;       /* when the exposed descriptor is to be
				 * readable for a timer, or TIMER_NEVER */
	struct signal_list signals;
	struct process_table processes;
	struct fork_entry entry;
};

/* The public edge: a negative errno becomes errno and -1. */
int poller_result(int r);

/* The check that every call on a poller begins with: 0 or a negative errno. */
int poller_check(const struct polling *p);

/* Whether it has a POLLING_FEATURE_. */
bool poller_has(const struct polling *p, unsigned feature);

/* 0 if it has the mode, else a negative errno. */
int poller_check_mode(const struct polling *p, enum polling_mode mode);

/* After a change that a wait must see. Locked. */
void poller_changed(struct polling *p);

/* After a change of the timers. Locked. */
void poller_timers_changed(struct polling *p);

/* Forgets a source of whatever kind and ends its watching, also of one whose
 * descriptor was closed. Locked. */
void poller_drop(struct polling *p, int fd, struct source *s);

/* To be told of a signal; argument is a poller. Safe in signal handlers. */
void poller_alert(void *argument);

#endif
