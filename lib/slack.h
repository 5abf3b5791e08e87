/* SPDX-License-Identifier: MIT */
/*
 * slack.h - how late the kernel may end the calling thread's wait.
 *
 * Linux ends the waits of a thread late by up to its "timer slack", so that it
 * can wake up several threads at once: 50 us unless somebody has set another,
 * which doubles a wait of 50 us. Around a wait that is so short that this shows
 * the slack is taken away. It takes three system calls, so longer waits do
 * without.
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
