/* SPDX-License-Identifier: MIT */
/*
 * What the library asks of Windows and of its C library, made to fail on
 * demand: see faults-imports.c for how, and faults-windows.c for what then has
 * to hold.
 */
#ifndef TESTS_FAULTS_IMPORTS_H
#define TESTS_FAULTS_IMPORTS_H

#include <stdbool.h>

/* One way to fail: what Windows says, and what the library makes of it. */
struct fault_error {
	long code; /* of the kind that the function has */
	int error; /* an errno; 0 is the end of a list */
};

/* A function that can fail. */
struct fault_import {
	const char *name;
	struct fault_error errors[4];
};
extern const struct fault_import fault_imports[];

/* Their indices. */
enum {
	CALL_MALLOC,
	CALL_CALLOC,
	CALL_REALLOC,
	CALL_STARTUP,
	CALL_PORT,
	CALL_OPEN_DEVICE,
	CALL_POLL,
	CALL_TYPE,
	CALL_QUERY_EVENT,
	CALL_CREATE_PACKET,
	CALL_ASSOCIATE_PACKET,
	CALL_DUPLICATE,
	CALL_REGISTER_WAIT,
	CALL_POST_PACKET,
	CALL_GET_PACKETS,
	CALL_OPEN_PROCESS,
	CALL_HANDLER,
	CALL_BASE,
	CALL_SOCKET_TYPE,
	CALLS
};

enum fault_mode {
	FAULT_NONE,
	FAULT_ONCE, /* one call */
	FAULT_FROM  /* one and those after it, for a while */
};

/* More calls of one scenario are not made to fail. */
#define FAULT_TRACE_MAX 1000

/* NULL, or the name of a function that the library does not import. Once,
 * before the library is used. */
const char *fault_prepare(void);

/* From now on the calls of this thread or, in some scenarios, of all threads,
 * are counted, from 1, and fail by plan. error is an index of errors; after
 * FAULT_FROM other calls than the first one fail by their first error. */
void fault_arm(
    enum fault_mode mode, int number, int error, bool in_all_threads);
void fault_disarm(void);

/* Since fault_arm(). */
int fault_count(void);    /* calls */
int fault_injected(void); /* of them failed by plan */
/* Which one had a number: an index of fault_imports. */
int fault_traced(int number);
/* Whether one of these errors was injected. */
bool fault_met(int error);

/* Blocks of memory that were allocated and not freed. */
long fault_balance(void);

/* Which questions about the socket below another a provider answers, besides
 * that about the one that it makes up, and whether it makes up another. */
struct fault_layer {
	bool is_there;
	bool knows_for_select;
	bool knows_for_poll;
	bool gives_another;
};
extern struct fault_layer fault_layer;

/* The driver's answers about several sockets come in the reverse order. */
extern bool fault_reverses;

#endif
