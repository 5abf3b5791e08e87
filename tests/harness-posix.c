/* SPDX-License-Identifier: MIT */
/*
 * The part of the harness that is made of POSIX: time, sockets and pipes, and
 * what shows a leak. The one hard idea is the leak check: which descriptors
 * are open is noted before a case, and those that are new after it are named.
 * That happens in the process of the case, so that it shows what the case and
 * the library left behind.
 */
#include "harness.h"

#if defined(__GLIBC__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 33) && !SANITIZER_IS(memory_sanitizer)
#include <malloc.h>
#define HAVE_HEAP_FIGURES 1
#endif
#endif

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#if SANITIZER_IS(memory_sanitizer) && HAVE_EPOLL_PWAIT2
#include <dlfcn.h>
#include <sanitizer/msan_interface.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#define UNSEEN_WAITS 1
#endif

#ifndef WITHOUT_SUITES
const struct suite_part system_parts[] = {
    {"registration", add_registration_limits},
    {"registration", add_registration_nesting},
    {"registration", add_registration_descriptors},
    {"conditions", add_conditions_descriptors},
    {"waiting", add_waiting_signals}, {"notify", add_notify_signals},
    {"lifetime", add_lifetime_forks}, {"lifetime", add_lifetime_limits},
    {"lifetime", add_lifetime_nesting}, {"files", add_files},
    {"signals", add_signals}, {"processes", add_processes},
    {"lifetime", add_inherited_sources}, {"lifetime", add_nested_sources},
    {"model", add_model}, {NULL, NULL}};
#endif

/* Running */

#define STACK_BYTES 262144

/*
 * Uses so much of the stack, and with it that of the cases, which are forked:
 * valgrind 3.19 does not always extend it for a signal's handler.
 */
static unsigned char
reach_down(size_t distance)
{
	volatile unsigned char stack[STACK_BYTES];

	for (size_t i = 0; i < STACK_BYTES; i += 1024)
		stack[STACK_BYTES - 1 - i] = 0;
	return stack[distance];
}

void
harness_start(void)
{
	(void)reach_down(STACK_BYTES - 1);
	/* A write to a pipe without a reader is to fail, not to kill. */
	(void)signal(SIGPIPE, SIG_IGN);
}

bool
harness_runs_apart(void)
{
	/* Check forks. */
	return false;
}

int
harness_run_apart(
    const struct selected_case *which, bool verbose, char *words, size_t size)
{
	(void)which;
	(void)verbose;
	(void)snprintf(words, size, "Check forks here");
	return -1;
}

const char *
error_text(int error)
{
	return strerror(error);
}

/* Leaks */

/* Tests open fewer than this; what lies above is not looked at. */
#define FD_SCAN 16384

static unsigned char open_before[FD_SCAN];

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

void
harness_note_open(void)
{
	for (int fd = 0; fd < FD_SCAN; fd++)
		open_before[fd] = is_open(fd);
}

void
harness_check_open(void)
{
	char numbers[128] = "";
	size_t length = 0;
	int leaked = 0;

	for (int fd = 0; fd < FD_SCAN; fd++) {
		if (open_before[fd] || !is_open(fd))
			continue;
		leaked++;
		if (length < sizeof(numbers) - 16)
			length += (size_t)snprintf(numbers + length,
			    sizeof(numbers) - length, " %d", fd);
	}
	ck_assert_msg(leaked == 0, "%d descriptors leaked:%s%s", leaked,
	    numbers, length < sizeof(numbers) - 16 ? "" : " ...");
}

int
count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < FD_SCAN; fd++)
		count += is_open(fd);
	return count;
}

/* Time */

int64_t
now_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		abort();
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

const int64_t cpu_tick_ns = 1;

int64_t
cpu_ns(void)
{
	struct timespec t;

	ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (int64_t)t.tv_sec * NS_PER_SEC + t.tv_nsec;
}

int64_t
queued_ns(void)
{
	int fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	unsigned long long queued = 0;
	char text[80] = "";

	if (fd == -1)
		return 0;
	/* Of three figures it is the second. */
	if (read(fd, text, sizeof(text) - 1) > 0)
		(void)sscanf(text, "%*u %llu", &queued);
	close(fd);
	return (int64_t)queued;
}

void
sleep_ns(int64_t ns)
{
	struct timespec left = ns_to_timespec(ns);

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

void
step_wall_clock(int64_t seconds)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return;
	now.tv_sec += (time_t)seconds;
	(void)clock_settime(CLOCK_REALTIME, &now);
}

/* Threads */

static void *
thread_main(void *argument)
{
	struct thread *t = argument;

	return t->run(t->argument);
}

void
start_thread(struct thread *t, void *(*run)(void *), void *argument)
{
	t->run = run;
	t->argument = argument;
	ck_assert_int_eq(pthread_create(&t->id, NULL, thread_main, t), 0);
}

void
join_thread(struct thread *t)
{
	ck_assert_int_eq(pthread_join(t->id, NULL), 0);
}

void
yield_thread(void)
{
	(void)sched_yield();
}

/* Descriptors */

#define SYSTEM(call)                                                    \
	do {                                                            \
		if ((call) == -1)                                       \
			ck_abort_msg("%s: %s", #call, strerror(errno)); \
	} while (0)

static void
set_nonblocking(int fd)
{
	int flags;

	SYSTEM(flags = fcntl(fd, F_GETFL));
	SYSTEM(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
	SYSTEM(fcntl(fd, F_SETFD, FD_CLOEXEC));
}

static void
loopback_address(struct sockaddr_in *address, uint16_t port)
{
	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_port = htons(port);
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

/* A socket bound to a free port of the loopback. */
static int
bound_socket(int type, uint16_t *port)
{
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	int fd;

	SYSTEM(fd = socket(AF_INET, type, 0));
	set_nonblocking(fd);
	loopback_address(&address, 0);
	SYSTEM(bind(fd, (struct sockaddr *)&address, sizeof(address)));
	SYSTEM(getsockname(fd, (struct sockaddr *)&address, &length));
	*port = ntohs(address.sin_port);
	return fd;
}

polling_fd
make_tcp_socket(void)
{
	int fd, on = 1;

	SYSTEM(fd = socket(AF_INET, SOCK_STREAM, 0));
	set_nonblocking(fd);
	SYSTEM(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	return fd;
}

polling_fd
make_listener(uint16_t *port)
{
	int fd = bound_socket(SOCK_STREAM, port);

	SYSTEM(listen(fd, 128));
	return fd;
}

uint16_t
refusing_port(polling_fd *holder)
{
	uint16_t port;

	*holder = bound_socket(SOCK_STREAM, &port);
	return port;
}

polling_fd
accept_fd(polling_fd listener)
{
	int64_t give_up = now_ns() + (int64_t)LONG_MS * 1000000;
	int fd, on = 1;

	while ((fd = accept(listener, NULL, NULL)) == -1) {
		if ((errno != EAGAIN && errno != EWOULDBLOCK) ||
		    now_ns() > give_up)
			ck_abort_msg("accept: %s", strerror(errno));
		sleep_ms(1);
	}
	set_nonblocking(fd);
	SYSTEM(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
	return fd;
}

int
connect_fd(polling_fd fd, uint16_t port)
{
	struct sockaddr_in address;

	loopback_address(&address, port);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ||
	    errno == EINPROGRESS)
		return 0;
	return errno;
}

void
make_socketpair(polling_fd pair[2])
{
	SYSTEM(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	set_nonblocking(pair[0]);
	set_nonblocking(pair[1]);
}

void
make_pipe(polling_fd pair[2])
{
	SYSTEM(pipe(pair));
	set_nonblocking(pair[0]);
	set_nonblocking(pair[1]);
}

void
make_channel(polling_fd pair[2])
{
	make_pipe(pair);
}

static const char *
name_tcp(void)
{
	return "tcp";
}

static const char *
name_socketpair(void)
{
	return "socketpair";
}

static const char *
name_pipe(void)
{
	return "pipe";
}

static bool
yes(void)
{
	return true;
}

static bool
no(void)
{
	return false;
}

const struct pair_kind pair_kinds[PAIR_KINDS] = {
    [PAIR_TCP] = {name_tcp, make_tcp_pair, no},
    [PAIR_SOCKETPAIR] = {name_socketpair, make_socketpair, yes},
    [PAIR_PIPE] = {name_pipe, make_pipe, yes}};

polling_fd
make_udp_socket(uint16_t *port)
{
	return bound_socket(SOCK_DGRAM, port);
}

polling_fd
duplicate_fd(polling_fd fd)
{
	int copy;

	SYSTEM(copy = dup(fd));
	SYSTEM(fcntl(copy, F_SETFD, FD_CLOEXEC));
	return copy;
}

const bool can_replace = true;
const bool can_abandon = true;
const bool end_may_wait = false;

bool
duplicate_at(polling_fd fd, polling_fd number)
{
	ck_assert_int_ne(fd, number);
	ck_assert_int_eq(dup2(fd, number), number);
	SYSTEM(fcntl(number, F_SETFD, FD_CLOEXEC));
	return true;
}

void
close_fd(polling_fd fd)
{
	SYSTEM(close(fd));
}

long
read_fd(polling_fd fd, void *buffer, size_t count)
{
	return (long)read(fd, buffer, count);
}

long
write_fd(polling_fd fd, const void *buffer, size_t count)
{
	return (long)write(fd, buffer, count);
}

bool
would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

void
shut_writing(polling_fd fd)
{
	SYSTEM(shutdown(fd, SHUT_WR));
	settle();
}

void
shut_both(polling_fd fd)
{
	SYSTEM(shutdown(fd, SHUT_RDWR));
	settle();
}

void
reset_connection(polling_fd fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	SYSTEM(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close_fd(fd);
	settle();
}

void
send_urgent(polling_fd fd)
{
	ssize_t n;

	SYSTEM(n = send(fd, "!", 1, MSG_OOB));
	ck_assert_int_eq((int)n, 1);
	settle();
}

void
receive_urgent(polling_fd fd)
{
	char byte = 0;
	ssize_t n;

	SYSTEM(n = recv(fd, &byte, 1, MSG_OOB));
	ck_assert_int_eq((int)n, 1);
	ck_assert_int_eq(byte, '!');
}

int
socket_error(polling_fd fd)
{
	int error = 0;
	socklen_t length = sizeof(error);

	SYSTEM(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
	return error;
}

const char *
why_no_reset(void)
{
	return NULL;
}

const char *
why_no_unreachable(void)
{
	return NULL;
}

const char *
why_no_own_shutdown(void)
{
	return NULL;
}

polling_fd
closed_number(void)
{
	int fd;

	SYSTEM(fd = dup(STDOUT_FILENO));
	close_fd(fd);
	return fd;
}

int
raise_fd_limit(unsigned count)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return -1;
	if (limit.rlim_cur >= count)
		return 0;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < count)
		return -1;
	limit.rlim_cur = count;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int
poller_fd(struct polling *p)
{
	return polling_get_fd(p);
}

polling_fd
open_directory(void)
{
	int fd;

	SYSTEM(fd = open("/", O_RDONLY | O_CLOEXEC));
	return fd;
}

/* Memory */

size_t
heap_in_use(void)
{
#if HAVE_HEAP_FIGURES
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#else
	return 0;
#endif
}

/* The n-th number of /proc/self/statm in bytes; 0 where there is none. */
static size_t
process_size(int n)
{
	unsigned long pages[2] = {0, 0};
	FILE *statm = fopen("/proc/self/statm", "re");

	if (statm == NULL)
		return 0;
	if (fscanf(statm, "%lu %lu", &pages[0], &pages[1]) != 2)
		pages[n] = 0;
	(void)fclose(statm);
	return pages[n] * (size_t)sysconf(_SC_PAGESIZE);
}

size_t
resident_size(void)
{
	return process_size(1);
}

size_t
address_space_size(void)
{
	return process_size(0);
}

bool
is_instrumented(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return SANITIZED ||
	       (preload != NULL && strstr(preload, "vgpreload") != NULL);
}

/* MemorySanitizer does not see what a call stores that is made by its number,
 * as the library makes its waits on epoll. */
#ifdef UNSEEN_WAITS
static bool
waits_on_epoll(long number)
{
#ifdef SYS_epoll_wait
	if (number == SYS_epoll_wait)
		return true;
#endif
	return number == SYS_epoll_pwait || number == SYS_epoll_pwait2;
}

long
syscall(long number, ...)
{
	static long (*next)(long number, ...);
	long a[6], n;
	va_list arguments;

	if (next == NULL)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	va_start(arguments, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(arguments, long);
	va_end(arguments);
	n = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (n > 0 && waits_on_epoll(number))
		__msan_unpoison(
		    (void *)a[1], (size_t)n * sizeof(struct epoll_event));
	return n;
}
#endif
