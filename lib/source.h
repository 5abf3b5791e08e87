/* SPDX-License-Identifier: MIT */
/*
 * source.h - the record of one source, and what a condition means for it.
 *
 * Here is the semantics that every backend shares: which conditions are
 * reported, and which report disarms the source. A record is 32 bytes on
 * 64-bit systems; a program with a million descriptors pays for each.
 */
#ifndef LIBPOLLING_SOURCE_H
#define LIBPOLLING_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "polling.h"

/* Bits of an interest that a caller may set. */
#define INTEREST_BITS                                             \
	(POLLING_IN | POLLING_OUT | POLLING_PRI | POLLING_RDHUP | \
	    POLLING_HUP | POLLING_ERR)

/* Bits that a caller may give to a waitable handle, to be told by. */
#define WAITABLE_BITS                                                    \
	(INTEREST_BITS | POLLING_TIMER | POLLING_SIGNAL | POLLING_EXIT | \
	    POLLING_FORK | POLLING_EXEC)

/* Conditions that are reported only where the interest asks for them. */
#define ASKED_BITS (POLLING_IN | POLLING_OUT | POLLING_PRI | POLLING_RDHUP)

/* struct source.flags */
#define SOURCE_REGISTERED 0x01u /* the slot is in use */
#define SOURCE_ARMED      0x02u /* an event may be reported */
#define SOURCE_CHANGED    0x04u /* on the registry's list of changes */
#define SOURCE_FILE       0x08u /* never blocks: file.c reports it */
#define SOURCE_QUEUED     0x10u /* a SOURCE_FILE on the list of ready ones */
#define SOURCE_PLACED     0x20u /* the backend's: slot is a position */
#if HAVE_HANDLES
#define SOURCE_WAITABLE 0x40u /* a handle that is no SOCKET */
#else
#define SOURCE_WAITABLE 0
#endif
#define SOURCE_PROCESS 0x80u /* the library's own; tells of a process's end */

/* In struct source.kernel, set by the backend: the next report disarms the
 * source in the kernel too. When the core meets such a report it clears all of
 * kernel but KERNEL_KEPT, and if the source is still armed, which a level one
 * always is, it has the source armed in the kernel again. */
#define KERNEL_ONESHOT 0x40000000u

/* The part of struct source.kernel that outlives a report. */
#define KERNEL_KEPT 0x0fff0000u

/* Waitable handles have more bits, descriptors a record of 32 bytes. */
#if HAVE_HANDLES
typedef uint32_t source_bits;
#else
typedef uint16_t source_bits;
#endif

/* The record of one source; the poller's lock guards it. */
struct source {
	uintptr_t key;       /* the caller's */
	uint32_t generation; /* counts registrations in this slot; 1 to
			      * GENERATION_MAX once used; makes late kernel
			      * events harmless */
	int32_t next;        /* next descriptor on the list that it is on */
#if HAVE_HANDLES
	uintptr_t handle; /* a SOCKET or, if SOURCE_WAITABLE, a HANDLE */
	void *watch;      /* the backend's; NULL in a new record */
#endif
	source_bits interest; /* INTEREST_BITS; of a SOURCE_WAITABLE its bits */
	uint8_t mode;         /* enum polling_mode */
	uint8_t flags;        /* SOURCE_ */
	uint16_t verify_in;   /* events until backend_knows() is asked */
	uint16_t verify_step; /* events between the checks after that one; 0 if
			       * it is the first */
	uint32_t kernel;      /* the backend's: what the kernel was told; see
			       * KERNEL_ONESHOT. For a SOURCE_FILE the
			       * identity of the file. */
	uint32_t slot;        /* the backend's: a place in its own tables. For a
			       * SOURCE_QUEUED the descriptor queued before. */
};

/* A bit of 32 is left to the backend for a mark of its own beside it. */
#define GENERATION_MAX 0x7fffffffu

/* The generation after this one. */
static inline uint32_t
source_next_generation(uint32_t generation)
{
	return generation == GENERATION_MAX ? 1 : generation + 1;
}

static inline bool
source_is_oneshot(const struct source *s)
{
	return s->mode == POLLING_ONESHOT || s->mode == POLLING_EDGE_ONESHOT;
}

static inline bool
source_is_edge(const struct source *s)
{
	return s->mode == POLLING_EDGE || s->mode == POLLING_EDGE_ONESHOT;
}

/* Interest, mode and key as add and modify set them. Interest 0 disarms. */
static inline void
source_set(
    struct source *s, uint32_t interest, enum polling_mode mode, uintptr_t key)
{
	s->key = key;
	s->interest = (source_bits)interest;
	s->mode = (uint8_t)mode;
	if (interest != 0)
		s->flags |= SOURCE_ARMED;
	else
		s->flags &= (uint8_t)~SOURCE_ARMED;
}

/* What a caller is told when the kernel says conditions; 0 is nothing. */
static inline uint32_t
source_report(const struct source *s, uint32_t conditions)
{
	uint32_t report;

	if (!(s->flags & SOURCE_ARMED))
		return 0;
	/* A handle is signalled or not: there is one thing to tell. */
	if (s->flags & SOURCE_WAITABLE)
		return conditions != 0 ? s->interest : 0;
	report = conditions & s->interest & ASKED_BITS;
	if (conditions & (POLLING_HUP | POLLING_ERR)) {
		/* A program that looks at IN and OUT only must meet the end
		 * or the error in its read or its write. */
		report |= conditions & (POLLING_HUP | POLLING_ERR);
		report |= s->interest & (POLLING_IN | POLLING_OUT);
	}
	return report;
}

#endif
