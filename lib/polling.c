/* SPDX-License-Identifier: MIT */
/*
 * polling.c - the public functions: arguments, locking, errno, and the wait.
 *
 * The one hard idea is how a thread goes to sleep without missing anything.
 * Whoever has something for a waiter - a notification, a post, a change -
 * first stores it and then looks whether anybody sleeps, and wakes one if so.
 * A waiter first counts itself among the sleepers and then looks whether
 * anything is stored. All four accesses are sequentially consistent, so one
 * of the two sees the other.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#if HAVE_FORK
#include <fcntl.h>
#endif
#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "poller.h"

/* What the core has over every backend. */
#if HAVE_SIGACTION || HAVE_HANDLES
#define SIGNAL_FEATURE (1u << POLLING_FEATURE_SIGNAL)
#else
#define SIGNAL_FEATURE 0u
#endif
#if (HAVE_SIGACTION && HAVE_WAITID) || HAVE_HANDLES
#define PROCESS_FEATURE (1u << POLLING_FEATURE_PROCESS)
#else
#define PROCESS_FEATURE 0u
#endif
#define CORE_FEATURES \
	(1u << POLLING_FEATURE_TIMER | SIGNAL_FEATURE | PROCESS_FEATURE)

#define STRING_(x) #x
#define STRING(x)  STRING_(x)

static const struct timespec no_time;

/* How long a wait sleeps while there is no memory for a change. */
static const struct timespec a_while = {0, 10000000};

/* The public edge: a negative errno becomes errno and -1. */
static int
result(int r)
{
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

/* Copied by fork(): its kernel objects are the parent's. */
static bool
is_inherited(const struct polling *p)
{
	return atomic_load_explicit(&p->stamp, memory_order_relaxed) !=
	       fork_stamp();
}

/* struct polling.credit: what a check of a source costs, beyond its first, and
 * what can be saved up. */
#define CHECK_PRICE 64
#define CREDIT_MAX  (256 * CHECK_PRICE)

/* The checks that every call on a poller begins with. */
static int
check(const struct polling *p)
{
	if (unlikely(p == NULL))
		return -EFAULT;
	return unlikely(is_inherited(p)) ? -EBADF : 0;
}

static bool
has_feature(const struct polling *p, unsigned feature)
{
	return ((backend_features(p->backend) | CORE_FEATURES) >> feature) & 1;
}

/* A number that no descriptor ever has. */
static bool
is_descriptor(polling_fd fd)
{
#if HAVE_HANDLES
	return fd != (polling_fd)-1;
#else
	return fd >= 0;
#endif
}

static int
check_mode(const struct polling *p, enum polling_mode mode)
{
	switch (mode) {
	case POLLING_ONESHOT:
		return 0;
	case POLLING_LEVEL:
		return has_feature(p, POLLING_FEATURE_LEVEL) ? 0 : -ENOTSUP;
	case POLLING_EDGE:
	case POLLING_EDGE_ONESHOT:
		return has_feature(p, POLLING_FEATURE_EDGE) ? 0 : -ENOTSUP;
	}
	return -EINVAL;
}

static int
check_interest(const struct polling *p, uint32_t interest, uint32_t allowed,
    enum polling_mode mode)
{
	return interest & ~allowed ? -EINVAL : check_mode(p, mode);
}

int
poller_result(int r)
{
	return result(r);
}

int
poller_check(const struct polling *p)
{
	return check(p);
}

bool
poller_has(const struct polling *p, unsigned feature)
{
	return has_feature(p, feature);
}

int
poller_check_mode(const struct polling *p, enum polling_mode mode)
{
	return check_mode(p, mode);
}

/* Nothing is there yet to be lost: for a new poller and a rebuilt one. */
static void
reset(struct polling *p)
{
	atomic_store(&p->sleepers, 0);
	atomic_store(&p->attention, 0);
	atomic_store(&p->work, 0);
	p->keeper = NULL;
	p->unattended = false;
	p->alarm_at = TIMER_NEVER;
	p->exposed = false;
	p->pruned = false;
	post_clear(&p->posts);
}

struct polling *
polling_create(unsigned flags)
{
	struct polling *p;
	int error;

	if (flags & ~POLLING_INTERRUPTIBLE) {
		errno = EINVAL;
		return NULL;
	}
	p = calloc(1, sizeof *p);
	if (p == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	p->flags = flags;
	p->credit = CREDIT_MAX;
	atomic_store(&p->stamp, fork_stamp());
	p->files.head = p->files.tail = NO_FD;
	registry_clear(&p->registry);
	signals_init(&p->signals);
	reset(p);
	error = lock_init(&p->lock);
	if (error != 0)
		goto free_poller;
	error = fork_enrol(&p->entry, &p->lock);
	if (error != 0)
		goto destroy_lock;
	error = backend_open(&p->backend, &p->registry);
	if (error != 0)
		goto resign;
	return p;

resign:
	fork_resign(&p->entry);
destroy_lock:
	lock_destroy(&p->lock);
free_poller:
	free(p);
	errno = -error;
	return NULL;
}

void
polling_destroy(struct polling *p)
{
	if (p == NULL)
		return;
	/* First, so that no handler looks at the rest. */
	signals_clear(&p->signals);
	processes_clear(p, is_inherited(p));
	timers_clear(&p->timers);
	backend_close(p->backend, is_inherited(p));
	fork_resign(&p->entry);
	registry_free(&p->registry);
	post_clear(&p->posts);
	lock_destroy(&p->lock);
	free(p);
}

/* What prepare() would find, as WORK_ bits. Locked. */
static unsigned
work_of(const struct polling *p)
{
	bool now = registry_pending(&p->registry) || p->files.count != 0 ||
		   p->posts.count != 0 || p->unattended || p->signals.due ||
		   p->processes.due != 0;

	return (now ? WORK_NOW : 0) |
	       (timers_count(&p->timers) != 0 ? WORK_TIMERS : 0);
}

/* For those who look without the lock. An exchange where a store would do,
 * since qemu 7.2 has a load of sleepers overtake a store on 64-bit ARM, however
 * sequentially consistent, and then nobody is woken. Locked. */
static void
note_work(struct polling *p)
{
	(void)atomic_exchange(&p->work, work_of(p));
}

/* After a change that a wait must see. Locked. */
static void
changed(struct polling *p)
{
	bool starved = false;

	note_work(p);
	if (atomic_load(&p->sleepers) == 0)
		return;
	if (registry_pending(&p->registry)) {
		/* One of them is to try again. */
		starved = backend_apply(p->backend, true) != 0;
		note_work(p);
	}
	/* A wake-up that fails has no one to be told: the descriptor was
	 * made by the library, and a full one wakes as well. */
	if (starved || p->files.count != 0 || p->unattended || p->signals.due ||
	    p->processes.due != 0)
		(void)backend_wake(p->backend);
}

void
poller_changed(struct polling *p)
{
	changed(p);
}

/* Has the exposed descriptor readable when the next timer is due. Locked. */
static void
set_alarm(struct polling *p, int64_t next)
{
	int64_t seconds = next / NSEC_PER_SEC;
	struct timespec at;
	bool comes;

	if (!p->exposed || next == p->alarm_at)
		return;
	p->alarm_at = next;
	at.tv_sec = (time_t)seconds;
	at.tv_nsec = (long)(next % NSEC_PER_SEC);
	/* A clock of 32 bits does not get to a time past its range. */
	comes = next != TIMER_NEVER && at.tv_sec == seconds;
	if (backend_alarm(p->backend, comes ? &at : NULL))
		return;
	/* For want of memory: whoever watches the descriptor comes and looks,
	 * and with that it is set again. */
	p->alarm_at = -1;
	(void)backend_wake(p->backend);
}

/* The keeper sleeps on without a limit if it wakes up to no timers, and is none
 * then. To be called wherever the last timer may have gone. Locked. */
static void
dismiss_keeper(struct polling *p)
{
	if (timers_next(&p->timers) == TIMER_NEVER)
		p->keeper = NULL;
}

/* Sees to it that somebody wakes up for the next timer. Locked. */
static void
attend_timers(struct polling *p)
{
	int64_t next = timers_next(&p->timers);
	bool early;

	dismiss_keeper(p);
	early = next < (p->keeper != NULL ? p->keeper_at : TIMER_NEVER);
	/* Where there were no timers, a thread that is on its way to sleep is
	 * to see that now there are, unless it is among those counted here. */
	if (early && !(atomic_load(&p->work) & WORK_TIMERS))
		note_work(p);
	p->unattended = early && atomic_load(&p->sleepers) > p->exposed;
	set_alarm(p, next);
}

void
poller_timers_changed(struct polling *p)
{
	attend_timers(p);
	changed(p);
}

void
poller_alert(void *argument)
{
	struct polling *p = argument;

	if (is_inherited(p))
		return;
	atomic_fetch_or(&p->attention, ATTENTION_SIGNAL);
	if (atomic_load(&p->sleepers) > 0)
		(void)backend_wake(p->backend);
}

/* Forgets a source of whatever kind. Locked. */
static void
forget(struct polling *p, int fd, struct source *s)
{
	if (s->flags & SOURCE_FILE)
		file_remove(&p->files, &p->registry, fd, s);
	registry_remove(&p->registry, fd);
}

void
poller_drop(struct polling *p, int fd, struct source *s)
{
	if (!(s->flags & SOURCE_FILE))
		backend_remove(p->backend, fd, s);
	forget(p, fd, s);
}

/* Whether fd is still the descriptor that was added as s. Locked. */
static bool
still_open(struct polling *p, int fd, struct source *s)
{
	return s->flags & SOURCE_FILE ? file_known(fd, s)
				      : backend_knows(p->backend, fd, s);
}

/* Tells the backend of a source whose record is filled in. Locked. */
static int
watch(struct polling *p, int fd, struct source *s)
{
	int r = backend_add(p->backend, fd, s);

	if (r == BACKEND_NEVER_BLOCKS)
		r = file_add(&p->files, &p->registry, fd, s);
	return r;
}

/* Whether fd, which is not registered, may get a record: a number that is no
 * descriptor must not cost a table of its size. */
static int
check_descriptor(const struct polling *p, polling_fd fd)
{
#if HAVE_HANDLES
	/* A place takes as much as there are sources; the backend looks. */
	(void)p;
	(void)fd;
	return 0;
#else
	uint32_t identity;

	if (likely(registry_slot(&p->registry, fd) != NULL))
		return 0;
	return file_identity(fd, &identity);
#endif
}

static int
add_locked(struct polling *p, polling_fd fd, unsigned flags, uint32_t interest,
    enum polling_mode mode, uintptr_t key)
{
	int place = registry_place(&p->registry, fd, flags);
	struct source *s = registry_find(&p->registry, place);
	int error;

	if (s != NULL) {
		if (still_open(p, place, s)) {
			/* Asking may have cost its place in the kernel. */
			changed(p);
			return -EEXIST;
		}
		forget(p, place, s);
	}
	error = check_descriptor(p, fd);
	if (error != 0)
		return error;
	s = registry_insert(&p->registry, fd, flags, &place);
	if (s == NULL)
		return -ENOMEM;
	source_set(s, interest, mode, key);
	error = watch(p, place, s);
	if (error != 0) {
		registry_remove(&p->registry, place);
		return error;
	}
	changed(p);
	return 0;
}

static int
modify_locked(struct polling *p, polling_fd fd, unsigned flags,
    uint32_t interest, enum polling_mode mode, uintptr_t key)
{
	int place = registry_place(&p->registry, fd, flags);
	struct source *s = registry_find(&p->registry, place);

	if (s == NULL || (s->flags & SOURCE_PROCESS))
		return -ENOENT;
	source_set(s, interest, mode, key);
	atomic_store_explicit(&p->changes,
	    atomic_load_explicit(&p->changes, memory_order_relaxed) + 1,
	    memory_order_release);
	if (s->flags & SOURCE_FILE)
		file_modify(&p->files, &p->registry, place, s);
	else if (backend_heeds(p->backend, s))
		registry_change(&p->registry, place, s);
	changed(p);
	return 0;
}

static int
delete_locked(struct polling *p, polling_fd fd, unsigned flags)
{
	int place = registry_place(&p->registry, fd, flags);
	struct source *s = registry_find(&p->registry, place);

	if (s == NULL || (s->flags & SOURCE_PROCESS))
		return -ENOENT;
	poller_drop(p, place, s);
	/* A thread that poll.c has called out, to let go of the file, may have
	 * gone in again with it before there was work to be seen. */
	changed(p);
	return 0;
}

int
polling_add(struct polling *p, polling_fd fd, uint32_t interest,
    enum polling_mode mode, uintptr_t key)
{
	int r = check(p);

	if (r == 0)
		r = check_interest(p, interest, INTEREST_BITS, mode);
	if (r == 0 && !is_descriptor(fd))
		r = -EBADF;
	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = add_locked(p, fd, 0, interest, mode, key);
	lock_release(&p->lock);
	return result(r);
}

int
polling_modify(struct polling *p, polling_fd fd, uint32_t interest,
    enum polling_mode mode, uintptr_t key)
{
	int r = check(p);

	if (r == 0)
		r = check_interest(p, interest, INTEREST_BITS, mode);
	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = modify_locked(p, fd, 0, interest, mode, key);
	lock_release(&p->lock);
	return result(r);
}

int
polling_delete(struct polling *p, polling_fd fd)
{
	int r = check(p);

	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = delete_locked(p, fd, 0);
	lock_release(&p->lock);
	return result(r);
}

#if HAVE_HANDLES
int
polling_add_waitable(struct polling *p, void *handle, uint32_t events,
    enum polling_mode mode, uintptr_t key)
{
	int r = check(p);

	if (r == 0)
		r = check_interest(p, events, WAITABLE_BITS, mode);
	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = add_locked(
	    p, (polling_fd)handle, SOURCE_WAITABLE, events, mode, key);
	lock_release(&p->lock);
	return result(r);
}

int
polling_modify_waitable(struct polling *p, void *handle, uint32_t events,
    enum polling_mode mode, uintptr_t key)
{
	int r = check(p);

	if (r == 0)
		r = check_interest(p, events, WAITABLE_BITS, mode);
	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = modify_locked(
	    p, (polling_fd)handle, SOURCE_WAITABLE, events, mode, key);
	lock_release(&p->lock);
	return result(r);
}

int
polling_delete_waitable(struct polling *p, void *handle)
{
	int r = check(p);

	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = delete_locked(p, (polling_fd)handle, SOURCE_WAITABLE);
	lock_release(&p->lock);
	return result(r);
}
#endif

/* A wait that is not to block looks again so often after looks in vain: a
 * report that the kernel repeats for ever must not keep it. */
#define VAIN_MAX 100

/* One wait's progress, shared by the steps below. */
struct waiting {
	struct polling_event *events; /* the caller's */
	int capacity;                 /* of events */
	int count;                    /* events stored */
	unsigned file_budget;         /* for file_collect() */
	unsigned removals;            /* files.removals as this wait left it */
	uint64_t round;               /* for signals_take() */
	int64_t now;                  /* when it looked for timers */
	struct timespec limit;        /* of its sleep, if limited */
	bool limited;                 /* it is to wake up before its time */
	bool own;                     /* the core's own may be left to take */
	bool ended;                   /* a notification ends this wait */
	bool looked;                  /* without sleeping */
	bool again;                   /* what it saw was in the way of more */
	unsigned vain;                /* times that it has looked again */
	bool doubtful;                /* sources have changed since it began */
	unsigned changes;             /* polling.changes as it began to look */
	bool counted;                 /* among the sleepers */
	bool keeps;                   /* it was to wake up for a timer */
	struct ready *batch;          /* what is being delivered */
	int stale;                    /* reports at its head that fit nothing */
};

/* Whether the poller can pay for a check, which is paid for then. Locked. */
static bool
pay_for_check(struct polling *p)
{
	if (p->credit > CREDIT_MAX)
		p->credit = CREDIT_MAX;
	if (p->credit < CHECK_PRICE)
		return false;
	p->credit -= CHECK_PRICE;
	return true;
}

/*
 * On epoll and poll a descriptor that is closed while a duplicate of it lives
 * goes on reporting, and nothing in the report tells. Asking the kernel about
 * every report may double the cost of a wait, so it is asked at the first
 * report of a source, the second, the fourth and so on, and then every
 * backend_verify_max reports; those between the first and that many, which many
 * sources may come to at once, only while they stay rare among all reports.
 * Returns what is to be reported, nothing if the source is gone. Locked.
 */
static uint32_t
verify(struct polling *p, int fd, struct source *s, uint32_t report)
{
	bool first = s->verify_step == 0;

	if (s->flags & SOURCE_PROCESS) {
		s->verify_in = 1;
		return POLLING_EXIT;
	}
	/* Then it counts from 0 and is back here after 65,536 reports. */
	if (backend_verify_max == 0)
		return report;
	if (first)
		s->verify_step = 1;
	s->verify_in = s->verify_step;
	if (s->verify_step < backend_verify_max) {
		if (!first && !pay_for_check(p))
			return report;
		s->verify_step = (uint16_t)(s->verify_step * 2);
	}
	if (backend_knows(p->backend, fd, s))
		return report;
	/* Where one is, there may be more. */
	p->credit = CREDIT_MAX;
	forget(p, fd, s);
	return 0;
}

/* A report that fits no source of the registry. The backend is told when the
 * batch is done, since what it does may make the rest of it stale too.
 * Locked. */
static bool
translate_other(struct polling *p, struct waiting *w, const struct ready *ready,
    struct polling_event *event)
{
	if (ready->conditions & CONDITION_PROCESS)
		return process_report(p, ready, event);
	w->batch[w->stale++] = *ready;
	return false;
}

/* The event, if any, that one report of the backend makes. Locked. */
static bool
translate(struct polling *p, struct waiting *w, const struct ready *ready,
    struct polling_event *event)
{
	struct source *s = registry_find(&p->registry, ready->fd);
	uint32_t conditions = ready->conditions;
	uint32_t report;

	if (unlikely(s == NULL || s->generation != ready->generation))
		return translate_other(p, w, ready, event);
	if (unlikely(conditions & CONDITION_LOOK))
		conditions = backend_look(p->backend, ready->fd, s, conditions);
	if (unlikely(conditions & CONDITION_CLOSED)) {
		backend_remove(p->backend, ready->fd, s);
		forget(p, ready->fd, s);
		return false;
	}
	report = source_report(s, conditions);
	if (s->kernel & KERNEL_ONESHOT) {
		s->kernel &= KERNEL_KEPT;
		/* Level-triggered over a kernel that is not, or reported for
		 * an interest that has changed since. */
		if (unlikely(report == 0 || !source_is_oneshot(s)) &&
		    (s->flags & SOURCE_ARMED))
			registry_change(&p->registry, ready->fd, s);
	} else if (unlikely(!(s->flags & SOURCE_ARMED))) {
		w->again |= backend_unwanted(p->backend, ready->fd, s);
		return false;
	} else if (unlikely(w->doubtful) && source_is_oneshot(s) &&
		   backend_doubts(p->backend, ready->fd, s)) {
		w->again = true;
		return false;
	}
	if (report == 0)
		return false;
	if (unlikely(--s->verify_in == 0)) {
		report = verify(p, ready->fd, s, report);
		if (report == 0)
			return false;
	}
	if (source_is_oneshot(s))
		s->flags &= (uint8_t)~SOURCE_ARMED;
	event->key = s->key;
	event->events = report;
	event->data = 0;
	return true;
}

/* Whether there are events of a kind, for all that is known. Locked. */
static bool
has_kind(struct polling *p, const struct waiting *w, enum turn kind)
{
	switch (kind) {
	case TURN_FILES:
		return p->files.count != 0;
	case TURN_POSTS:
		return p->posts.count != 0;
	case TURN_TIMERS:
		return timers_due(&p->timers, w->now);
	case TURN_SIGNALS:
		return p->signals.due;
	case TURN_PROCESSES:
		return p->processes.due != 0;
	case TURN_KERNEL:
		break;
	}
	return true;
}

/* Gives the first right to room to the next kind that has something. Locked. */
static void
take_turns(struct polling *p, const struct waiting *w)
{
	do
		p->turn = p->turn == TURN_KERNEL ? TURN_FILES : p->turn + 1;
	while (!has_kind(p, w, p->turn));
}

/* Events that the core makes by itself, max at most, of one kind. Locked. */
static int
take_kind(struct polling *p, struct waiting *w, enum turn kind,
    struct polling_event *events, int max)
{
	switch (kind) {
	case TURN_FILES:
		return file_collect(
		    &p->files, &p->registry, events, max, &w->file_budget);
	case TURN_POSTS:
		return post_take(&p->posts, events, max);
	case TURN_TIMERS:
		return timers_take(&p->timers, w->now, events, max);
	case TURN_SIGNALS:
		return signals_take(&p->signals, w->round, events, max);
	case TURN_PROCESSES:
		return processes_take(p, events, max);
	case TURN_KERNEL:
		break;
	}
	return 0;
}

/* Events of all kinds, max at most: first some of each, from the one on whose
 * turn it is, then more of any. Locked. */
static int
take_own(struct polling *p, struct waiting *w, int max)
{
	struct polling_event *events = w->events + w->count;
	int n = 0;

	for (unsigned i = 0; i < TURN_KERNEL && n < max; i++) {
		unsigned kind = (p->turn + i) % TURN_KERNEL;
		int share = max - n - (max - n) / 2; /* rounded up */

		n += take_kind(p, w, (enum turn)kind, events + n, share);
	}
	for (unsigned kind = 0; kind < TURN_KERNEL && n < max; kind++)
		n += take_kind(p, w, (enum turn)kind, events + n, max - n);
	return n;
}

/* Meets what meet_notification() has seen. */
static bool
meet_attention(struct polling *p, struct waiting *w, unsigned attention)
{
	/* One notification is enough. */
	if ((attention & ATTENTION_NOTIFIED) && !w->ended &&
	    (atomic_fetch_and(&p->attention, ~ATTENTION_NOTIFIED) &
		ATTENTION_NOTIFIED))
		w->ended = true;
	return attention & ATTENTION_SIGNAL;
}

/* True if a signal has come that is watched. The load keeps the cache line
 * shared while there is nothing. */
static ALWAYS_INLINE bool
meet_notification(struct polling *p, struct waiting *w)
{
	unsigned attention = atomic_load(&p->attention);

	return unlikely(attention != 0) && meet_attention(p, w, attention);
}

/* Finds the signals that have come. Locked. */
static void
meet_signals(struct polling *p)
{
	/* Lowered first: a signal that comes now raises it again. */
	if (!(atomic_fetch_and(&p->attention, ~ATTENTION_SIGNAL) &
		ATTENTION_SIGNAL))
		return;
	p->signals.due = p->signals.first != NULL;
	processes_check(p);
}

/* Finds out about the timers: whether one is due and, if this wait is to sleep,
 * whether it is the one that has to wake up for the next. Locked. */
static void
meet_timers(struct polling *p, struct waiting *w, bool sleeps)
{
	int64_t next = timers_next(&p->timers);
	struct timespec now;

	if (next == TIMER_NEVER) {
		dismiss_keeper(p);
		p->unattended = false;
		return;
	}
	polling_now(&now);
	w->now = timers_nanoseconds(&now);
	if (next <= w->now) {
		if (timers_due(&p->timers, w->now)) {
			/* The alarm has fired, or is about to: it is to be set
			 * again, if for the same moment. */
			p->alarm_at = -1;
			w->own = true;
			return;
		}
		/* It was moved or deleted, and the alarm was for it. */
		next = timers_next(&p->timers);
		set_alarm(p, next);
	}
	if (!sleeps)
		return;
	if (p->keeper == NULL || p->keeper == w || next < p->keeper_at) {
		p->keeper = w;
		p->keeper_at = next;
		w->keeps = w->limited = true;
		w->limit.tv_sec = (time_t)((next - w->now) / NSEC_PER_SEC);
		w->limit.tv_nsec = (long)((next - w->now) % NSEC_PER_SEC);
	}
	p->unattended = false;
}

/* Tells the backend of changes. What it has no memory for is still there, and
 * this wait looks at it again before long; so does the one that is woken when
 * this one leaves. Locked. */
static void
apply(struct polling *p, struct waiting *w)
{
	/* With events of its own this wait may not get to the backend's. */
	if (backend_apply(p->backend, w->own) == 0)
		return;
	w->limit = w->limited ? *clock_shorter(&w->limit, &a_while) : a_while;
	w->limited = true;
}

/* Applies changes and takes the first share of what the core reports by
 * itself: half of the room, the rest is for the kernel. */
static void
prepare(struct polling *p, struct waiting *w, bool sleeps, bool signalled)
{
	int share = w->capacity / 2;

	lock_acquire(&p->lock);
	if (signalled)
		meet_signals(p);
	w->limited = false;
	w->now = 0;
	w->own = p->files.count != 0 || p->posts.count != 0 || p->signals.due ||
		 p->processes.due != 0;
	if (timers_count(&p->timers) != 0)
		meet_timers(p, w, sleeps && !w->own);
	if (registry_pending(&p->registry))
		apply(p, w);
	if (w->own) {
		w->file_budget = p->files.count;
		w->round = ++p->signals.round;
		take_turns(p, w);
		if (p->turn != TURN_KERNEL)
			share = w->capacity - share;
		w->count = take_own(p, w, share);
		dismiss_keeper(p);
		w->removals = p->files.removals;
	}
	note_work(p);
	lock_release(&p->lock);
}

/* The kernel may have told this wait of the alarm, with its events or alone,
 * and the descriptor is silent then, though a timer is due that it does not
 * take. Locked. */
static void
repeat_alarm(struct polling *p)
{
	struct timespec now;

	if (!p->exposed || p->alarm_at == TIMER_NEVER)
		return;
	polling_now(&now);
	if (p->alarm_at > timers_nanoseconds(&now))
		return;
	p->alarm_at = -1;
	set_alarm(p, timers_next(&p->timers));
}

/* Turns n reports into events, then fills what room is left. */
static void
deliver(struct polling *p, struct waiting *w, struct ready *ready, int n)
{
	lock_acquire(&p->lock);
	w->doubtful = w->changes != atomic_load(&p->changes);
#if HAVE_HANDLES
	backend_look_at_all(p->backend, ready, n);
#endif
	p->credit += (unsigned)n;
	w->batch = ready;
	w->stale = 0;
	for (int i = 0; i < n; i++)
		w->count += translate(p, w, &ready[i], w->events + w->count);
	for (int i = 0; i < w->stale; i++)
		backend_stale(p->backend, ready[i].fd);
	w->batch = NULL;
	/* What came to nothing may have been in the way of more. */
	w->again |= n > 0 && w->count == 0;
	if (unlikely(w->own)) {
		/* Another thread has been at the queue of files: which ones
		 * this wait has reported is not known any more. */
		if (p->files.removals != w->removals)
			w->file_budget = 0;
		w->count += take_own(p, w, w->capacity - w->count);
		attend_timers(p);
	}
	repeat_alarm(p);
	if (unlikely(registry_pending(&p->registry) || w->own)) {
		/* What is to be armed again must not wait for this thread's
		 * return while others wait. What fails is tried again by this
		 * one or, if it leaves, by one that it wakes. */
		if (registry_pending(&p->registry) &&
		    atomic_load(&p->sleepers) > w->counted)
			(void)backend_apply(p->backend, true);
		note_work(p);
	}
	lock_release(&p->lock);
}

/* Nothing has come of a look. */
static void
deliver_nothing(struct polling *p)
{
	if (!(atomic_load(&p->work) & WORK_TIMERS))
		return;
	lock_acquire(&p->lock);
	repeat_alarm(p);
	lock_release(&p->lock);
}

/* The wait that was to wake up for the next timer is over: another thread has
 * to, if one sleeps. */
static void
hand_over(struct polling *p, const struct waiting *w)
{
	lock_acquire(&p->lock);
	if (p->keeper == w) {
		p->keeper = NULL;
		attend_timers(p);
		note_work(p);
	}
	lock_release(&p->lock);
}

/* The timeout of a wait that has prepared: shorter if it is to wake up before
 * its time, and none at first, since to look costs less than to sleep. */
static const struct timespec *
limit(struct waiting *w, const struct timespec *timeout)
{
	if (timeout == &no_time || !w->limited)
		return timeout;
	if (!w->looked) {
		w->looked = true;
		return &no_time;
	}
	return clock_shorter(timeout, &w->limit);
}

/* One look at everything, blocking for at most timeout where nothing is
 * there. Returns 0 or a negative errno if no event was stored. */
static ALWAYS_INLINE int
look(struct polling *p, struct waiting *w, const struct timespec *timeout)
{
	struct ready ready[READY_MAX];
	bool signalled;
	int room, n = 0;

	w->own = false;
	signalled = meet_notification(p, w);
	if (unlikely(signalled || atomic_load(&p->work))) {
		prepare(p, w, timeout != &no_time, signalled);
		timeout = limit(w, timeout);
	}
	if (w->ended || w->own)
		timeout = &no_time;
	room = w->capacity - w->count;
	w->changes = atomic_load(&p->changes);
	if (likely(room > 0))
		n = backend_wait(p->backend, ready,
		    room < READY_MAX ? room : READY_MAX, timeout);
	if (n > 0 || w->own)
		deliver(p, w, ready, n > 0 ? n : 0);
	else
		deliver_nothing(p);
	signalled = meet_notification(p, w);
	if (w->count > 0 || n >= 0)
		return 0;
	/* A handler ran. It is not to end the wait unless asked for; a
	 * notification that it sent does that in any case, and a signal that
	 * is watched is an event. */
	if (n == -EINTR &&
	    (w->ended || signalled || !(p->flags & POLLING_INTERRUPTIBLE)))
		return 0;
	return n;
}

/*
 * Waits until time, which is a deadline or, if relative, counts from now; NULL
 * is no limit. A finite wait looks before it sleeps: an event that is there
 * costs neither a timer nor the clock.
 */
static ALWAYS_INLINE int
wait_until(struct polling *p, struct waiting *w, const struct timespec *time,
    bool relative)
{
	const struct timespec *timeout = time != NULL ? &no_time : NULL;
	struct timespec deadline, left;
	int error;

	for (;;) {
		if (timeout != &no_time && !w->counted) {
			atomic_fetch_add(&p->sleepers, 1);
			w->counted = true;
		}
		error = look(p, w, timeout);
		if (w->count > 0 || w->ended || error != 0)
			break;
		if (time == NULL)
			continue;
		if (timeout == &no_time) {
			if (unlikely(w->again) && w->vain++ < VAIN_MAX) {
				w->again = false;
				continue;
			}
			if (!relative)
				deadline = *time;
			else if (clock_is_zero(time))
				break;
			else if (!clock_deadline(&deadline, time))
				time = NULL;
			timeout = time != NULL ? &left : NULL;
		}
		if (time != NULL && !clock_left(&left, &deadline))
			break;
	}
	if (w->counted) {
		atomic_fetch_sub(&p->sleepers, 1);
		if (unlikely(w->keeps))
			hand_over(p, w);
	}
	/* The wake-up for what is left may have ended this wait: another
	 * thread must look in its stead. */
	if (unlikely((atomic_load(&p->work) & WORK_NOW) ||
		     atomic_load(&p->attention) != 0) &&
	    atomic_load(&p->sleepers) > 0)
		(void)backend_wake(p->backend);
	return error != 0 ? error : w->count;
}

static int
check_wait(const struct polling *p, const struct polling_event *events,
    int capacity, const struct timespec *time)
{
	int error = check(p);

	if (error != 0)
		return error;
	if (capacity < 1 || (time != NULL && !clock_valid(time)))
		return -EINVAL;
	return events == NULL ? -EFAULT : 0;
}

/* Both public waits; they only jump here, since every return after a system
 * call costs. */
static int
public_wait(struct polling *p, struct polling_event *events, int capacity,
    const struct timespec *time, bool relative)
{
	struct waiting w = {.events = events, .capacity = capacity};
	int error = check_wait(p, events, capacity, time);

	if (unlikely(error != 0))
		return result(error);
	return result(wait_until(p, &w, time, relative));
}

int
polling_wait(struct polling *p, struct polling_event *events, int capacity,
    const struct timespec *timeout)
{
	return public_wait(p, events, capacity, timeout, true);
}

int
polling_wait_until(struct polling *p, struct polling_event *events,
    int capacity, const struct timespec *deadline)
{
	return public_wait(p, events, capacity, deadline, false);
}

int
polling_notify(struct polling *p)
{
	int saved = errno;
	int r = check(p);
	bool is_first = r == 0 &&
			!(atomic_fetch_or(&p->attention, ATTENTION_NOTIFIED) &
			    ATTENTION_NOTIFIED);

	if (is_first && atomic_load(&p->sleepers) > 0)
		r = backend_wake(p->backend);
	/* It has changed nothing, so that the next one tries to wake as well,
	 * unless a wait has met it all the same. */
	if (r != 0 && is_first &&
	    !(atomic_fetch_and(&p->attention, ~ATTENTION_NOTIFIED) &
		ATTENTION_NOTIFIED))
		r = 0;
	if (r == 0)
		errno = saved;
	return result(r);
}

int
polling_post(struct polling *p, const struct polling_event *event)
{
	int r = check(p);

	if (r == 0 && event == NULL)
		r = -EFAULT;
	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = post_push(&p->posts, event);
	if (r == 0)
		note_work(p);
	lock_release(&p->lock);
	/* It is queued: the next wait finds it, woken or not. */
	if (r == 0 && atomic_load(&p->sleepers) > 0)
		(void)backend_wake(p->backend);
	return result(r);
}

#if HAVE_HANDLES
void *
polling_get_handle(struct polling *p)
{
	int r = check(p);

	if (r != 0) {
		(void)result(r);
		return NULL;
	}
	return backend_handle(p->backend);
}
#else
int
polling_get_fd(struct polling *p)
{
	int r = check(p);

	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	r = backend_fd(p->backend);
	if (r >= 0 && !p->exposed) {
		p->exposed = true;
		atomic_fetch_add(&p->sleepers, 1);
		set_alarm(p, timers_next(&p->timers));
		changed(p);
		if (p->posts.count != 0 || atomic_load(&p->attention) != 0)
			(void)backend_wake(p->backend);
	}
	lock_release(&p->lock);
	return result(r);
}
#endif

int
polling_supports(const struct polling *p, unsigned feature)
{
	return p != NULL && feature < 32 && has_feature(p, feature);
}

#if HAVE_FORK
/* Forgets sources whose descriptors this child has closed, or put to another
 * use, since the fork: as long as the inherited backend can still be asked,
 * which it is once. Returns 0 or a negative errno. Locked. */
static int
prune(struct polling *p)
{
	int fd = NO_FD, error;

	if (p->pruned)
		return 0;
	while ((fd = registry_next(&p->registry, fd)) != NO_FD) {
		struct source *s = registry_known(&p->registry, fd);

		if (fcntl(fd, F_GETFD) < 0 ||
		    ((s->flags & SOURCE_FILE) && !file_known(fd, s)))
			forget(p, fd, s);
	}
	error = backend_prune(p->backend);
	p->pruned = error == 0;
	return error;
}

/* Tells a new backend of every source. Locked. */
static int
watch_all(struct polling *p, struct backend *b)
{
	int fd = NO_FD;

	while ((fd = registry_next(&p->registry, fd)) != NO_FD) {
		struct source *s = registry_known(&p->registry, fd);
		int r;

		if (s->flags & SOURCE_FILE)
			continue;
		s->flags &= (uint8_t)~SOURCE_PLACED;
		r = backend_add(b, fd, s);
		if (r == -EBADF || r == BACKEND_NEVER_BLOCKS)
			forget(p, fd, s);
		else if (r != 0)
			return r;
	}
	return 0;
}

/* Makes the inherited poller this child's own, over the backend b. Locked. */
static int
adopt(struct polling *p, struct backend *b)
{
	int error, fd;

	error = watch_all(p, b);
	if (error == 0)
		error = processes_watch_again(p, b);
	if (error == 0)
		error = signals_attach_again(&p->signals);
	if (error != 0)
		return error;
	/* The new backend was told all that is on the list. */
	while (registry_pop_changed(&p->registry, &fd) != NULL)
		continue;
	p->registry.sweep = false;
	p->backend = b;
	reset(p);
	note_work(p);
	atomic_store(&p->stamp, fork_stamp());
	/* One that has come since it was attached alerted nobody. */
	poller_alert(p);
	return 0;
}

int
polling_reinit(struct polling *p)
{
	struct backend *fresh, *surplus;
	int r = 0;

	if (p == NULL)
		return result(-EFAULT);
	if (!is_inherited(p))
		return 0;
	/* Before a new descriptor takes the number of one that was closed. */
	lock_acquire(&p->lock);
	if (is_inherited(p))
		r = prune(p);
	lock_release(&p->lock);
	if (r == 0)
		r = backend_open(&fresh, &p->registry);
	if (r != 0)
		return result(r);
	lock_acquire(&p->lock);
	surplus = fresh;
	/* Another thread of the child may have done it by now. */
	if (is_inherited(p)) {
		struct backend *inherited = p->backend;

		r = adopt(p, fresh);
		if (r == 0)
			surplus = inherited;
	}
	lock_release(&p->lock);
	backend_close(surplus, surplus != fresh);
	return result(r);
}
#else
int
polling_reinit(struct polling *p)
{
	/* Without fork() every poller is this process's own. */
	return result(p == NULL ? -EFAULT : 0);
}
#endif

const char *
polling_backend(void)
{
	return backend_name;
}

const char *
polling_version(void)
{
	return STRING(POLLING_VERSION_MAJOR) "." STRING(
	    POLLING_VERSION_MINOR) "." STRING(POLLING_VERSION_PATCH);
}
