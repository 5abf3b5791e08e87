/* SPDX-License-Identifier: MIT */
/*
 * timers.c - what timers do: once, again and again, moved, and deleted.
 *
 *     timers
 *
 * Each line begins with the milliseconds since the start:
 * - "once" is due at 120 ms;
 * - "tick" is due every 50 ms until it has been due ten times. At the third
 *   time the program is busy for so long that two of them become one event;
 * - "watchdog" is due 200 ms after the last tick, because each tick moves it:
 *   that is how a server gets rid of clients that have fallen silent;
 * - "never" would be due at 300 ms, but "once" deletes it.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <polling.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MSEC  1000000L /* in nanoseconds */
#define TICKS 10

/* Names of timers, which are names of timers only: a descriptor may have the
 * same number. Here they are the keys as well. */
enum { ONCE = 1, TICK, WATCHDOG, NEVER };

static const struct timespec patience = {.tv_nsec = 200 * MSEC};
static struct timespec start;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static long
milliseconds(void)
{
	struct timespec now;

	polling_now(&now);
	return (long)(now.tv_sec - start.tv_sec) * 1000 +
	       (long)(now.tv_nsec - start.tv_nsec) / MSEC;
}

static void
say(const char *what)
{
	printf("%4ld ms: %s\n", milliseconds(), what);
	fflush(stdout);
}

static void
add(struct polling *p, uintptr_t id, long first, long interval)
{
	struct timespec in = {.tv_nsec = first * MSEC};
	struct timespec every = {.tv_nsec = interval * MSEC};

	if (polling_add_timer(p, id, &in, &every, id) != 0)
		die("polling_add_timer");
}

/* A timer that is due once is gone with its event; only others must be
 * deleted, or may be while they are still to come. */
static void
forget(struct polling *p, uintptr_t id)
{
	if (polling_delete_timer(p, id) != 0)
		die("polling_delete_timer");
}

/* Does not look at its timers for some time, as a program should not. */
static void
be_busy(void)
{
	long until = milliseconds() + 120;

	while (milliseconds() < until)
		;
}

/* A timer was due so many times since its last event. */
static void
tick(struct polling *p, uint32_t times)
{
	static uint32_t count;
	char text[32];
	bool third = count < 3 && count + times >= 3;

	count += times;
	snprintf(
	    text, sizeof text, "tick, %lu of %d", (unsigned long)count, TICKS);
	say(text);
	if (polling_modify_timer(p, WATCHDOG, &patience, NULL, WATCHDOG) != 0)
		die("polling_modify_timer");
	if (count >= TICKS)
		forget(p, TICK);
	else if (third)
		be_busy();
}

/* False when all is over. */
static bool
handle(struct polling *p, const struct polling_event *event)
{
	switch (event->key) {
	case ONCE:
		say("once");
		forget(p, NEVER);
		return true;
	case TICK:
		tick(p, event->data);
		return true;
	case WATCHDOG:
		say("watchdog: no tick for 200 ms");
		return false;
	default:
		say("a timer that was deleted");
		exit(1);
	}
}

int
main(void)
{
	struct polling *p = polling_create(0);
	struct polling_event event;
	bool going_on = true;

	if (p == NULL)
		die("polling_create");
	polling_now(&start);
	add(p, ONCE, 120, 0);
	add(p, TICK, 50, 50);
	add(p, WATCHDOG, 200, 0);
	add(p, NEVER, 300, 0);
	/* No time is given to the wait: it is the timers' that counts. */
	while (going_on) {
		if (polling_wait(p, &event, 1, NULL) == -1)
			die("polling_wait");
		going_on = handle(p, &event);
	}
	if (polling_delete_timer(p, WATCHDOG) == 0 || errno != ENOENT)
		die("the watchdog is still there");
	polling_destroy(p);
	say("the end");
	return 0;
}
