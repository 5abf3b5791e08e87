/* SPDX-License-Identifier: MIT */
/*
 * Notifications and posts: which wait they end, and that none is lost. The
 * numbers are those of the conformance catalogue, part E.
 */
#include "harness.h"

#include "scenes.h"

/* What run_after() runs: a notification, and what came of it. */
struct notification {
	struct polling *p;
	int result;
};

static void
notify_later(void *argument)
{
	struct notification *n = argument;

	n->result = polling_notify(n->p);
}

/* 60 */
START_TEST(a_notification_ends_the_next_wait)
{
	struct polling *p = make_poller();

	expect_ok(polling_notify(p));
	expect_ended(p, _i, now_ns(), 0, 0);
	expect_nothing_for(p, 60);
	polling_destroy(p);
}
END_TEST

/* 60 */
START_TEST(a_wait_that_does_not_block_meets_the_notification)
{
	struct polling *p = make_poller();

	expect_ok(polling_notify(p));
	expect_nothing(p);
	expect_nothing_for(p, 60);
	polling_destroy(p);
}
END_TEST

/* 60 */
START_TEST(notifications_before_a_wait_are_one)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			expect_ok(polling_notify(p));
		expect_ended(p, _i, now_ns(), 0, 0);
		expect_nothing_for(p, 60);
	}
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 60: as many as no kernel object can count, and it never fails */
START_TEST(a_pending_notification_is_no_error)
{
	struct polling *p = make_poller();

	for (int i = 0; i < scaled(200000); i++)
		expect_ok(polling_notify(p));
	expect_ended(p, WAIT_FOR_EVER, now_ns(), 0, 0);
	expect_nothing_for(p, 20);
	polling_destroy(p);
}
END_TEST

/* 61 */
START_TEST(a_notification_ends_a_blocked_wait)
{
	struct polling *p = make_poller();
	struct notification job = {p, -2};
	struct delayed *d;
	polling_fd pair[2];

	make_socketpair(pair);
	for (int sources = 0; sources < 2; sources++) {
		int64_t start = now_ns();

		job.result = -2;
		d = run_after(50, notify_later, &job);
		expect_ended(p, _i, start, 20, 0);
		join_delayed(d);
		ck_assert_int_eq(job.result, 0);
		expect_nothing_for(p, 60);
		if (sources == 0)
			expect_ok(polling_add(
			    p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	}
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* A thread that waits again and again, and counts how often a wait ended. */
struct waiter {
	struct polling *p;
	int kind;
	atomic_int ended;
	atomic_bool stop;
	struct trouble trouble;
};

static void *
wait_again_and_again(void *argument)
{
	struct waiter *w = argument;
	struct polling_event event;

	while (!atomic_load(&w->stop)) {
		check_that(&w->trouble, wait_as(w->p, &event, 1, w->kind) == 0);
		atomic_fetch_add(&w->ended, 1);
	}
	return NULL;
}

/* 61: whether the wait is blocked, about to block or not yet begun */
START_TEST(every_notification_ends_a_wait)
{
	struct waiter w = {.p = make_poller(), .kind = _i};
	struct crew crew = {0};
	int rounds = scaled(20000);
	bool ended;

	crew_start(&crew, wait_again_and_again, &w);
	for (int i = 1; i <= rounds; i++) {
		if (i % 16 == 0)
			sleep_ns(50000);
		expect_ok(polling_notify(w.p));
		ended = reaches(&w.trouble, &w.ended, i);
		expect_no_trouble(&w.trouble);
		ck_assert_msg(
		    ended, "notification %d of %d ended no wait", i, rounds);
	}
	sleep_ms(30);
	ck_assert_int_eq(atomic_load(&w.ended), rounds);
	atomic_store(&w.stop, true);
	expect_ok(polling_notify(w.p));
	crew_join(&crew);
	expect_no_trouble(&w.trouble);
	polling_destroy(w.p);
}
END_TEST

/* Tokens that producers lay down and consumers, being notified, take up. */
struct tokens {
	struct polling *p;
	int rounds; /* of each producer */
	atomic_int waiting;
	atomic_int taken;
	atomic_bool stop;
	struct trouble trouble;
};

static void *
produce_tokens(void *argument)
{
	struct tokens *t = argument;

	for (int i = 1; i <= t->rounds && !in_trouble(&t->trouble); i++) {
		atomic_fetch_add(&t->waiting, 1);
		check_that(&t->trouble, polling_notify(t->p) == 0);
		/* So that consumers go to sleep now and then. */
		if (i % 64 == 0) {
			int64_t give_up = patience();

			while (atomic_load(&t->waiting) != 0 &&
			       check_that(&t->trouble, now_ns() < give_up))
				yield_thread();
		}
	}
	return NULL;
}

static void *
consume_tokens(void *argument)
{
	struct tokens *t = argument;
	struct polling_event event;

	while (!atomic_load(&t->stop)) {
		check_that(&t->trouble, wait_ms(t->p, &event, 1, -1) == 0);
		atomic_fetch_add(&t->taken, atomic_exchange(&t->waiting, 0));
	}
	/* One notification ends one wait: hand it on. */
	check_that(&t->trouble, polling_notify(t->p) == 0);
	return NULL;
}

#define PRODUCERS 8

/* 63: with _i consumers */
START_TEST(no_notification_strands_a_token)
{
	struct tokens t = {.p = make_poller(), .rounds = scaled(100000)};
	struct crew producers = {0}, consumers = {0};
	bool all;

	for (int i = 0; i < _i; i++)
		crew_start(&consumers, consume_tokens, &t);
	for (int i = 0; i < PRODUCERS; i++)
		crew_start(&producers, produce_tokens, &t);
	crew_join(&producers);
	all = reaches(&t.trouble, &t.taken, PRODUCERS * t.rounds);
	atomic_store(&t.stop, true);
	expect_no_trouble(&t.trouble);
	ck_assert_msg(all, "%d tokens stranded", atomic_load(&t.waiting));
	expect_ok(polling_notify(t.p));
	crew_join(&consumers);
	expect_no_trouble(&t.trouble);
	ck_assert_int_eq(atomic_load(&t.taken), PRODUCERS * t.rounds);
	polling_destroy(t.p);
}
END_TEST

static bool
same_event(const struct polling_event *a, const struct polling_event *b)
{
	return a->key == b->key && a->events == b->events && a->data == b->data;
}

#define expect_posts(p, posts, count) \
	expect_these_posts(HARNESS_HERE, (p), (posts), (count))
static void
expect_these_posts(const char *file, int line, struct polling *p,
    const struct polling_event *posts, int count)
{
	struct polling_event events[16];
	int n;

	ck_assert_int_le(count, 16);
	n = wait_ms(p, events, 16, LONG_MS);
	ck_assert_msg(n == count, "%s:%d: the wait returned %d, expected %d",
	    file, line, n, count);
	for (int i = 0; i < n; i++)
		ck_assert_msg(same_event(&events[i], &posts[i]),
		    "%s:%d: event %d is {%#llx, %#x, %u}, not {%#llx, %#x, %u}",
		    file, line, i, (unsigned long long)events[i].key,
		    events[i].events, events[i].data,
		    (unsigned long long)posts[i].key, posts[i].events,
		    posts[i].data);
}

/* 64 */
START_TEST(a_post_arrives_as_it_was_made)
{
	static const struct polling_event posts[] = {{0, 0, 0}, {1, 2, 3},
	    {UINTPTR_MAX, UINT32_MAX, UINT32_MAX}, {0, UINT32_MAX, 0},
	    {(uintptr_t)1 << 31, 0, 1}, {UINTPTR_MAX - 1, POLLING_IN, 0},
	    {5, 0x80000000u, 0x80000000u}};
	int count = (int)(sizeof(posts) / sizeof(posts[0]));
	struct polling *p = make_poller();
	struct polling_event copy;

	for (int i = 0; i < count; i++) {
		copy = posts[i];
		expect_ok(polling_post(p, &copy));
		memset(&copy, 0x5a, sizeof(copy));
		expect_posts(p, &posts[i], 1);
		expect_nothing(p);
	}
	for (int i = 0; i < count; i++)
		expect_ok(polling_post(p, &posts[i]));
	expect_posts(p, posts, count);
	expect_nothing_for(p, 30);
	polling_destroy(p);
}
END_TEST

/* 64 */
START_TEST(equal_posts_are_not_merged)
{
	static const struct polling_event posts[5] = {
	    {1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}};
	struct polling *p = make_poller();

	for (int i = 0; i < 5; i++)
		expect_ok(polling_post(p, &posts[i]));
	expect_posts(p, posts, 5);
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* 64: and what is posted later does not overtake them */
START_TEST(posts_that_do_not_fit_are_for_the_next_waits)
{
	struct polling *p = make_poller();
	struct polling_event events[7];
	uint32_t posted = 0, next = 0;
	int n;

	while (posted < 1000)
		expect_ok(
		    polling_post(p, &(struct polling_event){0, 0, posted++}));
	while (next < posted) {
		n = wait_ms(p, events, 1 + (int)(next % 7), LONG_MS);
		ck_assert_int_ge(n, 1);
		for (int i = 0; i < n; i++)
			ck_assert_uint_eq(events[i].data, next++);
		if (posted < 1200)
			expect_ok(polling_post(
			    p, &(struct polling_event){0, 0, posted++}));
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

START_TEST(posts_that_were_taken_take_no_memory)
{
	struct polling *p = make_poller();
	struct polling_event event = {.key = 1};
	int count = 20000, taken = 0;
	size_t before, full;

	if (is_instrumented() || heap_in_use() == 0) {
		polling_destroy(p);
		SKIP("the heap cannot be looked at here");
	}
	before = heap_in_use();
	for (int i = 0; i < count; i++)
		expect_ok(polling_post(p, &event));
	full = heap_in_use();
	ck_assert_uint_gt(full, before + (size_t)count);
	while (taken < count) {
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		taken++;
	}
	ck_assert_msg(heap_in_use() < before + (full - before) / 4,
	    "%zu of %zu bytes are kept", heap_in_use() - before, full - before);
	polling_destroy(p);
}
END_TEST

/* 64 */
START_TEST(a_post_of_nothing_is_refused)
{
	struct polling *p = make_poller();

	expect_error(polling_post(p, NULL), EFAULT);
	expect_nothing_for(p, 20);
	polling_destroy(p);
}
END_TEST

static void
post_later(void *argument)
{
	struct notification *n = argument;

	n->result = polling_post(n->p, &(struct polling_event){4, 5, 6});
}

/* 64 */
START_TEST(a_post_ends_a_blocked_wait)
{
	struct polling *p = make_poller();
	struct notification job = {p, -2};
	int64_t start = now_ns();
	struct delayed *d = run_after(50, post_later, &job);

	expect_ended(p, _i, start, 20, 1);
	join_delayed(d);
	ck_assert_int_eq(job.result, 0);
	expect_nothing_for(p, 30);
	polling_destroy(p);
}
END_TEST

#define POSTERS     4
#define POST_ROUNDS 10000
#define STOP_KEY    ((uintptr_t)POSTERS)

/* Posters, and the waiters that find out whether all posts come, once. */
struct mail {
	struct polling *p;
	int rounds;             /* of each poster */
	atomic_int next_poster; /* gives each its number */
	atomic_int next_waiter;
	atomic_int received;
	atomic_uchar seen[POSTERS][POST_ROUNDS];
	struct trouble trouble;
};

static void *
post_in_order(void *argument)
{
	struct mail *m = argument;
	int me = atomic_fetch_add(&m->next_poster, 1);

	for (int i = 0; i < m->rounds; i++) {
		struct polling_event post = {
		    (uintptr_t)me, ~(uint32_t)i, (uint32_t)i};

		check_that(&m->trouble, polling_post(m->p, &post) == 0);
	}
	return NULL;
}

/* Checks one event; last[] is what this waiter has seen of each poster. */
static void
receive_post(struct mail *m, const struct polling_event *event, int64_t *last)
{
	if (!check_that(&m->trouble, event->key < POSTERS) ||
	    !check_that(&m->trouble, event->data < (uint32_t)m->rounds))
		return;
	check_that(&m->trouble, event->events == ~event->data);
	check_that(&m->trouble, (int64_t)event->data > last[event->key]);
	check_that(&m->trouble,
	    atomic_fetch_add(&m->seen[event->key][event->data], 1) == 0);
	last[event->key] = event->data;
	atomic_fetch_add(&m->received, 1);
}

static void *
receive_posts(void *argument)
{
	static const int capacities[POSTERS] = {1, 3, 64, 2};
	struct mail *m = argument;
	int capacity = capacities[atomic_fetch_add(&m->next_waiter, 1)];
	struct polling_event events[64];
	int64_t last[POSTERS] = {-1, -1, -1, -1};

	for (;;) {
		int n = wait_ms(m->p, events, capacity, -1);

		/* 0 is the word to stop. */
		if (!check_that(&m->trouble, n >= 0) || n == 0)
			break;
		for (int i = 0; i < n; i++)
			receive_post(m, &events[i], last);
	}
	check_that(&m->trouble, polling_notify(m->p) == 0);
	return NULL;
}

/* 64: with _i waiters */
START_TEST(each_post_arrives_once_and_in_order)
{
	static struct mail m;
	struct crew posters = {0}, waiters = {0};
	bool all;

	memset(&m, 0, sizeof(m));
	m.p = make_poller();
	m.rounds = scaled(POST_ROUNDS);
	if (m.rounds > POST_ROUNDS)
		m.rounds = POST_ROUNDS;
	for (int i = 0; i < _i; i++)
		crew_start(&waiters, receive_posts, &m);
	for (int i = 0; i < POSTERS; i++)
		crew_start(&posters, post_in_order, &m);
	crew_join(&posters);
	all = reaches(&m.trouble, &m.received, POSTERS * m.rounds);
	expect_ok(polling_notify(m.p));
	crew_join(&waiters);
	expect_no_trouble(&m.trouble);
	ck_assert_msg(all, "%d of %d posts arrived", atomic_load(&m.received),
	    POSTERS * m.rounds);
	ck_assert_int_eq(atomic_load(&m.received), POSTERS * m.rounds);
	/* One notification is left by the last waiter. */
	expect_nothing(m.p);
	expect_nothing_for(m.p, 30);
	polling_destroy(m.p);
}
END_TEST

/* 64: posts do not starve sources, nor sources posts, with room for one */
START_TEST(posts_and_sources_take_turns)
{
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pairs[3][2];
	int seen[4] = {0, 0, 0, 0};

	for (uintptr_t i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		put_bytes(pairs[i][1], 1);
		expect_ok(
		    polling_add(p, pairs[i][0], POLLING_IN, POLLING_LEVEL, i));
	}
	for (int i = 0; i < 200; i++)
		expect_ok(polling_post(p, &(struct polling_event){3, 0, 0}));
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		ck_assert_uint_lt(event.key, 4);
		seen[event.key]++;
	}
	for (int i = 0; i < 4; i++)
		ck_assert_msg(seen[i] >= 5,
		    "key %d was reported %d times of "
		    "100",
		    i, seen[i]);
	for (int i = 0; i < 3; i++)
		close_pair(pairs[i]);
	polling_destroy(p);
}
END_TEST

/* Waits twice, since a notification may end a wait without its events. */
static int
wait_twice(struct polling *p, struct polling_event *events, int capacity)
{
	int n = wait_ms(p, events, capacity, 0);
	int more;

	ck_assert_int_ge(n, 0);
	if (n == capacity)
		return n;
	more = wait_ms(p, events + n, capacity - n, 0);
	ck_assert_int_ge(more, 0);
	return n + more;
}

/* 65 */
START_TEST(a_notification_does_not_lose_an_event)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct polling_event events[4];
	polling_fd pair[2];
	int n;

	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	for (int round = 0; round < 4; round++) {
		if (round & 1)
			expect_ok(polling_notify(p));
		put_bytes(pair[1], 1);
		if (!(round & 1))
			expect_ok(polling_notify(p));
		n = wait_twice(p, events, 4);
		/* Level-triggered, it may be in both of the waits. */
		if (mode == POLLING_LEVEL)
			ck_assert_int_ge(n, 1);
		else
			ck_assert_int_eq(n, 1);
		ck_assert_uint_eq(events[0].key, 1);
		ck_assert_uint_eq(events[0].events, POLLING_IN);
		get_bytes(pair[0], 1);
		expect_nothing_for(p, 20);
		expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 1));
	}
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 65 */
START_TEST(a_notification_does_not_lose_a_post)
{
	struct polling *p = make_poller();
	struct polling_event events[4];

	for (int capacity = 1; capacity <= 4; capacity++) {
		expect_ok(polling_post(p, &(struct polling_event){1, 2, 3}));
		expect_ok(polling_notify(p));
		ck_assert_int_eq(wait_twice(p, events, capacity), 1);
		ck_assert_uint_eq(events[0].key, 1);
		ck_assert_uint_eq(events[0].events, 2);
		ck_assert_uint_eq(events[0].data, 3);
		/* With room for one the notification may be left. */
		expect_nothing(p);
		expect_nothing_for(p, 20);
	}
	polling_destroy(p);
}
END_TEST

/* Bytes that are written while somebody notifies. */
struct stream {
	struct polling *p;
	polling_fd pair[2];
	int bytes;
	atomic_bool stop;
	struct trouble trouble;
};

static void *
write_bytes(void *argument)
{
	struct stream *s = argument;

	for (int i = 0; i < s->bytes; i++) {
		while (write_fd(s->pair[1], "x", 1) != 1) {
			if (atomic_load(&s->stop))
				return NULL;
			yield_thread();
		}
		if (i % 5 == 0)
			check_that(&s->trouble, polling_notify(s->p) == 0);
	}
	return NULL;
}

static void *
notify_always(void *argument)
{
	struct stream *s = argument;

	while (!atomic_load(&s->stop)) {
		check_that(&s->trouble, polling_notify(s->p) == 0);
		yield_thread();
	}
	return NULL;
}

/* Takes one byte per event until all have come; false if they do not. */
static bool
read_stream(struct stream *s, enum polling_mode mode)
{
	int64_t give_up = patience();
	struct polling_event event;
	char byte;

	for (int i = 0; i < s->bytes;) {
		int n = wait_ms(s->p, &event, 1, LONG_MS);

		if (!check_that(&s->trouble, n >= 0) || now_ns() > give_up)
			return false;
		if (n == 0)
			continue;
		check_that(&s->trouble, event.key == 1);
		check_that(&s->trouble, event.events == POLLING_IN);
		check_that(&s->trouble, read_fd(s->pair[0], &byte, 1) == 1);
		check_that(&s->trouble,
		    polling_modify(s->p, s->pair[0], POLLING_IN, mode, 1) == 0);
		give_up = patience();
		i++;
	}
	return true;
}

/* 65: each event is one byte, however many notifications are on their way */
START_TEST(notifications_and_events_do_not_disturb_each_other)
{
	enum polling_mode mode = _i == 0 ? POLLING_ONESHOT : POLLING_LEVEL;
	struct stream s = {.p = make_poller(), .bytes = scaled(20000)};
	struct crew crew = {0};
	bool all;

	make_socketpair(s.pair);
	expect_ok(polling_add(s.p, s.pair[0], POLLING_IN, mode, 1));
	crew_start(&crew, write_bytes, &s);
	crew_start(&crew, notify_always, &s);
	all = read_stream(&s, mode);
	atomic_store(&s.stop, true);
	crew_join(&crew);
	expect_no_trouble(&s.trouble);
	ck_assert_msg(all, "events were lost");
	expect_nothing(s.p);
	expect_nothing_for(s.p, 20);
	close_pair(s.pair);
	polling_destroy(s.p);
}
END_TEST

static void
add_posts(Suite *s)
{
	CASE(s, a_post_arrives_as_it_was_made);
	CASE(s, equal_posts_are_not_merged);
	CASE(s, posts_that_do_not_fit_are_for_the_next_waits);
	CASE(s, posts_that_were_taken_take_no_memory);
	CASE(s, a_post_of_nothing_is_refused);
	CASE_LOOP(s, a_post_ends_a_blocked_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE_LOOP(s, each_post_arrives_once_and_in_order, CASE_SECONDS, 1, 4);
	CASE(s, posts_and_sources_take_turns);
}

void
add_notify(Suite *s)
{
	CASE_LOOP(
	    s, a_notification_ends_the_next_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE(s, a_wait_that_does_not_block_meets_the_notification);
	CASE_LOOP(s, notifications_before_a_wait_are_one, CASE_SECONDS, 0,
	    WAIT_KINDS);
	CASE(s, a_pending_notification_is_no_error);
	CASE_LOOP(
	    s, a_notification_ends_a_blocked_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE_LOOP(
	    s, every_notification_ends_a_wait, CASE_SECONDS, 0, WAIT_KINDS);
	CASE_LOOP(s, no_notification_strands_a_token, 2 * CASE_SECONDS, 1, 5);
	add_posts(s);
	CASE_MODES(s, a_notification_does_not_lose_an_event);
	CASE(s, a_notification_does_not_lose_a_post);
	CASE_LOOP(s, notifications_and_events_do_not_disturb_each_other,
	    CASE_SECONDS, 0, 2);
}
