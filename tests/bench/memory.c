/* SPDX-License-Identifier: MIT */
/*
 * memory.c - what each source takes in the process: what was allocated, with
 * what the caller has to keep for the library, and what became resident. What
 * the kernel keeps is the same for all, and not counted.
 *
 * Each peer is measured in a process of its own, so that none finds what
 * another has freed.
 */
#include "config.h"

#include "measure.h"
#include "report.h"
#include "suite.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIANTS_MAX 10

enum { ALLOCATED, RESIDENT, FIGURES };
static struct series series[FIGURES][VARIANTS_MAX];

/* Counted page by page: the figures of statm and status may be old. */
static double
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	char line[256];
	unsigned long kilobytes = 0;

	if (f == NULL)
		die("/proc/self/smaps_rollup");
	while (kilobytes == 0 && fgets(line, sizeof line, f) != NULL)
		(void)sscanf(line, "Rss: %lu", &kilobytes);
	fclose(f);
	return (double)kilobytes * 1024;
}

/* Zero where the C library cannot tell. */
static double
allocated_bytes(void)
{
#if HAVE_MALLINFO2
	struct mallinfo2 m = mallinfo2();

	return (double)(m.uordblks + m.hblkhd);
#else
	return 0;
#endif
}

/* In the child. */
static void
grow(const struct peer *p, const struct setup *s, double *grown)
{
#if HAVE_MALLINFO2
	/* What the variants before have left is not to be used again. */
	malloc_trim(0);
#endif
	grown[ALLOCATED] = allocated_bytes();
	grown[RESIDENT] = resident_bytes();
	p->open(s);
	for (size_t i = 0; i < s->count; i++)
		p->add(i);
	/* Some tell the kernel only when they wait. */
	work.left = 1;
	p->run();
	grown[ALLOCATED] = allocated_bytes() - grown[ALLOCATED];
	grown[RESIDENT] = resident_bytes() - grown[RESIDENT];
}

static void
measure(const struct peer *p, const struct setup *s, size_t v)
{
	double grown[FIGURES];
	int ends[2], status;
	pid_t child;

	series[ALLOCATED][v] = (struct series){.name = p->name, .mode = ""};
	series[RESIDENT][v] = (struct series){.name = p->name, .mode = ""};
	fflush(NULL);
	if (pipe(ends) < 0 || (child = fork()) < 0)
		die("fork");
	if (child == 0) {
		grow(p, s, grown);
		_exit(write(ends[1], grown, sizeof grown) != sizeof grown);
	}
	if (read(ends[0], grown, sizeof grown) != sizeof grown ||
	    waitpid(child, &status, 0) != child || status != 0)
		die(p->name);
	close(ends[0]);
	close(ends[1]);
	for (size_t f = 0; f < FIGURES; f++)
		series[f][v].values[0] = grown[f] / (double)s->count;
}

static void
memory_of(size_t count, const struct scale *s)
{
	static const char *const names[FIGURES] = {
	    [ALLOCATED] = "allocated", [RESIDENT] = "resident"};
	struct setup setup = {.poll = s->poll, .count = count};
	size_t variants = 0;

	make_sources(EVENTFDS, count, 0);
	activate_sources(1);
	setup.fds = sources.fds;
	for (size_t p = 0; peers[p] != NULL; p++)
		if (peer_can(peers[p], &setup))
			measure(peers[p], &setup, variants++);
	for (size_t f = 0; f < FIGURES; f++) {
		const struct figure what = {.workload = "memory",
		    .detail = "",
		    .name = names[f],
		    .unit = "B",
		    .sources = count};

		report_figure(&what, series[f], variants, 1);
	}
	free_sources();
}

void
memory(const struct scale *s)
{
	work.handle = handle_source;
	for (size_t count = 100; count < s->limit; count *= 10)
		memory_of(count, s);
	memory_of(s->limit, s);
}
