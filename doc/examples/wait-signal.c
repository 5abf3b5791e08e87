/* SPDX-License-Identifier: MIT */
/*
 * wait-signal.c - signals as events among others.
 *
 *     wait-signal
 *
 * It counts the signals that it is sent: SIGHUP or, on Windows, SIGBREAK, and
 * SIGINT and SIGTERM, of which each ends it. Try it with kill, or with Ctrl-C.
 *
 * While a signal is registered it does nothing else: the program is neither
 * interrupted nor ended by it. It is told in the same loop as all the rest, at
 * a moment when any function may be called, unlike in a signal handler. Of
 * signals that come faster than they are waited for the number is told.
 */
#include <polling.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h> /* getpid */

static struct {
	int signo;
	const char *name;
	bool ends; /* the program */
	unsigned long count;
} signals[] = {
    {SIGINT, "SIGINT", true, 0},
    {SIGTERM, "SIGTERM", true, 0},
#ifdef SIGHUP
    {SIGHUP, "SIGHUP", false, 0},
#endif
#ifdef SIGBREAK
    {SIGBREAK, "SIGBREAK", false, 0},
#endif
};
#define SIGNALS (sizeof signals / sizeof signals[0])

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* Takes note of a signal. False if it is one that ends the program. */
static bool
note(const struct polling_event *event)
{
	size_t i = event->key;

	signals[i].count += event->data;
	printf("%s: %lu more\n", signals[i].name, (unsigned long)event->data);
	fflush(stdout);
	return !signals[i].ends;
}

int
main(void)
{
	struct polling *p = polling_create(0);
	struct polling_event events[SIGNALS];
	bool going_on = true;

	if (p == NULL)
		die("polling_create");
	/* Level-triggered, so that there is no need to arm them again: each
	 * signal is told once all the same. */
	for (size_t i = 0; i < SIGNALS; i++) {
		if (polling_add_signal(p, signals[i].signo, POLLING_LEVEL, i) !=
		    0)
			die("polling_add_signal");
	}
	printf("process %ld waits for signals\n", (long)getpid());
	fflush(stdout);
	while (going_on) {
		int n = polling_wait(p, events, SIGNALS, NULL);

		if (n == -1)
			die("polling_wait");
		for (int i = 0; i < n; i++)
			going_on = note(&events[i]) && going_on;
	}
	/* From here on signals have their own actions again. */
	polling_destroy(p);
	for (size_t i = 0; i < SIGNALS; i++)
		printf("%s: %lu in all\n", signals[i].name, signals[i].count);
	return 0;
}
