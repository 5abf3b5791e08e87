/* SPDX-License-Identifier: MIT */
/*
 * file.h - descriptors that never block: files, directories, /dev/null.
 *
 * Some kernels refuse to watch them. They are always ready, so the core
 * reports them by itself: armed ones stand in a queue, a wait takes them from
 * its head, and a level-triggered one goes back to its end. The records of
 * the sources hold the links; the poller's lock guards all.
 */
#ifndef LIBPOLLING_FILE_H
#define LIBPOLLING_FILE_H

#include <errno.h>
#include <sys/types.h>

#include "namespace.h"
#include "registry.h"

struct file_queue {
	int32_t head;      /* the next to report, NO_FD if there is none */
	int32_t tail;      /* the last */
	unsigned count;    /* armed files in the queue */
	unsigned removals; /* how often one was taken from it */
};

#if HAVE_HANDLES
/* A SOCKET is never a file, so the queue stays empty. */
static inline int
file_add(struct file_queue *q, struct registry *r, int fd, struct source *s)
{
	(void)q;
	(void)r;
	(void)fd;
	(void)s;
	return -EBADF;
}

static inline void
file_modify(struct file_queue *q, struct registry *r, int fd, struct source *s)
{
	(void)q;
	(void)r;
	(void)fd;
	(void)s;
}

static inline void
file_remove(struct file_queue *q, struct registry *r, int fd, struct source *s)
{
	(void)q;
	(void)r;
	(void)fd;
	(void)s;
}

static inline bool
file_known(int fd, const struct source *s)
{
	(void)fd;
	(void)s;
	return false;
}

static inline int
file_collect(struct file_queue *q, struct registry *r,
    struct polling_event *out, int max, unsigned *budget)
{
	(void)q;
	(void)r;
	(void)out;
	(void)max;
	(void)budget;
	return 0;
}
#else
/* A number that tells the open file behind fd from most others. Returns 0 or
 * a negative errno, -EBADF if nothing is open there. */
int file_identity(int fd, uint32_t *identity);

/* Whether the file behind fd is the one with this identity. If it cannot be
 * asked, for want of memory or since its server does not answer, fd is open all
 * the same, and taken for it. */
bool file_is(int fd, uint32_t identity);

/* The identity, and the file's type as in st_mode. */
int file_inspect(int fd, uint32_t *identity, mode_t *mode);

/* Whether fd, whose mode is known, is a file or directory: 1 or 0, or -EBADF
 * for one that is open as a name only (O_PATH on Linux and FreeBSD). */
int file_never_blocks(int fd, mode_t mode);

/* Marks s as a file and queues it if it is armed. Returns 0 or a negative
 * errno. */
int file_add(
    struct file_queue *q, struct registry *r, int fd, struct source *s);

/* Queues s anew after its interest or mode has changed. */
void file_modify(
    struct file_queue *q, struct registry *r, int fd, struct source *s);

/* Takes s from the queue if it is there. */
void file_remove(
    struct file_queue *q, struct registry *r, int fd, struct source *s);

/* Whether fd is still the file that was added. */
bool file_known(int fd, const struct source *s);

/* For a backend that keeps the identity of each source in its slot: removes
 * from r the sources, apart from files, whose number is another one's now. */
void file_prune(struct registry *r);

/* Stores at most max events in out, looking at no more than *budget files,
 * which it counts down: q->count at the start of a wait keeps each file to
 * one event. Drops files that were closed. Returns the number of events. */
int file_collect(struct file_queue *q, struct registry *r,
    struct polling_event *out, int max, unsigned *budget);

#endif

#endif
