/* SPDX-License-Identifier: MIT */
/*
 * process.c - what can be seen of a process.
 *
 * The end of a process is told by a pidfd, which says so also if somebody has
 * waited for the process. The wait status is had from waitid(), which is asked
 * to leave the process to be waited for: it is 0 if that was done already, or
 * if the process is not a child.
 *
 * Linux tells nobody of forks and execs who does not trace the process, which
 * would disturb it. So while a knote asks for them, the process is looked at
 * every few milliseconds. It has exec'd if another program is in it, or if its
 * stack begins elsewhere, which it does each time, unless addresses are not
 * random. It has forked if there is a child that was not there before, or if a
 * child that was never seen has been waited for. That is good enough for a
 * test that waits, and no more:
 * - What happens twice between two looks is seen once, an exec of what was
 *   there before perhaps not at all.
 * - A child that ends without being waited for between two looks is not seen,
 *   nor are the children of other threads than the first, nor those beyond the
 *   first few of many.
 * - The descriptor of the kqueue is readable at each look, although most of
 *   them bring no event.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* syscall */
#endif

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../intercept.h"
#include "kernel.h"

/* From one look to the next, in nanoseconds. */
#define LOOK_PERIOD INT64_C(5000000)

/* How often to look until it is twice the same. */
#define LOOKS 100

/* waitid() of a pidfd, which older headers lack. */
#define WAIT_PIDFD ((idtype_t)3)

/* A pidfd, or -1 with errno set. */
static int
open_pidfd(int pid)
{
#ifdef SYS_pidfd_open
	return (int)syscall(SYS_pidfd_open, pid, 0);
#else
	(void)pid;
	errno = ENOSYS;
	return -1;
#endif
}

/* An errno, or 0. */
static int
find_process(uintptr_t ident, int *fd)
{
	static const char text[] = "process.c: EVFILT_PROC takes pidfd_open(), "
				   "which is missing here\n";

	if (ident == 0 || ident > INT_MAX)
		return ESRCH;
	*fd = hidden_descriptor(open_pidfd, (int)ident);
	if (*fd >= 0)
		return 0;
	switch (errno) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return ENOMEM;
	case ENOSYS:
	case EPERM:
		(void)!write(STDERR_FILENO, text, sizeof text - 1);
		return ENOSYS;
	default:
		/* EINVAL or ENOENT is a thread that is no process. */
		return ESRCH;
	}
}

static bool
has_ended(const struct knote *kn)
{
	struct pollfd p = {.fd = kn->hidden, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* What waitpid() would say, or 0. */
static int
wait_status(const struct knote *kn)
{
	siginfo_t info;

	memset(&info, 0, sizeof info);
	if (waitid(WAIT_PIDFD, (id_t)kn->hidden, &info,
		WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0)
		return 0;
	switch (info.si_code) {
	case CLD_EXITED:
		return (info.si_status & 0xff) << 8;
	case CLD_DUMPED:
		return info.si_status | 0x80;
	default:
		return info.si_status;
	}
}

/* Looking */

/* Reads a file of the process as a string. False if it is not to be had. */
static bool
read_file(uintptr_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	(void)real_close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n >= 0;
}

/* The field of that number in /proc/PID/stat, as proc(5) counts them. */
static uint64_t
field(const char *stat, int number)
{
	/* The second one is a name in parentheses, with anything in it. */
	const char *at = strrchr(stat, ')');

	for (int i = 2; at != NULL && i < number; i++)
		at = strchr(at + 1, ' ');
	return at == NULL ? 0 : strtoull(at, NULL, 10);
}

static void
look_at_program(uintptr_t pid, struct sight *sight)
{
	char text[1024];
	struct stat st;

	memset(sight, 0, sizeof *sight);
	if (read_file(pid, "stat", text, sizeof text)) {
		sight->faults = field(text, 11);
		sight->stack = field(text, 28);
	}
	(void)snprintf(text, sizeof text, "/proc/%d/exe", (int)pid);
	if (stat(text, &st) == 0) {
		sight->device = st.st_dev;
		sight->file = st.st_ino;
	}
}

static void
look_at_children(uintptr_t pid, struct sight *sight)
{
	char name[64], text[1024], *at = text, *end;

	(void)snprintf(name, sizeof name, "task/%d/children", (int)pid);
	if (!read_file(pid, name, text, sizeof text))
		return;
	while (sight->count < SIGHT_CHILDREN) {
		pid_t child = (pid_t)strtol(at, &end, 10);

		if (end == at)
			break;
		sight->children[sight->count++] = child;
		at = end;
	}
}

static bool
same_program(const struct sight *one, const struct sight *other)
{
	return one->device == other->device && one->file == other->file &&
	       one->stack == other->stack && one->faults == other->faults;
}

/* What was there at one time: it takes several reads, and if the process
 * execs or waits for a child between them, they make up a state that never
 * was, from which one exec or fork would be told twice. */
static struct sight
look(uintptr_t pid)
{
	struct sight sight, again;
	int tries = 0;

	look_at_program(pid, &again);
	do {
		sight = again;
		look_at_children(pid, &sight);
		look_at_program(pid, &again);
	} while (!same_program(&sight, &again) && ++tries < LOOKS);
	return sight;
}

/* How many children of one are not among those of the other. */
static int
strangers(const struct sight *one, const struct sight *other)
{
	int count = 0;

	for (int i = 0; i < one->count; i++) {
		int j = 0;

		while (
		    j < other->count && other->children[j] != one->children[i])
			j++;
		count += j == other->count;
	}
	return count;
}

static bool
has_forked(const struct sight *before, const struct sight *now)
{
	return strangers(now, before) > 0 ||
	       (now->faults > before->faults && strangers(before, now) == 0);
}

static bool
has_execed(const struct sight *before, const struct sight *now)
{
	/* As it ends, there is nothing to be seen any more. */
	if (now->file == 0 || now->stack == 0)
		return false;
	return now->device != before->device || now->file != before->file ||
	       now->stack != before->stack;
}

int
process_open(struct knote *kn)
{
	int error = find_process(kn->event.ident, &kn->hidden);

	if (error != 0)
		return error;
	if (has_ended(kn) && !emulated_system()->knows_zombies)
		return ESRCH;
	kn->sight = look(kn->event.ident);
	return clock_open(kn->kq);
}

void
process_again(struct knote *kn)
{
	/* What happened while nobody asked is not told. */
	if (!kn->soft)
		kn->sight = look(kn->event.ident);
}

void
process_look(struct knote *kn)
{
	struct sight now;

	if (has_ended(kn)) {
		kn->notes |= NOTE_EXIT;
		if (emulated_system()->tells_status)
			kn->status = wait_status(kn);
		return;
	}
	if (!(kn->event.fflags & (NOTE_FORK | NOTE_EXEC)))
		return;
	now = look(kn->event.ident);
	if (has_forked(&kn->sight, &now))
		kn->notes |= NOTE_FORK;
	if (has_execed(&kn->sight, &now))
		kn->notes |= NOTE_EXEC;
	if (now.file != 0 && now.stack != 0)
		kn->sight = now;
	kn->due = clock_now() + LOOK_PERIOD;
}

void
process_judge(const struct knote *kn, struct verdict *v)
{
	v->fflags = kn->notes & kn->event.fflags;
	v->ready = v->fflags != 0;
	v->eof = kn->notes & NOTE_EXIT;
	v->data = kn->notes & NOTE_EXIT ? kn->status : 0;
}
