/* SPDX-License-Identifier: MIT */
/*
 * Handles that can be waited for: events, semaphores, timers, processes and
 * threads. The numbers are those of the conformance catalogue, 86 first.
 *
 * The one hard idea: a wait for some of them takes something away. So these
 * cases also look at what is left in an object, since a library that takes more
 * than it reports would be as wrong as one that reports more than it takes.
 */
#include "harness.h"

#include <limits.h>
#include <stdio.h>
#include <windows.h>

#include "crew.h"
#include "scenes.h"

#define SYSTEM(call)                                         \
	do {                                                 \
		if (!(call))                                 \
			ck_abort_msg("%s: error %lu", #call, \
			    (unsigned long)GetLastError());  \
	} while (0)

#define add_handle(p, handle, events, mode, key) \
	polling_add_waitable((p), (handle), (events), (mode), (key))
#define modify_handle(p, handle, events, mode, key) \
	polling_modify_waitable((p), (handle), (events), (mode), (key))
#define delete_handle(p, handle) polling_delete_waitable((p), (handle))

enum { RESET_BY_WAIT = FALSE, RESET_BY_HAND = TRUE };

static HANDLE
make_event(int by_hand)
{
	HANDLE event = CreateEventW(NULL, by_hand, FALSE, NULL);

	SYSTEM(event != NULL);
	return event;
}

static void
close_handle(HANDLE handle)
{
	SYSTEM(CloseHandle(handle));
}

/* Asks the object itself; that takes what a wait takes. */
static bool
is_signalled(HANDLE handle)
{
	DWORD result = WaitForSingleObject(handle, 0);

	ck_assert(result == WAIT_OBJECT_0 || result == WAIT_TIMEOUT);
	return result == WAIT_OBJECT_0;
}

/* How many times a semaphore can still be taken; it is taken that often. */
static int
empty_semaphore(HANDLE semaphore)
{
	int count = 0;

	while (is_signalled(semaphore))
		count++;
	return count;
}

/* 86 */
START_TEST(an_event_reset_by_hand_is_reported_until_it_is_reset)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);

	expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	expect_nothing_for(p, 30);
	for (int round = 0; round < 3; round++) {
		SYSTEM(SetEvent(event));
		for (int i = 0; i < 5; i++)
			expect_events(p, LONG_MS, {1, POLLING_IN});
		SYSTEM(ResetEvent(event));
		expect_nothing(p);
		expect_nothing_for(p, 30);
	}
	expect_ok(delete_handle(p, event));
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 86 */
START_TEST(a_oneshot_event_is_reported_once)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);

	expect_ok(add_handle(p, event, POLLING_IN, POLLING_ONESHOT, 1));
	expect_nothing(p);
	SYSTEM(SetEvent(event));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	expect_nothing_for(p, 30);
	/* Armed again while it is signalled. */
	for (uintptr_t key = 2; key < 6; key++) {
		expect_ok(
		    modify_handle(p, event, POLLING_IN, POLLING_ONESHOT, key));
		expect_events(p, LONG_MS, {key, POLLING_IN});
		expect_nothing(p);
	}
	SYSTEM(ResetEvent(event));
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_ONESHOT, 7));
	expect_nothing_for(p, 30);
	SYSTEM(SetEvent(event));
	expect_events(p, LONG_MS, {7, POLLING_IN});
	/* Armed or not, it can be deleted once. */
	expect_ok(delete_handle(p, event));
	expect_error(delete_handle(p, event), ENOENT);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 86: _i is the mode; each report is a wait that succeeded */
START_TEST(an_event_that_resets_itself_is_reported_as_often_as_set)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_WAIT);

	expect_ok(add_handle(p, event, POLLING_IN, mode, 1));
	for (int round = 0; round < 20; round++) {
		expect_nothing(p);
		SYSTEM(SetEvent(event));
		expect_events(p, LONG_MS, {1, POLLING_IN});
		expect_nothing(p);
		ck_assert(!is_signalled(event));
		expect_ok(modify_handle(p, event, POLLING_IN, mode, 1));
	}
	expect_nothing_for(p, 30);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 86: disarmed, it keeps what it has; whoever arms it hears of it */
START_TEST(a_signal_while_disarmed_is_kept)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_WAIT);

	expect_ok(add_handle(p, event, POLLING_IN, POLLING_ONESHOT, 1));
	SYSTEM(SetEvent(event));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	/* It has fired, so that it is disarmed. */
	SYSTEM(SetEvent(event));
	expect_nothing_for(p, 30);
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	/* Armed, and then disarmed by events 0, before it is signalled. */
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_LEVEL, 3));
	expect_nothing(p);
	expect_ok(modify_handle(p, event, 0, POLLING_LEVEL, 4));
	expect_nothing(p);
	SYSTEM(SetEvent(event));
	expect_nothing_for(p, 30);
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_LEVEL, 5));
	expect_events(p, LONG_MS, {5, POLLING_IN});
	expect_nothing_for(p, 30);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 86 */
START_TEST(events_0_register_disarmed)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);

	SYSTEM(SetEvent(event));
	expect_ok(add_handle(p, event, 0, POLLING_LEVEL, 1));
	expect_nothing_for(p, 30);
	expect_error(
	    add_handle(p, event, POLLING_IN, POLLING_LEVEL, 2), EEXIST);
	expect_nothing(p);
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_LEVEL, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN});
	expect_ok(modify_handle(p, event, 0, POLLING_LEVEL, 4));
	expect_nothing_for(p, 30);
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_ONESHOT, 5));
	expect_events(p, LONG_MS, {5, POLLING_IN});
	expect_nothing(p);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 86: _i is the mode */
START_TEST(a_semaphore_is_reported_as_often_as_released)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	HANDLE semaphore = CreateSemaphoreW(NULL, 3, 100, NULL);

	SYSTEM(semaphore != NULL);
	expect_ok(add_handle(p, semaphore, POLLING_IN, mode, 1));
	for (int i = 0; i < 3; i++) {
		expect_events(p, LONG_MS, {1, POLLING_IN});
		if (mode == POLLING_ONESHOT) {
			expect_nothing(p);
			expect_ok(
			    modify_handle(p, semaphore, POLLING_IN, mode, 1));
		}
	}
	expect_nothing_for(p, 30);
	SYSTEM(ReleaseSemaphore(semaphore, 2, NULL));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_ok(modify_handle(p, semaphore, POLLING_IN, mode, 1));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	ck_assert_int_eq(empty_semaphore(semaphore), 0);
	close_handle(semaphore);
	polling_destroy(p);
}
END_TEST

static void
start_timer(HANDLE timer, int ms)
{
	LARGE_INTEGER due;

	/* Negative, so from now on, in units of 100 ns. */
	due.QuadPart = -(LONGLONG)ms * 10000;
	SYSTEM(SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE));
}

/* 86: _i is whether a wait resets it */
START_TEST(a_timer_is_reported_when_it_is_due)
{
	bool by_hand = _i == 0;
	struct polling *p = make_poller();
	HANDLE timer = CreateWaitableTimerW(NULL, by_hand, NULL);
	int64_t start;

	SYSTEM(timer != NULL);
	expect_ok(add_handle(p, timer, POLLING_TIMER, POLLING_LEVEL, 1));
	expect_nothing(p);
	for (int round = 0; round < 3; round++) {
		start = now_ns();
		start_timer(timer, 40);
		expect_nothing(p);
		expect_events(p, LONG_MS, {1, POLLING_TIMER});
		/* Timers count in ticks of some milliseconds. */
		expect_elapsed(start, 20, LONG_MS / 2);
		if (by_hand)
			expect_events(p, 0, {1, POLLING_TIMER});
		else
			expect_nothing_for(p, 30);
	}
	SYSTEM(CancelWaitableTimer(timer));
	close_handle(timer);
	polling_destroy(p);
}
END_TEST

/* This program, which does not like what it is asked and exits with 2. */
static HANDLE
start_process(bool suspended, HANDLE *thread)
{
	STARTUPINFOA how = {.cb = sizeof(how)};
	PROCESS_INFORMATION process;
	char program[MAX_PATH], line[] = "suites -?";

	SYSTEM(GetModuleFileNameA(NULL, program, sizeof(program)) != 0);
	SYSTEM(CreateProcessA(program, line, NULL, NULL, FALSE,
	    CREATE_NO_WINDOW | (suspended ? CREATE_SUSPENDED : 0), NULL, NULL,
	    &how, &process));
	*thread = process.hThread;
	return process.hProcess;
}

static void
expect_exit_status(HANDLE process)
{
	DWORD status = 0;

	SYSTEM(GetExitCodeProcess(process, &status));
	ck_assert_uint_eq(status, 2);
}

/* 86, 84 */
START_TEST(the_end_of_a_process_is_reported)
{
	struct polling *p = make_poller();
	HANDLE thread, process = start_process(true, &thread);

	expect_ok(add_handle(p, process, POLLING_EXIT, POLLING_ONESHOT, 1));
	expect_nothing_for(p, 30);
	SYSTEM(ResumeThread(thread) != (DWORD)-1);
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing(p);
	expect_exit_status(process);
	/* For ever. */
	expect_ok(modify_handle(p, process, POLLING_EXIT, POLLING_LEVEL, 2));
	expect_events(p, LONG_MS, {2, POLLING_EXIT});
	expect_events(p, 0, {2, POLLING_EXIT});
	expect_ok(delete_handle(p, process));
	expect_nothing(p);
	close_handle(thread);
	close_handle(process);
	polling_destroy(p);
}
END_TEST

/* 86, 84 */
START_TEST(a_process_that_is_over_is_reported)
{
	struct polling *p = make_poller();
	HANDLE thread, process = start_process(false, &thread);

	ck_assert(WaitForSingleObject(process, LONG_MS) == WAIT_OBJECT_0);
	expect_ok(add_handle(p, process, POLLING_EXIT, POLLING_ONESHOT, 1));
	expect_events(p, LONG_MS, {1, POLLING_EXIT});
	expect_nothing(p);
	expect_exit_status(process);
	close_handle(thread);
	close_handle(process);
	polling_destroy(p);
}
END_TEST

static void *
wait_for_event(void *argument)
{
	(void)WaitForSingleObject(argument, INFINITE);
	return NULL;
}

/* 86 */
START_TEST(the_end_of_a_thread_is_reported)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);
	struct thread thread;

	start_thread(&thread, wait_for_event, event);
	expect_ok(add_handle(
	    p, thread.handle, POLLING_EXIT, POLLING_LEVEL, UINTPTR_MAX));
	expect_nothing_for(p, 30);
	SYSTEM(SetEvent(event));
	expect_events(p, LONG_MS, {UINTPTR_MAX, POLLING_EXIT});
	expect_events(p, 0, {UINTPTR_MAX, POLLING_EXIT});
	expect_ok(delete_handle(p, thread.handle));
	expect_nothing(p);
	join_thread(&thread);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 86: whichever bits they are, they come back */
START_TEST(the_events_are_those_of_the_registration)
{
	static const uint32_t bits[] = {POLLING_IN, POLLING_PRI, POLLING_OUT,
	    POLLING_ERR, POLLING_HUP, POLLING_RDHUP, POLLING_TIMER,
	    POLLING_SIGNAL, POLLING_EXIT, POLLING_FORK, POLLING_EXEC};
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);
	uint32_t all = 0;

	SYSTEM(SetEvent(event));
	expect_ok(add_handle(p, event, 0, POLLING_LEVEL, 0));
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		all |= bits[i];
		expect_ok(modify_handle(p, event, bits[i], POLLING_LEVEL, i));
		expect_events(p, LONG_MS, {i, bits[i]});
		expect_ok(modify_handle(p, event, all, POLLING_ONESHOT, i));
		expect_events(p, LONG_MS, {i, all});
		expect_nothing(p);
	}
	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		if (bit & all)
			continue;
		expect_error(
		    modify_handle(p, event, bit, POLLING_LEVEL, 1), EINVAL);
		expect_error(
		    modify_handle(p, event, bit | all, POLLING_LEVEL, 1),
		    EINVAL);
	}
	expect_nothing(p);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

static void
expect_unknown_handle(struct polling *p, HANDLE handle)
{
	expect_error(
	    modify_handle(p, handle, POLLING_IN, POLLING_LEVEL, 1), ENOENT);
	expect_error(modify_handle(p, handle, 0, POLLING_ONESHOT, 1), ENOENT);
	expect_error(delete_handle(p, handle), ENOENT);
}

static void
expect_refused(struct polling *p, HANDLE handle, int code)
{
	static const uint32_t events[] = {POLLING_IN, POLLING_IN, 0};

	for (int i = 0; i < 3; i++) {
		enum polling_mode mode = i == 1 ? POLLING_ONESHOT
						: POLLING_LEVEL;
		int result;

		errno = 0;
		result = add_handle(p, handle, events[i], mode, 1);
		ck_assert_msg(result == -1 && errno == code,
		    "adding the handle %p gave %d (%s), not %s", handle, result,
		    error_text(errno), error_text(code));
	}
	expect_unknown_handle(p, handle);
}

/* 86: a wait would make somebody its owner; it stays nobody's */
START_TEST(a_mutex_is_refused)
{
	struct polling *p = make_poller();
	HANDLE mutex = CreateMutexW(NULL, FALSE, NULL);

	SYSTEM(mutex != NULL);
	expect_refused(p, mutex, EINVAL);
	expect_nothing_for(p, 30);
	ck_assert(WaitForSingleObject(mutex, 0) == WAIT_OBJECT_0);
	SYSTEM(ReleaseMutex(mutex));
	ck_assert(!ReleaseMutex(mutex));
	close_handle(mutex);
	polling_destroy(p);
}
END_TEST

/* 86, 6 */
START_TEST(what_is_no_handle_is_refused)
{
	struct polling *p = make_poller();
	HANDLE closed = make_event(RESET_BY_HAND);

	close_handle(closed);
	expect_refused(p, closed, EBADF);
	expect_refused(p, NULL, EBADF);
	expect_refused(p, INVALID_HANDLE_VALUE, EBADF);
	expect_refused(p, (HANDLE)(uintptr_t)0x7ffffff0, EBADF);
	expect_nothing(p);
	/* The number is good for a handle that is one. */
	closed = make_event(RESET_BY_HAND);
	expect_ok(add_handle(p, closed, POLLING_IN, POLLING_LEVEL, 1));
	SYSTEM(SetEvent(closed));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	close_handle(closed);
	polling_destroy(p);
}
END_TEST

/*
 * 86: a handle that may set an event and not wait for it: the system lets those
 * have the right who could get it in another way, or it does not.
 */
START_TEST(a_handle_without_the_right_to_wait_is_refused_or_works)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND), handle;

	SYSTEM(DuplicateHandle(GetCurrentProcess(), event, GetCurrentProcess(),
	    &handle, EVENT_MODIFY_STATE, FALSE, 0));
	if (add_handle(p, handle, POLLING_IN, POLLING_LEVEL, 1) == 0) {
		expect_nothing(p);
		SYSTEM(SetEvent(handle));
		expect_events(p, LONG_MS, {1, POLLING_IN});
		expect_ok(delete_handle(p, handle));
	} else {
		ck_assert_int_eq(errno, EACCES);
		expect_refused(p, handle, EACCES);
		SYSTEM(SetEvent(handle));
	}
	expect_nothing_for(p, 20);
	close_handle(handle);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 2, 8 */
START_TEST(what_is_unknown_is_refused)
{
	static const int modes[] = {4, 1000, INT_MAX, -1, INT_MIN};
	struct polling *p = make_poller();
	HANDLE added = make_event(RESET_BY_WAIT);
	HANDLE other = make_event(RESET_BY_WAIT);

	expect_ok(add_handle(p, added, POLLING_IN, POLLING_LEVEL, 1));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		enum polling_mode mode = (enum polling_mode)modes[i];

		expect_error(add_handle(p, other, POLLING_IN, mode, 2), EINVAL);
		expect_error(
		    modify_handle(p, added, POLLING_OUT, mode, 3), EINVAL);
	}
	for (int i = POLLING_EDGE; i < MODES; i++) {
		enum polling_mode mode = (enum polling_mode)i;

		expect_error(
		    add_handle(p, other, POLLING_IN, mode, 2), ENOTSUP);
		expect_error(
		    modify_handle(p, added, POLLING_OUT, mode, 3), ENOTSUP);
	}
	expect_error(
	    add_handle(p, other, 0x80000000u, POLLING_LEVEL, 2), EINVAL);
	expect_error(
	    add_handle(NULL, other, POLLING_IN, POLLING_LEVEL, 2), EFAULT);
	expect_error(
	    modify_handle(NULL, other, POLLING_IN, POLLING_LEVEL, 2), EFAULT);
	expect_error(delete_handle(NULL, other), EFAULT);
	expect_unknown_handle(p, other);
	SYSTEM(SetEvent(other));
	SYSTEM(SetEvent(added));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	ck_assert(is_signalled(other));
	close_handle(added);
	close_handle(other);
	polling_destroy(p);
}
END_TEST

/* 3, 4, 86 */
START_TEST(a_handle_is_added_once)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);

	expect_unknown_handle(p, event);
	expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
	expect_error(
	    add_handle(p, event, POLLING_OUT, POLLING_ONESHOT, 2), EEXIST);
	expect_error(add_handle(p, event, 0, POLLING_LEVEL, 2), EEXIST);
	SYSTEM(SetEvent(event));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_events(p, 0, {1, POLLING_IN});
	/* Nor does it arm what has fired. */
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_ONESHOT, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN});
	expect_error(
	    add_handle(p, event, POLLING_IN, POLLING_LEVEL, 4), EEXIST);
	expect_nothing(p);
	expect_ok(delete_handle(p, event));
	expect_unknown_handle(p, event);
	/* It can come back. */
	expect_ok(add_handle(p, event, POLLING_IN, POLLING_ONESHOT, 5));
	expect_events(p, LONG_MS, {5, POLLING_IN});
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* A socket is no waitable handle and the other way round. */
START_TEST(handles_and_sockets_are_kept_apart)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 2));
	expect_unknown(p, (polling_fd)event);
	expect_unknown_handle(p, (HANDLE)pair[0]);
	SYSTEM(SetEvent(event));
	put_bytes(pair[1], 1);
	sleep_ms(20);
	expect_events(p, LONG_MS, {1, POLLING_IN}, {2, POLLING_IN});
	expect_ok(delete_handle(p, event));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_delete(p, pair[0]));
	expect_nothing(p);
	close_handle(event);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* Adds up what waits report until this many events have come. */
static void
collect_keys(struct polling *p, int *seen, int keys, int count)
{
	struct polling_event events[16];

	while (count > 0) {
		int n = wait_ms(p, events, 16, LONG_MS);

		ck_assert_msg(n > 0, "%d events did not come", count);
		count -= n;
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, (uintptr_t)keys);
			seen[events[i].key]++;
		}
	}
	ck_assert_int_eq(count, 0);
	expect_nothing(p);
}

#define HANDLES 200

/* 86: _i is the mode; more than one call of the system can wait for */
START_TEST(two_hundred_handles_are_watched)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	HANDLE events[HANDLES];
	int seen[HANDLES] = {0};

	for (int i = 0; i < HANDLES; i++) {
		events[i] = make_event(RESET_BY_WAIT);
		expect_ok(
		    add_handle(p, events[i], POLLING_IN, mode, (uintptr_t)i));
	}
	expect_nothing(p);
	/* Each by itself, not in the order they were added in. */
	for (int i = 0; i < HANDLES; i++) {
		int n = i * 77 % HANDLES;

		SYSTEM(SetEvent(events[n]));
		expect_events(p, LONG_MS, {(uintptr_t)n, POLLING_IN});
		expect_ok(modify_handle(
		    p, events[n], POLLING_IN, mode, (uintptr_t)n));
	}
	expect_nothing(p);
	for (int i = 0; i < HANDLES; i++)
		SYSTEM(SetEvent(events[i]));
	collect_keys(p, seen, HANDLES, HANDLES);
	for (int i = 0; i < HANDLES; i++) {
		ck_assert_int_eq(seen[i], 1);
		ck_assert(!is_signalled(events[i]));
		close_handle(events[i]);
	}
	polling_destroy(p);
}
END_TEST

/* 86: many that are ready and stay so, with little room */
START_TEST(ready_handles_are_seen_in_turn)
{
	struct polling *p = make_poller();
	HANDLE handles[HANDLES];
	struct polling_event events[8];
	int seen[HANDLES] = {0};

	for (int i = 0; i < HANDLES; i++) {
		handles[i] = make_event(RESET_BY_HAND);
		SYSTEM(SetEvent(handles[i]));
		expect_ok(add_handle(
		    p, handles[i], POLLING_IN, POLLING_LEVEL, (uintptr_t)i));
	}
	/* Twice as many waits as would do if nothing were seen twice. */
	for (int i = 0; i < 2 * HANDLES / 8; i++) {
		int n = wait_ms(p, events, 8, LONG_MS);

		ck_assert_int_ge(n, 1);
		for (int j = 0; j < n; j++)
			seen[events[j].key]++;
	}
	for (int i = 0; i < HANDLES; i++) {
		ck_assert_msg(seen[i] > 0, "handle %d was not seen", i);
		close_handle(handles[i]);
	}
	polling_destroy(p);
}
END_TEST

/* 86, 9 */
START_TEST(a_change_of_a_handle_takes_effect)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);

	expect_ok(add_handle(p, event, POLLING_IN, POLLING_ONESHOT, 1));
	SYSTEM(SetEvent(event));
	/* What was under way under the old key comes under the new one. */
	sleep_ms(20);
	expect_ok(modify_handle(p, event, POLLING_OUT, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT});
	expect_nothing(p);
	expect_ok(modify_handle(p, event, POLLING_IN, POLLING_LEVEL, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN});
	expect_events(p, 0, {3, POLLING_IN});
	expect_ok(modify_handle(p, event, POLLING_HUP, POLLING_ONESHOT, 4));
	expect_events(p, LONG_MS, {4, POLLING_HUP});
	expect_nothing(p);
	close_handle(event);
	polling_destroy(p);
}
END_TEST

/* 12, 13 */
START_TEST(two_pollers_may_watch_one_handle)
{
	struct polling *p = make_poller(), *q = make_poller();
	HANDLE event = make_event(RESET_BY_HAND);

	expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(add_handle(q, event, POLLING_IN, POLLING_LEVEL, 2));
	SYSTEM(SetEvent(event));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_events(q, LONG_MS, {2, POLLING_IN});
	expect_events(p, 0, {1, POLLING_IN});
	expect_ok(delete_handle(p, event));
	expect_nothing(p);
	expect_events(q, LONG_MS, {2, POLLING_IN});
	polling_destroy(q);
	polling_destroy(p);
	ck_assert(is_signalled(event));
	close_handle(event);
}
END_TEST

/* 14, 69: who no longer watches takes nothing away */
START_TEST(a_deleted_handle_keeps_its_signals)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_WAIT);
	HANDLE semaphore = CreateSemaphoreW(NULL, 0, 100, NULL);

	SYSTEM(semaphore != NULL);
	for (int round = 0; round < 20; round++) {
		expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
		expect_ok(
		    add_handle(p, semaphore, POLLING_IN, POLLING_LEVEL, 2));
		expect_nothing(p);
		expect_ok(delete_handle(p, event));
		expect_ok(delete_handle(p, semaphore));
		SYSTEM(SetEvent(event));
		SYSTEM(ReleaseSemaphore(semaphore, 2, NULL));
		expect_nothing(p);
		sleep_ms(2);
		ck_assert(is_signalled(event));
		ck_assert_int_eq(empty_semaphore(semaphore), 2);
	}
	/* Nor does a poller that is no more. */
	expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
	polling_destroy(p);
	SYSTEM(SetEvent(event));
	sleep_ms(20);
	ck_assert(is_signalled(event));
	close_handle(event);
	close_handle(semaphore);
}
END_TEST

/* 75, 86: _i is whether it was signalled, or had reported */
START_TEST(a_handle_closed_undeleted_is_silent)
{
	struct polling *p = make_poller();

	for (int by_hand = 0; by_hand < 2; by_hand++) {
		HANDLE event = make_event(by_hand);
		int result;

		if (_i > 0)
			SYSTEM(SetEvent(event));
		expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
		for (int i = 0; i < 5 && _i == 2 && by_hand; i++)
			expect_events(p, LONG_MS, {1, POLLING_IN});
		close_handle(event);
		expect_silence(p);
		result = delete_handle(p, event);
		ck_assert(result == 0 || errno == ENOENT);
		expect_error(delete_handle(p, event), ENOENT);
		expect_silence(p);
	}
	polling_destroy(p);
}
END_TEST

/* 74: the object lives on, by another handle that nobody watches */
START_TEST(a_handle_closed_beside_a_duplicate_is_silent)
{
	struct polling *p = make_poller();
	HANDLE event = make_event(RESET_BY_HAND), copy;

	SYSTEM(DuplicateHandle(GetCurrentProcess(), event, GetCurrentProcess(),
	    &copy, 0, FALSE, DUPLICATE_SAME_ACCESS));
	expect_ok(add_handle(p, event, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	close_handle(event);
	SYSTEM(SetEvent(copy));
	expect_silence(p);
	close_handle(copy);
	polling_destroy(p);
}
END_TEST

/* 73, 86 */
START_TEST(the_number_of_a_closed_handle_comes_back)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	HANDLE last = NULL;
	int again = 0;

	for (uintptr_t key = 0; key < 500; key++) {
		HANDLE event = make_event(RESET_BY_HAND);

		again += event == last;
		last = event;
		expect_ok(add_handle(p, event, POLLING_IN, mode, key));
		if (key % 3 != 0)
			SYSTEM(SetEvent(event));
		if (key % 3 == 2)
			expect_events(p, LONG_MS, {key, POLLING_IN});
		close_handle(event);
	}
	harness_note("%d of 500 numbers came again at once", again);
	expect_silence(p);
	polling_destroy(p);
}
END_TEST

/* 67: what run_after() does to a handle */
struct change {
	struct polling *p;
	HANDLE event;
};

static void
set_later(void *argument)
{
	struct change *c = argument;

	(void)SetEvent(c->event);
}

static void
add_later(void *argument)
{
	struct change *c = argument;

	/* Should it fail, the wait misses the event. */
	(void)add_handle(c->p, c->event, POLLING_IN, POLLING_ONESHOT, 2);
}

static void
arm_later(void *argument)
{
	struct change *c = argument;

	(void)modify_handle(c->p, c->event, POLLING_IN, POLLING_ONESHOT, 3);
}

/* 67, 86 */
START_TEST(a_handle_ends_a_blocked_wait)
{
	struct change c = {make_poller(), make_event(RESET_BY_HAND)};
	int64_t start = now_ns();
	struct delayed *d;

	expect_ok(add_handle(c.p, c.event, POLLING_IN, POLLING_ONESHOT, 1));
	d = run_after(50, set_later, &c);
	expect_events(c.p, LONG_MS, {1, POLLING_IN});
	expect_elapsed(start, 20, LONG_MS / 2);
	join_delayed(d);
	expect_ok(delete_handle(c.p, c.event));
	d = run_after(50, add_later, &c);
	expect_events(c.p, LONG_MS, {2, POLLING_IN});
	join_delayed(d);
	d = run_after(50, arm_later, &c);
	expect_events(c.p, LONG_MS, {3, POLLING_IN});
	join_delayed(d);
	close_handle(c.event);
	polling_destroy(c.p);
}
END_TEST

/* 86, 82: none starves another, and a wait takes all that there is */
START_TEST(handles_sockets_and_posts_come_together)
{
	struct polling *p = make_poller();
	HANDLE by_hand = make_event(RESET_BY_HAND);
	HANDLE semaphore = CreateSemaphoreW(NULL, 5, 5, NULL);
	struct polling_event event;
	polling_fd pair[2];
	int seen[4] = {0, 0, 0, 0};

	SYSTEM(semaphore != NULL);
	make_tcp_pair(pair);
	put_bytes(pair[1], 1);
	SYSTEM(SetEvent(by_hand));
	expect_ok(add_handle(p, by_hand, POLLING_IN, POLLING_LEVEL, 0));
	expect_ok(add_handle(p, semaphore, POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 2));
	for (int i = 0; i < 5; i++)
		expect_ok(polling_post(p, &(struct polling_event){3, 1, 0}));
	expect_ok(polling_notify(p));
	for (int i = 0; i < 100; i++) {
		int n = wait_ms(p, &event, 1, LONG_MS);

		/* One of them may end by the notification. */
		ck_assert(n == 1 || (n == 0 && i < 20));
		if (n == 1)
			seen[event.key]++;
	}
	ck_assert_int_ge(seen[0], 10);
	ck_assert_int_eq(seen[1], 5);
	ck_assert_int_ge(seen[2], 10);
	ck_assert_int_eq(seen[3], 5);
	expect_events(p, LONG_MS, {0, POLLING_IN}, {2, POLLING_IN});
	SYSTEM(ResetEvent(by_hand));
	get_bytes(pair[0], 1);
	expect_nothing_for(p, 30);
	close_handle(by_hand);
	close_handle(semaphore);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 69: threads that wait while handles are deleted */
struct deletion {
	struct polling *p;
	atomic_int deleted; /* rounds whose delete has returned */
	atomic_int events;
	atomic_int waits;
	atomic_bool stop;
	struct trouble trouble;
};

static void *
wait_for_deleted(void *argument)
{
	struct deletion *d = argument;
	struct polling_event events[4];

	while (!atomic_load(&d->stop)) {
		uintptr_t before = (uintptr_t)atomic_load(&d->deleted);
		int n = wait_ms(d->p, events, 4, 1);

		check_that(&d->trouble, n >= 0);
		/* The keys are rounds; those up to this one were deleted when
		 * the wait began. */
		for (int i = 0; i < n; i++)
			check_that(&d->trouble, events[i].key > before);
		atomic_fetch_add(&d->events, n > 0 ? n : 0);
		atomic_fetch_add(&d->waits, 1);
	}
	return NULL;
}

/* 69, 86: _i is the mode */
START_TEST(nothing_is_reported_of_a_deleted_handle)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct deletion d = {.p = make_poller()};
	struct crew crew = {0};
	HANDLE events[2] = {
	    make_event(RESET_BY_HAND), make_event(RESET_BY_WAIT)};
	int rounds = scaled(2000);

	for (int i = 0; i < 4; i++)
		crew_start(&crew, wait_for_deleted, &d);
	for (int i = 1; i <= rounds && !in_trouble(&d.trouble); i++) {
		HANDLE event = events[i % 2];
		int before = atomic_load(&d.events);

		/* Set before, between or after. */
		if (i % 3 == 0)
			SYSTEM(SetEvent(event));
		expect_ok(
		    add_handle(d.p, event, POLLING_IN, mode, (uintptr_t)i));
		if (i % 3 == 1)
			SYSTEM(SetEvent(event));
		if (i % 16 == 0 && i % 3 != 2)
			ck_assert(reaches(&d.trouble, &d.events, before + 1));
		expect_ok(delete_handle(d.p, event));
		atomic_store(&d.deleted, i);
		if (i % 3 == 2)
			SYSTEM(SetEvent(event));
		SYSTEM(ResetEvent(event));
	}
	atomic_store(&d.stop, true);
	crew_join(&crew);
	expect_no_trouble(&d.trouble);
	ck_assert_int_gt(atomic_load(&d.events), 0);
	expect_nothing(d.p);
	close_handle(events[0]);
	close_handle(events[1]);
	polling_destroy(d.p);
}
END_TEST

#define PERMITS 2000

/* What a semaphore has is taken by several threads. */
struct permits {
	struct polling *p;
	HANDLE semaphore;
	enum polling_mode mode;
	atomic_int taken;
	atomic_bool stop;
	struct trouble trouble;
};

static void *
take_permits(void *argument)
{
	struct permits *t = argument;
	struct polling_event event;

	while (!atomic_load(&t->stop)) {
		int n = wait_ms(t->p, &event, 1, -1);

		if (!check_that(&t->trouble, n >= 0))
			break;
		if (n == 0)
			continue;
		atomic_fetch_add(&t->taken, 1);
		if (t->mode == POLLING_ONESHOT)
			check_that(
			    &t->trouble, modify_handle(t->p, t->semaphore,
					     POLLING_IN, t->mode, 1) == 0);
	}
	check_that(&t->trouble, polling_notify(t->p) == 0);
	return NULL;
}

/* 68, 86: _i is the mode */
START_TEST(each_permit_of_a_semaphore_goes_to_one_waiter)
{
	struct permits t = {.p = make_poller(),
	    .mode = (enum polling_mode)_i,
	    .semaphore = CreateSemaphoreW(NULL, 0, PERMITS, NULL)};
	struct crew crew = {0};
	int released = 0, count = scaled(PERMITS / 10) * 10;
	bool all;

	SYSTEM(t.semaphore != NULL);
	expect_ok(add_handle(t.p, t.semaphore, POLLING_IN, t.mode, 1));
	for (int i = 0; i < 4; i++)
		crew_start(&crew, take_permits, &t);
	for (int i = 0; released < count && i < count; i++) {
		int some = 1 + i % 7;

		some = some < count - released ? some : count - released;
		SYSTEM(ReleaseSemaphore(t.semaphore, some, NULL));
		released += some;
		yield_thread();
	}
	all = reaches(&t.trouble, &t.taken, released);
	sleep_ms(20);
	expect_no_trouble(&t.trouble);
	ck_assert_msg(all, "%d of %d were taken", t.taken, released);
	ck_assert_int_eq(t.taken, released);
	ck_assert_int_eq(empty_semaphore(t.semaphore), 0);
	atomic_store(&t.stop, true);
	expect_ok(polling_notify(t.p));
	crew_join(&crew);
	expect_no_trouble(&t.trouble);
	close_handle(t.semaphore);
	polling_destroy(t.p);
}
END_TEST

static void
watch_and_destroy(HANDLE *handles, int count, int times)
{
	for (int i = 0; i < times; i++) {
		struct polling *p = make_poller();

		for (int j = 0; j < count; j++)
			expect_ok(add_handle(p, handles[j], POLLING_IN,
			    (enum polling_mode)(j % 2), (uintptr_t)j));
		expect_ok(delete_handle(p, handles[0]));
		if (i % 2 == 0)
			expect_nothing(p);
		polling_destroy(p);
	}
}

/* 1, 86 */
START_TEST(destroying_with_waits_in_flight_leaves_nothing)
{
	HANDLE events[20];
	size_t resident, now;
	int handles, times = scaled(500);

	for (int i = 0; i < 20; i++)
		events[i] = make_event(i % 2);
	watch_and_destroy(events, 20, 50);
	/* What the pool keeps is no more than it has threads. */
	sleep_ms(100);
	handles = count_fds();
	resident = resident_size();
	watch_and_destroy(events, 20, times);
	sleep_ms(100);
	now = resident_size();
	harness_note("%d times 20 waits: %d handles before, %d after; "
		     "%zu KiB before, %zu after",
	    times, handles, count_fds(), resident / 1024, now / 1024);
	ck_assert_int_le(count_fds(), handles + 4);
	ck_assert_msg(
	    now <= resident + (size_t)times * 20 * 16 + ((size_t)512 << 10),
	    "the process grew from %zu to %zu bytes", resident, now);
	for (int i = 0; i < 20; i++)
		close_handle(events[i]);
}
END_TEST

static void
add_kinds(Suite *s)
{
	CASE(s, an_event_reset_by_hand_is_reported_until_it_is_reset);
	CASE(s, a_oneshot_event_is_reported_once);
	CASE_MODES(s, an_event_that_resets_itself_is_reported_as_often_as_set);
	CASE(s, a_signal_while_disarmed_is_kept);
	CASE(s, events_0_register_disarmed);
	CASE_MODES(s, a_semaphore_is_reported_as_often_as_released);
	CASE_LOOP(s, a_timer_is_reported_when_it_is_due, CASE_SECONDS, 0, 2);
	CASE(s, the_end_of_a_process_is_reported);
	CASE(s, a_process_that_is_over_is_reported);
	CASE(s, the_end_of_a_thread_is_reported);
	CASE(s, the_events_are_those_of_the_registration);
}

void
add_waitable(Suite *s)
{
	add_kinds(s);
	CASE(s, a_mutex_is_refused);
	CASE(s, what_is_no_handle_is_refused);
	CASE(s, a_handle_without_the_right_to_wait_is_refused_or_works);
	CASE(s, what_is_unknown_is_refused);
	CASE(s, a_handle_is_added_once);
	CASE(s, handles_and_sockets_are_kept_apart);
	CASE_MODES(s, two_hundred_handles_are_watched);
	CASE(s, ready_handles_are_seen_in_turn);
	CASE(s, a_change_of_a_handle_takes_effect);
	CASE(s, two_pollers_may_watch_one_handle);
	CASE(s, a_deleted_handle_keeps_its_signals);
	CASE_LOOP(s, a_handle_closed_undeleted_is_silent, CASE_SECONDS, 0, 3);
	CASE(s, a_handle_closed_beside_a_duplicate_is_silent);
	CASE_MODES(s, the_number_of_a_closed_handle_comes_back);
	CASE(s, a_handle_ends_a_blocked_wait);
	CASE(s, handles_sockets_and_posts_come_together);
	CASE_MODES(s, nothing_is_reported_of_a_deleted_handle);
	CASE_MODES(s, each_permit_of_a_semaphore_goes_to_one_waiter);
	CASE_LIMIT(s, destroying_with_waits_in_flight_leaves_nothing, 300);
}
