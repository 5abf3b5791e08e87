/* SPDX-License-Identifier: MIT */
/*
 * tcp-client.c - connects without blocking and relays standard input.
 *
 *     tcp-client HOST PORT
 *
 * What comes from standard input goes to the server, what comes from the
 * server to standard output, until the server closes the connection. Each of
 * the host's addresses is tried in turn, for 10 seconds at most.
 *
 * A connection attempt is over when the socket is writable, and the socket's
 * own error, SO_ERROR, tells how it went. Looking at the events alone is not
 * enough: they tell that something has failed, but not what.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <polling.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE 10 /* seconds for a connection attempt */

enum { KEY_INPUT, KEY_SERVER };

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* Waits until a connection attempt is over. Returns 0 or its error. */
static int
await_connection(struct polling *p, int fd)
{
	const struct timespec patience = {.tv_sec = PATIENCE};
	struct polling_event event;
	socklen_t length = sizeof(int);
	int error, n;

	if (polling_add(p, fd, POLLING_OUT, POLLING_ONESHOT, KEY_SERVER) != 0)
		die("polling_add");
	n = polling_wait(p, &event, 1, &patience);
	if (n == -1)
		die("polling_wait");
	if (n == 0)
		return ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == -1)
		return errno;
	return error;
}

/* Connects to one address. Returns the socket, or -1 with errno set. */
static int
connect_to(struct polling *p, const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
	int error = 0;

	if (fd == -1)
		return -1;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) == -1)
		die("fcntl");
	if (connect(fd, a->ai_addr, a->ai_addrlen) == -1)
		error = errno;
	if (error == 0 || error == EINPROGRESS)
		error = await_connection(p, fd);
	if (error == 0)
		return fd;
	(void)polling_delete(p, fd); /* ENOENT if it was refused at once */
	close(fd);
	errno = error;
	return -1;
}

/* Connects to a host, whatever address of it answers. */
static int
connect_host(struct polling *p, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int error = getaddrinfo(host, port, &hints, &list);
	int fd = -1;

	if (error != 0) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
		return -1;
	}
	for (struct addrinfo *a = list; a != NULL && fd == -1; a = a->ai_next) {
		fd = connect_to(p, a);
		if (fd == -1)
			fprintf(stderr, "%s port %s: %s\n", host, port,
			    strerror(errno));
	}
	freeaddrinfo(list);
	return fd;
}
