/* SPDX-License-Identifier: MIT */
/*
 * port.c - the backend for illumos and Solaris: event ports.
 *
 * An association of a descriptor with a port makes one event and is gone. That
 * is oneshot by nature; for the level mode the core has the source told again
 * before the next wait, as after any report of a source that has KERNEL_ONESHOT
 * and stays armed.
 *
 * An event is a snapshot. It was made when its first condition came true, or
 * at the association if one held already; conditions that come later are not
 * in it, and it is delivered even if the data has been read meanwhile. FIFOs
 * are said to be reported without cause as well. So the port tells only which
 * descriptors to look at, and one poll() for the whole batch tells what holds:
 * that makes a wait with events two system calls, and the events those of every
 * other backend. A descriptor of which nothing holds is associated again.
 *
 * port_getn() has three ways of saying that the time is over, one of which
 * brings events along: ETIME with a count. Every other error, EINTR too, leaves
 * in the count what was asked for, and must be taken for none.
 *
 * Wake-ups are user events. They share a limit with the associations, so there
 * is one on its way at most; whoever collects it lowers the flag before looking
 * at anything else, and a wake-up that could not be sent does not leave it up.
 * A timer of the kernel sends the same for polling_get_fd().
 *
 * Two threads must not change the association of one descriptor at the same
 * time, which the poller's lock prevents. Closing a descriptor ends its
 * associations and drops its queued events.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <port.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "backend.h"
#include "cancel.h"
#include "clock.h"
#include "file.h"
#include "pollbits.h"
#include "refused.h"

/* All that poll() is asked about after an event; the core masks it. */
#define ALL_EVENTS (POLLIN | POLLOUT | POLLPRI | POLLRDHUP)

/* In struct source.kernel, within KERNEL_KEPT. */
#define K_SOCKET     0x10000u /* a socket that has yet to be connected */
#define K_WRITE_ONLY 0x20000u /* the end of a pipe that is for writing */
/* Outside of it, with KERNEL_ONESHOT: the events of the association. */
#define K_EVENTS 0xffffu

struct backend {
	int port;
	bool has_alarm;         /* alarm exists */
	timer_t alarm;          /* sends an event to the port */
	atomic_bool alarm_set;  /* it is to send one that nobody has met yet */
	atomic_bool woken;      /* a wake-up is on its way */
	struct refused refused; /* unconnected sockets */
	struct registry *registry;
};

const char backend_name[] = "port";

/* Closing a descriptor ends its associations. */
const uint16_t backend_verify_max = 0;

static const struct timespec zero;

/* The core waits again. */
static const struct timespec longest = {86400, 0};

int
backend_open(struct backend **out, struct registry *r)
{
	struct backend *b = calloc(1, sizeof *b);
	int error;

	if (b == NULL)
		return -ENOMEM;
	b->registry = r;
	error = refused_init(&b->refused);
	if (error != 0)
		goto free_backend;
	b->port = port_create();
	if (b->port < 0) {
		/* EAGAIN is the limit on ports of a process or a zone. */
		error = errno == EAGAIN ? -EMFILE : -errno;
		goto free_refused;
	}
	/* It cannot fail for an open descriptor. */
	(void)fcntl(b->port, F_SETFD, FD_CLOEXEC);
	*out = b;
	return 0;

free_refused:
	refused_free(&b->refused);
free_backend:
	free(b);
	return error;
}

void
backend_close(struct backend *b, bool inherited)
{
	/* A child's copy: the port lives on in the parent, which keeps its
	 * associations. */
	if (b->has_alarm && !inherited)
		(void)timer_delete(b->alarm);
	close(b->port);
	refused_free(&b->refused);
	free(b);
}

uint32_t
backend_features(const struct backend *b)
{
	(void)b;
	return 1u << POLLING_FEATURE_LEVEL | 1u << POLLING_FEATURE_PRI |
	       (POLLRDHUP != 0 ? 1u << POLLING_FEATURE_RDHUP : 0) |
	       1u << POLLING_FEATURE_FD | 1u << POLLING_FEATURE_FILE |
	       1u << POLLING_FEATURE_NANOSECOND;
}

/* In the words of other backends: EAGAIN is the limit on associations. */
static int
associate_error(int code)
{
	switch (code) {
	case EBADFD:
		return -EBADF;
	case EAGAIN:
		return -ENOSPC;
	default:
		return -code;
	}
}

/* Associates fd for what s asks for; a queued event of it is dropped. */
static int
associate(struct backend *b, int fd, struct source *s)
{
	int events = poll_events(s->interest);

	if (port_associate(b->port, PORT_SOURCE_FD, (uintptr_t)fd, events,
		(void *)(uintptr_t)s->generation) < 0)
		return associate_error(errno);
	s->kernel = (s->kernel & KERNEL_KEPT) | KERNEL_ONESHOT |
		    ((uint32_t)events & K_EVENTS);
	return 0;
}

static int
dissociate(struct backend *b, int fd, struct source *s)
{
	s->kernel &= KERNEL_KEPT;
	if (port_dissociate(b->port, PORT_SOURCE_FD, (uintptr_t)fd) < 0)
		return -errno;
	return 0;
}

/* The bits of struct source.kernel that tell what fd is. */
static uint32_t
kind_of(int fd, mode_t mode)
{
	if (S_ISSOCK(mode) && refused_unconnected(fd))
		return K_SOCKET;
	if (S_ISFIFO(mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return K_WRITE_ONLY;
	return 0;
}

int
backend_add(struct backend *b, int fd, struct source *s)
{
	mode_t mode;
	int error = file_inspect(fd, &s->slot, &mode);

	if (error != 0)
		return error;
	error = file_never_blocks(fd, mode);
	if (error != 0)
		return error < 0 ? error : BACKEND_NEVER_BLOCKS;
	s->kernel = kind_of(fd, mode);
	/* Also one without interest, to hear what the kernel thinks of it. */
	error = associate(b, fd, s);
	if (error != 0) {
		if (error != -EBADF && error != -ENOSPC && error != -ENOMEM &&
		    refused_is_always_ready(fd))
			return BACKEND_NEVER_BLOCKS;
		return error;
	}
	if (!(s->flags & SOURCE_ARMED))
		(void)dissociate(b, fd, s);
	if (s->kernel & K_SOCKET) {
		error = refused_set(&b->refused, fd, s, REFUSED_UNCONNECTED);
		if (error != 0)
			(void)dissociate(b, fd, s);
		else
			(void)backend_wake(b);
	}
	return error;
}

/* The port cannot be asked: an association that is not there may have fired a
 * moment ago in another thread. A file that was opened again at the number that
 * it had is taken for the same, and is then associated anew. */
bool
backend_knows(struct backend *b, int fd, struct source *s)
{
	if (file_is(fd, s->slot)) {
		s->kernel &= KERNEL_KEPT;
		registry_change(b->registry, fd, s);
		return true;
	}
	if (s->kernel & K_SOCKET)
		refused_remove(&b->refused, fd);
	return false;
}

int
backend_prune(struct backend *b)
{
	file_prune(b->registry);
	return 0;
}

/* Brings one changed source up to date. Returns 0 or a negative errno. */
static int
apply_one(struct backend *b, int fd, struct source *s)
{
	uint32_t events = (uint32_t)poll_events(s->interest) & K_EVENTS;

	if (s->kernel & K_SOCKET) {
		/* It is there, so it cannot fail. */
		(void)refused_set(&b->refused, fd, s, REFUSED_UNCONNECTED);
		if (s->flags & SOURCE_ARMED)
			(void)backend_wake(b);
	}
	/* Still associated if it is disarmed: one report, which the core
	 * drops. */
	if (!(s->flags & SOURCE_ARMED) ||
	    ((s->kernel & KERNEL_ONESHOT) && (s->kernel & K_EVENTS) == events))
		return 0;
	/* The number may be in use for something else. */
	if (!file_is(fd, s->slot))
		return -EBADF;
	return associate(b, fd, s);
}

bool
backend_heeds(const struct backend *b, const struct source *s)
{
	(void)b;
	(void)s;
	return true;
}

int
backend_apply(struct backend *b, bool at_once)
{
	struct source *s;
	int fd, error = 0;

	(void)at_once;
	while (error == 0 &&
	       (s = registry_pop_changed(b->registry, &fd)) != NULL) {
		error = apply_one(b, fd, s);
		if (error == -EBADF) {
			if (s->kernel & K_SOCKET)
				refused_remove(&b->refused, fd);
			registry_remove(b->registry, fd);
			error = 0;
		} else if (error != 0) {
			/* ENOSPC or ENOMEM. */
			registry_change(b->registry, fd, s);
		}
	}
	return error;
}

void
backend_remove(struct backend *b, int fd, struct source *s)
{
	/* ENOENT: its event was delivered, or it was closed. */
	(void)dissociate(b, fd, s);
	if (s->kernel & K_SOCKET)
		refused_remove(&b->refused, fd);
}

uint32_t
backend_look(struct backend *b, int fd, struct source *s, uint32_t conditions)
{
	(void)b;
	(void)fd;
	conditions &= ~CONDITION_LOOK;
	/* Without readers a pipe is broken, not over. */
	if (s->kernel & K_WRITE_ONLY)
		conditions = (conditions & ~(uint32_t)POLLING_HUP) |
			     POLLING_ERR;
	return conditions;
}

void
backend_stale(struct backend *b, int fd)
{
	/* One-shot: it is the last one. */
	(void)b;
	(void)fd;
}

bool
backend_unwanted(struct backend *b, int fd, struct source *s)
{
	/* Its association was the last one. */
	(void)b;
	(void)fd;
	(void)s;
	return false;
}

bool
backend_doubts(struct backend *b, int fd, struct source *s)
{
	/* What holds is looked at under the lock. */
	(void)b;
	(void)fd;
	(void)s;
	return false;
}

/* port_getn() for at most capacity events. Returns their number, 0 if the time
 * is over, or a negative errno. */
static int
get_events(int port, port_event_t *events, int capacity,
    const struct timespec *timeout)
{
	struct timespec copy, *limit = NULL;
	int state = cancel_hold();
	uint_t count = 1;
	int error = 0;

	if (timeout != NULL) {
		copy = *timeout;
		limit = &copy;
	}
	if (port_getn(port, events, (uint_t)capacity, &count, limit) < 0)
		error = -errno;
	cancel_release(state);
	if (error != 0 && error != -ETIME)
		return error;
	return (int)count;
}

/* Sorts out wake-ups, and lists the other events for poll(). */
static int
sort(struct backend *b, const port_event_t *events, int n, struct ready *out,
    struct pollfd *fds)
{
	int count = 0;

	for (int i = 0; i < n; i++) {
		if (events[i].portev_source != PORT_SOURCE_FD) {
			/* PORT_SOURCE_TIMER has woken this thread as well. */
			if (events[i].portev_source == PORT_SOURCE_USER)
				atomic_store(&b->woken, false);
			else
				atomic_store(&b->alarm_set, false);
			continue;
		}
		out[count].fd = (int)events[i].portev_object;
		out[count].generation =
		    (uint32_t)(uintptr_t)events[i].portev_user;
		fds[count].fd = out[count].fd;
		fds[count].events = ALL_EVENTS;
		fds[count].revents = 0;
		count++;
	}
	return count;
}

/* Fills in what holds now of the descriptors that events were of. */
static void
look_at_all(struct ready *out, struct pollfd *fds, int count)
{
	int state = cancel_hold();
	/* It does not block, and there is room for that many descriptors
	 * where they are open: it can only lack memory for a moment. Nothing
	 * holds then, and they are associated again. */
	int n = poll(fds, (nfds_t)count, 0);

	cancel_release(state);
	for (int i = 0; i < count; i++) {
		int revents = n > 0 ? fds[i].revents : 0;

		out[i].conditions = poll_conditions(revents);
		if (revents & POLLNVAL)
			out[i].conditions = CONDITION_CLOSED;
		else if (revents & POLLHUP)
			out[i].conditions |= CONDITION_LOOK;
	}
}

/* One port_getn() and what it means. */
static int
wait_once(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout)
{
	port_event_t events[READY_MAX];
	struct pollfd fds[READY_MAX];
	int n = get_events(b->port, events, capacity, timeout);
	int count;

	if (n <= 0)
		return n;
	count = sort(b, events, n, out, fds);
	/* The wake-up has taken the only room: what of the sources? */
	if (count == 0 && n == capacity) {
		n = get_events(b->port, events, capacity, &zero);
		if (n > 0)
			count = sort(b, events, n, out, fds);
	}
	if (count > 0)
		look_at_all(out, fds, count);
	/* This thread may go home with the events. If the wake-up was for what
	 * is looked at beside the port, another has to look. */
	if (count > 0 && count < n && atomic_load(&b->refused.armed) > 0)
		(void)backend_wake(b);
	return count;
}

int
backend_wait(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout)
{
	int share = capacity, n = 0, m = 0;
	bool left = true; /* beside the port, for all that is known */

	if (unlikely(atomic_load(&b->refused.armed) > 0)) {
		share = refused_share(&b->refused, capacity);
		n = refused_look(&b->refused, out, share);
		left = n > 0 || share == 0;
		if (left)
			timeout = &zero;
	}
	if (timeout != NULL)
		timeout = clock_shorter(timeout, &longest);
	if (n < capacity)
		m = wait_once(b, out + n, capacity - n, timeout);
	if (m < 0 && n == 0)
		return m;
	n += m > 0 ? m : 0;
	if (n == 0 && share == 0) {
		n = refused_look(&b->refused, out, capacity);
		left = n > 0;
	}
	/* This wait may have taken the wake-up that told of them. */
	if (left && atomic_load(&b->refused.armed) > 0)
		(void)backend_wake(b);
	return n;
}

int
backend_wake(struct backend *b)
{
	if (atomic_exchange(&b->woken, true))
		return 0;
	if (port_send(b->port, 0, NULL) < 0) {
		int error = -errno;

		atomic_store(&b->woken, false);
		return error;
	}
	return 0;
}

/* Makes a timer that sends an event to the port. */
static int
make_alarm(struct backend *b)
{
	port_notify_t to = {.portnfy_port = b->port, .portnfy_user = NULL};
	struct sigevent how;
	timer_t alarm;
	int r;

	memset(&how, 0, sizeof how);
	how.sigev_notify = SIGEV_PORT;
	how.sigev_value.sival_ptr = &to;
	r = timer_create(CLOCK_MONOTONIC, &how, &alarm);
	/* Solaris lets only the privileged have it. The other clock will do for
	 * times that are relative, since it is not set back for these. */
	if (r < 0 && errno == EPERM)
		r = timer_create(CLOCK_REALTIME, &how, &alarm);
	/* EAGAIN is the limit on timers. */
	if (r < 0)
		return errno == EAGAIN ? -ENOMEM : -errno;
	b->alarm = alarm;
	return 0;
}

int
backend_fd(struct backend *b)
{
	if (!b->has_alarm) {
		int error = make_alarm(b);

		if (error != 0)
			return error;
		b->has_alarm = true;
	}
	return b->port;
}

/* Sets the alarm. True if it had gone off before. */
static bool
set_alarm(struct backend *b, const struct itimerspec *when)
{
	struct itimerspec before;

	/* It cannot fail for a time that clock_left() makes. */
	if (timer_settime(b->alarm, 0, when, &before) < 0)
		return false;
	return before.it_value.tv_sec == 0 && before.it_value.tv_nsec == 0;
}

bool
backend_alarm(struct backend *b, const struct timespec *at)
{
	bool set = atomic_load(&b->alarm_set);
	timer_t old = b->alarm;
	struct itimerspec when;

	memset(&when, 0, sizeof when);
	/* At once is the shortest time, since zero turns it off. */
	if (at != NULL && !clock_left(&when.it_value, at))
		when.it_value.tv_nsec = 1;
	atomic_store(&b->alarm_set, at != NULL);
	/* If it has gone off and nobody has met its event, the port would be
	 * readable for nothing. The event stays when the time is set, and goes
	 * with the timer. */
	if (set_alarm(b, &when) && set && make_alarm(b) == 0) {
		(void)timer_delete(old);
		(void)set_alarm(b, &when);
	}
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
