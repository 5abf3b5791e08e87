/* SPDX-License-Identifier: MIT */
/*
 * Waits that signals interrupt, and notifications from their handlers. Parts
 * of the suites of waiting and notifications. The numbers are those of the
 * conformance catalogue, parts D and E.
 */
#include "harness.h"

#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "scenes.h"

/* Waiting */

static void
write_byte(polling_fd fd)
{
	ssize_t n = write(fd, "x", 1);

	(void)n; /* the case misses the byte */
}

static volatile sig_atomic_t signals;
/* If not NO_FD, the handler writes a byte to it. */
static volatile polling_fd signal_fd = NO_FD;

static void
on_signal(int signo)
{
	int error = errno;

	(void)signo;
	signals++;
	if (signal_fd != NO_FD)
		write_byte(signal_fd);
	errno = error;
}

/* SIGALRM at once and then every interval; 0 for once only. */
static void
start_signals(int first_us, int interval_us, int flags)
{
	struct sigaction action;
	struct itimerval timer;

	signals = 0;
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	action.sa_flags = flags;
	ck_assert_int_eq(sigemptyset(&action.sa_mask), 0);
	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	memset(&timer, 0, sizeof(timer));
	timer.it_value.tv_usec = first_us;
	timer.it_interval.tv_usec = interval_us;
	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void
stop_signals(void)
{
	struct itimerval timer;

	memset(&timer, 0, sizeof(timer));
	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
	ck_assert(signal(SIGALRM, SIG_DFL) != SIG_ERR);
	signal_fd = NO_FD;
}

/* 53: _i is 0 for a timeout, 1 for a deadline */
START_TEST(signals_do_not_end_a_wait)
{
	struct polling *p = make_poller();
	struct polling_event event;
	struct timespec t = ms_to_timespec(500);
	polling_fd pair[2];
	int64_t start;
	int count;

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	start_signals(1000, 1000, 0);
	start = now_ns();
	if (_i == 1)
		t = ns_to_timespec(library_now() + 500 * NS_PER_MS);
	count = _i == 1 ? polling_wait_until(p, &event, 1, &t)
			: polling_wait(p, &event, 1, &t);
	expect_elapsed(start, 500, 2000);
	stop_signals();
	ck_assert_int_eq(count, 0);
	/* A wait without limit neither: it meets its event. */
	start_signals(1000, 1000, 0);
	signal_fd = pair[1];
	ck_assert_int_eq(polling_wait(p, &event, 1, NULL), 1);
	ck_assert_uint_eq(event.key, 1);
	ck_assert_uint_eq(event.events, POLLING_IN);
	stop_signals();
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 53: that the signals of the case above really came */
START_TEST(signals_came_while_waiting)
{
	struct polling *p = make_poller();

	start_signals(1000, 1000, 0);
	expect_nothing_for(p, 200);
	ck_assert_int_ge(signals, 20);
	stop_signals();
	polling_destroy(p);
}
END_TEST

/* 54: _i is the handler's SA_RESTART, which must not matter */
START_TEST(a_signal_ends_an_interruptible_wait)
{
	struct polling *p = make_poller_with(POLLING_INTERRUPTIBLE);
	struct polling_event event;
	struct timespec t = ms_to_timespec(LONG_MS);
	int64_t start = now_ns();

	for (int i = 0; i < 3; i++) {
		/* Again and again, should the first come before the wait. */
		start_signals(20000, 20000, _i == 1 ? SA_RESTART : 0);
		expect_error(polling_wait(p, &event, 1, NULL), EINTR);
		expect_error(polling_wait(p, &event, 1, &t), EINTR);
		polling_now(&t);
		t.tv_sec += LONG_MS / 1000;
		expect_error(polling_wait_until(p, &event, 1, &t), EINTR);
		t = ms_to_timespec(LONG_MS);
		stop_signals();
		ck_assert_int_ge(signals, 3);
	}
	expect_elapsed(start, 180, LONG_MS);
	/* Undisturbed, it is a wait as any other. */
	expect_nothing_for(p, 50);
	polling_destroy(p);
}
END_TEST

/* 54 */
START_TEST(an_interrupted_wait_keeps_its_events)
{
	struct polling *p = make_poller_with(POLLING_INTERRUPTIBLE);
	struct polling_event event;
	polling_fd pair[2];
	int count;

	/* The signal's own handler makes the source ready. */
	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	signal_fd = pair[1];
	start_signals(20000, 0, 0);
	count = polling_wait(p, &event, 1, NULL);
	if (count == -1) {
		ck_assert_int_eq(errno, EINTR);
		count = wait_ms(p, &event, 1, LONG_MS);
	}
	stop_signals();
	ck_assert_int_eq(count, 1);
	ck_assert_uint_eq(event.key, 1);
	ck_assert_uint_eq(event.events, POLLING_IN);
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

#define TOKENS 300

/*
 * 54: a storm of signals, and a source that is armed for each token. Every
 * third becomes ready by the very signal that interrupts the wait for it.
 */
START_TEST(a_storm_of_signals_loses_no_event)
{
	struct polling *p = make_poller_with(POLLING_INTERRUPTIBLE);
	struct polling_event event;
	polling_fd pair[2];
	int interrupted = 0;

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], 0, POLLING_ONESHOT, 0));
	start_signals(1000, 1000, 0);
	for (uintptr_t key = 1; key <= TOKENS; key++) {
		int count;

		expect_ok(polling_modify(
		    p, pair[0], POLLING_IN, POLLING_ONESHOT, key));
		if (key % 3 == 0)
			signal_fd = pair[1];
		else
			write_byte(pair[1]);
		while ((count = wait_ms(p, &event, 1, LONG_MS)) == -1) {
			ck_assert_int_eq(errno, EINTR);
			interrupted++;
		}
		signal_fd = NO_FD;
		ck_assert_int_eq(count, 1);
		ck_assert_uint_eq(event.key, key);
		ck_assert_uint_eq(event.events, POLLING_IN);
		ck_assert_uint_ge(drain(pair[0]), 1);
	}
	stop_signals();
	ck_assert_int_ge(interrupted, TOKENS / 10);
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* Notifications */

/* What the handler below is told, and what it tells. */
static _Atomic(struct polling *) handler_poller;
static atomic_int handler_runs;
static atomic_int handler_faults;

static void
handle_by_notifying(int signo)
{
	int saved = errno;

	(void)signo;
	errno = E2BIG;
	if (polling_notify(atomic_load(&handler_poller)) != 0 || errno != E2BIG)
		atomic_fetch_add(&handler_faults, 1);
	errno = saved;
	atomic_fetch_add(&handler_runs, 1);
}

static void
handle(int signo, struct polling *p, int flags)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handle_by_notifying;
	action.sa_flags = flags;
	ck_assert_int_eq(sigemptyset(&action.sa_mask), 0);
	atomic_store(&handler_poller, p);
	atomic_store(&handler_runs, 0);
	ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

static void
expect_handler_ran(void)
{
	ck_assert_int_gt(atomic_load(&handler_runs), 0);
	ck_assert_int_eq(atomic_load(&handler_faults), 0);
}

/* 62 */
START_TEST(a_handler_notifies_before_a_wait)
{
	struct polling *p = make_poller();

	handle(SIGUSR1, p, 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	expect_handler_ran();
	expect_ended(p, _i, now_ns(), 0, 0);
	expect_nothing_for(p, 60);
	polling_destroy(p);
}
END_TEST

static void
signal_thread(void *argument)
{
	(void)pthread_kill(*(pthread_t *)argument, SIGUSR1);
}

/* 62: _i: bit 0 with SA_RESTART, bit 1 a poller that handlers interrupt */
START_TEST(a_handler_ends_the_wait_that_it_interrupts)
{
	struct polling *p = make_poller_with(
	    _i & 2 ? POLLING_INTERRUPTIBLE : 0);
	pthread_t self = pthread_self();
	struct polling_event event;
	struct delayed *d;
	int64_t start = now_ns();
	int n;

	handle(SIGUSR1, p, _i & 1 ? SA_RESTART : 0);
	d = run_after(50, signal_thread, &self);
	n = wait_ms(p, &event, 1, 10 * LONG_MS);
	/* The handler and the notification may end one wait each. */
	if (n == -1 && errno == EINTR && (_i & 2))
		n = wait_ms(p, &event, 1, 10 * LONG_MS);
	ck_assert_int_eq(n, 0);
	expect_elapsed(start, 20, LONG_MS);
	join_delayed(d);
	expect_handler_ran();
	expect_nothing_for(p, 60);
	polling_destroy(p);
}
END_TEST

/* One round of all that a thread may be inside of when a handler runs. */
static bool
use_everything(struct polling *p, const polling_fd pair[2], struct trouble *t)
{
	struct polling_event post = {7, 8, 9}, event = {0, 0, 0};
	int64_t give_up = patience();
	int n = 0;

	check_that(
	    t, polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1) == 0);
	check_that(
	    t, polling_modify(p, pair[0], POLLING_IN, POLLING_LEVEL, 2) == 0);
	check_that(t, polling_post(p, &post) == 0);
	/* Notifications may end many waits, but the post has to come. */
	while (n == 0 && now_ns() < give_up)
		n = wait_ms(p, &event, 1, 1);
	check_that(t, n == 1);
	check_that(t, event.key == 7 && event.events == 8 && event.data == 9);
	check_that(t, polling_notify(p) == 0);
	check_that(t, polling_delete(p, pair[0]) == 0);
	check_that(t, wait_ms(p, &event, 1, 0) == 0);
	return !in_trouble(t);
}

/* A thread that uses a poller for as long as handlers interrupt it. */
struct target {
	struct polling *p;
	polling_fd pair[2];
	int rounds;
	atomic_bool done;
	atomic_bool released;
	struct trouble trouble;
};

static void *
be_the_target(void *argument)
{
	struct target *t = argument;

	/* On a busy machine the rounds may be over before the first signal. */
	for (int i = 0; i < t->rounds || atomic_load(&handler_runs) == 0; i++) {
		if (!use_everything(t->p, t->pair, &t->trouble))
			break;
	}
	atomic_store(&t->done, true);
	/* A thread that has ended must not be signalled. */
	while (!atomic_load(&t->released))
		yield_thread();
	return NULL;
}

/* 62: no deadlock, whatever the handler interrupts */
START_TEST(handlers_notify_while_a_thread_is_inside_the_library)
{
	struct target t = {.p = make_poller(), .rounds = scaled(20000)};
	struct crew crew = {0};

	make_socketpair(t.pair);
	handle(SIGUSR1, t.p, 0);
	crew_start(&crew, be_the_target, &t);
	while (!atomic_load(&t.done)) {
		ck_assert_int_eq(pthread_kill(crew.threads[0].id, SIGUSR1), 0);
		yield_thread();
	}
	atomic_store(&t.released, true);
	crew_join(&crew);
	expect_no_trouble(&t.trouble);
	expect_handler_ran();
	/* What the last handlers left is one notification at most. */
	expect_nothing(t.p);
	expect_nothing_for(t.p, 30);
	close_pair(t.pair);
	polling_destroy(t.p);
}
END_TEST

/* 62: the same with one thread and a timer of the system */
START_TEST(timer_signals_notify_inside_the_library)
{
	struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
	struct polling *p = make_poller();
	struct trouble trouble = {0};
	polling_fd pair[2];

	make_socketpair(pair);
	handle(SIGALRM, p, SA_RESTART);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (int i = 0; i < scaled(50000); i++) {
		if (!use_everything(p, pair, &trouble))
			break;
	}
	while (atomic_load(&handler_runs) == 0)
		yield_thread();
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	expect_no_trouble(&trouble);
	expect_handler_ran();
	expect_nothing(p);
	expect_nothing_for(p, 30);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

void
add_waiting_signals(Suite *s)
{
	CASE_LOOP(s, signals_do_not_end_a_wait, CASE_SECONDS, 0, 2);
	CASE(s, signals_came_while_waiting);
	CASE_LOOP(s, a_signal_ends_an_interruptible_wait, CASE_SECONDS, 0, 2);
	CASE(s, an_interrupted_wait_keeps_its_events);
	CASE(s, a_storm_of_signals_loses_no_event);
}

void
add_notify_signals(Suite *s)
{
	CASE_LOOP(
	    s, a_handler_notifies_before_a_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE_LOOP(
	    s, a_handler_ends_the_wait_that_it_interrupts, CASE_SECONDS, 0, 4);
	CASE(s, handlers_notify_while_a_thread_is_inside_the_library);
	CASE(s, timer_signals_notify_inside_the_library);
}
