/* SPDX-License-Identifier: MIT */
/*
 * Processes as sources. The numbers are those of the conformance catalogue,
 * part H.
 *
 * A kid is a child that does nothing until it is told to end, through a pipe
 * whose other end only the case holds.
 */
#include "harness.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "counted.h"
#include "crew.h"
#include "scenes.h"

struct kid {
	pid_t pid;
	int line; /* closing it ends the kid */
};

/* What a kid does: it reads until the end, and is gone. */
static void
be_a_kid(int line, int status)
{
	char byte;

	while (read(line, &byte, 1) == -1 && errno == EINTR)
		;
	_exit(status);
}

/*
 * Kids that end together. Those that are started later hold the line too, so
 * the last ones have to end first.
 */
static void
start_kids(struct kid *kids, int count, int status)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	for (int i = 0; i < count; i++) {
		kids[i].line = fds[1];
		kids[i].pid = fork();
		ck_assert_int_ne(kids[i].pid, -1);
		if (kids[i].pid == 0) {
			(void)close(fds[1]);
			be_a_kid(fds[0], status);
		}
	}
	(void)close(fds[0]);
}

static struct kid
start_kid(int status)
{
	struct kid k;

	start_kids(&k, 1, status);
	return k;
}

static void
end_kid(struct kid *k)
{
	(void)close(k->line);
}

static void
end_kid_later(void *argument)
{
	end_kid(argument);
}

/* Until it has ended; it stays to be waited for. */
static void
await_end(pid_t pid)
{
	siginfo_t info;
	int result;

	do
		result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	while (result == -1 && errno == EINTR);
	ck_assert_int_eq(result, 0);
}

/* Its wait status, which is still there. */
static int
reap(pid_t pid)
{
	int status = -1;
	pid_t result;

	do
		result = waitpid(pid, &status, 0);
	while (result == -1 && errno == EINTR);
	ck_assert_msg(result == pid, "waitpid: %s", strerror(errno));
	return status;
}

#define expect_exit(pid, code)                                  \
	do {                                                    \
		int status_ = reap(pid);                        \
		ck_assert(WIFEXITED(status_));                  \
		ck_assert_int_eq(WEXITSTATUS(status_), (code)); \
	} while (0)

/* Arguments */

START_TEST(processes_are_supported)
{
	struct polling *p = make_poller();

	ck_assert_int_eq(polling_supports(p, POLLING_FEATURE_PROCESS), 1);
	polling_destroy(p);
}
END_TEST

static const uint32_t no_conditions[] = {POLLING_IN, POLLING_OUT, POLLING_HUP,
    POLLING_ERR, POLLING_TIMER, POLLING_SIGNAL, 0x00200000u, 0x80000000u,
    UINT32_MAX, POLLING_EXIT | POLLING_IN, POLLING_EXIT | 0x40000000u};

START_TEST(unknown_bits_are_refused)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);

	for (size_t i = 0; i < sizeof(no_conditions) / sizeof(no_conditions[0]);
	     i++)
		expect_error(
		    polling_add_process(p, k.pid, no_conditions[i], 1), EINVAL);
	expect_error(polling_delete_process(p, k.pid), ENOENT);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	for (size_t i = 0; i < sizeof(no_conditions) / sizeof(no_conditions[0]);
	     i++)
		expect_error(
		    polling_modify_process(p, k.pid, no_conditions[i], 2),
		    EINVAL);
	expect_error(polling_add_process(NULL, k.pid, POLLING_EXIT, 1), EFAULT);
	expect_error(
	    polling_modify_process(NULL, k.pid, POLLING_EXIT, 1), EFAULT);
	expect_error(polling_delete_process(NULL, k.pid), EFAULT);
	/* It is as it was. */
	end_kid(&k);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_exit(k.pid, 0);
	polling_destroy(p);
}
END_TEST

START_TEST(forks_need_the_feature)
{
	static const uint32_t bits[] = {POLLING_FORK, POLLING_EXEC,
	    POLLING_FORK | POLLING_EXEC | POLLING_EXIT};
	struct polling *p = make_poller();
	bool there = polling_supports(p, POLLING_FEATURE_PROCESS_FORK);
	struct kid k = start_kid(0);

	for (size_t i = 0; i < 3; i++) {
		if (there) {
			expect_ok(polling_add_process(p, k.pid, bits[i], 1));
			expect_ok(polling_modify_process(p, k.pid, bits[i], 1));
			expect_ok(polling_delete_process(p, k.pid));
		} else {
			expect_error(
			    polling_add_process(p, k.pid, bits[i], 1), ENOTSUP);
			expect_error(polling_delete_process(p, k.pid), ENOENT);
		}
	}
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 2));
	if (!there)
		expect_error(
		    polling_modify_process(p, k.pid, POLLING_EXEC, 3), ENOTSUP);
	end_kid(&k);
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_exit(k.pid, 0);
	polling_destroy(p);
}
END_TEST

/* 84 */
START_TEST(an_unknown_process_is_refused)
{
	static const polling_pid numbers[] = {
	    0, -1, -2, INT_MAX, INT_MIN, INT_MAX - 1};
	struct polling *p = make_poller();
	struct kid k = start_kid(0);

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		expect_error(
		    polling_add_process(p, numbers[i], POLLING_EXIT, 1), ESRCH);
		expect_error(polling_add_process(p, numbers[i], 0, 1), ESRCH);
		expect_error(polling_delete_process(p, numbers[i]), ENOENT);
	}
	/* One that was, and was waited for. */
	end_kid(&k);
	expect_exit(k.pid, 0);
	expect_error(polling_add_process(p, k.pid, POLLING_EXIT, 1), ESRCH);
	expect_error(polling_modify_process(p, k.pid, POLLING_EXIT, 1), ENOENT);
	expect_error(polling_delete_process(p, k.pid), ENOENT);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

START_TEST(a_process_is_added_once)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(3);

	expect_error(polling_modify_process(p, k.pid, POLLING_EXIT, 1), ENOENT);
	expect_error(polling_delete_process(p, k.pid), ENOENT);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_error(polling_add_process(p, k.pid, POLLING_EXIT, 2), EEXIST);
	expect_error(polling_add_process(p, k.pid, 0, 2), EEXIST);
	expect_nothing(p);
	end_kid(&k);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_error(polling_add_process(p, k.pid, POLLING_EXIT, 2), EEXIST);
	/* A source that has reported is still there, but only once. */
	expect_ok(polling_delete_process(p, k.pid));
	expect_error(polling_delete_process(p, k.pid), ENOENT);
	expect_error(polling_modify_process(p, k.pid, POLLING_EXIT, 1), ENOENT);
	expect_exit(k.pid, 3);
	polling_destroy(p);
}
END_TEST

/* Exits */

#if HAVE_PTHREAD_SETCANCELSTATE
/* A thread that is to be cancelled while it adds and deletes. */
struct cancelled {
	struct polling *p;
	pid_t pid;
	int added, deleted;
};

static void *
watch_cancelled(void *argument)
{
	struct cancelled *c = argument;

	(void)pthread_cancel(pthread_self());
	c->added = polling_add_process(c->p, c->pid, POLLING_EXIT, 1);
	c->deleted = polling_delete_process(c->p, c->pid);
	pthread_testcancel();
	return NULL;
}

/* One that went in the middle would leave the poller locked. */
START_TEST(a_cancelled_thread_watches_to_the_end)
{
	struct cancelled c = {make_poller(), -1, -1, -1};
	struct kid k = start_kid(0);
	pthread_t thread;
	void *result;

	c.pid = k.pid;
	ck_assert_int_eq(pthread_create(&thread, NULL, watch_cancelled, &c), 0);
	ck_assert_int_eq(pthread_join(thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	ck_assert_int_eq(c.added, 0);
	ck_assert_int_eq(c.deleted, 0);
	end_kid(&k);
	expect_exit(k.pid, 0);
	polling_destroy(c.p);
}
END_TEST
#endif

/* A program closes what it has registered, and the library opens a descriptor
 * for a process, which gets that number. _i: which kind it was. */
START_TEST(a_process_takes_the_place_of_a_closed_descriptor)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);
	int fds[3], pairs[3][2];

	for (int i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		put_bytes(pairs[i][1], 1);
		fds[i] = _i == 0 ? open("/dev/null", O_RDWR) : pairs[i][0];
		expect_ok(polling_add(
		    p, fds[i], POLLING_IN, POLLING_LEVEL, (uintptr_t)i + 1));
	}
	(void)close(fds[1]);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 9));
	for (int i = 0; i < 3; i++)
		expect_events(p, 0, {1, POLLING_IN}, {3, POLLING_IN});
	end_kid(&k);
	await_end(k.pid);
	expect_events(
	    p, LONG_MS, {1, POLLING_IN}, {3, POLLING_IN}, {9, POLLING_EXIT});
	expect_ok(polling_delete(p, fds[0]));
	expect_ok(polling_delete(p, fds[2]));
	expect_nothing(p);
	expect_ok(polling_delete_process(p, k.pid));
	expect_exit(k.pid, 0);
	polling_destroy(p);
	for (int i = 0; i < 3; i++) {
		if (i != 1 || _i == 0)
			(void)close(pairs[i][0]);
		(void)close(pairs[i][1]);
		if (i != 1 && _i == 0)
			(void)close(fds[i]);
	}
}
END_TEST

/* 84: with the ways to wait */
START_TEST(an_exit_ends_a_wait)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	struct kid k = start_kid(42);
	struct delayed *d;
	int64_t start = now_ns();

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, UINTPTR_MAX));
	expect_nothing_for(p, 20);
	d = run_after(30, end_kid_later, &k);
	ck_assert_int_eq(wait_as(p, &event, 1, _i), 1);
	expect_elapsed(start, 50, LONG_MS);
	join_delayed(d);
	ck_assert_uint_eq(event.key, UINTPTR_MAX);
	ck_assert_uint_eq(event.events, POLLING_EXIT);
	/* Told once. */
	expect_nothing(p);
	expect_nothing_for(p, 30);
	/* 84: the status is kept */
	expect_exit(k.pid, 42);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* 84: dead, but not yet waited for */
START_TEST(an_exit_before_the_add_is_reported)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(7);

	end_kid(&k);
	await_end(k.pid);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing_for(p, 20);
	expect_ok(polling_delete_process(p, k.pid));
	/* And again, since it is still there. */
	expect_ok(polling_add_process(p, k.pid, 0, 2));
	expect_nothing_for(p, 20);
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 3));
	expect_events(p, LONG_MS, {3, POLLING_EXIT});
	expect_ok(polling_delete_process(p, k.pid));
	expect_exit(k.pid, 7);
	polling_destroy(p);
}
END_TEST

/* Waited for by somebody else before the wait looks. */
START_TEST(an_exit_is_reported_after_waitpid)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(7);

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	if (_i == 1)
		expect_nothing_for(p, 10);
	end_kid(&k);
	expect_exit(k.pid, 7);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing_for(p, 20);
	expect_ok(polling_delete_process(p, k.pid));
	polling_destroy(p);
}
END_TEST

START_TEST(a_killed_process_has_ended)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);
	int status;

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	ck_assert_int_eq(kill(k.pid, SIGKILL), 0);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	status = reap(k.pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	end_kid(&k);
	polling_destroy(p);
}
END_TEST

static int
next_status(pid_t pid, int flags)
{
	int status = -1;

	while (waitpid(pid, &status, flags) == -1)
		ck_assert_int_eq(errno, EINTR);
	return status;
}

START_TEST(a_stopped_process_has_not_ended)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(5);
	int status;

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	ck_assert_int_eq(kill(k.pid, SIGSTOP), 0);
	status = next_status(k.pid, WUNTRACED);
	/* On some systems this takes the address of what it is given. */
	ck_assert(WIFSTOPPED(status));
	expect_nothing_for(p, 20);
	end_kid(&k);
	expect_nothing_for(p, 20);
	ck_assert_int_eq(kill(k.pid, SIGCONT), 0);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_exit(k.pid, 5);
	polling_destroy(p);
}
END_TEST

/* Another program in the process is no end of it. */
START_TEST(an_exec_is_no_exit)
{
	struct polling *p = make_poller();
	int fds[2], ready[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		(void)close(fds[1]);
		(void)dup2(fds[0], 0);
		(void)dup2(ready[1], 1);
		(void)execl("/bin/sh", "sh", "-c", "echo; read x; exit 9",
		    (char *)NULL);
		_exit(1);
	}
	(void)close(fds[0]);
	(void)close(ready[1]);
	expect_ok(polling_add_process(p, pid, POLLING_EXIT, 1));
	ck_assert_int_eq((int)read(ready[0], &byte, 1), 1);
	expect_nothing_for(p, 20);
	(void)close(fds[1]);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_exit(pid, 9);
	(void)close(ready[0]);
	polling_destroy(p);
}
END_TEST

START_TEST(a_disarmed_process_is_reported_when_armed)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(1);

	expect_ok(polling_add_process(p, k.pid, 0, 1));
	end_kid(&k);
	await_end(k.pid);
	expect_nothing_for(p, 30);
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 2));
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_nothing_for(p, 10);
	/* Once for each arming. */
	for (uintptr_t key = 3; key < 6; key++) {
		expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, key));
		expect_events(p, LONG_MS, {key, POLLING_EXIT});
		expect_nothing(p);
	}
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 6));
	expect_ok(polling_modify_process(p, k.pid, 0, 6));
	expect_nothing_for(p, 10);
	expect_ok(polling_delete_process(p, k.pid));
	expect_exit(k.pid, 1);
	polling_destroy(p);
}
END_TEST

#ifdef SYS_gettid
#define TELLS_THREADS 1

static void *
tell_own_number(void *argument)
{
	int *fds = argument;
	pid_t number = (pid_t)syscall(SYS_gettid);
	char byte;

	if (write(fds[1], &number, sizeof(number)) != sizeof(number))
		abort();
	while (read(fds[2], &byte, 1) == -1 && errno == EINTR)
		;
	return NULL;
}

/* 82: on Linux threads have numbers of the same kind */
START_TEST(a_thread_is_no_process)
{
	struct polling *p = make_poller();
	struct thread t;
	pid_t number;
	bool any = polling_add_process(p, getpid(), POLLING_EXIT, 1) == 0;
	int fds[4];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(pipe(fds + 2), 0);
	start_thread(&t, tell_own_number, fds);
	ck_assert_int_eq(
	    (int)read(fds[0], &number, sizeof(number)), (int)sizeof(number));
	ck_assert_int_ne(number, getpid());
	/* Where SIGCHLD tells of processes, only children can be watched, and
	 * so not this one. */
	expect_error(polling_add_process(p, number, POLLING_EXIT, 1),
	    any ? ESRCH : ENOTSUP);
	expect_error(polling_delete_process(p, number), ENOENT);
	expect_ok(close(fds[3]));
	join_thread(&t);
	for (int i = 0; i < 3; i++)
		expect_ok(close(fds[i]));
	polling_destroy(p);
}
END_TEST
#endif

START_TEST(an_exit_while_disarmed_outlives_waitpid)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(1);

	expect_ok(polling_add_process(p, k.pid, 0, 1));
	end_kid(&k);
	expect_exit(k.pid, 1);
	expect_nothing_for(p, 10);
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 2));
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_ok(polling_delete_process(p, k.pid));
	polling_destroy(p);
}
END_TEST

START_TEST(modify_takes_effect_before_the_exit)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_ok(polling_modify_process(p, k.pid, 0, 1));
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 2));
	end_kid(&k);
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_exit(k.pid, 0);
	polling_destroy(p);
}
END_TEST

START_TEST(a_deleted_process_is_not_reported)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_ok(polling_delete_process(p, k.pid));
	end_kid(&k);
	await_end(k.pid);
	expect_nothing_for(p, 30);
	/* Ended, but deleted before a wait looked. */
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 2));
	expect_ok(polling_delete_process(p, k.pid));
	expect_nothing_for(p, 30);
	expect_exit(k.pid, 0);
	polling_destroy(p);
}
END_TEST

/* 84: all at once, in waits of several capacities */
START_TEST(many_processes_end_together)
{
	enum { COUNT = 200 };
	int capacity = _i == 0 ? 1 : _i == 1 ? 33 : COUNT;
	int count = scaled(COUNT);
	struct polling *p = make_poller();
	struct kid kids[COUNT];
	struct polling_event events[COUNT];
	bool seen[COUNT] = {false};
	int n;

	start_kids(kids, count, 11);
	for (uintptr_t i = 0; i < (uintptr_t)count; i++)
		expect_ok(polling_add_process(p, kids[i].pid, POLLING_EXIT, i));
	end_kid(&kids[0]);
	for (int left = count; left > 0; left -= n) {
		n = wait_ms(p, events, capacity, (int)(LONG_MS * time_scale()));
		ck_assert_msg(n > 0, "%d exits did not come", left);
		ck_assert_int_le(n, capacity);
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, (uintptr_t)count);
			ck_assert_uint_eq(events[i].events, POLLING_EXIT);
			ck_assert(!seen[events[i].key]);
			seen[events[i].key] = true;
		}
	}
	expect_nothing(p);
	for (int i = 0; i < count; i++)
		expect_exit(kids[i].pid, 11);
	polling_destroy(p);
}
END_TEST

START_TEST(two_pollers_watch_one_process)
{
	struct polling *p = make_poller(), *q = make_poller(),
		       *r = make_poller();
	struct kid k = start_kid(0);

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_ok(polling_add_process(q, k.pid, POLLING_EXIT, 2));
	expect_ok(polling_add_process(r, k.pid, POLLING_EXIT, 3));
	expect_ok(polling_delete_process(r, k.pid));
	end_kid(&k);
	expect_events(q, LONG_MS, {2, POLLING_EXIT});
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing(p);
	expect_nothing(q);
	expect_nothing(r);
	expect_exit(k.pid, 0);
	polling_destroy(p);
	polling_destroy(q);
	polling_destroy(r);
}
END_TEST

/* The kid, which outlives it, is none of its business any more. */
START_TEST(a_poller_is_destroyed_with_processes)
{
	struct polling *p = make_poller(), *q = make_poller();
	struct kid kids[3];

	start_kids(kids, 3, 0);
	for (int i = 0; i < 3; i++)
		expect_ok(polling_add_process(
		    p, kids[i].pid, i == 0 ? 0 : POLLING_EXIT, 1));
	expect_ok(polling_add_process(q, kids[1].pid, POLLING_EXIT, 2));
	polling_destroy(p);
	end_kid(&kids[0]);
	expect_events(q, LONG_MS, {2, POLLING_EXIT});
	for (int i = 0; i < 3; i++)
		expect_exit(kids[i].pid, 0);
	polling_destroy(q);
}
END_TEST

START_TEST(processes_and_descriptors_share_a_wait)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	struct kid k = start_kid(0);
	polling_fd pair[2];
	bool ended = false;

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, POLLING_LEVEL, 1));
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 2));
	expect_events(p, 0, {1, POLLING_OUT});
	end_kid(&k);
	await_end(k.pid);
	settle();
	/* One at a time, and the exit does not starve. */
	for (int i = 0; i < 10 && !ended; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, -1), 1);
		ended = event.key == 2 && event.events == POLLING_EXIT;
	}
	ck_assert(ended);
	expect_events(p, 0, {1, POLLING_OUT});
	expect_exit(k.pid, 0);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* SIGCHLD */

static atomic_int handled;

static void
handle(int signo)
{
	(void)signo;
	atomic_fetch_add(&handled, 1);
}

/* What a program may do with SIGCHLD. */
enum { DEFAULT, HANDLED, WITH_RESTART, LATER, BLOCKED, USES };

static void
use_sigchld(int use)
{
	struct sigaction action;
	sigset_t set;

	atomic_store(&handled, 0);
	memset(&action, 0, sizeof(action));
	action.sa_handler = use == DEFAULT ? SIG_DFL : handle;
	action.sa_flags = use == WITH_RESTART ? SA_RESTART : 0;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	if (use == BLOCKED)
		ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	else
		ck_assert_int_eq(sigaction(SIGCHLD, &action, NULL), 0);
}

static bool
sigchld_is_taken(void (*handler)(int))
{
	struct sigaction now;

	ck_assert_int_eq(sigaction(SIGCHLD, NULL, &now), 0);
	return now.sa_handler != handler;
}

/*
 * The exit is told, and the program's own handler runs as ever. Where it is
 * SIGCHLD that tells, the library takes it as it takes other signals: no
 * handler but its own runs, and a blocked signal tells nothing.
 */
START_TEST(the_program_may_use_sigchld)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(6);
	bool has_handler = _i == HANDLED || _i == WITH_RESTART, taken;

	if (_i != LATER)
		use_sigchld(_i);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	taken = sigchld_is_taken(has_handler ? handle : SIG_DFL);
	if (_i == LATER)
		use_sigchld(_i);
	expect_nothing(p);
	end_kid(&k);
	if (!taken || (_i != LATER && _i != BLOCKED))
		expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_exit(k.pid, 6);
	has_handler = _i == LATER || (has_handler && !taken);
	/* The kernel may tell of the exit before it sends the signal. */
	for (int i = 0; i < 1000 && has_handler && !atomic_load(&handled); i++)
		sleep_ms(1);
	ck_assert_int_eq((int)handled, has_handler);
	polling_destroy(p);
	if (taken && (_i == LATER || _i == BLOCKED))
		SKIP("SIGCHLD tells of processes here");
}
END_TEST

/* Then kids are not to be waited for. */
START_TEST(the_program_may_ignore_sigchld)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(6);
	struct sigaction action;

	ck_assert(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	end_kid(&k);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_ok(polling_delete_process(p, k.pid));
	ck_assert_int_eq(sigaction(SIGCHLD, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_IGN);
	/* If it was not reaped by the system, it is now. */
	(void)waitpid(k.pid, NULL, 0);
	polling_destroy(p);
}
END_TEST

/* Watching a process is no business of the disposition's. */
START_TEST(sigchld_is_left_as_it_was)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);
	struct sigaction action;

	use_sigchld(WITH_RESTART);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	end_kid(&k);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_ok(polling_delete_process(p, k.pid));
	ck_assert_int_eq(sigaction(SIGCHLD, NULL, &action), 0);
	ck_assert(action.sa_handler == handle);
	ck_assert_int_eq(action.sa_flags & SA_RESTART, SA_RESTART);
	expect_exit(k.pid, 0);
	polling_destroy(p);
}
END_TEST

/* 83, 84: both are told; _i: in one poller or in two */
START_TEST(sigchld_may_be_a_source_too)
{
	struct polling *p = make_poller(), *q = _i == 0 ? p : make_poller();
	struct polling_event event = {0, 0, 0};
	struct kid kids[2];
	unsigned told = 0;

	start_kids(kids, 2, 0);
	expect_ok(polling_add_signal(q, SIGCHLD, POLLING_LEVEL, 1));
	expect_ok(polling_add_process(p, kids[0].pid, POLLING_EXIT, 2));
	end_kid(&kids[0]);
	for (int i = 0; i < 8 && told != 3; i++) {
		struct polling *who = told & 2 ? q : p;

		ck_assert_int_eq(wait_ms(who, &event, 1, -1), 1);
		ck_assert(event.key == 1 || event.key == 2);
		ck_assert_uint_eq(event.events,
		    event.key == 1 ? POLLING_SIGNAL : POLLING_EXIT);
		told |= (unsigned)event.key;
	}
	ck_assert_uint_eq(told, 3);
	/* Without the signal, the exits are told on. */
	expect_ok(polling_delete_signal(q, SIGCHLD));
	expect_ok(polling_add_process(p, kids[1].pid, POLLING_EXIT, 3));
	expect_events(p, LONG_MS, {3, POLLING_EXIT});
	expect_exit(kids[0].pid, 0);
	expect_exit(kids[1].pid, 0);
	if (q != p)
		polling_destroy(q);
	polling_destroy(p);
}
END_TEST

/* The other way round: without the process, the signals are told on. */
START_TEST(sigchld_outlives_the_process)
{
	struct polling *p = make_poller();
	struct kid a = start_kid(0), b = start_kid(0);

	expect_ok(polling_add_process(p, a.pid, POLLING_EXIT, 1));
	expect_ok(polling_add_signal(p, SIGCHLD, POLLING_LEVEL, 2));
	expect_ok(polling_delete_process(p, a.pid));
	end_kid(&b);
	expect_counted(p, LONG_MS, 2, POLLING_SIGNAL, 1, UINT32_MAX);
	expect_exit(b.pid, 0);
	end_kid(&a);
	expect_counted(p, LONG_MS, 2, POLLING_SIGNAL, 1, UINT32_MAX);
	expect_exit(a.pid, 0);
	polling_destroy(p);
}
END_TEST

/* Processes that are no children */

/* Adds it if the system tells of others than children; else it says so. */
static bool
add_stranger(struct polling *p, pid_t pid, uintptr_t key)
{
	int result = polling_add_process(p, pid, POLLING_EXIT, key);

	ck_assert_msg(result == 0 || errno == ENOTSUP, "%s", strerror(errno));
	return result == 0;
}

/* Processes that run on. */
START_TEST(a_living_stranger_is_not_reported)
{
	struct polling *p = make_poller();
	pid_t strangers[] = {getpid(), getppid()};
	bool added;

	for (uintptr_t i = 0; i < 2; i++) {
		added = add_stranger(p, strangers[i], i);
		expect_nothing_for(p, 20);
		if (added)
			expect_ok(polling_delete_process(p, strangers[i]));
		else
			expect_error(
			    polling_delete_process(p, strangers[i]), ENOENT);
	}
	polling_destroy(p);
}
END_TEST

/* Makes a kid of its own, tells its number, and ends when its line does; the
 * line of the grandkid is another. */
static void
be_a_parent(int line, int grand_line, int number)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)close(line);
		be_a_kid(grand_line, 0);
	}
	if (write(number, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	be_a_kid(line, 0);
}

static void
start_family(struct kid *middle, struct kid *grandkid)
{
	int number[2], line[2], grand_line[2];

	ck_assert_int_eq(pipe(number), 0);
	ck_assert_int_eq(pipe(line), 0);
	ck_assert_int_eq(pipe(grand_line), 0);
	middle->pid = fork();
	ck_assert_int_ne(middle->pid, -1);
	if (middle->pid == 0) {
		(void)close(line[1]);
		(void)close(grand_line[1]);
		be_a_parent(line[0], grand_line[0], number[1]);
	}
	ck_assert_int_eq((int)read(number[0], &grandkid->pid, sizeof(pid_t)),
	    (int)sizeof(pid_t));
	middle->line = line[1];
	grandkid->line = grand_line[1];
	close_pair(number);
	close_fd(line[0]);
	close_fd(grand_line[0]);
}

/* Its parent has not waited for it when it is reported. */
START_TEST(the_end_of_a_grandchild_is_told_or_refused)
{
	struct polling *p = make_poller();
	struct kid middle, grandkid;
	bool added;

	start_family(&middle, &grandkid);
	added = add_stranger(p, grandkid.pid, 1);
	expect_nothing_for(p, 20);
	end_kid(&grandkid);
	if (added) {
		expect_events(p, LONG_MS, {1, POLLING_EXIT});
		expect_nothing_for(p, 10);
		expect_ok(polling_delete_process(p, grandkid.pid));
	}
	end_kid(&middle);
	expect_exit(middle.pid, 0);
	polling_destroy(p);
	if (!added)
		SKIP("this system tells of children only");
}
END_TEST

/* FORK and EXEC */

/* A kid that does something for each byte that its line tells it. */
START_TEST(forks_and_execs_are_told)
{
	struct polling *p = make_poller();
	int fds[2];
	pid_t pid;

	SKIP_UNLESS(p, POLLING_FEATURE_PROCESS_FORK,
	    "no POLLING_FORK and POLLING_EXEC");
	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		(void)close(fds[1]);
		(void)dup2(fds[0], 0);
		(void)execl("/bin/sh", "sh", "-c",
		    "read x; (exit 1); read x; exec /bin/sh -c 'read x'",
		    (char *)NULL);
		_exit(1);
	}
	close_fd(fds[0]);
	/* Whether it has begun to be a shell is not known. */
	sleep_ms(100);
	expect_ok(polling_add_process(p, pid, POLLING_FORK, 1));
	ck_assert_int_eq((int)write_fd(fds[1], "\n", 1), 1);
	expect_events(p, LONG_MS, {1, POLLING_FORK});
	expect_ok(polling_modify_process(p, pid, POLLING_EXEC, 2));
	ck_assert_int_eq((int)write_fd(fds[1], "\n", 1), 1);
	expect_events(p, LONG_MS, {2, POLLING_EXEC});
	expect_ok(polling_modify_process(p, pid, POLLING_EXIT, 3));
	close_fd(fds[1]);
	expect_events(p, LONG_MS, {3, POLLING_EXIT});
	(void)reap(pid);
	polling_destroy(p);
}
END_TEST

/* Limits */

/* No descriptor is left: it works without, or fails and changes nothing. */
START_TEST(a_process_that_cannot_be_added_is_not)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);
	struct rlimit limit, none;
	int result, error;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	result = polling_add_process(p, k.pid, POLLING_EXIT, 1);
	error = errno;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	if (result != 0) {
		ck_assert_int_eq(error, EMFILE);
		expect_error(polling_delete_process(p, k.pid), ENOENT);
		expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	}
	end_kid(&k);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_exit(k.pid, 0);
	polling_destroy(p);
}
END_TEST

/* Nothing is left to be opened beside 0 to 2, and no way to get more. */
static void
change_without_descriptors(struct trouble *t, void *argument)
{
	const struct rlimit none = {3, 3};
	const uint32_t whats[] = {POLLING_EXIT | POLLING_FORK, POLLING_EXEC,
	    POLLING_FORK, POLLING_EXIT};
	struct polling *p = polling_create(0);
	const struct kid *k = argument;
	struct polling_event event = {0, 0, 0};
	uintptr_t key = 10;

	check_that(t, polling_add_process(p, k->pid, POLLING_EXIT, key) == 0);
	check_that(t, setrlimit(RLIMIT_NOFILE, &none) == 0);
	for (uintptr_t i = 0; i < 4; i++)
		if (polling_modify_process(p, k->pid, whats[i], i) == 0)
			key = i;
	check_that(t, key == 3 || key == 10);
	check_that(t, wait_ms(p, &event, 1, 20) == 0);
	check_that(t, kill(k->pid, SIGKILL) == 0);
	check_that(t, wait_ms(p, &event, 1, LONG_MS) == 1);
	check_that(t, event.key == key && event.events == POLLING_EXIT);
	polling_destroy(p);
}

/* A change needs no descriptor, or fails and leaves what was. */
START_TEST(a_process_stays_watched_whatever_a_change_lacks)
{
	struct polling *p = make_poller();
	struct kid k;

	SKIP_UNLESS(p, POLLING_FEATURE_PROCESS_FORK,
	    "no POLLING_FORK and POLLING_EXEC");
	polling_destroy(p);
	k = start_kid(0);
	run_child(change_without_descriptors, &k);
	(void)reap(k.pid);
	end_kid(&k);
}
END_TEST

/* Many come and go, and nothing is left of them. */
START_TEST(processes_come_and_go)
{
	struct polling *p = make_poller();
	int before = -1;

	for (uintptr_t i = 0; i < (uintptr_t)scaled(100); i++) {
		struct kid k = start_kid(0);

		expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, i));
		end_kid(&k);
		expect_events(p, LONG_MS, {i, POLLING_EXIT});
		expect_exit(k.pid, 0);
		expect_ok(polling_delete_process(p, k.pid));
		if (i == 0)
			before = count_fds();
	}
	ck_assert_int_le(count_fds(), before);
	polling_destroy(p);
}
END_TEST

/* Threads */

/* What is done to a process while a thread is blocked in a wait. */
struct change {
	struct polling *p;
	pid_t pid;
	bool add;
};

static void
change_process(void *argument)
{
	struct change *c = argument;

	if (c->add)
		(void)polling_add_process(c->p, c->pid, POLLING_EXIT, 1);
	else
		(void)polling_modify_process(c->p, c->pid, POLLING_EXIT, 1);
}

/* One that has ended; _i: 0 it is added, 1 it is armed. */
START_TEST(a_blocked_wait_learns_of_a_process)
{
	struct polling *p = make_poller();
	struct kid k = start_kid(0);
	struct change c = {p, k.pid, _i == 0};
	struct delayed *d;

	if (_i == 1)
		expect_ok(polling_add_process(p, k.pid, 0, 2));
	end_kid(&k);
	await_end(k.pid);
	d = run_after(30, change_process, &c);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	join_delayed(d);
	expect_exit(k.pid, 0);
	polling_destroy(p);
}
END_TEST

#define SHARED_KIDS 60
#define END_KEY     UINTPTR_MAX

struct watch {
	struct polling *p;
	atomic_int total;
	atomic_int seen[SHARED_KIDS];
	struct trouble trouble;
};

/* Collects exits until a post tells to stop, which it hands on. */
static void *
collect_exits(void *argument)
{
	struct watch *w = argument;
	struct polling_event event, end = {END_KEY, 0, 0};

	for (;;) {
		if (!check_that(&w->trouble, wait_ms(w->p, &event, 1, -1) == 1))
			return NULL;
		if (event.key == END_KEY)
			break;
		if (check_that(&w->trouble, event.key < SHARED_KIDS &&
						event.events == POLLING_EXIT))
			atomic_fetch_add(&w->seen[event.key], 1);
		atomic_fetch_add(&w->total, 1);
	}
	check_that(&w->trouble, polling_post(w->p, &end) == 0);
	return NULL;
}

/* 84: four threads, each exit once */
START_TEST(waiters_share_the_exits)
{
	static struct watch w;
	struct polling_event end = {END_KEY, 0, 0};
	struct kid kids[SHARED_KIDS];
	struct crew crew = {0};
	int third = scaled(SHARED_KIDS / 3), count = 3 * third;
	bool all;

	w.p = make_poller();
	/* Before there are threads, for the sake of tools. */
	for (int i = 0; i < count; i += third)
		start_kids(kids + i, third, 0);
	for (int i = 0; i < 4; i++)
		crew_start(&crew, collect_exits, &w);
	for (uintptr_t i = 0; i < (uintptr_t)count; i++) {
		expect_ok(
		    polling_add_process(w.p, kids[i].pid, POLLING_EXIT, i));
	}
	for (int i = count - third; i >= 0; i -= third)
		end_kid(&kids[i]);
	all = reaches(&w.trouble, &w.total, count);
	expect_ok(polling_post(w.p, &end));
	crew_join(&crew);
	expect_no_trouble(&w.trouble);
	ck_assert_msg(all, "%d exits came", atomic_load(&w.total));
	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(atomic_load(&w.seen[i]), 1);
		expect_exit(kids[i].pid, 0);
	}
	polling_destroy(w.p);
}
END_TEST

static void
add_sigchld(Suite *s)
{
	CASE_LOOP(s, the_program_may_use_sigchld, CASE_SECONDS, 0, USES);
	CASE(s, the_program_may_ignore_sigchld);
	CASE(s, sigchld_is_left_as_it_was);
	CASE_LOOP(s, sigchld_may_be_a_source_too, CASE_SECONDS, 0, 2);
	CASE(s, sigchld_outlives_the_process);
}

void
add_processes(Suite *s)
{
	CASE(s, processes_are_supported);
	CASE(s, unknown_bits_are_refused);
	CASE(s, forks_need_the_feature);
	CASE(s, an_unknown_process_is_refused);
	CASE(s, a_process_is_added_once);
#if HAVE_PTHREAD_SETCANCELSTATE
	CASE(s, a_cancelled_thread_watches_to_the_end);
#endif
	CASE_LOOP(s, a_process_takes_the_place_of_a_closed_descriptor,
	    CASE_SECONDS, 0, 2);
	CASE_LOOP(s, an_exit_ends_a_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE(s, an_exit_before_the_add_is_reported);
	CASE_LOOP(s, an_exit_is_reported_after_waitpid, CASE_SECONDS, 0, 2);
	CASE(s, a_killed_process_has_ended);
	CASE(s, a_stopped_process_has_not_ended);
	CASE(s, an_exec_is_no_exit);
	CASE(s, a_disarmed_process_is_reported_when_armed);
#if TELLS_THREADS
	CASE(s, a_thread_is_no_process);
#endif
	CASE(s, an_exit_while_disarmed_outlives_waitpid);
	CASE(s, modify_takes_effect_before_the_exit);
	CASE(s, a_deleted_process_is_not_reported);
	CASE_LOOP(s, many_processes_end_together, CASE_SECONDS, 0, 3);
	CASE(s, two_pollers_watch_one_process);
	CASE(s, a_poller_is_destroyed_with_processes);
	CASE(s, processes_and_descriptors_share_a_wait);
	add_sigchld(s);
	CASE(s, a_living_stranger_is_not_reported);
	CASE(s, the_end_of_a_grandchild_is_told_or_refused);
	CASE(s, forks_and_execs_are_told);
	CASE(s, a_process_that_cannot_be_added_is_not);
	CASE(s, a_process_stays_watched_whatever_a_change_lacks);
	CASE(s, processes_come_and_go);
	CASE_LOOP(s, a_blocked_wait_learns_of_a_process, CASE_SECONDS, 0, 2);
	CASE(s, waiters_share_the_exits);
}
