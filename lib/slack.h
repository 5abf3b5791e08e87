/* SPDX-License-Identifier: MIT */
/*
 * slack.h - how late the kernel may end the calling thread's wait.
 *
 * Linux may end a wait late by the thread's "timer slack", 50 us unless
 * somebody has set another, or by a thousandth of its length, if that is more:
 * it can wake up several threads at once then. Around a wait that is so short
 * that the slack shows it is taken away. That takes three system calls, so
 * longer waits do without.
 *
 * A signal handler that starts a thread or a process during such a wait passes
 * on the slack of that moment.
 */
#ifndef LIBPOLLING_SLACK_H
#define LIBPOLLING_SLACK_H

#include <time.h>

#include "namespace.h"

/* Takes the slack away before a wait of timeout, if that is short; NULL is
 * without limit. Returns what slack_restore() is to be given after the wait. */
int slack_tighten(const struct timespec *timeout);
void slack_restore(int slack);

#endif /* LIBPOLLING_SLACK_H */
