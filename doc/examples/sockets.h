/* SPDX-License-Identifier: MIT */
/*
 * sockets.h - what lets the examples be programs for POSIX and for Windows.
 *
 * A socket is a polling_fd on every system, and NO_SOCKET is none. What all
 * systems do, but each by another name, has one name here.
 *
 * The rest is for Windows only: it gives Winsock's functions the manners of
 * POSIX, so that a program reads as if there were no other system. Winsock
 * tells its errors apart from errno, by numbers of its own, some of them for
 * other reasons, and counts bytes in int.
 *
 * On Windows a program is linked with ws2_32: cc program.c -lpolling -lws2_32
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <errno.h>
#include <polling.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#include <winsock2.h>
#include <ws2tcpip.h>
#else
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#endif

#define NO_SOCKET ((polling_fd)-1)

#ifndef _WIN32
/* Comes first in a program. Returns 0, or -1 with errno set, as all here. */
static inline int
start_sockets(void)
{
	/* A send() to a peer that has gone fails instead. */
	return signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0;
}

/* For sockets that a poller watches: a call that would have to wait fails
 * with EAGAIN, since readiness is what was true a moment ago. The socket is
 * kept from programs that this one starts. */
static inline int
prepare_socket(polling_fd fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1)
		return -1;
	return fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* For a socket that is to listen: lets a server that was just stopped start
 * again, and nobody else share its port. */
static inline int
claim_port(polling_fd fd)
{
	int yes = 1;

	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

/* The error that is pending at a socket, which it takes away; 0 if none is.
 * It is how a connection attempt ended. */
static inline int
take_error(polling_fd fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
		return errno;
	return error;
}

/* Leaves errno alone: it is called after errors, and none of its own matter
 * to a socket that was only read, or that failed. */
static inline void
close_socket(polling_fd fd)
{
	int saved = errno;

	(void)close(fd);
	errno = saved;
}

/* Allows as many open sockets and files as the system lets us have. Returns
 * how many that are. */
static inline size_t
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
		return 20; /* what every POSIX system gives */
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* then it stays as it is */
	(void)getrlimit(RLIMIT_NOFILE, &limit); /* did not fail before */
	/* Its type may be wider than a size, and may be signed. */
	if ((rlim_t)(size_t)limit.rlim_cur != limit.rlim_cur)
		return SIZE_MAX;
	return (size_t)limit.rlim_cur;
}

#else /* _WIN32 */

/* What Winsock tells of errors: its number, that of errno and, where the C
 * library's strerror() knows none, a text. */
struct sockets_error {
	int code;
	int error;
	const char *text;
};

/* Looks for an error by either number; the other one is 0. */
static inline const struct sockets_error *
sockets_find(int code, int error)
{
	static const struct sockets_error errors[] = {
	    {WSAEWOULDBLOCK, EAGAIN, NULL},
	    {WSAEINTR, EINTR, NULL},
	    {WSAEBADF, EBADF, NULL},
	    {WSAEACCES, EACCES, NULL},
	    {WSAEFAULT, EFAULT, NULL},
	    {WSAEINVAL, EINVAL, NULL},
	    {WSAEMFILE, EMFILE, NULL},
	    {WSA_NOT_ENOUGH_MEMORY, ENOMEM, NULL},
	    {WSAESHUTDOWN, EPIPE, NULL},
	    {WSAENOTSOCK, ENOTSOCK, "Not a socket"},
	    {WSAEAFNOSUPPORT, EAFNOSUPPORT, "Address family not supported"},
	    {WSAEADDRINUSE, EADDRINUSE, "Address already in use"},
	    {WSAEADDRNOTAVAIL, EADDRNOTAVAIL, "Address not available"},
	    {WSAENETDOWN, ENETDOWN, "Network is down"},
	    {WSAENETUNREACH, ENETUNREACH, "Network unreachable"},
	    {WSAEHOSTUNREACH, EHOSTUNREACH, "Host is unreachable"},
	    {WSAECONNABORTED, ECONNABORTED, "Connection aborted"},
	    {WSAECONNRESET, ECONNRESET, "Connection reset by peer"},
	    {WSAECONNREFUSED, ECONNREFUSED, "Connection refused"},
	    {WSAETIMEDOUT, ETIMEDOUT, "Connection timed out"},
	    {WSAENOBUFS, ENOBUFS, "No buffer space available"},
	    {WSAEISCONN, EISCONN, "Socket is connected"},
	    {WSAENOTCONN, ENOTCONN, "Socket is not connected"},
	    {WSAEOPNOTSUPP, EOPNOTSUPP, "Operation not supported on socket"},
	    /* Not Winsock's, but the library's. */
	    {-1, ENOTSUP, "Not supported"},
	};

	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		if (errors[i].code == code || errors[i].error == error)
			return &errors[i];
	}
	return NULL;
}

static inline int
sockets_errno(int code)
{
	const struct sockets_error *e = sockets_find(code, 0);

	return e == NULL ? EIO : e->error;
}

/* Passes on what a function of Winsock has returned, with errno set if that
 * is -1, as it is at every error. */
static inline int
sockets_result(int result)
{
	if (result == -1)
		errno = sockets_errno(WSAGetLastError());
	return result;
}

static inline const char *
sockets_strerror(int error)
{
	const struct sockets_error *e = sockets_find(0, error);

	return e == NULL || e->text == NULL ? strerror(error) : e->text;
}

static inline void
sockets_perror(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, sockets_strerror(errno));
}

static inline int
start_sockets(void)
{
	WSADATA data;
	int code = WSAStartup(MAKEWORD(2, 2), &data);

	if (code == 0)
		return 0; /* and nobody has to clean up before the end */
	errno = sockets_errno(code);
	return -1;
}

static inline int
prepare_socket(polling_fd fd)
{
	u_long yes = 1;

	/* Fails where a product puts its own sockets over the system's, and
	 * then nothing can be done about it. */
	(void)SetHandleInformation((HANDLE)fd, HANDLE_FLAG_INHERIT, 0);
	return sockets_result(ioctlsocket(fd, (long)FIONBIO, &yes));
}

/* SO_REUSEADDR would let others have the port at the same time, and ports
 * are free at once when a server has stopped. */
static inline int
claim_port(polling_fd fd)
{
	int yes = 1;

	return sockets_result(setsockopt(fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE,
	    (const char *)&yes, sizeof yes));
}

static inline int
take_error(polling_fd fd)
{
	int code = 0, length = sizeof code;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, (char *)&code, &length) == -1)
		code = WSAGetLastError();
	return code == 0 ? 0 : sockets_errno(code);
}

static inline void
close_socket(polling_fd fd)
{
	(void)closesocket(fd);
}

/* Memory is the only limit. */
static inline size_t
raise_limit(void)
{
	return SIZE_MAX;
}

static inline polling_fd
sockets_socket(int family, int type, int protocol)
{
	SOCKET s = socket(family, type, protocol);

	(void)sockets_result(s == INVALID_SOCKET ? -1 : 0);
	return s;
}

static inline int
sockets_bind(polling_fd fd, const struct sockaddr *address, socklen_t length)
{
	return sockets_result(bind(fd, address, length));
}

static inline int
sockets_listen(polling_fd fd, int backlog)
{
	return sockets_result(listen(fd, backlog));
}

static inline polling_fd
sockets_accept(polling_fd fd, struct sockaddr *address, socklen_t *length)
{
	SOCKET s = accept(fd, address, length);

	(void)sockets_result(s == INVALID_SOCKET ? -1 : 0);
	/* The client has gone again. POSIX has a word of its own for it. */
	if (s == INVALID_SOCKET && errno == ECONNRESET)
		errno = ECONNABORTED;
	return s;
}

static inline int
sockets_connect(polling_fd fd, const struct sockaddr *address, socklen_t length)
{
	int result = sockets_result(connect(fd, address, length));

	/* Elsewhere that is said only if nothing has been begun. */
	if (result == -1 && errno == EAGAIN)
		errno = EINPROGRESS;
	return result;
}

static inline int
sockets_setsockopt(
    polling_fd fd, int level, int option, const void *value, socklen_t length)
{
	return sockets_result(setsockopt(fd, level, option, value, length));
}

static inline int
sockets_getsockname(polling_fd fd, struct sockaddr *address, socklen_t *length)
{
	return sockets_result(getsockname(fd, address, length));
}

static inline int
sockets_shutdown(polling_fd fd, int how)
{
	return sockets_result(shutdown(fd, how));
}

static inline int
sockets_send(polling_fd fd, const void *data, size_t length, int flags)
{
	int n = length < INT32_MAX ? (int)length : INT32_MAX;

	return sockets_result(send(fd, data, n, flags));
}

static inline int
sockets_recv(polling_fd fd, void *data, size_t length, int flags)
{
	int n = length < INT32_MAX ? (int)length : INT32_MAX;

	return sockets_result(recv(fd, data, n, flags));
}

#define SHUT_WR    SD_SEND
#define strerror   sockets_strerror
#define perror     sockets_perror
#define socket     sockets_socket
#define bind       sockets_bind
#define listen     sockets_listen
#define accept     sockets_accept
#define connect    sockets_connect
#define setsockopt sockets_setsockopt
#undef getsockname
#define getsockname sockets_getsockname
#define shutdown    sockets_shutdown
#define send        sockets_send
#define recv        sockets_recv

#endif /* _WIN32 */

#endif /* SOCKETS_H */
