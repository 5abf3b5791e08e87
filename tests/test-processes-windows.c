/* SPDX-License-Identifier: MIT */
/*
 * Processes as sources, on Windows: see test-processes.c for what is the same
 * elsewhere. The numbers are those of the conformance catalogue, part H.
 *
 * A kid is a process that was started, and stopped before it did anything. It
 * ends when the case says so, with the status that it says. Nobody need be its
 * parent, and it is known for as long as anyone has a handle of it.
 */
#include "harness.h"

#include <limits.h>
#include <windows.h>

#include "crew.h"
#include "scenes.h"

#define SYSTEM(call)                                         \
	do {                                                 \
		if (!(call))                                 \
			ck_abort_msg("%s: error %lu", #call, \
			    (unsigned long)GetLastError());  \
	} while (0)

struct kid {
	HANDLE process;
	HANDLE thread;
	polling_pid pid;
};

/* This program; if it is let run, it does not like what it is asked. */
#define USAGE_STATUS 2

static struct kid
start_kid(void)
{
	STARTUPINFOA how = {.cb = sizeof(how)};
	PROCESS_INFORMATION process;
	char program[MAX_PATH], line[] = "suites -?";

	SYSTEM(GetModuleFileNameA(NULL, program, sizeof(program)) != 0);
	SYSTEM(CreateProcessA(program, line, NULL, NULL, FALSE,
	    CREATE_NO_WINDOW | CREATE_SUSPENDED, NULL, NULL, &how, &process));
	return (struct kid){
	    process.hProcess, process.hThread, process.dwProcessId};
}

static void
start_kids(struct kid *kids, int count)
{
	for (int i = 0; i < count; i++)
		kids[i] = start_kid();
}

static void
end_kid(const struct kid *k, unsigned status)
{
	SYSTEM(TerminateProcess(k->process, status));
}

static void
await_end(const struct kid *k)
{
	ck_assert_uint_eq(
	    WaitForSingleObject(k->process, LONG_MS), WAIT_OBJECT_0);
}

/* Lets go of it; if nobody else has a handle it is unknown from then on. */
static void
close_kid(const struct kid *k)
{
	SYSTEM(CloseHandle(k->thread));
	SYSTEM(CloseHandle(k->process));
}

/* It has ended, or is about to, and its status is there. */
static void
expect_exit(const struct kid *k, unsigned status)
{
	DWORD its = 0;

	await_end(k);
	SYSTEM(GetExitCodeProcess(k->process, &its));
	ck_assert_uint_eq(its, status);
	close_kid(k);
}

/* Arguments */

START_TEST(processes_are_supported)
{
	struct polling *p = make_poller();

	ck_assert_int_eq(polling_supports(p, POLLING_FEATURE_PROCESS), 1);
	ck_assert_int_eq(polling_supports(p, POLLING_FEATURE_PROCESS_FORK), 0);
	polling_destroy(p);
}
END_TEST

static const uint32_t no_conditions[] = {POLLING_IN, POLLING_OUT, POLLING_HUP,
    POLLING_ERR, POLLING_TIMER, POLLING_SIGNAL, 0x00200000u, 0x80000000u,
    UINT32_MAX, POLLING_EXIT | POLLING_IN, POLLING_EXIT | 0x40000000u};

START_TEST(unknown_bits_are_refused)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

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
	end_kid(&k, 0);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_exit(&k, 0);
	polling_destroy(p);
}
END_TEST

START_TEST(forks_are_not_told)
{
	static const uint32_t bits[] = {POLLING_FORK, POLLING_EXEC,
	    POLLING_FORK | POLLING_EXEC | POLLING_EXIT};
	struct polling *p = make_poller();
	struct kid k = start_kid();

	for (size_t i = 0; i < 3; i++) {
		expect_error(
		    polling_add_process(p, k.pid, bits[i], 1), ENOTSUP);
		expect_error(polling_delete_process(p, k.pid), ENOENT);
	}
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 2));
	for (size_t i = 0; i < 3; i++)
		expect_error(
		    polling_modify_process(p, k.pid, bits[i], 3), ENOTSUP);
	end_kid(&k, 0);
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_exit(&k, 0);
	polling_destroy(p);
}
END_TEST

/* 84 */
START_TEST(an_unknown_process_is_refused)
{
	static const polling_pid numbers[] = {
	    0, INT_MAX, INT_MAX - 3, 0x80000000u, UINT_MAX - 3, UINT_MAX};
	struct polling *p = make_poller();

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		expect_error(
		    polling_add_process(p, numbers[i], POLLING_EXIT, 1), ESRCH);
		expect_error(polling_add_process(p, numbers[i], 0, 1), ESRCH);
		expect_error(
		    polling_modify_process(p, numbers[i], POLLING_EXIT, 1),
		    ENOENT);
		expect_error(polling_delete_process(p, numbers[i]), ENOENT);
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* 84: one that was */
START_TEST(a_process_without_handles_is_unknown)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();
	bool known = true;

	end_kid(&k, 0);
	expect_exit(&k, 0);
	/* The system, and who watches over it, may have handles for a while. */
	for (int i = 0; i < 500 && known; i++) {
		known = polling_add_process(p, k.pid, POLLING_EXIT, 1) == 0;
		if (known) {
			expect_ok(polling_delete_process(p, k.pid));
			sleep_ms(10);
		}
	}
	if (!known) {
		expect_error(
		    polling_add_process(p, k.pid, POLLING_EXIT, 1), ESRCH);
		expect_error(
		    polling_modify_process(p, k.pid, POLLING_EXIT, 1), ENOENT);
		expect_error(polling_delete_process(p, k.pid), ENOENT);
		expect_nothing(p);
	}
	polling_destroy(p);
	if (known)
		SKIP("somebody keeps handles of processes that have ended");
}
END_TEST

START_TEST(a_process_is_added_once)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_error(polling_modify_process(p, k.pid, POLLING_EXIT, 1), ENOENT);
	expect_error(polling_delete_process(p, k.pid), ENOENT);
	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_error(polling_add_process(p, k.pid, POLLING_EXIT, 2), EEXIST);
	expect_error(polling_add_process(p, k.pid, 0, 2), EEXIST);
	expect_nothing(p);
	end_kid(&k, 3);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_error(polling_add_process(p, k.pid, POLLING_EXIT, 2), EEXIST);
	/* A source that has reported is still there, but only once. */
	expect_ok(polling_delete_process(p, k.pid));
	expect_error(polling_delete_process(p, k.pid), ENOENT);
	expect_error(polling_modify_process(p, k.pid, POLLING_EXIT, 1), ENOENT);
	expect_exit(&k, 3);
	polling_destroy(p);
}
END_TEST

/* Exits */

static void
end_kid_later(void *argument)
{
	const struct kid *k = argument;

	(void)TerminateProcess(k->process, 42);
}

/* 84: with the ways to wait */
START_TEST(an_exit_ends_a_wait)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	struct kid k = start_kid();
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
	ck_assert_uint_eq(event.data, 0);
	/* Told once. */
	expect_nothing(p);
	expect_nothing_for(p, 30);
	/* 84: the status is kept */
	expect_exit(&k, 42);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* 84: by itself, and not by force */
START_TEST(a_process_that_runs_to_its_end_is_reported)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_nothing_for(p, 20);
	SYSTEM(ResumeThread(k.thread) != (DWORD)-1);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing(p);
	expect_exit(&k, USAGE_STATUS);
	polling_destroy(p);
}
END_TEST

/* 84: ended, but known by a handle that is still open */
START_TEST(an_exit_before_the_add_is_reported)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	end_kid(&k, 7);
	await_end(&k);
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
	expect_exit(&k, 7);
	polling_destroy(p);
}
END_TEST

/* The program closes its handles, _i: 0 before, 1 after the end, and 2 while
 * it is disarmed. The poller's is enough. */
START_TEST(an_exit_is_reported_without_other_handles)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(
	    p, k.pid, _i == 2 ? 0 : POLLING_EXIT, (uintptr_t)1));
	if (_i > 0) {
		end_kid(&k, 7);
		await_end(&k);
		close_kid(&k);
	} else {
		SYSTEM(CloseHandle(k.process));
		expect_nothing(p);
		SYSTEM(ResumeThread(k.thread) != (DWORD)-1);
		SYSTEM(CloseHandle(k.thread));
	}
	if (_i == 2) {
		expect_nothing_for(p, 20);
		expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 1));
	}
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing_for(p, 20);
	expect_ok(polling_delete_process(p, k.pid));
	polling_destroy(p);
}
END_TEST

START_TEST(a_disarmed_process_is_reported_when_armed)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(p, k.pid, 0, 1));
	end_kid(&k, 1);
	await_end(&k);
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
	expect_exit(&k, 1);
	polling_destroy(p);
}
END_TEST

START_TEST(modify_takes_effect_before_the_exit)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_nothing(p);
	expect_ok(polling_modify_process(p, k.pid, 0, 1));
	expect_nothing(p);
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 2));
	end_kid(&k, 0);
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_exit(&k, 0);
	polling_destroy(p);
}
END_TEST

/* Nothing is told under the old key, nor of what nobody asks for any more. */
START_TEST(modify_takes_effect_after_the_exit)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	end_kid(&k, 0);
	await_end(&k);
	/* What is under way for the old registration. */
	sleep_ms(20);
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 2));
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_nothing_for(p, 20);
	expect_ok(polling_modify_process(p, k.pid, POLLING_EXIT, 3));
	sleep_ms(20);
	expect_ok(polling_modify_process(p, k.pid, 0, 4));
	expect_nothing_for(p, 20);
	expect_exit(&k, 0);
	polling_destroy(p);
}
END_TEST

START_TEST(a_deleted_process_is_not_reported)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_ok(polling_delete_process(p, k.pid));
	end_kid(&k, 0);
	await_end(&k);
	expect_nothing_for(p, 30);
	/* Ended, but deleted before a wait looked. */
	for (int i = 0; i < 2; i++) {
		expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 2));
		if (i == 1)
			sleep_ms(20);
		expect_ok(polling_delete_process(p, k.pid));
		expect_nothing_for(p, 30);
	}
	expect_exit(&k, 0);
	polling_destroy(p);
}
END_TEST

#define TOGETHER 100

/* 84: all at once, in waits of several capacities */
START_TEST(many_processes_end_together)
{
	int capacity = _i == 0 ? 1 : _i == 1 ? 33 : TOGETHER;
	int count = scaled(TOGETHER);
	struct polling *p = make_poller();
	struct kid kids[TOGETHER];
	struct polling_event events[TOGETHER];
	bool seen[TOGETHER] = {false};
	int n;

	start_kids(kids, count);
	for (uintptr_t i = 0; i < (uintptr_t)count; i++)
		expect_ok(polling_add_process(p, kids[i].pid, POLLING_EXIT, i));
	expect_nothing(p);
	for (int i = 0; i < count; i++)
		end_kid(&kids[i], 11);
	for (int left = count; left > 0; left -= n) {
		n = wait_ms(p, events, capacity, (int)(LONG_MS * time_scale()));
		ck_assert_msg(n > 0, "%d exits did not come", left);
		ck_assert_int_le(n, capacity);
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, (uintptr_t)count);
			ck_assert_uint_eq(events[i].events, POLLING_EXIT);
			ck_assert_uint_eq(events[i].data, 0);
			ck_assert(!seen[events[i].key]);
			seen[events[i].key] = true;
		}
	}
	expect_nothing(p);
	for (int i = 0; i < count; i++)
		expect_exit(&kids[i], 11);
	polling_destroy(p);
}
END_TEST

START_TEST(two_pollers_watch_one_process)
{
	struct polling *p = make_poller(), *q = make_poller(),
		       *r = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_ok(polling_add_process(q, k.pid, POLLING_EXIT, 2));
	expect_ok(polling_add_process(r, k.pid, POLLING_EXIT, 3));
	expect_ok(polling_delete_process(r, k.pid));
	end_kid(&k, 0);
	expect_events(q, LONG_MS, {2, POLLING_EXIT});
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing(p);
	expect_nothing(q);
	expect_nothing_for(r, 20);
	expect_exit(&k, 0);
	polling_destroy(p);
	polling_destroy(q);
	polling_destroy(r);
}
END_TEST

/* 84, 86: the process, and a handle of it, are two sources */
START_TEST(a_process_and_its_handle_are_two_sources)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();

	expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, 1));
	expect_ok(
	    polling_add_waitable(p, k.process, POLLING_IN, POLLING_ONESHOT, 2));
	expect_nothing(p);
	end_kid(&k, 0);
	await_end(&k);
	/* One may come before the other. */
	for (unsigned told = 0; told != 3;) {
		struct polling_event e = {0, 0, 0};

		ck_assert_int_eq(wait_ms(p, &e, 1, LONG_MS), 1);
		ck_assert(e.key == 1 || e.key == 2);
		ck_assert_uint_eq(
		    e.events, e.key == 1 ? POLLING_EXIT : POLLING_IN);
		ck_assert_uint_eq(told & (unsigned)e.key, 0);
		told |= (unsigned)e.key;
	}
	expect_nothing(p);
	expect_ok(polling_delete_process(p, k.pid));
	/* That was no business of the handle's. */
	expect_ok(polling_modify_waitable(
	    p, k.process, POLLING_IN, POLLING_ONESHOT, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN});
	expect_ok(polling_delete_waitable(p, k.process));
	expect_exit(&k, 0);
	polling_destroy(p);
}
END_TEST

#define WATCHED 8

static void
watch_and_destroy(const struct kid *kids, int times)
{
	for (int i = 0; i < times; i++) {
		struct polling *p = make_poller();

		for (int j = 0; j < WATCHED; j++)
			expect_ok(polling_add_process(p, kids[j].pid,
			    j == 0 ? 0 : POLLING_EXIT, (uintptr_t)j));
		expect_ok(polling_delete_process(p, kids[1].pid));
		if (i % 2 == 0)
			expect_nothing(p);
		polling_destroy(p);
	}
}

/* 1, 84: what outlives it is none of its business any more; _i: the processes
 * have ended */
START_TEST(a_poller_is_destroyed_with_processes)
{
	struct polling *q = make_poller();
	struct kid kids[WATCHED];
	int handles;

	start_kids(kids, WATCHED);
	expect_ok(polling_add_process(q, kids[2].pid, POLLING_EXIT, 9));
	if (_i == 0)
		watch_and_destroy(kids, 10);
	handles = count_fds();
	if (_i == 0)
		watch_and_destroy(kids, scaled(100));
	for (int i = 0; i < WATCHED; i++)
		end_kid(&kids[i], 5);
	expect_events(q, LONG_MS, {9, POLLING_EXIT});
	if (_i == 1) {
		struct polling *p = make_poller();

		/* Ended, and perhaps told of, but not collected. */
		for (int j = 0; j < WATCHED; j++)
			expect_ok(polling_add_process(
			    p, kids[j].pid, POLLING_EXIT, (uintptr_t)j));
		sleep_ms(20);
		polling_destroy(p);
	}
	sleep_ms(100);
	/* The pool of threads keeps no more than it has of them. */
	harness_note("%d handles before, %d after", handles, count_fds());
	ck_assert_int_le(count_fds(), handles + 4);
	for (int i = 0; i < WATCHED; i++)
		expect_exit(&kids[i], 5);
	polling_destroy(q);
}
END_TEST

/* 82, 84: one at a time, and none starves another */
START_TEST(processes_sockets_and_posts_come_together)
{
	struct polling *p = make_poller();
	struct polling_event event;
	struct kid kids[4];
	polling_fd pair[2];
	int seen[3] = {0, 0, 0};

	make_tcp_pair(pair);
	start_kids(kids, 4);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, POLLING_LEVEL, 0));
	for (int i = 0; i < 4; i++)
		expect_ok(polling_add_process(p, kids[i].pid, POLLING_EXIT, 1));
	expect_events(p, LONG_MS, {0, POLLING_OUT});
	for (int i = 0; i < 4; i++) {
		end_kid(&kids[i], 0);
		await_end(&kids[i]);
		expect_ok(polling_post(p, &(struct polling_event){2, 1, 0}));
	}
	/* The system tells of the exits when it gets round to it. */
	sleep_ms(50);
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
		ck_assert_uint_le(event.key, 2);
		seen[event.key]++;
	}
	ck_assert_int_eq(seen[1], 4);
	ck_assert_int_eq(seen[2], 4);
	ck_assert_int_eq(seen[0], 32);
	for (int i = 0; i < 4; i++)
		expect_exit(&kids[i], 0);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

static polling_pid
parent_id(void)
{
	/* The beginning of it is the same everywhere. */
	struct {
		void *status, *environment, *affinity, *priority;
		uintptr_t own, parent;
	} info = {NULL, NULL, NULL, NULL, 0, 0};
	LONG(WINAPI * query)(HANDLE, int, void *, ULONG, ULONG *);

	query = (LONG(WINAPI *)(HANDLE, int, void *, ULONG, ULONG *))(
	    void (*)(void))GetProcAddress(GetModuleHandleA("ntdll"),
	    "NtQueryInformationProcess");
	if (query == NULL ||
	    query(GetCurrentProcess(), 0, &info, sizeof(info), NULL) < 0)
		return 0;
	return (polling_pid)info.parent;
}

/* Processes that run on, and are no children. */
START_TEST(a_living_stranger_is_not_reported)
{
	struct polling *p = make_poller();
	polling_pid strangers[] = {GetCurrentProcessId(), parent_id()};

	for (uintptr_t i = 0; i < 2; i++) {
		if (polling_add_process(p, strangers[i], POLLING_EXIT, i) !=
		    0) {
			/* The parent may be gone, or somebody else's. */
			ck_assert_uint_eq(i, 1);
			expect_error(
			    polling_delete_process(p, strangers[i]), ENOENT);
			continue;
		}
		expect_nothing_for(p, 20);
		expect_ok(polling_delete_process(p, strangers[i]));
	}
	polling_destroy(p);
}
END_TEST

/* Many come and go, and nothing is left of them. */
START_TEST(processes_come_and_go)
{
	struct polling *p = make_poller();
	int before = -1;

	for (uintptr_t i = 0; i < (uintptr_t)scaled(40); i++) {
		struct kid k = start_kid();

		expect_ok(polling_add_process(p, k.pid, POLLING_EXIT, i));
		end_kid(&k, 0);
		expect_events(p, LONG_MS, {i, POLLING_EXIT});
		expect_exit(&k, 0);
		expect_ok(polling_delete_process(p, k.pid));
		if (i == 0)
			before = count_fds();
	}
	ck_assert_int_le(count_fds(), before + 4);
	polling_destroy(p);
}
END_TEST

/* Threads */

/* What is done to a process while a thread is blocked in a wait. */
struct change {
	struct polling *p;
	polling_pid pid;
	bool add;
};

static void
change_process(void *argument)
{
	struct change *c = argument;

	/* Should it fail, the wait misses the event. */
	if (c->add)
		(void)polling_add_process(c->p, c->pid, POLLING_EXIT, 1);
	else
		(void)polling_modify_process(c->p, c->pid, POLLING_EXIT, 1);
}

/* One that has ended; _i: 0 it is added, 1 it is armed. */
START_TEST(a_blocked_wait_learns_of_a_process)
{
	struct polling *p = make_poller();
	struct kid k = start_kid();
	struct change c = {p, k.pid, _i == 0};
	struct delayed *d;

	if (_i == 1)
		expect_ok(polling_add_process(p, k.pid, 0, 2));
	end_kid(&k, 0);
	await_end(&k);
	d = run_after(30, change_process, &c);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	join_delayed(d);
	expect_exit(&k, 0);
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

/* 84: four threads, each exit once; some end before they are added */
START_TEST(waiters_share_the_exits)
{
	static struct watch w;
	struct kid kids[SHARED_KIDS];
	struct crew crew = {0};
	int count = scaled(SHARED_KIDS);
	bool all;

	w.p = make_poller();
	start_kids(kids, count);
	for (int i = 0; i < 4; i++)
		crew_start(&crew, collect_exits, &w);
	for (int i = 0; i < count; i++) {
		if (i % 3 == 0)
			end_kid(&kids[i], 0);
		expect_ok(polling_add_process(
		    w.p, kids[i].pid, POLLING_EXIT, (uintptr_t)i));
		if (i % 3 == 1)
			end_kid(&kids[i], 0);
	}
	for (int i = 2; i < count; i += 3)
		end_kid(&kids[i], 0);
	all = reaches(&w.trouble, &w.total, count);
	sleep_ms(20);
	expect_ok(polling_post(w.p, &(struct polling_event){END_KEY, 0, 0}));
	crew_join(&crew);
	expect_no_trouble(&w.trouble);
	ck_assert_msg(all, "%d exits came", atomic_load(&w.total));
	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(atomic_load(&w.seen[i]), 1);
		expect_exit(&kids[i], 0);
	}
	polling_destroy(w.p);
}
END_TEST

static void
add_exits(Suite *s)
{
	CASE_LOOP(s, an_exit_ends_a_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE(s, a_process_that_runs_to_its_end_is_reported);
	CASE(s, an_exit_before_the_add_is_reported);
	CASE_LOOP(
	    s, an_exit_is_reported_without_other_handles, CASE_SECONDS, 0, 3);
	CASE(s, a_disarmed_process_is_reported_when_armed);
	CASE(s, modify_takes_effect_before_the_exit);
	CASE(s, modify_takes_effect_after_the_exit);
	CASE(s, a_deleted_process_is_not_reported);
	CASE_LOOP(s, many_processes_end_together, 300, 0, 3);
	CASE(s, two_pollers_watch_one_process);
	CASE(s, a_process_and_its_handle_are_two_sources);
	CASE_LOOP(s, a_poller_is_destroyed_with_processes, CASE_SECONDS, 0, 2);
	CASE(s, processes_sockets_and_posts_come_together);
}

void
add_processes(Suite *s)
{
	CASE(s, processes_are_supported);
	CASE(s, unknown_bits_are_refused);
	CASE(s, forks_are_not_told);
	CASE(s, an_unknown_process_is_refused);
	CASE(s, a_process_without_handles_is_unknown);
	CASE(s, a_process_is_added_once);
	add_exits(s);
	CASE(s, a_living_stranger_is_not_reported);
	CASE_LIMIT(s, processes_come_and_go, 2 * CASE_SECONDS);
	CASE_LOOP(s, a_blocked_wait_learns_of_a_process, CASE_SECONDS, 0, 2);
	CASE_LIMIT(s, waiters_share_the_exits, 2 * CASE_SECONDS);
}
