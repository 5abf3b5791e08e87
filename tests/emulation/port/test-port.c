/* SPDX-License-Identifier: MIT */
/*
 * test-port.c - proves the emulation of event ports, line by line of what the
 * kernel of illumos was seen to do, so that it can be evidence for others.
 *
 * Each check prints "ok" or "FAILED" and what it is about. The exit status is
 * 0 if none has failed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* pipe2 */
#endif

#include <port.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS      1000000L
#define SECOND  INT64_C(1000000000)
#define MANY    256
#define THREADS 4

static int checks, failures;

/* Says what it found; returns it. */
static bool
check(bool holds, const char *what)
{
	checks++;
	if (!holds)
		failures++;
	(void)printf("%s: %s\n", holds ? "ok" : "FAILED", what);
	(void)fflush(stdout);
	return holds;
}

/* What must work for the test to go on. */
static int
must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static timespec_t
interval(int64_t ns)
{
	return (timespec_t){
	    .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
}

static int64_t
now_ns(void)
{
	timespec_t t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void
pause_ns(long ns)
{
	timespec_t t = interval(ns);

	while (nanosleep(&t, &t) != 0)
		continue;
}

/* 0 or the error of a call. */
static int
error_of(int result)
{
	return result == 0 ? 0 : errno;
}

static int
new_port(void)
{
	return must(port_create(), "port_create");
}

static int
associate(int port, int fd, int events)
{
	return error_of(port_associate(port, PORT_SOURCE_FD, (uintptr_t)fd,
	    events, (void *)(uintptr_t)fd));
}

static int
dissociate(int port, int fd)
{
	return error_of(port_dissociate(port, PORT_SOURCE_FD, (uintptr_t)fd));
}

/* How many events there are now: the first MANY of them. */
static uint_t
look(int port, port_event_t list[])
{
	timespec_t zero = {0, 0};
	uint_t count = 1;

	return port_getn(port, list, MANY, &count, &zero) == 0 ? count
							       : UINT_MAX;
}

/* Whether there is one event: that one. */
static bool
only(int port, int fd, int events)
{
	port_event_t list[MANY];

	return look(port, list) == 1 &&
	       list[0].portev_source == PORT_SOURCE_FD &&
	       list[0].portev_object == (uintptr_t)fd &&
	       list[0].portev_user == (void *)(uintptr_t)fd &&
	       list[0].portev_events == events;
}

static bool
nothing(int port)
{
	port_event_t list[MANY];

	return look(port, list) == 0;
}

static bool
readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

static void
new_pipe(int fds[2])
{
	must(pipe2(fds, O_NONBLOCK), "pipe2");
}

static void
put(int fd)
{
	must((int)write(fd, "x", 1), "write");
}

static void
drain(int fd)
{
	char buffer[64];

	while (read(fd, buffer, sizeof(buffer)) > 0)
		continue;
}

static void
close_both(const int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static int
count_descriptors(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			count++;
	return count;
}

/* One-shot */

static void
test_one_shot(void)
{
	int port = new_port(), fds[2];

	new_pipe(fds);
	check(associate(port, fds[0], POLLIN) == 0 && nothing(port),
	    "an idle source is silent");
	put(fds[1]);
	check(only(port, fds[0], POLLIN), "what comes later is delivered");
	put(fds[1]);
	check(nothing(port), "after delivery there is no more");
	check(dissociate(port, fds[0]) == ENOENT,
	    "after delivery the association is gone: ENOENT");
	check(
	    associate(port, fds[0], POLLIN) == 0 && only(port, fds[0], POLLIN),
	    "what holds already is delivered at once");
	check(associate(port, fds[0], POLLIN) == 0 &&
		  dissociate(port, fds[0]) == 0,
	    "until delivery there is an association to end");
	check(dissociate(port, fds[0]) == ENOENT, "and only once: ENOENT");
	close_both(fds);
	(void)close(port);
}

static void
test_dropping(void)
{
	int port = new_port(), fds[2];
	port_event_t list[MANY];

	new_pipe(fds);
	put(fds[1]);
	(void)associate(port, fds[0], POLLIN);
	check(readable(port) && dissociate(port, fds[0]) == 0 &&
		  nothing(port) && !readable(port),
	    "dissociating drops a queued event");
	(void)associate(port, fds[0], POLLIN);
	drain(fds[0]);
	check(associate(port, fds[0], POLLIN) == 0 && nothing(port),
	    "associating again drops a queued event, and looks again");
	put(fds[1]);
	check(only(port, fds[0], POLLIN), "and waits for the next");
	(void)associate(port, fds[0], POLLIN);
	check(port_associate(port, PORT_SOURCE_FD, (uintptr_t)fds[0],
		  POLLIN | POLLRDNORM, &port) == 0 &&
		  look(port, list) == 1 && list[0].portev_user == &port &&
		  list[0].portev_events == (POLLIN | POLLRDNORM),
	    "it replaces events and user value");
	(void)associate(port, fds[0], POLLIN);
	check(associate(port, fds[0], POLLPRI) == 0 && nothing(port),
	    "events that are no longer asked for are not delivered");
	drain(fds[0]);
	(void)associate(port, fds[0], POLLIN);
	(void)associate(port, fds[0], POLLPRI);
	put(fds[1]);
	check(nothing(port), "nor if they come after");
	close_both(fds);
	(void)close(port);
}

static void
test_snapshot(void)
{
	int port = new_port(), fds[2], pair[2];

	new_pipe(fds);
	put(fds[1]);
	(void)associate(port, fds[0], POLLIN);
	drain(fds[0]);
	check(readable(port) && only(port, fds[0], POLLIN),
	    "a queued event is delivered when the data is gone");
	(void)associate(port, fds[0], POLLIN);
	put(fds[1]);
	check(port_getn(port, NULL, 0, &(uint_t){0}, NULL) == 0,
	    "port_getn() with max 0 only looks");
	drain(fds[0]);
	check(only(port, fds[0], POLLIN),
	    "so is one that was queued after the association");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
	    "socketpair");
	(void)associate(port, pair[0], POLLIN | POLLOUT);
	put(pair[1]);
	(void)close(pair[1]);
	check(only(port, pair[0], POLLOUT),
	    "later conditions are not merged into a queued event");
	check(nothing(port), "nor delivered after it");
	(void)close(pair[0]);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
	    "socketpair");
	(void)associate(port, pair[0], POLLIN);
	(void)associate(port, pair[0], POLLOUT);
	put(pair[1]);
	check(only(port, pair[0], POLLOUT) && nothing(port),
	    "nor is what an earlier association had waited for");
	close_both(pair);
	close_both(fds);
	(void)close(port);
}

static void
test_hangup(void)
{
	int port = new_port(), fds[2];

	new_pipe(fds);
	(void)associate(port, fds[0], 0);
	put(fds[1]);
	check(nothing(port), "with no events asked for, data is silent");
	(void)close(fds[1]);
	check(only(port, fds[0], POLLHUP), "but POLLHUP is delivered");
	(void)close(fds[0]);
	new_pipe(fds);
	(void)associate(port, fds[1], 0);
	check(nothing(port), "with no events asked for, room is silent");
	(void)close(fds[0]);
	check(only(port, fds[1], POLLERR), "but POLLERR is delivered");
	check(associate(port, fds[1], 0) == 0 && only(port, fds[1], POLLERR),
	    "also if it holds at the association");
	(void)close(fds[1]);
	(void)close(port);
}

/* Closing */

static void
test_close(void)
{
	int port = new_port(), other = new_port(), fds[2], copy;

	new_pipe(fds);
	put(fds[1]);
	(void)associate(port, fds[0], POLLIN);
	(void)associate(other, fds[0], POLLIN);
	copy = must(dup(fds[0]), "dup");
	(void)close(fds[0]);
	check(nothing(port) && nothing(other) && !readable(port),
	    "close() drops queued events of every port, beside a duplicate");
	check(dissociate(port, fds[0]) == EBADFD,
	    "dissociating a closed number: EBADFD");
	check(associate(port, fds[0], POLLIN) == EBADFD,
	    "associating a closed number: EBADFD");
	check(dup2(copy, fds[0]) == fds[0] &&
		  dissociate(port, fds[0]) == ENOENT && nothing(port),
	    "a number used again is not associated: ENOENT");
	drain(copy);
	(void)associate(port, fds[0], POLLIN);
	(void)close(fds[0]);
	put(fds[1]);
	check(nothing(port) && !readable(port),
	    "close() dissociates, beside a duplicate");
	(void)associate(port, copy, POLLIN);
	(void)associate(port, fds[1], POLLOUT);
	check(dup2(fds[1], copy) == copy && only(port, fds[1], POLLOUT),
	    "so does dup2() over it, and only that one");
	(void)close(copy);
	(void)close(fds[1]);
	(void)close(port);
	(void)close(other);
}

static void
test_errors(void)
{
	int port = new_port(), fds[2];
	uintptr_t fd;

	new_pipe(fds);
	fd = (uintptr_t)fds[0];
	check(dissociate(port, fds[0]) == ENOENT,
	    "dissociating what was not associated: ENOENT");
	check(port_associate(port, PORT_SOURCE_USER, fd, 0, NULL) == -1 &&
		  errno == EINVAL,
	    "associating another source: EINVAL");
	check(port_dissociate(port, PORT_SOURCE_USER, fd) == -1 &&
		  errno == EINVAL,
	    "dissociating another source: EINVAL");
	check(associate(port, -1, 0) == EBADFD, "the number -1: EBADFD");
	check(associate(fds[0], fds[1], 0) == EBADFD,
	    "a descriptor that is no port: EBADFD");
	check(error_of(port_send(fds[0], 0, NULL)) == EBADFD,
	    "sending to one: EBADFD");
	(void)close(port);
	check(associate(port, fds[0], 0) == EBADF, "a closed port: EBADF");
	check(error_of(port_send(port, 0, NULL)) == EBADF,
	    "sending to one: EBADF");
	check(error_of(port_get(port, NULL, NULL)) == EBADF,
	    "waiting for one: EBADF");
	close_both(fds);
}

static void *
wait_for_close(void *argument)
{
	port_event_t event;
	uint_t count = 1;
	int port = *(int *)argument;
	bool right = port_getn(port, &event, 1, &count, NULL) == -1 &&
		     errno == EBADFD && count == 1;

	return right ? argument : NULL;
}

static void
test_closed_port(void)
{
	int before = count_descriptors(), port = new_port();
	pthread_t threads[THREADS];
	void *result;
	bool right = true;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, wait_for_close, &port);
	pause_ns(30 * MS);
	(void)close(port);
	check(count_descriptors() == before,
	    "closing a port with waiters leaves no descriptors");
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &result);
		right &= result != NULL;
	}
	check(right, "closing the port wakes its waiters with EBADFD");
}

/* port_getn() */

static void
test_counts(void)
{
	int port = new_port();
	timespec_t zero = {0, 0};
	port_event_t list[MANY];
	uint_t count = 3;

	for (uintptr_t i = 1; i <= 5; i++)
		(void)port_send(port, (int)i, (void *)i);
	check(port_getn(port, list, 2, &count, NULL) == -1 && errno == EINVAL &&
		  count == 3,
	    "*nget above max: EINVAL, *nget stays");
	check(port_getn(port, NULL, 0, &count, NULL) == 0 && count == 5,
	    "max 0 tells how many events there are");
	count = 0;
	check(port_getn(port, list, 2, &count, NULL) == 0 && count == 0,
	    "*nget 0 returns at once, with none");
	count = 1;
	check(port_getn(port, list, 2, &count, NULL) == 0 && count == 2 &&
		  list[0].portev_events == 1 &&
		  list[1].portev_user == (void *)2 &&
		  list[0].portev_source == PORT_SOURCE_USER &&
		  list[0].portev_object == 0,
	    "it returns up to max events, in order");
	count = 4;
	check(port_getn(port, list, MANY, &count, &zero) == 0 && count == 3,
	    "a zero timeout returns 0 and what is there");
	count = 4;
	check(port_getn(port, list, MANY, &count, &zero) == 0 && count == 0,
	    "also if that is nothing");
	(void)close(port);
}

static void
test_arguments(void)
{
	int port = new_port();
	timespec_t zero = {0, 0}, bad = {0, -1};
	port_event_t list[1];
	uint_t count = 1;

	check(port_getn(port, list, 1, &count, &bad) == -1 && errno == EINVAL &&
		  count == 1,
	    "a negative tv_nsec: EINVAL");
	bad.tv_nsec = (long)SECOND;
	check(port_getn(port, list, 1, &count, &bad) == -1 && errno == EINVAL,
	    "a tv_nsec of a second: EINVAL");
	bad = (timespec_t){-1, 0};
	check(port_getn(port, list, 1, &count, &bad) == -1 && errno == EINVAL,
	    "a negative tv_sec: EINVAL");
	check(port_getn(port, NULL, 1, &count, &zero) == -1 && errno == EFAULT,
	    "no list: EFAULT");
	(void)close(port);
}

static void
test_times(void)
{
	int port = new_port();
	timespec_t time = interval(30 * MS);
	port_event_t list[4];
	uint_t count = 1;
	int64_t start = now_ns(), took;

	check(port_getn(port, list, 4, &count, &time) == -1 && errno == ETIME &&
		  count == 0,
	    "a timeout without events: ETIME, *nget 0");
	took = now_ns() - start;
	check(took >= 30 * MS && took < 10 * SECOND, "and it is not early");
	(void)port_send(port, 1, NULL);
	(void)port_send(port, 2, NULL);
	count = 3;
	start = now_ns();
	check(port_getn(port, list, 4, &count, &time) == -1 && errno == ETIME &&
		  count == 2 && list[1].portev_events == 2,
	    "too few events: ETIME with *nget > 0, and the events");
	check(now_ns() - start >= 30 * MS, "after the time, not before");
	check(nothing(port), "those events are consumed");
	check(port_get(port, list, &time) == -1 && errno == ETIME,
	    "port_get() without an event: ETIME");
	time = (timespec_t){0, 0};
	check(port_get(port, list, &time) == -1 && errno == ETIME,
	    "with a zero timeout too");
	(void)port_send(port, 3, NULL);
	check(port_get(port, list, NULL) == 0 && list[0].portev_events == 3,
	    "port_get() takes one event");
	(void)close(port);
}

struct sender {
	int port, count;
	long delay;
};

static void *
send_later(void *argument)
{
	struct sender *s = argument;

	for (int i = 0; i < s->count; i++) {
		pause_ns(s->delay);
		(void)port_send(s->port, i, NULL);
	}
	return NULL;
}

static void
test_waiting_for_several(void)
{
	struct sender s = {.port = new_port(), .count = 3, .delay = 10 * MS};
	port_event_t list[4];
	uint_t count = 3;
	pthread_t thread;
	bool right;

	pthread_create(&thread, NULL, send_later, &s);
	right = port_getn(s.port, list, 4, &count, NULL) == 0 && count == 3;
	pthread_join(thread, NULL);
	check(right, "a blocked call waits for *nget events");
	(void)close(s.port);
}

static void
test_late_reports(void)
{
	struct sender s = {.port = new_port(), .count = 1, .delay = 2 * MS};
	timespec_t time = interval(10 * SECOND);
	int late = 0, lost = 0;
	pthread_t thread;

	for (int i = 0; i < 24; i++) {
		port_event_t event;
		uint_t count = 1;
		int error;

		pthread_create(&thread, NULL, send_later, &s);
		error = error_of(port_getn(s.port, &event, 1, &count, &time));
		pthread_join(thread, NULL);
		late += error == ETIME;
		lost += count != 1 || (error != 0 && error != ETIME);
	}
	check(late == 3, "of 8 blocked calls one says ETIME with its event");
	check(lost == 0, "and none is without it");
	(void)close(s.port);
}

/* Signals */

static volatile sig_atomic_t handled, sent_by_handlers;
static volatile sig_atomic_t handlers_port = -1;

static void
handle(int number)
{
	(void)number;
	handled++;
	if (handlers_port >= 0 && port_send(handlers_port, 77, NULL) == 0)
		sent_by_handlers++;
}

struct target {
	pthread_t thread;
	long delay;
};

static void *
signal_later(void *argument)
{
	struct target *t = argument;

	pause_ns(t->delay);
	pthread_kill(t->thread, SIGUSR1);
	return NULL;
}

/* A blocked call that a handler interrupts. */
static int
interrupted(int port, int flags, timespec_t *time, uint_t *count)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
	struct target t = {pthread_self(), 20 * MS};
	port_event_t list[4];
	pthread_t thread;
	int error;

	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, signal_later, &t);
	error = error_of(port_getn(port, list, 4, count, time));
	pthread_join(thread, NULL);
	return error;
}

static void *
wait_for_one(void *argument)
{
	port_event_t event;
	uint_t count = 1;

	return port_getn(*(int *)argument, &event, 1, &count, NULL) == 0
		   ? argument
		   : NULL;
}

static void
test_signals(void)
{
	int port = new_port();
	timespec_t time = interval(5 * SECOND);
	port_event_t list[MANY];
	uint_t count = 2;
	pthread_t thread;

	(void)port_send(port, 1, NULL);
	check(interrupted(port, 0, &time, &count) == EINTR && count == 2,
	    "a handler ends a blocked call: EINTR, *nget stays");
	check(look(port, list) == 1, "and the events stay as well");
	count = 1;
	check(interrupted(port, SA_RESTART, NULL, &count) == EINTR,
	    "SA_RESTART does not matter");
	pthread_create(&thread, NULL, wait_for_one, &port);
	pause_ns(20 * MS);
	check(interrupted(port, SA_RESTART, NULL, &count) == EINTR,
	    "nor does another thread that waits already");
	handlers_port = port;
	check(interrupted(port, 0, NULL, &count) == EINTR || count == 1,
	    "port_send() in a handler");
	handlers_port = -1;
	(void)port_send(port, 0, NULL);
	pthread_join(thread, NULL);
	check(handled == 4, "every handler ran");
	(void)close(port);
}

static void
test_handlers_anywhere(void)
{
	struct sigaction action = {
	    .sa_handler = handle, .sa_flags = SA_RESTART};
	struct itimerval timer = {{0, 200}, {0, 200}}, off = {{0, 0}, {0, 0}};
	int port = new_port(), fds[2];
	port_event_t list[MANY];
	uint_t count, got = 0;

	new_pipe(fds);
	sent_by_handlers = 0;
	handlers_port = port;
	sigaction(SIGALRM, &action, NULL);
	(void)setitimer(ITIMER_REAL, &timer, NULL);
	for (int i = 0; i < 5000; i++) {
		(void)associate(port, fds[0], POLLIN);
		free(malloc(100));
		count = look(port, list);
		got += count == UINT_MAX ? 0 : count;
	}
	(void)setitimer(ITIMER_REAL, &off, NULL);
	handlers_port = -1;
	count = look(port, list);
	got += count;
	check(sent_by_handlers > 0 && got == (uint_t)sent_by_handlers,
	    "port_send() in handlers that interrupt calls for the port");
	close_both(fds);
	(void)close(port);
}

/* The limit */

static void
test_limit(void)
{
	port_event_t list[MANY];
	int port, fds[2];

	setenv("POLLING_EMULATION_PORT_LIMIT", "3", 1);
	port = new_port();
	unsetenv("POLLING_EMULATION_PORT_LIMIT");
	new_pipe(fds);
	check(port_send(port, 1, NULL) == 0 && port_send(port, 2, NULL) == 0 &&
		  associate(port, fds[0], POLLIN) == 0,
	    "events and associations up to the limit");
	check(error_of(port_send(port, 3, NULL)) == EAGAIN,
	    "above it port_send() gives EAGAIN");
	check(associate(port, fds[1], 0) == EAGAIN,
	    "and so does port_associate()");
	check(associate(port, fds[0], POLLIN) == 0,
	    "but an association may be changed");
	check(look(port, list) == 2 && port_send(port, 3, NULL) == 0 &&
		  associate(port, fds[1], 0) == 0,
	    "taking events makes room");
	check(error_of(port_send(port, 4, NULL)) == EAGAIN, "only that much");
	(void)close(fds[1]);
	check(port_send(port, 4, NULL) == 0, "close() makes room");
	(void)close(fds[0]);
	(void)close(port);
}

static void
test_default_limit(void)
{
	int port = new_port(), sent = 0;

	while (sent < 70000 && port_send(port, 0, NULL) == 0)
		sent++;
	check(sent == 65536, "a port takes 65536 events by default");
	(void)close(port);
}

static void
test_sending_to_several(void)
{
	int a = new_port(), b = new_port(), fds[2], errors[4] = {9, 9, 9, 9};
	port_event_t list[MANY];

	new_pipe(fds);
	check(port_sendn((int[]){a, b}, errors, 2, 5, NULL) == 2 &&
		  errors[0] == 9 && look(a, list) == 1 && look(b, list) == 1,
	    "port_sendn() sends to every port");
	check(port_sendn((int[]){a, fds[0], -1, b}, errors, 4, 5, NULL) == 2 &&
		  errors[0] == 0 && errors[1] == EBADFD && errors[2] == EBADF &&
		  errors[3] == 0,
	    "and tells which were none");
	check(port_sendn(&a, errors, 0, 0, NULL) == -1 && errno == EINVAL,
	    "to nobody: EINVAL");
	close_both(fds);
	(void)close(a);
	(void)close(b);
}

/* Forks */

/* The child's answers, as bits; then it is gone. */
static int
child_status(pid_t child)
{
	int status = 0;

	must(waitpid(child, &status, 0), "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int
act_as_child(int port, const int fds[2], int closed, int idle)
{
	int wrong = 0;

	if (dissociate(port, fds[0]) != EACCES)
		wrong |= 1;
	(void)close(closed);
	if (dissociate(port, closed) != EBADFD)
		wrong |= 2;
	if (dup2(fds[1], idle) != idle || dissociate(port, idle) != ENOENT)
		wrong |= 4;
	(void)close(port);
	if (associate(port, fds[0], POLLIN) != EBADF)
		wrong |= 8;
	port = port_create();
	if (associate(port, fds[0], POLLIN) != 0 || !only(port, fds[0], POLLIN))
		wrong |= 16;
	return wrong;
}

static void
test_fork(void)
{
	int port = new_port(), fds[2], closed[2], idle[2], wrong;
	port_event_t list[MANY];
	pid_t child;

	new_pipe(fds);
	new_pipe(closed);
	new_pipe(idle);
	put(fds[1]);
	(void)associate(port, fds[0], POLLIN);
	(void)associate(port, closed[0], POLLIN);
	(void)associate(port, idle[0], POLLIN);
	child = must(fork(), "fork");
	if (child == 0)
		_exit(act_as_child(port, fds, closed[0], idle[0]));
	wrong = child_status(child);
	check((wrong & 1) == 0, "a child may not dissociate: EACCES");
	check((wrong & 2) == 0, "what it closed is EBADFD to it");
	check((wrong & 4) == 0, "what it replaced is ENOENT to it");
	check((wrong & 8) == 0, "what it closed as a port is none to it");
	check((wrong & 16) == 0, "a port of its own works");
	put(closed[1]);
	put(idle[1]);
	check(look(port, list) == 3, "the parent keeps all its associations");
	close_both(fds);
	close_both(closed);
	close_both(idle);
	(void)close(port);
}

/* On illumos it would disturb the parent; here it is an error of the test. */
static void
test_use_of_inherited(void)
{
	const struct rlimit no_core = {0, 0};
	int port = new_port(), status = 0;
	pid_t child = must(fork(), "fork");

	if (child == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)close(STDERR_FILENO);
		(void)port_send(port, 1, NULL);
		_exit(0);
	}
	must(waitpid(child, &status, 0), "waitpid");
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
	    "a child that sends to its parent's port is stopped");
	check(nothing(port), "and has sent nothing");
	(void)close(port);
}

static void
test_fork_beside_waiter(void)
{
	int port = new_port();
	pthread_t thread;
	void *result;
	pid_t child;

	pthread_create(&thread, NULL, wait_for_one, &port);
	pause_ns(20 * MS);
	child = must(fork(), "fork");
	if (child == 0)
		_exit(close(port) != 0);
	check(child_status(child) == 0,
	    "a child closes a port in which its parent waits");
	(void)port_send(port, 1, NULL);
	pthread_join(thread, &result);
	check(result != NULL, "and the parent waits on");
	(void)close(port);
}

/* The port's descriptor */

static void
test_descriptor(void)
{
	int before = count_descriptors(), port = new_port(), fds[2], made;
	port_event_t list[MANY];

	made = count_descriptors() - before;
	check(made >= 1 && made <= 4, "a port has few descriptors");
	check((fcntl(port, F_GETFD) & FD_CLOEXEC) == 0,
	    "the port's own is not closed on exec");
	for (int fd = 0; fd < 1024; fd++)
		if (fd > 2 && fd != port && fcntl(fd, F_GETFD) != -1)
			made -= (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
	check(made == 1, "the hidden ones are");
	new_pipe(fds);
	before = count_descriptors();
	(void)associate(port, fds[0], POLLIN);
	check(count_descriptors() == before, "an association has none");
	check(!readable(port), "without events the port is not readable");
	(void)port_send(port, 1, NULL);
	check(readable(port), "with a user's event it is");
	check(look(port, list) == 1 && !readable(port), "until that is taken");
	put(fds[1]);
	check(readable(port), "with a source that is ready it is");
	check(only(port, fds[0], POLLIN) && !readable(port),
	    "until that is taken, though there is data");
	close_both(fds);
	before = count_descriptors();
	(void)close(port);
	check(count_descriptors() < before - 1 || made != 1,
	    "close() closes the hidden ones");
}

static void
test_nesting(void)
{
	int outer = new_port(), inner = new_port(), set;
	struct epoll_event event = {.events = EPOLLIN};
	port_event_t list[MANY];

	set = must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	must(epoll_ctl(set, EPOLL_CTL_ADD, outer, &event), "epoll_ctl");
	check(associate(outer, inner, POLLIN) == 0 && nothing(outer) &&
		  epoll_wait(set, &event, 1, 0) == 0,
	    "a port may be associated with another, and is silent");
	(void)port_send(inner, 1, NULL);
	check(epoll_wait(set, &event, 1, 0) == 1, "its event reaches epoll");
	check(only(outer, inner, POLLIN), "and the other port");
	check(epoll_wait(set, &event, 1, 0) == 0, "which is then silent");
	check(associate(outer, inner, POLLIN) == 0 && look(inner, list) == 1 &&
		  only(outer, inner, POLLIN),
	    "an event of a port is a snapshot too");
	(void)associate(outer, inner, POLLIN);
	(void)close(inner);
	check(nothing(outer), "closing the inner port dissociates it");
	(void)close(set);
	(void)close(outer);
}

/* Kinds of descriptors */

static void
test_files(void)
{
	int port = new_port(), file, directory, null;

	file = must(open("/proc/self/exe", O_RDONLY), "open");
	directory = must(open("/", O_RDONLY), "open");
	null = must(open("/dev/null", O_RDWR), "open");
	check(associate(port, file, POLLIN) == 0 && only(port, file, POLLIN),
	    "a regular file is ready at once");
	check(associate(port, file, POLLIN | POLLOUT) == 0 &&
		  only(port, file, POLLIN | POLLOUT),
	    "and every time, for all that is asked");
	check(associate(port, file, 0) == 0 && nothing(port) &&
		  dissociate(port, file) == 0,
	    "with no events asked for it is silent, but associated");
	check(associate(port, directory, POLLIN) == 0 &&
		  only(port, directory, POLLIN),
	    "a directory is ready at once");
	check(associate(port, null, POLLOUT) == 0 && only(port, null, POLLOUT),
	    "/dev/null is ready at once");
	(void)close(file);
	(void)close(directory);
	(void)close(null);
	(void)close(port);
}

static void
test_fifo(void)
{
	char directory[] = "/tmp/test-port-XXXXXX", path[64];
	int port = new_port(), fd, false_reports = 0, fds[2];

	if (mkdtemp(directory) == NULL)
		must(-1, "mkdtemp");
	(void)snprintf(path, sizeof(path), "%s/fifo", directory);
	must(mkfifo(path, 0600), "mkfifo");
	fd = must(open(path, O_RDWR | O_NONBLOCK), "open");
	for (int i = 0; i < 20; i++) {
		(void)associate(port, fd, POLLIN);
		false_reports += only(port, fd, POLLIN);
	}
	check(false_reports == 4, "a FIFO is sometimes readable falsely");
	for (int i = 0; i < 20; i++) {
		(void)associate(port, fd, POLLPRI);
		false_reports += !nothing(port);
	}
	check(false_reports == 4, "but not if that is not asked for");
	new_pipe(fds);
	for (int i = 0; i < 20; i++) {
		(void)associate(port, fds[0], POLLIN);
		false_reports += !nothing(port);
	}
	check(false_reports == 4, "and a pipe never");
	close_both(fds);
	(void)close(fd);
	(void)unlink(path);
	(void)rmdir(directory);
	(void)close(port);
}

/* A listening TCP socket and its address. */
static int
listener(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");

	*address = (struct sockaddr_in){
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	must(bind(fd, (struct sockaddr *)address, length), "bind");
	must(listen(fd, 1), "listen");
	must(getsockname(fd, (struct sockaddr *)address, &length),
	    "getsockname");
	return fd;
}

static void
test_connected(int port, int fd, int server)
{
	int peer = must(accept(server, NULL, NULL), "accept");

	check(associate(port, fd, POLLIN) == 0 && nothing(port),
	    "a connected one without data is silent");
	put(peer);
	check(only(port, fd, POLLIN), "until data comes");
	(void)associate(port, fd, POLLIN | POLLRDHUP);
	check(only(port, fd, POLLIN), "POLLRDHUP is not there before the end");
	drain(fd);
	(void)associate(port, fd, POLLRDHUP);
	must(shutdown(peer, SHUT_WR), "shutdown");
	pause_ns(5 * MS);
	check(only(port, fd, POLLRDHUP), "and is at the peer's end");
	must(shutdown(fd, SHUT_WR), "shutdown");
	pause_ns(5 * MS);
	check(associate(port, fd, 0) == 0 && only(port, fd, POLLHUP),
	    "the end of both ways is POLLHUP");
	(void)close(peer);
}

static void
test_unconnected(void)
{
	int port = new_port(), fd, server;
	struct sockaddr_in address;

	server = listener(&address);
	fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
	check(associate(port, fd, POLLIN | POLLOUT) == 0 && !readable(port) &&
		  nothing(port) && !readable(port),
	    "a TCP socket that was never connected is silent");
	check(associate(port, fd, 0) == 0 && nothing(port) && !readable(port),
	    "also with no events asked for");
	check(associate(port, fd, POLLOUT) == 0 && dissociate(port, fd) == 0 &&
		  associate(port, fd, POLLOUT) == 0 && nothing(port),
	    "also if it is dissociated in between");
	(void)connect(fd, (struct sockaddr *)&address, sizeof(address));
	pause_ns(5 * MS);
	check(readable(port) && only(port, fd, POLLOUT),
	    "being connected makes it writable");
	test_connected(port, fd, server);
	(void)close(fd);
	(void)close(server);
	fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
	(void)associate(port, fd, POLLIN);
	(void)connect(fd, (struct sockaddr *)&address, sizeof(address));
	pause_ns(5 * MS);
	check(only(port, fd, POLLIN | POLLHUP | POLLERR),
	    "a refused one says so");
	(void)close(fd);
	(void)close(port);
}

/* An association from before the connection is one for data that comes. */
static void
test_connected_later(void)
{
	int port = new_port(), fd, server, peer;
	struct sockaddr_in address;

	server = listener(&address);
	fd = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
	(void)associate(port, fd, POLLIN);
	(void)connect(fd, (struct sockaddr *)&address, sizeof(address));
	peer = must(accept(server, NULL, NULL), "accept");
	check(nothing(port), "a connection is no data");
	put(peer);
	pause_ns(5 * MS);
	check(
	    only(port, fd, POLLIN), "data is, for an association from before");
	(void)close(peer);
	(void)close(fd);
	(void)close(server);
	(void)close(port);
}

/* Threads */

struct crowd {
	int port;
	atomic_int taken;
	atomic_int calls;
};

/* Takes events until one says 0. */
static void *
take_events(void *argument)
{
	struct crowd *c = argument;
	port_event_t event;

	for (;;) {
		uint_t count = 1;

		if (port_getn(c->port, &event, 1, &count, NULL) != 0)
			return NULL;
		atomic_fetch_add(&c->calls, 1);
		if (event.portev_events == 0)
			return argument;
		atomic_fetch_add(&c->taken, 1);
	}
}

static void
test_one_waiter_each(void)
{
	struct crowd c = {.port = new_port()};
	pthread_t threads[THREADS];
	struct rusage before, after;
	long woken;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, take_events, &c);
	pause_ns(30 * MS);
	(void)getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < 50; i++) {
		(void)port_send(c.port, 1, NULL);
		pause_ns(MS);
	}
	(void)getrusage(RUSAGE_SELF, &after);
	woken = after.ru_nvcsw - before.ru_nvcsw;
	check(atomic_load(&c.taken) == 50 && atomic_load(&c.calls) == 50,
	    "each event goes to one of several waiters");
	/* This thread, the leader, its successor, and some for the lock. */
	check(woken < 50 * 6, "and wakes few");
	for (int i = 0; i < THREADS; i++)
		(void)port_send(c.port, 0, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check(nothing(c.port), "every waiter ends by an event of its own");
	(void)close(c.port);
}

#define SOURCES 16
#define ROUNDS  2000

struct storm {
	int port;
	int fds[SOURCES][2];
	atomic_int sent, got, wrong;
};

/* Consumes the event and associates its source again. False at the end. */
static bool
serve_one(struct storm *s, const port_event_t *event)
{
	int fd = (int)event->portev_object;
	char byte;

	if (event->portev_source == PORT_SOURCE_USER)
		return false;
	if (read(fd, &byte, 1) == 1)
		atomic_fetch_add(&s->got, 1);
	else
		atomic_fetch_add(&s->wrong, 1);
	(void)associate(s->port, fd, POLLIN);
	return true;
}

/* Until the end, which it passes on. */
static void *
serve(void *argument)
{
	struct storm *s = argument;
	timespec_t time = interval(SECOND);
	bool more = true;

	while (more) {
		port_event_t list[3];
		uint_t count = 1;
		int error = error_of(
		    port_getn(s->port, list, 3, &count, &time));

		if (error != 0 && error != ETIME)
			break;
		for (uint_t i = 0; i < count; i++)
			more &= serve_one(s, &list[i]);
	}
	(void)port_send(s->port, 0, NULL);
	return NULL;
}

static void *
feed(void *argument)
{
	struct storm *s = argument;

	for (int i = 0; i < ROUNDS; i++) {
		put(s->fds[i % SOURCES][1]);
		atomic_fetch_add(&s->sent, 1);
		if (i % 64 == 0)
			pause_ns(MS / 10);
	}
	return NULL;
}

static void
test_storm(void)
{
	static struct storm s;
	pthread_t threads[THREADS], feeders[2];
	int64_t give_up = now_ns() + 20 * SECOND;

	s.port = new_port();
	for (int i = 0; i < SOURCES; i++) {
		new_pipe(s.fds[i]);
		(void)associate(s.port, s.fds[i][0], POLLIN);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, serve, &s);
	for (int i = 0; i < 2; i++)
		pthread_create(&feeders[i], NULL, feed, &s);
	for (int i = 0; i < 2; i++)
		pthread_join(feeders[i], NULL);
	while (atomic_load(&s.got) < 2 * ROUNDS && now_ns() < give_up)
		pause_ns(MS);
	(void)port_send(s.port, 0, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	check(atomic_load(&s.got) == 2 * ROUNDS, "nothing is lost in a storm");
	check(atomic_load(&s.wrong) == 0, "and nothing is delivered twice");
	for (int i = 0; i < SOURCES; i++)
		close_both(s.fds[i]);
	(void)close(s.port);
}

struct wanting {
	int port;
	uint_t wanted;
	atomic_int *done;
};

static void *
want(void *argument)
{
	struct wanting *w = argument;
	port_event_t list[8];
	uint_t count = w->wanted;

	if (port_getn(w->port, list, w->wanted, &count, NULL) == 0 &&
	    count == w->wanted)
		atomic_fetch_add(w->done, 1);
	return NULL;
}

/* Waiters that want 3, 2 and 1 events, the first of which is the leader. */
static void
test_different_wants(void)
{
	int port = new_port(), fds[2];
	atomic_int done = 0;
	struct wanting w[3];
	pthread_t threads[3];

	new_pipe(fds);
	(void)associate(port, fds[0], POLLIN);
	for (uint_t i = 0; i < 3; i++) {
		w[i] = (struct wanting){port, 3 - i, &done};
		pthread_create(&threads[i], NULL, want, &w[i]);
		pause_ns(10 * MS);
	}
	put(fds[1]);
	pause_ns(20 * MS);
	check(atomic_load(&done) == 1, "one event is enough for who wants one");
	(void)port_send(port, 1, NULL);
	pause_ns(20 * MS);
	check(atomic_load(&done) == 1, "and not for who wants two");
	(void)port_send(port, 1, NULL);
	pause_ns(20 * MS);
	check(atomic_load(&done) == 2, "who then gets both");
	for (int i = 0; i < 3; i++)
		(void)port_send(port, 1, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	check(atomic_load(&done) == 3 && nothing(port), "nobody is forgotten");
	close_both(fds);
	(void)close(port);
}

static void *
associate_later(void *argument)
{
	struct sender *s = argument;

	pause_ns(s->delay);
	(void)associate(s->port, s->count, POLLIN);
	return NULL;
}

static void
test_changes_beside_waiter(void)
{
	int port = new_port(), fds[2];
	struct sender s = {.port = port, .delay = 20 * MS};
	port_event_t event;
	uint_t count = 1;
	pthread_t thread;

	new_pipe(fds);
	put(fds[1]);
	s.count = fds[0];
	pthread_create(&thread, NULL, associate_later, &s);
	check(port_getn(port, &event, 1, &count, NULL) == 0 && count == 1,
	    "an association that is ready reaches a blocked call");
	pthread_join(thread, NULL);
	drain(fds[0]);
	pthread_create(&thread, NULL, wait_for_one, &port);
	pause_ns(10 * MS);
	(void)associate(port, fds[0], POLLIN);
	pause_ns(10 * MS);
	put(fds[1]);
	check(pthread_join(thread, NULL) == 0,
	    "one that becomes ready later does, too");
	close_both(fds);
	(void)close(port);
}

/* The thread that waits longest leaves, and sources concern the others. */
static void
test_successors(void)
{
	struct crowd c = {.port = new_port()};
	pthread_t threads[THREADS];
	int64_t give_up = now_ns() + 5 * SECOND;
	int fds[2];

	new_pipe(fds);
	(void)associate(c.port, fds[0], POLLIN);
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&threads[i], NULL, take_events, &c);
		pause_ns(10 * MS);
	}
	for (int i = 1; i < THREADS; i++) {
		(void)port_send(c.port, 0, NULL);
		pause_ns(20 * MS);
		put(fds[1]);
		while (atomic_load(&c.taken) < i && now_ns() < give_up)
			pause_ns(MS);
		drain(fds[0]);
		(void)associate(c.port, fds[0], POLLIN);
	}
	check(atomic_load(&c.taken) == THREADS - 1,
	    "when a waiter has left, sources reach those that stay");
	(void)port_send(c.port, 0, NULL);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close_both(fds);
	(void)close(c.port);
}

/* Timers */

#define COOKIE ((void *)(uintptr_t)77)

/* 0 or the error. */
static int
new_timer(int port, clockid_t clock, timer_t *timer)
{
	port_notify_t to = {.portnfy_port = port, .portnfy_user = COOKIE};
	struct sigevent how;

	memset(&how, 0, sizeof(how));
	how.sigev_notify = SIGEV_PORT;
	how.sigev_value.sival_ptr = &to;
	return error_of(timer_create(clock, &how, timer));
}

/* For the first time after first nanoseconds, and then every so many. */
static int
set_timer(timer_t timer, int64_t first, int64_t every)
{
	struct itimerspec when = {interval(every), interval(first)};

	return error_of(timer_settime(timer, 0, &when, NULL));
}

/* Whether the only event is of that timer, expired so often. */
static bool
only_expired(int port, timer_t timer, int times)
{
	port_event_t list[MANY];

	return look(port, list) == 1 &&
	       list[0].portev_source == PORT_SOURCE_TIMER &&
	       list[0].portev_object == (uintptr_t)timer &&
	       list[0].portev_user == COOKIE && list[0].portev_events == times;
}

static void
test_timer(void)
{
	int port = new_port();
	timespec_t limit = interval(5 * SECOND);
	port_event_t event = {0};
	int64_t start;
	timer_t timer;

	check(new_timer(port, CLOCK_MONOTONIC, &timer) == 0 &&
		  set_timer(timer, 0, 0) == 0 && nothing(port),
	    "a timer that is not set is silent");
	start = now_ns();
	check(set_timer(timer, 20 * MS, 0) == 0 && nothing(port) &&
		  !readable(port),
	    "one that is set too");
	check(port_get(port, &event, &limit) == 0 &&
		  event.portev_source == PORT_SOURCE_TIMER &&
		  event.portev_object == (uintptr_t)timer &&
		  event.portev_user == COOKIE && event.portev_events == 1 &&
		  now_ns() - start >= 20 * MS,
	    "until its time has come");
	pause_ns(30 * MS);
	check(nothing(port), "which is once");
	check(
	    set_timer(timer, 1, 0) == 0 && port_get(port, &event, &limit) == 0,
	    "and again when it is set again");
	(void)timer_delete(timer);
	(void)close(port);
}

static void
test_timer_set_again(void)
{
	int port = new_port(), before = count_descriptors();
	timespec_t limit = interval(5 * SECOND);
	port_event_t event = {0};
	timer_t timer;

	(void)new_timer(port, CLOCK_MONOTONIC, &timer);
	(void)set_timer(timer, 10 * MS, 10 * MS);
	pause_ns(55 * MS);
	check(readable(port) && port_get(port, &event, &limit) == 0 &&
		  event.portev_events >= 5,
	    "an event counts how often it has expired");
	(void)set_timer(timer, 1, 0);
	pause_ns(5 * MS);
	check(set_timer(timer, 0, 0) == 0 && only_expired(port, timer, 1),
	    "setting it leaves the event that is queued");
	(void)set_timer(timer, 10 * MS, 0);
	check(set_timer(timer, 0, 0) == 0, "zero turns it off");
	pause_ns(20 * MS);
	check(nothing(port), "so that it stays silent");
	(void)set_timer(timer, 1, 0);
	pause_ns(5 * MS);
	check(readable(port) && error_of(timer_delete(timer)) == 0 &&
		  nothing(port) && !readable(port),
	    "deleting it drops the event");
	check(count_descriptors() == before, "and leaves nothing");
	check(error_of(timer_delete(timer)) == EINVAL &&
		  set_timer(timer, 1, 0) == EINVAL,
	    "it is EINVAL then");
	(void)close(port);
}

static void
test_timer_arguments(void)
{
	int port = new_port(), fds[2];
	struct sigevent how;
	timer_t timer;

	new_pipe(fds);
	check(new_timer(fds[0], CLOCK_MONOTONIC, &timer) == EBADFD,
	    "a timer for what is no port: EBADFD");
	check(new_timer(port, -77, &timer) == EINVAL, "no such clock: EINVAL");
	memset(&how, 0, sizeof(how));
	how.sigev_notify = 99;
	check(error_of(timer_create(CLOCK_MONOTONIC, &how, &timer)) == EINVAL,
	    "no such notification: EINVAL");
	check(new_timer(port, CLOCK_REALTIME, &timer) == 0, "the other clock");
	check(set_timer(timer, -1, 0) == EINVAL &&
		  set_timer(timer, 5 * MS, 0) == 0,
	    "a negative time: EINVAL");
	pause_ns(10 * MS);
	check(only_expired(port, timer, 1), "which works too");
	(void)timer_delete(timer);
	(void)setenv("POLLING_EMULATION_PORT_UNPRIVILEGED", "1", 1);
	check(new_timer(port, CLOCK_MONOTONIC, &timer) == EPERM &&
		  new_timer(port, CLOCK_REALTIME, &timer) == 0,
	    "the unprivileged may not have the monotonic clock");
	(void)unsetenv("POLLING_EMULATION_PORT_UNPRIVILEGED");
	(void)timer_delete(timer);
	close_both(fds);
	(void)close(port);
}

static void
test_timer_of_closed_port(void)
{
	int before = count_descriptors(), port = new_port(), status;
	timer_t timer, other;
	pid_t child;

	(void)new_timer(port, CLOCK_MONOTONIC, &timer);
	(void)set_timer(timer, 1, 0);
	pause_ns(5 * MS);
	child = must(fork(), "fork");
	if (child == 0) {
		(void)close(port);
		_exit((count_descriptors() == before ? 0 : 1) |
		      (set_timer(timer, 0, 0) == EINVAL ? 0 : 2));
	}
	status = child_status(child);
	check((status & 1) == 0, "a child has no descriptors of timers");
	check((status & 2) == 0, "and no timers of its parent");
	check(only_expired(port, timer, 1), "who keeps them");
	(void)set_timer(timer, 1, 0);
	(void)close(port);
	check(count_descriptors() == before, "closing the port leaves nothing");
	check(set_timer(timer, 1, 0) == 0, "but the timer, which tells nobody");
	port = new_port();
	(void)new_timer(port, CLOCK_MONOTONIC, &other);
	pause_ns(5 * MS);
	check(other != timer && nothing(port), "nor the next port");
	check(error_of(timer_delete(timer)) == 0, "and can be deleted");
	(void)timer_delete(other);
	(void)setenv("POLLING_EMULATION_PORT_LIMIT", "1", 1);
	(void)close(port);
	port = new_port();
	(void)unsetenv("POLLING_EMULATION_PORT_LIMIT");
	check(new_timer(port, CLOCK_MONOTONIC, &timer) == 0 &&
		  error_of(port_send(port, 1, NULL)) == EAGAIN &&
		  new_timer(port, CLOCK_MONOTONIC, &other) == EAGAIN,
	    "a timer counts against the limit of the port");
	(void)timer_delete(timer);
	check(error_of(port_send(port, 1, NULL)) == 0, "until it is deleted");
	(void)close(port);
}

/* Resources */

static void
test_descriptors_run_out(void)
{
	struct rlimit limit, small;
	int before = count_descriptors(), free_fd = 0, made = 0, refused = 0;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	while (fcntl(free_fd, F_GETFD) != -1)
		free_fd++;
	for (int room = 0; room < 8; room++) {
		int port;

		small = limit;
		small.rlim_cur = (rlim_t)(free_fd + room);
		(void)setrlimit(RLIMIT_NOFILE, &small);
		port = port_create();
		refused += port < 0 && errno == EMFILE;
		made += port >= 0;
		if (port >= 0)
			(void)close(port);
	}
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	check(refused > 0 && made > 0 && refused + made == 8,
	    "without descriptors port_create() gives EMFILE");
	check(count_descriptors() == before, "and leaves none");
}

static void
test_cycles(void)
{
	int before = count_descriptors(), fds[2], first, last = -1;
	bool right = true;

	new_pipe(fds);
	put(fds[1]);
	first = new_port();
	(void)close(first);
	for (int i = 0; i < 2000; i++) {
		last = new_port();
		right &= associate(last, fds[0], POLLIN) == 0 &&
			 port_send(last, 1, NULL) == 0;
		(void)close(last);
	}
	close_both(fds);
	check(right && first == last && count_descriptors() == before,
	    "ports with events and associations come and go");
}

/* To be called first: only the first port_create() of a program asks. */
static void
test_personality(void)
{
	pid_t child = must(fork(), "fork");

	if (child == 0) {
		setenv("POLLING_EMULATION", "another", 1);
		(void)close(STDERR_FILENO);
		(void)port_create();
		_exit(1);
	}
	check(child_status(child) == 2, "another personality: exit status 2");
}

int
main(void)
{
	static void (*const tests[])(void) = {test_personality, test_one_shot,
	    test_dropping, test_snapshot, test_hangup, test_close, test_errors,
	    test_closed_port, test_counts, test_arguments, test_times,
	    test_waiting_for_several, test_late_reports, test_signals,
	    test_handlers_anywhere, test_limit, test_default_limit,
	    test_sending_to_several, test_fork, test_use_of_inherited,
	    test_fork_beside_waiter, test_descriptor, test_nesting, test_files,
	    test_fifo, test_unconnected, test_connected_later,
	    test_one_waiter_each, test_storm, test_different_wants,
	    test_changes_beside_waiter, test_successors, test_timer,
	    test_timer_set_again, test_timer_arguments,
	    test_timer_of_closed_port, test_descriptors_run_out, test_cycles};

	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		tests[i]();
	(void)printf("%d checks, %d failed\n", checks, failures);
	return failures != 0;
}
