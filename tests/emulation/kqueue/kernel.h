/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - what the files of the kqueue emulation share.
 *
 * kqueue.c   the system calls, waiting, close and fork
 * knote.c    knotes, and the changes that programs make to them
 * filter.c   what a BSD kernel would say about a Linux descriptor
 * process.c  processes, and what can be seen of them
 * timer.c    timers, and the clock that a kqueue has for them
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
#include <sys/types.h>

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
	bool knows_zombies;    /* PROC is added to a process that has ended,
				* and fires; else that is ESRCH */
	bool tells_status;     /* NOTE_EXIT comes with the wait status */
	bool restarts_timers;  /* EV_ADD of an old TIMER knote begins anew;
				* else the new time is that of the next
				* round */
	bool refuses_zero;     /* no time at all is EINVAL for TIMER */
	unsigned max_timers;   /* more of them are ENOMEM; 0: no limit */
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
	KIND_USER,     /* from here on, no descriptor of the program's */
	KIND_PROCESS,
	KIND_TIMER
};

/* As many children of a process are told from others. */
#define SIGHT_CHILDREN 16

/* What can be seen of a process that may change as it forks or execs. */
struct sight {
	uint64_t device, file; /* of the program that it runs; 0: unknown */
	uint64_t stack;        /* where its stack begins; 0: unknown */
	uint64_t faults;       /* page faults of children waited for */
	int count;             /* of children */
	pid_t children[SIGHT_CHILDREN];
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
	int hidden;      /* PROCESS: a pidfd, which is the emulation's; else
			  * -1 */
	unsigned notes;  /* PROCESS: what has happened and was not reported */
	int status;      /* PROCESS: of waitpid(), if NOTE_EXIT is there */
	struct sight sight; /* PROCESS: when it was last looked at */
	int64_t due;        /* TIMER: the next moment, in nanoseconds */
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
 * eventfd is readable while something in it is ready. Some of it gets ready as
 * time goes by, at a moment for which a timerfd, the clock, is set. All of
 * these are in the first instance, level-triggered, so that the kqueue is
 * readable when there is an event.
 *
 * One thread, the leader, waits for the first instance. The others, the
 * followers, wait for the baton, an eventfd: it is in an epoll instance of its
 * own, edge-triggered, so that each time it is written one of them wakes up.
 */
struct kqueue {
	LIST_ENTRY(kqueue) all;
	struct knote_list knotes; /* all */
	struct knote_list others; /* those without a descriptor, as those of
				   * one */
	struct knote_queue soft;
	int instances[INSTANCES]; /* the last one is -1 without EXCEPT */
	int softfd;               /* the eventfd of the soft list */
	int clock;                /* the timerfd of the soft list; -1 until
				   * there is something for it */
	unsigned clocked;         /* knotes in that list that need the clock */
	int baton;                /* the eventfd of the followers */
	int followers;            /* the instance that they wait in */
	bool soft_ready;          /* softfd is readable */
	bool closed;              /* by the program; threads wait on */
	bool inherited;           /* by a child: all of it is the parent's */
	bool led;                 /* there is a leader */
	bool passed;              /* the baton was written, and nobody woke
				   * from it yet */
	unsigned waiting;         /* followers */
	uint64_t scan;            /* counts the collections of events */
};

/* What is in the first instance beside descriptors, whose tokens are above:
 * 1 and 2 are the other instances. */
#define TOKEN_SOFT  3
#define TOKEN_CLOCK 4

/* In the place of the descriptor in the token of a knote that has none. */
#define TOKEN_OTHER UINT32_MAX

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
/* After a change of what the clock is for: looks at the whole soft list, and
 * sets the clock for what is next. */
void soft_settle(struct kqueue *kq);

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

/* process.c */
/* Begins to watch the process that the new knote names: an errno, or 0. */
int process_open(struct knote *kn);
/* After a change of the notes that are asked for. */
void process_again(struct knote *kn);
/* Notes what has happened to the process. */
void process_look(struct knote *kn);
void process_judge(const struct knote *kn, struct verdict *v);

/* timer.c */
/* The time, in nanoseconds. */
int64_t clock_now(void);
/* Gives kq a clock if it has none: an errno, or 0. */
int clock_open(struct kqueue *kq);
/* Sets the clock of kq for that moment, or stops it for INT64_MAX. */
void clock_set(const struct kqueue *kq, int64_t moment);
/* Begins to count the time of the knote: an errno, or 0. */
int timer_open(struct knote *kn);
/* After EV_ADD of a knote that is there, which has the new time already. */
void timer_again(struct knote *kn);
/* The time that a change asks for: EINVAL, or 0. */
int timer_check(const struct kevent *change);
/* The knote goes. */
void timer_close(void);
void timer_judge(const struct knote *kn, struct verdict *v);
/* What was reported is over. */
void timer_reported(struct knote *kn, const struct verdict *v);

#endif
