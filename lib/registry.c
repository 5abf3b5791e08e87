/* SPDX-License-Identifier: MIT */
/*
 * registry.c - the table of sources, indexed by descriptor.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>

#include "registry.h"

void
registry_clear(struct registry *r)
{
	for (unsigned i = 0; i < REGISTRY_SEGMENTS; i++)
		r->segments[i] = NULL;
	r->changed = NO_FD;
	r->sweep = false;
}

void
registry_free(struct registry *r)
{
	for (unsigned i = 0; i < REGISTRY_SEGMENTS; i++)
		free(r->segments[i]);
	registry_clear(r);
}

struct source *
registry_insert(struct registry *r, int fd)
{
	struct source *s = registry_slot(r, fd);

	if (s == NULL) {
		unsigned segment = registry_segment(fd);

		r->segments[segment] = calloc(
		    registry_size(segment), sizeof(struct source));
		s = registry_slot(r, fd);
		if (s == NULL)
			return NULL;
	}
	/* The slot may still be on the list of changes from its last life:
	 * next and SOURCE_CHANGED stay. */
	s->flags = (uint8_t)((s->flags & SOURCE_CHANGED) | SOURCE_REGISTERED);
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
