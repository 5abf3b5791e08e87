/* SPDX-License-Identifier: MIT */
/*
 * wakeup.h - a descriptor that one thread makes readable to wake another.
 *
 * An eventfd where the system has one and allows it, else a pipe, else, where
 * there are none, sockets.
 */
#ifndef LIBPOLLING_WAKEUP_H
#define LIBPOLLING_WAKEUP_H

#include <stdbool.h>

#include "namespace.h"

struct wakeup {
	int read_fd;  /* readable once signalled, until drained */
	int write_fd; /* the same descriptor for an eventfd or one socket */
	bool counter; /* an eventfd */
};

/* Both descriptors are close-on-exec and do not block. Returns 0 or a
 * negative errno. */
int wakeup_open(struct wakeup *w);
void wakeup_close(struct wakeup *w);

/* Safe in signal handlers and from any thread. Returns 0 or a negative
 * errno; one that is signalled already stays so. */
int wakeup_signal(const struct wakeup *w);

void wakeup_drain(const struct wakeup *w);

/* Whether every signal is a new edge to an edge-triggered watcher although
 * nobody drains it: true of an eventfd only. The others fill up, and Linux
 * 5.5 to 5.13 report no edge for a pipe that was readable already. */
static inline bool
wakeup_needs_no_drain(const struct wakeup *w)
{
	return w->counter;
}

#endif
