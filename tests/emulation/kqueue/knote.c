/* SPDX-License-Identifier: MIT */
/*
 * knote.c - knotes, and the changes that programs make to them.
 *
 * A knote is in an epoll instance only while it is enabled, so that a
 * disabled one neither wakes anybody nor makes its kqueue readable. It is
 * there level-triggered, unless it has EV_CLEAR or Linux says ready where BSD
 * does not: then edge-triggered, to be looked at again when something has
 * happened.
 *
 * A knote of a process has a pidfd in epoll, which tells of its end. That is
 * the knote's own: it goes when the knote goes, and in a child of a fork.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../intercept.h"
#include "kernel.h"

/* A number for descriptors has a place in one of many pages, which are made
 * as they are needed. */
#define PAGE_SLOTS 4096
#define PAGES      4096
#define CHUNK      65536

struct slot {
	struct knote_list knotes; /* of this descriptor, of all kqueues */
	struct kqueue *kq;        /* that this descriptor is, or NULL */
};

static struct slot *pages[PAGES];
static struct pool knote_pool = {.size = sizeof(struct knote)};
static uint32_t generations;

static void *
map_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void
pool_give(struct pool *pool, void *object)
{
	memcpy(object, &pool->free_list, sizeof pool->free_list);
	pool->free_list = object;
}

void *
pool_take(struct pool *pool)
{
	void *object = pool->free_list;

	if (object == NULL) {
		char *chunk = map_memory(CHUNK);

		if (chunk == NULL)
			return NULL;
		for (size_t at = 0; at + pool->size <= CHUNK; at += pool->size)
			pool_give(pool, chunk + at);
		object = pool->free_list;
	}
	/* A chunk has room for one at least.
	 * NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker) */
	memcpy(&pool->free_list, object, sizeof pool->free_list);
	memset(object, 0, pool->size);
	return object;
}

/* NULL if there never was something at this number. */
static struct slot *
slot_of(uintptr_t ident)
{
	if (ident >= (uintptr_t)PAGES * PAGE_SLOTS ||
	    pages[ident / PAGE_SLOTS] == NULL)
		return NULL;
	return &pages[ident / PAGE_SLOTS][ident % PAGE_SLOTS];
}

static struct slot *
make_slot(uintptr_t ident)
{
	if (ident >= (uintptr_t)PAGES * PAGE_SLOTS)
		return NULL;
	if (pages[ident / PAGE_SLOTS] == NULL)
		pages[ident / PAGE_SLOTS] = map_memory(
		    PAGE_SLOTS * sizeof(struct slot));
	return slot_of(ident);
}

struct kqueue *
kqueue_of(int fd)
{
	struct slot *slot = fd < 0 ? NULL : slot_of((uintptr_t)fd);

	return slot == NULL ? NULL : slot->kq;
}

int
kqueue_name(int fd, struct kqueue *kq)
{
	struct slot *slot = make_slot((uintptr_t)fd);

	if (slot == NULL)
		return ENOMEM;
	slot->kq = kq;
	return 0;
}

/* Whether idents of the filter are descriptors. */
static bool
is_of_descriptors(short filter)
{
	return filter == EVFILT_READ || filter == EVFILT_WRITE ||
	       filter == EVFILT_EXCEPT;
}

static struct knote *
find(struct kqueue *kq, uintptr_t ident, short filter)
{
	struct slot *slot = is_of_descriptors(filter) ? slot_of(ident) : NULL;
	struct knote *kn = NULL;

	if (!is_of_descriptors(filter))
		kn = LIST_FIRST(&kq->others);
	else if (slot != NULL)
		kn = LIST_FIRST(&slot->knotes);
	while (kn != NULL && (kn->kq != kq || kn->event.ident != ident ||
				 kn->event.filter != filter))
		kn = LIST_NEXT(kn, beside);
	return kn;
}

struct knote *
knote_of_token(struct kqueue *kq, uint64_t token)
{
	struct slot *slot = slot_of((uint32_t)token);
	struct knote *kn = slot == NULL ? NULL : LIST_FIRST(&slot->knotes);

	if ((uint32_t)token == TOKEN_OTHER)
		kn = LIST_FIRST(&kq->others);
	while (kn != NULL && (kn->kq != kq || kn->generation != token >> 32))
		kn = LIST_NEXT(kn, beside);
	return kn;
}

/* Epoll */

/* An errno, or 0. */
static int
control(struct knote *kn, int operation)
{
	struct epoll_event event = {.events = filter_mask(kn->event.filter)};
	int fd = kn->hidden >= 0 ? kn->hidden : (int)kn->event.ident;
	uint32_t place = kn->hidden >= 0 ? TOKEN_OTHER : (uint32_t)fd;

	if (kn->quiet || (kn->event.flags & EV_CLEAR))
		event.events |= EPOLLET;
	event.data.u64 = (uint64_t)kn->generation << 32 | place;
	if (epoll_ctl(kn->kq->instances[kn->instance], operation, fd, &event) <
	    0)
		return errno;
	return 0;
}

static int
watch(struct knote *kn)
{
	int error = EEXIST;

	/* Another filter of the descriptor may have the first place: such a
	 * knote pays with one more call for each event. */
	for (int i = 0; error == EEXIST && i < INSTANCES; i++) {
		kn->instance = i;
		if (kn->kq->instances[i] >= 0)
			error = control(kn, EPOLL_CTL_ADD);
	}
	kn->watched = error == 0;
	return error;
}

/* The soft list */

void
soft_set_ready(struct kqueue *kq, bool ready)
{
	uint64_t count = 1;

	if (kq->soft_ready == ready)
		return;
	kq->soft_ready = ready;
	/* Neither can fail: it is empty before the one and not before the
	 * other. */
	(void)(ready ? write(kq->softfd, &count, sizeof count)
		     : read(kq->softfd, &count, sizeof count));
}

/* Whether epoll does not tell all there is to know. */
static bool
is_soft(const struct knote *kn)
{
	const struct system *system = emulated_system();

	switch (kn->kind) {
	case KIND_USER:
		return kn->triggered;
	case KIND_PROCESS:
		/* Of these epoll tells nothing. */
		return kn->event.fflags & (NOTE_FORK | NOTE_EXEC);
	case KIND_TIMER:
	case KIND_FILE:
		return true;
	case KIND_DEVICE:
		return !kn->watched;
	case KIND_PIPE:
	case KIND_FIFO:
		if (kn->event.filter == EVFILT_WRITE)
			return system->writes_anywhere &&
			       kn->access == O_RDONLY;
		return system->repeats_reopened && kn->kind == KIND_FIFO &&
		       kn->seen_eof && kn->access != O_WRONLY;
	default:
		return false;
	}
}

void
soft_judge(struct knote *kn, struct verdict *v)
{
	bool looks = kn->kind != KIND_FILE && kn->kind < KIND_USER;

	if (kn->kind == KIND_PROCESS)
		process_look(kn);
	filter_judge(kn, looks ? filter_look(kn) : 0, v);
	/* Only here for its end to be over; epoll tells the rest. */
	if (kn->kind == KIND_FIFO && kn->event.filter == EVFILT_READ)
		v->ready = v->ready && !v->eof;
}

/* Whether time makes it ready. */
static bool
is_clocked(const struct knote *kn)
{
	return kn->kind == KIND_TIMER || kn->kind == KIND_PROCESS;
}

void
soft_settle(struct kqueue *kq)
{
	int64_t first = INT64_MAX;
	bool ready = false;
	struct knote *kn;
	struct verdict v;

	/* In a child both are the parent's. */
	if (kq->inherited)
		return;
	TAILQ_FOREACH(kn, &kq->soft, listed)
	{
		soft_judge(kn, &v);
		ready = ready || v.ready;
		if (is_clocked(kn) && !v.ready && kn->due < first)
			first = kn->due;
	}
	soft_set_ready(kq, ready);
	clock_set(kq, first);
}

static void
soft_insert(struct knote *kn)
{
	struct verdict v;

	if (!kn->soft) {
		TAILQ_INSERT_TAIL(&kn->kq->soft, kn, listed);
		kn->kq->clocked += is_clocked(kn);
	}
	kn->soft = true;
	if (is_clocked(kn)) {
		soft_settle(kn->kq);
		return;
	}
	soft_judge(kn, &v);
	if (v.ready)
		soft_set_ready(kn->kq, true);
}

static void
soft_remove(struct knote *kn)
{
	bool settles = kn->soft && is_clocked(kn);

	if (kn->soft)
		TAILQ_REMOVE(&kn->kq->soft, kn, listed);
	kn->soft = false;
	if (TAILQ_EMPTY(&kn->kq->soft))
		soft_set_ready(kn->kq, false);
	kn->kq->clocked -= settles;
	if (settles)
		soft_settle(kn->kq);
}

/* States of a knote */

/* Begins to look for events: an errno, or 0. */
static int
start(struct knote *kn)
{
	int error = 0;

	if (kn->kind != KIND_USER && kn->kind != KIND_FILE &&
	    kn->kind != KIND_TIMER)
		error = watch(kn);
	/* EPERM is a device that never blocks. */
	if (error == EPERM && kn->kind == KIND_DEVICE)
		error = emulated_system()->device_error;
	if (error == ELOOP)
		error = EINVAL;
	if (error == ENOSPC)
		error = ENOMEM;
	if (error == 0 && is_soft(kn))
		soft_insert(kn);
	return error;
}

static void
stop(struct knote *kn)
{
	soft_remove(kn);
	/* It fails if the descriptor was closed without our knowledge. */
	if (kn->watched)
		(void)control(kn, EPOLL_CTL_DEL);
	kn->watched = false;
	kn->quiet = false;
	kn->deaf = false;
}

void
knote_drop(struct knote *kn)
{
	stop(kn);
	if (kn->hidden >= 0)
		(void)real_close(kn->hidden);
	if (kn->kind == KIND_TIMER)
		timer_close();
	LIST_REMOVE(kn, beside);
	LIST_REMOVE(kn, owned);
	pool_give(&knote_pool, kn);
}

void
knote_drop_fd(int fd)
{
	struct slot *slot = slot_of((uintptr_t)fd);

	while (slot != NULL && !LIST_EMPTY(&slot->knotes))
		knote_drop(LIST_FIRST(&slot->knotes));
}

bool
knote_hush(struct knote *kn)
{
	if (!kn->watched || kn->quiet || (kn->event.flags & EV_CLEAR))
		return false;
	kn->quiet = true;
	(void)control(kn, EPOLL_CTL_MOD);
	return true;
}

void
knote_repeat(struct knote *kn)
{
	if (kn->watched && (kn->quiet || (kn->event.flags & EV_CLEAR)))
		(void)control(kn, EPOLL_CTL_MOD);
}

void
knote_reported(struct knote *kn, const struct verdict *v)
{
	kn->seen_data = v->data;
	kn->seen_eof = v->eof;
	if (kn->event.flags & EV_ONESHOT) {
		knote_drop(kn);
		return;
	}
	if (kn->event.flags & EV_CLEAR) {
		kn->triggered = false;
		kn->notes = 0;
	}
	if (kn->kind == KIND_TIMER)
		timer_reported(kn, v);
	if (kn->event.flags & EV_DISPATCH) {
		stop(kn);
		kn->disabled = true;
		kn->dispatched = true;
		return;
	}
	if (is_clocked(kn))
		return;
	if (!is_soft(kn) || (kn->event.flags & EV_CLEAR))
		soft_remove(kn);
	else if (!kn->soft)
		soft_insert(kn);
	if (kn->quiet && !(kn->event.flags & EV_CLEAR)) {
		kn->quiet = false;
		(void)control(kn, EPOLL_CTL_MOD);
	}
}

/* Changes */

/* An errno for a change that names no knote. */
static int
missing(const struct kevent *change)
{
	if (is_of_descriptors(change->filter) &&
	    (change->ident > INT_MAX || fcntl((int)change->ident, F_GETFD) < 0))
		return EBADF;
	return ENOENT;
}

/* What a program gives is kept without what is no property of a knote. */
static void
keep(struct knote *kn, const struct kevent *change)
{
	kn->event = *change;
	kn->event.flags &= EV_ONESHOT | EV_CLEAR | EV_RECEIPT | EV_DISPATCH;
	switch (change->filter) {
	case EVFILT_USER:
		kn->kind = KIND_USER;
		kn->event.fflags &= NOTE_FFLAGSMASK;
		kn->triggered = (change->fflags & NOTE_TRIGGER) &&
				emulated_system()->add_triggers;
		break;
	case EVFILT_PROC:
		kn->kind = KIND_PROCESS;
		kn->event.flags |= EV_CLEAR;
		break;
	case EVFILT_TIMER:
		kn->kind = KIND_TIMER;
		kn->event.flags |= EV_CLEAR;
		break;
	default:
		break;
	}
}

/* What the descriptor of a new knote is, and its slot: an errno, or 0. */
static int
identify(struct knote *kn, struct slot **slot)
{
	int error;

	if (kn->event.ident > INT_MAX)
		return EBADF;
	error = filter_kind((int)kn->event.ident, &kn->kind, &kn->access);
	if (error == 0)
		error = filter_check(kn);
	if (error != 0)
		return error;
	*slot = make_slot(kn->event.ident);
	return *slot == NULL ? ENOMEM : 0;
}

/* Begins to look for events of a new knote: an errno, or 0. */
static int
start_first(struct knote *kn)
{
	int error = 0;

	if (kn->kind == KIND_PROCESS)
		error = process_open(kn);
	else if (kn->kind == KIND_TIMER)
		error = timer_open(kn);
	return error == 0 ? start(kn) : error;
}

static int
add(struct kqueue *kq, const struct kevent *change)
{
	struct knote probe = {.kq = kq, .hidden = -1};
	struct slot *slot = NULL;
	struct knote *kn;
	int error = 0;

	keep(&probe, change);
	if (is_of_descriptors(change->filter))
		error = identify(&probe, &slot);
	else if (change->filter == EVFILT_TIMER)
		error = timer_check(change);
	if (error != 0)
		return error;
	kn = pool_take(&knote_pool);
	if (kn == NULL)
		return ENOMEM;
	*kn = probe;
	if (++generations == 0)
		generations = 1;
	kn->generation = generations;
	LIST_INSERT_HEAD(&kq->knotes, kn, owned);
	LIST_INSERT_HEAD(
	    slot == NULL ? &kq->others : &slot->knotes, kn, beside);
	kn->disabled = change->flags & EV_DISABLE;
	/* Also a disabled one meets the errors. */
	error = start_first(kn);
	if (error != 0)
		knote_drop(kn);
	else if (kn->disabled)
		stop(kn);
	return error;
}

static void
touch_user(struct knote *kn, const struct kevent *change)
{
	unsigned flags = change->fflags & NOTE_FFLAGSMASK;

	switch (change->fflags & NOTE_FFCTRLMASK) {
	case NOTE_FFAND:
		kn->event.fflags &= flags;
		break;
	case NOTE_FFOR:
		kn->event.fflags |= flags;
		break;
	case NOTE_FFCOPY:
		kn->event.fflags = flags;
		break;
	default:
		break;
	}
	kn->event.data = change->data;
	if ((change->flags & EV_ADD) && emulated_system()->add_sets_clear) {
		kn->event.flags &= (unsigned short)~EV_CLEAR;
		kn->event.flags |= change->flags & EV_CLEAR;
	}
	if (change->fflags & NOTE_TRIGGER)
		kn->triggered = true;
}

/* Looks anew whether an enabled knote is ready: an errno, or 0. */
static int
touch(struct knote *kn)
{
	if (is_soft(kn))
		soft_insert(kn);
	kn->deaf = false;
	return kn->watched ? control(kn, EPOLL_CTL_MOD) : 0;
}

/* Enables a knote without looking at it: only news will be reported. */
static int
start_deaf(struct knote *kn)
{
	uint32_t conditions = filter_look(kn);
	struct verdict v;

	filter_judge(kn, conditions, &v);
	if (v.data > kn->seen_data || (v.eof && !kn->seen_eof))
		return start(kn);
	if (kn->kind == KIND_FILE)
		return 0;
	kn->deaf = conditions &
		   (filter_mask(kn->event.filter) | EPOLLERR | EPOLLHUP);
	kn->quiet = kn->deaf;
	return watch(kn);
}

static int
enable(struct knote *kn, bool looks)
{
	bool deaf = kn->dispatched && !looks && kn->kind < KIND_USER;

	if (!kn->disabled)
		return looks ? touch(kn) : 0;
	kn->disabled = false;
	kn->dispatched = false;
	return deaf ? start_deaf(kn) : start(kn);
}

static int
update(struct knote *kn, const struct kevent *change)
{
	const struct system *system = emulated_system();
	bool looks = (change->flags & EV_ADD) || !system->enable_is_deaf;
	int error;

	if (kn->kind == KIND_TIMER && (change->flags & EV_ADD)) {
		error = timer_check(change);
		if (error != 0)
			return error;
	}
	if ((change->flags & EV_ADD) || system->overwrites) {
		kn->event.udata = change->udata;
		if (kn->kind != KIND_USER && kn->kind != KIND_TIMER) {
			kn->event.fflags = change->fflags;
			kn->event.data = change->data;
		}
	}
	if (kn->kind == KIND_USER)
		touch_user(kn, change);
	if (kn->kind == KIND_PROCESS)
		process_again(kn);
	if (kn->kind == KIND_PROCESS && kn->soft && !is_soft(kn))
		soft_remove(kn);
	if (kn->kind == KIND_TIMER && (change->flags & EV_ADD)) {
		kn->event.data = change->data;
		timer_again(kn);
	}
	if (change->flags & EV_ENABLE)
		return enable(kn, looks);
	if (change->flags & EV_DISABLE) {
		stop(kn);
		kn->disabled = true;
		kn->dispatched = false;
		return 0;
	}
	if (kn->disabled)
		return 0;
	return looks || kn->kind == KIND_USER ? touch(kn) : 0;
}

static bool
has_filter(short filter)
{
	const struct system *system = emulated_system();

	switch (filter) {
	case EVFILT_READ:
	case EVFILT_WRITE:
	case EVFILT_PROC:
	case EVFILT_TIMER:
		return true;
	case EVFILT_USER:
		return system->has_user;
	case EVFILT_EXCEPT:
		return system->has_except;
	default:
		return false;
	}
}

int
knote_change(struct kqueue *kq, const struct kevent *change, bool *receipt)
{
	struct knote *kn;
	int error;

	*receipt = change->flags & EV_RECEIPT;
	if (!has_filter(change->filter))
		return EINVAL;
	kn = find(kq, change->ident, change->filter);
	if (kn != NULL && !(change->flags & EV_DELETE)) {
		*receipt = *receipt || (kn->event.flags & EV_RECEIPT);
		error = update(kn, change);
		if (error != ENOENT && error != EBADF)
			return error;
	}
	if (kn != NULL) {
		error = kn->watched ? control(kn, EPOLL_CTL_DEL) : 0;
		kn->watched = false;
		knote_drop(kn);
		/* Else the descriptor was closed behind our back. */
		if (error == 0 && (change->flags & EV_DELETE))
			return 0;
	}
	return change->flags & EV_ADD ? add(kq, change) : missing(change);
}
