/* SPDX-License-Identifier: MIT */
/*
 * idmap.c - a hash table with open addressing and linear probing.
 *
 * An entry that is removed leaves no mark: those behind it that would not be
 * found across the gap move up, so that a table does not age.
 */
#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "compat.h"
#include "idmap.h"

#define FIRST_BITS 4

/* An empty map of more than 1 << KEPT_BITS entries is given back. */
#define KEPT_BITS 10

/* Where the search for id begins. A multiplicative hash, whose high bits depend
 * on all of the id. */
static inline size_t
home_of(const struct idmap *m, uintptr_t id)
{
	uint64_t hash = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(hash >> (64 - m->bits));
}

/* The entry of id, or the free one that ends the search for it. */
static inline struct idmap_entry *
search(const struct idmap *m, uintptr_t id)
{
	size_t mask = ((size_t)1 << m->bits) - 1;
	size_t i = home_of(m, id);

	while (m->entries[i].value != IDMAP_NONE && m->entries[i].id != id)
		i = (i + 1) & mask;
	return &m->entries[i];
}

uint32_t
idmap_find(const struct idmap *m, uintptr_t id)
{
	return m->entries != NULL ? search(m, id)->value : IDMAP_NONE;
}

/* Doubles the table. */
static int
grow(struct idmap *m)
{
	unsigned bits = m->entries != NULL ? m->bits + 1 : FIRST_BITS;
	struct idmap larger = {NULL, bits, m->count};

	if (bits > 31 || (size_t)1 << bits > SIZE_MAX / sizeof *m->entries)
		return -ENOMEM;
	larger.entries = malloc(sizeof *m->entries << bits);
	if (larger.entries == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < (size_t)1 << bits; i++)
		larger.entries[i].value = IDMAP_NONE;
	for (size_t i = 0; m->entries != NULL && i < (size_t)1 << m->bits; i++)
		if (m->entries[i].value != IDMAP_NONE)
			*search(&larger, m->entries[i].id) = m->entries[i];
	free(m->entries);
	*m = larger;
	return 0;
}

int
idmap_insert(struct idmap *m, uintptr_t id, uint32_t value)
{
	struct idmap_entry *e;

	if (m->entries == NULL ||
	    m->count >= ((uint32_t)1 << m->bits) / 4 * 3) {
		int error = grow(m);

		if (error != 0)
			return error;
	}
	e = search(m, id);
	e->id = id;
	e->value = value;
	m->count++;
	return 0;
}

void
idmap_remove(struct idmap *m, uintptr_t id)
{
	size_t mask = ((size_t)1 << m->bits) - 1;
	size_t gap = (size_t)(search(m, id) - m->entries);
	size_t i = gap;

	if (--m->count == 0 && m->bits > KEPT_BITS) {
		idmap_clear(m);
		return;
	}
	for (;;) {
		i = (i + 1) & mask;
		if (m->entries[i].value == IDMAP_NONE)
			break;
		/* It may move up unless its search begins behind the gap. */
		if (((i - home_of(m, m->entries[i].id)) & mask) >=
		    ((i - gap) & mask)) {
			m->entries[gap] = m->entries[i];
			gap = i;
		}
	}
	m->entries[gap].value = IDMAP_NONE;
}

void
idmap_clear(struct idmap *m)
{
	free(m->entries);
	*m = (struct idmap){NULL, 0, 0};
}
