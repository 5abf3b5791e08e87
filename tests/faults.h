/* SPDX-License-Identifier: MIT */
/*
 * What the library asks of the C library, made to fail on demand: see
 * faults-calls.c for how, and faults.c for what then has to hold.
 */
#ifndef TESTS_FAULTS_H
#define TESTS_FAULTS_H

#include <stdbool.h>

enum fault_mode {
	FAULT_NONE,
	FAULT_ONCE, /* one call, with a given error */
	FAULT_FROM, /* one call and all after it that can, but for EINTR */
	FAULT_STORM /* all calls that EINTR can end, again and again */
};

/* A function that can fail, or an operation of one. */
struct fault_call {
	const char *name;
	int errors[8]; /* that it may fail with; 0 is the end */
};
extern const struct fault_call fault_calls[];

/* Their indices. */
enum {
	CALL_MALLOC,
	CALL_CALLOC,
	CALL_REALLOC,
	CALL_EPOLL_CREATE,
	CALL_EPOLL_ADD,
	CALL_EVENTFD,
	CALL_PIPE,
	CALL_DUPLICATE,
	CALL_DUP3,
	CALL_TIMERFD,
	CALL_EPOLL_WAIT,
	CALL_EPOLL_PWAIT2,
	CALL_PIDFD_OPEN,
	CALL_POLL,
	CALL_PPOLL,
	CALL_FSTAT,
	CALL_SIGACTION,
	CALL_WAITID,
	CALL_MUTEX,
	CALL_ATFORK,
	CALL_READ,
	CALL_WRITE,
	CALL_CLOSE,
	CALL_PRCTL,
	CALL_FOPEN,
	CALL_SOCKET,
	/* Of emulated kernels: see faults-kernels.c. */
	CALL_POLL_NOW,
	CALL_KQUEUE,
	CALL_KEVENT_ADD,
	CALL_KEVENT,
	CALL_PORT_CREATE,
	CALL_PORT_ASSOCIATE,
	CALL_PORT_SEND,
	CALL_PORT_GETN,
	CALL_TIMER_CREATE
};

/* More calls of one scenario are not made to fail. */
#define FAULT_TRACE_MAX 1000

/* NULL, or why functions of the C library cannot be made to fail. Before any
 * other thread is there. */
const char *fault_obstacle(void);

/* From now on the calls of this thread are counted, from 1, and fail by plan.
 * The number is that of the call which FAULT_ONCE and FAULT_FROM are for. */
void fault_arm(enum fault_mode mode, int number, int error);
void fault_disarm(void);
/* Whether the calls of this thread count too; returns whether they did. */
bool fault_enlist(bool counts);
/* A call is made: true, with errno set, if it is to fail. */
bool fault_call(int call);

/* What every pthread_atfork() does before it returns, if that is not NULL. */
extern void (*fault_in_atfork)(void);

/* Since fault_arm(). */
int fault_count(void);    /* calls */
int fault_injected(void); /* of them failed by plan */
/* Which one had a number: an index of fault_calls. */
int fault_traced(int number);
/* Whether calls of this name failed by plan. */
bool fault_met(const char *name);

/* Blocks of memory that were allocated and not freed. */
long fault_balance(void);

bool fault_is_for(int call, int error);

#endif
