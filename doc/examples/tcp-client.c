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
 *
 * On Windows standard input cannot be a source: only sockets can. There a
 * thread reads it, and posts an event when something has come.
 */
#define _POSIX_C_SOURCE 200809L

#include "sockets.h"

#include <errno.h>
#include <polling.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#include <process.h>
#endif

#define PATIENCE    10 /* seconds for a connection attempt */
#define INPUT_BYTES 4096

enum { KEY_INPUT, KEY_SERVER };

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* Waits until a connection attempt is over. Returns 0 or its error. */
static int
await_connection(struct polling *p, polling_fd fd)
{
	const struct timespec patience = {.tv_sec = PATIENCE};
	struct polling_event event;
	int n;

	if (polling_add(p, fd, POLLING_OUT, POLLING_ONESHOT, KEY_SERVER) != 0)
		die("polling_add");
	n = polling_wait(p, &event, 1, &patience);
	if (n == -1)
		die("polling_wait");
	return n == 0 ? ETIMEDOUT : take_error(fd);
}

/* Connects to one address. Returns the socket, or none with errno set. */
static polling_fd
connect_to(struct polling *p, const struct addrinfo *a)
{
	polling_fd fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
	int error = 0;

	if (fd == NO_SOCKET)
		return NO_SOCKET;
	if (prepare_socket(fd) == -1)
		die("prepare_socket");
	if (connect(fd, a->ai_addr, (socklen_t)a->ai_addrlen) == -1)
		error = errno;
	if (error == 0 || error == EINPROGRESS)
		error = await_connection(p, fd);
	if (error == 0)
		return fd;
	(void)polling_delete(p, fd); /* ENOENT if it was refused at once */
	close_socket(fd);
	errno = error;
	return NO_SOCKET;
}

/* Connects to a host, whatever address of it answers. */
static polling_fd
connect_host(struct polling *p, const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int error = getaddrinfo(host, port, &hints, &list);
	polling_fd fd = NO_SOCKET;

	if (error != 0) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
		return NO_SOCKET;
	}
	for (struct addrinfo *a = list; a != NULL && fd == NO_SOCKET;
	     a = a->ai_next) {
		fd = connect_to(p, a);
		if (fd == NO_SOCKET)
			fprintf(stderr, "%s port %s: %s\n", host, port,
			    strerror(errno));
	}
	freeaddrinfo(list);
	return fd;
}

/*
 * Standard input
 */

#ifndef _WIN32
static void
begin_input(struct polling *p)
{
	if (polling_add(
		p, STDIN_FILENO, POLLING_IN, POLLING_ONESHOT, KEY_INPUT) != 0)
		die("polling_add");
}

/* Asks for an event, or for none, when something can be read. */
static void
arm_input(struct polling *p, bool wanted)
{
	if (polling_modify(p, STDIN_FILENO, wanted ? POLLING_IN : 0,
		POLLING_ONESHOT, KEY_INPUT) != 0)
		die("polling_modify");
}

/* Reads after that event, up to INPUT_BYTES. Returns 0 at the end. */
static size_t
read_input(const struct polling_event *event, char *data)
{
	ssize_t n = read(STDIN_FILENO, data, INPUT_BYTES);

	(void)event; /* says no more than that there is something */
	if (n == -1)
		die("standard input");
	return (size_t)n;
}

static void
end_input(struct polling *p)
{
	(void)polling_delete(p, STDIN_FILENO); /* it is registered */
}

#else /* _WIN32 */

static struct {
	SRWLOCK lock;           /* of the next one */
	struct polling *poller; /* NULL when the thread must not post */
	HANDLE wanted;          /* an event: tells the thread to read, once */
	bool reading;           /* as it does; the main thread's */
	char data[INPUT_BYTES]; /* the thread's while it reads */
} input = {.lock = SRWLOCK_INIT};

/* The thread. It ends with the program: nothing ends a read reliably. */
static unsigned __stdcall read_and_post(void *unused)
{
	HANDLE handle = GetStdHandle(STD_INPUT_HANDLE);
	struct polling_event event = {.key = KEY_INPUT};

	(void)unused;
	do {
		DWORD n = 0;

		WaitForSingleObject(input.wanted, INFINITE);
		if (!ReadFile(handle, input.data, INPUT_BYTES, &n, NULL))
			n = 0; /* a pipe's other end is closed */
		event.data = n;
		AcquireSRWLockExclusive(&input.lock);
		if (input.poller != NULL &&
		    polling_post(input.poller, &event) != 0)
			die("polling_post");
		ReleaseSRWLockExclusive(&input.lock);
	} while (event.data > 0);
	return 0;
}

static void
begin_input(struct polling *p)
{
	uintptr_t thread;

	input.poller = p;
	input.wanted = CreateEventA(NULL, FALSE, FALSE, NULL);
	thread = input.wanted == NULL
		     ? 0
		     : _beginthreadex(NULL, 0, read_and_post, NULL, 0, NULL);
	if (thread == 0) {
		fprintf(stderr, "tcp-client: no thread for standard input\n");
		exit(1);
	}
	CloseHandle((HANDLE)thread); /* nobody waits for its end */
}

/* Once begun, a read cannot be taken back. It does no harm. */
static void
arm_input(struct polling *p, bool wanted)
{
	(void)p;
	if (wanted && !input.reading) {
		input.reading = true;
		SetEvent(input.wanted);
	}
}

/* Takes what the thread has read: the event that it posted says how much. */
static size_t
read_input(const struct polling_event *event, char *data)
{
	input.reading = false;
	memcpy(data, input.data, event->data);
	return event->data;
}

static void
end_input(struct polling *p)
{
	(void)p;
	AcquireSRWLockExclusive(&input.lock);
	input.poller = NULL;
	ReleaseSRWLockExclusive(&input.lock);
}
#endif

/*
 * The relay
 */

/* What is on its way from standard input to the server. */
struct relay {
	bool ended; /* standard input is */
	size_t sent;
	size_t length;
	char data[INPUT_BYTES];
};

static void
take_input(struct polling *p, polling_fd fd, struct relay *r,
    const struct polling_event *event)
{
	r->sent = 0;
	r->length = read_input(event, r->data);
	r->ended = r->length == 0;
	if (r->ended) {
		end_input(p);
		if (shutdown(fd, SHUT_WR) == -1 && errno != ENOTCONN)
			die("shutdown"); /* tells the server the end */
	}
}

static void
send_input(polling_fd fd, struct relay *r)
{
	ssize_t n = send(fd, r->data + r->sent, r->length - r->sent, 0);

	if (n == -1 && errno != EAGAIN)
		die("send");
	if (n > 0)
		r->sent += (size_t)n;
}

/* Prints what the server has sent. False at the end of it. */
static bool
print_answer(polling_fd fd)
{
	char data[4096];
	ssize_t n = recv(fd, data, sizeof data, 0);

	if (n == -1 && errno == EAGAIN)
		return true;
	if (n == -1)
		die("recv");
	if (fwrite(data, 1, (size_t)n, stdout) < (size_t)n ||
	    fflush(stdout) != 0)
		die("standard output");
	return n > 0;
}

/* Asks for what can be made use of: input if none is waiting, else room. */
static void
arm(struct polling *p, polling_fd fd, const struct relay *r)
{
	bool waiting = r->sent < r->length;

	if (polling_modify(p, fd,
		waiting ? POLLING_IN | POLLING_OUT : POLLING_IN,
		POLLING_ONESHOT, KEY_SERVER) != 0)
		die("polling_modify");
	if (!r->ended)
		arm_input(p, !waiting);
}

static void
relay(struct polling *p, polling_fd fd)
{
	struct relay r = {.ended = false};
	struct polling_event events[2];
	bool open = true;

	begin_input(p);
	while (open) {
		int n;

		arm(p, fd, &r);
		n = polling_wait(p, events, 2, NULL);
		if (n == -1)
			die("polling_wait");
		for (int i = 0; i < n; i++) {
			if (events[i].key == KEY_INPUT)
				take_input(p, fd, &r, &events[i]);
			else if (events[i].events & POLLING_IN)
				open = print_answer(fd);
		}
		if (r.sent < r.length)
			send_input(fd, &r);
	}
	if (!r.ended)
		end_input(p);
}

int
main(int argc, char **argv)
{
	struct polling *p;
	polling_fd fd;

	if (argc != 3) {
		fprintf(stderr, "usage: tcp-client HOST PORT\n");
		return 2;
	}
	if (start_sockets() == -1)
		die("start_sockets");
#ifdef _WIN32
	(void)_setmode(_fileno(stdout), _O_BINARY); /* bytes as they come */
#endif
	p = polling_create(0);
	if (p == NULL)
		die("polling_create");
	fd = connect_host(p, argv[1], argv[2]);
	if (fd != NO_SOCKET) {
		relay(p, fd);
		(void)polling_delete(p, fd); /* it is registered */
		close_socket(fd);
	}
	polling_destroy(p);
	return fd == NO_SOCKET ? 1 : 0;
}
