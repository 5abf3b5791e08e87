/* SPDX-License-Identifier: MIT */
/*
 * The seam of the benchmarks: what a workload asks of libpolling, of other
 * libraries and of loops written by hand.
 *
 * One peer at a time is open, so an adapter keeps what it has in variables of
 * its file. Each runs its library's own loop, not one that takes single steps:
 * that is how programs use it, and every call more after a system call costs.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

#define BATCH           1024 /* events of one wait, where it can be said */
#define TIMEOUT_SECONDS 10   /* where each wait is to have a timeout */

/* LATE is oneshot, re-armed only after the next wait: see chain.c. */
enum mode { LEVEL, EDGE, ONESHOT, LATE, MODES };

struct setup {
	enum mode mode;
	bool timeout;   /* each wait has one; elsewhere a timer is far away */
	bool notify;    /* notify() and await() will be called */
	bool precise;   /* a late wait matters, also where that costs more */
	bool poll;      /* use poll(), not epoll */
	size_t count;   /* sources at most */
	const int *fds; /* of each source, by its number */
};

/* What run() does. */
struct work {
	void (*handle)(size_t source); /* reads, and takes one from left */
	long left;                     /* events; run() returns at zero */
};
extern struct work work;

struct peer {
	const char *name;
	unsigned modes; /* 1u << mode for each that it has */
	bool poll;      /* it can use poll(); else it can use epoll only */
	bool poll_only; /* the other way round */

	void (*open)(const struct setup *s);
	void (*close)(void);

	/* Watches a source for reading, and forgets it. */
	void (*add)(size_t source);
	void (*remove)(size_t source);
	void (*run)(void);

	/* Ends an await(), from any thread; NULL if it has nothing such.
	 * await() returns after one or more of them. */
	void (*notify)(void);
	void (*await)(void);

	/* Waits for so long, with nothing else to wait for. NULL if it cannot.
	 * grain is the shortest time that it can be told, in nanoseconds. */
	void (*sleep)(long ns);
	long grain;
};

extern const struct peer peer_epoll;
extern const struct peer peer_poll;
extern const struct peer peer_polling;
extern const struct peer peer_libev;
extern const struct peer peer_libevent;
extern const struct peer peer_libuv;
extern const struct peer peer_ivykis;

/* Those that were compiled in, the loop written by hand first; NULL at the
 * end. */
extern const struct peer *const peers[];

/* It can do this. */
bool peer_can(const struct peer *p, const struct setup *s);

#endif /* BENCH_PEER_H */
