/* SPDX-License-Identifier: MIT */
/*
 * system.c - in what the emulated systems differ.
 *
 * FreeBSD 13, OpenBSD 7.3, NetBSD 10 and macOS, as far as it is known.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

static const struct system systems[] = {
    {
	.name = "freebsd",
	.overwrites = true,
	.has_kqueue1 = true,
	.has_user = true,
	.add_sets_clear = true,
	.device_error = ENODEV,
	.gone_peer_error = ENOTCONN,
	.broken_pipe_error = EPIPE,
	.drops_broken = true,
	.writes_anywhere = true,
	.repeats_reopened = true,
	.knows_zombies = true,
	.tells_status = true,
	.restarts_timers = true,
    },
    {
	.name = "openbsd",
	.reports_add = true,
	.has_kqueue1 = true,
	.has_except = true,
	.gone_peer_error = ENOTCONN,
	.broken_pipe_error = EPIPE,
	.writes_anywhere = true,
	.tells_status = true,
	.restarts_timers = true,
	.max_timers = 4096,
    },
    {
	.name = "netbsd",
	.reports_add = true,
	.enable_is_deaf = true,
	.has_kqueue1 = true,
	.has_user = true,
	.gone_peer_error = ENOTCONN,
	.broken_pipe_error = EBADF,
	.refuses_zero = true,
	.max_timers = 4096,
    },
    {
	.name = "macos",
	.overwrites = true,
	.has_user = true,
	.has_except = true,
	.add_triggers = true,
	.refuses_devices = true,
	.gone_peer_error = EINVAL,
	.broken_pipe_error = EPIPE,
	.writes_anywhere = true,
	.restarts_timers = true,
    },
};

static const struct system *chosen;

static void
choose(void)
{
	const char *name = getenv("POLLING_EMULATION");

	chosen = &systems[0];
	if (name == NULL)
		return;
	for (size_t i = 0; i < sizeof systems / sizeof systems[0]; i++) {
		chosen = &systems[i];
		if (strcmp(chosen->name, name) == 0)
			return;
	}
	fprintf(stderr, "POLLING_EMULATION: no such system: %s\n", name);
	exit(2);
}

const struct system *
emulated_system(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, choose);
	return chosen;
}
