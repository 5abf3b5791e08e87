/* SPDX-License-Identifier: MIT */
/*
 * The descriptor of a poller, in poll() and in other pollers. Parts of the
 * suites of registrations and lifetimes. The number is that of the conformance
 * catalogue, 85, of which it has what needs neither timers nor signals.
 */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "scenes.h"

/* 7: the kernel refuses a poller that would watch itself */
START_TEST(a_refused_cycle_leaves_nothing)
{
	struct polling *p = make_poller(), *q = make_poller();
	polling_fd pair[2];
	int p_fd, q_fd, result;

	if (!polling_supports(p, POLLING_FEATURE_FD)) {
		expect_error(polling_get_fd(p), ENOTSUP);
		polling_destroy(p);
		polling_destroy(q);
		SKIP("pollers cannot be nested");
	}
	p_fd = polling_get_fd(p);
	q_fd = polling_get_fd(q);
	ck_assert_int_ge(p_fd, 0);
	ck_assert_int_ge(q_fd, 0);
	expect_ok(polling_add(p, q_fd, POLLING_IN, POLLING_LEVEL, 1));
	errno = 0;
	result = polling_add(q, p_fd, POLLING_IN, POLLING_LEVEL, 2);
	if (result == 0) {
		polling_destroy(p);
		polling_destroy(q);
		SKIP("this kernel allows cycles");
	}
	ck_assert_int_eq(result, -1);
	ck_assert_msg(errno == ELOOP || errno == EINVAL, "a cycle gave %s",
	    strerror(errno));
	expect_unknown(q, p_fd);
	/* Without the cycle the same call succeeds and works. */
	expect_ok(polling_delete(p, q_fd));
	expect_ok(polling_add(q, p_fd, POLLING_IN, POLLING_LEVEL, 3));
	make_pipe(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 4));
	expect_nothing(q);
	put_bytes(pair[1], 1);
	expect_events(q, LONG_MS, {3, POLLING_IN});
	expect_events(p, LONG_MS, {4, POLLING_IN});
	polling_destroy(p);
	polling_destroy(q);
	close_pair(pair);
}
END_TEST

static bool
is_readable(int fd, int timeout_ms)
{
	struct pollfd entry = {.fd = fd, .events = POLLIN};
	int n = poll(&entry, 1, timeout_ms);

	ck_assert_int_ne(n, -1);
	ck_assert_int_eq(entry.revents & ~POLLIN, 0);
	return n == 1;
}

/* Readable, and stays so until somebody waits. */
#define expect_readable(fd)                            \
	do {                                           \
		ck_assert(is_readable((fd), LONG_MS)); \
		ck_assert(is_readable((fd), 0));       \
	} while (0)

/* Now and then it may be readable for nothing, but not again and again. */
static void
expect_quiet(struct polling *p, int fd)
{
	for (int i = 0; i < 10 && is_readable(fd, 0); i++)
		expect_nothing(p);
	for (int i = 0; i < 10; i++) {
		ck_assert(!is_readable(fd, 0));
		expect_nothing(p);
	}
	ck_assert(!is_readable(fd, 20));
}

/* 85 */
START_TEST(the_descriptor_is_one_or_none)
{
	struct polling *p = make_poller();
	int fd;

	if (!polling_supports(p, POLLING_FEATURE_FD)) {
		expect_error(polling_get_fd(p), ENOTSUP);
		polling_destroy(p);
		return;
	}
	fd = polling_get_fd(p);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(polling_get_fd(p), fd);
	expect_quiet(p, fd);
	ck_assert_int_eq(polling_get_fd(p), fd);
	polling_destroy(p);
	expect_error(fcntl(fd, F_GETFD), EBADF);
}
END_TEST

/* 85: with _i modes */
START_TEST(the_descriptor_tells_of_sources)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	fd = polling_get_fd(p);
	expect_quiet(p, fd);
	put_bytes(pair[1], 1);
	expect_readable(fd);
	expect_events(p, 0, {1, POLLING_IN});
	if (mode == POLLING_LEVEL)
		expect_readable(fd);
	else
		expect_quiet(p, fd);
	/* A change shows without a wait. */
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 2));
	expect_readable(fd);
	expect_ok(polling_modify(p, pair[0], 0, mode, 2));
	expect_quiet(p, fd);
	expect_ok(polling_modify(p, pair[0], POLLING_OUT, mode, 3));
	expect_readable(fd);
	expect_events(p, 0, {3, POLLING_OUT});
	expect_ok(polling_delete(p, pair[0]));
	expect_quiet(p, fd);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 4));
	expect_readable(fd);
	drain(pair[0]);
	expect_quiet(p, fd);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 55, 57: once there is a descriptor every post makes a wake-up, and that is
 * not to take the only room */
START_TEST(a_wake_up_takes_no_room)
{
	struct polling *p = make_poller();
	struct polling_event post = {7, 1, 2}, event;
	polling_fd pair[2];
	int posts = 0;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	ck_assert_int_ge(polling_get_fd(p), 0);
	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	put_bytes(pair[1], 1);
	settle();
	for (int i = 0; i < 10; i++)
		expect_ok(polling_post(p, &post));
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		posts += event.key == 7;
	}
	ck_assert_int_eq(posts, 10);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 85: a poller in a poller can be read but never written to */
START_TEST(the_descriptor_is_never_writable)
{
	struct polling *p = make_poller(), *outer;
	struct polling_event post = {7, 1, 2};

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	outer = make_poller();
	expect_ok(polling_add(outer, polling_get_fd(p),
	    POLLING_IN | POLLING_OUT, POLLING_ONESHOT, 1));
	expect_nothing(outer);
	expect_ok(polling_post(p, &post));
	expect_events(outer, LONG_MS, {1, POLLING_IN});
	expect_ok(polling_modify(
	    outer, polling_get_fd(p), POLLING_OUT, POLLING_LEVEL, 2));
	expect_nothing(outer);
	expect_ok(polling_delete(outer, polling_get_fd(p)));
	expect_ok(polling_add(
	    outer, polling_get_fd(p), POLLING_OUT, POLLING_LEVEL, 3));
	expect_nothing(outer);
	polling_destroy(outer);
	polling_destroy(p);
}
END_TEST

/* 85: sources that are ready when it is asked for the first time */
START_TEST(the_descriptor_tells_of_what_was_before)
{
	struct polling *p = make_poller();
	struct polling_event event = {1, 2, 3};
	polling_fd pair[2];
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], 0, POLLING_ONESHOT, 1));
	if (_i == 0)
		expect_ok(
		    polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	else if (_i == 1)
		expect_ok(polling_post(p, &event));
	else
		expect_ok(polling_notify(p));
	fd = polling_get_fd(p);
	if (_i == 2) {
		/* No event, so it may be readable or not. */
		expect_nothing(p);
	} else {
		expect_readable(fd);
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
	}
	expect_quiet(p, fd);
	close_pair(pair);
	polling_destroy(p);
}
END_TEST

/* 85: a source that was armed before it was asked for makes an edge each time
 * that it is armed while it is ready */
START_TEST(the_descriptor_makes_edges_for_what_was_before)
{
	struct polling *p = make_poller(), *outer;
	polling_fd pair[2];
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	SKIP_UNLESS_MODE(p, POLLING_EDGE);
	outer = make_poller();
	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(pair[0], 1);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 2));
	fd = polling_get_fd(p);
	expect_ok(polling_add(outer, fd, POLLING_IN, POLLING_EDGE, 3));
	put_bytes(pair[1], 3);
	for (int i = 0; i < 3; i++) {
		expect_events(outer, LONG_MS, {3, POLLING_IN});
		expect_events(p, 0, {2, POLLING_IN});
		get_bytes(pair[0], 1);
		expect_ok(
		    polling_modify(p, pair[0], POLLING_IN, POLLING_ONESHOT, 2));
	}
	polling_destroy(outer);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 85 */
START_TEST(the_descriptor_tells_of_posts)
{
	struct polling *p = make_poller();
	struct polling_event event = {1, 2, 3};
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	fd = polling_get_fd(p);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++)
			expect_ok(polling_post(p, &event));
		/* For as long as one is left. */
		for (int i = 0; i < 5; i++) {
			expect_readable(fd);
			ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		}
		expect_quiet(p, fd);
	}
	polling_destroy(p);
}
END_TEST

/* 85: so that the loop around it comes and waits */
START_TEST(the_descriptor_tells_of_a_notification)
{
	struct polling *p = make_poller();
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	fd = polling_get_fd(p);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i <= round; i++)
			expect_ok(polling_notify(p));
		expect_readable(fd);
		expect_nothing(p);
		expect_quiet(p, fd);
		expect_nothing_for(p, 20);
	}
	polling_destroy(p);
}
END_TEST

/* 85 */
START_TEST(the_descriptor_tells_of_files)
{
	struct polling *p = make_poller();
	polling_fd file;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	SKIP_UNLESS(p, POLLING_FEATURE_FILE, "files are not supported");
	file = open("/", O_RDONLY | O_CLOEXEC);
	fd = polling_get_fd(p);
	expect_quiet(p, fd);
	expect_ok(polling_add(p, file, POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < 5; i++) {
		expect_readable(fd);
		expect_events(p, 0, {1, POLLING_IN});
	}
	expect_ok(polling_modify(p, file, POLLING_IN, POLLING_ONESHOT, 2));
	expect_readable(fd);
	expect_events(p, 0, {2, POLLING_IN});
	expect_quiet(p, fd);
	expect_ok(polling_modify(p, file, POLLING_IN, POLLING_LEVEL, 3));
	expect_readable(fd);
	expect_ok(polling_delete(p, file));
	expect_quiet(p, fd);
	close_fd(file);
	polling_destroy(p);
}
END_TEST

/* 85: and when the kernel's object behind it had to be made anew */
START_TEST(the_descriptor_outlives_closed_sources)
{
	struct polling *p = make_poller();
	struct others others;
	polling_fd pair[2], copy;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	fd = polling_get_fd(p);
	add_others(p, &others);
	leave_orphan(p, pair, &copy);
	for (int i = 0; i < 100; i++)
		expect_nothing(p);
	expect_quiet(p, fd);
	ck_assert_int_eq(polling_get_fd(p), fd);
	put_bytes(others.armed[1], 1);
	expect_readable(fd);
	expect_events(p, 0, {11, POLLING_IN});
	drain(others.armed[0]);
	expect_quiet(p, fd);
	expect_ok(polling_post(p, &(struct polling_event){1, 2, 3}));
	expect_readable(fd);
	close_fd(copy);
	close_fd(pair[1]);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

static void
post_later(void *argument)
{
	(void)polling_post(argument, &(struct polling_event){1, 2, 3});
}

/* 85: a loop that is blocked in poll() */
START_TEST(the_descriptor_wakes_poll)
{
	struct polling *p = make_poller();
	struct polling_event event;
	struct delayed *d;
	int64_t start;
	int fd;

	SKIP_UNLESS(p, POLLING_FEATURE_FD, "no polling_get_fd()");
	fd = polling_get_fd(p);
	expect_quiet(p, fd);
	start = now_ns();
	d = run_after(40, post_later, p);
	ck_assert(is_readable(fd, LONG_MS));
	expect_elapsed(start, 20, LONG_MS);
	join_delayed(d);
	ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
	expect_quiet(p, fd);
	polling_destroy(p);
}
END_TEST

#define NESTED 3

/* 85: the innermost of three has the source */
START_TEST(pollers_nest)
{
	enum polling_mode mode = _i == 0 ? POLLING_LEVEL : POLLING_ONESHOT;
	struct polling *p[NESTED];
	polling_fd pair[2];

	p[0] = make_poller();
	SKIP_UNLESS(p[0], POLLING_FEATURE_FD, "no polling_get_fd()");
	make_socketpair(pair);
	expect_ok(polling_add(p[0], pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (uintptr_t i = 1; i < NESTED; i++) {
		p[i] = make_poller();
		expect_ok(polling_add(
		    p[i], polling_get_fd(p[i - 1]), POLLING_IN, mode, i + 1));
	}
	expect_nothing(p[2]);
	put_bytes(pair[1], 1);
	expect_events(p[2], LONG_MS, {3, POLLING_IN});
	expect_events(p[1], 0, {2, POLLING_IN});
	expect_events(p[0], 0, {1, POLLING_IN});
	drain(pair[0]);
	for (int i = 0; i < NESTED; i++)
		expect_nothing(p[i]);
	for (int i = 1; i < NESTED; i++)
		expect_ok(polling_modify(p[i], polling_get_fd(p[i - 1]),
		    POLLING_IN, mode, (uintptr_t)i + 1));
	expect_ok(polling_post(p[0], &(struct polling_event){9, 9, 9}));
	expect_events(p[2], LONG_MS, {3, POLLING_IN});
	expect_events(p[1], 0, {2, POLLING_IN});
	ck_assert_uint_eq(wait_one(p[0], 0).key, 9);
	close_pair(pair);
	/* The inner ones go first: closed without being deleted. */
	polling_destroy(p[0]);
	expect_silence(p[2]);
	polling_destroy(p[1]);
	expect_silence(p[2]);
	polling_destroy(p[2]);
}
END_TEST

void
add_registration_nesting(Suite *s)
{
	CASE(s, a_refused_cycle_leaves_nothing);
}

void
add_lifetime_nesting(Suite *s)
{
	CASE(s, the_descriptor_is_one_or_none);
	CASE_MODES(s, the_descriptor_tells_of_sources);
	CASE(s, a_wake_up_takes_no_room);
	CASE(s, the_descriptor_is_never_writable);
	CASE_LOOP(
	    s, the_descriptor_tells_of_what_was_before, CASE_SECONDS, 0, 3);
	CASE(s, the_descriptor_makes_edges_for_what_was_before);
	CASE(s, the_descriptor_tells_of_posts);
	CASE(s, the_descriptor_tells_of_a_notification);
	CASE(s, the_descriptor_tells_of_files);
	CASE(s, the_descriptor_outlives_closed_sources);
	CASE(s, the_descriptor_wakes_poll);
	CASE_LOOP(s, pollers_nest, CASE_SECONDS, 0, 2);
}
