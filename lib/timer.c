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
	struct idmap_link link; /* the generation is that of its entry */
	uintptr_t key;
	int64_t at;       /* when it is due */
	int64_t queued;   /* the moment in its entry; at or earlier */
	int64_t interval; /* 0: once only */
};

struct timer_entry {
	int64_t at;
	uint32_t slot;
	uint32_t generation;
};

#define FIRST_CAPACITY 16u

/* Stale entries that do not matter. */
#define STALE_MAX 64

/* Children of a node of the heap, and the positions that are left out so that
 * those of each node begin a cache line: the root is the last of the first. */
#define CHILDREN 4
#define ROOT     (CHILDREN - 1)
#define LINE     64

static struct timer *
timer_at(const struct timer_queue *q, uint32_t slot)
{
	return (struct timer *)q->timers.records + slot;
}

static struct timer *
find(const struct timer_queue *q, uintptr_t id)
{
	return idmap_find(&q->timers, id, sizeof(struct timer));
}

static uint32_t
slot_of(const struct timer_queue *q, const struct timer *t)
{
	return (uint32_t)(t - timer_at(q, 0));
}

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

/* The one of the two positions whose entry comes first; found without a branch,
 * which would be guessed wrong every other time. */
static inline size_t
earlier(const struct timer_queue *q, size_t i, size_t j)
{
	return i + (j - i) * (q->entries[j].at < q->entries[i].at);
}

/* The child of position i that comes first, or 0 if it has none. */
static inline size_t
first_of_children(const struct timer_queue *q, size_t i)
{
	size_t child = first_child_of(i), end = ROOT + q->entry_count;
	size_t least = child;

	if (likely(child + CHILDREN <= end))
		return earlier(q, earlier(q, child, child + 1),
		    earlier(q, child + 2, child + 3));
	if (child >= end)
		return 0;
	while (++child < end)
		least = earlier(q, least, child);
	return least;
}

/* Puts e at position i or below. */
static void
sift_down(struct timer_queue *q, size_t i, struct timer_entry e)
{
	for (;;) {
		size_t least = first_of_children(q, i);

		if (least == 0 || e.at <= q->entries[least].at)
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
	size_t next = first_of_children(q, ROOT);

	/* The timer that will be looked at after this. */
	if (next != 0)
		prefetch(timer_at(q, q->entries[next].slot));
	if (q->entry_count > 0)
		sift_down(q, ROOT, last);
}

static bool
is_stale(const struct timer_queue *q, const struct timer_entry *e)
{
	return timer_at(q, e->slot)->link.generation != e->generation;
}

/* Drops the stale entries and brings the others up to date, in any order. */
static void
collect_entries(struct timer_queue *q)
{
	size_t kept = ROOT, end = ROOT + q->entry_count;

	for (size_t i = ROOT; i < end; i++) {
		struct timer_entry e = q->entries[i];
		struct timer *t = timer_at(q, e.slot);

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

	for (uint32_t slot = 0; slot < q->timers.used; slot++) {
		struct timer *t = timer_at(q, slot);

		if (t->link.next == IDMAP_FREE)
			continue;
		t->queued = t->at;
		*e++ = (struct timer_entry){t->at, slot, t->link.generation};
	}
	q->entry_count = (size_t)(e - (q->entries + ROOT));
}

/* Drops all stale entries and brings the others up to date. */
static void
rebuild(struct timer_queue *q)
{
	if (q->timers.used / 4 < q->entry_count)
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
	size_t offset;
	char *memory;

	if (q->entry_count < q->entry_capacity)
		return 0;
	if (capacity == 0)
		capacity = FIRST_CAPACITY;
	if (capacity > PTRDIFF_MAX / sizeof *q->entries / 2)
		return -ENOMEM;
	/* Large blocks are not copied but mapped elsewhere, and mostly lie as
	 * before to the cache lines. */
	memory = realloc(
	    q->memory, (ROOT + capacity) * sizeof *q->entries + LINE);
	if (memory == NULL)
		return -ENOMEM;
	offset = -(uintptr_t)memory % LINE;
	if (offset != q->offset)
		memmove(memory + offset, memory + q->offset,
		    (ROOT + q->entry_count) * sizeof *q->entries);
	q->memory = memory;
	q->offset = offset;
	q->entries = (struct timer_entry *)(void *)(memory + offset);
	q->entry_capacity = capacity;
	return 0;
}

/* Puts t, which has no entry or a stale one, into the heap; there is room. */
static void
push(struct timer_queue *q, struct timer *t)
{
	struct timer_entry e = {t->at, slot_of(q, t), t->link.generation};

	t->queued = t->at;
	sift_up(q, ROOT + q->entry_count++, e);
}

int64_t
timers_nanoseconds(const struct timespec *t)
{
	int64_t seconds = t->tv_sec; /* time_t may have 32 bits */

	if (seconds >= TIMER_NEVER / NSEC_PER_SEC)
		return TIMER_NEVER;
	return seconds * NSEC_PER_SEC + t->tv_nsec;
}

int
timers_add(struct timer_queue *q, uintptr_t id, int64_t at, int64_t interval,
    uintptr_t key)
{
	struct timer *t;
	uint32_t slot;
	int error = reserve_entry(q);

	if (error == 0)
		error = idmap_insert(&q->timers, id, sizeof *t, &slot);
	if (error != 0)
		return error;
	t = timer_at(q, slot);
	t->key = key;
	t->at = at;
	t->interval = interval;
	push(q, t);
	return 0;
}

int
timers_modify(struct timer_queue *q, uintptr_t id, int64_t at, int64_t interval,
    uintptr_t key)
{
	struct timer *t = find(q, id);

	if (t == NULL)
		return -ENOENT;
	if (at < t->queued && reserve_entry(q) != 0)
		return -ENOMEM;
	t->key = key;
	t->at = at;
	t->interval = interval;
	if (at < t->queued) {
		t->link.generation++;
		push(q, t);
		note_stale(q);
	}
	return 0;
}

/* Forgets t, whose entry is stale from now on. */
static void
release(struct timer_queue *q, struct timer *t)
{
	t->link.generation++;
	idmap_remove(&q->timers, slot_of(q, t), sizeof *t);
}

/* Gives back the memory of an empty queue if it is much. */
static void
shrink(struct timer_queue *q)
{
	if (idmap_is_idle(&q->timers))
		timers_clear(q);
}

int
timers_delete(struct timer_queue *q, uintptr_t id)
{
	struct timer *t = find(q, id);

	if (t == NULL)
		return -ENOENT;
	release(q, t);
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
		struct timer *t = timer_at(q, e.slot);

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
		struct timer *t = timer_at(q, e.slot);

		out[n].key = t->key;
		out[n].events = POLLING_TIMER;
		out[n].data = expire(t, now);
		n++;
		if (t->interval == 0) {
			release(q, t);
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
	idmap_clear(&q->timers);
	free(q->memory);
	memset(q, 0, sizeof *q);
}

/* The public functions */

static int
check_times(const struct timespec *first, const struct timespec *interval)
{
	if (first == NULL)
		return -EFAULT;
	if (!clock_valid(first) || (interval != NULL && !clock_valid(interval)))
		return -EINVAL;
	return 0;
}

/* The moment that lies so far ahead. */
static int64_t
moment_after(const struct timespec *first)
{
	int64_t delay = timers_nanoseconds(first), start;
	struct timespec now;

	polling_now(&now);
	start = timers_nanoseconds(&now);
	return delay > TIMER_NEVER - start ? TIMER_NEVER : start + delay;
}

/* polling_add_timer() and polling_modify_timer() by timers_add() and
 * timers_modify(). */
static inline int
set_timer(struct polling *p, uintptr_t id, const struct timespec *first,
    const struct timespec *interval, uintptr_t key,
    int (*set)(struct timer_queue *q, uintptr_t id, int64_t at,
	int64_t interval, uintptr_t key))
{
	int r = poller_check(p);
	int64_t at, period;

	if (r == 0)
		r = check_times(first, interval);
	if (r != 0)
		return poller_result(r);
	period = interval == NULL ? 0 : timers_nanoseconds(interval);
	lock_acquire(&p->lock);
	/* Of very many timers it is not in the cache, and comes while the clock
	 * is read. */
	idmap_expect(&p->timers.timers, id);
	at = moment_after(first);
	r = set(&p->timers, id, at, period, key);
	if (r == 0)
		poller_timers_changed(p);
	lock_release(&p->lock);
	return poller_result(r);
}

int
polling_add_timer(struct polling *p, uintptr_t id, const struct timespec *first,
    const struct timespec *interval, uintptr_t key)
{
	return set_timer(p, id, first, interval, key, timers_add);
}

int
polling_modify_timer(struct polling *p, uintptr_t id,
    const struct timespec *first, const struct timespec *interval,
    uintptr_t key)
{
	return set_timer(p, id, first, interval, key, timers_modify);
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
