/* SPDX-License-Identifier: MIT */
/*
 * analyse-faults.c - faults that every tool of tests/analyse.sh has to find.
 *
 * A tool that finds nothing here does not work, and what it finds nothing in
 * says little. With an argument the program runs threads, for helgrind and drd:
 * "race" has one, "atomic" passes the same number on as it should be, of which
 * they must say nothing.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int shared;
static atomic_bool there;

static int
null_dereference(int count)
{
	int *p = NULL;

	if (count > 100)
		p = &shared;
	return *p;
}

static unsigned char
conversion(int wide)
{
	unsigned char narrow = wide;

	return narrow;
}

static void *
pass_on(void *argument)
{
	shared = 1;
	if (argument != NULL)
		atomic_store(&there, true);
	return NULL;
}

static int
run(void *atomically)
{
	pthread_t thread;
	int seen;

	if (pthread_create(&thread, NULL, pass_on, atomically) != 0)
		return 99;
	while (atomically != NULL && !atomic_load(&there))
		continue;
	seen = shared;
	return pthread_join(thread, NULL) == 0 && seen >= 0 ? 0 : 99;
}

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "race") == 0)
		return run(NULL);
	if (argc > 1)
		return run(argv);
	return null_dereference(argc) + conversion(argc);
}
