/* SPDX-License-Identifier: MIT */
/*
 * notify.c - ending a wait: with nobody in it, by the same thread, from
 * another thread on the same or another processor, and as fast as it goes.
 * The measure is a blocking read of an eventfd.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "report.h"
#include "suite.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define VARIANTS_MAX  10
#define LATENCIES_MAX 2000
#define GIVE_UP_AFTER 300 /* seconds */
#define NAP_NS        50000

static int alone;

static void
open_alone(const struct setup *s)
{
	(void)s;
	alone = eventfd(0, EFD_CLOEXEC);
	if (alone < 0)
		die("eventfd");
}

static void
close_alone(void)
{
	close(alone);
}

static void
notify_alone(void)
{
	uint64_t one = 1;

	if (write(alone, &one, sizeof one) != sizeof one)
		die("eventfd");
}

static void
await_alone(void)
{
	uint64_t count;

	if (read(alone, &count, sizeof count) != sizeof count)
		die("eventfd");
}

static const struct peer peer_alone = {
    .name = "eventfd",
    .open = open_alone,
    .close = close_alone,
    .notify = notify_alone,
    .await = await_alone,
};

static const struct peer *variants[VARIANTS_MAX];
static size_t variant_count;
static const struct scale *scale;
static const struct setup setup = {.notify = true};

/* By figure. */
enum { FIRST, SECOND, THIRD, FIGURES };
static struct series series[FIGURES][VARIANTS_MAX];

static void
nap(void)
{
	const struct timespec t = {.tv_nsec = NAP_NS};

	(void)nanosleep(&t, NULL); /* shorter if a signal comes: no matter */
}

/*
 * In one thread
 */

/* All but the first find that there is one already. */
static void
measure_idle(size_t v, int round)
{
	const struct peer *p = variants[v];
	double start;

	p->open(&setup);
	p->notify();
	start = cpu_seconds();
	for (long n = 0; n < scale->events; n++)
		p->notify();
	series[FIRST][v].values[round] = (cpu_seconds() - start) * 1e9 /
					 (double)scale->events;
	p->await();
	p->close();
}

static void
measure_pairs(size_t v, int round)
{
	const struct peer *p = variants[v];
	double start;

	p->open(&setup);
	p->notify();
	p->await();
	start = cpu_seconds();
	for (long n = 0; n < scale->events; n++) {
		p->notify();
		p->await();
	}
	series[FIRST][v].values[round] = (cpu_seconds() - start) * 1e9 /
					 (double)scale->events;
	p->close();
}

/*
 * From another thread
 */

/* The thread that waits, which opens and closes the peer too: for some, a loop
 * belongs to a thread. */
struct waiter {
	const struct peer *peer;
	int processor;       /* to run on, or -1 */
	long wanted;         /* notifications */
	_Atomic double sent; /* when the last one was, by the clock */
	atomic_long tokens;  /* sent with notifications, and not taken */
	atomic_long taken;
	atomic_bool open;  /* notifications may come */
	atomic_bool over;  /* no more of them will */
	double *latencies; /* NULL: they come as fast as they can */
	double cpu;        /* seconds */
	long waits;
};

static double latencies[LATENCIES_MAX];

static void
wait_one_by_one(struct waiter *w)
{
	for (long n = 0; n < w->wanted; n++) {
		/* What ends a wait early, if anything does, is no wake-up. */
		do
			w->peer->await();
		while (atomic_load(&w->tokens) == 0);
		w->latencies[n] = wall_seconds() - atomic_load(&w->sent);
		atomic_store(&w->tokens, 0);
		atomic_store(&w->taken, n + 1);
	}
}

static void
wait_for_all(struct waiter *w)
{
	for (long n = 0; n < w->wanted; w->waits++) {
		w->peer->await();
		n += atomic_exchange(&w->tokens, 0);
	}
}

static void *
wait_for_notifications(void *argument)
{
	struct waiter *w = argument;

	if (w->processor >= 0)
		run_on_processor(w->processor);
	w->peer->open(&setup);
	atomic_store(&w->open, true);
	w->cpu = cpu_seconds();
	if (w->latencies != NULL)
		wait_one_by_one(w);
	else
		wait_for_all(w);
	w->cpu = cpu_seconds() - w->cpu;
	while (!atomic_load(&w->over))
		nap();
	w->peer->close();
	return NULL;
}

static void
notify_one_by_one(struct waiter *w)
{
	for (long n = 0; n < w->wanted; n++) {
		nap(); /* until it is blocked */
		atomic_store(&w->tokens, 1);
		atomic_store(&w->sent, wall_seconds());
		w->peer->notify();
		while (atomic_load(&w->taken) != n + 1)
			nap();
	}
}

/* Returns the thread's processor time. */
static double
notify_flat_out(struct waiter *w)
{
	double start = cpu_seconds();

	for (long n = 0; n < w->wanted; n++) {
		atomic_fetch_add(&w->tokens, 1);
		w->peer->notify();
	}
	return cpu_seconds() - start;
}

/* The one who notifies. */
static void *
send_notifications(void *argument)
{
	struct waiter *w = argument;
	pthread_t thread;
	double cpu = 0;

	if (w->processor >= 0)
		run_on_processor(0);
	if (pthread_create(&thread, NULL, wait_for_notifications, w) != 0)
		die("pthread_create");
	while (!atomic_load(&w->open))
		nap();
	if (w->latencies != NULL)
		notify_one_by_one(w);
	else
		cpu = notify_flat_out(w);
	atomic_store(&w->over, true);
	(void)pthread_join(thread, NULL); /* it is ours, and not joined yet */
	w->cpu += cpu;
	return NULL;
}

/* In threads of its own, as binding one to a processor is for good. */
static void
run_threads(struct waiter *w)
{
	pthread_t thread;

	give_up_after(GIVE_UP_AFTER);
	if (pthread_create(&thread, NULL, send_notifications, w) != 0)
		die("pthread_create");
	(void)pthread_join(thread, NULL); /* as above */
}

static int waiter_processor;

static void
measure_latency(size_t v, int round)
{
	long wanted = scale->quick ? 200 : LATENCIES_MAX;
	struct waiter w = {.peer = variants[v],
	    .processor = waiter_processor,
	    .wanted = wanted,
	    .latencies = latencies};

	run_threads(&w);
	series[FIRST][v].values[round] = quantile(
					     latencies, (size_t)wanted, .5) *
					 1e6;
	series[SECOND][v].values[round] = quantile(
					      latencies, (size_t)wanted, .9) *
					  1e6;
	series[THIRD][v].values[round] = quantile(
					     latencies, (size_t)wanted, .99) *
					 1e6;
}

static void
measure_flat_out(size_t v, int round)
{
	struct waiter w = {
	    .peer = variants[v], .processor = -1, .wanted = scale->events * 4};
	double start = wall_seconds();

	run_threads(&w);
	series[FIRST][v].values[round] = (wall_seconds() - start) * 1e9 /
					 (double)w.wanted;
	series[SECOND][v].values[round] = w.cpu * 1e9 / (double)w.wanted;
	series[THIRD][v].values[round] = (double)w.waits * 1000 /
					 (double)w.wanted;
}

/*
 * All of them
 */

static void
find_variants(void)
{
	variants[0] = &peer_alone;
	variant_count = 1;
	for (size_t p = 0; peers[p] != NULL; p++)
		if (peer_can(peers[p], &setup))
			variants[variant_count++] = peers[p];
	for (size_t f = 0; f < FIGURES; f++)
		for (size_t v = 0; v < variant_count; v++)
			series[f][v] = (struct series){
			    .name = variants[v]->name, .mode = ""};
}

static void
report(size_t number, const char *detail, const char *name, const char *unit)
{
	const struct figure f = {
	    .workload = "notify", .detail = detail, .name = name, .unit = unit};

	report_figure(&f, series[number], variant_count, scale->rounds);
}

static void
latency(int processor, const char *detail)
{
	if (processor >= processor_count()) {
		printf("\nnotify, %s: not measured, there is one\n", detail);
		return;
	}
	waiter_processor = processor;
	take_turns(variant_count, scale->rounds, measure_latency);
	report(FIRST, detail, "wake-up median", "us");
	report(SECOND, detail, "wake-up 90 %", "us");
	report(THIRD, detail, "wake-up 99 %", "us");
}

void
notify(const struct scale *s)
{
	scale = s;
	find_variants();
	take_turns(variant_count, s->rounds, measure_idle);
	report(FIRST, "nobody waits", "cpu per notify", "ns");
	take_turns(variant_count, s->rounds, measure_pairs);
	report(FIRST, "one thread", "cpu per notify and wait", "ns");
	latency(0, "same processor");
	latency(1, "other processor");
	take_turns(variant_count, s->rounds, measure_flat_out);
	report(FIRST, "flat out", "time per notify", "ns");
	report(SECOND, "flat out", "cpu of both per notify", "ns");
	report(THIRD, "flat out", "waits per 1000 notify", "");
}
