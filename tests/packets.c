/* SPDX-License-Identifier: MIT */
/*
 * Wait completion packets, see packets.h. The library finds their functions by
 * name; here these wait by a thread of the process's pool, which is what the
 * library does without them, but behind the same words as the kernel's:
 * - Associating one looks at once: what is signalled is taken, and the packet
 *   is sent. One that waits cannot be associated again.
 * - Cancelling one that waits ends that: STATUS_SUCCESS. The kernel can also
 *   take a packet from the queue; this cannot look into queues, and says
 *   STATUS_CANCELLED, which is what the kernel says of one that was collected.
 * - Closing one ends its wait.
 */
#include "packets.h"

#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <winternl.h>

#include "imports.h"

/* In <ntstatus.h>, which <windows.h> does not go with. */
#define SUCCESS           ((NTSTATUS)0)
#define INVALID_PARAMETER ((NTSTATUS)0xc000000d)
#define NO_RESOURCES      ((NTSTATUS)0xc000009a)
#define CANCELLED         ((NTSTATUS)0xc0000120)

#define PACKETS 1024

enum { IDLE, WAITING, SENT };

/* One for each handle, which is that of an event. Those who use one packet
 * take turns; lock is for the table. */
static struct packet {
	HANDLE handle; /* NULL: free */
	HANDLE wait;   /* of the pool, or NULL */
	HANDLE port;
	ULONG_PTR key;
	OVERLAPPED *overlapped;
	volatile LONG state;
} packets[PACKETS];
static SRWLOCK lock = SRWLOCK_INIT;

/* As they are at first: what the library imports may be made to fail, and a
 * program that has it in itself imports the same. */
static BOOL(WINAPI *post)(HANDLE, DWORD, ULONG_PTR, LPOVERLAPPED);
static BOOL(WINAPI *register_wait)(
    PHANDLE, HANDLE, WAITORTIMERCALLBACK, PVOID, ULONG, ULONG);

static struct packet *
find_packet(HANDLE handle)
{
	struct packet *found = NULL;

	AcquireSRWLockExclusive(&lock);
	for (int i = 0; i < PACKETS && found == NULL; i++)
		if (packets[i].handle == handle)
			found = &packets[i];
	ReleaseSRWLockExclusive(&lock);
	return found;
}

/* Ends the pool's part, and its use of q. */
static void
end_wait(struct packet *q)
{
	if (q->wait != NULL)
		(void)UnregisterWaitEx(q->wait, INVALID_HANDLE_VALUE);
	q->wait = NULL;
}

static void
send_packet(struct packet *q)
{
	if (InterlockedExchange(&q->state, SENT) == WAITING &&
	    !post(q->port, 0, q->key, q->overlapped))
		abort();
}

static VOID CALLBACK
fired(PVOID argument, BOOLEAN by_time)
{
	(void)by_time;
	send_packet(argument);
}

static NTSTATUS NTAPI
create_packet(PHANDLE out, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes)
{
	struct packet *q;

	(void)access;
	(void)attributes;
	*out = CreateEventW(NULL, FALSE, FALSE, NULL);
	q = *out != NULL ? find_packet(NULL) : NULL;
	if (q == NULL)
		return NO_RESOURCES;
	memset(q, 0, sizeof *q);
	q->handle = *out;
	return SUCCESS;
}

static NTSTATUS NTAPI
associate_packet(HANDLE packet, HANDLE port, HANDLE object, PVOID key,
    PVOID overlapped, NTSTATUS status, ULONG_PTR information,
    PBOOLEAN signalled)
{
	struct packet *q = find_packet(packet);

	if (q == NULL || q->state == WAITING || status != 0 || information != 0)
		return INVALID_PARAMETER;
	end_wait(q);
	q->port = port;
	q->key = (ULONG_PTR)key;
	q->overlapped = overlapped;
	q->state = WAITING;
	*signalled = WaitForSingleObject(object, 0) == WAIT_OBJECT_0;
	if (*signalled) {
		send_packet(q);
	} else if (!register_wait(&q->wait, object, fired, q, INFINITE,
		       WT_EXECUTEONLYONCE)) {
		q->wait = NULL;
		q->state = IDLE;
		return NO_RESOURCES;
	}
	return SUCCESS;
}

static NTSTATUS NTAPI
cancel_packet(HANDLE packet, BOOLEAN remove)
{
	struct packet *q = find_packet(packet);

	(void)remove;
	if (q == NULL)
		return INVALID_PARAMETER;
	end_wait(q);
	return InterlockedCompareExchange(&q->state, IDLE, WAITING) == WAITING
		   ? SUCCESS
		   : CANCELLED;
}

static BOOL(WINAPI *next_close)(HANDLE);
static BOOL WINAPI
close_packet(HANDLE handle)
{
	struct packet *q = handle != NULL ? find_packet(handle) : NULL;

	if (q != NULL) {
		end_wait(q);
		q->handle = NULL;
	}
	return next_close(handle);
}

static FARPROC(WINAPI *next_find)(HMODULE, LPCSTR);
static FARPROC WINAPI
find_function(HMODULE module, LPCSTR name)
{
	static const struct {
		const char *name;
		any_function *function;
	} names[] = {
	    {"NtCreateWaitCompletionPacket", (any_function *)create_packet},
	    {"NtAssociateWaitCompletionPacket",
		(any_function *)associate_packet},
	    {"NtCancelWaitCompletionPacket", (any_function *)cancel_packet}};

	/* It may be a number. */
	for (size_t i = 0;
	     (ULONG_PTR)name > 0xffff && i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i].name) == 0)
			return (FARPROC)names[i].function;
	return next_find(module, name);
}

bool
packets_are_here(void)
{
	return GetProcAddress(GetModuleHandleA("ntdll.dll"),
		   "NtAssociateWaitCompletionPacket") != NULL;
}

bool
packets_imitate(void)
{
	post = PostQueuedCompletionStatus;
	register_wait = RegisterWaitForSingleObject;
	return replace_import(
		   "CloseHandle", (any_function *)close_packet, &next_close) &&
	       replace_import(
		   "GetProcAddress", (any_function *)find_function, &next_find);
}
