/* SPDX-License-Identifier: MIT */
/*
 * Signals as sources, on Windows, where they are events of the console: see
 * test-signal-sources.c for what is the same elsewhere. The numbers are those
 * of the conformance catalogue, part H.
 *
 * The one hard idea: an event of a console goes to all its processes, which may
 * be those that run the tests. So most cases do themselves what the system does
 * in each of these processes: it starts a thread in CtrlRoutine(), a function
 * of its own that calls the handlers. Then there need be no console, and no
 * event gets lost or merged. That real ones come the same way is shown by kids:
 * the same program again, running the same case, with a console of its own.
 */
#include "harness.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <windows.h>

#include "counted.h"
#include "crew.h"
#include "scenes.h"

#define SYSTEM(call)                                         \
	do {                                                 \
		if (!(call))                                 \
			ck_abort_msg("%s: error %lu", #call, \
			    (unsigned long)GetLastError());  \
	} while (0)

/* Events */

static LPTHREAD_START_ROUTINE ctrl_routine;

/* NULL if handlers can be made to run; then Ctrl-C is not ignored, as it is by
 * default in some processes. */
static const char *
why_no_events(void)
{
	HMODULE module = GetModuleHandleA("kernel32");

	/* By way of void (*)(void), which any function may be cast to. */
	if (module != NULL)
		ctrl_routine = (LPTHREAD_START_ROUTINE)(void (*)(
		    void))GetProcAddress(module, "CtrlRoutine");
	if (ctrl_routine == NULL)
		return "this system keeps CtrlRoutine() to itself";
	SYSTEM(SetConsoleCtrlHandler(NULL, FALSE));
	return NULL;
}

static HANDLE
start_event(DWORD event)
{
	return CreateThread(
	    NULL, 0, ctrl_routine, (void *)(uintptr_t)event, 0, NULL);
}

/* Returns when the handlers have run. May be called in any thread. */
static bool
send_event(DWORD event)
{
	HANDLE thread = start_event(event);
	bool sent = thread != NULL &&
		    WaitForSingleObject(thread, INFINITE) == WAIT_OBJECT_0;

	return thread != NULL && CloseHandle(thread) && sent;
}

static void
send_times(DWORD event, int times)
{
	for (int i = 0; i < times; i++)
		SYSTEM(send_event(event));
}

/* The signals that a program can live on with. */
static const struct {
	int signo;
	DWORD event;
} kinds[] = {{SIGINT, CTRL_C_EVENT}, {SIGBREAK, CTRL_BREAK_EVENT}};
#define KINDS 2

/* A handler of the program's, which the system asks after those that were
 * installed later. */
static atomic_int handled[2];

static BOOL WINAPI
handle(DWORD event)
{
	if (event > 1)
		return FALSE;
	atomic_fetch_add(&handled[event], 1);
	return TRUE;
}

static void
install(void)
{
	atomic_store(&handled[0], 0);
	atomic_store(&handled[1], 0);
	SYSTEM(SetConsoleCtrlHandler(handle, TRUE));
}

static void
uninstall(void)
{
	SYSTEM(SetConsoleCtrlHandler(handle, FALSE));
}

#define expect_handled(event, times) \
	ck_assert_int_eq(atomic_load(&handled[event]), (times))

/* Kids */

#define KID_VARIABLE "POLLING_TEST_KID"
/* How a kid ends, unless something ends it. 1 is that the case has failed. */
enum { KID_IS_DONE = 40, KID_WENT_ON, KID_CANNOT };

/* The number that run_kid() gave to this process, or -1. */
static int
kid_number(void)
{
	const char *text = getenv(KID_VARIABLE);

	return text == NULL ? -1 : atoi(text);
}

/* Runs the case in a process with a console of its own, which nobody sees.
 * Returns its status. */
static DWORD
run_kid(const char *name, int number)
{
	STARTUPINFOA how = {.cb = sizeof(how), .dwFlags = STARTF_USESTDHANDLES};
	PROCESS_INFORMATION process;
	char program[MAX_PATH], line[256], text[16];
	DWORD status = 0, result;

	how.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
	how.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
	how.hStdError = GetStdHandle(STD_ERROR_HANDLE);
	(void)snprintf(line, sizeof(line), "suites -1 signals/%s", name);
	(void)snprintf(text, sizeof(text), "%d", number);
	SYSTEM(GetModuleFileNameA(NULL, program, sizeof(program)) != 0);
	SYSTEM(SetEnvironmentVariableA(KID_VARIABLE, text));
	SYSTEM(CreateProcessA(program, line, NULL, NULL, TRUE, CREATE_NO_WINDOW,
	    NULL, NULL, &how, &process));
	SYSTEM(SetEnvironmentVariableA(KID_VARIABLE, NULL));
	result = WaitForSingleObject(
	    process.hProcess, (DWORD)(2 * LONG_MS * time_scale()));
	if (result != WAIT_OBJECT_0)
		(void)TerminateProcess(process.hProcess, 3);
	SYSTEM(GetExitCodeProcess(process.hProcess, &status));
	SYSTEM(CloseHandle(process.hThread));
	SYSTEM(CloseHandle(process.hProcess));
	ck_assert_msg(result == WAIT_OBJECT_0, "the kid did not end");
	return status;
}

/* What the system's own handler ends a process with. In Wine it is 0. */
static bool
is_end_by_event(DWORD status)
{
	return status == 0xc000013au || status == 0;
}

#define expect_ended_by_event(status)                                   \
	do {                                                            \
		DWORD status_ = (status);                               \
		ck_assert_msg(is_end_by_event(status_),                 \
		    "the kid ended with %#lx", (unsigned long)status_); \
	} while (0)

/* In a kid: nothing is cleaned up, and nothing else is printed. */
static void
end_kid(unsigned status)
{
	(void)TerminateProcess(GetCurrentProcess(), status);
}

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
	static const int numbers[] = {0, -1, -SIGINT, SIGSEGV, SIGABRT, SIGFPE,
	    SIGILL, SIGBREAK + 1, 99, 256 + SIGINT, 65536 + SIGINT, INT_MAX,
	    INT_MIN};
	struct polling *p = make_poller();

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		expect_error(
		    polling_add_signal(p, numbers[i], POLLING_ONESHOT, 1),
		    EINVAL);
		expect_error(
		    polling_modify_signal(p, numbers[i], POLLING_ONESHOT, 1),
		    ENOENT);
		expect_error(polling_delete_signal(p, numbers[i]), ENOENT);
	}
	expect_error(
	    polling_add_signal(NULL, SIGINT, POLLING_LEVEL, 1), EFAULT);
	expect_error(
	    polling_modify_signal(NULL, SIGINT, POLLING_LEVEL, 1), EFAULT);
	expect_error(polling_delete_signal(NULL, SIGINT), EFAULT);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

static const int signals[] = {SIGINT, SIGBREAK, SIGTERM};

START_TEST(three_signals_can_be_added)
{
	struct polling *p = make_poller();

	for (int round = 0; round < 3; round++) {
		for (uintptr_t i = 0; i < 3; i++) {
			expect_ok(polling_add_signal(
			    p, signals[i], POLLING_LEVEL, i));
			expect_nothing(p);
		}
		for (int i = 0; i < 3; i++)
			expect_ok(polling_delete_signal(p, signals[i]));
	}
	/* Destroyed with them. */
	for (uintptr_t i = 0; i < 3; i++)
		expect_ok(
		    polling_add_signal(p, signals[i], POLLING_ONESHOT, i));
	polling_destroy(p);
}
END_TEST

START_TEST(a_signal_is_added_once)
{
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	expect_error(
	    polling_modify_signal(p, SIGINT, POLLING_LEVEL, 1), ENOENT);
	expect_error(polling_delete_signal(p, SIGINT), ENOENT);
	expect_ok(polling_add_signal(p, SIGINT, POLLING_LEVEL, 1));
	expect_error(polling_add_signal(p, SIGINT, POLLING_ONESHOT, 2), EEXIST);
	expect_error(
	    polling_modify_signal(p, SIGBREAK, POLLING_LEVEL, 1), ENOENT);
	expect_error(polling_delete_signal(p, SIGBREAK), ENOENT);
	/* The first is as it was, with its key and its mode. */
	for (int i = 0; i < 3; i++) {
		send_times(CTRL_C_EVENT, 1);
		expect_signal(p, 0, 1, 1);
	}
	expect_ok(polling_delete_signal(p, SIGINT));
	expect_error(polling_delete_signal(p, SIGINT), ENOENT);
	expect_error(
	    polling_modify_signal(p, SIGINT, POLLING_LEVEL, 1), ENOENT);
	polling_destroy(p);
}
END_TEST

START_TEST(unknown_modes_are_refused)
{
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	for (int mode = 4; mode < 7; mode++)
		expect_error(
		    polling_add_signal(p, SIGINT, (enum polling_mode)mode, 1),
		    EINVAL);
	expect_error(
	    polling_add_signal(p, SIGINT, (enum polling_mode) - 1, 1), EINVAL);
	expect_ok(polling_add_signal(p, SIGINT, POLLING_LEVEL, 1));
	expect_error(
	    polling_modify_signal(p, SIGINT, (enum polling_mode)4, 2), EINVAL);
	for (int mode = supported_modes(); mode < MODES; mode++) {
		expect_error(
		    polling_add_signal(p, SIGBREAK, (enum polling_mode)mode, 2),
		    ENOTSUP);
		expect_error(polling_modify_signal(
				 p, SIGINT, (enum polling_mode)mode, 2),
		    ENOTSUP);
	}
	expect_error(polling_delete_signal(p, SIGBREAK), ENOENT);
	for (int i = 0; i < 2; i++) {
		send_times(CTRL_C_EVENT, 1);
		expect_signal(p, 0, 1, 1);
	}
	polling_destroy(p);
}
END_TEST

/* Reports */

/* 83: _i is the mode and the signal */
START_TEST(a_burst_is_counted)
{
	enum polling_mode mode = (enum polling_mode)(_i / KINDS);
	int signo = kinds[_i % KINDS].signo;
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	expect_ok(polling_add_signal(p, signo, mode, UINTPTR_MAX));
	expect_nothing(p);
	for (int burst = 1; burst < 50; burst = burst * 3 + 1) {
		send_times(kinds[_i % KINDS].event, burst);
		expect_signal(p, 0, UINTPTR_MAX, burst);
		/* Told once: there is nothing level about it. */
		expect_nothing(p);
		expect_nothing_for(p, 10);
		expect_ok(polling_modify_signal(p, signo, mode, UINTPTR_MAX));
		expect_nothing(p);
	}
	polling_destroy(p);
}
END_TEST

/* 83: what came while it was disarmed is reported when it is armed, and has
 * not ended the process; _i is the signal */
START_TEST(a_oneshot_signal_is_reported_once)
{
	int signo = kinds[_i].signo;
	DWORD event = kinds[_i].event;
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	expect_ok(polling_add_signal(p, signo, POLLING_ONESHOT, 1));
	send_times(event, 1);
	expect_signal(p, 0, 1, 1);
	for (int i = 0; i < 3; i++) {
		send_times(event, 1);
		expect_nothing(p);
	}
	expect_nothing_for(p, 20);
	expect_ok(polling_modify_signal(p, signo, POLLING_ONESHOT, 2));
	expect_signal(p, 0, 2, 3);
	send_times(event, 2);
	expect_ok(polling_modify_signal(p, signo, POLLING_LEVEL, 3));
	expect_signal(p, 0, 3, 2);
	send_times(event, 1);
	expect_signal(p, 0, 3, 1);
	polling_destroy(p);
}
END_TEST

START_TEST(modify_replaces_the_key)
{
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	expect_ok(polling_add_signal(p, SIGBREAK, POLLING_LEVEL, 1));
	send_times(CTRL_BREAK_EVENT, 2);
	expect_ok(polling_modify_signal(p, SIGBREAK, POLLING_ONESHOT, 2));
	expect_signal(p, 0, 2, 2);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* What came before it was added, or before it was deleted, is not reported. */
START_TEST(a_signal_is_added_without_a_past)
{
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	install();
	send_times(CTRL_C_EVENT, 1);
	expect_ok(polling_add_signal(p, SIGINT, POLLING_LEVEL, 1));
	expect_nothing(p);
	send_times(CTRL_C_EVENT, 3);
	expect_ok(polling_delete_signal(p, SIGINT));
	expect_nothing(p);
	expect_ok(polling_add_signal(p, SIGINT, POLLING_LEVEL, 2));
	expect_nothing_for(p, 10);
	send_times(CTRL_C_EVENT, 1);
	expect_signal(p, 0, 2, 1);
	expect_handled(CTRL_C_EVENT, 1);
	uninstall();
	polling_destroy(p);
}
END_TEST

#define POLLERS 20

/* 83: each poller is told, whatever the others do */
START_TEST(every_poller_is_told)
{
	struct polling *p[POLLERS];

	SKIP_IF(why_no_events());
	for (uintptr_t i = 0; i < POLLERS; i++) {
		p[i] = make_poller();
		expect_ok(polling_add_signal(p[i], SIGBREAK, POLLING_LEVEL, i));
	}
	send_times(CTRL_BREAK_EVENT, 3);
	for (uintptr_t i = 0; i < POLLERS; i++) {
		expect_signal(p[i], 0, i, 3);
		expect_nothing(p[i]);
	}
	/* Those that delete it leave it to the others. */
	for (uintptr_t i = 0; i < POLLERS; i++) {
		send_times(CTRL_BREAK_EVENT, 2);
		for (uintptr_t j = i; j < POLLERS; j++)
			expect_signal(p[j], 0, j, 2);
		if (i % 2)
			expect_ok(polling_delete_signal(p[i], SIGBREAK));
		else
			polling_destroy(p[i]);
	}
	install();
	send_times(CTRL_BREAK_EVENT, 1);
	expect_handled(CTRL_BREAK_EVENT, 1);
	uninstall();
	for (int i = 1; i < POLLERS; i += 2) {
		expect_nothing(p[i]);
		polling_destroy(p[i]);
	}
}
END_TEST

/* Each signal has its own event, and a small capacity loses none; _i is the
 * capacity */
START_TEST(several_signals_are_told_apart)
{
	struct polling *p;
	struct polling_event events[4];
	int count = 0, n;

	SKIP_IF(why_no_events());
	p = make_poller();
	for (uintptr_t i = 0; i < KINDS; i++) {
		expect_ok(polling_add_signal(
		    p, kinds[i].signo, POLLING_LEVEL, i + 1));
		send_times(kinds[i].event, (int)i + 1);
	}
	for (int waits = 0; count < KINDS; waits++) {
		n = wait_ms(p, events + count, _i, 0);
		ck_assert_int_ge(n, 1);
		ck_assert_int_lt(waits, KINDS);
		count += n;
	}
	ck_assert_int_eq(count, KINDS);
	for (int i = 0; i < KINDS; i++) {
		/* The key says how often. */
		ck_assert_uint_eq(events[i].events, POLLING_SIGNAL);
		ck_assert_uint_eq(events[i].data, events[i].key);
	}
	ck_assert_uint_ne(events[0].key, events[1].key);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* Signals, sockets and posts in one wait, none of which starves. */
START_TEST(signals_sockets_and_posts_come_together)
{
	struct polling *p;
	struct polling_event event;
	polling_fd pair[2];
	int seen[3] = {0, 0, 0};

	SKIP_IF(why_no_events());
	p = make_poller();
	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, POLLING_LEVEL, 0));
	expect_ok(polling_add_signal(p, SIGINT, POLLING_LEVEL, 1));
	for (int i = 0; i < 60; i++) {
		send_times(CTRL_C_EVENT, i % 2);
		expect_ok(polling_post(p, &(struct polling_event){2, 1, 0}));
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
		ck_assert_uint_le(event.key, 2);
		seen[event.key]++;
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_ge(seen[i], 5);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* The program's own handlers */

/* 83: it hears nothing meanwhile, and everything after the last delete */
START_TEST(the_own_handler_returns)
{
	int signo = kinds[_i].signo;
	DWORD event = kinds[_i].event;
	struct polling *p, *q;

	SKIP_IF(why_no_events());
	install();
	for (int round = 0; round < 3; round++) {
		p = make_poller();
		q = make_poller();
		expect_ok(polling_add_signal(p, signo, POLLING_LEVEL, 1));
		expect_ok(polling_add_signal(q, signo, POLLING_ONESHOT, 2));
		send_times(event, 2);
		expect_signal(p, 0, 1, 2);
		expect_signal(q, 0, 2, 2);
		expect_handled(event, round);
		expect_ok(polling_delete_signal(p, signo));
		send_times(event, 1);
		expect_nothing(p);
		/* Disarmed, it is suppressed too. */
		expect_nothing(q);
		expect_handled(event, round);
		if (round == 1)
			expect_ok(polling_delete_signal(q, signo));
		polling_destroy(q);
		send_times(event, 1);
		expect_handled(event, round + 1);
		expect_nothing(p);
		polling_destroy(p);
	}
	expect_handled(1 - event, 0);
	uninstall();
}
END_TEST

/* Only what is watched is taken. */
START_TEST(other_signals_go_on_to_the_own_handler)
{
	DWORD event = kinds[_i].event, other = 1 - event;
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	install();
	expect_ok(polling_add_signal(p, kinds[_i].signo, POLLING_LEVEL, 1));
	expect_ok(polling_add_signal(p, SIGTERM, POLLING_LEVEL, 2));
	send_times(other, 3);
	expect_nothing(p);
	expect_handled(other, 3);
	send_times(event, 2);
	expect_signal(p, 0, 1, 2);
	expect_handled(event, 0);
	expect_ok(polling_delete_signal(p, kinds[_i].signo));
	/* SIGTERM is still there, and this one goes where it did before. */
	send_times(event, 2);
	expect_nothing(p);
	expect_handled(event, 2);
	polling_destroy(p);
	uninstall();
}
END_TEST

/* The system asks the last one first, and it has the last word. */
START_TEST(a_later_handler_is_left_alone)
{
	struct polling *p;

	SKIP_IF(why_no_events());
	p = make_poller();
	expect_ok(polling_add_signal(p, SIGINT, POLLING_LEVEL, 1));
	install();
	send_times(CTRL_C_EVENT, 2);
	expect_handled(CTRL_C_EVENT, 2);
	expect_nothing(p);
	/* Another signal is heard of no sooner. */
	expect_ok(polling_add_signal(p, SIGBREAK, POLLING_LEVEL, 2));
	send_times(CTRL_BREAK_EVENT, 1);
	expect_handled(CTRL_BREAK_EVENT, 1);
	uninstall();
	send_times(CTRL_C_EVENT, 1);
	expect_signal(p, 0, 1, 1);
	install();
	polling_destroy(p);
	send_times(CTRL_C_EVENT, 1);
	expect_handled(CTRL_C_EVENT, 1);
	uninstall();
}
END_TEST

/* Threads */

static void
send_break(void *argument)
{
	(void)argument;
	(void)send_event(CTRL_BREAK_EVENT);
}

/* 83: in each way to wait */
START_TEST(an_event_ends_a_wait)
{
	struct polling *p;
	struct polling_event event = {0, 0, 0};

	SKIP_IF(why_no_events());
	p = make_poller();
	expect_ok(polling_add_signal(p, SIGBREAK, POLLING_LEVEL, 1));
	for (int round = 0; round < 3; round++) {
		int64_t start = now_ns();
		struct delayed *d = run_after(30, send_break, NULL);

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

/* A registration while a thread is blocked in a wait, and the next. */
static void
add_and_send(void *argument)
{
	struct polling *p = argument;

	if (polling_add_signal(p, SIGINT, POLLING_ONESHOT, 1) == 0)
		(void)send_event(CTRL_C_EVENT);
}

static void
arm_again(void *argument)
{
	(void)polling_modify_signal(argument, SIGINT, POLLING_ONESHOT, 2);
}

START_TEST(a_blocked_wait_learns_of_a_signal)
{
	struct polling *p;
	struct delayed *d;

	SKIP_IF(why_no_events());
	p = make_poller();
	d = run_after(30, add_and_send, p);
	expect_signal(p, LONG_MS, 1, 1);
	join_delayed(d);
	send_times(CTRL_C_EVENT, 3);
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
	int rounds;
	atomic_int total; /* of the counts of events */
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
		atomic_fetch_add(&h->total, (int)event.data);
	}
	check_that(&h->trouble, polling_post(h->p, &end) == 0);
	return NULL;
}

static void *
send_signals(void *argument)
{
	struct hearing *h = argument;

	for (int i = 0; i < h->rounds && !in_trouble(&h->trouble); i++)
		check_that(&h->trouble, send_event(CTRL_BREAK_EVENT));
	return NULL;
}

#define SENDERS 3

/* 83: from several threads, to four that wait */
START_TEST(no_signal_is_lost_or_told_twice)
{
	static struct hearing h;
	struct crew senders = {0}, hearers = {0};
	int count;
	bool all;

	SKIP_IF(why_no_events());
	h.p = make_poller();
	h.rounds = scaled(300);
	count = SENDERS * h.rounds;
	expect_ok(polling_add_signal(h.p, SIGBREAK, POLLING_LEVEL, 1));
	for (int i = 0; i < 4; i++)
		crew_start(&hearers, hear_signals, &h);
	for (int i = 0; i < SENDERS; i++)
		crew_start(&senders, send_signals, &h);
	crew_join(&senders);
	all = reaches(&h.trouble, &h.total, count);
	sleep_ms(20);
	expect_ok(polling_post(h.p, &(struct polling_event){END_KEY, 0, 0}));
	crew_join(&hearers);
	expect_no_trouble(&h.trouble);
	ck_assert_msg(
	    all, "%d of %d signals came", atomic_load(&h.total), count);
	ck_assert_int_eq(atomic_load(&h.total), count);
	polling_destroy(h.p);
}
END_TEST

/* Signals that come while a wait is under way are the next one's. */
START_TEST(a_wait_tells_a_signal_once)
{
	static struct hearing h;
	struct polling_event events[4];
	struct crew crew = {0};
	int total = 0;
	int64_t give_up = patience();

	SKIP_IF(why_no_events());
	h.p = make_poller();
	h.rounds = scaled(1000);
	expect_ok(polling_add_signal(h.p, SIGBREAK, POLLING_LEVEL, 1));
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
		    polling_add_signal(r->p, SIGINT, POLLING_ONESHOT, 1) == 0);
		n = wait_ms(r->p, &event, 1, i % 8 == 0 ? 1 : 0);
		check_that(t, n == 0 || n == 1);
		if (n == 1) {
			check_that(t, event.key == 1 && event.data >= 1 &&
					  event.events == POLLING_SIGNAL);
			atomic_fetch_add(&r->told, (int)event.data);
		}
		check_that(t,
		    polling_modify_signal(r->p, SIGINT, POLLING_LEVEL, 2) == 0);
		check_that(t, polling_delete_signal(r->p, SIGINT) == 0);
		check_that(t, wait_ms(r->p, &event, 1, 0) == 0);
	}
	atomic_fetch_add(r->done, 1);
	return NULL;
}

#define REGISTRARS 3

/* The program's handler or the library's is there, never none. */
START_TEST(registration_races_with_signals)
{
	static struct registrar r[REGISTRARS];
	struct crew crew = {0};
	atomic_int done = 0;
	int sent = 0, told = 0;

	SKIP_IF(why_no_events());
	install();
	for (int i = 0; i < REGISTRARS; i++) {
		r[i].p = make_poller();
		r[i].rounds = scaled(2000);
		r[i].done = &done;
		crew_start(&crew, register_again_and_again, &r[i]);
	}
	while (atomic_load(&done) < REGISTRARS) {
		send_times(CTRL_C_EVENT, 1);
		sent++;
	}
	crew_join(&crew);
	for (int i = 0; i < REGISTRARS; i++) {
		expect_no_trouble(&r[i].trouble);
		ck_assert_int_le(atomic_load(&r[i].told), sent);
		told += atomic_load(&r[i].told);
		polling_destroy(r[i].p);
	}
	harness_note("of %d events the handler got %d, and the pollers %d",
	    sent, atomic_load(&handled[CTRL_C_EVENT]), told);
	ck_assert_int_le(atomic_load(&handled[CTRL_C_EVENT]), sent);
	atomic_store(&handled[CTRL_C_EVENT], 0);
	send_times(CTRL_C_EVENT, 1);
	expect_handled(CTRL_C_EVENT, 1);
	uninstall();
}
END_TEST

/* The end of the program */

/* In a kid: the event would end it, but for the poller. */
static void
outlive_events(int signo, DWORD event)
{
	struct polling *p = make_poller();

	ck_assert_ptr_eq(why_no_events(), NULL);
	expect_ok(polling_add_signal(p, signo, POLLING_ONESHOT, 1));
	send_times(event, 3);
	expect_signal(p, 0, 1, 3);
	send_times(event, 1);
	expect_nothing(p);
	expect_ok(polling_delete_signal(p, signo));
	(void)send_event(event);
	/* Whoever ends the process may need a moment for it. */
	sleep_ms(LONG_MS / 2);
	end_kid(KID_WENT_ON);
}

/* 83: _i is the signal */
START_TEST(the_default_action_returns)
{
	int number = kid_number();

	if (number >= 0)
		outlive_events(kinds[number].signo, kinds[number].event);
	SKIP_IF(why_no_events());
	expect_ended_by_event(run_kid("the_default_action_returns", _i));
}
END_TEST

/* The system gives a program that it is about to end some time, and counts it
 * until the handler returns. */
static const DWORD last_events[] = {
    CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT};

/* In a kid: it hears of its end, and has the time to end by itself. */
static void
end_in_time(DWORD event)
{
	struct polling *p = make_poller(), *q = make_poller();
	int64_t start;

	ck_assert_ptr_eq(why_no_events(), NULL);
	expect_ok(polling_add_signal(p, SIGTERM, POLLING_LEVEL, 1));
	expect_ok(polling_add_signal(p, SIGINT, POLLING_LEVEL, 2));
	expect_ok(polling_add_signal(q, SIGTERM, POLLING_ONESHOT, 3));
	SYSTEM(start_event(event) != NULL);
	expect_signal(p, LONG_MS, 1, 1);
	expect_signal(q, LONG_MS, 3, 1);
	/* Nothing of this waits until the time is over. */
	start = now_ns();
	expect_ok(polling_delete_signal(p, SIGTERM));
	polling_destroy(q);
	expect_ok(polling_delete_signal(p, SIGINT));
	expect_ok(polling_add_signal(p, SIGBREAK, POLLING_LEVEL, 4));
	polling_destroy(p);
	expect_elapsed(start, 0, 1000);
	/* It is not over yet. */
	sleep_ms(200);
	end_kid(KID_IS_DONE);
}

/* 83: _i is the event */
START_TEST(the_end_of_the_console_is_sigterm)
{
	int number = kid_number();

	if (number >= 0)
		end_in_time(last_events[number]);
	SKIP_IF(why_no_events());
	ck_assert_uint_eq(
	    run_kid("the_end_of_the_console_is_sigterm", _i), KID_IS_DONE);
}
END_TEST

/* Real consoles */

/* In a kid: sends a real event to all processes of the console, which is this
 * one alone. */
static void
generate(DWORD event)
{
	if (!GenerateConsoleCtrlEvent(event, 0))
		end_kid(KID_CANNOT);
}

/* In a kid: several may become one on their way. */
static void
hear_the_console(int signo, DWORD event)
{
	struct polling *p = make_poller(), *q = make_poller();

	SYSTEM(SetConsoleCtrlHandler(NULL, FALSE));
	expect_ok(polling_add_signal(p, signo, POLLING_LEVEL, 1));
	expect_ok(polling_add_signal(q, signo, POLLING_ONESHOT, 2));
	expect_nothing(p);
	for (int i = 0; i < 3; i++) {
		generate(event);
		expect_signal(p, LONG_MS, 1, 1);
		if (i == 0)
			expect_signal(q, LONG_MS, 2, 1);
		expect_nothing_for(p, 20);
		expect_nothing(q);
	}
	expect_ok(polling_modify_signal(q, signo, POLLING_ONESHOT, 3));
	expect_signal(q, LONG_MS, 3, 2);
	generate(event);
	generate(event);
	expect_counted(p, LONG_MS, 1, POLLING_SIGNAL, 1, 2);
	/* The second may be on its way still. */
	sleep_ms(100);
	polling_destroy(q);
	/* What ended none of this ends it now. */
	expect_ok(polling_delete_signal(p, signo));
	generate(event);
	sleep_ms(LONG_MS / 2);
	end_kid(KID_WENT_ON);
}

/* 83: _i is the signal */
START_TEST(the_console_is_heard)
{
	int number = kid_number();
	DWORD status;

	if (number >= 0)
		hear_the_console(kinds[number].signo, kinds[number].event);
	status = run_kid("the_console_is_heard", _i);
	if (status == KID_CANNOT)
		SKIP("GenerateConsoleCtrlEvent() fails for %s",
		    _i == 0 ? "Ctrl-C" : "Ctrl-Break");
	expect_ended_by_event(status);
}
END_TEST

static void
add_ends(Suite *s)
{
	CASE_LOOP(s, the_default_action_returns, CASE_SECONDS, 0, KINDS);
	CASE_LOOP(s, the_end_of_the_console_is_sigterm, CASE_SECONDS, 0, 3);
	CASE_LOOP(s, the_console_is_heard, CASE_SECONDS, 0, KINDS);
}

void
add_signals(Suite *s)
{
	CASE(s, signals_are_supported);
	CASE(s, numbers_that_are_no_signal_are_refused);
	CASE(s, three_signals_can_be_added);
	CASE(s, a_signal_is_added_once);
	CASE(s, unknown_modes_are_refused);
	CASE_LOOP(
	    s, a_burst_is_counted, CASE_SECONDS, 0, KINDS * supported_modes());
	CASE_LOOP(s, a_oneshot_signal_is_reported_once, CASE_SECONDS, 0, KINDS);
	CASE(s, modify_replaces_the_key);
	CASE(s, a_signal_is_added_without_a_past);
	CASE(s, every_poller_is_told);
	CASE_LOOP(
	    s, several_signals_are_told_apart, CASE_SECONDS, 1, KINDS + 1);
	CASE(s, signals_sockets_and_posts_come_together);
	CASE_LOOP(s, the_own_handler_returns, CASE_SECONDS, 0, KINDS);
	CASE_LOOP(
	    s, other_signals_go_on_to_the_own_handler, CASE_SECONDS, 0, KINDS);
	CASE(s, a_later_handler_is_left_alone);
	CASE_LOOP(s, an_event_ends_a_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE(s, a_blocked_wait_learns_of_a_signal);
	CASE_LIMIT(s, no_signal_is_lost_or_told_twice, 2 * CASE_SECONDS);
	CASE(s, a_wait_tells_a_signal_once);
	CASE_LIMIT(s, registration_races_with_signals, 2 * CASE_SECONDS);
	add_ends(s);
}
