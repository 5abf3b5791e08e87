/* SPDX-License-Identifier: MIT */
/*
 * Several threads on one poller: changes while others wait, each event to
 * one waiter only, progress under load. The numbers are those of the
 * conformance catalogue, part F.
 */
#include "harness.h"

#include "crew.h"

/* A thread that is inside one wait. */
struct blocked {
	struct polling *p;
	int timeout_ms;
	struct polling_event events[8];
	int count;        /* what the wait returned */
	int64_t took;     /* in nanoseconds */
	atomic_int *done; /* counts the threads that are out, or NULL */
	struct crew crew;
};

static void *
wait_once(void *argument)
{
	struct blocked *b = argument;
	int64_t start = now_ns();

	b->count = wait_ms(b->p, b->events, 8, b->timeout_ms);
	b->took = now_ns() - start;
	if (b->done != NULL)
		atomic_fetch_add(b->done, 1);
	return NULL;
}

/* Starts it and gives it the time to block. done may be NULL. */
static void
block_and_count(
    struct blocked *b, struct polling *p, int timeout_ms, atomic_int *done)
{
	memset(b, 0, sizeof(*b));
	b->p = p;
	b->timeout_ms = timeout_ms;
	b->done = done;
	crew_start(&b->crew, wait_once, b);
	sleep_ms(40);
}

static void
block(struct blocked *b, struct polling *p, int timeout_ms)
{
	block_and_count(b, p, timeout_ms, NULL);
}

/* It gets this one event, long before its time is over. */
#define expect_woken(b, key, events) \
	expect_woken_with(HARNESS_HERE, (b), (key), (events))
static void
expect_woken_with(const char *file, int line, struct blocked *b, uintptr_t key,
    uint32_t events)
{
	crew_join(&b->crew);
	ck_assert_msg(b->count == 1 && b->events[0].key == key &&
			  b->events[0].events == events &&
			  b->events[0].data == 0,
	    "%s:%d: the blocked wait returned %d, key %#llx, %s", file, line,
	    b->count, (unsigned long long)b->events[0].key,
	    event_names(b->events[0].events));
}

/* It waits to the end of its time, and gets nothing. */
#define expect_waited(b) expect_waited_to_the_end(HARNESS_HERE, (b))
static void
expect_waited_to_the_end(const char *file, int line, struct blocked *b)
{
	crew_join(&b->crew);
	ck_assert_msg(b->count == 0,
	    "%s:%d: the blocked wait returned %d, "
	    "key %#llx, %s",
	    file, line, b->count, (unsigned long long)b->events[0].key,
	    event_names(b->events[0].events));
	ck_assert_msg(b->took >= (int64_t)b->timeout_ms * 1000000,
	    "%s:%d: the blocked wait of %d ms ended after %.3f ms", file, line,
	    b->timeout_ms, (double)b->took / 1e6);
}

/* 67 */
START_TEST(an_added_source_reaches_a_blocked_wait)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct blocked b;
	polling_fd pair[2];

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	block(&b, p, -1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	expect_woken(&b, 1, POLLING_IN);
	/* And one that becomes ready after it was added. */
	expect_ok(polling_delete(p, pair[0]));
	get_bytes(pair[0], 1);
	block(&b, p, LONG_MS);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 2));
	sleep_ms(20);
	put_bytes(pair[1], 1);
	expect_woken(&b, 2, POLLING_IN);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 67: so many that tables have to grow meanwhile */
START_TEST(many_sources_added_reach_a_blocked_wait)
{
	struct polling *p = make_poller();
	struct blocked b;
	polling_fd pairs[100][2];

	block(&b, p, -1);
	for (uintptr_t i = 0; i < 100; i++) {
		make_socketpair(pairs[i]);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
	}
	for (uintptr_t i = 99;; i--) {
		put_bytes(pairs[i][1], 1);
		expect_woken(&b, i, POLLING_IN);
		if (i == 0)
			break;
		memset(&b, 0, sizeof(b));
		b.p = p;
		b.timeout_ms = -1;
		crew_start(&b.crew, wait_once, &b);
	}
	for (int i = 0; i < 100; i++)
		close_pair(pairs[i]);
	polling_destroy(p);
}
END_TEST

/* 67 */
START_TEST(arming_a_source_reaches_a_blocked_wait)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct blocked b;
	polling_fd pair[2];

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], 0, mode, 1));
	block(&b, p, -1);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 2));
	expect_woken(&b, 2, POLLING_IN);
	/* A oneshot that has fired is armed in the same way. */
	if (mode == POLLING_ONESHOT || mode == POLLING_EDGE_ONESHOT) {
		block(&b, p, LONG_MS);
		expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 3));
		expect_woken(&b, 3, POLLING_IN);
	}
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 67 */
START_TEST(a_changed_interest_reaches_a_blocked_wait)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct blocked b;
	polling_fd pair[2];

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	block(&b, p, -1);
	expect_ok(polling_modify(p, pair[0], POLLING_OUT, mode, 2));
	expect_woken(&b, 2, POLLING_OUT);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 67 */
START_TEST(a_changed_key_reaches_a_blocked_wait)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct blocked b;
	polling_fd pair[2];

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	block(&b, p, -1);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 2));
	put_bytes(pair[1], 1);
	expect_woken(&b, 2, POLLING_IN);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 67 */
START_TEST(a_source_silenced_during_a_blocked_wait_is_silent)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct blocked b;
	polling_fd pairs[3][2];

	for (int i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		expect_ok(polling_add(p, pairs[i][0], POLLING_IN, mode, 1));
	}
	block(&b, p, 400);
	expect_ok(polling_delete(p, pairs[0][0]));
	expect_ok(polling_modify(p, pairs[1][0], 0, mode, 2));
	expect_ok(polling_modify(p, pairs[2][0], POLLING_RDHUP, mode, 3));
	for (int i = 0; i < 3; i++)
		put_bytes(pairs[i][1], 1);
	/* A hang-up cannot be masked off in every kernel. */
	close_fd(pairs[0][1]);
	close_fd(pairs[1][1]);
	expect_waited(&b);
	expect_nothing(p);
	for (int i = 0; i < 3; i++)
		close_fd(pairs[i][0]);
	close_fd(pairs[2][1]);
	polling_destroy(p);
}
END_TEST

/* Every change that there is, to sources that are not ready. */
static void
change_everything(
    struct polling *p, polling_fd keep, polling_fd come, uintptr_t key)
{
	expect_ok(polling_add(p, come, POLLING_IN, POLLING_LEVEL, key));
	expect_ok(polling_modify(p, come, POLLING_IN, POLLING_ONESHOT, key));
	expect_ok(polling_modify(p, keep, POLLING_RDHUP, POLLING_LEVEL, key));
	expect_ok(polling_modify(p, keep, 0, POLLING_ONESHOT, key));
	expect_ok(polling_modify(p, keep, POLLING_IN, POLLING_ONESHOT, key));
	expect_error(
	    polling_add(p, come, POLLING_IN, POLLING_LEVEL, key), EEXIST);
	expect_ok(polling_delete(p, come));
	expect_error(polling_delete(p, come), ENOENT);
}

/* 67: with _i threads that wait */
START_TEST(changes_do_not_end_a_blocked_wait)
{
	struct polling *p = make_poller();
	struct blocked blocked[4];
	polling_fd keep[2], come[2];
	int64_t start;
	int rounds = 0;

	make_socketpair(keep);
	make_channel(come);
	expect_ok(polling_add(p, keep[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < _i; i++)
		block(&blocked[i], p, 600);
	for (start = now_ns(); now_ns() - start < 300000000; rounds++)
		change_everything(p, keep[0], come[0], (uintptr_t)rounds);
	ck_assert_int_gt(rounds, 0);
	for (int i = 0; i < _i; i++)
		expect_waited(&blocked[i]);
	close_pair(keep);
	close_pair(come);
	polling_destroy(p);
}
END_TEST

/* 67: with four threads that wait, one of them gets the event */
START_TEST(a_change_reaches_one_of_several_blocked_waits)
{
	struct polling *p = make_poller();
	struct blocked blocked[4];
	struct trouble trouble = {0}; /* none is told here */
	atomic_int done = 0;
	polling_fd pair[2];

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], 0, POLLING_ONESHOT, 0));
	for (int i = 0; i < 4; i++) {
		block_and_count(&blocked[i], p, -1, &done);
	}
	for (int i = 1; i <= 4; i++) {
		expect_ok(polling_modify(
		    p, pair[0], POLLING_IN, POLLING_ONESHOT, (uintptr_t)i));
		ck_assert_msg(
		    reaches(&trouble, &done, i), "no thread got event %d", i);
		sleep_ms(20);
		ck_assert_int_eq(atomic_load(&done), i);
	}
	for (int i = 0; i < 4; i++) {
		crew_join(&blocked[i].crew);
		ck_assert_int_eq(blocked[i].count, 1);
		ck_assert_uint_eq(blocked[i].events[0].events, POLLING_IN);
		/* Each key went to one of them. */
		ck_assert_uint_ge(blocked[i].events[0].key, 1);
		ck_assert_uint_le(blocked[i].events[0].key, 4);
		for (int j = 0; j < i; j++)
			ck_assert_uint_ne(
			    blocked[i].events[0].key, blocked[j].events[0].key);
	}
	expect_nothing(p);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* Whether this process works while it should sleep. Threads that turn round do
 * so again and again; one that an overloaded machine lets run late does not. */
static bool
turns_round(void)
{
	for (int i = 0; i < 2; i++) {
		int64_t cpu = cpu_ns();

		sleep_ms(5);
		if (cpu_ns() - cpu <= 2500000)
			return false;
	}
	return true;
}

/* 67: threads that have nothing to do sleep, whatever was changed before */
START_TEST(blocked_waits_sleep_between_changes)
{
	struct polling *p = make_poller();
	struct blocked blocked[3];
	polling_fd keep[2], come[2];
	struct trouble trouble = {0}; /* none is told here */
	atomic_int done = 0;
	int busy = 0;

	make_socketpair(keep);
	make_channel(come);
	expect_ok(polling_add(p, keep[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < _i; i++)
		block_and_count(&blocked[i], p, -1, &done);
	for (int i = 0; i < 100; i++) {
		/* One change, several in a row, and several apart. */
		for (int j = 0; j < i % 4; j++) {
			expect_ok(polling_modify(
			    p, keep[0], POLLING_IN, POLLING_LEVEL, 1));
			for (int k = 0; k < i; k++)
				yield_thread();
		}
		if (i % 4 == 0)
			change_everything(p, keep[0], come[0], 1);
		sleep_ms((int)(2 * time_scale()));
		busy += turns_round();
	}
	/* Where the time is told in long ticks, one may end by chance; threads
	 * that turn round all the time make it happen half of the times. */
	ck_assert_msg(busy < (cpu_tick_ns > NS_PER_MS ? 10 : 2),
	    "threads turned round %d times of 100", busy);
	for (int i = 1; i <= _i; i++) {
		expect_ok(polling_notify(p));
		ck_assert(reaches(&trouble, &done, i));
	}
	for (int i = 0; i < _i; i++) {
		crew_join(&blocked[i].crew);
		ck_assert_int_eq(blocked[i].count, 0);
	}
	close_pair(keep);
	close_pair(come);
	polling_destroy(p);
}
END_TEST

/* 67: a look without blocking does not wait for those that are blocked */
START_TEST(a_look_beside_a_blocked_wait_returns_at_once)
{
	struct polling *p = make_poller();
	struct blocked b;
	polling_fd pair[2];
	int64_t start;

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	block(&b, p, -1);
	start = now_ns();
	for (int i = 0; i < 100; i++)
		expect_nothing(p);
	expect_elapsed(start, 0, 5000);
	/* Nor does a wait that is shorter than theirs. */
	start = now_ns();
	expect_nothing_for(p, 50);
	expect_elapsed(start, 50, 5000);
	put_bytes(pair[1], 1);
	expect_woken(&b, 1, POLLING_IN);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 67: every one of several blocked waits ends at its own time */
START_TEST(blocked_waits_end_at_their_own_time)
{
	struct polling *p = make_poller();
	struct blocked blocked[4];
	struct blocked forever;
	int64_t start;

	block(&forever, p, -1);
	start = now_ns();
	for (int i = 0; i < 4; i++) {
		memset(&blocked[i], 0, sizeof(blocked[i]));
		blocked[i].p = p;
		blocked[i].timeout_ms = 400 - i * 100;
		crew_start(&blocked[i].crew, wait_once, &blocked[i]);
	}
	for (int i = 0; i < 4; i++)
		expect_waited(&blocked[i]);
	expect_elapsed(start, 400, LONG_MS);
	for (int i = 0; i < 4; i++)
		ck_assert_int_lt(
		    blocked[i].took, (int64_t)(LONG_MS * 1e6 * time_scale()));
	expect_ok(polling_notify(p));
	crew_join(&forever.crew);
	ck_assert_int_eq(forever.count, 0);
	polling_destroy(p);
}
END_TEST

/*
 * 68: bytes are written to many oneshot sources; whoever gets an event takes
 * one byte and arms the source again. An event that came twice would find no
 * byte, or another thread at work on the source.
 */
#define SHARED_SOURCES 64
#define SHARED_WAITERS 4

struct shared {
	struct polling *p;
	enum polling_mode mode;
	polling_fd pairs[SHARED_SOURCES][2];
	atomic_bool taken[SHARED_SOURCES]; /* somebody handles its event */
	atomic_int events;
	atomic_int next_waiter;
	atomic_bool stop;
	struct trouble trouble;
};

static void
handle_shared(struct shared *s, const struct polling_event *event)
{
	uintptr_t i = event->key;
	char byte;

	if (!check_that(&s->trouble, i < SHARED_SOURCES))
		return;
	check_that(&s->trouble, event->events == POLLING_IN);
	check_that(&s->trouble, !atomic_exchange(&s->taken[i], true));
	check_that(&s->trouble, read_fd(s->pairs[i][0], &byte, 1) == 1);
	check_that(&s->trouble, atomic_exchange(&s->taken[i], false));
	check_that(&s->trouble,
	    polling_modify(s->p, s->pairs[i][0], POLLING_IN, s->mode, i) == 0);
	atomic_fetch_add(&s->events, 1);
}

static void *
handle_shared_events(void *argument)
{
	/* Full batches and single events, blocking and looking. */
	static const int capacities[SHARED_WAITERS] = {1, 8, 64, 3};
	static const int timeouts[SHARED_WAITERS] = {-1, -1, 10, 0};
	struct shared *s = argument;
	int me = atomic_fetch_add(&s->next_waiter, 1);
	struct polling_event events[64];

	while (!atomic_load(&s->stop)) {
		int n = wait_ms(s->p, events, capacities[me], timeouts[me]);

		if (!check_that(&s->trouble, n >= 0))
			break;
		for (int i = 0; i < n; i++)
			handle_shared(s, &events[i]);
		if (n == 0 && timeouts[me] == 0)
			yield_thread();
	}
	check_that(&s->trouble, polling_notify(s->p) == 0);
	return NULL;
}

/* Writes the bytes; what does not fit has to wait for the readers. */
static void
write_shared(struct shared *s, int bytes)
{
	for (int i = 0; i < bytes && !in_trouble(&s->trouble); i++) {
		polling_fd fd = s->pairs[i % SHARED_SOURCES][1];
		int64_t give_up = patience();

		while (write_fd(fd, "x", 1) != 1) {
			if (!check_that(&s->trouble, now_ns() < give_up))
				return;
			yield_thread();
		}
	}
}

static void
run_shared(struct shared *s, int bytes)
{
	struct crew crew = {0};
	bool all;

	for (int i = 0; i < SHARED_WAITERS; i++)
		crew_start(&crew, handle_shared_events, s);
	write_shared(s, bytes);
	all = reaches(&s->trouble, &s->events, bytes);
	atomic_store(&s->stop, true);
	expect_ok(polling_notify(s->p));
	crew_join(&crew);
	expect_no_trouble(&s->trouble);
	ck_assert_msg(all, "%d of %d events came", s->events, bytes);
	ck_assert_int_eq(s->events, bytes);
	/* The last notification may still be there. */
	expect_nothing(s->p);
	expect_nothing_for(s->p, 20);
}

/* 68 */
START_TEST(each_oneshot_event_goes_to_one_waiter)
{
	static struct shared s;

	memset(&s, 0, sizeof(s));
	s.p = make_poller();
	s.mode = _i == 0 ? POLLING_ONESHOT : POLLING_EDGE_ONESHOT;
	SKIP_UNLESS_MODE(s.p, s.mode);
	for (uintptr_t i = 0; i < SHARED_SOURCES; i++) {
		if (i % 2 == 0)
			make_socketpair(s.pairs[i]);
		else
			make_channel(s.pairs[i]);
		expect_ok(
		    polling_add(s.p, s.pairs[i][0], POLLING_IN, s.mode, i));
	}
	run_shared(&s, scaled(100000));
	for (int i = 0; i < SHARED_SOURCES; i++)
		close_pair(s.pairs[i]);
	polling_destroy(s.p);
}
END_TEST

/* Threads that wait, and a source that is deleted while they do. */
struct deleting {
	struct polling *p;
	atomic_int deleted; /* rounds whose polling_delete() has returned */
	atomic_int waits;
	atomic_int events;
	atomic_bool strict; /* no event may come at all */
	atomic_bool stop;
	struct trouble trouble;
};

static void *
wait_for_deleted(void *argument)
{
	struct deleting *d = argument;
	struct polling_event events[4];

	while (!atomic_load(&d->stop)) {
		uintptr_t before = (uintptr_t)atomic_load(&d->deleted);
		int n = wait_ms(d->p, events, 4, 1);

		check_that(&d->trouble, n >= 0);
		for (int i = 0; i < n; i++) {
			check_that(&d->trouble, !atomic_load(&d->strict));
			/* The keys are rounds; those up to this one were
			 * deleted when the wait began. */
			check_that(&d->trouble, events[i].key > before);
		}
		atomic_fetch_add(&d->events, n > 0 ? n : 0);
		atomic_fetch_add(&d->waits, 1);
	}
	return NULL;
}

/* 69: what becomes ready after the delete is never reported */
START_TEST(nothing_is_reported_after_a_delete)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct deleting d = {.p = make_poller(), .strict = true};
	struct crew crew = {0};
	polling_fd pair[2];
	int rounds = scaled(2000);

	make_socketpair(pair);
	for (int i = 0; i < 4; i++)
		crew_start(&crew, wait_for_deleted, &d);
	for (int i = 1; i <= rounds; i++) {
		expect_ok(
		    polling_add(d.p, pair[0], POLLING_IN, mode, (uintptr_t)i));
		if (i % 8 == 0)
			(void)reaches(
			    &d.trouble, &d.waits, atomic_load(&d.waits) + 1);
		expect_ok(polling_delete(d.p, pair[0]));
		atomic_store(&d.deleted, i);
		ck_assert_int_eq((int)write_fd(pair[1], "x", 1), 1);
		if (i % 8 == 0)
			(void)reaches(
			    &d.trouble, &d.waits, atomic_load(&d.waits) + 1);
		get_bytes(pair[0], 1);
	}
	atomic_store(&d.stop, true);
	crew_join(&crew);
	expect_no_trouble(&d.trouble);
	ck_assert_int_gt(atomic_load(&d.waits), 0);
	close_pair(pair);
	polling_destroy(d.p);
}
END_TEST

/* 69: no wait that began after the delete reports what was ready before */
START_TEST(a_delete_races_with_events)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct deleting d = {.p = make_poller()};
	struct crew crew = {0};
	polling_fd pair[2];
	int rounds = scaled(5000);

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	for (int i = 0; i < 4; i++)
		crew_start(&crew, wait_for_deleted, &d);
	for (int i = 1; i <= rounds; i++) {
		int before = atomic_load(&d.events);

		expect_ok(
		    polling_add(d.p, pair[0], POLLING_IN, mode, (uintptr_t)i));
		if (i % 16 == 0)
			ck_assert(reaches(&d.trouble, &d.events, before + 1));
		expect_ok(polling_delete(d.p, pair[0]));
		atomic_store(&d.deleted, i);
	}
	atomic_store(&d.stop, true);
	crew_join(&crew);
	expect_no_trouble(&d.trouble);
	ck_assert_int_gt(atomic_load(&d.events), 0);
	expect_nothing(d.p);
	close_pair(pair);
	polling_destroy(d.p);
}
END_TEST

/*
 * 70: eight threads that do anything to shared sources, and to sources of
 * their own, whose answers they know. For ThreadSanitizer, and for what the
 * model below finds: posts are counted, and keys tell their source.
 */
#define CHAOS_THREADS 8
#define CHAOS_PAIRS   12
#define CHAOS_KEY     ((uintptr_t)1000) /* times the pair, plus anything */
#define CHAOS_POST    ((uintptr_t)100000)
#define CHAOS_OWN     ((uintptr_t)200000) /* plus the thread's number */

struct chaos {
	struct polling *p;
	int modes;
	int steps; /* of each thread */
	polling_fd pairs[CHAOS_PAIRS][2];
	atomic_int next_thread;
	atomic_int posted;
	atomic_int received;
	struct trouble trouble;
};

/* A thread's own part of it. */
struct chaos_thread {
	struct chaos *chaos;
	uint32_t random;
	uintptr_t number;
	polling_fd own[2];
	bool added;
};

static uint32_t
draw(struct chaos_thread *t, uint32_t below)
{
	/* Xorshift; every thread has its own sequence, always the same. */
	t->random ^= t->random << 13;
	t->random ^= t->random >> 17;
	t->random ^= t->random << 5;
	return t->random % below;
}

static bool
is_chaos_event(const struct polling_event *event)
{
	if (event->key == CHAOS_POST)
		return event->events == 1 && event->data == 2;
	if (event->data != 0 || event->events == 0)
		return false;
	return event->key < CHAOS_PAIRS * CHAOS_KEY ||
	       (event->key >= CHAOS_OWN &&
		   event->key < CHAOS_OWN + CHAOS_THREADS);
}

static void
chaos_wait(struct chaos_thread *t)
{
	struct chaos *c = t->chaos;
	struct polling_event events[16];
	int capacity = 1 + (int)draw(t, 16);
	int n = wait_ms(c->p, events, capacity, (int)draw(t, 2));

	check_that(&c->trouble, n >= 0 && n <= capacity);
	for (int i = 0; i < n; i++) {
		check_that(&c->trouble, is_chaos_event(&events[i]));
		if (events[i].key == CHAOS_POST)
			atomic_fetch_add(&c->received, 1);
	}
}

static void
chaos_post(struct chaos_thread *t)
{
	struct polling_event post = {CHAOS_POST, 1, 2};

	atomic_fetch_add(&t->chaos->posted, 1);
	check_that(&t->chaos->trouble, polling_post(t->chaos->p, &post) == 0);
}

/* Something to a source that others use too. */
static void
chaos_shared(struct chaos_thread *t)
{
	static const uint32_t interests[] = {0, POLLING_IN, POLLING_OUT,
	    POLLING_IN | POLLING_OUT, POLLING_IN | POLLING_RDHUP};
	struct chaos *c = t->chaos;
	uint32_t pair = draw(t, CHAOS_PAIRS);
	polling_fd fd = c->pairs[pair][draw(t, 2)];
	uint32_t interest = interests[draw(t, 5)];
	enum polling_mode mode = (enum polling_mode)draw(t, (uint32_t)c->modes);
	uintptr_t key = pair * CHAOS_KEY + draw(t, (uint32_t)CHAOS_KEY);
	char bytes[64] = "";

	switch (draw(t, 6)) {
	case 0:
		check_that(&c->trouble,
		    polling_add(c->p, fd, interest, mode, key) == 0 ||
			errno == EEXIST);
		break;
	case 1:
		check_that(&c->trouble,
		    polling_delete(c->p, fd) == 0 || errno == ENOENT);
		break;
	case 2:
		(void)write_fd(c->pairs[pair][1], bytes, 1 + draw(t, 64));
		break;
	case 3:
		(void)read_fd(c->pairs[pair][0], bytes, 1 + draw(t, 64));
		break;
	default:
		check_that(&c->trouble,
		    polling_modify(c->p, fd, interest, mode, key) == 0 ||
			errno == ENOENT);
		break;
	}
}

/* Closed without being deleted; the number comes back soon, perhaps to another
 * thread. tests/tsan.supp knows it by its name. */
static void
chaos_abandon(struct chaos_thread *t)
{
	if (!can_abandon)
		check_that(&t->chaos->trouble,
		    polling_delete(t->chaos->p, t->own[0]) == 0);
	close_pair(t->own);
	make_socketpair(t->own);
	t->added = false;
}

/* Something to a source that is this thread's: the answers are known. */
static void
chaos_own(struct chaos_thread *t)
{
	struct chaos *c = t->chaos;
	struct trouble *trouble = &c->trouble;
	uint32_t interest = draw(t, 2) ? POLLING_OUT : POLLING_IN;
	uintptr_t key = CHAOS_OWN + t->number;

	if (!t->added) {
		check_that(trouble, polling_add(c->p, t->own[0], interest,
					POLLING_ONESHOT, key) == 0);
		t->added = true;
		return;
	}
	switch (draw(t, 3)) {
	case 0:
		check_that(trouble, polling_modify(c->p, t->own[0], interest,
					POLLING_LEVEL, key) == 0);
		check_that(trouble,
		    polling_add(c->p, t->own[0], 0, POLLING_LEVEL, 0) == -1 &&
			errno == EEXIST);
		break;
	case 1:
		check_that(trouble, polling_delete(c->p, t->own[0]) == 0);
		check_that(trouble,
		    polling_delete(c->p, t->own[0]) == -1 && errno == ENOENT);
		t->added = false;
		break;
	default:
		chaos_abandon(t);
		break;
	}
}

static void *
make_chaos(void *argument)
{
	struct chaos *c = argument;
	struct chaos_thread t = {.chaos = c};

	t.number = (uintptr_t)atomic_fetch_add(&c->next_thread, 1);
	t.random = 2463534242u + (uint32_t)t.number * 7919u;
	make_socketpair(t.own);
	for (int i = 0; i < c->steps && !in_trouble(&c->trouble); i++) {
		uint32_t what = draw(&t, 16);

		if (what < 8)
			chaos_shared(&t);
		else if (what < 10)
			chaos_own(&t);
		else if (what < 12)
			chaos_post(&t);
		else if (what < 13)
			check_that(&c->trouble, polling_notify(c->p) == 0);
		else
			chaos_wait(&t);
	}
	if (t.added)
		check_that(&c->trouble, polling_delete(c->p, t.own[0]) == 0);
	close_pair(t.own);
	return NULL;
}

/* After the storm: all posts are there, and the poller is as good as new. */
static void
expect_calm(struct chaos *c)
{
	struct chaos_thread t = {.chaos = c, .random = 1};
	polling_fd pair[2];

	for (int i = 0; i < CHAOS_PAIRS; i++) {
		for (int j = 0; j < 2; j++) {
			int result = polling_delete(c->p, c->pairs[i][j]);

			ck_assert(result == 0 || errno == ENOENT);
		}
	}
	for (int64_t give_up = patience();
	     c->received != c->posted && now_ns() < give_up;) {
		int before = c->received;

		chaos_wait(&t);
		if (c->received != before)
			give_up = patience();
	}
	expect_no_trouble(&c->trouble);
	ck_assert_int_eq(c->received, c->posted);
	expect_nothing(c->p);
	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(c->p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	expect_events(c->p, 0, {1, POLLING_IN});
	expect_nothing_for(c->p, 20);
	close_pair(pair);
}

/* 70 */
START_TEST(anything_may_happen_at_the_same_time)
{
	struct chaos c = {.p = make_poller(), .steps = scaled(20000)};
	struct crew crew = {0};

	if (!can_abandon)
		harness_note("sockets are deleted before they are closed");
	c.modes = supported_modes();
	for (int i = 0; i < CHAOS_PAIRS; i++) {
		if (i % 3 == 0)
			make_channel(c.pairs[i]);
		else if (i % 3 == 1)
			make_socketpair(c.pairs[i]);
		else
			make_tcp_pair(c.pairs[i]);
	}
	for (int i = 0; i < CHAOS_THREADS; i++)
		crew_start(&crew, make_chaos, &c);
	crew_join(&crew);
	expect_no_trouble(&c.trouble);
	expect_calm(&c);
	for (int i = 0; i < CHAOS_PAIRS; i++)
		close_pair(c.pairs[i]);
	polling_destroy(c.p);
}
END_TEST

static void *
create_and_destroy(void *argument)
{
	struct chaos *c = argument;
	struct polling_event events[CHAOS_PAIRS];

	for (int i = 0; i < c->steps && !in_trouble(&c->trouble); i++) {
		struct polling *p = polling_create(0);
		int n;

		if (!check_that(&c->trouble, p != NULL))
			break;
		for (uintptr_t j = 0; j < CHAOS_PAIRS; j++)
			check_that(&c->trouble,
			    polling_add(p, c->pairs[j][0], POLLING_IN,
				POLLING_LEVEL, j) == 0);
		n = wait_ms(p, events, CHAOS_PAIRS, 0);
		check_that(&c->trouble, n == CHAOS_PAIRS);
		polling_destroy(p);
	}
	return NULL;
}

/* 70: pollers come and go beside each other, over the same sources */
START_TEST(pollers_are_made_and_destroyed_at_the_same_time)
{
	struct chaos c = {.p = make_poller(), .steps = scaled(500)};
	struct polling_event events[CHAOS_PAIRS + 1];
	struct crew crew = {0};

	for (uintptr_t i = 0; i < CHAOS_PAIRS; i++) {
		make_socketpair(c.pairs[i]);
		put_bytes(c.pairs[i][1], 1);
		expect_ok(polling_add(
		    c.p, c.pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
	}
	for (int i = 0; i < CHAOS_THREADS; i++)
		crew_start(&crew, create_and_destroy, &c);
	crew_join(&crew);
	expect_no_trouble(&c.trouble);
	ck_assert_int_eq(wait_ms(c.p, events, CHAOS_PAIRS + 1, 0), CHAOS_PAIRS);
	expect_nothing(c.p);
	for (int i = 0; i < CHAOS_PAIRS; i++)
		close_pair(c.pairs[i]);
	polling_destroy(c.p);
}
END_TEST

/* 71: threads that do nothing but modify */
struct storm {
	struct polling *p;
	polling_fd idle[2];
	polling_fd busy[2];
	atomic_bool stop;
	atomic_int calls;
	struct trouble trouble;
};

static void *
modify_always(void *argument)
{
	struct storm *s = argument;

	for (uintptr_t i = 0; !atomic_load(&s->stop); i++) {
		uint32_t interest = i & 1 ? POLLING_IN : POLLING_RDHUP;

		check_that(&s->trouble, polling_modify(s->p, s->idle[0],
					    interest, POLLING_LEVEL, i) == 0);
		/* Armed again and again, and ready only at times. */
		check_that(
		    &s->trouble, polling_modify(s->p, s->busy[0], POLLING_IN,
				     POLLING_ONESHOT, 1) == 0);
		atomic_fetch_add(&s->calls, 1);
	}
	return NULL;
}

/* One byte is written, comes as an event, and is read. */
static void
expect_progress(struct storm *s)
{
	struct polling_event event;
	int64_t start = now_ns();

	put_bytes(s->busy[1], 1);
	ck_assert_int_eq(wait_ms(s->p, &event, 1, 10 * LONG_MS), 1);
	expect_elapsed(start, 0, LONG_MS);
	ck_assert_uint_eq(event.key, 1);
	get_bytes(s->busy[0], 1);
	/* The storm may have armed it before the byte was read. */
	while (wait_ms(s->p, &event, 1, 0) > 0)
		expect_elapsed(start, 0, LONG_MS);
	expect_ok(polling_post(s->p, &(struct polling_event){2, 0, 0}));
	ck_assert_int_eq(wait_ms(s->p, &event, 1, 10 * LONG_MS), 1);
	expect_elapsed(start, 0, LONG_MS);
	ck_assert_uint_eq(event.key, 2);
	start = now_ns();
	expect_nothing_for(s->p, 20);
	expect_elapsed(start, 20, LONG_MS);
}

/* 71: with _i threads that modify */
START_TEST(a_storm_of_changes_does_not_stop_a_waiter)
{
	struct storm s = {.p = make_poller()};
	struct crew crew = {0};
	int before;

	make_socketpair(s.idle);
	make_socketpair(s.busy);
	expect_ok(polling_add(s.p, s.idle[0], POLLING_IN, POLLING_LEVEL, 0));
	expect_ok(polling_add(s.p, s.busy[0], POLLING_IN, POLLING_ONESHOT, 1));
	for (int i = 0; i < _i; i++)
		crew_start(&crew, modify_always, &s);
	for (int i = 0; i < scaled(30); i++) {
		before = atomic_load(&s.calls);
		expect_progress(&s);
		/* Nor does the waiter stop the storm. */
		ck_assert(reaches(&s.trouble, &s.calls, before + 1));
	}
	atomic_store(&s.stop, true);
	crew_join(&crew);
	expect_no_trouble(&s.trouble);
	close_pair(s.idle);
	close_pair(s.busy);
	polling_destroy(s.p);
}
END_TEST

/* 72 */
struct waiters {
	struct polling *p;
	atomic_int ended;
	atomic_bool stop;
	struct trouble trouble;
};

static void *
count_ended_waits(void *argument)
{
	struct waiters *w = argument;
	struct polling_event event;

	while (!atomic_load(&w->stop)) {
		check_that(&w->trouble, wait_ms(w->p, &event, 1, -1) == 0);
		atomic_fetch_add(&w->ended, 1);
	}
	check_that(&w->trouble, polling_notify(w->p) == 0);
	return NULL;
}

/* 72: with sources to wait for or without */
START_TEST(a_notification_wakes_one_of_four_waiters)
{
	struct waiters w = {.p = make_poller()};
	struct crew crew = {0};
	polling_fd pair[2];
	int rounds = scaled(5000);

	make_socketpair(pair);
	if (_i == 1)
		expect_ok(
		    polling_add(w.p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < 4; i++)
		crew_start(&crew, count_ended_waits, &w);
	sleep_ms(50);
	ck_assert_int_eq(atomic_load(&w.ended), 0);
	for (int i = 1; i <= rounds; i++) {
		expect_ok(polling_notify(w.p));
		ck_assert_msg(reaches(&w.trouble, &w.ended, i),
		    "notification %d woke no waiter", i);
		if (i % (rounds / 8 + 1) == 0)
			sleep_ms(20);
		ck_assert_int_eq(atomic_load(&w.ended), i);
	}
	sleep_ms(50);
	ck_assert_int_eq(atomic_load(&w.ended), rounds);
	atomic_store(&w.stop, true);
	expect_ok(polling_notify(w.p));
	crew_join(&crew);
	expect_no_trouble(&w.trouble);
	close_pair(pair);
	polling_destroy(w.p);
}
END_TEST

/* What ends a wait; the key of its event, if it has one. */
enum wake_up { NOTIFICATION, POST, READY, WAKE_UPS };

struct woken {
	struct polling *p;
	polling_fd fd;
	atomic_int met[WAKE_UPS];
	atomic_bool stop;
	struct trouble trouble;
};

static void *
count_wake_ups(void *argument)
{
	struct woken *w = argument;
	struct polling_event event;
	uintptr_t what;
	char byte;

	for (;;) {
		int count = wait_ms(w->p, &event, 1, -1);

		if (atomic_load(&w->stop))
			break;
		what = count == 1 ? event.key : NOTIFICATION;
		if (!check_that(&w->trouble, count == 0 || count == 1) ||
		    !check_that(&w->trouble, what < WAKE_UPS))
			break;
		if (what == READY &&
		    (!check_that(&w->trouble, read_fd(w->fd, &byte, 1) == 1) ||
			!check_that(
			    &w->trouble, polling_modify(w->p, w->fd, POLLING_IN,
					     POLLING_ONESHOT, READY) == 0)))
			break;
		atomic_fetch_add(&w->met[what], 1);
	}
	check_that(&w->trouble, polling_notify(w->p) == 0);
	return NULL;
}

/* 72: each ends one wait, whatever the others are about to do. One after the
 * other, so that most of the waiters sleep or go to sleep as the next comes. */
START_TEST(each_wake_up_reaches_one_of_eight_waiters)
{
	struct woken w = {.p = make_poller()};
	const struct polling_event post = {.key = POST};
	struct crew crew = {0};
	polling_fd pair[2];
	int rounds = scaled(2000);

	make_socketpair(pair);
	w.fd = pair[0];
	expect_ok(
	    polling_add(w.p, pair[0], POLLING_IN, POLLING_ONESHOT, READY));
	for (int i = 0; i < 8; i++)
		crew_start(&crew, count_wake_ups, &w);
	for (int i = 0; i < rounds; i++)
		for (int what = 0; what < WAKE_UPS; what++) {
			if (what == NOTIFICATION)
				expect_ok(polling_notify(w.p));
			else if (what == POST)
				expect_ok(polling_post(w.p, &post));
			else
				ck_assert_int_eq(write_fd(pair[1], "x", 1), 1);
			ck_assert_msg(reaches(&w.trouble, &w.met[what], i + 1),
			    "wake-up %d of kind %d was lost; %s", i, what,
			    w.trouble.text);
		}
	sleep_ms(50);
	for (int what = 0; what < WAKE_UPS; what++)
		ck_assert_int_eq(atomic_load(&w.met[what]), rounds);
	atomic_store(&w.stop, true);
	expect_ok(polling_notify(w.p));
	crew_join(&crew);
	expect_no_trouble(&w.trouble);
	close_pair(pair);
	polling_destroy(w.p);
}
END_TEST

/* 72: as many posts as waiters, one each */
START_TEST(every_post_wakes_a_waiter)
{
	struct polling *p = make_poller();
	struct blocked blocked[4];
	struct trouble trouble = {0}; /* none is told here */
	atomic_int done = 0;

	for (int i = 0; i < 4; i++) {
		block_and_count(&blocked[i], p, -1, &done);
	}
	for (int i = 1; i <= 4; i++) {
		expect_ok(polling_post(
		    p, &(struct polling_event){(uintptr_t)i, 0, 0}));
		ck_assert_msg(
		    reaches(&trouble, &done, i), "post %d woke no waiter", i);
	}
	for (int i = 0; i < 4; i++) {
		crew_join(&blocked[i].crew);
		ck_assert_int_eq(blocked[i].count, 1);
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/*
 * A thread that was cancelled inside the library with a lock held would stop
 * all others. Calls that do not block are no cancellation points.
 */
#if HAVE_PTHREAD_SETCANCELSTATE
struct cancelled {
	struct polling *p;
	polling_fd fd;
	bool came_back;
};

static void *
use_cancelled(void *argument)
{
	struct cancelled *c = argument;

	(void)pthread_cancel(pthread_self());
	(void)polling_add(c->p, c->fd, POLLING_IN, POLLING_LEVEL, 1);
	(void)polling_modify(c->p, c->fd, POLLING_OUT, POLLING_LEVEL, 1);
	(void)polling_add(c->p, c->fd, POLLING_IN, POLLING_LEVEL, 1);
	(void)polling_notify(c->p);
	(void)polling_delete(c->p, c->fd);
	c->came_back = true;
	pthread_testcancel();
	return NULL;
}

START_TEST(a_cancelled_thread_leaves_the_library_first)
{
	struct cancelled c = {.p = make_poller()};
	pthread_t thread;
	polling_fd pair[2];
	void *end = NULL;

	pair_kinds[_i].make(pair);
	close_fd(pair[1]);
	c.fd = pair[0];
	ck_assert_int_eq(pthread_create(&thread, NULL, use_cancelled, &c), 0);
	ck_assert_int_eq(pthread_join(thread, &end), 0);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	ck_assert_msg(c.came_back, "it ended inside of the library");
	expect_ok(polling_add(c.p, c.fd, POLLING_IN, POLLING_ONESHOT, 1));
	polling_destroy(c.p);
	close_fd(pair[0]);
}
END_TEST
#endif

static void
add_changes(Suite *s)
{
	CASE_MODES(s, an_added_source_reaches_a_blocked_wait);
	CASE(s, many_sources_added_reach_a_blocked_wait);
	CASE_MODES(s, arming_a_source_reaches_a_blocked_wait);
	CASE_MODES(s, a_changed_interest_reaches_a_blocked_wait);
	CASE_MODES(s, a_changed_key_reaches_a_blocked_wait);
	CASE_MODES(s, a_source_silenced_during_a_blocked_wait_is_silent);
	CASE_LOOP(s, changes_do_not_end_a_blocked_wait, CASE_SECONDS, 1, 4);
	CASE_LOOP(s, blocked_waits_sleep_between_changes, CASE_SECONDS, 1, 4);
	CASE(s, a_change_reaches_one_of_several_blocked_waits);
	CASE(s, a_look_beside_a_blocked_wait_returns_at_once);
	CASE(s, blocked_waits_end_at_their_own_time);
#if HAVE_PTHREAD_SETCANCELSTATE
	CASE_PAIRS(s, a_cancelled_thread_leaves_the_library_first);
#endif
}

void
add_threads(Suite *s)
{
	add_changes(s);
	CASE_LOOP(
	    s, each_oneshot_event_goes_to_one_waiter, 2 * CASE_SECONDS, 0, 2);
	CASE_MODES(s, nothing_is_reported_after_a_delete);
	CASE_MODES(s, a_delete_races_with_events);
	CASE_LIMIT(s, anything_may_happen_at_the_same_time, 2 * CASE_SECONDS);
	CASE(s, pollers_are_made_and_destroyed_at_the_same_time);
	CASE_LOOP(s, a_storm_of_changes_does_not_stop_a_waiter,
	    2 * CASE_SECONDS, 1, 4);
	CASE_LOOP(
	    s, a_notification_wakes_one_of_four_waiters, CASE_SECONDS, 0, 2);
	CASE_LIMIT(
	    s, each_wake_up_reaches_one_of_eight_waiters, 2 * CASE_SECONDS);
	CASE(s, every_post_wakes_a_waiter);
}
