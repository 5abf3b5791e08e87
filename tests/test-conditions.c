/* SPDX-License-Identifier: MIT */
/*
 * Conditions: which bits an end of file, a hang-up, an error, urgent data
 * and the rest are reported by, for every kind of descriptor. The numbers
 * are those of the conformance catalogue, part C.
 */
#include "harness.h"

#define READ_WRITE (POLLING_IN | POLLING_OUT)

/* RDHUP where it is told; asking for it is allowed everywhere. */
static uint32_t
rdhup(struct polling *p)
{
	return polling_supports(p, POLLING_FEATURE_RDHUP) ? POLLING_RDHUP : 0;
}

/* 34 */
START_TEST(a_peer_that_stops_writing_is_rdhup)
{
	struct polling *p = make_poller();
	uint32_t d = rdhup(p);
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(
	    p, pair[0], POLLING_IN | POLLING_RDHUP, POLLING_LEVEL, 1));
	expect_nothing(p);
	shut_writing(pair[1]);
	expect_events(p, LONG_MS, {1, POLLING_IN | d});
	expect_eof(pair[0]);
	/* Reading the end does not end it. */
	expect_events(p, 0, {1, POLLING_IN | d});
	expect_reported(p, pair[0], POLLING_IN, POLLING_IN);
	expect_reported(p, pair[0], POLLING_RDHUP, d);
	expect_reported(p, pair[0], POLLING_OUT, POLLING_OUT);
	expect_reported(p, pair[0], READ_WRITE | POLLING_RDHUP, READ_WRITE | d);
	expect_reported(p, pair[0], POLLING_PRI, 0);
	expect_reported(p, pair[0], POLLING_HUP | POLLING_ERR, 0);
	/* The other direction goes on. */
	put_bytes(pair[0], 3);
	get_bytes(pair[1], 3);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* Data that is unread, and the end behind it, under the key 1. */
static void
expect_data_and_end(struct polling *p, int timeout_ms, uint32_t end)
{
	struct polling_event event = wait_one(p, timeout_ms);

	ck_assert_uint_eq(event.key, 1);
	if (end_may_wait)
		event.events |= end & POLLING_RDHUP;
	ck_assert_msg(event.events == (POLLING_IN | end),
	    "unread data and the end: %s", event_names(event.events));
}

/* 34 */
START_TEST(data_before_the_end_is_read_first)
{
	struct polling *p = make_poller();
	uint32_t d = rdhup(p);
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(
	    p, pair[0], POLLING_IN | POLLING_RDHUP, POLLING_LEVEL, 1));
	put_bytes(pair[1], 5);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	shut_writing(pair[1]);
	expect_data_and_end(p, LONG_MS, d);
	get_bytes(pair[0], 5);
	expect_events(p, LONG_MS, {1, POLLING_IN | d});
	expect_eof(pair[0]);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 35 */
START_TEST(data_before_a_close_is_read_first)
{
	enum polling_mode mode = POLLING_LEVEL;
	struct polling *p = make_poller();
	uint32_t d = _i < TWO_WAY_KINDS ? rdhup(p) : 0;
	uint32_t h = pair_kinds[_i].closes_as_one() ? POLLING_HUP : 0;
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN | POLLING_RDHUP, mode, 1));
	put_bytes(pair[1], 5);
	close_fd(pair[1]);
	settle();
	expect_data_and_end(p, LONG_MS, d | h);
	get_bytes(pair[0], 2);
	expect_data_and_end(p, 0, d | h);
	get_bytes(pair[0], 3);
	expect_events(p, LONG_MS, {1, POLLING_IN | d | h});
	expect_eof(pair[0]);
	expect_events(p, LONG_MS, {1, POLLING_IN | d | h});
	expect_reported(p, pair[0], POLLING_IN, POLLING_IN | h);
	polling_destroy(p);
	close_fd(pair[0]);
}
END_TEST

/* A kernel may have forgotten by then that there was a peer. */
START_TEST(a_peer_that_left_before_the_add_is_told)
{
	struct polling *p = make_poller();
	uint32_t d = _i < TWO_WAY_KINDS ? rdhup(p) : 0;
	uint32_t h = pair_kinds[_i].closes_as_one() ? POLLING_HUP : 0;
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	put_bytes(pair[1], 5);
	close_fd(pair[1]);
	settle();
	expect_ok(polling_add(
	    p, pair[0], POLLING_IN | POLLING_RDHUP, POLLING_LEVEL, 1));
	expect_data_and_end(p, LONG_MS, d | h);
	get_bytes(pair[0], 5);
	expect_events(p, LONG_MS, {1, POLLING_IN | d | h});
	expect_eof(pair[0]);
	expect_ok(polling_delete(p, pair[0]));
	expect_nothing(p);
	polling_destroy(p);
	close_fd(pair[0]);
}
END_TEST

static void
expect_hung_up(struct polling *p, polling_fd fd)
{
	uint32_t d = rdhup(p);

	expect_reported(p, fd, POLLING_IN, POLLING_IN | POLLING_HUP);
	expect_reported(p, fd, POLLING_OUT, POLLING_OUT | POLLING_HUP);
	expect_reported(p, fd, READ_WRITE, READ_WRITE | POLLING_HUP);
	expect_reported(
	    p, fd, READ_WRITE | POLLING_RDHUP, READ_WRITE | POLLING_HUP | d);
	expect_reported(p, fd, POLLING_RDHUP, POLLING_HUP | d);
	expect_reported(p, fd, POLLING_PRI, POLLING_HUP);
	expect_reported(p, fd, POLLING_HUP, POLLING_HUP);
	expect_reported(p, fd, POLLING_ERR, POLLING_HUP);
	expect_reported(p, fd, 0, 0);
}

/* 36 */
START_TEST(both_sides_that_stop_writing_are_a_hang_up)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	shut_writing(pair[1]);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	shut_writing(pair[0]);
	expect_hung_up(p, pair[0]);
	expect_eof(pair[0]);
	expect_hung_up(p, pair[0]);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 36 */
START_TEST(shutting_both_directions_is_a_hang_up)
{
	struct polling *p;
	polling_fd pair[2];

	SKIP_IF(why_no_own_shutdown());
	p = make_poller();
	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	shut_both(pair[0]);
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	expect_hung_up(p, pair[0]);
	expect_eof(pair[0]);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 37: interest by _i, in every mode that there is */
START_TEST(a_reset_is_an_error_with_what_was_asked)
{
	static const uint32_t interests[] = {
	    POLLING_IN, POLLING_OUT, READ_WRITE, POLLING_RDHUP, POLLING_PRI};
	uint32_t interest = interests[_i];

	SKIP_IF(why_no_reset());
	for (int mode = 0; mode < supported_modes(); mode++) {
		struct polling *p = make_poller();
		struct polling_event event;
		polling_fd pair[2];
		char byte;

		make_tcp_pair(pair);
		/* Filled, so that OUT is not there without the reset. */
		fill_until_blocked(pair[0]);
		expect_ok(polling_add(
		    p, pair[0], interest, (enum polling_mode)mode, 1));
		expect_nothing(p);
		reset_connection(pair[1]);
		event = wait_one(p, LONG_MS);
		ck_assert_uint_eq(event.key, 1);
		ck_assert_msg(
		    (event.events & (POLLING_ERR | POLLING_HUP)) != 0 &&
			(event.events & READ_WRITE) == (interest & READ_WRITE),
		    "asked for %s, got %s", event_names(interest),
		    event_names(event.events));
		ck_assert_msg((event.events & ~interest &
				  ~(POLLING_ERR | POLLING_HUP)) == 0,
		    "asked for %s, got %s", event_names(interest),
		    event_names(event.events));
		ck_assert_int_eq(read_fd(pair[0], &byte, 1), -1);
		ck_assert_int_eq(errno, ECONNRESET);
		polling_destroy(p);
		close_fd(pair[0]);
	}
}
END_TEST

/* 38 */
START_TEST(a_connection_made_is_out_without_err)
{
	struct polling *p = make_poller();
	polling_fd listener, client, server;
	uint16_t port;

	listener = make_listener(&port);
	client = make_tcp_socket();
	ck_assert_int_eq(connect_fd(client, port), 0);
	expect_ok(polling_add(
	    p, client, READ_WRITE | POLLING_RDHUP, (enum polling_mode)_i, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	ck_assert_int_eq(socket_error(client), 0);
	server = accept_fd(listener);
	put_bytes(server, 1);
	expect_ok(polling_modify(
	    p, client, READ_WRITE | POLLING_RDHUP, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, READ_WRITE});
	polling_destroy(p);
	close_fd(listener);
	close_fd(client);
	close_fd(server);
}
END_TEST

/* 38 */
START_TEST(a_refused_connection_is_err_with_out)
{
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd holder, client;
	uint16_t port = refusing_port(&holder);

	client = make_tcp_socket();
	if (connect_fd(client, port) != 0) {
		polling_destroy(p);
		close_fd(holder);
		close_fd(client);
		SKIP("the loopback refuses at once");
	}
	expect_ok(
	    polling_add(p, client, POLLING_OUT, (enum polling_mode)_i, 1));
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 1);
	ck_assert_msg(
	    (event.events & ~POLLING_HUP) == (POLLING_OUT | POLLING_ERR),
	    "refused: %s", event_names(event.events));
	ck_assert_int_eq(socket_error(client), ECONNREFUSED);
	polling_destroy(p);
	close_fd(holder);
	close_fd(client);
}
END_TEST

/* 41 */
START_TEST(urgent_data_is_pri_where_asked)
{
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pair[2];

	SKIP_UNLESS(p, POLLING_FEATURE_PRI, "urgent data is not told");
	make_tcp_pair(pair);
	expect_ok(polling_add(
	    p, pair[0], POLLING_IN | POLLING_PRI, (enum polling_mode)_i, 1));
	expect_nothing(p);
	send_urgent(pair[1]);
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 1);
	ck_assert_msg((event.events & ~POLLING_IN) == POLLING_PRI, "urgent: %s",
	    event_names(event.events));
	receive_urgent(pair[0]);
	put_bytes(pair[1], 1);
	expect_ok(polling_modify(
	    p, pair[0], POLLING_IN | POLLING_PRI, (enum polling_mode)_i, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 41 */
START_TEST(pri_alone_is_urgent_data_alone)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	SKIP_UNLESS(p, POLLING_FEATURE_PRI, "urgent data is not told");
	make_tcp_pair(pair);
	expect_ok(
	    polling_add(p, pair[0], POLLING_PRI, (enum polling_mode)_i, 1));
	put_bytes(pair[1], 3);
	expect_nothing(p);
	send_urgent(pair[1]);
	expect_events(p, LONG_MS, {1, POLLING_PRI});
	if (_i == POLLING_LEVEL)
		expect_events(p, 0, {1, POLLING_PRI});
	else
		expect_nothing(p);
	/* Who does not ask for it sees the data, and only that. */
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_modify(
	    p, pair[0], POLLING_IN | POLLING_PRI, POLLING_ONESHOT, 3));
	expect_events(p, LONG_MS, {3, POLLING_IN | POLLING_PRI});
	receive_urgent(pair[0]);
	expect_ok(polling_modify(p, pair[0], POLLING_PRI, POLLING_LEVEL, 4));
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 42 */
START_TEST(shutting_ones_own_side_is_no_rdhup)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(
	    p, pair[0], POLLING_IN | POLLING_RDHUP, POLLING_LEVEL, 1));
	shut_writing(pair[0]);
	expect_nothing(p);
	expect_nothing_for(p, 30);
	expect_reported(p, pair[0], POLLING_RDHUP, 0);
	/* What the peer still writes arrives. */
	put_bytes(pair[1], 1);
	expect_reported(p, pair[0], POLLING_IN | POLLING_RDHUP, POLLING_IN);
	get_bytes(pair[0], 1);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 43 */
START_TEST(an_unreachable_udp_port_is_reported)
{
	struct polling *p;
	struct polling_event event;
	polling_fd fd, peer;
	uint16_t port, peer_port;
	char byte;

	SKIP_IF(why_no_unreachable());
	p = make_poller();
	peer = make_udp_socket(&peer_port);
	fd = make_udp_socket(&port);
	ck_assert_int_eq(connect_fd(fd, peer_port), 0);
	expect_ok(polling_add(p, fd, POLLING_IN, (enum polling_mode)_i, 1));
	expect_nothing(p);
	close_fd(peer);
	put_bytes(fd, 1);
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 1);
	ck_assert_msg((event.events & ~POLLING_ERR) == POLLING_IN,
	    "unreachable: %s", event_names(event.events));
	ck_assert_int_eq(read_fd(fd, &byte, 1), -1);
	ck_assert_int_eq(errno, ECONNREFUSED);
	/* It is told once: the error is taken. */
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, 2));
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* 44 */
START_TEST(a_socket_never_connected_is_hung_up)
{
	struct polling *p = make_poller();
	polling_fd fd = make_tcp_socket();
	polling_fd listener, server;
	uint16_t port;

	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_ONESHOT, 1));
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	expect_reported(p, fd, POLLING_IN, POLLING_IN | POLLING_HUP);
	expect_reported(p, fd, POLLING_OUT, POLLING_OUT | POLLING_HUP);
	expect_reported(p, fd, READ_WRITE, READ_WRITE | POLLING_HUP);
	expect_reported(p, fd, POLLING_RDHUP, POLLING_HUP);
	expect_reported(p, fd, 0, 0);
	/* Once connected, it is as any other. */
	listener = make_listener(&port);
	ck_assert_int_eq(connect_fd(fd, port), 0);
	server = accept_fd(listener);
	settle();
	expect_reported(p, fd, READ_WRITE | POLLING_RDHUP, POLLING_OUT);
	polling_destroy(p);
	close_fd(fd);
	close_fd(server);
	close_fd(listener);
}
END_TEST

#define CASE_TWO_WAY(s, f) CASE_LOOP(s, f, CASE_SECONDS, 0, TWO_WAY_KINDS)

static void
add_connections(Suite *s)
{
	CASE_TWO_WAY(s, a_peer_that_stops_writing_is_rdhup);
	CASE_TWO_WAY(s, data_before_the_end_is_read_first);
	CASE_PAIRS(s, data_before_a_close_is_read_first);
	CASE_PAIRS(s, a_peer_that_left_before_the_add_is_told);
	CASE_TWO_WAY(s, both_sides_that_stop_writing_are_a_hang_up);
	CASE_TWO_WAY(s, shutting_both_directions_is_a_hang_up);
	CASE_LOOP(
	    s, a_reset_is_an_error_with_what_was_asked, CASE_SECONDS, 0, 5);
	CASE_MODES(s, a_connection_made_is_out_without_err);
	CASE_MODES(s, a_refused_connection_is_err_with_out);
}

void
add_conditions(Suite *s)
{
	add_connections(s);
	CASE_MODES(s, urgent_data_is_pri_where_asked);
	CASE_MODES(s, pri_alone_is_urgent_data_alone);
	CASE_TWO_WAY(s, shutting_ones_own_side_is_no_rdhup);
	CASE_MODES(s, an_unreachable_udp_port_is_reported);
	CASE(s, a_socket_never_connected_is_hung_up);
}
