/* SPDX-License-Identifier: MIT */
/*
 * registry.h - from a descriptor to the record of its source.
 *
 * A record is known by its place, a small number. Where descriptors are small
 * numbers the place is the descriptor, and the code calls it fd. SOCKETs and
 * HANDLEs of Windows are any numbers: each gets a free place when it is added,
 * and idmap.h leads from the handle to it.
 *
 * Records never move: they lie in segments of doubling size, the first for
 * the descriptors below 64, each next one as large as all before it. Finding
 * one takes a shift and two loads, growing copies nothing.
 *
 * The registry also holds the list of changed sources, which the backend has
 * yet to be told of. The poller's lock guards all of it.
 */
#ifndef LIBPOLLING_REGISTRY_H
#define LIBPOLLING_REGISTRY_H

#include <limits.h>
#include <stdbool.h>

#include "compat.h"
#include "idmap.h"
#include "namespace.h"
#include "source.h"

#define REGISTRY_FIRST_BITS 6
/* Enough for every int that is not negative. */
#define REGISTRY_SEGMENTS (sizeof(int) * CHAR_BIT - REGISTRY_FIRST_BITS)

/* No descriptor: the end of a list. */
#define NO_FD (-1)

struct registry {
	struct source *segments[REGISTRY_SEGMENTS]; /* NULL until needed */
	int32_t changed; /* the first changed source, NO_FD if there is none */
	bool sweep;      /* set by a backend that must tidy up in its next
			  * backend_apply(), whatever the list holds */
#if HAVE_HANDLES
	struct idmap places; /* by the names of handles, see name_of() */
#endif
};

void registry_clear(struct registry *r);
void registry_free(struct registry *r);

/* The segment that holds fd. Segment 0 holds the descriptors below 64;
 * segment k those from 64 << (k - 1) on, as many as come before them. */
static inline unsigned
registry_segment(int fd)
{
	return bit_length((unsigned)fd >> REGISTRY_FIRST_BITS);
}

static inline unsigned
registry_base(unsigned segment)
{
	return segment == 0 ? 0 : 1u << (REGISTRY_FIRST_BITS + segment - 1);
}

static inline unsigned
registry_size(unsigned segment)
{
	return segment == 0 ? 1u << REGISTRY_FIRST_BITS
			    : registry_base(segment);
}

/* The slot of fd, in use or not; NULL if its segment does not exist. */
static inline struct source *
registry_slot(const struct registry *r, int fd)
{
	unsigned segment = registry_segment(fd);
	struct source *base = r->segments[segment];

	return base == NULL ? NULL
			    : &base[(unsigned)fd - registry_base(segment)];
}

/* The same of one that is or was registered, whose segment there is. */
static inline struct source *
registry_known(const struct registry *r, int fd)
{
	unsigned segment = registry_segment(fd);

	return &r->segments[segment][(unsigned)fd - registry_base(segment)];
}

/* The record of a registered descriptor, or NULL. Any int may be asked. */
static inline struct source *
registry_find(const struct registry *r, int fd)
{
	struct source *s;

	if (unlikely(fd < 0))
		return NULL;
	s = registry_slot(r, fd);
	return likely(s != NULL && (s->flags & SOURCE_REGISTERED)) ? s : NULL;
}

/* A record for fd, which is not negative and not registered, with a new
 * generation and no interest; stores its place. flags are SOURCE_WAITABLE or
 * none. NULL without memory. */
struct source *registry_insert(
    struct registry *r, polling_fd fd, unsigned flags, int *place);

/* The place of fd if it is registered as a source with these flags; else NO_FD
 * or one that registry_find() finds empty. */
#if HAVE_HANDLES
int registry_place(const struct registry *r, polling_fd fd, unsigned flags);
#else
static inline int
registry_place(const struct registry *r, polling_fd fd, unsigned flags)
{
	(void)r;
	(void)flags;
	return fd;
}
#endif

/* Forgets fd, which is registered. */
void registry_remove(struct registry *r, int fd);

/* The first registered descriptor above fd, or NO_FD; begin with NO_FD. */
int registry_next(const struct registry *r, int fd);

/* Puts fd on the list of changes unless it is there. */
void registry_change(struct registry *r, int fd, struct source *s);

/* Takes fd, registered or not, off the list of changes if it is there. It
 * walks the list: for the rare. */
void registry_unchange(struct registry *r, int fd);

/* Takes the next registered source from the list of changes and stores its
 * descriptor; NULL when the list is empty. */
struct source *registry_pop_changed(struct registry *r, int *fd);

/* Whether backend_apply() has anything to do. */
static inline bool
registry_pending(const struct registry *r)
{
	return r->changed != NO_FD || r->sweep;
}

#endif
