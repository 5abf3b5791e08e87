/* SPDX-License-Identifier: MIT */
/*
 * fork.h - telling a poller of this process from one that fork() copied.
 *
 * fork() copies a poller whatever other threads were doing to it. So a
 * handler takes the locks of all pollers before the fork and releases them
 * after it on both sides: the child's copy is whole. In the child it also
 * changes the stamp of the process, so that every call on an inherited
 * poller finds a stamp that is not the poller's own.
 */
#ifndef LIBPOLLING_FORK_H
#define LIBPOLLING_FORK_H

#include "lock.h"
#include "namespace.h"

/* A poller's place on the list of all pollers of the process. */
struct fork_entry {
	struct fork_entry *next; /* in the order of their creation */
	struct fork_entry *previous;
	struct lock *lock; /* the poller's */
};

/* Puts a poller on the list, in which a forked child finds it too. Returns
 * 0 or a negative errno. */
int fork_enrol(struct fork_entry *e, struct lock *lock);
void fork_resign(struct fork_entry *e);

/* The stamp of this process: another one in the child of a fork. */
unsigned fork_stamp(void);

#endif
