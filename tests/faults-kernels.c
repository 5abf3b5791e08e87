/* SPDX-License-Identifier: MIT */
/*
 * faults-kernels.c - calls of an emulated kernel that fail on demand, for
 * faults.c over the backends of other systems.
 *
 * An emulation has functions of the C library of its own, so the library is
 * led to these by the linker (--wrap), and they to the emulation. What that
 * asks of Linux is no call of the library's, and does not fail.
 */
#include "faults.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#ifdef FAULTS_KQUEUE
#include <sys/event.h>
#elif defined(FAULTS_PORT)
#include <port.h>
#endif

/* Calls the emulation. */
#define REAL(result, call)                       \
	do {                                     \
		bool was_ = fault_enlist(false); \
                                                 \
		(result) = (call);               \
		(void)fault_enlist(was_);        \
	} while (0)

extern int __real_close(int fd);
int __wrap_close(int fd);
int
__wrap_close(int fd)
{
	int r;

	REAL(r, __real_close(fd));
	return r == 0 && fault_call(CALL_CLOSE) ? -1 : r;
}

/* Only a call that blocks is ended by a signal. */
extern int __real_poll(struct pollfd *array, nfds_t length, int ms);
int __wrap_poll(struct pollfd *array, nfds_t length, int ms);
int
__wrap_poll(struct pollfd *array, nfds_t length, int ms)
{
	int r;

	if (fault_call(ms == 0 ? CALL_POLL_NOW : CALL_POLL))
		return -1;
	REAL(r, __real_poll(array, length, ms));
	return r;
}

extern int __real_ppoll(struct pollfd *array, nfds_t length,
    const struct timespec *timeout, const sigset_t *mask);
int __wrap_ppoll(struct pollfd *array, nfds_t length,
    const struct timespec *timeout, const sigset_t *mask);
int
__wrap_ppoll(struct pollfd *array, nfds_t length,
    const struct timespec *timeout, const sigset_t *mask)
{
	int r;

	/* It is there wherever these kernels are. */
	if (fault_call(CALL_POLL))
		return -1;
	REAL(r, __real_ppoll(array, length, timeout, mask));
	return r;
}

static bool
blocks(const struct timespec *timeout)
{
	return timeout == NULL || timeout->tv_sec != 0 || timeout->tv_nsec != 0;
}

#ifdef FAULTS_KQUEUE
extern int __real_kqueue1(int flags);
int __wrap_kqueue1(int flags);
int
__wrap_kqueue1(int flags)
{
	int r;

	if (fault_call(CALL_KQUEUE))
		return -1;
	REAL(r, __real_kqueue1(flags));
	return r;
}

extern int __real_kqueue(void);
int __wrap_kqueue(void);
int
__wrap_kqueue(void)
{
	int r;

	if (fault_call(CALL_KQUEUE))
		return -1;
	REAL(r, __real_kqueue());
	return r;
}

extern int __real_kevent(int kq, const struct kevent *changes, int nchanges,
    struct kevent *events, int nevents, const struct timespec *timeout);
int __wrap_kevent(int kq, const struct kevent *changes, int nchanges,
    struct kevent *events, int nevents, const struct timespec *timeout);

static const struct timespec zero;

/* Makes one change, with these flags. */
static int
change(int kq, const struct kevent *k, int flags)
{
	struct kevent copy = *k;
	int r;

	copy.flags = (unsigned short)flags;
	REAL(r, __real_kevent(kq, &copy, 1, NULL, 0, &zero));
	return r;
}

/* Adding a knote that is not there takes memory. */
static int
change_or_fail(int kq, const struct kevent *k)
{
	bool is_new = (k->flags & EV_ADD) && change(kq, k, 0) < 0;
	int r = change(kq, k, k->flags), error;

	if (r < 0 || !is_new || !fault_call(CALL_KEVENT_ADD))
		return r;
	error = errno;
	(void)change(kq, k, EV_DELETE);
	errno = error;
	return -1;
}

/* The changes are made one by one. The first that fails ends that, if there is
 * no room to tell. */
int
__wrap_kevent(int kq, const struct kevent *changes, int nchanges,
    struct kevent *events, int nevents, const struct timespec *timeout)
{
	struct kevent told[64];
	int n = 0, r;

	for (int i = 0; i < nchanges; i++) {
		if (change_or_fail(kq, &changes[i]) == 0)
			continue;
		if (n == nevents)
			return -1;
		told[n] = changes[i];
		told[n].flags |= EV_ERROR;
		told[n++].data = errno;
	}
	/* Not before, since both may be one array. */
	for (int i = 0; i < n; i++)
		events[i] = told[i];
	if (n > 0)
		return n;
	if (nevents > 0 && blocks(timeout) && fault_call(CALL_KEVENT))
		return -1;
	REAL(r, __real_kevent(kq, NULL, 0, events, nevents, timeout));
	return r;
}
#endif

#ifdef FAULTS_PORT
extern int __real_port_create(void);
int __wrap_port_create(void);
int
__wrap_port_create(void)
{
	int r;

	if (fault_call(CALL_PORT_CREATE))
		return -1;
	REAL(r, __real_port_create());
	return r;
}

/* What is wrong with the arguments is found before memory is. */
extern int __real_port_associate(
    int port, int source, uintptr_t object, int events, void *user);
extern int __real_port_dissociate(int port, int source, uintptr_t object);
int __wrap_port_associate(
    int port, int source, uintptr_t object, int events, void *user);
int __wrap_port_dissociate(int port, int source, uintptr_t object);
int
__wrap_port_associate(
    int port, int source, uintptr_t object, int events, void *user)
{
	int r;

	if (fault_call(CALL_PORT_ASSOCIATE))
		return -1;
	REAL(r, __real_port_associate(port, source, object, events, user));
	return r;
}

int
__wrap_port_dissociate(int port, int source, uintptr_t object)
{
	int r;

	REAL(r, __real_port_dissociate(port, source, object));
	return r;
}

extern int __real_port_send(int port, int events, void *user);
int __wrap_port_send(int port, int events, void *user);
int
__wrap_port_send(int port, int events, void *user)
{
	int r;

	if (fault_call(CALL_PORT_SEND))
		return -1;
	REAL(r, __real_port_send(port, events, user));
	return r;
}

extern int __real_port_getn(int port, port_event_t list[], uint_t max,
    uint_t *nget, timespec_t *timeout);
int __wrap_port_getn(int port, port_event_t list[], uint_t max, uint_t *nget,
    timespec_t *timeout);
int
__wrap_port_getn(int port, port_event_t list[], uint_t max, uint_t *nget,
    timespec_t *timeout)
{
	int r;

	if (blocks(timeout) && fault_call(CALL_PORT_GETN))
		return -1;
	REAL(r, __real_port_getn(port, list, max, nget, timeout));
	return r;
}

extern int __real_emulation_timer_create(
    clockid_t clock, struct sigevent *how, timer_t *timer);
int __wrap_emulation_timer_create(
    clockid_t clock, struct sigevent *how, timer_t *timer);
int
__wrap_emulation_timer_create(
    clockid_t clock, struct sigevent *how, timer_t *timer)
{
	int r;

	if (fault_call(CALL_TIMER_CREATE))
		return -1;
	REAL(r, __real_emulation_timer_create(clock, how, timer));
	return r;
}

extern int __real_emulation_timer_settime(timer_t timer, int flags,
    const struct itimerspec *value, struct itimerspec *old);
int __wrap_emulation_timer_settime(timer_t timer, int flags,
    const struct itimerspec *value, struct itimerspec *old);
int
__wrap_emulation_timer_settime(timer_t timer, int flags,
    const struct itimerspec *value, struct itimerspec *old)
{
	int r;

	REAL(r, __real_emulation_timer_settime(timer, flags, value, old));
	return r;
}

extern int __real_emulation_timer_delete(timer_t timer);
int __wrap_emulation_timer_delete(timer_t timer);
int
__wrap_emulation_timer_delete(timer_t timer)
{
	int r;

	REAL(r, __real_emulation_timer_delete(timer));
	return r;
}
#endif
