/* SPDX-License-Identifier: MIT */
/*
 * peer-libevent.c - libevent, as a program with one thread uses it: without
 * its locks. So no other thread can wake it.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "peer.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>

static struct setup setup;
static struct event_base *base;
static struct event *events;
static struct event timer;

static void
ready(evutil_socket_t fd, short what, void *argument)
{
	uintptr_t source = (uintptr_t)argument;

	(void)fd;
	(void)what;
	work.handle(source);
	if (setup.mode == ONESHOT && event_add(&events[source], NULL) != 0)
		die("event_add");
	if (work.left <= 0)
		(void)event_base_loopbreak(base); /* no error: it is there */
}

static void
expired(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument;
}

static struct event_base *
new_base(const struct setup *s)
{
	struct event_config *c = event_config_new();
	struct event_base *b;

	if (c == NULL ||
	    (s->poll && (event_config_avoid_method(c, "epoll") != 0 ||
			    event_config_avoid_method(c, "select") != 0)))
		die("event_config_new");
	if (s->precise &&
	    event_config_set_flag(c, EVENT_BASE_FLAG_PRECISE_TIMER) != 0)
		die("event_config_set_flag");
	b = event_base_new_with_config(c);
	event_config_free(c);
	if (b == NULL)
		die("event_base_new_with_config");
	return b;
}

static void
open_event(const struct setup *s)
{
	const struct timeval t = {TIMEOUT_SECONDS, 0};

	setup = *s;
	base = new_base(s);
	events = allocate(s->count + 1, sizeof *events);
	if (event_assign(&timer, base, -1, EV_PERSIST, expired, NULL) != 0 ||
	    (s->timeout && event_add(&timer, &t) != 0))
		die("event_assign");
}

static void
close_event(void)
{
	event_base_free(base);
	free(events);
}

static void
add_event(size_t source)
{
	static const short flags[MODES] = {[LEVEL] = EV_READ | EV_PERSIST,
	    [EDGE] = EV_READ | EV_PERSIST | EV_ET,
	    [ONESHOT] = EV_READ};

	if (event_assign(&events[source], base, setup.fds[source],
		flags[setup.mode], ready, (void *)source) != 0 ||
	    event_add(&events[source], NULL) != 0)
		die("event_add");
}

static void
remove_event(size_t source)
{
	if (event_del(&events[source]) != 0)
		die("event_del");
}

static void
run_event(void)
{
	if (event_base_loop(base, 0) < 0)
		die("event_base_loop");
}

static void
sleep_event(long ns)
{
	const struct timeval t = {
	    ns / 1000000000, (suseconds_t)(ns % 1000000000 / 1000)};

	if (event_assign(&timer, base, -1, 0, expired, NULL) != 0 ||
	    event_add(&timer, &t) != 0 || event_base_loop(base, 0) < 0)
		die("event_base_loop");
}

const struct peer peer_libevent = {
    .name = "libevent",
    .modes = 1u << LEVEL | 1u << EDGE | 1u << ONESHOT,
    .poll = true,
    .open = open_event,
    .close = close_event,
    .add = add_event,
    .remove = remove_event,
    .run = run_event,
    .sleep = sleep_event,
};
