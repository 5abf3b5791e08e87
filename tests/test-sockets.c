/* SPDX-License-Identifier: MIT */
/*
 * What is peculiar to the sockets of Windows: their number, which is a handle
 * like any other, the polls that are in flight for them, and the completion
 * port. The numbers are those of the conformance catalogue.
 */
#include "harness.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#include "crew.h"
#include "scenes.h"

#define MANY 2049

/* Sockets with ports, and one that sends to them. */
struct post_office {
	polling_fd sender;
	polling_fd boxes[MANY];
	uint16_t ports[MANY];
	int count;
};

static void
open_boxes(struct post_office *o, int count)
{
	o->sender = make_udp_socket(&(uint16_t){0});
	o->count = count;
	for (int i = 0; i < count; i++)
		o->boxes[i] = make_udp_socket(&o->ports[i]);
}

static void
close_boxes(struct post_office *o)
{
	for (int i = 0; i < o->count; i++)
		close_fd(o->boxes[i]);
	close_fd(o->sender);
}

static void
send_to_box(struct post_office *o, int i)
{
	struct sockaddr_in address;

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons(o->ports[i]);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_eq(sendto(o->sender, "x", 1, 0,
			     (struct sockaddr *)&address, sizeof(address)),
	    1);
}

/* Waits until each of the first count keys has come, once. */
static void
expect_each_once(struct polling *p, int count, uint32_t expected)
{
	static bool seen[MANY];
	struct polling_event events[64];
	int missing = count;

	memset(seen, 0, sizeof(seen));
	while (missing > 0) {
		int n = wait_ms(p, events, 64, LONG_MS);

		ck_assert_msg(n > 0, "%d of %d did not come", missing, count);
		for (int i = 0; i < n; i++) {
			uintptr_t key = events[i].key;

			ck_assert_uint_lt(key, (uintptr_t)count);
			ck_assert_msg(
			    !seen[key], "key %d came twice", (int)key);
			ck_assert_msg(events[i].events == expected, "%s",
			    event_names(events[i].events));
			seen[key] = true;
			missing--;
		}
	}
	expect_nothing(p);
}

/* 86: two thousand and some more */
START_TEST(one_poller_watches_many_sockets)
{
	static struct post_office o;
	struct polling *p = make_poller();

	open_boxes(&o, MANY);
	for (int i = 0; i < MANY; i++)
		expect_ok(polling_add(
		    p, o.boxes[i], POLLING_IN, POLLING_ONESHOT, (uintptr_t)i));
	expect_nothing(p);
	for (int i = 0; i < MANY; i++)
		send_to_box(&o, i);
	expect_each_once(p, MANY, POLLING_IN);
	for (int i = 0; i < MANY; i++)
		expect_ok(polling_modify(p, o.boxes[i],
		    POLLING_IN | POLLING_OUT, POLLING_ONESHOT, (uintptr_t)i));
	expect_each_once(p, MANY, POLLING_IN | POLLING_OUT);
	for (int i = 0; i < MANY; i++)
		expect_ok(polling_delete(p, o.boxes[i]));
	expect_nothing(p);
	close_boxes(&o);
	polling_destroy(p);
}
END_TEST

static void
expect_no_socket(struct polling *p, HANDLE handle)
{
	expect_bad(p, (polling_fd)handle);
	expect_unknown(p, (polling_fd)handle);
}

/* 6, 86 */
START_TEST(a_handle_of_something_else_is_no_socket)
{
	struct polling *p = make_poller();
	HANDLE event = CreateEventW(NULL, TRUE, TRUE, NULL);
	HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
	HANDLE file = CreateFileA(
	    "nul", GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);

	ck_assert(event != NULL && port != NULL);
	ck_assert(file != INVALID_HANDLE_VALUE);
	expect_no_socket(p, event);
	expect_no_socket(p, port);
	expect_no_socket(p, file);
	expect_no_socket(p, GetCurrentProcess());
	expect_no_socket(p, GetCurrentThread());
	expect_no_socket(p, NULL);
	expect_no_socket(p, INVALID_HANDLE_VALUE);
	expect_no_socket(p, (HANDLE)closed_number());
	expect_nothing(p);
	(void)CloseHandle(event);
	(void)CloseHandle(port);
	(void)CloseHandle(file);
	polling_destroy(p);
}
END_TEST

/* Not of the kind that overlapped calls could be made on. */
START_TEST(a_plain_socket_is_watched)
{
	struct polling *p = make_poller();
	SOCKET fd = WSASocketW(AF_INET, SOCK_DGRAM, 0, NULL, 0, 0);

	ck_assert(fd != INVALID_SOCKET);
	expect_ok(polling_add(p, fd, POLLING_OUT, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, 2));
	expect_nothing(p);
	expect_ok(polling_delete(p, fd));
	close_fd(fd);
	polling_destroy(p);
}
END_TEST

/* The program's own completion port, and calls on it, are its business. */
START_TEST(a_socket_may_be_in_the_programs_own_port)
{
	struct polling *p = make_poller();
	HANDLE port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
	OVERLAPPED overlapped, *done = NULL;
	ULONG_PTR key = 0;
	DWORD n = 0, flags = 0;
	polling_fd pair[2];
	char bytes[4];
	WSABUF buffer = {sizeof(bytes), bytes};

	make_tcp_pair(pair);
	ck_assert(CreateIoCompletionPort((HANDLE)pair[0], port, 77, 0) == port);
	expect_ok(polling_add(p, pair[0], POLLING_OUT, POLLING_LEVEL, 1));
	memset(&overlapped, 0, sizeof(overlapped));
	ck_assert(
	    WSARecv(pair[0], &buffer, 1, &n, &flags, &overlapped, NULL) == 0 ||
	    WSAGetLastError() == WSA_IO_PENDING);
	put_bytes(pair[1], 3);
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	ck_assert(GetQueuedCompletionStatus(port, &n, &key, &done, LONG_MS));
	ck_assert_ptr_eq(done, &overlapped);
	ck_assert_uint_eq(key, 77);
	ck_assert_uint_eq(n, 3);
	/* No packet of the library's comes there. */
	ck_assert(!GetQueuedCompletionStatus(port, &n, &key, &done, 30));
	ck_assert_ptr_null(done);
	polling_destroy(p);
	close_pair(pair);
	(void)CloseHandle(port);
}
END_TEST

/* 73: the next socket has the number of the last one, or not: both work */
START_TEST(a_number_comes_back_at_once)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	struct post_office o;
	polling_fd last = NO_FD;
	int again = 0;

	o.sender = make_udp_socket(&(uint16_t){0});
	for (uintptr_t key = 0; key < 1000; key++) {
		o.boxes[0] = make_udp_socket(&o.ports[0]);
		again += o.boxes[0] == last;
		last = o.boxes[0];
		expect_ok(polling_add(p, last, POLLING_IN, mode, key));
		/* Some are closed before they have reported, some before
		 * anything was there to be reported. */
		if (key % 3 != 0)
			send_to_box(&o, 0);
		if (key % 3 == 2)
			expect_events(p, LONG_MS, {key, POLLING_IN});
		close_fd(last);
	}
	harness_note("%d of 1000 numbers came again at once", again);
	ck_assert_int_gt(again, 0);
	expect_silence(p);
	close_fd(o.sender);
	polling_destroy(p);
}
END_TEST

/* Bound to a free port of the loopback; NO_FD if there is no IPv6. */
static polling_fd
make_socket_of_ipv6(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6};
	polling_fd fd = socket(AF_INET6, SOCK_DGRAM, 0);

	if (fd == INVALID_SOCKET)
		return NO_FD;
	address.sin6_addr.s6_addr[15] = 1;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close_fd(fd);
	return NO_FD;
}

/* 73: while a duplicate of the last socket is open, it is the port that tells
 * the next one of its number from it */
START_TEST(the_next_socket_of_ipv6_is_another)
{
	struct polling *p = make_poller();
	polling_fd last = make_socket_of_ipv6(), next, copy;

	if (last == NO_FD) {
		polling_destroy(p);
		SKIP("this system has no IPv6");
	}
	expect_ok(polling_add(p, last, POLLING_IN, POLLING_LEVEL, 1));
	expect_error(
	    polling_add(p, last, POLLING_IN, POLLING_LEVEL, 2), EEXIST);
	copy = duplicate_fd(last);
	close_fd(last);
	next = make_socket_of_ipv6();
	if (next == last) {
		expect_ok(polling_add(p, next, POLLING_OUT, POLLING_LEVEL, 3));
		expect_events(p, LONG_MS, {3, POLLING_OUT});
	}
	close_fd(next);
	close_fd(copy);
	polling_destroy(p);
	if (next != last)
		SKIP("this system does not give a number again at once");
}
END_TEST

/* More than share one handle of the driver. */
#define IN_FLIGHT 40

static void
create_and_destroy(struct post_office *o, int times)
{
	for (int i = 0; i < times; i++) {
		struct polling *p = make_poller();

		for (int j = 0; j < o->count; j++)
			expect_ok(polling_add(p, o->boxes[j], POLLING_IN,
			    (enum polling_mode)(j % 2), (uintptr_t)j));
		/* Some have been cancelled, some are over. */
		expect_ok(polling_delete(p, o->boxes[1]));
		expect_ok(polling_modify(
		    p, o->boxes[2], POLLING_OUT, POLLING_LEVEL, 2));
		if (i % 2 == 0)
			expect_events(p, LONG_MS, {2, POLLING_OUT});
		polling_destroy(p);
	}
}

/* 1, 86 */
START_TEST(destroying_with_polls_in_flight_leaves_nothing)
{
	struct post_office o;
	size_t resident, now;
	int handles, times = scaled(1000);

	open_boxes(&o, IN_FLIGHT);
	create_and_destroy(&o, 50);
	handles = count_fds();
	resident = resident_size();
	create_and_destroy(&o, times);
	now = resident_size();
	harness_note("%d times %d polls: %d handles before, %d after; "
		     "%zu KiB before, %zu after",
	    times, IN_FLIGHT, handles, count_fds(), resident / 1024,
	    now / 1024);
	ck_assert_int_le(count_fds(), handles);
	/* Less than a byte for each poll, and some room for the system. */
	ck_assert_msg(
	    now <= resident + (size_t)times * IN_FLIGHT + ((size_t)256 << 10),
	    "the process grew from %zu to %zu bytes", resident, now);
	close_boxes(&o);
}
END_TEST

#define WAITERS 8
#define SHARED  1000

/* Each datagram is one event for one waiter, who takes it. */
struct delivery {
	struct polling *p;
	struct post_office office;
	atomic_int seen[SHARED];
	atomic_int events;
	atomic_int next_waiter;
	atomic_bool stop;
	struct trouble trouble;
};

static void *
deliver(void *argument)
{
	static const int capacities[WAITERS] = {1, 2, 3, 8, 16, 64, 64, 64};
	struct delivery *d = argument;
	int capacity = capacities[atomic_fetch_add(&d->next_waiter, 1)];
	struct polling_event events[64];
	char byte;

	while (!atomic_load(&d->stop)) {
		int n = wait_ms(d->p, events, capacity, -1);

		if (!check_that(&d->trouble, n >= 0))
			break;
		for (int i = 0; i < n; i++) {
			uintptr_t key = events[i].key;

			if (!check_that(&d->trouble, key < SHARED))
				break;
			check_that(&d->trouble, events[i].events == POLLING_IN);
			check_that(&d->trouble,
			    read_fd(d->office.boxes[key], &byte, 1) == 1);
			atomic_fetch_add(&d->seen[key], 1);
			atomic_fetch_add(&d->events, 1);
		}
	}
	check_that(&d->trouble, polling_notify(d->p) == 0);
	return NULL;
}

static void
deliver_to_all(struct delivery *d, int round)
{
	bool all;

	for (int i = 0; i < SHARED; i++)
		send_to_box(&d->office, i);
	all = reaches(&d->trouble, &d->events, round * SHARED);
	expect_no_trouble(&d->trouble);
	ck_assert_msg(all, "%d of %d events came", d->events, round * SHARED);
	/* A second one for the same datagram would come soon. */
	sleep_ms(20);
	for (int i = 0; i < SHARED; i++)
		ck_assert_msg(d->seen[i] == round,
		    "socket %d was reported %d times, not %d", i, d->seen[i],
		    round);
}

/* 68, 86 */
START_TEST(eight_waiters_share_a_thousand_oneshot_sockets)
{
	static struct delivery d;
	struct crew crew = {0};
	int rounds = scaled(10);

	memset(&d, 0, sizeof(d));
	d.p = make_poller();
	open_boxes(&d.office, SHARED);
	for (int i = 0; i < SHARED; i++)
		expect_ok(polling_add(d.p, d.office.boxes[i], POLLING_IN,
		    POLLING_ONESHOT, (uintptr_t)i));
	for (int i = 0; i < WAITERS; i++)
		crew_start(&crew, deliver, &d);
	for (int round = 1; round <= rounds; round++) {
		deliver_to_all(&d, round);
		for (int i = 0; i < SHARED; i++)
			expect_ok(polling_modify(d.p, d.office.boxes[i],
			    POLLING_IN, POLLING_ONESHOT, (uintptr_t)i));
	}
	harness_note("%d events for %d waiters, none lost, none twice",
	    d.events, WAITERS);
	atomic_store(&d.stop, true);
	expect_ok(polling_notify(d.p));
	crew_join(&crew);
	expect_no_trouble(&d.trouble);
	expect_nothing(d.p);
	close_boxes(&d.office);
	polling_destroy(d.p);
}
END_TEST

/* 86 */
START_TEST(the_completion_port_is_told)
{
	struct polling *p = make_poller();
	HANDLE port = polling_get_handle(p);
	DWORD flags;

	ck_assert_ptr_nonnull(port);
	ck_assert(GetHandleInformation(port, &flags));
	ck_assert_uint_eq(flags & HANDLE_FLAG_INHERIT, 0);
	ck_assert(polling_get_handle(p) == port);
	errno = 0;
	ck_assert_ptr_null(polling_get_handle(NULL));
	ck_assert_int_eq(errno, EFAULT);
	polling_destroy(p);
	ck_assert(!GetHandleInformation(port, &flags));
}
END_TEST

static void
post_packet(struct polling *p, ULONG_PTR key)
{
	static OVERLAPPED overlapped;

	ck_assert(PostQueuedCompletionStatus(
	    polling_get_handle(p), 5, key, &overlapped));
}

/* 86: what somebody else posts there is dropped, and ends no wait */
START_TEST(packets_of_others_are_dropped)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	for (int i = 0; i < 100; i++)
		post_packet(p, (ULONG_PTR)UINTPTR_MAX - (ULONG_PTR)i);
	expect_nothing(p);
	for (int i = 0; i < 100; i++)
		post_packet(p, (ULONG_PTR)UINTPTR_MAX - (ULONG_PTR)i);
	expect_nothing_for(p, 50);
	for (int i = 0; i < 100; i++)
		post_packet(p, (ULONG_PTR)UINTPTR_MAX - (ULONG_PTR)i);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

START_TEST(the_features_are_those_of_windows)
{
	static const unsigned yes[] = {POLLING_FEATURE_LEVEL,
	    POLLING_FEATURE_PRI, POLLING_FEATURE_RDHUP,
	    POLLING_FEATURE_WAITABLE};
	static const unsigned no[] = {POLLING_FEATURE_EDGE, POLLING_FEATURE_FD,
	    POLLING_FEATURE_FILE, POLLING_FEATURE_NANOSECOND,
	    POLLING_FEATURE_PROCESS_FORK};
	struct polling *p = make_poller();

	ck_assert_str_eq(polling_backend(), "iocp");
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		ck_assert_msg(polling_supports(p, yes[i]) == 1,
		    "feature %u is missing", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		ck_assert_msg(polling_supports(p, no[i]) == 0,
		    "feature %u is there", no[i]);
	polling_destroy(p);
}
END_TEST

/* It exists, so that a program need not ask for the system. */
START_TEST(rebuilding_changes_nothing)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	put_bytes(pair[1], 1);
	expect_ok(polling_reinit(p));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_error(polling_reinit(NULL), EFAULT);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

void
add_sockets(Suite *s)
{
	CASE(s, one_poller_watches_many_sockets);
	CASE(s, a_handle_of_something_else_is_no_socket);
	CASE(s, a_plain_socket_is_watched);
	CASE(s, a_socket_may_be_in_the_programs_own_port);
	CASE_MODES(s, a_number_comes_back_at_once);
	CASE(s, the_next_socket_of_ipv6_is_another);
	CASE_LIMIT(s, destroying_with_polls_in_flight_leaves_nothing, 300);
	CASE_LIMIT(s, eight_waiters_share_a_thousand_oneshot_sockets, 120);
	CASE(s, the_completion_port_is_told);
	CASE(s, packets_of_others_are_dropped);
	CASE(s, the_features_are_those_of_windows);
	CASE(s, rebuilding_changes_nothing);
}
