/* SPDX-License-Identifier: MIT */
/*
 * Timers. The numbers are those of the conformance catalogue, part H.
 *
 * The one hard idea: the library reads its clock at a moment that a test does
 * not know, but between two that it does. So a test notes the earliest and
 * the latest moment at which a timer may be due first, and holds every report
 * against both: never early by the one, never left out by the other.
 */
#include "harness.h"

#include <stdio.h>

#include "counted.h"
#include "crew.h"
#include "scenes.h"

#if HAVE_LINUX_SECCOMP_H
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

/* polling_add_timer() or polling_modify_timer(). */
struct starter {
	int (*start)(struct polling *, uintptr_t, const struct timespec *,
	    const struct timespec *, uintptr_t);
};
static const struct starter adds = {polling_add_timer};
static const struct starter modifies = {polling_modify_timer};

/* What a test knows of a timer; moments are library_now()'s. */
struct known {
	int64_t earliest; /* its first expiry is not before this */
	int64_t latest;   /* and not after this */
	int64_t interval; /* 0: it is due once */
	int64_t told;     /* how often it was reported to be due */
	uintptr_t key;
	bool live;
};

/* Starts the timer, which is to work, and notes what is known of it. */
static void
start_known(struct starter how, struct polling *p, uintptr_t id, int64_t first,
    int64_t interval, struct known *k)
{
	struct timespec f = ns_to_timespec(first), i = ns_to_timespec(interval);

	k->earliest = library_now() + first;
	expect_ok(how.start(p, id, &f, interval == 0 ? NULL : &i, k->key));
	k->latest = library_now() + first;
	k->interval = interval;
	k->told = 0;
	k->live = true;
}

/* How often one is due until now, if it is due first at that moment. */
static int64_t
times_due(int64_t first, int64_t interval, int64_t now)
{
	if (now < first)
		return 0;
	return interval == 0 ? 1 : 1 + (now - first) / interval;
}

/*
 * A wait that began and ended at these moments has reported the timer as due
 * so many more times; 0 if it has not, though there was room.
 */
static void
expect_known(struct known *k, int64_t count, int64_t began, int64_t ended)
{
	int64_t least = times_due(k->latest, k->interval, began);
	int64_t most = times_due(k->earliest, k->interval, ended);

	k->told += count;
	ck_assert_msg(k->told >= least && k->told <= most,
	    "timer %#llx was due %lld times, expected %lld to %lld",
	    (unsigned long long)k->key, (long long)k->told, (long long)least,
	    (long long)most);
}

/* Arguments */

#define LARGEST_TIME ((time_t)(((uintmax_t)1 << (sizeof(time_t) * 8 - 1)) - 1))

static const struct timespec bad_times[] = {{-1, 0}, {0, -1}, {0, 1000000000},
    {1, 2000000000}, {-1, 1000000000}, {-LARGEST_TIME, 0},
    {-LARGEST_TIME - 1, 0}, {LARGEST_TIME, -1}};
#define BAD_TIMES (sizeof(bad_times) / sizeof(bad_times[0]))

START_TEST(bad_times_are_refused)
{
	struct polling *p = make_poller();

	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 10));
	for (size_t i = 0; i < BAD_TIMES; i++) {
		const struct timespec *bad = &bad_times[i];

		expect_error(polling_add_timer(p, 2, bad, NULL, 20), EINVAL);
		expect_error(polling_add_timer(p, 2, bad, MS(1), 20), EINVAL);
		expect_error(polling_add_timer(p, 2, MS(0), bad, 20), EINVAL);
		expect_error(polling_modify_timer(p, 1, bad, NULL, 20), EINVAL);
		expect_error(
		    polling_modify_timer(p, 1, MS(0), bad, 20), EINVAL);
		expect_error(polling_delete_timer(p, 2), ENOENT);
	}
	/* It is as it was, with the old key. */
	expect_timer(p, 0, 10, 1);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

START_TEST(null_pointers_are_refused)
{
	struct polling *p = make_poller();

	expect_error(polling_add_timer(p, 1, NULL, NULL, 1), EFAULT);
	expect_error(polling_add_timer(p, 1, NULL, MS(1), 1), EFAULT);
	expect_error(polling_delete_timer(p, 1), ENOENT);
	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 10));
	expect_error(polling_modify_timer(p, 1, NULL, NULL, 1), EFAULT);
	expect_timer(p, 0, 10, 1);
	expect_error(polling_add_timer(NULL, 1, MS(0), NULL, 1), EFAULT);
	expect_error(polling_modify_timer(NULL, 1, MS(0), NULL, 1), EFAULT);
	expect_error(polling_delete_timer(NULL, 1), EFAULT);
	polling_destroy(p);
}
END_TEST

START_TEST(timers_are_supported)
{
	struct polling *p = make_poller();

	ck_assert_int_eq(polling_supports(p, POLLING_FEATURE_TIMER), 1);
	polling_destroy(p);
}
END_TEST

START_TEST(an_id_is_added_once)
{
	struct polling *p = make_poller(), *q = make_poller();

	expect_ok(polling_add_timer(p, 7, MS(0), NULL, 1));
	expect_error(polling_add_timer(p, 7, MS(0), MS(1), 2), EEXIST);
	expect_error(polling_add_timer(p, 7, MS(3600000), NULL, 2), EEXIST);
	/* Another poller has names of its own. */
	expect_ok(polling_add_timer(q, 7, MS(0), NULL, 3));
	expect_timer(p, 0, 1, 1);
	expect_nothing(p);
	expect_timer(q, 0, 3, 1);
	polling_destroy(p);
	polling_destroy(q);
}
END_TEST

START_TEST(an_unknown_id_is_not_found)
{
	struct polling *p = make_poller();

	expect_error(polling_modify_timer(p, 0, MS(0), NULL, 1), ENOENT);
	expect_error(polling_delete_timer(p, 0), ENOENT);
	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 1));
	for (unsigned bit = 1; bit < sizeof(uintptr_t) * 8; bit++) {
		uintptr_t id = 1 | (uintptr_t)1 << bit;

		expect_error(
		    polling_modify_timer(p, id, MS(0), NULL, 2), ENOENT);
		expect_error(polling_delete_timer(p, id), ENOENT);
	}
	expect_timer(p, 0, 1, 1);
	expect_error(polling_modify_timer(p, 1, MS(0), NULL, 1), ENOENT);
	expect_error(polling_delete_timer(p, 1), ENOENT);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* A number for the i-th timer that a weak hash does not tell from others. */
static uintptr_t
awkward_id(unsigned i)
{
	unsigned half = sizeof(uintptr_t) * 4;

	switch (i % 4) {
	case 0:
		return UINTPTR_MAX - i / 4;
	case 1:
		return (uintptr_t)(i / 4) << half;
	case 2:
		return (uintptr_t)(i / 4 + 1) << 12 | 0xfff;
	default:
		return ((uintptr_t)(i / 4) << half | i / 4) ^ 0x5a5;
	}
}

#define AWKWARD_IDS 4000

/* Finds what is reported, each timer once, with the key that belongs to it. */
static void
collect_awkward(struct polling *p, unsigned char seen[AWKWARD_IDS])
{
	struct polling_event events[50];
	int n;

	memset(seen, 0, AWKWARD_IDS);
	while ((n = wait_ms(p, events, 50, 0)) != 0) {
		ck_assert_int_gt(n, 0);
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, AWKWARD_IDS);
			ck_assert_uint_eq(events[i].events, POLLING_TIMER);
			ck_assert_uint_eq(events[i].data, 1);
			ck_assert_int_eq(seen[events[i].key]++, 0);
		}
	}
}

START_TEST(any_id_will_do)
{
	static unsigned char seen[AWKWARD_IDS];
	struct polling *p = make_poller();

	for (unsigned i = 0; i < AWKWARD_IDS; i++)
		expect_ok(polling_add_timer(p, awkward_id(i), MS(0), NULL, i));
	for (unsigned i = 0; i < AWKWARD_IDS; i += 3)
		expect_ok(polling_delete_timer(p, awkward_id(i)));
	for (unsigned i = 1; i < AWKWARD_IDS; i += 3)
		expect_error(
		    polling_add_timer(p, awkward_id(i), MS(0), NULL, 0),
		    EEXIST);
	collect_awkward(p, seen);
	for (unsigned i = 0; i < AWKWARD_IDS; i++) {
		ck_assert_int_eq(seen[i], i % 3 != 0);
		expect_error(polling_delete_timer(p, awkward_id(i)), ENOENT);
	}
	polling_destroy(p);
}
END_TEST

START_TEST(ids_are_apart_from_descriptors)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, POLLING_LEVEL, 1));
	expect_ok(
	    polling_add_timer(p, (uintptr_t)pair[0], MS(3600000), NULL, 1));
	expect_events(p, 0, {1, POLLING_OUT});
	expect_ok(polling_delete(p, pair[0]));
	expect_ok(polling_modify_timer(p, (uintptr_t)pair[0], MS(0), NULL, 2));
	expect_error(
	    polling_modify(p, pair[0], POLLING_OUT, POLLING_LEVEL, 1), ENOENT);
	expect_timer(p, 0, 2, 1);
	expect_error(polling_delete_timer(p, (uintptr_t)pair[0]), ENOENT);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

START_TEST(any_key_will_do)
{
	static const uintptr_t keys[] = {0, 1, (uintptr_t)1 << 31,
	    UINTPTR_MAX / 2, UINTPTR_MAX / 2 + 1, UINTPTR_MAX - 1, UINTPTR_MAX};
	struct polling *p = make_poller();

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		expect_ok(polling_add_timer(p, 1, MS(0), NULL, keys[i]));
		expect_timer(p, 0, keys[i], 1);
	}
	polling_destroy(p);
}
END_TEST

/* Due */

/* 81: after _i ms; 0 is at once */
START_TEST(a_timer_is_due_once)
{
	struct polling *p = make_poller();
	int64_t start = now_ns();

	expect_ok(polling_add_timer(p, 1, MS(_i), NULL, 5));
	expect_timer(p, _i == 0 ? 0 : LONG_MS, 5, 1);
	expect_elapsed(start, _i, LONG_MS);
	expect_nothing(p);
	expect_nothing_for(p, 60);
	expect_error(polling_delete_timer(p, 1), ENOENT);
	/* An interval of zero is none. */
	start = now_ns();
	expect_ok(polling_add_timer(p, 1, MS(_i), MS(0), 6));
	expect_timer(p, _i == 0 ? 0 : LONG_MS, 6, 1);
	expect_elapsed(start, _i, LONG_MS);
	expect_nothing_for(p, 20);
	expect_error(polling_modify_timer(p, 1, MS(0), NULL, 6), ENOENT);
	polling_destroy(p);
}
END_TEST

/* 81: in each way to wait */
START_TEST(a_wait_ends_when_a_timer_is_due)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	int64_t start;

	for (int round = 0; round < 5; round++) {
		start = now_ns();
		expect_ok(polling_add_timer(p, 1, MS(15), NULL, 5));
		ck_assert_int_eq(wait_as(p, &event, 1, _i), 1);
		expect_elapsed(start, 15, LONG_MS);
		ck_assert_uint_eq(event.key, 5);
		ck_assert_uint_eq(event.events, POLLING_TIMER);
		ck_assert_uint_eq(event.data, 1);
	}
	polling_destroy(p);
}
END_TEST

/* The wait's own time is over first. */
START_TEST(a_timer_does_not_lengthen_a_wait)
{
	struct polling *p = make_poller();

	expect_ok(polling_add_timer(p, 1, MS(3600000), MS(1), 5));
	expect_nothing(p);
	expect_nothing_for(p, 30);
	expect_ok(polling_modify_timer(p, 1, MS(3600000), NULL, 5));
	expect_nothing_for(p, 30);
	expect_ok(polling_delete_timer(p, 1));
	polling_destroy(p);
}
END_TEST

START_TEST(a_deadline_in_the_past_finds_a_due_timer)
{
	struct timespec past = {0, 0};
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};

	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 5));
	ck_assert_int_eq(polling_wait_until(p, &event, 1, &past), 1);
	ck_assert_uint_eq(event.key, 5);
	ck_assert_int_eq(polling_wait_until(p, &event, 1, &past), 0);
	polling_destroy(p);
}
END_TEST

static int
compare_int64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* 81: with the figure printed */
START_TEST(a_timer_is_never_early)
{
	static const int64_t lengths[] = {100000, 1500000, 3100000};
	int64_t length = lengths[_i];
	struct polling *p = make_poller();
	int rounds = scaled(200);
	int64_t *late = calloc((size_t)rounds, sizeof(*late));
	struct known k = {.key = 1};

	ck_assert_ptr_nonnull(late);
	for (int i = 0; i < rounds; i++) {
		start_known(adds, p, 1, length, 0, &k);
		expect_timer(p, LONG_MS, 1, 1);
		late[i] = library_now() - k.earliest;
		ck_assert_int_ge(late[i], 0);
	}
	qsort(late, (size_t)rounds, sizeof(*late), compare_int64);
	harness_note("due after %lld us, median %lld us late",
	    (long long)(length / 1000), (long long)(late[rounds / 2] / 1000));
	free(late);
	polling_destroy(p);
}
END_TEST

/* 81: waits that are on time and late ones */
START_TEST(a_periodic_timer_does_not_drift)
{
	struct polling *p = make_poller();
	struct known k = {.key = 9};
	struct polling_event event = {0, 0, 0};
	int64_t began;

	start_known(adds, p, 1, 5 * NS_PER_MS, 3 * NS_PER_MS, &k);
	for (int i = 0; i < 100; i++) {
		if (i % 10 == 9)
			sleep_ms(10);
		began = library_now();
		ck_assert_int_eq(wait_ms(p, &event, 1, -1), 1);
		ck_assert_uint_eq(event.key, 9);
		ck_assert_uint_eq(event.events, POLLING_TIMER);
		ck_assert_uint_ge(event.data, 1);
		expect_known(&k, event.data, began, library_now());
	}
	/* It is due at fixed times, however late the waits were. */
	ck_assert_int_ge(k.told, 100);
	expect_ok(polling_delete_timer(p, 1));
	expect_nothing_for(p, 20);
	polling_destroy(p);
}
END_TEST

/* 81 */
START_TEST(zero_first_is_due_at_once_and_then_again)
{
	struct polling *p = make_poller();
	int64_t start = now_ns();

	expect_ok(polling_add_timer(p, 1, MS(0), MS(200), 5));
	expect_counted(p, 0, 5, POLLING_TIMER, 1, UINT32_MAX);
	expect_counted(p, LONG_MS, 5, POLLING_TIMER, 1, UINT32_MAX);
	expect_elapsed(start, 200, LONG_MS);
	expect_ok(polling_delete_timer(p, 1));
	polling_destroy(p);
}
END_TEST

/* 81 */
START_TEST(a_late_wait_gets_one_event_with_the_count)
{
	struct polling *p = make_poller();
	struct known k = {.key = 5};
	int64_t began;
	uint32_t count;

	start_known(adds, p, 1, 10 * NS_PER_MS, 20 * NS_PER_MS, &k);
	for (int i = 0; i < 3; i++) {
		sleep_ms(95);
		began = library_now();
		count = expect_counted(p, 0, 5, POLLING_TIMER, 4, UINT32_MAX);
		expect_known(&k, count, began, library_now());
	}
	polling_destroy(p);
}
END_TEST

/* 81: an interval of 1 ns, which no loop may count out */
START_TEST(the_count_ends_at_its_limit)
{
	struct polling *p = make_poller();
	struct timespec nanosecond = {0, 1};
	int64_t cpu, told;

	expect_ok(polling_add_timer(p, 1, MS(0), &nanosecond, 5));
	expect_counted(p, 0, 5, POLLING_TIMER, 1, UINT32_MAX);
	sleep_ms(4400);
	cpu = cpu_ns();
	told = now_ns();
	expect_counted(p, 0, 5, POLLING_TIMER, UINT32_MAX, UINT32_MAX);
	ck_assert_int_lt(
	    cpu_ns() - cpu, (int64_t)(200 * NS_PER_MS * time_scale()));
	/* What was over the limit is not kept for the next. */
	told = expect_counted(p, 0, 5, POLLING_TIMER, 1, UINT32_MAX) -
	       (now_ns() - told);
	ck_assert_int_le(told, 0);
	expect_ok(polling_delete_timer(p, 1));
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* Once, and then either never or in a time that nobody lives to see. */
START_TEST(huge_times_never_come)
{
	static const struct timespec huge[] = {{LARGEST_TIME, 999999999},
	    {LARGEST_TIME, 0}, {LARGEST_TIME - 1, 999999999},
	    {LARGEST_TIME / 2, 0}, {0x7fffffff, 999999999}};
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	uintptr_t count = sizeof(huge) / sizeof(huge[0]);

	for (uintptr_t i = 0; i < count; i++) {
		expect_ok(polling_add_timer(p, i, &huge[i], NULL, i));
		expect_ok(polling_add_timer(p, i + 10, &huge[i], MS(1), i));
		expect_ok(polling_add_timer(p, i + 20, &huge[i], &huge[i], i));
		expect_ok(polling_add_timer(p, i + 30, MS(0), &huge[i], i));
		expect_timer(p, 0, i, 1);
		expect_nothing(p);
	}
	expect_nothing_for(p, 60);
	expect_ok(polling_notify(p));
	ck_assert_int_eq(wait_ms(p, &event, 1, -1), 0);
	for (uintptr_t i = 0; i < count; i++) {
		expect_ok(polling_modify_timer(p, i, MS(0), NULL, i));
		expect_timer(p, 0, i, 1);
		expect_ok(polling_delete_timer(p, i + 10));
		expect_ok(polling_modify_timer(p, i + 20, &huge[i], NULL, i));
		expect_ok(polling_delete_timer(p, i + 20));
		expect_ok(polling_delete_timer(p, i + 30));
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* A wait sleeps until the timer is due, instead of looking all the time. */
START_TEST(waiting_for_a_timer_takes_no_processor_time)
{
	struct polling *p = make_poller();
	int64_t start = now_ns(), cpu;

	expect_ok(polling_add_timer(p, 1, MS(100), MS(100), 1));
	expect_ok(polling_add_timer(p, 2, MS(3600000), NULL, 2));
	cpu = cpu_ns();
	for (int i = 0; i < 3; i++)
		expect_counted(p, LONG_MS, 1, POLLING_TIMER, 1, UINT32_MAX);
	cpu = cpu_ns() - cpu;
	ck_assert_msg(cpu < (now_ns() - start) / 4,
	    "three expiries took %.3f ms of processor time", (double)cpu / 1e6);
	polling_destroy(p);
}
END_TEST

/* Changes */

START_TEST(modify_starts_it_again)
{
	struct polling *p = make_poller();
	int64_t start;

	/* Due and not reported: forgotten, with the key. */
	expect_ok(polling_add_timer(p, 1, MS(0), MS(1), 1));
	sleep_ms(5);
	expect_ok(polling_modify_timer(p, 1, MS(3600000), NULL, 2));
	expect_nothing(p);
	/* From now, not from when it was added. */
	sleep_ms(20);
	start = now_ns();
	expect_ok(polling_modify_timer(p, 1, MS(30), MS(3600000), 3));
	expect_timer(p, LONG_MS, 3, 1);
	expect_elapsed(start, 30, LONG_MS);
	expect_nothing(p);
	/* From periodic to once. */
	expect_ok(polling_modify_timer(p, 1, MS(0), NULL, 4));
	expect_timer(p, 0, 4, 1);
	expect_error(polling_modify_timer(p, 1, MS(0), NULL, 4), ENOENT);
	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 5));
	/* And from once to periodic. */
	expect_ok(polling_modify_timer(p, 1, MS(0), MS(1), 6));
	for (int i = 0; i < 3; i++)
		expect_counted(p, LONG_MS, 6, POLLING_TIMER, 1, UINT32_MAX);
	polling_destroy(p);
}
END_TEST

START_TEST(modify_sets_the_count_back)
{
	struct polling *p = make_poller();
	struct known k = {.key = 1};
	int64_t began;

	start_known(adds, p, 1, 0, NS_PER_MS, &k);
	sleep_ms(50);
	start_known(modifies, p, 1, 0, 20 * NS_PER_MS, &k);
	began = library_now();
	expect_known(&k, expect_counted(p, 0, 1, POLLING_TIMER, 1, UINT32_MAX),
	    began, library_now());
	polling_destroy(p);
}
END_TEST

/* 81 */
START_TEST(a_due_timer_can_be_deleted)
{
	struct polling *p = make_poller();

	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 1));
	expect_ok(polling_add_timer(p, 2, MS(0), MS(1), 2));
	sleep_ms(3);
	expect_ok(polling_delete_timer(p, 1));
	expect_ok(polling_delete_timer(p, 2));
	expect_nothing(p);
	expect_error(polling_delete_timer(p, 1), ENOENT);
	expect_error(polling_delete_timer(p, 2), ENOENT);
	/* 81: the id is free at once */
	expect_ok(polling_add_timer(p, 1, MS(3600000), NULL, 3));
	expect_ok(polling_add_timer(p, 2, MS(0), NULL, 4));
	expect_timer(p, 0, 4, 1);
	expect_nothing_for(p, 10);
	polling_destroy(p);
}
END_TEST

START_TEST(timers_are_deleted_in_the_batch)
{
	struct polling *p = make_poller();
	struct polling_event events[2];
	uintptr_t other;

	/* What the wait had no room for. */
	for (uintptr_t id = 1; id <= 2; id++)
		expect_ok(polling_add_timer(p, id, MS(0), NULL, id));
	ck_assert_int_eq(wait_ms(p, events, 1, 0), 1);
	other = 3 - events[0].key;
	expect_error(polling_delete_timer(p, events[0].key), ENOENT);
	expect_ok(polling_delete_timer(p, other));
	expect_nothing(p);
	/* What it returned: the periodic one is still there, the other not. */
	expect_ok(polling_add_timer(p, 1, MS(0), MS(3600000), 1));
	expect_ok(polling_add_timer(p, 2, MS(0), NULL, 2));
	ck_assert_int_eq(wait_ms(p, events, 2, 0), 2);
	expect_ok(polling_delete_timer(p, 1));
	expect_error(polling_delete_timer(p, 2), ENOENT);
	/* From its own event, a timer is started again. */
	expect_ok(polling_add_timer(p, 2, MS(0), NULL, 5));
	expect_timer(p, 0, 5, 1);
	polling_destroy(p);
}
END_TEST

/* The use that most timers have: moved on before they are due. */
START_TEST(a_timer_that_is_moved_on_is_not_due)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	int64_t start = now_ns(), moved = start;

	expect_ok(polling_add_timer(p, 1, MS(100), NULL, 1));
	while (now_ns() - start < 300 * NS_PER_MS) {
		int n = wait_ms(p, &event, 1, 5);

		/* On a busy machine it may have been due after all. */
		ck_assert(n == 0 || now_ns() - moved >= 100 * NS_PER_MS);
		moved = now_ns();
		expect_ok(
		    (n == 0 ? modifies : adds).start(p, 1, MS(100), NULL, 1));
	}
	expect_timer(p, LONG_MS, 1, 1);
	expect_elapsed(moved, 100, LONG_MS);
	polling_destroy(p);
}
END_TEST

/* Due ones, reported ones and others; whatever frees them is to find all. */
START_TEST(a_poller_is_destroyed_with_timers)
{
	struct polling *p = make_poller();
	struct polling_event events[100];

	for (uintptr_t id = 0; id < 1000; id++)
		expect_ok(polling_add_timer(p, id, id % 2 ? MS(0) : MS(3600000),
		    id % 3 ? MS(1) : NULL, id));
	ck_assert_int_eq(wait_ms(p, events, 100, 0), 100);
	polling_destroy(p);
}
END_TEST

/* Many */

#define HOUR (3600 * NS_PER_SEC)

/* 81: 100,000 of them, in the order of their moments */
START_TEST(many_timers_are_due_in_order)
{
	int count = scaled(100000);
	struct known *known = calloc((size_t)count, sizeof(*known));
	struct polling *p = make_poller();
	struct polling_event events[64];
	uint32_t random = 1;
	int64_t last = 0, began;
	int n, left = count;

	ck_assert_ptr_nonnull(known);
	for (int i = 0; i < count; i++) {
		known[i].key = (uintptr_t)i;
		start_known(adds, p, (uintptr_t)i,
		    (int64_t)(next_random(&random) % 500000000), 0, &known[i]);
	}
	while (left > 0) {
		began = library_now();
		n = wait_ms(p, events, 64, -1);
		ck_assert_int_gt(n, 0);
		left -= n;
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, (uintptr_t)count);
			struct known *k = &known[events[i].key];

			ck_assert_uint_eq(events[i].events, POLLING_TIMER);
			expect_known(
			    k, events[i].data, INT64_MIN, library_now());
			ck_assert_int_eq(k->told, 1);
			/* None before it is certain to be after it. */
			ck_assert_int_ge(k->latest, last);
			if (k->earliest > last)
				last = k->earliest;
		}
		ck_assert_int_ge(library_now(), began);
	}
	expect_nothing_for(p, 20);
	free(known);
	polling_destroy(p);
}
END_TEST

/* Many have been, and the few that are left are moved again and again: what
 * their last moments leave behind is more than they are, but less than there
 * were. */
START_TEST(few_that_are_left_move_often)
{
	enum { ALL = 2000, LEFT = 20, MOVES = 15 };
	struct polling *p = make_poller();
	struct polling_event events[100];
	bool seen[LEFT] = {false};
	int64_t began;

	for (uintptr_t id = 0; id < ALL; id++)
		expect_ok(polling_add_timer(
		    p, id, id < LEFT ? MS(3600000) : MS(0), NULL, id));
	for (int i = LEFT; i < ALL; i += 100)
		ck_assert_int_gt(wait_ms(p, events, 100, 0), 0);
	expect_nothing(p);
	for (int move = 1; move <= MOVES; move++) {
		for (uintptr_t id = 0; id < LEFT; id++)
			expect_ok(polling_modify_timer(
			    p, id, MS(3600000 - 1000 * move), NULL, id));
	}
	expect_nothing(p);
	began = library_now();
	for (uintptr_t id = 0; id < LEFT; id++)
		expect_ok(polling_modify_timer(p, id, MS(20), NULL, id));
	for (int left = LEFT, n; left > 0; left -= n) {
		n = wait_ms(p, events, 100, LONG_MS);
		ck_assert_int_gt(n, 0);
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, LEFT);
			ck_assert(!seen[events[i].key]);
			seen[events[i].key] = true;
		}
	}
	expect_elapsed(began, 20, LONG_MS);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* 81: what does not fit is not lost */
START_TEST(a_small_capacity_loses_no_timer)
{
	struct polling *p = make_poller();
	struct polling_event events[7];
	bool seen[100] = {false};

	for (uintptr_t id = 0; id < 100; id++)
		expect_ok(polling_add_timer(p, id, MS(0), NULL, id));
	for (int left = 100; left > 0; left -= 7) {
		int expected = left < 7 ? left : 7;

		ck_assert_int_eq(wait_ms(p, events, 7, -1), expected);
		for (int i = 0; i < expected; i++) {
			ck_assert_uint_lt(events[i].key, 100);
			ck_assert_uint_eq(events[i].data, 1);
			ck_assert(!seen[events[i].key]);
			seen[events[i].key] = true;
		}
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

#define FAST_TIMERS  24 /* due again before a wait returns */
#define READY_FDS    8  /* ready all the time */
#define CROWD        (FAST_TIMERS + READY_FDS)
#define CROWD_ROUNDS 8

/*
 * Waits with this capacity until everything was reported, within a number of
 * waits that leaves room for any order of service but not for starving.
 */
static void
expect_all_served(struct polling *p, int capacity)
{
	struct polling_event events[CROWD];
	bool seen[CROWD] = {false};
	int left = CROWD, waits = 0;

	while (left > 0) {
		int n = wait_ms(p, events, capacity, -1);

		ck_assert_int_ge(n, 1);
		ck_assert_int_le(n, capacity);
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, CROWD);
			left -= !seen[events[i].key];
			seen[events[i].key] = true;
		}
		ck_assert_msg(waits++ < CROWD_ROUNDS * CROWD / capacity,
		    "%d of %d starve with a capacity of %d", left, CROWD,
		    capacity);
	}
}

/* 82: neither timers nor descriptors starve */
START_TEST(timers_and_descriptors_share_a_wait)
{
	static const int capacities[] = {1, 2, 4, 7, CROWD};
	struct timespec often = {0, 100};
	struct polling *p = make_poller();
	polling_fd pairs[READY_FDS][2];
	uintptr_t key = 0;

	for (int i = 0; i < READY_FDS; i++) {
		make_socketpair(pairs[i]);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_OUT, POLLING_LEVEL, key++));
	}
	while (key < CROWD) {
		expect_ok(polling_add_timer(p, key, MS(0), &often, key));
		key++;
	}
	for (int round = 0; round < CROWD_ROUNDS; round++)
		for (size_t i = 0; i < 5; i++)
			expect_all_served(p, capacities[i]);
	for (int i = 0; i < READY_FDS; i++)
		close_pair(pairs[i]);
	polling_destroy(p);
}
END_TEST

/* 82: a batch has room for all kinds of events */
START_TEST(timers_descriptors_and_posts_in_one_wait)
{
	struct polling *p = make_poller();
	struct polling_event events[8], post = {3, POLLING_TIMER, 7};
	unsigned seen = 0;
	polling_fd pair[2];
	int n, waits = 0;

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, POLLING_ONESHOT, 1));
	expect_ok(polling_add_timer(p, 1, MS(0), NULL, 2));
	expect_ok(polling_post(p, &post));
	expect_ok(polling_notify(p));
	while (seen != 7) {
		n = wait_ms(p, events, 8, 0);
		ck_assert_int_lt(waits++, 4);
		for (int i = 0; i < n; i++) {
			ck_assert(events[i].key >= 1 && events[i].key <= 3);
			ck_assert_int_eq(seen & 1u << (events[i].key - 1), 0);
			seen |= 1u << (events[i].key - 1);
			if (events[i].key == 3)
				ck_assert_uint_eq(events[i].data, 7);
		}
	}
	/* The notification may have ended one of these waits, or this one. */
	expect_nothing(p);
	expect_nothing_for(p, 20);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* A notification ends a wait before the timer, which is not lost by it. */
START_TEST(a_notification_leaves_the_timer)
{
	struct polling *p = make_poller();
	struct polling_event event = {0, 0, 0};
	int64_t start = now_ns();

	expect_ok(polling_add_timer(p, 1, MS(150), NULL, 1));
	for (int i = 0; i < 5; i++) {
		expect_ok(polling_notify(p));
		ck_assert_int_eq(wait_ms(p, &event, 1, -1), 0);
	}
	ck_assert_int_eq(wait_ms(p, &event, 1, -1), 1);
	expect_elapsed(start, 150, LONG_MS);
	polling_destroy(p);
}
END_TEST

/* Adds, moves and deletes so many timers, some of which come back. */
static void
use_timers(struct polling *p, uintptr_t count)
{
	for (uintptr_t id = 0; id < count; id++)
		expect_ok(polling_add_timer(
		    p, id, MS(3600000 - (int)(id % 5000)), NULL, id));
	for (uintptr_t id = 0; id < count; id++)
		expect_ok(polling_modify_timer(p, id * 7919 % count,
		    MS(1800000 + (int)(id % 9000)), MS(60000), id));
	for (uintptr_t id = 0; id < count; id++)
		expect_ok(polling_delete_timer(p, id));
}

#define MOVED 1000

/* Those that are moved ahead, again and again, take no more memory. */
START_TEST(timers_moved_often_take_little_memory)
{
	struct polling *p = make_poller();
	int rounds = scaled(500);
	size_t before, after;

	if (is_instrumented() || heap_in_use() == 0) {
		polling_destroy(p);
		SKIP("the heap cannot be looked at here");
	}
	for (uintptr_t id = 0; id < MOVED; id++)
		expect_ok(polling_add_timer(p, id, MS(1000 * MOVED), NULL, id));
	before = heap_in_use();
	for (int round = 1; round <= rounds + 20; round++)
		for (uintptr_t id = 0; id < MOVED; id++)
			expect_ok(polling_modify_timer(
			    p, id, MS(1000 * (MOVED - round)), NULL, id));
	after = heap_in_use();
	ck_assert_msg(after < before + MOVED * 64, "%zu bytes have become %zu",
	    before, after);
	expect_nothing(p);
	for (uintptr_t id = 0; id < MOVED; id++)
		expect_ok(polling_delete_timer(p, id));
	expect_nothing_for(p, 10);
	polling_destroy(p);
}
END_TEST

/* 81: a million of them, and the memory they take */
START_TEST(a_million_timers_take_little_memory)
{
	struct polling *p = make_poller();
	uintptr_t count = (uintptr_t)scaled(1000000);
	size_t before, full, after;

	if (is_instrumented() || heap_in_use() == 0) {
		polling_destroy(p);
		SKIP("the heap cannot be looked at here");
	}
	ck_assert_uint_gt(count, 0);
	/* The allocator keeps some of what was freed, once and for all. */
	use_timers(p, 1000);
	before = heap_in_use();
	for (uintptr_t id = 0; id < count; id++)
		expect_ok(polling_add_timer(p, id, MS(3600000), NULL, id));
	full = heap_in_use() - before;
	for (uintptr_t id = 0; id < count; id++)
		expect_ok(polling_delete_timer(p, id));
	after = heap_in_use();
	after = after > before ? after - before : 0;
	harness_note("%zu bytes a timer, %zu left when all are deleted",
	    full / count, after);
	ck_assert_uint_lt(full / count, 200);
	ck_assert_msg(
	    after < full / 4, "%zu of %zu bytes are kept", after, full);
	polling_destroy(p);
	ck_assert_uint_le(heap_in_use(), before);
}
END_TEST

#if HAVE_LINUX_SECCOMP_H

/* The number of the first call that was not allowed; 0 is read(). */
static volatile sig_atomic_t forbidden = -1;

static void
on_forbidden(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	if (forbidden == -1)
		forbidden = info->si_syscall;
}

#define ALLOW(call)                                             \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/*
 * From here on every call but the allocator's and those that end a process
 * raises SIGSYS instead of being made. False if there is no such filter.
 */
static bool
forbid_calls(void)
{
	struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
					   offsetof(struct seccomp_data, nr)),
	    ALLOW(brk), ALLOW(munmap), ALLOW(mremap), ALLOW(madvise),
#ifdef __NR_mmap
	    ALLOW(mmap),
#endif
#ifdef __NR_mmap2
	    ALLOW(mmap2),
#endif
	    ALLOW(mprotect), ALLOW(rt_sigreturn), ALLOW(write),
	    ALLOW(exit_group), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)};
	struct sock_fprog program = {
	    (unsigned short)(sizeof(filter) / sizeof(filter[0])), filter};
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_forbidden;
	action.sa_flags = SA_SIGINFO;
	return sigaction(SIGSYS, &action, NULL) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void
read_the_clock(struct polling *p, uintptr_t count)
{
	void *memory = malloc(count);

	(void)p;
	(void)library_now();
	free(memory);
}

#define NO_FILTER (-2)

/* The first call that act() makes in a child of its own; -1 if none. */
static int
first_call_of(
    void (*act)(struct polling *, uintptr_t), uintptr_t count, int *status)
{
	int fds[2], call = NO_FILTER;
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		struct polling *p = polling_create(0);

		if (p == NULL || !forbid_calls())
			_exit(3);
		act(p, count);
		call = forbidden;
		_exit(write(fds[1], &call, sizeof(call)) != sizeof(call));
	}
	(void)close(fds[1]);
	(void)!read(fds[0], &call, sizeof(call));
	(void)close(fds[0]);
	ck_assert_int_eq(waitpid(pid, status, 0), pid);
	return call;
}

/* 81: only memory may be asked for */
START_TEST(timers_need_no_system_call)
{
	int status, call;

	if (is_instrumented())
		SKIP("a tool makes system calls of its own");
#if !HAVE_PTHREAD_ATFORK
	SKIP("without pthread_atfork() each call asks for the process's id");
#endif
	call = first_call_of(read_the_clock, 1, &status);
	if (call != -1)
		SKIP("system calls cannot be told apart here (%d)", call);
	call = first_call_of(use_timers, (uintptr_t)scaled(1000000), &status);
	ck_assert_msg(call == -1, "system call %d was made", call);
	ck_assert_int_eq(status, 0);
}
END_TEST

#else

START_TEST(timers_need_no_system_call)
{
	SKIP("no way to count system calls on this system");
}
END_TEST

#endif /* HAVE_LINUX_SECCOMP_H */

/* A model */

#define MODEL_IDS 48
#define HOURS     3

struct model {
	struct polling *p;
	struct known timers[MODEL_IDS];
	uint32_t random;
	uintptr_t serial;
};

static uint32_t
below(struct model *m, uint32_t limit)
{
	return next_random(&m->random) % limit;
}

/* Of all lengths, so that some are due at once and others never. */
static int64_t
random_length(struct model *m)
{
	switch (below(m, 5)) {
	case 0:
		return 0;
	case 1:
		return below(m, 1000);
	case 2:
		return below(m, 200000);
	case 3:
		return below(m, 3000000);
	default:
		return HOUR * (1 + below(m, HOURS));
	}
}

/* Adds or modifies; what is to come of it is known. */
static void
model_start(struct model *m, struct starter how, bool exists)
{
	uintptr_t id = below(m, MODEL_IDS);
	struct known *k = &m->timers[id];
	/* Long enough for the count not to end. */
	int64_t interval = below(m, 3) == 0 ? 0 : 100 + random_length(m);

	if (k->live == exists) {
		k->key = m->serial++ * MODEL_IDS + id;
		start_known(how, m->p, id, random_length(m), interval, k);
	} else {
		expect_error(how.start(m->p, id, MS(0), MS(1), 0),
		    exists ? ENOENT : EEXIST);
	}
}

static void
model_delete(struct model *m)
{
	uintptr_t id = below(m, MODEL_IDS);

	if (m->timers[id].live)
		expect_ok(polling_delete_timer(m->p, id));
	else
		expect_error(polling_delete_timer(m->p, id), ENOENT);
	m->timers[id].live = false;
}

/* An event at its place in the order; *last is the earliest moment of what came
 * before. */
static void
model_report(struct model *m, const struct polling_event *e, bool reported[],
    int64_t began, int64_t *last)
{
	uintptr_t id = e->key % MODEL_IDS;
	struct known *k = &m->timers[id];
	int64_t passed = k->told * k->interval;

	ck_assert(k->live && k->key == e->key && !reported[id]);
	ck_assert_uint_eq(e->events, POLLING_TIMER);
	ck_assert_uint_ge(e->data, 1);
	ck_assert_int_ge(k->latest + passed, *last);
	if (k->earliest + passed > *last)
		*last = k->earliest + passed;
	expect_known(k, e->data, began, library_now());
	reported[id] = true;
}

static void
model_wait(struct model *m)
{
	bool reported[MODEL_IDS] = {false};
	struct polling_event events[MODEL_IDS];
	int capacity = 1 + (int)below(m, MODEL_IDS), n;
	int64_t began = library_now(), last = INT64_MIN;

	n = wait_ms(m->p, events, capacity, 0);
	ck_assert(n >= 0 && n <= capacity);
	for (int i = 0; i < n; i++)
		model_report(m, &events[i], reported, began, &last);
	for (int id = 0; id < MODEL_IDS; id++) {
		struct known *k = &m->timers[id];

		if (!k->live)
			continue;
		/* The first ones are reported, and all if there is room. */
		if (reported[id])
			k->live = k->interval != 0;
		else if (n == capacity)
			ck_assert_int_ge(
			    k->latest + k->told * k->interval, last);
		else
			expect_known(k, 0, began, INT64_MAX);
	}
}

/* 81: any operations, held against a plain list; the seed is _i */
START_TEST(timers_are_as_a_list_says)
{
	static struct model m;
	int rounds = scaled(60000);

	/* Not every system runs each seed in a process of its own. */
	memset(&m, 0, sizeof(m));
	m.p = make_poller();
	m.random = (uint32_t)_i * 2654435761u + 1;
	for (int i = 0; i < rounds; i++) {
		switch (below(&m, 8)) {
		case 0:
		case 1:
			model_start(&m, adds, false);
			break;
		case 2:
		case 3:
			model_start(&m, modifies, true);
			break;
		case 4:
			model_delete(&m);
			break;
		default:
			model_wait(&m);
			break;
		}
	}
	polling_destroy(m.p);
}
END_TEST

/* Threads */

/* A thread in one wait, and what came of it. */
struct sleeper {
	struct polling *p;
	int timeout_ms; /* below 0 without limit */
	struct polling_event event;
	int count;
	int64_t ended; /* now_ns() */
};

static void *
sleep_in_a_wait(void *argument)
{
	struct sleeper *s = argument;

	s->count = wait_ms(s->p, &s->event, 1, s->timeout_ms);
	s->ended = now_ns();
	return NULL;
}

/* Most probably blocked when it returns; the cases hold either way. */
static void
start_sleeper(struct crew *crew, struct sleeper *s, struct polling *p)
{
	*s = (struct sleeper){.p = p, .timeout_ms = -1};
	crew_start(crew, sleep_in_a_wait, s);
	sleep_ms(20);
}

/* It got this and nothing else, so long after start. */
static void
expect_woken(const struct sleeper *s, uintptr_t key, uint32_t events,
    int64_t start, int min_ms)
{
	ck_assert_int_eq(s->count, 1);
	ck_assert_uint_eq(s->event.key, key);
	ck_assert_uint_eq(s->event.events, events);
	ck_assert_msg(s->ended - start >= min_ms * NS_PER_MS,
	    "after %.3f ms, expected %d at least",
	    (double)(s->ended - start) / 1e6, min_ms);
	ck_assert((double)(s->ended - start) < LONG_MS * 1e6 * time_scale());
}

/* What is done to a timer of 500 ms while a thread is blocked. */
enum { IS_ADDED, GOES_EARLIER, GOES_LATER, GOES_NEVER, IS_DELETED, CHANGES };

static void
change_timer(struct polling *p, int change)
{
	switch (change) {
	case IS_ADDED:
		expect_ok(polling_add_timer(p, 2, MS(30), NULL, 2));
		break;
	case GOES_EARLIER:
		expect_ok(polling_modify_timer(p, 1, MS(30), NULL, 2));
		break;
	case GOES_LATER:
		expect_ok(polling_modify_timer(p, 1, MS(700), NULL, 2));
		break;
	case GOES_NEVER:
		expect_ok(polling_modify_timer(p, 1, MS(3600000), NULL, 1));
		break;
	default:
		expect_ok(polling_delete_timer(p, 1));
		break;
	}
}

/* The wait ends when the timer is due then; not before, and not for nothing. */
START_TEST(a_blocked_wait_follows_a_change)
{
	struct polling *p = make_poller();
	struct polling_event post = {2, POLLING_TIMER, 1};
	bool sooner = _i == IS_ADDED || _i == GOES_EARLIER;
	int min_ms = sooner ? 30 : 700;
	struct crew crew = {0};
	struct sleeper s;
	int64_t start;

	expect_ok(polling_add_timer(p, 1, MS(sooner ? 3600000 : 500), NULL, 1));
	start_sleeper(&crew, &s, p);
	start = now_ns();
	change_timer(p, _i);
	if (_i == GOES_NEVER || _i == IS_DELETED) {
		sleep_ms(700);
		expect_ok(polling_post(p, &post));
	}
	crew_join(&crew);
	expect_woken(&s, 2, POLLING_TIMER, start, min_ms);
	ck_assert_uint_eq(s.event.data, 1);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* The thread that was to wake up for a timer finds none, and sleeps on; the
 * next timer is not left to it. _i: what becomes of the first. */
START_TEST(a_timer_follows_one_that_went)
{
	struct polling *p = make_poller();
	struct crew crew = {0};
	int ms = (int)(100 * time_scale()); /* enough to be moved in time */
	struct sleeper s;
	int64_t start;

	start_sleeper(&crew, &s, p);
	for (int i = 0; i < 3; i++) {
		expect_ok(polling_add_timer(p, 1, MS(ms), NULL, 1));
		sleep_ms(20);
		if (_i == 1)
			expect_ok(polling_modify_timer(p, 1,
			    &(struct timespec){LARGEST_TIME, 0}, NULL, 1));
		else
			expect_ok(polling_delete_timer(p, 1));
		sleep_ms(ms + 20);
		if (_i == 1)
			expect_ok(polling_delete_timer(p, 1));
	}
	start = now_ns();
	expect_ok(polling_add_timer(p, 2, MS(20), NULL, 2));
	crew_join(&crew);
	expect_woken(&s, 2, POLLING_TIMER, start, 20);
	polling_destroy(p);
}
END_TEST

/* The same, but that the timer has gone is found by another wait, just before
 * the thread wakes up for it. */
START_TEST(a_timer_follows_one_that_another_wait_missed)
{
	/* Enough for this thread to move the timer in time. */
	int ms = (int)(40 * time_scale());

	for (int i = 0; i < scaled(10); i++) {
		struct polling *p = make_poller();
		struct crew crew = {0};
		struct sleeper s;
		int64_t due;

		start_sleeper(&crew, &s, p);
		expect_ok(polling_add_timer(p, 1, MS(ms), NULL, 1));
		due = library_now() + ms * NS_PER_MS;
		sleep_ms(10);
		expect_ok(polling_modify_timer(
		    p, 1, &(struct timespec){LARGEST_TIME, 0}, NULL, 1));
		while (library_now() < due)
			continue;
		expect_nothing(p);
		sleep_ms(10);
		due = now_ns();
		expect_ok(polling_add_timer(p, 2, MS(10), NULL, 2));
		crew_join(&crew);
		expect_woken(&s, 2, POLLING_TIMER, due, 10);
		polling_destroy(p);
	}
}
END_TEST

/* The first timer of a poller in which a thread waits already, with limits. */
START_TEST(a_wait_with_a_limit_ends_sooner)
{
	struct polling *p = make_poller();
	struct crew crew = {0};
	struct sleeper s = {.p = p, .timeout_ms = 10 * LONG_MS};
	int64_t start;

	crew_start(&crew, sleep_in_a_wait, &s);
	sleep_ms(20);
	start = now_ns();
	expect_ok(polling_add_timer(p, 1, MS(_i), MS(3600000), 1));
	crew_join(&crew);
	expect_woken(&s, 1, POLLING_TIMER, start, _i);
	polling_destroy(p);
}
END_TEST

/* A thread that goes to sleep again and again. */
struct dozer {
	struct polling *p;
	atomic_int turn; /* it may go to sleep so often; below 0 no more */
	atomic_int woken;
	struct trouble trouble;
};

static void *
doze_off(void *argument)
{
	struct dozer *d = argument;
	struct polling_event event;
	int turn;

	for (int i = 1;; i++) {
		while ((turn = atomic_load(&d->turn)) < i)
			if (turn < 0)
				return NULL;
		if (!check_that(&d->trouble, wait_ms(d->p, &event, 1, -1) == 1))
			return NULL;
		atomic_store(&d->woken, i);
	}
}

/* There was no timer when the thread looked, and there is one before it sleeps,
 * which is counted in nanoseconds: it takes many tries, some thousand of which
 * fit into the time where each of the two threads has a processor. */
START_TEST(the_first_timer_meets_a_thread_that_goes_to_sleep)
{
	struct dozer d = {.p = make_poller()};
	struct crew crew = {0};
	uint32_t random = 1;
	int rounds = scaled(40000);
	int64_t end = now_ns() + 3000 * NS_PER_MS;

	crew_start(&crew, doze_off, &d);
	for (int i = 1; i <= rounds && now_ns() < end; i++) {
		atomic_store(&d.turn, i);
		random = random * 1103515245u + 12345;
		for (volatile uint32_t n = (random >> 16) % 400; n > 0; n--)
			continue;
		expect_ok(polling_add_timer(d.p, 1, MS(0), NULL, 1));
		ck_assert_msg(reaches(&d.trouble, &d.woken, i),
		    "the thread sleeps on, at the %dth try", i);
	}
	atomic_store(&d.turn, -1);
	crew_join(&crew);
	expect_no_trouble(&d.trouble);
	polling_destroy(d.p);
}
END_TEST

/* Timers that become due one after the other, with a thread for each. */
START_TEST(each_waiter_gets_a_timer)
{
	struct polling *p = make_poller();
	struct sleeper s[4];
	bool seen[4] = {false};
	struct crew crew = {0};

	for (int i = 0; i < 4; i++) {
		s[i] = (struct sleeper){.p = p, .timeout_ms = -1};
		crew_start(&crew, sleep_in_a_wait, &s[i]);
	}
	for (uintptr_t id = 0; id < 4; id++)
		expect_ok(
		    polling_add_timer(p, id, MS(_i * (4 - (int)id)), NULL, id));
	crew_join(&crew);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(s[i].count, 1);
		ck_assert_uint_lt(s[i].event.key, 4);
		ck_assert(!seen[s[i].event.key]);
		seen[s[i].event.key] = true;
	}
	polling_destroy(p);
}
END_TEST

/* For what a thread goes home while others sleep on. */
enum { FOR_A_POST, FOR_A_NOTIFICATION, FOR_DATA, FOR_ITS_LIMIT, REASONS };

#define TEAM 3

struct team {
	struct polling *p;
	int timer_ms;
	atomic_int limited; /* how many of them are to wait for 3 ms only */
	atomic_int timers;  /* how many came home with the timer */
	atomic_int others;  /* how many with something else or with nothing */
	polling_fd pair[2];
	struct trouble trouble;
};

static void *
be_of_the_team(void *argument)
{
	struct team *t = argument;
	struct polling_event event = {0, 0, 0};
	bool limited = atomic_fetch_sub(&t->limited, 1) > 0, timer;
	int n;

	/* On a busy machine the timer may be due within the limit. Then it is
	 * left to the others. */
	do {
		n = wait_ms(t->p, &event, 1, limited ? 3 : -1);
		check_that(&t->trouble, n == 0 || n == 1);
		timer = n == 1 && event.events == POLLING_TIMER;
	} while (limited && timer &&
		 check_that(&t->trouble, polling_add_timer(t->p, 1,
					     MS(t->timer_ms), NULL, 1) == 0));
	atomic_fetch_add(timer ? &t->timers : &t->others, 1);
	return NULL;
}

static void
send_one_home(struct team *t, int reason)
{
	struct polling_event post = {8, POLLING_OUT, 0};

	if (reason == FOR_A_POST)
		expect_ok(polling_post(t->p, &post));
	else if (reason == FOR_A_NOTIFICATION)
		expect_ok(polling_notify(t->p));
	else if (reason == FOR_DATA)
		expect_ok(polling_modify(
		    t->p, t->pair[0], POLLING_IN, POLLING_ONESHOT, 1));
}

/* Whether so many have gone home without the timer. It may come first on a busy
 * machine, and then a wait takes it along with the reason to go. */
static bool
have_gone(struct team *t, int goers)
{
	while (atomic_load(&t->others) < goers) {
		if (atomic_load(&t->timers) != 0)
			return false;
		ck_assert_msg(!in_trouble(&t->trouble), "a wait failed");
		sleep_ms(1);
	}
	return true;
}

/*
 * So many of the team go home for the reason; the timer sends home one more,
 * and whoever is left stays. False if the timer was due too early to tell.
 */
static bool
is_attended(int reason, int goers, int timer_ms)
{
	struct team t = {.p = make_poller(), .timer_ms = timer_ms};
	struct crew crew = {0};
	bool gone = true;

	make_socketpair(t.pair);
	put_bytes(t.pair[1], 1);
	expect_ok(polling_add(t.p, t.pair[0], 0, POLLING_ONESHOT, 1));
	atomic_store(&t.limited, reason == FOR_ITS_LIMIT ? goers : 0);
	for (int i = 0; i < TEAM; i++)
		crew_start(&crew, be_of_the_team, &t);
	sleep_ns(500000);
	expect_ok(polling_add_timer(t.p, 1, MS(timer_ms), NULL, 1));
	for (int i = 1; gone && i <= goers; i++) {
		send_one_home(&t, reason);
		gone = have_gone(&t, i);
	}
	ck_assert_msg(reaches(&t.trouble, &t.timers, 1),
	    "nobody attends the timer when %d of %d have gone", goers, TEAM);
	for (int i = gone ? goers + 1 : 0; i < TEAM; i++)
		send_one_home(&t, FOR_A_POST);
	crew_join(&crew);
	expect_no_trouble(&t.trouble);
	if (gone) {
		ck_assert_int_eq(atomic_load(&t.timers), 1);
		ck_assert_int_eq(atomic_load(&t.others), TEAM - 1);
	}
	close_pair(t.pair);
	polling_destroy(t.p);
	return gone;
}

/* A thread that goes home for another reason leaves the timer to the others. */
START_TEST(no_timer_is_left_unattended)
{
	for (int i = 0; i < scaled(40); i++) {
		int timer_ms = 50;

		while (!is_attended(_i, 1 + i % (TEAM - 1), timer_ms)) {
			timer_ms *= 2;
			ck_assert_msg(timer_ms <= 3200,
			    "a thread takes %d ms to go home", timer_ms / 2);
		}
	}
}
END_TEST

#define SHARED_TIMERS 10000

struct shared {
	struct polling *p;
	atomic_int total;
	atomic_int seen[SHARED_TIMERS];
	struct trouble trouble;
};

#define END_KEY UINTPTR_MAX

/* Collects timers until a post tells to stop, which it hands on. */
static void *
collect_timers(void *argument)
{
	struct shared *s = argument;
	struct polling_event events[16], end = {END_KEY, 0, 0};

	while (!in_trouble(&s->trouble)) {
		int n = wait_ms(s->p, events, 16, -1);

		check_that(&s->trouble, n > 0);
		for (int i = 0; i < n; i++) {
			if (events[i].key == END_KEY) {
				check_that(
				    &s->trouble, polling_post(s->p, &end) == 0);
				return NULL;
			}
			check_that(&s->trouble,
			    events[i].key < SHARED_TIMERS &&
				events[i].events == POLLING_TIMER &&
				events[i].data == 1);
			atomic_fetch_add(&s->seen[events[i].key], 1);
			atomic_fetch_add(&s->total, 1);
		}
	}
	return NULL;
}

static void
start_collectors(struct crew *crew, struct shared *s, int count)
{
	for (int i = 0; i < count; i++)
		crew_start(crew, collect_timers, s);
}

static void
end_collectors(struct crew *crew, struct shared *s)
{
	expect_ok(polling_post(s->p, &(struct polling_event){END_KEY, 0, 0}));
	crew_join(crew);
	expect_no_trouble(&s->trouble);
}

/* 81: each event exactly once */
START_TEST(four_waiters_share_the_timers)
{
	static struct shared s;
	struct crew crew = {0};
	uint32_t random = 7;
	bool all;

	s.p = make_poller();
	start_collectors(&crew, &s, 4);
	for (uintptr_t id = 0; id < SHARED_TIMERS; id++) {
		struct timespec first = ns_to_timespec(
		    (int64_t)(next_random(&random) % 300000000));

		expect_ok(polling_add_timer(s.p, id, &first, NULL, id));
	}
	all = reaches(&s.trouble, &s.total, SHARED_TIMERS);
	end_collectors(&crew, &s);
	ck_assert_msg(
	    all, "%d of %d timers came", atomic_load(&s.total), SHARED_TIMERS);
	for (int id = 0; id < SHARED_TIMERS; id++)
		ck_assert_int_eq(atomic_load(&s.seen[id]), 1);
	polling_destroy(s.p);
}
END_TEST

/* What must have come of a timer under one key. */
enum { MUST_NOT_COME = 1, MUST_COME };

/* A thread that starts and deletes timers which are its own. */
struct juggler {
	struct shared *s;
	uintptr_t first_key; /* and the ids, for it uses each key once */
	int keys;
	uint32_t random;
	unsigned char *fate; /* of each of the keys */
};

/* A call on a timer with this key has told what becomes of it. */
static void
note_fate(struct juggler *j, int key, int result)
{
	check_that(&j->s->trouble, result == 0 || errno == ENOENT);
	j->fate[key] = result == 0 ? MUST_NOT_COME : MUST_COME;
}

/* Adds a timer, may replace it under the next key, and may delete it. */
static void *
juggle(void *argument)
{
	struct juggler *j = argument;
	struct polling *p = j->s->p;

	for (int i = 0; i < j->keys && !in_trouble(&j->s->trouble); i++) {
		uintptr_t id = j->first_key + (uintptr_t)i;
		struct timespec first = {
		    0, (long)(next_random(&j->random) % 100000)};

		check_that(&j->s->trouble,
		    polling_add_timer(p, id, &first, NULL, id) == 0);
		j->fate[i] = MUST_COME;
		if (next_random(&j->random) % 2 && i + 1 < j->keys) {
			note_fate(j, i,
			    polling_modify_timer(p, id, &first, NULL, id + 1));
			/* The next key is used, or else left out. */
			j->fate[i + 1] = j->fate[i] == MUST_COME ? MUST_NOT_COME
								 : MUST_COME;
			i++;
		}
		if (next_random(&j->random) % 2 && j->fate[i] == MUST_COME)
			note_fate(j, i, polling_delete_timer(p, id));
		if (next_random(&j->random) % 64 == 0)
			sleep_ns(50000);
	}
	return NULL;
}

#define JUGGLERS 3

static void
make_jugglers(struct juggler j[JUGGLERS], struct shared *s,
    unsigned char fate[SHARED_TIMERS])
{
	int share = scaled(SHARED_TIMERS) / JUGGLERS;

	for (int i = 0; i < JUGGLERS; i++) {
		j[i].s = s;
		j[i].first_key = (uintptr_t)(i * share);
		j[i].keys = share;
		j[i].random = (uint32_t)i + 3;
		j[i].fate = fate + i * share;
	}
}

/* 70, 81: whoever deletes or moves a timer knows for certain if it came */
START_TEST(a_timer_is_deleted_or_comes)
{
	static struct shared s;
	static unsigned char fate[SHARED_TIMERS];
	struct juggler j[JUGGLERS];
	struct crew collectors = {0}, jugglers = {0};
	int expected = 0;

	s.p = make_poller();
	make_jugglers(j, &s, fate);
	start_collectors(&collectors, &s, 2);
	for (int i = 0; i < JUGGLERS; i++)
		crew_start(&jugglers, juggle, &j[i]);
	crew_join(&jugglers);
	expect_no_trouble(&s.trouble);
	for (int key = 0; key < SHARED_TIMERS; key++)
		expected += fate[key] == MUST_COME;
	ck_assert_msg(reaches(&s.trouble, &s.total, expected),
	    "%d of %d timers came", atomic_load(&s.total), expected);
	end_collectors(&collectors, &s);
	for (int key = 0; key < SHARED_TIMERS; key++)
		ck_assert_msg(
		    atomic_load(&s.seen[key]) == (fate[key] == MUST_COME),
		    "key %d came %d times, fate %d", key,
		    atomic_load(&s.seen[key]), fate[key]);
	polling_destroy(s.p);
}
END_TEST

static void
add_single_timers(Suite *s)
{
	CASE(s, timers_are_supported);
	CASE(s, bad_times_are_refused);
	CASE(s, null_pointers_are_refused);
	CASE(s, an_id_is_added_once);
	CASE(s, an_unknown_id_is_not_found);
	CASE(s, any_id_will_do);
	CASE(s, ids_are_apart_from_descriptors);
	CASE(s, any_key_will_do);
	CASE_LOOP(s, a_timer_is_due_once, CASE_SECONDS, 0, 3);
	CASE_LOOP(
	    s, a_wait_ends_when_a_timer_is_due, CASE_SECONDS, 0, WAIT_KINDS);
	CASE(s, a_timer_does_not_lengthen_a_wait);
	CASE(s, a_deadline_in_the_past_finds_a_due_timer);
	CASE_LOOP(s, a_timer_is_never_early, CASE_SECONDS, 0, 3);
	CASE(s, a_periodic_timer_does_not_drift);
	CASE(s, zero_first_is_due_at_once_and_then_again);
	CASE(s, a_late_wait_gets_one_event_with_the_count);
	CASE(s, the_count_ends_at_its_limit);
	CASE(s, huge_times_never_come);
	CASE(s, waiting_for_a_timer_takes_no_processor_time);
	CASE(s, modify_starts_it_again);
	CASE(s, modify_sets_the_count_back);
	CASE(s, a_due_timer_can_be_deleted);
	CASE(s, timers_are_deleted_in_the_batch);
	CASE(s, a_timer_that_is_moved_on_is_not_due);
	CASE(s, a_poller_is_destroyed_with_timers);
}

void
add_timers(Suite *s)
{
	add_single_timers(s);
	CASE_LIMIT(s, many_timers_are_due_in_order, 2 * CASE_SECONDS);
	CASE(s, few_that_are_left_move_often);
	CASE(s, a_small_capacity_loses_no_timer);
	CASE(s, timers_and_descriptors_share_a_wait);
	CASE(s, timers_descriptors_and_posts_in_one_wait);
	CASE(s, a_notification_leaves_the_timer);
	CASE(s, timers_moved_often_take_little_memory);
	CASE_LIMIT(s, a_million_timers_take_little_memory, 2 * CASE_SECONDS);
	CASE_LIMIT(s, timers_need_no_system_call, 2 * CASE_SECONDS);
	CASE_LOOP(s, timers_are_as_a_list_says, 2 * CASE_SECONDS, 0, 4);
	CASE_LOOP(s, a_blocked_wait_follows_a_change, CASE_SECONDS, 0, CHANGES);
	CASE_LOOP(s, a_timer_follows_one_that_went, CASE_SECONDS, 0, 2);
	CASE(s, a_timer_follows_one_that_another_wait_missed);
	CASE_LOOP(s, a_wait_with_a_limit_ends_sooner, CASE_SECONDS, 0, 2);
	CASE(s, the_first_timer_meets_a_thread_that_goes_to_sleep);
	CASE_LOOP(s, each_waiter_gets_a_timer, CASE_SECONDS, 0, 3);
	CASE_LOOP(s, no_timer_is_left_unattended, CASE_SECONDS, 0, REASONS);
	CASE(s, four_waiters_share_the_timers);
	CASE_LIMIT(s, a_timer_is_deleted_or_comes, 2 * CASE_SECONDS);
}
