/* SPDX-License-Identifier: MIT */
/*
 * waitable.h - waiting for a handle of Windows through a completion port.
 */
#ifndef LIBPOLLING_WAITABLE_H
#define LIBPOLLING_WAITABLE_H

#include <stdbool.h>
#include <winsock2.h>
#include <windows.h>

#include "namespace.h"

/* One handle. The caller's lock guards it, but for what the system does. */
struct waitable {
	HANDLE object; /* a duplicate: the caller may close the original */
	HANDLE port;   /* gets a packet when the object is signalled */
	HANDLE packet; /* a wait completion packet, or NULL without these */
	HANDLE wait;   /* the thread pool's, while there is one */
	ULONG_PTR key; /* of the packet that the port gets */
	OVERLAPPED *overlapped; /* likewise */
	bool consumes;          /* a wait takes what it waits for */
	volatile LONG sent;     /* by the thread pool since the last arming */
};

/* Prepares for waits on handle, each of which sends a packet with key and
 * overlapped to port. Returns 0, or -EBADF (no handle), -EINVAL (a mutex, which
 * a wait would make some thread the owner of), -EACCES (a handle that may not
 * be waited for), -ENOMEM. */
int waitable_open(struct waitable *w, HANDLE handle, HANDLE port, ULONG_PTR key,
    OVERLAPPED *overlapped);
/* Of one that is not armed. */
void waitable_close(struct waitable *w);

/* A wait without blocking, for systems on which an object that is signalled
 * sends its packet only after a while, so that the next wait would miss it.
 * True if it succeeded, and took what there was to take. Not while armed. */
bool waitable_take(struct waitable *w);
/* Has one packet sent as soon as the object is signalled, which may be now.
 * Not while it is armed. Returns 0 or a negative errno. */
int waitable_arm(struct waitable *w);
/* True if no packet comes any more; else one was sent. */
bool waitable_cancel(struct waitable *w);

/* Whether the object is signalled now, as far as asking changes nothing. */
bool waitable_holds(const struct waitable *w);
/* Whether handle is still open, and the same object. */
bool waitable_is(const struct waitable *w, HANDLE handle);

#endif
