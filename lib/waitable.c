/* SPDX-License-Identifier: MIT */
/*
 * waitable.c - waiting for a handle of Windows through a completion port.
 *
 * Since Windows 8 the kernel sends the packet itself: a "wait completion
 * packet" is associated with a handle and a port. Before that, and in Wine 8,
 * a thread of the process's pool waits and sends it.
 *
 * A wait for an event with automatic reset, for a semaphore or for a timer may
 * take the signal away. So nothing may ask whether such an object is signalled
 * but the wait whose packet is reported; the others are asked again when the
 * packet is collected, since they may have been reset meanwhile.
 *
 * The wait is for a duplicate of the handle. Closing a handle that is waited
 * for is undefined, and the duplicate also tells whether the number still
 * stands for the object.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <winsock2.h>
#include <windows.h>
#include <winternl.h>

#include "waitable.h"
#include "winerror.h"

/* Not in the headers, or not in the libraries of every version. */
typedef NTSTATUS NTAPI create_packet(
    PHANDLE packet, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes);
typedef NTSTATUS NTAPI associate_packet(HANDLE packet, HANDLE port,
    HANDLE object, PVOID key, PVOID overlapped, NTSTATUS status,
    ULONG_PTR information, PBOOLEAN signalled);
typedef NTSTATUS NTAPI cancel_packet(HANDLE packet, BOOLEAN remove);
typedef NTSTATUS NTAPI query_event(
    HANDLE event, ULONG class, PVOID buffer, ULONG length, PULONG returned);
typedef BOOL WINAPI compare_objects(HANDLE a, HANDLE b);

static struct {
	create_packet *create_packet; /* NULL if one of the three is */
	associate_packet *associate_packet;
	cancel_packet *cancel_packet;
	query_event *query_event;         /* Windows NT */
	compare_objects *compare_objects; /* Windows 10; else NULL */
} system_calls;

/* GetCurrentThreadEffectiveToken(). */
#define LAST_PSEUDO_HANDLE (-6)

/* A function of a library that every process has loaded. */
static FARPROC
find(const wchar_t *library, const char *name)
{
	HMODULE module = GetModuleHandleW(library);

	return module != NULL ? GetProcAddress(module, name) : NULL;
}

static BOOL CALLBACK
find_all(PINIT_ONCE once, PVOID argument, PVOID *context)
{
	(void)once;
	(void)argument;
	(void)context;
	/* By way of void (*)(void), which any function may be cast to. */
	system_calls.associate_packet = (associate_packet *)(void (*)(
	    void))find(L"ntdll.dll", "NtAssociateWaitCompletionPacket");
	system_calls.cancel_packet = (cancel_packet *)(void (*)(void))find(
	    L"ntdll.dll", "NtCancelWaitCompletionPacket");
	if (system_calls.associate_packet != NULL &&
	    system_calls.cancel_packet != NULL)
		system_calls.create_packet = (create_packet *)(void (*)(
		    void))find(L"ntdll.dll", "NtCreateWaitCompletionPacket");
	system_calls.query_event = (query_event *)(void (*)(void))find(
	    L"ntdll.dll", "NtQueryEvent");
	system_calls.compare_objects = (compare_objects *)(void (*)(void))find(
	    L"kernelbase.dll", "CompareObjectHandles");
	return TRUE;
}

/* What NtQueryObject() says of a type: its name comes first. */
union object_type {
	UNICODE_STRING name;
	char space[1024];
};

/* Returns 0 or a negative errno. */
static int
ask_type(HANDLE object, union object_type *type)
{
	ULONG length;
	NTSTATUS status = NtQueryObject(
	    object, ObjectTypeInformation, type, sizeof *type, &length);

	return status < 0 ? -error_from_nt(status) : 0;
}

static bool
has_name(const union object_type *type, const wchar_t *name)
{
	size_t length = type->name.Length / sizeof *name, i = 0;

	while (
	    i < length && name[i] != L'\0' && type->name.Buffer[i] == name[i])
		i++;
	return i == length && name[i] == L'\0';
}

/* Whether a successful wait for object takes something away. */
static bool
consumes(HANDLE object, const union object_type *type)
{
	struct {
		LONG type; /* 0: reset by hand */
		LONG state;
	} event;

	if (has_name(type, L"Event"))
		return system_calls.query_event == NULL ||
		       system_calls.query_event(
			   object, 0, &event, sizeof event, NULL) < 0 ||
		       event.type != 0;
	/* Of a timer the kernel does not tell which kind it is. */
	return has_name(type, L"Semaphore") || has_name(type, L"Timer");
}

int
waitable_open(struct waitable *w, HANDLE handle, HANDLE port, ULONG_PTR key,
    OVERLAPPED *overlapped)
{
	static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
	union object_type type;
	DWORD flags;
	int error;

	(void)InitOnceExecuteOnce(&once, find_all, NULL, NULL);
	memset(w, 0, sizeof *w);
	w->port = port;
	w->key = key;
	w->overlapped = overlapped;
	/* Pseudo-handles, such as GetCurrentProcess(), are duplicated too, but
	 * stand for something else in another thread or process. That is also
	 * INVALID_HANDLE_VALUE. Wine has information about them. */
	if (((intptr_t)handle < 0 && (intptr_t)handle >= LAST_PSEUDO_HANDLE) ||
	    !GetHandleInformation(handle, &flags))
		return -EBADF;
	/* What is not known to be left as it is must not be waited for. */
	error = ask_type(handle, &type);
	if (error != 0)
		return error;
	if (has_name(&type, L"Mutant"))
		return -EINVAL;
	w->consumes = consumes(handle, &type);
	/* The right to wait, which the handle need not have, is all that is
	 * needed. Without it the pool's threads would wait in silence. */
	if (!DuplicateHandle(GetCurrentProcess(), handle, GetCurrentProcess(),
		&w->object, SYNCHRONIZE, FALSE, 0))
		return -error_from_win32(GetLastError());
	if (system_calls.create_packet != NULL) {
		NTSTATUS status = system_calls.create_packet(
		    &w->packet, GENERIC_ALL, NULL);

		if (status < 0) {
			(void)CloseHandle(w->object);
			return -error_from_nt(status);
		}
	}
	return 0;
}

/* Runs on a thread of the pool. */
static VOID CALLBACK
send_packet(PVOID argument, BOOLEAN timed_out)
{
	struct waitable *w = argument;

	(void)timed_out;
	(void)InterlockedExchange(&w->sent, 1);
	/* It can only lack memory, for a moment: what a wait has taken away
	 * must not get lost. */
	while (!PostQueuedCompletionStatus(w->port, 0, w->key, w->overlapped))
		Sleep(1);
}

/* Ends the pool's wait, and its thread's use of w. */
static void
end_wait(struct waitable *w)
{
	if (w->wait != NULL)
		(void)UnregisterWaitEx(w->wait, INVALID_HANDLE_VALUE);
	w->wait = NULL;
}

void
waitable_close(struct waitable *w)
{
	/* One that is over, too, is kept by the pool until then. */
	end_wait(w);
	if (w->packet != NULL)
		(void)CloseHandle(w->packet);
	(void)CloseHandle(w->object);
}

int
waitable_arm(struct waitable *w)
{
	BOOLEAN signalled;

	if (w->packet != NULL) {
		NTSTATUS status = system_calls.associate_packet(w->packet,
		    w->port, w->object, (PVOID)w->key, w->overlapped, 0, 0,
		    &signalled);

		return status < 0 ? -error_from_nt(status) : 0;
	}
	end_wait(w);
	w->sent = 0;
	if (!RegisterWaitForSingleObject(&w->wait, w->object, send_packet, w,
		INFINITE, WT_EXECUTEONLYONCE)) {
		w->wait = NULL;
		return -error_from_win32(GetLastError());
	}
	return 0;
}

bool
waitable_cancel(struct waitable *w)
{
	/* 0: it was cancelled, or taken from the queue. */
	if (w->packet != NULL)
		return system_calls.cancel_packet(w->packet, TRUE) == 0;
	end_wait(w);
	return w->sent == 0;
}

bool
waitable_take(struct waitable *w)
{
	/* The kernel itself sends the packet at once, a thread of the pool when
	 * it gets round to it. */
	return w->packet == NULL &&
	       WaitForSingleObject(w->object, 0) == WAIT_OBJECT_0;
}

bool
waitable_holds(const struct waitable *w)
{
	return w->consumes ||
	       WaitForSingleObject(w->object, 0) == WAIT_OBJECT_0;
}

bool
waitable_is(const struct waitable *w, HANDLE handle)
{
	DWORD flags;

	if (!GetHandleInformation(handle, &flags))
		return false;
	return system_calls.compare_objects == NULL ||
	       system_calls.compare_objects(handle, w->object);
}
