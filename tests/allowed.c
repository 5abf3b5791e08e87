/* SPDX-License-Identifier: MIT */
/*
 * allowed.c - uses all of the library under a filter that kills the process for
 * a system call that is not on a list.
 *
 *     allowed [-t] [-e CALL]... CALL...
 *     allowed -b
 *     allowed -n CALL
 *
 * The CALLs are what the library is said to make: tests/allowed.sh takes them
 * from HACKING. Those that this machine does not have are passed over. What
 * this program needs for itself is a list of its own, own_calls below; all that
 * can be done before the filter is there is done then, for that list's sake.
 * A CALL after -e fails with ENOSYS, as on an older kernel. With -t the call
 * that is not allowed is named, and the exit status is 4; without, there is
 * SIGSYS, or status 3 if it was a forked child that met it. -b prints the
 * backend, and -n fails if this machine does not have the CALL, or its
 * kernel, as far as that is tried. Exit status 77:
 * this system takes no filter.
 */
#define _GNU_SOURCE

#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <polling.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not on every architecture, or newer than some headers. */
#define CALL(name)                \
	{                         \
#name, SYS_##name \
	}

static const struct call {
	const char *name;
	long number;
} calls[] = {
    CALL(brk),
    CALL(clone),
    CALL(close),
    CALL(dup3),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_pwait),
    CALL(eventfd2),
    CALL(exit_group),
    CALL(fcntl),
    CALL(futex),
    CALL(gettid),
    CALL(kill),
    CALL(madvise),
    CALL(mprotect),
    CALL(mremap),
    CALL(munmap),
    CALL(openat),
    CALL(pipe2),
    CALL(ppoll),
    CALL(prctl),
    CALL(read),
    CALL(readv),
    CALL(restart_syscall),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(sched_getaffinity),
    CALL(set_robust_list),
    CALL(set_tid_address),
    CALL(tgkill),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(wait4),
    CALL(waitid),
    CALL(write),
#ifdef SYS_clock_gettime
    CALL(clock_gettime),
#endif
#ifdef SYS_clock_gettime64
    CALL(clock_gettime64),
#endif
#ifdef SYS_clock_nanosleep
    CALL(clock_nanosleep),
#endif
#ifdef SYS_clock_nanosleep_time64
    CALL(clock_nanosleep_time64),
#endif
#ifdef SYS_epoll_pwait2
    CALL(epoll_pwait2),
#endif
#ifdef SYS_epoll_wait
    CALL(epoll_wait),
#endif
#ifdef SYS_fcntl64
    CALL(fcntl64),
#endif
#ifdef SYS_fork
    CALL(fork),
#endif
#ifdef SYS_fstat
    CALL(fstat),
#endif
#ifdef SYS_fstat64
    CALL(fstat64),
#endif
#ifdef SYS_fstatat64
    CALL(fstatat64),
#endif
#ifdef SYS_futex_time64
    CALL(futex_time64),
#endif
#ifdef SYS_getrandom
    CALL(getrandom),
#endif
#ifdef SYS_mmap
    CALL(mmap),
#endif
#ifdef SYS_mmap2
    CALL(mmap2),
#endif
#ifdef SYS_nanosleep
    CALL(nanosleep),
#endif
#ifdef SYS_newfstatat
    CALL(newfstatat),
#endif
#ifdef SYS_open
    CALL(open),
#endif
#ifdef SYS_pidfd_open
    CALL(pidfd_open),
#endif
#ifdef SYS_poll
    CALL(poll),
#endif
#ifdef SYS_ppoll_time64
    CALL(ppoll_time64),
#endif
#ifdef SYS_sigreturn
    CALL(sigreturn),
#endif
#ifdef SYS_statx
    CALL(statx),
#endif
#ifdef SYS_timerfd_settime64
    CALL(timerfd_settime64),
#endif
};

#define CALLS (sizeof(calls) / sizeof(calls[0]))

/* What this program needs when the filter is there: to fork, with what the C
 * library does in both processes, to wait for the child, to send a signal, and
 * to end. */
static const char *const own_calls[] = {"clone", "fork", "gettid",
    "rt_sigprocmask", "set_robust_list", "set_tid_address", "wait4", "tgkill",
    "exit_group"};

enum verdict { FORBIDDEN, ALLOWED, MISSING };
static unsigned char verdicts[CALLS];
static bool telling;

/* The end, in whatever thread or process. Without stdio, which would make other
 * calls than the library. */
static _Noreturn void
end(int status, const char *words, unsigned number)
{
	char text[128];
	int length = snprintf(text, sizeof(text), "allowed: %s %u (errno %d)\n",
	    words, number, errno);

	/* There is nobody to be told that it cannot be told. */
	if (length > 0 && write(2, text, (size_t)length) < 0)
		_exit(status);
	_exit(status);
}

#define EXPECT(holds)                                                \
	do {                                                         \
		if (!(holds))                                        \
			end(1, "not " #holds ", in line", __LINE__); \
	} while (0)

/* False if this machine does not have it. What is missing stays so. */
static bool
give(const char *name, enum verdict verdict)
{
	bool known = false;

	for (size_t i = 0; i < CALLS; i++)
		if (strcmp(calls[i].name, name) == 0) {
			if (verdicts[i] != MISSING)
				verdicts[i] = (unsigned char)verdict;
			known = true;
		}
	return known;
}

/* Whether the kernel does not have a call that can be tried with arguments that
 * are wrong for sure. */
static bool
is_denied(const char *name)
{
	static const char *const tried[] = {"eventfd2", "epoll_pwait2", "ppoll",
	    "pidfd_open", "timerfd_create"};
	long number = -1;

	for (size_t i = 0; i < sizeof(tried) / sizeof(tried[0]); i++)
		for (size_t j = 0; j < CALLS; j++)
			if (strcmp(tried[i], name) == 0 &&
			    strcmp(calls[j].name, name) == 0)
				number = calls[j].number;
	return number != -1 &&
	       syscall(number, -1L, -1L, -1L, -1L, -1L, -1L) < 0 &&
	       (errno == ENOSYS || errno == EPERM || errno == EACCES);
}

/* Only with -t. */
static void
tell(int signo, siginfo_t *info, void *context)
{
	(void)signo;
	(void)context;
	for (size_t i = 0; i < CALLS; i++)
		if (calls[i].number == (long)info->si_syscall)
			end(4, calls[i].name, (unsigned)info->si_syscall);
	end(4, "call", (unsigned)info->si_syscall);
}

/* For all threads. */
static void
install(void)
{
#if defined(ARCHITECTURE) && defined(SYS_seccomp) && \
    defined(SECCOMP_RET_KILL_PROCESS)
	static struct sock_filter filter[5 + 2 * CALLS];
	struct sock_fprog program = {.len = 0, .filter = filter};
	unsigned forbidden = telling ? SECCOMP_RET_TRAP
				     : SECCOMP_RET_KILL_PROCESS;
	unsigned short n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	filter[n++] = (struct sock_filter)BPF_JUMP(
	    BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	filter[n++] = (struct sock_filter)BPF_STMT(
	    BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	filter[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < CALLS; i++) {
		if (verdicts[i] == FORBIDDEN)
			continue;
		filter[n++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i].number, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
		    verdicts[i] == ALLOWED ? SECCOMP_RET_ALLOW
					   : SECCOMP_RET_ERRNO | ENOSYS);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, forbidden);
	program.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_TSYNC, &program) == 0)
		return;
#endif
	printf("SKIP a filter of system calls: %s\n", strerror(errno));
	(void)fflush(stdout);
	_exit(77);
}

/* The scenes */

#define SECONDS 60 /* and it is gone, should it hang */
#define THREADS 3
#define MANY    20000 /* timers and posts, for which memory is to grow */
#define ROUNDS  300
#define STOP    ((uintptr_t)1 << 20)

static const struct timespec at_once, a_moment = {.tv_nsec = 300000},
				      a_while = {.tv_nsec = 20000000},
				      too_long = {.tv_sec = 20};

static pid_t self;
static atomic_uint begun; /* threads that have */
static atomic_bool go;
static struct polling *_Atomic shared; /* where the threads wait */
static atomic_uint seen;               /* events that they have met */
static atomic_uint gone;               /* threads that are done */

/* Descriptors with something to read, made before the filter is there. */
enum { SOCKET, PIPE, LEFT, ORPHAN, FILES, NOTHING, SPARE, SOURCES };
static int fds[SOURCES];
static int duplicate; /* of fds[ORPHAN] */

static void
open_sources(void)
{
	for (int i = 0; i < SOURCES; i++) {
		int pair[2];

		if (i == FILES || i == NOTHING) {
			fds[i] = open(
			    i == FILES ? "/proc/self/exe" : "/dev/null",
			    O_RDONLY | O_CLOEXEC);
			EXPECT(fds[i] >= 0);
			continue;
		}
		EXPECT((i == SOCKET ? socketpair(AF_UNIX, SOCK_STREAM, 0, pair)
				    : pipe(pair)) == 0);
		EXPECT(write(pair[1], "x", 1) == 1);
		fds[i] = pair[0];
	}
	duplicate = dup(fds[ORPHAN]);
	EXPECT(duplicate >= 0);
}

/* Another poller than the one that is tried; it sleeps, too. */
static void
sleep_a_while(void)
{
	struct polling *p = polling_create(0);
	struct polling_event event;

	EXPECT(p != NULL && polling_wait(p, &event, 1, &a_while) == 0);
	polling_destroy(p);
}

static void
expect_event(struct polling *p, uintptr_t key, uint32_t events)
{
	struct polling_event event;

	EXPECT(polling_wait(p, &event, 1, &too_long) == 1);
	EXPECT(event.key == key && event.events == events);
}

static void
use_descriptors(struct polling *p)
{
	struct polling_event events[8];
	struct timespec until;
	bool edges = polling_supports(p, POLLING_FEATURE_EDGE);

	for (int i = 0; i < NOTHING + 1; i++) {
		EXPECT(polling_add(p, fds[i], POLLING_IN, POLLING_ONESHOT,
			   (uintptr_t)i) == 0);
		expect_event(p, (uintptr_t)i, POLLING_IN);
		EXPECT(polling_modify(p, fds[i], POLLING_IN,
			   edges ? POLLING_EDGE : POLLING_LEVEL, 9) == 0);
		expect_event(p, 9, POLLING_IN);
		EXPECT(polling_modify(
			   p, fds[i], POLLING_IN, POLLING_ONESHOT, 9) == 0);
		expect_event(p, 9, POLLING_IN);
		EXPECT(
		    polling_add(p, fds[i], POLLING_IN, POLLING_LEVEL, 9) == -1);
		EXPECT(polling_delete(p, fds[i]) == 0);
	}
	EXPECT(polling_add(p, 1000, POLLING_IN, POLLING_LEVEL, 1) == -1);
	EXPECT(polling_wait(p, events, 8, &at_once) == 0);
	EXPECT(polling_wait(p, events, 8, &a_moment) == 0);
	EXPECT(polling_wait(p, events, 8, &a_while) == 0);
	polling_now(&until);
	until.tv_sec++;
	EXPECT(polling_notify(p) == 0);
	EXPECT(polling_wait_until(p, events, 8, &until) == 0);
	polling_now(&until);
	EXPECT(polling_wait_until(p, events, 8, &until) == 0);
}

/* Closed with a duplicate that lives, so that epoll goes on reporting, and
 * without; not deleted, either. */
static void
use_closed(struct polling *p)
{
	struct polling_event events[8];

	EXPECT(polling_add(p, fds[LEFT], POLLING_IN, POLLING_LEVEL, 1) == 0);
	EXPECT(polling_add(p, fds[FILES], POLLING_IN, POLLING_LEVEL, 1) == 0);
	EXPECT(polling_add(p, fds[ORPHAN], POLLING_IN, POLLING_LEVEL, 1) == 0);
	EXPECT(polling_wait(p, events, 8, &too_long) > 0);
	EXPECT(close(fds[LEFT]) == 0 && close(fds[FILES]) == 0 &&
	       close(fds[ORPHAN]) == 0);
	for (int i = 0; i < 40; i++)
		(void)polling_wait(p, events, 8, &at_once);
	EXPECT(polling_wait(p, events, 8, &at_once) == 0);
	EXPECT(polling_delete(p, fds[LEFT]) == 0 || errno == ENOENT);
}

static void
use_timers_and_posts(struct polling *p)
{
	struct polling_event events[64], post = {1, 2, 3};
	unsigned left = MANY;

	for (unsigned i = 0; i < MANY; i++) {
		EXPECT(polling_add_timer(p, i, &too_long, NULL, i) == 0);
		EXPECT(polling_post(p, &post) == 0);
	}
	while (left > 0) {
		int n = polling_wait(p, events, 64, &at_once);

		EXPECT(n > 0 && (unsigned)n <= left);
		left -= (unsigned)n;
	}
	EXPECT(polling_modify_timer(p, 5, &a_moment, &a_moment, 6) == 0);
	expect_event(p, 6, POLLING_TIMER);
	for (unsigned i = 0; i < MANY; i++)
		EXPECT(polling_delete_timer(p, i) == 0);
}

/* Not by kill(), which the library may need itself. */
static int
send_signal(void)
{
	return (int)syscall(SYS_tgkill, self, self, SIGUSR1);
}

static void
use_signals(struct polling *p)
{
	EXPECT(polling_add_signal(p, SIGUSR1, POLLING_ONESHOT, 1) == 0);
	EXPECT(send_signal() == 0);
	expect_event(p, 1, POLLING_SIGNAL);
	EXPECT(polling_modify_signal(p, SIGUSR1, POLLING_LEVEL, 2) == 0);
	EXPECT(send_signal() == 0);
	expect_event(p, 2, POLLING_SIGNAL);
	EXPECT(polling_delete_signal(p, SIGUSR1) == 0);
}

/* What became of a child; status 3 tells that it was killed for a call. */
static void
wait_for(pid_t child)
{
	int status;

	EXPECT(wait4(child, &status, 0, NULL) == child);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		end(3, "a child was killed by signal", SIGSYS);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 4)
		_exit(4);
	EXPECT(status == 0);
}

static void
use_processes(struct polling *p)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	EXPECT(child > 0);
	EXPECT(polling_add_process(p, child, POLLING_EXIT, 1) == 0);
	expect_event(p, 1, POLLING_EXIT);
	EXPECT(polling_modify_process(p, child, POLLING_EXIT, 2) == 0);
	expect_event(p, 2, POLLING_EXIT);
	EXPECT(polling_delete_process(p, child) == 0);
	wait_for(child);
	EXPECT(polling_add_process(p, child, POLLING_EXIT, 1) == -1);
}

static void
use_descriptor_of(struct polling *p)
{
	struct polling *outer;
	int fd = polling_get_fd(p);

	EXPECT((fd >= 0) == polling_supports(p, POLLING_FEATURE_FD));
	if (fd < 0)
		return;
	outer = polling_create(0);
	EXPECT(outer != NULL);
	EXPECT(polling_add(outer, fd, POLLING_IN, POLLING_LEVEL, 1) == 0);
	EXPECT(polling_add_timer(p, 1, &a_moment, NULL, 2) == 0);
	expect_event(outer, 1, POLLING_IN);
	expect_event(p, 2, POLLING_TIMER);
	EXPECT(polling_notify(p) == 0);
	expect_event(outer, 1, POLLING_IN);
	polling_destroy(outer);
}

static void
use_rebuilt(struct polling *p)
{
	struct polling_event event;

	EXPECT(polling_wait(p, &event, 1, &at_once) == -1 && errno == EBADF);
	/* One is closed, and one takes its number. */
	EXPECT(close(fds[SPARE]) == 0);
	EXPECT(close(fds[PIPE]) == 0);
	EXPECT(polling_reinit(p) == 0);
	EXPECT(polling_delete(p, fds[SOCKET]) == 0);
	expect_event(p, 7, POLLING_IN);
	use_signals(p);
	polling_destroy(p);
	_exit(0);
}

/* In the child all is watched anew. */
static void
use_in_child(struct polling *p)
{
	pid_t child;

	EXPECT(polling_add(p, fds[SOCKET], POLLING_IN, POLLING_LEVEL, 6) == 0);
	EXPECT(polling_add(p, fds[PIPE], POLLING_IN, POLLING_LEVEL, 6) == 0);
	EXPECT(polling_add(p, fds[SPARE], POLLING_IN, POLLING_LEVEL, 6) == 0);
	EXPECT(
	    polling_add(p, fds[NOTHING], POLLING_IN, POLLING_ONESHOT, 7) == 0);
	EXPECT(polling_add_signal(p, SIGUSR2, POLLING_LEVEL, 8) == 0);
	EXPECT(polling_add_process(p, self, POLLING_EXIT, 9) == 0 ||
	       errno == ENOTSUP);
	child = fork();
	if (child == 0) {
		self = (pid_t)syscall(SYS_gettid);
		use_rebuilt(p);
	}
	EXPECT(child > 0);
	wait_for(child);
}

static void *
wait_in_thread(void *argument)
{
	struct polling_event events[4];
	struct polling *p;

	(void)argument;
	atomic_fetch_add(&begun, 1);
	/* Without a call, which the filter might not allow. */
	while (!atomic_load(&go))
		continue;
	while ((p = atomic_load(&shared)) == NULL)
		sleep_a_while();
	for (;;) {
		int n = polling_wait(
		    p, events, 4, atomic_load(&seen) % 2 ? &too_long : NULL);

		EXPECT(n >= 0);
		for (int i = 0; i < n; i++) {
			if (events[i].key == STOP) {
				atomic_fetch_add(&gone, 1);
				for (;;)
					sleep_a_while();
			}
			/* It may have been deleted since. */
			if (events[i].key == SOCKET &&
			    polling_modify(p, fds[SOCKET], POLLING_IN,
				POLLING_ONESHOT, SOCKET) != 0)
				EXPECT(errno == ENOENT);
		}
		atomic_fetch_add(&seen, (unsigned)n);
	}
}

/* The threads wait, and sleep, while this one gives them something to do. */
static void
use_threads(void)
{
	struct polling *p = polling_create(0);
	struct polling_event post = {1, 2, 3};

	EXPECT(p != NULL);
	atomic_store(&shared, p);
	sleep_a_while();
	sleep_a_while();
	EXPECT(polling_add(
		   p, fds[SOCKET], POLLING_IN, POLLING_ONESHOT, SOCKET) == 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		EXPECT(polling_post(p, &post) == 0);
		EXPECT(polling_notify(p) == 0);
		EXPECT(polling_add_timer(
			   p, i, i % 2 ? &a_moment : &too_long, NULL, 1) == 0);
		if (i % 2 == 0)
			EXPECT(polling_delete_timer(p, i) == 0);
	}
	EXPECT(polling_add_signal(p, SIGUSR1, POLLING_LEVEL, 1) == 0);
	EXPECT(send_signal() == 0);
	EXPECT(polling_delete_signal(p, SIGUSR1) == 0);
	sleep_a_while();
	EXPECT(polling_delete(p, fds[SOCKET]) == 0);
	post.key = STOP;
	for (unsigned i = 0; i < THREADS; i++) {
		EXPECT(polling_post(p, &post) == 0);
		while (atomic_load(&gone) <= i)
			sleep_a_while();
	}
	EXPECT(atomic_load(&seen) >= ROUNDS);
	polling_destroy(p);
}

static void
use_all(void)
{
	struct polling *p = polling_create(POLLING_INTERRUPTIBLE);

	EXPECT(p != NULL);
	EXPECT(polling_version()[0] != '\0');
	use_threads();
	use_descriptors(p);
	use_timers_and_posts(p);
	use_signals(p);
	use_processes(p);
	use_closed(p);
	use_descriptor_of(p);
	use_in_child(p);
	polling_destroy(p);
	p = polling_create(0);
	EXPECT(p != NULL);
	use_in_child(p);
	polling_destroy(p);
}

int
main(int argc, char **argv)
{
	struct sigaction action = {
	    .sa_sigaction = tell, .sa_flags = SA_SIGINFO};
	pthread_t thread;
	int option;

	while ((option = getopt(argc, argv, "be:n:t")) != -1)
		switch (option) {
		case 'b':
			puts(polling_backend());
			return 0;
		case 'e':
			(void)give(optarg, MISSING);
			break;
		case 'n':
			return !give(optarg, ALLOWED) || is_denied(optarg);
		case 't':
			telling = true;
			EXPECT(sigaction(SIGSYS, &action, NULL) == 0);
			break;
		default:
			return 2;
		}
	for (size_t i = 0; i < sizeof(own_calls) / sizeof(own_calls[0]); i++)
		(void)give(own_calls[i], ALLOWED);
	for (int i = optind; i < argc; i++)
		if (!give(argv[i], ALLOWED))
			printf("%s: not on this machine\n", argv[i]);
	if (telling)
		(void)give("write", ALLOWED);
	self = getpid();
	open_sources();
	for (int i = 0; i < THREADS; i++)
		EXPECT(
		    pthread_create(&thread, NULL, wait_in_thread, NULL) == 0);
	/* The C library is done with making them. */
	while (atomic_load(&begun) < THREADS)
		(void)usleep(1000);
	(void)fflush(stdout);
	(void)alarm(SECONDS);
	install();
	atomic_store(&go, true);
	use_all();
	/* The threads are still there. */
	_exit(0);
}
