/* SPDX-License-Identifier: MIT */
/*
 * process.h - the processes that one poller watches.
 */
#ifndef LIBPOLLING_PROCESS_H
#define LIBPOLLING_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "idmap.h"
#include "namespace.h"
#include "polling.h"
#include "signals.h"

struct process;
struct ready;
struct source;

/* The poller's lock guards it. All zeros is an empty one. */
struct process_table {
	struct idmap processes;    /* by their ids */
	uint32_t generation;       /* of the last one that was added */
	uint32_t due;              /* processes with something to report */
	uint32_t next;             /* the slot where the next look begins */
	bool by_signal;            /* SIGCHLD tells of some */
	struct signal_watch child; /* of SIGCHLD, if so */
};

/* Stores the events, at most max, of processes that have something. */
int processes_take(struct polling *p, struct polling_event *out, int max);

/* Looks after the processes that SIGCHLD tells of, if one has come. */
void processes_check(struct polling *p);

/* The event, if any, of a report with CONDITION_PROCESS. */
bool process_report(
    struct polling *p, const struct ready *ready, struct polling_event *event);

/* Forgets all of them; inherited is what backend_close() is told. */
void processes_clear(struct polling *p, bool inherited);

/* In a child whose poller is to be its own again, over the backend b: watches
 * all of them again that it can watch. Returns 0, or a negative errno if that
 * is to be tried once more. */
int processes_watch_again(struct polling *p, struct backend *b);

#endif
