/* SPDX-License-Identifier: MIT */
/*
 * The library's hash table of ids. It is looked at from inside, since how long
 * its chains are does not show from outside but as time, which proves little.
 */
#include "harness.h"

#include <stdlib.h>

#include "../lib/idmap.h"

#define SIZE sizeof(struct idmap_link)

static uintptr_t
at_random(size_t i)
{
	uint64_t x = (i + 1) * UINT64_C(0xbf58476d1ce4e5b9);

	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uintptr_t)(x ^ x >> 31);
}

/* The ids that programs have: descriptors, counters, addresses of objects and
 * of pages, two numbers in one. */
static const struct {
	const char *name;
	uintptr_t factor, offset; /* of a counter; factor 0: at random */
	unsigned low_bits;        /* of the counter, which stay; the factor is
				   * for the rest */
} patterns[] = {
    {"a sequence", 1, 0, 0},
    {"one after 5", 1, 5, 0},
    {"one down to 0 and on", 1, (uintptr_t)-500, 0},
    {"every third", 3, 0, 0},
    {"negative ones by 8", (uintptr_t)-8, (uintptr_t)-1, 0},
    {"by 12", 12, 0, 0},
    {"by 16", 16, 0x5510, 0},
    {"by 48", 48, 0x5510, 0},
    {"by 64", 64, 0, 0},
    {"by 1000", 1000, 0, 0},
    {"by 4096", 4096, 0, 0},
    {"by 65537", 65537, 0, 0},
    {"by 1048575", 1048575, 0, 0},
    {"by 1 << 15", 1u << 15, 0, 0},
    {"groups of 4 by 1 << 10", 1u << 10, 0, 2},
    {"groups of 4 by 1 << 14", 1u << 14, 0, 2},
    {"groups of 64 by 1 << 18", 1u << 18, 0, 6},
    {"groups of 1024 by 1 << 24", 1u << 24, 0, 10},
#if UINTPTR_MAX > UINT32_MAX
    {"by 1 << 20", (uintptr_t)1 << 20, 0, 0},
    {"by 1 << 32", (uintptr_t)1 << 32, 0, 0},
    {"by 1 << 40", (uintptr_t)1 << 40, 0, 0},
    {"by (1 << 32) + 1", ((uintptr_t)1 << 32) + 1, 0, 0},
    {"groups of 64 by 1 << 32", (uintptr_t)1 << 32, 0, 6},
    {"stacks", 0x21000, (uintptr_t)0x7f0000000a50, 0},
#endif
    {"at random", 0, 0, 0},
};
#define PATTERNS ((int)(sizeof(patterns) / sizeof(patterns[0])))

static uintptr_t
id_of(int pattern, size_t i)
{
	unsigned low = patterns[pattern].low_bits;

	if (patterns[pattern].factor == 0)
		return at_random(i);
	return patterns[pattern].offset +
	       (i >> low) * patterns[pattern].factor +
	       (i & (((uintptr_t)1 << low) - 1));
}

static const struct idmap_link *
link_of(const struct idmap *m, uint32_t slot)
{
	return (const struct idmap_link *)m->records + slot;
}

static uint32_t
insert(struct idmap *m, uintptr_t id)
{
	uint32_t slot;

	/* An assertion that holds costs a write. */
	if (idmap_insert(m, id, SIZE, &slot) != 0)
		ck_abort_msg("id %zu is not inserted", (size_t)id);
	return slot;
}

/* Looking up takes few steps, on the average and at worst, however the ids
 * come. At random it would be 1.25 on the average. */
START_TEST(chains_are_short)
{
	const size_t counts[] = {64, 1000, 1024, 50000, 65536};

	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct idmap m = {.count = 0};
		size_t steps = 0, longest = 0;

		for (size_t i = 0; i < counts[c]; i++)
			insert(&m, id_of(_i, i));
		for (size_t home = 0; home < (size_t)1 << m.bits; home++) {
			size_t length = 0;

			for (uint32_t s = m.homes[home]; s != 0;
			     s = link_of(&m, s - 1)->next)
				steps += ++length;
			if (length > longest)
				longest = length;
		}
		idmap_clear(&m);
		ck_assert_msg(steps <= counts[c] * 2 && longest <= 12,
		    "%zu ids, %s: %zu steps, %zu at most", counts[c],
		    patterns[_i].name, steps, longest);
	}
}
END_TEST

/* Sequences go through the homes in order, one to each. */
START_TEST(sequences_stay_in_order)
{
	struct idmap m = {.count = 0};

	for (uintptr_t id = 0; id < 1000; id++)
		insert(&m, id);
	for (uintptr_t id = 0; id < 1000; id++)
		ck_assert_uint_eq(link_of(&m, m.homes[id] - 1)->id, id);
	idmap_clear(&m);
}
END_TEST

/* What is added is found until it is removed, whatever comes and goes. */
START_TEST(records_come_and_go)
{
	enum { IDS = 1500, STEPS = 10000 };
	static uint32_t slots[IDS]; /* plus 1; 0 if it is not there */
	struct idmap m = {.count = 0};
	uint32_t count = 0, slot;

	memset(slots, 0, sizeof(slots));
	for (size_t step = 0; step < STEPS; step++) {
		size_t i = (size_t)(at_random(step) % IDS);
		uintptr_t id = id_of(_i, i);
		struct idmap_link *l = idmap_find(&m, id, SIZE);

		ck_assert(
		    l == (slots[i] == 0 ? NULL : link_of(&m, slots[i] - 1)));
		if (l == NULL) {
			slots[i] = insert(&m, id) + 1;
			count++;
		} else if (at_random(step + STEPS) % 8 == 0) {
			ck_assert_int_eq(
			    idmap_insert(&m, id, SIZE, &slot), -EEXIST);
		} else {
			idmap_remove(&m, slots[i] - 1, SIZE);
			ck_assert_uint_eq(l->next, IDMAP_FREE);
			slots[i] = 0;
			count--;
		}
		ck_assert_uint_eq(m.count, count);
	}
	/* No slot was taken while another was free. */
	ck_assert_uint_le(m.used, IDS);
	idmap_clear(&m);
}
END_TEST

void
add_idmap(Suite *s)
{
	CASE_LOOP(s, chains_are_short, CASE_SECONDS, 0, PATTERNS);
	CASE(s, sequences_stay_in_order);
	CASE_LOOP(s, records_come_and_go, CASE_SECONDS, 0, PATTERNS);
}
