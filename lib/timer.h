/* SPDX-License-Identifier: MIT */
/*
 * timer.h - the timers of one poller.
 *
 * Moments are nanoseconds on the monotonic clock. The poller's lock guards all
 * of it, and nothing here makes a system call, but for memory.
 */
#ifndef LIBPOLLING_TIMER_H
#define LIBPOLLING_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "idmap.h"
#include "namespace.h"
#include "polling.h"

/* A moment that does not come. */
#define TIMER_NEVER INT64_MAX

struct timer;       /* what is kept of one */
struct timer_entry; /* its place in the order of moments */

/* All zeros has no timers. */
struct timer_queue {
	struct idmap timers;         /* by their ids */
	struct timer_entry *entries; /* a heap; aligned within memory */
	void *memory;                /* of the entries */
	size_t offset;               /* of the entries in it */
	size_t entry_count;          /* stale ones included */
	size_t entry_capacity;
	size_t stale; /* entries that stand for nothing any more */
};

static inline uint32_t
timers_count(const struct timer_queue *q)
{
	return q->timers.count;
}

/* The time as nanoseconds; what is out of range is TIMER_NEVER. */
int64_t timers_nanoseconds(const struct timespec *t);

/* Adds, restarts, forgets a timer that is due at the moment at and then every
 * interval; 0 is once only. Return 0, -EEXIST, -ENOENT or -ENOMEM. */
int timers_add(struct timer_queue *q, uintptr_t id, int64_t at,
    int64_t interval, uintptr_t key);
int timers_modify(struct timer_queue *q, uintptr_t id, int64_t at,
    int64_t interval, uintptr_t key);
int timers_delete(struct timer_queue *q, uintptr_t id);

/* A moment that no timer is due before, TIMER_NEVER if there is none. It is
 * that of the first one unless that was moved or deleted. */
int64_t timers_next(const struct timer_queue *q);

/* Whether a timer is due by now. If not, timers_next() is later than now. */
bool timers_due(struct timer_queue *q, int64_t now);

/* Stores the events, at most max, of timers that are due, the earliest first;
 * each comes once. Returns their number. */
int timers_take(
    struct timer_queue *q, int64_t now, struct polling_event *out, int max);

/* Forgets all of them and gives back the memory. */
void timers_clear(struct timer_queue *q);

#endif
