/* SPDX-License-Identifier: MIT */
/*
 * afd.h - polling sockets through AFD, the driver below Winsock.
 *
 * A poll is a control code that is sent to a handle of \Device\Afd, with the
 * sockets and what is to be watched for in a buffer. It ends once, as soon as
 * something of that holds, and the answer is in the same buffer.
 */
#ifndef LIBPOLLING_AFD_H
#define LIBPOLLING_AFD_H

#include <stdbool.h>
#include <stdint.h>
#include <winsock2.h>
#include <windows.h>

#include "namespace.h"

/* What a poll asks for and answers. */
#define AFD_RECEIVE      0x001u
#define AFD_EXPEDITED    0x002u /* urgent data */
#define AFD_SEND         0x004u
#define AFD_DISCONNECT   0x008u /* the peer's end, after the data */
#define AFD_ABORT        0x010u /* a reset */
#define AFD_LOCAL_CLOSE  0x020u /* the last handle was closed */
#define AFD_ACCEPT       0x080u
#define AFD_CONNECT_FAIL 0x100u

/* One socket of a poll; the layout is the driver's. */
struct afd_socket {
	HANDLE base;     /* of afd_base() */
	uint32_t events; /* AFD_: asked for, then found */
	int32_t status;  /* an NTSTATUS, of no interest */
};

/* A poll of one socket without a time limit, while it is in flight. */
struct afd_poll {
	OVERLAPPED overlapped; /* the packet at its end carries its address */
	struct {
		LARGE_INTEGER timeout;
		uint32_t count;
		uint32_t exclusive;
		struct afd_socket socket;
	} buffer; /* the layout is the driver's */
};

/* Opens the driver. A synchronous handle is for afd_look(). Returns 0 or a
 * negative errno, -ENOTSUP where there is no AFD. */
int afd_open(HANDLE *device, bool synchronous);

/* The socket that a provider has below s, which AFD knows, and whether it is
 * one of streams. Returns 0, or -EBADF if s is no open socket, or another
 * negative errno. */
int afd_base(SOCKET s, SOCKET *base, bool *is_stream);

/* Starts a poll, on a device that belongs to a completion port. Returns 0, and
 * then a packet comes, also if the poll is over at once; or a negative errno,
 * -EBADF if base is closed, and none comes. */
int afd_start(
    HANDLE device, struct afd_poll *poll, SOCKET base, uint32_t events);

/* Whether the poll, which was started, is over, with or without its packet
 * having been collected. */
bool afd_is_over(const struct afd_poll *poll);

/* Ends the poll: its packet comes soon, if it has not come yet. */
void afd_cancel(HANDLE device, struct afd_poll *poll);

/* What holds now of count sockets (256 at most), without blocking: replaces
 * their events. A socket that is closed has AFD_LOCAL_CLOSE. */
void afd_look(HANDLE device, struct afd_socket *sockets, unsigned count);

/* What a poll is to ask for so that it tells of an interest, and the conditions
 * that events mean: POLLING_ or, for a closed one, CONDITION_CLOSED. */
uint32_t afd_events(uint32_t interest);
uint32_t afd_conditions(uint32_t events);

#endif
