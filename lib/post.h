/* SPDX-License-Identifier: MIT */
/*
 * post.h - the queue of events that polling_post() was given.
 *
 * A ring that doubles when it is full; the poller's lock guards it.
 */
#ifndef LIBPOLLING_POST_H
#define LIBPOLLING_POST_H

#include "namespace.h"
#include "polling.h"

struct post_queue {
	struct polling_event *ring; /* NULL until something is posted */
	size_t capacity;            /* of ring: 0 or a power of two */
	size_t head;                /* index of the oldest event */
	size_t count;               /* events that wait */
};

/* Queues a copy. Returns 0 or -ENOMEM. */
int post_push(struct post_queue *q, const struct polling_event *event);

/* Moves the oldest events, max at most, to out; returns how many. */
int post_take(struct post_queue *q, struct polling_event *out, int max);

/* Drops all events and frees the ring. */
void post_clear(struct post_queue *q);

#endif
