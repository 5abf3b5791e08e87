/* SPDX-License-Identifier: MIT */
/*
 * idmap.h - records that are found by a number, whatever that is.
 *
 * The records lie in a row of slots, whose numbers are small: one that was
 * removed leaves its slot to the next. They move when the row grows. Each
 * begins with a struct idmap_link; size is that of the owner's records, the
 * same in each call for a map. The poller's lock guards it.
 */
#ifndef LIBPOLLING_IDMAP_H
#define LIBPOLLING_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "namespace.h"

struct idmap_link {
	uintptr_t id;        /* of a free slot: the next free one, plus 1 */
	uint32_t next;       /* the slot of the next record with the same home,
			      * plus 1; IDMAP_FREE in a free slot */
	uint32_t generation; /* the owner's; 0 in a slot that is new */
};

/* All zeros is an empty map. */
struct idmap {
	uint32_t *homes;   /* 1 << bits; a slot plus 1, where a chain begins */
	void *records;     /* slots, in use or free */
	unsigned bits;     /* 0 without any memory */
	uint32_t capacity; /* slots allocated */
	uint32_t used;     /* slots that have been in use */
	uint32_t vacant;   /* the first free one of these, plus 1 */
	uint32_t count;    /* records */
};

#define IDMAP_FREE UINT32_MAX

/* Empty maps with more slots should give back their memory. */
#define IDMAP_KEPT 1024u

/* The record of id, or NULL. */
void *idmap_find(const struct idmap *m, uintptr_t id, size_t size);

/* Says that id is about to be looked up, so that its home may be fetched. */
void idmap_expect(const struct idmap *m, uintptr_t id);

/* Adds a record for id and stores its slot; nothing but the link is filled in.
 * Returns 0, -EEXIST or -ENOMEM. */
int idmap_insert(struct idmap *m, uintptr_t id, size_t size, uint32_t *slot);

/* Removes the record in a slot. Nothing changes in it but the link. */
void idmap_remove(struct idmap *m, uint32_t slot, size_t size);

/* Forgets all of them and gives back the memory. */
void idmap_clear(struct idmap *m);

/* Whether to clear it is worth while. */
static inline bool
idmap_is_idle(const struct idmap *m)
{
	return m->count == 0 && m->capacity > IDMAP_KEPT;
}

#endif
