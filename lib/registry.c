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
/* A handle's name in the map: it is a multiple of 4 that fits 32 bits. */
static uintptr_t
name_of(polling_fd fd, unsigned flags)
{
	return fd * 2 + (flags != 0);
}

/* Places are slots of a map without records. */
#define LINK_SIZE sizeof(struct idmap_link)

int
registry_place(const struct registry *r, polling_fd fd, unsigned flags)
{
	const struct idmap_link *l = idmap_find(
	    &r->places, name_of(fd, flags), LINK_SIZE);

	return l == NULL ? NO_FD
			 : (int)(l - (struct idmap_link *)r->places.records);
}

/* Gives fd a place that no source has. NO_FD without memory. */
static int
take_place(struct registry *r, polling_fd fd, unsigned flags)
{
	uint32_t slot;

	return idmap_insert(&r->places, name_of(fd, flags), LINK_SIZE, &slot) ==
		       0
		   ? (int)slot
		   : NO_FD;
}

static void
give_place(struct registry *r, int place)
{
	idmap_remove(&r->places, (uint32_t)place, LINK_SIZE);
	if (idmap_is_idle(&r->places))
		idmap_clear(&r->places);
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
	r->places = (struct idmap){.count = 0};
#endif
}

void
registry_free(struct registry *r)
{
	for (unsigned i = 0; i < REGISTRY_SEGMENTS; i++)
		free(r->segments[i]);
#if HAVE_HANDLES
	idmap_clear(&r->places);
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
	*place = take_place(r, fd, flags);
	if (*place == NO_FD)
		return NULL;
	s = make_slot(r, *place);
	if (s == NULL) {
		give_place(r, *place);
		return NULL;
	}
	s->handle = fd;
	s->watch = NULL;
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
	s->verify_step = 0;
	s->kernel = 0;
	s->slot = 0;
	return s;
}

void
registry_remove(struct registry *r, int fd)
{
	struct source *s = registry_known(r, fd);

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
	struct source *s = registry_known(r, fd);
	int32_t *link = &r->changed;

	if (!(s->flags & SOURCE_CHANGED))
		return;
	while (*link != fd)
		link = &registry_known(r, *link)->next;
	*link = s->next;
	s->flags &= (uint8_t)~SOURCE_CHANGED;
}

struct source *
registry_pop_changed(struct registry *r, int *fd)
{
	while (r->changed != NO_FD) {
		struct source *s = registry_known(r, r->changed);

		*fd = r->changed;
		r->changed = s->next;
		s->flags &= (uint8_t)~SOURCE_CHANGED;
		if (s->flags & SOURCE_REGISTERED)
			return s;
	}
	return NULL;
}
