/* SPDX-License-Identifier: MIT */
/*
 * Conditions: which bits an end of file, a hang-up, an error, urgent data
 * and the rest are reported by, for every kind of descriptor. The numbers
 * are those of the conformance catalogue, part C.
 */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#ifdef __has_include
#if __has_include(<sys/eventfd.h>)
#include <sys/eventfd.h>
#define HAVE_TEST_EVENTFD 1
#endif
#endif
#if HAVE_INOTIFY_INIT1
#include <sys/inotify.h>
#endif
#if HAVE_TIMERFD_CREATE
#include <sys/timerfd.h>
#endif

#define READ_WRITE (POLLING_IN | POLLING_OUT)

/* RDHUP where it is told; asking for it is allowed everywhere. */
static uint32_t
rdhup(struct polling *p)
{
	return polling_supports(p, POLLING_FEATURE_RDHUP) ? POLLING_RDHUP : 0;
}

/* Interest replaced, then exactly this is reported, by two waits. */
static void
expect_reported(
    struct polling *p, polling_fd fd, uint32_t interest, uint32_t events)
{
	static uintptr_t key = 1000;

	key++;
	expect_ok(polling_modify(p, fd, interest, POLLING_LEVEL, key));
	if (events == 0) {
		expect_nothing(p);
		return;
	}
	expect_events(p, LONG_MS, {key, events});
	expect_events(p, 0, {key, events});
	/* The other modes say the same. */
	expect_ok(polling_modify(p, fd, interest, POLLING_ONESHOT, ++key));
	expect_events(p, LONG_MS, {key, events});
	expect_nothing(p);
	if (!mode_works(p, POLLING_EDGE))
		return;
	expect_ok(polling_modify(p, fd, interest, POLLING_EDGE, ++key));
	expect_events(p, LONG_MS, {key, events});
	expect_ok(polling_modify(p, fd, interest, POLLING_EDGE_ONESHOT, ++key));
	expect_events(p, LONG_MS, {key, events});
	expect_nothing(p);
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
	expect_events(p, LONG_MS, {1, POLLING_IN | d});
	get_bytes(pair[0], 5);
	expect_eof(pair[0]);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 35 */
START_TEST(data_before_a_close_is_read_first)
{
	static const uint32_t more[PAIR_KINDS] = {
	    [PAIR_SOCKETPAIR] = POLLING_HUP, [PAIR_PIPE] = POLLING_HUP};
	enum polling_mode mode = POLLING_LEVEL;
	struct polling *p = make_poller();
	uint32_t d = _i == PAIR_PIPE ? 0 : rdhup(p);
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN | POLLING_RDHUP, mode, 1));
	put_bytes(pair[1], 5);
	close_fd(pair[1]);
	settle();
	expect_events(p, LONG_MS, {1, POLLING_IN | d | more[_i]});
	get_bytes(pair[0], 2);
	expect_events(p, 0, {1, POLLING_IN | d | more[_i]});
	get_bytes(pair[0], 3);
	expect_events(p, LONG_MS, {1, POLLING_IN | d | more[_i]});
	expect_eof(pair[0]);
	expect_events(p, LONG_MS, {1, POLLING_IN | d | more[_i]});
	expect_reported(p, pair[0], POLLING_IN, POLLING_IN | more[_i]);
	polling_destroy(p);
	close_fd(pair[0]);
}
END_TEST

/* A kernel may have forgotten by then that there was a peer. */
START_TEST(a_peer_that_left_before_the_add_is_told)
{
	static const uint32_t more[PAIR_KINDS] = {
	    [PAIR_SOCKETPAIR] = POLLING_HUP, [PAIR_PIPE] = POLLING_HUP};
	struct polling *p = make_poller();
	uint32_t d = _i == PAIR_PIPE ? 0 : rdhup(p);
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	put_bytes(pair[1], 5);
	close_fd(pair[1]);
	settle();
	expect_ok(polling_add(
	    p, pair[0], POLLING_IN | POLLING_RDHUP, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_IN | d | more[_i]});
	get_bytes(pair[0], 5);
	expect_events(p, 0, {1, POLLING_IN | d | more[_i]});
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
	struct polling *p = make_poller();
	polling_fd pair[2];

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

/* 39 */
START_TEST(a_pipe_without_writer_is_in_and_hup)
{
	struct polling *p = make_poller();
	polling_fd pair[2], writer;

	make_pipe(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	/* A second writer keeps it alive. */
	writer = duplicate_fd(pair[1]);
	close_fd(pair[1]);
	get_bytes(pair[0], 1);
	expect_nothing(p);
	close_fd(writer);
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	expect_reported(p, pair[0], POLLING_HUP, POLLING_HUP);
	expect_reported(p, pair[0], POLLING_PRI, POLLING_HUP);
	expect_reported(p, pair[0], POLLING_IN, POLLING_IN | POLLING_HUP);
	expect_eof(pair[0]);
	polling_destroy(p);
	close_fd(pair[0]);
}
END_TEST

/* The write end of a pipe or FIFO whose reader is gone. */
static void
expect_no_reader(struct polling *p, polling_fd fd)
{
	expect_reported(p, fd, POLLING_OUT, POLLING_OUT | POLLING_ERR);
	expect_reported(p, fd, POLLING_ERR, POLLING_ERR);
	expect_reported(p, fd, POLLING_HUP, POLLING_ERR);
	expect_reported(p, fd, 0, 0);
	ck_assert_int_eq(write_fd(fd, "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	expect_reported(p, fd, POLLING_OUT, POLLING_OUT | POLLING_ERR);
}

/* 39: with room in the pipe, and without */
START_TEST(a_pipe_without_reader_is_out_and_err)
{
	struct polling *p = make_poller();
	bool full = _i == 1;
	polling_fd pair[2];

	make_pipe(pair);
	if (full)
		fill_until_blocked(pair[1]);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, POLLING_LEVEL, 1));
	if (full)
		expect_nothing(p);
	else
		expect_events(p, LONG_MS, {1, POLLING_OUT});
	close_fd(pair[0]);
	expect_events(p, LONG_MS, {1, POLLING_OUT | POLLING_ERR});
	expect_no_reader(p, pair[1]);
	expect_ok(polling_delete(p, pair[1]));
	/* Added when the reader is gone already. */
	expect_ok(polling_add(p, pair[1], POLLING_OUT, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT | POLLING_ERR});
	polling_destroy(p);
	close_fd(pair[1]);
}
END_TEST

/* 21, 39: _i is the mode; what fired before hears of it once it is armed */
START_TEST(a_reader_that_left_is_told_when_armed_again)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_pipe(pair);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, mode, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_ok(polling_modify(p, pair[1], 0, mode, 2));
	expect_nothing(p);
	close_fd(pair[0]);
	expect_nothing(p);
	expect_error(polling_add(p, pair[1], POLLING_OUT, mode, 3), EEXIST);
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[1], POLLING_OUT, mode, 4));
	expect_events(p, LONG_MS, {4, POLLING_OUT | POLLING_ERR});
	if (mode == POLLING_LEVEL)
		expect_events(p, 0, {4, POLLING_OUT | POLLING_ERR});
	else
		expect_nothing(p);
	expect_ok(polling_modify(p, pair[1], POLLING_OUT, mode, 5));
	expect_events(p, LONG_MS, {5, POLLING_OUT | POLLING_ERR});
	expect_ok(polling_delete(p, pair[1]));
	polling_destroy(p);
	close_fd(pair[1]);
}
END_TEST

/* 21, 39: the same without a look in between */
START_TEST(a_reader_that_left_is_told_at_the_next_arming)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_pipe(pair);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, mode, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	close_fd(pair[0]);
	expect_ok(polling_modify(p, pair[1], POLLING_OUT, mode, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT | POLLING_ERR});
	polling_destroy(p);
	close_fd(pair[1]);
}
END_TEST

/* A FIFO in a directory of its own, gone by name once both ends are open. */
struct fifo {
	char directory[64];
	char path[80];
};

static void
make_fifo(struct fifo *f)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL || strlen(tmp) > 40)
		tmp = "/tmp";
	(void)snprintf(
	    f->directory, sizeof(f->directory), "%s/polling-XXXXXX", tmp);
	ck_assert_ptr_nonnull(mkdtemp(f->directory));
	(void)snprintf(f->path, sizeof(f->path), "%s/fifo", f->directory);
	ck_assert_int_eq(mkfifo(f->path, 0600), 0);
}

static int
open_fifo(const struct fifo *f, int flags)
{
	int fd = open(f->path, flags | O_NONBLOCK | O_CLOEXEC);

	ck_assert_msg(fd != -1, "open %s: %s", f->path, strerror(errno));
	return fd;
}

static void
remove_fifo(const struct fifo *f)
{
	(void)unlink(f->path);
	(void)rmdir(f->directory);
}

/* 40 */
START_TEST(a_fifo_is_silent_before_its_first_writer)
{
	struct polling *p = make_poller();
	struct fifo f;
	int reader, writer;

	make_fifo(&f);
	reader = open_fifo(&f, O_RDONLY);
	expect_ok(polling_add(p, reader, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	expect_nothing_for(p, 30);
	writer = open_fifo(&f, O_WRONLY);
	expect_nothing(p);
	put_bytes(writer, 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	close_fd(writer);
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	get_bytes(reader, 1);
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	expect_eof(reader);
	/* The next writer ends the hang-up. */
	writer = open_fifo(&f, O_WRONLY);
	expect_nothing(p);
	put_bytes(writer, 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	remove_fifo(&f);
	polling_destroy(p);
	close_fd(writer);
	close_fd(reader);
}
END_TEST

/* 40 */
START_TEST(a_fifo_without_reader_is_out_and_err)
{
	struct polling *p = make_poller();
	struct fifo f;
	int reader, writer;

	make_fifo(&f);
	reader = open_fifo(&f, O_RDONLY);
	writer = open_fifo(&f, O_WRONLY);
	remove_fifo(&f);
	expect_ok(polling_add(p, writer, POLLING_OUT, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	close_fd(reader);
	expect_events(p, LONG_MS, {1, POLLING_OUT | POLLING_ERR});
	expect_no_reader(p, writer);
	polling_destroy(p);
	close_fd(writer);
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
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd fd, peer;
	uint16_t port, peer_port;
	char byte;

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

/* A pseudo-terminal without echo or line editing; false if there is none. */
static bool
make_pty(int pair[2])
{
	struct termios raw;
	const char *name;

	pair[0] = posix_openpt(O_RDWR | O_NOCTTY);
	if (pair[0] == -1)
		return false;
	pair[1] = -1;
	if (grantpt(pair[0]) == 0 && unlockpt(pair[0]) == 0 &&
	    (name = ptsname(pair[0])) != NULL)
		pair[1] = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (pair[1] == -1) {
		close_fd(pair[0]);
		return false;
	}
	ck_assert_int_ne(fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK), -1);
	ck_assert_int_eq(tcgetattr(pair[1], &raw), 0);
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_oflag &= (tcflag_t)~OPOST;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	ck_assert_int_eq(tcsetattr(pair[1], TCSANOW, &raw), 0);
	return true;
}

/* 45, 46: _i is the side that is watched, 0 the master, 1 the slave */
START_TEST(a_terminal_reports_input_and_hang_up)
{
	int watched = _i, peer = 1 - _i;
	struct polling *p;
	struct polling_event event;
	int pty[2];

	if (!make_pty(pty))
		SKIP("no pseudo-terminal: %s", strerror(errno));
	p = make_poller();
	expect_ok(polling_add(p, pty[watched], POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	put_bytes(pty[peer], 3);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(pty[watched], 2);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(pty[watched], 1);
	expect_nothing(p);
	expect_ok(
	    polling_modify(p, pty[watched], POLLING_OUT, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT});
	expect_ok(
	    polling_modify(p, pty[watched], POLLING_IN, POLLING_ONESHOT, 3));
	expect_nothing(p);
	close_fd(pty[peer]);
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 3);
	ck_assert_msg(
	    (event.events & ~POLLING_ERR) == (POLLING_IN | POLLING_HUP),
	    "hung up: %s", event_names(event.events));
	polling_destroy(p);
	close_fd(pty[watched]);
}
END_TEST

/* 46 */
START_TEST(an_eventfd_reports_its_counter)
{
#if HAVE_TEST_EVENTFD
	struct polling *p = make_poller();
	uint64_t value = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd == -1) {
		polling_destroy(p);
		SKIP("eventfd: %s", strerror(errno));
	}
	expect_ok(polling_add(p, fd, READ_WRITE, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	ck_assert_int_eq(write_fd(fd, &value, sizeof(value)), sizeof(value));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	ck_assert_int_eq(read_fd(fd, &value, sizeof(value)), sizeof(value));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_ONESHOT, 2));
	expect_nothing(p);
	value = 1;
	ck_assert_int_eq(write_fd(fd, &value, sizeof(value)), sizeof(value));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
#else
	SKIP("no eventfd on this system");
#endif
}
END_TEST

/* 46 */
START_TEST(an_inotify_descriptor_reports_changes)
{
#if HAVE_INOTIFY_INIT1
	struct polling *p = make_poller();
	char buffer[4096];
	struct fifo f;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd == -1) {
		polling_destroy(p);
		SKIP("inotify: %s", strerror(errno));
	}
	make_fifo(&f);
	ck_assert_int_ne(inotify_add_watch(fd, f.directory, IN_DELETE), -1);
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	remove_fifo(&f);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	ck_assert_int_gt(read_fd(fd, buffer, sizeof(buffer)), 0);
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
#else
	SKIP("no inotify on this system");
#endif
}
END_TEST

/* 46 */
START_TEST(a_timerfd_reports_its_expiry)
{
#if HAVE_TIMERFD_CREATE
	struct itimerspec when = {.it_value = {.tv_nsec = 20000000}};
	struct polling *p = make_poller();
	uint64_t expirations;
	int64_t start;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd == -1) {
		polling_destroy(p);
		SKIP("timerfd: %s", strerror(errno));
	}
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	start = now_ns();
	ck_assert_int_eq(timerfd_settime(fd, 0, &when, NULL), 0);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_elapsed(start, 20, LONG_MS / 2);
	ck_assert_int_eq(read_fd(fd, &expirations, sizeof(expirations)),
	    sizeof(expirations));
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
#else
	SKIP("no timerfd on this system");
#endif
}
END_TEST

/* 46: the kinds of pairs at one poller, together */
START_TEST(descriptors_of_every_kind_work_together)
{
	struct polling *p = make_poller();
	polling_fd pairs[PAIR_KINDS][2], udp[2];
	struct fifo f;
	int reader, writer;

	for (int i = 0; i < PAIR_KINDS; i++) {
		pair_kinds[i].make(pairs[i]);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, (uintptr_t)i));
	}
	make_udp_pair(udp);
	make_fifo(&f);
	reader = open_fifo(&f, O_RDONLY);
	writer = open_fifo(&f, O_WRONLY);
	remove_fifo(&f);
	expect_ok(polling_add(p, udp[0], POLLING_IN, POLLING_ONESHOT, 10));
	expect_ok(polling_add(p, reader, POLLING_IN, POLLING_ONESHOT, 11));
	expect_nothing(p);
	for (int i = 0; i < PAIR_KINDS; i++)
		put_bytes(pairs[i][1], 1);
	put_bytes(udp[1], 1);
	put_bytes(writer, 1);
	expect_events(p, LONG_MS, {PAIR_TCP, POLLING_IN},
	    {PAIR_SOCKETPAIR, POLLING_IN}, {PAIR_PIPE, POLLING_IN},
	    {10, POLLING_IN}, {11, POLLING_IN});
	expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < PAIR_KINDS; i++)
		close_pair(pairs[i]);
	close_pair(udp);
	close_fd(reader);
	close_fd(writer);
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

Suite *
suite_conditions(void)
{
	Suite *s = suite_create("conditions");

	add_connections(s);
	CASE(s, a_pipe_without_writer_is_in_and_hup);
	CASE_LOOP(s, a_pipe_without_reader_is_out_and_err, CASE_SECONDS, 0, 2);
	CASE_MODES(s, a_reader_that_left_is_told_when_armed_again);
	CASE_MODES(s, a_reader_that_left_is_told_at_the_next_arming);
	CASE(s, a_fifo_is_silent_before_its_first_writer);
	CASE(s, a_fifo_without_reader_is_out_and_err);
	CASE_MODES(s, urgent_data_is_pri_where_asked);
	CASE_MODES(s, pri_alone_is_urgent_data_alone);
	CASE_TWO_WAY(s, shutting_ones_own_side_is_no_rdhup);
	CASE_MODES(s, an_unreachable_udp_port_is_reported);
	CASE(s, a_socket_never_connected_is_hung_up);
	CASE_LOOP(s, a_terminal_reports_input_and_hang_up, CASE_SECONDS, 0, 2);
	CASE(s, an_eventfd_reports_its_counter);
	CASE(s, an_inotify_descriptor_reports_changes);
	CASE(s, a_timerfd_reports_its_expiry);
	CASE(s, descriptors_of_every_kind_work_together);
	return s;
}
