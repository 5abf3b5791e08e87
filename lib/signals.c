/* SPDX-License-Identifier: MIT */
/*
 * signals.c - watching signals: those of the process, and those of one poller.
 *
 * A signal belongs to the process, so all pollers share one handler. It counts
 * the signal for everyone who watches it and alerts them, and may interrupt any
 * thread anywhere, so it takes no lock: it walks a list whose links are atomic.
 * Whoever leaves the list unlinks itself and then waits until no handler is
 * running, which might have found it before. All signals are blocked while one
 * runs, so that it is not held up by another.
 *
 * A kqueue has a filter for signals, which is not used: it suppresses nothing,
 * so that the signal would have to be ignored, and ignoring SIGCHLD makes the
 * exit status of children be lost.
 *
 * In a forked child nobody watches anything: the dispositions go back to what
 * they were before.
 *
 * On Windows the handler is that of console control events. It runs on a thread
 * of its own, and there is one for all of them.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#if HAVE_SIGACTION
#include <time.h>
#else
#include <windows.h>
#endif

#include "cancel.h"
#include "compat.h"
#include "fork.h"
#include "lock.h"
#include "poller.h"
#include "signals.h"

#ifndef NSIG
#define NSIG 65 /* POSIX does not say; as many as any system has */
#endif

/* Those who watch a signal. */
static _Atomic(struct signal_watch *) watchers[NSIG];

/* Threads that are in a handler. */
static atomic_uint running;

/* Guards the list against those who change it, and what is saved. Taken after
 * any other lock. */
static struct lock lock = LOCK_INITIALIZER;

/* Tells everyone who watches signo. False if nobody does. */
static bool
tell(int signo)
{
	struct signal_watch *w;
	bool told = false;

	atomic_fetch_add(&running, 1);
	for (w = atomic_load(&watchers[signo]); w != NULL;
	     w = atomic_load(&w->beside)) {
		atomic_fetch_add(&w->count, 1);
		w->alert(w->argument);
		told = true;
	}
	atomic_fetch_sub(&running, 1);
	return told;
}

#if HAVE_SIGACTION
/* What a signal did before it was watched. */
static struct sigaction saved[NSIG];

static void
handle(int signo)
{
	int error = errno;

	(void)tell(signo);
	errno = error;
}

/* Whether the handler is there for signo. Called with the lock. */
static bool
has_handler(int signo)
{
	return atomic_load(&watchers[signo]) != NULL;
}

/* Called with the lock, for the first one who watches signo. */
static int
install(int signo)
{
	struct sigaction action = {
	    .sa_handler = handle, .sa_flags = SA_RESTART};

#ifdef SA_ONSTACK
	action.sa_flags |= SA_ONSTACK;
#endif
	(void)sigfillset(&action.sa_mask);
	return sigaction(signo, &action, &saved[signo]) < 0 ? -errno : 0;
}

/* Called with the lock, for the last one. What somebody else has installed
 * since is theirs. Safe in the child of a fork. */
static void
restore(int signo)
{
	struct sigaction now;

	if (sigaction(signo, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
	    now.sa_handler == handle)
		(void)sigaction(signo, &saved[signo], NULL);
}

static bool
is_watchable(int signo)
{
	return signo > 0 && signo < NSIG && signo != SIGKILL &&
	       signo != SIGSTOP;
}

/* Lets others run. To yield is not enough: a thread of a real-time priority
 * yields to none below it. */
static void
doze(void)
{
	static const struct timespec a_moment = {0, 50000};
	int state = cancel_hold();

	/* Less is as good. */
	(void)nanosleep(&a_moment, NULL);
	cancel_release(state);
}

void
signal_before_fork(void)
{
	lock_acquire(&lock);
}

void
signal_after_fork(void)
{
	lock_release(&lock);
}

/* In a child nobody watches anything any more. Called with the lock. */
static void
start_anew(void)
{
	for (int signo = 1; signo < NSIG; signo++)
		if (atomic_load(&watchers[signo]) != NULL) {
			restore(signo);
			atomic_store(&watchers[signo], NULL);
		}
	/* Threads that were in a handler are not here. */
	atomic_store(&running, 0);
}

void
signal_after_fork_in_child(void)
{
	start_anew();
	lock_release(&lock);
}
#else
/* How long a program has to end in before Windows ends it. */
#define GRACE_MS 10000

static int
signal_of(DWORD event)
{
	switch (event) {
	case CTRL_C_EVENT:
		return SIGINT;
	case CTRL_BREAK_EVENT:
		return SIGBREAK;
	default: /* the console closes, the user logs off, a shutdown */
		return SIGTERM;
	}
}

/* Whether the handler is installed. Guarded by the lock. */
static bool installed;

/* Threads that are in the handler and may stay there for long. The system calls
 * handlers with a lock of its own, which adding and removing one take too. */
static atomic_uint lingering;

static BOOL WINAPI
handle(DWORD event)
{
	int signo = signal_of(event);
	bool told;

	if (signo != SIGTERM)
		return tell(signo);
	/* As this returns from the last chance the process ends. */
	atomic_fetch_add(&lingering, 1);
	told = tell(signo);
	if (told)
		Sleep(GRACE_MS);
	atomic_fetch_sub(&lingering, 1);
	return told;
}

static bool
has_handler(int signo)
{
	(void)signo;
	return atomic_load(&watchers[SIGINT]) != NULL ||
	       atomic_load(&watchers[SIGBREAK]) != NULL ||
	       atomic_load(&watchers[SIGTERM]) != NULL;
}

static int
install(int signo)
{
	(void)signo;
	if (!installed && !SetConsoleCtrlHandler(handle, TRUE))
		return -ENOMEM;
	installed = true;
	return 0;
}

/* The handler is there while anything is watched. Of a program that has heard
 * that it is to end it stays, doing nothing: to remove it would take until the
 * handler's time is over, and be the last thing that the program does. */
static void
restore(int signo)
{
	(void)signo;
	if (atomic_load(&lingering) == 0)
		installed = !SetConsoleCtrlHandler(handle, FALSE);
}

static bool
is_watchable(int signo)
{
	return signo == SIGINT || signo == SIGBREAK || signo == SIGTERM;
}

static void
doze(void)
{
	Sleep(1);
}
#endif

/* Without pthread_atfork() a child finds out when it first comes here that the
 * list is its parent's. Called with the lock. */
static void
find_out_whose(void)
{
#if HAVE_SIGACTION && HAVE_FORK && !HAVE_PTHREAD_ATFORK
	static unsigned owner;

	if (owner != fork_stamp()) {
		start_anew();
		owner = fork_stamp();
	}
#endif
}

/* What is off the list may be freed after this. */
static void
await_handlers(void)
{
	while (atomic_load(&running) != 0)
		doze();
}

int
signal_attach(struct signal_watch *w)
{
	struct signal_watch *others;
	bool handled;
	int error = 0;

	lock_acquire(&lock);
	find_out_whose();
	handled = has_handler(w->signo);
	others = atomic_load(&watchers[w->signo]);
	/* On the list first: a handler that found nobody there would swallow
	 * the signal. */
	atomic_store(&w->beside, others);
	atomic_store(&watchers[w->signo], w);
	if (!handled)
		error = install(w->signo);
	if (error != 0)
		atomic_store(&watchers[w->signo], others);
	lock_release(&lock);
	if (error != 0)
		await_handlers();
	return error;
}

void
signal_detach(struct signal_watch *w)
{
	_Atomic(struct signal_watch *) *link = &watchers[w->signo];

	lock_acquire(&lock);
	find_out_whose();
	while (atomic_load(link) != NULL && atomic_load(link) != w)
		link = &atomic_load(link)->beside;
	if (atomic_load(link) == w) {
		atomic_store(link, atomic_load(&w->beside));
		if (!has_handler(w->signo))
			restore(w->signo);
	}
	lock_release(&lock);
	await_handlers();
}

/* The sources of a poller */

struct signal_source {
	struct signal_watch watch;
	struct signal_source *next; /* in the list of the poller */
	uintptr_t key;              /* the caller's */
	uint64_t told;              /* the round of its last event, or 0 */
	bool oneshot;
	bool armed;
};

void
signals_init(struct signal_list *l)
{
	l->first = NULL;
	l->end = &l->first;
	l->due = false;
}

/* The link to the source of signo, or the one at the end. */
static struct signal_source **
find(struct signal_list *l, int signo)
{
	struct signal_source **link = &l->first;

	while (*link != NULL && (*link)->watch.signo != signo)
		link = &(*link)->next;
	return link;
}

static void
append(struct signal_list *l, struct signal_source *s)
{
	s->next = NULL;
	*l->end = s;
	l->end = &s->next;
}

/* Takes the source that link leads to off the list. */
static struct signal_source *
unlink_source(struct signal_list *l, struct signal_source **link)
{
	struct signal_source *s = *link;

	*link = s->next;
	if (l->end == &s->next)
		l->end = link;
	return s;
}

int
signals_take(
    struct signal_list *l, uint64_t round, struct polling_event *out, int max)
{
	struct signal_source **link = &l->first;
	struct signal_source *last = NULL; /* the first one that moved back */
	int n = 0;

	l->due = false;
	while (*link != NULL && *link != last) {
		struct signal_source *s = *link;

		if (!s->armed || atomic_load(&s->watch.count) == 0) {
			link = &s->next;
			continue;
		}
		if (n == max) {
			l->due = true;
			break;
		}
		/* It came again while this wait was under way. */
		if (s->told >= round) {
			l->due = true;
			link = &s->next;
			continue;
		}
		out[n].key = s->key;
		out[n].events = POLLING_SIGNAL;
		out[n].data = atomic_exchange(&s->watch.count, 0);
		n++;
		s->told = round;
		s->armed = !s->oneshot;
		/* The others have the first right to room in the next wait. */
		append(l, unlink_source(l, link));
		if (last == NULL)
			last = s;
	}
	return n;
}

void
signals_clear(struct signal_list *l)
{
	while (l->first != NULL) {
		struct signal_source *s = unlink_source(l, &l->first);

		signal_detach(&s->watch);
		free(s);
	}
}

int
signals_attach_again(struct signal_list *l)
{
	for (struct signal_source *s = l->first; s != NULL; s = s->next) {
		int error;

		/* What came to the parent is the parent's. */
		atomic_store(&s->watch.count, 0);
		error = signal_attach(&s->watch);
		if (error == 0)
			continue;
		for (struct signal_source *t = l->first; t != s; t = t->next)
			signal_detach(&t->watch);
		return error;
	}
	return 0;
}

/* The public functions */

static int
add(struct polling *p, int signo, enum polling_mode mode, uintptr_t key)
{
	struct signal_source *s;
	int error;

	if (*find(&p->signals, signo) != NULL)
		return -EEXIST;
	s = calloc(1, sizeof *s);
	if (s == NULL)
		return -ENOMEM;
	s->watch.signo = signo;
	s->watch.alert = poller_alert;
	s->watch.argument = p;
	s->key = key;
	s->oneshot = mode == POLLING_ONESHOT || mode == POLLING_EDGE_ONESHOT;
	s->armed = true;
	error = signal_attach(&s->watch);
	if (error != 0)
		free(s);
	else
		append(&p->signals, s);
	return error;
}

int
polling_add_signal(
    struct polling *p, int signo, enum polling_mode mode, uintptr_t key)
{
	int r = poller_check(p);

	if (r == 0 && !is_watchable(signo))
		r = -EINVAL;
	if (r == 0)
		r = poller_check_mode(p, mode);
	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	r = add(p, signo, mode, key);
	lock_release(&p->lock);
	return poller_result(r);
}

int
polling_modify_signal(
    struct polling *p, int signo, enum polling_mode mode, uintptr_t key)
{
	struct signal_source *s;
	int r = poller_check(p);

	if (r == 0)
		r = poller_check_mode(p, mode);
	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	s = *find(&p->signals, signo);
	if (s == NULL) {
		r = -ENOENT;
	} else {
		s->key = key;
		s->oneshot = mode == POLLING_ONESHOT ||
			     mode == POLLING_EDGE_ONESHOT;
		s->armed = true;
		if (atomic_load(&s->watch.count) != 0) {
			p->signals.due = true;
			poller_changed(p);
		}
	}
	lock_release(&p->lock);
	return poller_result(r);
}

int
polling_delete_signal(struct polling *p, int signo)
{
	struct signal_source **link, *s = NULL;
	int r = poller_check(p);

	if (r != 0)
		return poller_result(r);
	lock_acquire(&p->lock);
	link = find(&p->signals, signo);
	if (*link == NULL) {
		r = -ENOENT;
	} else {
		s = unlink_source(&p->signals, link);
		signal_detach(&s->watch);
	}
	lock_release(&p->lock);
	free(s);
	return poller_result(r);
}
