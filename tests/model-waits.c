/* SPDX-License-Identifier: MIT */
/*
 * model-waits.c - waits, whose events must be those that the model has.
 */
#include "model-parts.h"

#include <inttypes.h>
#include <poll.h>

/* How many events there must be. */
int
count_due(struct model *m)
{
	int count = m->post_count;

	for (int i = 0; i < ENDS; i++)
		count += least(m, i) != 0;
	for (int i = 0; i < TIMERS; i++)
		count += m->timers[i].state == TIMER_DUE;
	for (int i = 0; i < SIGNALS; i++)
		count += signal_is_due(&m->signals[i]);
	for (int i = 0; i < CHILDREN; i++)
		count += m->children[i].due;
	return count;
}

/* Whether there may be events. */
bool
may_give(struct model *m)
{
	if (count_due(m) != 0)
		return true;
	for (int i = 0; i < ENDS; i++) {
		if (most(m, i) != 0)
			return true;
	}
	for (int i = 0; i < NUMBERS; i++) {
		const struct ghost *g = &m->ghosts[i];

		if (g->haunts && (g->stale != 0 || g->revived))
			return true;
	}
	for (int i = 0; i < CHILDREN; i++) {
		if (m->children[i].doubtful)
			return true;
	}
	return false;
}

static bool
take_post(struct model *m, const struct polling_event *event)
{
	const struct polling_event *first = &m->posts[0];

	if (m->post_count == 0 || event->key != first->key)
		return false;
	note(m, "  post %" PRIu32, event->data);
	if (event->events != first->events || event->data != first->data)
		disagree(m, "another post was sent");
	m->post_count--;
	memmove(m->posts, m->posts + 1,
	    (size_t)m->post_count * sizeof(m->posts[0]));
	return true;
}

static bool
take_timer(struct model *m, const struct polling_event *event)
{
	for (int i = 0; i < TIMERS; i++) {
		struct timer *t = &m->timers[i];

		if (t->state == TIMER_ABSENT || t->key != event->key)
			continue;
		note(m, "  timer %d", i);
		if (t->state != TIMER_DUE)
			disagree(m, "it is not due");
		if (event->events != POLLING_TIMER ||
		    (t->races ? event->data < 1 : event->data != 1))
			disagree(m, "it came with %s and %" PRIu32,
			    event_names(event->events), event->data);
		t->state = t->races     ? TIMER_DUE
			   : t->repeats ? TIMER_FAR
					: TIMER_ABSENT;
		t->seen = true;
		return true;
	}
	return false;
}

static bool
take_signal(struct model *m, const struct polling_event *event)
{
	for (int i = 0; i < SIGNALS; i++) {
		struct signal *s = &m->signals[i];

		if (!s->registered || s->key != event->key)
			continue;
		note(m, "  signal %d", i);
		if (!signal_is_due(s))
			disagree(m, "it must be silent");
		if (event->events != POLLING_SIGNAL || event->data != s->count)
			disagree(m, "it came with %s and %" PRIu32,
			    event_names(event->events), event->data);
		s->count = 0;
		s->armed = s->mode == POLLING_LEVEL || s->mode == POLLING_EDGE;
		return true;
	}
	return false;
}

static bool
take_child(struct model *m, const struct polling_event *event)
{
	for (int i = 0; i < CHILDREN; i++) {
		struct child *c = &m->children[i];

		if (!c->registered || c->key != event->key)
			continue;
		note(m, "  child %d", i);
		if (!c->due && !c->doubtful)
			disagree(m, "it must be silent");
		if (event->events != POLLING_EXIT || event->data != 0)
			disagree(m, "it came with %s and %" PRIu32,
			    event_names(event->events), event->data);
		c->due = false;
		c->doubtful = false;
		return true;
	}
	return false;
}

static bool
take_end(struct model *m, const struct polling_event *event)
{
	for (int i = 0; i < ENDS; i++) {
		struct end *e = &m->ends[i];
		uint32_t must, may;

		if (!e->registered || e->key != event->key)
			continue;
		note(m, "  %s has %s", end_name(i), event_names(event->events));
		if (e->seen)
			disagree(m, "it came twice");
		e->seen = true;
		/* A kernel may tell of one direction first. */
		must = m->hasty ? 0 : least(m, i);
		may = most(m, i);
		if (may == 0)
			disagree(m, "it must be silent");
		if (event->events == 0 || (event->events & must) != must ||
		    (event->events & ~may) != 0)
			disagree(m, "it must have %s and may have %s",
			    event_names(must), event_names(may));
		if (event->data != 0)
			disagree(m, "its data is %" PRIu32, event->data);
		e->news = 0;
		e->stirred = false;
		e->armed = !disarms(e);
		e->reports++;
		return true;
	}
	return false;
}

static bool
take_ghost(struct model *m, const struct polling_event *event)
{
	for (int i = 0; i < NUMBERS; i++) {
		struct ghost *g = &m->ghosts[i];

		if (!g->haunts || g->key != event->key ||
		    (g->stale == 0 && !g->revived))
			continue;
		note(m, "  a ghost has %s", event_names(event->events));
		g->stale -= g->stale != 0;
		return true;
	}
	return false;
}

/* All that can come has come. */
static void
expect_no_more(struct model *m)
{
	for (int i = 0; i < ENDS; i++) {
		struct end *e = &m->ends[i];

		if (!e->seen && least(m, i) != 0)
			disagree(m, "%s is missing, with %s", end_name(i),
			    event_names(least(m, i)));
		e->news = 0;
		e->stirred = false;
	}
	for (int i = 0; i < TIMERS; i++) {
		if (m->timers[i].state == TIMER_DUE && !m->timers[i].seen)
			disagree(m, "timer %d is missing", i);
	}
	for (int i = 0; i < SIGNALS; i++) {
		if (signal_is_due(&m->signals[i]))
			disagree(m, "signal %d is missing", i);
	}
	for (int i = 0; i < CHILDREN; i++) {
		if (m->children[i].due)
			disagree(m, "child %d is missing", i);
	}
	if (m->post_count > 0)
		disagree(m, "a post is missing");
}

static void
expect_readable(struct model *m)
{
	struct pollfd poller = {.fd = m->nested, .events = POLLIN};

	int count;

	if (m->nested < 0)
		return;
	/* A timer of the kernel may be a little late, and a fuzzer's timer come
	 * in between. */
	do
		count = poll(&poller, 1, LONG_MS);
	while (count == -1 && errno == EINTR);
	if (count != 1)
		disagree(m, "the poller's descriptor is not readable");
}

/* Returns how many events are due. */
int
begin_wait(struct model *m, int capacity)
{
	int due = count_due(m);

	for (int i = 0; i < ENDS; i++)
		m->ends[i].seen = false;
	for (int i = 0; i < TIMERS; i++)
		m->timers[i].seen = false;
	if (due > 0)
		expect_readable(m);
	note(m, "wait for %d, %d due%s", capacity, due,
	    m->notified ? ", notified" : "");
	return due;
}

/* Compares count events that a wait gave. */
void
take_events(struct model *m, int count)
{
	for (int i = 0; i < count; i++) {
		const struct polling_event *event = &m->events[i];

		if (!take_post(m, event) && !take_timer(m, event) &&
		    !take_signal(m, event) && !take_child(m, event) &&
		    !take_end(m, event) && !take_ghost(m, event))
			disagree(m, "a stray event: %#" PRIxPTR " with %s",
			    event->key, event_names(event->events));
	}
}

/* A wait gave count events, when so many were due. */
void
end_wait(struct model *m, int capacity, int due, int count)
{
	if (count < 0)
		disagree(m, "polling_wait: %s", error_text(errno));
	if (count > capacity)
		disagree(m, "%d events came", count);
	take_events(m, count);
	for (int i = 0; i < ENDS && capacity < CAPACITY; i++) {
		/* There may have been no room for its other direction. */
		if (m->ends[i].seen)
			may_be_new(&m->ends[i], UINT32_MAX);
	}
	/* Fewer than fit may come, but not none. */
	if (!m->notified && capacity >= CAPACITY)
		expect_no_more(m);
	else if (!m->notified && due > 0 && count == 0)
		disagree(m, "nothing came");
	m->notified = false;
}

void
wait_for(struct model *m, int capacity)
{
	int due = begin_wait(m, capacity), timeout_ms = 0;

	/* It comes back at once, whatever the time. */
	if ((due > 0 || m->notified) && once_in(m, 4))
		timeout_ms = LONG_MS;
	end_wait(
	    m, capacity, due, wait_ms(m->p, m->events, capacity, timeout_ms));
}

void
do_wait(struct model *m)
{
	unsigned few = 1 + pick(m, 4);

	wait_for(m, once_in(m, 3) ? (int)few : CAPACITY);
}

/* With room for a few, every source gets its turn. */
void
do_wait_for_all(struct model *m)
{
	int capacity = 1 + (int)pick(m, 3);
	int waits = 16 * count_due(m) + 16, left = 1;
	bool waited[ENDS];

	for (int i = 0; i < ENDS; i++)
		waited[i] = least(m, i) != 0;
	while (left > 0) {
		if (waits-- == 0)
			disagree(m, "some source is starved");
		wait_for(m, capacity);
		left = m->post_count;
		for (int i = 0; i < SIGNALS; i++)
			left += signal_is_due(&m->signals[i]);
		for (int i = 0; i < CHILDREN; i++)
			left += m->children[i].due;
		for (int i = 0; i < ENDS; i++) {
			if (m->ends[i].seen)
				waited[i] = false;
			left += waited[i];
		}
	}
}
