/* SPDX-License-Identifier: MIT */
/*
 * filter.c - what a BSD kernel would say about a Linux descriptor.
 *
 * Linux has one set of conditions for a descriptor, BSD two directions with
 * an end each. The hard part is to tell them apart without taking anything
 * away: SO_ERROR is gone once it is read, so the number of a pending error
 * is deduced from the rest of the socket's state instead.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* F_GETPIPE_SZ, POLLRDHUP */
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "kernel.h"

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT &&
		   EPOLLPRI == POLLPRI && EPOLLERR == POLLERR &&
		   EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP,
    "conditions are the same for poll() and epoll");

/* States of TCP in which this side has sent its FIN: linux/tcp_states.h,
 * which is not for programs. */
enum {
	STATE_FIN_WAIT1 = 4,
	STATE_FIN_WAIT2 = 5,
	STATE_TIME_WAIT = 6,
	STATE_LAST_ACK = 9,
	STATE_CLOSING = 11
};

static int
descriptor(const struct knote *kn)
{
	return (int)kn->event.ident;
}

/* A socket option that is a number, or 0. */
static int
option(int fd, int name)
{
	int value = 0;
	socklen_t length = sizeof value;

	if (getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0)
		return 0;
	return value;
}

static enum kind
socket_kind(int fd)
{
	if (option(fd, SO_TYPE) != SOCK_STREAM)
		return KIND_SOCKET;
	if (option(fd, SO_DOMAIN) == AF_UNIX)
		return KIND_UNIX;
	return option(fd, SO_PROTOCOL) == IPPROTO_TCP ? KIND_TCP : KIND_SOCKET;
}

static enum kind
fifo_kind(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC)
		return KIND_PIPE;
	return KIND_FIFO;
}

int
filter_kind(int fd, enum kind *kind, int *access)
{
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || (flags & O_PATH) || fstat(fd, &st) < 0)
		return EBADF;
	*access = flags & O_ACCMODE;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		*kind = KIND_FILE;
	else if (S_ISSOCK(st.st_mode))
		*kind = socket_kind(fd);
	else if (S_ISFIFO(st.st_mode))
		*kind = fifo_kind(fd);
	else if (S_ISCHR(st.st_mode))
		*kind = isatty(fd) || st.st_rdev == makedev(5, 0)
			    ? KIND_TERMINAL
			    : KIND_DEVICE;
	else
		*kind = kqueue_of(fd) != NULL ? KIND_KQUEUE : KIND_POLLABLE;
	return 0;
}

static bool
is_socket(enum kind kind)
{
	return kind == KIND_TCP || kind == KIND_UNIX || kind == KIND_SOCKET;
}

static bool
is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int
filter_check(const struct knote *kn)
{
	const struct system *system = emulated_system();
	int fd = descriptor(kn);

	if (kn->event.filter == EVFILT_EXCEPT)
		return is_socket(kn->kind) ? 0 : EINVAL;
	if (system->refuses_devices &&
	    (kn->kind == KIND_TERMINAL || kn->kind == KIND_DEVICE ||
		(kn->kind == KIND_FILE && is_directory(fd))))
		return EINVAL;
	if (kn->kind == KIND_KQUEUE &&
	    (kn->event.filter != EVFILT_READ || kqueue_of(fd) == kn->kq))
		return EINVAL;
	/* A pipe without a reader, or the read end of one without a writer:
	 * of a FIFO the other end is but closed, it is still there. */
	if (kn->kind == KIND_PIPE && kn->event.filter == EVFILT_WRITE &&
	    (filter_look(kn) & (EPOLLERR | EPOLLHUP)))
		return system->broken_pipe_error;
	return 0;
}

uint32_t
filter_look(const struct knote *kn)
{
	struct pollfd p = {.fd = descriptor(kn),
	    .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};

	if (poll(&p, 1, 0) != 1)
		return 0;
	return (uint32_t)p.revents;
}

uint32_t
filter_mask(short filter)
{
	if (filter == EVFILT_READ)
		return EPOLLIN | EPOLLRDHUP;
	if (filter == EVFILT_PROC)
		return EPOLLIN;
	return filter == EVFILT_WRITE ? EPOLLOUT : EPOLLPRI;
}

/* Bytes to be read, or -1 if there is no telling. */
static int64_t
readable_bytes(int fd)
{
	int n;

	return ioctl(fd, FIONREAD, &n) < 0 ? -1 : n;
}

/* Whether n bytes are enough for the knote. */
static bool
is_enough(const struct knote *kn, int64_t n)
{
	return !(kn->event.fflags & NOTE_LOWAT) || n >= kn->event.data;
}

static void
tcp_state(int fd, struct tcp_info *info)
{
	socklen_t length = sizeof *info;

	memset(info, 0, sizeof *info);
	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length);
}

/* The error that is pending, without taking it. */
static unsigned
socket_error(const struct knote *kn, uint32_t conditions)
{
	struct tcp_info info;

	if (!(conditions & EPOLLERR))
		return 0;
	if (kn->kind != KIND_TCP)
		return ECONNRESET;
	tcp_state(descriptor(kn), &info);
	/* No answer to a packet of ours was ever measured. */
	if (info.tcpi_rtt == 0 && info.tcpi_delivered == 0)
		return ECONNREFUSED;
	return ECONNRESET;
}

static void
read_socket(const struct knote *kn, uint32_t conditions, struct verdict *v)
{
	v->data = readable_bytes(descriptor(kn));
	/* One that listens. */
	if (v->data < 0)
		v->data = conditions & EPOLLIN ? 1 : 0;
	if (conditions & EPOLLRDHUP) {
		v->eof = true;
		v->fflags = socket_error(kn, conditions);
		v->ready = true;
	} else if (conditions & EPOLLERR) {
		v->ready = true;
	} else {
		/* A hang-up without the above is one never connected. */
		v->ready = (conditions & EPOLLIN) && is_enough(kn, v->data);
	}
}

/* Whether this end of the connection has stopped writing. Linux tells of
 * that only when both directions are over. */
static bool
is_shut_for_writing(const struct knote *kn)
{
	struct tcp_info info;

	if (kn->kind == KIND_UNIX)
		return send(descriptor(kn), NULL, 0,
			   MSG_NOSIGNAL | MSG_DONTWAIT) < 0 &&
		       errno == EPIPE;
	if (kn->kind != KIND_TCP)
		return false;
	tcp_state(descriptor(kn), &info);
	switch (info.tcpi_state) {
	case STATE_FIN_WAIT1:
	case STATE_FIN_WAIT2:
	case STATE_TIME_WAIT:
	case STATE_LAST_ACK:
	case STATE_CLOSING:
		return true;
	default:
		return false;
	}
}

/* Bytes that a socket would take, at least 1. */
static int64_t
writable_bytes(int fd)
{
	int queued = 0;
	int64_t n = option(fd, SO_SNDBUF);

	if (ioctl(fd, SIOCOUTQ, &queued) == 0)
		n -= queued;
	return n < 1 ? 1 : n;
}

static void
write_socket(const struct knote *kn, uint32_t conditions, struct verdict *v)
{
	const uint32_t over = EPOLLHUP | EPOLLRDHUP;

	/* The instance of WRITE does not ask for RDHUP. */
	if (conditions & EPOLLHUP)
		conditions = filter_look(kn);
	if (conditions & EPOLLOUT)
		v->data = writable_bytes(descriptor(kn));
	if ((conditions & over) == over || is_shut_for_writing(kn)) {
		v->eof = true;
		v->fflags = socket_error(kn, conditions);
		v->ready = true;
	} else if (conditions & EPOLLERR) {
		v->ready = true;
	} else if ((conditions & EPOLLHUP) && kn->kind != KIND_SOCKET) {
		/* Never connected. */
		v->ready = false;
	} else {
		v->ready = (conditions & EPOLLOUT) && is_enough(kn, v->data);
	}
}

static void
read_pipe(const struct knote *kn, uint32_t conditions, struct verdict *v)
{
	if (kn->access == O_WRONLY) {
		/* BSD pipes have two directions; here nobody writes. */
		v->eof = conditions & EPOLLERR;
		v->ready = v->eof;
		return;
	}
	v->data = readable_bytes(descriptor(kn));
	v->eof = conditions & EPOLLHUP;
	v->ready = v->eof || (v->data > 0 && is_enough(kn, v->data));
	if (kn->kind == KIND_FIFO && kn->seen_eof && !v->eof &&
	    emulated_system()->repeats_reopened)
		v->ready = true;
}

static void
write_pipe(const struct knote *kn, uint32_t conditions, struct verdict *v)
{
	int64_t capacity = fcntl(descriptor(kn), F_GETPIPE_SZ);

	if (kn->access == O_RDONLY) {
		v->eof = conditions & EPOLLHUP;
		v->data = capacity;
		v->ready = v->eof || emulated_system()->writes_anywhere;
		return;
	}
	v->eof = conditions & EPOLLERR;
	if (!v->eof)
		v->data = capacity - readable_bytes(descriptor(kn));
	/* Linux fills whole pages: there is room if one of them is free,
	 * which makes 4096 bytes. */
	v->ready = v->eof ||
		   ((conditions & EPOLLOUT) && is_enough(kn, v->data));
}

/* Files never tell that they have changed: whoever looks must look again. */
static void
judge_file(const struct knote *kn, struct verdict *v)
{
	struct stat st;
	off_t offset = lseek(descriptor(kn), 0, SEEK_CUR);

	if (kn->event.filter == EVFILT_WRITE) {
		v->ready = true;
	} else if (offset >= 0 && fstat(descriptor(kn), &st) == 0) {
		v->data = st.st_size - offset;
		v->ready = v->data != 0;
	}
}

static void
judge_other(const struct knote *kn, uint32_t conditions, struct verdict *v)
{
	uint32_t wanted = filter_mask(kn->event.filter) & (EPOLLIN | EPOLLOUT);

	v->eof = conditions & EPOLLHUP;
	v->ready = conditions & (wanted | EPOLLHUP | EPOLLERR);
	if (kn->event.filter == EVFILT_READ && kn->kind != KIND_KQUEUE)
		v->data = readable_bytes(descriptor(kn));
	if ((conditions & wanted) && v->data <= 0)
		v->data = 1;
}

static void
judge_user(const struct knote *kn, struct verdict *v)
{
	v->ready = kn->triggered;
	v->fflags = kn->event.fflags & NOTE_FFLAGSMASK;
	v->data = kn->event.data;
}

static void
judge_except(const struct knote *kn, uint32_t conditions, struct verdict *v)
{
	v->ready = (conditions & EPOLLPRI) && (kn->event.fflags & NOTE_OOB);
	v->fflags = v->ready ? NOTE_OOB : 0;
}

void
filter_judge(const struct knote *kn, uint32_t conditions, struct verdict *v)
{
	bool reads = kn->event.filter == EVFILT_READ;

	*v = (struct verdict){0};
	if (kn->event.filter == EVFILT_EXCEPT) {
		judge_except(kn, conditions, v);
		return;
	}
	switch (kn->kind) {
	case KIND_USER:
		judge_user(kn, v);
		break;
	case KIND_PROCESS:
		process_judge(kn, v);
		break;
	case KIND_TIMER:
		timer_judge(kn, v);
		break;
	case KIND_FILE:
		judge_file(kn, v);
		break;
	case KIND_PIPE:
	case KIND_FIFO:
		(reads ? read_pipe : write_pipe)(kn, conditions, v);
		break;
	case KIND_TCP:
	case KIND_UNIX:
	case KIND_SOCKET:
		(reads ? read_socket : write_socket)(kn, conditions, v);
		break;
	case KIND_DEVICE:
		if (!kn->watched) {
			v->ready = true;
			break;
		}
		/* FALLTHROUGH */
	case KIND_KQUEUE:
	case KIND_TERMINAL:
	case KIND_POLLABLE:
		judge_other(kn, conditions, v);
		break;
	}
}
