/* SPDX-License-Identifier: MIT */
/*
 * registry.c - the table of sources, indexed by descriptor.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdint.h>
#include <stdlib.h>

#include "registry.h"

#if HAVE_HANDLES
#define FIRST_BUCKET_BITS 6

/* A multiplicative hash; the low bits of a handle say little. */
static size_t
bucket_of(const struct handles *h, uintptr_t handle)
{
	uint64_t hash = (uint64_t)handle * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(hash >> (64 - h->bucket_bits));
}

int
registry_place(const struct registry *r, polling_fd fd, unsigned flags)
{
	const struct handles *h = &r->handles;
	int place;

	if (h->bucket_bits == 0)
		return NO_FD;
	place = h->buckets[bucket_of(h, fd)];
	while (place != NO_FD) {
		const struct source *s = registry_slot(r, place);

		if (s->handle == fd && (s->flags & SOURCE_WAITABLE) == flags)
			break;
		place = s->chain;
	}
	return place;
}

static void
link_place(struct registry *r, int place)
{
	struct source *s = registry_slot(r, place);
	int32_t *bucket =
	    &r->handles.buckets[bucket_of(&r->handles, s->handle)];

	s->chain = *bucket;
	*bucket = place;
}

static void
unlink_place(struct registry *r, int place)
{
	struct source *s = registry_slot(r, place);
	int32_t *link = &r->handles.buckets[bucket_of(&r->handles, s->handle)];

	while (*link != place)
		link = &registry_slot(r, *link)->chain;
	*link = s->chain;
}

/* Doubles the number of buckets. Without memory there are as many as before,
 * which is slower but works, unless there are none. */
static bool
spread(struct registry *r)
{
	struct handles *h = &r->handles;
	unsigned bits = h->bucket_bits == 0 ? FIRST_BUCKET_BITS
					    : h->bucket_bits + 1;
	int32_t *buckets = malloc(sizeof *buckets << bits);

	if (buckets == NULL)
		return h->bucket_bits != 0;
	for (size_t i = 0; i < (size_t)1 << bits; i++)
		buckets[i] = NO_FD;
	free(h->buckets);
	h->buckets = buckets;
	h->bucket_bits = bits;
	for (int place = NO_FD; (place = registry_next(r, place)) != NO_FD;)
		link_place(r, place);
	return true;
}

/* A place that no source has. NO_FD without memory, or with so many. */
static int
take_place(struct registry *r)
{
	struct handles *h = &r->handles;
	int place = h->vacant;

	if (h->count >> h->bucket_bits != 0 || h->bucket_bits == 0)
		if (!spread(r))
			return NO_FD;
	if (place != NO_FD)
		h->vacant = registry_slot(r, place)->chain;
	else if (h->unused < INT32_MAX)
		place = h->unused++;
	if (place != NO_FD)
		h->count++;
	return place;
}

static void
give_place(struct registry *r, int place)
{
	unlink_place(r, place);
	registry_slot(r, place)->chain = r->handles.vacant;
	r->handles.vacant = place;
	r->handles.count--;
}
#endif

void
registry_clear(struct registry *r)
{
	for (unsigned i = 0; i < REGISTRY_SEGMENTS; i++)
		r->segments[i] = NULL;
	r->changed = NO_FD;
	r->sweep = false;
#if HAVE_HANDLES
	r->handles = (struct handles){
	    .buckets = NULL, .unused = 0, .vacant = NO_FD};
#endif
}

void
registry_free(struct registry *r)
{
	for (unsigned i = 0; i < REGISTRY_SEGMENTS; i++)
		free(r->segments[i]);
#if HAVE_HANDLES
	free(r->handles.buckets);
#endif
	registry_clear(r);
}

/* The record at a place, whose segment is made if need be. */
static struct source *
make_slot(struct registry *r, int place)
{
	struct source *s = registry_slot(r, place);
	unsigned segment = registry_segment(place);

	if (s != NULL)
		return s;
	r->segments[segment] = calloc(
	    registry_size(segment), sizeof(struct source));
	return registry_slot(r, place);
}

struct source *
registry_insert(struct registry *r, polling_fd fd, unsigned flags, int *place)
{
	struct source *s;

#if HAVE_HANDLES
	*place = take_place(r);
	if (*place == NO_FD)
		return NULL;
	s = make_slot(r, *place);
	if (s == NULL) {
		/* The last one: it had no record. */
		r->handles.unused--;
		r->handles.count--;
		return NULL;
	}
	s->handle = fd;
	s->watch = NULL;
	link_place(r, *place);
#else
	*place = fd;
	s = make_slot(r, fd);
	if (s == NULL)
		return NULL;
#endif
	/* The slot may still be on the list of changes from its last life:
	 * next and SOURCE_CHANGED stay. */
	s->flags = (uint8_t)((s->flags & SOURCE_CHANGED) | SOURCE_REGISTERED |
			     flags);
	s->generation = source_next_generation(s->generation);
	s->interest = 0;
	s->mode = POLLING_ONESHOT;
	s->verify_in = 1;
	s->verify_step = 1;
	s->kernel = 0;
	s->slot = 0;
	return s;
}

void
registry_remove(struct registry *r, int fd)
{
	struct source *s = registry_find(r, fd);

#if HAVE_HANDLES
	give_place(r, fd);
#endif
	/* It stays on the list of changes, which passes over it. */
	s->flags &= SOURCE_CHANGED;
}

int
registry_next(const struct registry *r, int fd)
{
	unsigned segment = fd == NO_FD ? 0 : registry_segment(fd);
	unsigned i = fd == NO_FD ? 0
				 : (unsigned)fd - registry_base(segment) + 1;

	for (; segment < REGISTRY_SEGMENTS; segment++, i = 0) {
		const struct source *base = r->segments[segment];

		if (base == NULL)
			continue;
		for (; i < registry_size(segment); i++)
			if (base[i].flags & SOURCE_REGISTERED)
				return (int)(registry_base(segment) + i);
	}
	return NO_FD;
}

void
registry_change(struct registry *r, int fd, struct source *s)
{
	if (s->flags & SOURCE_CHANGED)
		return;
	s->flags |= SOURCE_CHANGED;
	s->next = r->changed;
	r->changed = fd;
}

void
registry_unchange(struct registry *r, int fd)
{
	struct source *s = registry_slot(r, fd);
	int32_t *link = &r->changed;

	if (!(s->flags & SOURCE_CHANGED))
		return;
	while (*link != fd)
		link = &registry_slot(r, *link)->next;
	*link = s->next;
	s->flags &= (uint8_t)~SOURCE_CHANGED;
}

struct source *
registry_pop_changed(struct registry *r, int *fd)
{
	while (r->changed != NO_FD) {
		struct source *s = registry_slot(r, r->changed);

		*fd = r->changed;
		r->changed = s->next;
		s->flags &= (uint8_t)~SOURCE_CHANGED;
		if (s->flags & SOURCE_REGISTERED)
			return s;
	}
	return NULL;
}
