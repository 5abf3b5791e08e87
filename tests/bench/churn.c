/* SPDX-License-Identifier: MIT */
/*
 * churn.c - sources that live for one event: added, read once, deleted. One at
 * a time, and a hundred at a time.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "report.h"
#include "suite.h"

/* So that no number is used again at once: see peer-libuv.c. */
#define SOURCES      1000
#define VARIANTS_MAX 10

static const struct peer *variants[VARIANTS_MAX];
static struct series series[VARIANTS_MAX];
static struct setup setup;
static const struct scale *scale;
static size_t batch;

static void
live_and_die(const struct peer *p, size_t first)
{
	for (size_t i = first; i < first + batch; i++)
		p->add(i);
	work.left = (long)batch;
	p->run();
	for (size_t i = first; i < first + batch; i++)
		p->remove(i);
}

static void
measure(size_t v, int round)
{
	const struct peer *p = variants[v];
	long lives = scale->events / SOURCES * SOURCES;
	double start;

	p->open(&setup);
	for (size_t first = 0; first < SOURCES; first += batch)
		live_and_die(p, first);
	start = cpu_seconds();
	for (long n = 0; n < lives; n += (long)batch)
		live_and_die(p, (size_t)n % SOURCES);
	series[v].values[round] = (cpu_seconds() - start) * 1e9 / (double)lives;
	p->close();
}

static void
churn_by(size_t size)
{
	const struct figure f = {.workload = "churn",
	    .detail = size == 1 ? "single" : "batches",
	    .name = "cpu per source",
	    .unit = "ns",
	    .active = size};
	size_t count = 0;

	batch = size;
	setup = (struct setup){
	    .poll = scale->poll, .count = SOURCES, .fds = sources.fds};
	for (size_t i = 0; peers[i] != NULL; i++) {
		if (!peer_can(peers[i], &setup))
			continue;
		series[count] = (struct series){
		    .name = peers[i]->name, .mode = "level"};
		variants[count++] = peers[i];
	}
	take_turns(count, scale->rounds, measure);
	report_figure(&f, series, count, scale->rounds);
}

void
churn(const struct scale *s)
{
	scale = s;
	work.handle = handle_source;
	make_sources(EVENTFDS, SOURCES, 0);
	activate_sources(SOURCES);
	churn_by(1);
	churn_by(100);
	free_sources();
}
