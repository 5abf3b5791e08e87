/* SPDX-License-Identifier: MIT */
/*
 * cost.c - scenes whose cost does not depend on the clock.
 *
 * The sources are eventfds that nobody reads, so that they stay ready, and
 * what the scene itself does is as little as can be.
 */
#define _GNU_SOURCE

#include "cost.h"

#include <polling.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define SOURCES_MAX 100
#define TIMERS      100

static struct polling *poller;
static struct polling_event events[2 * SOURCES_MAX];
static int fds[SOURCES_MAX];
static int fd_count;
static const struct timespec *timeout; /* of each wait */
static const struct timespec ten_seconds = {.tv_sec = 10};
static const struct timespec a_moment = {.tv_nsec = 1000};
static const struct timespec a_while = {.tv_nsec = 10000000};

static _Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
check(int r, const char *what)
{
	if (r < 0)
		die(what);
}

static void
add(int i, enum polling_mode mode)
{
	check(polling_add(poller, fds[i], POLLING_IN, mode, (uintptr_t)i),
	    "polling_add");
}

static void
rearm(int i)
{
	check(polling_modify(
		  poller, fds[i], POLLING_IN, POLLING_ONESHOT, (uintptr_t)i),
	    "polling_modify");
}

static void
open_poller(void)
{
	timeout = NULL;
	poller = polling_create(0);
	if (poller == NULL)
		die("polling_create");
}

static void
open_sources(int count)
{
	open_poller();
	for (fd_count = 0; fd_count < count; fd_count++) {
		fds[fd_count] = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
		check(fds[fd_count], "eventfd");
	}
}

static void
open_mode(int count, enum polling_mode mode)
{
	open_sources(count);
	for (int i = 0; i < count; i++)
		add(i, mode);
}

void
close_scene(void)
{
	polling_destroy(poller);
	for (int i = 0; i < fd_count; i++)
		close(fds[i]);
	fd_count = 0;
}

static int
wait_for(int wanted)
{
	int n = polling_wait(poller, events, 2 * SOURCES_MAX, timeout);

	if (n != wanted) {
		fprintf(stderr, "polling_wait: %d events, not %d\n", n, wanted);
		exit(1);
	}
	return n;
}

static void
open_level_1(void)
{
	open_mode(1, POLLING_LEVEL);
}

static void
open_level_1_timeout(void)
{
	open_mode(1, POLLING_LEVEL);
	timeout = &ten_seconds;
}

static void
open_level_100(void)
{
	open_mode(100, POLLING_LEVEL);
}

static void
round_level(void)
{
	(void)wait_for(fd_count);
}

static void
open_edge_1(void)
{
	open_mode(1, POLLING_EDGE);
	round_level();
}

static void
open_edge_100(void)
{
	open_mode(100, POLLING_EDGE);
	round_level();
}

static void
round_edge(void)
{
	uint64_t one = 1;

	for (int i = 0; i < fd_count; i++)
		if (write(fds[i], &one, sizeof one) != sizeof one)
			die("eventfd");
	(void)wait_for(fd_count);
}

static void
open_oneshot_1(void)
{
	open_mode(1, POLLING_ONESHOT);
}

static void
open_oneshot_1_timeout(void)
{
	open_mode(1, POLLING_ONESHOT);
	timeout = &ten_seconds;
}

static void
open_oneshot_100(void)
{
	open_mode(100, POLLING_ONESHOT);
}

static void
round_oneshot(void)
{
	int n = wait_for(fd_count);

	for (int i = 0; i < n; i++)
		rearm((int)events[i].key);
}

/* One half is ready and unarmed while a wait brings the other half. */
static void
open_late_100(void)
{
	open_oneshot_100();
	round_level();
	for (int i = 0; i < fd_count / 2; i++)
		rearm(i);
}

static void
round_late(void)
{
	static int half; /* that is armed */
	int first;

	(void)wait_for(fd_count / 2);
	half = events[0].key >= (uintptr_t)fd_count / 2;
	first = half == 0 ? fd_count / 2 : 0;
	for (int i = first; i < first + fd_count / 2; i++)
		rearm(i);
}

static void
open_churn_1(void)
{
	open_sources(1);
}

static void
open_churn_100(void)
{
	open_sources(100);
}

static void
round_churn(void)
{
	for (int i = 0; i < fd_count; i++)
		add(i, POLLING_LEVEL);
	(void)wait_for(fd_count);
	for (int i = 0; i < fd_count; i++)
		check(polling_delete(poller, fds[i]), "polling_delete");
}

static void
open_notify(void)
{
	open_poller();
}

static void
round_notify(void)
{
	check(polling_notify(poller), "polling_notify");
	(void)wait_for(0);
}

static void
round_post(void)
{
	const struct polling_event e = {.key = 1};

	check(polling_post(poller, &e), "polling_post");
	(void)wait_for(1);
}

static void
open_expired(void)
{
	open_poller();
	timeout = &a_moment;
}

static void
open_expired_long(void)
{
	open_poller();
	timeout = &a_while;
}

static void
round_expired(void)
{
	(void)wait_for(0);
}

static void
round_timers(void)
{
	for (uintptr_t i = 0; i < TIMERS; i++)
		check(polling_add_timer(poller, i, &ten_seconds, NULL, i),
		    "polling_add_timer");
	for (uintptr_t i = 0; i < TIMERS; i++)
		check(polling_modify_timer(poller, i, &ten_seconds, NULL, i),
		    "polling_modify_timer");
	for (uintptr_t i = 0; i < TIMERS; i++)
		check(polling_delete_timer(poller, i), "polling_delete_timer");
}

const struct scene scenes[] = {
    {"level-1", open_level_1, round_level, 1, 0},
    {"level-1-timeout", open_level_1_timeout, round_level, 1, 0},
    {"level-100", open_level_100, round_level, 100, 0},
    {"edge-1", open_edge_1, round_edge, 1, 1},
    {"edge-100", open_edge_100, round_edge, 100, 100},
    {"oneshot-1", open_oneshot_1, round_oneshot, 1, 0},
    {"oneshot-1-timeout", open_oneshot_1_timeout, round_oneshot, 1, 0},
    {"oneshot-100", open_oneshot_100, round_oneshot, 100, 0},
    {"late-100", open_late_100, round_late, 50, 0},
    {"churn-1", open_churn_1, round_churn, 1, 0},
    {"churn-100", open_churn_100, round_churn, 100, 0},
    {"notify", open_notify, round_notify, 1, 0},
    {"post", open_notify, round_post, 1, 0},
    {"expired", open_expired, round_expired, 1, 0},
    {"expired-long", open_expired_long, round_expired, 1, 0},
    {"timers", open_poller, round_timers, TIMERS, 0},
    {NULL, NULL, NULL, 0, 0},
};

const struct scene *
find_scene(const char *name)
{
	for (const struct scene *s = scenes; s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}
