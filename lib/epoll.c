/* SPDX-License-Identifier: MIT */
/*
 * epoll.c - the backend for Linux and other systems with epoll.
 *
 * A oneshot source costs no more than a level-triggered one, because the kernel
 * is told that it is one: the core drops what comes while the source is
 * disarmed, and by the time it is armed again, without a system call, most
 * programs have read what was there. Only if the kernel does report a disarmed
 * source, as when it is handled slowly or by other threads than the one that
 * waits, is it disarmed in the kernel, and from then on the kernel's own
 * oneshot is used for it, which takes one epoll_ctl() for each arming.
 *
 * The hard part is what epoll never forgets: a descriptor that was closed while
 * a duplicate of it lives stays registered under a number that can no longer
 * name it. Such orphans are harmless as long as they are silent. When one goes
 * on reporting, the epoll instance is replaced by a new one without it.
 *
 * Waits go through syscall(), which unlike the wrappers of the C library is
 * no cancellation point: a cancelled thread would stay counted as a sleeper.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#if HAVE_TIMERFD_CREATE
#include <sys/timerfd.h>
#endif
#include <unistd.h>

#include "backend.h"
#include "cancel.h"
#include "clock.h"
#include "slack.h"
#include "wakeup.h"

_Static_assert(POLLING_IN == EPOLLIN && POLLING_OUT == EPOLLOUT &&
		   POLLING_PRI == EPOLLPRI && POLLING_ERR == EPOLLERR &&
		   POLLING_HUP == EPOLLHUP && POLLING_RDHUP == EPOLLRDHUP,
    "conditions pass to and from epoll as they are");

_Static_assert(KERNEL_ONESHOT == EPOLLONESHOT,
    "what the kernel was told is kept as it is");

#define ALL_CONDITIONS \
	(EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLERR | EPOLLHUP | EPOLLRDHUP)

/* In struct source.kernel: the kernel has reported the source while it was
 * disarmed, so that from then on its own oneshot is used. */
#define KERNEL_SLOW 0x00010000u

_Static_assert((KERNEL_SLOW & KERNEL_KEPT) != 0,
    "what a source is like outlives its reports");

/* Tokens are (generation << 32 | descriptor), and a generation is never 0. */
#define WAKE_TOKEN UINT64_C(0)

/* So many reports of orphans are dropped before the instance is replaced:
 * one of an orphan in a oneshot mode is its last. */
#define STALE_MAX 8

/* The kernel's signal set, which is shorter than the C library's. */
#define KERNEL_SIGSET_BYTES (_NSIG / 8)

/* What epoll_pwait2() takes, also on 32-bit systems. */
struct kernel_timespec {
	int64_t tv_sec;
	int64_t tv_nsec;
};

struct backend {
	int epfd;   /* the number stays, the instance may be replaced */
	int outer;  /* watches epfd; what backend_fd() gives. -1 until then:
		     * a loop that nests the poller must not lose it when
		     * the instance is replaced. */
	int alarm;  /* a timerfd in outer; -1 as long as that is */
	int hangup; /* the read end of a pipe without writers, which wakes
		     * every thread that waits in a replaced instance; -1
		     * until one is */
	struct wakeup wake;        /* edge-triggered in epfd */
	struct registry *registry; /* the poller's */
	atomic_bool nanoseconds;   /* epoll_pwait2() is there and allowed */
	bool orphans;              /* the kernel may keep what we removed */
	unsigned stale;            /* reports of orphans in this instance */
};

const char backend_name[] = "epoll";

/* A check is a system call, as dear as a wait, and closing an undeleted
 * descriptor of which a duplicate lives is rare. */
const uint16_t backend_verify_max = 1024;

static const struct timespec zero;

static uint64_t
token(int fd, uint32_t generation)
{
	return (uint64_t)generation << 32 | (uint32_t)fd;
}

static int
control(int epfd, int operation, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {.events = events, .data = {.u64 = data}};

	return epoll_ctl(epfd, operation, fd, &event) < 0 ? -errno : 0;
}

/* Whether the kernel is to disarm s as it reports it. The end of a process is
 * there for good: it would be reported again for sure. And whoever watches
 * backend_fd() is not to see what is disarmed, nor to miss an edge. */
static bool
needs_oneshot(const struct backend *b, const struct source *s)
{
	if (s->mode == POLLING_ONESHOT)
		return (s->kernel & KERNEL_SLOW) ||
		       (s->flags & SOURCE_PROCESS) || b->outer >= 0;
	return s->mode == POLLING_EDGE_ONESHOT;
}

/* What the kernel is to be told of s. It reports EPOLLERR and EPOLLHUP unasked;
 * named all the same, they tell an armed source from every other state. One
 * that is disarmed is EPOLLONESHOT alone: a hang-up comes through, but once. */
static uint32_t
wanted(const struct backend *b, const struct source *s)
{
	uint32_t events;

	if (!(s->flags & SOURCE_ARMED))
		return EPOLLONESHOT;
	events = (s->interest & ALL_CONDITIONS) | EPOLLERR | EPOLLHUP;
	if (needs_oneshot(b, s))
		events |= EPOLLONESHOT;
	if (source_is_edge(s))
		events |= EPOLLET;
	return events;
}

/* What it was told, and now it has been told events. */
static uint32_t
told(const struct source *s)
{
	return s->kernel & ~KERNEL_KEPT;
}

static void
note_told(struct source *s, uint32_t events)
{
	s->kernel = (s->kernel & KERNEL_KEPT) | events;
}

/* epoll_pwait2(), or -ENOSYS. */
static int
wait_nanoseconds(int epfd, struct epoll_event *events, int capacity,
    const struct timespec *timeout)
{
#if HAVE_EPOLL_PWAIT2
	struct kernel_timespec t = {timeout->tv_sec, timeout->tv_nsec};
	int n = (int)syscall(SYS_epoll_pwait2, epfd, events, capacity, &t, NULL,
	    KERNEL_SIGSET_BYTES);

	return n >= 0 ? n : -errno;
#else
	(void)epfd;
	(void)events;
	(void)capacity;
	(void)timeout;
	return -ENOSYS;
#endif
}

static int
wait_milliseconds(int epfd, struct epoll_event *events, int capacity, int ms)
{
	/* Newer architectures have the second one only, which is a little
	 * slower where both are. */
#ifdef SYS_epoll_wait
	int n = (int)syscall(SYS_epoll_wait, epfd, events, capacity, ms);
#else
	int n = (int)syscall(SYS_epoll_pwait, epfd, events, capacity, ms, NULL,
	    KERNEL_SIGSET_BYTES);
#endif
	return n >= 0 ? n : -errno;
}

/* What the kernel says where epoll_pwait2() is not to be had: one older than
 * 5.11, or a filter of system calls. */
static bool
is_missing(int error)
{
	return error == -ENOSYS || error == -EPERM || error == -EACCES ||
	       error == -ENOTSUP;
}

/* A wait that may sleep, but not for ever. */
static int
wait_limited(struct backend *b, struct epoll_event *events, int capacity,
    const struct timespec *timeout)
{
	int slack = slack_tighten(timeout);
	int n = -ENOSYS;

	if (atomic_load_explicit(&b->nanoseconds, memory_order_relaxed)) {
		n = wait_nanoseconds(b->epfd, events, capacity, timeout);
		if (is_missing(n))
			atomic_store(&b->nanoseconds, false);
	}
	if (is_missing(n))
		n = wait_milliseconds(
		    b->epfd, events, capacity, clock_milliseconds(timeout));
	slack_restore(slack);
	return n;
}

static ALWAYS_INLINE int
wait_events(struct backend *b, struct epoll_event *events, int capacity,
    const struct timespec *timeout)
{
	if (timeout != NULL && !clock_is_zero(timeout))
		return wait_limited(b, events, capacity, timeout);
	return wait_milliseconds(
	    b->epfd, events, capacity, timeout == NULL ? -1 : 0);
}

/* Whether this process can have timerfds, as far as is known. */
enum { ALARMS_UNKNOWN, ALARMS_WORK, ALARMS_DENIED };
static atomic_int alarms;

/* A timerfd, without which a descriptor would be silent about timers. Returns
 * it, -ENOTSUP where it is not to be had, or another negative errno. */
static int
open_alarm(void)
{
#if HAVE_TIMERFD_CREATE
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0) {
		atomic_store(&alarms, ALARMS_WORK);
		return fd;
	}
	if (!is_missing(-errno))
		return -errno;
#endif
	atomic_store(&alarms, ALARMS_DENIED);
	return -ENOTSUP;
}

/* polling_supports() is to know of them before one is asked for. */
static void
try_alarms(void)
{
	int fd;

	if (atomic_load(&alarms) != ALARMS_UNKNOWN)
		return;
	fd = open_alarm();
	if (fd >= 0)
		close(fd);
}

/* An instance that only the wake-up is registered in, or a negative errno. */
static int
new_instance(const struct backend *b)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int error;

	if (epfd < 0)
		return -errno;
	error = control(epfd, EPOLL_CTL_ADD, b->wake.read_fd, EPOLLIN | EPOLLET,
	    WAKE_TOKEN);
	if (error != 0) {
		close(epfd);
		return error;
	}
	return epfd;
}

int
backend_open(struct backend **out, struct registry *r)
{
	struct backend *b = calloc(1, sizeof *b);
	struct epoll_event event;
	int error;

	if (b == NULL)
		return -ENOMEM;
	b->registry = r;
	b->outer = -1;
	b->alarm = -1;
	b->hangup = -1;
	error = wakeup_open(&b->wake);
	if (error != 0)
		goto free_backend;
	b->epfd = new_instance(b);
	if (b->epfd < 0) {
		error = b->epfd;
		goto close_wakeup;
	}
	/* polling_supports() is to know before the first wait. */
	atomic_store(&b->nanoseconds,
	    !is_missing(wait_nanoseconds(b->epfd, &event, 1, &zero)));
	try_alarms();
	*out = b;
	return 0;

close_wakeup:
	wakeup_close(&b->wake);
free_backend:
	free(b);
	return error;
}

void
backend_close(struct backend *b, bool inherited)
{
	/* Closing the child's copies does not touch the parent's instance;
	 * removing anything from it would. */
	(void)inherited;
	if (b->outer >= 0)
		close(b->outer);
	if (b->alarm >= 0)
		close(b->alarm);
	if (b->hangup >= 0)
		close(b->hangup);
	close(b->epfd);
	wakeup_close(&b->wake);
	free(b);
}

uint32_t
backend_features(const struct backend *b)
{
	uint32_t features = 1u << POLLING_FEATURE_LEVEL |
			    1u << POLLING_FEATURE_EDGE |
			    1u << POLLING_FEATURE_PRI |
			    1u << POLLING_FEATURE_RDHUP |
			    1u << POLLING_FEATURE_FILE;

	if (atomic_load_explicit(&b->nanoseconds, memory_order_relaxed))
		features |= 1u << POLLING_FEATURE_NANOSECOND;
	if (atomic_load_explicit(&alarms, memory_order_relaxed) !=
	    ALARMS_DENIED)
		features |= 1u << POLLING_FEATURE_FD;
	return features;
}

int
backend_add(struct backend *b, int fd, struct source *s)
{
	uint32_t events = wanted(b, s);
	uint64_t data = token(fd, s->generation);
	int error = control(b->epfd, EPOLL_CTL_ADD, fd, events, data);

	/* An orphan came back: its duplicate was put at the old number. */
	if (error == -EEXIST)
		error = control(b->epfd, EPOLL_CTL_MOD, fd, events, data);
	/* A regular file, a directory, /dev/null. */
	if (error == -EPERM)
		return BACKEND_NEVER_BLOCKS;
	if (error == 0)
		note_told(s, events);
	return error;
}

bool
backend_knows(struct backend *b, int fd, struct source *s)
{
	/* Adding it once more changes nothing if it is there. */
	int error = control(
	    b->epfd, EPOLL_CTL_ADD, fd, EPOLLONESHOT, WAKE_TOKEN);

	(void)s;
	if (error == -EEXIST)
		return true;
	if (error == 0)
		(void)control(b->epfd, EPOLL_CTL_DEL, fd, 0, WAKE_TOKEN);
	b->orphans = true;
	return false;
}

/*
 * The instance is the parent's too, which goes on using it: a trial like that
 * of backend_knows() would meddle. But the kernel lists what an instance
 * watches, with the inode of each file, to whoever reads it.
 */
int
backend_prune(struct backend *b)
{
	char line[256];
	FILE *list;
	int error = 0;

	(void)snprintf(line, sizeof line, "/proc/self/fdinfo/%d", b->epfd);
	list = fopen(line, "re");
	/* Where there is no /proc, there is no way. */
	if (list == NULL)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM
			   ? -errno
			   : 0;
	while (fgets(line, sizeof line, list) != NULL) {
		struct source *s;
		struct stat st;
		unsigned long long data, inode;
		int fd;

		/* The kernel writes no number that does not fit.
		 * NOLINTNEXTLINE(cert-err34-c) */
		if (sscanf(line,
			"tfd: %d events: %*x data: %llx pos:%*d ino:%llx", &fd,
			&data, &inode) != 3)
			continue;
		s = registry_find(b->registry, fd);
		/* The parent may have added another one since. */
		if (s == NULL || data != token(fd, s->generation))
			continue;
		if (fstat(fd, &st) == 0 ? st.st_ino != inode : errno == EBADF)
			registry_remove(b->registry, fd);
	}
	if (ferror(list))
		error = -ENOMEM;
	(void)fclose(list);
	return error;
}

/* Tells the kernel. */
static void
tell(struct backend *b, int fd, struct source *s, uint32_t events)
{
	if (control(b->epfd, EPOLL_CTL_MOD, fd, events,
		token(fd, s->generation)) == 0) {
		note_told(s, events);
		return;
	}
	/* EBADF, ENOENT or EPERM: closed, and the number may be in use for
	 * something else. */
	b->orphans = true;
	registry_remove(b->registry, fd);
}

/* Whether the kernel must be told events, what is wanted of s. */
static bool
is_news(const struct source *s, uint32_t events)
{
	bool armed = s->flags & SOURCE_ARMED;

	/* An edge reports anew what is ready when it is armed again. */
	if (events == told(s))
		return armed && source_is_edge(s);
	/* Disarmed by its last report, or about to be by its next one, which
	 * the core will drop. */
	return armed || (told(s) != 0 && !(told(s) & EPOLLONESHOT));
}

bool
backend_heeds(const struct backend *b, const struct source *s)
{
	return is_news(s, wanted(b, s));
}

int
backend_apply(struct backend *b, bool at_once)
{
	struct source *s;
	int fd;

	(void)at_once;
	while ((s = registry_pop_changed(b->registry, &fd)) != NULL) {
		uint32_t events = wanted(b, s);

		if (is_news(s, events))
			tell(b, fd, s, events);
	}
	return 0;
}

void
backend_remove(struct backend *b, int fd, struct source *s)
{
	(void)s;
	if (control(b->epfd, EPOLL_CTL_DEL, fd, 0, WAKE_TOKEN) != 0)
		b->orphans = true;
}

/*
 * Registers in epfd, a new instance, what the old one watches. The tokens are
 * those of the next generation, so that reports of the old instance which are
 * on their way are stale once generations are raised. Whether a number still
 * names what was added is asked afterwards: the program may close it, and put
 * it to another use, at any moment. *orphans: the new instance keeps some.
 */
static int
copy_sources(struct backend *b, int epfd, bool *orphans)
{
	struct registry *r = b->registry;
	int fd = NO_FD;

	while ((fd = registry_next(r, fd)) != NO_FD) {
		struct source *s = registry_known(r, fd);
		int error;

		if (s->flags & SOURCE_FILE)
			continue;
		error = control(epfd, EPOLL_CTL_ADD, fd, wanted(b, s),
		    token(fd, source_next_generation(s->generation)));
		if (!backend_knows(b, fd, s)) {
			/* What was registered may be another one, or be out of
			 * reach already. */
			if (error == 0 && control(epfd, EPOLL_CTL_DEL, fd, 0,
					      WAKE_TOKEN) != 0)
				*orphans = true;
			registry_remove(r, fd);
			continue;
		}
		if (error != 0)
			return error;
	}
	return 0;
}

static void
raise_generations(const struct backend *b)
{
	struct registry *r = b->registry;
	int fd = NO_FD;

	while ((fd = registry_next(r, fd)) != NO_FD) {
		struct source *s = registry_known(r, fd);

		if (s->flags & SOURCE_FILE)
			continue;
		s->generation = source_next_generation(s->generation);
		note_told(s, wanted(b, s));
	}
}

/* A descriptor that reports a hang-up for as long as it is open. */
static int
open_hangup(struct backend *b)
{
	int fds[2];

	if (b->hangup >= 0)
		return 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	close(fds[1]);
	b->hangup = fds[0];
	return 0;
}

/*
 * Replaces the instance. Threads that wait in the old one keep it alive: it
 * wakes them all, through a source that is level-triggered and always ready.
 * On failure the old one stays and the next stale report tries again; so all
 * that may fail comes first, and for a moment those threads find the old one.
 */
static void
replace_instance(struct backend *b)
{
	int old, epfd, error;
	bool orphans = false;

	if (open_hangup(b) != 0)
		return;
	old = fcntl(b->epfd, F_DUPFD_CLOEXEC, 0);
	if (old < 0)
		return;
	epfd = new_instance(b);
	if (epfd < 0)
		goto close_old;
	if (copy_sources(b, epfd, &orphans) != 0)
		goto close_new;
	/* By its number of now; as the old one, it leaves by itself with its
	 * last descriptor. */
	if (b->outer >= 0 &&
	    control(b->outer, EPOLL_CTL_ADD, epfd, EPOLLIN, WAKE_TOKEN) != 0)
		goto close_new;
	/* Any other error is of a program that has put its number to another
	 * use, and would come again. */
	error = control(old, EPOLL_CTL_ADD, b->hangup, EPOLLIN, WAKE_TOKEN);
	if (error == -ENOSPC || error == -ENOMEM)
		goto close_new;
	if (dup3(epfd, b->epfd, O_CLOEXEC) < 0) {
		if (error == 0)
			(void)control(
			    old, EPOLL_CTL_DEL, b->hangup, 0, WAKE_TOKEN);
		goto close_new;
	}
	raise_generations(b);
	b->orphans = orphans;
	b->stale = 0;

close_new:
	close(epfd);
close_old:
	close(old);
}

uint32_t
backend_look(struct backend *b, int fd, struct source *s, uint32_t conditions)
{
	/* Never called: what epoll reports is complete. */
	(void)b;
	(void)fd;
	(void)s;
	return conditions;
}

/* From now on the kernel's own oneshot is used for s. Reports that are on their
 * way are of the time before, and stale. */
static void
slow_down(struct backend *b, int fd, struct source *s)
{
	s->kernel |= KERNEL_SLOW;
	s->generation = source_next_generation(s->generation);
	tell(b, fd, s, wanted(b, s));
}

bool
backend_unwanted(struct backend *b, int fd, struct source *s)
{
	/* It was disarmed as it fired, or is about to be by
	 * backend_apply(). */
	if (told(s) & EPOLLONESHOT)
		return false;
	slow_down(b, fd, s);
	return true;
}

bool
backend_doubts(struct backend *b, int fd, struct source *s)
{
	/* Between its last event and its arming several threads may have been
	 * told of what only one of them has handled. */
	slow_down(b, fd, s);
	return true;
}

void
backend_stale(struct backend *b, int fd)
{
	int state;

	(void)fd;
	if (!b->orphans || ++b->stale <= STALE_MAX)
		return;
	state = cancel_hold();
	replace_instance(b);
	cancel_release(state);
}

int
backend_wait(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout)
{
	struct epoll_event events[READY_MAX];
	int n = wait_events(b, events, capacity, timeout);
	int count = 0;

	/* The wake-up has taken the only room: what of the sources? */
	if (unlikely(n == 1 && capacity == 1) &&
	    events[0].data.u64 == WAKE_TOKEN) {
		if (!wakeup_needs_no_drain(&b->wake))
			wakeup_drain(&b->wake);
		n = wait_events(b, events, capacity, &zero);
	}
	for (int i = 0; i < n; i++) {
		uint64_t data = events[i].data.u64;

		if (unlikely(data == WAKE_TOKEN)) {
			if (!wakeup_needs_no_drain(&b->wake))
				wakeup_drain(&b->wake);
			continue;
		}
		out[count].fd = (int)(uint32_t)data;
		out[count].generation = (uint32_t)(data >> 32);
		out[count].conditions = events[i].events & ALL_CONDITIONS;
		count++;
	}
	return n < 0 ? n : count;
}

int
backend_wake(struct backend *b)
{
	return wakeup_signal(&b->wake);
}

/* Has the kernel told of the oneshot sources that it takes for level-triggered
 * ones: see needs_oneshot(). */
static void
use_own_oneshot(struct backend *b)
{
	struct registry *r = b->registry;
	int fd = NO_FD;

	while ((fd = registry_next(r, fd)) != NO_FD) {
		struct source *s = registry_known(r, fd);

		if (s->mode == POLLING_ONESHOT && !(s->flags & SOURCE_FILE))
			registry_change(r, fd, s);
	}
}

int
backend_fd(struct backend *b)
{
	int fd, alarm, error;

	if (b->outer >= 0)
		return b->outer;
	alarm = open_alarm();
	if (alarm < 0)
		return alarm;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0) {
		error = -errno;
		goto close_alarm;
	}
	error = control(fd, EPOLL_CTL_ADD, b->epfd, EPOLLIN, WAKE_TOKEN);
	if (error == 0)
		error = control(fd, EPOLL_CTL_ADD, alarm, EPOLLIN, WAKE_TOKEN);
	if (error != 0)
		goto close_fd;
	b->alarm = alarm;
	b->outer = fd;
	use_own_oneshot(b);
	return fd;

close_fd:
	close(fd);
close_alarm:
	close(alarm);
	return error;
}

bool
backend_alarm(struct backend *b, const struct timespec *at)
{
#if HAVE_TIMERFD_CREATE
	/* All zeros turns it off; and the clock is past its first nanosecond.
	 */
	struct itimerspec when = {.it_value = {0, 0}};

	if (at != NULL)
		when.it_value = *at;
	/* It cannot fail for a timerfd and a valid time. */
	(void)timerfd_settime(b->alarm, TFD_TIMER_ABSTIME, &when, NULL);
#else
	(void)b;
	(void)at;
#endif
	return true;
}

/* Processes are no business of this kernel's. */
int
backend_add_process(
    struct backend *b, polling_pid pid, uint32_t what, uint32_t generation)
{
	(void)b;
	(void)pid;
	(void)what;
	(void)generation;
	return -ENOTSUP;
}

void
backend_remove_process(struct backend *b, polling_pid pid)
{
	(void)b;
	(void)pid;
}
