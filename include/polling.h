/* SPDX-License-Identifier: MIT */
/*
 * polling.h - one interface to epoll, kqueue, event ports, poll and IOCP.
 *
 * A poller watches sources, each added under a key of the caller's choice,
 * and a wait returns what happened to them as events that carry the keys.
 * Sources are oneshot unless asked otherwise: an event disarms its source
 * until polling_modify() arms it again.
 *
 * Unless a comment says otherwise, every function
 * - returns 0, or a count, on success and -1 with errno set on failure;
 * - changes nothing when it fails;
 * - may be called from any thread at any time, on the same poller;
 * - fails with EBADF on a poller inherited by a forked child, until
 *   polling_reinit() has rebuilt it there, and with EFAULT on a null poller.
 *
 * The manual pages, polling(7) first, tell the rest.
 */
#ifndef POLLING_H
#define POLLING_H

#include <stdint.h>
#ifndef _WIN32
#include <sys/types.h> /* pid_t */
#endif
#include <time.h>

#define POLLING_VERSION_MAJOR 1
#define POLLING_VERSION_MINOR 0
#define POLLING_VERSION_PATCH 0

#if defined(__GNUC__) && !defined(_WIN32)
#define POLLING_API __attribute__((__visibility__("default")))
#else
#define POLLING_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Strict C99 mode hides it in <time.h>; a pointer needs no more than this. */
struct timespec;

/* One poller. It is opaque: made by polling_create() only. */
struct polling;

/* What is watched: a file descriptor, on Windows a SOCKET. */
#ifdef _WIN32
typedef uintptr_t polling_fd;
#else
typedef int polling_fd;
#endif

/* A process: its pid_t, on Windows its identifier, a DWORD. */
#ifdef _WIN32
typedef unsigned long polling_pid;
#else
typedef pid_t polling_pid;
#endif

/* How a source reports. */
enum polling_mode {
	/* Any event disarms the whole source until polling_modify(). */
	POLLING_ONESHOT = 0,
	/* Reported by every wait for as long as the condition holds. */
	POLLING_LEVEL,
	/* Reported when something new happens. epoll and kqueue only. */
	POLLING_EDGE,
	/* Reported when something new happens, then disarmed. As EDGE. */
	POLLING_EDGE_ONESHOT
};

/*
 * Conditions of a descriptor: bits of an interest and of a report.
 * IN, OUT, PRI and RDHUP are reported where the interest asks for them. HUP
 * and ERR need not be asked for; with either, the IN and OUT bits of the
 * interest are reported too, so that the next read or write meets the cause.
 */
#define POLLING_IN    0x00000001u /* a read would not block */
#define POLLING_PRI   0x00000002u /* urgent data (TCP out-of-band) */
#define POLLING_OUT   0x00000004u /* a write would not block */
#define POLLING_ERR   0x00000008u /* an error is pending, e.g. a reset */
#define POLLING_HUP   0x00000010u /* both directions are over */
#define POLLING_RDHUP 0x00002000u /* the peer has shut down its writing */

/* What happened to sources that are no descriptors. */
#define POLLING_TIMER  0x00010000u /* a timer is due */
#define POLLING_SIGNAL 0x00020000u /* a signal came */
#define POLLING_EXIT   0x00040000u /* a process has ended */
#define POLLING_FORK   0x00080000u /* it has made a child (kqueue only) */
#define POLLING_EXEC   0x00100000u /* it runs another program (likewise) */

/* One event, as reported by a wait or queued by polling_post(). */
struct polling_event {
	uintptr_t key;   /* as registered; any value */
	uint32_t events; /* what happened: POLLING_IN and so on */
	uint32_t data;   /* a timer's expirations, a signal's count, a post's
			  * payload; 0 for descriptors */
};

/* For polling_create(): a signal handler ends a wait with EINTR. */
#define POLLING_INTERRUPTIBLE 0x1u

/* For polling_supports(). */
#define POLLING_FEATURE_LEVEL        0  /* POLLING_LEVEL */
#define POLLING_FEATURE_EDGE         1  /* POLLING_EDGE, POLLING_EDGE_ONESHOT */
#define POLLING_FEATURE_PRI          2  /* POLLING_PRI is told */
#define POLLING_FEATURE_RDHUP        3  /* POLLING_RDHUP is told */
#define POLLING_FEATURE_TIMER        4  /* timers */
#define POLLING_FEATURE_SIGNAL       5  /* signals */
#define POLLING_FEATURE_PROCESS      6  /* POLLING_EXIT of a process */
#define POLLING_FEATURE_PROCESS_FORK 7  /* POLLING_FORK and POLLING_EXEC */
#define POLLING_FEATURE_WAITABLE     8  /* Windows waitable handles */
#define POLLING_FEATURE_FD           9  /* polling_get_fd() */
#define POLLING_FEATURE_FILE         10 /* regular files are always ready */
#define POLLING_FEATURE_NANOSECOND   11 /* waits finer than 1 ms */

/*
 * Makes a poller. flags is 0 or POLLING_INTERRUPTIBLE.
 * Returns NULL on failure. Errors: EINVAL (other flags), EMFILE, ENFILE,
 * ENOMEM.
 */
POLLING_API struct polling *polling_create(unsigned flags);

/*
 * Frees the poller. Registered descriptors stay open. NULL is allowed. No
 * other thread may be inside a call on it. In a forked child it frees the
 * child's copy and leaves the parent's poller alone.
 */
POLLING_API void polling_destroy(struct polling *p);

/*
 * Watches fd for interest (POLLING_IN, OUT, PRI, RDHUP; HUP and ERR are
 * accepted and implied) in the given mode. Interest 0 registers it disarmed.
 * A descriptor that never blocks, such as a regular file, is always ready.
 * Errors: EEXIST (added already), EBADF (no open descriptor), EINVAL
 * (unknown bits or mode), ENOTSUP (no such mode here), ENOMEM, ENOSPC (the
 * system's limit on watches), ELOOP (pollers nested too deep or in a circle).
 */
POLLING_API int polling_add(struct polling *p, polling_fd fd, uint32_t interest,
    enum polling_mode mode, uintptr_t key);

/*
 * Replaces interest, mode and key and arms the source again. It takes
 * effect at once, also for threads that are inside a wait.
 * Errors: ENOENT (not registered), EINVAL, ENOTSUP as above.
 */
POLLING_API int polling_modify(struct polling *p, polling_fd fd,
    uint32_t interest, enum polling_mode mode, uintptr_t key);

/*
 * Forgets fd, which should still be open. Once it has returned, no wait
 * collects an event of it. Errors: ENOENT (not registered).
 */
POLLING_API int polling_delete(struct polling *p, polling_fd fd);

/*
 * Waits for events: at most capacity of them, stored from events[0] on.
 * timeout is relative; NULL waits without limit, zero does not block. A wait
 * is never early, and any length is accepted.
 * Returns the number of events; 0 if the time is over or a notification came.
 * Errors: EINVAL (capacity below 1, a negative time or nanoseconds out of
 * [0, 999999999]), EINTR (POLLING_INTERRUPTIBLE only), EFAULT.
 */
POLLING_API int polling_wait(struct polling *p, struct polling_event *events,
    int capacity, const struct timespec *timeout);

/*
 * The same until a moment of the clock that polling_now() reads. A deadline
 * in the past does not block and still reports what is ready.
 */
POLLING_API int polling_wait_until(struct polling *p,
    struct polling_event *events, int capacity,
    const struct timespec *deadline);

/*
 * Stores the time on the monotonic clock that deadlines are measured on.
 * Setting the wall clock does not change it. It cannot fail.
 */
POLLING_API void polling_now(struct timespec *now);

/*
 * Ends one wait with whatever events it has, possibly none: one that is
 * blocked now or, if none is, the next. Notifications that no wait has met
 * yet are one. Safe in signal handlers; takes no lock and leaves errno alone
 * on success.
 */
POLLING_API int polling_notify(struct polling *p);

/*
 * Queues a copy of *event, whose three members may hold anything; one wait
 * returns it, exactly once, in the order of each posting thread. Not for
 * signal handlers. Errors: ENOMEM, EFAULT (event is NULL).
 */
POLLING_API int polling_post(
    struct polling *p, const struct polling_event *event);

/*
 * Adds a timer that is due first after the time *first from now and then every
 * *interval; without one (NULL or zero) it is due once, and gone with its
 * event. id is the caller's name for it, any value; timers have names of their
 * own, apart from those of other sources. Its events have POLLING_TIMER and in
 * data how often it has been due since the last one, UINT32_MAX at most. It is
 * never early, and a time past the range of the clock never comes. No system
 * call is made, unless a thread that waits has to wait for less. Errors: EEXIST
 * (there is one of this id), EINVAL (a negative time, or nanoseconds out of [0,
 * 999999999]), EFAULT (first is NULL), ENOMEM.
 */
POLLING_API int polling_add_timer(struct polling *p, uintptr_t id,
    const struct timespec *first, const struct timespec *interval,
    uintptr_t key);

/*
 * Starts it again as if it were new: with these times from now, and with this
 * key. What was due before and not reported is forgotten.
 * Errors: ENOENT (none of this id), EINVAL, EFAULT, ENOMEM as above.
 */
POLLING_API int polling_modify_timer(struct polling *p, uintptr_t id,
    const struct timespec *first, const struct timespec *interval,
    uintptr_t key);

/*
 * Forgets it. Errors: ENOENT (none of this id: never added, or it was to be due
 * once and its event was returned).
 */
POLLING_API int polling_delete_timer(struct polling *p, uintptr_t id);

/*
 * Watches a signal of this process: while it is registered in any poller its
 * own action is suppressed, and each time it has come there is one event with
 * POLLING_SIGNAL and in data how often, at least 1. A signal that all threads
 * block does not come. The signal's disposition is the library's until the last
 * poller deletes it, and then what it was before, unless the program has
 * changed it meanwhile. On Windows SIGINT, SIGBREAK and SIGTERM are what the
 * console tells: Ctrl-C, Ctrl-Break, and its closing.
 * Errors: EEXIST (added already), EINVAL (no such signal, SIGKILL, SIGSTOP, an
 * unknown mode), ENOTSUP (no such mode here), ENOMEM.
 */
POLLING_API int polling_add_signal(
    struct polling *p, int signo, enum polling_mode mode, uintptr_t key);

/*
 * Replaces mode and key and arms it again. What came while it was disarmed is
 * reported. Errors: ENOENT (not registered), EINVAL, ENOTSUP as above.
 */
POLLING_API int polling_modify_signal(
    struct polling *p, int signo, enum polling_mode mode, uintptr_t key);

/* Forgets it. Errors: ENOENT (not registered). */
POLLING_API int polling_delete_signal(struct polling *p, int signo);

/*
 * Watches a process: what is POLLING_EXIT and, where
 * POLLING_FEATURE_PROCESS_FORK is there, POLLING_FORK and POLLING_EXEC; 0
 * registers it disarmed. Its end is reported once for each arming, also if it
 * came before; a child stays to be waited for by waitpid(), and its status with
 * it. Errors: EEXIST (added already), ESRCH (no such process, or waited for),
 * EINVAL (unknown bits), ENOTSUP (POLLING_FORK or POLLING_EXEC; or a process
 * that is no child, where the system tells of children only), EMFILE, ENFILE,
 * ENOMEM.
 */
POLLING_API int polling_add_process(
    struct polling *p, polling_pid pid, uint32_t what, uintptr_t key);

/*
 * Replaces what and key and arms it again.
 * Errors: ENOENT (not registered), EINVAL, ENOTSUP as above.
 */
POLLING_API int polling_modify_process(
    struct polling *p, polling_pid pid, uint32_t what, uintptr_t key);

/* Forgets it. Errors: ENOENT (not registered). */
POLLING_API int polling_delete_process(struct polling *p, polling_pid pid);

#ifdef _WIN32
/*
 * Windows only. Watches a handle that can be waited for: an event, a semaphore,
 * a timer, a process, a thread, console input and others, a mutex not among
 * them, whose ownership a wait would take. Whenever a wait for it would
 * succeed, it is reported with the given events, whichever POLLING_ bits these
 * are; 0 registers it disarmed. A report of an event with automatic reset, a
 * semaphore or a synchronization timer is one successful wait: it resets or
 * counts down. handle is a HANDLE. Errors: EEXIST (added already), EBADF (no
 * open handle), EINVAL (a mutex; unknown bits or mode), EACCES (no right to
 * wait for it), ENOTSUP (an edge-triggered mode), ENOMEM.
 */
POLLING_API int polling_add_waitable(struct polling *p, void *handle,
    uint32_t events, enum polling_mode mode, uintptr_t key);

/*
 * Windows only. Replaces events, mode and key and arms the handle again.
 * Errors: ENOENT (not registered), EINVAL, ENOTSUP as above.
 */
POLLING_API int polling_modify_waitable(struct polling *p, void *handle,
    uint32_t events, enum polling_mode mode, uintptr_t key);

/*
 * Windows only. Forgets handle, which should still be open. Errors: ENOENT
 * (not registered).
 */
POLLING_API int polling_delete_waitable(struct polling *p, void *handle);

/*
 * Windows only. The completion port, a HANDLE that belongs to the poller: do
 * not close it or take packets from it. Packets that others post to it are
 * dropped. Returns NULL on failure.
 */
POLLING_API void *polling_get_handle(struct polling *p);
#else
/*
 * A descriptor that is readable whenever a wait would return events at once,
 * for nesting the poller in another loop. It belongs to the poller: do not
 * read, write or close it. It is the same at every call until the poller is
 * rebuilt by polling_reinit(). Errors: ENOTSUP (the poll backend), EMFILE,
 * ENFILE, ENOMEM, ELOOP (pollers nested too deep).
 */
POLLING_API int polling_get_fd(struct polling *p);
#endif

/*
 * 1 if this poller, on this system, has the POLLING_FEATURE_ given, else 0;
 * 0 for a number it does not know. It does not fail.
 */
POLLING_API int polling_supports(const struct polling *p, unsigned feature);

/*
 * In a forked child: rebuilds the poller and all that it watches, so that it
 * is the child's own. Posts and notifications still queued belong to the
 * parent and are not carried over; descriptors that are closed in the child
 * are dropped. Does nothing on a poller of this process's own. If it fails,
 * it may be called again. Errors: EMFILE, ENFILE, ENOMEM, ENOSPC.
 */
POLLING_API int polling_reinit(struct polling *p);

/* "epoll", "kqueue", "port", "poll" or "iocp". A constant; never fails. */
POLLING_API const char *polling_backend(void);

/* "MAJOR.MINOR.PATCH" of the library that is linked. Never fails. */
POLLING_API const char *polling_version(void);

#ifdef __cplusplus
}
#endif

#endif /* POLLING_H */
