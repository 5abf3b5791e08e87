/* SPDX-License-Identifier: MIT */
/*
 * Closing without deleting, and numbers that are used again. The suite's other
 * parts are in test-fork.c, test-limits.c and test-nesting.c. The numbers are
 * those of the conformance catalogue, part G.
 */
#include "harness.h"

#include "scenes.h"

/* Closing */

/* Makes number the descriptor that fd is; false where it cannot be had. */
static bool
move_fd(polling_fd fd, polling_fd number)
{
	if (!duplicate_at(fd, number))
		return false;
	close_fd(fd);
	return true;
}

#define NO_SUCH_NUMBER "the system does not give this number again"

/* What the library may say of a source whose last descriptor was closed. */
static void
expect_forgotten(struct polling *p, polling_fd number)
{
	int result = polling_delete(p, number);

	ck_assert(result == 0 || (result == -1 && errno == ENOENT));
	expect_error(polling_delete(p, number), ENOENT);
}

/* What a source went through before it was closed. */
enum { WAS_IDLE, WAS_READY, HAD_REPORTED, HISTORIES };

/* Registers pair[0] under the key 1 and lets it have a history. */
static void
add_with_history(
    struct polling *p, polling_fd pair[2], enum polling_mode mode, int history)
{
	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	if (history != WAS_IDLE)
		put_bytes(pair[1], 1);
	for (int i = 0; history == HAD_REPORTED && i < 5; i++) {
		expect_events(p, 0, {1, POLLING_IN});
		expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 1));
	}
}

/* Closed, or replaced by dup2(), and the number added again. */
static bool
reuse_number(enum polling_mode old_mode, enum polling_mode new_mode,
    int history, bool close_first)
{
	struct polling *p = make_poller();
	polling_fd pair[2], other[2];

	add_with_history(p, pair, old_mode, history);
	make_socketpair(other);
	if (close_first)
		close_fd(pair[0]);
	if (!move_fd(other[0], pair[0])) {
		close_fd(pair[1]);
		close_pair(other);
		polling_destroy(p);
		return false;
	}
	expect_ok(polling_add(p, pair[0], POLLING_IN, new_mode, 2));
	expect_nothing(p);
	close_fd(pair[1]);
	expect_nothing_for(p, 10);
	put_bytes(other[1], 1);
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN});
	expect_nothing(p);
	expect_ok(polling_delete(p, pair[0]));
	expect_error(polling_delete(p, pair[0]), ENOENT);
	expect_nothing(p);
	close_fd(pair[0]);
	close_fd(other[1]);
	polling_destroy(p);
	return true;
}

/* 73 */
START_TEST(a_number_used_again_can_be_added)
{
	enum polling_mode mode = (enum polling_mode)_i;

	for (int history = 0; history < HISTORIES; history++) {
		if (!reuse_number(mode, mode, history, true) ||
		    !reuse_number(mode, POLLING_LEVEL, history, true))
			SKIP(NO_SUCH_NUMBER);
		if (can_replace) {
			(void)reuse_number(mode, mode, history, false);
			(void)reuse_number(POLLING_LEVEL, mode, history, false);
		}
	}
}
END_TEST

/* 73 */
START_TEST(a_number_used_again_is_not_watched_by_itself)
{
	struct polling *p = make_poller();
	polling_fd pair[2], other[2];

	for (int history = WAS_IDLE; history <= WAS_READY; history++) {
		add_with_history(p, pair, (enum polling_mode)_i, history);
		make_socketpair(other);
		put_bytes(other[1], 1);
		close_fd(pair[0]);
		if (!move_fd(other[0], pair[0])) {
			polling_destroy(p);
			close_fd(pair[1]);
			close_pair(other);
			SKIP(NO_SUCH_NUMBER);
		}
		expect_silence(p);
		expect_forgotten(p, pair[0]);
		close_fd(pair[0]);
		close_fd(pair[1]);
		close_fd(other[1]);
	}
	polling_destroy(p);
}
END_TEST

/* 73: nor by a change that is meant for what had the number before */
START_TEST(a_number_used_again_is_not_armed_by_a_change)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2], other[2];

	for (int history = 0; history < HISTORIES; history++) {
		add_with_history(p, pair, mode, history);
		make_socketpair(other);
		put_bytes(other[1], 1);
		close_fd(pair[0]);
		move_fd(other[0], pair[0]);
		ck_assert(
		    polling_modify(p, pair[0], POLLING_IN, mode, 9) == 0 ||
		    errno == ENOENT);
		expect_silence(p);
		expect_forgotten(p, pair[0]);
		close_fd(pair[0]);
		close_fd(pair[1]);
		close_fd(other[1]);
	}
	polling_destroy(p);
}
END_TEST

/* 73: a server that never deletes */
START_TEST(numbers_are_used_again_and_again)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	for (uintptr_t key = 0; key < 1000; key++) {
		make_socketpair(pair);
		expect_ok(polling_add(p, pair[0], POLLING_IN, mode, key));
		ck_assert_int_eq((int)write_fd(pair[1], "x", 1), 1);
		/* Some are closed before they have reported. */
		if (key % 3 != 0)
			expect_events(p, LONG_MS, {key, POLLING_IN});
		close_pair(pair);
	}
	expect_silence(p);
	polling_destroy(p);
}
END_TEST

/* 74 */
START_TEST(a_source_closed_beside_a_duplicate_is_silent)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2], copy;

	for (int history = WAS_IDLE; history <= WAS_READY; history++) {
		add_with_history(p, pair, mode, history);
		copy = duplicate_fd(pair[0]);
		close_fd(pair[0]);
		put_bytes(pair[1], 1);
		expect_silence(p);
		close_fd(pair[1]);
		expect_silence(p);
		expect_forgotten(p, pair[0]);
		expect_silence(p);
		close_fd(copy);
	}
	expect_silence(p);
	polling_destroy(p);
}
END_TEST

/* 74: ready from the beginning, and for ever */
START_TEST(a_writable_source_closed_beside_a_duplicate_is_silent)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2], copy;

	make_tcp_pair(pair);
	copy = duplicate_fd(pair[0]);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, mode, 1));
	close_fd(pair[0]);
	expect_silence(p);
	close_fd(copy);
	close_fd(pair[1]);
	polling_destroy(p);
}
END_TEST

/* 74 */
START_TEST(a_source_that_had_reported_ends_when_closed)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2], copy;

	add_with_history(p, pair, mode, HAD_REPORTED);
	copy = duplicate_fd(pair[0]);
	close_fd(pair[0]);
	put_bytes(pair[1], 1);
	expect_silence_soon(p);
	close_fd(pair[1]);
	expect_silence_soon(p);
	close_fd(copy);
	polling_destroy(p);
}
END_TEST

/* 74: the duplicate comes back to the number it was made from */
START_TEST(a_duplicate_can_take_the_closed_number)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2], copy;

	for (int history = 0; history < HISTORIES; history++) {
		add_with_history(p, pair, mode, history);
		copy = duplicate_fd(pair[0]);
		close_fd(pair[0]);
		if (history == WAS_IDLE)
			put_bytes(pair[1], 1);
		if (history != HAD_REPORTED)
			expect_silence(p);
		expect_forgotten(p, pair[0]);
		if (!move_fd(copy, pair[0])) {
			polling_destroy(p);
			close_fd(copy);
			close_fd(pair[1]);
			SKIP(NO_SUCH_NUMBER);
		}
		expect_ok(
		    polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 2));
		expect_events(p, LONG_MS, {2, POLLING_IN});
		expect_silence(p);
		expect_ok(polling_delete(p, pair[0]));
		close_pair(pair);
	}
	polling_destroy(p);
}
END_TEST

#define SEVERAL 3
#define CROWD   (SEVERAL + 2)

/* 75: also if the kernel is told of the arming, and refuses it, while there is
 * no room to say so; those that were armed before and after them are there */
START_TEST(sources_closed_after_their_arming_are_silent)
{
	struct polling *p = make_poller();
	polling_fd pairs[CROWD][2];
	struct polling_event event;
	uintptr_t alive = 0;

	for (uintptr_t i = 0; i < CROWD; i++) {
		make_channel(pairs[i]);
		put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
	}
	for (int i = 0; i < CROWD; i++)
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
	for (uintptr_t i = 0; i < CROWD; i++)
		expect_ok(polling_modify(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, 10 + i));
	for (int i = 1; i <= SEVERAL; i++)
		close_fd(pairs[i][0]);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
		alive += event.key;
	}
	ck_assert_uint_eq(alive, 10 + 10 + CROWD - 1);
	ck_assert_int_eq(wait_ms(p, &event, 1, 30), 0);
	for (int i = 1; i <= SEVERAL; i++)
		close_fd(pairs[i][1]);
	polling_destroy(p);
	close_pair(pairs[0]);
	close_pair(pairs[CROWD - 1]);
}
END_TEST

/* 75: and does not stand in the way of another one with its number */
START_TEST(a_source_closed_before_it_is_disarmed_is_silent)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2], other[2];
	int result;

	make_channel(pair);
	make_channel(other);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	close_fd(pair[0]);
	result = polling_modify(p, pair[0], 0, mode, 2);
	ck_assert(result == 0 || errno == ENOENT);
	expect_nothing(p);
	expect_nothing_for(p, 20);
	result = polling_modify(p, pair[0], POLLING_IN, mode, 3);
	ck_assert(result == 0 || errno == ENOENT);
	expect_silence(p);
	result = polling_modify(p, pair[0], 0, mode, 4);
	ck_assert(result == 0 || errno == ENOENT);
	expect_nothing(p);
	if (!move_fd(other[0], pair[0])) {
		polling_destroy(p);
		close_fd(pair[1]);
		close_pair(other);
		SKIP(NO_SUCH_NUMBER);
	}
	put_bytes(other[1], 1);
	expect_nothing(p);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 5));
	expect_events(p, LONG_MS, {5, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
	close_fd(other[1]);
}
END_TEST

#define ORPHANS 5

/* 74 */
START_TEST(closed_sources_do_not_disturb_others)
{
	struct polling *p = make_poller();
	polling_fd pairs[ORPHANS][2], copies[ORPHANS];
	struct others others;

	add_others(p, &others);
	expect_others(p, &others);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < ORPHANS; i++)
			leave_orphan(p, pairs[i], &copies[i]);
		expect_silence(p);
		expect_others(p, &others);
		for (int i = 0; i < ORPHANS; i++) {
			close_fd(copies[i]);
			close_fd(pairs[i][1]);
		}
	}
	expect_others(p, &others);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

#define MANY   100
#define CLOSED 20

/* How many of the sources from CLOSED on report; adds those below to stale. */
static int
count_reports(struct polling *p, int *stale)
{
	struct polling_event events[MANY];
	bool seen[MANY] = {false};
	int n = wait_ms(p, events, MANY, 0), good = 0;

	for (int i = 0; i < n; i++) {
		ck_assert_uint_lt(events[i].key, MANY);
		ck_assert(!seen[events[i].key]);
		seen[events[i].key] = true;
		if (events[i].key >= CLOSED)
			good++;
		else
			++*stale;
	}
	return good;
}

/* 74: among so many events that not every one of them can be looked into */
START_TEST(closed_sources_end_soon_among_many_events)
{
	struct polling *p = make_poller();
	polling_fd pairs[MANY][2], copies[CLOSED];
	int stale, rounds = 0;

	for (int i = 0; i < MANY; i++) {
		make_socketpair(pairs[i]);
		put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_LEVEL, (uintptr_t)i));
	}
	for (int i = 0; i < 20; i++) {
		stale = 0;
		ck_assert_int_eq(count_reports(p, &stale), MANY - CLOSED);
		ck_assert_int_eq(stale, CLOSED);
	}
	for (int i = 0; i < CLOSED; i++)
		copies[i] = duplicate_fd(pairs[i][0]);
	for (int i = 0; i < CLOSED; i++)
		close_fd(pairs[i][0]);
	do {
		stale = 0;
		ck_assert_int_eq(count_reports(p, &stale), MANY - CLOSED);
		ck_assert_int_le(stale, CLOSED);
		ck_assert_int_lt(++rounds, 200);
	} while (stale != 0);
	for (int i = 0; i < CLOSED; i++) {
		expect_forgotten(p, pairs[i][0]);
		close_fd(copies[i]);
		close_fd(pairs[i][1]);
	}
	ck_assert_int_eq(count_reports(p, &stale), MANY - CLOSED);
	ck_assert_int_eq(stale, 0);
	for (int i = CLOSED; i < MANY; i++)
		close_pair(pairs[i]);
	polling_destroy(p);
}
END_TEST

#define BUSY 1000

/* 74: whatever came of the source that had its number before */
START_TEST(a_closed_source_ends_soon_in_the_place_of_a_busy_one)
{
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pair[2], other[2], copy;
	int stale = 0;

	make_socketpair(pair);
	make_socketpair(other);
	put_bytes(pair[1], 1);
	put_bytes(other[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < BUSY; i++)
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
	expect_ok(polling_delete(p, pair[0]));
	close_fd(pair[0]);
	if (!move_fd(other[0], pair[0])) {
		polling_destroy(p);
		close_fd(pair[1]);
		close_pair(other);
		SKIP(NO_SUCH_NUMBER);
	}
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	copy = duplicate_fd(pair[0]);
	close_fd(pair[0]);
	while (wait_ms(p, &event, 1, 0) > 0)
		ck_assert_int_lt(stale++, 100);
	polling_destroy(p);
	close_fd(copy);
	close_fd(pair[1]);
	close_fd(other[1]);
}
END_TEST

/* 74: nor threads that wait for them, begun before or after the close */
START_TEST(closed_sources_do_not_disturb_blocked_waits)
{
	struct polling *p = make_poller();
	atomic_int returned = 0;
	struct trouble trouble = {0}; /* nobody has any */
	struct patient before[2], after = {.p = p, .returned = &returned};
	struct crew crew = {0};
	struct others others;
	polling_fd pair[2], copy;
	int64_t start, cpu;

	add_others(p, &others);
	for (int i = 0; i < 2; i++) {
		before[i].p = p;
		before[i].returned = &returned;
		crew_start(&crew, wait_patiently, &before[i]);
	}
	sleep_ms(40);
	leave_orphan(p, pair, &copy);
	crew_start(&crew, wait_patiently, &after);
	sleep_ms(40);
	start = now_ns();
	cpu = cpu_ns();
	sleep_ms(200);
	ck_assert_int_lt(cpu_ns() - cpu, (now_ns() - start) / 4);
	for (int i = 0; i < 3; i++) {
		put_bytes(others.armed[1], 1);
		/* Not drained before one of them has met it. */
		ck_assert(reaches(&trouble, &returned, i + 1));
		drain(others.armed[0]);
		expect_ok(polling_modify(
		    p, others.armed[0], POLLING_IN, POLLING_ONESHOT, 11));
	}
	crew_join(&crew);
	ck_assert_int_eq(before[0].count + before[1].count + after.count, 3);
	ck_assert_uint_eq(before[0].event.key, 11);
	ck_assert_uint_eq(before[1].event.key, 11);
	ck_assert_uint_eq(after.event.key, 11);
	expect_nothing(p);
	close_fd(copy);
	close_fd(pair[1]);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

/* 75 */
START_TEST(a_closed_level_source_is_silent)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	for (int history = 0; history < HISTORIES; history++) {
		pair_kinds[_i].make(pair);
		if (history != WAS_IDLE)
			put_bytes(pair[1], 1);
		expect_ok(
		    polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
		for (int i = 0; history == HAD_REPORTED && i < 50; i++)
			expect_events(p, LONG_MS, {1, POLLING_IN});
		close_fd(pair[0]);
		expect_silence(p);
		close_fd(pair[1]);
		expect_silence(p);
		expect_forgotten(p, pair[0]);
	}
	polling_destroy(p);
}
END_TEST

/* 75 */
START_TEST(a_closed_writable_or_hung_up_source_is_silent)
{
	struct polling *p = make_poller();
	polling_fd pair[2], other[2];

	pair_kinds[_i].make(pair);
	pair_kinds[_i].make(other);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, POLLING_LEVEL, 1));
	expect_ok(polling_add(p, other[0], POLLING_IN, POLLING_LEVEL, 2));
	close_fd(other[1]);
	settle();
	close_fd(pair[1]);
	close_fd(other[0]);
	expect_silence(p);
	close_fd(pair[0]);
	polling_destroy(p);
}
END_TEST

static void
close_later(void *argument)
{
	close_pair(argument);
}

/* 75: the close comes while a wait is blocked */
START_TEST(a_source_closed_during_a_wait_is_silent)
{
	struct polling *p = make_poller();
	polling_fd pairs[3][2], copy;
	struct delayed *d[3];
	int64_t cpu = cpu_ns();

	for (int i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		expect_ok(
		    polling_add(p, pairs[i][0], POLLING_IN, POLLING_LEVEL, 1));
	}
	copy = duplicate_fd(pairs[2][0]);
	for (int i = 0; i < 3; i++)
		d[i] = run_after(40, close_later, pairs[i]);
	expect_nothing_for(p, 400);
	ck_assert_int_lt(cpu_ns() - cpu, 200000000 * (int64_t)time_scale());
	for (int i = 0; i < 3; i++)
		join_delayed(d[i]);
	expect_silence(p);
	close_fd(copy);
	polling_destroy(p);
}
END_TEST

/* 76: the parent's calls go on as if nothing had happened */
START_TEST(rebuilding_ones_own_poller_changes_nothing)
{
	struct world w;
	struct polling_event event = {1, 2, 3};
	int fd;

	make_world(&w);
	fd = poller_fd(w.p);
	expect_ok(polling_reinit(w.p));
	expect_world(&w);
	expect_ok(polling_post(w.p, &event));
	expect_ok(polling_reinit(w.p));
	ck_assert_int_eq(wait_ms(w.p, &event, 1, 0), 1);
	expect_ok(polling_notify(w.p));
	expect_ok(polling_reinit(w.p));
	ck_assert_int_eq(wait_ms(w.p, &event, 1, -1), 0);
	ck_assert_int_eq(poller_fd(w.p), fd);
	destroy_world(&w);
}
END_TEST

static void
add_closing(Suite *s)
{
	CASE_MODES(s, a_number_used_again_can_be_added);
	CASE_MODES(s, a_number_used_again_is_not_watched_by_itself);
	CASE_MODES(s, a_number_used_again_is_not_armed_by_a_change);
	CASE_MODES(s, numbers_are_used_again_and_again);
	CASE_MODES(s, a_source_closed_beside_a_duplicate_is_silent);
	CASE_MODES(s, a_writable_source_closed_beside_a_duplicate_is_silent);
	CASE_MODES(s, a_source_that_had_reported_ends_when_closed);
	CASE_MODES(s, a_duplicate_can_take_the_closed_number);
	CASE(s, sources_closed_after_their_arming_are_silent);
	CASE_MODES(s, a_source_closed_before_it_is_disarmed_is_silent);
	CASE(s, closed_sources_do_not_disturb_others);
	CASE(s, closed_sources_end_soon_among_many_events);
	CASE(s, a_closed_source_ends_soon_in_the_place_of_a_busy_one);
	CASE(s, closed_sources_do_not_disturb_blocked_waits);
	CASE_PAIRS(s, a_closed_level_source_is_silent);
	CASE_PAIRS(s, a_closed_writable_or_hung_up_source_is_silent);
	CASE(s, a_source_closed_during_a_wait_is_silent);
}

void
add_lifetime(Suite *s)
{
	add_closing(s);
	CASE(s, rebuilding_ones_own_poller_changes_nothing);
}
