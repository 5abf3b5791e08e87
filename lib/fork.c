/* SPDX-License-Identifier: MIT */
/*
 * fork.c - the list of pollers, and what fork() does to them.
 *
 * Without pthread_atfork() the stamp is the process id, which a descendant can
 * have again only after the poller's process has died, the child's copy is
 * whole only if no other thread was inside the library, and the handlers of
 * signals stay in the child until it uses the library. Without fork() there
 * is one stamp for all.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#if HAVE_FORK
#include <unistd.h>
#endif

#include "fork.h"
#include "signals.h"

static struct lock list_lock = LOCK_INITIALIZER;
static struct fork_entry *first, *last;

#if HAVE_PTHREAD_ATFORK
/* Forks between this process and the first one that loaded the library. */
static atomic_uint generation;

/* The handlers are there. */
static atomic_bool watched;

/*
 * The thread that holds all locks for its fork, by the address of its errno; 0
 * is none. The handlers may be there more than once, since no thread waits for
 * another one that installs them: a forked child would wait for ever for one
 * that it does not have. Then only the first of them does something.
 */
static atomic_uintptr_t forking;

static bool
is_forking(void)
{
	return atomic_load(&forking) == (uintptr_t)&errno;
}

static void
before_fork(void)
{
	if (is_forking())
		return;
	lock_acquire(&list_lock);
	for (struct fork_entry *e = first; e != NULL; e = e->next)
		lock_acquire(e->lock);
#if HAVE_SIGACTION
	signal_before_fork();
#endif
	atomic_store(&forking, (uintptr_t)&errno);
}

static void
release_all(void)
{
	atomic_store(&forking, 0);
	for (struct fork_entry *e = last; e != NULL; e = e->previous)
		lock_release(e->lock);
	lock_release(&list_lock);
}

static void
after_fork(void)
{
	if (!is_forking())
		return;
#if HAVE_SIGACTION
	signal_after_fork();
#endif
	release_all();
}

static void
after_fork_in_child(void)
{
	if (!is_forking())
		return;
	atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
#if HAVE_SIGACTION
	signal_after_fork_in_child();
#endif
	release_all();
}

static int
watch_forks(void)
{
	int error;

	if (atomic_load(&watched))
		return 0;
	error = -pthread_atfork(before_fork, after_fork, after_fork_in_child);
	/* If there was no memory, there may be some for the next poller. */
	if (error == 0)
		atomic_store(&watched, true);
	return error;
}

unsigned
fork_stamp(void)
{
	return atomic_load_explicit(&generation, memory_order_relaxed);
}
#else
static int
watch_forks(void)
{
	return 0;
}

unsigned
fork_stamp(void)
{
#if HAVE_FORK
	return (unsigned)getpid();
#else
	return 0;
#endif
}
#endif

int
fork_enrol(struct fork_entry *e, struct lock *lock)
{
	int error = watch_forks();

	if (error != 0)
		return error;
	e->lock = lock;
	e->next = NULL;
	lock_acquire(&list_lock);
	e->previous = last;
	if (last != NULL)
		last->next = e;
	else
		first = e;
	last = e;
	lock_release(&list_lock);
	return 0;
}

void
fork_resign(struct fork_entry *e)
{
	lock_acquire(&list_lock);
	if (e->next != NULL)
		e->next->previous = e->previous;
	else
		last = e->previous;
	if (e->previous != NULL)
		e->previous->next = e->next;
	else
		first = e->next;
	lock_release(&list_lock);
}
