/* SPDX-License-Identifier: MIT */
/*
 * Closing without deleting, fork, exec, and systems that run out of
 * descriptors or memory. The numbers are those of the conformance catalogue,
 * part G; and of 85 what needs neither timers nor signals.
 *
 * The one hard idea: this file replaces malloc() and its like, for the
 * library too, so that each allocation can be made to fail in turn.
 */
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"

#if defined(__has_feature)
#define SANITIZED_BY(name) __has_feature(name)
#else
#define SANITIZED_BY(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZED_BY(address_sanitizer) || \
    SANITIZED_BY(leak_sanitizer) || SANITIZED_BY(memory_sanitizer)
#define SANITIZED 1
/* A fork may come while another thread holds a lock of its allocator. */
#define CHILDREN_CAN_ALLOCATE 0
#elif defined(__SANITIZE_THREAD__) || SANITIZED_BY(thread_sanitizer)
#define SANITIZED             1
#define CHILDREN_CAN_ALLOCATE 1
#else
#define SANITIZED             0
#define CHILDREN_CAN_ALLOCATE 1
#endif

/* Closing */

/* Nothing is reported, and a wait sleeps instead of turning round. */
static void
expect_silence(struct polling *p)
{
	int64_t start, cpu;

	for (int i = 0; i < 20; i++)
		expect_nothing(p);
	start = now_ns();
	cpu = cpu_ns();
	expect_nothing_for(p, 100);
	cpu = cpu_ns() - cpu;
	ck_assert_msg(cpu < (now_ns() - start) / 4,
	    "a wait without events took %.3f ms of CPU time",
	    (double)cpu / 1e6);
}

/*
 * For what has reported before it was closed: the library may need some more
 * reports to find out. They are few, and then there is silence.
 */
static void
expect_silence_soon(struct polling *p)
{
	struct polling_event event;
	int events = 0;

	while (wait_ms(p, &event, 1, 0) > 0)
		ck_assert_msg(events++ < 5000, "a closed source never ends");
	expect_silence(p);
}

/* Makes number, open or not, the descriptor that fd is. */
static void
move_fd(polling_fd fd, polling_fd number)
{
	ck_assert_int_ne(fd, number);
	ck_assert_int_eq(dup2(fd, number), number);
	ck_assert_int_ne(fcntl(number, F_SETFD, FD_CLOEXEC), -1);
	close_fd(fd);
}

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
static void
reuse_number(enum polling_mode old_mode, enum polling_mode new_mode,
    int history, bool close_first)
{
	struct polling *p = make_poller();
	polling_fd pair[2], other[2];

	add_with_history(p, pair, old_mode, history);
	make_socketpair(other);
	if (close_first)
		close_fd(pair[0]);
	move_fd(other[0], pair[0]);
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
}

/* 73 */
START_TEST(a_number_used_again_can_be_added)
{
	enum polling_mode mode = (enum polling_mode)_i;

	for (int history = 0; history < HISTORIES; history++) {
		reuse_number(mode, mode, history, true);
		reuse_number(mode, mode, history, false);
		reuse_number(mode, POLLING_LEVEL, history, true);
		reuse_number(POLLING_LEVEL, mode, history, false);
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
		move_fd(other[0], pair[0]);
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
		move_fd(copy, pair[0]);
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

/* Sources of which a closed one must not take anything away. */
struct others {
	polling_fd level[2];
	polling_fd armed[2];
	polling_fd fired[2];
	polling_fd disarmed[2];
	polling_fd edge[2];
	enum polling_mode edge_mode; /* LEVEL where edges are not supported */
};

static void
add_others(struct polling *p, struct others *o)
{
	o->edge_mode = mode_works(p, POLLING_EDGE) ? POLLING_EDGE
						   : POLLING_LEVEL;
	make_socketpair(o->level);
	make_socketpair(o->armed);
	make_socketpair(o->fired);
	make_socketpair(o->disarmed);
	make_socketpair(o->edge);
	put_bytes(o->fired[1], 1);
	put_bytes(o->disarmed[1], 1);
	expect_ok(polling_add(p, o->fired[0], POLLING_IN, POLLING_ONESHOT, 12));
	expect_events(p, 0, {12, POLLING_IN});
	expect_ok(polling_add(p, o->level[0], POLLING_IN, POLLING_LEVEL, 10));
	expect_ok(polling_add(p, o->armed[0], POLLING_IN, POLLING_ONESHOT, 11));
	expect_ok(polling_add(p, o->disarmed[0], 0, POLLING_LEVEL, 13));
	expect_ok(polling_add(p, o->edge[0], POLLING_IN, o->edge_mode, 14));
}

/* Each is as it was, and still works. */
static void
expect_others(struct polling *p, struct others *o)
{
	expect_nothing(p);
	put_bytes(o->level[1], 1);
	expect_events(p, LONG_MS, {10, POLLING_IN});
	expect_events(p, 0, {10, POLLING_IN});
	drain(o->level[0]);
	put_bytes(o->armed[1], 1);
	expect_events(p, LONG_MS, {11, POLLING_IN});
	drain(o->armed[0]);
	put_bytes(o->edge[1], 1);
	expect_events(p, LONG_MS, {14, POLLING_IN});
	drain(o->edge[0]);
	expect_nothing(p);
	expect_ok(
	    polling_modify(p, o->armed[0], POLLING_IN, POLLING_ONESHOT, 11));
	expect_ok(
	    polling_modify(p, o->fired[0], POLLING_IN, POLLING_ONESHOT, 12));
	expect_events(p, 0, {12, POLLING_IN});
	expect_nothing(p);
}

static void
close_others(struct others *o)
{
	close_pair(o->level);
	close_pair(o->armed);
	close_pair(o->fired);
	close_pair(o->disarmed);
	close_pair(o->edge);
}

/* Leaves a closed level source that reports for as long as *copy is open. */
static void
leave_orphan(struct polling *p, polling_fd pair[2], polling_fd *copy)
{
	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	*copy = duplicate_fd(pair[0]);
	close_fd(pair[0]);
	put_bytes(pair[1], 1);
}

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

/* A thread that waits for what comes last. */
struct patient {
	struct polling *p;
	atomic_int *returned; /* how many such threads have their event */
	struct polling_event event;
	int count;
};

static void *
wait_patiently(void *argument)
{
	struct patient *w = argument;

	w->count = wait_ms(w->p, &w->event, 1, -1);
	atomic_fetch_add(w->returned, 1);
	return NULL;
}

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

/* Fork */

/*
 * A child that runs act(trouble, argument). What it finds wrong comes back
 * through a pipe. It does not fail by itself, since it is no case.
 */
struct child {
	pid_t pid;
	int words; /* the pipe's end to read from */
};

#define CHILD_SECONDS 40 /* and it is gone, should it hang */

static bool
start_child(
    struct child *c, void (*act)(struct trouble *, void *), void *argument)
{
	struct trouble trouble = {0};
	int fds[2];

	if (pipe(fds) != 0)
		return false;
	c->words = fds[0];
	c->pid = fork();
	if (c->pid == 0) {
		(void)close(fds[0]);
		/* Check's handler would kill the case too. */
		(void)signal(SIGALRM, SIG_DFL);
		(void)alarm((unsigned)(CHILD_SECONDS * time_scale()));
		act(&trouble, argument);
		if (write(fds[1], trouble.text, strlen(trouble.text)) < 0)
			_exit(2);
		_exit(in_trouble(&trouble));
	}
	(void)close(fds[1]);
	if (c->pid != -1)
		return true;
	(void)close(fds[0]);
	return false;
}

/* Waits for its end. False if it found something or ended otherwise. */
static bool
finish_child(struct child *c, char *words, size_t size)
{
	size_t length = 0;
	ssize_t n;
	int status = -1;

	while (length < size - 1 &&
	       (n = read(c->words, words + length, size - 1 - length)) != 0) {
		if (n > 0)
			length += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	words[length] = '\0';
	(void)close(c->words);
	while (waitpid(c->pid, &status, 0) == -1 && errno == EINTR)
		;
	if (length == 0 && WIFSIGNALED(status))
		(void)snprintf(
		    words, size, "killed by signal %d", WTERMSIG(status));
	else if (length == 0)
		(void)snprintf(
		    words, size, "wait status %#x", (unsigned)status);
	return status == 0;
}

static void
expect_child_ok(struct child *c)
{
	char words[256];
	bool ok = finish_child(c, words, sizeof(words));

	ck_assert_msg(ok, "in a child: %s", words);
}

static void
run_child(void (*act)(struct trouble *, void *), void *argument)
{
	struct child c;

	ck_assert(start_child(&c, act, argument));
	expect_child_ok(&c);
}

/* A poller with sources of every kind, for parents and children. */
enum {
	READY,        /* level, data there */
	ARMED,        /* oneshot, data there */
	FIRED,        /* oneshot, data there, has reported */
	DISARMED,     /* interest 0, data there */
	IDLE,         /* level, nothing there */
	WRITABLE,     /* oneshot, to be written */
	EDGE,         /* data there, not reported yet */
	FILE_LEVEL,   /* a file */
	FILE_ONESHOT, /* another */
	SOURCES
};

struct world {
	struct polling *p;
	polling_fd pairs[SOURCES][2]; /* NO_FD for what there is not */
};

#define WORLD_KEY(i) (UINTPTR_MAX - (uintptr_t)(i))

static bool
has_source(const struct world *w, int i)
{
	return w->pairs[i][0] != NO_FD;
}

static uint32_t
world_interest(int i)
{
	if (i == DISARMED)
		return 0;
	return i == WRITABLE ? POLLING_OUT : POLLING_IN;
}

static enum polling_mode
world_mode(int i)
{
	switch (i) {
	case READY:
	case IDLE:
	case DISARMED:
	case FILE_LEVEL:
		return POLLING_LEVEL;
	case EDGE:
		return POLLING_EDGE;
	default:
		return POLLING_ONESHOT;
	}
}

static void
open_world_source(struct world *w, int i)
{
	w->pairs[i][0] = w->pairs[i][1] = NO_FD;
	if (i == EDGE && !mode_works(w->p, POLLING_EDGE))
		return;
	if (i == FILE_LEVEL || i == FILE_ONESHOT) {
		if (!polling_supports(w->p, POLLING_FEATURE_FILE))
			return;
		w->pairs[i][0] = open("/", O_RDONLY | O_CLOEXEC);
		ck_assert_int_ne(w->pairs[i][0], -1);
		return;
	}
	make_socketpair(w->pairs[i]);
	if (i != IDLE)
		put_bytes(w->pairs[i][1], 1);
}

/* The fired one is the first, so that the others have not reported yet. */
static void
make_world(struct world *w)
{
	static const int order[SOURCES] = {FIRED, READY, ARMED, DISARMED, IDLE,
	    WRITABLE, EDGE, FILE_LEVEL, FILE_ONESHOT};

	w->p = make_poller();
	for (int n = 0; n < SOURCES; n++) {
		int i = order[n];

		open_world_source(w, i);
		if (!has_source(w, i))
			continue;
		expect_ok(polling_add(w->p, w->pairs[i][0], world_interest(i),
		    world_mode(i), WORLD_KEY(i)));
		if (i == FIRED)
			expect_events(w->p, 0, {WORLD_KEY(i), POLLING_IN});
	}
}

static void
destroy_world(struct world *w)
{
	for (int i = 0; i < SOURCES; i++) {
		if (w->pairs[i][0] != NO_FD)
			close_fd(w->pairs[i][0]);
		if (w->pairs[i][1] != NO_FD)
			close_fd(w->pairs[i][1]);
	}
	polling_destroy(w->p);
}

/* One wait gives just the sources of the mask, a bit for each. */
static bool
world_reports(const struct world *w, unsigned mask)
{
	struct polling_event events[SOURCES + 1];
	int n = wait_ms(w->p, events, SOURCES + 1, 0);
	unsigned seen = 0;

	for (int i = 0; i < n; i++) {
		uintptr_t source = UINTPTR_MAX - events[i].key;

		if (source >= SOURCES || (seen & 1u << source) ||
		    events[i].events != world_interest((int)source) ||
		    events[i].data != 0)
			return false;
		seen |= 1u << source;
	}
	for (int i = 0; i < SOURCES; i++)
		if (!has_source(w, i))
			mask &= ~(1u << i);
	return n >= 0 && seen == mask;
}

/* Writes and reads through a source that is idle. */
static void
check_idle_source(struct trouble *t, struct world *w)
{
	char byte;

	check_that(t, write_fd(w->pairs[IDLE][1], "x", 1) == 1);
	check_that(
	    t, world_reports(w, 1u << READY | 1u << FILE_LEVEL | 1u << IDLE));
	check_that(t, read_fd(w->pairs[IDLE][0], &byte, 1) == 1);
	check_that(t, world_reports(w, 1u << READY | 1u << FILE_LEVEL));
}

/* Everything is as make_world() left it, and works. It ends with nothing
 * registered, and leaves the pairs as they were. */
static void
check_world(struct trouble *t, struct world *w)
{
	const unsigned level = 1u << READY | 1u << FILE_LEVEL;

	check_that(t, world_reports(w, level | 1u << ARMED | 1u << WRITABLE |
					   1u << EDGE | 1u << FILE_ONESHOT));
	check_that(t, world_reports(w, level));
	check_that(t, world_reports(w, level));
	check_idle_source(t, w);
	for (int i = 0; i < SOURCES; i++) {
		bool again = i == FIRED || i == ARMED || i == DISARMED ||
			     i == WRITABLE || i == FILE_ONESHOT;

		if (!again || !has_source(w, i))
			continue;
		check_that(
		    t, polling_modify(w->p, w->pairs[i][0],
			   i == DISARMED ? POLLING_IN : world_interest(i),
			   POLLING_ONESHOT,
			   WORLD_KEY(i == DISARMED ? FIRED : i)) == 0);
		check_that(t, world_reports(w,
				  level | (1u << (i == DISARMED ? FIRED : i))));
	}
	for (int i = 0; i < SOURCES; i++) {
		if (!has_source(w, i))
			continue;
		check_that(t, polling_delete(w->p, w->pairs[i][0]) == 0);
		check_that(t, polling_delete(w->p, w->pairs[i][0]) == -1 &&
				  errno == ENOENT);
	}
	check_that(t, world_reports(w, 0));
}

static void
expect_world(struct world *w)
{
	struct trouble trouble = {0};

	check_world(&trouble, w);
	expect_no_trouble(&trouble);
}

/* Did the call, just made, fail with this? */
static bool
failed_with(int result, int code)
{
	return result == -1 && errno == code;
}

/* In a child that has not called polling_reinit(). */
static void
check_inherited(struct trouble *t, struct world *w)
{
	polling_fd fd = w->pairs[READY][0], new_fd = w->pairs[READY][1];
	struct polling_event event = {1, 2, 3};
	struct timespec now;

	polling_now(&now);
	check_that(t,
	    failed_with(polling_add(w->p, new_fd, POLLING_IN, POLLING_LEVEL, 1),
		EBADF));
	check_that(t,
	    failed_with(
		polling_modify(w->p, fd, POLLING_IN, POLLING_LEVEL, 1), EBADF));
	check_that(t, failed_with(polling_delete(w->p, fd), EBADF));
	check_that(t, failed_with(wait_ms(w->p, &event, 1, 0), EBADF));
	check_that(t, failed_with(wait_ms(w->p, &event, 1, 1000), EBADF));
	check_that(t, failed_with(wait_ms(w->p, &event, 1, -1), EBADF));
	check_that(
	    t, failed_with(polling_wait_until(w->p, &event, 1, &now), EBADF));
	check_that(t, failed_with(polling_notify(w->p), EBADF));
	check_that(t, failed_with(polling_post(w->p, &event), EBADF));
	check_that(t, failed_with(polling_get_fd(w->p), EBADF));
	check_that(t, event.key == 1 && event.events == 2 && event.data == 3);
	check_that(t, polling_supports(w->p, POLLING_FEATURE_LEVEL) == 1);
}

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

/* 76: the parent's calls go on as if nothing had happened */
START_TEST(rebuilding_ones_own_poller_changes_nothing)
{
	struct world w;
	struct polling_event event = {1, 2, 3};
	int fd = -1;

	make_world(&w);
	if (polling_supports(w.p, POLLING_FEATURE_FD))
		fd = polling_get_fd(w.p);
	expect_ok(polling_reinit(w.p));
	expect_world(&w);
	expect_ok(polling_post(w.p, &event));
	expect_ok(polling_reinit(w.p));
	ck_assert_int_eq(wait_ms(w.p, &event, 1, 0), 1);
	expect_ok(polling_notify(w.p));
	expect_ok(polling_reinit(w.p));
	ck_assert_int_eq(wait_ms(w.p, &event, 1, -1), 0);
	if (fd != -1)
		ck_assert_int_eq(polling_get_fd(w.p), fd);
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
	move_fd(fds[1], STDOUT_FILENO);
	ck_assert_int_ne(fcntl(STDOUT_FILENO, F_SETFD, 0), -1);
	ck_assert_int_ne(fcntl(fds[0], F_SETFD, FD_CLOEXEC), -1);
	ck_assert(start_child(&c, exec_shell, arguments));
	move_fd(saved, STDOUT_FILENO);
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

/* Without descriptors */

static struct rlimit full_limit;

/* Leaves this many numbers to be opened. */
static void
leave_descriptors(int count)
{
	struct rlimit limit;
	int fd = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &full_limit), 0);
	for (;; fd++) {
		if (fcntl(fd, F_GETFD) == -1 && count-- == 0)
			break;
	}
	limit = full_limit;
	limit.rlim_cur = (rlim_t)fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void
restore_descriptors(void)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full_limit), 0);
}

/* More than any call opens. */
#define STEPS_MAX 32

/* 78 */
START_TEST(creating_without_descriptors_fails_cleanly)
{
	int before = count_fds();
	struct polling *p = NULL;
	int left;

	for (left = 0; p == NULL && left < STEPS_MAX; left++) {
		leave_descriptors(left);
		errno = 0;
		p = polling_create(0);
		ck_assert(p != NULL || errno == EMFILE);
		restore_descriptors();
		if (p == NULL)
			ck_assert_int_eq(count_fds(), before);
	}
	ck_assert_ptr_nonnull(p);
	expect_nothing(p);
	polling_destroy(p);
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

/* 78 */
START_TEST(nesting_without_descriptors_fails_cleanly)
{
	struct polling *probe = make_poller();
	struct world w;
	int fd = -1, failures = 0, before;

	SKIP_UNLESS(probe, POLLING_FEATURE_FD, "no polling_get_fd()");
	polling_destroy(probe);
	make_world(&w);
	before = count_fds();
	for (int left = 0; fd == -1 && left < STEPS_MAX; left++) {
		leave_descriptors(left);
		errno = 0;
		fd = polling_get_fd(w.p);
		ck_assert(fd != -1 || errno == EMFILE);
		restore_descriptors();
		failures += fd == -1;
		if (fd == -1)
			ck_assert_int_eq(count_fds(), before);
	}
	ck_assert_int_ge(fd, 0);
	harness_note("%d failures", failures);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

/* 78: everything else needs no descriptor, or says so and can be repeated */
START_TEST(a_poller_works_without_descriptors)
{
	struct polling *p = make_poller();
	struct polling_event event = {1, 2, 3};
	struct others others;
	polling_fd pair[2];
	int result, error;

	add_others(p, &others);
	make_socketpair(pair);
	leave_descriptors(0);
	errno = 0;
	result = polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1);
	error = errno;
	expect_others(p, &others);
	expect_ok(polling_post(p, &event));
	ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
	expect_ok(polling_notify(p));
	ck_assert_int_eq(wait_ms(p, &event, 1, -1), 0);
	expect_ok(polling_delete(p, others.disarmed[0]));
	restore_descriptors();
	if (result != 0) {
		ck_assert_int_eq(error, EMFILE);
		expect_error(polling_delete(p, pair[0]), ENOENT);
		expect_ok(
		    polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	}
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	close_pair(pair);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

/* 78: what a closed source needs to be silenced may have to wait */
START_TEST(a_closed_source_without_descriptors_does_no_harm)
{
	struct polling *p = make_poller();
	struct others others;
	polling_fd pair[2], copy;

	add_others(p, &others);
	leave_orphan(p, pair, &copy);
	leave_descriptors(0);
	for (int i = 0; i < 100; i++)
		expect_nothing(p);
	expect_nothing_for(p, 20);
	expect_others(p, &others);
	restore_descriptors();
	expect_silence(p);
	expect_others(p, &others);
	close_fd(copy);
	close_fd(pair[1]);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

static void
rebuild_without_descriptors(struct trouble *t, void *argument)
{
	struct world *w = argument;
	int result = -1, before = count_fds();

	for (int left = 0; result == -1 && left < STEPS_MAX; left++) {
		leave_descriptors(left);
		errno = 0;
		result = polling_reinit(w->p);
		check_that(t, result == 0 || errno == EMFILE);
		restore_descriptors();
		if (result == 0)
			break;
		check_that(t, count_fds() == before);
		check_inherited(t, w);
	}
	check_that(t, result == 0);
	check_world(t, w);
	polling_destroy(w->p);
}

/* 78 */
START_TEST(rebuilding_without_descriptors_fails_cleanly)
{
	struct world w;

	make_world(&w);
	run_child(rebuild_without_descriptors, &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

/* Without memory */

#if SANITIZED
#define NO_FAILING_MALLOC "a sanitizer owns malloc()"
#elif !defined(__GLIBC__)
#define NO_FAILING_MALLOC "no way to replace malloc() in this C library"
#endif

#ifndef NO_FAILING_MALLOC

/* The C library's own, under the names that it keeps for such as us. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

/* Allocations that succeed before all others fail; below 0 for no limit. */
static atomic_int allocations_left = -1;
static atomic_int allocations; /* that were asked for */
static atomic_int balance;     /* allocated and not freed */

static bool
may_allocate(void)
{
	int left = atomic_load(&allocations_left);

	atomic_fetch_add(&allocations, 1);
	if (left > 0)
		atomic_fetch_sub(&allocations_left, 1);
	if (left == 0)
		errno = ENOMEM;
	return left != 0;
}

static void *
allocated(void *memory)
{
	if (memory != NULL)
		atomic_fetch_add(&balance, 1);
	return memory;
}

void *
malloc(size_t size)
{
	return may_allocate() ? allocated(__libc_malloc(size)) : NULL;
}

void *
calloc(size_t count, size_t size)
{
	return may_allocate() ? allocated(__libc_calloc(count, size)) : NULL;
}

void *
realloc(void *memory, size_t size)
{
	if (!may_allocate())
		return NULL;
	if (memory == NULL)
		return allocated(__libc_realloc(memory, size));
	return __libc_realloc(memory, size);
}

void
free(void *memory)
{
	if (memory != NULL)
		atomic_fetch_sub(&balance, 1);
	__libc_free(memory);
}

static void
leave_allocations(int count)
{
	atomic_store(&allocations_left, count);
}

static void
restore_allocations(void)
{
	atomic_store(&allocations_left, -1);
}

/* NULL if allocations of the library fail on demand, else why they do not. */
static const char *
why_malloc_cannot_fail(void)
{
	void *(*volatile allocate)(size_t) = malloc;
	struct polling *p;
	void *memory;

	leave_allocations(0);
	memory = allocate(16);
	restore_allocations();
	free(memory);
	if (memory != NULL)
		return "malloc() is not replaced: a tool owns it";
	allocations = 0;
	p = polling_create(0);
	polling_destroy(p);
	return allocations == 0 ? "the library's malloc() is not replaced"
				: NULL;
}

#define SKIP_UNLESS_MALLOC_FAILS()                           \
	do {                                                 \
		const char *why_ = why_malloc_cannot_fail(); \
		if (why_ != NULL)                            \
			SKIP("%s", why_);                    \
	} while (0)

/* No call makes more; a bound for loops. */
#define ALLOCATIONS_MAX 1000

/* 78 */
START_TEST(creating_without_memory_fails_cleanly)
{
	struct polling *p = NULL;
	int fds = count_fds(), before = balance, left;

	SKIP_UNLESS_MALLOC_FAILS();
	for (left = 0; p == NULL && left < ALLOCATIONS_MAX; left++) {
		leave_allocations(left);
		errno = 0;
		p = polling_create(0);
		restore_allocations();
		if (p != NULL)
			break;
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_int_eq(count_fds(), fds);
		ck_assert_int_eq(balance, before);
	}
	ck_assert_ptr_nonnull(p);
	ck_assert_int_ge(left, 1);
	expect_nothing(p);
	polling_destroy(p);
	ck_assert_int_eq(balance, before);
}
END_TEST

/* Adds fd, with each allocation failing in turn. Returns how many did. */
static int
add_with_failures(struct polling *p, polling_fd fd, uintptr_t key)
{
	for (int left = 0; left < ALLOCATIONS_MAX; left++) {
		int result, error;

		leave_allocations(left);
		errno = 0;
		result = polling_add(p, fd, POLLING_IN, POLLING_ONESHOT, key);
		error = errno;
		restore_allocations();
		if (result == 0)
			return left;
		ck_assert_int_eq(error, ENOMEM);
		expect_error(
		    polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, key),
		    ENOENT);
		expect_nothing(p);
	}
	ck_abort_msg("polling_add never succeeded");
	return -1;
}

#define NEEDY 200

/* 78 */
START_TEST(adding_without_memory_fails_cleanly)
{
	struct polling *p;
	polling_fd pairs[NEEDY][2];
	int before = balance, failures = 0, fds;

	SKIP_UNLESS_MALLOC_FAILS();
	if (raise_fd_limit(2 * NEEDY + 100) != 0)
		SKIP("the limit on descriptors is too low");
	p = make_poller();
	for (int i = 0; i < NEEDY; i++)
		make_socketpair(pairs[i]);
	fds = count_fds();
	for (uintptr_t i = 0; i < NEEDY; i++)
		failures += add_with_failures(p, pairs[i][0], i);
	ck_assert_int_ge(failures, 1);
	ck_assert_int_eq(count_fds(), fds);
	for (uintptr_t i = 0; i < NEEDY; i++) {
		put_bytes(pairs[i][1], 1);
		expect_events(p, LONG_MS, {i, POLLING_IN});
		close_pair(pairs[i]);
	}
	polling_destroy(p);
	ck_assert_int_eq(balance, before);
}
END_TEST

/* 78 */
START_TEST(posting_without_memory_fails_cleanly)
{
	struct polling *p;
	struct polling_event event = {0, 0, 0};
	int before = balance, failures = 0;

	SKIP_UNLESS_MALLOC_FAILS();
	p = make_poller();
	for (uint32_t i = 0; i < 5000;) {
		int result, error;

		/* Every other time there is memory. */
		event.data = i;
		leave_allocations(failures % 2 == 0 ? 0 : -1);
		result = polling_post(p, &event);
		error = errno;
		restore_allocations();
		if (result == 0) {
			failures += failures % 2;
			i++;
			continue;
		}
		ck_assert_int_eq(error, ENOMEM);
		failures++;
	}
	ck_assert_int_ge(failures, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		ck_assert_uint_eq(event.data, i);
	}
	expect_nothing_for(p, 20);
	polling_destroy(p);
	ck_assert_int_eq(balance, before);
}
END_TEST

/* 78: what is not said to need memory does not */
START_TEST(a_poller_works_without_memory)
{
	struct world w;
	struct polling_event event = {1, 2, 3};
	struct trouble trouble = {0};
	int notified, waited;

	SKIP_UNLESS_MALLOC_FAILS();
	make_world(&w);
	leave_allocations(0);
	check_world(&trouble, &w);
	notified = polling_notify(w.p);
	waited = wait_ms(w.p, &event, 1, -1);
	restore_allocations();
	expect_no_trouble(&trouble);
	ck_assert_int_eq(notified, 0);
	ck_assert_int_eq(waited, 0);
	destroy_world(&w);
}
END_TEST

/* 78 */
START_TEST(nesting_without_memory_fails_cleanly)
{
	struct polling *probe = make_poller();
	struct world w;
	int fd = -1;

	SKIP_UNLESS(probe, POLLING_FEATURE_FD, "no polling_get_fd()");
	polling_destroy(probe);
	SKIP_UNLESS_MALLOC_FAILS();
	make_world(&w);
	for (int left = 0; fd == -1 && left < ALLOCATIONS_MAX; left++) {
		leave_allocations(left);
		fd = polling_get_fd(w.p);
		restore_allocations();
		ck_assert(fd != -1 || errno == ENOMEM);
	}
	ck_assert_int_ge(fd, 0);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

static void
rebuild_without_memory(struct trouble *t, void *argument)
{
	struct world *w = argument;
	int result = -1, before = count_fds(), error;

	for (int left = 0; result == -1 && left < ALLOCATIONS_MAX; left++) {
		leave_allocations(left);
		errno = 0;
		result = polling_reinit(w->p);
		error = errno;
		restore_allocations();
		if (result == 0)
			break;
		check_that(t, error == ENOMEM);
		check_that(t, count_fds() == before);
		check_inherited(t, w);
	}
	check_that(t, result == 0);
	check_world(t, w);
	polling_destroy(w->p);
}

/* 78 */
START_TEST(rebuilding_without_memory_fails_cleanly)
{
	struct world w;

	SKIP_UNLESS_MALLOC_FAILS();
	make_world(&w);
	run_child(rebuild_without_memory, &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

static void
add_memory(Suite *s)
{
	CASE(s, creating_without_memory_fails_cleanly);
	CASE(s, adding_without_memory_fails_cleanly);
	CASE(s, posting_without_memory_fails_cleanly);
	CASE(s, a_poller_works_without_memory);
	CASE(s, nesting_without_memory_fails_cleanly);
	CASE(s, rebuilding_without_memory_fails_cleanly);
}

#else

START_TEST(a_poller_works_without_memory)
{
	SKIP("%s", NO_FAILING_MALLOC);
}
END_TEST

static void
add_memory(Suite *s)
{
	CASE(s, a_poller_works_without_memory);
}

#endif

/* Nesting */

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

static void
add_closing(Suite *s)
{
	CASE_MODES(s, a_number_used_again_can_be_added);
	CASE_MODES(s, a_number_used_again_is_not_watched_by_itself);
	CASE_MODES(s, numbers_are_used_again_and_again);
	CASE_MODES(s, a_source_closed_beside_a_duplicate_is_silent);
	CASE_MODES(s, a_writable_source_closed_beside_a_duplicate_is_silent);
	CASE_MODES(s, a_source_that_had_reported_ends_when_closed);
	CASE_MODES(s, a_duplicate_can_take_the_closed_number);
	CASE(s, closed_sources_do_not_disturb_others);
	CASE(s, closed_sources_do_not_disturb_blocked_waits);
	CASE_PAIRS(s, a_closed_level_source_is_silent);
	CASE_PAIRS(s, a_closed_writable_or_hung_up_source_is_silent);
	CASE(s, a_source_closed_during_a_wait_is_silent);
}

static void
add_forks(Suite *s)
{
	CASE_LOOP(
	    s, a_child_leaves_the_parent_alone, CASE_SECONDS, 0, CHILD_ACTS);
	/* The acts that look at the world need it without posts. */
	CASE_LOOP(s, posts_and_notifications_stay_with_the_parent, CASE_SECONDS,
	    0, CHILD_ACTS);
	CASE(s, a_rebuilt_poller_begins_without_posts);
	CASE_LOOP(s, children_may_fork, CASE_SECONDS, 0, 2);
	CASE(s, rebuilding_ones_own_poller_changes_nothing);
	CASE(s, rebuilding_drops_what_the_child_closed);
	CASE(s, rebuilding_drops_what_the_child_replaced);
	CASE(s, many_sources_are_rebuilt);
	CASE(s, a_fork_beside_blocked_waits);
	CASE_LIMIT(s, forks_at_any_time_do_not_lock_up, 2 * CASE_SECONDS);
	CASE(s, internal_descriptors_are_closed_on_exec);
	CASE(s, another_program_inherits_nothing);
}

static void
add_nesting(Suite *s)
{
	CASE(s, the_descriptor_is_one_or_none);
	CASE_MODES(s, the_descriptor_tells_of_sources);
	CASE_LOOP(
	    s, the_descriptor_tells_of_what_was_before, CASE_SECONDS, 0, 3);
	CASE(s, the_descriptor_tells_of_posts);
	CASE(s, the_descriptor_tells_of_a_notification);
	CASE(s, the_descriptor_tells_of_files);
	CASE(s, the_descriptor_outlives_closed_sources);
	CASE(s, the_descriptor_wakes_poll);
	CASE_LOOP(s, pollers_nest, CASE_SECONDS, 0, 2);
}

Suite *
suite_lifetime(void)
{
	Suite *s = suite_create("lifetime");

	add_closing(s);
	add_forks(s);
	CASE(s, creating_without_descriptors_fails_cleanly);
	CASE(s, nesting_without_descriptors_fails_cleanly);
	CASE(s, a_poller_works_without_descriptors);
	CASE(s, a_closed_source_without_descriptors_does_no_harm);
	CASE(s, rebuilding_without_descriptors_fails_cleanly);
	add_memory(s);
	add_nesting(s);
	return s;
}
