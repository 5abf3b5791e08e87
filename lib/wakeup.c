/* SPDX-License-Identifier: MIT */
/*
 * wakeup.c - waking a thread through a descriptor.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>
#if HAVE_EVENTFD
#include <sys/eventfd.h>
#endif

#include "cancel.h"
#include "wakeup.h"

#if !HAVE_PIPE2
/* Another thread may fork and exec between pipe() and fcntl(): the price of
 * a system without pipe2(). */
static int
prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	return 0;
}
#endif

static int
open_pipe(int fds[2])
{
#if HAVE_PIPE2
	return pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
#else
	int error;

	if (pipe(fds) < 0)
		return -errno;
	error = prepare(fds[0]);
	if (error == 0)
		error = prepare(fds[1]);
	if (error != 0) {
		close(fds[0]);
		close(fds[1]);
	}
	return error;
#endif
}

int
wakeup_open(struct wakeup *w)
{
	int fds[2];
	int error;

#if HAVE_EVENTFD
	w->read_fd = w->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->read_fd >= 0)
		return 0;
	/* Without descriptors or memory a pipe would not do better. Any
	 * other error means that the call is not to be had: an old kernel
	 * (ENOSYS), or a container that denies it (EPERM, EACCES). */
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return -errno;
#endif
	error = open_pipe(fds);
	if (error != 0)
		return error;
	w->read_fd = fds[0];
	w->write_fd = fds[1];
	return 0;
}

void
wakeup_close(struct wakeup *w)
{
	close(w->read_fd);
	if (w->write_fd != w->read_fd)
		close(w->write_fd);
}

int
wakeup_signal(const struct wakeup *w)
{
	static const uint64_t one = 1;
	int state = cancel_hold();
	int error = 0;

	/* EAGAIN: a full pipe, which is as readable as can be. */
	if (write(w->write_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		error = -errno;
	cancel_release(state);
	return error;
}

void
wakeup_drain(const struct wakeup *w)
{
	int state = cancel_hold();
	char buffer[256];

	/* One read empties an eventfd; a pipe until it would block. Errors
	 * are EAGAIN, which is the aim, and EINTR, which cannot be met by a
	 * read that does not block. */
	while (read(w->read_fd, buffer, sizeof buffer) == sizeof buffer)
		continue;
	cancel_release(state);
}
