/* SPDX-License-Identifier: MIT */
/*
 * peer-libuv.c - libuv. It is level-triggered and counts in milliseconds.
 *
 * Its manual says that a handle is closed before it is made known to the loop
 * again, and its memory kept until the loop has called back. So whoever adds
 * a source again must have run the loop in between.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "peer.h"

#include <stdint.h>
#include <stdlib.h>
#include <uv.h>

static struct setup setup;
static uv_loop_t loop;
static uv_poll_t *handles;
static uv_timer_t timer;
static uv_async_t async;
static bool notified;

static void
ready(uv_poll_t *h, int status, int events)
{
	(void)status;
	(void)events;
	work.handle((size_t)(h - handles));
	if (work.left <= 0)
		uv_stop(&loop);
}

static void
expired(uv_timer_t *t)
{
	(void)t;
}

static void
woken(uv_async_t *a)
{
	(void)a;
	notified = true;
	uv_stop(&loop);
}

static void
open_uv(const struct setup *s)
{
	uint64_t ms = TIMEOUT_SECONDS * 1000;

	setup = *s;
	handles = allocate(s->count + 1, sizeof *handles);
	if (uv_loop_init(&loop) != 0 || uv_timer_init(&loop, &timer) != 0 ||
	    (s->timeout && uv_timer_start(&timer, expired, ms, ms) != 0) ||
	    (s->notify && uv_async_init(&loop, &async, woken) != 0))
		die("uv_loop_init");
}

static void
close_one(uv_handle_t *h, void *argument)
{
	(void)argument;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void
close_uv(void)
{
	uv_walk(&loop, close_one, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&loop) != 0)
		die("uv_loop_close");
	free(handles);
}

static void
add_uv(size_t source)
{
	uv_poll_t *h = &handles[source];

	if (uv_poll_init(&loop, h, setup.fds[source]) != 0 ||
	    uv_poll_start(h, UV_READABLE, ready) != 0)
		die("uv_poll_start");
}

static void
remove_uv(size_t source)
{
	uv_close((uv_handle_t *)&handles[source], NULL);
}

static void
run_uv(void)
{
	uv_run(&loop, UV_RUN_DEFAULT);
}

static void
notify_uv(void)
{
	if (uv_async_send(&async) != 0)
		die("uv_async_send");
}

static void
await_uv(void)
{
	for (notified = false; !notified;)
		uv_run(&loop, UV_RUN_DEFAULT);
}

static void
sleep_uv(long ns)
{
	uv_update_time(&loop);
	if (uv_timer_start(&timer, expired, (uint64_t)ns / 1000000, 0) != 0)
		die("uv_timer_start");
	uv_run(&loop, UV_RUN_DEFAULT);
}

const struct peer peer_libuv = {
    .name = "libuv",
    .modes = 1u << LEVEL,
    .open = open_uv,
    .close = close_uv,
    .add = add_uv,
    .remove = remove_uv,
    .run = run_uv,
    .notify = notify_uv,
    .await = await_uv,
    .sleep = sleep_uv,
    .grain = 1000000,
};
