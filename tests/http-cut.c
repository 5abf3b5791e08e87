/* SPDX-License-Identifier: MIT */
/*
 * http-cut.c - asks an HTTP server for a file again and again, and breaks off.
 *
 *     http-cut [-c CONNECTIONS] [-m BYTES] [-n TIMES] [-s SEED] PORT PATH
 *
 * Of CONNECTIONS (10) to 127.0.0.1 at a time each one ends at random: before
 * the request, in the middle of it, at once after it, or when up to BYTES
 * (100000), less than the file has, have come; with a reset, with unread bytes
 * or with an orderly end, and after some of them the rest is still read. TIMES
 * (100) connections are made in all.
 *
 * Exits with 0 when all that was done, 1 if a connection was refused or ended
 * before it was to, or if 30 seconds were not enough, and 2 if misused. It is
 * on purpose no user of the library: it must not have the faults that it is to
 * find.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 10000
#define SECONDS         30

static struct {
	struct sockaddr_in address;
	char request[512];
	long connections, bytes, times;
	long made;
	uint64_t random;
	struct pollfd *fds;
	long *left; /* bytes until the connection is broken off */
} job = {.connections = 10, .bytes = 100000, .times = 100, .random = 1};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* A number from 0 to limit - 1: xorshift, which is the same everywhere. */
static long
at_random(long limit)
{
	job.random ^= job.random << 13;
	job.random ^= job.random >> 7;
	job.random ^= job.random << 17;
	return (long)(job.random % (uint64_t)limit);
}

/* Ends a connection in one of four ways. */
static void
cut(long i)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	struct pollfd p = {.fd = job.fds[i].fd, .events = POLLIN};
	int fd = p.fd;
	char data[4096];

	switch (at_random(4)) {
	case 0: /* a reset */
		if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
			sizeof at_once) == -1)
			die("setsockopt");
		break;
	case 1: /* an end, some more, and then a reset if there is more still */
		if (shutdown(fd, SHUT_WR) == -1 && errno != ENOTCONN)
			die("shutdown");
		if (poll(&p, 1, 0) == 1)
			(void)recv(fd, data, sizeof data, 0); /* or its end */
		break;
	case 2: /* both directions at once */
		if (shutdown(fd, SHUT_RDWR) == -1 && errno != ENOTCONN)
			die("shutdown");
		break;
	default:
		break;
	}
	close(fd);
	job.fds[i].fd = -1;
}

/* Makes a connection, sends all or a part of a request, and decides how far it
 * goes. */
static void
begin(long i)
{
	size_t length = strlen(job.request);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == -1)
		die("socket");
	if (connect(fd, (struct sockaddr *)&job.address, sizeof job.address) ==
	    -1)
		die("connect");
	job.made++;
	job.fds[i].fd = fd;
	job.fds[i].events = POLLIN;
	job.left[i] = 1 + at_random(job.bytes);
	switch (at_random(8)) {
	case 0: /* nothing is sent */
		cut(i);
		return;
	case 1: /* a part */
		length = 1 + (size_t)at_random((long)length - 1);
		job.left[i] = 0;
		break;
	case 2: /* nothing is read */
		job.left[i] = 0;
		break;
	default:
		break;
	}
	if (send(fd, job.request, length, 0) != (ssize_t)length)
		die("send");
	if (job.left[i] == 0)
		cut(i);
}

static void
receive(long i)
{
	char data[16384];
	size_t room = sizeof data;
	ssize_t n;

	if ((size_t)job.left[i] < room)
		room = (size_t)job.left[i];
	n = recv(job.fds[i].fd, data, room, 0);
	if (n == -1)
		die("recv");
	if (n == 0) {
		fprintf(stderr, "the server has closed\n");
		exit(1);
	}
	job.left[i] -= n;
	if (job.left[i] == 0)
		cut(i);
}

static void
run(void)
{
	bool open = true;

	for (long i = 0; i < job.connections; i++)
		job.fds[i].fd = -1;
	while (open || job.made < job.times) {
		open = false;
		for (long i = 0; i < job.connections; i++) {
			if (job.fds[i].fd == -1 && job.made < job.times)
				begin(i);
			open = open || job.fds[i].fd != -1;
		}
		if (open && poll(job.fds, (nfds_t)job.connections, -1) == -1)
			die("poll");
		for (long i = 0; i < job.connections; i++) {
			if (job.fds[i].fd != -1 && job.fds[i].revents != 0)
				receive(i);
		}
	}
}

static int
usage(void)
{
	fprintf(stderr, "usage: http-cut [-c CONNECTIONS] [-m BYTES] "
			"[-n TIMES] [-s SEED] PORT PATH\n");
	return 2;
}

int
main(int argc, char **argv)
{
	int option, port;

	while ((option = getopt(argc, argv, "c:m:n:s:")) != -1) {
		if (option == 'c')
			job.connections = atol(optarg);
		else if (option == 'm')
			job.bytes = atol(optarg);
		else if (option == 'n')
			job.times = atol(optarg);
		else if (option == 's')
			job.random = strtoull(optarg, NULL, 10);
		else
			return usage();
	}
	if (optind != argc - 2 || job.connections < 1 || job.bytes < 1 ||
	    job.connections > CONNECTIONS_MAX || job.random == 0)
		return usage();
	port = atoi(argv[optind]);
	job.address.sin_family = AF_INET;
	job.address.sin_port = htons((uint16_t)port);
	job.address.sin_addr.s_addr = inet_addr("127.0.0.1");
	snprintf(job.request, sizeof job.request,
	    "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", argv[optind + 1]);
	job.fds = calloc((size_t)job.connections, sizeof *job.fds);
	job.left = calloc((size_t)job.connections, sizeof *job.left);
	if (job.fds == NULL || job.left == NULL)
		die("calloc");
	signal(SIGPIPE, SIG_IGN); /* a send() fails instead */
	alarm(SECONDS);
	run();
	printf("%ld connections were broken off\n", job.made);
	free(job.left);
	free(job.fds);
	return 0;
}
