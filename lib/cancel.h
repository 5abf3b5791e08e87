/* SPDX-License-Identifier: MIT */
/*
 * cancel.h - holding off pthread_cancel() where it would do harm.
 *
 * Some system calls are cancellation points. A thread that ended in one with
 * a lock held, or as the thread that others count on, would stop them all. A
 * cancellation that is held off acts at the thread's next cancellation point
 * outside of the library.
 */
#ifndef LIBPOLLING_CANCEL_H
#define LIBPOLLING_CANCEL_H

#if HAVE_PTHREAD_SETCANCELSTATE
#include <pthread.h>
#endif

/* Returns what cancel_release() needs. Safe in signal handlers. */
static inline int
cancel_hold(void)
{
	int state = 0;

#if HAVE_PTHREAD_SETCANCELSTATE
	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
#endif
	return state;
}

static inline void
cancel_release(int state)
{
#if HAVE_PTHREAD_SETCANCELSTATE
	(void)pthread_setcancelstate(state, NULL);
#else
	(void)state;
#endif
}

#endif
