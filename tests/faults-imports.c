/* SPDX-License-Identifier: MIT */
/*
 * faults-imports.c - functions of Windows that fail on demand.
 *
 * They are put in the place of what the library imports, so that it calls
 * these, which fail or go on. What it finds by GetProcAddress() is had by way
 * of that. Each fails with what Windows may say; what cannot fail is not here.
 */
#include "faults-imports.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <winsock2.h>
#include <windows.h>
#include <winternl.h>

#include "imports.h"

/* In <ntstatus.h>, which <windows.h> does not go with. */
#define NO_RESOURCES   ((long)0xc000009a)
#define NO_MORE_FILES  ((long)0xc000011f)
#define NO_SUCH_NAME   ((long)0xc0000034)
#define INVALID_HANDLE ((long)0xc0000008)
#define WRONG_REQUEST  ((long)0xc0000010)

#define SIO_SELECT 0x4800001cu /* SIO_BSP_HANDLE_SELECT */
#define SIO_POLL   0x4800001du /* SIO_BSP_HANDLE_POLL */
#define SIO_BASE   0x48000022u /* SIO_BASE_HANDLE */

const struct fault_import fault_imports[CALLS] = {
    [CALL_MALLOC] = {"malloc", {{ENOMEM, ENOMEM}}},
    [CALL_CALLOC] = {"calloc", {{ENOMEM, ENOMEM}}},
    [CALL_REALLOC] = {"realloc", {{ENOMEM, ENOMEM}}},
    [CALL_STARTUP] = {"WSAStartup",
	{{WSASYSNOTREADY, ENETDOWN}, {WSAEPROCLIM, EAGAIN}}},
    [CALL_PORT] = {"CreateIoCompletionPort",
	{{ERROR_NO_SYSTEM_RESOURCES, ENOMEM}}},
    [CALL_OPEN_DEVICE] = {"NtCreateFile",
	{{NO_RESOURCES, ENOMEM}, {NO_MORE_FILES, EMFILE},
	    {NO_SUCH_NAME, ENOTSUP}}},
    [CALL_POLL] = {"NtDeviceIoControlFile",
	{{NO_RESOURCES, ENOMEM}, {INVALID_HANDLE, EBADF},
	    {WRONG_REQUEST, ENOTSUP}}},
    [CALL_TYPE] = {"NtQueryObject", {{NO_RESOURCES, ENOMEM}}},
    [CALL_QUERY_EVENT] = {"NtQueryEvent", {{NO_RESOURCES, ENOMEM}}},
    [CALL_CREATE_PACKET] = {"NtCreateWaitCompletionPacket",
	{{NO_RESOURCES, ENOMEM}}},
    [CALL_ASSOCIATE_PACKET] = {"NtAssociateWaitCompletionPacket",
	{{NO_RESOURCES, ENOMEM}}},
    [CALL_DUPLICATE] = {"DuplicateHandle",
	{{ERROR_NO_SYSTEM_RESOURCES, ENOMEM}, {ERROR_ACCESS_DENIED, EACCES}}},
    [CALL_REGISTER_WAIT] = {"RegisterWaitForSingleObject",
	{{ERROR_NOT_ENOUGH_MEMORY, ENOMEM}}},
    [CALL_POST_PACKET] = {"PostQueuedCompletionStatus",
	{{ERROR_NO_SYSTEM_RESOURCES, ENOMEM}}},
    [CALL_GET_PACKETS] = {"GetQueuedCompletionStatusEx",
	{{ERROR_NO_SYSTEM_RESOURCES, ENOMEM}}},
    [CALL_OPEN_PROCESS] = {"OpenProcess",
	{{ERROR_NOT_ENOUGH_MEMORY, ENOMEM}, {ERROR_ACCESS_DENIED, EACCES},
	    {ERROR_INVALID_PARAMETER, ESRCH}}},
    [CALL_HANDLER] = {"SetConsoleCtrlHandler",
	{{ERROR_NOT_ENOUGH_MEMORY, ENOMEM}}},
    [CALL_BASE] = {"WSAIoctl", {{WSAEOPNOTSUPP, ENOTSUP}}},
    [CALL_SOCKET_TYPE] = {"getsockopt", {{WSAENOBUFS, ENOBUFS}}},
};

/* So many calls fail in a row, since what a wait cannot do it tries again until
 * it can. */
#define PATIENCE 20

/* Not thread-local: a compiler may need malloc() for that. */
static volatile LONG armed;
static DWORD armed_thread;
static bool all_threads;
static enum fault_mode mode;
static int planned_number, planned_error;
static int planned_call; /* of that number */
static volatile LONG count, injected, balance;
static bool met[256]; /* by errno */
static unsigned char trace[FAULT_TRACE_MAX + 1];

/* What a call fails with by plan, or NULL. */
static const struct fault_error *
planned(int call, int number)
{
	const struct fault_error *errors = fault_imports[call].errors;

	switch (mode) {
	case FAULT_ONCE:
		return number == planned_number ? &errors[planned_error] : NULL;
	case FAULT_FROM:
		if (number == planned_number)
			planned_call = call;
		if (number < planned_number ||
		    number >= planned_number + PATIENCE)
			return NULL;
		return &errors[call == planned_call ? planned_error : 0];
	case FAULT_NONE:
		break;
	}
	return NULL;
}

/* A call is made: 0, or what it is to fail with, which is the thread's last
 * error as well. */
static long
fault(int call)
{
	const struct fault_error *error;
	int number;

	if (!armed || (!all_threads && GetCurrentThreadId() != armed_thread))
		return 0;
	number = (int)InterlockedIncrement(&count);
	if (number <= FAULT_TRACE_MAX)
		trace[number] = (unsigned char)call;
	error = planned(call, number);
	if (error == NULL)
		return 0;
	(void)InterlockedIncrement(&injected);
	met[error->error] = true;
	SetLastError((DWORD)error->code);
	return error->code;
}

void
fault_arm(enum fault_mode how, int number, int error, bool in_all_threads)
{
	mode = how;
	planned_number = number;
	planned_error = error;
	all_threads = in_all_threads;
	armed_thread = GetCurrentThreadId();
	count = injected = 0;
	memset(met, 0, sizeof met);
	(void)InterlockedExchange(&armed, 1);
}

void
fault_disarm(void)
{
	(void)InterlockedExchange(&armed, 0);
}

int
fault_count(void)
{
	return (int)count;
}

int
fault_injected(void)
{
	return (int)injected;
}

int
fault_traced(int number)
{
	return trace[number];
}

bool
fault_met(int error)
{
	return met[error];
}

long
fault_balance(void)
{
	return balance;
}

/* Memory */

static void *
count_block(void *block)
{
	if (block != NULL)
		(void)InterlockedIncrement(&balance);
	return block;
}

static void *(*next_malloc)(size_t);
static void *
my_malloc(size_t size)
{
	return fault(CALL_MALLOC) ? NULL : count_block(next_malloc(size));
}

static void *(*next_calloc)(size_t, size_t);
static void *
my_calloc(size_t n, size_t size)
{
	return fault(CALL_CALLOC) ? NULL : count_block(next_calloc(n, size));
}

static void *(*next_realloc)(void *, size_t);
static void *
my_realloc(void *block, size_t size)
{
	void *moved;

	if (fault(CALL_REALLOC))
		return NULL;
	moved = next_realloc(block, size);
	return block == NULL ? count_block(moved) : moved;
}

static void (*next_free)(void *);
static void
my_free(void *block)
{
	if (block != NULL)
		(void)InterlockedDecrement(&balance);
	next_free(block);
}

/* Ports, devices, handles */

static HANDLE(WINAPI *next_port)(HANDLE, HANDLE, ULONG_PTR, DWORD);
static HANDLE WINAPI
my_port(HANDLE file, HANDLE port, ULONG_PTR key, DWORD threads)
{
	return fault(CALL_PORT) ? NULL : next_port(file, port, key, threads);
}

static NTSTATUS(NTAPI *next_open)(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES,
    PIO_STATUS_BLOCK, PLARGE_INTEGER, ULONG, ULONG, ULONG, ULONG, PVOID, ULONG);
static NTSTATUS NTAPI
my_open(PHANDLE file, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
    PIO_STATUS_BLOCK block, PLARGE_INTEGER size, ULONG flags, ULONG share,
    ULONG disposition, ULONG options, PVOID buffer, ULONG length)
{
	long status = fault(CALL_OPEN_DEVICE);

	return status != 0
		   ? (NTSTATUS)status
		   : next_open(file, access, attributes, block, size, flags,
			 share, disposition, options, buffer, length);
}

/* A poll of AFD and its answer; the layout is the driver's. */
struct answer {
	LARGE_INTEGER timeout;
	ULONG count;
	ULONG exclusive;
	struct {
		HANDLE socket;
		ULONG events;
		LONG status;
	} sockets[];
};

bool fault_reverses;

static void
reverse(struct answer *a)
{
	for (ULONG i = 0, j = a->count; i + 1 < j; i++) {
		HANDLE socket = a->sockets[i].socket;
		ULONG events = a->sockets[i].events;

		a->sockets[i] = a->sockets[--j];
		a->sockets[j].socket = socket;
		a->sockets[j].events = events;
	}
}

static NTSTATUS(NTAPI *next_control)(HANDLE, HANDLE, PIO_APC_ROUTINE, PVOID,
    PIO_STATUS_BLOCK, ULONG, PVOID, ULONG, PVOID, ULONG);
static NTSTATUS NTAPI
my_control(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, PVOID context,
    PIO_STATUS_BLOCK block, ULONG code, PVOID in, ULONG in_length, PVOID out,
    ULONG out_length)
{
	NTSTATUS status = (NTSTATUS)fault(CALL_POLL);

	if (status == 0) {
		status = next_control(file, event, routine, context, block,
		    code, in, in_length, out, out_length);
		/* Without a packet the answer is here already. */
		if (status == 0 && fault_reverses && context == NULL)
			reverse(out);
	}
	return status;
}

static NTSTATUS(NTAPI *next_type)(
    HANDLE, OBJECT_INFORMATION_CLASS, PVOID, ULONG, PULONG);
static NTSTATUS NTAPI
my_type(HANDLE object, OBJECT_INFORMATION_CLASS class, PVOID buffer,
    ULONG length, PULONG returned)
{
	long status = fault(CALL_TYPE);

	return status != 0 ? (NTSTATUS)status
			   : next_type(object, class, buffer, length, returned);
}

static BOOL(WINAPI *next_duplicate)(
    HANDLE, HANDLE, HANDLE, PHANDLE, DWORD, BOOL, DWORD);
static BOOL WINAPI
my_duplicate(HANDLE from, HANDLE handle, HANDLE to, PHANDLE out, DWORD access,
    BOOL inherit, DWORD options)
{
	return !fault(CALL_DUPLICATE) &&
	       next_duplicate(from, handle, to, out, access, inherit, options);
}

static BOOL(WINAPI *next_register)(
    PHANDLE, HANDLE, WAITORTIMERCALLBACK, PVOID, ULONG, ULONG);
static BOOL WINAPI
my_register(PHANDLE out, HANDLE object, WAITORTIMERCALLBACK callback,
    PVOID context, ULONG ms, ULONG flags)
{
	return !fault(CALL_REGISTER_WAIT) &&
	       next_register(out, object, callback, context, ms, flags);
}

static BOOL(WINAPI *next_post)(HANDLE, DWORD, ULONG_PTR, LPOVERLAPPED);
static BOOL WINAPI
my_post(HANDLE port, DWORD length, ULONG_PTR key, LPOVERLAPPED overlapped)
{
	return !fault(CALL_POST_PACKET) &&
	       next_post(port, length, key, overlapped);
}

static BOOL(WINAPI *next_get)(
    HANDLE, LPOVERLAPPED_ENTRY, ULONG, PULONG, DWORD, BOOL);
static BOOL WINAPI
my_get(HANDLE port, LPOVERLAPPED_ENTRY out, ULONG capacity, PULONG n, DWORD ms,
    BOOL alertable)
{
	return !fault(CALL_GET_PACKETS) &&
	       next_get(port, out, capacity, n, ms, alertable);
}

static HANDLE(WINAPI *next_process)(DWORD, BOOL, DWORD);
static HANDLE WINAPI
my_process(DWORD access, BOOL inherit, DWORD id)
{
	return fault(CALL_OPEN_PROCESS) ? NULL
					: next_process(access, inherit, id);
}

static BOOL(WINAPI *next_handler)(PHANDLER_ROUTINE, BOOL);
static BOOL WINAPI
my_handler(PHANDLER_ROUTINE handler, BOOL add)
{
	return !fault(CALL_HANDLER) && next_handler(handler, add);
}

/* Winsock */

static int(WSAAPI *next_startup)(WORD, LPWSADATA);
static int WSAAPI
my_startup(WORD version, LPWSADATA data)
{
	long code = fault(CALL_STARTUP);

	return code != 0 ? (int)code : next_startup(version, data);
}

static int(WSAAPI *next_option)(SOCKET, int, int, char *, int *);
static int WSAAPI
my_option(SOCKET s, int level, int name, char *value, int *length)
{
	return fault(CALL_SOCKET_TYPE)
		   ? SOCKET_ERROR
		   : next_option(s, level, name, value, length);
}

struct fault_layer fault_layer;
/* What the provider has below a socket: no number that a socket has. */
#define BELOW(s) ((s) | 1)

static int(WSAAPI *next_ioctl)(SOCKET, DWORD, LPVOID, DWORD, LPVOID, DWORD,
    LPDWORD, LPWSAOVERLAPPED, LPWSAOVERLAPPED_COMPLETION_ROUTINE);

/* A provider that does not answer for the base itself. */
static int
ask_layer(SOCKET s, DWORD code, SOCKET *answer, DWORD *length)
{
	if (code == SIO_BASE && (s & 1))
		return next_ioctl(s & ~(SOCKET)1, code, NULL, 0, answer,
		    sizeof *answer, length, NULL, NULL);
	if ((code == SIO_SELECT && fault_layer.knows_for_select) ||
	    (code == SIO_POLL && fault_layer.knows_for_poll)) {
		*answer = fault_layer.gives_another ? BELOW(s) : s;
		return 0;
	}
	WSASetLastError(WSAEOPNOTSUPP);
	return SOCKET_ERROR;
}

static int WSAAPI
my_ioctl(SOCKET s, DWORD code, LPVOID in, DWORD in_length, LPVOID out,
    DWORD out_length, LPDWORD length, LPWSAOVERLAPPED overlapped,
    LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
	if (fault(CALL_BASE))
		return SOCKET_ERROR;
	if (fault_layer.is_there)
		return ask_layer(s, code, out, length);
	return next_ioctl(s, code, in, in_length, out, out_length, length,
	    overlapped, routine);
}

/* What is found by name */

typedef NTSTATUS NTAPI query_event(HANDLE, ULONG, PVOID, ULONG, PULONG);
static query_event *next_query;
static NTSTATUS NTAPI
my_query(HANDLE event, ULONG class, PVOID buffer, ULONG length, PULONG returned)
{
	long status = fault(CALL_QUERY_EVENT);

	return status != 0 ? (NTSTATUS)status
			   : next_query(event, class, buffer, length, returned);
}

typedef NTSTATUS NTAPI create_packet(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES);
static create_packet *next_create;
static NTSTATUS NTAPI
my_create(PHANDLE packet, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes)
{
	long status = fault(CALL_CREATE_PACKET);

	return status != 0 ? (NTSTATUS)status
			   : next_create(packet, access, attributes);
}

typedef NTSTATUS NTAPI associate_packet(
    HANDLE, HANDLE, HANDLE, PVOID, PVOID, NTSTATUS, ULONG_PTR, PBOOLEAN);
static associate_packet *next_associate;
static NTSTATUS NTAPI
my_associate(HANDLE packet, HANDLE port, HANDLE object, PVOID key,
    PVOID overlapped, NTSTATUS result, ULONG_PTR information,
    PBOOLEAN signalled)
{
	long status = fault(CALL_ASSOCIATE_PACKET);

	return status != 0 ? (NTSTATUS)status
			   : next_associate(packet, port, object, key,
				 overlapped, result, information, signalled);
}

#define FUNCTION(name, mine, next)                  \
	{                                           \
		name, (any_function *)mine, &(next) \
	}

struct replacement {
	const char *name;
	any_function *mine;
	void *next; /* to a pointer to a function */
};

static const struct replacement found[] = {
    FUNCTION("NtQueryEvent", my_query, next_query),
    FUNCTION("NtCreateWaitCompletionPacket", my_create, next_create),
    FUNCTION("NtAssociateWaitCompletionPacket", my_associate, next_associate),
};

static FARPROC(WINAPI *next_find)(HMODULE, LPCSTR);
static FARPROC WINAPI
my_find(HMODULE module, LPCSTR name)
{
	FARPROC next = next_find(module, name);

	/* It may be a number. */
	if (next == NULL || (uintptr_t)name <= 0xffff)
		return next;
	for (size_t i = 0; i < sizeof found / sizeof *found; i++)
		if (strcmp(name, found[i].name) == 0) {
			memcpy(found[i].next, &next, sizeof next);
			return (FARPROC)found[i].mine;
		}
	return next;
}

static const struct replacement imported[] = {
    FUNCTION("malloc", my_malloc, next_malloc),
    FUNCTION("calloc", my_calloc, next_calloc),
    FUNCTION("realloc", my_realloc, next_realloc),
    FUNCTION("free", my_free, next_free),
    FUNCTION("CreateIoCompletionPort", my_port, next_port),
    FUNCTION("NtCreateFile", my_open, next_open),
    FUNCTION("NtDeviceIoControlFile", my_control, next_control),
    FUNCTION("NtQueryObject", my_type, next_type),
    FUNCTION("DuplicateHandle", my_duplicate, next_duplicate),
    FUNCTION("RegisterWaitForSingleObject", my_register, next_register),
    FUNCTION("PostQueuedCompletionStatus", my_post, next_post),
    FUNCTION("GetQueuedCompletionStatusEx", my_get, next_get),
    FUNCTION("OpenProcess", my_process, next_process),
    FUNCTION("SetConsoleCtrlHandler", my_handler, next_handler),
    FUNCTION("WSAStartup", my_startup, next_startup),
    FUNCTION("getsockopt", my_option, next_option),
    FUNCTION("WSAIoctl", my_ioctl, next_ioctl),
    FUNCTION("GetProcAddress", my_find, next_find),
};

const char *
fault_prepare(void)
{
	for (size_t i = 0; i < sizeof imported / sizeof *imported; i++)
		if (!replace_import(
			imported[i].name, imported[i].mine, imported[i].next))
			return imported[i].name;
	return NULL;
}
