/* SPDX-License-Identifier: MIT */
/*
 * lock.h - the one kind of lock that the library uses.
 *
 * Locks are held for short, never while blocked and never while calling the
 * user. The order is: the list of pollers (fork.c), a poller, its backend.
 */
#ifndef LIBPOLLING_LOCK_H
#define LIBPOLLING_LOCK_H

#if HAVE_SRWLOCK
#include <windows.h>

struct lock {
	SRWLOCK srwlock;
};

#define LOCK_INITIALIZER                \
	{                               \
		.srwlock = SRWLOCK_INIT \
	}

static inline int
lock_init(struct lock *l)
{
	InitializeSRWLock(&l->srwlock);
	return 0;
}

static inline void
lock_destroy(struct lock *l)
{
	/* It holds nothing. */
	(void)l;
}

static inline void
lock_acquire(struct lock *l)
{
	AcquireSRWLockExclusive(&l->srwlock);
}

static inline void
lock_release(struct lock *l)
{
	ReleaseSRWLockExclusive(&l->srwlock);
}
#else
#include <pthread.h>

struct lock {
	pthread_mutex_t mutex;
};

#define LOCK_INITIALIZER                           \
	{                                          \
		.mutex = PTHREAD_MUTEX_INITIALIZER \
	}

/* Makes one that, where there is such a kind, spins for a moment before it
 * sleeps: it is held for less time than it takes to wake up. Returns 0 or a
 * negative errno. */
static inline int
lock_init(struct lock *l)
{
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
	pthread_mutexattr_t kind;
	int error = pthread_mutexattr_init(&kind);

	if (error != 0)
		return -error;
	/* That is a kind, and these are initialised: nothing else can fail. */
	(void)pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ADAPTIVE_NP);
	error = pthread_mutex_init(&l->mutex, &kind);
	(void)pthread_mutexattr_destroy(&kind);
	return -error;
#else
	return -pthread_mutex_init(&l->mutex, NULL);
#endif
}

static inline void
lock_destroy(struct lock *l)
{
	/* It fails only for a lock in use, which a child of fork may have
	 * inherited: there is nothing to release then. */
	(void)pthread_mutex_destroy(&l->mutex);
}

static inline void
lock_acquire(struct lock *l)
{
	/* A plain mutex that is initialised and not ours cannot fail. */
	(void)pthread_mutex_lock(&l->mutex);
}

static inline void
lock_release(struct lock *l)
{
	(void)pthread_mutex_unlock(&l->mutex);
}
#endif

#endif
