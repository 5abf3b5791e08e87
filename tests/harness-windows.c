/* SPDX-License-Identifier: MIT */
/*
 * The part of the harness that is made of Windows: time, sockets, handles and
 * processes. The library is not used here, so that a fault of the system shows
 * as one: what is known to be missing in some (in Wine 8 there are no AF_UNIX
 * sockets, and resets and unreachable ports are not told) is looked for by
 * what Winsock itself says.
 *
 * The one hard idea: Check cannot fork here, so each case is a process of its
 * own, started with the words -1 SUITE/CASE. That gives it a time limit, and
 * one that crashes takes no other with it.
 */
#include "harness.h"

#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdio.h>
/* In this order. */
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <psapi.h>

#include "packets.h"

const struct suite_part system_parts[] = {{"sockets", add_sockets},
    {"waitable", add_waitable}, {"signals", add_signals},
    {"processes", add_processes}, {"winerror", add_winerror}, {NULL, NULL}};

/* Errors */

static const struct {
	int winsock;
	int error;
} winsock_errors[] = {{WSAEWOULDBLOCK, EAGAIN}, {WSAEINPROGRESS, EINPROGRESS},
    {WSAEALREADY, EALREADY}, {WSAENOTSOCK, EBADF}, {WSAEBADF, EBADF},
    {WSAECONNREFUSED, ECONNREFUSED}, {WSAECONNRESET, ECONNRESET},
    {WSAECONNABORTED, ECONNRESET}, {WSAENETRESET, ECONNRESET},
    {WSAEDISCON, ECONNRESET}, {WSAESHUTDOWN, EPIPE}, {WSAENOTCONN, ENOTCONN},
    {WSAEINVAL, EINVAL}, {WSAEFAULT, EFAULT}, {WSAEMFILE, EMFILE},
    {WSAENOBUFS, ENOMEM}, {WSAEADDRINUSE, EADDRINUSE},
    {WSAEADDRNOTAVAIL, EADDRNOTAVAIL}, {WSAEAFNOSUPPORT, EAFNOSUPPORT},
    {WSAETIMEDOUT, ETIMEDOUT}, {WSAEISCONN, EISCONN}};

/* A reset is a reset, however it is told. EIO for what no test expects. */
static int
to_errno(int winsock)
{
	size_t count = sizeof(winsock_errors) / sizeof(winsock_errors[0]);

	if (winsock == 0)
		return 0;
	for (size_t i = 0; i < count; i++) {
		if (winsock_errors[i].winsock == winsock)
			return winsock_errors[i].error;
	}
	return EIO;
}

/* strerror() knows few of these. */
const char *
error_text(int error)
{
#define NAMED(code)         \
	{                   \
		code, #code \
	}
	static const struct {
		int error;
		const char *name;
	} names[] = {NAMED(EAGAIN), NAMED(EBADF), NAMED(ECONNREFUSED),
	    NAMED(ECONNRESET), NAMED(EEXIST), NAMED(EFAULT), NAMED(EINPROGRESS),
	    NAMED(EINTR), NAMED(EINVAL), NAMED(EIO), NAMED(EMFILE),
	    NAMED(ENOENT), NAMED(ENOMEM), NAMED(ENOSPC), NAMED(ENOSYS),
	    NAMED(ENOTCONN), NAMED(ENOTSUP), NAMED(EPERM), NAMED(EPIPE),
	    NAMED(ETIMEDOUT), NAMED(EACCES), NAMED(EWOULDBLOCK)};
	static char text[32];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].error == error)
			return names[i].name;
	}
	(void)snprintf(text, sizeof(text), "error %d", error);
	return text;
}

#define SYSTEM(call)                                         \
	do {                                                 \
		if (!(call))                                 \
			ck_abort_msg("%s: error %lu", #call, \
			    (unsigned long)GetLastError());  \
	} while (0)
/* The error of a Winsock call is the thread's last error as well. */
#define WINSOCK(call) SYSTEM((call) != SOCKET_ERROR)

/* Running */

static HANDLE spare; /* see duplicate_at() */

void
harness_start(void)
{
	const char *emulation = getenv("POLLING_EMULATION");
	WSADATA data;

	if (emulation != NULL && strcmp(emulation, "packets") == 0 &&
	    !packets_imitate()) {
		fprintf(stderr, "the packets cannot be imitated\n");
		abort();
	}
	/* Lines as elsewhere, and each when it is printed: what is left of a
	 * case that crashed. */
	(void)_setmode(_fileno(stdout), _O_BINARY);
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	/* No window and no debugger for a case that crashes. */
	(void)SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
	spare = CreateEventW(NULL, FALSE, FALSE, NULL);
	if (WSAStartup(MAKEWORD(2, 2), &data) != 0)
		abort();
}

bool
harness_runs_apart(void)
{
	return true;
}

#define START_TRIES 3

/* Under Wine a process may, once in thousands, not come up, and end before it
 * has run anything: then another one is started, and that is said. */
static BOOL
start_process(char *program, char *line, PROCESS_INFORMATION *process)
{
	STARTUPINFOA how = {.cb = sizeof(how)};

	for (int tries = 1;; tries++) {
		if (CreateProcessA(program, line, NULL, NULL, TRUE, 0, NULL,
			NULL, &how, process))
			return TRUE;
		if (GetLastError() != ERROR_INTERNAL_ERROR ||
		    tries == START_TRIES)
			return FALSE;
		printf("note %s: a process did not come up\n", line);
		(void)fflush(stdout);
	}
}

/* Starts this program again. Returns the process, or NULL. */
static HANDLE
start_case(const struct selected_case *which, bool verbose)
{
	PROCESS_INFORMATION process;
	char program[MAX_PATH], line[2 * MAX_PATH];
	DWORD length = GetModuleFileNameA(NULL, program, sizeof(program));

	if (length == 0 || length >= sizeof(program))
		return NULL;
	(void)snprintf(line, sizeof(line), "suites -1 %s%s/%s",
	    verbose ? "-v " : "", which->suite, which->name);
	(void)fflush(stdout);
	if (!start_process(program, line, &process))
		return NULL;
	(void)CloseHandle(process.hThread);
	return process.hProcess;
}

int
harness_run_apart(
    const struct selected_case *which, bool verbose, char *words, size_t size)
{
	HANDLE process = start_case(which, verbose);
	double limit = which->seconds * 1000.0 * time_scale();
	DWORD status;
	int result = -1;

	if (process == NULL) {
		(void)snprintf(words, size, "no process: error %lu",
		    (unsigned long)GetLastError());
		return -1;
	}
	if (WaitForSingleObject(process, (DWORD)limit) != WAIT_OBJECT_0) {
		(void)TerminateProcess(process, 3);
		(void)WaitForSingleObject(process, 10000);
		(void)snprintf(
		    words, size, "not over after %.0f s", limit / 1e3);
	} else if (!GetExitCodeProcess(process, &status)) {
		(void)snprintf(words, size, "no exit status: error %lu",
		    (unsigned long)GetLastError());
	} else if (status > 2) {
		(void)snprintf(words, size, "ended with status %#lx",
		    (unsigned long)status);
	} else {
		result = (int)status;
	}
	(void)CloseHandle(process);
	return result;
}

/* Leaks */

/*
 * Handles are multiples of four, and lie close together. GetProcessHandleCount
 * says 0 in Wine 8 and names none anywhere, so they are looked for: from the
 * lowest to the highest that was ever seen, and some way on.
 */
#define HANDLES_MAX 65536
#define GAP         256

static unsigned char open_before[HANDLES_MAX];
static size_t handles_seen; /* all that were ever open are below */

static HANDLE
nth_handle(size_t n)
{
	return (HANDLE)(uintptr_t)(4 * (n + 1));
}

/* Notes which are open; returns how many. */
static int
find_handles(unsigned char is_open[HANDLES_MAX])
{
	int count = 0;

	memset(is_open, 0, HANDLES_MAX);
	for (size_t i = 0; i < HANDLES_MAX && i < handles_seen + GAP; i++) {
		DWORD flags;

		if (!GetHandleInformation(nth_handle(i), &flags))
			continue;
		is_open[i] = 1;
		count++;
		if (i >= handles_seen)
			handles_seen = i + 1;
	}
	return count;
}

int
count_fds(void)
{
	static unsigned char is_open[HANDLES_MAX];

	return find_handles(is_open);
}

/* What the handle is of: a word such as Event. */
static void
describe_handle(HANDLE handle, char *text, size_t size)
{
	/* The beginning of what NtQueryObject gives for ObjectTypeInformation:
	 * a UNICODE_STRING. */
	struct {
		USHORT length, room;
		WCHAR *name;
		char rest[1024];
	} type;
	LONG(WINAPI * query)(HANDLE, int, void *, ULONG, ULONG *);
	ULONG got;

	query = (LONG(WINAPI *)(HANDLE, int, void *, ULONG, ULONG *))(
	    void *)GetProcAddress(GetModuleHandleA("ntdll"), "NtQueryObject");
	if (query == NULL || query(handle, 2, &type, sizeof(type), &got) < 0)
		(void)snprintf(text, size, "%p", handle);
	else
		(void)snprintf(text, size, "%p %.*ls", handle,
		    (int)(type.length / sizeof(WCHAR)), type.name);
}

static void
set_event(void *event)
{
	(void)SetEvent(event);
}

static void CALLBACK
fired(void *event, BOOLEAN by_time)
{
	(void)by_time;
	(void)SetEvent(event);
}

/*
 * The thread pool, and Winsock, keep what the first use of them opened. So do
 * printf() and the threads of the C library's port.
 */
static void
warm_up(void)
{
	HANDLE event = CreateEventW(NULL, FALSE, FALSE, NULL), wait;
	struct polling *p = polling_create(0);
	polling_fd pair[2];

	make_tcp_pair(pair);
	if (event == NULL || p == NULL)
		abort();
	join_delayed(run_after(1, set_event, event));
	if (!RegisterWaitForSingleObject(
		&wait, event, fired, event, INFINITE, WT_EXECUTEONLYONCE))
		abort();
	(void)WaitForSingleObject(event, 1000);
	(void)UnregisterWaitEx(wait, INVALID_HANDLE_VALUE);
	(void)polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 0);
	(void)polling_add_waitable(p, event, POLLING_IN, POLLING_LEVEL, 0);
	(void)polling_notify(p);
	(void)wait_ms(p, &(struct polling_event){0, 0, 0}, 1, 0);
	polling_destroy(p);
	close_pair(pair);
	(void)CloseHandle(event);
}

void
harness_note_open(void)
{
	static bool warm;

	if (!warm)
		warm_up();
	warm = true;
	(void)find_handles(open_before);
}

static int
find_leaks(char *text, size_t size)
{
	static unsigned char is_open[HANDLES_MAX];
	int leaked = 0;
	size_t length = 0;

	(void)find_handles(is_open);
	text[0] = '\0';
	for (size_t i = 0; i < HANDLES_MAX; i++) {
		char one[64];

		if (open_before[i] || !is_open[i])
			continue;
		leaked++;
		describe_handle(nth_handle(i), one, sizeof(one));
		if (length < size)
			length += (size_t)snprintf(
			    text + length, size - length, ", %s", one);
	}
	return leaked;
}

/* Threads of the pool end when they have had nothing to do for some seconds. */
void
harness_check_open(void)
{
	char text[256];
	int leaked = find_leaks(text, sizeof(text));

	for (int i = 0; leaked != 0 && i < 100; i++) {
		sleep_ms(100);
		leaked = find_leaks(text, sizeof(text));
	}
	ck_assert_msg(leaked == 0, "%d handles leaked%s", leaked, text);
}

/* Time */

int64_t
now_ns(void)
{
	static LARGE_INTEGER frequency;
	LARGE_INTEGER now;

	if (frequency.QuadPart == 0)
		(void)QueryPerformanceFrequency(&frequency);
	(void)QueryPerformanceCounter(&now);
	return now.QuadPart / frequency.QuadPart * NS_PER_SEC +
	       now.QuadPart % frequency.QuadPart * NS_PER_SEC /
		   frequency.QuadPart;
}

static int64_t
filetime_to_ns(const FILETIME *t)
{
	return ((int64_t)t->dwHighDateTime << 32 | t->dwLowDateTime) * 100;
}

/* As often as the clock of the system ticks; in Wine it is 10 ms. */
const int64_t cpu_tick_ns = 15625000;

int64_t
cpu_ns(void)
{
	FILETIME created, ended, kernel, user;

	SYSTEM(GetProcessTimes(
	    GetCurrentProcess(), &created, &ended, &kernel, &user));
	return filetime_to_ns(&kernel) + filetime_to_ns(&user);
}

int64_t
queued_ns(void)
{
	return 0;
}

/* Sleep() may end a tick early by the clock that is looked at here. */
void
sleep_ns(int64_t ns)
{
	int64_t end = now_ns() + ns, left;

	while ((left = end - now_ns()) > 0)
		Sleep((DWORD)((left + NS_PER_MS - 1) / NS_PER_MS));
}

void
step_wall_clock(int64_t seconds)
{
	SYSTEMTIME now;
	FILETIME t;
	int64_t ticks;

	GetSystemTimeAsFileTime(&t);
	ticks = filetime_to_ns(&t) / 100 + seconds * 10000000;
	t.dwHighDateTime = (DWORD)(ticks >> 32);
	t.dwLowDateTime = (DWORD)(ticks & 0xffffffff);
	if (FileTimeToSystemTime(&t, &now))
		(void)SetSystemTime(&now);
}

/* Threads */

static unsigned __stdcall thread_main(void *argument)
{
	struct thread *t = argument;

	(void)t->run(t->argument);
	return 0;
}

void
start_thread(struct thread *t, void *(*run)(void *), void *argument)
{
	t->run = run;
	t->argument = argument;
	t->handle = (HANDLE)_beginthreadex(NULL, 0, thread_main, t, 0, NULL);
	SYSTEM(t->handle != NULL);
}

void
join_thread(struct thread *t)
{
	SYSTEM(WaitForSingleObject(t->handle, INFINITE) == WAIT_OBJECT_0);
	SYSTEM(CloseHandle(t->handle));
}

void
yield_thread(void)
{
	(void)SwitchToThread();
}

/* Sockets */

static polling_fd
new_socket(int family, int type)
{
	u_long on = 1;
	SOCKET fd = WSASocketW(family, type, 0, NULL, 0,
	    WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);

	SYSTEM(fd != INVALID_SOCKET);
	WINSOCK(ioctlsocket(fd, (long)FIONBIO, &on));
	return fd;
}

static void
loopback_address(struct sockaddr_in *address, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_port = htons(port);
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

static void
set_nodelay(polling_fd fd)
{
	int on = 1;

	WINSOCK(setsockopt(
	    fd, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof(on)));
}

/* A socket bound to a free port of the loopback. */
static polling_fd
bound_socket(int type, uint16_t *port)
{
	struct sockaddr_in address;
	int length = sizeof(address);
	polling_fd fd = new_socket(AF_INET, type);

	loopback_address(&address, 0);
	WINSOCK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	WINSOCK(getsockname(fd, (struct sockaddr *)&address, &length));
	*port = ntohs(address.sin_port);
	return fd;
}

polling_fd
make_tcp_socket(void)
{
	polling_fd fd = new_socket(AF_INET, SOCK_STREAM);

	set_nodelay(fd);
	return fd;
}

polling_fd
make_listener(uint16_t *port)
{
	polling_fd fd = bound_socket(SOCK_STREAM, port);

	WINSOCK(listen(fd, 128));
	return fd;
}

uint16_t
refusing_port(polling_fd *holder)
{
	uint16_t port;

	*holder = bound_socket(SOCK_STREAM, &port);
	return port;
}

/* Waits for a connection; it is accepted as it comes. */
static polling_fd
accept_any(polling_fd listener)
{
	int64_t give_up = now_ns() + LONG_MS * NS_PER_MS;
	SOCKET fd;
	u_long on = 1;

	while ((fd = accept(listener, NULL, NULL)) == INVALID_SOCKET) {
		int error = WSAGetLastError();

		if (error != WSAEWOULDBLOCK || now_ns() > give_up)
			ck_abort_msg("accept: Winsock error %d", error);
		sleep_ms(1);
	}
	WINSOCK(ioctlsocket(fd, (long)FIONBIO, &on));
	return fd;
}

polling_fd
accept_fd(polling_fd listener)
{
	polling_fd fd = accept_any(listener);

	set_nodelay(fd);
	return fd;
}

/* 0 if connected or on the way, else the error's number. */
static int
connect_to(polling_fd fd, const void *address, size_t size)
{
	if (connect(fd, address, (int)size) == 0 ||
	    WSAGetLastError() == WSAEWOULDBLOCK)
		return 0;
	return to_errno(WSAGetLastError());
}

int
connect_fd(polling_fd fd, uint16_t port)
{
	struct sockaddr_in address;

	loopback_address(&address, port);
	return connect_to(fd, &address, sizeof(address));
}

/* AF_UNIX: since Windows 10, and in some later Wine; streams only. */

struct unix_address {
	USHORT family;
	char path[108];
};

/* Binds a listener to a new name. False if that cannot be had. */
static bool
listen_at_path(SOCKET fd, struct unix_address *address)
{
	static unsigned number;
	char folder[MAX_PATH];
	DWORD length = GetTempPathA(sizeof(folder), folder);

	if (length == 0 || length > 64)
		return false;
	memset(address, 0, sizeof(*address));
	address->family = AF_UNIX;
	(void)snprintf(address->path, sizeof(address->path), "%spolling-%lx-%x",
	    folder, (unsigned long)GetCurrentProcessId(), number++);
	return bind(fd, (struct sockaddr *)address, sizeof(*address)) == 0 &&
	       listen(fd, 1) == 0;
}

static bool
have_unix_sockets(void)
{
	static int known = -1;
	struct unix_address address;
	SOCKET fd;

	if (known != -1)
		return known;
	known = 0;
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd == INVALID_SOCKET)
		return false;
	if (listen_at_path(fd, &address)) {
		known = 1;
		(void)DeleteFileA(address.path);
	}
	(void)closesocket(fd);
	return known;
}

static void
make_unix_pair(polling_fd pair[2])
{
	struct unix_address address;
	polling_fd listener = new_socket(AF_UNIX, SOCK_STREAM);

	SYSTEM(listen_at_path(listener, &address));
	pair[0] = new_socket(AF_UNIX, SOCK_STREAM);
	/* See make_tcp_pair(). */
	if (connect_to(pair[0], &address, sizeof(address)) != 0)
		ck_abort_msg("connect: error %d", WSAGetLastError());
	pair[1] = accept_any(listener);
	close_fd(listener);
	(void)DeleteFileA(address.path);
	settle();
}

void
make_socketpair(polling_fd pair[2])
{
	if (have_unix_sockets())
		make_unix_pair(pair);
	else
		make_tcp_pair(pair);
}

void
make_channel(polling_fd pair[2])
{
	make_socketpair(pair);
}

static const char *
name_tcp(void)
{
	return "tcp";
}

static const char *
name_socketpair(void)
{
	return have_unix_sockets() ? "AF_UNIX"
				   : "tcp (there is no AF_UNIX here)";
}

/* A close sends what is the end of the stream to the peer, and no more. */
static bool
no(void)
{
	return false;
}

const struct pair_kind pair_kinds[PAIR_KINDS] = {
    [PAIR_TCP] = {name_tcp, make_tcp_pair, no},
    [PAIR_SOCKETPAIR] = {name_socketpair, make_socketpair, no}};

polling_fd
make_udp_socket(uint16_t *port)
{
	return bound_socket(SOCK_DGRAM, port);
}

polling_fd
duplicate_fd(polling_fd fd)
{
	WSAPROTOCOL_INFOW info;
	SOCKET copy;

	WINSOCK(WSADuplicateSocketW(fd, GetCurrentProcessId(), &info));
	copy = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO,
	    FROM_PROTOCOL_INFO, &info, 0, WSA_FLAG_OVERLAPPED);
	SYSTEM(copy != INVALID_SOCKET);
	return copy;
}

const bool can_replace = false;
/*
 * A poll may go out to the number just when it becomes another socket's. Wine
 * (8 and so far every later one) makes a socket in two steps, and its server
 * ends with a failed assertion, and all programs with it, if the poll comes in
 * between. There is no way to try that which would not do it.
 */
const bool can_abandon = false;
/* AFD keeps the order of what comes. */
const bool end_may_wait = true;

/*
 * The number of a handle that was closed is given to one of the next. Wine
 * gives the lowest one that is free, and WSADuplicateSocket() opens this
 * process before it makes a duplicate: it gets the number of the spare handle,
 * which is the first that this program has opened.
 */
bool
duplicate_at(polling_fd fd, polling_fd number)
{
	polling_fd copies[64];
	int count = 0;
	bool found = false;

	(void)CloseHandle(spare);
	while (count < 64 && !found) {
		copies[count] = duplicate_fd(fd);
		found = copies[count] == number;
		count += !found;
	}
	while (count > 0)
		close_fd(copies[--count]);
	spare = CreateEventW(NULL, FALSE, FALSE, NULL);
	return found;
}

void
close_fd(polling_fd fd)
{
	WINSOCK(closesocket(fd));
}

static int
socket_type(polling_fd fd)
{
	int type = 0, length = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, (char *)&type, &length) != 0)
		return 0;
	return type;
}

long
read_fd(polling_fd fd, void *buffer, size_t count)
{
	int n = recv(fd, buffer, (int)count, 0), error;

	if (n >= 0)
		return n;
	error = WSAGetLastError();
	/* Elsewhere one's own shutdown is the end of what can be read. */
	if (error == WSAESHUTDOWN)
		return 0;
	/* That the port of a datagram was not there is called a reset. */
	if (error == WSAECONNRESET && socket_type(fd) == SOCK_DGRAM)
		error = WSAECONNREFUSED;
	errno = to_errno(error);
	return -1;
}

long
write_fd(polling_fd fd, const void *buffer, size_t count)
{
	int n = send(fd, buffer, (int)count, 0);

	if (n < 0)
		errno = to_errno(WSAGetLastError());
	return n;
}

bool
would_block(void)
{
	return errno == EAGAIN;
}

void
shut_writing(polling_fd fd)
{
	WINSOCK(shutdown(fd, SD_SEND));
	settle();
}

void
shut_both(polling_fd fd)
{
	WINSOCK(shutdown(fd, SD_BOTH));
	settle();
}

void
reset_connection(polling_fd fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	WINSOCK(setsockopt(
	    fd, SOL_SOCKET, SO_LINGER, (const char *)&linger, sizeof(linger)));
	close_fd(fd);
	settle();
}

void
send_urgent(polling_fd fd)
{
	ck_assert_int_eq(send(fd, "!", 1, MSG_OOB), 1);
	settle();
}

void
receive_urgent(polling_fd fd)
{
	char byte = 0;

	ck_assert_int_eq(recv(fd, &byte, 1, MSG_OOB), 1);
	ck_assert_int_eq(byte, '!');
}

int
socket_error(polling_fd fd)
{
	int error = 0, length = sizeof(error);

	WINSOCK(getsockopt(fd, SOL_SOCKET, SO_ERROR, (char *)&error, &length));
	return to_errno(error);
}

const char *
why_no_reset(void)
{
	static const char *why;
	static bool known;
	polling_fd pair[2];
	char byte;

	if (known)
		return why;
	known = true;
	make_tcp_pair(pair);
	reset_connection(pair[1]);
	if (read_fd(pair[0], &byte, 1) != -1 || errno != ECONNRESET)
		why = "this system's recv() does not tell of a reset";
	close_fd(pair[0]);
	return why;
}

const char *
why_no_unreachable(void)
{
	static const char *why;
	static bool known;
	polling_fd fd, peer;
	uint16_t port;
	char byte;

	if (known)
		return why;
	known = true;
	peer = make_udp_socket(&port);
	fd = make_udp_socket(&(uint16_t){0});
	ck_assert_int_eq(connect_fd(fd, port), 0);
	close_fd(peer);
	put_bytes(fd, 1);
	sleep_ms(100);
	if (read_fd(fd, &byte, 1) != -1 || errno != ECONNREFUSED)
		why = "this system's recv() does not tell of a port that "
		      "nobody has";
	close_fd(fd);
	return why;
}

const char *
why_no_own_shutdown(void)
{
	static const char *why;
	static bool known;
	struct timeval zero = {0, 0};
	polling_fd pair[2];
	fd_set set;

	if (known)
		return why;
	known = true;
	make_tcp_pair(pair);
	shut_both(pair[0]);
	FD_ZERO(&set);
	FD_SET(pair[0], &set);
	/* It should be readable: a recv() fails at once. */
	if (select(0, &set, NULL, NULL, &zero) != 1)
		why = "this system's select() does not tell of one's own "
		      "shutdown";
	close_pair(pair);
	return why;
}

polling_fd
closed_number(void)
{
	polling_fd fd = make_tcp_socket();

	close_fd(fd);
	return fd;
}

/* There are as many as memory has room for. */
int
raise_fd_limit(unsigned count)
{
	(void)count;
	return 0;
}

int
poller_fd(struct polling *p)
{
	(void)p;
	errno = ENOTSUP;
	return -1;
}

polling_fd
open_directory(void)
{
	ck_abort_msg("files are no sockets");
	return NO_FD;
}

/* Memory */

size_t
heap_in_use(void)
{
	return 0;
}

static PROCESS_MEMORY_COUNTERS
memory_counters(void)
{
	PROCESS_MEMORY_COUNTERS counters;

	SYSTEM(K32GetProcessMemoryInfo(
	    GetCurrentProcess(), &counters, sizeof(counters)));
	return counters;
}

size_t
resident_size(void)
{
	return memory_counters().WorkingSetSize;
}

size_t
address_space_size(void)
{
	return memory_counters().PagefileUsage;
}

bool
is_instrumented(void)
{
	return SANITIZED;
}
