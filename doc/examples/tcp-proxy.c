/* SPDX-License-Identifier: MIT */
/*
 * tcp-proxy.c - passes TCP connections on to a server.
 *
 *     tcp-proxy [-i SECONDS] LISTEN-PORT HOST PORT
 *
 * It listens at 127.0.0.1, at a free port if LISTEN-PORT is 0, prints where
 * that is, and connects to HOST, whose addresses are looked up once, for each
 * client. SIGINT, SIGTERM or Ctrl-C ends it, and it prints what it has done.
 *
 * Each of the two sides should notice no proxy between them:
 * - what comes from one side goes to the other, through a buffer of limited
 *   size. While that is full nothing more is read, so that a sender gets no
 *   further ahead than the receiver lets it;
 * - the end of what one side sends is passed on as that, and the other
 *   direction goes on;
 * - a reset of one side is one for the other;
 * - a connection on which nothing has moved for SECONDS (60) is dropped.
 *
 * One thread is enough. A source is oneshot and armed for what can be made use
 * of just then: input while there is room for it, output while there is some.
 * With neither, only errors and hang-ups are asked for: those of a peer that
 * is gone should not have to wait until there is something to send to it.
 */
#define _POSIX_C_SOURCE 200809L

#include "sockets.h"

#include <errno.h>
#include <inttypes.h>
#include <polling.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h> /* getopt */

#define BUFFER      16384      /* bytes under way in one direction */
#define EVENTS      64         /* taken by one wait */
#define ACCEPTS     16         /* in a row */
#define PAUSE_NSEC  100000000L /* without accept() if there is no room */
#define SPARE_FILES 16         /* descriptors not used for connections */

/* Keys are these or pointers to an end or, for a timer, to a pair. */
enum { KEY_LISTENER = 1, KEY_SIGNAL };

/* One of the two sides of a connection, and what has come from it and not yet
 * gone to the other. */
struct end {
	struct pair *pair;
	polling_fd fd;
	uint32_t armed; /* what the poller watches it for */
	bool ended;     /* nothing more comes from it, */
	bool shut;      /* and nothing more will go to it */
	bool hung_up;   /* it was reported to be over both ways */
	size_t start;   /* in data; what is before is gone */
	size_t length;
	char data[BUFFER];
};

enum { CLIENT, SERVER };

/* A connection. Its address is the name of its timer. */
struct pair {
	struct pair *next, **link;      /* on one of the proxy's lists */
	const struct addrinfo *address; /* of the server: this one is tried */
	bool connecting;                /* to the server */
	bool closed;
	struct end ends[2];
};

static struct {
	struct polling *poller;
	polling_fd listener;
	struct addrinfo *addresses; /* of the server */
	struct timespec patience;
	bool stopping;
	struct pair *pairs;
	struct pair *closed; /* freed when no event can name them any more */
	size_t count, count_max, most;
	unsigned long long connections, failed, reset, idle;
	unsigned long long bytes[2]; /* by the end that sent them */
} proxy = {.patience = {.tv_sec = 60}};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/*
 * Connections
 */

static struct end *
other(struct end *e)
{
	return &e->pair->ends[e == &e->pair->ends[CLIENT] ? SERVER : CLIENT];
}

static void
insert(struct pair **list, struct pair *c)
{
	c->link = list;
	c->next = *list;
	if (c->next != NULL)
		c->next->link = &c->next;
	*list = c;
}

static void
detach(struct pair *c)
{
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
}

static void
close_end(struct end *e)
{
	if (e->fd == NO_SOCKET)
		return;
	(void)polling_delete(proxy.poller, e->fd); /* which may not know it */
	close_socket(e->fd);
	e->fd = NO_SOCKET;
}

/* What one wait returns may name a connection twice, so the memory stays until
 * all of that is handled. */
static void
close_pair(struct pair *c)
{
	close_end(&c->ends[CLIENT]);
	close_end(&c->ends[SERVER]);
	(void)polling_delete_timer(proxy.poller, (uintptr_t)c); /* it is due */
	detach(c);
	insert(&proxy.closed, c);
	c->closed = true;
	proxy.count--;
}

/* Without lingering, what close() sends is a reset. */
static void
reset_pair(struct pair *c)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	for (int i = 0; i < 2; i++) {
		if (c->ends[i].fd != NO_SOCKET)
			(void)setsockopt(c->ends[i].fd, SOL_SOCKET, SO_LINGER,
			    &at_once, sizeof at_once); /* or else an end */
	}
	close_pair(c);
}

static void
free_closed(void)
{
	while (proxy.closed != NULL) {
		struct pair *c = proxy.closed;

		detach(c);
		free(c);
	}
}

/*
 * Arming
 */

static uint32_t
wanted(struct end *e)
{
	struct pair *c = e->pair;
	uint32_t interest = 0;

	if (c->connecting && e == &c->ends[SERVER])
		return POLLING_OUT;
	if (!e->ended && e->start + e->length < BUFFER)
		interest |= POLLING_IN;
	if (other(e)->length > 0)
		interest |= POLLING_OUT;
	/* A hang-up lasts: once known, it would be told again and again. */
	if (interest == 0 && !e->hung_up && !(e->ended && e->shut))
		interest = POLLING_HUP | POLLING_ERR;
	return interest;
}

static bool
arm(struct end *e)
{
	uint32_t interest = wanted(e);

	if (interest != e->armed &&
	    polling_modify(proxy.poller, e->fd, interest, POLLING_ONESHOT,
		(uintptr_t)e) != 0)
		return false;
	e->armed = interest;
	return true;
}

/*
 * Passing on
 */

/* Takes what has come, if there is room. False if the connection is lost. */
static bool
take(struct end *e)
{
	size_t used = e->start + e->length;
	ssize_t n;

	if (e->ended || used == BUFFER)
		return true;
	n = recv(e->fd, e->data + used, BUFFER - used, 0);
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK;
	e->length += (size_t)n;
	e->ended = n == 0;
	return true;
}

/* Gives the other end what has come from this one, and then its end. */
static bool
give(struct end *from)
{
	struct end *to = other(from);
	ssize_t n = 0;

	if (from->pair->connecting && from == &from->pair->ends[CLIENT])
		return true;
	if (from->length > 0)
		n = send(to->fd, from->data + from->start, from->length, 0);
	if (n == -1)
		return errno == EAGAIN || errno == EWOULDBLOCK;
	from->start += (size_t)n;
	from->length -= (size_t)n;
	if (from->length == 0)
		from->start = 0;
	proxy.bytes[from == &from->pair->ends[SERVER]] += (size_t)n;
	if (from->ended && from->length == 0 && !to->shut) {
		to->shut = true;
		return shutdown(to->fd, SHUT_WR) == 0;
	}
	return true;
}

static bool
finished(const struct end *e)
{
	return e->ended && e->shut && e->length == 0;
}

/* Does what an event allows. An error without input to read before is the end
 * of it, as is one that a function meets: false. */
static bool
advance(struct end *e, uint32_t events)
{
	if (events & POLLING_HUP)
		e->hung_up = true;
	if ((events & POLLING_ERR) && !(events & POLLING_IN))
		return false;
	if ((events & POLLING_IN) && !take(e))
		return false;
	return give(e) && (!(events & POLLING_OUT) || give(other(e)));
}

/*
 * Connecting
 */

/* Begins to connect to the server's next address that can be tried. False if
 * there is none. */
static bool
try_connect(struct pair *c)
{
	struct end *e = &c->ends[SERVER];
	int yes = 1;

	for (; c->address != NULL; c->address = c->address->ai_next) {
		const struct addrinfo *a = c->address;

		e->fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
		if (e->fd == NO_SOCKET)
			continue;
		(void)setsockopt(
		    e->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
		e->armed = POLLING_OUT;
		if (prepare_socket(e->fd) == 0 &&
		    (connect(e->fd, a->ai_addr, (socklen_t)a->ai_addrlen) ==
			    0 ||
			errno == EINPROGRESS) &&
		    polling_add(proxy.poller, e->fd, POLLING_OUT,
			POLLING_ONESHOT, (uintptr_t)e) == 0)
			return true;
		close_end(e);
	}
	return false;
}

/* Looks how an attempt to connect has ended. False if it was the last one. */
static bool
end_attempt(struct pair *c)
{
	c->connecting = take_error(c->ends[SERVER].fd) != 0;
	if (!c->connecting)
		return give(&c->ends[CLIENT]);
	close_end(&c->ends[SERVER]);
	c->address = c->address->ai_next;
	return try_connect(c);
}

/* Makes a connection of a client's socket, or drops it. */
static void
welcome(polling_fd fd)
{
	struct pair *c = calloc(1, sizeof *c);
	struct end *e;
	int yes = 1;

	if (c == NULL) {
		close_socket(fd);
		return;
	}
	e = &c->ends[CLIENT];
	e->fd = fd;
	e->armed = POLLING_IN;
	e->pair = c->ends[SERVER].pair = c;
	c->ends[SERVER].fd = NO_SOCKET;
	c->address = proxy.addresses;
	c->connecting = true;
	insert(&proxy.pairs, c);
	if (++proxy.count > proxy.most)
		proxy.most = proxy.count;
	proxy.connections++;
	/* What comes in a packet leaves in one, without a wait for more. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	if (prepare_socket(fd) == 0 &&
	    polling_add(proxy.poller, fd, POLLING_IN, POLLING_ONESHOT,
		(uintptr_t)e) == 0 &&
	    polling_add_timer(proxy.poller, (uintptr_t)c, &proxy.patience, NULL,
		(uintptr_t)c) == 0 &&
	    try_connect(c))
		return;
	proxy.failed++;
	reset_pair(c);
}

/* Lets clients in. Without descriptors for another one the listener would be
 * ready again and again: then it is disarmed until a timer is due, and clients
 * wait in the kernel's queue. */
static void
accept_clients(void)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NSEC};
	uint32_t interest = POLLING_IN;

	for (int i = 0; i < ACCEPTS; i++) {
		polling_fd fd = NO_SOCKET;

		errno = EMFILE;
		if (proxy.count < proxy.count_max)
			fd = accept(proxy.listener, NULL, NULL);
		if (fd != NO_SOCKET) {
			welcome(fd);
		} else if (errno != ECONNABORTED && errno != EINTR) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				interest = 0;
			break;
		}
	}
	if (interest == 0 && polling_add_timer(proxy.poller, KEY_LISTENER,
				 &pause, NULL, KEY_LISTENER) != 0)
		die("polling_add_timer");
	if (polling_modify(proxy.poller, proxy.listener, interest,
		POLLING_ONESHOT, KEY_LISTENER) != 0)
		die("polling_modify");
}

/*
 * Events
 */

static void
handle_end(struct end *e, uint32_t events)
{
	struct pair *c = e->pair;
	bool going_on;

	if (c->closed)
		return;
	e->armed = 0;
	if (c->connecting && e == &c->ends[SERVER])
		going_on = end_attempt(c);
	else
		going_on = advance(e, events);
	if (going_on && finished(&c->ends[CLIENT]) &&
	    finished(&c->ends[SERVER])) {
		close_pair(c);
		return;
	}
	going_on = going_on && arm(&c->ends[CLIENT]) && arm(&c->ends[SERVER]) &&
		   polling_modify_timer(proxy.poller, (uintptr_t)c,
		       &proxy.patience, NULL, (uintptr_t)c) == 0;
	if (going_on)
		return;
	if (c->connecting)
		proxy.failed++;
	else
		proxy.reset++;
	reset_pair(c);
}

static void
handle(const struct polling_event *event)
{
	if (event->key == KEY_SIGNAL) {
		proxy.stopping = true;
	} else if (event->key == KEY_LISTENER) {
		accept_clients();
	} else if (event->events & POLLING_TIMER) {
		struct pair *c = (struct pair *)event->key;

		if (c->closed)
			return;
		proxy.idle++;
		reset_pair(c);
	} else {
		handle_end((struct end *)event->key, event->events);
	}
}

static void
run(void)
{
	struct polling_event events[EVENTS];

	while (!proxy.stopping) {
		int n = polling_wait(proxy.poller, events, EVENTS, NULL);

		if (n == -1)
			die("polling_wait");
		for (int i = 0; i < n; i++)
			handle(&events[i]);
		free_closed();
	}
}

/*
 * Beginning and end
 */

/* Listens at a port of 127.0.0.1 and prints which one it is. */
static polling_fd
listen_on(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = inet_addr("127.0.0.1")};
	socklen_t length = sizeof address;
	polling_fd fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd == NO_SOCKET || prepare_socket(fd) == -1)
		die("socket");
	if (claim_port(fd) == -1)
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1)
		die("bind");
	if (listen(fd, SOMAXCONN) == -1)
		die("listen");
	if (getsockname(fd, (struct sockaddr *)&address, &length) == -1)
		die("getsockname");
	printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static bool
look_up(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	int error = getaddrinfo(host, port, &hints, &proxy.addresses);

	if (error != 0)
		fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
	return error == 0;
}

static void
prepare(int port)
{
	size_t limit = raise_limit();

	proxy.count_max = limit > SPARE_FILES + 2 ? (limit - SPARE_FILES) / 2
						  : 1;
	proxy.poller = polling_create(0);
	if (proxy.poller == NULL)
		die("polling_create");
	/* Before it says that it is there, or a signal might come too soon. */
	if (polling_add_signal(
		proxy.poller, SIGINT, POLLING_LEVEL, KEY_SIGNAL) != 0 ||
	    polling_add_signal(
		proxy.poller, SIGTERM, POLLING_LEVEL, KEY_SIGNAL) != 0)
		die("polling_add_signal");
	proxy.listener = listen_on(port);
	if (polling_add(proxy.poller, proxy.listener, POLLING_IN,
		POLLING_ONESHOT, KEY_LISTENER) != 0)
		die("polling_add");
}

/* Drops all that there is, which is nothing for clients that have gone. */
static void
finish(void)
{
	size_t open = proxy.count;

	while (proxy.pairs != NULL)
		reset_pair(proxy.pairs);
	free_closed();
	polling_destroy(proxy.poller);
	close_socket(proxy.listener);
	freeaddrinfo(proxy.addresses);
	printf("%llu connections, at most %zu at once: %llu failed, "
	       "%llu reset, %llu idle, %zu open; "
	       "%llu bytes to the server, %llu back\n",
	    proxy.connections, proxy.most, proxy.failed, proxy.reset,
	    proxy.idle, open, proxy.bytes[CLIENT], proxy.bytes[SERVER]);
}

static int
usage(void)
{
	fprintf(
	    stderr, "usage: tcp-proxy [-i SECONDS] LISTEN-PORT HOST PORT\n");
	return 2;
}

int
main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "i:")) != -1) {
		if (option == 'i')
			proxy.patience.tv_sec = atoi(optarg);
		else
			return usage();
	}
	if (optind != argc - 3 || proxy.patience.tv_sec < 1)
		return usage();
	if (start_sockets() == -1)
		die("start_sockets");
	if (!look_up(argv[optind + 1], argv[optind + 2]))
		return 1;
	prepare(atoi(argv[optind]));
	run();
	finish();
	return 0;
}
