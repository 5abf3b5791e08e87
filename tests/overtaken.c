/* SPDX-License-Identifier: MIT */
/*
 * overtaken.c - what a thread does just while another one is between what it
 * has prepared for a wait and the kernel, or on its way back: moments that are
 * met once in a million times, and are made here.
 *
 * The function through which the library waits for epoll is defined here. It
 * calls what the thread has asked for, before the kernel and after it.
 */
#define _GNU_SOURCE

#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <polling.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "next.h"

#define PATIENCE_S 20

/* How a wait is to end if nothing happens. */
enum wait { AT_ONCE, IN_TIME, NEVER };

/* Of this thread; NULL is nothing. */
static _Thread_local void (*before)(enum wait);
static _Thread_local void (*after)(enum wait);

static struct polling *poller;
static const struct timespec at_once;
static const char *scene;

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "overtaken: %s: %s\n", scene, what);
	_exit(1);
}

#define EXPECT(holds)                        \
	do {                                 \
		if (!(holds))                \
			fail("not " #holds); \
	} while (0)

/* Whether the call waits for epoll, and how long. */
static bool
is_wait(long number, const long arguments[6], enum wait *wait)
{
	bool limited = false, milliseconds = number == SYS_epoll_pwait;

#ifdef SYS_epoll_wait
	milliseconds |= number == SYS_epoll_wait;
#endif
#ifdef SYS_epoll_pwait2
	limited = number == SYS_epoll_pwait2;
#endif
	*wait = IN_TIME;
	if (milliseconds && (int)arguments[3] <= 0)
		*wait = (int)arguments[3] == 0 ? AT_ONCE : NEVER;
	return milliseconds || limited;
}

/* Not hidden, as what the library is to find instead of the C library's. */
__attribute__((__visibility__("default"))) long
syscall(long number, ...)
{
	static long (*next)(long number, ...);
	long a[6], result;
	enum wait wait;
	va_list arguments;
	bool waits;
	int error;

	if (next == NULL)
		find_next("syscall", &next, sizeof next);
	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	waits = is_wait(number, a, &wait);
	if (waits && before != NULL)
		before(wait);
	result = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	error = errno;
	if (waits && after != NULL)
		after(wait);
	errno = error;
	return result;
}

/* Lets others run until the flag is set. */
static void
await(const atomic_bool *flag, const char *otherwise)
{
	static const struct timespec moment = {.tv_nsec = 100000};

	for (int i = 0; !atomic_load(flag); i++) {
		if (i == PATIENCE_S * 10000)
			fail(otherwise);
		(void)nanosleep(&moment, NULL);
	}
}

/* The other thread: waits without a limit, once. */
struct sleeper {
	pthread_t thread;
	void (*before)(enum wait);
	void (*after)(enum wait);
	struct polling_event event;
	int count;
	atomic_bool home;
};

static struct sleeper sleeper;
static atomic_bool at_the_door, door_is_open; /* of the kernel */
static atomic_bool has_woken, may_go_on, sleeps_on;

static void *
sleep_once(void *argument)
{
	struct sleeper *s = argument;

	before = s->before;
	after = s->after;
	s->count = polling_wait(poller, &s->event, 1, NULL);
	before = after = NULL;
	atomic_store(&s->home, true);
	return NULL;
}

static void
start_sleeper(void (*its_before)(enum wait), void (*its_after)(enum wait))
{
	sleeper.before = its_before;
	sleeper.after = its_after;
	atomic_store(&sleeper.home, false);
	EXPECT(
	    pthread_create(&sleeper.thread, NULL, sleep_once, &sleeper) == 0);
}

static void
end_scene(void)
{
	EXPECT(pthread_join(sleeper.thread, NULL) == 0);
	polling_destroy(poller);
}

/*
 * A wait that ends for a notification takes the wake-up of a second one along,
 * which was for a thread that was about to sleep. It must pass it on.
 */
static void
stop_at_the_door(enum wait wait)
{
	if (wait != NEVER)
		return;
	atomic_store(&at_the_door, true);
	await(&door_is_open, "the door stays shut");
}

static void
notify_again(enum wait wait)
{
	(void)wait;
	before = NULL;
	start_sleeper(stop_at_the_door, NULL);
	await(&at_the_door, "the other thread does not go to sleep");
	EXPECT(polling_notify(poller) == 0);
}

static void
two_notifications(void)
{
	struct polling_event event;

	EXPECT(polling_notify(poller) == 0);
	before = notify_again;
	EXPECT(polling_wait(poller, &event, 1, &at_once) == 0);
	EXPECT(before == NULL);
	atomic_store(&door_is_open, true);
	await(&sleeper.home, "the second notification is lost");
	EXPECT(sleeper.count == 0);
}

/*
 * A thread wakes up for a timer that another wait has just taken, and which was
 * the last; so it sleeps on without a limit. Then, before that wait has come
 * back, there is a new timer: it must wake up for that one.
 */
static void
hold_after_waking(enum wait wait)
{
	if (wait != IN_TIME || atomic_load(&has_woken))
		return;
	atomic_store(&has_woken, true);
	await(&may_go_on, "it may not go on");
}

static void
tell_that_it_sleeps(enum wait wait)
{
	if (wait == NEVER && atomic_load(&may_go_on))
		atomic_store(&sleeps_on, true);
}

static void
add_another(enum wait wait)
{
	static const struct timespec soon = {.tv_nsec = 10000000};

	(void)wait;
	before = NULL;
	atomic_store(&may_go_on, true);
	await(&sleeps_on, "the other thread does not sleep on");
	EXPECT(polling_add_timer(poller, 2, &soon, NULL, 2) == 0);
}

static void
a_timer_taken_by_another(void)
{
	static const struct timespec soon = {.tv_nsec = 20000000};
	struct polling_event events[2]; /* half of them for timers */

	EXPECT(polling_add_timer(poller, 1, &soon, NULL, 1) == 0);
	start_sleeper(tell_that_it_sleeps, hold_after_waking);
	await(&has_woken, "nobody wakes up for the timer");
	before = add_another;
	EXPECT(polling_wait(poller, events, 2, &at_once) == 1);
	EXPECT(before == NULL && events[0].key == 1);
	await(&sleeper.home, "nobody wakes up for the second timer");
	EXPECT(sleeper.count == 1 && sleeper.event.key == 2);
}

static void
play(const char *name, void (*act)(void))
{
	scene = name;
	poller = polling_create(0);
	EXPECT(poller != NULL);
	act();
	end_scene();
	printf("PASS %s\n", name);
}

int
main(void)
{
	if (polling_backend()[0] != 'e') {
		printf("SKIP the backend is %s\n", polling_backend());
		return 77;
	}
	play("two notifications", two_notifications);
	play("a timer taken by another", a_timer_taken_by_another);
	return 0;
}
