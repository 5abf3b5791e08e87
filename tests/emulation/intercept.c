/* SPDX-License-Identifier: MIT */
/*
 * intercept.c - close(), dup2() and dup3() for a program with an emulation.
 *
 * The definitions of a program come before those of the C library, for every
 * caller outside of the C library itself.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* RTLD_NEXT, dup3 */
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

#include "../next.h"
#include "intercept.h"

/* The functions whose place is taken, which may be a sanitizer's, who is to
 * see the calls too. */
static int (*next_close)(int);
static int (*next_dup2)(int, int);
static int (*next_dup3)(int, int, int);

/* Where hidden descriptors are put if there is room. */
#define HIDDEN_FD 900

static void __attribute__((__constructor__)) prepare(void)
{
	find_next("close", &next_close, sizeof next_close);
	find_next("dup2", &next_dup2, sizeof next_dup2);
	find_next("dup3", &next_dup3, sizeof next_dup3);
	(void)pthread_atfork(NULL, NULL, emulation_forked);
}

int
real_close(int fd)
{
	return next_close(fd);
}

int
close(int fd)
{
	emulation_closing(fd);
	return real_close(fd);
}

/* Whether a duplicate at the number to would take the place of another
 * descriptor: not if the call is going to fail. */
static int
replaces(int from, int to)
{
	int saved = errno;
	int open = from != to && fcntl(from, F_GETFD) >= 0;

	errno = saved;
	return open;
}

int
dup2(int from, int to)
{
	if (replaces(from, to))
		emulation_closing(to);
	return next_dup2(from, to);
}

int
dup3(int from, int to, int flags)
{
	if (replaces(from, to))
		emulation_closing(to);
	return next_dup3(from, to, flags);
}

static int
make_hidden(int (*make)(int), int argument)
{
	int fd = make(argument), place = HIDDEN_FD, moved;
	struct rlimit limit;

	if (fd < 0)
		return -1;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < HIDDEN_FD * 4 / 3)
		place = (int)(limit.rlim_cur / 4 * 3);
	moved = fcntl(fd, F_DUPFD_CLOEXEC, place);
	if (moved < 0)
		return fd;
	(void)real_close(fd);
	return moved;
}

int
hidden_descriptor(int (*make)(int), int argument)
{
	struct rlimit limit, all;
	int fd = make_hidden(make, argument), saved;

	if (fd >= 0 || errno != EMFILE || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return fd;
	all = limit;
	all.rlim_cur = all.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &all);
	fd = make_hidden(make, argument);
	saved = errno;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	errno = saved;
	return fd;
}
