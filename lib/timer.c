/* SPDX-License-Identifier: MIT */
/*
 * timer.c - the timers of one poller: a heap that is repaired late.
 *
 * The heap orders entries of 16 bytes, each with a moment, a timer's slot and a
 * generation, and has four children to a node, which share a cache line. An
 * entry is not told where it is, so that moving entries about touches nothing
 * but the heap, and an entry is never looked for:
 * - A timer that is put off, as time-outs are again and again, keeps its entry,
 *   which comes up too early and is then put where it belongs.
 * - One that is to come earlier, or is deleted, leaves its entry behind, with a
 *   generation that is the timer's no more: stale, to be dropped when it comes
 *   up. When more than half of the heap is stale it is built anew.
 *
 * "Comes up" means that the moment in the entry has come, no earlier: what a
 * timer is moved or deleted for before that costs the heap nothing at all. So
 * the first entry's moment is one that no timer is due before. At worst a wait
 * that relies on it looks once more, and the entry is put right then.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "compat.h"
#include "poller.h"
#include "timer.h"

struct timer {
	uintptr_t id;
	uintptr_t key;
	int64_t at;           /* when it is due */
	int64_t queued;       /* the moment in its entry; at or earlier */
	int64_t interval;     /* 0: once only */
	uint32_t generation;  /* of its entry */
	uint32_t vacant : 31; /* if free: the next free slot, plus 1 */
	uint32_t in_use : 1;
};

struct timer_entry {
	int64_t at;
	uint32_t slot;
	uint32_t generation;
};

#define FIRST_CAPACITY 16u

/* Queues without timers that are larger give back their memory. */
#define KEPT_CAPACITY 1024u

/* Stale entries that do not matter. */
#define STALE_MAX 64

/* Children of a node of the heap, and the positions that are left out so that
 * those of each node begin a cache line: the root is the last of the first. */
#define CHILDREN 4
#define ROOT     (CHILDREN - 1)
#define LINE     64

static size_t
parent_of(size_t i)
{
	return i / CHILDREN + ROOT - 1;
}

static size_t
first_child_of(size_t i)
{
	return (i - ROOT + 1) * CHILDREN;
}

/* Puts e at position i or above. */
static void
sift_up(struct timer_queue *q, size_t i, struct timer_entry e)
{
	while (i > ROOT) {
		size_t parent = parent_of(i);

		if (q->entries[parent].at <= e.at)
			break;
		q->entries[i] = q->entries[parent];
		i = parent;
	}
	q->entries[i] = e;
}

/* Puts e at position i or below. */
static void
sift_down(struct timer_queue *q, size_t i, struct timer_entry e)
{
	size_t end = ROOT + q->entry_count;

	for (;;) {
		size_t child = first_child_of(i), least = child;

		if (child >= end)
			break;
		for (size_t last = child + CHILDREN; ++child < last;) {
			if (child >= end)
				break;
			if (q->entries[child].at < q->entries[least].at)
				least = child;
		}
		if (e.at <= q->entries[least].at)
			break;
		q->entries[i] = q->entries[least];
		i = least;
	}
	q->entries[i] = e;
}

/* Drops the first entry. */
static void
pop(struct timer_queue *q)
{
	struct timer_entry last = q->entries[ROOT + --q->entry_count];

	if (q->entry_count > 0)
		sift_down(q, ROOT, last);
}

static bool
is_stale(const struct timer_queue *q, const struct timer_entry *e)
{
	return q->timers[e->slot].generation != e->generation;
}

/* Drops the stale entries and brings the others up to date, in any order. */
static void
collect_entries(struct timer_queue *q)
{
	size_t kept = ROOT, end = ROOT + q->entry_count;

	for (size_t i = ROOT; i < end; i++) {
		struct timer_entry e = q->entries[i];
		struct timer *t = &q->timers[e.slot];

		if (is_stale(q, &e))
			continue;
		e.at = t->queued = t->at;
		q->entries[kept++] = e;
	}
	q->entry_count = kept - ROOT;
}

/* The same from the timers themselves, which lie in a row, while the entries
 * lead from one to another all over the memory. */
static void
collect_timers(struct timer_queue *q)
{
	struct timer_entry *e = q->entries + ROOT;

	for (uint32_t slot = 0; slot < q->used; slot++) {
		struct timer *t = &q->timers[slot];

		if (!t->in_use)
			continue;
		t->queued = t->at;
		*e++ = (struct timer_entry){t->at, slot, t->generation};
	}
	q->entry_count = (size_t)(e - (q->entries + ROOT));
}

/* Drops all stale entries and brings the others up to date. */
static void
rebuild(struct timer_queue *q)
{
	if (q->used / 4 < q->entry_count)
		collect_timers(q);
	else
		collect_entries(q);
	q->stale = 0;
	if (q->entry_count < 2)
		return;
	for (size_t i = parent_of(ROOT + q->entry_count - 1); i >= ROOT; i--)
		sift_down(q, i, q->entries[i]);
}

/* An entry has become stale. */
static void
note_stale(struct timer_queue *q)
{
	if (++q->stale > q->entry_count / 2 + STALE_MAX)
		rebuild(q);
}

/* Makes room for one more entry. */
static int
reserve_entry(struct timer_queue *q)
{
	size_t capacity = q->entry_capacity * 2;
	void *memory;
	struct timer_entry *entries;

	if (q->entry_count < q->entry_capacity)
		return 0;
	if (capacity == 0)
		capacity = FIRST_CAPACITY;
	if (capacity > SIZE_MAX / sizeof *entries / 2)
		return -ENOMEM;
	memory = malloc((ROOT + capacity) * sizeof *entries + LINE - 1);
	if (memory == NULL)
		return -ENOMEM;
	entries = (struct timer_entry *)(((uintptr_t)memory + LINE - 1) &
					 ~(uintptr_t)(LINE - 1));
	if (q->entry_count > 0)
		memcpy(entries + ROOT, q->entries + ROOT,
		    q->entry_count * sizeof *entries);
	free(q->memory);
	q->memory = memory;
	q->entries = entries;
	q->entry_capacity = capacity;
	return 0;
}

/* Puts t, which has no entry or a stale one, into the heap; there is room. */
static void
push(struct timer_queue *q, uint32_t slot)
{
	struct timer *t = &q->timers[slot];
	struct timer_entry e = {t->at, slot, t->generation};

	t->queued = t->at;
	sift_up(q, ROOT + q->entry_count++, e);
}

/* A slot that is free, or IDMAP_NONE without memory. It stays free until it is
 * given an id. */
static uint32_t
free_slot(struct timer_queue *q)
{
	uint32_t capacity = q->capacity == 0 ? FIRST_CAPACITY : q->capacity * 2;
	uint64_t size = (uint64_t)capacity * sizeof(struct timer);
	struct timer *timers;

	if (q->vacant != 0)
		return q->vacant - 1;
	if (q->used < q->capacity)
		return q->used;
	if (capacity >= UINT32_MAX / 2 || size > PTRDIFF_MAX)
		return IDMAP_NONE;
	timers = realloc(q->timers, (size_t)size);
	if (timers == NULL)
		return IDMAP_NONE;
	q->timers = timers;
	q->capacity = capacity;
	return q->used;
}

int64_t
timers_nanoseconds(const struct timespec *t)
{
	if (t->tv_sec >= TIMER_NEVER / NSEC_PER_SEC)
		return TIMER_NEVER;
	return (int64_t)t->tv_sec * NSEC_PER_SEC + t->tv_nsec;
}

int
timers_add(struct timer_queue *q, uintptr_t id, int64_t at, int64_t interval,
    uintptr_t key)
{
	struct timer *t;
	uint32_t slot;

	if (idmap_find(&q->slots, id) != IDMAP_NONE)
		return -EEXIST;
	slot = free_slot(q);
	if (slot == IDMAP_NONE || reserve_entry(q) != 0 ||
	    idmap_insert(&q->slots, id, slot) != 0)
		return -ENOMEM;
	t = &q->timers[slot];
	if (q->vacant != 0) {
		q->vacant = t->vacant;
	} else {
		t->generation = 0;
		q->used++;
	}
	t->in_use = 1;
	t->id = id;
	t->key = key;
	t->at = at;
	t->interval = interval;
	push(q, slot);
	return 0;
}

int
timers_modify(struct timer_queue *q, uintptr_t id, int64_t at, int64_t interval,
    uintptr_t key)
{
	uint32_t slot = idmap_find(&q->slots, id);
	struct timer *t;

	if (slot == IDMAP_NONE)
		return -ENOENT;
	t = &q->timers[slot];
	if (at < t->queued && reserve_entry(q) != 0)
		return -ENOMEM;
	t->key = key;
	t->at = at;
	t->interval = interval;
	if (at < t->queued) {
		t->generation++;
		push(q, slot);
		note_stale(q);
	}
	return 0;
}

/* Forgets the timer of a slot, whose entry is stale from now on. */
static void
release(struct timer_queue *q, uint32_t slot)
{
	struct timer *t = &q->timers[slot];

	idmap_remove(&q->slots, t->id);
	t->generation++;
	t->in_use = 0;
	t->vacant = q->vacant & 0x7fffffffu;
	q->vacant = slot + 1;
}

/* Gives back the memory of an empty queue if it is much. */
static void
shrink(struct timer_queue *q)
{
	if (timers_count(q) == 0 && q->capacity > KEPT_CAPACITY)
		timers_clear(q);
}

int
timers_delete(struct timer_queue *q, uintptr_t id)
{
	uint32_t slot = idmap_find(&q->slots, id);

	if (slot == IDMAP_NONE)
		return -ENOENT;
	release(q, slot);
	note_stale(q);
	shrink(q);
	return 0;
}

/* Brings the entries up to date that come up by now. False if no timer is due
 * then. */
static bool
settle(struct timer_queue *q, int64_t now)
{
	while (q->entry_count > 0 && q->entries[ROOT].at <= now) {
		struct timer_entry e = q->entries[ROOT];
		struct timer *t = &q->timers[e.slot];

		if (is_stale(q, &e)) {
			q->stale--;
			pop(q);
		} else if (t->at != e.at) {
			e.at = t->queued = t->at;
			sift_down(q, ROOT, e);
		} else {
			return true;
		}
	}
	return false;
}

int64_t
timers_next(const struct timer_queue *q)
{
	return timers_count(q) != 0 ? q->entries[ROOT].at : TIMER_NEVER;
}

bool
timers_due(struct timer_queue *q, int64_t now)
{
	return settle(q, now);
}

/* How often t has been due by now, and when it is due next. */
static uint32_t
expire(struct timer *t, int64_t now)
{
	int64_t more = t->interval == 0 ? 0 : (now - t->at) / t->interval;

	if (t->interval == 0)
		return 1;
	t->at += more * t->interval;
	t->at = t->at > TIMER_NEVER - t->interval ? TIMER_NEVER
						  : t->at + t->interval;
	return more >= UINT32_MAX ? UINT32_MAX : (uint32_t)more + 1;
}

int
timers_take(
    struct timer_queue *q, int64_t now, struct polling_event *out, int max)
{
	int n = 0;

	while (n < max && settle(q, now)) {
		struct timer_entry e = q->entries[ROOT];
		struct timer *t = &q->timers[e.slot];

		out[n].key = t->key;
		out[n].events = POLLING_TIMER;
		out[n].data = expire(t, now);
		n++;
		if (t->interval == 0) {
			release(q, e.slot);
			pop(q);
		}
		/* Else settle() puts it where it belongs. */
	}
	/* What was taken last may have come first: the next moment is to be
	 * that of a timer. */
	(void)settle(q, now);
	shrink(q);
	return n;
}

void
timers_clear(struct timer_queue *q)
{
	idmap_clear(&q->slots);
	free(q->timers);
	free(q->memory);
	memset(q, 0, sizeof *q);
}

/* The public functions */

/* Checks the times of a timer, and stores them in nanoseconds: first as the
 * moment that lies so far ahead. */
static int
convert(const struct timespec *first, const struct timespec *interval,
    int64_t *at, int64_t *period)
{
	struct timespec now;
	int64_t start;

	if (first == NULL)
		return -EFAULT;
	if (!clock_valid(first) || (interval != NULL && !clock_valid(interval)))
		return -EINVAL;
	polling_now(&now);
	start = timers_nanoseconds(&now);
	*at = timers_nanoseconds(first);
	*at = *at > TIMER_NEVER - start ? TIMER_NEVER : start + *at;
	*period = interval == NULL ? 0 : timers_nanoseconds(interval);
	return 0;
}

int
polling_add_timer(struct polling *p, uintptr_t id, const struct timespec *first,
    const struct timespec *interval, uintptr_t key)
{
	int64_t at, period;
	int r = poller_check(p);

	if (r == 0)
		r = convert(first, interval, &at, &period);
	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	r = timers_add(&p->timers, id, at, period, key);
	if (r == 0)
		poller_timers_changed(p);
	lock_release(&p->lock);
	return poller_result(r);
}

int
polling_modify_timer(struct polling *p, uintptr_t id,
    const struct timespec *first, const struct timespec *interval,
    uintptr_t key)
{
	int64_t at, period;
	int r = poller_check(p);

	if (r == 0)
		r = convert(first, interval, &at, &period);
	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	r = timers_modify(&p->timers, id, at, period, key);
	if (r == 0)
		poller_timers_changed(p);
	lock_release(&p->lock);
	return poller_result(r);
}

int
polling_delete_timer(struct polling *p, uintptr_t id)
{
	int r = poller_check(p);

	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	r = timers_delete(&p->timers, id);
	if (r == 0)
		poller_timers_changed(p);
	lock_release(&p->lock);
	return poller_result(r);
}
