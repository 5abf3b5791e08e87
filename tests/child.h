/* SPDX-License-Identifier: MIT */
/*
 * Forked children, for the suites that look at a poller in one.
 *
 * Include it after harness.h.
 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <sys/types.h>

#include "scenes.h"

/*
 * A child that runs act(trouble, argument). What it finds wrong comes back
 * through a pipe. It does not fail by itself, since it is no case.
 */
struct child {
	pid_t pid;
	int words; /* the pipe's end to read from */
};

bool start_child(
    struct child *c, void (*act)(struct trouble *, void *), void *argument);
/* Waits for its end. False if it found something or ended otherwise. */
bool finish_child(struct child *c, char *words, size_t size);
void expect_child_ok(struct child *c);
void run_child(void (*act)(struct trouble *, void *), void *argument);

/* In a child that has not called polling_reinit(). */
void check_inherited(struct trouble *t, struct world *w);

#endif /* TESTS_CHILD_H */
