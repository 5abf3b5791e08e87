/* SPDX-License-Identifier: MIT */
/*
 * kqueue.c - the system calls, waiting, close and fork.
 *
 * Test equipment: an emulation of kqueue on Linux, for a test program that
 * is linked with these files and with ../intercept.c.
 *
 * The one hard idea is who wakes whom. Of the threads that find nothing, one
 * becomes the leader and waits for the kqueue, and the others follow, asleep
 * until they get the baton. A thread that leaves while nobody leads passes
 * the baton: whoever gets it looks for what is left, and leads if there is
 * nothing. So an event wakes one or two threads, not all of them.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* ppoll, syscall */
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../intercept.h"
#include "kernel.h"

/* Events taken from an epoll instance at a time. */
#define BATCH 64

/* The kernel's signal set, which is shorter than the C library's. */
#define KERNEL_SIGSET_BYTES (_NSIG / 8)

/* What a thread gives up for as long as it is inside. */
struct entry {
	sigset_t signals;
	int cancel;
};

/* One collection of events. */
struct scan {
	struct kqueue *kq;
	struct kevent *events; /* the program's */
	int count;             /* of events */
	bool again;            /* some knote was hushed since collect() took
				* events last */
	bool news;             /* some knote was judged since then */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LIST_HEAD(, kqueue) kqueues;
static struct pool kqueue_pool = {.size = sizeof(struct kqueue)};
static struct entry forking; /* of the thread that forks, while it does */
static atomic_bool used;     /* there was a kqueue */

static void
enter(struct entry *entry)
{
	sigset_t all;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &entry->signals);
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &entry->cancel);
	(void)pthread_mutex_lock(&lock);
}

static void
leave(const struct entry *entry)
{
	int cancel;

	(void)pthread_mutex_unlock(&lock);
	(void)pthread_setcancelstate(entry->cancel, &cancel);
	(void)pthread_sigmask(SIG_SETMASK, &entry->signals, NULL);
}

/* Making and closing */

static int
control(int instance, int fd, uint32_t events, uint64_t token)
{
	struct epoll_event event = {.events = events, .data = {.u64 = token}};

	return epoll_ctl(instance, EPOLL_CTL_ADD, fd, &event);
}

/* Closes everything but the first instance, and frees. */
static void
destroy(struct kqueue *kq)
{
	const int fds[] = {kq->instances[1], kq->instances[2], kq->softfd,
	    kq->clock, kq->baton, kq->followers};

	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fds[i] >= 0)
			(void)real_close(fds[i]);
	LIST_REMOVE(kq, all);
	pool_give(&kqueue_pool, kq);
}

static int
open_parts(struct kqueue *kq, int flags)
{
	const int count = emulated_system()->has_except ? 3 : 2;

	for (int i = 0; i < count; i++) {
		kq->instances[i] = epoll_create1(
		    i > 0 || (flags & O_CLOEXEC) ? EPOLL_CLOEXEC : 0);
		if (kq->instances[i] < 0)
			return -1;
	}
	kq->softfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kq->softfd < 0)
		return -1;
	kq->baton = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kq->baton < 0)
		return -1;
	kq->followers = epoll_create1(EPOLL_CLOEXEC);
	return kq->followers < 0 ? -1 : 0;
}

static int
connect_parts(struct kqueue *kq)
{
	for (int i = 1; i < INSTANCES; i++)
		if (kq->instances[i] >= 0 &&
		    control(kq->instances[0], kq->instances[i], EPOLLIN,
			(uint64_t)i) < 0)
			return -1;
	if (control(kq->instances[0], kq->softfd, EPOLLIN, TOKEN_SOFT) < 0)
		return -1;
	return control(kq->followers, kq->baton, EPOLLIN | EPOLLET, 0);
}

static int
open_kqueue(int flags)
{
	struct kqueue *kq = pool_take(&kqueue_pool);
	int error;

	if (kq == NULL) {
		errno = ENOMEM;
		return -1;
	}
	LIST_INIT(&kq->knotes);
	LIST_INIT(&kq->others);
	TAILQ_INIT(&kq->soft);
	LIST_INSERT_HEAD(&kqueues, kq, all);
	for (int i = 0; i < INSTANCES; i++)
		kq->instances[i] = -1;
	kq->softfd = kq->clock = kq->baton = kq->followers = -1;
	if (open_parts(kq, flags) == 0 && connect_parts(kq) == 0) {
		error = kqueue_name(kq->instances[0], kq);
		if (error == 0)
			return kq->instances[0];
		errno = error;
	}
	error = errno;
	if (kq->instances[0] >= 0)
		(void)real_close(kq->instances[0]);
	destroy(kq);
	errno = error;
	return -1;
}

static int
enter_and_open(int flags)
{
	struct entry entry;
	int fd;

	(void)emulated_system();
	enter(&entry);
	atomic_store(&used, true);
	fd = open_kqueue(flags);
	leave(&entry);
	return fd;
}

int
kqueue(void)
{
	return enter_and_open(0);
}

int
kqueue1(int flags)
{
	if (!emulated_system()->has_kqueue1) {
		errno = ENOSYS;
		return -1;
	}
	if (flags & ~(O_CLOEXEC | O_NONBLOCK)) {
		errno = EINVAL;
		return -1;
	}
	return enter_and_open(flags);
}

/* The kqueue whose descriptor is closed. Threads that wait in it wait on;
 * the last of them frees it. */
static void
abandon(struct kqueue *kq)
{
	struct knote *kn;

	while ((kn = LIST_FIRST(&kq->knotes)) != NULL) {
		/* The epoll instances will be closed, no need to tell them. In
		 * a child they must not be told: they are the parent's. */
		kn->watched = false;
		knote_drop(kn);
	}
	(void)kqueue_name(kq->instances[0], NULL);
	kq->closed = true;
	if (!kq->led && kq->waiting == 0)
		destroy(kq);
}

void
emulation_closing(int fd)
{
	int saved = errno;
	struct entry entry;

	if (fd < 0 || !atomic_load(&used))
		return;
	enter(&entry);
	knote_drop_fd(fd);
	if (kqueue_of(fd) != NULL)
		abandon(kqueue_of(fd));
	leave(&entry);
	errno = saved;
}

/* The lock is taken across a fork, so that the child finds things whole. All of
 * what is copied here is set: of what is not, MemorySanitizer notes the origin,
 * for which it waits for a lock that its own fork() holds. */
static void
before_fork(void)
{
	struct entry entry = {0};

	enter(&entry);
	forking = entry;
}

static void
after_fork(void)
{
	struct entry entry = forking;

	leave(&entry);
}

static void __attribute__((__constructor__)) watch_forks(void)
{
	(void)pthread_atfork(before_fork, after_fork, NULL);
}

void
emulation_forked(void)
{
	struct kqueue *kq;

	while ((kq = LIST_FIRST(&kqueues)) != NULL) {
		kq->led = false;
		kq->waiting = 0;
		kq->soft_ready = false;
		kq->inherited = true;
		if (kq->closed) {
			destroy(kq);
			continue;
		}
		(void)real_close(kq->instances[0]);
		abandon(kq);
	}
	after_fork();
}

/* Collecting */

/* A knote is ready: makes an event of it. */
static void
report(struct scan *scan, struct knote *kn, const struct verdict *v)
{
	const struct system *system = emulated_system();
	struct kevent *event = &scan->events[scan->count++];

	if (system->drops_broken && v->eof && kn->kind == KIND_PIPE &&
	    kn->event.filter == EVFILT_WRITE)
		kn->event.flags |= EV_ONESHOT;
	if (kn->notes & NOTE_EXIT)
		kn->event.flags |= EV_ONESHOT;
	*event = kn->event;
	event->fflags = v->fflags;
	event->data = v->data;
	if (system->reports_add)
		event->flags |= EV_ADD;
	if (v->eof)
		event->flags |= EV_EOF;
	knote_reported(kn, v);
}

/* What epoll says of one knote. */
static void
meet(struct scan *scan, struct knote *kn, uint32_t conditions)
{
	struct verdict v;

	if (kn->scan == scan->kq->scan) {
		/* Once per collection. */
		knote_repeat(kn);
		return;
	}
	scan->news = true;
	kn->scan = scan->kq->scan;
	if (kn->kind == KIND_PROCESS)
		process_look(kn);
	filter_judge(kn, conditions, &v);
	if (kn->deaf) {
		kn->deaf = false;
		v.ready = v.data > kn->seen_data || (v.eof && !kn->seen_eof);
	}
	if (v.ready) {
		report(scan, kn, &v);
	} else if (kn->notes & NOTE_EXIT) {
		/* Nobody asked for that, but there is nothing more to come. */
		knote_drop(kn);
	} else if (knote_hush(kn)) {
		/* It has one more report, perhaps with more to it. */
		kn->scan = 0;
		scan->again = true;
	}
}

/* Looks through the soft list, for at most limit events. */
static void
collect_soft(struct scan *scan, int limit)
{
	struct kqueue *kq = scan->kq;
	struct knote *last = TAILQ_LAST(&kq->soft, knote_queue);
	struct knote *kn = NULL;
	bool ready = false;

	while (kn != last && limit > 0) {
		struct verdict v;

		kn = TAILQ_FIRST(&kq->soft);
		TAILQ_REMOVE(&kq->soft, kn, listed);
		TAILQ_INSERT_TAIL(&kq->soft, kn, listed);
		if (kn->scan == kq->scan) {
			ready = true;
			continue;
		}
		soft_judge(kn, &v);
		if (!v.ready)
			continue;
		kn->scan = kq->scan;
		report(scan, kn, &v);
		limit--;
		ready = true;
	}
	/* Not the whole list: there may be more. */
	if (kn == last && !ready)
		soft_set_ready(kq, false);
}

static void collect(struct scan *scan, int instance, int limit);

/* What the first instance says, or another one. */
static void
collect_one(struct scan *scan, const struct epoll_event *event, int limit)
{
	uint64_t token = event->data.u64, count;
	struct knote *kn;

	if (token < INSTANCES) {
		collect(scan, (int)token, limit);
	} else if (token == TOKEN_SOFT) {
		collect_soft(scan, limit);
	} else if (token == TOKEN_CLOCK) {
		/* It is set again at the end. Until then it must not take the
		 * place of others. */
		(void)!read(scan->kq->clock, &count, sizeof count);
		collect_soft(scan, limit);
		scan->again = true;
	} else {
		kn = knote_of_token(scan->kq, token);
		if (kn != NULL)
			meet(scan, kn, event->events);
	}
}

/* Takes events from an instance, at most limit of them. */
static void
collect(struct scan *scan, int instance, int limit)
{
	struct epoll_event found[BATCH];
	int before = scan->count, wanted, n;
	const bool again = scan->again;
	bool news = scan->news;

	do {
		int left = limit - (scan->count - before);

		wanted = left < BATCH ? left : BATCH;
		if (wanted <= 0)
			break;
		scan->again = false;
		scan->news = false;
		n = epoll_wait(scan->kq->instances[instance], found, wanted, 0);
		for (int i = 0; i < n; i++) {
			left = limit - (scan->count - before);
			/* One place for each of those to come. */
			collect_one(scan, &found[i], left - (n - 1 - i));
		}
		news = news || scan->news;
	} while ((n == wanted && scan->news) || scan->again);
	/* For the collection around this one. */
	scan->again = again;
	scan->news = news;
}

/* Files and the like change without a word. */
static void
look_at_soft(struct kqueue *kq)
{
	struct knote *kn;
	struct verdict v;

	if (kq->soft_ready)
		return;
	for (kn = TAILQ_FIRST(&kq->soft); kn != NULL;
	     kn = TAILQ_NEXT(kn, listed)) {
		soft_judge(kn, &v);
		if (v.ready) {
			soft_set_ready(kq, true);
			return;
		}
	}
}

static int
collect_all(struct kqueue *kq, struct kevent *events, int nevents)
{
	struct scan scan = {.kq = kq, .events = events};

	if (kq->closed)
		return 0;
	kq->scan++;
	look_at_soft(kq);
	collect(&scan, 0, nevents);
	if (kq->clocked > 0)
		soft_settle(kq);
	return scan.count;
}

/* Waiting */

/* The time from now until a moment; not below zero. */
static struct timespec
time_until(const struct timespec *deadline)
{
	struct timespec now, left;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	left.tv_sec = deadline->tv_sec - now.tv_sec;
	left.tv_nsec = deadline->tv_nsec - now.tv_nsec;
	if (left.tv_nsec < 0) {
		left.tv_nsec += 1000000000;
		left.tv_sec--;
	}
	if (left.tv_sec < 0)
		left = (struct timespec){0};
	return left;
}

static struct timespec
deadline_after(const struct timespec *timeout)
{
	/* Nobody will see the difference. */
	const time_t longest = INT_MAX;
	struct timespec deadline;

	(void)clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += timeout->tv_sec < longest ? timeout->tv_sec
						     : longest;
	deadline.tv_nsec += timeout->tv_nsec;
	if (deadline.tv_nsec >= 1000000000) {
		deadline.tv_nsec -= 1000000000;
		deadline.tv_sec++;
	}
	return deadline;
}

static int
wait_nanoseconds(
    int instance, const struct timespec *left, const sigset_t *signals)
{
	static atomic_bool missing;
	struct epoll_event event;
	int n = -1;

	errno = ENOSYS;
	if (!atomic_load(&missing))
		n = (int)syscall(SYS_epoll_pwait2, instance, &event, 1, left,
		    signals, KERNEL_SIGSET_BYTES);
	if (n < 0 && errno == ENOSYS)
		atomic_store(&missing, true);
	return n;
}

/* Below Linux 5.11, or under a tool that does not know epoll_pwait2(). */
static int
wait_milliseconds(
    int instance, const struct timespec *left, const sigset_t *signals)
{
	struct epoll_event event;
	int ms = -1;

	if (left != NULL && left->tv_sec >= INT_MAX / 1000 - 1)
		ms = INT_MAX;
	else if (left != NULL)
		ms = (int)left->tv_sec * 1000 +
		     (int)((left->tv_nsec + 999999) / 1000000);
	return (int)syscall(SYS_epoll_pwait, instance, &event, 1, ms, signals,
	    KERNEL_SIGSET_BYTES);
}

/* Waits for the kqueue. As all that wait: the lock is released, the program's
 * signals are let in. */
static int
lead(struct kqueue *kq, const struct timespec *left, const sigset_t *signals)
{
	struct pollfd p = {.fd = kq->instances[0], .events = POLLIN};
	int n;

	kq->led = true;
	(void)pthread_mutex_unlock(&lock);
	n = ppoll(&p, 1, left, signals);
	(void)pthread_mutex_lock(&lock);
	kq->led = false;
	return n;
}

/* Waits for the baton. */
static int
follow(struct kqueue *kq, const struct timespec *left, const sigset_t *signals)
{
	int n;

	kq->waiting++;
	(void)pthread_mutex_unlock(&lock);
	n = wait_nanoseconds(kq->followers, left, signals);
	if (n < 0 && errno == ENOSYS)
		n = wait_milliseconds(kq->followers, left, signals);
	(void)pthread_mutex_lock(&lock);
	kq->waiting--;
	if (n > 0)
		kq->passed = false;
	return n;
}

/* Sleeps until there may be an event. Returns 0 if the time is over, below 0
 * with errno set if a handler ran. */
static int
sleep_in(struct kqueue *kq, const struct timespec *deadline,
    const struct entry *entry)
{
	struct timespec left, *limit = NULL;

	if (deadline != NULL) {
		left = time_until(deadline);
		limit = &left;
	}
	/* Of a closed kqueue there is nothing to wait for. */
	if (kq->led || kq->closed)
		return follow(kq, limit, &entry->signals);
	return lead(kq, limit, &entry->signals);
}

/* The last thing that a thread does with a kqueue that it has waited in, or
 * taken events from. */
static void
go_home(struct kqueue *kq)
{
	const uint64_t one = 1;
	int saved = errno;

	if (kq->closed) {
		if (!kq->led && kq->waiting == 0)
			destroy(kq);
	} else if (!kq->led && kq->waiting > 0 && !kq->passed) {
		/* Nobody reads it, and it never fills. */
		kq->passed = write(kq->baton, &one, sizeof one) == sizeof one;
	}
	errno = saved;
}

static int
wait_for_events(struct kqueue *kq, struct kevent *events, int nevents,
    const struct timespec *timeout, const struct entry *entry)
{
	struct timespec deadline;
	int n = collect_all(kq, events, nevents);

	if (n > 0 ||
	    (timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0))
		return n;
	if (timeout != NULL)
		deadline = deadline_after(timeout);
	while (n == 0) {
		n = sleep_in(kq, timeout == NULL ? NULL : &deadline, entry);
		if (n <= 0)
			break;
		n = collect_all(kq, events, nevents);
	}
	go_home(kq);
	return n;
}

/* Applies the changes. Returns the number of answers that were stored, or
 * below 0 if an error found no room; *done tells that the call is over. */
static int
apply(struct kqueue *kq, const struct kevent *changes, int nchanges,
    struct kevent *events, int nevents, bool *done)
{
	int answers = 0;

	*done = false;
	for (int i = 0; i < nchanges; i++) {
		/* The lists may be the same. */
		struct kevent change = changes[i];
		bool receipt;
		int error = knote_change(kq, &change, &receipt);

		if (error == 0 && !receipt)
			continue;
		*done = true;
		if (answers < nevents) {
			change.flags = EV_ERROR;
			change.data = error;
			events[answers++] = change;
		} else {
			errno = error;
			return error != 0 ? -1 : answers;
		}
	}
	return answers;
}

static int
kevent_locked(struct kqueue *kq, const struct kevent *changes, int nchanges,
    struct kevent *events, int nevents, const struct timespec *timeout,
    const struct entry *entry)
{
	bool done;
	int n = apply(kq, changes, nchanges, events, nevents, &done);

	if (done || nevents == 0)
		return n;
	if (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_nsec < 0 ||
				   timeout->tv_nsec >= 1000000000)) {
		errno = EINVAL;
		return -1;
	}
	return wait_for_events(kq, events, nevents, timeout, entry);
}

int
kevent(int fd, const struct kevent *changes, int nchanges,
    struct kevent *events, int nevents, const struct timespec *timeout)
{
	int saved = errno, n = -1;
	struct entry entry;
	struct kqueue *kq;

	if (nchanges < 0 || nevents < 0) {
		errno = EINVAL;
		return -1;
	}
	enter(&entry);
	kq = kqueue_of(fd);
	if (kq == NULL)
		errno = EBADF;
	else
		n = kevent_locked(
		    kq, changes, nchanges, events, nevents, timeout, &entry);
	if (n >= 0)
		errno = saved;
	else
		saved = errno;
	leave(&entry);
	errno = saved;
	return n;
}
