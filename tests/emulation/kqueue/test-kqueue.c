/* SPDX-License-Identifier: MIT */
/*
 * test-kqueue.c - proves the emulation of kqueue, for the system that
 * POLLING_EMULATION names.
 *
 * One check for each thing that is known of the real kernels. It prints a
 * line for each, and fails if one fails.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* pipe2, F_SETPIPE_SZ, posix_openpt */
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sys/event.h>

#define MARK(n) ((void *)(uintptr_t)(n))

static const char *os;
static int passed, failed;
static int kq; /* of the current group of checks */

static bool
is(const char *name)
{
	return strcmp(os, name) == 0;
}

/* FreeBSD and macOS, as far as changes are concerned. */
static bool
overwrites(void)
{
	return is("freebsd") || is("macos");
}

static void
check(bool holds, const char *what)
{
	printf("%s%s\n", holds ? "ok: " : "FAILED: ", what);
	(void)fflush(stdout);
	if (holds)
		passed++;
	else
		failed++;
}

/* What the checks need and do not test. */
static void
need(bool holds, const char *what)
{
	if (holds)
		return;
	printf("FAILED: %s: %s\n", what, strerror(errno));
	exit(1);
}

#define NEED(call) need((call), #call)

static void
sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	while (nanosleep(&t, &t) != 0)
		continue;
}

static int64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
begin(void)
{
	kq = kqueue();
	NEED(kq >= 0);
}

static void
end(void)
{
	NEED(close(kq) == 0);
}

static int
wait_in(int queue, struct kevent *events, int room, int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	return kevent(queue, NULL, 0, events, room, ms < 0 ? NULL : &t);
}

/* A change without room for answers: 0 or the errno. */
static int
change(
    int fd, short filter, int flags, unsigned fflags, int64_t data, void *udata)
{
	struct kevent c;

	EV_SET(&c, (uintptr_t)fd, filter, (unsigned short)flags, fflags, data,
	    udata);
	return kevent(kq, &c, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

static int
add(int fd, short filter, int flags)
{
	return change(fd, filter, EV_ADD | flags, 0, 0, MARK(fd));
}

/* One event is there, and only one: stored in *event, which is empty if none
 * is. */
static bool
one(struct kevent *event)
{
	struct kevent events[4] = {{0}};
	int n = wait_in(kq, events, 4, 0);

	*event = events[0];
	return n == 1;
}

static bool
some(void)
{
	struct kevent event;

	return one(&event);
}

static bool
none(void)
{
	struct kevent event;

	return wait_in(kq, &event, 1, 0) == 0;
}

static bool
readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1 && p.revents == POLLIN;
}

/* Things to watch */

static void
make_pipe(int fds[2])
{
	NEED(pipe2(fds, O_NONBLOCK | O_CLOEXEC) == 0);
}

static void
make_pair(int fds[2])
{
	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
}

static void
put(int fd, size_t count)
{
	static const char bytes[65536];

	NEED(write(fd, bytes, count) == (ssize_t)count);
}

static void
get(int fd, size_t count)
{
	static char bytes[65536];

	NEED(read(fd, bytes, count) == (ssize_t)count);
}

static void
close_both(const int fds[2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static int
tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	NEED(fd >= 0);
	return fd;
}

static int
bound(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int fd = tcp_socket();

	memset(address, 0, sizeof *address);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	NEED(bind(fd, (struct sockaddr *)address, length) == 0);
	NEED(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	return fd;
}

static void
connect_to(int fd, const struct sockaddr_in *address)
{
	NEED(connect(fd, (const struct sockaddr *)address, sizeof *address) ==
		 0 ||
	     errno == EINPROGRESS);
	sleep_ms(5);
}

static void
make_tcp(int fds[2])
{
	struct sockaddr_in address;
	int listener = bound(&address);

	NEED(listen(listener, 5) == 0);
	fds[0] = tcp_socket();
	connect_to(fds[0], &address);
	fds[1] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	NEED(fds[1] >= 0);
	(void)close(listener);
}

static void
reset(int fd)
{
	struct linger linger = {.l_onoff = 1};

	NEED(
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
	(void)close(fd);
	sleep_ms(5);
}

static int
socket_error(int fd)
{
	int error = 0;
	socklen_t length = sizeof error;

	NEED(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0);
	return error;
}

/* Layout and errors */

static void
check_flags(void)
{
	struct kevent e;
	int fds[2];

	begin();
	make_pipe(fds);
	put(fds[1], 5);
	NEED(
	    change(fds[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0, MARK(7)) == 0);
	check(one(&e) && e.ident == (uintptr_t)fds[0] &&
		  e.filter == EVFILT_READ && e.data == 5 && e.fflags == 0 &&
		  e.udata == MARK(7),
	    "an event tells ident, filter, data and udata");
	check(!!(e.flags & EV_ADD) == (is("netbsd") || is("openbsd")),
	    "NetBSD and OpenBSD return EV_ADD, others do not");
	check((e.flags & ~EV_ADD) == EV_CLEAR,
	    "the other flags are those of the knote");
	close_both(fds);
	end();
}

static void
check_errors(void)
{
	struct kevent c[3], e[3];
	int fds[2], n;

	begin();
	make_pipe(fds);
	put(fds[1], 1);
	EV_SET(&c[0], (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, NULL);
	EV_SET(&c[1], (uintptr_t)fds[0], EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
	EV_SET(&c[2], (uintptr_t)fds[1], EVFILT_WRITE, EV_ADD, 0, 0, NULL);
	n = kevent(kq, c, 3, e, 3, NULL);
	check(n == 1 && (e[0].flags & EV_ERROR) && e[0].data == ENOENT &&
		  e[0].filter == EVFILT_WRITE &&
		  e[0].ident == (uintptr_t)fds[0],
	    "a call that yields EV_ERROR returns only that");
	check(wait_in(kq, e, 3, 0) == 2, "the changes around it are applied");
	EV_SET(&c[0], (uintptr_t)fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL);
	EV_SET(&c[2], (uintptr_t)fds[1], EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
	n = kevent(kq, c, 3, NULL, 0, NULL);
	check(n == -1 && errno == ENOENT,
	    "without room for EV_ERROR the call fails with that errno");
	check(wait_in(kq, e, 3, 0) == 1 && e[0].filter == EVFILT_WRITE,
	    "and later changes are skipped, but not those before");
	close_both(fds);
	end();
}

static void
check_receipts(void)
{
	struct kevent c, e[2];
	int fds[2];

	begin();
	make_pipe(fds);
	put(fds[1], 1);
	EV_SET(&c, (uintptr_t)fds[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0,
	    NULL);
	check(kevent(kq, &c, 1, e, 2, NULL) == 1 && (e[0].flags & EV_ERROR) &&
		  e[0].data == 0,
	    "EV_RECEIPT is answered without an error, and without events");
	EV_SET(&c, (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, NULL);
	check(kevent(kq, &c, 1, e, 2, NULL) == 1 && (e[0].flags & EV_ERROR) &&
		  e[0].data == 0,
	    "EV_RECEIPT sticks: a plain re-add is answered too");
	check(wait_in(kq, e, 2, 0) == 1 && !(e[0].flags & EV_ERROR),
	    "events come as ever");
	close_both(fds);
	end();
}

static void
check_arguments(void)
{
	static const struct timespec bad[] = {
	    {0, -1}, {0, 1000000000}, {-1, 0}};
	struct kevent e;
	int64_t start = now_ns();

	begin();
	check(kevent(kq, NULL, 0, NULL, 0, NULL) == 0,
	    "nevents 0 with a NULL timeout returns at once");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		check(kevent(kq, NULL, 0, &e, 1, &bad[i]) == -1 &&
			  errno == EINVAL,
		    "a bad timeout is EINVAL");
	check(wait_in(kq, &e, 1, 20) == 0 && now_ns() - start >= 20000000,
	    "a timeout is never early");
	check(kevent(0, NULL, 0, &e, 1, NULL) == -1 && errno == EBADF,
	    "a descriptor that is no kqueue is EBADF");
	check(change(kq, 42, EV_ADD, 0, 0, NULL) == EINVAL,
	    "an unknown filter is EINVAL");
	check(change(1, EVFILT_SIGNAL, EV_ADD, 0, 0, NULL) == EINVAL,
	    "and so are those that are not emulated");
	end();
}

/* Adding, enabling, oneshot */

static void
check_disabled(void)
{
	struct kevent e = {0};
	int fds[2];

	begin();
	make_pipe(fds);
	put(fds[1], 1);
	NEED(add(fds[0], EVFILT_READ, EV_DISABLE) == 0);
	check(
	    none() && !readable(kq), "a knote added with EV_DISABLE is silent");
	check(add(fds[0], EVFILT_READ, 0) == 0 && none(),
	    "EV_ADD does not enable a disabled knote");
	check(change(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, MARK(3)) == 0 &&
		  one(&e),
	    "EV_ENABLE does, and what is there is reported");
	check((e.udata == MARK(3)) == overwrites(),
	    "a change without EV_ADD replaces udata on FreeBSD and macOS");
	NEED(change(fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 5, NULL) == 0);
	NEED(none());
	NEED(change(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, NULL) == 0);
	check(some() == overwrites(), "and fflags with data");
	NEED(change(fds[0], EVFILT_READ, EV_DISABLE, 0, 0, NULL) == 0);
	check(none(), "EV_DISABLE silences it");
	check(
	    change(fds[0], EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0, NULL) == 0 &&
		some(),
	    "EV_ADD with EV_ENABLE enables");
	close_both(fds);
	end();
}

static void
check_dispatch(void)
{
	struct kevent e;
	int fds[2];

	begin();
	make_pipe(fds);
	put(fds[1], 1);
	NEED(add(fds[0], EVFILT_READ, EV_DISPATCH) == 0);
	check(one(&e) && none() && !readable(kq), "EV_DISPATCH reports once");
	check(add(fds[0], EVFILT_READ, EV_DISPATCH) == 0 && none(),
	    "EV_ADD does not arm it again");
	check(add(fds[0], EVFILT_READ, EV_ENABLE | EV_DISPATCH) == 0 &&
		  some() && none(),
	    "EV_ADD, EV_ENABLE and EV_DISPATCH do");
	NEED(change(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, NULL) == 0);
	check(
	    some() == !is("netbsd"), "EV_ENABLE alone does, except on NetBSD");
	if (is("netbsd")) {
		check(none(), "where it stays lost");
		put(fds[1], 1);
		check(some() && none(), "until new data comes");
		put(fds[1], 1);
		NEED(change(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, NULL) == 0);
		check(some(), "also if it came before EV_ENABLE");
	}
	check(add(fds[0], EVFILT_READ, EV_ENABLE) == 0 && some() && none(),
	    "a re-add without EV_DISPATCH does not take it away");
	close_both(fds);
	end();
}

static void
check_modes(void)
{
	struct kevent e;
	int fds[2];

	begin();
	make_pipe(fds);
	put(fds[1], 1);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	check(some() && some() && readable(kq), "level: again and again");
	get(fds[0], 1);
	check(!readable(kq) && none(), "until the data is gone");
	put(fds[1], 1);
	check(add(fds[0], EVFILT_READ, EV_CLEAR | EV_ONESHOT) == 0 && some() &&
		  some(),
	    "a re-add does not set EV_CLEAR or EV_ONESHOT");
	NEED(change(fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL) == 0);
	check(none() && !readable(kq), "EV_DELETE ends it");
	NEED(add(fds[0], EVFILT_READ, EV_CLEAR) == 0);
	check(some() && none() && !readable(kq), "EV_CLEAR: once");
	check(change(fds[0], EVFILT_READ, EV_ADD, 0, 0, MARK(9)) == 0 &&
		  one(&e) && e.udata == MARK(9) && (e.flags & EV_CLEAR),
	    "a re-add updates udata, keeps EV_CLEAR and arms the edge anew");
	check(none(), "and only once");
	put(fds[1], 1);
	check(some() && none(), "new data is a new edge");
	close_both(fds);
	end();
}

static void
check_edges(void)
{
	struct kevent e[2];
	int fds[2];

	begin();
	make_tcp(fds);
	NEED(add(fds[0], EVFILT_READ, EV_CLEAR) == 0);
	NEED(add(fds[0], EVFILT_WRITE, EV_CLEAR) == 0);
	check(one(e) && e[0].filter == EVFILT_WRITE && none(),
	    "EV_CLEAR: WRITE once");
	for (int i = 1; i <= 3; i++) {
		put(fds[1], 1);
		sleep_ms(5);
		check(one(e) && e[0].filter == EVFILT_READ && e[0].data == i,
		    "and data makes an event of READ only");
	}
	check(none() && !readable(kq), "one each");
	put(fds[1], 1);
	sleep_ms(5);
	get(fds[0], 4);
	check(none() && !readable(kq), "no event if the data is read already");
	close_both(fds);
	end();
}

static void
check_oneshot(void)
{
	struct kevent e[2];
	int fds[2];

	begin();
	make_pair(fds);
	put(fds[1], 1);
	NEED(add(fds[0], EVFILT_READ, EV_ONESHOT) == 0);
	NEED(add(fds[0], EVFILT_WRITE, 0) == 0);
	check(wait_in(kq, e, 2, 0) == 2, "READ and WRITE are two knotes");
	check(wait_in(kq, e, 2, 0) == 1 && e[0].filter == EVFILT_WRITE,
	    "a oneshot on one leaves the other");
	check(change(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, NULL) == ENOENT,
	    "EV_ENABLE on a knote that is gone is ENOENT");
	check(change(fds[0], EVFILT_READ, EV_DISABLE, 0, 0, NULL) == ENOENT,
	    "and so is EV_DISABLE");
	check(change(fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL) == ENOENT,
	    "and EV_DELETE");
	close_both(fds);
	check(change(fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL) == EBADF &&
		  change(fds[0], EVFILT_READ, EV_ENABLE, 0, 0, NULL) == EBADF &&
		  add(fds[0], EVFILT_READ, 0) == EBADF,
	    "on a closed number all are EBADF");
	end();
}

/* Descriptors */

static void
check_close(void)
{
	int fds[2], other[2], copy;

	begin();
	make_pair(fds);
	put(fds[1], 1);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	NEED(add(fds[0], EVFILT_WRITE, 0) == 0);
	copy = dup(fds[0]);
	(void)close(fds[0]);
	check(none() && !readable(kq),
	    "close drops the knotes, also with a duplicate alive");
	check(change(fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL) == EBADF,
	    "EV_DELETE then is EBADF");
	NEED(dup2(copy, fds[0]) == fds[0]);
	check(change(fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL) == ENOENT,
	    "or ENOENT if the number was used again");
	check(none(), "and nothing comes back");
	NEED(add(fds[0], EVFILT_READ, 0) == 0 && some());
	make_pair(other);
	NEED(dup2(other[0], fds[0]) == fds[0]);
	check(none() && !readable(kq), "dup2 over it drops them too");
	(void)close(copy);
	close_both(other);
	close_both(fds);
	end();
}

static void
nothing(int signal)
{
	(void)signal;
}

static void
handle(int number, void (*handler)(int))
{
	struct sigaction action = {
	    .sa_handler = handler, .sa_flags = SA_RESTART};

	NEED(sigaction(number, &action, NULL) == 0);
}

struct waiter {
	pthread_t thread;
	int ms;
	int result, error;
	int64_t took;
	struct kevent event;
	atomic_bool back;
};

static void *
wait_there(void *argument)
{
	struct waiter *w = argument;
	int64_t start = now_ns();

	w->result = wait_in(kq, &w->event, 1, w->ms);
	w->error = errno;
	w->took = now_ns() - start;
	atomic_store(&w->back, true);
	return NULL;
}

static void
start_waiter(struct waiter *w, int ms)
{
	memset(w, 0, sizeof *w);
	w->ms = ms;
	NEED(pthread_create(&w->thread, NULL, wait_there, w) == 0);
	sleep_ms(20);
}

static void
join(struct waiter *w)
{
	NEED(pthread_join(w->thread, NULL) == 0);
}

static void
check_closed_kqueue(void)
{
	struct waiter w, forever;
	int fds[2];

	begin();
	make_pipe(fds);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	start_waiter(&w, 100);
	start_waiter(&forever, -1);
	end();
	put(fds[1], 1);
	join(&w);
	check(w.result == 0 && w.took >= 100000000,
	    "closing a kqueue wakes nobody: the timeout ends the wait");
	check(!atomic_load(&forever.back), "or nothing does");
	handle(SIGUSR1, nothing);
	NEED(pthread_kill(forever.thread, SIGUSR1) == 0);
	join(&forever);
	check(forever.result == -1 && forever.error == EINTR, "but a signal");
	check(change(fds[0], EVFILT_READ, EV_ADD, 0, 0, NULL) == EBADF,
	    "a closed kqueue is EBADF");
	close_both(fds);
}

static void
check_fork(void)
{
	struct kevent e;
	int fds[2], status = -1;
	pid_t pid;

	begin();
	make_pipe(fds);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	NEED(add(fds[1], EVFILT_WRITE, EV_ONESHOT) == 0);
	NEED(change(0, EVFILT_USER, EV_ADD, 0, 0, NULL) == 0 || is("openbsd"));
	(void)change(0, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
	pid = fork();
	if (pid == 0) {
		bool closed = fcntl(kq, F_GETFD) < 0 &&
			      wait_in(kq, &e, 1, 0) == -1 && errno == EBADF;
		int own = kqueue();

		(void)close(fds[0]);
		_exit(closed && own >= 0 && close(own) == 0 ? 0 : 1);
	}
	NEED(waitpid(pid, &status, 0) == pid);
	check(status == 0, "a child finds the kqueue closed");
	put(fds[1], 1);
	check(wait_in(kq, (struct kevent[3]){{0}}, 3, 0) ==
		  (is("openbsd") ? 2 : 3),
	    "and the parent's is as it was");
	close_both(fds);
	end();
}

static void
check_nesting(void)
{
	struct kevent e;
	int inner, fds[2];

	begin();
	inner = kqueue();
	make_pipe(fds);
	check(add(inner, EVFILT_WRITE, 0) == EINVAL,
	    "EVFILT_WRITE on a kqueue is EINVAL");
	check(add(kq, EVFILT_READ, 0) == EINVAL, "a kqueue in itself too");
	NEED(add(inner, EVFILT_READ, 0) == 0);
	EV_SET(&e, (uintptr_t)kq, EVFILT_READ, EV_ADD, 0, 0, NULL);
	check(kevent(inner, &e, 1, NULL, 0, NULL) == -1 && errno == EINVAL,
	    "and a circle");
	check(none() && !readable(kq), "an empty kqueue is not readable");
	EV_SET(&e, (uintptr_t)fds[0], EVFILT_READ, EV_ADD, 0, 0, NULL);
	NEED(kevent(inner, &e, 1, NULL, 0, NULL) == 0);
	EV_SET(&e, (uintptr_t)inner, EVFILT_READ, EV_ADD, 0, 0, NULL);
	put(fds[1], 1);
	check(readable(inner) && readable(kq) && some(),
	    "one with an event is, for poll and for another kqueue");
	NEED(wait_in(inner, &e, 1, 0) == 1);
	get(fds[0], 1);
	check(!readable(inner) && !readable(kq) && none(),
	    "and not when it is gone");
	EV_SET(&e, (uintptr_t)fds[1], EVFILT_WRITE, EV_ADD, 0, 0, NULL);
	NEED(kevent(inner, &e, 1, NULL, 0, NULL) == 0);
	check(readable(inner) && readable(kq) && some(), "WRITE counts too");
	(void)close(inner);
	check(none() && !readable(kq), "closing the inner one drops it");
	close_both(fds);
	end();
}

static void
check_pipe_reader(void)
{
	struct kevent e;
	int fds[2];

	begin();
	make_pipe(fds);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	put(fds[1], 5);
	check(one(&e) && e.data == 5 && !(e.flags & EV_EOF),
	    "READ of a pipe tells how much there is");
	(void)close(fds[1]);
	check(one(&e) && e.data == 5 && (e.flags & EV_EOF),
	    "the writer closed: READ with EV_EOF and the data that is left");
	get(fds[0], 5);
	check(one(&e) && e.data == 0 && (e.flags & EV_EOF),
	    "EV_EOF stays without data");
	(void)close(fds[0]);
	make_pipe(fds);
	check(add(fds[0], EVFILT_WRITE, 0) == 0 && some() == !is("netbsd"),
	    "WRITE on a read end fires, but not on NetBSD");
	(void)close(fds[1]);
	check(one(&e) && (e.flags & EV_EOF), "and ends with the writer");
	(void)close(fds[0]);
	make_pipe(fds);
	check(add(fds[1], EVFILT_READ, 0) == 0 && none() && !readable(kq),
	    "READ on a write end is silent");
	(void)close(fds[0]);
	check(one(&e) && (e.flags & EV_EOF), "until the reader closes");
	(void)close(fds[1]);
	end();
}

static void
check_pipe_writer(void)
{
	struct kevent e;
	int fds[2];

	begin();
	make_pipe(fds);
	NEED(add(fds[1], EVFILT_WRITE, 0) == 0);
	check(one(&e) && e.data == 65536, "WRITE tells how much there is room");
	put(fds[1], 65536);
	check(none() && !readable(kq), "a full pipe is not ready");
	get(fds[0], 4095);
	check(none() && !readable(kq), "nor with less than 4096 bytes free");
	get(fds[0], 1);
	check(one(&e) && e.data == 4096, "but with them");
	(void)close(fds[0]);
	check(one(&e) && (e.flags & EV_EOF),
	    "the reader closed: WRITE with EV_EOF");
	check(some() == !is("freebsd"),
	    "FreeBSD then deletes the knote, others do not");
	check((change(fds[1], EVFILT_WRITE, EV_DELETE, 0, 0, NULL) == 0) ==
		  !is("freebsd"),
	    "which EV_DELETE tells");
	check(add(fds[1], EVFILT_WRITE, 0) == (is("netbsd") ? EBADF : EPIPE),
	    "adding WRITE after that is EPIPE, on NetBSD EBADF");
	(void)close(fds[1]);
	make_pipe(fds);
	NEED(fcntl(fds[1], F_SETPIPE_SZ, 4096) == 4096);
	put(fds[1], 1);
	NEED(add(fds[1], EVFILT_WRITE, 0) == 0);
	check(none(), "a pipe of 4096 bytes must be empty");
	get(fds[0], 1);
	check(some(), "to be ready");
	close_both(fds);
	end();
}

static void
check_fifo(void)
{
	char path[] = "/tmp/kqueue-XXXXXX", name[64];
	struct kevent e;
	int reader, writer;

	begin();
	NEED(mkdtemp(path) != NULL);
	(void)snprintf(name, sizeof name, "%s/fifo", path);
	NEED(mkfifo(name, 0600) == 0);
	reader = open(name, O_RDONLY | O_NONBLOCK);
	NEED(add(reader, EVFILT_READ, 0) == 0);
	check(none() && !readable(kq), "a FIFO has no EOF before a writer");
	writer = open(name, O_WRONLY | O_NONBLOCK);
	check(none(), "nor with one");
	put(writer, 3);
	check(one(&e) && e.data == 3 && !(e.flags & EV_EOF), "data as a pipe");
	get(reader, 3);
	check(none(), "which is read");
	(void)close(writer);
	check(one(&e) && (e.flags & EV_EOF), "EOF after the writer");
	writer = open(name, O_WRONLY | O_NONBLOCK);
	check(
	    one(&e) == is("freebsd") && (!is("freebsd") || !(e.flags & EV_EOF)),
	    "opened again EOF clears; FreeBSD gives one extra event");
	check(none() && !readable(kq), "and then it is silent");
	NEED(add(writer, EVFILT_WRITE, EV_CLEAR) == 0 && some());
	(void)close(reader);
	check(one(&e) && e.filter == EVFILT_WRITE && (e.flags & EV_EOF),
	    "without a reader WRITE with EV_EOF");
	(void)close(writer);
	(void)unlink(name);
	(void)rmdir(path);
	end();
}

static void
check_shutdown(void (*make)(int[2]), const char *kind)
{
	struct kevent e;
	char what[96];
	int fds[2];

	begin();
	make(fds);
	NEED(add(fds[0], EVFILT_READ, EV_DISPATCH) == 0);
	NEED(shutdown(fds[1], SHUT_WR) == 0);
	sleep_ms(5);
	(void)snprintf(
	    what, sizeof what, "%s: peer's SHUT_WR is READ with EOF", kind);
	check(one(&e) && (e.flags & EV_EOF) && e.fflags == 0, what);
	NEED(add(fds[0], EVFILT_WRITE, EV_DISPATCH) == 0);
	(void)snprintf(what, sizeof what, "%s: and leaves WRITE", kind);
	check(one(&e) && e.filter == EVFILT_WRITE && !(e.flags & EV_EOF) &&
		  e.data > 0,
	    what);
	close_both(fds);
	make(fds);
	NEED(add(fds[0], EVFILT_READ, EV_DISPATCH) == 0);
	NEED(shutdown(fds[0], SHUT_WR) == 0);
	NEED(add(fds[0], EVFILT_WRITE, EV_DISPATCH) == 0);
	(void)snprintf(
	    what, sizeof what, "%s: own SHUT_WR is EOF of WRITE only", kind);
	check(one(&e) && e.filter == EVFILT_WRITE && (e.flags & EV_EOF), what);
	put(fds[1], 2);
	sleep_ms(5);
	(void)snprintf(what, sizeof what, "%s: READ goes on", kind);
	check(one(&e) && e.filter == EVFILT_READ && e.data == 2 &&
		  !(e.flags & EV_EOF),
	    what);
	close_both(fds);
	end();
}

static void
check_shut_reading(void (*make)(int[2]), const char *kind)
{
	struct kevent e;
	char what[96];
	int fds[2];

	begin();
	make(fds);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	NEED(add(fds[0], EVFILT_WRITE, EV_DISPATCH) == 0);
	NEED(one(&e));
	NEED(shutdown(fds[0], SHUT_RD) == 0);
	(void)snprintf(
	    what, sizeof what, "%s: own SHUT_RD is EOF of READ only", kind);
	check(one(&e) && e.filter == EVFILT_READ && (e.flags & EV_EOF) &&
		  add(fds[0], EVFILT_WRITE, EV_ENABLE) == 0 &&
		  change(fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL) == 0 &&
		  one(&e) && e.filter == EVFILT_WRITE && !(e.flags & EV_EOF),
	    what);
	close_both(fds);
	end();
}

/* Both filters of fd report the end, with this fflags; nothing else does. */
static bool
both_over(int fd, unsigned fflags)
{
	struct kevent e[3];

	if (wait_in(kq, e, 3, 0) != 2 || e[0].filter == e[1].filter)
		return false;
	for (int i = 0; i < 2; i++)
		if (e[i].ident != (uintptr_t)fd || !(e[i].flags & EV_EOF) ||
		    e[i].fflags != fflags)
			return false;
	return true;
}

static void
check_peer_closed(void)
{
	struct sockaddr_storage name;
	struct sockaddr *n = (struct sockaddr *)&name;
	socklen_t length = sizeof name;
	int fds[2];

	begin();
	make_pair(fds);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	NEED(add(fds[0], EVFILT_WRITE, 0) == 0);
	check(getpeername(fds[0], n, &length) == 0, "a peer has a name");
	(void)close(fds[1]);
	check(both_over(fds[0], 0), "peer closed: READ and WRITE with EV_EOF");
	length = sizeof name;
	check(getpeername(fds[0], n, &length) == -1 &&
		  errno == (is("macos") ? EINVAL : ENOTCONN),
	    "and it has no name any more: ENOTCONN, on macOS EINVAL");
	(void)close(fds[0]);
	make_tcp(fds);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	NEED(add(fds[0], EVFILT_WRITE, 0) == 0);
	NEED(shutdown(fds[0], SHUT_WR) == 0);
	(void)close(fds[1]);
	sleep_ms(5);
	check(both_over(fds[0], 0), "both directions over: both with EV_EOF");
	(void)close(fds[0]);
	end();
}

/* side: the one that is watched. */
static void
check_reset(int side)
{
	struct kevent e[2];
	int fds[2];

	begin();
	make_tcp(fds);
	put(fds[1 - side], 3);
	NEED(add(fds[side], EVFILT_READ, 0) == 0);
	NEED(add(fds[side], EVFILT_WRITE, 0) == 0);
	reset(fds[1 - side]);
	check(both_over(fds[side], ECONNRESET),
	    "reset: both with EV_EOF and the error in fflags");
	NEED(wait_in(kq, e, 2, 0) == 2);
	check(e[0].filter == EVFILT_READ ? e[0].data == 3 : e[1].data == 3,
	    "the data is still readable");
	get(fds[side], 3);
	check(socket_error(fds[side]) == ECONNRESET,
	    "looking has not taken the error away");
	check(both_over(fds[side], 0), "once taken it is not told any more");
	(void)close(fds[side]);
	end();
}

static void
check_connect(void)
{
	struct sockaddr_in address;
	struct kevent e[2];
	int fd, other;

	begin();
	other = bound(&address);
	fd = tcp_socket();
	NEED(add(fd, EVFILT_READ, 0) == 0);
	NEED(add(fd, EVFILT_WRITE, 0) == 0);
	check(none() && !readable(kq), "an unconnected TCP socket is silent");
	connect_to(fd, &address);
	check(both_over(fd, ECONNREFUSED),
	    "refused connect: both with EV_EOF and fflags");
	check(both_over(fd, ECONNREFUSED) && socket_error(fd) == ECONNREFUSED,
	    "and the error is still there");
	(void)close(fd);
	NEED(listen(other, 5) == 0);
	fd = tcp_socket();
	NEED(add(other, EVFILT_READ, EV_DISPATCH) == 0);
	NEED(add(other, EVFILT_WRITE, 0) == 0);
	NEED(add(fd, EVFILT_READ, 0) == 0);
	NEED(add(fd, EVFILT_WRITE, EV_CLEAR) == 0);
	check(none() && !readable(kq), "so is one that listens");
	connect_to(fd, &address);
	check(wait_in(kq, e, 2, 0) == 2 && e[0].ident != e[1].ident &&
		  e[0].data > 0 && e[1].data > 0 && !(e[0].flags & EV_EOF) &&
		  !(e[1].flags & EV_EOF),
	    "a connection: READ of the listener, WRITE of the client");
	check(none(), "and that is all");
	(void)close(fd);
	(void)close(other);
	end();
}

static void
check_low_water(void)
{
	struct kevent e;
	int fds[2];

	begin();
	make_pair(fds);
	NEED(change(fds[0], EVFILT_READ, EV_ADD, NOTE_LOWAT, 10, NULL) == 0);
	put(fds[1], 9);
	check(none() && !readable(kq), "NOTE_LOWAT: not enough");
	put(fds[1], 1);
	check(one(&e) && e.data == 10 && some(), "enough");
	get(fds[0], 5);
	check(none() && !readable(kq), "not enough any more");
	NEED(shutdown(fds[1], SHUT_WR) == 0);
	check(one(&e) && e.data == 5 && (e.flags & EV_EOF),
	    "an EOF fires READ regardless of the data");
	close_both(fds);
	end();
}

static void
check_datagrams(void)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	struct kevent e;
	char byte;
	int fd, peer;

	begin();
	/* A port that nobody has. */
	peer = bound(&address);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	NEED(fd >= 0);
	NEED(add(fd, EVFILT_READ, 0) == 0);
	check(none() && !readable(kq), "an unconnected UDP socket is silent");
	NEED(connect(fd, (struct sockaddr *)&address, length) == 0);
	put(fd, 1);
	sleep_ms(5);
	check(one(&e) && !(e.flags & EV_EOF) && e.fflags == 0,
	    "an error of UDP fires READ without EV_EOF");
	check(recv(fd, &byte, 1, 0) == -1 && errno == ECONNREFUSED && none(),
	    "until it is taken");
	(void)close(fd);
	(void)close(peer);
	end();
}

static void
check_files(void)
{
	char path[] = "/tmp/kqueue-XXXXXX";
	struct kevent e;
	int fd, null, directory;

	begin();
	fd = mkstemp(path);
	NEED(fd >= 0 && unlink(path) == 0);
	put(fd, 10);
	NEED(add(fd, EVFILT_READ, 0) == 0);
	check(none() && !readable(kq), "a regular file at its end is silent");
	NEED(lseek(fd, 3, SEEK_SET) == 3);
	check(one(&e) && e.data == 7 && readable(kq),
	    "else data is what is left");
	NEED(lseek(fd, 0, SEEK_END) == 10);
	check(none() && !readable(kq), "at its end again");
	check(add(fd, EVFILT_WRITE, 0) == 0 && some() && some() && readable(kq),
	    "WRITE on a file is ready");
	(void)close(fd);
	check(none() && !readable(kq), "closed it is not");
	null = open("/dev/null", O_RDWR);
	if (is("freebsd"))
		check(add(null, EVFILT_READ, 0) == ENODEV &&
			  add(null, EVFILT_WRITE, 0) == ENODEV &&
			  add(null, EVFILT_READ, EV_DISABLE) == ENODEV,
		    "/dev/null is ENODEV");
	else if (is("macos"))
		check(
		    add(null, EVFILT_READ, 0) == EINVAL, "/dev/null is EINVAL");
	else
		check(add(null, EVFILT_READ, 0) == 0 && some() &&
			  add(null, EVFILT_WRITE, 0) == 0,
		    "/dev/null is ready");
	(void)close(null);
	directory = open("/", O_RDONLY);
	check(add(directory, EVFILT_READ, 0) == (is("macos") ? EINVAL : 0),
	    "a directory is refused by macOS only");
	(void)close(directory);
	end();
}

static void
check_terminals(void)
{
	struct kevent e[2];
	int fd = posix_openpt(O_RDWR | O_NOCTTY), slave;

	if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0) {
		printf("SKIP terminals: no pseudo-terminal: %s\n",
		    strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	begin();
	slave = open(ptsname(fd), O_RDWR | O_NOCTTY | O_NONBLOCK);
	NEED(slave >= 0);
	if (is("macos")) {
		check(add(fd, EVFILT_READ, 0) == EINVAL &&
			  add(slave, EVFILT_READ, 0) == EINVAL,
		    "a terminal is EINVAL");
	} else {
		check(add(fd, EVFILT_READ, 0) == 0 && none(),
		    "a terminal without input is silent");
		put(slave, 4);
		/* A terminal hands it on when it gets to it. */
		NEED(poll(&(struct pollfd){fd, POLLIN, 0}, 1, 10000) == 1);
		check(one(e) && e[0].data > 0, "with input it is not");
		get(fd, 4);
		(void)close(slave);
		slave = -1;
		check(one(e) && (e[0].flags & EV_EOF), "a hang-up is EV_EOF");
	}
	(void)close(slave);
	(void)close(fd);
	end();
}

static void
check_eventfds(void)
{
	struct kevent e[2];
	uint64_t value = UINT64_MAX - 1;
	int fd;

	begin();
	fd = eventfd(0, EFD_NONBLOCK);
	NEED(add(fd, EVFILT_READ, 0) == 0 && add(fd, EVFILT_WRITE, 0) == 0);
	check(one(e) && e[0].filter == EVFILT_WRITE, "an eventfd at 0: WRITE");
	NEED(write(fd, &value, sizeof value) == sizeof value);
	check(one(e) && e[0].filter == EVFILT_READ, "at its maximum: READ");
	(void)close(fd);
	end();
}

static void
check_except(void)
{
	struct kevent e;
	char byte;
	int fds[2];

	begin();
	make_tcp(fds);
	if (is("freebsd") || is("netbsd")) {
		check(change(fds[0], EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0,
			  NULL) == EINVAL,
		    "EVFILT_EXCEPT is EINVAL");
		close_both(fds);
		end();
		return;
	}
	NEED(change(fds[0], EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0, NULL) == 0);
	put(fds[1], 1);
	sleep_ms(5);
	check(none() && !readable(kq), "EVFILT_EXCEPT: not for data");
	NEED(send(fds[1], "!", 1, MSG_OOB) == 1);
	sleep_ms(5);
	check(readable(kq) && one(&e) && e.filter == EVFILT_EXCEPT &&
		  e.fflags == NOTE_OOB && some(),
	    "for urgent data, level-triggered");
	NEED(recv(fds[0], &byte, 1, MSG_OOB) == 1);
	check(none() && !readable(kq), "until it is read");
	close_both(fds);
	make_pipe(fds);
	check(
	    change(fds[0], EVFILT_EXCEPT, EV_ADD, NOTE_OOB, 0, NULL) == EINVAL,
	    "it is for sockets only");
	close_both(fds);
	end();
}

/* Other filters */

static int
user(int flags, unsigned fflags, void *udata)
{
	return change(77, EVFILT_USER, flags, fflags, 0, udata);
}

static void
check_user(void)
{
	struct kevent e = {0};

	begin();
	if (is("openbsd")) {
		check(user(EV_ADD, 0, NULL) == EINVAL, "EVFILT_USER is EINVAL");
		end();
		return;
	}
	check(user(0, NOTE_TRIGGER, NULL) == ENOENT,
	    "a trigger without a knote is ENOENT");
	NEED(user(EV_ADD | EV_CLEAR, NOTE_TRIGGER, MARK(1)) == 0);
	check(!is("freebsd") || none(),
	    "EV_ADD with NOTE_TRIGGER does not fire on FreeBSD");
	(void)some();
	check(none() && !readable(kq), "no trigger, no event");
	check(user(0, NOTE_TRIGGER, MARK(2)) == 0 && readable(kq) && one(&e) &&
		  e.ident == 77 && e.filter == EVFILT_USER,
	    "a trigger is an event");
	check((e.udata == MARK(2)) == overwrites(),
	    "on FreeBSD and macOS it overwrites udata");
	check(none() && !readable(kq), "with EV_CLEAR one event");
	NEED(user(0, NOTE_TRIGGER, NULL) == 0 &&
	     user(0, NOTE_TRIGGER, NULL) == 0);
	check(some() && none(), "two triggers are one");
	NEED(user(0, NOTE_FFCOPY | 0x35, NULL) == 0 &&
	     user(0, NOTE_FFAND | 0xf, NULL) == 0 &&
	     user(0, NOTE_FFOR | 0x40 | NOTE_TRIGGER, NULL) == 0);
	check(one(&e) && e.fflags == 0x45, "flags are copied, and-ed, or-ed");
	NEED(user(EV_ADD, 0, NULL) == 0);
	NEED(user(0, NOTE_TRIGGER, NULL) == 0);
	check(some() && some() == is("freebsd"),
	    "re-adding without EV_CLEAR makes it spin on FreeBSD");
	NEED(user(EV_DELETE, 0, NULL) == 0);
	check(none() && user(EV_DELETE, 0, NULL) == ENOENT, "and deleted");
	NEED(user(EV_ADD, 0, NULL) == 0 && user(0, NOTE_TRIGGER, NULL) == 0);
	check(some() && some(), "without EV_CLEAR it fires on and on");
	end();
}

/* Threads and signals */

static atomic_int handled;

static void
trigger(int number)
{
	struct kevent c;

	(void)number;
	EV_SET(&c, 77, EVFILT_USER, 0, NOTE_TRIGGER, 0, NULL);
	(void)kevent(kq, &c, 1, NULL, 0, NULL);
	atomic_fetch_add(&handled, 1);
}

static void
check_signals(void)
{
	struct waiter w;
	int rounds = 0;

	begin();
	handle(SIGUSR1, nothing);
	start_waiter(&w, 5000);
	NEED(pthread_kill(w.thread, SIGUSR1) == 0);
	join(&w);
	check(w.result == -1 && w.error == EINTR && w.took < 4000000000,
	    "a handler with SA_RESTART ends a wait with EINTR");
	if (user(EV_ADD | EV_CLEAR, 0, NULL) == 0) {
		handle(SIGUSR1, trigger);
		start_waiter(&w, 10000);
		while (!atomic_load(&w.back)) {
			int before = atomic_load(&handled);

			NEED(kill(getpid(), SIGUSR1) == 0);
			while (atomic_load(&handled) == before)
				(void)none();
			rounds++;
		}
		join(&w);
		check(w.took < 9000000000,
		    "a handler may trigger, whoever is inside");
	}
	handle(SIGUSR1, nothing);
	end();
}

static void
check_waiting(void)
{
	struct waiter w;
	struct kevent c;
	int fds[2];

	begin();
	make_pipe(fds);
	start_waiter(&w, 5000);
	put(fds[1], 1);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	join(&w);
	check(w.result == 1 && w.took < 4000000000,
	    "a change takes effect for a thread that waits");
	NEED(change(fds[0], EVFILT_READ, EV_DISABLE, 0, 0, NULL) == 0);
	start_waiter(&w, 50);
	join(&w);
	check(w.result == 0, "nothing wakes one that has nothing");
	start_waiter(&w, 5000);
	NEED(change(fds[0], EVFILT_READ, EV_ENABLE | EV_ADD, 0, 0, NULL) == 0);
	join(&w);
	check(w.result == 1, "enabling wakes it");
	get(fds[0], 1);
	start_waiter(&w, 5000);
	put(fds[1], 1);
	join(&w);
	check(w.result == 1, "data wakes it");
	EV_SET(&c, (uintptr_t)fds[1], EVFILT_WRITE, EV_ADD, 0, 0, NULL);
	NEED(change(fds[0], EVFILT_READ, EV_DELETE, 0, 0, NULL) == 0);
	start_waiter(&w, 5000);
	NEED(kevent(kq, &c, 1, NULL, 0, NULL) == 0);
	join(&w);
	check(w.result == 1 && w.event.filter == EVFILT_WRITE,
	    "and so does WRITE");
	close_both(fds);
	end();
}

#define LEVELS 7

static void
check_fairness(void)
{
	int fds[LEVELS][2], seen[LEVELS] = {0}, least = 100;
	struct kevent e;

	begin();
	for (int i = 0; i < LEVELS; i++) {
		make_pair(fds[i]);
		put(fds[i][1], 1);
		NEED(change(fds[i][0], i % 2 == 0 ? EVFILT_READ : EVFILT_WRITE,
			 EV_ADD, 0, 0, MARK(i)) == 0);
	}
	for (int i = 0; i < 10 * LEVELS; i++) {
		NEED(wait_in(kq, &e, 1, 0) == 1);
		seen[(uintptr_t)e.udata]++;
	}
	for (int i = 0; i < LEVELS; i++)
		if (seen[i] < least)
			least = seen[i];
	check(least >= 4, "a list of one event starves nobody");
	for (int i = 0; i < LEVELS; i++)
		close_both(fds[i]);
	end();
}

#define CROWD   4
#define SOURCES 50
#define ROUNDS  100

static int crowd_fds[SOURCES][2];
static int stop_fds[2]; /* readable when the crowd is to go home */
static atomic_int taken[SOURCES];
static atomic_int taken_in_all;
static int crowd_flags;
static bool crowd_feeds; /* whoever takes an event makes the next one */

/* Takes what made an event, and makes ready for the next one. */
static void
take_one(size_t i)
{
	int count = atomic_fetch_add(&taken[i], 1) + 1;
	char byte;

	NEED(read(crowd_fds[i][0], &byte, 1) == 1);
	if (crowd_flags != EV_CLEAR)
		NEED(change(crowd_fds[i][0], EVFILT_READ,
			 EV_ADD | EV_ENABLE | crowd_flags, 0, 0, MARK(i)) == 0);
	if (crowd_feeds && count < ROUNDS)
		put(crowd_fds[i][1], 1);
	atomic_fetch_add(&taken_in_all, 1);
}

static void *
take(void *argument)
{
	struct kevent e;

	(void)argument;
	while (wait_in(kq, &e, 1, -1) == 1 && e.ident != (uintptr_t)stop_fds[0])
		take_one((size_t)(uintptr_t)e.udata);
	return NULL;
}

/* Whether so many events have been taken in good time. */
static bool
reaches(int count)
{
	int64_t give_up = now_ns() + 20000000000;

	while (atomic_load(&taken_in_all) < count && now_ns() < give_up)
		(void)sched_yield();
	return atomic_load(&taken_in_all) == count;
}

/* One event at a time, so that all of the crowd are asleep. */
static bool
feed(void)
{
	for (int i = 0; i < SOURCES * ROUNDS / 2; i++) {
		put(crowd_fds[i % SOURCES][1], 1);
		if (!reaches(i + 1))
			return false;
	}
	return true;
}

static void
check_crowd(int flags, bool feeds, const char *what)
{
	pthread_t threads[CROWD];
	int64_t start = now_ns();
	bool all;

	begin();
	crowd_flags = flags;
	crowd_feeds = feeds;
	atomic_store(&taken_in_all, 0);
	make_pipe(stop_fds);
	NEED(add(stop_fds[0], EVFILT_READ, 0) == 0);
	for (size_t i = 0; i < SOURCES; i++) {
		atomic_store(&taken[i], 0);
		make_pair(crowd_fds[i]);
		NEED(change(crowd_fds[i][0], EVFILT_READ, EV_ADD | flags, 0, 0,
			 MARK(i)) == 0);
	}
	for (int i = 0; i < CROWD; i++)
		NEED(pthread_create(&threads[i], NULL, take, NULL) == 0);
	for (size_t i = 0; feeds && i < SOURCES; i++)
		put(crowd_fds[i][1], 1);
	all = feeds ? reaches(SOURCES * ROUNDS) : feed();
	printf("    %.0f ns an event\n",
	    (double)(now_ns() - start) / atomic_load(&taken_in_all));
	put(stop_fds[1], 1);
	for (int i = 0; i < CROWD; i++)
		NEED(pthread_join(threads[i], NULL) == 0);
	check(all, what);
	for (size_t i = 0; i < SOURCES; i++)
		close_both(crowd_fds[i]);
	close_both(stop_fds);
	end();
}

/* Processes */

/* A child that does what it is told by bytes: it forks, execs, or ends. */
struct child {
	pid_t pid;
	int line;
};

static void
obey(int line)
{
	/* The shell takes a line for each further exec. */
	static const char again[] = "read x; exec sh -c 'read x; exit 9' again";
	char order;

	while (read(line, &order, 1) == 1) {
		if (order == 'f' && fork() == 0) {
			sleep_ms(20);
			_exit(0);
		}
		if (order == 'w') {
			pid_t pid = fork();

			if (pid == 0)
				_exit(0);
			(void)waitpid(pid, NULL, 0);
		}
		if (order == 'x') {
			(void)dup2(line, STDIN_FILENO);
			(void)execl("/bin/sh", "sh", "-c", again, (char *)NULL);
		}
		if (order == 'k')
			(void)raise(SIGKILL);
	}
	_exit(7);
}

static struct child
make_child(void)
{
	struct child c;
	int fds[2];

	NEED(pipe(fds) == 0);
	c.pid = fork();
	NEED(c.pid >= 0);
	if (c.pid == 0) {
		(void)close(fds[1]);
		obey(fds[0]);
	}
	(void)close(fds[0]);
	c.line = fds[1];
	return c;
}

static void
order(const struct child *c, char what)
{
	NEED(write(c->line, &what, 1) == 1);
}

/* Lets it end; it stays to be waited for. */
static void
end_child(const struct child *c)
{
	siginfo_t info;

	(void)close(c->line);
	NEED(waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) == 0);
	sleep_ms(2);
}

static void
reap(const struct child *c)
{
	NEED(waitpid(c->pid, NULL, 0) == c->pid);
}

static int
add_process(const struct child *c, int flags, unsigned notes)
{
	return change(c->pid, EVFILT_PROC, EV_ADD | flags, notes, 0, MARK(5));
}

static bool
tells_status(void)
{
	return is("freebsd") || is("openbsd");
}

static int
delete_process(const struct child *c)
{
	return change(c->pid, EVFILT_PROC, EV_DELETE, 0, 0, NULL);
}

/* An event of the end of that child, with that status. */
static bool
is_end(const struct kevent *e, const struct child *c, int status)
{
	return e->ident == (uintptr_t)c->pid && e->filter == EVFILT_PROC &&
	       e->fflags == NOTE_EXIT && e->udata == MARK(5) &&
	       (e->flags & ~EV_ADD) == (EV_EOF | EV_ONESHOT | EV_CLEAR) &&
	       e->data == (tells_status() ? status : 0);
}

static void
check_exit(void)
{
	struct kevent e = {0};
	struct child c = make_child();
	struct waiter w;

	begin();
	check(add_process(&c, 0, NOTE_EXIT) == 0 && none() && !readable(kq),
	    "a process that runs is silent");
	start_waiter(&w, 5000);
	end_child(&c);
	join(&w);
	check(w.result == 1 && is_end(&w.event, &c, 7 << 8),
	    "its end wakes, with EV_EOF, EV_ONESHOT and perhaps a status");
	check(none() && !readable(kq) && delete_process(&c) == ENOENT,
	    "once, and the knote goes with it");
	check(add_process(&c, 0, NOTE_EXIT) == (is("freebsd") ? 0 : ESRCH),
	    "adding a zombie is ESRCH but on FreeBSD");
	if (is("freebsd"))
		check(one(&e) && is_end(&e, &c, 7 << 8),
		    "where it fires at once");
	reap(&c);
	check(add_process(&c, 0, NOTE_EXIT) == ESRCH && none(),
	    "one that was waited for is ESRCH");
	check(change(0, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL) == ESRCH &&
		  change(-1, EVFILT_PROC, EV_ADD, NOTE_EXIT, 0, NULL) == ESRCH,
	    "and so is what cannot be a process");
	check(delete_process(&c) == ENOENT, "EV_DELETE of none is ENOENT");
	end();
}

static void
check_exit_kinds(void)
{
	struct kevent e = {0};
	struct child c = make_child();

	begin();
	NEED(add_process(&c, 0, NOTE_EXIT) == 0);
	end_child(&c);
	check(readable(kq), "the end makes the kqueue readable");
	reap(&c);
	check(readable(kq) && one(&e) && e.fflags == NOTE_EXIT,
	    "it is reported also if somebody waited for the process first");
	c = make_child();
	NEED(add_process(&c, 0, NOTE_EXIT) == 0);
	order(&c, 'k');
	end_child(&c);
	check(one(&e) && is_end(&e, &c, SIGKILL), "or if a signal killed it");
	reap(&c);
	c = make_child();
	NEED(add_process(&c, 0, NOTE_EXIT) == 0);
	check(delete_process(&c) == 0 && delete_process(&c) == ENOENT,
	    "EV_DELETE deletes");
	NEED(add_process(&c, EV_DISABLE, NOTE_EXIT) == 0);
	end_child(&c);
	check(none() && !readable(kq), "a disabled one is silent");
	check(
	    change(c.pid, EVFILT_PROC, EV_ENABLE, NOTE_EXIT, 0, MARK(5)) == 0 &&
		one(&e) && is_end(&e, &c, 7 << 8),
	    "until it is enabled");
	reap(&c);
	end();
}

static void
check_forks_and_execs(void)
{
	struct kevent e = {0};
	struct child c = make_child();

	begin();
	NEED(add_process(&c, 0, NOTE_FORK | NOTE_EXEC | NOTE_EXIT) == 0);
	check(wait_in(kq, &e, 1, 20) == 0, "who does nothing is silent");
	order(&c, 'f');
	check(wait_in(kq, &e, 1, 5000) == 1 && e.fflags == NOTE_FORK &&
		  (e.flags & ~EV_ADD) == EV_CLEAR && e.udata == MARK(5),
	    "NOTE_FORK, with EV_CLEAR of itself");
	check(wait_in(kq, &e, 1, 50) == 0, "once, also if the child ends");
	order(&c, 'w');
	check(wait_in(kq, &e, 1, 5000) == 1 && e.fflags == NOTE_FORK,
	    "and again, for a child that was waited for at once");
	order(&c, 'x');
	check(wait_in(kq, &e, 1, 5000) == 1 && e.fflags == NOTE_EXEC,
	    "NOTE_EXEC");
	check(wait_in(kq, &e, 1, 20) == 0, "once");
	order(&c, '\n');
	check(wait_in(kq, &e, 1, 5000) == 1 && e.fflags == NOTE_EXEC,
	    "and again, if the same program comes");
	end_child(&c);
	check(one(&e) && (e.fflags & NOTE_EXIT) &&
		  e.data == (tells_status() ? 9 << 8 : 0),
	    "the end comes after that");
	reap(&c);
	end();
}

static void
check_other_notes(void)
{
	struct kevent e = {0};
	struct child c = make_child();

	begin();
	NEED(add_process(&c, 0, NOTE_EXIT) == 0);
	order(&c, 'w');
	check(wait_in(kq, &e, 1, 30) == 0 &&
		  add_process(&c, 0, NOTE_EXIT | NOTE_FORK) == 0 &&
		  wait_in(kq, &e, 1, 20) == 0,
	    "EV_ADD of a process that is watched asks for more from now on");
	order(&c, 'w');
	check(wait_in(kq, &e, 1, 5000) == 1 && e.fflags == NOTE_FORK,
	    "and that comes");
	check(add_process(&c, 0, NOTE_EXIT) == 0, "or asks for less");
	order(&c, 'w');
	check(wait_in(kq, &e, 1, 30) == 0, "which is silent");
	end_child(&c);
	check(one(&e) && is_end(&e, &c, 7 << 8), "until what is left of it");
	reap(&c);
	check(add_process(&c, 0, NOTE_EXIT) == ESRCH, "and then it is gone");
	end();
}

static void
check_watched_process(void)
{
	struct kevent e = {0};
	struct child c = make_child();
	int fds[2];

	begin();
	NEED(add_process(&c, 0, NOTE_FORK) == 0);
	end_child(&c);
	check(none() && delete_process(&c) == ENOENT,
	    "without NOTE_EXIT the knote goes in silence");
	reap(&c);
	c = make_child();
	NEED(add_process(&c, 0, NOTE_FORK) == 0);
	make_pipe(fds);
	NEED(add(fds[0], EVFILT_READ, 0) == 0);
	put(fds[1], 1);
	sleep_ms(20);
	check(wait_in(kq, &e, 1, 0) == 1 && e.filter == EVFILT_READ,
	    "while it is watched, others are not held up");
	close_both(fds);
	end();
	end_child(&c);
	reap(&c);
}

static int count_fds(void);

/* What the emulation has open is nobody else's business. */
static void
check_hidden(void)
{
	int before = count_fds(), status = -1, lowest;
	struct rlimit limit, small;
	struct kevent e;
	struct child c = make_child();
	pid_t pid;

	begin();
	lowest = dup(0);
	(void)close(lowest);
	NEED(add_process(&c, 0, NOTE_EXIT | NOTE_FORK) == 0);
	NEED(change(1, EVFILT_TIMER, EV_ADD, 0, 1, NULL) == 0);
	check(dup(0) == lowest, "a knote takes no low number");
	(void)close(lowest);
	pid = fork();
	if (pid == 0) {
		(void)close(c.line);
		_exit(count_fds() == before ? 0 : 1);
	}
	NEED(waitpid(pid, &status, 0) == pid);
	check(status == 0, "a child has none of the emulation's descriptors");
	check(wait_in(kq, &e, 1, 5000) == 1 && e.filter == EVFILT_TIMER,
	    "and leaves the timer alone");
	NEED(delete_process(&c) == 0);
	NEED(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	small = limit;
	small.rlim_cur = 0;
	NEED(setrlimit(RLIMIT_NOFILE, &small) == 0);
	status = add_process(&c, 0, NOTE_EXIT);
	NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	check(status == 0, "processes take none of the program's descriptors");
	end();
	end_child(&c);
	reap(&c);
	check(count_fds() == before, "close leaves none");
}

/* Timers */

static int
add_timer(uintptr_t id, int flags, int64_t ms)
{
	struct kevent c;

	EV_SET(&c, id, EVFILT_TIMER, (unsigned short)(EV_ADD | flags), 0, ms,
	    MARK(6));
	return kevent(kq, &c, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

static int
change_timer(uintptr_t id, int flags)
{
	struct kevent c;

	EV_SET(&c, id, EVFILT_TIMER, (unsigned short)flags, 0, 0, MARK(6));
	return kevent(kq, &c, 1, NULL, 0, NULL) < 0 ? errno : 0;
}

/* How many milliseconds after start the only event is there; -1: none. */
static int
comes_after(int64_t start, struct kevent *e)
{
	if (wait_in(kq, e, 1, 5000) != 1)
		return -1;
	return (int)((now_ns() - start) / 1000000);
}

static void
check_oneshot_timer(void)
{
	int64_t start = now_ns();
	struct kevent e = {0};

	begin();
	NEED(add_timer(UINTPTR_MAX, EV_ONESHOT, 20) == 0);
	check(none() && !readable(kq), "a timer is silent");
	check(comes_after(start, &e) >= 20 && e.filter == EVFILT_TIMER &&
		  e.ident == UINTPTR_MAX && e.udata == MARK(6),
	    "until so many milliseconds are over; any number is an ident");
	check((e.flags & ~EV_ADD) == (EV_ONESHOT | EV_CLEAR) && e.fflags == 0 &&
		  e.data == 1,
	    "EV_CLEAR is of itself, and data 1");
	check(none() && !readable(kq) &&
		  change_timer(UINTPTR_MAX, EV_DELETE) == ENOENT,
	    "one with EV_ONESHOT is gone then");
	NEED(add_timer(3, EV_ONESHOT, 5) == 0);
	sleep_ms(10);
	check(readable(kq), "who is due makes the kqueue readable");
	check(change_timer(3, EV_DELETE) == 0 && none() && !readable(kq),
	    "EV_DELETE drops it all the same");
	check(add_timer(3, 0, -1) == EINVAL, "below zero is EINVAL");
	check(add_timer(3, EV_ONESHOT, 0) == (is("netbsd") ? EINVAL : 0),
	    "zero is EINVAL on NetBSD");
	check(one(&e) == !is("netbsd"), "and at once elsewhere");
	end();
}

static void
check_periodic_timer(void)
{
	int64_t start = now_ns();
	struct kevent e = {0};
	int64_t periods;

	begin();
	NEED(add_timer(3, 0, 40) == 0);
	NEED(add_timer(4, EV_ONESHOT, 10) == 0);
	check(comes_after(start, &e) >= 10 && e.ident == 4,
	    "the first of two comes first");
	check(comes_after(start, &e) >= 40 && e.ident == 3 &&
		  (e.flags & ~EV_ADD) == EV_CLEAR,
	    "then a periodic one");
	periods = e.data;
	check(none() && !readable(kq), "which is silent in between");
	sleep_ms(130);
	check(readable(kq) && one(&e) && e.data >= 3,
	    "data counts what expired since the last event");
	periods += e.data;
	check(none() && comes_after(start, &e) >= 0 && e.data >= 1,
	    "and it goes on");
	periods += e.data;
	check(now_ns() - start >= periods * 40000000, "and is never early");
	NEED(change_timer(3, EV_DISABLE) == 0);
	sleep_ms(100);
	check(none() && !readable(kq), "EV_DISABLE silences it");
	check(change_timer(3, EV_ENABLE) == 0 && one(&e) && e.data >= 2,
	    "but it has counted on when it is enabled");
	NEED(change_timer(3, EV_DELETE) == 0);
	NEED(add_timer(3, EV_DISPATCH, 10) == 0);
	NEED(wait_in(kq, &e, 1, 5000) == 1);
	sleep_ms(30);
	check(none() && !readable(kq), "EV_DISPATCH disables it");
	check(change_timer(3, EV_ENABLE) == 0 && one(&e),
	    "and EV_ENABLE enables");
	end();
}

static void
check_timers_again(void)
{
	bool restarts = !is("netbsd");
	struct kevent e = {0};
	int64_t start;
	int after, error = 0, count = 0;

	begin();
	start = now_ns();
	NEED(add_timer(3, EV_ONESHOT, 100) == 0);
	sleep_ms(60);
	NEED(add_timer(3, EV_ONESHOT, 100) == 0);
	after = comes_after(start, &e);
	check(restarts ? after >= 160 : after >= 100 && after < 160,
	    "EV_ADD of a timer begins anew but on NetBSD");
	NEED(add_timer(3, 0, 10) == 0);
	sleep_ms(15);
	NEED(add_timer(3, 0, 60000) == 0);
	check(one(&e) == !restarts, "and drops what has expired");
	check(add_timer(3, 0, -5) == EINVAL, "below zero is EINVAL for it too");
	end();
	begin();
	while (error == 0 && count < 5000) {
		error = add_timer((uintptr_t)count, EV_DISABLE, 60000);
		count += error == 0;
	}
	if (is("openbsd") || is("netbsd"))
		check(count == 4096 && error == ENOMEM,
		    "OpenBSD and NetBSD limit their number");
	else
		check(count == 5000, "there is no limit on their number");
	end();
}

static void
check_timers_elsewhere(void)
{
	struct kevent e = {0};
	struct waiter w;
	int inner;

	begin();
	start_waiter(&w, 5000);
	NEED(add_timer(3, EV_ONESHOT, 10) == 0);
	join(&w);
	check(w.result == 1 && w.event.ident == 3,
	    "a timer wakes who waited before it was added");
	inner = kq;
	begin();
	NEED(add(inner, EVFILT_READ, 0) == 0);
	EV_SET(&e, 3, EVFILT_TIMER, EV_ADD, 0, 20, NULL);
	NEED(kevent(inner, &e, 1, NULL, 0, NULL) == 0);
	check(none() && wait_in(kq, &e, 1, 5000) == 1 &&
		  e.ident == (uintptr_t)inner,
	    "a kqueue with a timer in another one");
	NEED(wait_in(inner, &e, 1, 0) == 1);
	check(none(), "is not readable when that was reported");
	(void)close(inner);
	end();
}

/* Resources */

#define COPIES 600

/* Linux allows but 500 ways from a file through nested epoll instances. */
static void
check_copies(void)
{
	struct kevent e[COPIES];
	int fds[2], copies[COPIES];

	begin();
	make_pair(fds);
	put(fds[1], 1);
	for (int i = 0; i < COPIES; i++) {
		copies[i] = dup(fds[0]);
		NEED(copies[i] >= 0);
		NEED(add(copies[i], EVFILT_READ, 0) == 0);
	}
	check(wait_in(kq, e, COPIES, 0) == COPIES &&
		  wait_in(kq, e, COPIES, 0) == COPIES,
	    "many duplicates of one descriptor are many descriptors");
	for (int i = 0; i < COPIES; i++)
		(void)close(copies[i]);
	check(none() && !readable(kq), "and all are gone when closed");
	close_both(fds);
	end();
}

static int
count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
check_resources(void)
{
	struct rlimit full, none_left;
	int before = count_fds(), failures = 0, fd = -1;
	int64_t start;

	NEED(getrlimit(RLIMIT_NOFILE, &full) == 0);
	none_left = full;
	for (rlim_t limit = 3; fd < 0 && limit < 100; limit++) {
		none_left.rlim_cur = limit;
		NEED(setrlimit(RLIMIT_NOFILE, &none_left) == 0);
		fd = kqueue();
		failures += fd < 0 && errno == EMFILE;
		NEED(setrlimit(RLIMIT_NOFILE, &full) == 0);
		if (fd < 0)
			NEED(count_fds() == before);
	}
	check(failures > 1 && fd >= 0, "without descriptors kqueue is EMFILE");
	(void)close(fd);
	check(count_fds() == before, "close leaves none behind");
	fd = kqueue1(O_CLOEXEC | O_NONBLOCK);
	if (is("macos")) {
		check(fd == -1 && errno == ENOSYS, "there is no kqueue1");
	} else {
		check(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC),
		    "kqueue1 closes on exec");
		(void)close(fd);
		check(
		    kqueue1(1) == -1 && errno == EINVAL, "and knows its flags");
	}
	start = now_ns();
	for (int i = 0; i < 1000; i++) {
		begin();
		end();
	}
	printf("    %.0f ns for a kqueue\n", (double)(now_ns() - start) / 1000);
	check(count_fds() == before, "a thousand kqueues leave nothing");
}

int
main(void)
{
	os = getenv("POLLING_EMULATION");
	if (os == NULL)
		os = "freebsd";
	check_flags();
	check_errors();
	check_receipts();
	check_arguments();
	check_disabled();
	check_dispatch();
	check_modes();
	check_edges();
	check_oneshot();
	check_close();
	check_closed_kqueue();
	check_fork();
	check_nesting();
	check_pipe_reader();
	check_pipe_writer();
	check_fifo();
	check_shutdown(make_pair, "socketpair");
	check_shutdown(make_tcp, "TCP");
	check_shut_reading(make_pair, "socketpair");
	check_shut_reading(make_tcp, "TCP");
	check_peer_closed();
	check_reset(0);
	check_reset(1);
	check_connect();
	check_low_water();
	check_datagrams();
	check_files();
	check_terminals();
	check_eventfds();
	check_except();
	check_user();
	check_signals();
	check_waiting();
	check_fairness();
	check_crowd(EV_ONESHOT, true,
	    "EV_ONESHOT: an event goes to one thread, and none is lost");
	check_crowd(EV_DISPATCH, true, "the same for EV_DISPATCH");
	check_crowd(EV_CLEAR, true, "and for EV_CLEAR");
	check_crowd(EV_ONESHOT, false, "EV_ONESHOT wakes those who sleep");
	check_crowd(EV_DISPATCH, false, "EV_DISPATCH wakes them too");
	check_crowd(EV_CLEAR, false, "and EV_CLEAR");
	check_exit();
	check_exit_kinds();
	check_forks_and_execs();
	check_other_notes();
	check_watched_process();
	check_hidden();
	check_oneshot_timer();
	check_periodic_timer();
	check_timers_again();
	check_timers_elsewhere();
	check_copies();
	check_resources();
	printf("%s: %d checks, %d failed\n", os, passed + failed, failed);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
