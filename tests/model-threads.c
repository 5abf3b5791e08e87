/* SPDX-License-Identifier: MIT */
/*
 * model-threads.c - operations of one model by several threads, in turn, while
 * others are inside of waits that do not end by themselves.
 *
 * A thread begins such a wait only when nothing can come of it. After each
 * operation there are three cases:
 * - Something is due, or a notification: a wait must end by itself.
 * - Something may come, or not, as the contract leaves it open for edges.
 * - Nothing can come: no wait may have ended.
 * In the first two all that wait are called home then, and what has not come
 * yet is waited for, so that it does not matter to the model, nor to what is
 * done next, which of them the kernel has woken. So a seed always does the
 * same.
 */
#include "model-parts.h"

#include "crew.h"

enum task { NOTHING, OPERATES, WAITS, GOES };

/* A thread beside the first one. */
struct hand {
	struct thread thread;
	enum task task;
	bool ended; /* its wait has, and was not looked at */
	/* OPERATES */
	int i;
	unsigned what;
	/* WAITS: the arguments, and what came of it. */
	int capacity;
	unsigned how;
	int count;
	int error;
	struct polling_event events[CAPACITY];
};

static struct hand hands[HANDS];
static pthread_mutex_t baton = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t passed = PTHREAD_COND_INITIALIZER;
static struct model *operated; /* by who has the baton */
static char words[4096];       /* what one of them disagrees with */

/* Ends the thread that has operated. */
static void
tell_first(const char *text)
{
	pthread_mutex_lock(&baton);
	(void)snprintf(words, sizeof(words), "%s", text);
	pthread_cond_broadcast(&passed);
	pthread_mutex_unlock(&baton);
	pthread_exit(NULL);
}

static void
wait_at_length(struct hand *h)
{
	static const struct timespec hours = {100000, 0};
	struct timespec until;
	struct polling *p = operated->p;

	polling_now(&until);
	until.tv_sec += hours.tv_sec;
	if (h->how == 0)
		h->count = polling_wait(p, h->events, h->capacity, &hours);
	else if (h->how == 1)
		h->count = polling_wait_until(
		    p, h->events, h->capacity, &until);
	else
		h->count = polling_wait(p, h->events, h->capacity, NULL);
	h->error = errno;
}

static void *
lend_a_hand(void *argument)
{
	struct hand *h = argument;
	enum task task;

	do {
		pthread_mutex_lock(&baton);
		while (h->task == NOTHING || h->ended)
			pthread_cond_wait(&passed, &baton);
		task = h->task;
		pthread_mutex_unlock(&baton);
		if (task == OPERATES)
			operate(operated, h->i, h->what);
		else if (task == WAITS)
			wait_at_length(h);
		pthread_mutex_lock(&baton);
		h->ended = task == WAITS;
		if (task == OPERATES)
			h->task = NOTHING;
		pthread_cond_broadcast(&passed);
		pthread_mutex_unlock(&baton);
	} while (task != GOES);
	return NULL;
}

void
start_hands(struct model *m)
{
	operated = m;
	words[0] = '\0';
	for (int i = 0; i < HANDS; i++) {
		hands[i] = (struct hand){.task = NOTHING};
		start_thread(&hands[i].thread, lend_a_hand, &hands[i]);
	}
}

static int
count_waiting(void)
{
	int count = 0;

	for (int i = 0; i < HANDS; i++)
		count += hands[i].task == WAITS;
	return count;
}

bool
hands_wait(void)
{
	return count_waiting() > 0;
}

static void
give_task(struct hand *h, enum task task)
{
	pthread_mutex_lock(&baton);
	h->task = task;
	pthread_cond_broadcast(&passed);
	pthread_mutex_unlock(&baton);
}

/* If one is free, and nothing can end its wait before the next operation. The
 * pause is for it to be on its way, or asleep. */
void
send_a_hand_to_wait(struct model *m)
{
	static const long pauses[] = {0, 0, 1000, 50000};
	int capacity = once_in(m, 2) ? 1 + (int)pick(m, 3) : CAPACITY;
	unsigned how = pick(m, 4), pause = pick(m, 4);

	if (m->notified || may_give(m))
		return;
	for (int i = 0; i < HANDS; i++) {
		struct hand *h = &hands[i];

		if (h->task != NOTHING)
			continue;
		note(m, "thread %d waits for %d, how %u", i + 1, capacity, how);
		h->capacity = capacity;
		h->how = how;
		give_task(h, WAITS);
		if (pauses[pause] != 0)
			sleep_ns(pauses[pause]);
		return;
	}
}

/* Has the operation done by a hand, if it is free; 0 and those who are not are
 * the first thread. */
void
have_done(struct model *m, unsigned hand, int i, unsigned what)
{
	struct hand *h = hand > 0 ? &hands[hand - 1] : NULL;

	if (h == NULL || h->task != NOTHING) {
		operate(m, i, what);
		return;
	}
	note(m, "by thread %u:", hand);
	h->i = i;
	h->what = what;
	m->tell = tell_first;
	give_task(h, OPERATES);
	pthread_mutex_lock(&baton);
	while (h->task == OPERATES && words[0] == '\0')
		pthread_cond_wait(&passed, &baton);
	pthread_mutex_unlock(&baton);
	m->tell = NULL;
	if (words[0] != '\0')
		ck_abort_msg("%s", words);
}

/* One whose wait has ended, or NULL: at once or, with patience, if none does
 * for long. */
static struct hand *
find_ended(bool patient)
{
	int64_t give_up = patient ? patience() : 0;
	struct hand *found = NULL;

	for (;;) {
		pthread_mutex_lock(&baton);
		for (int i = 0; i < HANDS && found == NULL; i++)
			found = hands[i].ended ? &hands[i] : NULL;
		pthread_mutex_unlock(&baton);
		if (found != NULL || !patient || now_ns() > give_up)
			return found;
		yield_thread();
	}
}

/* Compares what came of a wait that has ended. */
static void
take_home(struct model *m, struct hand *h)
{
	note(m, "thread %d is home", (int)(h - hands) + 1);
	if (h->count < 0)
		disagree(m, "polling_wait: %s", error_text(h->error));
	if (h->count > h->capacity)
		disagree(m, "%d events came", h->count);
	for (int i = 0; i < ENDS; i++)
		m->ends[i].seen = false;
	for (int i = 0; i < TIMERS; i++)
		m->timers[i].seen = false;
	memcpy(m->events, h->events, (size_t)h->count * sizeof(h->events[0]));
	m->hasty = true;
	take_events(m, h->count);
	m->hasty = false;
	/* There may have been no room for its other direction. */
	for (int i = 0; i < ENDS; i++) {
		if (m->ends[i].seen)
			may_be_new(&m->ends[i], UINT32_MAX);
	}
	pthread_mutex_lock(&baton);
	h->task = NOTHING;
	h->ended = false;
	pthread_mutex_unlock(&baton);
}

static void
look_once(struct model *m)
{
	int due = begin_wait(m, CAPACITY);

	end_wait(m, CAPACITY, due, wait_ms(m->p, m->events, CAPACITY, 0));
}

/* Each notification ends one wait, if it does not end for another reason. */
static void
call_home(struct model *m)
{
	while (hands_wait()) {
		struct hand *h;

		expect_result(m, polling_notify(m->p), 0);
		h = find_ended(true);
		if (h == NULL)
			disagree(m, "no wait ends for a notification");
		take_home(m, h);
	}
	/* A notification may be left, and events that found no room. */
	m->notified = true;
	look_once(m);
	look_once(m);
}

void
look_after_hands(struct model *m)
{
	bool must = m->notified || count_due(m) > 0;
	struct hand *h;

	if (!hands_wait())
		return;
	h = find_ended(must);
	if (must) {
		if (h == NULL)
			disagree(m, "no wait ends, with %d events due%s",
			    count_due(m), m->notified ? ", notified" : "");
		if (h->count == 0 && !m->notified)
			disagree(m, "a wait ended with nothing");
	} else if (!may_give(m)) {
		if (h == NULL)
			return;
		disagree(m, "a wait ended, with %d", h->count);
	}
	if (h != NULL)
		take_home(m, h);
	call_home(m);
}

void
end_hands(struct model *m)
{
	call_home(m);
	for (int i = 0; i < HANDS; i++)
		give_task(&hands[i], GOES);
	for (int i = 0; i < HANDS; i++)
		join_thread(&hands[i].thread);
}
