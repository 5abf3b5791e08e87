/* SPDX-License-Identifier: MIT */
/*
 * tcp-listener.c - the smallest server: sends back what it is sent.
 *
 *     tcp-listener [PORT]
 *
 * It listens at 127.0.0.1, port 8000 unless told otherwise. Try it with
 * tcp-client, telnet or nc from several terminals at once.
 *
 * The key of every socket is its descriptor, and that is all it knows about a
 * client: bytes that a client does not take back in time stay where they are,
 * in the kernel, and in the end the client cannot send more.
 *
 * sockets.h has what POSIX and Windows call by different names.
 */
#define _POSIX_C_SOURCE 200809L

#include "sockets.h"

#include <errno.h>
#include <polling.h>
#include <stdio.h>
#include <stdlib.h>

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static polling_fd
listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = inet_addr("127.0.0.1")};
	polling_fd fd = socket(AF_INET, SOCK_STREAM, 0);

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

/* An event disarms its source; this asks for the next one. */
static void
arm(struct polling *p, polling_fd fd, uint32_t interest)
{
	if (polling_modify(p, fd, interest, POLLING_ONESHOT, (uintptr_t)fd) !=
	    0)
		die("polling_modify");
}

static void
accept_client(struct polling *p, polling_fd listener)
{
	polling_fd fd = accept(listener, NULL, NULL);

	if (fd == NO_SOCKET && errno == EMFILE)
		return; /* until a client leaves, others have to wait */
	if (fd == NO_SOCKET) {
		perror("accept");
	} else {
		if (prepare_socket(fd) == -1)
			die("prepare_socket");
		if (polling_add(
			p, fd, POLLING_IN, POLLING_ONESHOT, (uintptr_t)fd) != 0)
			die("polling_add");
	}
	arm(p, listener, POLLING_IN);
}

/* Sends back what a client has sent. Returns what to wait for next; 0 if the
 * client has gone. */
static uint32_t
echo(polling_fd fd)
{
	char buffer[4096];
	ssize_t received, sent;

	received = recv(fd, buffer, sizeof buffer, MSG_PEEK);
	if (received == -1 && errno == EAGAIN)
		return POLLING_IN;
	if (received <= 0)
		return 0;
	sent = send(fd, buffer, (size_t)received, 0);
	if (sent == -1 && errno == EAGAIN)
		return POLLING_OUT;
	/* Now take from the kernel what was sent, and no more. */
	if (sent <= 0 || recv(fd, buffer, (size_t)sent, 0) != sent)
		return 0;
	return POLLING_IN;
}

static void
handle_client(struct polling *p, polling_fd listener, polling_fd fd)
{
	uint32_t interest = echo(fd);

	if (interest != 0) {
		arm(p, fd, interest);
		return;
	}
	if (polling_delete(p, fd) != 0)
		die("polling_delete");
	close_socket(fd);
	arm(p, listener, POLLING_IN); /* there is room for one more */
}

int
main(int argc, char **argv)
{
	struct polling_event events[64];
	struct polling *p;
	polling_fd listener;

	if (start_sockets() == -1)
		die("start_sockets");
	listener = listen_on(argc > 1 ? atoi(argv[1]) : 8000);
	p = polling_create(0);
	if (p == NULL)
		die("polling_create");
	if (polling_add(p, listener, POLLING_IN, POLLING_ONESHOT,
		(uintptr_t)listener) != 0)
		die("polling_add");
	for (;;) {
		int n = polling_wait(p, events, 64, NULL);

		if (n == -1)
			die("polling_wait");
		for (int i = 0; i < n; i++) {
			polling_fd fd = (polling_fd)events[i].key;

			if (fd == listener)
				accept_client(p, listener);
			else
				handle_client(p, listener, fd);
		}
	}
}
