/* SPDX-License-Identifier: MIT */
/*
 * process.c - the processes that a poller watches.
 *
 * There are four ways to hear of the end of a process:
 * - The backend's kernel tells (kqueue); it also tells of forks and execs.
 * - A descriptor of the process, readable at its end (Linux 5.3 and later).
 *   It is a oneshot source like any other, but for what is reported.
 * - A handle of it, which is waited for (Windows).
 * - SIGCHLD: at each one, waitid() is asked about every child that is watched
 *   this way, and asked to leave the child to be waited for.
 * The end of a process is a fact that lasts, so it is kept, and reported once
 * for each arming.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#if HAVE_HANDLES
#include <windows.h>
#else
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#endif
#if HAVE_PIDFD_OPEN
#include <sys/syscall.h>
#endif

#if !HAVE_HANDLES
#include "cancel.h"
#endif
#include "compat.h"
#include "poller.h"
#if HAVE_HANDLES
#include "winerror.h"
#endif

#define PROCESS_BITS (POLLING_EXIT | POLLING_FORK | POLLING_EXEC)

enum process_way {
	WAY_KERNEL, /* by the backend */
	WAY_SOURCE, /* by a descriptor or handle, which is a source */
	WAY_SIGNAL, /* by SIGCHLD */
	WAY_OVER    /* nothing more is to be heard of it */
};

struct process {
	struct idmap_link link; /* the id is pid */
	polling_pid pid;
	uintptr_t key;       /* the caller's */
	uint32_t what;       /* POLLING_EXIT and so on; 0 is disarmed */
	uint32_t pending;    /* of what has happened and was not reported */
	uint32_t generation; /* tells it from others with this id */
	uint8_t way;         /* enum process_way */
	bool ended;          /* it has; a WAY_SOURCE keeps that to itself */
	polling_fd fd;       /* WAY_SOURCE: the descriptor or handle */
};

static bool
is_due(const struct process *q)
{
	return (q->pending & q->what) != 0;
}

/* Changes q by what happened and what is wanted, and counts. */
static void
update(struct process_table *t, struct process *q, uint32_t pending)
{
	t->due -= is_due(q);
	q->pending = pending;
	t->due += is_due(q);
}

static void
note_end(struct process_table *t, struct process *q)
{
	q->ended = true;
	if (q->way != WAY_SOURCE)
		q->way = WAY_OVER;
	update(t, q, q->pending | POLLING_EXIT);
}

static struct process *
find(const struct process_table *t, polling_pid pid)
{
	return idmap_find(
	    &t->processes, (uintptr_t)pid, sizeof(struct process));
}

static struct process *
slot_at(const struct process_table *t, uint32_t slot)
{
	return (struct process *)t->processes.records + slot;
}

/* The one in a slot, NULL if that is free. */
static struct process *
process_at(const struct process_table *t, uint32_t slot)
{
	struct process *q = slot_at(t, slot);

	return q->link.next == IDMAP_FREE ? NULL : q;
}

/* Stores a new one for pid. Returns 0, -EEXIST or -ENOMEM. */
static int
insert(struct process_table *t, polling_pid pid, struct process **out)
{
	struct process *q;
	uint32_t slot;
	int error = idmap_insert(
	    &t->processes, (uintptr_t)pid, sizeof *q, &slot);

	if (error != 0)
		return error;
	*out = q = slot_at(t, slot);
	t->generation = source_next_generation(t->generation);
	*q = (struct process){
	    .link = q->link, .pid = pid, .generation = t->generation};
	return 0;
}

static void
erase(struct process_table *t, struct process *q)
{
	struct process *first = t->processes.records;

	update(t, q, 0);
	idmap_remove(&t->processes, (uint32_t)(q - first), sizeof *q);
	if (idmap_is_idle(&t->processes))
		idmap_clear(&t->processes);
}

/* A source for the descriptor or handle of a process */

/* The flags of its record when it is inserted. */
#define SOURCE_FLAGS (SOURCE_PROCESS | SOURCE_WAITABLE)
/* What its record asks for. */
#define SOURCE_INTEREST (SOURCE_WAITABLE ? POLLING_EXIT : POLLING_IN)

static void
close_source(polling_fd fd)
{
#if HAVE_HANDLES
	(void)CloseHandle((HANDLE)fd);
#else
	/* A cancellation point, and this thread may hold the lock. */
	int state = cancel_hold();

	close(fd);
	cancel_release(state);
#endif
}

static void
arm_source(struct polling *p, const struct process *q)
{
	uint32_t interest = q->what & POLLING_EXIT ? SOURCE_INTEREST : 0;
	int place = registry_place(&p->registry, q->fd, SOURCE_WAITABLE);
	struct source *s = registry_find(&p->registry, place);

	/* It may be gone if the program has closed it. */
	if (s == NULL || !(s->flags & SOURCE_PROCESS))
		return;
	source_set(s, interest, POLLING_ONESHOT, q->key);
	s->verify_in = 1;
	registry_change(&p->registry, place, s);
}

#if HAVE_PIDFD_OPEN || HAVE_HANDLES
/* Makes fd, which it takes over, the source of q. */
static int
add_source(struct polling *p, struct process *q, polling_fd fd)
{
	int place = registry_place(&p->registry, fd, SOURCE_WAITABLE);
	struct source *s = registry_find(&p->registry, place);
	int error;

	/* The program has closed that one and not deleted it, or fd could not
	 * be new. */
	if (s != NULL)
		poller_drop(p, place, s);
	s = registry_insert(&p->registry, fd, SOURCE_FLAGS, &place);
	if (s == NULL) {
		close_source(fd);
		return -ENOMEM;
	}
	source_set(s, q->what & POLLING_EXIT ? SOURCE_INTEREST : 0,
	    POLLING_ONESHOT, q->key);
	error = backend_add(p->backend, place, s);
	if (error != 0) {
		registry_remove(&p->registry, place);
		close_source(fd);
		return error;
	}
	q->fd = fd;
	q->way = WAY_SOURCE;
	return 0;
}
#endif

static void
remove_source(struct polling *p, const struct process *q)
{
	int place = registry_place(&p->registry, q->fd, SOURCE_WAITABLE);
	struct source *s = registry_find(&p->registry, place);

	if (s != NULL && (s->flags & SOURCE_PROCESS)) {
		poller_drop(p, place, s);
		close_source(q->fd);
	}
}

#if HAVE_HANDLES
static int
watch(struct polling *p, struct process *q)
{
	HANDLE handle = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)q->pid);

	if (handle == NULL)
		return GetLastError() == ERROR_INVALID_PARAMETER
			   ? -ESRCH
			   : -error_from_win32(GetLastError());
	return add_source(p, q, (polling_fd)handle);
}

void
processes_check(struct polling *p)
{
	(void)p;
}
#else
/* Whether pid is a child that has ended: 1 or 0, or -ECHILD if it is no child
 * of this process, or was waited for. */
static int
has_ended(pid_t pid)
{
#if HAVE_WAITID
	/* It does not block here, but is a cancellation point all the same. */
	int state = cancel_hold();
	siginfo_t info;
	int r;

	memset(&info, 0, sizeof info);
	r = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	r = r < 0 ? -errno : info.si_pid == pid;
	cancel_release(state);
	return r;
#else
	(void)pid;
	return -ECHILD;
#endif
}

static int
watch_by_signal(struct polling *p, struct process *q)
{
	struct process_table *t = &p->processes;
	int r;

	if (!t->by_signal) {
		t->child.signo = SIGCHLD;
		t->child.alert = poller_alert;
		t->child.argument = p;
		r = signal_attach(&t->child);
		if (r != 0)
			return r;
		t->by_signal = true;
	}
	/* It stays attached as long as there are processes: see erase_one(). */
	r = has_ended(q->pid);
	if (r < 0)
		return kill(q->pid, 0) == 0 || errno == EPERM ? -ENOTSUP
							      : -ESRCH;
	q->way = WAY_SIGNAL;
	if (r > 0)
		note_end(t, q);
	return 0;
}

/* By a descriptor of the process, else by SIGCHLD. */
static int
watch_by_descriptor(struct polling *p, struct process *q)
{
#if HAVE_PIDFD_OPEN
	int fd = (int)syscall(SYS_pidfd_open, q->pid, 0);

	if (fd >= 0)
		return add_source(p, q, fd);
	if (errno == ESRCH || errno == EMFILE || errno == ENFILE ||
	    errno == ENOMEM)
		return -errno;
	/* A thread that is no process: EINVAL, and ENOENT on newer kernels.
	 * What is left is an old kernel, or one that denies the call. */
	if (errno == EINVAL || errno == ENOENT)
		return -ESRCH;
#endif
	return watch_by_signal(p, q);
}

static int
watch(struct polling *p, struct process *q)
{
	int r = backend_add_process(p->backend, q->pid,
	    PROCESS_BITS & ~POLLING_EXIT & q->what, q->generation);

	switch (r) {
	case 0:
		q->way = WAY_KERNEL;
		return 0;
	case -ENOTSUP:
		return watch_by_descriptor(p, q);
	case -ESRCH:
		/* Some kernels do not know a process that has ended. */
		if (has_ended(q->pid) != 1)
			return -ESRCH;
		q->way = WAY_OVER;
		note_end(&p->processes, q);
		return 0;
	default:
		return r;
	}
}

void
processes_check(struct polling *p)
{
	struct process_table *t = &p->processes;

	if (!t->by_signal || atomic_exchange(&t->child.count, 0) == 0)
		return;
	for (uint32_t i = 0; i < t->processes.used; i++) {
		struct process *q = process_at(t, i);

		/* One that was waited for has ended too, and told nobody. */
		if (q != NULL && q->way == WAY_SIGNAL && has_ended(q->pid) != 0)
			note_end(t, q);
	}
}
#endif

/* Ends the watching of q. */
static void
unwatch(struct polling *p, struct process *q)
{
	if (q->way == WAY_SOURCE)
		remove_source(p, q);
#if !HAVE_HANDLES
	else if (q->way == WAY_KERNEL)
		backend_remove_process(p->backend, q->pid);
#endif
}

/* Forgets q, which is watched no more. */
static void
erase_one(struct polling *p, struct process *q)
{
	struct process_table *t = &p->processes;

	erase(t, q);
	if (t->processes.count == 0 && t->by_signal) {
		signal_detach(&t->child);
		t->by_signal = false;
	}
}

int
processes_take(struct polling *p, struct polling_event *out, int max)
{
	struct process_table *t = &p->processes;
	int n = 0;

	for (uint32_t seen = 0;
	     seen < t->processes.used && t->due != 0 && n < max; seen++) {
		struct process *q;

		if (t->next >= t->processes.used)
			t->next = 0;
		q = process_at(t, t->next++);
		if (q == NULL || !is_due(q))
			continue;
		out[n].key = q->key;
		out[n].events = q->pending & q->what;
		out[n].data = 0;
		n++;
		update(t, q, 0);
	}
	return n;
}

bool
process_report(
    struct polling *p, const struct ready *ready, struct polling_event *event)
{
	/* The backend gives the complement of the id as a descriptor. */
	struct process *q = find(&p->processes, ~(polling_pid)ready->fd);
	uint32_t happened = ready->conditions & PROCESS_BITS;

	if (q == NULL || q->generation != ready->generation)
		return false;
	/* It is known already, from another report or since a change of what is
	 * asked for found it. */
	if (q->ended)
		happened &= ~POLLING_EXIT;
	if (happened & POLLING_EXIT)
		note_end(&p->processes, q);
	update(&p->processes, q, (q->pending | happened) & q->what);
	if (!is_due(q))
		return false;
	event->key = q->key;
	event->events = q->pending;
	event->data = 0;
	update(&p->processes, q, 0);
	return true;
}

void
processes_clear(struct polling *p, bool inherited)
{
	struct process_table *t = &p->processes;

	for (uint32_t i = 0; i < t->processes.used; i++) {
		const struct process *q = process_at(t, i);

		if (q == NULL || q->way != WAY_SOURCE)
			continue;
		/* The kernel must not wait for a handle that is closed. What an
		 * inherited backend watches is the parent's. */
		if (inherited)
			close_source(q->fd);
		else
			remove_source(p, q);
	}
	if (t->by_signal)
		signal_detach(&t->child);
	idmap_clear(&t->processes);
}

int
processes_watch_again(struct polling *p, struct backend *b)
{
#if HAVE_HANDLES
	(void)p;
	(void)b;
#else
	struct process_table *t = &p->processes;

	/* What the parent's SIGCHLD told of are no children of this process;
	 * descriptors are sources, which were watched again already. */
	t->by_signal = false;
	for (uint32_t i = 0; i < t->processes.used; i++) {
		struct process *q = process_at(t, i);
		int error;

		if (q == NULL)
			continue;
		if (q->way == WAY_SIGNAL)
			q->way = WAY_OVER;
		if (q->way != WAY_KERNEL)
			continue;
		error = backend_add_process(
		    b, q->pid, q->what & ~POLLING_EXIT, q->generation);
		if (error == -ENOMEM)
			return error;
		/* It has ended since the fork. */
		if (error == -ESRCH)
			note_end(t, q);
		else if (error != 0)
			q->way = WAY_OVER;
	}
#endif
	return 0;
}

/* The public functions */

static int
check_what(const struct polling *p, uint32_t what)
{
	int r = poller_check(p);

	if (r != 0)
		return r;
	if (what & ~PROCESS_BITS)
		return -EINVAL;
	if (!poller_has(p, POLLING_FEATURE_PROCESS))
		return -ENOTSUP;
	if ((what & ~POLLING_EXIT) &&
	    !poller_has(p, POLLING_FEATURE_PROCESS_FORK))
		return -ENOTSUP;
	return 0;
}

static int
add(struct polling *p, polling_pid pid, uint32_t what, uintptr_t key)
{
	struct process *q;
	int error = insert(&p->processes, pid, &q);

	if (error != 0)
		return error;
	q->what = what;
	q->key = key;
	error = watch(p, q);
	if (error != 0)
		erase_one(p, q);
	else
		poller_changed(p);
	return error;
}

int
polling_add_process(
    struct polling *p, polling_pid pid, uint32_t what, uintptr_t key)
{
	int r = check_what(p, what);

	/* 0 and below are groups of processes. */
	if (r == 0 && (pid == 0 || pid > INT32_MAX))
		r = -ESRCH;
#if !HAVE_HANDLES
	if (r == 0 && pid < 0)
		r = -ESRCH;
#endif
	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	r = add(p, pid, what, key);
	lock_release(&p->lock);
	return poller_result(r);
}

/* Has the kernel tell of something else. An end that it does not know any more
 * was waited for meanwhile. */
static int
watch_for(struct polling *p, struct process *q, uint32_t what)
{
#if HAVE_HANDLES
	(void)p;
	(void)q;
	(void)what;
	return 0;
#else
	int error;

	if (q->way != WAY_KERNEL || !((q->what ^ what) & ~POLLING_EXIT))
		return 0;
	error = backend_add_process(
	    p->backend, q->pid, what & ~POLLING_EXIT, q->generation);
	if (error == -ESRCH) {
		note_end(&p->processes, q);
		return 0;
	}
	return error;
#endif
}

static int
modify(struct polling *p, polling_pid pid, uint32_t what, uintptr_t key)
{
	struct process *q = find(&p->processes, pid);
	int error;

	if (q == NULL)
		return -ENOENT;
	error = watch_for(p, q, what);
	if (error != 0)
		return error;
	q->key = key;
	update(&p->processes, q, 0);
	q->what = what;
	if (q->way == WAY_SOURCE)
		arm_source(p, q);
	else if (q->ended)
		update(&p->processes, q, POLLING_EXIT);
	poller_changed(p);
	return 0;
}

int
polling_modify_process(
    struct polling *p, polling_pid pid, uint32_t what, uintptr_t key)
{
	int r = check_what(p, what);

	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	r = modify(p, pid, what, key);
	lock_release(&p->lock);
	return poller_result(r);
}

int
polling_delete_process(struct polling *p, polling_pid pid)
{
	struct process *q;
	int r = poller_check(p);

	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	q = find(&p->processes, pid);
	if (q == NULL) {
		r = -ENOENT;
	} else {
		unwatch(p, q);
		erase_one(p, q);
		poller_changed(p);
	}
	lock_release(&p->lock);
	return poller_result(r);
}
