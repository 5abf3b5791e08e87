/* SPDX-License-Identifier: MIT */
/*
 * two-listeners.c - two services in one thread, told apart by their keys.
 *
 *     two-listeners [PORT [PORT]]
 *
 * At the first port of 127.0.0.1, 8001 unless told otherwise, a client is
 * given the time of day, at the second, 8002, its number among the clients.
 *
 * A key is a pointer here, to what the program knows about the source. The
 * listeners are level-triggered: they are reported by every wait until the
 * last client is accepted, and never have to be armed again.
 */
#define _POSIX_C_SOURCE 200809L

#include "sockets.h"

#include <errno.h>
#include <polling.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct service {
	polling_fd fd;
	unsigned long clients;
	/* Writes the answer to a client. */
	void (*answer)(const struct service *s, char *text, size_t size);
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
tell_time(const struct service *s, char *text, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	(void)s;
	if (localtime_r(&now, &tm) == NULL ||
	    strftime(text, size, "%Y-%m-%d %H:%M:%S\n", &tm) == 0)
		text[0] = '\0';
}

static void
tell_number(const struct service *s, char *text, size_t size)
{
	snprintf(text, size, "You are number %lu.\n", s->clients);
}

/* Accepts one client, answers and says goodbye. The answer is so short that
 * it fits in the socket's buffer, so there is nothing to wait for. */
static void
serve(struct service *s)
{
	char text[64];
	polling_fd fd = accept(s->fd, NULL, NULL);

	if (fd == NO_SOCKET) {
		if (errno != EAGAIN && errno != ECONNABORTED)
			perror("accept");
		return; /* the client has gone again */
	}
	s->clients++;
	s->answer(s, text, sizeof text);
	if (send(fd, text, strlen(text), 0) == -1)
		perror("send");
	close_socket(fd);
}

static polling_fd
listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = inet_addr("127.0.0.1")};
	polling_fd fd = socket(AF_INET, SOCK_STREAM, 0);

	/* The client that a wait told of may be gone before the accept(). */
	if (fd == NO_SOCKET || prepare_socket(fd) == -1)
		die("socket");
	if (claim_port(fd) == -1)
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1)
		die("bind");
	if (listen(fd, SOMAXCONN) == -1)
		die("listen");
	return fd;
}

int
main(int argc, char **argv)
{
	struct service services[2] = {
	    {.answer = tell_time}, {.answer = tell_number}};
	struct polling_event events[2];
	struct polling *p;

	if (start_sockets() == -1)
		die("start_sockets");
	p = polling_create(0);
	if (p == NULL)
		die("polling_create");
	for (int i = 0; i < 2; i++) {
		struct service *s = &services[i];

		s->fd = listen_on(argc > 1 + i ? atoi(argv[1 + i]) : 8001 + i);
		if (polling_add(
			p, s->fd, POLLING_IN, POLLING_LEVEL, (uintptr_t)s) != 0)
			die("polling_add");
	}
	for (;;) {
		int n = polling_wait(p, events, 2, NULL);

		if (n == -1)
			die("polling_wait");
		for (int i = 0; i < n; i++)
			serve((struct service *)events[i].key);
	}
}
