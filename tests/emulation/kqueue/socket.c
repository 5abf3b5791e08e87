/* SPDX-License-Identifier: MIT */
/*
 * socket.c - getpeername() of a system that forgets a peer that is gone.
 *
 * Linux goes on telling the name of the peer of a UNIX socket. To a BSD it is
 * not connected any more once the peer has closed it: ENOTCONN, as if it never
 * had been, and EINVAL on macOS.
 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE 1 /* syscall */
#endif

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

int
getpeername(int fd, struct sockaddr *name, socklen_t *length)
{
	struct pollfd p = {.fd = fd};
	struct sockaddr_storage own;
	socklen_t own_length = sizeof own;

	if (syscall(SYS_getpeername, fd, name, length) < 0)
		return -1;
	if (getsockname(fd, (struct sockaddr *)&own, &own_length) < 0)
		return -1;
	if (own.ss_family != AF_UNIX || poll_here(&p, 1) < 1 ||
	    !(p.revents & POLLHUP))
		return 0;
	errno = emulated_system()->gone_peer_error;
	return -1;
}
