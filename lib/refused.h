/* SPDX-License-Identifier: MIT */
/*
 * refused.h - descriptors that the kernel's own interface does not watch, or
 * keeps silent about although something holds.
 *
 * They are looked at with poll(), or with select() where poll() refuses them
 * too, by every thread that waits; a thread that is to block does so in
 * poll() or select(), on them and on the descriptor of the kernel's
 * interface. That is slow, and for the few.
 */
#ifndef LIBPOLLING_REFUSED_H
#define LIBPOLLING_REFUSED_H

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include "backend.h"
#include "lock.h"
#include "namespace.h"

enum refused_kind {
	REFUSED_DEVICE,     /* poll() or select() tells */
	REFUSED_PIPE,       /* a pipe whose readers are gone */
	REFUSED_UNCONNECTED /* a socket that has yet to be connected */
};

struct refused_entry;

struct refused {
	struct lock lock;              /* guards all but armed */
	struct refused_entry *entries; /* NULL until needed */
	size_t count;                  /* of entries in use */
	size_t capacity;               /* of entries allocated */
	size_t next;                   /* where the next look begins */
	atomic_uint armed;             /* entries that may be reported */
	atomic_uint turn;              /* counts refused_share() */
};

/* Whether fd is a stream socket that is neither connected, nor on the way to
 * it, nor a listener. One that was bound to an address first passes for one on
 * the way. */
bool refused_unconnected(int fd);

/* Whether fd, which the kernel refuses, is a device that never blocks, such as
 * /dev/null. */
bool refused_is_always_ready(int fd);

/* Returns 0 or a negative errno. */
int refused_init(struct refused *t);
void refused_free(struct refused *t);

/* Adds fd, or brings it up to date with its record s. Returns 0, or a negative
 * errno for a new one: -ENOMEM, -EBADF; -ENOTSUP if nothing can watch it in
 * this mode. */
int refused_set(
    struct refused *t, int fd, const struct source *s, enum refused_kind kind);

/* Keeps fd from being reported until refused_set(). */
void refused_silence(struct refused *t, int fd);

/* Forgets fd if it is there. */
void refused_remove(struct refused *t, int fd);

/* How much of a capacity is for refused_look() and not for the kernel: half of
 * it, and of one the whole every other time, so that nobody starves. */
int refused_share(struct refused *t, int capacity);

/* Reports at most capacity descriptors of which something holds now; one in a
 * oneshot mode is then silent until refused_set(). Any number of threads. */
int refused_look(struct refused *t, struct ready *out, int capacity);

/* Blocks until refused_look() may have news, or fd is readable, or the time
 * is over (NULL: without limit). Returns 0 or a negative errno. */
int refused_wait(struct refused *t, int fd, const struct timespec *timeout);

#endif
