/* SPDX-License-Identifier: MIT */
/*
 * two-listeners.c - two servers in one loop, told apart by their keys.
 *
 *     two-listeners
 *
 * It listens at two free ports of 127.0.0.1 and prints them. Whoever connects
 * is told which of the two it was. A key may be any number or a pointer; here
 * it points to what the program knows of a listener.
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <polling.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener {
	int fd;
	const char *answer;
};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
start(struct listener *l)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	l->fd = socket(AF_INET, SOCK_STREAM, 0);
	if (l->fd < 0 || fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0)
		die("socket");
	if (bind(l->fd, (struct sockaddr *)&address, length) < 0 ||
	    listen(l->fd, 16) < 0)
		die("listen");
	if (getsockname(l->fd, (struct sockaddr *)&address, &length) < 0)
		die("getsockname");
	printf("127.0.0.1:%d: %s", ntohs(address.sin_port), l->answer);
	fflush(stdout);
}

static void
serve(const struct listener *l)
{
	int client = accept(l->fd, NULL, NULL);

	if (client < 0)
		return; /* gone already: the next event tells of the next */
	if (send(client, l->answer, strlen(l->answer), MSG_NOSIGNAL) < 0)
		perror("send");
	close(client);
}

int
main(void)
{
	struct listener listeners[] = {
	    {-1, "the first\n"}, {-1, "the second\n"}};
	struct polling *p = polling_create(0);
	struct polling_event events[2];
	int n;

	if (p == NULL)
		die("polling_create");
	/* Level-triggered sources need no polling_modify(): they are reported
	 * for as long as somebody waits to be accepted. */
	for (int i = 0; i < 2; i++) {
		start(&listeners[i]);
		if (polling_add(p, listeners[i].fd, POLLING_IN, POLLING_LEVEL,
			(uintptr_t)&listeners[i]) != 0)
			die("polling_add");
	}
	while ((n = polling_wait(p, events, 2, NULL)) >= 0)
		for (int i = 0; i < n; i++)
			serve((const struct listener *)events[i].key);
	die("polling_wait");
}
