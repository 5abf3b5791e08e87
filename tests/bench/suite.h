/* SPDX-License-Identifier: MIT */
/*
 * The workloads of suite.c, each in a file of its own.
 */
#ifndef BENCH_SUITE_H
#define BENCH_SUITE_H

#include "peer.h"

#include <stdbool.h>
#include <stddef.h>

struct scale {
	bool quick;   /* a minute in all, for a look */
	bool poll;    /* over poll(), where a thousand sources are many */
	int rounds;   /* at most ROUNDS_MAX */
	long events;  /* of one variant in one round, about */
	size_t limit; /* descriptors that may be opened */

	/* For a closer look at the chain: one size only, if count is not 0, and
	 * one peer only, if it is not NULL. */
	size_t count;
	size_t active;
	const char *peer;
};

void chain(const struct scale *s);
void rearm(const struct scale *s);
void churn(const struct scale *s);
void notify(const struct scale *s);
void waits(const struct scale *s);
void threads(const struct scale *s);
void memory(const struct scale *s);

/* Sources that work.handle reads and that write to themselves or each other:
 * sources.c. */
enum kind { EVENTFDS, SOCKETS };
extern const char *const kinds[];

struct sources {
	enum kind kind;
	size_t count;
	size_t step; /* a source writes to the one so far behind it; 0 or 1 */
	int *fds;    /* that are read */
	int *peers;  /* that are written to so that fds[i] has something */
};
extern struct sources sources;

void make_sources(enum kind kind, size_t count, size_t step);
void free_sources(void);
/* Makes so many of them ready, evenly spread. */
void activate_sources(size_t active);
/* For work: reads from one and writes to the next. */
void handle_source(size_t source);
/* Runs the peer until so many events are handled. Returns the time of the
 * thread's processor for one of them, in nanoseconds. */
double run_sources(const struct peer *p, long events);

/* How many processors this process may run on, and the one of that number,
 * counted from 0. */
int processor_count(void);
void run_on_processor(int number);

#endif /* BENCH_SUITE_H */
