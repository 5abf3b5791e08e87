/* SPDX-License-Identifier: MIT */
/*
 * tcp-listener.c - the smallest server: greets whoever connects.
 *
 *     tcp-listener [PORT]
 *
 * It listens at 127.0.0.1, prints the port (a free one unless given), and
 * serves until it is killed. Try it with: nc 127.0.0.1 PORT
 */
#define _POSIX_C_SOURCE 200809L

#include <arpa/inet.h>
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

/* A socket that listens at 127.0.0.1 and does not block. */
static int
listen_at(unsigned short port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&address, length) < 0 ||
	    listen(fd, 16) < 0)
		die("listen");
	if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		die("getsockname");
	printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int
main(int argc, char **argv)
{
	static const char greeting[] = "hello\n";
	int port = argc > 1 ? atoi(argv[1]) : 0;
	int listener = listen_at((unsigned short)port);
	struct polling *p = polling_create(0);
	struct polling_event event;

	if (p == NULL)
		die("polling_create");
	if (polling_add(p, listener, POLLING_IN, POLLING_ONESHOT, 1) != 0)
		die("polling_add");
	while (polling_wait(p, &event, 1, NULL) >= 0) {
		int client = accept(listener, NULL, NULL);

		/* Whoever is not there any more has gone by himself. */
		if (client >= 0) {
			if (send(client, greeting, strlen(greeting),
				MSG_NOSIGNAL) < 0)
				perror("send");
			close(client);
		}
		/* The event has disarmed the listener. Armed again, it
		 * reports at once if another client waits. */
		if (polling_modify(
			p, listener, POLLING_IN, POLLING_ONESHOT, 1) != 0)
			die("polling_modify");
	}
	die("polling_wait");
}
