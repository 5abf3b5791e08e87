/* SPDX-License-Identifier: MIT */
/*
 * iocp.c - the backend for Windows: a completion port.
 *
 * A completion port is a queue of packets, each of which says that something
 * was completed; it does not tell what is ready. To make one of the other, a
 * poll of each armed socket is kept in flight with the driver AFD (afd.c),
 * which completes it as soon as something holds of what it asks for, and its
 * packet comes to the port. Handles that are waited for send packets by another
 * way (waitable.c), and so do wake-ups.
 *
 * That is oneshot by nature, as event ports are: for the level mode the core
 * has the source told again before the next wait. And as there a packet is a
 * snapshot: it may have been queued long ago, and the data been read meanwhile.
 * So a packet tells only which socket to look at, and one poll that does not
 * wait, of the whole batch, tells what holds. A socket of which nothing holds
 * is polled again. That look is under the poller's lock, so that nobody deletes
 * and closes one of these sockets meanwhile. Windows gives its number to the
 * next one at once, and the server of Wine 8 ends, and all programs with it, if
 * a socket is polled that another thread is just making: so that a number is
 * looked at before it is polled, which leaves a gap that is hard to hit for
 * sockets that are closed undeleted.
 *
 * The states of a poll, and the hazards:
 * - At home: the memory is ours. Away: the kernel's, until the packet has been
 *   collected; it writes the status block and the answer there at any time.
 *   Memory that is away is never freed or used for another poll.
 * - A change of interest that the poll does not cover cannot wait for it to
 *   come home, since the next wait may not block. It is disowned and cancelled,
 *   and another one takes its place; whoever collects the packet of one that is
 *   disowned frees it. One that asks for too much stays: its packet leads to a
 *   look, and the core drops what nobody asks for.
 * - Cancelling one that is over has no effect; the packet is on its way.
 * - A poll that is over at once sends a packet all the same, one that could not
 *   be started sends none.
 * - At the end everything is cancelled and collected before the port is closed.
 *
 * Windows gives the number of a closed socket to the next one. So each socket
 * has a second poll away for as long as it is watched, which asks for nothing
 * but its closing: when that is over, the registration is dead, whatever the
 * number stands for now. If a duplicate of the socket is open it does not end,
 * but a look at the closed number fails, or shows other ports.
 * The first poll cannot do that beside its own work: it is at home when an
 * event was just reported or the source is disarmed, which is when programs
 * close sockets, and sending one for the closing each time would cost every
 * oneshot event two calls. The price is that the server of Wine 8, which goes
 * through all polls for every event of a socket, has twice as many to go
 * through.
 *
 * AFD goes through all polls of a device handle, so that no more than 32
 * sockets share one.
 *
 * A stream socket that was neither bound nor connected is hung up on Linux, and
 * AFD says nothing of it. Arming one sends a packet right away, and the look
 * that follows finds out whether that still holds.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#include "afd.h"
#include "backend.h"
#include "clock.h"
#include "lock.h"
#include "waitable.h"
#include "winerror.h"

/* Sockets that share a device handle. */
#define DEVICE_SOCKETS 32

/* For how long, and how often, the end of a backend waits for the last
 * packets. */
#define CLOSE_MS     10
#define CLOSE_ROUNDS 500

/* The keys of packets; others are none of ours. */
enum { KEY_WAKE = 1, KEY_PARCEL };

/* With CONDITION_LOOK: the socket was not connected as it was armed. */
#define SEEN_UNCONNECTED 0x1000000u
/* With CONDITION_LOOK: a waitable handle. */
#define SEEN_WAITABLE 0x2000000u
/* For backend_look_at_all(), which replaces it. */
#define SEEN_SOCKET 0x4000000u

/* A handle of AFD. The backend's lock guards it. */
struct device {
	struct device *next, *previous; /* of those with room */
	HANDLE handle;
	unsigned sockets; /* that use it, DEVICE_SOCKETS at most */
	unsigned away;    /* polls that are away */
};

enum parcel_kind { PARCEL_READY, PARCEL_CLOSE, PARCEL_WAITABLE };

/* What a packet of the port leads to. The backend's lock guards it. */
struct parcel {
	struct afd_poll poll;  /* first: a packet has the address of it */
	struct watch *watch;   /* what it is for; NULL if disowned */
	struct device *device; /* of a poll */
	uint32_t events;       /* that a poll asks for */
	enum parcel_kind kind;
	bool away;   /* its packet has not been collected */
	bool posted; /* the packet is not of a poll, see arm_socket() */
};

/* The ports of a socket, as far as it had them when it was added: it keeps them
 * for as long as it is open. In the byte order of the network; 0: none. */
struct ports {
	uint16_t own;
	uint16_t peer;
};

/* What is kept of a source. The poller's lock guards it, and the backend's too
 * what backend_wait() looks at. */
struct watch {
	int place;              /* in the registry; constant */
	uint32_t generation;    /* of the record; constant */
	struct parcel *ready;   /* the packet of an event */
	struct parcel *close;   /* of a socket: the one of its end */
	struct device *device;  /* of a socket */
	SOCKET base;            /* of a socket; constant */
	struct ports ports;     /* of a socket; constant */
	bool is_stream;         /* a socket of streams; constant */
	bool unconnected;       /* a stream socket that may not be connected */
	bool end_seen;          /* the peer's end, which nobody asks for */
	struct waitable handle; /* unless it is a socket */
	bool signalled;         /* something was taken, and not reported */
};

struct backend {
	HANDLE port;
	HANDLE glance; /* AFD, for looks */
	struct registry *registry;
	struct lock lock;     /* guards parcels and devices */
	struct device *roomy; /* the devices with room */
	unsigned away;        /* parcels */
	atomic_bool woken;    /* a wake-up is on its way */
};

const char backend_name[] = "iocp";

/* A poll tells of the closing of a socket. */
const uint16_t backend_verify_max = 0;

/* Devices. Called with the backend's lock held. */

static void
put_on_list(struct backend *b, struct device *d)
{
	d->previous = NULL;
	d->next = b->roomy;
	if (d->next != NULL)
		d->next->previous = d;
	b->roomy = d;
}

static void
take_off_list(struct backend *b, struct device *d)
{
	if (d->next != NULL)
		d->next->previous = d->previous;
	if (d->previous != NULL)
		d->previous->next = d->next;
	else
		b->roomy = d->next;
}

/* Makes one that nobody uses yet. */
static int
make_device(struct backend *b)
{
	struct device *d = calloc(1, sizeof *d);
	int error;

	if (d == NULL)
		return -ENOMEM;
	error = afd_open(&d->handle, false);
	if (error != 0)
		goto free_device;
	if (CreateIoCompletionPort(d->handle, b->port, KEY_PARCEL, 0) == NULL) {
		error = -error_from_win32(GetLastError());
		goto close_handle;
	}
	/* Without it each completion also sets the handle to signalled, in
	 * vain: no matter if it fails. */
	(void)SetFileCompletionNotificationModes(
	    d->handle, FILE_SKIP_SET_EVENT_ON_HANDLE);
	put_on_list(b, d);
	return 0;

close_handle:
	(void)CloseHandle(d->handle);
free_device:
	free(d);
	return error;
}

static void
close_device(struct backend *b, struct device *d)
{
	take_off_list(b, d);
	(void)CloseHandle(d->handle);
	free(d);
}

/* Closes a device that nobody uses if there is another one with room. */
static void
settle_device(struct backend *b, struct device *d)
{
	if (d->sockets == 0 && d->away == 0 &&
	    (b->roomy != d || d->next != NULL))
		close_device(b, d);
}

/* A device for one more socket. */
static int
enter_device(struct backend *b, struct device **out)
{
	struct device *d;

	if (b->roomy == NULL) {
		int error = make_device(b);

		/* A call may have failed without an error to tell. */
		if (b->roomy == NULL)
			return error != 0 ? error : -EIO;
	}
	d = b->roomy;
	if (++d->sockets == DEVICE_SOCKETS)
		take_off_list(b, d);
	*out = d;
	return 0;
}

static void
leave_device(struct backend *b, struct device *d)
{
	if (d->sockets-- == DEVICE_SOCKETS)
		put_on_list(b, d);
	settle_device(b, d);
}

/* Parcels. Called with the backend's lock held. */

static struct parcel *
make_parcel(struct watch *w, enum parcel_kind kind)
{
	struct parcel *p = calloc(1, sizeof *p);

	if (p == NULL)
		return NULL;
	p->watch = w;
	p->device = w->device;
	p->kind = kind;
	return p;
}

static void
mark_away(struct backend *b, struct parcel *p)
{
	p->away = true;
	b->away++;
	if (p->device != NULL)
		p->device->away++;
}

static void
mark_home(struct backend *b, struct parcel *p)
{
	p->away = false;
	b->away--;
	if (p->device != NULL && --p->device->away == 0)
		settle_device(b, p->device);
}

/* Sends the poll of p, which is at home. */
static int
send_poll(struct backend *b, struct parcel *p, uint32_t events)
{
	int error;

	/* Its packet may come before this returns, to a thread that then has
	 * to wait for the lock. */
	error = afd_start(p->device->handle, &p->poll, p->watch->base, events);
	if (error != 0)
		return error;
	p->events = events;
	p->posted = false;
	mark_away(b, p);
	return 0;
}

/* Has p, which is at home, come back at once. */
static int
post_parcel(struct backend *b, struct parcel *p)
{
	if (!PostQueuedCompletionStatus(
		b->port, 0, KEY_PARCEL, &p->poll.overlapped))
		return -ENOMEM;
	p->posted = true;
	mark_away(b, p);
	return 0;
}

/* Forgets p: now, or when it comes home. */
static void
disown(struct backend *b, struct parcel *p)
{
	if (p->away && p->kind == PARCEL_WAITABLE && !p->posted &&
	    waitable_cancel(&p->watch->handle))
		mark_home(b, p);
	if (!p->away) {
		free(p);
		return;
	}
	if (p->kind != PARCEL_WAITABLE && !p->posted && !afd_is_over(&p->poll))
		afd_cancel(p->device->handle, &p->poll);
	p->watch = NULL;
}

int
backend_open(struct backend **out, struct registry *r)
{
	struct backend *b = calloc(1, sizeof *b);
	WSADATA data;
	int error;

	if (b == NULL)
		return -ENOMEM;
	b->registry = r;
	error = lock_init(&b->lock);
	if (error != 0)
		goto free_backend;
	/* It counts: the program has its own. */
	error = -error_from_winsock(WSAStartup(MAKEWORD(2, 2), &data));
	if (error != 0)
		goto destroy_lock;
	/* As many threads as want to may work on packets at a time: what they
	 * do after a wait is the program's business. */
	b->port = CreateIoCompletionPort(
	    INVALID_HANDLE_VALUE, NULL, 0, INT32_MAX);
	if (b->port == NULL) {
		error = -error_from_win32(GetLastError());
		goto clean_up_winsock;
	}
	error = afd_open(&b->glance, true);
	if (error != 0)
		goto close_port;
	*out = b;
	return 0;

close_port:
	(void)CloseHandle(b->port);
clean_up_winsock:
	(void)WSACleanup();
destroy_lock:
	lock_destroy(&b->lock);
free_backend:
	free(b);
	return error;
}

uint32_t
backend_features(const struct backend *b)
{
	(void)b;
	return 1u << POLLING_FEATURE_LEVEL | 1u << POLLING_FEATURE_PRI |
	       1u << POLLING_FEATURE_RDHUP | 1u << POLLING_FEATURE_WAITABLE;
}

/* Sources */

static struct watch *
make_watch(int place, struct source *s)
{
	struct watch *w = calloc(1, sizeof *w);

	if (w == NULL)
		return NULL;
	w->place = place;
	w->generation = s->generation;
	w->base = INVALID_SOCKET;
	s->watch = w;
	return w;
}

/* Forgets what is kept of s. Packets that are away are cancelled. */
static void
drop_watch(struct backend *b, struct source *s)
{
	struct watch *w = s->watch;

	if (w == NULL)
		return;
	s->watch = NULL;
	lock_acquire(&b->lock);
	if (w->ready != NULL)
		disown(b, w->ready);
	if (w->close != NULL)
		disown(b, w->close);
	if (w->device != NULL)
		leave_device(b, w->device);
	lock_release(&b->lock);
	if (s->flags & SOURCE_WAITABLE)
		waitable_close(&w->handle);
	free(w);
}

/* Whether s, a stream socket, has no address: it is neither bound, nor
 * connected, nor on the way to it. */
static bool
is_unconnected(SOCKET s)
{
	struct sockaddr_storage name;
	int length = sizeof name;

	return getsockname(s, (struct sockaddr *)&name, &length) != 0 &&
	       WSAGetLastError() == WSAEINVAL;
}

/* Whether the number stands for a socket, of this or another source. Other
 * errors, of a system that lacks memory, are none of the socket's. */
static bool
is_socket(SOCKET s)
{
	int type, length = sizeof type;

	return getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)&type, &length) ==
		   0 ||
	       WSAGetLastError() != WSAENOTSOCK;
}

static uint16_t
port_of(const struct sockaddr_storage *name)
{
	if (name->ss_family == AF_INET)
		return ((const struct sockaddr_in *)name)->sin_port;
	if (name->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)name)->sin6_port;
	return 0;
}

static struct ports
ports_of(SOCKET s, bool is_stream)
{
	struct ports ports = {0, 0};
	struct sockaddr_storage name;
	int length = sizeof name;

	if (getsockname(s, (struct sockaddr *)&name, &length) == 0)
		ports.own = port_of(&name);
	length = sizeof name;
	/* A datagram socket may be connected again to another. */
	if (is_stream && getpeername(s, (struct sockaddr *)&name, &length) == 0)
		ports.peer = port_of(&name);
	return ports;
}

/* Whether s, which has the number of the socket that was added, is another one.
 * Windows before 10 does not tell; but ports do not change. */
static bool
is_another(const struct watch *w, SOCKET s)
{
	struct ports now = ports_of(s, w->is_stream);

	/* After a reset there is no peer, and may be no name of it. */
	return (w->ports.own != 0 && now.own != w->ports.own) ||
	       (w->ports.peer != 0 && now.peer != 0 &&
		   now.peer != w->ports.peer);
}

/* Whether the poll that is away asks for all that is wanted. One that is over
 * leads to a look at everything. */
static bool
is_covered(const struct parcel *p, uint32_t events)
{
	return p->away && (p->posted || (p->events & events) == events ||
			      afd_is_over(&p->poll));
}

/* Gives the watch another parcel in the place of one that is away. */
static int
replace_parcel(struct backend *b, struct watch *w)
{
	struct parcel *p = make_parcel(w, PARCEL_READY);

	if (p == NULL)
		return -ENOMEM;
	disown(b, w->ready);
	w->ready = p;
	return 0;
}

static int
arm_socket(struct backend *b, struct source *s)
{
	struct watch *w = s->watch;
	uint32_t events = afd_events(s->interest);
	int error = 0;

	if (!is_socket((SOCKET)s->handle))
		return -EBADF;
	if (w->end_seen && !(s->interest & (POLLING_IN | POLLING_RDHUP)))
		events &= ~AFD_DISCONNECT;
	w->unconnected = w->unconnected && is_unconnected((SOCKET)s->handle);
	lock_acquire(&b->lock);
	if (!is_covered(w->ready, events)) {
		if (w->ready->away)
			error = replace_parcel(b, w);
		if (error == 0)
			error = w->unconnected ? post_parcel(b, w->ready)
					       : send_poll(b, w->ready, events);
	}
	lock_release(&b->lock);
	return error;
}

static int
arm_waitable(struct backend *b, struct source *s)
{
	struct watch *w = s->watch;
	int error = 0;

	lock_acquire(&b->lock);
	if (w->ready->away) {
		/* It comes when it comes. */
	} else if (w->signalled || waitable_take(&w->handle)) {
		/* Taken while nobody was to be told, or just now. */
		w->signalled = w->handle.consumes;
		error = post_parcel(b, w->ready);
	} else {
		/* The packet may come before this returns. */
		w->ready->posted = false;
		error = waitable_arm(&w->handle);
		if (error == 0)
			mark_away(b, w->ready);
	}
	lock_release(&b->lock);
	return error;
}

static int
arm(struct backend *b, struct source *s)
{
	int error = s->flags & SOURCE_WAITABLE ? arm_waitable(b, s)
					       : arm_socket(b, s);

	if (error == 0)
		s->kernel = KERNEL_ONESHOT;
	return error;
}

static int
add_socket(struct backend *b, struct source *s)
{
	struct watch *w = s->watch;
	int error = afd_base((SOCKET)s->handle, &w->base, &w->is_stream);

	if (error != 0)
		return error;
	w->unconnected = w->is_stream && is_unconnected((SOCKET)s->handle);
	w->ports = ports_of((SOCKET)s->handle, w->is_stream);
	lock_acquire(&b->lock);
	error = enter_device(b, &w->device);
	if (error == 0) {
		w->close = make_parcel(w, PARCEL_CLOSE);
		w->ready = make_parcel(w, PARCEL_READY);
		if (w->close == NULL || w->ready == NULL)
			error = -ENOMEM;
	}
	if (error == 0)
		error = send_poll(b, w->close, AFD_LOCAL_CLOSE);
	lock_release(&b->lock);
	return error;
}

static int
add_waitable(struct backend *b, struct source *s)
{
	struct watch *w = s->watch;
	int error;

	w->ready = make_parcel(w, PARCEL_WAITABLE);
	if (w->ready == NULL)
		return -ENOMEM;
	error = waitable_open(&w->handle, (HANDLE)s->handle, b->port,
	    KEY_PARCEL, &w->ready->poll.overlapped);
	if (error != 0) {
		free(w->ready);
		free(w);
		s->watch = NULL;
	}
	return error;
}

int
backend_add(struct backend *b, int place, struct source *s)
{
	struct watch *w = make_watch(place, s);
	int error;

	if (w == NULL)
		return -ENOMEM;
	error = s->flags & SOURCE_WAITABLE ? add_waitable(b, s)
					   : add_socket(b, s);
	if (error == 0 && (s->flags & SOURCE_ARMED)) {
		error = arm(b, s);
		/* What was taken must not get lost: it is armed by a wait. */
		if (error != 0 && w->signalled) {
			registry_change(b->registry, place, s);
			error = 0;
		}
	}
	if (error != 0)
		drop_watch(b, s);
	return error;
}

/* Whether the socket or the handle was closed. */
static bool
is_closed(const struct source *s)
{
	const struct watch *w = s->watch;

	if (s->flags & SOURCE_WAITABLE)
		return !waitable_is(&w->handle, (HANDLE)s->handle);
	return afd_is_over(&w->close->poll) || !is_socket((SOCKET)s->handle) ||
	       is_another(w, (SOCKET)s->handle);
}

bool
backend_knows(struct backend *b, int place, struct source *s)
{
	(void)place;
	if (!is_closed(s))
		return true;
	drop_watch(b, s);
	return false;
}

bool
backend_heeds(const struct backend *b, const struct source *s)
{
	(void)b;
	(void)s;
	return true;
}

int
backend_apply(struct backend *b, bool at_once)
{
	struct source *s;
	int place, error = 0;

	(void)at_once;
	while (error == 0 &&
	       (s = registry_pop_changed(b->registry, &place)) != NULL) {
		error = s->flags & SOURCE_ARMED ? arm(b, s) : 0;
		if (error == -EBADF) {
			drop_watch(b, s);
			registry_remove(b->registry, place);
			error = 0;
		} else if (error != 0) {
			registry_change(b->registry, place, s);
		}
	}
	return error;
}

void
backend_remove(struct backend *b, int place, struct source *s)
{
	(void)place;
	drop_watch(b, s);
}

/* Whether the program has shut down its writing side: a write of nothing
 * tells, and does nothing else. */
static bool
is_shut(SOCKET s)
{
	return send(s, "", 0, 0) != 0 && WSAGetLastError() == WSAESHUTDOWN;
}

static uint32_t
look_at_socket(struct source *s, uint32_t conditions)
{
	struct watch *w = s->watch;

	if ((conditions & SEEN_UNCONNECTED) &&
	    is_unconnected((SOCKET)s->handle))
		return POLLING_OUT | POLLING_HUP;
	conditions &= ~(CONDITION_LOOK | CONDITION_PRIVATE);
	if (!(conditions & POLLING_RDHUP) || (conditions & POLLING_HUP))
		return conditions;
	/* With room to write the write does not block either. */
	if ((conditions & POLLING_OUT) && is_shut((SOCKET)s->handle))
		return conditions | POLLING_HUP;
	/* It would be reported again and again, to be dropped each time. */
	w->end_seen = !(s->interest & (POLLING_IN | POLLING_RDHUP));
	return conditions;
}

static uint32_t
look_at_waitable(struct source *s)
{
	struct watch *w = s->watch;

	if (!waitable_is(&w->handle, (HANDLE)s->handle))
		return CONDITION_CLOSED;
	/* Kept for when it is armed. */
	w->signalled = w->handle.consumes && !(s->flags & SOURCE_ARMED);
	return w->signalled || !waitable_holds(&w->handle) ? 0 : POLLING_IN;
}

uint32_t
backend_look(
    struct backend *b, int place, struct source *s, uint32_t conditions)
{
	(void)b;
	(void)place;
	if (s->flags & SOURCE_WAITABLE)
		return look_at_waitable(s);
	return look_at_socket(s, conditions);
}

void
backend_stale(struct backend *b, int place)
{
	/* One-shot: it is the last one. */
	(void)b;
	(void)place;
}

bool
backend_unwanted(struct backend *b, int place, struct source *s)
{
	/* Its poll was the last one. */
	(void)b;
	(void)place;
	(void)s;
	return false;
}

bool
backend_doubts(struct backend *b, int place, struct source *s)
{
	/* What holds is looked at under the lock. */
	(void)b;
	(void)place;
	(void)s;
	return false;
}

/* Waiting */

/* The reports of one wait. */
struct catch
{
	struct ready *out;
	int count; /* of out */
};

/* Takes in one parcel that came home. The backend's lock is held. */
static void
unpack(struct backend *b, struct parcel *p, struct catch *c)
{
	struct watch *w = p->watch;
	struct ready *r;

	mark_home(b, p);
	if (w == NULL) {
		free(p);
		return;
	}
	r = &c->out[c->count++];
	r->fd = w->place;
	r->generation = w->generation;
	if (p->kind == PARCEL_WAITABLE)
		r->conditions = CONDITION_LOOK | SEEN_WAITABLE;
	else if (p->kind == PARCEL_CLOSE)
		r->conditions = CONDITION_CLOSED;
	else
		r->conditions = SEEN_SOCKET |
				(p->posted ? CONDITION_LOOK | SEEN_UNCONNECTED
					   : 0);
}

/* The socket to look at for a report, or INVALID_SOCKET: it was removed since,
 * or closed, or is no socket. */
static SOCKET
socket_of(const struct backend *b, struct ready *r)
{
	struct source *s = registry_find(b->registry, r->fd);
	const struct watch *w;

	if (!(r->conditions & SEEN_SOCKET))
		return INVALID_SOCKET;
	r->conditions &= ~SEEN_SOCKET;
	if (s == NULL || s->generation != r->generation)
		return INVALID_SOCKET;
	w = s->watch;
	if (afd_is_over(&w->close->poll) || !is_socket((SOCKET)s->handle)) {
		r->conditions = CONDITION_CLOSED;
		return INVALID_SOCKET;
	}
	return w->base;
}

void
backend_look_at_all(struct backend *b, struct ready *ready, int n)
{
	struct afd_socket sockets[READY_MAX];
	int reports[READY_MAX];
	unsigned count = 0;

	for (int i = 0; i < n; i++) {
		SOCKET base = socket_of(b, &ready[i]);

		if (base == INVALID_SOCKET)
			continue;
		sockets[count].base = (HANDLE)base;
		sockets[count].events = afd_events(
		    POLLING_IN | POLLING_OUT | POLLING_PRI);
		reports[count++] = i;
	}
	afd_look(b->glance, sockets, count);
	for (unsigned i = 0; i < count; i++) {
		struct ready *r = &ready[reports[i]];
		uint32_t conditions = afd_conditions(sockets[i].events);

		if (conditions & CONDITION_CLOSED)
			r->conditions = CONDITION_CLOSED;
		else if (conditions & POLLING_RDHUP)
			r->conditions |= conditions | CONDITION_LOOK;
		else
			r->conditions |= conditions;
	}
}

/* Collects packets and sorts them out. Returns how many there were, or a
 * negative errno. */
static int
collect(struct backend *b, struct catch *c, int capacity, DWORD ms)
{
	OVERLAPPED_ENTRY entries[READY_MAX];
	ULONG count;

	if (!GetQueuedCompletionStatusEx(
		b->port, entries, (ULONG)capacity, &count, ms, FALSE)) {
		DWORD code = GetLastError();

		return code == WAIT_TIMEOUT ? 0 : -error_from_win32(code);
	}
	lock_acquire(&b->lock);
	for (ULONG i = 0; i < count; i++) {
		if (entries[i].lpCompletionKey == KEY_WAKE)
			atomic_store(&b->woken, false);
		else if (entries[i].lpCompletionKey == KEY_PARCEL)
			unpack(b, (struct parcel *)entries[i].lpOverlapped, c);
	}
	lock_release(&b->lock);
	return (int)count;
}

int
backend_wait(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout)
{
	struct catch c = {out, 0};
	DWORD ms;
	int n;

	ms = timeout == NULL ? INFINITE : (DWORD)clock_milliseconds(timeout);
	/* What was disowned takes room and says nothing. */
	do {
		n = collect(b, &c, capacity, ms);
		ms = 0;
	} while (n == capacity && c.count == 0);
	if (n < 0 && c.count == 0)
		return n;
	return c.count;
}

int
backend_wake(struct backend *b)
{
	if (atomic_exchange(&b->woken, true))
		return 0;
	if (!PostQueuedCompletionStatus(b->port, 0, KEY_WAKE, NULL)) {
		atomic_store(&b->woken, false);
		return -ENOMEM;
	}
	return 0;
}

void *
backend_handle(const struct backend *b)
{
	return b->port;
}

/* Collects the packets of what was cancelled. */
static void
bring_home(struct backend *b)
{
	struct ready out[READY_MAX];

	for (int i = 0; b->away != 0 && i < CLOSE_ROUNDS; i++) {
		struct catch c = {out, 0};

		(void)collect(b, &c, READY_MAX, CLOSE_MS);
	}
}

void
backend_close(struct backend *b, bool inherited)
{
	int place = NO_FD;

	/* There is no fork. */
	(void)inherited;
	while ((place = registry_next(b->registry, place)) != NO_FD)
		drop_watch(b, registry_known(b->registry, place));
	/* Nothing is owned any more. What never came home, if that can be, is
	 * left to the kernel. */
	bring_home(b);
	/* Each is off the list before it is freed. */
	while (b->roomy != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		close_device(b, b->roomy);
	(void)CloseHandle(b->glance);
	(void)CloseHandle(b->port);
	(void)WSACleanup();
	lock_destroy(&b->lock);
	free(b);
}

bool
backend_alarm(struct backend *b, const struct timespec *at)
{
	/* Never called: there is no descriptor. */
	(void)b;
	(void)at;
	return true;
}
