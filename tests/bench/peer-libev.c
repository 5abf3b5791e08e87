/* SPDX-License-Identifier: MIT */
/*
 * peer-libev.c - libev. It has no oneshot mode and no edges.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "peer.h"

#include <ev.h>
#include <stdlib.h>

static struct setup setup;
static struct ev_loop *loop;
static struct ev_io *watchers;
static struct ev_timer timer;
static struct ev_async async;
static bool notified;

static void
ready(struct ev_loop *l, struct ev_io *w, int what)
{
	(void)what;
	work.handle((size_t)(w - watchers));
	if (work.left <= 0)
		ev_break(l, EVBREAK_ONE);
}

static void
expired(struct ev_loop *l, struct ev_timer *t, int what)
{
	(void)l;
	(void)t;
	(void)what;
}

static void
woken(struct ev_loop *l, struct ev_async *a, int what)
{
	(void)a;
	(void)what;
	notified = true;
	ev_break(l, EVBREAK_ONE);
}

static void
open_ev(const struct setup *s)
{
	setup = *s;
	loop = ev_loop_new(
	    EVFLAG_NOENV | (s->poll ? EVBACKEND_POLL : EVBACKEND_EPOLL));
	watchers = allocate(s->count + 1, sizeof *watchers);
	if (loop == NULL)
		die("ev_loop_new");
	ev_timer_init(&timer, expired, TIMEOUT_SECONDS, TIMEOUT_SECONDS);
	if (s->timeout)
		ev_timer_start(loop, &timer);
	ev_async_init(&async, woken);
	if (s->notify)
		ev_async_start(loop, &async);
}

static void
close_ev(void)
{
	ev_loop_destroy(loop);
	free(watchers);
}

static void
add_ev(size_t source)
{
	ev_io_init(&watchers[source], ready, setup.fds[source], EV_READ);
	ev_io_start(loop, &watchers[source]);
}

static void
remove_ev(size_t source)
{
	ev_io_stop(loop, &watchers[source]);
}

static void
run_ev(void)
{
	ev_run(loop, 0);
}

static void
notify_ev(void)
{
	ev_async_send(loop, &async);
}

static void
await_ev(void)
{
	for (notified = false; !notified;)
		ev_run(loop, 0);
}

static void
sleep_ev(long ns)
{
	ev_now_update(loop);
	ev_timer_set(&timer, (double)ns * 1e-9, 0.);
	ev_timer_start(loop, &timer);
	ev_run(loop, 0);
}

const struct peer peer_libev = {
    .name = "libev",
    .modes = 1u << LEVEL,
    .poll = true,
    .open = open_ev,
    .close = close_ev,
    .add = add_ev,
    .remove = remove_ev,
    .run = run_ev,
    .notify = notify_ev,
    .await = await_ev,
    .sleep = sleep_ev,
};
