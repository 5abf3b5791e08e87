/* SPDX-License-Identifier: MIT */
/*
 * kqueue.c - the backend for the BSDs and the Apple systems.
 *
 * A kqueue watches a descriptor through filters, one for each direction, and
 * each makes a "knote" of its own with its own flags. Here they are one
 * source: what the knotes of one descriptor report in one call is merged, and
 * udata carries the source's generation.
 *
 * How a source is watched follows from its interest and mode; wanted() says
 * it in K_ bits, which are also kept in the record as what the kernel was
 * told. Reading and writing are watched by knotes with EV_DISPATCH in the
 * oneshot modes, which the kernel disables as they fire; with EV_CLEAR in the
 * edge mode; without either in the level mode. If the interest leaves a
 * direction out in which a hang-up may come, a "quiet" knote watches it:
 * EV_CLEAR, so that data makes no noise again and again, and backend_wait()
 * drops what is not an end of file. A kernel cannot change the flags of a
 * knote, so it is deleted and added if they change.
 *
 * Re-arming a oneshot source with the interest that it had is what programs do
 * most. It takes one EV_ENABLE for each knote, which waits in a list until the
 * next kevent() takes it along. Everything else is done at once under the
 * poller's lock. Nothing but EV_ENABLE may be on that list: while a thread is
 * on its way to the kernel with it, another may change or delete the same
 * source, and then it comes too late. An EV_ENABLE that is too late makes a
 * report too many, which the core drops, or at worst puts back an old
 * generation, which backend_stale() mends; an EV_ADD or EV_DISABLE would do
 * harm.
 *
 * EV_EOF speaks of one direction, but a hang-up is when both are over, so
 * backend_look() asks about the other one. It asks a second kqueue, the lens,
 * whose knotes nobody waits for: poll() would do on some systems, and on
 * others it reports no hang-up of sockets, or one when reading alone is over.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "backend.h"
#include "cancel.h"
#include "clock.h"
#include "file.h"
#include "lock.h"
#include "refused.h"
#include "wakeup.h"

/* The filters, as indices and bits, in the order in which they are told. */
enum { READ, WRITE, EXCEPT, FILTERS };

#if defined(EVFILT_EXCEPT) && defined(NOTE_OOB)
#define FILTER_EXCEPT EVFILT_EXCEPT
#define EXCEPT_FLAGS  NOTE_OOB
#else
/* FreeBSD up to 13 and NetBSD. It stands for nothing: has_except is false. */
#define FILTER_EXCEPT EVFILT_READ
#define EXCEPT_FLAGS  0
#endif

/* The width and sign of a filter differ between systems. */
static const struct kevent filters[FILTERS] = {[READ] = {.filter = EVFILT_READ},
    [WRITE] = {.filter = EVFILT_WRITE},
    [EXCEPT] = {.filter = FILTER_EXCEPT}};

/* In struct source.kernel, within KERNEL_KEPT: how it is watched. */
#define K_KNOTE(i)    (0x10000u << (i)) /* the knote of filter i exists */
#define K_KNOTES      (0x70000u)
#define K_QUIET(i)    (0x80000u << (i)) /* it is for EV_EOF only */
#define K_QUIETS      (0x180000u)       /* of reading and writing */
#define K_DISPATCH    0x200000u         /* of those that are not quiet */
#define K_CLEAR       0x400000u         /* likewise */
#define K_READ_ONLY   0x800000u         /* a pipe's end for reading */
#define K_WRITE_ONLY  0x1000000u        /* one for writing */
#define K_PIPE        (K_READ_ONLY | K_WRITE_ONLY) /* any; both bits: both */
#define K_REFUSED     0x2000000u /* in the table of refused ones instead */
#define K_UNCONNECTED 0x4000000u /* in that table too */
#define K_REARM       0x8000000u /* level, and a quiet knote has fired */
#define K_SHAPE       (K_KNOTES | K_QUIETS | K_DISPATCH | K_CLEAR)
/* Outside of it: the knotes are enabled. With K_DISPATCH it is KERNEL_ONESHOT
 * that says so, until one has fired. */
#define K_ENABLED 1u

/* With CONDITION_LOOK. */
#define SEEN_READ_EOF  0x1000000u /* reading is over */
#define SEEN_WRITE_EOF 0x2000000u /* writing is over */
#define SEEN_QUIET     0x4000000u /* by a knote that reports edges only */
#define SEEN_NO_DATA   0x8000000u /* readable, but there is nothing */
/* With all of these nothing was seen: the knotes are gone. */
#define SEEN_GONE CONDITION_PRIVATE

/* In udata, beside the generation, which a wake-up has none of. */
#define TOKEN_QUIET 0x80000000u
#define WAKE_TOKEN  0u

/* The number of the timer behind backend_alarm(). */
#define ALARM_IDENT 1

/* Changes that wait for the next kevent(). */
#define STAGED_MAX 64

/* Changes for one source: a check, and for each filter one to delete it and
 * one to add it. */
#define PLAN_MAX (1 + 2 * FILTERS)

/* Buckets for the merging of reports. */
#define BUCKETS (2 * READY_MAX)

struct backend {
	int kq;
	int lens;           /* for backend_look(); locked */
	bool has_user;      /* EVFILT_USER wakes, else a pipe does */
	bool has_except;    /* EVFILT_EXCEPT reports urgent data */
	bool enable_looks;  /* EV_ENABLE alone reports what is ready */
	struct wakeup wake; /* unless has_user */
	struct registry *registry;
	struct lock lock;        /* guards the staged changes */
	atomic_int staged_count; /* of the array */
	atomic_uint blocked;     /* threads that may block in kevent() */
	atomic_bool exposed;     /* others may look whether kq is readable */
	struct refused refused;
	struct kevent staged[STAGED_MAX];
};

const char backend_name[] = "kqueue";

/* With the last descriptor of a number its knotes are gone. */
const uint16_t backend_verify_max = 0;

static const struct timespec zero;

/* NetBSD takes no timeout beyond 100,000,000 s, nor does macOS in select(); the
 * core waits again. */
static const struct timespec longest = {86400, 0};

/* What this process has found out about its kernel. */
enum { KERNEL_ASKED = 1, KERNEL_EXCEPT = 2, KERNEL_ENABLE_LOOKS = 4 };
static atomic_int kernel_traits;

/* kevent() with a negative errno, and no cancellation point, which it is on
 * FreeBSD. It counts in int, or on NetBSD in size_t: what is narrower than
 * both becomes either. */
static int
call(int kq, const struct kevent *changes, int count, struct kevent *events,
    int room, const struct timespec *timeout)
{
	int state = cancel_hold();
	int n = kevent(
	    kq, changes, (uint16_t)count, events, (uint16_t)room, timeout);

	if (n < 0)
		n = -errno;
	cancel_release(state);
	return n;
}

/* Makes changes and collects nothing. Stops at the first that fails, or goes
 * on, as the kernel likes. */
static int
change(int kq, const struct kevent *changes, int count)
{
	return call(kq, changes, count, NULL, 0, &zero);
}

static void
set(struct kevent *k, int fd, int filter, int flags, uint32_t token)
{
	memset(k, 0, sizeof *k);
	EV_SET(k, (uintptr_t)fd, filters[filter].filter, (unsigned short)flags,
	    filter == EXCEPT ? EXCEPT_FLAGS : 0, 0, (void *)(uintptr_t)token);
}

static uint32_t
token_of(const struct kevent *k)
{
	return (uint32_t)(uintptr_t)k->udata;
}

static int
new_kqueue(void)
{
	int kq;

#if HAVE_KQUEUE1
	kq = kqueue1(O_CLOEXEC);
	if (kq >= 0 || errno != ENOSYS)
		return kq >= 0 ? kq : -errno;
#endif
	kq = kqueue();
	if (kq < 0)
		return -errno;
	/* It cannot fail for an open descriptor. Between the two calls
	 * another thread may fork and exec: the child has no kqueue. */
	(void)fcntl(kq, F_SETFD, FD_CLOEXEC);
	return kq;
}

/* Asks for a wake-up by EVFILT_USER. False where there is none: OpenBSD
 * before 7.4. */
static bool
add_user(struct backend *b)
{
#ifdef EVFILT_USER
	struct kevent k;

	memset(&k, 0, sizeof k);
	EV_SET(&k, 0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0,
	    (void *)(uintptr_t)WAKE_TOKEN);
	return change(b->kq, &k, 1) == 0;
#else
	(void)b;
	return false;
#endif
}

/* Whether EV_ENABLE reports data that was there while a knote was disabled,
 * which NetBSD waits for new data to do: a KERNEL_ bit, 0, or -ENOMEM. fd is
 * readable. */
static int
ask_enable(int kq, int fd)
{
	struct kevent k;
	int error;

	set(&k, fd, READ, EV_ADD | EV_DISPATCH, 1);
	error = change(kq, &k, 1);
	if (error != 0 || call(kq, NULL, 0, &k, 1, &zero) != 1)
		return error == -ENOMEM ? error : 0;
	set(&k, fd, READ, EV_ENABLE, 1);
	return call(kq, &k, 1, &k, 1, &zero) == 1 ? KERNEL_ENABLE_LOOKS : 0;
}

/* Whether there is EVFILT_EXCEPT: a KERNEL_ bit, 0, or -ENOMEM. */
static int
ask_except(int kq, int socket)
{
	struct kevent k;
	int error;

	if (EXCEPT_FLAGS == 0)
		return 0;
	set(&k, socket, EXCEPT, EV_ADD | EV_CLEAR, 1);
	error = change(kq, &k, 1);
	if (error != 0)
		return error == -ENOMEM ? error : 0;
	return KERNEL_EXCEPT;
}

/* Finds out, once in a process, what the headers do not tell, with a kqueue
 * that watches nothing so far. Returns the traits or a negative errno. */
static int
ask_kernel(int kq)
{
	int traits = atomic_load(&kernel_traits);
	struct wakeup w;
	int enable = 0, except, error, fd;

	if (traits != 0)
		return traits;
	error = wakeup_open(&w);
	if (error != 0)
		return error;
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd < 0) {
		error = -errno;
		wakeup_close(&w);
		return error;
	}
	if (wakeup_signal(&w) == 0)
		enable = ask_enable(kq, w.read_fd);
	except = ask_except(kq, fd);
	/* With the descriptors go their knotes. */
	close(fd);
	wakeup_close(&w);
	/* Not to be taken for the answer of the kernel. */
	if (enable < 0 || except < 0)
		return -ENOMEM;
	traits = KERNEL_ASKED | enable | except;
	atomic_store(&kernel_traits, traits);
	return traits;
}

static int
open_wakeup(struct backend *b)
{
	struct kevent k;
	int error;

	b->has_user = add_user(b);
	if (b->has_user)
		return 0;
	error = wakeup_open(&b->wake);
	if (error != 0)
		return error;
	set(&k, b->wake.read_fd, READ, EV_ADD | EV_CLEAR, WAKE_TOKEN);
	error = change(b->kq, &k, 1);
	if (error != 0)
		wakeup_close(&b->wake);
	return error;
}

/* Opens what b has of the kernel; its locks are made. */
static int
open_kernel(struct backend *b)
{
	int r;

	b->kq = new_kqueue();
	if (b->kq < 0)
		return b->kq;
	b->lens = new_kqueue();
	if (b->lens < 0) {
		r = b->lens;
		goto close_kq;
	}
	r = ask_kernel(b->lens);
	if (r < 0)
		goto close_lens;
	b->has_except = r & KERNEL_EXCEPT;
	b->enable_looks = r & KERNEL_ENABLE_LOOKS;
	r = open_wakeup(b);
	if (r == 0)
		return 0;

close_lens:
	close(b->lens);
close_kq:
	close(b->kq);
	return r;
}

int
backend_open(struct backend **out, struct registry *r)
{
	struct backend *b = calloc(1, sizeof *b);
	int error;

	if (b == NULL)
		return -ENOMEM;
	b->registry = r;
	error = lock_init(&b->lock);
	if (error != 0)
		goto free_backend;
	error = refused_init(&b->refused);
	if (error != 0)
		goto destroy_lock;
	error = open_kernel(b);
	if (error != 0)
		goto free_refused;
	*out = b;
	return 0;

free_refused:
	refused_free(&b->refused);
destroy_lock:
	lock_destroy(&b->lock);
free_backend:
	free(b);
	return error;
}

void
backend_close(struct backend *b, bool inherited)
{
	if (!b->has_user)
		wakeup_close(&b->wake);
	/* A child has no kqueue of its parent's: the numbers are free, or in
	 * use for something else. */
	if (!inherited) {
		close(b->lens);
		close(b->kq);
	}
	refused_free(&b->refused);
	lock_destroy(&b->lock);
	free(b);
}

uint32_t
backend_features(const struct backend *b)
{
	uint32_t features = 1u << POLLING_FEATURE_LEVEL |
			    1u << POLLING_FEATURE_EDGE |
			    1u << POLLING_FEATURE_RDHUP |
			    1u << POLLING_FEATURE_FD |
			    1u << POLLING_FEATURE_PROCESS |
			    1u << POLLING_FEATURE_PROCESS_FORK |
			    1u << POLLING_FEATURE_FILE;

	if (b->has_except)
		features |= 1u << POLLING_FEATURE_PRI;
#if HAVE_FINE_KEVENT
	features |= 1u << POLLING_FEATURE_NANOSECOND;
#endif
	return features;
}

/* How s is to be watched now, in K_SHAPE; of a source without interest, by a
 * quiet knote that tells whether the descriptor is still there. */
static uint32_t
wanted(const struct backend *b, const struct source *s)
{
	uint32_t pipe = s->kernel & K_PIPE;
	bool reads = pipe != K_WRITE_ONLY, writes = pipe != K_READ_ONLY;
	uint32_t want = 0;

	if (reads && (s->interest & POLLING_IN))
		want |= K_KNOTE(READ);
	if (writes && (s->interest & POLLING_OUT))
		want |= K_KNOTE(WRITE);
	if (want != 0 && source_is_oneshot(s))
		want |= K_DISPATCH;
	else if (want != 0 && source_is_edge(s))
		want |= K_CLEAR;
	if (b->has_except && pipe == 0 && (s->interest & POLLING_PRI))
		want |= K_KNOTE(EXCEPT);
	/* The end of either direction may make a hang-up of it. */
	if (reads && !(want & K_KNOTE(READ)) &&
	    (!(want & K_KNOTE(WRITE)) || (s->interest & POLLING_RDHUP)))
		want |= K_KNOTE(READ) | K_QUIET(READ);
	if (writes && !(want & (K_KNOTE(READ) | K_KNOTE(WRITE))))
		want |= K_KNOTE(WRITE) | K_QUIET(WRITE);
	if (writes && (want & K_QUIET(READ)) && !(want & K_KNOTE(WRITE)))
		want |= K_KNOTE(WRITE) | K_QUIET(WRITE);
	return want;
}

static bool
is_enabled(const struct source *s)
{
	return s->kernel &
	       (s->kernel & K_DISPATCH ? KERNEL_ONESHOT : K_ENABLED);
}

/* Whether knote i of a source that is watched like shape has EV_CLEAR. */
static bool
is_clear(uint32_t shape, int i)
{
	return i == EXCEPT || (shape & (K_QUIET(i) | K_CLEAR));
}

static uint32_t
token_for(const struct source *s, uint32_t shape, int i)
{
	return s->generation |
	       (i != EXCEPT && (shape & K_QUIET(i)) ? TOKEN_QUIET : 0);
}

/* A change of an existing knote of s. */
static void
set_existing(struct kevent *k, int fd, const struct source *s, int i, int flags)
{
	set(k, fd, i, flags, token_for(s, s->kernel, i));
}

/* The change that adds knote i of shape. */
static void
set_new(struct kevent *k, int fd, const struct source *s, uint32_t shape, int i)
{
	int flags = EV_ADD;

	/* EV_ADD does not enable one that was disabled. */
	flags |= s->flags & SOURCE_ARMED ? EV_ENABLE : EV_DISABLE;
	if (is_clear(shape, i))
		flags |= EV_CLEAR;
	else if (shape & K_DISPATCH)
		flags |= EV_DISPATCH;
	set(k, fd, i, flags, token_for(s, shape, i));
}

/* Whether a knote of s must go since want has none or another kind of it. */
static bool
is_unfit(const struct source *s, uint32_t want, int i)
{
	if (!(s->kernel & K_KNOTE(i)))
		return false;
	if (!(want & K_KNOTE(i)))
		return true;
	return i != EXCEPT &&
	       ((s->kernel ^ want) & (K_QUIET(i) | K_DISPATCH | K_CLEAR));
}

/* Puts the re-arming of all knotes of s on the list for the next kevent().
 * False if there is no room. */
static bool
stage(struct backend *b, int fd, const struct source *s)
{
	int n;

	lock_acquire(&b->lock);
	n = atomic_load(&b->staged_count);
	if (n + FILTERS > STAGED_MAX) {
		lock_release(&b->lock);
		return false;
	}
	for (int i = 0; i < FILTERS; i++)
		if (s->kernel & K_KNOTE(i))
			set_existing(&b->staged[n++], fd, s, i, EV_ENABLE);
	atomic_store(&b->staged_count, n);
	lock_release(&b->lock);
	return true;
}

/* Takes what concerns fd off that list. */
static void
unstage(struct backend *b, int fd)
{
	int kept = 0;

	if (atomic_load(&b->staged_count) == 0)
		return;
	lock_acquire(&b->lock);
	for (int i = 0; i < atomic_load(&b->staged_count); i++)
		if (b->staged[i].ident != (uintptr_t)fd)
			b->staged[kept++] = b->staged[i];
	atomic_store(&b->staged_count, kept);
	lock_release(&b->lock);
}

/* Takes the list along, copied to list. Returns the number of changes. */
static int
take_staged(struct backend *b, struct kevent *list)
{
	int n;

	lock_acquire(&b->lock);
	n = atomic_load(&b->staged_count);
	memcpy(list, b->staged, (size_t)n * sizeof *list);
	atomic_store(&b->staged_count, 0);
	lock_release(&b->lock);
	return n;
}

/* Whether the kernel has knotes of s: none if the number was closed, even if
 * it is in use again. This changes nothing. */
static int
check_knote(const struct backend *b, int fd, const struct source *s)
{
	struct kevent k;
	int i = s->kernel & K_KNOTE(READ) ? READ : WRITE;

	set_existing(&k, fd, s, i, is_enabled(s) ? EV_ENABLE : EV_DISABLE);
	return change(b->kq, &k, 1);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
delete_knotes(const struct backend *b, int fd)
{
	struct kevent k;

	for (int i = 0; i < FILTERS; i++) {
		if (i == EXCEPT && !b->has_except)
			continue;
		set(&k, fd, i, EV_DELETE, 0);
		/* ENOENT and EBADF: not there, which is the aim. */
		(void)change(b->kq, &k, 1);
	}
}

/* Whether a pipe that cannot be watched for writing has no readers: EPIPE, or
 * EBADF although it is open (NetBSD). */
static bool
lacks_readers(int fd, int error)
{
	return error == -EPIPE || (error == -EBADF && is_open(fd));
}

/*
 * Adds the knotes of want one at a time, to see which one fails. Reading and
 * urgent data are refused, or the whole; a descriptor that cannot be watched
 * for writing is never writable, as a kqueue in a kqueue. Returns the knotes
 * that are there, or a negative errno.
 */
static int
add_knotes(struct backend *b, int fd, const struct source *s, uint32_t want)
{
	uint32_t added = 0;
	struct kevent k;

	for (int i = 0; i < FILTERS; i++) {
		int error;

		if (!(want & K_KNOTE(i)))
			continue;
		set_new(&k, fd, s, want, i);
		error = change(b->kq, &k, 1);
		if (error == 0)
			added |= want &
				 (K_KNOTE(i) | (i == EXCEPT ? 0 : K_QUIET(i)));
		else if (i == READ || lacks_readers(fd, error) ||
			 error == -ENOMEM || error == -EBADF)
			return error;
	}
	if (added == 0) {
		/* Not writable, but it may hang up. */
		int error;

		set_new(&k, fd, s, K_QUIET(READ), READ);
		error = change(b->kq, &k, 1);
		if (error != 0)
			return error;
		added = K_KNOTE(READ) | K_QUIET(READ);
	}
	return (int)added;
}

/* Whether fd, whose knotes are gone, is open all the same: FreeBSD deletes
 * those for writing when a pipe loses its readers. */
static bool
is_broken_pipe(int fd, const struct source *s)
{
	return (s->kernel & K_PIPE) && (s->kernel & K_KNOTE(WRITE)) &&
	       file_is(fd, s->slot);
}

/* Something refused may have become ready: neither threads in kevent() nor
 * those who look at the kqueue see that. One of the threads wakes up, wakes the
 * next, and then they block in refused_wait(). */
static void
tell_of_refused(struct backend *b)
{
	if (atomic_load(&b->blocked) > 0 || atomic_load(&b->exposed))
		(void)backend_wake(b);
}

/* Hands s over to the table of refused descriptors. */
static int
refuse(struct backend *b, int fd, struct source *s, enum refused_kind kind)
{
	int error = refused_set(&b->refused, fd, s, kind);

	if (error != 0)
		return error;
	delete_knotes(b, fd);
	s->kernel = (s->kernel & K_PIPE) | K_REFUSED;
	tell_of_refused(b);
	return 0;
}

/*
 * Makes the kernel watch s like want, at once. Returns 0, or a negative errno:
 * -EBADF or -ENOENT if the descriptor was closed, another one if the kernel
 * does not watch it.
 */
static int
tell(struct backend *b, int fd, struct source *s, uint32_t want)
{
	struct kevent plan[PLAN_MAX];
	int known = s->kernel & K_KNOTE(READ) ? READ : WRITE;
	bool checks = s->kernel & K_KNOTES;
	int n = 0, r;

	unstage(b, fd);
	if (checks && is_unfit(s, want, known)) {
		/* The plan deletes it: a check after a failure would come too
		 * late. */
		r = check_knote(b, fd, s);
		if (r != 0) {
			delete_knotes(b, fd);
			return r;
		}
		checks = false;
	}
	if (checks)
		set_existing(&plan[n++], fd, s, known,
		    is_enabled(s) ? EV_ENABLE : EV_DISABLE);
	for (int i = 0; i < FILTERS; i++)
		if (is_unfit(s, want, i))
			set_existing(&plan[n++], fd, s, i, EV_DELETE);
	for (int i = 0; i < FILTERS; i++)
		if (want & K_KNOTE(i))
			set_new(&plan[n++], fd, s, want, i);
	if (change(b->kq, plan, n) != 0) {
		/* Something of it may have been done all the same. */
		r = checks ? check_knote(b, fd, s) : 0;
		delete_knotes(b, fd);
		if (r != 0)
			return r;
		r = add_knotes(b, fd, s, want);
		if (r < 0) {
			delete_knotes(b, fd);
			s->kernel &= ~(K_SHAPE | K_ENABLED);
			return r;
		}
		want = (want & ~(K_KNOTES | K_QUIETS)) | (uint32_t)r;
	}
	s->kernel = (s->kernel & KERNEL_KEPT & ~(K_SHAPE | K_REARM)) | want;
	if (s->flags & SOURCE_ARMED)
		s->kernel |= K_ENABLED |
			     (want & K_DISPATCH ? KERNEL_ONESHOT : 0);
	return 0;
}

/* Has s told to the kernel anew. */
static void
tell_again(struct backend *b, int fd, struct source *s)
{
	s->kernel |= K_REARM;
	registry_change(b->registry, fd, s);
}

/* Whether error says that the descriptor was closed. */
static bool
is_gone(int error)
{
	return error == -EBADF || error == -ENOENT;
}

static bool
is_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode);
}

/* K_PIPE bits of fd, which is a pipe or a FIFO. */
static uint32_t
pipe_ends(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return K_READ_ONLY;
	case O_WRONLY:
		return K_WRITE_ONLY;
	default:
		return K_PIPE;
	}
}

/* A new source that the kernel does not watch for the reason error. */
static int
add_refused(struct backend *b, int fd, struct source *s, int error)
{
	if ((s->kernel & K_PIPE) && lacks_readers(fd, error))
		return refuse(b, fd, s, REFUSED_PIPE);
	if (is_gone(error) || error == -ENOMEM || !is_device(fd))
		return error;
	if (refused_is_always_ready(fd))
		return BACKEND_NEVER_BLOCKS;
	return refuse(b, fd, s, REFUSED_DEVICE);
}

int
backend_add(struct backend *b, int fd, struct source *s)
{
	mode_t mode;
	int error = file_inspect(fd, &s->slot, &mode);

	if (error != 0)
		return error;
	/* At its end a kqueue calls a file silent. */
	error = file_never_blocks(fd, mode);
	if (error != 0)
		return error < 0 ? error : BACKEND_NEVER_BLOCKS;
	s->kernel = S_ISFIFO(mode) ? pipe_ends(fd) : 0;
	error = tell(b, fd, s, wanted(b, s));
	if (error != 0)
		return add_refused(b, fd, s, error);
	if (S_ISSOCK(mode) && refused_unconnected(fd)) {
		error = refused_set(&b->refused, fd, s, REFUSED_UNCONNECTED);
		if (error != 0) {
			delete_knotes(b, fd);
			return error;
		}
		s->kernel |= K_UNCONNECTED;
		tell_of_refused(b);
	}
	return error;
}

/* What is left to do when a source goes whose knotes are gone. */
static void
clean_up(struct backend *b, int fd, const struct source *s)
{
	unstage(b, fd);
	if (s->kernel & (K_REFUSED | K_UNCONNECTED))
		refused_remove(&b->refused, fd);
}

bool
backend_knows(struct backend *b, int fd, struct source *s)
{
	if (s->kernel & K_REFUSED) {
		if (file_is(fd, s->slot))
			return true;
	} else if (!is_gone(check_knote(b, fd, s))) {
		return true;
	} else if (is_broken_pipe(fd, s)) {
		/* Without memory the next wait tries again. */
		if (refuse(b, fd, s, REFUSED_PIPE) != 0)
			tell_again(b, fd, s);
		return true;
	}
	clean_up(b, fd, s);
	return false;
}

/* The parent's kqueue is not there to be asked, but the files are. Sockets
 * have the same identity on some systems: a number that went from one to
 * another is not noticed there. */
int
backend_prune(struct backend *b)
{
	file_prune(b->registry);
	return 0;
}

void
backend_remove(struct backend *b, int fd, struct source *s)
{
	struct kevent plan[FILTERS];
	int n = 0;

	for (int i = 0; i < FILTERS; i++)
		if (s->kernel & K_KNOTE(i))
			set_existing(&plan[n++], fd, s, i, EV_DELETE);
	if (n > 0 && change(b->kq, plan, n) != 0)
		delete_knotes(b, fd);
	clean_up(b, fd, s);
	s->kernel = 0;
}

/* Forgets a source whose descriptor was closed. */
static void
drop(struct backend *b, int fd, const struct source *s)
{
	clean_up(b, fd, s);
	registry_remove(b->registry, fd);
}

/* Keeps the knotes of s, which is disarmed, from reporting. */
static void
disarm(struct backend *b, int fd, struct source *s)
{
	struct kevent k;

	/* One with EV_DISPATCH reports once more, for nothing, and an edge of
	 * a quiet one beside it is dropped too. */
	if (!is_enabled(s) || (s->kernel & K_DISPATCH))
		return;
	for (int i = 0; i < FILTERS; i++) {
		if (!(s->kernel & K_KNOTE(i)))
			continue;
		set_existing(&k, fd, s, i, EV_DISABLE);
		/* ENOENT and EBADF: it was closed, as its next arming or the
		 * next source of its number finds. */
		(void)change(b->kq, &k, 1);
	}
	s->kernel &= ~K_ENABLED;
}

/* Makes the kernel watch s, which is armed, as its record says. Returns 0 also
 * for one that cannot be watched, or -ENOMEM, and then it is not watched. */
static int
arm(struct backend *b, int fd, struct source *s, bool at_once)
{
	uint32_t want = wanted(b, s);
	bool edges = want & (K_CLEAR | K_QUIETS | K_KNOTE(EXCEPT));
	int error;

	if ((s->kernel & K_SHAPE) == want && !(s->kernel & K_REARM) && !edges) {
		if (is_enabled(s))
			return 0;
		if (!at_once && b->enable_looks && (want & K_DISPATCH) &&
		    stage(b, fd, s)) {
			s->kernel |= K_ENABLED | KERNEL_ONESHOT;
			return 0;
		}
	}
	error = tell(b, fd, s, want);
	if (error == 0 || error == -ENOMEM)
		return error;
	if (((s->kernel & K_PIPE) && lacks_readers(fd, error)) ||
	    (is_gone(error) && is_broken_pipe(fd, s)))
		error = refuse(b, fd, s, REFUSED_PIPE);
	else if (!is_gone(error) && is_device(fd))
		error = refuse(b, fd, s, REFUSED_DEVICE);
	if (is_gone(error))
		drop(b, fd, s);
	return error == -ENOMEM ? error : 0;
}

/* Returns what arm() does. */
static int
apply_one(struct backend *b, int fd, struct source *s, bool at_once)
{
	enum refused_kind kind = REFUSED_DEVICE;

	if (s->kernel & (K_REFUSED | K_UNCONNECTED)) {
		if (s->kernel & K_UNCONNECTED)
			kind = REFUSED_UNCONNECTED;
		else if (s->kernel & K_PIPE)
			kind = REFUSED_PIPE;
		/* It is there, so it cannot fail. */
		(void)refused_set(&b->refused, fd, s, kind);
		tell_of_refused(b);
	}
	if (s->kernel & K_REFUSED)
		return 0;
	if (s->flags & SOURCE_ARMED)
		return arm(b, fd, s, at_once);
	disarm(b, fd, s);
	return 0;
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

	while (error == 0 &&
	       (s = registry_pop_changed(b->registry, &fd)) != NULL) {
		error = apply_one(b, fd, s, at_once);
		if (error != 0)
			registry_change(b->registry, fd, s);
	}
	return error;
}

void
backend_stale(struct backend *b, int fd)
{
	struct source *s = registry_find(b->registry, fd);

	if (s == NULL) {
		delete_knotes(b, fd);
	} else if (!(s->flags & SOURCE_ARMED)) {
		(void)backend_unwanted(b, fd, s);
	} else if (!(s->flags & SOURCE_FILE) && !(s->kernel & K_REFUSED)) {
		tell_again(b, fd, s);
	}
}

bool
backend_unwanted(struct backend *b, int fd, struct source *s)
{
	if ((s->flags & SOURCE_FILE) || (s->kernel & K_REFUSED))
		return false;
	/* Whatever the record says, the knote reports. */
	s->kernel |= K_ENABLED;
	disarm(b, fd, s);
	return false;
}

bool
backend_doubts(struct backend *b, int fd, struct source *s)
{
	/* Its knotes are one-shot. */
	(void)b;
	(void)fd;
	(void)s;
	return false;
}

/* The POLLING_IN or POLLING_OUT, SEEN_ and POLLING_ERR bits of a report. */
static uint32_t
seen_by(const struct kevent *k)
{
	bool eof = k->flags & EV_EOF;
	uint32_t seen = 0;

	if (k->filter == EVFILT_WRITE)
		seen |= POLLING_OUT | (eof ? SEEN_WRITE_EOF : 0);
	else if (eof)
		seen |= POLLING_IN | SEEN_READ_EOF;
	else
		seen |= POLLING_IN | (k->data == 0 ? SEEN_NO_DATA : 0);
	if (eof && k->fflags != 0)
		seen |= POLLING_ERR;
	return seen;
}

/* What both directions of fd say at this moment. Locked. */
static uint32_t
look_through_lens(struct backend *b, int fd)
{
	struct kevent k[2], events[2];
	uint32_t seen = 0;
	int n;

	set(&k[0], fd, READ, EV_ADD | EV_ONESHOT, 1);
	set(&k[1], fd, WRITE, EV_ADD | EV_ONESHOT, 1);
	n = call(b->lens, k, 2, events, 2, &zero);
	for (int i = 0; i < n; i++)
		if (!(events[i].flags & EV_ERROR))
			seen |= seen_by(&events[i]);
	for (int i = 0; i < 2; i++) {
		set(&k[i], fd, i, EV_DELETE, 1);
		if (!(seen & (i == READ ? POLLING_IN : POLLING_OUT)))
			/* ENOENT if it could not be added. */
			(void)change(b->lens, &k[i], 1);
	}
	return seen;
}

/* Whether the other direction must be asked for what s wants to know. */
static bool
is_partial(const struct source *s, uint32_t seen)
{
	const uint32_t both = POLLING_IN | POLLING_OUT;

	if (seen & (SEEN_READ_EOF | SEEN_WRITE_EOF))
		return (seen & both) != both;
	/* Reading tells of RDHUP too. */
	return (s->interest & POLLING_OUT) &&
	       (s->interest & (POLLING_IN | POLLING_RDHUP)) &&
	       (seen & both) != both;
}

/* The conditions that the ends of the directions make of seen. */
static uint32_t
judge(int fd, const struct source *s, uint32_t seen)
{
	uint32_t conditions = seen & ~CONDITION_PRIVATE;
	bool read_eof = seen & SEEN_READ_EOF, write_eof = seen & SEEN_WRITE_EOF;

	if (s->kernel & K_PIPE) {
		/* FreeBSD, when a FIFO has been opened again. */
		if (seen & SEEN_NO_DATA)
			conditions &= ~(uint32_t)POLLING_IN;
		if (read_eof)
			conditions |= POLLING_HUP;
		if (write_eof)
			conditions |= POLLING_ERR;
		return conditions;
	}
	if (read_eof && (write_eof || is_device(fd)))
		conditions |= POLLING_HUP;
	if (read_eof)
		conditions |= POLLING_RDHUP;
	return conditions;
}

/* The knotes of s are gone, which the kernel said as it was to enable them. */
static uint32_t
look_for_gone(struct backend *b, int fd, struct source *s)
{
	/* A report may have come between, or another change. */
	if (s->kernel & K_REFUSED || check_knote(b, fd, s) == 0)
		return 0;
	if (!is_broken_pipe(fd, s))
		return CONDITION_CLOSED;
	/* Without memory the next wait tries again. */
	if (refuse(b, fd, s, REFUSED_PIPE) != 0)
		tell_again(b, fd, s);
	return 0;
}

uint32_t
backend_look(struct backend *b, int fd, struct source *s, uint32_t conditions)
{
	uint32_t seen;
	bool quiet;

	if ((conditions & CONDITION_PRIVATE) == SEEN_GONE)
		return look_for_gone(b, fd, s);
	quiet = conditions & SEEN_QUIET;
	seen = conditions & ~(CONDITION_LOOK | SEEN_QUIET);

	if (!(s->kernel & K_PIPE) && is_partial(s, seen))
		seen |= look_through_lens(b, fd);
	conditions = judge(fd, s, seen);
	/* FreeBSD has deleted the knote. */
	if ((s->kernel & K_PIPE) && (seen & SEEN_WRITE_EOF)) {
		/* Without memory the next arming tries again. */
		if (refuse(b, fd, s, REFUSED_PIPE) != 0)
			quiet = true;
		/* This report is the one for now. */
		else if (s->mode != POLLING_LEVEL)
			refused_silence(&b->refused, fd);
	}
	if (quiet && !(s->kernel & K_REFUSED) && s->mode == POLLING_LEVEL &&
	    source_report(s, conditions) != 0)
		tell_again(b, fd, s);
	return conditions;
}

/* A table of what a wait has collected so far, for merging. */
struct merger {
	struct ready *out;
	int count;                 /* of out */
	bool mixed;                /* one descriptor may come twice */
	uint16_t buckets[BUCKETS]; /* if mixed: positions in out, plus 1 */
};

/* The report that k belongs to, new or not. */
static struct ready *
merge(struct merger *m, const struct kevent *k)
{
	int fd = k->filter == EVFILT_PROC ? ~(int)k->ident : (int)k->ident;
	uint32_t generation = token_of(k) & GENERATION_MAX;
	unsigned bucket = (unsigned)fd % BUCKETS;
	struct ready *r;

	for (; m->mixed && m->buckets[bucket] != 0;
	     bucket = (bucket + 1) % BUCKETS) {
		r = &m->out[m->buckets[bucket] - 1];
		if (r->fd == fd && r->generation == generation)
			return r;
	}
	r = &m->out[m->count++];
	*r = (struct ready){.fd = fd, .generation = generation};
	if (m->mixed)
		m->buckets[bucket] = (uint16_t)m->count;
	return r;
}

/* Adds one event of the kernel to the reports. full: there may be more. */
static void
translate(struct merger *m, const struct kevent *k, bool full)
{
	bool quiet = token_of(k) & TOKEN_QUIET;
	bool eof = k->flags & EV_EOF;
	uint32_t seen;

	if (k->flags & EV_ERROR) {
		/* Of an EV_ENABLE. */
		if (k->data != 0)
			merge(m, k)->conditions = CONDITION_LOOK | SEEN_GONE;
		return;
	}
	if (k->filter == EVFILT_PROC) {
		seen = CONDITION_PROCESS;
		seen |= k->fflags & NOTE_EXIT ? POLLING_EXIT : 0;
		seen |= k->fflags & NOTE_FORK ? POLLING_FORK : 0;
		seen |= k->fflags & NOTE_EXEC ? POLLING_EXEC : 0;
		merge(m, k)->conditions |= seen;
		return;
	}
#if EXCEPT_FLAGS
	if (k->filter == EVFILT_EXCEPT) {
		seen = CONDITION_LOOK | SEEN_QUIET;
		seen |= eof ? SEEN_READ_EOF : 0;
		if ((k->fflags & NOTE_OOB) || !eof)
			seen |= POLLING_PRI;
		merge(m, k)->conditions |= seen;
		return;
	}
#endif
	if (quiet && !eof)
		return;
	seen = seen_by(k);
	if (eof || full || (k->flags & EV_CLEAR) || (seen & SEEN_NO_DATA))
		seen |= CONDITION_LOOK;
	if (quiet)
		seen |= SEEN_QUIET;
	merge(m, k)->conditions |= seen;
}

/* Translates n events into reports. Sets *woken if a wake-up was among
 * them. */
static int
collect(struct backend *b, const struct kevent *events, int n, bool full,
    struct ready *out, bool *woken)
{
	struct merger m = {.out = out};

	for (int i = 1; i < n && !m.mixed; i++)
		m.mixed = events[i].filter != events[0].filter;
	if (m.mixed)
		memset(m.buckets, 0, sizeof m.buckets);
	for (int i = 0; i < n; i++) {
		if (token_of(&events[i]) != WAKE_TOKEN) {
			translate(&m, &events[i], full);
			continue;
		}
		*woken = true;
		if (!b->has_user && events[i].filter == EVFILT_READ)
			wakeup_drain(&b->wake);
	}
	return m.count;
}

/* Makes changes from the list one at a time, and reports those that fail. What
 * finds no room is left for the next wait. */
static int
change_each(struct backend *b, const struct kevent *changes, int count,
    struct ready *out, int capacity)
{
	int n = 0, i;

	for (i = 0; i < count && n < capacity; i++)
		if (change(b->kq, &changes[i], 1) != 0)
			out[n++] = (struct ready){.fd = (int)changes[i].ident,
			    .generation = token_of(&changes[i]),
			    .conditions = CONDITION_LOOK | SEEN_GONE};
	lock_acquire(&b->lock);
	for (; i < count; i++) {
		int end = atomic_load(&b->staged_count);

		if (end < STAGED_MAX) {
			b->staged[end] = changes[i];
			atomic_store(&b->staged_count, end + 1);
		}
	}
	lock_release(&b->lock);
	return n;
}

/* One kevent() and its translation, with count changes to take along. */
static int
wait_once(struct backend *b, const struct kevent *changes, int count,
    struct ready *out, int capacity, const struct timespec *timeout)
{
	struct kevent events[READY_MAX];
	bool woken = false;
	int n = call(b->kq, changes, count, events, capacity, timeout);
	int reports;

	if (n < 0 && n != -EINTR && count > 0) {
		/* Several failed, with no room to say so. */
		return change_each(b, changes, count, out, capacity);
	}
	if (n < 0)
		return n;
	/* Changes that failed are told alone. */
	if (count > 0 && n > 0 && n < capacity &&
	    (events[0].flags & EV_ERROR)) {
		int more = call(
		    b->kq, NULL, 0, events + n, capacity - n, &zero);

		n += more > 0 ? more : 0;
	}
	reports = collect(b, events, n, n == capacity, out, &woken);
	/* A wake-up, or what quiet knotes do not tell, has taken all the room:
	 * what of the sources? */
	while (reports == 0 && n == capacity) {
		n = call(b->kq, NULL, 0, events, capacity, &zero);
		if (n > 0)
			reports = collect(
			    b, events, n, n == capacity, out, &woken);
	}
	/* It may have been for all, see refuse(). */
	if (woken && atomic_load(&b->refused.armed) > 0 &&
	    atomic_load(&b->blocked) > 0)
		(void)backend_wake(b);
	return reports;
}

/* A wait while some descriptors are refused by the kernel. */
static int
wait_beside(struct backend *b, const struct kevent *changes, int count,
    struct ready *out, int capacity, const struct timespec *timeout)
{
	int share = refused_share(&b->refused, capacity);
	int n = refused_look(&b->refused, out, share);
	bool left = n > 0 || share == 0;
	int m = 0;

	if (n < capacity)
		m = wait_once(b, changes, count, out + n, capacity - n, &zero);
	else
		/* No room to tell of one that fails: the next wait. */
		(void)change_each(b, changes, count, out, 0);
	if (m < 0 && n == 0)
		return m;
	n += m > 0 ? m : 0;
	if (n == 0 && share == 0) {
		n = refused_look(&b->refused, out, capacity);
		left = n > 0;
	}
	/* This wait has taken the wake-up that told of them. */
	if (left && atomic_load(&b->exposed) &&
	    atomic_load(&b->refused.armed) > 0)
		(void)backend_wake(b);
	if (n == 0 && (timeout == NULL || !clock_is_zero(timeout)))
		n = refused_wait(&b->refused, b->kq, timeout);
	return n;
}

int
backend_wait(struct backend *b, struct ready *out, int capacity,
    const struct timespec *timeout)
{
	bool blocks = timeout == NULL || !clock_is_zero(timeout);
	struct kevent staged[STAGED_MAX];
	int count = 0, n;

	if (unlikely(atomic_load(&b->staged_count) > 0))
		count = take_staged(b, staged);
	if (timeout != NULL)
		timeout = clock_shorter(timeout, &longest);
	if (blocks)
		atomic_fetch_add(&b->blocked, 1);
	if (unlikely(atomic_load(&b->refused.armed) > 0)) {
		if (blocks)
			atomic_fetch_sub(&b->blocked, 1);
		return wait_beside(b, staged, count, out, capacity, timeout);
	}
	n = wait_once(b, staged, count, out, capacity, timeout);
	if (blocks)
		atomic_fetch_sub(&b->blocked, 1);
	/* Since it began something was refused, and it has taken the wake-up
	 * that told of that. */
	if (unlikely(atomic_load(&b->refused.armed) > 0) &&
	    atomic_load(&b->exposed))
		(void)backend_wake(b);
	return n;
}

int
backend_wake(struct backend *b)
{
#ifdef EVFILT_USER
	struct kevent k;

	if (b->has_user) {
		memset(&k, 0, sizeof k);
		EV_SET(&k, 0, EVFILT_USER, 0, NOTE_TRIGGER, 0,
		    (void *)(uintptr_t)WAKE_TOKEN);
		return change(b->kq, &k, 1);
	}
#endif
	return wakeup_signal(&b->wake);
}

int
backend_fd(struct backend *b)
{
	atomic_store(&b->exposed, true);
	if (atomic_load(&b->refused.armed) > 0)
		(void)backend_wake(b);
	return b->kq;
}

/* A change of the one timer. Every system counts in milliseconds by default. */
static void
set_timer(struct kevent *k, int flags, int milliseconds)
{
	memset(k, 0, sizeof *k);
	EV_SET(k, ALARM_IDENT, EVFILT_TIMER, (unsigned short)flags, 0,
	    milliseconds, (void *)(uintptr_t)WAKE_TOKEN);
}

bool
backend_alarm(struct backend *b, const struct timespec *at)
{
	static const struct timespec soon = {0, 1};
	struct timespec left;
	struct kevent k;

	/* ENOENT if it has fired, or was never set. A new time for one that is
	 * there is not taken everywhere. */
	set_timer(&k, EV_DELETE, 0);
	(void)change(b->kq, &k, 1);
	if (at == NULL)
		return true;
	if (!clock_left(&left, at))
		left = soon;
	/* A kernel that counts in ticks may be early by one. */
	set_timer(&k, EV_ADD | EV_ONESHOT,
	    clock_milliseconds(clock_shorter(&left, &longest)) + 1);
	return change(b->kq, &k, 1) == 0;
}

int
backend_add_process(
    struct backend *b, polling_pid pid, uint32_t what, uint32_t generation)
{
	unsigned notes = NOTE_EXIT;
	struct kevent k;

	notes |= what & POLLING_FORK ? NOTE_FORK : 0;
	notes |= what & POLLING_EXEC ? NOTE_EXEC : 0;
	memset(&k, 0, sizeof k);
	/* Of a knote that is there it changes the notes: every kernel does so,
	 * and needs no memory for it. */
	EV_SET(&k, (uintptr_t)pid, EVFILT_PROC, EV_ADD | EV_CLEAR, notes, 0,
	    (void *)(uintptr_t)generation);
	return change(b->kq, &k, 1);
}

void
backend_remove_process(struct backend *b, polling_pid pid)
{
	struct kevent k;

	memset(&k, 0, sizeof k);
	EV_SET(&k, (uintptr_t)pid, EVFILT_PROC, EV_DELETE, 0, 0, NULL);
	/* ENOENT: it has ended, or its end was reported. */
	(void)change(b->kq, &k, 1);
}
