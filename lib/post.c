/* SPDX-License-Identifier: MIT */
/*
 * post.c - the queue of posted events.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "post.h"

#define FIRST_CAPACITY 16

/* An empty ring of more than this is given back to the system. */
#define KEPT_CAPACITY 1024

static int
grow(struct post_queue *q)
{
	size_t capacity = q->capacity == 0 ? FIRST_CAPACITY : q->capacity * 2;
	size_t first = q->capacity - q->head;
	struct polling_event *ring;

	if (capacity > SIZE_MAX / sizeof *ring)
		return -ENOMEM;
	ring = malloc(capacity * sizeof *ring);
	if (ring == NULL)
		return -ENOMEM;
	/* The ring is full: the oldest run to its end, the rest follow. */
	if (q->count != 0) {
		memcpy(ring, q->ring + q->head, first * sizeof *ring);
		memcpy(ring + first, q->ring, q->head * sizeof *ring);
	}
	free(q->ring);
	q->ring = ring;
	q->capacity = capacity;
	q->head = 0;
	return 0;
}

int
post_push(struct post_queue *q, const struct polling_event *event)
{
	if (q->count == q->capacity) {
		int error = grow(q);

		if (error != 0)
			return error;
	}
	q->ring[(q->head + q->count) & (q->capacity - 1)] = *event;
	q->count++;
	return 0;
}

int
post_take(struct post_queue *q, struct polling_event *out, int max)
{
	int n = 0;

	while (n < max && q->count > 0) {
		out[n++] = q->ring[q->head];
		q->head = (q->head + 1) & (q->capacity - 1);
		q->count--;
	}
	if (q->count == 0 && q->capacity > KEPT_CAPACITY)
		post_clear(q);
	return n;
}

void
post_clear(struct post_queue *q)
{
	free(q->ring);
	q->ring = NULL;
	q->capacity = 0;
	q->head = 0;
	q->count = 0;
}
