/* SPDX-License-Identifier: MIT */
/*
 * Waiting: how long a wait takes, what ends it, and what fits into it. Waits
 * must never be early, so that is tested exactly; that they are late is the
 * system's business, so those bounds are wide. The numbers are those of the
 * conformance catalogue, part D.
 */
#include "harness.h"

#include <limits.h>
#if HAVE_DECL_PR_SET_TIMERSLACK
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#endif

/* The last moment that a timespec can tell. */
static struct timespec
end_of_time(void)
{
	struct timespec t;

	t.tv_sec = (time_t)1 << (sizeof(time_t) * CHAR_BIT - 2);
	t.tv_sec += t.tv_sec - 1;
	t.tv_nsec = 999999999;
	return t;
}

/* A thread of its own calls this to end a wait. */
static void
notify(void *p)
{
	(void)polling_notify(p);
}

static void
write_byte(void *fd)
{
	/* Should it fail, the case misses the byte. */
	(void)write_fd(*(polling_fd *)fd, "x", 1);
}

/* 47 */
START_TEST(zero_timeouts_do_not_block)
{
	static const struct timespec zero;
	struct polling *p = make_poller();
	struct polling_event events[4];
	struct timespec now;
	polling_fd pair[2];
	int64_t start = now_ns();

	make_tcp_pair(pair);
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(polling_wait(p, events, 4, &zero), 0);
		polling_now(&now);
		ck_assert_int_eq(polling_wait_until(p, events, 4, &now), 0);
		if (i == 500)
			expect_ok(polling_add(
			    p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	}
	expect_elapsed(start, 0, 10000);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

static int
compare_times(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

/* One wait, by timeout or by deadline; returns how long it took. */
static int64_t
time_one_wait(struct polling *p, int64_t ns, bool by_deadline)
{
	struct polling_event event;
	struct timespec t;
	int64_t start, elapsed, deadline;
	int count;

	start = now_ns();
	if (by_deadline) {
		deadline = library_now() + ns;
		t = ns_to_timespec(deadline);
		count = polling_wait_until(p, &event, 1, &t);
		ck_assert_msg(library_now() >= deadline,
		    "%lld ns before the deadline",
		    (long long)(deadline - library_now()));
	} else {
		t = ns_to_timespec(ns);
		count = polling_wait(p, &event, 1, &t);
	}
	elapsed = now_ns() - start;
	ck_assert_int_eq(count, 0);
	ck_assert_msg(elapsed >= ns, "a wait of %lld ns was over after %lld",
	    (long long)ns, (long long)elapsed);
	return elapsed;
}

#define MANY_WAITS 1000

static void
time_waits(int64_t ns, int count, bool by_deadline)
{
	static int64_t overshoot[MANY_WAITS];
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < count; i++)
		overshoot[i] = time_one_wait(p, ns, by_deadline) - ns;
	qsort(overshoot, (size_t)count, sizeof(overshoot[0]), compare_times);
	harness_note("%.1f ms %d times by %s: median overshoot %.1f us",
	    (double)ns / 1e6, count, by_deadline ? "deadline" : "timeout",
	    (double)overshoot[count / 2] / 1e3);
	ck_assert_msg((double)overshoot[count / 2] <
			  250.0 * (double)NS_PER_MS * time_scale(),
	    "the median overshoot is %.1f ms",
	    (double)overshoot[count / 2] / 1e6);
	polling_destroy(p);
	close_pair(pair);
}

/* 48: _i is 0 for timeouts, 1 for deadlines */
START_TEST(waits_of_100_us_are_never_early)
{
	time_waits(100000, MANY_WAITS, _i == 1);
}
END_TEST

/* 48 */
START_TEST(waits_of_3100_us_are_never_early)
{
	time_waits(3100000, MANY_WAITS, _i == 1);
}
END_TEST

/* 48 */
START_TEST(waits_of_a_second_are_never_early)
{
	time_waits(NS_PER_SEC, 3, _i == 1);
}
END_TEST

/* 48: and what lies between the kernel's units */
START_TEST(waits_of_odd_lengths_are_never_early)
{
	static const int64_t lengths[] = {
	    1, 999, 1000, 1001, 999999, 1000000, 1000001, 1999999};
	struct polling *p = make_poller();

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (int j = 0; j < 50; j++)
			(void)time_one_wait(p, lengths[i], _i == 1);
	}
	polling_destroy(p);
}
END_TEST

/* 48: a fraction of the kernel's unit is slept through as well */
START_TEST(waits_of_odd_lengths_do_not_spin)
{
	struct polling *p = make_poller();
	int64_t cpu = cpu_ns(), slept = 0;

	for (int i = 0; i < 200; i++)
		slept += time_one_wait(p, 1900000, _i == 1);
	cpu = cpu_ns() - cpu;
	ck_assert_msg((double)cpu < 0.25 * (double)slept * time_scale(),
	    "%.1f ms of processor time in waits of %.1f ms", (double)cpu / 1e6,
	    (double)slept / 1e6);
	polling_destroy(p);
}
END_TEST

/* The given wait blocks, and a notification ends it. */
static void
expect_blocks(struct polling *p, const struct timespec *t, bool by_deadline)
{
	struct polling_event event;
	struct delayed *d;
	int64_t start = now_ns();
	int count;

	d = run_after(10, notify, p);
	count = by_deadline ? polling_wait_until(p, &event, 1, t)
			    : polling_wait(p, &event, 1, t);
	ck_assert_msg(count == 0, "a wait of %lld s returned %d (%s)",
	    t == NULL ? -1LL : (long long)t->tv_sec, count, strerror(errno));
	expect_elapsed(start, 10, LONG_MS);
	join_delayed(d);
}

/* 49 */
START_TEST(very_long_waits_block_until_notified)
{
	/* Milliseconds and nanoseconds that kernels count in 31, 32, 63 and
	 * 64 bits, each just below and above. */
	static const int64_t seconds[] = {2147483, 2147484, 4294967, 4294968,
	    INT64_C(0x7fffffff), INT64_C(0x80000000), INT64_C(0xffffffff),
	    INT64_C(0x100000000), 9223372036, 9223372037, 18446744073,
	    18446744074, INT64_C(9223372036854775), INT64_C(9223372036854776),
	    INT64_MAX - 1};
	struct polling *p = make_poller();
	struct timespec t = end_of_time();
	int64_t last = t.tv_sec;

	expect_blocks(p, NULL, _i == 1);
	expect_blocks(p, &t, _i == 1);
	t.tv_nsec = 0;
	expect_blocks(p, &t, _i == 1);
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		if (seconds[i] > last)
			continue;
		t.tv_sec = (time_t)seconds[i];
		for (t.tv_nsec = 0; t.tv_nsec < 1000000000;
		     t.tv_nsec += 999999999)
			expect_blocks(p, &t, _i == 1);
	}
	polling_destroy(p);
}
END_TEST

/* 50 */
START_TEST(a_past_deadline_still_reports_what_is_ready)
{
	struct polling *p = make_poller();
	struct polling_event event;
	struct timespec deadlines[3] = {{0, 0}, {0, 1}, {0, 0}};
	polling_fd pair[2];

	/* The clock may have started a moment ago. */
	polling_now(&deadlines[2]);
	if (deadlines[2].tv_sec > 0)
		deadlines[2].tv_sec--;
	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(
		    polling_wait_until(p, &event, 1, &deadlines[i]), 0);
	put_bytes(pair[1], 1);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(
		    polling_wait_until(p, &event, 1, &deadlines[i]), 1);
		ck_assert_uint_eq(event.key, 1);
		ck_assert_uint_eq(event.events, POLLING_IN);
	}
	/* And what was posted. */
	get_bytes(pair[0], 1);
	event = (struct polling_event){.key = 2, .events = 3, .data = 4};
	expect_ok(polling_post(p, &event));
	memset(&event, 0, sizeof(event));
	ck_assert_int_eq(polling_wait_until(p, &event, 1, &deadlines[0]), 1);
	ck_assert_uint_eq(event.key, 2);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 51 */
START_TEST(times_that_are_none_are_refused)
{
	static const struct timespec times[] = {{0, -1}, {0, 1000000000},
	    {0, LONG_MAX}, {0, LONG_MIN}, {1, -1}, {1, 1000000000}, {-1, 0},
	    {-1, 999999999}, {-1000000, 5}};
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	put_bytes(pair[1], 1);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		expect_error(polling_wait(p, &event, 1, &times[i]), EINVAL);
		expect_error(
		    polling_wait_until(p, &event, 1, &times[i]), EINVAL);
	}
	/* The event was not taken. */
	expect_events(p, LONG_MS, {1, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 52 */
START_TEST(a_wait_cut_short_leaves_no_deadline)
{
	struct polling *p = make_poller();
	struct polling_event event;
	struct timespec timeout = ms_to_timespec(200);
	struct delayed *d;
	polling_fd pair[2];
	int64_t start;

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	d = run_after(20, write_byte, &pair[1]);
	/* By the end of its time, should the system be that slow. */
	while (polling_wait(p, &event, 1, &timeout) == 0)
		;
	join_delayed(d);
	ck_assert_uint_eq(event.key, 1);
	get_bytes(pair[0], 1);
	start = now_ns();
	d = run_after(500, notify, p);
	ck_assert_int_eq(polling_wait(p, &event, 1, NULL), 0);
	expect_elapsed(start, 500, LONG_MS);
	join_delayed(d);
	/* Nor does a later wait of another length. */
	expect_nothing_for(p, 300);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 55 */
START_TEST(a_capacity_of_one_meets_every_source)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pairs[3][2];
	unsigned seen = 0;

	for (uintptr_t i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(p, pairs[i][0], POLLING_IN, mode, i));
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
		ck_assert_uint_eq(event.events, POLLING_IN);
		ck_assert_uint_lt(event.key, 3);
		seen |= 1u << event.key;
	}
	ck_assert_uint_eq(seen, 7);
	if (mode == POLLING_LEVEL)
		expect_events(
		    p, 0, {0, POLLING_IN}, {1, POLLING_IN}, {2, POLLING_IN});
	else
		expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < 3; i++)
		close_pair(pairs[i]);
}
END_TEST

/* What the core and the kernel report shares the room, however much that is. */
START_TEST(the_greatest_capacity_is_room_for_all)
{
	static const struct timespec zero;
	struct polling *p = make_poller();
	struct polling_event post = {2, 0, 0}, events[8];
	polling_fd pair[2];

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	/* Each kind has the first right to room in one of them. */
	for (int round = 0; round < 12; round++) {
		unsigned seen = 0;

		expect_ok(polling_post(p, &post));
		expect_ok(polling_add_timer(p, 1, &zero, NULL, 3));
		ck_assert_int_eq(wait_ms(p, events, INT_MAX, LONG_MS), 3);
		for (int i = 0; i < 3; i++)
			seen |= 1u << events[i].key;
		ck_assert_uint_eq(seen, 14);
	}
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 55: one of them is hung up for as long as it is not connected */
START_TEST(a_capacity_of_one_meets_an_unconnected_socket_too)
{
	struct polling *p = make_poller();
	polling_fd unconnected = make_tcp_socket();
	struct polling_event event;
	polling_fd pair[2];
	int seen[2] = {0, 0};

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, unconnected, POLLING_OUT, POLLING_LEVEL, 0));
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < 16; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
		ck_assert_uint_lt(event.key, 2);
		seen[event.key]++;
	}
	ck_assert_int_ge(seen[0], 2);
	ck_assert_int_ge(seen[1], 2);
	polling_destroy(p);
	close_fd(unconnected);
	close_pair(pair);
}
END_TEST

#define CROWD          4096
#define CROWD_CAPACITY 64

/* As many waits as it takes to hand out each once, with none to spare. */
static void
expect_whole_crowd(struct polling *p)
{
	struct polling_event events[CROWD_CAPACITY];
	static bool seen[CROWD];
	int missing = CROWD;

	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < CROWD / CROWD_CAPACITY; i++) {
		int count = wait_ms(p, events, CROWD_CAPACITY, LONG_MS);

		ck_assert_int_eq(count, CROWD_CAPACITY);
		for (int j = 0; j < count; j++) {
			ck_assert_uint_lt(events[j].key, CROWD);
			ck_assert_uint_eq(events[j].events, POLLING_IN);
			missing -= !seen[events[j].key];
			seen[events[j].key] = true;
		}
	}
	ck_assert_msg(missing == 0, "%d of %d sources not seen in %d waits",
	    missing, CROWD, CROWD / CROWD_CAPACITY);
}

/* 56: _i is the mode; the level sources are handed out twice over */
START_TEST(a_crowd_of_ready_sources_is_seen_in_turn)
{
	static polling_fd copies[CROWD];
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p;
	polling_fd pair[2];

	if (raise_fd_limit(CROWD + 100) != 0)
		SKIP("the limit on descriptors is below %d", CROWD + 100);
	p = make_poller();
	make_channel(pair);
	put_bytes(pair[1], 1);
	for (uintptr_t i = 0; i < CROWD; i++) {
		copies[i] = duplicate_fd(pair[0]);
		expect_ok(polling_add(p, copies[i], POLLING_IN, mode, i));
	}
	expect_whole_crowd(p);
	if (mode == POLLING_LEVEL)
		expect_whole_crowd(p);
	else
		expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < CROWD; i++)
		close_fd(copies[i]);
	close_pair(pair);
}
END_TEST

/* 56: two that are always ready do not keep a third from being seen */
START_TEST(busy_sources_do_not_starve_others)
{
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pairs[3][2];
	int waits = 0;

	for (uintptr_t i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		expect_ok(polling_add(p, pairs[i][0],
		    i < 2 ? POLLING_OUT : POLLING_IN, POLLING_LEVEL, i));
	}
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
	put_bytes(pairs[2][1], 1);
	do {
		ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
		waits++;
	} while (event.key != 2 && waits < 100);
	ck_assert_msg(event.key == 2 && waits <= 3,
	    "the third source came after %d waits", waits);
	polling_destroy(p);
	for (int i = 0; i < 3; i++)
		close_pair(pairs[i]);
}
END_TEST

#define BATCHES 200

/* Of a batch of three with room for two and a notification. */
static void
expect_full_batch(struct polling *p)
{
	struct polling_event events[2];
	unsigned seen = 0;
	int total = 0, empty = 0;

	expect_ok(polling_notify(p));
	while (total < 3 && empty < 2) {
		int count = wait_ms(p, events, 2, LONG_MS);

		ck_assert_int_ge(count, 0);
		ck_assert_int_le(count, 2);
		empty += count == 0;
		for (int i = 0; i < count; i++) {
			ck_assert_uint_lt(events[i].key, 3);
			seen |= 1u << events[i].key;
			total++;
		}
	}
	ck_assert_msg(seen == 7 && total == 3,
	    "%d events, seen %x, %d empty waits", total, seen, empty);
	/* It ends one wait and no more: this one, unless one before. */
	if (empty == 0)
		(void)wait_ms(p, events, 2, 1);
}

/* 57 */
START_TEST(a_notification_with_a_full_batch_loses_nothing)
{
	struct polling *p = make_poller();
	polling_fd pairs[3][2];

	for (uintptr_t i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(p, pairs[i][0], 0, POLLING_ONESHOT, i));
	}
	for (int batch = 0; batch < BATCHES; batch++) {
		for (uintptr_t i = 0; i < 3; i++)
			expect_ok(polling_modify(
			    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
		expect_full_batch(p);
	}
	expect_nothing_for(p, 50);
	polling_destroy(p);
	for (int i = 0; i < 3; i++)
		close_pair(pairs[i]);
}
END_TEST

/* 57: it takes no room: one event and capacity 1 go together */
START_TEST(a_notification_takes_no_room)
{
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pair[2];

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_notify(p));
	ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
	ck_assert_uint_eq(event.key, 1);
	ck_assert_uint_eq(event.events, POLLING_IN);
	get_bytes(pair[0], 1);
	/* The notification is over with it, or ends one more wait. */
	ck_assert_int_eq(wait_ms(p, &event, 1, 10), 0);
	expect_nothing_for(p, 50);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 58 */
START_TEST(an_idle_wait_sleeps_until_its_end)
{
	struct polling *p = make_poller();
	polling_fd pairs[MODES][2];
	int64_t cpu;

	for (int i = 0; i < supported_modes(); i++) {
		make_tcp_pair(pairs[i]);
		expect_ok(polling_add(p, pairs[i][0], POLLING_IN,
		    (enum polling_mode)i, (uintptr_t)i));
	}
	cpu = cpu_ns();
	expect_nothing_for(p, 2000);
	cpu = cpu_ns() - cpu;
	ck_assert_msg((double)cpu < 200.0 * (double)NS_PER_MS * time_scale(),
	    "%.1f ms of processor time while idle", (double)cpu / 1e6);
	polling_destroy(p);
	for (int i = 0; i < supported_modes(); i++)
		close_pair(pairs[i]);
}
END_TEST

/* 58: with sources that are ready but disarmed */
START_TEST(disarmed_sources_do_not_spin)
{
	struct polling *p = make_poller();
	polling_fd pair[2], hung_up[2];
	int64_t cpu;

	make_tcp_pair(pair);
	make_channel(hung_up);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	expect_ok(polling_add(p, hung_up[0], 0, POLLING_LEVEL, 2));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	close_fd(hung_up[1]);
	cpu = cpu_ns();
	expect_nothing_for(p, 1000);
	cpu = cpu_ns() - cpu;
	ck_assert_msg((double)cpu < 100.0 * (double)NS_PER_MS * time_scale(),
	    "%.1f ms of processor time while idle", (double)cpu / 1e6);
	polling_destroy(p);
	close_pair(pair);
	close_fd(hung_up[0]);
}
END_TEST

/* 59: the clock is the monotonic one, which nobody can set */
START_TEST(the_clock_is_monotonic)
{
	int64_t last = library_now();

	for (int i = 0; i < 10000; i++) {
		int64_t before = now_ns();
		int64_t now = library_now();
		int64_t after = now_ns();

		ck_assert_msg(before <= now && now <= after,
		    "polling_now is not between two readings of the clock");
		ck_assert_msg(now >= last, "the clock went back");
		last = now;
	}
}
END_TEST

static void
step_forward(void *unused)
{
	(void)unused;
	step_wall_clock(3600);
}

static void
step_back(void *unused)
{
	(void)unused;
	step_wall_clock(-3600);
}

/* 59: for a machine that nobody else uses */
START_TEST(a_stepped_wall_clock_has_no_effect)
{
	struct polling *p;
	struct delayed *d;
	time_t before, after;

	if (getenv("POLLING_TEST_STEP_CLOCK") == NULL)
		SKIP("the wall clock is set only with POLLING_TEST_STEP_CLOCK"
		     " in the environment");
	p = make_poller();
	before = time(NULL);
	d = run_after(50, step_forward, NULL);
	expect_nothing_for(p, 500);
	join_delayed(d);
	after = time(NULL);
	d = run_after(50, step_back, NULL);
	expect_nothing_for(p, 500);
	join_delayed(d);
	polling_destroy(p);
	if (after - before < 3000)
		SKIP("the wall clock could not be set");
	ck_assert_int_lt(time(NULL) - before, 600);
}
END_TEST

#if HAVE_DECL_PR_SET_TIMERSLACK
/* The least that a handler has found. */
static atomic_int least_slack;

static void
look_at_slack(int signo)
{
	int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

	(void)signo;
	if (slack < atomic_load(&least_slack))
		atomic_store(&least_slack, slack);
}

static int
slack_now(void)
{
	return prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
}

struct disturbed {
	pthread_t waiter;
	atomic_bool stop;
};

static void *
disturb(void *argument)
{
	struct disturbed *d = argument;

	while (!atomic_load(&d->stop)) {
		sleep_ms(2);
		(void)pthread_kill(d->waiter, SIGUSR1);
	}
	return NULL;
}

/* Waits of 4 ms, ended by their time and disturbed by signals, until one of
 * these has met the slack that is expected inside, and no less. */
static void
wait_with_slack(long slack, int inside)
{
	static const struct timespec shortly = {.tv_nsec = 4000000};
	struct polling *p = make_poller();
	struct disturbed d = {.waiter = pthread_self()};
	struct polling_event event;
	int64_t start = now_ns();
	struct thread thread;

	ck_assert_int_eq(prctl(PR_SET_TIMERSLACK, slack, 0, 0, 0), 0);
	atomic_store(&least_slack, INT_MAX);
	start_thread(&thread, disturb, &d);
	for (int i = 0; i < 10 || (atomic_load(&least_slack) != inside &&
				      now_ns() - start < LONG_MS * NS_PER_MS);
	     i++) {
		ck_assert_int_eq(polling_wait(p, &event, 1, &shortly), 0);
		ck_assert_int_eq(slack_now(), (int)slack);
	}
	atomic_store(&d.stop, true);
	join_thread(&thread);
	ck_assert_int_eq(atomic_load(&least_slack), inside);
	/* Ended by an event. */
	expect_ok(polling_post(p, &(struct polling_event){1, 2, 3}));
	ck_assert_int_eq(polling_wait(p, &event, 1, &shortly), 1);
	ck_assert_int_eq(slack_now(), (int)slack);
	polling_destroy(p);
}
#endif

START_TEST(a_short_wait_takes_the_timer_slack_away)
{
#if HAVE_DECL_PR_SET_TIMERSLACK
	const char *backend = polling_backend();
	struct sigaction action = {.sa_handler = look_at_slack}, old;
	int before = slack_now();

	if (strcmp(backend, "epoll") != 0 && strcmp(backend, "poll") != 0)
		SKIP("waits are not the kernel's own here");
	if (is_instrumented())
		SKIP("a tool may run handlers later");
	if (before <= 0 || prctl(PR_SET_TIMERSLACK, 20000L, 0, 0, 0) != 0)
		SKIP("this thread has no timer slack that could be set");
	ck_assert_int_eq(sigaction(SIGUSR1, &action, &old), 0);
	/* Less than usual, the usual, more. */
	wait_with_slack(20000, 1);
	wait_with_slack(50000, 1);
	wait_with_slack(70000, 70000);
	ck_assert_int_eq(sigaction(SIGUSR1, &old, NULL), 0);
	ck_assert_int_eq(prctl(PR_SET_TIMERSLACK, (long)before, 0, 0, 0), 0);
#else
	SKIP("threads have no timer slack here");
#endif
}
END_TEST

static void
add_times(Suite *s)
{
	CASE(s, zero_timeouts_do_not_block);
	CASE_LOOP(s, waits_of_100_us_are_never_early, CASE_SECONDS, 0, 2);
	CASE_LOOP(s, waits_of_3100_us_are_never_early, CASE_SECONDS, 0, 2);
	CASE_LOOP(s, waits_of_a_second_are_never_early, CASE_SECONDS, 0, 2);
	CASE_LOOP(s, waits_of_odd_lengths_are_never_early, CASE_SECONDS, 0, 2);
	CASE_LOOP(s, waits_of_odd_lengths_do_not_spin, CASE_SECONDS, 0, 2);
	CASE_LOOP(s, very_long_waits_block_until_notified, CASE_SECONDS, 0, 2);
	CASE(s, a_past_deadline_still_reports_what_is_ready);
	CASE(s, times_that_are_none_are_refused);
	CASE(s, a_wait_cut_short_leaves_no_deadline);
	CASE(s, a_short_wait_takes_the_timer_slack_away);
}

void
add_waiting(Suite *s)
{
	add_times(s);
	CASE_MODES(s, a_capacity_of_one_meets_every_source);
	CASE(s, the_greatest_capacity_is_room_for_all);
	CASE(s, a_capacity_of_one_meets_an_unconnected_socket_too);
	CASE_MODES(s, a_crowd_of_ready_sources_is_seen_in_turn);
	CASE(s, busy_sources_do_not_starve_others);
	CASE(s, a_notification_with_a_full_batch_loses_nothing);
	CASE(s, a_notification_takes_no_room);
	CASE(s, an_idle_wait_sleeps_until_its_end);
	CASE(s, disarmed_sources_do_not_spin);
	CASE(s, the_clock_is_monotonic);
	CASE(s, a_stepped_wall_clock_has_no_effect);
}
