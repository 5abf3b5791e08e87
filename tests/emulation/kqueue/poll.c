/* SPDX-License-Identifier: MIT */
/*
 * poll.c - poll() and ppoll() of a system that knows no devices there.
 *
 * Where the emulated system refuses terminals and other devices to kevent(),
 * poll() answers POLLNVAL for them, as macOS does for /dev/tty and did for all
 * of them in early versions; select() is left to tell. Only the controlling
 * end of a pseudo-terminal is let through.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* ppoll, syscall */
#endif

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "kernel.h"

/* The kernel's signal set is shorter than the C library's. */
#define KERNEL_SIGSET_BYTES (_NSIG / 8)

static bool
is_device(int fd)
{
	int saved = errno;
	struct stat st;
	bool device = fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
		      st.st_rdev != makedev(5, 2);

	errno = saved;
	return device;
}

static int
real_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
    const sigset_t *mask)
{
	struct timespec left, *limit = NULL;

	if (timeout != NULL) {
		/* The system call writes to it what is left. */
		left = *timeout;
		limit = &left;
	}
	return (int)syscall(
	    SYS_ppoll, fds, count, limit, mask, KERNEL_SIGSET_BYTES);
}

int
ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
    const sigset_t *mask)
{
	static const struct timespec zero;
	int devices = 0, n;

	/* As the call is that is behind this one elsewhere. */
	pthread_testcancel();
	if (!emulated_system()->refuses_devices)
		return real_ppoll(fds, count, timeout, mask);
	for (nfds_t i = 0; i < count; i++)
		devices += is_device(fds[i].fd);
	n = real_ppoll(fds, count, devices > 0 ? &zero : timeout, mask);
	if (n < 0 || devices == 0)
		return n;
	n = 0;
	for (nfds_t i = 0; i < count; i++) {
		if (is_device(fds[i].fd))
			fds[i].revents = POLLNVAL;
		n += fds[i].revents != 0;
	}
	return n;
}

int
poll_here(struct pollfd *fds, nfds_t count)
{
	static const struct timespec zero;

	return real_ppoll(fds, count, &zero, NULL);
}

int
poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct timespec limit = {
	    timeout / 1000, (long)(timeout % 1000) * 1000000};

	return ppoll(fds, count, timeout >= 0 ? &limit : NULL, NULL);
}
