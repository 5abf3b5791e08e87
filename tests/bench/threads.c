/* SPDX-License-Identifier: MIT */
/*
 * threads.c - several threads that wait: all for one poller, whose sources are
 * oneshot so that each event is handled by one thread at a time, or each for
 * one of its own, with its share of the sources.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "report.h"
#include "suite.h"

#include <polling.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define THREADS_MAX   4
#define SOURCES       128
#define CAPACITY      16 /* leaves some of them for the others */
#define GIVE_UP_AFTER 300

static const struct kind_of_loop {
	const char *name, *mode;
	bool library; /* else by hand */
	bool shared;
} loops[] = {
    {"epoll", "shared", false, true},
    {"libpolling", "shared", true, true},
    {"epoll", "own", false, false},
    {"libpolling", "own", true, false},
};
#define LOOPS (sizeof loops / sizeof *loops)

/* One of them, or the one that they share. */
struct poller {
	int epfd;
	struct polling *polling;
};

struct waiter {
	pthread_t thread;
	const struct kind_of_loop *loop;
	struct poller *poller;
	long left;  /* events until it goes home */
	double cpu; /* seconds */
};

enum { CPU, WALL, FIGURES };
static struct series series[FIGURES][LOOPS];
static const struct scale *scale;
static unsigned thread_count;
static struct poller pollers[THREADS_MAX];
static struct waiter waiters[THREADS_MAX];
static atomic_flag in_use[SOURCES];
static pthread_barrier_t start;

/* As handle_source(), which counts for one thread only. */
static void
handle(struct waiter *w, size_t source)
{
	uint64_t token;

	if (atomic_flag_test_and_set(&in_use[source])) {
		fprintf(
		    stderr, "%s: two threads have one event\n", w->loop->name);
		exit(1);
	}
	if (read(sources.fds[source], &token, sizeof token) != sizeof token ||
	    write(sources.fds[source], &token, sizeof token) != sizeof token)
		die("eventfd");
	w->left--;
	atomic_flag_clear(&in_use[source]);
}

static struct epoll_event
epoll_interest(bool shared, size_t source)
{
	return (struct epoll_event){
	    .events = EPOLLIN | (shared ? (uint32_t)EPOLLONESHOT : 0),
	    .data = {.u64 = source}};
}

static void
wait_by_hand(struct waiter *w)
{
	struct epoll_event events[CAPACITY];
	bool shared = w->loop->shared;

	while (w->left > 0) {
		int n = epoll_wait(w->poller->epfd, events, CAPACITY, -1);

		for (int i = 0; i < n; i++) {
			size_t source = events[i].data.u64;
			struct epoll_event e = epoll_interest(shared, source);

			handle(w, source);
			if (shared && epoll_ctl(w->poller->epfd, EPOLL_CTL_MOD,
					  sources.fds[source], &e) < 0)
				die("epoll_ctl");
		}
	}
}

static void
wait_by_library(struct waiter *w)
{
	struct polling_event events[CAPACITY];
	struct polling *p = w->poller->polling;

	while (w->left > 0) {
		int n = polling_wait(p, events, CAPACITY, NULL);

		for (int i = 0; i < n; i++) {
			size_t source = events[i].key;

			handle(w, source);
			if (w->loop->shared &&
			    polling_modify(p, sources.fds[source], POLLING_IN,
				POLLING_ONESHOT, source) != 0)
				die("polling_modify");
		}
	}
}

static void *
wait_and_handle(void *argument)
{
	struct waiter *w = argument;

	(void)pthread_barrier_wait(&start); /* it is there until all are */
	w->cpu = cpu_seconds();
	if (w->loop->library)
		wait_by_library(w);
	else
		wait_by_hand(w);
	w->cpu = cpu_seconds() - w->cpu;
	return NULL;
}

static void
open_poller(struct poller *p, const struct kind_of_loop *l)
{
	p->epfd = -1;
	p->polling = NULL;
	if (l->library)
		p->polling = polling_create(0);
	else
		p->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (p->epfd < 0 && p->polling == NULL)
		die("a poller");
}

static void
add_source(struct poller *p, bool shared, size_t source)
{
	struct epoll_event e = epoll_interest(shared, source);
	int fd = sources.fds[source];
	int r;

	if (p->polling != NULL)
		r = polling_add(p->polling, fd, POLLING_IN,
		    shared ? POLLING_ONESHOT : POLLING_LEVEL, source);
	else
		r = epoll_ctl(p->epfd, EPOLL_CTL_ADD, fd, &e);
	if (r != 0)
		die("add");
}

static void
close_poller(struct poller *p)
{
	polling_destroy(p->polling);
	if (p->epfd >= 0)
		close(p->epfd);
}

static void
start_threads(const struct kind_of_loop *l)
{
	for (unsigned i = 0; i < thread_count; i++) {
		struct waiter *w = &waiters[i];

		w->loop = l;
		w->poller = &pollers[l->shared ? 0 : i];
		w->left = scale->events / thread_count;
		if (pthread_create(&w->thread, NULL, wait_and_handle, w) != 0)
			die("pthread_create");
	}
}

static void
measure(size_t number, int round)
{
	const struct kind_of_loop *l = &loops[number];
	unsigned poller_count = l->shared ? 1 : thread_count;
	double begin, cpu = 0;
	long events = 0;

	give_up_after(GIVE_UP_AFTER);
	for (unsigned i = 0; i < poller_count; i++)
		open_poller(&pollers[i], l);
	for (size_t i = 0; i < SOURCES; i++)
		add_source(&pollers[i % poller_count], l->shared, i);
	if (pthread_barrier_init(&start, NULL, thread_count + 1) != 0)
		die("pthread_barrier_init");
	start_threads(l);
	begin = wall_seconds(); /* others may run first after the next line */
	(void)pthread_barrier_wait(&start); /* as above */
	for (unsigned i = 0; i < thread_count; i++) {
		(void)pthread_join(waiters[i].thread, NULL); /* ours */
		cpu += waiters[i].cpu;
		events += scale->events / thread_count - waiters[i].left;
	}
	series[WALL][number].values[round] = (wall_seconds() - begin) * 1e9 /
					     (double)events;
	series[CPU][number].values[round] = cpu * 1e9 / (double)events;
	(void)pthread_barrier_destroy(&start); /* nobody is left in it */
	for (unsigned i = 0; i < poller_count; i++)
		close_poller(&pollers[i]);
}

static void
measure_with(unsigned number)
{
	static const char *const details[THREADS_MAX + 1] = {
	    [1] = "1 waiter", [2] = "2 waiters", [4] = "4 waiters"};
	static const char *const names[FIGURES] = {
	    [CPU] = "cpu per event", [WALL] = "time per event"};

	thread_count = number;
	for (size_t f = 0; f < FIGURES; f++)
		for (size_t l = 0; l < LOOPS; l++)
			series[f][l] = (struct series){.name = loops[l].name,
			    .mode = loops[l].mode,
			    .base = l & ~(size_t)1};
	take_turns(LOOPS, scale->rounds, measure);
	for (size_t f = 0; f < FIGURES; f++) {
		const struct figure what = {.workload = "threads",
		    .detail = details[number],
		    .name = names[f],
		    .unit = "ns",
		    .sources = SOURCES};

		report_figure(&what, series[f], LOOPS, scale->rounds);
	}
}

void
threads(const struct scale *s)
{
	scale = s;
	make_sources(EVENTFDS, SOURCES, 0);
	activate_sources(SOURCES);
	for (unsigned number = 1; number <= THREADS_MAX; number *= 2)
		measure_with(number);
	free_sources();
}
