/* SPDX-License-Identifier: MIT */
/*
 * poll.c - the backend for systems that have nothing better than poll().
 *
 * poll() takes an array of descriptors and writes its answers into it, so one
 * thread at a time, the leader, may be inside with the array; nothing may
 * touch it meanwhile. The others follow: they sleep on a second descriptor,
 * the baton, which the leader makes readable when it comes out. A change that
 * meets a leader inside stays on the registry's list, and the leader is woken
 * to apply it. A look without blocking does not wait for the leader: it polls
 * copies, some descriptors at a time.
 *
 * Beside the array of struct pollfd stands one of entries, which may change
 * while a leader is inside; of the array itself the others may only read what
 * poll() does not write. Position 0 is the wake-up. A source that is silent
 * has its descriptor complemented in the array, which makes it negative, so
 * that poll() passes over it; if it falls silent while a leader is inside,
 * that is made up for before the next one goes in.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "cancel.h"
#include "clock.h"
#include "file.h"
#include "fork.h"
#include "lock.h"
#include "pollbits.h"
#include "slack.h"
#include "wakeup.h"

#define FIRST_CAPACITY 16

/* Descriptors that one look without blocking asks about at a time. */
#define LOOK_CHUNK 64

/* The most waits without a look first, after looks in vain. */
#define BLIND_MAX 63

/* What is known of one position of the array beside what poll() is told. */
struct entry {
	uint32_t generation; /* the source's; 0 if it was removed */
	uint32_t identity;   /* of the file that was added */
	bool oneshot;        /* silent after its next report */
	bool silent;         /* makes no reports */
};

struct table {
	struct pollfd *fds;    /* what poll() is told */
	struct entry *entries; /* one for each, behind them in one block */
	size_t capacity;       /* of both; 0 until allocated */
};

_Static_assert(_Alignof(struct entry) <= _Alignof(struct pollfd),
    "entries may follow any number of struct pollfd");

struct backend {
	struct lock lock; /* guards all but the descriptors */
	struct table table;
	struct table spare;        /* larger, for when the leader is out */
	size_t count;              /* positions in use, the wake-up's too */
	size_t wanted;             /* positions that all sources need */
	size_t next;               /* where the next collection begins */
	unsigned followers;        /* threads that wait for the baton */
	unsigned blind;            /* the leader's: waits to go until it looks
				    * before it blocks */
	unsigned pause;            /* the leader's: such waits after the last
				    * look in vain */
	atomic_bool nanoseconds;   /* ppoll() is there and allowed */
	bool busy;                 /* a leader is inside */
	bool raised;               /* the baton is readable */
	bool silenced;             /* entries fell silent meanwhile, and the
				    * array must follow */
	struct fork_entry entry;   /* a child is to find the tables whole */
	struct wakeup wake;        /* for the leader */
	struct wakeup baton;       /* for the followers */
	struct registry *registry; /* the poller's */
};

const char backend_name[] = "poll";

/* A check is cheap beside poll() itself, and nothing else tells that a number
 * has gone to another file. */
const uint16_t backend_verify_max = 1;

static const struct timespec zero;

/* ppoll(), or -ENOSYS. */
static int
poll_nanoseconds(
    struct pollfd *fds, size_t count, const struct timespec *timeout)
{
#if HAVE_PPOLL
	int n = ppoll(fds, (nfds_t)count, timeout, NULL);

	return n < 0 ? -errno : n;
#else
	(void)fds;
	(void)count;
	(void)timeout;
	return -ENOSYS;
#endif
}

/* What is said where ppoll() is not to be had: a kernel older than the C
 * library, or a filter of system calls. */
static bool
is_missing(int error)
{
	return error == -ENOSYS || error == -EPERM || error == -EACCES;
}

static int
poll_milliseconds(
    struct pollfd *fds, size_t count, const struct timespec *timeout)
{
	int n = poll(fds, (nfds_t)count,
	    timeout != NULL ? clock_milliseconds(timeout) : -1);

	return n < 0 ? -errno : n;
}

/* poll() with the precision of the system, and no cancellation point. */
static int
poll_until(struct backend *b, struct pollfd *fds, size_t count,
    const struct timespec *timeout)
{
	int state = cancel_hold();
	int slack = slack_tighten(timeout);
	int n = -ENOSYS;

	if (atomic_load_explicit(&b->nanoseconds, memory_order_relaxed)) {
		n = poll_nanoseconds(fds, count, timeout);
		if (is_missing(n))
			atomic_store(&b->nanoseconds, false);
	}
	if (is_missing(n))
		n = poll_milliseconds(fds, count, timeout);
	slack_restore(slack);
	cancel_release(state);
	return n;
}

static void
free_table(struct table *t)
{
	free(t->fds);
	memset(t, 0, sizeof *t);
}

/* Makes room for capacity positions; t may be empty. */
static int
grow_table(struct table *t, size_t capacity)
{
	size_t each = sizeof *t->fds + sizeof *t->entries;
	struct pollfd *fds;

	if (capacity > SIZE_MAX / each)
		return -ENOMEM;
	fds = realloc(t->fds, capacity * each);
	if (fds == NULL)
		return -ENOMEM;
	t->fds = fds;
	t->entries = (struct entry *)(fds + capacity);
	/* They lay behind fewer of the others before. */
	memmove(
	    t->entries, fds + t->capacity, t->capacity * sizeof *t->entries);
	t->capacity = capacity;
	return 0;
}

/* Moves to the spare table if there is one. The leader is out. */
static void
use_spare(struct backend *b)
{
	if (b->spare.capacity == 0)
		return;
	memcpy(b->spare.fds, b->table.fds, b->count * sizeof *b->table.fds);
	memcpy(b->spare.entries, b->table.entries,
	    b->count * sizeof *b->table.entries);
	free_table(&b->table);
	b->table = b->spare;
	memset(&b->spare, 0, sizeof b->spare);
}

/* Makes sure that there is room for one source more than there are, in the
 * table or, while the leader keeps hold of that, in a spare one. */
static int
reserve(struct backend *b)
{
	size_t capacity = b->spare.capacity != 0 ? b->spare.capacity
						 : b->table.capacity;
	/* Removed sources keep their positions until the leader is out. */
	size_t needed = (b->wanted > b->count ? b->wanted : b->count) + 1;

	if (needed <= capacity)
		return 0;
	/* By a quarter: a source is to cost no more than 64 bytes in all. */
	needed += needed / 4;
	if (b->busy)
		return grow_table(&b->spare, needed);
	use_spare(b);
	return grow_table(&b->table, needed);
}

/* The descriptor at position i, silent or not. */
static int
descriptor_at(const struct backend *b, size_t i)
{
	int fd = b->table.fds[i].fd;

	return fd < 0 ? ~fd : fd;
}

/* Makes poll() pass over position i. The leader is out. */
static void
hush(struct backend *b, size_t i)
{
	b->table.fds[i].fd = ~descriptor_at(b, i);
}

int
backend_open(struct backend **out, struct registry *r)
{
	struct backend *b = calloc(1, sizeof *b);
	int error;

	if (b == NULL)
		return -ENOMEM;
	b->registry = r;
	error = grow_table(&b->table, FIRST_CAPACITY);
	if (error != 0)
		goto free_table;
	error = lock_init(&b->lock);
	if (error != 0)
		goto free_table;
	error = wakeup_open(&b->wake);
	if (error != 0)
		goto destroy_lock;
	error = wakeup_open(&b->baton);
	if (error != 0)
		goto close_wake;
	error = fork_enrol(&b->entry, &b->lock);
	if (error != 0)
		goto close_baton;
	b->table.fds[0] = (struct pollfd){
	    .fd = b->wake.read_fd, .events = POLLIN};
	b->table.entries[0] = (struct entry){0};
	b->count = 1;
	b->wanted = 1;
	b->next = 1;
	/* polling_supports() is to know before the first wait. */
	atomic_store(&b->nanoseconds,
	    !is_missing(poll_nanoseconds(b->table.fds, 1, &zero)));
	*out = b;
	return 0;

close_baton:
	wakeup_close(&b->baton);
close_wake:
	wakeup_close(&b->wake);
destroy_lock:
	lock_destroy(&b->lock);
free_table:
	free_table(&b->table);
	free(b);
	return error;
}

void
backend_close(struct backend *b, bool inherited)
{
	/* The child's copies are its own: there is no kernel object. */
	(void)inherited;
	fork_resign(&b->entry);
	wakeup_close(&b->baton);
	wakeup_close(&b->wake);
	lock_destroy(&b->lock);
	free_table(&b->spare);
	free_table(&b->table);
	free(b);
}

uint32_t
backend_features(const struct backend *b)
{
	uint32_t features = 1u << POLLING_FEATURE_LEVEL |
			    1u << POLLING_FEATURE_PRI |
			    1u << POLLING_FEATURE_FILE;

	if (POLLRDHUP != 0)
		features |= 1u << POLLING_FEATURE_RDHUP;
	if (atomic_load_explicit(&b->nanoseconds, memory_order_relaxed))
		features |= 1u << POLLING_FEATURE_NANOSECOND;
	return features;
}

/* Writes what s asks for now to its position. The leader is out. */
static void
tell(struct backend *b, int fd, struct source *s)
{
	struct entry *e = &b->table.entries[s->slot];

	e->silent = !(s->flags & SOURCE_ARMED);
	e->oneshot = source_is_oneshot(s);
	s->kernel = e->oneshot ? KERNEL_ONESHOT : 0;
	b->table.fds[s->slot] = (struct pollfd){
	    .fd = e->silent ? ~fd : fd, .events = poll_events(s->interest)};
}

/* Gives s, whose slot is the identity of its file so far, the last position.
 * The leader is out. */
static void
place(struct backend *b, int fd, struct source *s)
{
	size_t i;

	use_spare(b);
	i = b->count++;
	b->table.entries[i].generation = s->generation;
	b->table.entries[i].identity = s->slot;
	s->slot = (uint32_t)i;
	s->flags |= SOURCE_PLACED;
	tell(b, fd, s);
}

/* Closes the hole at position i with the last entry. The leader is out. */
static void
fill_hole(struct backend *b, size_t i)
{
	size_t last = --b->count;

	if (i == last)
		return;
	b->table.entries[i] = b->table.entries[last];
	b->table.fds[i] = b->table.fds[last];
	if (b->table.entries[i].generation != 0)
		registry_known(b->registry, descriptor_at(b, i))->slot =
		    (uint32_t)i;
}

/* Closes the holes that were left while a leader was inside. It is
 * out. */
static void
sweep(struct backend *b)
{
	for (size_t i = 1; i < b->count;) {
		if (b->table.entries[i].generation == 0)
			fill_hole(b, i);
		else
			i++;
	}
	b->registry->sweep = false;
}

int
backend_add(struct backend *b, int fd, struct source *s)
{
	struct pollfd probe = {.fd = fd};
	int error = file_identity(fd, &s->slot);

	if (error != 0)
		return error;
	/* Open, but only as a name (O_PATH on Linux), or a device that poll()
	 * cannot watch (terminals on early versions of macOS). */
	if (poll_until(b, &probe, 1, &zero) > 0 && (probe.revents & POLLNVAL))
		return -EBADF;
	lock_acquire(&b->lock);
	error = reserve(b);
	if (error == 0) {
		b->wanted++;
		if (b->busy) {
			registry_change(b->registry, fd, s);
		} else {
			/* As it is, no position is given to a hole. */
			if (b->registry->sweep)
				sweep(b);
			place(b, fd, s);
		}
	}
	lock_release(&b->lock);
	return error;
}

bool
backend_knows(struct backend *b, int fd, struct source *s)
{
	uint32_t known;

	lock_acquire(&b->lock);
	known = s->flags & SOURCE_PLACED ? b->table.entries[s->slot].identity
					 : s->slot;
	lock_release(&b->lock);
	if (file_is(fd, known))
		return true;
	/* The core forgets it now, and with it the way to its position. */
	backend_remove(b, fd, s);
	return false;
}

int
backend_prune(struct backend *b)
{
	int fd = NO_FD;

	while ((fd = registry_next(b->registry, fd)) != NO_FD)
		if (!backend_knows(b, fd, registry_known(b->registry, fd)))
			registry_remove(b->registry, fd);
	return 0;
}

bool
backend_heeds(const struct backend *b, const struct source *s)
{
	(void)b;
	(void)s;
	return true;
}

int
backend_apply(struct backend *b, bool at_once)
{
	struct source *s;
	int fd;

	(void)at_once;
	lock_acquire(&b->lock);
	if (b->busy) {
		/* It comes out, finds the changes and applies them. */
		(void)wakeup_signal(&b->wake);
		lock_release(&b->lock);
		return 0;
	}
	if (b->registry->sweep)
		sweep(b);
	while ((s = registry_pop_changed(b->registry, &fd)) != NULL) {
		if (s->flags & SOURCE_PLACED)
			tell(b, fd, s);
		else
			place(b, fd, s);
	}
	lock_release(&b->lock);
	return 0;
}

void
backend_remove(struct backend *b, int fd, struct source *s)
{
	(void)fd;
	lock_acquire(&b->lock);
	b->wanted--;
	if (!(s->flags & SOURCE_PLACED)) {
		/* On the list of changes, which passes over it. */
	} else if (!b->busy) {
		fill_hole(b, s->slot);
	} else {
		/* The leader is woken, since as long as it is inside, the
		 * kernel keeps the file open for it. */
		b->table.entries[s->slot].generation = 0;
		b->registry->sweep = true;
		(void)wakeup_signal(&b->wake);
	}
	s->flags &= (uint8_t)~SOURCE_PLACED;
	lock_release(&b->lock);
}

uint32_t
backend_look(struct backend *b, int fd, struct source *s, uint32_t conditions)
{
	/* Never called: what poll() reports is complete. */
	(void)b;
	(void)fd;
	(void)s;
	return conditions;
}

void
backend_stale(struct backend *b, int fd)
{
	/* Nothing outlives the array that is handed to the kernel. */
	(void)b;
	(void)fd;
}

bool
backend_unwanted(struct backend *b, int fd, struct source *s)
{
	/* Disarmed while a leader was inside, which is told before it goes
	 * in again. */
	(void)b;
	(void)fd;
	(void)s;
	return false;
}

bool
backend_doubts(struct backend *b, int fd, struct source *s)
{
	/* A leader is called out before a change takes effect. */
	(void)b;
	(void)fd;
	(void)s;
	return false;
}

/* Makes one report of what poll() says about position i, if it is news. */
static int
report(struct backend *b, size_t i, short revents, struct ready *out)
{
	struct entry *e = &b->table.entries[i];

	if (revents == 0 || e->silent || e->generation == 0)
		return 0;
	out->fd = descriptor_at(b, i);
	out->generation = e->generation;
	out->conditions = revents & POLLNVAL ? CONDITION_CLOSED
					     : poll_conditions(revents);
	if (e->oneshot || (revents & POLLNVAL)) {
		e->silent = true;
		if (b->busy)
			b->silenced = true;
		else
			hush(b, i);
	}
	return 1;
}

/* Reports what the leader came back with, going on where the collection
 * before ended, so that a small capacity starves nobody. */
static int
collect(struct backend *b, struct ready *out, int capacity)
{
	int n = 0;
	size_t i = b->next < b->count ? b->next : 1;

	for (size_t seen = 1; seen < b->count && n < capacity; seen++) {
		n += report(b, i, b->table.fds[i].revents, &out[n]);
		if (++i >= b->count)
			i = 1;
	}
	b->next = i;
	return n;
}

/*
 * Waits with the whole array. A poll() that may block joins the queue of
 * waiters of each descriptor, which doubles its cost or more; one that finds
 * something at once spares that. So as long as looks find something there is
 * one before each wait, and after looks in vain ever fewer. Waits that end by
 * their time come with a look of the core.
 */
static int
poll_all(struct backend *b, struct pollfd *fds, size_t count,
    const struct timespec *timeout)
{
	int n;

	if (timeout != NULL)
		return poll_until(b, fds, count, timeout);
	if (b->blind > 0) {
		b->blind--;
		return poll_until(b, fds, count, NULL);
	}
	n = poll_until(b, fds, count, &zero);
	if (n != 0) {
		b->pause = 0;
		return n;
	}
	if (b->pause < BLIND_MAX)
		b->pause = 2 * b->pause + 1;
	b->blind = b->pause;
	return poll_until(b, fds, count, NULL);
}

/* Waits as the leader with the whole array. Called with the lock of the
 * backend held, which it releases. */
static int
lead(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout)
{
	size_t count = b->count;
	struct pollfd *fds = b->table.fds;
	int n;

	if (b->silenced)
		for (size_t i = 1; i < count; i++)
			if (b->table.entries[i].silent)
				hush(b, i);
	b->silenced = false;
	b->busy = true;
	if (b->raised)
		wakeup_drain(&b->baton);
	b->raised = false;
	lock_release(&b->lock);
	n = poll_all(b, fds, count, timeout);
	lock_acquire(&b->lock);
	b->busy = false;
	if (n > 0) {
		if (fds[0].revents != 0)
			wakeup_drain(&b->wake);
		n = collect(b, out, capacity);
	}
	if (b->followers > 0 && !b->raised) {
		(void)wakeup_signal(&b->baton);
		b->raised = true;
	}
	lock_release(&b->lock);
	return n;
}

/* Waits until the leader comes out. Called with the lock of the backend held,
 * which it releases. */
static int
follow(struct backend *b, const struct timespec *timeout)
{
	struct pollfd baton = {.fd = b->baton.read_fd, .events = POLLIN};
	int n;

	b->followers++;
	lock_release(&b->lock);
	n = poll_until(b, &baton, 1, timeout);
	lock_acquire(&b->lock);
	b->followers--;
	/* A leader has taken it since, or it came late, as it may through a
	 * socket: then nobody else would, and it would go on waking. */
	if (n > 0 && !b->raised)
		wakeup_drain(&b->baton);
	lock_release(&b->lock);
	/* Whoever becomes the leader takes the baton, not whoever sees it:
	 * a thread that goes home instead must leave it to the others. */
	return n < 0 ? n : 0;
}

/* Looks without blocking while a leader is inside: at copies. Called with the
 * lock of the backend held, which it releases. */
static int
look_beside(struct backend *b, struct ready *out, int capacity)
{
	struct pollfd copies[LOOK_CHUNK];
	int n = 0;

	for (size_t base = 1; base < b->count && n < capacity;) {
		size_t chunk = b->count - base;
		int ready;

		if (chunk > LOOK_CHUNK)
			chunk = LOOK_CHUNK;
		for (size_t i = 0; i < chunk; i++) {
			const struct entry *e = &b->table.entries[base + i];

			copies[i].fd = -1;
			if (e->generation != 0 && !e->silent)
				copies[i].fd = descriptor_at(b, base + i);
			copies[i].events = b->table.fds[base + i].events;
			copies[i].revents = 0;
		}
		/* With the lock held: what is reported must not have been
		 * reported and armed again by others meanwhile. */
		ready = poll_until(b, copies, chunk, &zero);
		for (size_t i = 0; ready > 0 && i < chunk && n < capacity; i++)
			n += report(b, base + i, copies[i].revents, &out[n]);
		base += chunk;
	}
	lock_release(&b->lock);
	return n;
}

int
backend_wait(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout)
{
	lock_acquire(&b->lock);
	if (!b->busy)
		return lead(b, out, capacity, timeout);
	if (timeout != NULL && clock_is_zero(timeout))
		return look_beside(b, out, capacity);
	return follow(b, timeout);
}

int
backend_wake(struct backend *b)
{
	return wakeup_signal(&b->wake);
}

int
backend_fd(struct backend *b)
{
	(void)b;
	return -ENOTSUP;
}

bool
backend_alarm(struct backend *b, const struct timespec *at)
{
	/* Never called: there is no descriptor. */
	(void)b;
	(void)at;
	return true;
}

/* Processes are no business of this kernel's. */
int
backend_add_process(
    struct backend *b, polling_pid pid, uint32_t what, uint32_t generation)
{
	(void)b;
	(void)pid;
	(void)what;
	(void)generation;
	return -ENOTSUP;
}

void
backend_remove_process(struct backend *b, polling_pid pid)
{
	(void)b;
	(void)pid;
}
