/* SPDX-License-Identifier: MIT */
/*
 * idmap.h - from any number to a small one.
 *
 * A hash table with open addressing, whose entries hold both numbers, so that
 * looking one up takes one cache line in most cases, and nothing else is looked
 * at. The poller's lock guards it.
 */
#ifndef LIBPOLLING_IDMAP_H
#define LIBPOLLING_IDMAP_H

#include <stdint.h>

#include "namespace.h"

struct idmap_entry {
	uintptr_t id;
	uint32_t value; /* IDMAP_NONE in one that is free */
};

/* All zeros is an empty map. */
struct idmap {
	struct idmap_entry
	    *entries; /* 1 << bits of them; NULL if there are none */
	unsigned bits;
	uint32_t count; /* in use, at most three quarters */
};

#define IDMAP_NONE UINT32_MAX

/* The value of id, or IDMAP_NONE. */
uint32_t idmap_find(const struct idmap *m, uintptr_t id);

/* Adds an id that is not there; value is none of IDMAP_NONE. Returns 0 or
 * -ENOMEM. */
int idmap_insert(struct idmap *m, uintptr_t id, uint32_t value);

/* Removes an id that is there. The last one gives back the memory of a large
 * map. */
void idmap_remove(struct idmap *m, uintptr_t id);

/* Empties it and gives back its memory. */
void idmap_clear(struct idmap *m);

#endif
