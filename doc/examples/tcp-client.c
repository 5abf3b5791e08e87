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

/* What is on its way from standard input to the server. */
struct relay {
	bool ended; /* standard input is */
	size_t sent;
	size_t length;
	char data[4096];
};

static void
read_input(struct polling *p, int fd, struct relay *r)
{
	ssize_t n = read(STDIN_FILENO, r->data, sizeof r->data);

	if (n == -1)
		die("standard input");
	r->sent = 0;
	r->length = (size_t)n;
	r->ended = n == 0;
	if (r->ended) {
		(void)polling_delete(p, STDIN_FILENO); /* it is registered */
		if (shutdown(fd, SHUT_WR) == -1 && errno != ENOTCONN)
			die("shutdown"); /* tells the server the end */
	}
}

static void
send_input(int fd, struct relay *r)
{
	ssize_t n = send(fd, r->data + r->sent, r->length - r->sent, 0);

	if (n == -1 && errno != EAGAIN)
		die("send");
	if (n > 0)
		r->sent += (size_t)n;
}

/* Prints what the server has sent. False at the end of it. */
static bool
print_answer(int fd)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof data, 0);

	if (n == -1 && errno == EAGAIN)
		return true;
	if (n == -1)
		die("recv");
	for (ssize_t done = 0, m; done < n; done += m) {
		m = write(STDOUT_FILENO, data + done, (size_t)(n - done));
		if (m == -1)
			die("standard output");
	}
	return n > 0;
}

/* Asks for what can be made use of: input if none is waiting, else room. */
static void
arm(struct polling *p, int fd, const struct relay *r)
{
	bool waiting = r->sent < r->length;

	if (polling_modify(p, fd,
		waiting ? POLLING_IN | POLLING_OUT : POLLING_IN,
		POLLING_ONESHOT, KEY_SERVER) != 0)
		die("polling_modify");
	if (!r->ended &&
	    polling_modify(p, STDIN_FILENO, waiting ? 0 : POLLING_IN,
		POLLING_ONESHOT, KEY_INPUT) != 0)
		die("polling_modify");
}

static void
relay(struct polling *p, int fd)
{
	struct relay r = {.ended = false};
	struct polling_event events[2];
	bool open = true;

	if (polling_add(
		p, STDIN_FILENO, POLLING_IN, POLLING_ONESHOT, KEY_INPUT) != 0)
		die("polling_add");
	while (open) {
		int n;

		arm(p, fd, &r);
		n = polling_wait(p, events, 2, NULL);
		if (n == -1)
			die("polling_wait");
		for (int i = 0; i < n; i++) {
			if (events[i].key == KEY_INPUT)
				read_input(p, fd, &r);
			else if (events[i].events & POLLING_IN)
				open = print_answer(fd);
		}
		if (r.sent < r.length)
			send_input(fd, &r);
	}
}

int
main(int argc, char **argv)
{
	struct polling *p;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: tcp-client HOST PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* a send() fails instead */
	p = polling_create(0);
	if (p == NULL)
		die("polling_create");
	fd = connect_host(p, argv[1], argv[2]);
	if (fd != -1) {
		relay(p, fd);
		(void)polling_delete(p, fd); /* it is registered */
		close(fd);
	}
	polling_destroy(p);
	return fd == -1 ? 1 : 0;
}
