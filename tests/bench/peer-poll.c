/* SPDX-License-Identifier: MIT */
/*
 * peer-poll.c - a loop written by hand around poll(), which the ratios of
 * suite-poll are to. It keeps the array without gaps, as a server would that
 * has thought about it.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "peer.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>

static struct setup setup;
static struct pollfd *array;
static size_t *sources; /* by place in the array */
static size_t *places;  /* in the array, by source */
static size_t length;

static void
open_poll(const struct setup *s)
{
	setup = *s;
	array = allocate(s->count, sizeof *array);
	sources = allocate(s->count, sizeof *sources);
	places = allocate(s->count, sizeof *places);
	length = 0;
}

static void
close_poll(void)
{
	free(array);
	free(sources);
	free(places);
}

static void
add_poll(size_t source)
{
	array[length] = (struct pollfd){
	    .fd = setup.fds[source], .events = POLLIN};
	sources[length] = source;
	places[source] = length++;
}

static void
remove_poll(size_t source)
{
	size_t place = places[source];

	length--;
	array[place] = array[length];
	sources[place] = sources[length];
	places[sources[place]] = place;
}

/* Oneshot is level here: an array in memory costs nothing to re-arm. */
static void
run_poll(void)
{
	int timeout_ms = setup.timeout ? TIMEOUT_SECONDS * 1000 : -1;

	while (work.left > 0) {
		int n = poll(array, (nfds_t)length, timeout_ms);

		if (n < 0 && errno != EINTR)
			die("poll");
		for (size_t i = 0; n > 0 && i < length; i++) {
			if (array[i].revents == 0)
				continue;
			work.handle(sources[i]);
			n--;
		}
	}
}

const struct peer peer_poll = {
    .name = "poll()",
    .modes = 1u << LEVEL | 1u << ONESHOT,
    .poll = true,
    .poll_only = true,
    .open = open_poll,
    .close = close_poll,
    .add = add_poll,
    .remove = remove_poll,
    .run = run_poll,
};
