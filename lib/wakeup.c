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
#if !HAVE_PIPE2 && !HAVE_PIPE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#endif

#include "cancel.h"
#include "wakeup.h"

#if HAVE_PIPE2
static int
open_pair(struct wakeup *w)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	w->read_fd = fds[0];
	w->write_fd = fds[1];
	return 0;
}
#else
#if HAVE_PIPE || HAVE_SOCKETPAIR
static int
make_pair(struct wakeup *w)
{
	int fds[2];

#if HAVE_PIPE
	if (pipe(fds) < 0)
		return -errno;
#else
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -errno;
#endif
	w->read_fd = fds[0];
	w->write_fd = fds[1];
	return 0;
}
#else
/* A datagram socket on the loopback that is connected to itself, so that
 * nobody else can send to it. A datagram that meets a full buffer is dropped,
 * and the socket is readable all the same. */
static int
make_pair(struct wakeup *w)
{
	struct sockaddr_in address;
	struct sockaddr *a = (struct sockaddr *)&address;
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int error;

	if (fd < 0)
		return -errno;
	memset(&address, 0, sizeof address);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, a, length) < 0 || getsockname(fd, a, &length) < 0 ||
	    connect(fd, a, length) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	w->read_fd = w->write_fd = fd;
	return 0;
}
#endif

static int
prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	/* It fails where there is no exec() to close anything for. Another
	 * thread may fork and exec before it: the price of a system without
	 * pipe2(). */
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

static int
open_pair(struct wakeup *w)
{
	int error = make_pair(w);

	if (error != 0)
		return error;
	error = prepare(w->read_fd);
	if (error == 0)
		error = prepare(w->write_fd);
	if (error != 0)
		wakeup_close(w);
	return error;
}
#endif

int
wakeup_open(struct wakeup *w)
{
#if HAVE_EVENTFD
	w->read_fd = w->write_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->counter = w->read_fd >= 0;
	if (w->counter)
		return 0;
	/* Without descriptors or memory a pipe would not do better. Any
	 * other error means that the call is not to be had: an old kernel
	 * (ENOSYS), or a container that denies it (EPERM, EACCES). */
	if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		return -errno;
#else
	w->counter = false;
#endif
	return open_pair(w);
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
	int error;

	/* Some systems hold up a write to a pipe, if shortly, while another one
	 * is under way, and a handler of a signal ends that. */
	do
		error = write(w->write_fd, &one, sizeof one) < 0 ? -errno : 0;
	while (error == -EINTR);
	/* A full pipe, which is as readable as can be. */
	if (error == -EAGAIN)
		error = 0;
	cancel_release(state);
	return error;
}

void
wakeup_drain(const struct wakeup *w)
{
	int state = cancel_hold();
	char buffer[256];

	/* One read empties an eventfd; the others are read until they would
	 * block, since a read takes one datagram of a socket. Errors are
	 * EAGAIN, which is the aim, and EINTR, which cannot be met by a read
	 * that does not block. */
	while (read(w->read_fd, buffer, sizeof buffer) > 0 && !w->counter)
		continue;
	cancel_release(state);
}
