/* SPDX-License-Identifier: MIT */
/*
 * Scenes that several suites set up: sources that must stay as they were
 * whatever happens beside them, and ways to find out whether they have.
 *
 * Include it after harness.h.
 */
#ifndef TESTS_SCENES_H
#define TESTS_SCENES_H

#include "crew.h"

/* The ways to wait that a notification or a post is to end. */
enum { WAIT_FOR_EVER, WAIT_LONG, WAIT_UNTIL, WAIT_KINDS };

/* One wait of the kind, which is not to end by itself. */
int wait_as(
    struct polling *p, struct polling_event *events, int capacity, int kind);
/* A wait of the kind that something ends min_ms after start, or a little later.
 * start lies before whatever is to end the wait was set going. */
#define expect_ended(p, kind, start, min_ms, count) \
	expect_wait_ended(HARNESS_HERE, (p), (kind), (start), (min_ms), (count))
void expect_wait_ended(const char *file, int line, struct polling *p, int kind,
    int64_t start, int min_ms, int count);

/* Nothing is reported, and a wait sleeps instead of turning round. */
void expect_silence(struct polling *p);
/* The same after some more reports, which a closed source may need. */
void expect_silence_soon(struct polling *p);

/* Sources of which a closed one must not take anything away. */
struct others {
	polling_fd level[2];
	polling_fd armed[2];
	polling_fd fired[2];
	polling_fd disarmed[2];
	polling_fd edge[2];
	enum polling_mode edge_mode; /* LEVEL where edges are not supported */
};

void add_others(struct polling *p, struct others *o);
/* Each is as it was, and still works. */
void expect_others(struct polling *p, struct others *o);
void close_others(struct others *o);

/* Leaves a closed level source that reports for as long as *copy is open. */
void leave_orphan(struct polling *p, polling_fd pair[2], polling_fd *copy);

/* A thread that waits for what comes last. */
struct patient {
	struct polling *p;
	atomic_int *returned; /* how many such threads have their event */
	struct polling_event event;
	int count;
};

void *wait_patiently(void *argument);

/* A poller with sources of every kind, for parents and children. */
enum {
	READY,        /* level, data there */
	ARMED,        /* oneshot, data there */
	FIRED,        /* oneshot, data there, has reported */
	DISARMED,     /* interest 0, data there */
	IDLE,         /* level, nothing there */
	WRITABLE,     /* oneshot, to be written */
	EDGE,         /* data there, not reported yet */
	FILE_LEVEL,   /* a file */
	FILE_ONESHOT, /* another */
	SOURCES
};

struct world {
	struct polling *p;
	polling_fd pairs[SOURCES][2]; /* NO_FD for what there is not */
};

#define WORLD_KEY(i) (UINTPTR_MAX - (uintptr_t)(i))

bool has_source(const struct world *w, int i);
uint32_t world_interest(int i);
void make_world(struct world *w);
void destroy_world(struct world *w);
/* One wait gives just the sources of the mask, a bit for each. */
bool world_reports(const struct world *w, unsigned mask);
/* Everything is as make_world() left it, and works. It ends with nothing
 * registered, and leaves the pairs as they were. */
void check_world(struct trouble *t, struct world *w);
void expect_world(struct world *w);

/* Did the call, just made, fail with this? */
bool failed_with(int result, int code);

#endif /* TESTS_SCENES_H */
