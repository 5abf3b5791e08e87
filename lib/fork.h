/* SPDX-License-Identifier: MIT */
/*
 * fork.h - telling a poller of this process from one that fork() copied.
 *
 * fork() copies a poller whatever other threads were doing to it. So a
 * handler takes the locks of all pollers and backends before the fork and
 * releases them after it on both sides: the child's copy is whole. In the child
 * it also changes the stamp of the process, so that every call on an inherited
 * poller finds a stamp that is not the poller's own.
 */
#ifndef LIBPOLLING_FORK_H
#define LIBPOLLING_FORK_H

#include "lock.h"
#include "namespace.h"

/* A place on the list of all locks of the process that fork() must take. */
struct fork_entry {
	struct fork_entry *next; /* in the order of their creation */
	struct fork_entry *previous;
	struct lock *lock;
};

/* Puts a lock on the list: a poller's before its backend's, since they are
 * taken in that order. No lock is held. Returns 0 or a negative errno. */
int fork_enrol(struct fork_entry *e, struct lock *lock);
/* Takes it from the list, in a forked child too. No lock is held. */
void fork_resign(struct fork_entry *e);

/* The stamp of this process: another one in the child of a fork. */
unsigned fork_stamp(void);

#endif
