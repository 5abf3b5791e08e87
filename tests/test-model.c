/* SPDX-License-Identifier: MIT */
/*
 * test-model.c - does random things to a poller and to a model of the contract.
 * After each wait the events must be those that the model has. A seed decides
 * everything, so that a failure can be replayed:
 *
 *     POLLING_TEST_SEED=N tests/suites model
 *
 * runs this one seed and prints what it does. The bytes of an input may decide
 * instead, for fuzzers: see model.h. Those may do more than the seeds, whose
 * operations stay what they are.
 *
 * The model is in model.c, the operations are in the files model-NAME.c, and
 * here is what chooses among them.
 */
#include "model-parts.h"

#include "crew.h"
#include "model.h"

#include <inttypes.h>

/* Whether a fork beside threads that are inside of the library is safe. */
#if HAVE_PTHREAD_ATFORK
#define THREADS_FORK CHILDREN_CAN_ALLOCATE
#else
#define THREADS_FORK false
#endif

#define SEEDS        1500
#define FORK_SEEDS   100
#define THREAD_SEEDS 100
#define STEPS        150
#define STEPS_MAX    2000 /* of an input */

/* Not while others wait: what is made of the first end may come when it is gone
 * already, or there is no telling whether it comes. */
static bool
confuses_waiters(struct model *m, int i, unsigned what)
{
	return (what >= 86 && what < 89) ||
	       (what >= 79 && what < 83 && m->ends[i].full);
}

/* What is below 100 is for all, what is above for more, and the rest are forks.
 */
void
operate(struct model *m, int i, unsigned what)
{
	if (hands_wait() && confuses_waiters(m, i, what))
		return;
	if (what < 20)
		do_wait(m);
	else if (what < 36)
		do_add(m, i);
	else if (what < 50)
		do_modify(m, i);
	else if (what < 55)
		do_delete(m, i);
	else if (what < 67)
		do_write(m, i);
	else if (what < 69)
		do_fill(m, i);
	else if (what < 79)
		do_read(m, i);
	else if (what < 83)
		do_shut(m, i);
	else if (what < 86)
		do_close(m, i);
	else if (what < 89)
		do_renew(m, i);
	else if (what < 92)
		do_set_timer(m, once_in(m, 2));
	else if (what < 93)
		do_delete_timer(m);
	else if (what < 95)
		do_post(m);
	else if (what < 96)
		do_notify(m);
	else if (what < 97)
		do_refused(m, i);
	else if (what < 99)
		do_move(m, i);
	else if (what < 100)
		do_wait_for_all(m);
	else if (what < 100 + MORE)
		do_more(m, i, what - 100);
	else
		do_fork(m);
}

#define FORKS 4 /* of the operations, where there are some */

static void
do_something(struct model *m)
{
	int i = (int)pick(m, m->more ? ENDS : PAIR_ENDS);
	unsigned count = m->more ? 100 + MORE : 100;
	unsigned what = pick(m, m->forks && !m->fed ? count + FORKS : count);

	operate(m, i, what);
}

/* The same by several threads. */
static void
do_something_by_threads(struct model *m)
{
	int i = (int)pick(m, ENDS);
	unsigned what = pick(m, 100 + MORE + (m->forks ? 1 : 0));
	unsigned hand = pick(m, HANDS + 1);

	if (once_in(m, 3))
		send_a_hand_to_wait(m);
	have_done(m, hand, i, what);
	look_after_hands(m);
}

/* Does a socket that is closed with data unread reset the connection? */
static uint32_t
ask_reset(void)
{
	polling_fd pair[2];
	uint32_t reset;

	make_socketpair(pair);
	if (write_fd(pair[0], "", 1) != 1)
		ck_abort_msg("write: %s", error_text(errno));
	close_fd(pair[1]);
	reset = socket_error(pair[0]) == ECONNRESET ? POLLING_ERR : 0;
	close_fd(pair[0]);
	return reset;
}

static void
begin(struct model *m)
{
	int pairs = m->more ? PAIRS + FILES / 2 : PAIRS;
	unsigned choice;

	m->p = polling_create(0);
	if (m->p == NULL)
		ck_abort_msg("polling_create: %s", error_text(errno));
	m->reset = ask_reset();
	m->edges = polling_supports(m->p, POLLING_FEATURE_EDGE);
	if (polling_supports(m->p, POLLING_FEATURE_RDHUP))
		m->rdhup = POLLING_RDHUP;
	m->nested = -1;
	if (once_in(m, 4))
		m->nested = polling_get_fd(m->p);
	choice = pick(m, 4);
	m->moves = choice == 0;
	if (m->fed)
		m->forks = choice == 1;
	for (int i = 0; i < pairs; i++)
		make_pair(m, i);
}

static void
end(struct model *m)
{
	m->record_room = 0;
	wait_for(m, CAPACITY);
	polling_destroy(m->p);
	for (int i = 0; i < ENDS; i++) {
		if (m->ends[i].open)
			close_fd(m->ends[i].fd);
	}
}

/* With the choices that are set up in the model. */
static void
run(struct model *m)
{
	begin(m);
	for (; m->fed ? m->left > 0 && m->step < STEPS_MAX : m->step < STEPS;
	     m->step++)
		do_something(m);
	end(m);
}

static void
run_by_threads(struct model *m)
{
	begin(m);
	start_hands(m);
	for (; m->step < STEPS; m->step++)
		do_something_by_threads(m);
	end_hands(m);
	end(m);
}

static struct model model;

static void
set_up(uint64_t seed, bool verbose, bool more, bool forks)
{
	model = (struct model){.random = seed,
	    .seed = seed,
	    .more = more,
	    .forks = forks,
	    .verbose = verbose};
}

static void
run_seed(uint64_t seed, bool verbose)
{
	set_up(seed, verbose, false, false);
	run(&model);
}

static void
run_seed_with_forks(uint64_t seed, bool verbose)
{
	set_up(seed, verbose, true, true);
	run(&model);
}

static void
run_seed_by_threads(uint64_t seed, bool verbose)
{
	set_up(seed, verbose, true, THREADS_FORK);
	run_by_threads(&model);
}

void
model_feed(const uint8_t *input, size_t size, bool verbose)
{
	model = (struct model){.fed = true,
	    .bytes = true,
	    .more = true,
	    .input = input,
	    .left = size,
	    .verbose = verbose};
	run(&model);
}

size_t
model_record(uint64_t seed, uint8_t *input, size_t room)
{
	model = (struct model){
	    .random = seed, .seed = seed, .record = input, .record_room = room};
	run(&model);
	return model.recorded;
}

/*
 * With these the library was found to be wrong, on some backend: nothing came
 * of a wait with little room; RDHUP was left out; the poller's descriptor did
 * not tell of a broken pipe; the number of one was in use again; a wait was cut
 * short by a duplicate of a closed descriptor, or by a change that failed.
 */
const uint64_t model_found[MODEL_FOUND] = {
    6, 20, 44, 58, 106, 640, 686, 774, 29573};

START_TEST(seeds_that_found_something_follow_the_model)
{
	run_seed(model_found[_i], false);
}
END_TEST

/* The one that is asked for, or so many. */
static void
run_seeds(void (*run_one)(uint64_t seed, bool verbose), int count)
{
	const char *text = getenv("POLLING_TEST_SEED");

	if (text != NULL) {
		run_one(strtoull(text, NULL, 10), true);
		return;
	}
	for (int seed = 1; seed <= scaled(count); seed++)
		run_one((uint64_t)seed, false);
}

START_TEST(random_operations_follow_the_model)
{
	run_seeds(run_seed, SEEDS);
}
END_TEST

/* 76: with children that look at what they inherit */
START_TEST(random_operations_and_forks_follow_the_model)
{
	run_seeds(run_seed_with_forks, FORK_SEEDS);
}
END_TEST

/* 67: while others are inside of waits */
START_TEST(random_operations_of_threads_follow_the_model)
{
	if (!THREADS_FORK)
		harness_note(
		    "no forks: a child may inherit a lock that is "
		    "held, of a sanitizer or without pthread_atfork()");
	run_seeds(run_seed_by_threads, THREAD_SEEDS);
}
END_TEST

void
add_model(Suite *s)
{
	CASE_LOOP(s, seeds_that_found_something_follow_the_model, CASE_SECONDS,
	    0, MODEL_FOUND);
	CASE(s, random_operations_follow_the_model);
	CASE(s, random_operations_and_forks_follow_the_model);
	CASE(s, random_operations_of_threads_follow_the_model);
}
