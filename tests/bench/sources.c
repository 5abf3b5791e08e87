/* SPDX-License-Identifier: MIT */
/*
 * sources.c - eventfds, which show the poller's own cost, and socket pairs,
 * which show what is left of it in a program.
 *
 * A source that is ready holds a token: the one byte of a socket, or the
 * counter of an eventfd at 1. Handling an event passes the token on. Tokens
 * keep their distance, since all of them move once in each wait; if they met,
 * their eventfds would make one of two.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "suite.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

const char *const kinds[] = {[EVENTFDS] = "eventfd", [SOCKETS] = "socket"};
struct sources sources;

static void
make_source(size_t i)
{
	int pair[2];

	if (sources.kind == EVENTFDS) {
		pair[0] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (pair[0] < 0)
			die("eventfd");
		pair[1] = pair[0];
	} else if (socketpair(AF_UNIX,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		       pair) < 0) {
		die("socketpair");
	}
	sources.fds[i] = pair[0];
	sources.peers[i] = pair[1];
}

void
make_sources(enum kind kind, size_t count, size_t step)
{
	sources = (struct sources){.kind = kind,
	    .count = count,
	    .step = step,
	    .fds = allocate(count, sizeof(int)),
	    .peers = allocate(count, sizeof(int))};
	for (size_t i = 0; i < count; i++)
		make_source(i);
}

void
free_sources(void)
{
	for (size_t i = 0; i < sources.count; i++) {
		close(sources.fds[i]);
		if (sources.kind == SOCKETS)
			close(sources.peers[i]);
	}
	free(sources.fds);
	free(sources.peers);
}

static void
give_token(size_t i)
{
	uint64_t one = 1;
	size_t size = sources.kind == EVENTFDS ? sizeof one : 1;

	if (write(sources.peers[i], &one, size) != (ssize_t)size)
		die("a source");
}

void
activate_sources(size_t active)
{
	for (size_t i = 0; i < active; i++)
		give_token(i * sources.count / active);
}

void
handle_source(size_t source)
{
	size_t next = source + sources.step;
	size_t size = sources.kind == EVENTFDS ? sizeof(uint64_t) : 1;
	uint64_t token;

	if (next == sources.count)
		next = 0;
	if (read(sources.fds[source], &token, size) != (ssize_t)size ||
	    write(sources.peers[next], &token, size) != (ssize_t)size)
		die("a source");
	work.left--;
}

double
run_sources(const struct peer *p, long events)
{
	double start = cpu_seconds();

	work.left = events;
	p->run();
	/* The last batch may be handled whole: left is below zero then. */
	return (cpu_seconds() - start) * 1e9 / (double)(events - work.left);
}
