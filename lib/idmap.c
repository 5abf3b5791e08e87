/* SPDX-License-Identifier: MIT */
/*
 * idmap.c - a hash table of chains through the records.
 *
 * The hash keeps order where there is some: ids in sequence, as descriptors and
 * counters are, have homes in sequence, one each, so that whoever goes through
 * them stays in the same cache lines and pages, of which there are few: 4 bytes
 * for a home. A table that is probed from home to home could not have such a
 * hash, since two sequences that overlap would make one long search; here they
 * make chains of two.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdlib.h>

#include "compat.h"
#include "idmap.h"

/* The first table has 1 << FIRST_BITS homes. There are two for each slot. */
#define FIRST_BITS 4

static inline struct idmap_link *
link_at(const struct idmap *m, uint32_t slot, size_t size)
{
	return (struct idmap_link *)((char *)m->records + slot * size);
}

/* The low bits of id as they are, but for a hash of those above. That takes two
 * rounds, lest multiples of a power of two share few homes. How long the chains
 * are is in tests/test-idmap.c. */
static inline uint32_t *
home_of(const struct idmap *m, uintptr_t id)
{
	const uint64_t factor = UINT64_C(0xd1342543de82ef95);
	uint64_t mask = ((uint64_t)1 << m->bits) - 1;
	uint64_t hash = ((uint64_t)id >> m->bits) * factor;

	hash = (hash ^ hash >> 32) * factor;
	return &m->homes[(id ^ hash >> (64 - m->bits)) & mask];
}

/* The record of id in the chain that begins at a home, or NULL. */
static inline struct idmap_link *
search(const struct idmap *m, uint32_t home, uintptr_t id, size_t size)
{
	while (home != 0) {
		struct idmap_link *l = link_at(m, home - 1, size);

		if (l->id == id)
			return l;
		home = l->next;
	}
	return NULL;
}

void *
idmap_find(const struct idmap *m, uintptr_t id, size_t size)
{
	return m->bits != 0 ? search(m, *home_of(m, id), id, size) : NULL;
}

void
idmap_expect(const struct idmap *m, uintptr_t id)
{
	if (m->bits != 0)
		prefetch(home_of(m, id));
}

/* Doubles it. All slots are in use. */
static int
grow(struct idmap *m, size_t size)
{
	unsigned bits = m->bits == 0 ? FIRST_BITS : m->bits + 1;
	uint32_t capacity = (uint32_t)1 << (bits - 1);
	uint32_t *homes;
	void *records;

	if (bits > 31 || capacity > PTRDIFF_MAX / size)
		return -ENOMEM;
	homes = calloc((size_t)1 << bits, sizeof *homes);
	if (homes == NULL)
		return -ENOMEM;
	records = realloc(m->records, capacity * size);
	if (records == NULL) {
		free(homes);
		return -ENOMEM;
	}
	free(m->homes);
	m->homes = homes;
	m->records = records;
	m->bits = bits;
	m->capacity = capacity;
	for (uint32_t slot = 0; slot < m->used; slot++) {
		struct idmap_link *l = link_at(m, slot, size);
		uint32_t *home = home_of(m, l->id);

		l->next = *home;
		*home = slot + 1;
	}
	return 0;
}

/* A free slot, and there is one, that is free no more. */
static uint32_t
take_slot(struct idmap *m, size_t size)
{
	uint32_t slot = m->vacant - 1;

	if (m->vacant == 0) {
		slot = m->used++;
		link_at(m, slot, size)->generation = 0;
	} else {
		m->vacant = (uint32_t)link_at(m, slot, size)->id;
	}
	m->count++;
	return slot;
}

int
idmap_insert(struct idmap *m, uintptr_t id, size_t size, uint32_t *slot)
{
	struct idmap_link *l;
	uint32_t *home;

	if (idmap_find(m, id, size) != NULL)
		return -EEXIST;
	if (m->count == m->capacity) {
		int error = grow(m, size);

		if (error != 0)
			return error;
	}
	*slot = take_slot(m, size);
	home = home_of(m, id);
	l = link_at(m, *slot, size);
	l->id = id;
	l->next = *home;
	*home = *slot + 1;
	return 0;
}

void
idmap_remove(struct idmap *m, uint32_t slot, size_t size)
{
	struct idmap_link *l = link_at(m, slot, size);
	uint32_t *link = home_of(m, l->id);

	while (*link != slot + 1)
		link = &link_at(m, *link - 1, size)->next;
	*link = l->next;
	l->next = IDMAP_FREE;
	l->id = m->vacant;
	m->vacant = slot + 1;
	m->count--;
}

void
idmap_clear(struct idmap *m)
{
	free(m->homes);
	free(m->records);
	*m = (struct idmap){.count = 0};
}
