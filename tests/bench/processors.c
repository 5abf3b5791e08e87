/* SPDX-License-Identifier: MIT */
/*
 * processors.c - threads that stay on one processor.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "suite.h"

#include <pthread.h>
#include <sched.h>

/* Those that the process was started with, before any thread was bound. */
static const cpu_set_t *
processors(void)
{
	static cpu_set_t set;

	if (CPU_COUNT(&set) == 0 && sched_getaffinity(0, sizeof set, &set) < 0)
		die("sched_getaffinity");
	return &set;
}

int
processor_count(void)
{
	return CPU_COUNT(processors());
}

void
run_on_processor(int number)
{
	const cpu_set_t *all = processors();
	cpu_set_t one;

	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, all) || number-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		if (pthread_setaffinity_np(pthread_self(), sizeof one, &one))
			die("pthread_setaffinity_np");
		return;
	}
}
