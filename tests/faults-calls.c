/* SPDX-License-Identifier: MIT */
/*
 * faults-calls.c - functions of the C library that fail on demand.
 *
 * They are defined here, so that the library calls these, which fail or go on
 * to those of the C library. Each fails with what its kernel may say, and as
 * the kernel would: what could not succeed anyway says why first. What cannot
 * fail is not here: a change or the end of what an epoll instance watches
 * takes no memory, say.
 */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE /* has some of these functions inline */

#include "faults.h"
#include "next.h"
#include "sanitizers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <polling.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#if SANITIZED
#define OBSTACLE "a sanitizer owns malloc() and other functions"
#elif !defined(__GLIBC__)
#define OBSTACLE "no way to replace malloc() in this C library"
#elif defined(__USE_TIME_BITS64) && __TIMESIZE == 32
#define OBSTACLE "the C library has other functions for times of 64 bits"
#endif

const struct fault_call fault_calls[] = {
    [CALL_MALLOC] = {"malloc", {ENOMEM}},
    [CALL_CALLOC] = {"calloc", {ENOMEM}},
    [CALL_REALLOC] = {"realloc", {ENOMEM}},
    [CALL_EPOLL_CREATE] = {"epoll_create1", {EMFILE, ENFILE, ENOMEM}},
    [CALL_EPOLL_ADD] = {"epoll_ctl(EPOLL_CTL_ADD)", {ENOSPC, ENOMEM}},
    [CALL_EVENTFD] = {"eventfd",
	{EMFILE, ENFILE, ENOMEM, ENODEV, ENOSYS, EPERM}},
    [CALL_PIPE] = {"pipe2", {EMFILE, ENFILE}},
    [CALL_DUPLICATE] = {"fcntl(F_DUPFD_CLOEXEC)", {EMFILE}},
    [CALL_DUP3] = {"dup3", {EBUSY, EINTR}},
    [CALL_TIMERFD] = {"timerfd_create",
	{EMFILE, ENFILE, ENOMEM, ENODEV, ENOSYS, EPERM}},
    [CALL_EPOLL_WAIT] = {"epoll_wait", {EINTR}},
    [CALL_EPOLL_PWAIT2] = {"epoll_pwait2", {ENOSYS, EPERM, EINTR}},
    [CALL_PIDFD_OPEN] = {"pidfd_open",
	{EMFILE, ENFILE, ENOMEM, ENODEV, ENOSYS, EPERM}},
    [CALL_POLL] = {"poll", {ENOMEM, EINTR}},
    [CALL_PPOLL] = {"ppoll", {ENOMEM, ENOSYS, EPERM, EINTR}},
    /* The last ones of a file in a network. */
    [CALL_FSTAT] = {"fstat", {ENOMEM, EIO, ESTALE, EINTR}},
    [CALL_SIGACTION] = {"sigaction", {EINVAL}},
    [CALL_WAITID] = {"waitid", {ECHILD}},
    [CALL_MUTEX] = {"pthread_mutex_init", {ENOMEM, EAGAIN}},
    [CALL_ATFORK] = {"pthread_atfork", {ENOMEM}},
    [CALL_READ] = {"read", {EINTR}},
    [CALL_WRITE] = {"write", {EINTR}},
    [CALL_CLOSE] = {"close", {EIO, EINTR}},
    [CALL_PRCTL] = {"prctl", {EPERM, EINVAL}},
    /* The last one where there is no /proc. */
    [CALL_FOPEN] = {"fopen", {EMFILE, ENFILE, ENOMEM, ENOENT}},
    [CALL_SOCKET] = {"socket", {EMFILE, ENFILE, ENOBUFS, ENOMEM}},
    [CALL_POLL_NOW] = {"poll for no time", {ENOMEM}},
    [CALL_KQUEUE] = {"kqueue", {EMFILE, ENFILE, ENOMEM}},
    [CALL_KEVENT_ADD] = {"kevent(EV_ADD)", {ENOMEM}},
    [CALL_KEVENT] = {"kevent", {EINTR}},
    [CALL_PORT_CREATE] = {"port_create", {EMFILE, EAGAIN, ENOMEM}},
    [CALL_PORT_ASSOCIATE] = {"port_associate", {ENOMEM, EAGAIN}},
    [CALL_PORT_SEND] = {"port_send", {ENOMEM, EAGAIN}},
    [CALL_PORT_GETN] = {"port_getn", {EINTR}},
    [CALL_TIMER_CREATE] = {"timer_create", {EAGAIN, EPERM}},
};

/* In a storm so many calls fail for one that does not. */
#define GUSTS 5

/* What a wait tries again until it succeeds fails so often in a row. */
#define PATIENCE 20

static _Thread_local bool armed;
static enum fault_mode mode;
static int planned_number, planned_error;
static atomic_int count, injected, gusts;
static bool met[sizeof fault_calls / sizeof *fault_calls];
static unsigned char trace[FAULT_TRACE_MAX + 1];
static atomic_long balance;
void (*fault_in_atfork)(void);

bool
fault_is_for(int call, int error)
{
	for (int i = 0; fault_calls[call].errors[i] != 0; i++)
		if (fault_calls[call].errors[i] == error)
			return true;
	return false;
}

static bool
is_tried_again(int call)
{
	return call == CALL_POLL_NOW || call == CALL_KEVENT_ADD ||
	       call == CALL_PORT_ASSOCIATE;
}

/* What a call fails with by plan, or 0. */
static int
planned(int call, int number)
{
	int first = fault_calls[call].errors[0];

	/* For want of the call, if it is for that. */
	if (planned_error == ENOSYS && fault_is_for(call, ENOSYS))
		first = ENOSYS;
	switch (mode) {
	case FAULT_ONCE:
		return number == planned_number &&
			       fault_is_for(call, planned_error)
			   ? planned_error
			   : 0;
	case FAULT_FROM:
		if (number < planned_number || first == EINTR)
			return 0;
		return !is_tried_again(call) ||
			       number < planned_number + PATIENCE
			   ? first
			   : 0;
	case FAULT_STORM:
		return fault_is_for(call, EINTR) &&
			       atomic_fetch_add(&gusts, 1) % (GUSTS + 1) < GUSTS
			   ? EINTR
			   : 0;
	case FAULT_NONE:
		break;
	}
	return 0;
}

bool
fault_call(int call)
{
	int number, error;

	if (!armed)
		return false;
	number = atomic_fetch_add(&count, 1) + 1;
	if (number <= FAULT_TRACE_MAX)
		trace[number] = (unsigned char)call;
	error = planned(call, number);
	if (error == 0)
		return false;
	atomic_fetch_add(&injected, 1);
	met[call] = true;
	errno = error;
	return true;
}

void
fault_arm(enum fault_mode how, int number, int error)
{
	mode = how;
	planned_number = number;
	planned_error = error;
	count = injected = gusts = 0;
	armed = true;
}

void
fault_disarm(void)
{
	mode = FAULT_NONE;
	armed = false;
}

bool
fault_enlist(bool counts)
{
	bool counted = armed;

	armed = counts;
	return counted;
}

int
fault_count(void)
{
	return count;
}

int
fault_injected(void)
{
	return injected;
}

int
fault_traced(int number)
{
	return trace[number];
}

bool
fault_met(const char *name)
{
	for (size_t i = 0; i < sizeof met / sizeof *met; i++)
		if (met[i] && strcmp(fault_calls[i].name, name) == 0)
			return true;
	return false;
}

long
fault_balance(void)
{
	return balance;
}

#ifdef OBSTACLE
const char *
fault_obstacle(void)
{
	return OBSTACLE;
}
#else

/* What it allocates is not counted. */
static void
find_unarmed(const char *name, void *function, size_t size)
{
	bool was_armed = armed;

	armed = false;
	find_next(name, function, size);
	armed = was_armed;
}

#undef NEXT
#define NEXT(name) NEXT_BY(find_unarmed, (name))

/* The C library's own, under the names that it keeps for such as us. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

static void *
allocated(void *memory)
{
	if (memory != NULL)
		atomic_fetch_add(&balance, 1);
	return memory;
}

SEEN void *
malloc(size_t size)
{
	return fault_call(CALL_MALLOC) ? NULL : allocated(__libc_malloc(size));
}

SEEN void *
calloc(size_t n, size_t size)
{
	return fault_call(CALL_CALLOC) ? NULL
				       : allocated(__libc_calloc(n, size));
}

SEEN void *
realloc(void *memory, size_t size)
{
	if (fault_call(CALL_REALLOC))
		return NULL;
	if (memory == NULL)
		return allocated(__libc_realloc(memory, size));
	return __libc_realloc(memory, size);
}

SEEN void
free(void *memory)
{
	if (memory != NULL)
		atomic_fetch_sub(&balance, 1);
	__libc_free(memory);
}

SEEN int
epoll_create1(int flags)
{
	static int (*next)(int);

	NEXT("epoll_create1");
	return fault_call(CALL_EPOLL_CREATE) ? -1 : next(flags);
}

SEEN int
epoll_ctl(int epfd, int operation, int fd, struct epoll_event *e)
{
	static int (*next)(int, int, int, struct epoll_event *);
	int error;

	NEXT("epoll_ctl");
	/* What is wrong with the arguments is found before memory is. */
	if (next(epfd, operation, fd, e) < 0)
		return -1;
	if (operation != EPOLL_CTL_ADD || !fault_call(CALL_EPOLL_ADD))
		return 0;
	error = errno;
	(void)next(epfd, EPOLL_CTL_DEL, fd, e);
	errno = error;
	return -1;
}

SEEN int
eventfd(unsigned value, int flags)
{
	static int (*next)(unsigned, int);

	NEXT("eventfd");
	return fault_call(CALL_EVENTFD) ? -1 : next(value, flags);
}

SEEN int
pipe2(int fds[2], int flags)
{
	static int (*next)(int[2], int);

	NEXT("pipe2");
	return fault_call(CALL_PIPE) ? -1 : next(fds, flags);
}

/* What was not passed is not looked at. */
SEEN int
fcntl(int fd, int operation, ...)
{
	static int (*next)(int, int, void *);
	va_list list;
	void *argument;

	NEXT("fcntl");
	va_start(list, operation);
	argument = va_arg(list, void *);
	va_end(list);
	if (operation == F_DUPFD_CLOEXEC && fault_call(CALL_DUPLICATE))
		return -1;
	return next(fd, operation, argument);
}

#ifndef FAULTS_EMULATED
SEEN int
dup3(int from, int to, int flags)
{
	static int (*next)(int, int, int);

	NEXT("dup3");
	return fault_call(CALL_DUP3) ? -1 : next(from, to, flags);
}
#endif

SEEN int
timerfd_create(int clock, int flags)
{
	static int (*next)(int, int);

	NEXT("timerfd_create");
	return fault_call(CALL_TIMERFD) ? -1 : next(clock, flags);
}

static int
call_of(long number)
{
	switch (number) {
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
		return CALL_EPOLL_PWAIT2;
#endif
#ifdef SYS_pidfd_open
	case SYS_pidfd_open:
		return CALL_PIDFD_OPEN;
#endif
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
#endif
	case SYS_epoll_pwait:
		return CALL_EPOLL_WAIT;
	default:
		return -1;
	}
}

/* Six arguments are the most, and what was not passed is not looked at. */
SEEN long
syscall(long number, ...)
{
	static long (*next)(long, ...);
	long a[6];
	va_list list;
	int call;

	NEXT("syscall");
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	call = call_of(number);
	if (call >= 0 && fault_call(call))
		return -1;
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#ifndef FAULTS_EMULATED
SEEN int
poll(struct pollfd *array, nfds_t length, int ms)
{
	static int (*next)(struct pollfd *, nfds_t, int);

	NEXT("poll");
	return fault_call(CALL_POLL) ? -1 : next(array, length, ms);
}

SEEN int
ppoll(struct pollfd *array, nfds_t length, const struct timespec *timeout,
    const sigset_t *mask)
{
	static int (*next)(
	    struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);

	NEXT("ppoll");
	return fault_call(CALL_PPOLL) ? -1 : next(array, length, timeout, mask);
}
#endif

SEEN int
fstat(int fd, struct stat *st)
{
	static int (*next)(int, struct stat *);

	NEXT("fstat");
	if (next(fd, st) < 0)
		return -1;
	return fault_call(CALL_FSTAT) ? -1 : 0;
}

/* To ask how it is cannot fail. */
SEEN int
sigaction(int signo, const struct sigaction *action, struct sigaction *old)
{
	static int (*next)(int, const struct sigaction *, struct sigaction *);

	NEXT("sigaction");
	/* Nor can the old one be refused. */
	if (action != NULL && old != NULL && fault_call(CALL_SIGACTION))
		return -1;
	return next(signo, action, old);
}

SEEN int
waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	static int (*next)(idtype_t, id_t, siginfo_t *, int);

	NEXT("waitid");
	return fault_call(CALL_WAITID) ? -1 : next(type, id, info, options);
}

SEEN int
pthread_mutex_init(pthread_mutex_t *m, const pthread_mutexattr_t *a)
{
	static int (*next)(pthread_mutex_t *, const pthread_mutexattr_t *);

	NEXT("pthread_mutex_init");
	return fault_call(CALL_MUTEX) ? errno : next(m, a);
}

/* What pthread_atfork() calls, which is in each program and library itself. */
extern int __register_atfork(
    void (*before)(void), void (*parent)(void), void (*child)(void), void *dso);
SEEN int
__register_atfork(
    void (*before)(void), void (*parent)(void), void (*child)(void), void *dso)
{
	static int (*next)(
	    void (*)(void), void (*)(void), void (*)(void), void *);

	int error;

	NEXT("__register_atfork");
	error = fault_call(CALL_ATFORK) ? errno
					: next(before, parent, child, dso);
	if (fault_in_atfork != NULL)
		fault_in_atfork();
	return error;
}

SEEN ssize_t
read(int fd, void *buffer, size_t size)
{
	static ssize_t (*next)(int, void *, size_t);

	NEXT("read");
	return fault_call(CALL_READ) ? -1 : next(fd, buffer, size);
}

SEEN ssize_t
write(int fd, const void *buffer, size_t size)
{
	static ssize_t (*next)(int, const void *, size_t);

	NEXT("write");
	return fault_call(CALL_WRITE) ? -1 : next(fd, buffer, size);
}

#ifndef FAULTS_EMULATED
/* It is closed all the same. */
SEEN int
close(int fd)
{
	static int (*next)(int);

	NEXT("close");
	if (next(fd) < 0)
		return -1;
	return fault_call(CALL_CLOSE) ? -1 : 0;
}
#endif

SEEN int
prctl(int option, ...)
{
	static int (*next)(int, ...);
	unsigned long a[4];
	va_list list;

	NEXT("prctl");
	va_start(list, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(list, unsigned long);
	va_end(list);
	return fault_call(CALL_PRCTL) ? -1
				      : next(option, a[0], a[1], a[2], a[3]);
}

SEEN int
socket(int domain, int type, int protocol)
{
	static int (*next)(int, int, int);

	NEXT("socket");
	return fault_call(CALL_SOCKET) ? -1 : next(domain, type, protocol);
}

SEEN FILE *
fopen(const char *path, const char *how)
{
	static FILE *(*next)(const char *, const char *);

	NEXT("fopen");
	return fault_call(CALL_FOPEN) ? NULL : next(path, how);
}

/* A library that has the functions of the C library in it, say, does not call
 * these; nor does it where a tool such as valgrind replaces malloc(). */
const char *
fault_obstacle(void)
{
	void *(*volatile allocate)(size_t) = malloc;
	bool descriptors = false, memory = false;
	struct polling *p;
	void *block;

	fault_arm(FAULT_ONCE, 1, ENOMEM);
	block = allocate(16);
	fault_disarm();
	free(block);
	if (block != NULL)
		return "malloc() is not replaced: a tool owns it";
	fault_arm(FAULT_NONE, 0, 0);
	p = polling_create(0);
	fault_disarm();
	polling_destroy(p);
	for (int i = 1; i <= count; i++) {
		memory |= trace[i] == CALL_CALLOC;
		descriptors |= trace[i] == CALL_EVENTFD ||
			       trace[i] == CALL_PIPE ||
			       trace[i] == CALL_PORT_CREATE;
	}
	return memory && descriptors
		   ? NULL
		   : "what the library calls is not what is here";
}
#endif
