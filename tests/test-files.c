/* SPDX-License-Identifier: MIT */
/*
 * test-files.c - descriptors that never block, and standard input.
 *
 * Conformance 79 and 80: regular files, directories and /dev/null are always
 * ready; standard input works whatever it is.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What never blocks, and what it is opened for. */
static const struct steady {
	const char *name;
	int flags;
	uint32_t interest;
} steadies[] = {
    {NULL, O_RDWR, POLLING_IN | POLLING_OUT}, /* a regular file */
    {"/dev/null", O_RDWR, POLLING_IN | POLLING_OUT},
    {"/", O_RDONLY, POLLING_IN},
};
enum { STEADIES = sizeof(steadies) / sizeof(steadies[0]) };

/* A regular file without a name, some bytes long. */
static polling_fd
make_file(void)
{
	FILE *f = tmpfile();
	polling_fd fd;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_ge(fputs("some bytes\n", f), 0);
	ck_assert_int_eq(fflush(f), 0);
	fd = fcntl(fileno(f), F_DUPFD_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fclose(f), 0);
	return fd;
}

static polling_fd
open_steady(int i)
{
	polling_fd fd;

	if (steadies[i].name == NULL)
		return make_file();
	fd = open(steadies[i].name, steadies[i].flags | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	return fd;
}

/* 79 */
START_TEST(level_is_reported_by_every_wait)
{
	struct polling *p = make_poller();
	polling_fd fd = open_steady(_i);
	uint32_t interest = steadies[_i].interest;

	ck_assert_int_eq(polling_supports(p, POLLING_FEATURE_FILE), 1);
	expect_ok(polling_add(p, fd, interest, POLLING_LEVEL, 7));
	for (int i = 0; i < 10; i++) {
		expect_events(p, 0, {7, interest});
		expect_events(p, LONG_MS, {7, interest});
		expect_events(p, -1, {7, interest});
	}
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, 8));
	expect_events(p, LONG_MS, {8, POLLING_IN});
	expect_ok(polling_delete(p, fd));
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* 79 */
START_TEST(oneshot_is_reported_once_for_each_arming)
{
	struct polling *p = make_poller();
	polling_fd fd = open_steady(_i);
	uint32_t interest = steadies[_i].interest;

	expect_ok(polling_add(p, fd, interest, POLLING_ONESHOT, 7));
	expect_events(p, LONG_MS, {7, interest});
	expect_nothing(p);
	expect_nothing_for(p, 30);
	for (uintptr_t key = 8; key < 12; key++) {
		expect_ok(
		    polling_modify(p, fd, interest, POLLING_ONESHOT, key));
		expect_events(p, LONG_MS, {key, interest});
		expect_nothing(p);
	}
	expect_ok(polling_delete(p, fd));
	expect_error(polling_delete(p, fd), ENOENT);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* 79 */
START_TEST(edges_are_reported_once_for_each_arming)
{
	static const enum polling_mode edges[] = {
	    POLLING_EDGE, POLLING_EDGE_ONESHOT};
	struct polling *p = make_poller();
	polling_fd fd;

	SKIP_UNLESS_MODE(p, POLLING_EDGE);
	fd = open_steady(_i % STEADIES);
	expect_ok(polling_add(p, fd, POLLING_IN, edges[_i / STEADIES], 7));
	expect_events(p, LONG_MS, {7, POLLING_IN});
	expect_nothing(p);
	expect_ok(polling_modify(p, fd, POLLING_IN, edges[_i / STEADIES], 8));
	expect_events(p, LONG_MS, {8, POLLING_IN});
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* 79 */
START_TEST(an_interest_of_nothing_is_silent)
{
	struct polling *p = make_poller();
	polling_fd fd = open_steady(_i);

	expect_ok(polling_add(p, fd, 0, POLLING_LEVEL, 7));
	expect_nothing_for(p, 30);
	expect_error(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 8), EEXIST);
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, 8));
	expect_events(p, LONG_MS, {8, POLLING_IN});
	expect_ok(polling_modify(p, fd, 0, POLLING_LEVEL, 9));
	expect_nothing_for(p, 30);
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_ONESHOT, 10));
	expect_events(p, LONG_MS, {10, POLLING_IN});
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* 79, 12 */
START_TEST(a_file_may_be_in_two_pollers)
{
	struct polling *p = make_poller(), *q = make_poller();
	polling_fd fd = open_steady(_i);

	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(q, fd, POLLING_IN, POLLING_LEVEL, 2));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_events(q, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_delete(p, fd));
	expect_nothing(p);
	expect_events(q, LONG_MS, {2, POLLING_IN});
	polling_destroy(p);
	polling_destroy(q);
	close_fd(fd);
}
END_TEST

/* Waits with room for one event and returns its key. */
static uintptr_t
next_key(struct polling *p)
{
	struct polling_event event;

	ck_assert_int_eq(wait_ms(p, &event, 1, LONG_MS), 1);
	return event.key;
}

/* 79, 55: a file that is always ready starves neither a pipe nor a post */
START_TEST(room_for_one_event_starves_nobody)
{
	struct polling *p = make_poller();
	struct polling_event post = {3, POLLING_IN, 0};
	polling_fd pair[2], file = make_file();
	unsigned seen[4] = {0};

	make_pipe(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, file, POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 2));
	for (int i = 0; i < 12; i++) {
		expect_ok(polling_post(p, &post));
		seen[next_key(p)]++;
	}
	for (int key = 1; key <= 3; key++)
		ck_assert_uint_ge(seen[key], 2);
	polling_destroy(p);
	close_fd(file);
	close_pair(pair);
}
END_TEST

/* 79, 56 */
START_TEST(many_files_are_all_reported)
{
	enum { FILES = 100, ROOM = 8 };
	struct polling *p = make_poller();
	struct polling_event events[ROOM];
	polling_fd fds[FILES], file = make_file();
	unsigned seen[FILES] = {0};

	for (uintptr_t i = 0; i < FILES; i++) {
		fds[i] = duplicate_fd(file);
		expect_ok(polling_add(p, fds[i], POLLING_IN, POLLING_LEVEL, i));
	}
	/* Twice as many waits as would do if nothing were seen twice. */
	for (int i = 0; i < 2 * FILES / ROOM; i++) {
		int n = wait_ms(p, events, ROOM, 0);

		ck_assert_int_ge(n, 1);
		for (int k = 0; k < n; k++)
			seen[events[k].key]++;
	}
	for (int i = 0; i < FILES; i++) {
		ck_assert_uint_ge(seen[i], 1);
		close_fd(fds[i]);
	}
	polling_destroy(p);
	close_fd(file);
}
END_TEST

/* 79: each file gives one event per wait, whatever room is left */
START_TEST(a_wait_reports_a_file_once)
{
	struct polling *p = make_poller();
	polling_fd pair[2], file = make_file(), null = open_steady(1);

	make_pipe(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, file, POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(p, null, POLLING_OUT, POLLING_LEVEL, 2));
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 3));
	for (int i = 0; i < 20; i++)
		expect_events(p, LONG_MS, {1, POLLING_IN}, {2, POLLING_OUT},
		    {3, POLLING_IN});
	polling_destroy(p);
	close_fd(file);
	close_fd(null);
	close_pair(pair);
}
END_TEST

static void
arm_file(void *argument)
{
	struct polling *p = ((void **)argument)[0];
	polling_fd fd = *(polling_fd *)((void **)argument)[1];

	/* On another thread: the main one finds out by its event. */
	(void)polling_modify(p, fd, POLLING_IN, POLLING_ONESHOT, 5);
}

/* 79, 67 */
START_TEST(arming_a_file_reaches_a_blocked_wait)
{
	struct polling *p = make_poller();
	polling_fd fd = open_steady(_i);
	void *argument[] = {p, &fd};
	struct delayed *d;

	expect_ok(polling_add(p, fd, 0, POLLING_ONESHOT, 4));
	d = run_after(50, arm_file, argument);
	expect_events(p, LONG_MS, {5, POLLING_IN});
	join_delayed(d);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* 79, 75, 73 */
START_TEST(a_file_closed_undeleted_is_silent_and_its_number_free)
{
	struct polling *p = make_poller();
	polling_fd pair[2], fd = open_steady(_i);

	make_pipe(pair);
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	close_fd(fd);
	expect_nothing_for(p, 30);
	/* The number goes to a pipe, which has nothing to read yet. */
	ck_assert_int_eq(dup2(pair[0], fd), fd);
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 2));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {2, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
	close_fd(fd);
}
END_TEST

/* 79, 73: the number of a registered file goes to another file at once */
START_TEST(another_file_at_the_same_number_can_be_added)
{
	struct polling *p = make_poller();
	polling_fd fd = make_file(), other = make_file();

	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	ck_assert_int_eq(dup2(other, fd), fd);
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	polling_destroy(p);
	close_fd(fd);
	close_fd(other);
}
END_TEST

/* 73: a change of the source before it has not reached the kernel yet */
START_TEST(a_file_can_take_the_number_of_a_changed_source)
{
	struct polling *p = make_poller();
	polling_fd file = open_steady(_i), pairs[3][2];

	for (int i = 0; i < 3; i++) {
		make_socketpair(pairs[i]);
		expect_ok(
		    polling_add(p, pairs[i][0], POLLING_IN, POLLING_LEVEL, 9));
	}
	for (int i = 0; i < 3; i++)
		expect_ok(polling_modify(
		    p, pairs[i][0], POLLING_OUT, POLLING_LEVEL, (uintptr_t)i));
	ck_assert_int_eq(dup2(file, pairs[1][0]), pairs[1][0]);
	expect_ok(polling_add(p, pairs[1][0], POLLING_IN, POLLING_ONESHOT, 5));
	expect_events(
	    p, LONG_MS, {0, POLLING_OUT}, {2, POLLING_OUT}, {5, POLLING_IN});
	expect_events(p, LONG_MS, {0, POLLING_OUT}, {2, POLLING_OUT});
	polling_destroy(p);
	for (int i = 0; i < 3; i++)
		close_pair(pairs[i]);
	close_fd(file);
}
END_TEST

/* _i is which of three goes, and then comes back as the last one */
START_TEST(a_file_among_others_can_go)
{
	struct polling *p = make_poller();
	polling_fd files[3];
	uintptr_t gone = (uintptr_t)_i, next = (gone + 1) % 3,
		  other = (gone + 2) % 3;

	for (uintptr_t i = 0; i < 3; i++) {
		files[i] = make_file();
		expect_ok(
		    polling_add(p, files[i], POLLING_IN, POLLING_LEVEL, i));
	}
	expect_ok(polling_delete(p, files[gone]));
	for (int i = 0; i < 2; i++)
		expect_events(
		    p, LONG_MS, {next, POLLING_IN}, {other, POLLING_IN});
	expect_ok(polling_add(p, files[gone], POLLING_IN, POLLING_LEVEL, gone));
	expect_ok(polling_modify(p, files[next], 0, POLLING_LEVEL, next));
	for (int i = 0; i < 2; i++)
		expect_events(
		    p, LONG_MS, {gone, POLLING_IN}, {other, POLLING_IN});
	polling_destroy(p);
	for (int i = 0; i < 3; i++)
		close_fd(files[i]);
}
END_TEST

/* Makes fd the standard input, with the old one kept at *saved. */
static void
become_input(polling_fd fd, int *saved)
{
	*saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
	ck_assert_int_eq(dup2(fd, STDIN_FILENO), STDIN_FILENO);
}

static void
restore_input(int saved)
{
	/* It may have been closed from the beginning. */
	if (saved < 0) {
		(void)close(STDIN_FILENO);
		return;
	}
	ck_assert_int_eq(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close_fd(saved);
}

/* 80: a pipe, a socket pair, a TCP connection */
START_TEST(standard_input_may_be_a_stream)
{
	struct polling *p = make_poller();
	polling_fd pair[2];
	int saved;

	pair_kinds[_i].make(pair);
	become_input(pair[0], &saved);
	expect_ok(polling_add(p, STDIN_FILENO, POLLING_IN, POLLING_ONESHOT, 1));
	expect_nothing(p);
	put_bytes(pair[1], 3);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(STDIN_FILENO, 3);
	expect_ok(polling_delete(p, STDIN_FILENO));
	restore_input(saved);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 80 */
START_TEST(standard_input_may_be_a_file)
{
	struct polling *p = make_poller();
	polling_fd fd = open_steady(_i);
	int saved;

	become_input(fd, &saved);
	expect_ok(polling_add(p, STDIN_FILENO, POLLING_IN, POLLING_ONESHOT, 1));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	expect_ok(polling_delete(p, STDIN_FILENO));
	restore_input(saved);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* 80 */
START_TEST(standard_input_may_be_a_terminal)
{
	struct polling *p = make_poller();
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	int terminal, saved;
	char line[16];

	if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) {
		if (master >= 0)
			close_fd(master);
		polling_destroy(p);
		SKIP("no pseudo-terminal: %s", strerror(errno));
	}
	terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(terminal, 0);
	become_input(terminal, &saved);
	expect_ok(polling_add(p, STDIN_FILENO, POLLING_IN, POLLING_ONESHOT, 1));
	expect_nothing(p);
	ck_assert_int_eq((int)write_fd(master, "line\n", 5), 5);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	ck_assert_int_eq((int)read_fd(STDIN_FILENO, line, sizeof(line)), 5);
	expect_ok(polling_delete(p, STDIN_FILENO));
	restore_input(saved);
	polling_destroy(p);
	close_fd(terminal);
	close_fd(master);
}
END_TEST

/* 80 */
START_TEST(closed_standard_input_is_no_descriptor)
{
	struct polling *p = make_poller();
	int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);

	(void)close(STDIN_FILENO);
	expect_error(
	    polling_add(p, STDIN_FILENO, POLLING_IN, POLLING_ONESHOT, 1),
	    EBADF);
	expect_nothing(p);
	restore_input(saved);
	polling_destroy(p);
}
END_TEST

void
add_files(Suite *s)
{
#define CASE_STEADY(function) CASE_LOOP(s, function, CASE_SECONDS, 0, STEADIES)
	CASE_STEADY(level_is_reported_by_every_wait);
	CASE_STEADY(oneshot_is_reported_once_for_each_arming);
	CASE_LOOP(s, edges_are_reported_once_for_each_arming, CASE_SECONDS, 0,
	    2 * STEADIES);
	CASE_STEADY(an_interest_of_nothing_is_silent);
	CASE_STEADY(a_file_may_be_in_two_pollers);
	CASE(s, room_for_one_event_starves_nobody);
	CASE(s, many_files_are_all_reported);
	CASE(s, a_wait_reports_a_file_once);
	CASE_STEADY(arming_a_file_reaches_a_blocked_wait);
	CASE_STEADY(a_file_closed_undeleted_is_silent_and_its_number_free);
	CASE(s, another_file_at_the_same_number_can_be_added);
	CASE_STEADY(a_file_can_take_the_number_of_a_changed_source);
	CASE_LOOP(s, a_file_among_others_can_go, CASE_SECONDS, 0, 3);
	CASE_PAIRS(s, standard_input_may_be_a_stream);
	CASE_STEADY(standard_input_may_be_a_file);
	CASE(s, standard_input_may_be_a_terminal);
	CASE(s, closed_standard_input_is_no_descriptor);
}
