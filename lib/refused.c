/* SPDX-License-Identifier: MIT */
/*
 * refused.c - watching with poll() and select() what a kernel refuses.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cancel.h"
#include "clock.h"
#include "file.h"
#include "pollbits.h"
#include "refused.h"

struct refused_entry {
	int fd;
	uint32_t generation; /* of its source */
	uint32_t interest;   /* of its source */
	uint32_t identity;   /* of its file, from the source's slot */
	uint8_t kind;        /* enum refused_kind */
	bool armed;          /* may be reported */
	bool oneshot;        /* silent after its next report */
	bool selected;       /* poll() refuses it: select() tells */
	bool terminal;       /* was one when it was added */
};

/* Descriptors that a wait asks about without allocating. */
#define FEW 32

int
refused_init(struct refused *t)
{
	t->entries = NULL;
	t->count = 0;
	t->capacity = 0;
	t->next = 0;
	atomic_store(&t->armed, 0);
	atomic_store(&t->turn, 0);
	return lock_init(&t->lock);
}

void
refused_free(struct refused *t)
{
	lock_destroy(&t->lock);
	free(t->entries);
}

static struct refused_entry *
find(const struct refused *t, int fd)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->entries[i].fd == fd)
			return &t->entries[i];
	return NULL;
}

static struct refused_entry *
append(struct refused *t)
{
	struct refused_entry *entries;

	if (t->count == t->capacity) {
		size_t capacity = t->capacity * 2 + 4;

		entries = realloc(t->entries, capacity * sizeof *entries);
		if (entries == NULL)
			return NULL;
		t->entries = entries;
		t->capacity = capacity;
	}
	return memset(&t->entries[t->count++], 0, sizeof *entries);
}

/* What poll() tells of one descriptor, without blocking: it would be a
 * cancellation point all the same. */
static int
poll_now(struct pollfd *p)
{
	int state = cancel_hold();
	int n = poll(p, 1, 0);

	cancel_release(state);
	return n;
}

/* A negative errno if nothing can watch fd, else whether only select() can:
 * macOS has devices like that. */
static int
needs_select(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	if (poll_now(&p) < 0)
		return -errno;
	if (!(p.revents & POLLNVAL))
		return 0;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	return fd < FD_SETSIZE ? 1 : -ENOTSUP;
}

/* Keeps one from being reported. Locked. */
static void
silence(struct refused *t, struct refused_entry *e)
{
	if (e->armed)
		atomic_fetch_sub(&t->armed, 1);
	e->armed = false;
}

int
refused_set(
    struct refused *t, int fd, const struct source *s, enum refused_kind kind)
{
	struct refused_entry *e;
	int r = 0;

	lock_acquire(&t->lock);
	e = find(t, fd);
	if (e == NULL) {
		/* poll() cannot tell an edge. A pipe without readers and a
		 * socket that leads nowhere have none to come. */
		if (kind == REFUSED_DEVICE)
			r = source_is_edge(s) ? -ENOTSUP : needs_select(fd);
		if (r >= 0) {
			e = append(t);
			r = e != NULL ? r : -ENOMEM;
		}
		if (r >= 0) {
			e->fd = fd;
			e->selected = r > 0;
			e->terminal = isatty(fd);
		}
	}
	if (r >= 0) {
		silence(t, e);
		e->generation = s->generation;
		e->interest = s->interest;
		e->identity = s->slot;
		e->kind = (uint8_t)kind;
		e->armed = s->flags & SOURCE_ARMED;
		e->oneshot = source_is_oneshot(s) || source_is_edge(s);
		if (e->armed)
			atomic_fetch_add(&t->armed, 1);
	}
	lock_release(&t->lock);
	return r < 0 ? r : 0;
}

void
refused_silence(struct refused *t, int fd)
{
	struct refused_entry *e;

	lock_acquire(&t->lock);
	e = find(t, fd);
	if (e != NULL)
		silence(t, e);
	lock_release(&t->lock);
}

void
refused_remove(struct refused *t, int fd)
{
	struct refused_entry *e;

	lock_acquire(&t->lock);
	e = find(t, fd);
	if (e != NULL) {
		silence(t, e);
		*e = t->entries[--t->count];
	}
	lock_release(&t->lock);
}

/* Whether there is something to read, if only the end. */
static bool
is_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll_now(&p) > 0 && (p.revents & POLLIN);
}

bool
refused_unconnected(int fd)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof name;
	int type = 0, listening = 0;

	if (getpeername(fd, (struct sockaddr *)&name, &length) == 0 ||
	    errno != ENOTCONN)
		return false;
	length = sizeof type;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 ||
	    type != SOCK_STREAM)
		return false;
	length = sizeof listening;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) ==
		0 &&
	    listening)
		return false;
	length = sizeof name;
	if (getsockname(fd, (struct sockaddr *)&name, &length) < 0)
		return false;
	switch (name.ss_family) {
	case AF_INET:
		return ((struct sockaddr_in *)&name)->sin_port == 0;
	case AF_INET6:
		return ((struct sockaddr_in6 *)&name)->sin6_port == 0;
	default:
		/* The BSDs forget the peer of one when that closes. */
		return name.ss_family == AF_UNIX && !is_readable(fd);
	}
}

/* What select() tells of fd, without blocking. Of a hang-up it says that fd can
 * be read, and then a terminal is none any more. */
static uint32_t
look_by_select(int fd, bool was_terminal)
{
	struct timeval now = {0, 0};
	fd_set in, out, pri;
	uint32_t conditions = 0;
	int state, n;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&pri);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &pri);
	state = cancel_hold();
	n = select(fd + 1, &in, &out, &pri, &now);
	cancel_release(state);
	if (n <= 0)
		return fcntl(fd, F_GETFD) < 0 ? CONDITION_CLOSED : 0;
	if (FD_ISSET(fd, &in))
		conditions |= POLLING_IN;
	if (FD_ISSET(fd, &out))
		conditions |= POLLING_OUT;
	if (FD_ISSET(fd, &pri))
		conditions |= POLLING_PRI;
	if ((conditions & POLLING_IN) && was_terminal && !isatty(fd))
		conditions |= POLLING_HUP;
	return conditions;
}

static uint32_t
look_by_poll(const struct refused_entry *e)
{
	struct pollfd p = {.fd = e->fd, .events = poll_events(e->interest)};
	uint32_t conditions;

	if (poll_now(&p) <= 0)
		return 0;
	if (p.revents & POLLNVAL)
		return CONDITION_CLOSED;
	conditions = poll_conditions(p.revents);
	/* Some systems call it a hang-up that nobody reads any more. */
	if (e->kind == REFUSED_PIPE &&
	    (conditions & (POLLING_HUP | POLLING_ERR)))
		conditions = POLLING_OUT | POLLING_ERR;
	return conditions;
}

/* The conditions of one entry that hold now. */
static uint32_t
look_at(const struct refused_entry *e)
{
	if (e->kind == REFUSED_UNCONNECTED)
		return refused_unconnected(e->fd) ? POLLING_OUT | POLLING_HUP
						  : 0;
	if (e->selected)
		return look_by_select(e->fd, e->terminal);
	return look_by_poll(e);
}

bool
refused_is_always_ready(int fd)
{
	const struct refused_entry poll = {
	    .fd = fd, .interest = POLLING_IN | POLLING_OUT};
	int r = needs_select(fd);
	uint32_t ready = 0;

	if (r == 0)
		ready = look_by_poll(&poll);
	else if (r > 0)
		ready = look_by_select(fd, false);
	return ready == (POLLING_IN | POLLING_OUT) && !isatty(fd);
}

int
refused_share(struct refused *t, int capacity)
{
	unsigned turn = atomic_fetch_add_explicit(
	    &t->turn, 1, memory_order_relaxed);

	return (capacity + (int)(turn & 1)) / 2;
}

int
refused_look(struct refused *t, struct ready *out, int capacity)
{
	int n = 0;
	size_t i;

	lock_acquire(&t->lock);
	i = t->next;
	for (size_t seen = 0; seen < t->count && n < capacity; seen++) {
		struct refused_entry *e;
		uint32_t conditions;

		if (i >= t->count)
			i = 0;
		e = &t->entries[i++];
		if (!e->armed)
			continue;
		/* What nobody asks for is no report, and disarms nothing. */
		conditions = look_at(e);
		conditions &= e->interest | POLLING_HUP | POLLING_ERR |
			      CONDITION_CLOSED;
		if (conditions == 0)
			continue;
		/* Neither poll() nor select() tells that it was closed if the
		 * number is in use again. */
		if (!file_is(e->fd, e->identity))
			conditions = CONDITION_CLOSED;
		out[n].fd = e->fd;
		out[n].generation = e->generation;
		out[n].conditions = conditions;
		n++;
		if (e->oneshot)
			silence(t, e);
	}
	t->next = i;
	lock_release(&t->lock);
	return n;
}

/* Writes what is to be waited for to fds, whose first is taken, and returns
 * how many that makes. Sets *selected if some want select(). Locked. */
static size_t
list(const struct refused *t, struct pollfd *fds, bool *selected)
{
	size_t n = 1;

	*selected = false;
	for (size_t i = 0; i < t->count; i++) {
		const struct refused_entry *e = &t->entries[i];

		/* An unconnected socket wakes nobody as it is connected: the
		 * kernel's interface tells from then on. */
		if (!e->armed || e->kind == REFUSED_UNCONNECTED)
			continue;
		fds[n].fd = e->fd;
		fds[n].events = poll_events(e->interest);
		*selected = *selected || e->selected;
		n++;
	}
	return n;
}

/* select() on what is listed for poll(). Descriptors that no set can hold
 * are not refused by poll(), and are looked at again after a while. */
static int
wait_by_select(
    const struct pollfd *fds, size_t n, const struct timespec *timeout)
{
	static const struct timespec a_while = {0, 10000000};
	fd_set in, out, pri;
	int max = -1;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&pri);
	for (size_t i = 0; i < n; i++) {
		if (fds[i].fd >= FD_SETSIZE) {
			timeout = clock_shorter(timeout, &a_while);
			continue;
		}
		if (fds[i].events & POLLIN)
			FD_SET(fds[i].fd, &in);
		if (fds[i].events & POLLOUT)
			FD_SET(fds[i].fd, &out);
		if (fds[i].events & POLLPRI)
			FD_SET(fds[i].fd, &pri);
		if (fds[i].fd > max)
			max = fds[i].fd;
	}
	return pselect(max + 1, &in, &out, &pri, timeout, NULL);
}

static int
wait_by_poll(struct pollfd *fds, size_t n, const struct timespec *timeout)
{
#if HAVE_PPOLL
	return ppoll(fds, (nfds_t)n, timeout, NULL);
#else
	return poll(
	    fds, (nfds_t)n, timeout != NULL ? clock_milliseconds(timeout) : -1);
#endif
}

int
refused_wait(struct refused *t, int fd, const struct timespec *timeout)
{
	struct pollfd few[FEW], *fds = few;
	bool selected;
	size_t n;
	int state, r;

	lock_acquire(&t->lock);
	if (t->count >= FEW) {
		fds = malloc((t->count + 1) * sizeof *fds);
		if (fds == NULL) {
			lock_release(&t->lock);
			return -ENOMEM;
		}
	}
	fds[0].fd = fd;
	fds[0].events = POLLIN;
	n = list(t, fds, &selected);
	lock_release(&t->lock);
	state = cancel_hold();
	r = selected ? wait_by_select(fds, n, timeout)
		     : wait_by_poll(fds, n, timeout);
	/* EBADF: one was closed, which the next look finds. */
	r = r < 0 && errno != EBADF ? -errno : 0;
	cancel_release(state);
	if (fds != few)
		free(fds);
	return r;
}
