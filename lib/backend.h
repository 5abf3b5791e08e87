/* SPDX-License-Identifier: MIT */
/*
 * backend.h - the seam between the core and a kernel.
 *
 * Exactly one backend is linked, so these are plain functions. A backend
 * translates: what is reported, to whom and how often is the core's business.
 * Every function returns 0, or a count, or a negative errno; none prints,
 * aborts or sets errno on purpose.
 *
 * What every backend gives the core:
 * - A source in a oneshot mode is reported by the kernel, or by the backend
 *   in its stead, once; it is then silent until backend_apply() arms it.
 * - The core may drop a report. It then arms the source again if it is still
 *   armed.
 *
 * A source is known by its place in the registry, which is its descriptor fd
 * where these are small numbers; see registry.h.
 *
 * "Locked" means that the caller holds the poller's lock.
 */
#ifndef LIBPOLLING_BACKEND_H
#define LIBPOLLING_BACKEND_H

#include <stdbool.h>
#include <time.h>

#include "namespace.h"
#include "registry.h"

/* A backend's own state for one poller. */
struct backend;

/* One source that the kernel reports. */
struct ready {
	int fd;              /* with generation, the source */
	uint32_t generation; /* its record's when the kernel was told */
	uint32_t conditions; /* POLLING_ bits that hold, or CONDITION_ bits */
};

/* The kernel finds the descriptor closed: the source is gone. */
#define CONDITION_CLOSED 0x80000000u
/* The kernel's report does not say all: backend_look() is to be asked. */
#define CONDITION_LOOK 0x40000000u
/* A report of a process, in POLLING_EXIT and so on. fd is the complement of its
 * id, so that it fits no descriptor, and generation is the process's. */
#define CONDITION_PROCESS 0x20000000u
/* With CONDITION_LOOK the backend may use these bits for itself. */
#define CONDITION_PRIVATE 0x0f000000u

/* backend_add(): the kernel does not watch this one, it never blocks. */
#define BACKEND_NEVER_BLOCKS 1

/* The largest batch that one backend_wait() is asked for. */
#define READY_MAX 256

/* What polling_backend() says. A constant. */
extern const char backend_name[];

/* backend_knows() is asked about a source's reports further and further apart,
 * up to this many of them; 0 if a kernel makes no reports of descriptors that
 * were closed, so that it need not be asked. */
extern const uint16_t backend_verify_max;

/* Makes the state for a poller whose sources are in r, which outlives it. Not
 * locked. */
int backend_open(struct backend **b, struct registry *r);

/* Frees it. Not locked; no other thread is inside. inherited: this is a forked
 * child and the kernel's part belongs to the parent, which must notice nothing.
 */
void backend_close(struct backend *b, bool inherited);

/* A bit (1u << POLLING_FEATURE_...) for each feature that it has. */
uint32_t backend_features(const struct backend *b);

/* Tells the kernel of the new source s. Returns 0, BACKEND_NEVER_BLOCKS, or
 * the kernel's error, with nothing left behind. A dead registration of the
 * same number must not stand in the way. Locked. */
int backend_add(struct backend *b, int fd, struct source *s);

/* Whether the kernel, as far as it can be asked, still watches for s the
 * descriptor that was added. On false the core forgets the source,
 * and the backend copes with what the kernel may have kept of it. Locked. */
bool backend_knows(struct backend *b, int fd, struct source *s);

/* In a forked child, with the inherited state: removes from the registry the
 * sources whose numbers the child has put to another use since the fork, as
 * far as that can be found out without disturbing the parent. Returns 0, or a
 * negative errno if that takes descriptors or memory which are not there. Not
 * needed where there is no fork(). Locked. */
int backend_prune(struct backend *b);

/* Whether the change that s has just seen is one that the kernel must be told
 * of, and so goes to the list of changes. Locked. */
bool backend_heeds(const struct backend *b, const struct source *s);

/* Brings the kernel up to date with the registry's list of changes. A source
 * that the kernel no longer knows is removed from the registry. Returns 0, or
 * the negative errno of a lack of memory or the like: then what the kernel was
 * not told of is on the list, and the core tries again before long. With 0 it
 * may leave changes there only if it has woken the thread that stands in the
 * way, which will apply them before it waits again. Unless at_once, the
 * calling thread goes on to backend_wait(), which may take the changes along.
 * Locked. */
int backend_apply(struct backend *b, bool at_once);

/* Ends the watching of s; what the kernel says makes no difference. Locked. */
void backend_remove(struct backend *b, int fd, struct source *s);

/* What holds of s now, of which the kernel reported conditions with
 * CONDITION_LOOK: POLLING_ bits, or CONDITION_CLOSED, or nothing. Locked. */
uint32_t backend_look(
    struct backend *b, int fd, struct source *s, uint32_t conditions);

/* Told of a report that fits no source: it was removed after the kernel had
 * reported it, or the kernel keeps what it should have forgotten. The number
 * may be in use for another source. Locked. */
void backend_stale(struct backend *b, int fd);

/* Told of a report of s, which is disarmed. True if this has ended such
 * reports, in whose place there may be others now. It may forget s. Locked. */
bool backend_unwanted(struct backend *b, int fd, struct source *s);

/* Told of a report of s, an armed oneshot source without KERNEL_ONESHOT, that
 * some source was changed since the wait began: the report may be of the time
 * before s was armed. True if it is not to count; if what it says holds there
 * will be another one. It may forget s. Locked. */
bool backend_doubts(struct backend *b, int fd, struct source *s);

/* Waits for at most timeout, without limit if that is NULL, and stores at
 * most capacity (1 to READY_MAX) reports. 0 says nothing: the time may be
 * over, or somebody called backend_wake(), or it is just as well to look at
 * the poller again. -EINTR if a signal handler ran. Not locked; any number of
 * threads at a time. */
int backend_wait(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout);

/* Makes one thread return from backend_wait(), now or, if none is there, the
 * next one that would block. Safe in signal handlers; not locked. */
int backend_wake(struct backend *b);

/* Has what backend_fd() returned become readable at a moment of the monotonic
 * clock, or not for that reason if it is NULL. It stays readable until the next
 * call or the next backend_wait(). False if it could not be set for now. Called
 * only once backend_fd() has been. Locked. */
bool backend_alarm(struct backend *b, const struct timespec *at);

/* Watches a process for its end and for what, which is POLLING_FORK and
 * POLLING_EXEC or less, until its end or backend_remove_process(); reports
 * carry the generation. One that is watched is from now on watched for this
 * instead. Returns 0, -ESRCH, also for one that has ended, -ENOTSUP if this
 * kernel has no such thing, or another negative errno, and then has changed
 * nothing. Locked. */
int backend_add_process(
    struct backend *b, polling_pid pid, uint32_t what, uint32_t generation);
void backend_remove_process(struct backend *b, polling_pid pid);

#if HAVE_HANDLES
/* Fills in what holds now of the sources that backend_wait() has reported.
 * Locked. */
void backend_look_at_all(struct backend *b, struct ready *ready, int n);

/* What polling_get_handle() returns. Not locked. */
void *backend_handle(const struct backend *b);
#else
/* The descriptor for polling_get_fd(), made at the first call; -ENOTSUP if
 * this kernel has none. Locked. */
int backend_fd(struct backend *b);
#endif

#endif
