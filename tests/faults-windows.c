/* SPDX-License-Identifier: MIT */
/*
 * faults-windows.c - every call that a public function makes fails once, in
 * turn: what faults.c is elsewhere.
 *
 * A scenario prepares a poller and acts on it, mostly by one public call. It
 * runs once to see what that asks of Windows, and then again and again: with
 * each of these calls failing, by each error that it may have, and with each
 * and those after it failing for a while. Whatever fails, the act succeeds or
 * says a plausible error, and in that case has changed nothing: the same act
 * succeeds when it is tried again, nothing that was pending is lost, and the
 * poller can be used. In the end no handle and no memory is left.
 *
 * A process is dear here, so that all runs are in one; the first fault that is
 * found is the last. A system without wait completion packets has a second one,
 * with packets.c.
 */
#include "faults-imports.h"

#include <errno.h>
#include <polling.h>
#include <process.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>
#include <windows.h>

#include "packets.h"

/* After this without progress a run hangs. */
#define SECONDS 60

/* More than fits the first room of a ring, a heap or a table. */
#define MANY 120

/* More sockets than share a device. */
#define CROWD 33

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

static const struct timespec no_time, long_time = {.tv_sec = 5},
				      short_time = {.tv_nsec = 30000000};

struct scenario;

/* What is run, for what is said of it. */
static const char *scenario_name;
static char run_name[120];
static volatile LONG runs;

/* The run: its poller, and what the scenario needs. */
static struct polling *p;
static SOCKET fd, peer; /* connected, for all runs */
static SOCKET extra = INVALID_SOCKET;
static SOCKET crowd[CROWD];
static HANDLE object;
static bool posted; /* to count those that were */
static int done;    /* of the MANY that an act makes */

static void __attribute__((__format__(__printf__, 1, 2), __noreturn__))
fail(const char *format, ...)
{
	va_list list;

	fault_disarm();
	printf("FAIL %s%s: ", scenario_name, run_name);
	va_start(list, format);
	(void)vprintf(format, list);
	va_end(list);
	printf("\n");
	exit(1);
}

/* For what has to succeed. */
#define MUST(call)                                                             \
	do {                                                                   \
		if ((call) < 0)                                                \
			fail("line %d: %s: errno %d", __LINE__, #call, errno); \
	} while (0)
#define SYSTEM(call)                                                    \
	do {                                                            \
		if (!(call))                                            \
			fail("line %d: %s: error %lu", __LINE__, #call, \
			    (unsigned long)GetLastError());             \
	} while (0)

/* What comes next is this event alone; with no events, nothing comes. */
static void
expect(int line, uintptr_t key, uint32_t events)
{
	struct polling_event e[8];
	int n = polling_wait(
	    p, e, LENGTH(e), events != 0 ? &long_time : &no_time);

	if (n < 0)
		fail("line %d: polling_wait: errno %d", line, errno);
	if (n != (events != 0))
		fail("line %d: %d events, the first is of %lu", line, n,
		    n > 0 ? (unsigned long)e[0].key : 0);
	if (events != 0 && (e[0].key != key || e[0].events != events))
		fail("line %d: %#x of %lu, not %#x of %lu", line,
		    (unsigned)e[0].events, (unsigned long)e[0].key,
		    (unsigned)events, (unsigned long)key);
}

#define EXPECT(key, events) expect(__LINE__, (key), (events))
#define EXPECT_NOTHING()    expect(__LINE__, 0, 0)

/* The poller, which nothing is pending for, does what pollers do. */
static void
use_poller(void)
{
	const struct polling_event event = {.key = 71, .events = 1, .data = 2};
	struct polling_event got;
	HANDLE source = CreateEventW(NULL, FALSE, TRUE, NULL);

	EXPECT_NOTHING();
	SYSTEM(source != NULL);
	MUST(polling_add_waitable(p, source, POLLING_IN, POLLING_ONESHOT, 70));
	EXPECT(70, POLLING_IN);
	EXPECT_NOTHING();
	SYSTEM(SetEvent(source));
	MUST(polling_modify_waitable(p, source, POLLING_IN, POLLING_LEVEL, 72));
	EXPECT(72, POLLING_IN);
	MUST(polling_delete_waitable(p, source));
	SYSTEM(CloseHandle(source));
	MUST(polling_post(p, &event));
	EXPECT(71, 1);
	MUST(polling_notify(p));
	if (polling_wait(p, &got, 1, &long_time) != 0)
		fail("a notification does not end a wait");
	MUST(polling_add_timer(p, 1, &no_time, NULL, 73));
	EXPECT(73, POLLING_TIMER);
	EXPECT_NOTHING();
}

/* Sockets */

static SOCKET
make_socket(void)
{
	SOCKET s = socket(AF_INET, SOCK_STREAM, 0);

	SYSTEM(s != INVALID_SOCKET);
	return s;
}

static void
connect_pair(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int length = sizeof address, on = 1;
	SOCKET listener = make_socket();

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	SYSTEM(
	    bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
	SYSTEM(listen(listener, 1) == 0);
	SYSTEM(
	    getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	fd = make_socket();
	SYSTEM(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	peer = accept(listener, NULL, NULL);
	SYSTEM(peer != INVALID_SOCKET);
	SYSTEM(setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, (char *)&on,
		   sizeof on) == 0);
	SYSTEM(closesocket(listener) == 0);
}

static void
send_byte(void)
{
	SYSTEM(send(peer, "", 1, 0) == 1);
}

static void
receive_byte(void)
{
	char byte;

	SYSTEM(recv(fd, &byte, 1, 0) == 1);
}

static void
make_poller(void)
{
	p = polling_create(0);
	if (p == NULL)
		fail("polling_create: errno %d", errno);
}

static int
create(void)
{
	p = polling_create(0);
	return p != NULL ? 0 : -1;
}

static int
add(void)
{
	return polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1);
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

static void
make_source(void)
{
	make_poller();
	MUST(add());
}

static int
add_again(void)
{
	int r = add();

	return r < 0 && errno == EEXIST ? 0 : r;
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

	return modify() < 0 ? -1 : polling_wait(p, &e, 1, &short_time);
}

static void
make_other_source(void)
{
	make_poller();
	MUST(polling_add(p, fd, POLLING_OUT, POLLING_ONESHOT, 2));
	EXPECT(2, POLLING_OUT);
}

/* Its poll is away, and asks for less than what is to come. */
static void
make_waiting_source(void)
{
	make_poller();
	MUST(polling_add(p, fd, POLLING_PRI, POLLING_LEVEL, 2));
	EXPECT_NOTHING();
}

static int delete (void)
{
	return polling_delete(p, fd);
}

static void
check_deleted(void)
{
	send_byte();
	EXPECT_NOTHING();
	if (polling_delete(p, fd) == 0 || errno != ENOENT)
		fail("a deleted source is still there");
	MUST(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 3));
	EXPECT(3, POLLING_IN);
	receive_byte();
	MUST(polling_delete(p, fd));
	use_poller();
}

/* Providers that do not tell what is below a socket, but what is to be asked
 * for it instead of it. */

static void
make_layered(void)
{
	make_poller();
	fault_layer = (struct fault_layer){
	    .is_there = true, .knows_for_select = true, .gives_another = true};
}

static void
make_layered_for_poll(void)
{
	make_poller();
	fault_layer = (struct fault_layer){
	    .is_there = true, .knows_for_poll = true, .gives_another = true};
}

/* It says no more than what it was asked. */
static void
make_bottomless(void)
{
	make_poller();
	fault_layer = (struct fault_layer){
	    .is_there = true, .knows_for_select = true, .knows_for_poll = true};
}

static int
add_bottomless(void)
{
	int r = add();

	if (r == 0)
		fail("a socket is taken in that AFD does not know");
	return errno == ENOTSUP ? 0 : r;
}

/* Hung up, as it was never connected: it comes by a packet that the library
 * sends. */
static void
make_unconnected(void)
{
	make_poller();
	extra = make_socket();
}

static int
add_unconnected(void)
{
	return polling_add(p, extra, POLLING_OUT, POLLING_LEVEL, 1);
}

static void
make_unconnected_source(void)
{
	make_unconnected();
	MUST(add_unconnected());
}

static int
wait_for_unconnected(void)
{
	struct polling_event e;
	int n = polling_wait(
	    p, &e, 1, fault_met(EBADF) ? &short_time : &long_time);

	if (n == 0 && !fault_met(EBADF))
		fail("a wait has lost its event");
	return n;
}

static void
check_unconnected(void)
{
	EXPECT(1, POLLING_OUT | POLLING_HUP);
	EXPECT(1, POLLING_OUT | POLLING_HUP);
	MUST(polling_delete(p, extra));
	use_poller();
}

/* One more of them needs another device. */
static void
make_crowd(void)
{
	make_poller();
	for (int i = 0; i < CROWD - 1; i++) {
		crowd[i] = make_socket();
		MUST(polling_add(p, crowd[i], 0, POLLING_LEVEL, (uintptr_t)i));
	}
}

static void
check_crowd(void)
{
	for (int i = 0; i < CROWD - 1; i++)
		MUST(polling_delete(p, crowd[i]));
	use_source();
}

/* Waits */

static void
make_ready(void)
{
	make_source();
	send_byte();
}

/* A source may be gone if the driver says that it was closed. */
static int
wait_for_ready(void)
{
	struct polling_event e;
	int n;

	n = polling_wait(p, &e, 1, fault_met(EBADF) ? &short_time : &long_time);
	if (n == 0 && !fault_met(EBADF))
		fail("a wait has lost its event");
	if (n > 0 && (e.key != 1 || e.events != POLLING_IN))
		fail("another event: %#x of %lu", (unsigned)e.events,
		    (unsigned long)e.key);
	return n;
}

static int
wait_for_ever(void)
{
	struct polling_event e;
	int n = polling_wait(p, &e, 1, NULL);

	if (n == 0)
		fail("a wait has lost its event");
	return n;
}

static void
check_ready(void)
{
	EXPECT(1, POLLING_IN);
	receive_byte();
	use_source();
}

/* Two at a time, of which the driver tells in another order than that in which
 * it was asked. */

static void
make_reversed(void)
{
	make_ready();
	MUST(polling_add(p, peer, POLLING_OUT, POLLING_LEVEL, 2));
	fault_reverses = true;
}

static int
wait_for_two(void)
{
	struct polling_event e[3];
	int n = polling_wait(
	    p, e, LENGTH(e), fault_met(EBADF) ? &short_time : &long_time);

	if (n == 0 && !fault_met(EBADF))
		fail("a wait has lost its events");
	for (int i = 0; i < n; i++)
		if (e[i].events != (e[i].key == 1 ? POLLING_IN : POLLING_OUT))
			fail("another event: %#x of %lu", (unsigned)e[i].events,
			    (unsigned long)e[i].key);
	return n;
}

static void
check_reversed(void)
{
	int n = 0;

	for (int i = 0; i < 10 && n != 2; i++) {
		n = wait_for_two();
		MUST(n);
	}
	if (n != 2)
		fail("%d events", n);
	MUST(polling_delete(p, peer));
	check_ready();
}

/* The time is not over early. */
static int
wait_short(void)
{
	struct timespec begin, end;
	struct polling_event e;
	int n;

	polling_now(&begin);
	n = polling_wait(p, &e, 1, &short_time);
	polling_now(&end);
	if (n > 0)
		fail("an event of nothing");
	if (n == 0 && (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec -
			      begin.tv_nsec <
			  short_time.tv_nsec)
		fail("a wait was over early");
	return n;
}

/* Handles: a wait takes the signal of an event that resets itself, and of a
 * semaphore, which must not get lost. */

static void
make_event(void)
{
	make_poller();
	object = CreateEventW(NULL, FALSE, FALSE, NULL);
	SYSTEM(object != NULL);
}

static void
make_signalled_event(void)
{
	make_event();
	SYSTEM(SetEvent(object));
}

static void
make_manual_event(void)
{
	make_poller();
	object = CreateEventW(NULL, TRUE, FALSE, NULL);
	SYSTEM(object != NULL);
}

static void
make_semaphore(void)
{
	make_poller();
	object = CreateSemaphoreW(NULL, 1, 1, NULL);
	SYSTEM(object != NULL);
}

static int
add_object(void)
{
	return polling_add_waitable(p, object, POLLING_IN, POLLING_LEVEL, 1);
}

static int
modify_object(void)
{
	struct polling_event e;

	return polling_modify_waitable(
		   p, object, POLLING_IN, POLLING_LEVEL, 1) < 0
		   ? -1
		   : polling_wait(p, &e, 1, &no_time);
}

static void
check_event(void)
{
	EXPECT_NOTHING();
	SYSTEM(SetEvent(object));
	EXPECT(1, POLLING_IN);
	EXPECT_NOTHING();
	MUST(polling_delete_waitable(p, object));
	use_poller();
}

static void
check_signalled_event(void)
{
	EXPECT(1, POLLING_IN);
	check_event();
}

static void
check_manual_event(void)
{
	EXPECT_NOTHING();
	SYSTEM(SetEvent(object));
	EXPECT(1, POLLING_IN);
	EXPECT(1, POLLING_IN);
	SYSTEM(ResetEvent(object));
	EXPECT_NOTHING();
	MUST(polling_delete_waitable(p, object));
	use_poller();
}

static void
check_semaphore(void)
{
	EXPECT(1, POLLING_IN);
	EXPECT_NOTHING();
	SYSTEM(ReleaseSemaphore(object, 1, NULL));
	EXPECT(1, POLLING_IN);
	EXPECT_NOTHING();
	MUST(polling_delete_waitable(p, object));
	use_poller();
}

static void
make_event_source(void)
{
	make_event();
	MUST(add_object());
	EXPECT_NOTHING();
}

static void
make_taken_event(void)
{
	make_event();
	MUST(polling_add_waitable(p, object, POLLING_IN, POLLING_ONESHOT, 1));
	SYSTEM(SetEvent(object));
	EXPECT(1, POLLING_IN);
}

/* A thread of the pool has no memory for the packet at first. */
static int
signal_and_wait(void)
{
	struct polling_event e;
	int n;

	if (!posted)
		SYSTEM(SetEvent(object));
	posted = true;
	n = polling_wait(p, &e, 1, &long_time);
	if (n == 0)
		fail("a wait has lost its event");
	return n;
}

static void
make_mutex(void)
{
	make_poller();
	object = CreateMutexW(NULL, FALSE, NULL);
	SYSTEM(object != NULL);
}

static int
add_mutex(void)
{
	int r = add_object();

	if (r == 0)
		fail("a mutex is taken in");
	return errno == EINVAL ? 0 : r;
}

/* What the core has */

static void
make_exposed(void)
{
	make_poller();
	SYSTEM(polling_get_handle(p) != NULL);
}

static int
notify(void)
{
	return polling_notify(p);
}

static void
check_notified(void)
{
	struct polling_event e;

	if (polling_wait(p, &e, 1, &long_time) != 0)
		fail("a notification is lost");
	use_poller();
}

static int
post_many(void)
{
	struct polling_event event = {.key = 5, .events = 1};

	if (!posted)
		done = 0;
	posted = true;
	for (; done < MANY; done++) {
		event.data = (uint32_t)done;
		if (polling_post(p, &event) < 0)
			return -1;
	}
	posted = false;
	return 0;
}

static void
check_posts(void)
{
	struct polling_event e;

	for (int i = 0; i < MANY; i++)
		if (polling_wait(p, &e, 1, &no_time) != 1 ||
		    e.data != (uint32_t)i)
			fail("post %d is lost", i);
	use_poller();
}

static int
add_timers(void)
{
	if (!posted)
		done = 0;
	posted = true;
	for (; done < MANY; done++)
		if (polling_add_timer(p, (uintptr_t)done + 2, &no_time, NULL,
			(uintptr_t)done) < 0)
			return -1;
	posted = false;
	return 0;
}

static void
check_timers(void)
{
	struct polling_event e;

	for (int i = 0; i < MANY; i++)
		if (polling_wait(p, &e, 1, &no_time) != 1)
			fail("timer %d is lost", i);
	use_poller();
}

static void
make_timers(void)
{
	make_poller();
	for (int i = 0; i < MANY; i++)
		MUST(polling_add_timer(
		    p, (uintptr_t)i + 2, &long_time, NULL, (uintptr_t)i));
}

/* Each needs another entry in the heap. */
static int
modify_timers(void)
{
	if (!posted)
		done = 0;
	posted = true;
	for (; done < MANY; done++)
		if (polling_modify_timer(p, (uintptr_t)done + 2, &no_time, NULL,
			(uintptr_t)done) < 0)
			return -1;
	posted = false;
	return 0;
}

static int
add_signal(void)
{
	return polling_add_signal(p, SIGINT, POLLING_LEVEL, 1);
}

static void
make_signal(void)
{
	make_poller();
	MUST(add_signal());
}

static int
delete_signal(void)
{
	return polling_delete_signal(p, SIGINT);
}

static void
check_signal(void)
{
	if (add_signal() == 0 || errno != EEXIST)
		fail("a signal is not there");
	MUST(delete_signal());
	use_poller();
}

static void
check_no_signal(void)
{
	if (delete_signal() == 0 || errno != ENOENT)
		fail("a deleted signal is still there");
	use_poller();
}

static int
add_process(void)
{
	return polling_add_process(p, GetCurrentProcessId(), POLLING_EXIT, 1);
}

static void
make_process(void)
{
	make_poller();
	MUST(add_process());
}

static int
modify_process(void)
{
	struct polling_event e;

	return polling_modify_process(
		   p, GetCurrentProcessId(), POLLING_EXIT, 2) < 0
		   ? -1
		   : polling_wait(p, &e, 1, &no_time);
}

static void
check_process(void)
{
	EXPECT_NOTHING();
	if (add_process() == 0 || errno != EEXIST)
		fail("a process is not there");
	MUST(polling_delete_process(p, GetCurrentProcessId()));
	use_poller();
}

/* The end */

static void
make_full(void)
{
	make_event_source();
	MUST(add());
	MUST(add_timers());
	MUST(add_signal());
	MUST(add_process());
	MUST(polling_notify(p));
}

static int
destroy(void)
{
	polling_destroy(p);
	p = NULL;
	return 0;
}

#define CALLS_OF_ALL 0x1u /* other threads call too */
#define HANDLES      0x2u /* handles are waited for */
#define FOR_EVER     0x4u /* would not end if its source were gone */

#define PLAIN(name, prepare, act, check)     \
	{                                    \
		name, prepare, act, check, 0 \
	}
#define WITH_HANDLE(name, prepare, act, check)     \
	{                                          \
		name, prepare, act, check, HANDLES \
	}

static const struct scenario {
	const char *name;
	void (*prepare)(void);
	int (*act)(void);    /* -1 if it failed, with errno */
	void (*check)(void); /* NULL if nothing is left */
	unsigned flags;
} scenarios[] = {
    PLAIN("create", NULL, create, use_poller),
    PLAIN("add", make_poller, add, use_source),
    PLAIN("add-again", make_source, add_again, use_source),
    PLAIN("add-unconnected", make_unconnected, add_unconnected,
	check_unconnected),
    PLAIN("add-layered", make_layered, add, use_source),
    PLAIN("add-layered-poll", make_layered_for_poll, add, use_source),
    PLAIN("add-bottomless", make_bottomless, add_bottomless, use_poller),
    PLAIN("add-device", make_crowd, add, check_crowd),
    PLAIN("modify", make_other_source, modify, use_source),
    PLAIN("modify-wait", make_other_source, modify_and_wait, use_source),
    PLAIN("modify-away", make_waiting_source, modify_and_wait, use_source),
    PLAIN("delete", make_source, delete, check_deleted),
    PLAIN("wait", make_ready, wait_for_ready, check_ready),
    {"wait-for-ever", make_unconnected_source, wait_for_ever, check_unconnected,
	FOR_EVER},
    PLAIN("wait-unconnected", make_unconnected_source, wait_for_unconnected,
	check_unconnected),
    PLAIN("wait-reversed", make_reversed, wait_for_two, check_reversed),
    PLAIN("wait-short", make_source, wait_short, use_source),
    WITH_HANDLE("add-event", make_event, add_object, check_event),
    WITH_HANDLE("add-event-signalled", make_signalled_event, add_object,
	check_signalled_event),
    WITH_HANDLE(
	"add-event-manual", make_manual_event, add_object, check_manual_event),
    WITH_HANDLE("add-semaphore", make_semaphore, add_object, check_semaphore),
    WITH_HANDLE("add-mutex", make_mutex, add_mutex, use_poller),
    WITH_HANDLE("modify-event", make_taken_event, modify_object, check_event),
    {"wait-event", make_event_source, signal_and_wait, check_event,
	CALLS_OF_ALL | HANDLES},
    PLAIN("notify", make_exposed, notify, check_notified),
    PLAIN("post", make_exposed, post_many, check_posts),
    PLAIN("add-timer", make_poller, add_timers, check_timers),
    PLAIN("modify-timer", make_timers, modify_timers, check_timers),
    PLAIN("add-signal", make_poller, add_signal, check_signal),
    PLAIN("delete-signal", make_signal, delete_signal, check_no_signal),
    WITH_HANDLE("add-process", make_poller, add_process, check_process),
    WITH_HANDLE("modify-process", make_process, modify_process, check_process),
    WITH_HANDLE("destroy", make_full, destroy, NULL),
};

/* A run */

/* Handles are multiples of four, and lie close together. */
#define HANDLES_MAX 1024

static int
open_handles(void)
{
	int n = 0;

	for (uintptr_t i = 1; i < HANDLES_MAX; i++) {
		DWORD flags;

		n += GetHandleInformation((HANDLE)(4 * i), &flags) != 0;
	}
	return n;
}

/* Whether the act may fail with code. */
static bool
is_plausible(int code)
{
	/* A provider without the error, or a driver. */
	return fault_met(code) || (code == ENOTSUP && fault_met(EBADF));
}

/* The act with its faults, and without if that fails. */
static void
act(const struct scenario *s, enum fault_mode mode, int at, int error)
{
	int r, code;

	fault_arm(mode, at, error, (s->flags & CALLS_OF_ALL) != 0);
	r = s->act();
	code = errno;
	fault_disarm();
	if (r >= 0)
		return;
	if (fault_injected() == 0 || !is_plausible(code))
		fail("errno is %d", code);
	/* A source that was closed, for all that is known, is gone. */
	if (s->act() < 0 && !(fault_met(EBADF) && errno == ENOENT))
		fail("tried again, errno is %d", errno);
}

/* The driver has said that a socket is closed: the source may be gone, whose
 * last event was not taken then. */
static void
forget_closed(void)
{
	(void)polling_delete(p, fd);
	(void)polling_delete(p, peer);
	if (extra != INVALID_SOCKET)
		(void)polling_delete(p, extra);
	for (int i = 0; i < CROWD; i++)
		(void)polling_delete(p, crowd[i]);
	use_poller();
}

static void
drain(void)
{
	u_long there = 0;

	while (ioctlsocket(fd, FIONREAD, &there) == 0 && there > 0)
		receive_byte();
}

static void
close_all(void)
{
	if (extra != INVALID_SOCKET)
		SYSTEM(closesocket(extra) == 0);
	for (int i = 0; i < CROWD; i++)
		if (crowd[i] != INVALID_SOCKET)
			SYSTEM(closesocket(crowd[i]) == 0);
	if (object != NULL)
		SYSTEM(CloseHandle(object));
	extra = INVALID_SOCKET;
	for (int i = 0; i < CROWD; i++)
		crowd[i] = INVALID_SOCKET;
	object = NULL;
	fault_layer.is_there = false;
	fault_reverses = false;
}

/* Returns whether faults were injected. */
static bool
run(const struct scenario *s, enum fault_mode mode, int at, int error)
{
	long balance = fault_balance();
	bool injected;

	(void)InterlockedIncrement(&runs);
	posted = false;
	p = NULL;
	if (s->prepare != NULL)
		s->prepare();
	act(s, mode, at, error);
	injected = fault_injected() != 0;
	if (fault_met(EBADF))
		forget_closed();
	else if (s->check != NULL)
		s->check();
	polling_destroy(p);
	drain();
	close_all();
	if (fault_balance() != balance)
		fail("%ld blocks of memory leaked", fault_balance() - balance);
	return injected;
}

/* Threads of the pool keep a handle while they have nothing to do. */
static void
expect_handles(int handles)
{
	int now = open_handles();

	for (int i = 0; i < 100 && now > handles; i++) {
		Sleep(100);
		now = open_handles();
	}
	if (now > handles)
		fail("%d handles leaked", now - handles);
}

static void
tell_run(enum fault_mode mode, int at, int call, int error)
{
	const struct fault_import *import = &fault_imports[call];

	(void)snprintf(run_name, sizeof run_name,
	    mode == FAULT_ONCE ? ": call %d, %s, fails with %#lx"
			       : ": call %d, %s, and those after it fail",
	    at, import->name, (unsigned long)import->errors[error].code);
}

/* Returns the number of runs with faults. */
static int
run_scenario(const struct scenario *s)
{
	unsigned char trace[FAULT_TRACE_MAX + 1];
	int count, handles, faults = 0;

	scenario_name = s->name;
	run_name[0] = '\0';
	(void)run(s, FAULT_NONE, 0, 0);
	handles = open_handles();
	count = fault_count();
	if (count > FAULT_TRACE_MAX)
		count = FAULT_TRACE_MAX;
	for (int i = 1; i <= count; i++)
		trace[i] = (unsigned char)fault_traced(i);
	for (int at = 1; at <= count; at++) {
		const struct fault_import *import = &fault_imports[trace[at]];

		for (int i = 0;
		     i < LENGTH(import->errors) && import->errors[i].error != 0;
		     i++) {
			tell_run(FAULT_ONCE, at, trace[at], i);
			faults += run(s, FAULT_ONCE, at, i);
			if (i != 0 && (import->errors[i].error != EBADF ||
					  (s->flags & FOR_EVER)))
				continue;
			tell_run(FAULT_FROM, at, trace[at], i);
			faults += run(s, FAULT_FROM, at, i);
		}
	}
	run_name[0] = '\0';
	expect_handles(handles);
	printf(
	    "PASS %s: %d calls, %d runs with faults\n", s->name, count, faults);
	return faults;
}

static DWORD WINAPI
watch_over(void *argument)
{
	LONG before = -1;

	(void)argument;
	while (runs != before) {
		before = runs;
		Sleep(SECONDS * 1000);
	}
	printf("FAIL %s%s: it hangs\n", scenario_name, run_name);
	(void)TerminateProcess(GetCurrentProcess(), 1);
	return 0;
}

#define IMITATE "-p"

/* Runs the same in a process that has wait completion packets. */
static int
run_again(const char *program, const char *scenario)
{
	(void)fflush(stdout);
	return (int)_spawnl(
	    _P_WAIT, program, "faults-windows", IMITATE, scenario, NULL);
}

int
main(int argc, char **argv)
{
	bool imitates = argc > 1 && strcmp(argv[1], IMITATE) == 0;
	const char *chosen = imitates ? argv[2] : argv[1], *missing;
	int total = 0, n = 0, with_handles = 0;
	WSADATA data;
	HANDLE watcher;

	(void)setvbuf(stdout, NULL, _IONBF, 0);
	if (imitates && !packets_imitate()) {
		printf("FAIL the packets cannot be imitated\n");
		return 1;
	}
	missing = fault_prepare();
	if (missing != NULL) {
		printf("FAIL the library does not import %s()\n", missing);
		return 1;
	}
	scenario_name = "start";
	watcher = CreateThread(NULL, 0, watch_over, NULL, 0, NULL);
	SYSTEM(watcher != NULL);
	SYSTEM(WSAStartup(MAKEWORD(2, 2), &data) == 0);
	for (int i = 0; i < CROWD; i++)
		crowd[i] = INVALID_SOCKET;
	connect_pair();
	for (int i = 0; i < LENGTH(scenarios); i++) {
		const struct scenario *s = &scenarios[i];

		if (chosen != NULL && strcmp(chosen, s->name) != 0)
			continue;
		if (imitates && !(s->flags & HANDLES))
			continue;
		total += run_scenario(s);
		n++;
		with_handles += (s->flags & HANDLES) != 0;
	}
	printf("%d scenarios, %d runs with faults%s\n", n, total,
	    imitates ? ", with imitated packets" : "");
	if (imitates || with_handles == 0 || packets_are_here())
		return n == 0;
	return run_again(argv[0], chosen);
}
