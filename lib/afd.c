/* SPDX-License-Identifier: MIT */
/*
 * afd.c - polling sockets through AFD, the driver below Winsock.
 *
 * AFD is not documented, but every select() and WSAPoll() goes through it, and
 * other event libraries have relied on it for long. What it does where: a
 * listener reports AFD_ACCEPT only, a refused connection AFD_CONNECT_FAIL only,
 * the peer's end AFD_DISCONNECT, and that not before the data was read.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <winsock2.h>
#include <mswsock.h>
#include <winternl.h>

#include "afd.h"
#include "backend.h"
#include "winerror.h"

#define IOCTL_AFD_POLL 0x00012024

/* In <ntstatus.h>, which <windows.h> does not go with. */
#define POLL_PENDING ((ULONG_PTR)0x103)

/* Missing from some versions of <mswsock.h>. */
#ifndef SIO_BSP_HANDLE_SELECT
#define SIO_BSP_HANDLE_SELECT _WSAIOR(IOC_WS2, 28)
#endif
#ifndef SIO_BSP_HANDLE_POLL
#define SIO_BSP_HANDLE_POLL _WSAIOR(IOC_WS2, 29)
#endif
#ifndef SIO_BASE_HANDLE
#define SIO_BASE_HANDLE _WSAIOR(IOC_WS2, 34)
#endif

int
afd_open(HANDLE *device, bool synchronous)
{
	/* The driver takes any name below its own. */
	static WCHAR name[] = L"\\Device\\Afd\\polling";
	UNICODE_STRING string = {.Length = sizeof name - sizeof name[0],
	    .MaximumLength = sizeof name,
	    .Buffer = name};
	OBJECT_ATTRIBUTES attributes = {
	    .Length = sizeof attributes, .ObjectName = &string};
	IO_STATUS_BLOCK block;
	NTSTATUS status = NtCreateFile(device, SYNCHRONIZE, &attributes, &block,
	    NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN,
	    synchronous ? FILE_SYNCHRONOUS_IO_NONALERT : 0, NULL, 0);
	int error;

	if (status >= 0)
		return 0;
	error = error_from_nt(status);
	return error == ENOMEM || error == EMFILE ? -error : -ENOTSUP;
}

/* Asks a layered provider for what lies below it. */
static SOCKET
ask_base(SOCKET s, DWORD code)
{
	SOCKET base = INVALID_SOCKET;
	DWORD length;

	if (WSAIoctl(
		s, code, NULL, 0, &base, sizeof base, &length, NULL, NULL) != 0)
		return INVALID_SOCKET;
	return base;
}

int
afd_base(SOCKET s, SOCKET *base, bool *is_stream)
{
	static const DWORD codes[] = {
	    SIO_BSP_HANDLE_SELECT, SIO_BSP_HANDLE_POLL};
	int type, length = sizeof type;

	/* Wine answers the questions below for closed sockets and for other
	 * objects too. */
	if (getsockopt(s, SOL_SOCKET, SO_TYPE, (char *)&type, &length) != 0) {
		int code = WSAGetLastError();

		return code == WSAENOTSOCK ? -EBADF : -error_from_winsock(code);
	}
	*is_stream = type == SOCK_STREAM;
	/* A provider that does not answer may know what select() and WSAPoll()
	 * are to use, which is one layer down: asked again there. */
	*base = ask_base(s, SIO_BASE_HANDLE);
	for (unsigned i = 0; *base == INVALID_SOCKET && i < 2; i++) {
		SOCKET below = ask_base(s, codes[i]);

		if (below != INVALID_SOCKET && below != s)
			*base = ask_base(below, SIO_BASE_HANDLE);
	}
	return *base != INVALID_SOCKET ? 0 : -ENOTSUP;
}

/* The driver's answer to a poll that was not started, or not made. */
static int
poll_error(NTSTATUS status)
{
	switch (error_from_nt(status)) {
	case EBADF:
		return -EBADF;
	case ENOMEM:
	case EIO:
		return -ENOMEM;
	default:
		/* Something else than a socket of AFD. */
		return -ENOTSUP;
	}
}

int
afd_start(HANDLE device, struct afd_poll *poll, SOCKET base, uint32_t events)
{
	/* An OVERLAPPED begins with the status block. */
	IO_STATUS_BLOCK *block = (IO_STATUS_BLOCK *)&poll->overlapped;
	NTSTATUS status;

	memset(poll, 0, sizeof *poll);
	poll->buffer.timeout.QuadPart = INT64_MAX;
	poll->buffer.count = 1;
	poll->buffer.socket.base = (HANDLE)base;
	poll->buffer.socket.events = events;
	poll->overlapped.Internal = POLL_PENDING;
	status = NtDeviceIoControlFile(device, NULL, NULL, &poll->overlapped,
	    block, IOCTL_AFD_POLL, &poll->buffer, sizeof poll->buffer,
	    &poll->buffer, sizeof poll->buffer);
	return status >= 0 ? 0 : poll_error(status);
}

bool
afd_is_over(const struct afd_poll *poll)
{
	const volatile ULONG_PTR *status = &poll->overlapped.Internal;

	return *status != POLL_PENDING;
}

void
afd_cancel(HANDLE device, struct afd_poll *poll)
{
	/* ERROR_NOT_FOUND: over, and its packet is on its way. */
	(void)CancelIoEx(device, &poll->overlapped);
}

/* A poll of some sockets that does not wait. */
struct glance {
	LARGE_INTEGER timeout;
	uint32_t count;
	uint32_t exclusive;
	struct afd_socket sockets[READY_MAX];
};

static NTSTATUS
make_glance(HANDLE device, struct glance *g)
{
	ULONG size = (ULONG)(offsetof(struct glance, sockets) +
			     g->count * sizeof g->sockets[0]);
	IO_STATUS_BLOCK block;

	g->timeout.QuadPart = 0;
	g->exclusive = 0;
	return NtDeviceIoControlFile(
	    device, NULL, NULL, NULL, &block, IOCTL_AFD_POLL, g, size, g, size);
}

/* One that is closed spoils the answer for all. */
static void
look_at_each(HANDLE device, struct afd_socket *sockets, unsigned count)
{
	struct glance g;

	for (unsigned i = 0; i < count; i++) {
		NTSTATUS status;

		g.count = 1;
		g.sockets[0] = sockets[i];
		status = make_glance(device, &g);
		if (status < 0 && poll_error(status) == -EBADF)
			sockets[i].events = AFD_LOCAL_CLOSE;
		else if (status < 0 || g.count == 0)
			sockets[i].events = 0;
		else
			sockets[i].events = g.sockets[0].events;
	}
}

void
afd_look(HANDLE device, struct afd_socket *sockets, unsigned count)
{
	struct glance g;
	unsigned i = 0;

	if (count == 0)
		return;
	g.count = count;
	memcpy(g.sockets, sockets, count * sizeof *sockets);
	if (make_glance(device, &g) < 0) {
		look_at_each(device, sockets, count);
		return;
	}
	/* The answer has those of which something holds, in their order as far
	 * as is known. */
	for (unsigned j = 0; j < count; j++)
		sockets[j].events = 0;
	for (unsigned found = 0; found < g.count; found++)
		for (unsigned seen = 0; seen < count; seen++, i++) {
			if (i == count)
				i = 0;
			if (sockets[i].base != g.sockets[found].base)
				continue;
			sockets[i].events = g.sockets[found].events;
			break;
		}
}

uint32_t
afd_events(uint32_t interest)
{
	uint32_t events = AFD_DISCONNECT | AFD_ABORT | AFD_LOCAL_CLOSE |
			  AFD_CONNECT_FAIL;

	if (interest & POLLING_IN)
		events |= AFD_RECEIVE | AFD_ACCEPT;
	if (interest & POLLING_OUT)
		events |= AFD_SEND;
	if (interest & POLLING_PRI)
		events |= AFD_EXPEDITED;
	return events;
}

uint32_t
afd_conditions(uint32_t events)
{
	uint32_t conditions = 0;

	if (events & AFD_LOCAL_CLOSE)
		return CONDITION_CLOSED;
	if (events & (AFD_RECEIVE | AFD_ACCEPT))
		conditions |= POLLING_IN;
	if (events & AFD_EXPEDITED)
		conditions |= POLLING_PRI;
	if (events & AFD_SEND)
		conditions |= POLLING_OUT;
	if (events & AFD_DISCONNECT)
		conditions |= POLLING_IN | POLLING_RDHUP;
	/* As on Linux, nothing is left to wait for. */
	if (events & (AFD_ABORT | AFD_CONNECT_FAIL))
		conditions |= POLLING_IN | POLLING_OUT | POLLING_RDHUP |
			      POLLING_HUP | POLLING_ERR;
	return conditions;
}
