/* SPDX-License-Identifier: MIT */
/*
 * level-loop.c - what the library costs beside raw epoll, on Linux.
 *
 *     level-loop ACTIVE WAITS [ROUNDS]     the ratio of the two loops
 *     level-loop -r|-l ACTIVE WAITS        one loop alone, to count its
 *                                          instructions or system calls
 *     level-loop -m                        memory per registered source
 *
 * Both loops wait for ACTIVE level-triggered eventfds that are always ready,
 * and read and write each that is reported. The ratio is the median over
 * ROUNDS (15) of the thread's processor time, the two taking turns; each
 * watches the eventfds alone while it runs.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <malloc.h>
#include <polling.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BATCH      128
#define ROUNDS_MAX 1000

static int *fds;
static unsigned count;

static _Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
cpu_seconds(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0)
		die("clock_gettime");
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* What a program does with an event: the same in both loops. */
static void
handle(uintptr_t i)
{
	uint64_t counter;

	if (read(fds[i], &counter, sizeof counter) != sizeof counter ||
	    write(fds[i], &counter, sizeof counter) != sizeof counter)
		die("eventfd");
}

static double
time_raw(long waits)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event events[BATCH];
	double start;

	if (epfd < 0)
		die("epoll_create1");
	for (unsigned i = 0; i < count; i++) {
		struct epoll_event e = {.events = EPOLLIN, .data = {.u32 = i}};

		if (epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &e) < 0)
			die("epoll_ctl");
	}
	start = cpu_seconds();
	for (long w = 0; w < waits; w++) {
		int n = epoll_wait(epfd, events, BATCH, -1);

		for (int i = 0; i < n; i++)
			handle(events[i].data.u32);
	}
	start = cpu_seconds() - start;
	close(epfd);
	return start;
}

static double
time_library(long waits)
{
	struct polling *p = polling_create(0);
	struct polling_event events[BATCH];
	double start;

	if (p == NULL)
		die("polling_create");
	for (unsigned i = 0; i < count; i++)
		if (polling_add(p, fds[i], POLLING_IN, POLLING_LEVEL, i) != 0)
			die("polling_add");
	start = cpu_seconds();
	for (long w = 0; w < waits; w++) {
		int n = polling_wait(p, events, BATCH, NULL);

		for (int i = 0; i < n; i++)
			handle(events[i].key);
	}
	start = cpu_seconds() - start;
	polling_destroy(p);
	return start;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void
compare_loops(long waits, int rounds)
{
	double ratios[ROUNDS_MAX], raw = 0, library = 0;
	double events = (double)waits * count * rounds;

	for (int i = 0; i < rounds; i++) {
		double r = time_raw(waits), l = time_library(waits);

		raw += r;
		library += l;
		ratios[i] = l / r;
	}
	qsort(ratios, (size_t)rounds, sizeof *ratios, compare);
	printf("%u active: median ratio %.3f (raw %.0f ns, library %.0f ns "
	       "per event)\n",
	    count, ratios[rounds / 2], raw / events * 1e9,
	    library / events * 1e9);
}

static size_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages;

	if (f == NULL || fscanf(f, "%*u %lu", &pages) != 1)
		die("/proc/self/statm");
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t
allocated_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void
make_eventfds(void)
{
	fds = calloc(count, sizeof *fds);
	if (fds == NULL)
		die("calloc");
	for (unsigned i = 0; i < count; i++) {
		fds[i] = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
		if (fds[i] < 0)
			die("eventfd");
	}
}

/* As many sources as the limit on descriptors allows, less a few. */
static void
measure_memory(void)
{
	struct rlimit limit;
	size_t allocated, resident;
	struct polling *p = polling_create(0);

	if (p == NULL || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("polling_create");
	count = limit.rlim_cur > 500000 ? 500000 : (unsigned)limit.rlim_cur;
	count -= 50;
	make_eventfds();
	allocated = allocated_bytes();
	resident = resident_bytes();
	for (unsigned i = 0; i < count; i++)
		if (polling_add(p, fds[i], POLLING_IN, POLLING_LEVEL, i) != 0)
			die("polling_add");
	printf("%u sources over %s: %.1f bytes allocated, %.1f resident each\n",
	    count, polling_backend(),
	    (double)(allocated_bytes() - allocated) / count,
	    (double)(resident_bytes() - resident) / count);
	polling_destroy(p);
}

int
main(int argc, char **argv)
{
	const char *only = argc > 1 && argv[1][0] == '-' ? argv[1] : "";
	int first = only[0] != '\0' ? 2 : 1;
	long waits, rounds = 15;

	if (strcmp(only, "-m") == 0) {
		measure_memory();
		return 0;
	}
	if (argc < first + 2) {
		fprintf(stderr,
		    "usage: level-loop [-r|-l] ACTIVE WAITS [ROUNDS] | -m\n");
		return 2;
	}
	count = (unsigned)strtoul(argv[first], NULL, 10);
	waits = strtol(argv[first + 1], NULL, 10);
	if (argc > first + 2)
		rounds = strtol(argv[first + 2], NULL, 10);
	if (count == 0 || waits < 1 || rounds < 1 || rounds > ROUNDS_MAX) {
		fprintf(stderr, "level-loop: these are no counts\n");
		return 2;
	}
	make_eventfds();
	if (strcmp(only, "-r") == 0)
		(void)time_raw(waits);
	else if (strcmp(only, "-l") == 0)
		(void)time_library(waits);
	else
		compare_loops(waits, (int)rounds);
	return 0;
}
