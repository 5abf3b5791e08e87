/* SPDX-License-Identifier: MIT */
/*
 * nested-poll.c - a poller inside of somebody else's loop, here poll().
 *
 *     nested-poll [TICKS]
 *
 * The loop belongs to poll(), which looks at standard input and at the
 * descriptor of a poller. That one has a timer of 100 ms and SIGINT and
 * SIGTERM, and each line of standard input is posted to it. It ends after so
 * many expirations of the timer, 10 unless told otherwise, or by a signal.
 *
 * The descriptor is readable whenever a wait would return something, be it a
 * socket's event or one of those that have no descriptor. Then one wait that
 * does not block takes what is there; what does not fit comes the next time.
 */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <polling.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { KEY_TIMER, KEY_SIGNAL, KEY_INPUT };

static uint32_t ticks_left = 10;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static struct polling *
make_poller(void)
{
	const struct timespec interval = {.tv_nsec = 100000000};
	struct polling *p = polling_create(0);

	if (p == NULL)
		die("polling_create");
	if (polling_add_timer(p, 1, &interval, &interval, KEY_TIMER) != 0)
		die("polling_add_timer");
	if (polling_add_signal(p, SIGINT, POLLING_LEVEL, KEY_SIGNAL) != 0 ||
	    polling_add_signal(p, SIGTERM, POLLING_LEVEL, KEY_SIGNAL) != 0)
		die("polling_add_signal");
	return p;
}

/* Handles what the poller has. False if the program is to end. */
static bool
dispatch(struct polling *p)
{
	const struct timespec zero = {0};
	struct polling_event events[8];
	int n = polling_wait(p, events, 8, &zero);
	bool going_on = true;

	if (n == -1)
		die("polling_wait");
	for (int i = 0; i < n; i++) {
		uint32_t data = events[i].data;

		if (events[i].key == KEY_INPUT) {
			printf("line %lu was posted\n", (unsigned long)data);
		} else if (events[i].key == KEY_SIGNAL) {
			printf("a signal\n");
			going_on = false;
		} else {
			ticks_left -= data < ticks_left ? data : ticks_left;
			printf("tick, %lu left\n", (unsigned long)ticks_left);
			going_on = going_on && ticks_left > 0;
		}
	}
	fflush(stdout);
	return going_on;
}

/* Posts the number of each line that was read. False at the end of them. */
static bool
read_input(struct polling *p)
{
	static struct polling_event line = {.key = KEY_INPUT};
	char data[512];
	ssize_t n = read(STDIN_FILENO, data, sizeof data);

	if (n == -1)
		die("standard input");
	for (ssize_t i = 0; i < n; i++) {
		if (data[i] != '\n')
			continue;
		line.data++;
		if (polling_post(p, &line) != 0)
			die("polling_post");
	}
	return n > 0;
}

int
main(int argc, char **argv)
{
	struct polling *p = make_poller();
	struct pollfd fds[2] = {{.fd = polling_get_fd(p), .events = POLLIN},
	    {.fd = STDIN_FILENO, .events = POLLIN}};
	bool going_on = true;

	if (fds[0].fd == -1)
		die("polling_get_fd");
	if (argc > 1)
		ticks_left = (uint32_t)strtoul(argv[1], NULL, 10);
	while (going_on) {
		/* A signal that interrupts poll() is the poller's: it is told
		 * of it, and the descriptor is readable. */
		if (poll(fds, 2, -1) < 1)
			continue;
		if (fds[1].revents != 0 && !read_input(p))
			fds[1].fd = -1; /* which poll() leaves out */
		if (fds[0].revents != 0)
			going_on = dispatch(p);
	}
	polling_destroy(p);
	printf("the end\n");
	return 0;
}
