/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - what the files of the kqueue emulation share.
 *
 * kqueue.c   the system calls, waiting, close and fork
 * knote.c    knotes, and the changes that programs make to them
 * filter.c   what a BSD kernel would say about a Linux descriptor
 * system.c   in what the emulated systems differ
 * poll.c     poll() of a system that knows no devices there
 * socket.c   getpeername() of a system that forgets a peer that is gone
 *
 * One lock guards everything; whoever holds it has all signals blocked, so
 * that a handler may call kevent() or close(). Functions without another
 * comment on it are called with the lock held.
 */
#ifndef EMULATION_KERNEL_H
#define EMULATION_KERNEL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "sys/event.h"

/* In what the systems differ. */
struct system {
	const char *name;      /* in POLLING_EMULATION */
	bool reports_add;      /* EV_ADD is in the flags of events */
	bool overwrites;       /* a change without EV_ADD replaces udata,
				* fflags and data of the knote too */
	bool enable_is_deaf;   /* EV_ENABLE without EV_ADD does not look
				* whether the descriptor is ready */
	bool has_kqueue1;      /* kqueue1() */
	bool has_user;         /* EVFILT_USER */
	bool has_except;       /* EVFILT_EXCEPT */
	bool add_triggers;     /* EV_ADD with NOTE_TRIGGER makes a new USER
				* knote fire */
	bool add_sets_clear;   /* EV_ADD of an old USER knote changes its
				* EV_CLEAR */
	bool refuses_devices;  /* EINVAL for terminals, other devices and
				* directories */
	int device_error;      /* for a device that never blocks; 0: ready */
	int gone_peer_error;   /* for the name of a UNIX socket's peer that has
				* closed */
	int broken_pipe_error; /* for adding WRITE when no reader is left */
	bool drops_broken;     /* a WRITE knote of a pipe goes with the last
				* reader */
	bool writes_anywhere;  /* WRITE is ready on the read end of a pipe */
	bool repeats_reopened; /* one more event of a FIFO opened again */
};

/* The one of the environment. A name that it does not know ends the process.
 * Needs no lock. */
const struct system *emulated_system(void);

enum kind {
	KIND_FILE,     /* a regular file or a directory */
	KIND_DEVICE,   /* a device that epoll does not take */
	KIND_PIPE,     /* without a name */
	KIND_FIFO,     /* with a name */
	KIND_TCP,      /* a TCP socket */
	KIND_UNIX,     /* a stream socket of the UNIX domain */
	KIND_SOCKET,   /* any other socket */
	KIND_KQUEUE,   /* an emulated one */
	KIND_TERMINAL, /* or a pseudo-terminal */
	KIND_POLLABLE, /* anything else that epoll takes */
	KIND_USER      /* no descriptor */
};

/* One registration. */
struct knote {
	LIST_ENTRY(knote)
	beside;                    /* of the same descriptor or, being freed,
				    * unused */
	LIST_ENTRY(knote) owned;   /* by the same kqueue */
	TAILQ_ENTRY(knote) listed; /* in the soft list, if soft */
	struct kqueue *kq;
	struct kevent event; /* flags, fflags, data: as they were set */
	uint32_t generation; /* never 0; tells it from knotes before it at
			      * the same number */
	enum kind kind;
	int access;        /* O_RDONLY and so on */
	uint64_t scan;     /* of the kqueue, when it was last judged */
	int64_t seen_data; /* when it was last reported */
	bool seen_eof;     /* likewise */
	bool disabled;
	bool dispatched; /* disabled by EV_DISPATCH */
	bool watched;    /* in an epoll instance */
	int instance;    /* which one, if so */
	bool quiet;      /* there edge-triggered although the knote is
			  * not: Linux says ready, BSD does not */
	bool deaf;       /* drop the first report, it is old news */
	bool soft;       /* in the soft list */
	bool triggered;  /* USER */
};

LIST_HEAD(knote_list, knote);
TAILQ_HEAD(knote_queue, knote);

/* A descriptor has no more filters than that, and an epoll instance takes it
 * but once. */
#define INSTANCES 3

/*
 * A kqueue. What it returns as its descriptor is the first epoll instance;
 * the others take the further filters of the same descriptor. What epoll
 * cannot watch is in the soft list, which is looked through by hand; an
 * eventfd is readable while something in it is ready. All of these are in
 * the first instance, level-triggered, so that the kqueue is readable when
 * there is an event.
 *
 * One thread, the leader, waits for the first instance. The others, the
 * followers, wait for the baton, an eventfd: it is in an epoll instance of its
 * own, edge-triggered, so that each time it is written one of them wakes up.
 */
struct kqueue {
	LIST_ENTRY(kqueue) all;
	struct knote_list knotes; /* all */
	struct knote_list users;  /* those of USER, as those of a descriptor */
	struct knote_queue soft;
	int instances[INSTANCES]; /* the last one is -1 without EXCEPT */
	int softfd;               /* the eventfd of the soft list */
	int baton;                /* the eventfd of the followers */
	int followers;            /* the instance that they wait in */
	bool soft_ready;          /* softfd is readable */
	bool closed;              /* by the program; threads wait on */
	bool led;                 /* there is a leader */
	bool passed;              /* the baton was written, and nobody woke
				   * from it yet */
	unsigned waiting;         /* followers */
	uint64_t scan;            /* counts the collections of events */
};

/* What is in the first instance beside descriptors, whose tokens are above:
 * 1 and 2 are the other instances. */
#define TOKEN_SOFT 3

/* What a filter says. */
struct verdict {
	bool ready;
	bool eof; /* EV_EOF */
	unsigned fflags;
	int64_t data;
};

/* knote.c */
struct knote *knote_of_token(struct kqueue *kq, uint64_t token);
/* The kqueue that is open as fd, or NULL. */
struct kqueue *kqueue_of(int fd);
/* Makes kq the kqueue of fd, or none if it is NULL. An errno, or 0. */
int kqueue_name(int fd, struct kqueue *kq);
/* Applies one change: an errno, or 0. Sets *receipt if it is to be answered
 * all the same. */
int knote_change(struct kqueue *kq, const struct kevent *change, bool *receipt);
/* Forgets the knote, wherever it is. */
void knote_drop(struct knote *kn);
/* Forgets all knotes of a descriptor, in every kqueue. */
void knote_drop_fd(int fd);
/* After a report, as the flags of the knote say. */
void knote_reported(struct knote *kn, const struct verdict *v);
/* Not ready, although epoll says so: true if it will say so once more. */
bool knote_hush(struct knote *kn);
/* Lets epoll report the knote again if it is still ready. */
void knote_repeat(struct knote *kn);

/* The soft list: whether something in it is ready for all that is known. */
void soft_set_ready(struct kqueue *kq, bool ready);
/* Looks at a knote of the soft list. */
void soft_judge(struct knote *kn, struct verdict *v);

/* Memory for objects of one size, which is not the program's: a test that
 * lets malloc() fail is not to meet it. NULL if there is none. */
struct pool {
	size_t size;     /* of an object, at least a pointer's */
	void *free_list; /* linked through the objects */
};

void *pool_take(struct pool *pool); /* zeroed */
void pool_give(struct pool *pool, void *object);

/* poll.c */
/* What Linux's own poll() says, without blocking and without being a
 * cancellation point. Needs no lock. */
int poll_here(struct pollfd *fds, nfds_t count);

/* filter.c */
/* What fd is, and how it is open: an errno, or 0. */
int filter_kind(int fd, enum kind *kind, int *access);
/* Whether a knote can be added: an errno, or 0. */
int filter_check(const struct knote *kn);
/* What Linux says about the descriptor of the knote now: EPOLLIN and so on. */
uint32_t filter_look(const struct knote *kn);
/* What epoll is asked for. */
uint32_t filter_mask(short filter);
/* What the emulated system says, if Linux says this. */
void filter_judge(
    const struct knote *kn, uint32_t conditions, struct verdict *v);

#endif
