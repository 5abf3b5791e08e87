/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a poller when the process forks or runs another program. A
 * part of the suite of lifetimes. The numbers are those of the conformance
 * catalogue, part G.
 */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "child.h"

static void
use_inherited(struct trouble *t, void *argument)
{
	check_inherited(t, argument);
}

static void
destroy_inherited(struct trouble *t, void *argument)
{
	struct world *w = argument;

	check_inherited(t, w);
	polling_destroy(w->p);
}

static void
leave_inherited(struct trouble *t, void *argument)
{
	(void)t;
	(void)argument;
}

static void
rebuild_and_exit(struct trouble *t, void *argument)
{
	struct world *w = argument;
	struct polling_event event;

	check_inherited(t, w);
	check_that(t, polling_reinit(w->p) == 0);
	check_world(t, w);
	/* The parent's posts and notifications are the parent's. */
	check_that(t, wait_ms(w->p, &event, 1, 0) == 0);
}

static void
rebuild_and_destroy(struct trouble *t, void *argument)
{
	struct world *w = argument;

	rebuild_and_exit(t, w);
	polling_destroy(w->p);
	w->p = polling_create(0);
	check_that(t, w->p != NULL);
	check_that(t, polling_add(w->p, w->pairs[READY][0], POLLING_IN,
			  POLLING_LEVEL, WORLD_KEY(READY)) == 0);
	check_that(t, world_reports(w, 1u << READY));
	polling_destroy(w->p);
}

static void (*const child_acts[])(struct trouble *, void *) = {use_inherited,
    destroy_inherited, leave_inherited, rebuild_and_exit, rebuild_and_destroy};
#define CHILD_ACTS 5

/* 76 */
START_TEST(a_child_leaves_the_parent_alone)
{
	struct world w;

	make_world(&w);
	run_child(child_acts[_i], &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

/* 76: what is queued when the fork comes is the parent's, and only that */
START_TEST(posts_and_notifications_stay_with_the_parent)
{
	struct world w;
	struct polling_event events[4];

	make_world(&w);
	for (uint32_t i = 0; i < 3; i++)
		expect_ok(polling_post(
		    w.p, &(struct polling_event){i, i + 1, i + 2}));
	expect_ok(polling_notify(w.p));
	run_child(child_acts[_i], &w);
	for (int i = 0; i < SOURCES; i++) {
		if (has_source(&w, i))
			expect_ok(polling_delete(w.p, w.pairs[i][0]));
	}
	ck_assert_int_eq(wait_ms(w.p, events, 4, 0), 3);
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(events[i].key, i);
		ck_assert_uint_eq(events[i].events, i + 1);
		ck_assert_uint_eq(events[i].data, i + 2);
	}
	/* The notification may have ended that wait already. */
	expect_nothing(w.p);
	expect_nothing_for(w.p, 30);
	expect_ok(polling_notify(w.p));
	ck_assert_int_eq(wait_ms(w.p, events, 4, -1), 0);
	destroy_world(&w);
}
END_TEST

static void
expect_no_old_notification(struct trouble *t, void *argument)
{
	struct world *w = argument;
	struct polling_event event = {4, 5, 6};
	int64_t start;

	check_that(t, polling_reinit(w->p) == 0);
	start = now_ns();
	check_that(t, wait_ms(w->p, &event, 1, 60) == 0);
	check_that(t, now_ns() - start >= 60000000);
	/* What the child does itself is its own. */
	check_that(t, polling_post(w->p, &event) == 0);
	event.key = 0;
	check_that(t, wait_ms(w->p, &event, 1, -1) == 1);
	check_that(t, event.key == 4 && event.events == 5 && event.data == 6);
	check_that(t, polling_notify(w->p) == 0);
	check_that(t, wait_ms(w->p, &event, 1, -1) == 0);
	check_that(t, polling_get_fd(w->p) >= 0 || errno == ENOTSUP);
}

/* 76 */
START_TEST(a_rebuilt_poller_begins_without_posts)
{
	struct world w = {.p = make_poller()};

	expect_ok(polling_post(w.p, &(struct polling_event){1, 2, 3}));
	expect_ok(polling_notify(w.p));
	run_child(expect_no_old_notification, &w);
	(void)wait_one(w.p, 0);
	expect_nothing(w.p);
	expect_nothing_for(w.p, 20);
	polling_destroy(w.p);
}
END_TEST

static void
run_grandchild(
    struct trouble *t, struct world *w, void (*act)(struct trouble *, void *))
{
	struct child c;
	char words[200];

	if (!check_that(t, start_child(&c, act, w)))
		return;
	if (!finish_child(&c, words, sizeof(words))) {
		errno = 0;
		(void)trouble_check(t, HARNESS_HERE, false, words);
	}
}

static void
fork_before_rebuilding(struct trouble *t, void *argument)
{
	run_grandchild(t, argument, rebuild_and_destroy);
	rebuild_and_destroy(t, argument);
}

static void
fork_after_rebuilding(struct trouble *t, void *argument)
{
	struct world *w = argument;

	check_that(t, polling_reinit(w->p) == 0);
	run_grandchild(t, w, rebuild_and_destroy);
	run_grandchild(t, w, destroy_inherited);
	check_world(t, w);
	polling_destroy(w->p);
}

/* 76 */
START_TEST(children_may_fork)
{
	struct world w;

	make_world(&w);
	run_child(_i == 0 ? fork_before_rebuilding : fork_after_rebuilding, &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

static void
rebuild_without_closed(struct trouble *t, void *argument)
{
	static const int closed[] = {READY, ARMED, FIRED, DISARMED};
	struct world *w = argument;
	int fd;

	for (int i = 0; i < 4; i++)
		check_that(t, close(w->pairs[closed[i]][0]) == 0);
	check_that(t, polling_reinit(w->p) == 0);
	check_that(
	    t, world_reports(w, 1u << WRITABLE | 1u << EDGE | 1u << FILE_LEVEL |
				    1u << FILE_ONESHOT));
	check_that(t, world_reports(w, 1u << FILE_LEVEL));
	for (int i = 0; i < 4; i++)
		check_that(
		    t, failed_with(polling_delete(w->p, w->pairs[closed[i]][0]),
			   ENOENT));
	/* Whatever took the numbers since, new ones can be added. */
	fd = dup(w->pairs[READY][1]);
	check_that(t, polling_add(w->p, fd, POLLING_OUT, POLLING_LEVEL,
			  WORLD_KEY(WRITABLE)) == 0);
	check_that(t, world_reports(w, 1u << FILE_LEVEL | 1u << WRITABLE));
}

/* 76 */
START_TEST(rebuilding_drops_what_the_child_closed)
{
	struct world w;

	make_world(&w);
	run_child(rebuild_without_closed, &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

static void
rebuild_with_replaced(struct trouble *t, void *argument)
{
	struct world *w = argument;
	int fds[2];

	check_that(t, pipe(fds) == 0);
	check_that(t, write(fds[1], "x", 1) == 1);
	check_that(t, dup2(fds[0], w->pairs[READY][0]) != -1);
	check_that(t, dup2(fds[0], w->pairs[IDLE][0]) != -1);
	check_that(t, polling_reinit(w->p) == 0);
	check_that(
	    t, world_reports(w, 1u << ARMED | 1u << WRITABLE | 1u << EDGE |
				    1u << FILE_LEVEL | 1u << FILE_ONESHOT));
	check_that(t, polling_add(w->p, w->pairs[READY][0], POLLING_IN,
			  POLLING_LEVEL, WORLD_KEY(READY)) == 0);
	check_that(t, world_reports(w, 1u << READY | 1u << FILE_LEVEL));
}

/* 76: a number that is another file in the child was not registered there */
START_TEST(rebuilding_drops_what_the_child_replaced)
{
	struct world w;

	/* Linux tells which file was added in /proc only; nested pollers are
	 * what sets the backend that has to ask there apart. */
	make_world(&w);
	if (polling_supports(w.p, POLLING_FEATURE_FD) &&
	    access("/proc/self/fdinfo", F_OK) != 0) {
		destroy_world(&w);
		SKIP("no /proc, which tells whether a number is another file");
	}
	run_child(rebuild_with_replaced, &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

/* A poller, a pair that is watched there, and what the child waits for. */
struct shared {
	struct polling *p;
	polling_fd pair[2];
	polling_fd go[2];
};

static void
rebuild_when_told(struct trouble *t, void *argument)
{
	struct shared *w = argument;
	struct polling_event event = {0, 0, 0};
	struct pollfd go = {.fd = w->go[0], .events = POLLIN};

	check_that(t, poll(&go, 1, LONG_MS) == 1);
	check_that(t, polling_reinit(w->p) == 0);
	check_that(t, wait_ms(w->p, &event, 1, 0) == 0);
	check_that(t, write(w->pair[1], "", 1) == 1);
	check_that(t, wait_ms(w->p, &event, 1, LONG_MS) == 1);
	check_that(t, event.key == 1 && event.events == POLLING_IN);
}

/* 76: what the parent has put to another use since is still the child's */
START_TEST(what_the_parent_replaced_is_rebuilt)
{
	struct shared w = {.p = make_poller()};
	struct child c;
	polling_fd other[2];

	make_socketpair(w.pair);
	make_socketpair(other);
	make_pipe(w.go);
	expect_ok(polling_add(w.p, w.pair[0], POLLING_IN, POLLING_LEVEL, 1));
	ck_assert(start_child(&c, rebuild_when_told, &w));
	expect_ok(polling_delete(w.p, w.pair[0]));
	ck_assert_int_eq(dup2(other[0], w.pair[0]), w.pair[0]);
	expect_ok(polling_add(w.p, w.pair[0], POLLING_IN, POLLING_LEVEL, 2));
	put_bytes(w.go[1], 1);
	expect_child_ok(&c);
	expect_nothing(w.p);
	put_bytes(other[1], 1);
	expect_events(w.p, LONG_MS, {2, POLLING_IN});
	polling_destroy(w.p);
	close_pair(w.pair);
	close_pair(w.go);
	close_pair(other);
}
END_TEST

static void
rebuild_changed(struct trouble *t, void *argument)
{
	struct world *w = argument;

	check_that(t, polling_reinit(w->p) == 0);
	check_that(
	    t, world_reports(w, 1u << READY | 1u << ARMED | 1u << WRITABLE |
				    1u << FIRED | 1u << EDGE |
				    1u << FILE_LEVEL | 1u << FILE_ONESHOT));
}

/* 76: of a change that has not reached the kernel yet the child hears too */
START_TEST(changes_before_a_fork_are_rebuilt)
{
	struct world w;

	make_world(&w);
	expect_ok(polling_modify(w.p, w.pairs[FIRED][0], POLLING_IN,
	    POLLING_ONESHOT, WORLD_KEY(FIRED)));
	expect_ok(polling_modify(w.p, w.pairs[READY][0],
	    POLLING_IN | POLLING_PRI, POLLING_LEVEL, WORLD_KEY(READY)));
	run_child(rebuild_changed, &w);
	destroy_world(&w);
}
END_TEST

#define CROWD 500

struct crowd {
	struct polling *p;
	polling_fd pairs[CROWD][2];
};

static void
rebuild_crowd(struct trouble *t, void *argument)
{
	struct crowd *c = argument;
	struct polling_event events[CROWD + 1];
	bool seen[CROWD] = {false};
	int n;

	check_that(t, polling_reinit(c->p) == 0);
	n = wait_ms(c->p, events, CROWD + 1, 0);
	/* A wait may give less than there is room for. */
	while (n >= 0 && n < CROWD) {
		int more = wait_ms(c->p, events + n, CROWD + 1 - n, 0);

		if (!check_that(t, more > 0))
			return;
		n += more;
	}
	check_that(t, n == CROWD);
	for (int i = 0; i < n; i++) {
		if (!check_that(t, events[i].key < CROWD) ||
		    !check_that(t, !seen[events[i].key]))
			return;
		seen[events[i].key] = true;
	}
	check_that(t, wait_ms(c->p, events, CROWD, 0) == 0);
	polling_destroy(c->p);
}

/* 76 */
START_TEST(many_sources_are_rebuilt)
{
	static struct crowd c;

	if (raise_fd_limit(2 * CROWD + 100) != 0)
		SKIP("the limit on descriptors is too low");
	c.p = make_poller();
	for (uintptr_t i = 0; i < CROWD; i++) {
		make_socketpair(c.pairs[i]);
		ck_assert_int_eq((int)write_fd(c.pairs[i][1], "x", 1), 1);
		expect_ok(polling_add(
		    c.p, c.pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
	}
	run_child(rebuild_crowd, &c);
	for (int i = 0; i < CROWD; i++)
		close_pair(c.pairs[i]);
	polling_destroy(c.p);
}
END_TEST

/* 76: threads are blocked in the poller when the fork comes */
START_TEST(a_fork_beside_blocked_waits)
{
	struct polling *p = make_poller();
	struct world w = {.p = p};
	atomic_int returned = 0;
	struct trouble trouble = {0}; /* nobody has any */
	struct patient waiters[3];
	struct crew crew = {0};
	struct others others;

	for (int i = 0; i < SOURCES; i++)
		w.pairs[i][0] = w.pairs[i][1] = NO_FD;
	add_others(p, &others);
	for (int i = 0; i < 3; i++) {
		waiters[i].p = p;
		waiters[i].returned = &returned;
		crew_start(&crew, wait_patiently, &waiters[i]);
	}
	sleep_ms(50);
	make_socketpair(w.pairs[READY]);
	run_child(destroy_inherited, &w);
	run_child(expect_no_old_notification, &w);
	for (int i = 0; i < 3; i++) {
		put_bytes(others.armed[1], 1);
		/* Not drained before one of them has met it. */
		ck_assert(reaches(&trouble, &returned, i + 1));
		drain(others.armed[0]);
		expect_ok(polling_modify(
		    p, others.armed[0], POLLING_IN, POLLING_ONESHOT, 11));
	}
	crew_join(&crew);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(waiters[i].count, 1);
		ck_assert_uint_eq(waiters[i].event.key, 11);
	}
	expect_others(p, &others);
	close_pair(w.pairs[READY]);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

/* 76: forks from several threads, while others use the poller */
#define FORK_USERS 3

struct forks {
	struct polling *p;
	polling_fd shared[2];          /* data is there */
	polling_fd own[FORK_USERS][2]; /* of each thread that uses it */
	atomic_int next_user;
	int rounds;
	atomic_bool stop;
	struct trouble trouble;
};

static void
be_forked(struct trouble *t, void *argument)
{
	struct forks *f = argument;
	struct polling_event event = {1, 0, 0};
	int result = polling_delete(f->p, f->shared[0]);

	check_that(t, failed_with(result, EBADF));
	if (!CHILDREN_CAN_ALLOCATE)
		return;
	check_that(t, polling_reinit(f->p) == 0);
	result = polling_delete(f->p, f->shared[0]);
	check_that(t, result == 0 || failed_with(result, ENOENT));
	check_that(t, polling_add(f->p, f->shared[0], POLLING_IN,
			  POLLING_ONESHOT, 2) == 0);
	check_that(t, polling_post(f->p, &event) == 0);
	check_that(t, wait_ms(f->p, &event, 1, LONG_MS) == 1);
	check_that(t, wait_ms(f->p, &event, 1, LONG_MS) == 1);
	polling_destroy(f->p);
}

static void *
fork_repeatedly(void *argument)
{
	struct forks *f = argument;
	char words[200];

	for (int i = 0; i < f->rounds && !in_trouble(&f->trouble); i++) {
		struct child c;

		if (!check_that(&f->trouble, start_child(&c, be_forked, f)))
			break;
		if (!finish_child(&c, words, sizeof(words)))
			(void)trouble_check(
			    &f->trouble, HARNESS_HERE, false, words);
	}
	return NULL;
}

static void *
use_beside_forks(void *argument)
{
	struct forks *f = argument;
	struct polling_event events[4], post = {3, 0, 0};
	polling_fd fd = f->shared[0];
	polling_fd own = f->own[atomic_fetch_add(&f->next_user, 1)][0];
	int result;

	while (!atomic_load(&f->stop)) {
		/* No child may come between these. */
		check_that(&f->trouble,
		    polling_add(f->p, own, POLLING_IN, POLLING_LEVEL, 4) == 0);
		check_that(&f->trouble, polling_delete(f->p, own) == 0);
		result = polling_add(f->p, fd, POLLING_IN, POLLING_ONESHOT, 2);
		check_that(&f->trouble, result == 0 || errno == EEXIST);
		check_that(&f->trouble, polling_post(f->p, &post) == 0);
		check_that(&f->trouble, wait_ms(f->p, events, 4, 1) >= 0);
		check_that(&f->trouble, polling_notify(f->p) == 0);
		result = polling_modify(
		    f->p, own, POLLING_IN, POLLING_LEVEL, 2);
		check_that(&f->trouble, result == 0 || errno == ENOENT);
		result = polling_delete(f->p, own);
		check_that(&f->trouble, result == 0 || errno == ENOENT);
		/* Pollers that come and go are in the way of a fork too. */
		polling_destroy(polling_create(0));
	}
	return NULL;
}

START_TEST(forks_at_any_time_do_not_lock_up)
{
	struct forks f = {.p = make_poller(), .rounds = scaled(100)};
	struct crew users = {0}, forkers = {0};

	if (!CHILDREN_CAN_ALLOCATE)
		harness_note("children do not rebuild under this sanitizer");
	make_socketpair(f.shared);
	put_bytes(f.shared[1], 1);
	for (int i = 0; i < FORK_USERS; i++) {
		make_socketpair(f.own[i]);
		crew_start(&users, use_beside_forks, &f);
	}
	for (int i = 0; i < 3; i++)
		crew_start(&forkers, fork_repeatedly, &f);
	crew_join(&forkers);
	atomic_store(&f.stop, true);
	crew_join(&users);
	expect_no_trouble(&f.trouble);
	close_pair(f.shared);
	for (int i = 0; i < FORK_USERS; i++)
		close_pair(f.own[i]);
	polling_destroy(f.p);
}
END_TEST

/* Exec */

#define EXEC_FDS 256

/* Opens everything that the library may open. */
static void
open_everything(
    struct polling *p, struct others *o, polling_fd pair[2], polling_fd *copy)
{
	add_others(p, o);
	if (polling_supports(p, POLLING_FEATURE_FD))
		ck_assert_int_ge(polling_get_fd(p), 0);
	leave_orphan(p, pair, copy);
	expect_silence(p);
	expect_ok(polling_post(p, &(struct polling_event){1, 2, 3}));
	expect_ok(polling_notify(p));
}

/* 77 */
START_TEST(internal_descriptors_are_closed_on_exec)
{
	bool inheritable[EXEC_FDS] = {false};
	struct polling *p;
	struct others others;
	polling_fd pair[2], copy;
	int found = 0;

	for (int fd = 0; fd < EXEC_FDS; fd++)
		inheritable[fd] = fcntl(fd, F_GETFD) == 0;
	p = make_poller();
	open_everything(p, &others, pair, &copy);
	for (int fd = 0; fd < EXEC_FDS; fd++) {
		int flags = fcntl(fd, F_GETFD);

		if (flags == -1)
			continue;
		found += !inheritable[fd];
		ck_assert_msg((flags & FD_CLOEXEC) || inheritable[fd],
		    "descriptor %d is not closed on exec", fd);
	}
	/* Those of this case, and some of the library. */
	ck_assert_int_gt(found, 12);
	close_fd(copy);
	close_fd(pair[1]);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

/* The shell prints which of its arguments are descriptors that it has. */
static const char exec_script[] =
    "for fd do if test -e /dev/fd/$fd; then echo $fd; fi; done";

/* In the child: runs the script, with the numbers as its arguments. */
static void
exec_shell(struct trouble *t, void *argument)
{
	char **arguments = argument;

	check_that(t, execv("/bin/sh", arguments) == 0);
}

/* Runs the script over these numbers; what it prints is the answer. */
static void
ask_shell(const int *numbers, int count, char *answer, size_t size)
{
	static char shell[] = "sh", option[] = "-c",
		    script[sizeof(exec_script)];
	char words[EXEC_FDS][12];
	char *arguments[EXEC_FDS + 5] = {shell, option, script, shell};
	struct child c;
	int saved, fds[2];
	ssize_t n;

	memcpy(script, exec_script, sizeof(exec_script));
	for (int i = 0; i < count; i++) {
		(void)snprintf(words[i], sizeof(words[i]), "%d", numbers[i]);
		arguments[4 + i] = words[i];
	}
	/* The child's standard output is the pipe. */
	ck_assert_int_eq(pipe(fds), 0);
	saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	ck_assert(duplicate_at(fds[1], STDOUT_FILENO));
	close_fd(fds[1]);
	ck_assert_int_ne(fcntl(STDOUT_FILENO, F_SETFD, 0), -1);
	ck_assert_int_ne(fcntl(fds[0], F_SETFD, FD_CLOEXEC), -1);
	ck_assert(start_child(&c, exec_shell, arguments));
	ck_assert(duplicate_at(saved, STDOUT_FILENO));
	close_fd(saved);
	ck_assert_int_ne(fcntl(STDOUT_FILENO, F_SETFD, 0), -1);
	expect_child_ok(&c);
	n = read(fds[0], answer, size - 1);
	ck_assert_int_ge(n, 0);
	answer[n] = '\0';
	close_fd(fds[0]);
}

/* 77: the same as another program sees it */
START_TEST(another_program_inherits_nothing)
{
	int numbers[EXEC_FDS], count = 0;
	char answer[1024], expected[16];
	struct polling *p;
	struct others others;
	polling_fd pair[2], copy, probe;
	bool open_before[EXEC_FDS];

	for (int fd = 0; fd < EXEC_FDS; fd++)
		open_before[fd] = fcntl(fd, F_GETFD) != -1;
	p = make_poller();
	open_everything(p, &others, pair, &copy);
	/* One that is inherited shows that the shell can tell. */
	probe = dup(copy);
	for (int fd = 0; fd < EXEC_FDS; fd++) {
		if (!open_before[fd] && fcntl(fd, F_GETFD) != -1)
			numbers[count++] = fd;
	}
	ask_shell(numbers, count, answer, sizeof(answer));
	(void)snprintf(expected, sizeof(expected), "%d\n", probe);
	close_fd(probe);
	close_fd(copy);
	close_fd(pair[1]);
	close_others(&others);
	polling_destroy(p);
	if (answer[0] == '\0')
		SKIP("/dev/fd does not tell what is open here");
	ck_assert_str_eq(answer, expected);
}
END_TEST

void
add_lifetime_forks(Suite *s)
{
	CASE_LOOP(
	    s, a_child_leaves_the_parent_alone, CASE_SECONDS, 0, CHILD_ACTS);
	/* The acts that look at the world need it without posts. */
	CASE_LOOP(s, posts_and_notifications_stay_with_the_parent, CASE_SECONDS,
	    0, CHILD_ACTS);
	CASE(s, a_rebuilt_poller_begins_without_posts);
	CASE_LOOP(s, children_may_fork, CASE_SECONDS, 0, 2);
	CASE(s, rebuilding_drops_what_the_child_closed);
	CASE(s, rebuilding_drops_what_the_child_replaced);
	CASE(s, what_the_parent_replaced_is_rebuilt);
	CASE(s, changes_before_a_fork_are_rebuilt);
	CASE(s, many_sources_are_rebuilt);
	CASE(s, a_fork_beside_blocked_waits);
	CASE_LIMIT(s, forks_at_any_time_do_not_lock_up, 2 * CASE_SECONDS);
	CASE(s, internal_descriptors_are_closed_on_exec);
	CASE(s, another_program_inherits_nothing);
}
