/* SPDX-License-Identifier: MIT */
/*
 * Signals as sources. The numbers are those of the conformance catalogue,
 * part H. Signals that interrupt are in test-signals.c.
 *
 * raise() returns after the signal was handled, so what is raised can be
 * counted exactly; what is sent to the process from elsewhere may be merged
 * by the system while it is on its way.
 */
#include "harness.h"

#include <limits.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "child.h"
#include "counted.h"
#include "crew.h"
#include "scenes.h"

#ifndef NSIG
#define NSIG 65
#endif

static void
raise_times(int signo, int times)
{
	for (int i = 0; i < times; i++)
		ck_assert_int_eq(raise(signo), 0);
}

/* Dispositions */

static atomic_int handled; /* how often a handler of the program ran */
static atomic_int handled_signo;

static void
handle(int signo)
{
	atomic_fetch_add(&handled, 1);
	atomic_store(&handled_signo, signo);
}

/* For install(), which gives handle() more than that. */
static void
handle_plainly(int signo)
{
	handle(signo);
}

static void
handle_with_info(int signo, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	handle(signo);
}

/* Installs a disposition of the program's, of which everything is unusual. */
static void
install(int signo, void (*handler)(int))
{
	struct sigaction action;

	atomic_store(&handled, 0);
	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	if (handler == handle) {
		action.sa_sigaction = handle_with_info;
		action.sa_flags = SA_SIGINFO | SA_NODEFER;
		(void)sigaddset(&action.sa_mask, SIGUSR2);
		(void)sigaddset(&action.sa_mask, SIGWINCH);
	}
	ck_assert_int_eq(sigaction(signo, &action, NULL), 0);
}

static struct sigaction
disposition(int signo)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	ck_assert_int_eq(sigaction(signo, NULL, &action), 0);
	return action;
}

/* What C libraries do not add by themselves. */
#define OWN_FLAGS                                                      \
	((unsigned)SA_SIGINFO | SA_NODEFER | SA_RESTART | SA_ONSTACK | \
	    SA_RESETHAND | SA_NOCLDSTOP | SA_NOCLDWAIT)

static bool
same_handler(const struct sigaction *a, const struct sigaction *b)
{
	if ((a->sa_flags & SA_SIGINFO) != (b->sa_flags & SA_SIGINFO))
		return false;
	return a->sa_flags & SA_SIGINFO ? a->sa_sigaction == b->sa_sigaction
					: a->sa_handler == b->sa_handler;
}

/* Of SIG_DFL and SIG_IGN the rest does not matter, and tools change it. */
static bool
same_disposition(const struct sigaction *a, const struct sigaction *b)
{
	if (!same_handler(a, b))
		return false;
	if (!(a->sa_flags & SA_SIGINFO) &&
	    (a->sa_handler == SIG_DFL || a->sa_handler == SIG_IGN))
		return true;
	for (int signo = 1; signo < 32; signo++)
		if (sigismember(&a->sa_mask, signo) !=
		    sigismember(&b->sa_mask, signo))
			return false;
	return (((unsigned)a->sa_flags ^ (unsigned)b->sa_flags) & OWN_FLAGS) ==
	       0;
}

#define expect_disposition(signo, old) \
	check_disposition(HARNESS_HERE, (signo), (old))
static void
check_disposition(
    const char *file, int line, int signo, const struct sigaction *old)
{
	struct sigaction now = disposition(signo);

	ck_assert_msg(same_disposition(&now, old),
	    "%s:%d: signal %d has another disposition than before", file, line,
	    signo);
}

/* The dispositions that a signal may have had before. */
static void (*const old_handlers[])(int) = {SIG_DFL, SIG_IGN, handle};
#define OLD_HANDLERS 3

/* Arguments */

START_TEST(signals_are_supported)
{
	struct polling *p = make_poller();

	ck_assert_int_eq(polling_supports(p, POLLING_FEATURE_SIGNAL), 1);
	polling_destroy(p);
}
END_TEST

START_TEST(numbers_that_are_no_signal_are_refused)
{
	static const int numbers[] = {0, -1, -SIGUSR1, SIGKILL, SIGSTOP, NSIG,
	    NSIG + 1, 256 + SIGUSR1, 1024, 65536 + SIGUSR1, 100000, INT_MAX,
	    INT_MIN};
	struct polling *p = make_poller();

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		expect_error(
		    polling_add_signal(p, numbers[i], POLLING_ONESHOT, 1),
		    EINVAL);
		expect_error(polling_delete_signal(p, numbers[i]), ENOENT);
	}
	expect_error(
	    polling_add_signal(NULL, SIGUSR1, POLLING_LEVEL, 1), EFAULT);
	expect_error(
	    polling_modify_signal(NULL, SIGUSR1, POLLING_LEVEL, 1), EFAULT);
	expect_error(polling_delete_signal(NULL, SIGUSR1), EFAULT);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* Some are the C library's own, or a tool's. */
static bool
may_be_handled(int signo)
{
	struct sigaction action, old;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handle;
	if (signo == SIGKILL || signo == SIGSTOP ||
	    sigaction(signo, &action, &old) != 0)
		return false;
	ck_assert_int_eq(sigaction(signo, &old, NULL), 0);
	return true;
}

/* Each that the system lets have a handler, and no other. */
START_TEST(every_signal_can_be_added)
{
	struct polling *p = make_poller();
	struct sigaction old;

	for (int signo = 1; signo < NSIG; signo++) {
		if (!may_be_handled(signo)) {
			expect_error(
			    polling_add_signal(p, signo, POLLING_LEVEL, 1),
			    EINVAL);
			continue;
		}
		old = disposition(signo);
		expect_ok(polling_add_signal(
		    p, signo, POLLING_LEVEL, (uintptr_t)signo));
		expect_nothing(p);
		expect_ok(polling_delete_signal(p, signo));
		expect_disposition(signo, &old);
	}
	polling_destroy(p);
}
END_TEST

START_TEST(a_signal_is_added_once)
{
	struct polling *p = make_poller();

	expect_error(
	    polling_modify_signal(p, SIGUSR1, POLLING_LEVEL, 1), ENOENT);
	expect_error(polling_delete_signal(p, SIGUSR1), ENOENT);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	expect_error(
	    polling_add_signal(p, SIGUSR1, POLLING_ONESHOT, 2), EEXIST);
	expect_error(
	    polling_modify_signal(p, SIGUSR2, POLLING_LEVEL, 1), ENOENT);
	expect_error(polling_delete_signal(p, SIGUSR2), ENOENT);
	/* The first is as it was, with its key and its mode. */
	for (int i = 0; i < 3; i++) {
		raise_times(SIGUSR1, 1);
		expect_signal(p, 0, 1, 1);
	}
	expect_ok(polling_delete_signal(p, SIGUSR1));
	expect_error(polling_delete_signal(p, SIGUSR1), ENOENT);
	expect_error(
	    polling_modify_signal(p, SIGUSR1, POLLING_LEVEL, 1), ENOENT);
	polling_destroy(p);
}
END_TEST

START_TEST(unknown_modes_are_refused)
{
	struct polling *p = make_poller();
	int no_edges = supported_modes() < MODES ? ENOTSUP : 0;
	struct sigaction old = disposition(SIGUSR1);

	for (int mode = 4; mode < 7; mode++)
		expect_error(
		    polling_add_signal(p, SIGUSR1, (enum polling_mode)mode, 1),
		    EINVAL);
	expect_error(
	    polling_add_signal(p, SIGUSR1, (enum polling_mode) - 1, 1), EINVAL);
	expect_disposition(SIGUSR1, &old);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	expect_error(
	    polling_modify_signal(p, SIGUSR1, (enum polling_mode)4, 2), EINVAL);
	if (no_edges) {
		expect_error(
		    polling_add_signal(p, SIGUSR2, POLLING_EDGE, 2), no_edges);
		expect_error(
		    polling_modify_signal(p, SIGUSR1, POLLING_EDGE_ONESHOT, 2),
		    no_edges);
	}
	for (int i = 0; i < 2; i++) {
		raise_times(SIGUSR1, 1);
		expect_signal(p, 0, 1, 1);
	}
	polling_destroy(p);
}
END_TEST

/* Reports */

/* 83: in mode _i */
START_TEST(a_burst_is_counted)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();

	expect_ok(polling_add_signal(p, SIGUSR1, mode, UINTPTR_MAX));
	expect_nothing(p);
	for (int burst = 1; burst < 200; burst = burst * 3 + 1) {
		raise_times(SIGUSR1, burst);
		expect_signal(p, 0, UINTPTR_MAX, burst);
		/* Told once: there is nothing level about it. */
		expect_nothing(p);
		expect_nothing_for(p, 10);
		expect_ok(polling_modify_signal(p, SIGUSR1, mode, UINTPTR_MAX));
		expect_nothing(p);
	}
	polling_destroy(p);
}
END_TEST

/* 83: what came while it was disarmed is reported when it is armed */
START_TEST(a_oneshot_signal_is_reported_once)
{
	enum polling_mode mode = _i == 0 ? POLLING_ONESHOT
					 : POLLING_EDGE_ONESHOT;
	struct polling *p = make_poller();

	SKIP_UNLESS_MODE(p, mode);
	expect_ok(polling_add_signal(p, SIGUSR1, mode, 1));
	raise_times(SIGUSR1, 1);
	expect_signal(p, 0, 1, 1);
	for (int i = 0; i < 3; i++) {
		raise_times(SIGUSR1, 1);
		expect_nothing(p);
	}
	expect_nothing_for(p, 20);
	expect_ok(polling_modify_signal(p, SIGUSR1, mode, 2));
	expect_signal(p, 0, 2, 3);
	raise_times(SIGUSR1, 2);
	expect_ok(polling_modify_signal(p, SIGUSR1, POLLING_LEVEL, 3));
	expect_signal(p, 0, 3, 2);
	raise_times(SIGUSR1, 1);
	expect_signal(p, 0, 3, 1);
	polling_destroy(p);
}
END_TEST

START_TEST(modify_replaces_the_key)
{
	struct polling *p = make_poller();

	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	raise_times(SIGUSR1, 2);
	expect_ok(polling_modify_signal(p, SIGUSR1, POLLING_ONESHOT, 2));
	expect_signal(p, 0, 2, 2);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* What came before it was added, or before it was deleted, is not reported. */
START_TEST(a_signal_is_added_without_a_past)
{
	struct polling *p = make_poller();

	install(SIGUSR1, handle);
	raise_times(SIGUSR1, 1);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	expect_nothing(p);
	raise_times(SIGUSR1, 3);
	expect_ok(polling_delete_signal(p, SIGUSR1));
	expect_nothing(p);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 2));
	expect_nothing_for(p, 10);
	raise_times(SIGUSR1, 1);
	expect_signal(p, 0, 2, 1);
	ck_assert_int_eq(atomic_load(&handled), 1);
	polling_destroy(p);
}
END_TEST

#define POLLERS 40

/* 83: each poller is told, whatever the others do */
START_TEST(every_poller_is_told)
{
	struct polling *p[POLLERS];
	struct sigaction old = disposition(SIGUSR1);

	for (uintptr_t i = 0; i < POLLERS; i++) {
		p[i] = make_poller();
		expect_ok(polling_add_signal(p[i], SIGUSR1, POLLING_LEVEL, i));
	}
	raise_times(SIGUSR1, 3);
	for (uintptr_t i = 0; i < POLLERS; i++) {
		expect_signal(p[i], 0, i, 3);
		expect_nothing(p[i]);
	}
	/* Those that delete it leave it to the others. */
	for (uintptr_t i = 0; i < POLLERS; i++) {
		raise_times(SIGUSR1, 2);
		for (uintptr_t j = i; j < POLLERS; j++)
			expect_signal(p[j], 0, j, 2);
		if (i % 2)
			expect_ok(polling_delete_signal(p[i], SIGUSR1));
		else
			polling_destroy(p[i]);
	}
	expect_disposition(SIGUSR1, &old);
	for (int i = 1; i < POLLERS; i += 2)
		polling_destroy(p[i]);
}
END_TEST

/* Each signal has its own event, and a small capacity loses none. */
START_TEST(several_signals_are_told_apart)
{
	static const int numbers[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM};
	struct polling *p = make_poller();
	struct polling_event events[8];
	int capacity = _i, count = 0, n;

	for (uintptr_t i = 0; i < 4; i++) {
		expect_ok(
		    polling_add_signal(p, numbers[i], POLLING_LEVEL, i + 1));
		raise_times(numbers[i], (int)i + 1);
	}
	for (int waits = 0; count < 4; waits++) {
		n = wait_ms(p, events + count, capacity, 0);
		ck_assert_int_ge(n, 1);
		ck_assert_int_lt(waits, 4);
		count += n;
	}
	ck_assert_int_eq(count, 4);
	for (int i = 0; i < 4; i++) {
		/* The key says how often. */
		ck_assert_uint_eq(events[i].events, POLLING_SIGNAL);
		ck_assert_uint_eq(events[i].data, events[i].key);
		for (int j = 0; j < i; j++)
			ck_assert_uint_ne(events[i].key, events[j].key);
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* Signals and descriptors in one wait, neither of which starves. */
START_TEST(signals_and_descriptors_share_a_wait)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	polling_fd pair[2];
	int signals = 0, writable = 0;

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, POLLING_LEVEL, 1));
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 2));
	for (int i = 0; i < 40; i++) {
		raise_times(SIGUSR1, 1);
		ck_assert_int_eq(wait_ms(p, &event, 1, -1), 1);
		signals += event.key == 2;
		writable += event.key == 1;
	}
	ck_assert_int_ge(signals, 5);
	ck_assert_int_ge(writable, 5);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* errno is the interrupted code's. */
START_TEST(a_signal_leaves_errno_alone)
{
	struct polling *p = make_poller();
	int error;

	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	for (int i = 0; i < 20; i++) {
		errno = E2BIG;
		(void)raise(SIGUSR1);
		error = errno;
		ck_assert_int_eq(error, E2BIG);
	}
	expect_signal(p, 0, 1, 20);
	polling_destroy(p);
}
END_TEST

/* A signal that every thread blocks comes when it is unblocked. */
START_TEST(a_blocked_signal_does_not_come)
{
	struct polling *p = make_poller();
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	expect_nothing(p);
	expect_nothing_for(p, 20);
	ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	expect_signal(p, LONG_MS, 1, 1);
	polling_destroy(p);
}
END_TEST

/* The signal's own action */

static const int fatal_signals[] = {
    SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2,
    SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD, SIGXCPU,
#ifdef SIGRTMIN
    0 /* the first real-time signal */
#endif
};
#define FATAL_SIGNALS ((int)(sizeof(fatal_signals) / sizeof(fatal_signals[0])))

static int
fatal_signal(int i)
{
#ifdef SIGRTMIN
	if (fatal_signals[i] == 0)
		return SIGRTMIN;
#endif
	return fatal_signals[i];
}

/* 83: it would end or stop the process */
START_TEST(the_default_action_is_suppressed)
{
	int signo = fatal_signal(_i);
	struct polling *p = make_poller();
	struct sigaction old;

	install(signo, SIG_DFL);
	old = disposition(signo);
	expect_ok(polling_add_signal(p, signo, POLLING_ONESHOT, 1));
	raise_times(signo, 2);
	expect_signal(p, 0, 1, 2);
	/* Disarmed, it is suppressed too. */
	raise_times(signo, 1);
	expect_nothing(p);
	expect_ok(polling_delete_signal(p, signo));
	expect_disposition(signo, &old);
	polling_destroy(p);
}
END_TEST

/* 83: the program's own disposition is back, as it was, after the last */
START_TEST(the_old_disposition_returns)
{
	struct polling *p = make_poller(), *q = make_poller();
	struct sigaction old;

	install(SIGUSR1, old_handlers[_i]);
	old = disposition(SIGUSR1);
	for (int round = 0; round < 3; round++) {
		expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
		expect_ok(polling_add_signal(q, SIGUSR1, POLLING_LEVEL, 2));
		raise_times(SIGUSR1, 2);
		expect_signal(p, 0, 1, 2);
		expect_signal(q, 0, 2, 2);
		ck_assert_int_eq(atomic_load(&handled), 0);
		expect_ok(polling_delete_signal(p, SIGUSR1));
		raise_times(SIGUSR1, 1);
		expect_nothing(p);
		expect_signal(q, 0, 2, 1);
		expect_ok(polling_delete_signal(q, SIGUSR1));
		expect_disposition(SIGUSR1, &old);
	}
	if (old_handlers[_i] != SIG_DFL)
		raise_times(SIGUSR1, 1);
	ck_assert_int_eq(atomic_load(&handled), old_handlers[_i] == handle);
	polling_destroy(p);
	polling_destroy(q);
}
END_TEST

START_TEST(destroy_deletes_the_signals)
{
	struct polling *p = make_poller(), *q = make_poller();
	struct sigaction usr1, usr2;

	install(SIGUSR1, old_handlers[_i]);
	install(SIGUSR2, old_handlers[(_i + 1) % OLD_HANDLERS]);
	usr1 = disposition(SIGUSR1);
	usr2 = disposition(SIGUSR2);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	expect_ok(polling_add_signal(p, SIGUSR2, POLLING_ONESHOT, 2));
	expect_ok(polling_add_signal(q, SIGUSR2, POLLING_LEVEL, 3));
	raise_times(SIGUSR2, 1);
	expect_signal(p, 0, 2, 1);
	raise_times(SIGUSR1, 1);
	polling_destroy(p);
	expect_disposition(SIGUSR1, &usr1);
	/* The other poller's stays, and is still heard. */
	raise_times(SIGUSR2, 1);
	expect_signal(q, 0, 3, 2);
	polling_destroy(q);
	expect_disposition(SIGUSR2, &usr2);
}
END_TEST

/* What the program has installed meanwhile is left alone. */
START_TEST(a_later_handler_is_left_alone)
{
	struct polling *p = make_poller();
	struct sigaction new;

	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	install(SIGUSR1, old_handlers[_i]);
	new = disposition(SIGUSR1);
	if (old_handlers[_i] == handle) {
		raise_times(SIGUSR1, 1);
		ck_assert_int_eq(atomic_load(&handled), 1);
		ck_assert_int_eq(atomic_load(&handled_signo), SIGUSR1);
	}
	if (_i % 2) {
		expect_ok(polling_delete_signal(p, SIGUSR1));
		polling_destroy(p);
	} else {
		polling_destroy(p);
	}
	expect_disposition(SIGUSR1, &new);
	/* And it is the old one of the next registration. */
	p = make_poller();
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	raise_times(SIGUSR1, 1);
	expect_signal(p, 0, 1, 1);
	polling_destroy(p);
	expect_disposition(SIGUSR1, &new);
}
END_TEST

/* A refused call touches nothing. */
START_TEST(no_disposition_is_touched_unasked)
{
	struct sigaction old[NSIG];
	struct polling *p;

	for (int signo = 1; signo < NSIG; signo++)
		(void)sigaction(signo, NULL, &old[signo]);
	p = make_poller();
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	raise_times(SIGUSR1, 1);
	expect_signal(p, 0, 1, 1);
	for (int signo = 1; signo < NSIG; signo++) {
		struct sigaction now;

		if (signo != SIGUSR1 && sigaction(signo, NULL, &now) == 0)
			expect_disposition(signo, &old[signo]);
	}
	polling_destroy(p);
}
END_TEST

/* Threads */

static void
block(int signo)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, signo);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static void
raise_here(void *argument)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, *(int *)argument);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)raise(*(int *)argument);
}

/* 83: in each way to wait, handled by a thread that does not */
START_TEST(another_thread_takes_the_signal)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	int signo = SIGUSR1;
	struct delayed *d;
	int64_t start;

	expect_ok(polling_add_signal(p, signo, POLLING_LEVEL, 1));
	block(signo);
	for (int round = 0; round < 3; round++) {
		start = now_ns();
		d = run_after(30, raise_here, &signo);
		ck_assert_int_eq(wait_as(p, &event, 1, _i), 1);
		expect_elapsed(start, 30, LONG_MS);
		ck_assert_uint_eq(event.key, 1);
		ck_assert_uint_eq(event.events, POLLING_SIGNAL);
		ck_assert_uint_eq(event.data, 1);
		join_delayed(d);
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* A thread and a signal that it is to get. */
struct target {
	pthread_t thread;
	int signo;
};

static void
send_to(void *argument)
{
	struct target *t = argument;

	(void)pthread_kill(t->thread, t->signo);
}

/* The waiting thread takes it itself: the wait ends with the event. _i: with
 * POLLING_INTERRUPTIBLE, which is about other signals. */
START_TEST(the_waiting_thread_takes_the_signal)
{
	struct polling *p = make_poller_with(
	    _i == 1 ? POLLING_INTERRUPTIBLE : 0);
	struct target t = {pthread_self(), SIGUSR1};
	struct polling_event event = {0, 0, 0};
	struct delayed *d;
	int n;

	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	for (int round = 0; round < 10; round++) {
		d = run_after(10, send_to, &t);
		n = wait_ms(p, &event, 1, -1);
		ck_assert_msg(n == 1, "the wait returned %d (%s)", n,
		    n == -1 ? strerror(errno) : "");
		ck_assert_uint_eq(event.key, 1);
		ck_assert_uint_eq(event.events, POLLING_SIGNAL);
		ck_assert_uint_eq(event.data, 1);
		join_delayed(d);
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* Another signal, with a handler of the program's, interrupts as ever. */
START_TEST(another_signal_interrupts)
{
	struct polling *p = make_poller_with(POLLING_INTERRUPTIBLE);
	struct target t = {pthread_self(), SIGUSR2};
	struct polling_event event = {0, 0, 0};
	int n, sent = 0;

	install(SIGUSR2, handle);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	/* On a busy machine it may come before the wait. */
	do {
		struct delayed *d = run_after(30, send_to, &t);

		sent++;
		n = wait_ms(p, &event, 1, 1000);
		ck_assert(n == 0 || (n == -1 && errno == EINTR));
		join_delayed(d);
	} while (n == 0 && sent < 20);
	ck_assert_int_eq(n, -1);
	ck_assert_int_eq(atomic_load(&handled), sent);
	raise_times(SIGUSR1, 1);
	expect_signal(p, 0, 1, 1);
	polling_destroy(p);
}
END_TEST

/* A registration while a thread is blocked in a wait, and the next. */
static void
add_and_raise(void *argument)
{
	struct polling *p = argument;

	if (polling_add_signal(p, SIGUSR1, POLLING_ONESHOT, 1) == 0)
		(void)raise(SIGUSR1);
}

static void
arm_again(void *argument)
{
	(void)polling_modify_signal(argument, SIGUSR1, POLLING_ONESHOT, 2);
}

START_TEST(a_blocked_wait_learns_of_a_signal)
{
	struct polling *p = make_poller();
	struct delayed *d = run_after(30, add_and_raise, p);

	expect_signal(p, LONG_MS, 1, 1);
	join_delayed(d);
	raise_times(SIGUSR1, 3);
	expect_nothing(p);
	/* Armed with something to tell. */
	d = run_after(30, arm_again, p);
	expect_signal(p, LONG_MS, 2, 3);
	join_delayed(d);
	polling_destroy(p);
}
END_TEST

struct hearing {
	struct polling *p;
	int rounds; /* for send_signals() */
	atomic_int events;
	atomic_int total; /* of their counts */
	struct trouble trouble;
};

#define END_KEY UINTPTR_MAX

/* Waits for signals until a post tells to stop, which it hands on. */
static void *
hear_signals(void *argument)
{
	struct hearing *h = argument;
	struct polling_event event, end = {END_KEY, 0, 0};

	for (;;) {
		if (!check_that(&h->trouble, wait_ms(h->p, &event, 1, -1) == 1))
			return NULL;
		if (event.key == END_KEY)
			break;
		check_that(&h->trouble, event.key == 1 &&
					    event.events == POLLING_SIGNAL &&
					    event.data >= 1);
		atomic_fetch_add(&h->events, 1);
		atomic_fetch_add(&h->total, (int)event.data);
	}
	check_that(&h->trouble, polling_post(h->p, &end) == 0);
	return NULL;
}

static void
end_hearing(struct crew *crew, struct hearing *h)
{
	expect_ok(polling_post(h->p, &(struct polling_event){END_KEY, 0, 0}));
	crew_join(crew);
	expect_no_trouble(&h->trouble);
}

/* 83: at 1 kHz for a second with four waiters, to the process and not to a
 * thread. Each of raised signals is counted once. */
START_TEST(no_signal_is_lost_or_told_twice)
{
	struct hearing h = {.p = make_poller()};
	struct crew crew = {0};
	int rounds = scaled(1000);
	bool all;

	expect_ok(polling_add_signal(h.p, SIGUSR1, POLLING_LEVEL, 1));
	for (int i = 0; i < 4; i++)
		crew_start(&crew, hear_signals, &h);
	for (int i = 0; i < rounds; i++) {
		raise_times(SIGUSR1, 1);
		sleep_ms(1);
	}
	all = reaches(&h.trouble, &h.total, rounds);
	end_hearing(&crew, &h);
	ck_assert_msg(
	    all, "%d of %d signals came", atomic_load(&h.total), rounds);
	ck_assert_int_eq(atomic_load(&h.total), rounds);
	polling_destroy(h.p);
}
END_TEST

static void *
send_signals(void *argument)
{
	struct hearing *h = argument;

	for (int i = 0; i < h->rounds; i++)
		check_that(&h->trouble, raise(SIGUSR1) == 0);
	return NULL;
}

/* Signals that come while a wait is under way are the next one's. */
START_TEST(a_wait_tells_a_signal_once)
{
	static struct hearing h;
	struct polling_event events[4];
	struct crew crew = {0};
	int total = 0;
	int64_t give_up = patience();

	h.p = make_poller();
	h.rounds = scaled(50000);
	expect_ok(polling_add_signal(h.p, SIGUSR1, POLLING_LEVEL, 1));
	crew_start(&crew, send_signals, &h);
	while (total < h.rounds && now_ns() < give_up) {
		int n = wait_ms(h.p, events, 4, 10);

		ck_assert_msg(n <= 1, "%d events of one signal", n);
		total += n == 1 ? (int)events[0].data : 0;
	}
	crew_join(&crew);
	expect_no_trouble(&h.trouble);
	ck_assert_int_eq(total, h.rounds);
	expect_nothing(h.p);
	polling_destroy(h.p);
}
END_TEST

#if defined(SIGRTMIN) && defined(_POSIX_REALTIME_SIGNALS)

/* ThreadSanitizer holds back the signals that come from elsewhere, and takes
 * those of one number for one. */
#define SIGNALS_MERGE SANITIZED_BY_THREAD

/* 83: real-time signals queue up, so those to the process are counted too */
START_TEST(no_real_time_signal_is_lost)
{
	struct hearing h = {.p = make_poller()};
	union sigval value = {.sival_int = 0};
	struct crew crew = {0};
	int rounds = scaled(20000), least = SIGNALS_MERGE ? 1 : rounds;
	bool all;

	expect_ok(polling_add_signal(h.p, SIGRTMIN + 1, POLLING_LEVEL, 1));
	for (int i = 0; i < 4; i++)
		crew_start(&crew, hear_signals, &h);
	for (int i = 0; i < rounds; i++) {
		while (sigqueue(getpid(), SIGRTMIN + 1, value) != 0) {
			ck_assert_int_eq(errno, EAGAIN);
			(void)sched_yield();
		}
		if (i % 100 == 0)
			sleep_ms(1);
	}
	all = reaches(&h.trouble, &h.total, least);
	end_hearing(&crew, &h);
	ck_assert_msg(
	    all, "%d of %d signals came", atomic_load(&h.total), rounds);
	ck_assert_int_le(atomic_load(&h.total), rounds);
	polling_destroy(h.p);
}
END_TEST

#else

START_TEST(no_real_time_signal_is_lost)
{
	SKIP("no real-time signals on this system");
}
END_TEST

#endif

/* A thread that adds, arms and deletes while signals come. */
struct registrar {
	struct polling *p;
	int rounds;
	atomic_int *done;
	atomic_int told;
	struct trouble trouble;
};

static void *
register_again_and_again(void *argument)
{
	struct registrar *r = argument;
	struct trouble *t = &r->trouble;
	struct polling_event event = {0, 0, 0};

	for (int i = 0; i < r->rounds && !in_trouble(t); i++) {
		int n;

		check_that(t,
		    polling_add_signal(r->p, SIGUSR1, POLLING_ONESHOT, 1) == 0);
		n = wait_ms(r->p, &event, 1, i % 8 == 0 ? 1 : 0);
		check_that(t, n == 0 || n == 1);
		if (n == 1) {
			check_that(t, event.key == 1 && event.data >= 1 &&
					  event.events == POLLING_SIGNAL);
			atomic_fetch_add(&r->told, (int)event.data);
		}
		check_that(t, polling_modify_signal(
				  r->p, SIGUSR1, POLLING_LEVEL, 2) == 0);
		check_that(t, polling_delete_signal(r->p, SIGUSR1) == 0);
		check_that(t, wait_ms(r->p, &event, 1, 0) == 0);
	}
	atomic_fetch_add(r->done, 1);
	return NULL;
}

#define REGISTRARS 3

/*
 * qemu-arm 7.2 looks twice at the disposition of a signal that comes: while it
 * changes between a handler with SA_SIGINFO and one without, the frame is for
 * the one and the return from it for the other, and the program crashes,
 * whether it uses the library or not. To try that out takes luck, so whoever
 * runs the tests by qemu says so.
 */
static bool
handlers_may_change_kind(void)
{
	return getenv("POLLING_TEST_QEMU") == NULL;
}

/*
 * The disposition changes between the library's and the program's, and never
 * to what would end the process.
 */
START_TEST(registration_races_with_signals)
{
	static struct registrar r[REGISTRARS];
	struct sigaction old;
	struct crew crew = {0};
	atomic_int done = 0;
	int sent = 0;

	if (handlers_may_change_kind()) {
		install(SIGUSR1, handle);
	} else {
		harness_note("handlers of one kind, since this is qemu");
		install(SIGUSR1, handle_plainly);
	}
	old = disposition(SIGUSR1);
	for (int i = 0; i < REGISTRARS; i++) {
		r[i].p = make_poller();
		r[i].rounds = scaled(5000);
		r[i].done = &done;
		crew_start(&crew, register_again_and_again, &r[i]);
	}
	while (atomic_load(&done) < REGISTRARS) {
		ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
		sent++;
		if (sent % 4 == 0)
			(void)sched_yield();
	}
	crew_join(&crew);
	expect_disposition(SIGUSR1, &old);
	ck_assert_int_le(atomic_load(&handled), sent);
	for (int i = 0; i < REGISTRARS; i++) {
		expect_no_trouble(&r[i].trouble);
		ck_assert_int_le(atomic_load(&r[i].told), sent);
		polling_destroy(r[i].p);
	}
}
END_TEST

/* Whoever adds a signal gets it, or the program's handler does. */
struct stream {
	struct polling *p;
	int rounds;
	atomic_int ready; /* rounds that the thread was about to add it in */
	struct trouble trouble;
};

static void *
add_in_the_stream(void *argument)
{
	struct stream *s = argument;
	struct polling_event event = {0, 0, 0};
	uint32_t random = 1;

	for (int i = 1; i <= s->rounds && !in_trouble(&s->trouble); i++) {
		int before = atomic_load(&handled);

		atomic_store(&s->ready, i);
		random = random * 1103515245u + 12345;
		for (volatile uint32_t n = (random >> 16) % 4000; n > 0; n--)
			continue;
		(void)check_that(&s->trouble,
		    polling_add_signal(s->p, SIGUSR1, POLLING_LEVEL, 1) == 0);
		if (wait_ms(s->p, &event, 1,
			atomic_load(&handled) == before ? LONG_MS : 0) != 1)
			(void)check_that(
			    &s->trouble, atomic_load(&handled) != before);
		(void)check_that(
		    &s->trouble, polling_delete_signal(s->p, SIGUSR1) == 0);
	}
	atomic_store(&s->ready, -1);
	return NULL;
}

/* One signal for each round, which comes while it is added. */
START_TEST(a_signal_that_comes_as_it_is_added_is_not_lost)
{
	struct stream s = {.p = make_poller(), .rounds = scaled(20000)};
	struct crew crew = {0};
	int ready, last = 0;
	sigset_t all, old;

	install(SIGUSR1, handle);
	crew_start(&crew, add_in_the_stream, &s);
	(void)sigfillset(&all);
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &all, &old), 0);
	while ((ready = atomic_load(&s.ready)) >= 0) {
		if (ready == last)
			continue;
		last = ready;
		ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	}
	ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
	crew_join(&crew);
	expect_no_trouble(&s.trouble);
	polling_destroy(s.p);
}
END_TEST

/* A signal may interrupt any call of the library. */
START_TEST(signals_come_inside_the_library)
{
	struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
	struct polling *p = make_poller();
	struct polling_event events[4], post = {3, 0, 0};
	int alarms = 0, posts = 0, n;

	expect_ok(polling_add_signal(p, SIGALRM, POLLING_LEVEL, 1));
	ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
	for (int i = 0; i < scaled(20000) || alarms == 0; i++) {
		expect_ok(polling_post(p, &post));
		expect_ok(polling_add_timer(p, 1, MS(3600000), NULL, 2));
		expect_ok(polling_add_signal(p, SIGUSR1, POLLING_ONESHOT, 4));
		expect_ok(polling_modify_signal(p, SIGALRM, POLLING_LEVEL, 1));
		n = wait_ms(p, events, 4, 0);
		ck_assert_int_ge(n, 1);
		for (int j = 0; j < n; j++) {
			posts += events[j].key == 3;
			alarms += events[j].key == 1;
		}
		expect_ok(polling_delete_timer(p, 1));
		expect_ok(polling_delete_signal(p, SIGUSR1));
		if (i % 500 == 499)
			ck_assert_int_eq(posts, i + 1);
	}
	ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
	ck_assert_int_gt(alarms, 0);
	polling_destroy(p);
}
END_TEST

static void
add_signal_threads(Suite *s)
{
	CASE_LOOP(
	    s, another_thread_takes_the_signal, CASE_SECONDS, 0, WAIT_KINDS);
	CASE_LOOP(s, the_waiting_thread_takes_the_signal, CASE_SECONDS, 0, 2);
	CASE(s, another_signal_interrupts);
	CASE(s, a_blocked_wait_learns_of_a_signal);
	CASE(s, no_signal_is_lost_or_told_twice);
	CASE(s, a_wait_tells_a_signal_once);
	CASE_LIMIT(s, no_real_time_signal_is_lost, 2 * CASE_SECONDS);
	CASE_LIMIT(s, registration_races_with_signals, 2 * CASE_SECONDS);
	CASE(s, a_signal_that_comes_as_it_is_added_is_not_lost);
	CASE_LIMIT(s, signals_come_inside_the_library, 2 * CASE_SECONDS);
}

void
add_signals(Suite *s)
{
	CASE(s, signals_are_supported);
	CASE(s, numbers_that_are_no_signal_are_refused);
	CASE(s, every_signal_can_be_added);
	CASE(s, a_signal_is_added_once);
	CASE(s, unknown_modes_are_refused);
	CASE_MODES(s, a_burst_is_counted);
	CASE_LOOP(s, a_oneshot_signal_is_reported_once, CASE_SECONDS, 0, 2);
	CASE(s, modify_replaces_the_key);
	CASE(s, a_signal_is_added_without_a_past);
	CASE(s, every_poller_is_told);
	CASE_LOOP(s, several_signals_are_told_apart, CASE_SECONDS, 1, 5);
	CASE(s, signals_and_descriptors_share_a_wait);
	CASE(s, a_signal_leaves_errno_alone);
	CASE(s, a_blocked_signal_does_not_come);
	CASE_LOOP(s, the_default_action_is_suppressed, CASE_SECONDS, 0,
	    FATAL_SIGNALS);
	CASE_LOOP(
	    s, the_old_disposition_returns, CASE_SECONDS, 0, OLD_HANDLERS);
	CASE_LOOP(
	    s, destroy_deletes_the_signals, CASE_SECONDS, 0, OLD_HANDLERS);
	CASE_LOOP(
	    s, a_later_handler_is_left_alone, CASE_SECONDS, 0, OLD_HANDLERS);
	CASE(s, no_disposition_is_touched_unasked);
	add_signal_threads(s);
}
