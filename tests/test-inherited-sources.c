/* SPDX-License-Identifier: MIT */
/*
 * Timers, signals and processes of a poller that a forked child inherits,
 * and what another program inherits: 76 of the conformance catalogue, for the
 * sources of part H.
 */
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "counted.h"
#include "crew.h"

/* A poller and what is registered in it. */
struct estate {
	struct polling *p;
	pid_t pid;   /* a child that ends when the line is closed */
	int line[2]; /* of which only the case holds [1] */
};

/* True if a wait gives exactly this event, with a count of at least 1. */
static bool
gives(struct polling *p, int timeout_ms, uintptr_t key, uint32_t events)
{
	struct polling_event e[2] = {{0, 0, 0}, {0, 0, 0}};
	int n = wait_ms(p, e, 2, timeout_ms);

	return n == 1 && e[0].key == key && e[0].events == events &&
	       (events == POLLING_EXIT || e[0].data >= 1);
}

static bool
gives_nothing(struct polling *p, int timeout_ms)
{
	struct polling_event e;

	return wait_ms(p, &e, 1, timeout_ms) == 0;
}

/* In a child that has not called polling_reinit(). */
static void
check_refused(struct trouble *t, struct estate *e)
{
	struct polling *p = e->p;

	check_that(
	    t, failed_with(polling_add_timer(p, 50, MS(0), NULL, 1), EBADF));
	check_that(
	    t, failed_with(polling_modify_timer(p, 1, MS(0), NULL, 1), EBADF));
	check_that(t, failed_with(polling_delete_timer(p, 1), EBADF));
	check_that(
	    t, failed_with(
		   polling_add_signal(p, SIGUSR2, POLLING_LEVEL, 1), EBADF));
	check_that(
	    t, failed_with(
		   polling_modify_signal(p, SIGUSR1, POLLING_LEVEL, 1), EBADF));
	check_that(t, failed_with(polling_delete_signal(p, SIGUSR1), EBADF));
	check_that(
	    t, failed_with(
		   polling_add_process(p, getppid(), POLLING_EXIT, 1), EBADF));
	check_that(
	    t, failed_with(
		   polling_modify_process(p, e->pid, POLLING_EXIT, 1), EBADF));
	check_that(t, failed_with(polling_delete_process(p, e->pid), EBADF));
	check_that(t, polling_supports(p, POLLING_FEATURE_TIMER) == 1);
}

static void
use_inherited(struct trouble *t, void *argument)
{
	check_refused(t, argument);
}

static void
destroy_inherited(struct trouble *t, void *argument)
{
	struct estate *e = argument;

	check_refused(t, e);
	polling_destroy(e->p);
	/* The signal is none of the library's any more. */
	(void)signal(SIGUSR1, SIG_IGN);
	check_that(t, raise(SIGUSR1) == 0);
}

/* Everything is there, and the child's own. */
static void
check_rebuilt(struct trouble *t, struct estate *e)
{
	struct polling *p = e->p;

	check_that(t, polling_reinit(p) == 0);
	check_that(t, gives(p, 0, 2, POLLING_TIMER));
	check_that(t, failed_with(polling_delete_timer(p, 2), ENOENT));
	check_that(
	    t, failed_with(polling_add_timer(p, 1, MS(0), NULL, 1), EEXIST));
	check_that(t, gives_nothing(p, 20));
	check_that(t, polling_modify_timer(p, 1, MS(5), NULL, 9) == 0);
	check_that(t, gives(p, -1, 9, POLLING_TIMER));
	check_that(
	    t, failed_with(
		   polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 3), EEXIST));
	check_that(t, raise(SIGUSR1) == 0);
	check_that(t, gives(p, 0, 3, POLLING_SIGNAL));
	check_that(t, gives_nothing(p, 0));
}

static void
rebuild_and_exit(struct trouble *t, void *argument)
{
	check_rebuilt(t, argument);
}

static void
rebuild_and_destroy(struct trouble *t, void *argument)
{
	struct estate *e = argument;
	struct sigaction action;

	check_rebuilt(t, e);
	check_that(t, polling_delete_signal(e->p, SIGUSR1) == 0);
	check_that(t, sigaction(SIGUSR1, NULL, &action) == 0);
	check_that(t, action.sa_handler == SIG_DFL);
	check_that(t, polling_add_signal(e->p, SIGUSR1, POLLING_LEVEL, 4) == 0);
	polling_destroy(e->p);
	check_that(t, sigaction(SIGUSR1, NULL, &action) == 0);
	check_that(t, action.sa_handler == SIG_DFL);
}

/* New pollers of the child's are not mixed up with the parent's. */
static void
make_another(struct trouble *t, void *argument)
{
	struct estate *e = argument;
	struct polling *p = polling_create(0);

	check_that(t, p != NULL);
	check_that(t, polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 7) == 0);
	check_that(t, raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0);
	check_that(t, gives(p, 0, 7, POLLING_SIGNAL));
	check_that(t, gives_nothing(p, 0));
	check_that(t, polling_add_timer(p, 1, MS(1), NULL, 8) == 0);
	check_that(t, gives(p, -1, 8, POLLING_TIMER));
	polling_destroy(p);
	polling_destroy(e->p);
}

static void (*const acts[])(struct trouble *, void *) = {use_inherited,
    destroy_inherited, rebuild_and_exit, rebuild_and_destroy, make_another};
#define ACTS 5

static void
make_estate(struct estate *e)
{
	char byte;

	e->p = make_poller();
	expect_ok(polling_add_timer(e->p, 1, MS(3600000), MS(3600000), 1));
	expect_ok(polling_add_timer(e->p, 2, MS(0), NULL, 2));
	expect_ok(polling_add_signal(e->p, SIGUSR1, POLLING_LEVEL, 3));
	ck_assert_int_eq(pipe(e->line), 0);
	e->pid = fork();
	ck_assert_int_ne(e->pid, -1);
	if (e->pid == 0) {
		(void)close(e->line[1]);
		(void)!read(e->line[0], &byte, 1);
		_exit(0);
	}
	expect_ok(polling_add_process(e->p, e->pid, POLLING_EXIT, 4));
}

/* It is as it was made, with the timer that is due, and nothing besides. */
static void
expect_estate(struct estate *e)
{
	expect_timer(e->p, 0, 2, 1);
	expect_nothing_for(e->p, 20);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	expect_signal(e->p, 0, 3, 1);
	close_pair(e->line);
	expect_events(e->p, LONG_MS, {4, POLLING_EXIT});
	expect_nothing(e->p);
	expect_ok(polling_delete_timer(e->p, 1));
	expect_ok(polling_delete_signal(e->p, SIGUSR1));
	expect_ok(polling_delete_process(e->p, e->pid));
	ck_assert_int_eq(waitpid(e->pid, NULL, 0), e->pid);
}

/* 76: nothing that a child does disturbs the parent */
START_TEST(a_child_leaves_the_sources_alone)
{
	struct estate e;

	make_estate(&e);
	run_child(acts[_i], &e);
	expect_estate(&e);
	polling_destroy(e.p);
}
END_TEST

/* The same with the descriptor handed out, which is the child's after. */
static void
rebuild_with_descriptor(struct trouble *t, void *argument)
{
	struct estate *e = argument;

	check_rebuilt(t, e);
	check_that(t, polling_get_fd(e->p) >= 0);
	check_that(t, polling_add_timer(e->p, 5, MS(10), NULL, 5) == 0);
	check_that(t, gives(e->p, -1, 5, POLLING_TIMER));
}

START_TEST(a_child_rebuilds_the_descriptor)
{
	struct polling *probe = make_poller();
	struct estate e;

	SKIP_UNLESS(probe, POLLING_FEATURE_FD, "no polling_get_fd()");
	polling_destroy(probe);
	make_estate(&e);
	ck_assert_int_ge(polling_get_fd(e.p), 0);
	run_child(rebuild_with_descriptor, &e);
	expect_estate(&e);
	polling_destroy(e.p);
}
END_TEST

/* A timer runs on while there is no poller to tell of it. */
static void
wait_for_the_timer(struct trouble *t, void *argument)
{
	struct estate *e = argument;

	sleep_ms(40);
	check_that(t, polling_reinit(e->p) == 0);
	check_that(t, gives(e->p, 0, 1, POLLING_TIMER));
	check_that(t, gives(e->p, -1, 1, POLLING_TIMER));
}

/* 76: in the child they are due when they are due in the parent */
START_TEST(timers_keep_their_time)
{
	struct estate e = {.p = make_poller()};

	expect_ok(polling_add_timer(e.p, 1, MS(30), MS(30), 1));
	run_child(wait_for_the_timer, &e);
	expect_counted(e.p, LONG_MS, 1, POLLING_TIMER, 1, UINT32_MAX);
	polling_destroy(e.p);
}
END_TEST

/* Processes that end between the fork and polling_reinit() */

static void *
reap_it(void *argument)
{
	const struct estate *e = argument;

	while (waitpid(e->pid, NULL, 0) == -1 && errno == EINTR)
		continue;
	return NULL;
}

static void
end_and_rebuild(struct trouble *t, void *argument)
{
	struct estate *e = argument;
	int64_t give_up = patience();

	check_that(t, kill(e->pid, SIGKILL) == 0);
	while (kill(e->pid, 0) == 0 && now_ns() < give_up)
		yield_thread();
	check_that(t, polling_reinit(e->p) == 0);
	check_that(t, gives(e->p, LONG_MS, 4, POLLING_EXIT));
	check_that(t, gives_nothing(e->p, 10));
}

START_TEST(an_exit_before_the_rebuilding_is_told)
{
	struct estate e = {.p = make_poller()};
	struct sigaction action;
	struct crew crew = {0};

	e.pid = fork();
	ck_assert_int_ne(e.pid, -1);
	if (e.pid == 0)
		for (;;)
			(void)pause();
	expect_ok(polling_add_process(e.p, e.pid, POLLING_EXIT, 4));
	ck_assert_int_eq(sigaction(SIGCHLD, NULL, &action), 0);
	if (action.sa_handler == SIG_DFL) {
		crew_start(&crew, reap_it, &e);
		run_child(end_and_rebuild, &e);
		crew_join(&crew);
		expect_events(e.p, LONG_MS, {4, POLLING_EXIT});
	} else {
		/* SIGCHLD tells of the parent's children only. */
		(void)kill(e.pid, SIGKILL);
		(void)reap_it(&e);
	}
	polling_destroy(e.p);
}
END_TEST

/* Signals of a child */

static volatile sig_atomic_t handled;

static void
handle(int signo)
{
	(void)signo;
	handled++;
}

static const char *
why_handlers_stay(void)
{
#if HAVE_PTHREAD_ATFORK
	return NULL;
#else
	return "without pthread_atfork() a child has its parent's handlers";
#endif
}

static void (*const dispositions[])(int) = {SIG_DFL, SIG_IGN, handle};
#define DISPOSITIONS 3

/* Ends with 40 plus how often the handler ran, or by the signal. */
static void
signal_itself(bool many)
{
	for (int i = 0; i < (many ? 5 : 1); i++)
		(void)raise(SIGUSR1);
	_exit(40 + (int)handled);
}

static void
expect_disposed(int status, int disposition)
{
	if (dispositions[disposition] == SIG_DFL)
		ck_assert_msg(
		    WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1,
		    "wait status %#x", (unsigned)status);
	else
		ck_assert_msg(
		    WIFEXITED(status) &&
			WEXITSTATUS(status) ==
			    40 + (dispositions[disposition] == handle),
		    "wait status %#x", (unsigned)status);
}

/* The disposition is what it was before, and the parent hears nothing. */
START_TEST(signals_of_a_child_are_its_own)
{
	struct polling *p;
	int status = 0;
	pid_t pid;

	SKIP_IF(why_handlers_stay());
	p = make_poller();
	ck_assert(signal(SIGUSR1, dispositions[_i]) != SIG_ERR);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	(void)raise(SIGUSR1);
	expect_signal(p, 0, 1, 1);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0)
		signal_itself(false);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	expect_disposed(status, _i);
	expect_nothing(p);
	expect_nothing_for(p, 20);
	(void)raise(SIGUSR1);
	expect_signal(p, 0, 1, 1);
	polling_destroy(p);
}
END_TEST

/* A child that is signalled from the first moment on. */
START_TEST(no_signal_of_a_child_reaches_the_parent)
{
	struct polling *p = make_poller();
	int status = 0;

	ck_assert(signal(SIGUSR1, SIG_IGN) != SIG_ERR);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	for (int i = 0; i < scaled(100); i++) {
		pid_t pid = fork();

		ck_assert_int_ne(pid, -1);
		if (pid == 0)
			signal_itself(true);
		for (int j = 0; j < 20; j++)
			(void)kill(pid, SIGUSR1);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 40 << 8);
	}
	expect_nothing(p);
	expect_nothing_for(p, 20);
	polling_destroy(p);
}
END_TEST

/* 77: a program that a child runs finds the disposition that was before */
START_TEST(a_program_inherits_the_old_disposition)
{
	struct polling *p;
	int status = 0;
	pid_t pid;

	SKIP_IF(why_handlers_stay());
	p = make_poller();
	ck_assert(signal(SIGUSR1, dispositions[_i]) != SIG_ERR);
	expect_ok(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		(void)execl("/bin/sh", "sh", "-c", "kill -USR1 $$; exit 40",
		    (char *)NULL);
		_exit(1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	/* A handler cannot be inherited. */
	expect_disposed(status, dispositions[_i] == handle ? 0 : _i);
	expect_nothing_for(p, 10);
	polling_destroy(p);
}
END_TEST

void
add_inherited_sources(Suite *s)
{
	CASE_LOOP(s, a_child_leaves_the_sources_alone, CASE_SECONDS, 0, ACTS);
	CASE(s, a_child_rebuilds_the_descriptor);
	CASE(s, timers_keep_their_time);
	CASE(s, an_exit_before_the_rebuilding_is_told);
	CASE_LOOP(
	    s, signals_of_a_child_are_its_own, CASE_SECONDS, 0, DISPOSITIONS);
	CASE(s, no_signal_of_a_child_reaches_the_parent);
	CASE_LOOP(s, a_program_inherits_the_old_disposition, CASE_SECONDS, 0,
	    DISPOSITIONS);
}
