/* SPDX-License-Identifier: MIT */
/*
 * peer-polling.c - this library. In suite-poll it is its twin over poll(), of
 * which polling_backend() tells.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "peer.h"

#include <polling.h>
#include <stdint.h>
#include <time.h>

static struct setup setup;
static struct polling *poller;
static const struct timespec limit = {.tv_sec = TIMEOUT_SECONDS};
static const struct timespec *timeout; /* of each wait */
static struct polling_event events[BATCH];

/* Of the batch before, not re-armed yet, in the mode LATE. */
static uintptr_t late[BATCH];
static int late_count;

static const enum polling_mode modes[MODES] = {[LEVEL] = POLLING_LEVEL,
    [EDGE] = POLLING_EDGE,
    [ONESHOT] = POLLING_ONESHOT,
    [LATE] = POLLING_ONESHOT};

static void
open_polling(const struct setup *s)
{
	setup = *s;
	timeout = s->timeout ? &limit : NULL;
	late_count = 0;
	poller = polling_create(0);
	if (poller == NULL)
		die("polling_create");
}

static void
close_polling(void)
{
	polling_destroy(poller);
}

static void
add_polling(size_t source)
{
	if (polling_add(poller, setup.fds[source], POLLING_IN,
		modes[setup.mode], source) != 0)
		die("polling_add");
}

static void
remove_polling(size_t source)
{
	if (polling_delete(poller, setup.fds[source]) != 0)
		die("polling_delete");
}

static int
wait_polling(void)
{
	int n = polling_wait(poller, events, BATCH, timeout);

	if (n < 0)
		die("polling_wait");
	return n;
}

static void
run_level(void)
{
	while (work.left > 0) {
		int n = wait_polling();

		for (int i = 0; i < n; i++)
			work.handle(events[i].key);
	}
}

static void
rearm(uintptr_t source)
{
	if (polling_modify(poller, setup.fds[source], POLLING_IN,
		POLLING_ONESHOT, source) != 0)
		die("polling_modify");
}

static void
run_oneshot(void)
{
	while (work.left > 0) {
		int n = wait_polling();

		for (int i = 0; i < n; i++) {
			work.handle(events[i].key);
			rearm(events[i].key);
		}
	}
}

/* As in peer-epoll.c. */
static void
run_late(void)
{
	while (work.left > 0) {
		int n = wait_polling();
		int first = late_count == 0 ? (n + 1) / 2 : 0;

		for (int i = 0; i < n; i++)
			work.handle(events[i].key);
		for (int i = 0; i < late_count; i++)
			rearm(late[i]);
		for (int i = 0; i < first; i++)
			rearm(events[i].key);
		late_count = 0;
		for (int i = first; i < n; i++)
			late[late_count++] = events[i].key;
	}
}

static void
run_polling(void)
{
	switch (setup.mode) {
	case ONESHOT:
		run_oneshot();
		break;
	case LATE:
		run_late();
		break;
	default:
		run_level();
	}
}

static void
notify_polling(void)
{
	if (polling_notify(poller) != 0)
		die("polling_notify");
}

static void
await_polling(void)
{
	(void)wait_polling();
}

static void
sleep_polling(long ns)
{
	const struct timespec t = {
	    .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	if (polling_wait(poller, events, BATCH, &t) != 0)
		die("polling_wait");
}

const struct peer peer_polling = {
    .name = "libpolling",
    .modes = 1u << LEVEL | 1u << EDGE | 1u << ONESHOT | 1u << LATE,
    .poll = true,
    .open = open_polling,
    .close = close_polling,
    .add = add_polling,
    .remove = remove_polling,
    .run = run_polling,
    .notify = notify_polling,
    .await = await_polling,
    .sleep = sleep_polling,
};
