/* SPDX-License-Identifier: MIT */
/*
 * cost-calls.c - the library makes no more system calls than it has to.
 *
 * The functions through which the library makes them are defined here, so that
 * it calls these, which count and go on to those of the C library. Looks at
 * the clock are counted too: they are cheap, but not everywhere.
 *
 * The limits are those of the epoll backend.
 */
#define _GNU_SOURCE

#include "cost.h"
#include "next.h"

#include <polling.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 50
#define STEADY 4200 /* rounds after which every source is an old one */
#define PERIOD 1024 /* events of an old source for one look at it */

static long calls;
static long looks; /* at the clock */

SEEN int
epoll_ctl(int epfd, int operation, int fd, struct epoll_event *e)
{
	static int (*next)(int, int, int, struct epoll_event *);

	NEXT("epoll_ctl");
	calls++;
	return next(epfd, operation, fd, e);
}

SEEN int
epoll_wait(int epfd, struct epoll_event *e, int capacity, int ms)
{
	static int (*next)(int, struct epoll_event *, int, int);

	NEXT("epoll_wait");
	calls++;
	return next(epfd, e, capacity, ms);
}

/* Six arguments are the most, and what was not passed is not looked at. */
SEEN long
syscall(long number, ...)
{
	static long (*next)(long, ...);
	long a[6];
	va_list list;

	NEXT("syscall");
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	calls++;
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

SEEN int
prctl(int option, ...)
{
	static int (*next)(int, ...);
	unsigned long a[4];
	va_list list;

	NEXT("prctl");
	va_start(list, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(list, unsigned long);
	va_end(list);
	calls++;
	return next(option, a[0], a[1], a[2], a[3]);
}

SEEN ssize_t
read(int fd, void *buffer, size_t size)
{
	static ssize_t (*next)(int, void *, size_t);

	NEXT("read");
	calls++;
	return next(fd, buffer, size);
}

SEEN ssize_t
write(int fd, const void *buffer, size_t size)
{
	static ssize_t (*next)(int, const void *, size_t);

	NEXT("write");
	calls++;
	return next(fd, buffer, size);
}

SEEN int
poll(struct pollfd *array, nfds_t length, int ms)
{
	static int (*next)(struct pollfd *, nfds_t, int);

	NEXT("poll");
	calls++;
	return next(array, length, ms);
}

SEEN int
timerfd_settime(
    int fd, int flags, const struct itimerspec *when, struct itimerspec *old)
{
	static int (*next)(
	    int, int, const struct itimerspec *, struct itimerspec *);

	NEXT("timerfd_settime");
	calls++;
	return next(fd, flags, when, old);
}

SEEN int
clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*next)(clockid_t, struct timespec *);

	NEXT("clock_gettime");
	looks++;
	return next(clock, now);
}

/*
 * Of one round. A wait is one call, and so is a change of what the kernel
 * watches; late is what is re-armed, half of the sources, after the next wait.
 *
 * Whether a source is an orphan, closed but for a duplicate, is looked at with
 * its first event and then ever more rarely: see lib/epoll.c. So the calls for
 * the first events have limits of their own, and later ones are counted for as
 * long as it takes to look at each source once. A short wait is made exact,
 * which takes three calls: see lib/slack.h.
 */
static const struct limit {
	const char *scene;
	int before; /* rounds that are not counted */
	int rounds; /* that are, or 0 for ROUNDS */
	double calls, looks;
} limits[] = {
    {"level-1", STEADY, PERIOD, 1.001, 0},
    {"level-1", 1, 0, 1.1, 0},
    {"level-1-timeout", STEADY, PERIOD, 1.001, 0},
    {"level-100", STEADY, PERIOD, 1.098, 0},
    {"level-100", 1, 0, 8, 0},
    {"edge-1", STEADY, PERIOD, 1.001, 0},
    {"edge-100", STEADY, PERIOD, 1.098, 0},
    {"oneshot-1", STEADY, PERIOD, 1.001, 0},
    {"oneshot-1-timeout", STEADY, PERIOD, 1.001, 0},
    {"oneshot-100", STEADY, PERIOD, 1.098, 0},
    {"late-100", 2 * STEADY, 2 * PERIOD, 51.05, 0},
    {"churn-1", 1, 0, 4, 0},
    {"churn-100", 1, 0, 301, 0},
    {"notify", 1, 0, 1, 0},
    {"post", 1, 0, 1, 0},
    {"expired", 1, 0, 5, 3},
    {"expired-long", 1, 0, 2, 3},
    {"timers", 1, 0, 0, 200},
};

/* Prints what it finds; returns 1 if it is too much. */
static int
check_scene(const struct limit *l)
{
	const struct scene *s = find_scene(l->scene);
	int rounds = l->rounds != 0 ? l->rounds : ROUNDS;
	double c, k;
	int bad;

	if (s == NULL) {
		fprintf(stderr, "cost-calls: no scene %s\n", l->scene);
		return 1;
	}
	s->open();
	for (int i = 0; i < l->before; i++)
		s->round();
	calls = looks = 0;
	for (int i = 0; i < rounds; i++)
		s->round();
	c = (double)(calls - rounds * s->own_calls) / rounds;
	k = (double)looks / rounds;
	bad = c > l->calls || k > l->looks;
	close_scene();
	printf("%s %s, after %d rounds: %g system calls (at most %g), %g looks "
	       "at the clock (at most %g)\n",
	    bad ? "FAIL" : "PASS", l->scene, l->before, c, l->calls, k,
	    l->looks);
	return bad;
}

/* A library that has the functions of the C library in it, say, is not to be
 * counted. */
static int
can_count(void)
{
	const struct scene *s = find_scene("level-1");
	long before;

	s->open();
	before = calls;
	s->round();
	close_scene();
	return calls > before;
}

int
main(void)
{
	int failed = 0;

	if (strcmp(polling_backend(), "epoll") != 0) {
		printf("SKIP the limits are those of epoll, and this is %s\n",
		    polling_backend());
		return 77;
	}
	if (!can_count()) {
		printf("SKIP the library's system calls cannot be counted\n");
		return 77;
	}
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		failed += check_scene(&limits[i]);
	return failed != 0;
}
