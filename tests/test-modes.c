/* SPDX-License-Identifier: MIT */
/*
 * The modes: when a source reports, when it is silent and what arms it
 * again. The numbers are those of the conformance catalogue, part B.
 */
#include "harness.h"

#include "scenes.h"

#define READ_WRITE (POLLING_IN | POLLING_OUT)

/* 16 */
START_TEST(idle_sources_are_silent)
{
	struct polling *p = make_poller();
	polling_fd pairs[MODES][2];

	expect_nothing(p);
	for (int i = 0; i < MODES; i++) {
		enum polling_mode mode = (enum polling_mode)i;

		pair_kinds[_i].make(pairs[i]);
		if (!mode_works(p, mode))
			mode = POLLING_LEVEL;
		expect_ok(polling_add(p, pairs[i][0],
		    POLLING_IN | POLLING_PRI | POLLING_RDHUP, mode, 1));
	}
	expect_nothing(p);
	expect_nothing_for(p, 50);
	for (int i = 0; i < MODES; i++)
		close_pair(pairs[i]);
	polling_destroy(p);
}
END_TEST

/* 17 */
START_TEST(a_oneshot_reports_once)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_nothing(p);
	drain(pair[0]);
	put_bytes(pair[1], 1);
	expect_nothing_for(p, 30);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 18 */
START_TEST(a_oneshot_armed_again_reports_unread_data)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	put_bytes(pair[1], 3);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	for (uintptr_t key = 1; key <= 3; key++) {
		expect_events(p, LONG_MS, {key, POLLING_IN});
		/* What is left unread keeps no wait awake. */
		if (key == 1)
			expect_silence(p);
		else
			expect_nothing(p);
		if (key == 2)
			get_bytes(pair[0], 1);
		expect_ok(polling_modify(
		    p, pair[0], POLLING_IN, POLLING_ONESHOT, key + 1));
	}
	/* Armed again after the data is gone, it waits for more. */
	expect_events(p, 0, {4, POLLING_IN});
	get_bytes(pair[0], 2);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 5));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {5, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 19 */
START_TEST(a_oneshot_merges_both_directions)
{
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], READ_WRITE, POLLING_ONESHOT, 1));
	expect_events(p, LONG_MS, {1, READ_WRITE});
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], READ_WRITE, POLLING_LEVEL, 2));
	expect_events(p, LONG_MS, {2, READ_WRITE});
	expect_events(p, 0, {2, READ_WRITE});
	/* Where there is room for one event, too. */
	ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
	ck_assert_uint_eq(event.events, READ_WRITE);
	expect_ok(polling_modify(p, pair[0], READ_WRITE, POLLING_ONESHOT, 3));
	ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
	ck_assert_uint_eq(event.events, READ_WRITE);
	ck_assert_int_eq(wait_ms(p, &event, 1, 0), 0);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 20 */
START_TEST(any_event_disarms_both_directions)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], READ_WRITE, POLLING_ONESHOT, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	put_bytes(pair[1], 1);
	expect_nothing(p);
	expect_nothing_for(p, 30);
	expect_ok(polling_modify(p, pair[0], READ_WRITE, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, READ_WRITE});
	expect_nothing(p);
	/* The other way round: full, so that only reading is ready. */
	fill_until_blocked(pair[0]);
	expect_ok(polling_modify(p, pair[0], READ_WRITE, POLLING_ONESHOT, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN});
	drain(pair[1]);
	settle();
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 21 */
START_TEST(a_fired_oneshot_is_silent_about_a_closed_peer)
{
	struct polling *p = make_poller();
	polling_fd pair[2];
	struct polling_event event;

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(
	    p, pair[0], POLLING_IN | POLLING_RDHUP, POLLING_ONESHOT, 1));
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(pair[0], 1);
	close_fd(pair[1]);
	settle();
	expect_nothing(p);
	expect_nothing_for(p, 30);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 2));
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 2);
	ck_assert_uint_ne(event.events & POLLING_IN, 0);
	expect_nothing(p);
	polling_destroy(p);
	close_fd(pair[0]);
}
END_TEST

/* 21: fired for writing, then the reader is gone; a reset likewise */
START_TEST(a_fired_oneshot_is_silent_about_errors)
{
	struct polling *p = make_poller();
	polling_fd tcp[2], channel[2];

	make_tcp_pair(tcp);
	make_channel(channel);
	expect_ok(polling_add(p, tcp[0], READ_WRITE, POLLING_ONESHOT, 1));
	expect_ok(polling_add(p, channel[1], POLLING_OUT, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {1, POLLING_OUT}, {2, POLLING_OUT});
	reset_connection(tcp[1]);
	close_fd(channel[0]);
	expect_nothing(p);
	expect_nothing_for(p, 30);
	polling_destroy(p);
	close_fd(tcp[0]);
	close_fd(channel[1]);
}
END_TEST

/* 22 */
START_TEST(a_level_source_reports_while_data_is_left)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	put_bytes(pair[1], 4);
	for (int left = 4; left > 0; left--) {
		expect_events(p, LONG_MS, {1, POLLING_IN});
		expect_events(p, 0, {1, POLLING_IN});
		get_bytes(pair[0], 1);
	}
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(pair[0], 1);
	expect_nothing_for(p, 30);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 22: _i is the mode; a kernel may have made an event of it by then */
START_TEST(what_was_read_before_the_wait_is_not_reported)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pairs[2][2];

	for (uintptr_t i = 0; i < 2; i++) {
		make_socketpair(pairs[i]);
		expect_ok(polling_add(p, pairs[i][0], POLLING_IN, mode, i + 1));
	}
	expect_nothing(p);
	put_bytes(pairs[0][1], 3);
	settle();
	get_bytes(pairs[0][0], 3);
	expect_nothing(p);
	/* The same for what a wait had no room for. */
	put_bytes(pairs[0][1], 3);
	put_bytes(pairs[1][1], 3);
	settle();
	ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
	get_bytes(pairs[0][0], 3);
	get_bytes(pairs[1][0], 3);
	expect_nothing(p);
	expect_ok(polling_modify(p, pairs[0][0], POLLING_IN, mode, 3));
	expect_nothing(p);
	put_bytes(pairs[0][1], 1);
	expect_events(p, LONG_MS, {3, POLLING_IN});
	polling_destroy(p);
	close_pair(pairs[0]);
	close_pair(pairs[1]);
}
END_TEST

/* 22 */
START_TEST(a_level_source_reports_room_in_every_wait)
{
	struct polling *p = make_poller();
	polling_fd pair[2];
	size_t filled;

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, POLLING_LEVEL, 1));
	for (int i = 0; i < 100; i++)
		expect_events(p, LONG_MS, {1, POLLING_OUT});
	filled = fill_until_blocked(pair[1]);
	expect_nothing(p);
	drain_exactly(pair[0], filled);
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_events(p, 0, {1, POLLING_OUT});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 23 */
START_TEST(level_to_oneshot_with_data_pending_reports_once)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	expect_nothing(p);
	/* And back. */
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_LEVEL, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN});
	expect_events(p, 0, {3, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 24 */
START_TEST(an_edge_is_new_data_not_data_left)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	SKIP_UNLESS_MODE(p, POLLING_EDGE);
	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_EDGE, 1));
	expect_nothing(p);
	put_bytes(pair[1], 10);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	get_bytes(pair[0], 5);
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	get_bytes(pair[0], 6);
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 25 */
START_TEST(modifying_an_edge_source_looks_again)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	SKIP_UNLESS_MODE(p, POLLING_EDGE);
	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_EDGE, 1));
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_EDGE, 1));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_EDGE, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	get_bytes(pair[0], 1);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_EDGE, 3));
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 26 */
START_TEST(an_edge_is_room_made_by_the_peer)
{
	struct polling *p = make_poller();
	polling_fd pair[2];
	size_t filled;

	SKIP_UNLESS_MODE(p, POLLING_EDGE);
	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, POLLING_EDGE, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_nothing(p);
	filled = fill_until_blocked(pair[1]);
	expect_nothing(p);
	drain_exactly(pair[0], filled);
	settle();
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 27 */
START_TEST(an_edge_oneshot_reports_once)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	SKIP_UNLESS_MODE(p, POLLING_EDGE_ONESHOT);
	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_EDGE_ONESHOT, 1));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_nothing(p);
	/* Armed again, it reports what is ready at that time. */
	expect_ok(
	    polling_modify(p, pair[0], POLLING_IN, POLLING_EDGE_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	get_bytes(pair[0], 2);
	expect_ok(
	    polling_modify(p, pair[0], POLLING_IN, POLLING_EDGE_ONESHOT, 3));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {3, POLLING_IN});
	close_fd(pair[1]);
	settle();
	expect_nothing(p);
	polling_destroy(p);
	close_fd(pair[0]);
}
END_TEST

/* 27: both directions at once, as with a oneshot */
START_TEST(an_edge_oneshot_disarms_both_directions)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	SKIP_UNLESS_MODE(p, POLLING_EDGE_ONESHOT);
	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], READ_WRITE, POLLING_EDGE_ONESHOT, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	put_bytes(pair[1], 1);
	expect_nothing(p);
	expect_ok(
	    polling_modify(p, pair[0], READ_WRITE, POLLING_EDGE_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, READ_WRITE});
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 28: for one mode, by an add or a modify with interest 0 */
static void
expect_disarmed(struct polling *p, polling_fd pair[2], enum polling_mode mode,
    bool by_modify)
{
	struct polling_event event;

	if (by_modify) {
		expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
		expect_ok(polling_modify(p, pair[0], 0, mode, 1));
	} else {
		expect_ok(polling_add(p, pair[0], 0, mode, 1));
	}
	put_bytes(pair[1], 1);
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_modify(p, pair[0], 0, mode, 3));
	expect_nothing(p);
	get_bytes(pair[0], 1);
	close_fd(pair[1]);
	settle();
	expect_nothing(p);
	expect_nothing_for(p, 20);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 4));
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 4);
	ck_assert_uint_ne(event.events & POLLING_IN, 0);
	expect_ok(polling_delete(p, pair[0]));
	close_fd(pair[0]);
}

/* 28 */
START_TEST(interest_0_is_silent_about_data_and_hang_up)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	for (int kind = 0; kind < PAIR_KINDS; kind++) {
		pair_kinds[kind].make(pair);
		expect_disarmed(p, pair, mode, false);
		pair_kinds[kind].make(pair);
		expect_disarmed(p, pair, mode, true);
	}
	polling_destroy(p);
}
END_TEST

/* 28 */
START_TEST(interest_0_is_silent_about_errors)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p;
	polling_fd tcp[2], channel[2];
	struct polling_event event;

	SKIP_IF(why_no_reset());
	p = make_poller();
	make_tcp_pair(tcp);
	make_channel(channel);
	expect_ok(polling_add(p, tcp[0], 0, mode, 1));
	expect_ok(polling_add(p, channel[1], POLLING_OUT, mode, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT});
	expect_ok(polling_modify(p, channel[1], 0, mode, 2));
	reset_connection(tcp[1]);
	close_fd(channel[0]);
	expect_nothing(p);
	expect_nothing_for(p, 30);
	expect_ok(polling_modify(p, tcp[0], POLLING_IN, mode, 3));
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 3);
	ck_assert_uint_ne(event.events & POLLING_IN, 0);
	ck_assert_uint_ne(event.events & (POLLING_HUP | POLLING_ERR), 0);
	expect_ok(polling_delete(p, tcp[0]));
	expect_ok(polling_modify(p, channel[1], POLLING_OUT, mode, 4));
	expect_events(p, LONG_MS, {4, CHANNEL_WITHOUT_READER});
	polling_destroy(p);
	close_fd(tcp[0]);
	close_fd(channel[1]);
}
END_TEST

/* 29 */
START_TEST(only_what_is_asked_is_reported)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, mode, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_modify(p, pair[0], POLLING_PRI, mode, 3));
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], POLLING_RDHUP, mode, 4));
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], READ_WRITE, mode, 5));
	expect_events(p, LONG_MS, {5, READ_WRITE});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

#define BATCH 8

/* 30 */
START_TEST(arming_again_within_a_batch_is_for_the_next_wait)
{
	struct polling *p = make_poller();
	struct polling_event batch[BATCH], next[BATCH];
	polling_fd pairs[BATCH][2];
	bool seen[BATCH] = {false};

	for (uintptr_t i = 0; i < BATCH; i++) {
		make_socketpair(pairs[i]);
		put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
	}
	ck_assert_int_eq(wait_ms(p, batch, BATCH, LONG_MS), BATCH);
	for (int i = 0; i < BATCH; i++) {
		uintptr_t key = batch[i].key;

		ck_assert_uint_lt(key, BATCH);
		ck_assert_msg(!seen[key], "key %d came twice", (int)key);
		seen[key] = true;
		ck_assert_uint_eq(batch[i].events, POLLING_IN);
		expect_ok(polling_modify(
		    p, pairs[key][0], POLLING_OUT, POLLING_ONESHOT, key + 100));
	}
	ck_assert_int_eq(wait_ms(p, next, BATCH, LONG_MS), BATCH);
	for (int i = 0; i < BATCH; i++) {
		ck_assert_uint_ge(next[i].key, 100);
		ck_assert_uint_lt(next[i].key, 100 + BATCH);
		ck_assert_uint_eq(next[i].events, POLLING_OUT);
		ck_assert(seen[next[i].key - 100]);
		seen[next[i].key - 100] = false;
	}
	expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < BATCH; i++)
		close_pair(pairs[i]);
}
END_TEST

/* 30: a change between two parts of what was ready at once */
START_TEST(a_change_reaches_what_did_not_fit_into_the_batch)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pairs[3][2];
	uintptr_t first;

	for (uintptr_t i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(p, pairs[i][0], POLLING_IN, mode, i));
	}
	ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
	first = event.key;
	ck_assert_uint_lt(first, 3);
	/* One of the others changes, the third is deleted. */
	expect_ok(polling_modify(
	    p, pairs[(first + 1) % 3][0], POLLING_OUT, mode, 100));
	expect_ok(polling_delete(p, pairs[(first + 2) % 3][0]));
	if (mode == POLLING_LEVEL)
		expect_ok(polling_delete(p, pairs[first][0]));
	expect_events(p, LONG_MS, {100, POLLING_OUT});
	if (mode != POLLING_LEVEL)
		expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < 3; i++)
		close_pair(pairs[i]);
}
END_TEST

static polling_fd
connect_to(uint16_t port)
{
	polling_fd fd = make_tcp_socket();

	ck_assert_int_eq(connect_fd(fd, port), 0);
	settle();
	return fd;
}

/* 31 */
START_TEST(a_listener_reports_connections)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd listener, clients[3], servers[3];
	uint16_t port;

	listener = make_listener(&port);
	expect_ok(polling_add(p, listener, POLLING_IN, mode, 1));
	expect_nothing(p);
	clients[0] = connect_to(port);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	servers[0] = accept_fd(listener);
	expect_ok(polling_modify(p, listener, POLLING_IN, mode, 2));
	expect_nothing(p);
	clients[1] = connect_to(port);
	clients[2] = connect_to(port);
	expect_events(p, LONG_MS, {2, POLLING_IN});
	/* One accepted, one left: armed again, it tells. */
	servers[1] = accept_fd(listener);
	if (mode != POLLING_LEVEL) {
		expect_nothing(p);
		expect_ok(polling_modify(p, listener, POLLING_IN, mode, 2));
	}
	expect_events(p, LONG_MS, {2, POLLING_IN});
	servers[2] = accept_fd(listener);
	expect_nothing(p);
	expect_ok(polling_modify(p, listener, POLLING_IN, mode, 3));
	expect_nothing(p);
	polling_destroy(p);
	close_fd(listener);
	for (int i = 0; i < 3; i++) {
		close_fd(clients[i]);
		close_fd(servers[i]);
	}
}
END_TEST

/* 32 */
START_TEST(an_empty_datagram_is_an_event)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];
	char byte;

	make_udp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	expect_nothing(p);
	ck_assert_int_eq(write_fd(pair[1], "", 0), 0);
	settle();
	expect_events(p, LONG_MS, {1, POLLING_IN});
	ck_assert_int_eq(read_fd(pair[0], &byte, 1), 0);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 2));
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], READ_WRITE, mode, 3));
	expect_events(p, LONG_MS, {3, POLLING_OUT});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/*
 * One byte is pending and the source has just been given this mode and key:
 * does it behave as the mode says?
 */
static void
expect_mode(struct polling *p, polling_fd pair[2], enum polling_mode mode,
    uintptr_t key)
{
	bool again = mode == POLLING_LEVEL;

	expect_events(p, LONG_MS, {key, POLLING_IN});
	if (again)
		expect_events(p, 0, {key, POLLING_IN});
	else
		expect_nothing(p);
	put_bytes(pair[1], 1);
	if (again || mode == POLLING_EDGE)
		expect_events(p, LONG_MS, {key, POLLING_IN});
	else
		expect_nothing(p);
	get_bytes(pair[0], 1);
}

static void
switch_mode(polling_fd pair[2], enum polling_mode from, enum polling_mode to,
    bool fired_before)
{
	struct polling *p = make_poller();

	expect_ok(polling_add(p, pair[0], POLLING_IN, from, 1));
	put_bytes(pair[1], 1);
	if (fired_before)
		expect_mode(p, pair, from, 1);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, to, 2));
	expect_mode(p, pair, to, 2);
	/* And back, with the data still there. */
	expect_ok(polling_modify(p, pair[0], POLLING_IN, from, 3));
	expect_mode(p, pair, from, 3);
	polling_destroy(p);
	drain(pair[0]);
}

/* 33 */
START_TEST(every_mode_can_follow_every_other)
{
	enum polling_mode from = (enum polling_mode)(_i / supported_modes());
	enum polling_mode to = (enum polling_mode)(_i % supported_modes());
	polling_fd pair[2];

	for (int kind = 0; kind < PAIR_KINDS; kind++) {
		pair_kinds[kind].make(pair);
		switch_mode(pair, from, to, false);
		switch_mode(pair, from, to, true);
		close_pair(pair);
	}
}
END_TEST

/* 33: through an interest of 0, which forgets nothing but the arming */
START_TEST(a_mode_can_change_while_disarmed)
{
	enum polling_mode from = (enum polling_mode)(_i / supported_modes());
	enum polling_mode to = (enum polling_mode)(_i % supported_modes());
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, from, 1));
	expect_ok(polling_modify(p, pair[0], 0, to, 2));
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, to, 3));
	expect_mode(p, pair, to, 3);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

#define MANY 100

/* 18, 23: more of them between two waits than any list of the library holds */
START_TEST(many_oneshots_are_armed_at_once)
{
	struct polling *p = make_poller();
	struct polling_event events[MANY];
	static polling_fd pairs[MANY][2];
	bool seen[MANY] = {false};

	for (uintptr_t i = 0; i < MANY; i++) {
		make_channel(pairs[i]);
		ck_assert_int_eq((int)write_fd(pairs[i][1], "x", 1), 1);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
	}
	settle();
	for (int count = 0; count < 2 * MANY;) {
		int n = wait_ms(p, events, MANY, LONG_MS);

		ck_assert_int_gt(n, 0);
		for (int i = 0; i < n; i++) {
			ck_assert_uint_lt(events[i].key, MANY);
			ck_assert_int_eq(
			    seen[events[i].key], count + i >= MANY);
			seen[events[i].key] = true;
		}
		count += n;
		if (count == MANY)
			for (uintptr_t i = 0; i < MANY; i++)
				expect_ok(polling_modify(p, pairs[i][0],
				    POLLING_IN, POLLING_ONESHOT, i));
	}
	expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < MANY; i++)
		close_pair(pairs[i]);
}
END_TEST

static void
add_edges(Suite *s)
{
	CASE_PAIRS(s, an_edge_is_new_data_not_data_left);
	CASE_PAIRS(s, modifying_an_edge_source_looks_again);
	CASE_PAIRS(s, an_edge_is_room_made_by_the_peer);
	CASE_PAIRS(s, an_edge_oneshot_reports_once);
	CASE(s, an_edge_oneshot_disarms_both_directions);
}

void
add_modes(Suite *s)
{
	CASE_PAIRS(s, idle_sources_are_silent);
	CASE_PAIRS(s, a_oneshot_reports_once);
	CASE_PAIRS(s, a_oneshot_armed_again_reports_unread_data);
	CASE_LOOP(s, a_oneshot_merges_both_directions, CASE_SECONDS, 0,
	    TWO_WAY_KINDS);
	CASE_LOOP(s, any_event_disarms_both_directions, CASE_SECONDS, 0,
	    TWO_WAY_KINDS);
	CASE_PAIRS(s, a_fired_oneshot_is_silent_about_a_closed_peer);
	CASE(s, a_fired_oneshot_is_silent_about_errors);
	CASE_PAIRS(s, a_level_source_reports_while_data_is_left);
	CASE_MODES(s, what_was_read_before_the_wait_is_not_reported);
	CASE_PAIRS(s, a_level_source_reports_room_in_every_wait);
	CASE_PAIRS(s, level_to_oneshot_with_data_pending_reports_once);
	add_edges(s);
	CASE_MODES(s, interest_0_is_silent_about_data_and_hang_up);
	CASE_MODES(s, interest_0_is_silent_about_errors);
	CASE_MODES(s, only_what_is_asked_is_reported);
	CASE(s, arming_again_within_a_batch_is_for_the_next_wait);
	CASE(s, many_oneshots_are_armed_at_once);
	CASE_MODES(s, a_change_reaches_what_did_not_fit_into_the_batch);
	CASE_MODES(s, a_listener_reports_connections);
	CASE_MODES(s, an_empty_datagram_is_an_event);
	CASE_LOOP(s, every_mode_can_follow_every_other, CASE_SECONDS, 0,
	    supported_modes() * supported_modes());
	CASE_LOOP(s, a_mode_can_change_while_disarmed, CASE_SECONDS, 0,
	    supported_modes() * supported_modes());
}
