/* SPDX-License-Identifier: MIT */
/*
 * suite.c - what the library costs, beside loops written by hand and beside
 * other libraries. Linux only.
 *
 *     suite [-q] [-r ROUNDS] [-n EVENTS] [-o FILE] [WORKLOAD...]
 *     suite [-r ROUNDS] [-n EVENTS] [-p PEER] -s SOURCES,ACTIVE chain
 *
 *     -q   quick: all workloads in a minute, for a look
 *     -o   writes the results to FILE too, as CSV
 *     -a   adds them to FILE instead
 *     -s   the chain of one size only; with -p one peer alone, for a profile
 *
 * The workloads, all unless some are named:
 *     chain     some of many sources are active, in each mode
 *     rearm     oneshot, re-armed early and late
 *     churn     sources that live for one event
 *     notify    ending a wait
 *     wait      waits that end by their time
 *     threads   that share a poller, or have one each
 *     memory    for a source
 *
 * The variants take turns within one process, round by round. What counts is
 * the processor time of the thread, which includes the system calls and what a
 * program does with the event, the same for all. A ratio is to the first
 * variant, or to the one written by hand for the same mode; below 1 is better.
 *
 * The program suite-poll is the same over poll().
 */
#define _GNU_SOURCE

#include "suite.h"

#include "measure.h"
#include "report.h"

#include <polling.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct workload {
	const char *name;
	void (*run)(const struct scale *s);
	bool poll; /* tells something of poll() */
} workloads[] = {
    {"chain", chain, true},
    {"rearm", rearm, false},
    {"churn", churn, true},
    {"notify", notify, false},
    {"wait", waits, false},
    {"threads", threads, false},
    {"memory", memory, true},
};
#define WORKLOADS (sizeof workloads / sizeof *workloads)

static int
usage(void)
{
	fprintf(stderr,
	    "usage: suite [-q] [-r ROUNDS] [-n EVENTS] [-o|-a FILE] "
	    "[WORKLOAD...]\n"
	    "       suite [-r ROUNDS] [-n EVENTS] [-p PEER] "
	    "-s SOURCES,ACTIVE chain\n");
	return 2;
}

static void
run(const struct workload *w, const struct scale *s)
{
	if (s->poll && !w->poll)
		return;
	w->run(s);
}

static int
run_named(const char *name, const struct scale *s)
{
	for (size_t i = 0; i < WORKLOADS; i++)
		if (strcmp(workloads[i].name, name) == 0) {
			run(&workloads[i], s);
			return 0;
		}
	fprintf(stderr, "suite: no workload %s\n", name);
	return 2;
}

static bool
set_option(int option, struct scale *s)
{
	switch (option) {
	case 'q':
		s->quick = true;
		return true;
	case 'r':
		s->rounds = (int)strtol(optarg, NULL, 10);
		return s->rounds >= 1 && s->rounds <= ROUNDS_MAX;
	case 'n':
		s->events = strtol(optarg, NULL, 10);
		return s->events >= 1000;
	case 'p':
		s->peer = optarg;
		return true;
	case 's':
		return sscanf(optarg, "%zu,%zu", &s->count, &s->active) == 2 &&
		       s->active >= 1 && s->active <= s->count;
	default:
		return false;
	}
}

static int
run_all(int count, char **names, const struct scale *s)
{
	int status = 0;

	for (size_t i = 0; count == 0 && i < WORKLOADS; i++)
		run(&workloads[i], s);
	for (int i = 0; i < count && status == 0; i++)
		status = run_named(names[i], s);
	return status;
}

int
main(int argc, char **argv)
{
	struct scale s = {.poll = strcmp(polling_backend(), "poll") == 0};
	const char *path = NULL;
	bool append = false;
	int option, status;

	while ((option = getopt(argc, argv, "qr:n:o:a:p:s:")) != -1) {
		if (option == 'o' || option == 'a') {
			path = optarg;
			append = option == 'a';
		} else if (!set_option(option, &s)) {
			return usage();
		}
	}
	if (s.rounds == 0)
		s.rounds = s.quick ? 5 : 15;
	if (s.events == 0)
		s.events = s.quick ? 4000 : 20000;
	/* ivykis cannot be told in another way. */
	if (s.poll &&
	    setenv("IV_EXCLUDE_POLL_METHOD", "epoll-timerfd epoll", 1) != 0)
		die("setenv");
	s.limit = descriptor_limit();
	report_open(path, append);
	status = run_all(argc - optind, argv + optind, &s);
	report_close();
	return status;
}
