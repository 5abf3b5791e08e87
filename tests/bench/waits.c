/* SPDX-License-Identifier: MIT */
/*
 * waits.c - waits that end by their time: how late, and what they cost. Beside
 * epoll_pwait2(), which is late by the thread's timer slack, there is a timerfd
 * in an epoll instance, which is not.
 *
 * What a wait with a timeout costs if an event is there already is in chain.c.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "report.h"
#include "suite.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define VARIANTS_MAX 10
#define WAITS_MAX    1000

static int epfd;
static int timer;

static void
open_timerfd(const struct setup *s)
{
	struct epoll_event e = {.events = EPOLLIN};

	(void)s;
	epfd = epoll_create1(EPOLL_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (epfd < 0 || timer < 0 ||
	    epoll_ctl(epfd, EPOLL_CTL_ADD, timer, &e) < 0)
		die("timerfd_create");
}

static void
close_timerfd(void)
{
	close(timer);
	close(epfd);
}

static void
sleep_timerfd(long ns)
{
	const struct itimerspec when = {
	    .it_value = {ns / 1000000000, ns % 1000000000}};
	struct epoll_event e;
	uint64_t count;

	if (timerfd_settime(timer, 0, &when, NULL) < 0 ||
	    epoll_wait(epfd, &e, 1, -1) != 1 ||
	    read(timer, &count, sizeof count) != sizeof count)
		die("timerfd");
}

static const struct peer peer_timerfd = {
    .name = "timerfd",
    .open = open_timerfd,
    .close = close_timerfd,
    .sleep = sleep_timerfd,
};

static const struct peer *variants[VARIANTS_MAX];
static size_t variant_count;
static const struct scale *scale;
static long length;  /* of a wait, nanoseconds */
static size_t count; /* of waits */

enum { MIDDLE, MOST, NEARLY_ALL, CPU, FIGURES };
static struct series series[FIGURES][VARIANTS_MAX];

/* It is the caller's, and what came of it would show in the next variant. */
static void
check_slack(const char *name)
{
	static int before = -1;
	int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);

	if (before >= 0 && slack != before) {
		fprintf(stderr, "%s: the timer slack was %d ns and is %d ns\n",
		    name, before, slack);
		exit(1);
	}
	before = slack;
}

static void
measure(size_t v, int round)
{
	static const struct setup nothing = {.precise = true};
	const struct peer *p = variants[v];
	double late[WAITS_MAX], cpu, start;

	p->open(&nothing);
	p->sleep(length);
	cpu = cpu_seconds();
	for (size_t i = 0; i < count; i++) {
		start = wall_seconds();
		p->sleep(length);
		late[i] = (wall_seconds() - start) * 1e6 - (double)length / 1e3;
	}
	cpu = cpu_seconds() - cpu;
	p->close();
	check_slack(p->name);
	series[MIDDLE][v].values[round] = quantile(late, count, .5);
	series[MOST][v].values[round] = quantile(late, count, .9);
	series[NEARLY_ALL][v].values[round] = quantile(late, count, .99);
	series[CPU][v].values[round] = cpu * 1e9 / (double)count;
}

static void
find_variants(void)
{
	variants[0] = &peer_timerfd;
	variant_count = 1;
	for (size_t p = 0; peers[p] != NULL; p++)
		if (peers[p]->sleep != NULL && peers[p]->grain <= length)
			variants[variant_count++] = peers[p];
	for (size_t f = 0; f < FIGURES; f++)
		for (size_t v = 0; v < variant_count; v++)
			series[f][v] = (struct series){
			    .name = variants[v]->name, .mode = ""};
}

static void
waits_of(const char *detail, long ns, size_t times)
{
	static const struct {
		const char *name, *unit;
	} figures[FIGURES] = {[MIDDLE] = {"overshoot median", "us"},
	    [MOST] = {"overshoot 90 %", "us"},
	    [NEARLY_ALL] = {"overshoot 99 %", "us"},
	    [CPU] = {"cpu per wait", "ns"}};

	length = ns;
	count = scale->quick ? times / 10 : times;
	find_variants();
	check_slack("the benchmark");
	take_turns(variant_count, scale->rounds, measure);
	for (size_t f = 0; f < FIGURES; f++) {
		const struct figure what = {.workload = "wait",
		    .detail = detail,
		    .name = figures[f].name,
		    .unit = figures[f].unit};

		report_figure(&what, series[f], variant_count, scale->rounds);
	}
}

void
waits(const struct scale *s)
{
	scale = s;
	waits_of("50 us", 50000, 1000);
	waits_of("1 ms", 1000000, 200);
	waits_of("10 ms", 10000000, 50);
}
