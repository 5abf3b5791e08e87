/* SPDX-License-Identifier: MIT */
/*
 * tcp-client.c - connects without blocking, and prints what the server says.
 *
 *     tcp-client PORT [SECONDS]
 *
 * It connects to 127.0.0.1 and gives up after SECONDS (5). A connection that
 * is refused is told as such, and is seen like this: the source is reported
 * with POLLING_ERR, and SO_ERROR holds the reason.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <polling.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* Begins to connect; the socket is writable when it is done or refused. */
static int
begin_connecting(unsigned short port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		die("socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 &&
	    errno != EINPROGRESS)
		die("connect");
	return fd;
}

/* Waits for the one source; ends the program when the deadline has come. */
static void
wait_for_event(struct polling *p, const struct timespec *deadline)
{
	struct polling_event event;
	int n = polling_wait_until(p, &event, 1, deadline);

	if (n < 0)
		die("polling_wait_until");
	if (n == 0) {
		fprintf(stderr, "the server takes too long\n");
		exit(1);
	}
}

/* Why the connection was refused; 0 if it was not. */
static int
error_of(int fd)
{
	int error;
	socklen_t length = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		die("getsockopt");
	return error;
}

/* Prints what comes until the server closes the connection. */
static void
print_all(struct polling *p, int fd, const struct timespec *deadline)
{
	char buffer[4096];
	ssize_t n;

	for (;;) {
		if (polling_modify(p, fd, POLLING_IN, POLLING_ONESHOT, 1) != 0)
			die("polling_modify");
		wait_for_event(p, deadline);
		n = read(fd, buffer, sizeof buffer);
		if (n == 0)
			return;
		if (n > 0)
			fwrite(buffer, 1, (size_t)n, stdout);
		else if (errno != EAGAIN && errno != EWOULDBLOCK)
			die("read");
	}
}

int
main(int argc, char **argv)
{
	struct timespec deadline;
	struct polling *p;
	int fd, error;

	if (argc < 2) {
		fprintf(stderr, "usage: tcp-client PORT [SECONDS]\n");
		return 2;
	}
	polling_now(&deadline);
	deadline.tv_sec += argc > 2 ? atoi(argv[2]) : 5;
	p = polling_create(0);
	if (p == NULL)
		die("polling_create");
	fd = begin_connecting((unsigned short)atoi(argv[1]));
	if (polling_add(p, fd, POLLING_OUT, POLLING_ONESHOT, 1) != 0)
		die("polling_add");
	wait_for_event(p, &deadline);
	error = error_of(fd);
	if (error == 0)
		print_all(p, fd, &deadline);
	else
		fprintf(stderr, "cannot connect: %s\n", strerror(error));
	polling_destroy(p);
	close(fd);
	return error != 0;
}
