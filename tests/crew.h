/* SPDX-License-Identifier: MIT */
/*
 * Threads for tests: started and joined together, with a place for what
 * they find wrong, since only the main thread may fail a case.
 *
 * Include it after harness.h.
 */
#ifndef TESTS_CREW_H
#define TESTS_CREW_H

#include <stdatomic.h>
#include <stdio.h>

/*
 * How often the long cases go round: TEST_SCALE is a percentage, for slow
 * machines and for tools that slow a program down. At least 1.
 */
static inline int
scaled(int count)
{
	const char *text = getenv("TEST_SCALE");
	double scale = text == NULL ? 100 : strtod(text, NULL);
	double result = count * scale / 100;

	return result < 1 ? 1 : (int)result;
}

/* The first thing that went wrong; zero-initialised. */
struct trouble {
	atomic_int state; /* 0 none, 1 being written, 2 written */
	char text[1024];
};

/* False, with the trouble noted, unless the condition holds. */
#define check_that(trouble, condition) \
	trouble_check((trouble), HARNESS_HERE, (condition), #condition)

static inline bool
trouble_check(struct trouble *t, const char *file, int line, bool holds,
    const char *condition)
{
	int error = errno, none = 0;

	if (!holds && atomic_compare_exchange_strong(&t->state, &none, 1)) {
		(void)snprintf(t->text, sizeof(t->text), "%s:%d: not %s (%s)",
		    file, line, condition, strerror(error));
		atomic_store(&t->state, 2);
	}
	return holds;
}

static inline bool
in_trouble(struct trouble *t)
{
	return atomic_load(&t->state) != 0;
}

/* On the main thread, when the others have been joined. */
#define expect_no_trouble(t) \
	ck_assert_msg(atomic_load(&(t)->state) == 0, "%s", (t)->text)

#define CREW_MAX 16

/* Threads that are joined together; zero-initialised. */
struct crew {
	struct thread threads[CREW_MAX];
	int count;
};

static inline void
crew_start(struct crew *crew, void *(*run)(void *), void *argument)
{
	ck_assert_int_lt(crew->count, CREW_MAX);
	start_thread(&crew->threads[crew->count], run, argument);
	crew->count++;
}

static inline void
crew_join(struct crew *crew)
{
	while (crew->count > 0) {
		crew->count--;
		join_thread(&crew->threads[crew->count]);
	}
}

/* If nothing comes until this moment, what is to come has not come: LONG_MS,
 * stretched. */
static inline int64_t
patience(void)
{
	return now_ns() + (int64_t)(LONG_MS * 1e6 * time_scale());
}

/*
 * Lets others run until the counter has the value; false if it stands still
 * before, or if there is trouble.
 */
static inline bool
reaches(struct trouble *trouble, atomic_int *counter, int value)
{
	int64_t give_up = patience();
	int count, last = atomic_load(counter);

	while ((count = atomic_load(counter)) < value) {
		if (count != last)
			give_up = patience();
		if (in_trouble(trouble) || now_ns() > give_up)
			return false;
		last = count;
		yield_thread();
	}
	return true;
}

#endif /* TESTS_CREW_H */
