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

#define SEEDS     1500
#define STEPS     150
#define STEPS_MAX 2000 /* of an input */

static void
do_something(struct model *m)
{
	int i = (int)pick(m, m->fed ? ENDS : PAIR_ENDS);
	unsigned what = pick(m, m->fed ? 100 + MORE : 100);

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
	else
		do_more(m, i, what - 100);
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

/* With the choices that are set up in the model. */
static void
run(struct model *m)
{
	int pairs = m->fed ? PAIRS + FILES / 2 : PAIRS;

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
	m->moves = once_in(m, 4);
	for (int i = 0; i < pairs; i++)
		make_pair(m, i);
	for (; m->fed ? m->left > 0 && m->step < STEPS_MAX : m->step < STEPS;
	     m->step++)
		do_something(m);
	m->record_room = 0;
	wait_for(m, CAPACITY);
	polling_destroy(m->p);
	for (int i = 0; i < ENDS; i++) {
		if (m->ends[i].open)
			close_fd(m->ends[i].fd);
	}
}

static struct model model;

static void
run_seed(uint64_t seed, bool verbose)
{
	model = (struct model){
	    .random = seed, .seed = seed, .verbose = verbose};
	run(&model);
}

void
model_feed(const uint8_t *input, size_t size, bool verbose)
{
	model = (struct model){
	    .fed = true, .input = input, .left = size, .verbose = verbose};
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

START_TEST(random_operations_follow_the_model)
{
	const char *text = getenv("POLLING_TEST_SEED");
	int count = scaled(SEEDS);

	if (text != NULL) {
		run_seed(strtoull(text, NULL, 10), true);
		return;
	}
	for (int seed = 1; seed <= count; seed++)
		run_seed((uint64_t)seed, false);
}
END_TEST

void
add_model(Suite *s)
{
	CASE_LOOP(s, seeds_that_found_something_follow_the_model, CASE_SECONDS,
	    0, MODEL_FOUND);
	CASE(s, random_operations_follow_the_model);
}
