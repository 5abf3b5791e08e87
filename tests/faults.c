/* SPDX-License-Identifier: MIT */
/*
 * faults.c - every call that a public function makes fails once, in turn.
 *
 * A scenario prepares a poller and acts on it, mostly by one public call. It
 * runs once to see what that asks of the C library, and then again and again:
 * with each of these calls failing, by each error that it may have; with each
 * and all after it failing; and in a storm of EINTR. Whatever fails, the act
 * succeeds or says a plausible error, and in that case has changed nothing: the
 * same act succeeds when it is tried again, nothing that was pending is lost,
 * and the poller can be used. In the end no descriptor and no memory is left.
 *
 * Each run is a process of its own, since a part of the library's state is of
 * the process.
 */
#define _GNU_SOURCE

#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <polling.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Descriptors from 0 that are looked at for leaks. */
#define DESCRIPTORS 1024

/* So that a descriptor with the number needs a new segment of the registry. */
#define HIGH 600

/* After this a run hangs. */
#define SECONDS 20

/* More than fits the first room of a ring, a heap or a table. */
#define MANY 120

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

static const struct timespec no_time, long_time = {.tv_sec = 5};

/* What a run tells the process that started it. */
static struct result {
	char words[300]; /* what is wrong, if it failed */
	const char *obstacle;
	int error;    /* that is injected */
	int count;    /* calls of the act */
	int injected; /* faults */
	int trace[FAULT_TRACE_MAX + 1];
} * result;

/* The run: its poller, and what the scenario needs. */
static struct polling *p;
static int fd = -1, peer = -1, third = -1, quiet = -1;
static pid_t child;
static bool posted; /* to count those that were */
static int done;    /* of the MANY that an act makes */

/* Ends the run. */
static void __attribute__((__format__(__printf__, 1, 2), __noreturn__))
fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(result->words, sizeof result->words, format, list);
	va_end(list);
	_exit(1);
}

/* For what has to succeed. */
#define MUST(call)                                               \
	do {                                                     \
		if ((call) < 0)                                  \
			fail("line %d: %s: %s", __LINE__, #call, \
			    strerror(errno));                    \
	} while (0)

/* What comes next is this event alone; with no events, nothing comes. */
static void
expect(int line, uintptr_t key, uint32_t events)
{
	struct polling_event e[8];
	int n = polling_wait(
	    p, e, LENGTH(e), events != 0 ? &long_time : &no_time);

	if (n < 0)
		fail("line %d: polling_wait: %s", line, strerror(errno));
	if (n != (events != 0))
		fail("line %d: %d events, the first is of %lu", line, n,
		    n > 0 ? (unsigned long)e[0].key : 0);
	if (events != 0 && (e[0].key != key || e[0].events != events))
		fail("line %d: %#x of %lu, not %#x of %lu", line, e[0].events,
		    (unsigned long)e[0].key, events, (unsigned long)key);
}

#define EXPECT(key, events) expect(__LINE__, (key), (events))
#define EXPECT_NOTHING()    expect(__LINE__, 0, 0)

/* The poller, which nothing is pending for, does what pollers do. */
static void
use_poller(void)
{
	const struct polling_event event = {.key = 71, .events = 1, .data = 2};
	struct polling_event got;
	int source = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	EXPECT_NOTHING();
	MUST(source);
	MUST(polling_add(p, source, POLLING_IN, POLLING_ONESHOT, 70));
	EXPECT(70, POLLING_IN);
	EXPECT_NOTHING();
	MUST(polling_modify(p, source, POLLING_IN, POLLING_LEVEL, 72));
	EXPECT(72, POLLING_IN);
	MUST(polling_delete(p, source));
	close(source);
	MUST(polling_post(p, &event));
	EXPECT(71, 1);
	MUST(polling_notify(p));
	if (polling_wait(p, &got, 1, &long_time) != 0)
		fail("a notification does not end a wait");
	MUST(polling_add_timer(p, 1, &no_time, NULL, 73));
	EXPECT(73, POLLING_TIMER);
	EXPECT_NOTHING();
}

/* Sources */

static void
close_all(void)
{
	if (fd >= 0)
		close(fd);
	if (peer >= 0)
		close(peer);
	if (third >= 0)
		close(third);
	if (quiet >= 0)
		close(quiet);
	fd = peer = third = quiet = -1;
}

static void
make_poller(void)
{
	p = polling_create(0);
	if (p == NULL)
		fail("polling_create: %s", strerror(errno));
}

static void
make_pair(void)
{
	int fds[2];

	make_poller();
	MUST(socketpair(
	    AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
	fd = fds[0];
	peer = fds[1];
}

static void
send_byte(void)
{
	MUST(write(peer, "", 1));
}

static void
receive_byte(void)
{
	char byte;

	MUST(read(fd, &byte, 1));
}

/* The source fd, with key 1, works; then it is gone. */
static void
use_source(void)
{
	EXPECT_NOTHING();
	send_byte();
	EXPECT(1, POLLING_IN);
	receive_byte();
	EXPECT_NOTHING();
	MUST(polling_delete(p, fd));
	use_poller();
}

static int
create(void)
{
	p = polling_create(0);
	return p != NULL ? 0 : -1;
}

/* What the system has is found out in spite of a signal. */
static void
check_created(void)
{
	struct polling *other = polling_create(0);

	if (other == NULL)
		fail("polling_create: %s", strerror(errno));
	for (unsigned i = 0; result->error == EINTR && i < 32; i++)
		if (polling_supports(p, i) != polling_supports(other, i))
			fail("feature %u is not found", i);
	polling_destroy(other);
	use_poller();
}

static void
create_before(void)
{
	make_poller();
	polling_destroy(p);
	p = NULL;
}

/* What is forked while another thread tells the system of the library's
 * handlers makes pollers, and has children of its own. */
static void *
fork_once(void *argument)
{
	pid_t pid = fork();
	int status;

	(void)argument;
	MUST(pid);
	if (pid == 0) {
		alarm(SECONDS / 2);
		fault_in_atfork = NULL;
		make_poller();
		pid = fork();
		MUST(pid);
		if (pid == 0)
			_exit(polling_notify(p) == 0 || errno != EBADF);
		MUST(waitpid(pid, &status, 0));
		if (status != 0)
			fail("a child's child does not know whose poller it "
			     "has");
		use_poller();
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0));
	if (WIFSIGNALED(status))
		fail("a child killed by signal %d", WTERMSIG(status));
	if (status != 0)
		_exit(1);
	return NULL;
}

static void
fork_beside(void)
{
	pthread_t thread;

	fault_enlist(false);
	if (pthread_create(&thread, NULL, fork_once, NULL) != 0 ||
	    pthread_join(thread, NULL) != 0)
		fail("no thread");
	fault_enlist(true);
}

static int
create_beside_forks(void)
{
	int r;

	fault_in_atfork = fork_beside;
	r = create();
	fault_in_atfork = NULL;
	return r;
}

static int
add(void)
{
	return polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1);
}

static int
add_oneshot(void)
{
	return polling_add(p, fd, POLLING_IN, POLLING_ONESHOT, 1);
}

static void
check_oneshot(void)
{
	send_byte();
	EXPECT(1, POLLING_IN);
	EXPECT_NOTHING();
	MUST(polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	EXPECT(1, POLLING_IN);
	receive_byte();
	use_source();
}

static void
make_high(void)
{
	int high;

	make_pair();
	high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH);
	MUST(high);
	close(fd);
	fd = high;
}

/* Ready for nothing but to be connected, which some kernels do not tell. */
static void
make_unconnected(void)
{
	make_poller();
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	MUST(fd);
}

static int
add_unconnected(void)
{
	return polling_add(p, fd, POLLING_OUT, POLLING_LEVEL, 1);
}

static void
check_unconnected(void)
{
	EXPECT(1, POLLING_OUT | POLLING_HUP);
	EXPECT(1, POLLING_OUT | POLLING_HUP);
	MUST(polling_delete(p, fd));
	use_poller();
}

static void
make_file(void)
{
	make_poller();
	fd = open(".", O_RDONLY | O_CLOEXEC);
	MUST(fd);
}

static void
check_file(void)
{
	EXPECT(1, POLLING_IN);
	EXPECT(1, POLLING_IN);
	MUST(polling_delete(p, fd));
	use_poller();
}

/* A source that was closed, and its number given to another one. */
static void
make_dead(void)
{
	int number;

	make_pair();
	MUST(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 9));
	number = fd;
	close(fd);
	close(peer);
	polling_destroy(NULL);
	{
		int fds[2];

		MUST(socketpair(AF_UNIX,
		    SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
		fd = fds[0];
		peer = fds[1];
	}
	if (fd != number)
		fail("the number was not the lowest");
}

static void
make_source(void)
{
	make_pair();
	MUST(add());
}

static int
add_again(void)
{
	int r = add();

	return r < 0 && errno == EEXIST ? 0 : r;
}

static void
make_file_source(void)
{
	make_file();
	MUST(add());
}

/* A poller that sleeps, as it were: its descriptor was handed out. Where there
 * is none it is like others. */
static void
expose(void)
{
	if (polling_supports(p, POLLING_FEATURE_FD))
		MUST(polling_get_fd(p));
}

static void
make_exposed(void)
{
	make_pair();
	MUST(polling_add(p, fd, POLLING_IN, POLLING_ONESHOT, 2));
	expose();
}

static int
modify(void)
{
	return polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, 1);
}

/* A change, and the wait that tells the kernel. */
static int
modify_and_wait(void)
{
	struct polling_event e;

	return modify() < 0 ? -1 : polling_wait(p, &e, 1, &no_time);
}

static void
make_other_source(void)
{
	make_pair();
	MUST(polling_add(p, fd, POLLING_OUT, POLLING_ONESHOT, 2));
	EXPECT(2, POLLING_OUT);
}

static int delete (void)
{
	return polling_delete(p, fd);
}

static void
check_deleted(void)
{
	if (peer >= 0)
		send_byte();
	EXPECT_NOTHING();
	if (polling_delete(p, fd) == 0 || errno != ENOENT)
		fail("a deleted source is still there");
	MUST(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 3));
	EXPECT(3, POLLING_IN);
	MUST(polling_delete(p, fd));
	use_poller();
}

/* Waits */

static void
make_ready(void)
{
	make_source();
	send_byte();
}

static void
make_ready_oneshot(void)
{
	make_pair();
	MUST(add_oneshot());
	send_byte();
}

static void
make_ready_interruptible(void)
{
	make_pair();
	polling_destroy(p);
	p = polling_create(POLLING_INTERRUPTIBLE);
	MUST(add_oneshot());
	send_byte();
}

static int
wait_for_ready(const struct timespec *timeout)
{
	struct polling_event e;
	int n = polling_wait(p, &e, 1, timeout);

	if (n == 0)
		fail("a wait has lost its event");
	if (n > 0 && (e.key != 1 || e.events != POLLING_IN))
		fail("another event: %#x", e.events);
	return n;
}

static int
wait_long(void)
{
	return wait_for_ready(&long_time);
}

static int
wait_for_ever(void)
{
	return wait_for_ready(NULL);
}

static void
check_ready_oneshot(void)
{
	EXPECT_NOTHING();
	MUST(modify());
	EXPECT(1, POLLING_IN);
	receive_byte();
	use_source();
}

static void
check_ready(void)
{
	EXPECT(1, POLLING_IN);
	receive_byte();
	use_source();
}

static void
check_file_ready(void)
{
	check_file();
}

/* The time is not over early. */
static int
wait_short(void)
{
	const struct timespec timeout = {.tv_nsec = 2000000};
	struct timespec begin, end;
	struct polling_event e;
	int n;

	polling_now(&begin);
	n = polling_wait(p, &e, 1, &timeout);
	polling_now(&end);
	if (n > 0)
		fail("an event of nothing");
	if (n == 0 && (end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec -
			      begin.tv_nsec <
			  timeout.tv_nsec)
		fail("a wait was over early");
	return n;
}

/* What cannot be told to the kernel is tried again, but not all the time. */
static int
modify_and_wait_short(void)
{
	int before = fault_count();
	int n = modify() < 0 ? -1 : wait_short();

	if (fault_count() - before > 150)
		fail("a wait tries again %d times", fault_count() - before);
	return n;
}

/* The end of a pipe that nobody reads, and was added when somebody did. */
static void
make_broken(void)
{
	int fds[2];

	make_poller();
	MUST(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
	fd = fds[1];
	MUST(polling_add(p, fd, POLLING_OUT, POLLING_LEVEL, 2));
	EXPECT(2, POLLING_OUT);
	close(fds[0]);
}

static int
wait_for_broken(void)
{
	struct polling_event e;
	int n = polling_wait(p, &e, 1, &long_time);

	if (n == 0)
		fail("a wait has lost its event");
	if (n > 0 && e.events != (POLLING_OUT | POLLING_ERR))
		fail("another event: %#x", e.events);
	return n;
}

static int
modify_broken(void)
{
	return polling_modify(p, fd, POLLING_OUT, POLLING_ONESHOT, 3);
}

static int
disarm_broken(void)
{
	struct polling_event e;

	return polling_modify(p, fd, 0, POLLING_LEVEL, 4) < 0
		   ? -1
		   : polling_wait(p, &e, 1, &no_time);
}

static void
check_broken(void)
{
	MUST(wait_for_broken());
	MUST(polling_modify(p, fd, POLLING_OUT, POLLING_ONESHOT, 5));
	EXPECT(5, POLLING_OUT | POLLING_ERR);
	EXPECT_NOTHING();
	MUST(polling_modify(p, fd, POLLING_OUT, POLLING_LEVEL, 6));
	EXPECT(6, POLLING_OUT | POLLING_ERR);
	EXPECT(6, POLLING_OUT | POLLING_ERR);
	MUST(polling_delete(p, fd));
	use_poller();
}

static void
check_disarmed_broken(void)
{
	EXPECT_NOTHING();
	MUST(polling_modify(p, fd, POLLING_OUT, POLLING_LEVEL, 7));
	check_broken();
}

/* One of each kind, key 1 to 5, and a notification. */
static void
make_everything(void)
{
	const struct polling_event event = {.key = 2, .events = 1};

	make_ready_oneshot();
	third = open(".", O_RDONLY | O_CLOEXEC);
	MUST(third);
	MUST(polling_post(p, &event));
	MUST(polling_add_timer(p, MANY, &no_time, NULL, 3));
	MUST(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 4));
	MUST(polling_add(p, third, POLLING_IN, POLLING_ONESHOT, 5));
	raise(SIGUSR1);
	MUST(polling_notify(p));
	done = 0;
}

/* Some or all of what is left. */
static int
take_everything(void)
{
	struct polling_event e[3];
	int n = polling_wait(p, e, LENGTH(e), &no_time);

	for (int i = 0; i < n; i++) {
		if (done & 1 << e[i].key)
			fail("key %d comes twice", (int)e[i].key);
		done |= 1 << e[i].key;
	}
	return n;
}

static void
check_everything(void)
{
	for (int i = 0; i < 10; i++)
		MUST(take_everything());
	if (done != (1 << 6) - 2)
		fail("of the keys 1 to 5 came %#x", (unsigned)done);
	MUST(polling_delete(p, third));
	MUST(polling_delete_signal(p, SIGUSR1));
	MUST(modify());
	check_ready();
}

/* A descriptor that was closed while a duplicate of it lives, and is ready
 * for ever, beside sources that work: the kernel's object is replaced. */
static void
make_orphan(void)
{
	int fds[2];

	make_source();
	quiet = open(".", O_RDONLY | O_CLOEXEC);
	MUST(quiet);
	MUST(polling_add(p, quiet, 0, POLLING_LEVEL, 8));
	MUST(pipe2(fds, O_CLOEXEC));
	MUST(polling_add(p, fds[0], POLLING_IN, POLLING_LEVEL, 9));
	third = dup(fds[0]);
	MUST(third);
	close(fds[0]);
	MUST(write(fds[1], "", 1));
	close(fds[1]);
}

static void
make_exposed_orphan(void)
{
	make_orphan();
	expose();
}

static int
wait_often(void)
{
	struct polling_event e;

	for (int i = 0; i < 12; i++) {
		int n = polling_wait(p, &e, 1, &no_time);

		if (n > 0)
			fail("an orphan is reported");
		if (n < 0)
			return n;
	}
	return 0;
}

static void
check_orphan(void)
{
	send_byte();
	EXPECT(1, POLLING_IN);
	receive_byte();
	use_source();
}

/* Whoever watches the poller's descriptor goes on being told. */
static void
check_exposed_orphan(void)
{
	struct pollfd watch = {.events = POLLIN};

	if (!polling_supports(p, POLLING_FEATURE_FD)) {
		check_orphan();
		return;
	}
	/* A replacement that failed is made up for. */
	MUST(wait_often());
	watch.fd = polling_get_fd(p);
	MUST(watch.fd);
	if (poll(&watch, 1, 0) != 0)
		fail("the descriptor is readable for nothing");
	send_byte();
	if (poll(&watch, 1, 1000) != 1)
		fail("the descriptor is silent");
	EXPECT(1, POLLING_IN);
	receive_byte();
	use_source();
}

/* Two threads, and an orphan whose reports are counted. */
static pthread_t sleepers[2];
static int orphan_end;

static void *
sleep_once(void *argument)
{
	struct polling_event e;

	(void)argument;
	(void)fault_enlist(true);
	while (polling_wait(p, &e, 1, NULL) != 1)
		continue;
	return NULL;
}

static void
make_sleepers(void)
{
	int fds[2];

	make_pair();
	MUST(pipe2(fds, O_CLOEXEC));
	MUST(polling_add(p, fds[0], POLLING_IN, POLLING_EDGE, 9));
	orphan_end = fds[1];
	third = dup(fds[0]);
	MUST(third);
	close(fds[0]);
	/* The first finds out, and then as many as are borne. */
	for (int i = 0; i < 9; i++) {
		MUST(write(orphan_end, "", 1));
		EXPECT_NOTHING();
	}
	for (int i = 0; i < LENGTH(sleepers); i++)
		if (pthread_create(&sleepers[i], NULL, sleep_once, NULL) != 0)
			fail("no threads");
	usleep(10000);
}

/* One of the threads replaces the kernel's object; the other one is asleep. */
static int
replace_among_sleepers(void)
{
	(void)fault_enlist(false);
	MUST(write(orphan_end, "", 1));
	usleep(10000);
	return 0;
}

static void
check_sleepers(void)
{
	/* The old object knows nothing of this source. */
	MUST(add_oneshot());
	send_byte();
	usleep(2000);
	MUST(modify());
	for (int i = 0; i < LENGTH(sleepers); i++)
		if (pthread_join(sleepers[i], NULL) != 0)
			fail("no thread to join");
	receive_byte();
	close(orphan_end);
	use_source();
}

/* Notifications and posts */

static int
notify(void)
{
	return polling_notify(p);
}

static void
check_notified(void)
{
	struct pollfd watch = {.events = POLLIN};
	struct polling_event e;

	if (posted && polling_supports(p, POLLING_FEATURE_FD)) {
		watch.fd = polling_get_fd(p);
		if (poll(&watch, 1, 1000) != 1)
			fail("the descriptor is silent");
	}
	if (polling_wait(p, &e, 1, &long_time) != 0)
		fail("the notification is lost");
	use_poller();
}

static void
make_exposed_poller(void)
{
	make_poller();
	expose();
	posted = true;
}

static int
post_many(void)
{
	for (; done < MANY; done++) {
		const struct polling_event event = {
		    .key = (uintptr_t)done, .events = 1};

		if (polling_post(p, &event) < 0)
			return -1;
	}
	return 0;
}

static void
check_posts(void)
{
	struct polling_event e;
	struct pollfd watch = {.events = POLLIN};

	if (posted && polling_supports(p, POLLING_FEATURE_FD)) {
		watch.fd = polling_get_fd(p);
		if (poll(&watch, 1, 1000) != 1)
			fail("the descriptor is silent");
	}
	for (int i = 0; i < MANY; i++)
		if (polling_wait(p, &e, 1, &long_time) != 1 ||
		    e.key != (uintptr_t)i)
			fail("post %d is lost", i);
	use_poller();
}

/* Timers */

static int
add_timers(void)
{
	for (; done < MANY; done++)
		if (polling_add_timer(p, (uintptr_t)done, &long_time, NULL,
			(uintptr_t)done) < 0)
			return -1;
	return 0;
}

static void
make_timers(void)
{
	make_poller();
	done = 0;
	MUST(add_timers());
	done = 0;
}

/* Earlier each time, for which the heap gets another entry. */
static int
modify_timers(void)
{
	for (; done < MANY; done++) {
		struct timespec first = {
		    .tv_sec = 4, .tv_nsec = 999999999 - done * 1000000};

		if (polling_modify_timer(p, (uintptr_t)(done % 10), &first,
			NULL, (uintptr_t)done) < 0)
			return -1;
	}
	return 0;
}

static int
delete_timers(void)
{
	for (; done < MANY; done++)
		if (polling_delete_timer(p, (uintptr_t)done) < 0)
			return -1;
	return 0;
}

/* All are there; then all are gone. */
static void
check_timers(void)
{
	struct polling_event e[MANY];
	int n = 0;

	for (int i = 0; i < MANY; i++)
		MUST(polling_modify_timer(
		    p, (uintptr_t)i, &no_time, NULL, (uintptr_t)i));
	while (n < MANY) {
		int r = polling_wait(p, e, MANY, &long_time);

		if (r <= 0)
			fail("%d timers are lost", MANY - n);
		n += r;
	}
	use_poller();
}

static int
add_timer(void)
{
	return polling_add_timer(p, 1, &no_time, NULL, 1);
}

static void
check_timer(void)
{
	struct pollfd watch = {.events = POLLIN};

	if (polling_supports(p, POLLING_FEATURE_FD)) {
		watch.fd = polling_get_fd(p);
		if (poll(&watch, 1, 1000) != 1)
			fail("the descriptor is silent");
	}
	EXPECT(1, POLLING_TIMER);
	use_poller();
}

/* Signals */

static int
add_signal(void)
{
	return polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1);
}

static void
make_signal(void)
{
	make_poller();
	MUST(add_signal());
}

static int
modify_signal(void)
{
	return polling_modify_signal(p, SIGUSR1, POLLING_ONESHOT, 1);
}

static int
delete_signal(void)
{
	return polling_delete_signal(p, SIGUSR1);
}

static void
check_no_signal(void)
{
	struct sigaction now;

	if (sigaction(SIGUSR1, NULL, &now) < 0 || now.sa_handler != SIG_DFL)
		fail("the disposition has not come back");
	use_poller();
}

static void
check_signal(void)
{
	struct polling_event e;

	raise(SIGUSR1);
	if (polling_wait(p, &e, 1, &long_time) != 1 || e.key != 1 ||
	    e.events != POLLING_SIGNAL || e.data != 1)
		fail("the signal is lost");
	MUST(delete_signal());
	check_no_signal();
}

/* Processes */

/* A child that lives until fd is closed. */
static void
make_child(void)
{
	int fds[2];

	make_poller();
	MUST(pipe2(fds, O_CLOEXEC));
	child = fork();
	MUST(child);
	if (child == 0) {
		char byte;

		close(fds[1]);
		(void)!read(fds[0], &byte, 1);
		_exit(0);
	}
	close(fds[0]);
	fd = fds[1];
}

/* With all descriptors in use up to a number that needs a new segment. */
static int fillers[70], filler_count;

static void
make_child_high(void)
{
	make_child();
	while (filler_count < LENGTH(fillers)) {
		int filler = open("/dev/null", O_RDONLY | O_CLOEXEC);

		MUST(filler);
		fillers[filler_count++] = filler;
	}
}

static void
make_dead_child(void)
{
	siginfo_t info;

	make_child();
	close(fd);
	fd = -1;
	MUST(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
}

static int
add_child(void)
{
	return polling_add_process(p, child, POLLING_EXIT, 1);
}

static void
make_watched_child(void)
{
	make_child();
	MUST(polling_add_process(p, child, 0, 2));
}

static int
modify_child(void)
{
	return polling_modify_process(p, child, POLLING_EXIT, 1);
}

/* With execs, which few kernels tell of. */
static int
modify_child_more(void)
{
	int r = polling_modify_process(
	    p, child, POLLING_EXIT | POLLING_EXEC, 1);

	return r < 0 && errno == ENOTSUP ? 0 : r;
}

static int
delete_child(void)
{
	return polling_delete_process(p, child);
}

static void
end_child(void)
{
	while (filler_count > 0)
		close(fillers[--filler_count]);
	if (fd >= 0)
		close(fd);
	fd = -1;
}

static void
check_child(void)
{
	if (fd >= 0)
		EXPECT_NOTHING();
	end_child();
	EXPECT(1, POLLING_EXIT);
	EXPECT_NOTHING();
	MUST(waitpid(child, NULL, 0));
	MUST(delete_child());
	use_poller();
}

static void
check_no_child(void)
{
	end_child();
	MUST(waitpid(child, NULL, 0));
	EXPECT_NOTHING();
	use_poller();
}

static void
make_child_for_all(void)
{
	make_child();
	MUST(polling_add_process(p, child, POLLING_EXIT, 1));
}

/* A relative of this process: the end of the child is told in the parent and
 * in its other child. */
static void
check_sibling(void)
{
	EXPECT_NOTHING();
	MUST(kill(child, SIGKILL));
	EXPECT(1, POLLING_EXIT);
	MUST(delete_child());
	use_poller();
}

static void
check_killed_child(void)
{
	end_child();
	EXPECT(1, POLLING_EXIT);
	MUST(waitpid(child, NULL, 0));
	MUST(delete_child());
	use_poller();
}

/* A process that is no child of this one. */
static void
make_stranger(void)
{
	make_poller();
	child = getppid();
}

static int
add_stranger(void)
{
	int r = add_child();

	/* Where there are no descriptors of processes. */
	return r < 0 && errno == ENOTSUP ? 0 : r;
}

static void
check_stranger(void)
{
	if (polling_delete_process(p, child) < 0 && errno != ENOENT)
		fail("polling_delete_process: %s", strerror(errno));
	use_poller();
}

/* The descriptor */

static bool has_descriptor; /* unless a fault denies it */

static int
get_fd(void)
{
	int r = polling_get_fd(p);

	return r < 0 && errno == ENOTSUP && !has_descriptor ? 0 : r;
}

static void
make_source_and_timer(void)
{
	make_source();
	has_descriptor = polling_supports(p, POLLING_FEATURE_FD);
	MUST(polling_add_timer(p, 1, &long_time, NULL, 2));
}

static void
check_fd(void)
{
	struct pollfd watch = {.events = POLLIN};

	if (polling_supports(p, POLLING_FEATURE_FD)) {
		watch.fd = polling_get_fd(p);
		/* An alarm that could not be set is told of once. */
		if (result->injected != 0 && poll(&watch, 1, 0) != 0)
			EXPECT_NOTHING();
		if (poll(&watch, 1, 0) != 0)
			fail("the descriptor is readable for nothing");
		send_byte();
		if (poll(&watch, 1, 1000) != 1)
			fail("the descriptor is silent");
		EXPECT(1, POLLING_IN);
		receive_byte();
	}
	MUST(polling_delete_timer(p, 1));
	use_source();
}

static void
make_source_and_brief_timer(void)
{
	static const struct timespec brief = {.tv_nsec = 50000000};

	make_source();
	has_descriptor = polling_supports(p, POLLING_FEATURE_FD);
	MUST(polling_add_timer(p, 1, &brief, NULL, 2));
}

/* An alarm that could not be set is, after the look that was asked for. */
static void
check_alarm(void)
{
	struct pollfd watch = {.events = POLLIN};
	struct polling_event event;

	if (polling_supports(p, POLLING_FEATURE_FD)) {
		watch.fd = polling_get_fd(p);
		/* Unless it is due by now. */
		if (polling_wait(p, &event, 1, &no_time) == 0) {
			if (poll(&watch, 1, 5000) != 1)
				fail("the descriptor is silent for a timer");
			EXPECT(2, POLLING_TIMER);
		}
	} else {
		MUST(polling_delete_timer(p, 1));
	}
	use_source();
}

/* Readable at once for what was there before. */
static void
expect_readable(void)
{
	struct pollfd watch = {.events = POLLIN};

	if (!polling_supports(p, POLLING_FEATURE_FD))
		return;
	watch.fd = polling_get_fd(p);
	/* A port that takes nothing more cannot tell that either. */
	if (!fault_met("port_send") && poll(&watch, 1, 1000) != 1)
		fail("the descriptor is silent");
}

static void
make_unconnected_source(void)
{
	make_unconnected();
	has_descriptor = polling_supports(p, POLLING_FEATURE_FD);
	MUST(add_unconnected());
	/* So that what the kernel has to say of it is out of the way. */
	EXPECT(1, POLLING_OUT | POLLING_HUP);
}

static void
check_ready_fd(void)
{
	expect_readable();
	check_unconnected();
}

static void
check_ready_broken(void)
{
	expect_readable();
	check_broken();
}

/* Forks: the act is the child's. */

static void
make_family(void)
{
	make_source();
	third = open(".", O_RDONLY | O_CLOEXEC);
	MUST(third);
	MUST(polling_add(p, third, POLLING_IN, POLLING_ONESHOT, 5));
	MUST(add_timers());
	MUST(polling_add_signal(p, SIGUSR2, POLLING_LEVEL, 6));
	MUST(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1));
}

static int number; /* of a source that the child puts to another use */

static void
make_changed_family(void)
{
	make_family();
	number = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	MUST(number);
	MUST(polling_add(p, number, POLLING_IN, POLLING_LEVEL, 9));
}

static void
change_in_child(void)
{
	int other = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

	MUST(other);
	/* A pipe's inode is its own, and all eventfds have the same. */
	close(other);
	other = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	close(number);
	{
		int fds[2];

		MUST(pipe2(fds, O_CLOEXEC));
		MUST(write(fds[1], "", 1));
		close(fds[1]);
		/* A kqueue that is not inherited leaves lower ones free. */
		if (fds[0] != number) {
			MUST(dup3(fds[0], number, O_CLOEXEC));
			close(fds[0]);
		}
	}
	close(other);
}

static int
reinit(void)
{
	return polling_reinit(p);
}

static void
check_family(void)
{
	EXPECT(5, POLLING_IN);
	EXPECT_NOTHING();
	MUST(polling_delete(p, third));
	for (int i = 0; i < MANY; i++)
		MUST(polling_delete_timer(p, (uintptr_t)i));
	raise(SIGUSR1);
	EXPECT(1, POLLING_SIGNAL);
	MUST(delete_signal());
	raise(SIGUSR2);
	EXPECT(6, POLLING_SIGNAL);
	MUST(polling_delete_signal(p, SIGUSR2));
	use_source();
}

static void
check_changed_family(void)
{
	/* What could not be looked at is taken for what it was. */
	if (fault_met("fstat") || fault_met("fopen"))
		(void)polling_delete(p, number);
	check_family();
	close(number);
}

/* The parent's poller has noticed nothing. */
static void
check_parent(void)
{
	if (number > 0) {
		struct polling_event e[4];
		int n = polling_wait(p, e, LENGTH(e), &no_time);

		if (n != 2)
			fail("%d events in the parent", n);
		MUST(polling_delete(p, number));
		close(number);
		MUST(polling_modify(p, third, POLLING_IN, POLLING_ONESHOT, 5));
	}
	check_family();
}

/* The end */

static int
destroy(void)
{
	polling_destroy(p);
	p = NULL;
	return 0;
}

static void
make_full(void)
{
	make_everything();
	MUST(add_timers());
	child = getppid();
	MUST(polling_add_process(p, child, POLLING_EXIT, 6));
}

static void
check_end(void)
{
	struct sigaction now;

	if (sigaction(SIGUSR1, NULL, &now) < 0 || now.sa_handler != SIG_DFL)
		fail("the disposition has not come back");
}

#define THREADS 0x1u /* allocate what is not freed */
#define FORKED  0x2u /* the act is a forked child's */
#define EPOLL   0x4u /* is of this backend */

#define PLAIN(name, prepare, act, check)                 \
	{                                                \
		name, prepare, act, check, 0, NULL, NULL \
	}

static const struct scenario {
	const char *name;
	void (*prepare)(void);
	int (*act)(void); /* -1 if it failed, with errno */
	void (*check)(void);
	unsigned flags;
	void (*in_child)(void); /* before the act */
	void (*in_parent)(void);
} scenarios[] = {
    PLAIN("create-first", NULL, create, check_created),
    PLAIN("create", create_before, create, check_created),
    {"create-beside-forks", NULL, create_beside_forks, check_created, THREADS,
	NULL, NULL},
    PLAIN("add", make_pair, add, use_source),
    PLAIN("add-oneshot", make_pair, add_oneshot, check_oneshot),
    PLAIN("add-high", make_high, add, use_source),
    PLAIN("add-file", make_file, add, check_file),
    PLAIN("add-unconnected", make_unconnected, add_unconnected,
	check_unconnected),
    PLAIN("add-dead", make_dead, add, use_source),
    PLAIN("add-again", make_source, add_again, use_source),
    PLAIN("modify", make_other_source, modify, use_source),
    PLAIN("modify-wait", make_other_source, modify_and_wait, use_source),
    PLAIN("modify-exposed", make_exposed, modify, use_source),
    PLAIN("modify-file", make_file_source, modify, check_file),
    PLAIN("delete", make_source, delete, check_deleted),
    PLAIN("delete-file", make_file_source, delete, check_deleted),
    PLAIN("wait", make_ready, wait_long, check_ready),
    PLAIN("wait-for-ever", make_ready, wait_for_ever, check_ready),
    PLAIN("wait-oneshot", make_ready_oneshot, wait_long, check_ready_oneshot),
    PLAIN("wait-interruptible", make_ready_interruptible, wait_long,
	check_ready_oneshot),
    PLAIN("wait-file", make_file_source, wait_long, check_file_ready),
    PLAIN("wait-short", make_source, wait_short, use_source),
    PLAIN("wait-starved", make_other_source, modify_and_wait_short, use_source),
    PLAIN("wait-broken", make_broken, wait_for_broken, check_broken),
    PLAIN("modify-broken", make_broken, modify_broken, check_broken),
    PLAIN("disarm-broken", make_broken, disarm_broken, check_disarmed_broken),
    PLAIN("add-again-broken", make_broken, add_again, check_broken),
    PLAIN(
	"wait-everything", make_everything, take_everything, check_everything),
    PLAIN("wait-orphan", make_orphan, wait_often, check_orphan),
    PLAIN("wait-orphan-exposed", make_exposed_orphan, wait_often,
	check_exposed_orphan),
    {"wait-orphan-threads", make_sleepers, replace_among_sleepers,
	check_sleepers, THREADS | EPOLL, NULL, NULL},
    PLAIN("notify", make_poller, notify, check_notified),
    PLAIN("notify-exposed", make_exposed_poller, notify, check_notified),
    PLAIN("post", make_poller, post_many, check_posts),
    PLAIN("post-exposed", make_exposed_poller, post_many, check_posts),
    PLAIN("add-timer", make_poller, add_timers, check_timers),
    PLAIN("add-timer-exposed", make_exposed_poller, add_timer, check_timer),
    PLAIN("modify-timer", make_timers, modify_timers, check_timers),
    PLAIN("delete-timer", make_timers, delete_timers, use_poller),
    PLAIN("add-signal", make_poller, add_signal, check_signal),
    PLAIN("modify-signal", make_signal, modify_signal, check_signal),
    PLAIN("delete-signal", make_signal, delete_signal, check_no_signal),
    PLAIN("add-process", make_child, add_child, check_child),
    PLAIN("add-process-high", make_child_high, add_child, check_child),
    PLAIN("add-process-dead", make_dead_child, add_child, check_child),
    PLAIN("add-process-stranger", make_stranger, add_stranger, check_stranger),
    PLAIN("modify-process", make_watched_child, modify_child, check_child),
    PLAIN("modify-process-exec", make_child_for_all, modify_child_more,
	check_child),
    PLAIN("delete-process", make_watched_child, delete_child, check_no_child),
    PLAIN("get-fd", make_source_and_timer, get_fd, check_fd),
    PLAIN("get-fd-alarm", make_source_and_brief_timer, get_fd, check_alarm),
    PLAIN("get-fd-ready", make_unconnected_source, get_fd, check_ready_fd),
    PLAIN("get-fd-broken", make_broken, get_fd, check_ready_broken),
    {"reinit", make_family, reinit, check_family, FORKED, NULL, check_parent},
    {"reinit-changed", make_changed_family, reinit, check_changed_family,
	FORKED, change_in_child, check_parent},
    {"reinit-process", make_child_for_all, reinit, check_sibling, FORKED, NULL,
	check_killed_child},
    PLAIN("destroy", make_full, destroy, check_end),
    {"destroy-inherited", make_family, destroy, check_end, FORKED, NULL,
	check_parent},
};

/* A run */

static int
open_descriptors(void)
{
	int n = 0;

	for (int i = 0; i < DESCRIPTORS; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

/* Whether the act may fail with code. */
static bool
is_plausible(enum fault_mode mode, int error, int code)
{
	static const int any[] = {
	    EMFILE, ENFILE, ENOMEM, ENOSPC, EINVAL, EAGAIN};

	/* What cannot be looked at is taken for what was there. */
	if (code == EEXIST && fault_met("fstat"))
		return true;
	/* One that has ended, and the kernel alone knows nothing of. */
	if (code == ESRCH && fault_met("waitid"))
		return true;
	/* What the system has not, but for which there may be another way. */
	if (mode == FAULT_ONCE &&
	    (error == ENOSYS || error == EPERM || error == ENODEV))
		return code == error || code == ENOTSUP;
	/* A limit of event ports, in the words of other systems. */
	if (error == EAGAIN &&
	    (code == EMFILE || code == ENOSPC || code == ENOMEM))
		return true;
	if (mode == FAULT_ONCE)
		return code == error;
	if (mode == FAULT_STORM)
		return code == EINTR;
	for (int i = 0; i < LENGTH(any); i++)
		if (code == any[i])
			return true;
	return error == ENOSYS && code == ENOTSUP;
}

/* The act with its faults, and without if that fails. */
static void
act(const struct scenario *s, enum fault_mode mode, int at, int error)
{
	int r, code;

	result->error = mode == FAULT_STORM ? EINTR : error;
	fault_arm(mode, at, error);
	r = s->act();
	code = errno;
	fault_disarm();
	result->count = fault_count();
	result->injected = fault_injected();
	for (int i = 1; i <= result->count && i <= FAULT_TRACE_MAX; i++)
		result->trace[i] = fault_traced(i);
	if (r >= 0)
		return;
	if (result->injected == 0 || !is_plausible(mode, error, code))
		fail("the error is %s", strerror(code));
	if (s->act() < 0)
		fail("tried again, the error is %s", strerror(errno));
}

static void
act_in_child(
    const struct scenario *s, enum fault_mode mode, int at, int error, int open)
{
	pid_t pid = fork();
	int status;

	MUST(pid);
	if (pid == 0) {
		alarm(SECONDS);
		if (s->in_child != NULL)
			s->in_child();
		act(s, mode, at, error);
		s->check();
		polling_destroy(p);
		close_all();
		if (open_descriptors() != open)
			fail(
			    "%d descriptors leaked", open_descriptors() - open);
		_exit(0);
	}
	MUST(waitpid(pid, &status, 0));
	if (WIFSIGNALED(status))
		fail("killed by signal %d", WTERMSIG(status));
	if (status != 0)
		_exit(1);
}

static void
run(const struct scenario *s, enum fault_mode mode, int at, int error)
{
	int open = open_descriptors();
	long balance = fault_balance();

	alarm(SECONDS);
	if (s->prepare != NULL)
		s->prepare();
	if (s->flags & FORKED) {
		act_in_child(s, mode, at, error, open);
		s->in_parent();
	} else {
		act(s, mode, at, error);
		s->check();
	}
	polling_destroy(p);
	close_all();
	if (open_descriptors() != open)
		fail("%d descriptors leaked", open_descriptors() - open);
	if (!(s->flags & THREADS) && fault_balance() != balance)
		fail("%ld blocks of memory leaked", fault_balance() - balance);
	_exit(0);
}

/* Returns 1 if it failed, and says what. The number at is of such a call. */
static int
run_apart(
    const struct scenario *s, enum fault_mode mode, int at, int call, int error)
{
	static const char *const modes[] = {
	    [FAULT_NONE] = "without a fault",
	    [FAULT_ONCE] = "fails with ",
	    [FAULT_FROM] = "and all that follow fail ",
	    [FAULT_STORM] = "in a storm of EINTR",
	};
	int status;
	pid_t pid;

	result->words[0] = '\0';
	result->injected = 0;
	pid = fork();
	if (pid == 0)
		run(s, mode, at, error);
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		perror("faults");
		exit(99);
	}
	if (status == 0)
		return 0;
	if (WIFSIGNALED(status))
		(void)snprintf(result->words, sizeof result->words,
		    "killed by signal %d", WTERMSIG(status));
	printf("FAIL %s: ", s->name);
	if (at != 0)
		printf("call %d, %s, ", at, fault_calls[call].name);
	printf("%s%s: %s\n", modes[mode], error != 0 ? strerror(error) : "",
	    result->words);
	return 1;
}

/* Returns how many runs failed, and counts those with faults. */
static int
run_scenario(const struct scenario *s, int *total)
{
	int trace[FAULT_TRACE_MAX + 1];
	int most = FAULT_TRACE_MAX;
	int count, faults = 0, failed = run_apart(s, FAULT_NONE, 0, 0, 0);

	if (failed != 0)
		return failed;
	count = result->count;
	/* Threads may look again and again. */
	if (s->flags & THREADS)
		most = 40;
	if (count > most)
		count = most;
	memcpy(trace, result->trace, sizeof trace);
	for (int at = 1; at <= count; at++) {
		const int *errors = fault_calls[trace[at]].errors;

		for (int i = 0; errors[i] != 0; i++) {
			failed += run_apart(
			    s, FAULT_ONCE, at, trace[at], errors[i]);
			faults += result->injected != 0;
		}
		failed += run_apart(s, FAULT_FROM, at, trace[at], 0);
		faults += result->injected != 0;
		/* What is there instead fails then. */
		if (fault_is_for(trace[at], ENOSYS)) {
			failed += run_apart(
			    s, FAULT_FROM, at, trace[at], ENOSYS);
			faults += result->injected != 0;
		}
	}
	failed += run_apart(s, FAULT_STORM, 0, 0, 0);
	faults += result->injected != 0;
	printf("%s %s: %d calls, %d runs with faults\n",
	    failed ? "FAIL" : "PASS", s->name, count, faults);
	*total += faults;
	return failed;
}

static const char *
find_obstacle(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		result->obstacle = fault_obstacle();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0) {
		perror("faults");
		exit(99);
	}
	return result->obstacle;
}

int
main(int argc, char **argv)
{
	int failed = 0, total = 0, n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED) {
		perror("faults");
		return 99;
	}
	if (find_obstacle() != NULL) {
		printf("SKIP %s\n", result->obstacle);
		return 77;
	}
	for (int i = 0; i < LENGTH(scenarios); i++) {
		const struct scenario *s = &scenarios[i];

		if (argc > 1 && strcmp(argv[1], s->name) != 0)
			continue;
		if ((s->flags & EPOLL) &&
		    strcmp(polling_backend(), "epoll") != 0)
			continue;
		failed += run_scenario(s, &total);
		n++;
	}
	printf(
	    "%d scenarios, %d runs with faults, %d failed\n", n, total, failed);
	return failed != 0;
}
