/* SPDX-License-Identifier: MIT */
/*
 * chain.c - the classic benchmark of libevent and libev: of many sources some
 * are active, and each that is read has its neighbour written to. And a
 * variation of it, in which oneshot sources are re-armed early or late.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "report.h"
#include "suite.h"

#include <string.h>

#define VARIANTS_MAX 40

static const char *const mode_names[MODES] = {
    [LEVEL] = "level", [EDGE] = "edge", [ONESHOT] = "oneshot", [LATE] = "late"};

struct variant {
	const struct peer *peer;
	struct setup setup;
};
static struct variant variants[VARIANTS_MAX];
static struct series series[VARIANTS_MAX];
static size_t variant_count;
static const struct scale *scale;
static size_t active; /* sources that hold a token */

static void
add_variant(const struct peer *p, enum mode mode, bool timeout)
{
	struct variant v = {.peer = p,
	    .setup = {.mode = mode,
		.timeout = timeout,
		.poll = scale->poll,
		.count = sources.count,
		.fds = sources.fds}};
	size_t base = 0;

	if (!peer_can(p, &v.setup) ||
	    (scale->peer != NULL && strcmp(p->name, scale->peer) != 0))
		return;
	/* The first one of the same mode is written by hand. */
	for (size_t i = variant_count; i-- > 0;)
		if (variants[i].setup.mode == mode)
			base = i;
	if (variant_count > 0 && variants[base].setup.mode != mode)
		base = variant_count;
	series[variant_count] = (struct series){.name = p->name,
	    .mode = mode_names[mode],
	    .timeout = timeout,
	    .base = base};
	variants[variant_count++] = v;
}

/* A call of poll() looks at all sources, so that an event costs a hundred times
 * as much, and takes less often to be measured. */
static long
events_to_measure(void)
{
	long idle = (long)(sources.count / active);
	long events = scale->events;

	if (scale->poll && idle > 10)
		events = events * 10 / idle;
	return events > 200 ? events : 200;
}

/* So that each was met once: what is done at its first event, in the kernel as
 * well, is no part of the cost of the others. */
static long
events_to_warm_up(void)
{
	return (long)(scale->poll ? active : sources.count + active);
}

static void
measure(size_t i, int round)
{
	const struct variant *v = &variants[i];
	const struct peer *p = v->peer;

	p->open(&v->setup);
	for (size_t source = 0; source < sources.count; source++)
		p->add(source);
	(void)run_sources(p, events_to_warm_up());
	series[i].values[round] = run_sources(p, events_to_measure());
	for (size_t source = 0; source < sources.count; source++)
		p->remove(source);
	p->close();
}

static void
measure_all(const char *workload)
{
	const struct figure f = {.workload = workload,
	    .detail = kinds[sources.kind],
	    .name = "cpu per event",
	    .unit = "ns",
	    .sources = sources.count,
	    .active = active};

	work.handle = handle_source;
	activate_sources(active);
	take_turns(variant_count, scale->rounds, measure);
	report_figure(&f, series, variant_count, scale->rounds);
}

static void
chain_of(enum kind kind, size_t count, size_t with)
{
	active = with;
	variant_count = 0;
	/* Without room between them, each token stays where it is. */
	make_sources(kind, count, active * 2 <= count ? 1 : 0);
	for (size_t p = 0; peers[p] != NULL; p++)
		for (enum mode m = LEVEL; m <= ONESHOT; m++) {
			add_variant(peers[p], m, false);
			add_variant(peers[p], m, true);
		}
	measure_all("chain");
	free_sources();
}

/* What the limit allows, if it is less than wanted. */
static size_t
allowed(enum kind kind, size_t wanted)
{
	size_t most = kind == SOCKETS ? scale->limit / 2 : scale->limit;

	return wanted < most ? wanted : most;
}

static void
chain_of_kind(enum kind kind)
{
	static const size_t counts[] = {100, 1000, 10000, (size_t)-1};
	static const size_t actives[] = {1, 100, 1000};
	/* Making 10,000 pairs for each variant takes a while. */
	size_t most_in_a_hurry = kind == SOCKETS ? 1000 : 10000;
	size_t last = 0;

	for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
		size_t count = allowed(kind, counts[c]);

		if (count == last || (scale->poll && counts[c] > 1000) ||
		    (scale->quick && counts[c] > most_in_a_hurry))
			break;
		last = count;
		for (size_t a = 0; a < sizeof actives / sizeof *actives; a++)
			if (actives[a] <= count &&
			    !(scale->quick && actives[a] > 100))
				chain_of(kind, count, actives[a]);
	}
}

void
chain(const struct scale *s)
{
	scale = s;
	if (s->count != 0) {
		chain_of(EVENTFDS, allowed(EVENTFDS, s->count), s->active);
		return;
	}
	chain_of_kind(EVENTFDS);
	chain_of_kind(SOCKETS);
}

/* Late means that the source is readable again, and a wait has passed, before
 * it is re-armed. That takes more than one. */
void
rearm(const struct scale *s)
{
	static const size_t counts[] = {2, 100};

	scale = s;
	for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
		active = counts[c];
		variant_count = 0;
		make_sources(EVENTFDS, active, 0);
		add_variant(s->poll ? &peer_poll : &peer_epoll, LEVEL, false);
		for (enum mode m = ONESHOT; m <= LATE; m++) {
			add_variant(&peer_epoll, m, false);
			add_variant(&peer_polling, m, false);
		}
		measure_all("rearm");
		free_sources();
	}
}
