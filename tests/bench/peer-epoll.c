/* SPDX-License-Identifier: MIT */
/*
 * peer-epoll.c - what a program would write against epoll by hand: the loops
 * that all ratios are to.
 */
#define _GNU_SOURCE

#include "measure.h"
#include "peer.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WAKEUP UINT32_MAX /* in place of a source's number */

static struct setup setup;
static int epfd;
static int wakeup; /* an eventfd, or -1 */
static int timeout_ms;
static struct epoll_event events[BATCH];

/* Of the batch before, not re-armed yet, in the mode LATE. */
static uint32_t late[BATCH];
static int late_count;

static void
control(int operation, int fd, uint32_t source)
{
	static const uint32_t flags[MODES] = {[LEVEL] = EPOLLIN,
	    [EDGE] = EPOLLIN | EPOLLET,
	    [ONESHOT] = EPOLLIN | EPOLLONESHOT,
	    [LATE] = EPOLLIN | EPOLLONESHOT};
	struct epoll_event e = {
	    .events = flags[setup.mode], .data = {.u32 = source}};

	if (epoll_ctl(epfd, operation, fd, &e) < 0)
		die("epoll_ctl");
}

static void
open_epoll(const struct setup *s)
{
	setup = *s;
	timeout_ms = s->timeout ? TIMEOUT_SECONDS * 1000 : -1;
	late_count = 0;
	wakeup = -1;
	epfd = epoll_create1(EPOLL_CLOEXEC);
	if (epfd < 0)
		die("epoll_create1");
	if (!s->notify)
		return;
	wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (wakeup < 0)
		die("eventfd");
	control(EPOLL_CTL_ADD, wakeup, WAKEUP);
}

static void
close_epoll(void)
{
	close(epfd);
	if (wakeup >= 0)
		close(wakeup);
}

static void
add_epoll(size_t source)
{
	control(EPOLL_CTL_ADD, setup.fds[source], (uint32_t)source);
}

static void
remove_epoll(size_t source)
{
	control(EPOLL_CTL_DEL, setup.fds[source], 0);
}

static int
wait_epoll(void)
{
	int n = epoll_wait(epfd, events, BATCH, timeout_ms);

	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	return n;
}

static void
run_level(void)
{
	while (work.left > 0) {
		int n = wait_epoll();

		for (int i = 0; i < n; i++)
			work.handle(events[i].data.u32);
	}
}

static void
rearm(uint32_t source)
{
	control(EPOLL_CTL_MOD, setup.fds[source], source);
}

static void
run_oneshot(void)
{
	while (work.left > 0) {
		int n = wait_epoll();

		for (int i = 0; i < n; i++) {
			work.handle(events[i].data.u32);
			rearm(events[i].data.u32);
		}
	}
}

/* Re-arms what came with the batch before. Half of the first batch is re-armed
 * at once, so that from then on two halves take turns. */
static void
run_late(void)
{
	while (work.left > 0) {
		int n = wait_epoll();
		int first = late_count == 0 ? (n + 1) / 2 : 0;

		for (int i = 0; i < n; i++)
			work.handle(events[i].data.u32);
		for (int i = 0; i < late_count; i++)
			rearm(late[i]);
		for (int i = 0; i < first; i++)
			rearm(events[i].data.u32);
		late_count = 0;
		for (int i = first; i < n; i++)
			late[late_count++] = events[i].data.u32;
	}
}

static void
run_epoll(void)
{
	switch (setup.mode) {
	case ONESHOT:
		run_oneshot();
		break;
	case LATE:
		run_late();
		break;
	default:
		run_level();
	}
}

static void
notify_epoll(void)
{
	uint64_t one = 1;

	if (write(wakeup, &one, sizeof one) != sizeof one)
		die("eventfd");
}

static void
await_epoll(void)
{
	uint64_t count;

	(void)wait_epoll();
	if (read(wakeup, &count, sizeof count) != sizeof count)
		die("eventfd");
}

/* epoll_wait() counts in milliseconds. epoll_pwait2() by its number, since C
 * libraries have it only since 2021. */
static void
sleep_epoll(long ns)
{
#ifdef SYS_epoll_pwait2
	const struct {
		int64_t seconds, nanoseconds;
	} t = {ns / 1000000000, ns % 1000000000};

	if (syscall(SYS_epoll_pwait2, epfd, events, BATCH, &t, NULL, 8) == 0)
		return;
#endif
	if (epoll_wait(epfd, events, BATCH, (int)((ns + 999999) / 1000000)) < 0)
		die("epoll_wait");
}

const struct peer peer_epoll = {
    .name = "epoll",
    .modes = 1u << LEVEL | 1u << EDGE | 1u << ONESHOT | 1u << LATE,
    .open = open_epoll,
    .close = close_epoll,
    .add = add_epoll,
    .remove = remove_epoll,
    .run = run_epoll,
    .notify = notify_epoll,
    .await = await_epoll,
    .sleep = sleep_epoll,
};
