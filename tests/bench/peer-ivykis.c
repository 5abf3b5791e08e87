/* SPDX-License-Identifier: MIT */
/*
 * peer-ivykis.c - ivykis. Its loop is the thread's, and it is level-triggered.
 * Which interface of the kernel it uses it reads from the environment, once:
 * see main() of suite.c.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "peer.h"

#include <iv.h>
#include <iv_event.h>
#include <stdint.h>
#include <stdlib.h>

static struct setup setup;
static struct iv_fd *watchers;
static struct iv_timer timer;
static struct iv_event event;

static void
ready(void *cookie)
{
	work.handle((size_t)(uintptr_t)cookie);
	if (work.left <= 0)
		iv_quit();
}

static void
expired(void *cookie)
{
	(void)cookie;
	iv_quit();
}

static void
start_timer(long ns)
{
	IV_TIMER_INIT(&timer);
	iv_validate_now();
	timer.expires = iv_now;
	timer.expires.tv_sec += ns / 1000000000;
	timer.expires.tv_nsec += ns % 1000000000;
	if (timer.expires.tv_nsec >= 1000000000) {
		timer.expires.tv_sec++;
		timer.expires.tv_nsec -= 1000000000;
	}
	timer.handler = expired;
	iv_timer_register(&timer);
}

static void
open_iv(const struct setup *s)
{
	setup = *s;
	iv_init();
	watchers = allocate(s->count + 1, sizeof *watchers);
	IV_TIMER_INIT(&timer);
	if (s->timeout)
		start_timer(TIMEOUT_SECONDS * 1000000000L);
	if (!s->notify)
		return;
	IV_EVENT_INIT(&event);
	event.handler = expired;
	if (iv_event_register(&event) != 0)
		die("iv_event_register");
}

static void
remove_iv(size_t source)
{
	iv_fd_unregister(&watchers[source]);
}

static void
close_iv(void)
{
	for (size_t i = 0; i < setup.count; i++)
		if (watchers[i].handler_in != NULL &&
		    iv_fd_registered(&watchers[i]))
			remove_iv(i);
	if (iv_timer_registered(&timer))
		iv_timer_unregister(&timer);
	if (setup.notify)
		iv_event_unregister(&event);
	iv_deinit();
	free(watchers);
}

static void
add_iv(size_t source)
{
	struct iv_fd *w = &watchers[source];

	IV_FD_INIT(w);
	w->fd = setup.fds[source];
	w->cookie = (void *)(uintptr_t)source;
	w->handler_in = ready;
	iv_fd_register(w);
}

static void
run_iv(void)
{
	while (work.left > 0)
		iv_main();
}

static void
notify_iv(void)
{
	iv_event_post(&event);
}

static void
await_iv(void)
{
	iv_main();
}

static void
sleep_iv(long ns)
{
	start_timer(ns);
	iv_main();
}

const struct peer peer_ivykis = {
    .name = "ivykis",
    .modes = 1u << LEVEL,
    .poll = true,
    .open = open_iv,
    .close = close_iv,
    .add = add_iv,
    .remove = remove_iv,
    .run = run_iv,
    .notify = notify_iv,
    .await = await_iv,
    .sleep = sleep_iv,
};
