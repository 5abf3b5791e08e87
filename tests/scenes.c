/* SPDX-License-Identifier: MIT */
/* Scenes that several suites set up; see scenes.h. */
#include "harness.h"

#include "scenes.h"

int
wait_as(struct polling *p, struct polling_event *events, int capacity, int kind)
{
	struct timespec deadline;

	switch (kind) {
	case WAIT_FOR_EVER:
		return wait_ms(p, events, capacity, -1);
	case WAIT_LONG:
		return wait_ms(p, events, capacity, 10 * LONG_MS);
	default:
		polling_now(&deadline);
		deadline.tv_sec += 10 * LONG_MS / 1000;
		return polling_wait_until(p, events, capacity, &deadline);
	}
}

void
expect_wait_ended(const char *file, int line, struct polling *p, int kind,
    int64_t start, int min_ms, int count)
{
	struct polling_event events[8];
	int n = wait_as(p, events, 8, kind);

	ck_assert_msg(n == count, "%s:%d: the wait returned %d, expected %d",
	    file, line, n, count);
	harness_expect_elapsed(file, line, start, min_ms, LONG_MS);
}

/* How long a wait in which nothing comes slept; it is not to take much time of
 * a processor. */
static int64_t
time_slept(struct polling *p)
{
	int64_t start = now_ns(), cpu = cpu_ns(), queued = queued_ns(), wall;

	expect_nothing_for(p, 100);
	queued = queued_ns() - queued;
	cpu = cpu_ns() - cpu;
	wall = now_ns() - start;
	ck_assert_msg(cpu < wall / 4,
	    "a wait without events took %.3f ms of CPU time",
	    (double)cpu / 1e6);
	return wall - cpu - queued;
}

#define SILENT_WAITS 10

/* Nothing is reported, and waits sleep instead of turning round. Beside many
 * other programs what turns round gets little time of a processor, but it still
 * asks for all; and what would sleep may get one when the time is almost over,
 * but not again and again. */
void
expect_silence(struct polling *p)
{
	int waits = 1;

	for (int i = 0; i < 20; i++)
		expect_nothing(p);
	while (time_slept(p) < 20 * NS_PER_MS)
		ck_assert_msg(++waits <= SILENT_WAITS,
		    "%d waits in turn did not sleep", SILENT_WAITS);
}

/*
 * For what has reported before it was closed: the library may need some more
 * reports to find out. They are few, and then there is silence.
 */
void
expect_silence_soon(struct polling *p)
{
	struct polling_event event;
	int events = 0;

	while (wait_ms(p, &event, 1, 0) > 0)
		ck_assert_msg(events++ < 5000, "a closed source never ends");
	expect_silence(p);
}

void
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
void
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

void
close_others(struct others *o)
{
	close_pair(o->level);
	close_pair(o->armed);
	close_pair(o->fired);
	close_pair(o->disarmed);
	close_pair(o->edge);
}

/* Leaves a closed level source that reports for as long as *copy is open. */
void
leave_orphan(struct polling *p, polling_fd pair[2], polling_fd *copy)
{
	make_socketpair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	*copy = duplicate_fd(pair[0]);
	close_fd(pair[0]);
	put_bytes(pair[1], 1);
}

void *
wait_patiently(void *argument)
{
	struct patient *w = argument;

	w->count = wait_ms(w->p, &w->event, 1, -1);
	atomic_fetch_add(w->returned, 1);
	return NULL;
}

bool
has_source(const struct world *w, int i)
{
	return w->pairs[i][0] != NO_FD;
}

uint32_t
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
		w->pairs[i][0] = open_directory();
		return;
	}
	make_socketpair(w->pairs[i]);
	if (i != IDLE)
		put_bytes(w->pairs[i][1], 1);
}

/* The fired one is the first, so that the others have not reported yet. */
void
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

void
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
bool
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
void
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

void
expect_world(struct world *w)
{
	struct trouble trouble = {0};

	check_world(&trouble, w);
	expect_no_trouble(&trouble);
}

/* Did the call, just made, fail with this? */
bool
failed_with(int result, int code)
{
	return result == -1 && errno == code;
}
