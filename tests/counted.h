/* SPDX-License-Identifier: MIT */
/*
 * Events that carry a count, and lengths of time: for the suites of timers,
 * signals and processes.
 *
 * Include it after harness.h.
 */
#ifndef TESTS_COUNTED_H
#define TESTS_COUNTED_H

/* A pointer to this many milliseconds, an int. */
#define MS(n)                \
	(&(struct timespec){ \
	    .tv_sec = (n) / 1000, .tv_nsec = (n) % 1000 * 1000000})

/*
 * One wait returns exactly one event: this key, these events, and in data at
 * least and at most so much, which is returned.
 */
#define expect_counted(p, timeout_ms, key, events, least, most)        \
	harness_expect_counted(HARNESS_HERE, (p), (timeout_ms), (key), \
	    (const uint32_t[]){                                        \
		(uint32_t)(events), (uint32_t)(least), (uint32_t)(most)})
#define expect_timer(p, timeout_ms, key, count) \
	expect_counted(                         \
	    (p), (timeout_ms), (key), POLLING_TIMER, (count), (count))
#define expect_signal(p, timeout_ms, key, count) \
	expect_counted(                          \
	    (p), (timeout_ms), (key), POLLING_SIGNAL, (count), (count))

static inline uint32_t
harness_expect_counted(const char *file, int line, struct polling *p,
    int timeout_ms, uintptr_t key, const uint32_t wanted[3])
{
	struct polling_event e = harness_wait_one(file, line, p, timeout_ms);

	ck_assert_msg(e.key == key && e.events == wanted[0] &&
			  e.data >= wanted[1] && e.data <= wanted[2],
	    "%s:%d: the event is {%#llx, %s, %lu}, not {%#llx, %s, %lu to %lu}",
	    file, line, (unsigned long long)e.key, event_names(e.events),
	    (unsigned long)e.data, (unsigned long long)key,
	    event_names(wanted[0]), (unsigned long)wanted[1],
	    (unsigned long)wanted[2]);
	return e.data;
}

/* Numbers that are the same with every run of the same seed. */
static inline uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

#endif /* TESTS_COUNTED_H */
