/* SPDX-License-Identifier: MIT */
/*
 * The poller's descriptor in poll() and in another poller, for timers,
 * signals, processes and posts: 85 of the conformance catalogue. What it says
 * of descriptors and notifications is in test-nesting.c.
 */
#include "harness.h"

#include <poll.h>
#include <signal.h>
#if HAVE_TIMERFD_CREATE
#include <sys/timerfd.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include "counted.h"
#include "crew.h"
#include "scenes.h"

static bool
becomes_readable(int fd, int timeout_ms)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	int n;

	if (timeout_ms > 0)
		timeout_ms = (int)(timeout_ms * time_scale());
	do
		n = poll(&entry, 1, timeout_ms);
	while (n == -1 && errno == EINTR);
	ck_assert_int_ne(n, -1);
	ck_assert_int_eq(entry.revents & ~POLLIN, 0);
	return n == 1;
}

#define NO_DESCRIPTOR "no polling_get_fd()"

/*
 * A loop around the poller that sleeps in poll() only: how often it turns
 * until a wait finds something is limited. In the event, what it found.
 */
static struct polling_event
turn_until_event(struct polling *p, int fd)
{
	struct polling_event event = {0, 0, 0};
	int n = 0;

	for (int turns = 0; n == 0; turns++) {
		ck_assert_msg(becomes_readable(fd, LONG_MS),
		    "the descriptor was not readable in %d ms", LONG_MS);
		ck_assert_msg(turns < 10, "readable for nothing, ten times");
		n = wait_ms(p, &event, 1, 0);
	}
	ck_assert_int_eq(n, 1);
	return event;
}

#define expect_turn(p, fd, key, events) \
	expect_this_turn(HARNESS_HERE, (p), (fd), (key), (events))
static void
expect_this_turn(const char *file, int line, struct polling *p, int fd,
    uintptr_t key, uint32_t events)
{
	struct polling_event event = turn_until_event(p, fd);

	ck_assert_msg(event.key == key && event.events == events,
	    "%s:%d: the event is {%#llx, %s}", file, line,
	    (unsigned long long)event.key, event_names(event.events));
}

/* Readable for nothing now and then, but not again and again. */
static void
expect_calm(struct polling *p, int fd)
{
	for (int i = 0; i < 10 && becomes_readable(fd, 0); i++)
		expect_nothing(p);
	for (int i = 0; i < 5; i++) {
		ck_assert(!becomes_readable(fd, 0));
		expect_nothing(p);
	}
	/* Not stretched: it is no time for something to come. */
	ck_assert(
	    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 30) == 0);
}

/* Timers */

/* 85: _i: it is asked for 0 after, 1 before the timer is added */
START_TEST(the_descriptor_tells_of_a_timer)
{
	struct polling *p = make_poller();
	int64_t start;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	if (_i == 1)
		expect_calm(p, polling_get_fd(p));
	start = now_ns();
	expect_ok(polling_add_timer(p, 1, MS(100), NULL, 5));
	fd = polling_get_fd(p);
	ck_assert_int_ge(fd, 0);
	expect_turn(p, fd, 5, POLLING_TIMER);
	expect_elapsed(start, 100, LONG_MS);
	expect_calm(p, fd);
	/* Due already. */
	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 6));
	expect_turn(p, fd, 6, POLLING_TIMER);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

/* 85: due when it is asked for the first time */
START_TEST(the_descriptor_tells_of_a_timer_due_before)
{
	struct polling *p = make_poller();
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	expect_ok(polling_add_timer(p, 1, MS(1), NULL, 5));
	sleep_ms(5);
	fd = polling_get_fd(p);
	ck_assert(becomes_readable(fd, LONG_MS));
	ck_assert(becomes_readable(fd, 0));
	expect_turn(p, fd, 5, POLLING_TIMER);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

#if HAVE_TIMERFD_CREATE
/* A wait that ends for a descriptor at the very moment at which a timer is due:
 * the timer is told by it, or by the descriptor of the poller. */
START_TEST(the_descriptor_tells_of_a_timer_that_a_wait_left)
{
	for (int i = 0; i < 30; i++) {
		struct polling *p = make_poller();
		struct itimerspec when = {{0, 0}, {0, 3000000 - i * 3000}};
		struct polling_event events[2];
		int fd, ready, n;

		SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
		fd = polling_get_fd(p);
		ready = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
		expect_ok(
		    polling_add(p, ready, POLLING_IN, POLLING_ONESHOT, 1));
		expect_ok(polling_add_timer(p, 1, MS(3), NULL, 2));
		ck_assert_int_eq(timerfd_settime(ready, 0, &when, NULL), 0);
		n = wait_ms(p, events, 2, -1);
		ck_assert_int_ge(n, 1);
		if (n == 1 && events[0].key == 1)
			ck_assert(becomes_readable(fd, LONG_MS));
		polling_destroy(p);
		(void)close(ready);
	}
}
END_TEST
#endif

/* Looks without blocking, until one has just ended when the timer is due: it
 * may have met what makes the descriptor readable. */
START_TEST(the_descriptor_tells_of_a_timer_that_looks_have_missed)
{
	struct polling *p = make_poller();
	struct polling_event event;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	for (int i = 0; i < scaled(2000); i++) {
		struct timespec first = {0, 20000 + i % 64 * 500};
		int64_t due = library_now() + first.tv_nsec;
		int n;

		expect_ok(polling_add_timer(p, 1, &first, NULL, 1));
		do
			n = wait_ms(p, &event, 1, 0);
		while (n == 0 && library_now() < due);
		if (n == 1)
			continue;
		ck_assert_int_eq(n, 0);
		ck_assert_msg(becomes_readable(fd, LONG_MS),
		    "the descriptor does not tell, at the %dth try", i);
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
	}
	polling_destroy(p);
}
END_TEST

/* 85: for as long as one is left */
START_TEST(the_descriptor_tells_of_every_timer)
{
	struct polling *p = make_poller();
	uint32_t random = 5;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	for (uintptr_t id = 0; id < 100; id++)
		expect_ok(polling_add_timer(
		    p, id, MS((int)(next_random(&random) % 50)), NULL, id));
	for (int i = 0; i < 100; i++)
		ck_assert_uint_eq(
		    turn_until_event(p, fd).events, POLLING_TIMER);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

/* 85 */
START_TEST(the_descriptor_tells_of_a_periodic_timer)
{
	struct polling *p = make_poller();
	int64_t start = now_ns(), cpu;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	cpu = cpu_ns();
	expect_ok(polling_add_timer(p, 1, MS(40), MS(40), 1));
	for (int i = 0; i < 5; i++)
		expect_turn(p, fd, 1, POLLING_TIMER);
	expect_elapsed(start, 200, LONG_MS);
	ck_assert_int_lt(cpu_ns() - cpu, (now_ns() - start) / 4);
	polling_destroy(p);
}
END_TEST

/* 85: what is changed shows without a wait */
START_TEST(the_descriptor_follows_a_timer)
{
	struct polling *p = make_poller();
	int64_t start;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 1));
	ck_assert(becomes_readable(fd, LONG_MS));
	expect_ok(polling_modify_timer(p, 1, MS(3600000), NULL, 1));
	expect_calm(p, fd);
	start = now_ns();
	expect_ok(polling_modify_timer(p, 1, MS(30), NULL, 2));
	expect_turn(p, fd, 2, POLLING_TIMER);
	expect_elapsed(start, 30, LONG_MS);
	expect_ok(polling_add_timer(p, 1, MS(0), MS(1), 1));
	expect_ok(polling_delete_timer(p, 1));
	expect_calm(p, fd);
	/* A later one first, then a sooner one. */
	expect_ok(polling_add_timer(p, 1, MS(3600000), NULL, 1));
	expect_ok(polling_add_timer(p, 2, MS(20), NULL, 2));
	expect_turn(p, fd, 2, POLLING_TIMER);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

static void
start_timer(void *argument)
{
	(void)polling_add_timer(argument, 1, MS(20), NULL, 1);
}

/* 85: added while poll() is blocked */
START_TEST(a_timer_wakes_poll)
{
	struct polling *p = make_poller();
	struct delayed *d;
	int64_t start = now_ns();
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	expect_ok(polling_add_timer(p, 2, MS(3600000), NULL, 2));
	d = run_after(20, start_timer, p);
	expect_turn(p, fd, 1, POLLING_TIMER);
	expect_elapsed(start, 40, LONG_MS);
	join_delayed(d);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

/* 85: timers past any clock neither fire nor break it */
START_TEST(the_descriptor_stands_huge_times)
{
	static const struct timespec huge = {
	    (time_t)(((uintmax_t)1 << (sizeof(time_t) * 8 - 1)) - 1),
	    999999999};
	struct polling *p = make_poller();
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	expect_ok(polling_add_timer(p, 1, &huge, NULL, 1));
	expect_calm(p, fd);
	expect_ok(polling_add_timer(p, 2, MS(10), NULL, 2));
	expect_turn(p, fd, 2, POLLING_TIMER);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

/* Posts and signals */

static void
post_one(void *argument)
{
	(void)polling_post(argument, &(struct polling_event){7, 8, 9});
}

/* 85 */
START_TEST(a_post_wakes_poll)
{
	struct polling *p = make_poller();
	struct delayed *d;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	d = run_after(20, post_one, p);
	expect_turn(p, fd, 7, 8);
	join_delayed(d);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

/* 85: before and after it is asked for */
START_TEST(the_descriptor_tells_of_a_signal)
{
	struct polling *p = make_poller();
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	ck_assert_int_eq(raise(SIGUSR1), 0);
	fd = polling_get_fd(p);
	for (int round = 0; round < 3; round++) {
		ck_assert(becomes_readable(fd, LONG_MS));
		expect_turn(p, fd, 1, POLLING_SIGNAL);
		expect_calm(p, fd);
		ck_assert_int_eq(raise(SIGUSR1), 0);
	}
	expect_ok(polling_delete_signal(p, SIGUSR1));
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

/* 85: disarmed it is not, armed with something to tell it is */
START_TEST(the_descriptor_follows_a_signal)
{
	struct polling *p = make_poller();
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_ONESHOT, 1));
	expect_calm(p, fd);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	expect_turn(p, fd, 1, POLLING_SIGNAL);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(raise(SIGUSR1), 0);
		expect_calm(p, fd);
	}
	expect_ok(polling_modify_signal(p, SIGUSR1, POLLING_ONESHOT, 2));
	expect_turn(p, fd, 2, POLLING_SIGNAL);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

static void
send_signal(void *argument)
{
	(void)argument;
	(void)kill(getpid(), SIGUSR1);
}

/* 85: in poll(), which the signal may interrupt */
START_TEST(a_signal_wakes_poll)
{
	struct polling *p = make_poller();
	struct delayed *d;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	fd = polling_get_fd(p);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	for (int round = 0; round < 5; round++) {
		d = run_after(20, send_signal, NULL);
		expect_turn(p, fd, 1, POLLING_SIGNAL);
		join_delayed(d);
		expect_calm(p, fd);
	}
	polling_destroy(p);
}
END_TEST

/* Processes */

/* A child that ends when the line is closed. */
static pid_t
start_child_with(int line[2])
{
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(line), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		(void)close(line[1]);
		(void)!read(line[0], &byte, 1);
		_exit(0);
	}
	close_fd(line[0]);
	return pid;
}

static void
close_line(void *argument)
{
	(void)close(*(int *)argument);
}

/* 85: _i: the descriptor is asked for 0 after it has ended, 1 before */
START_TEST(the_descriptor_tells_of_an_exit)
{
	struct polling *p = make_poller();
	struct delayed *d;
	int line[2], fd = -1;
	pid_t pid;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, NO_DESCRIPTOR);
	pid = start_child_with(line);
	if (_i == 1) {
		fd = polling_get_fd(p);
		expect_ok(polling_add_process(p, pid, POLLING_EXIT, 1));
		expect_calm(p, fd);
		d = run_after(20, close_line, &line[1]);
	} else {
		expect_ok(polling_add_process(p, pid, POLLING_EXIT, 1));
		d = run_after(0, close_line, &line[1]);
		join_delayed(d);
		sleep_ms(20);
		fd = polling_get_fd(p);
	}
	expect_turn(p, fd, 1, POLLING_EXIT);
	if (_i == 1)
		join_delayed(d);
	expect_calm(p, fd);
	expect_ok(polling_modify_process(p, pid, POLLING_EXIT, 2));
	expect_turn(p, fd, 2, POLLING_EXIT);
	expect_calm(p, fd);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	expect_calm(p, fd);
	polling_destroy(p);
}
END_TEST

/* Pollers in pollers */

/* The outer poller says so, the inner one has it, and then both are silent. */
static void
expect_nested(struct polling *outer, struct polling *inner, uintptr_t key,
    uint32_t events)
{
	struct polling_event event = {0, 0, 0};
	int n = 0;

	for (int turns = 0; n == 0; turns++) {
		expect_events(outer, LONG_MS, {99, POLLING_IN});
		ck_assert_int_lt(turns, 10);
		n = wait_ms(inner, &event, 1, 0);
	}
	ck_assert_uint_eq(event.key, key);
	ck_assert_uint_eq(event.events, events);
	for (int i = 0; i < 10 && wait_ms(outer, &event, 1, 0) == 1; i++)
		expect_nothing(inner);
	expect_nothing(outer);
	expect_nothing_for(outer, 30);
}

/* 85: a poller in a poller */
START_TEST(an_inner_poller_tells_of_everything)
{
	struct polling *outer = make_poller(), *inner = make_poller();
	int line[2], fd;
	pid_t pid;

	if (!polling_supports(inner, POLLING_FEATURE_FD)) {
		polling_destroy(outer);
		polling_destroy(inner);
		SKIP(NO_DESCRIPTOR);
	}
	fd = polling_get_fd(inner);
	expect_ok(polling_add(outer, fd, POLLING_IN, POLLING_LEVEL, 99));
	expect_nothing_for(outer, 20);
	for (int round = 0; round < 3; round++) {
		expect_ok(polling_add_timer(inner, 1, MS(20), NULL, 1));
		expect_nested(outer, inner, 1, POLLING_TIMER);
		post_one(inner);
		expect_nested(outer, inner, 7, 8);
		expect_ok(polling_add_signal(inner, SIGUSR1, POLLING_LEVEL, 2));
		ck_assert_int_eq(raise(SIGUSR1), 0);
		expect_nested(outer, inner, 2, POLLING_SIGNAL);
		expect_ok(polling_delete_signal(inner, SIGUSR1));
		pid = start_child_with(line);
		expect_ok(polling_add_process(inner, pid, POLLING_EXIT, 3));
		close_fd(line[1]);
		expect_nested(outer, inner, 3, POLLING_EXIT);
		expect_ok(polling_delete_process(inner, pid));
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
	polling_destroy(outer);
	polling_destroy(inner);
}
END_TEST

#define DEPTH 3

/* 85: several deep, with a timer in each */
START_TEST(timers_nest)
{
	struct polling *p[DEPTH];
	struct polling_event event = {0, 0, 0};
	unsigned told = 0;

	for (int i = 0; i < DEPTH; i++)
		p[i] = make_poller();
	if (!polling_supports(p[0], POLLING_FEATURE_FD)) {
		for (int i = 0; i < DEPTH; i++)
			polling_destroy(p[i]);
		SKIP(NO_DESCRIPTOR);
	}
	for (uintptr_t i = 0; i < DEPTH; i++) {
		if (i > 0)
			expect_ok(polling_add(p[i], polling_get_fd(p[i - 1]),
			    POLLING_IN, POLLING_LEVEL, 99));
		expect_ok(
		    polling_add_timer(p[i], 1, MS(60 - 20 * (int)i), NULL, i));
	}
	for (int turns = 0; told != (1u << DEPTH) - 1; turns++) {
		int i = DEPTH - 1;

		ck_assert_int_lt(turns, 30);
		/* From the outermost to the one that has something. */
		while (wait_ms(p[i], &event, 1, i == DEPTH - 1 ? -1 : 0) == 1 &&
		       event.key == 99) {
			ck_assert_int_gt(i, 0);
			i--;
		}
		if (event.key < DEPTH)
			told |= 1u << event.key;
		event.key = 99;
	}
	/* It may be readable for nothing, but not again and again. */
	for (int i = 0; i < 10 && wait_ms(p[DEPTH - 1], &event, 1, 0) > 0; i++)
		for (int j = DEPTH - 2; j >= 0; j--)
			(void)wait_ms(p[j], &event, 1, 0);
	expect_nothing_for(p[DEPTH - 1], 30);
	for (int i = DEPTH - 1; i >= 0; i--)
		polling_destroy(p[i]);
}
END_TEST

void
add_nested_sources(Suite *s)
{
	CASE_LOOP(s, the_descriptor_tells_of_a_timer, CASE_SECONDS, 0, 2);
	CASE(s, the_descriptor_tells_of_a_timer_due_before);
#if HAVE_TIMERFD_CREATE
	CASE(s, the_descriptor_tells_of_a_timer_that_a_wait_left);
#endif
	CASE(s, the_descriptor_tells_of_a_timer_that_looks_have_missed);
	CASE(s, the_descriptor_tells_of_every_timer);
	CASE(s, the_descriptor_tells_of_a_periodic_timer);
	CASE(s, the_descriptor_follows_a_timer);
	CASE(s, a_timer_wakes_poll);
	CASE(s, the_descriptor_stands_huge_times);
	CASE(s, a_post_wakes_poll);
	CASE(s, the_descriptor_tells_of_a_signal);
	CASE(s, the_descriptor_follows_a_signal);
	CASE(s, a_signal_wakes_poll);
	CASE_LOOP(s, the_descriptor_tells_of_an_exit, CASE_SECONDS, 0, 2);
	CASE(s, an_inner_poller_tells_of_everything);
	CASE(s, timers_nest);
}
