/* SPDX-License-Identifier: MIT */
/*
 * model-arguments.c - what inputs, and seeds for more, do besides: all that the
 * arguments may be.
 */
#include "model-parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

#define LAST_SECOND ((time_t)((UINT64_C(1) << (8 * sizeof(time_t) - 1)) - 1))

static const struct timespec longest = {LAST_SECOND, 999999999};

static const struct timespec bad_times[] = {{-1, 0}, {0, -1}, {0, 1000000000},
    {-LAST_SECOND - 1, 0}, {-1, 999999999}, {LAST_SECOND, -1}, {0, LONG_MAX},
    {0, LONG_MIN}};
#define BAD_TIMES (sizeof(bad_times) / sizeof(bad_times[0]))

static void
do_refused_wait(struct model *m)
{
	static const int capacities[] = {0, -1, INT_MIN};
	const struct timespec *bad = &bad_times[pick(m, BAD_TIMES)];
	int capacity = capacities[pick(m, 3)];
	static const struct timespec none;

	note(m, "wait for %d, and for %" PRIdMAX ".%ld s", capacity,
	    (intmax_t)bad->tv_sec, (long)bad->tv_nsec);
	expect_result(
	    m, polling_wait(m->p, m->events, capacity, &none), EINVAL);
	expect_result(
	    m, polling_wait_until(m->p, m->events, capacity, NULL), EINVAL);
	expect_result(m, polling_wait(m->p, m->events, 1, bad), EINVAL);
	expect_result(m, polling_wait_until(m->p, m->events, 1, bad), EINVAL);
	expect_result(m, polling_wait(m->p, NULL, 1, NULL), EFAULT);
	expect_result(m, polling_wait_until(m->p, NULL, 1, &none), EFAULT);
}

/* A wait that is right, with other times and capacities than wait_for(). */
static void
do_odd_wait(struct model *m)
{
	static const int capacities[] = {
	    INT_MAX, INT_MAX - 1, CAPACITY + 1, CAPACITY, 2, 1};
	static const struct timespec none, least_time = {0, 1};
	int capacity = capacities[pick(m, 6)];
	unsigned how = pick(m, 8);
	struct timespec now;
	int due = begin_wait(m, capacity), count;

	polling_now(&now);
	/* Without an end only if it comes back at once. */
	if (due == 0 && !m->notified)
		how %= 4;
	if (how < 2)
		count = polling_wait(
		    m->p, m->events, capacity, how == 0 ? &none : &least_time);
	else if (how < 4)
		count = polling_wait_until(
		    m->p, m->events, capacity, how == 2 ? &none : &now);
	else if (how < 6)
		count = polling_wait(
		    m->p, m->events, capacity, how == 4 ? NULL : &longest);
	else
		count = polling_wait_until(
		    m->p, m->events, capacity, how == 6 ? NULL : &longest);
	end_wait(m, capacity, due, count);
}

static void
do_refused_timer(struct model *m)
{
	unsigned i = pick(m, TIMERS);
	uintptr_t id = timer_id(m, i);
	const struct timespec *bad = &bad_times[pick(m, BAD_TIMES)];
	static const struct timespec none;
	int (*set)(struct polling * p, uintptr_t id,
	    const struct timespec *first, const struct timespec *interval,
	    uintptr_t key) = m->timers[i].state == TIMER_ABSENT
				 ? polling_add_timer
				 : polling_modify_timer;

	note(m, "timer %u with bad times", i);
	expect_result(m, set(m->p, id, bad, NULL, 0), EINVAL);
	expect_result(m, set(m->p, id, &none, bad, 0), EINVAL);
	expect_result(m, set(m->p, id, NULL, &none, 0), EFAULT);
}

/* Times at both ends of what they may be. */
static void
do_odd_timer(struct model *m)
{
	unsigned i = pick(m, TIMERS), how = pick(m, 4);
	struct timer *t = &m->timers[i];
	uintptr_t id = timer_id(m, i), key = new_key(m);
	static const struct timespec none, least_time = {0, 1};
	const struct timespec *first = how == 0 ? &longest : &none;
	const struct timespec *interval = how == 1   ? &longest
					  : how == 2 ? &none
						     : &least_time;

	note(m, "set timer %u, times %u", i, how);
	expect_result(m,
	    t->state == TIMER_ABSENT
		? polling_add_timer(m->p, id, first, interval, key)
		: polling_modify_timer(m->p, id, first, interval, key),
	    0);
	*t = (struct timer){
	    how == 0 ? TIMER_FAR : TIMER_DUE, how != 2, how == 3, key, false};
}

/* Numbers that are no descriptors. */
static void
do_odd_descriptor(struct model *m)
{
	static const int numbers[] = {
	    -1, INT_MIN, INT_MAX, INT_MAX - 1, 1 << 20, -NUMBERS};
	int fd = numbers[pick(m, 6)];

	note(m, "descriptor %d", fd);
	if (fcntl(fd, F_GETFD) != -1)
		return;
	expect_result(
	    m, polling_add(m->p, fd, POLLING_IN, POLLING_LEVEL, 0), EBADF);
	expect_result(m, polling_add(m->p, fd, 0, POLLING_ONESHOT, 0), EBADF);
	expect_result(
	    m, polling_modify(m->p, fd, POLLING_IN, POLLING_LEVEL, 0), ENOENT);
	expect_result(m, polling_delete(m->p, fd), ENOENT);
}

/* Interests and modes of all kinds. */
static void
do_any_bits(struct model *m, int i)
{
	static const int modes[] = {POLLING_ONESHOT, POLLING_LEVEL,
	    POLLING_EDGE, POLLING_EDGE_ONESHOT, MODES, -1, INT_MAX, INT_MIN};
	struct end *e = &m->ends[i];
	uint32_t interest = any_bits(m);
	int mode = modes[pick(m, 8)];
	bool adds = once_in(m, 2);

	if (once_in(m, 2))
		interest &= INTEREST;
	if ((interest & ~INTEREST) == 0 && mode >= 0 && mode < MODES) {
		if (adds)
			add_as(m, i, interest, (enum polling_mode)mode);
		else
			modify_as(m, i, interest, (enum polling_mode)mode);
		return;
	}
	/* With nothing else that is wrong. */
	if (!e->open || ((interest & ~INTEREST) != 0 && mode >= 0 &&
			    mode < MODES && !m->edges))
		return;
	note(m, "interest %#" PRIx32 " and mode %d for %s", interest, mode,
	    end_name(i));
	expect_result(m,
	    e->registered ? polling_modify(m->p, e->fd, interest,
				(enum polling_mode)mode, 0)
			  : polling_add(m->p, e->fd, interest,
				(enum polling_mode)mode, 0),
	    EINVAL);
}

static void
do_null(struct model *m)
{
	static const struct timespec none;
	struct polling_event event = {0, 0, 0};
	enum polling_mode mode = POLLING_LEVEL;

	note(m, "no poller, no event");
	expect_result(m, polling_add(NULL, 0, 0, mode, 0), EFAULT);
	expect_result(m, polling_modify(NULL, 0, 0, mode, 0), EFAULT);
	expect_result(m, polling_delete(NULL, 0), EFAULT);
	expect_result(m, polling_wait(NULL, &event, 1, &none), EFAULT);
	expect_result(m, polling_wait_until(NULL, &event, 1, &none), EFAULT);
	expect_result(m, polling_notify(NULL), EFAULT);
	expect_result(m, polling_post(NULL, &event), EFAULT);
	expect_result(m, polling_post(m->p, NULL), EFAULT);
	expect_result(m, polling_add_timer(NULL, 0, &none, NULL, 0), EFAULT);
	expect_result(m, polling_modify_timer(NULL, 0, &none, NULL, 0), EFAULT);
	expect_result(m, polling_delete_timer(NULL, 0), EFAULT);
	expect_result(m, polling_add_signal(NULL, SIGURG, mode, 0), EFAULT);
	expect_result(m, polling_modify_signal(NULL, SIGURG, mode, 0), EFAULT);
	expect_result(m, polling_delete_signal(NULL, SIGURG), EFAULT);
	expect_result(m, polling_add_process(NULL, 1, 0, 0), EFAULT);
	expect_result(m, polling_modify_process(NULL, 1, 0, 0), EFAULT);
	expect_result(m, polling_delete_process(NULL, 1), EFAULT);
	expect_result(m, polling_get_fd(NULL), EFAULT);
	expect_result(m, polling_reinit(NULL), EFAULT);
	polling_destroy(NULL);
}

static void
do_odd_signal(struct model *m)
{
	static const int numbers[] = {
	    0, -1, SIGKILL, SIGSTOP, INT_MAX, INT_MIN, 1000, -SIGURG};
	int signo = numbers[pick(m, 8)];
	enum polling_mode mode = POLLING_ONESHOT;

	note(m, "signal number %d", signo);
	expect_result(m, polling_add_signal(m->p, signo, mode, 0), EINVAL);
	expect_result(m, polling_modify_signal(m->p, signo, mode, 0), ENOENT);
	expect_result(m, polling_delete_signal(m->p, signo), ENOENT);
	mode = (enum polling_mode)MODES;
	expect_result(m, polling_add_signal(m->p, SIGURG, mode, 0), EINVAL);
}

/* Processes that are none, and this one, which goes on. */
static void
do_odd_process(struct model *m)
{
	static const polling_pid pids[] = {
	    0, -1, INT_MIN, INT_MAX, INT_MIN + 1, -2};
	polling_pid pid = pids[pick(m, 6)], own = getpid();
	uint32_t bits = any_bits(m) | POLLING_TIMER;
	int result;

	if (!polling_supports(m->p, POLLING_FEATURE_PROCESS))
		return;
	note(m, "process %ld", (long)pid);
	expect_result(
	    m, polling_add_process(m->p, pid, POLLING_EXIT, 0), ESRCH);
	expect_result(m, polling_add_process(m->p, pid, 0, 0), ESRCH);
	expect_result(m, polling_add_process(m->p, own, bits, 0), EINVAL);
	expect_result(
	    m, polling_modify_process(m->p, pid, POLLING_EXIT, 0), ENOENT);
	expect_result(m, polling_delete_process(m->p, pid), ENOENT);
	result = polling_add_process(m->p, own, POLLING_EXIT, 0);
	/* Where the system tells of children only. */
	if (result == -1 && errno == ENOTSUP)
		return;
	expect_result(m, result, 0);
	expect_result(
	    m, polling_add_process(m->p, own, POLLING_EXIT, 0), EEXIST);
	expect_result(m, polling_modify_process(m->p, own, 0, 1), 0);
	expect_result(m, polling_delete_process(m->p, own), 0);
}

static void
do_odd_poller(struct model *m)
{
	unsigned flags = any_bits(m) | 2u, feature = any_bits(m) | 32u;

	note(m, "flags %#x, feature %u", flags, feature);
	expect_result(m, polling_create(flags) == NULL ? -1 : 0, EINVAL);
	if (polling_supports(m->p, feature) != 0 ||
	    polling_supports(NULL, feature % 32) != 0)
		disagree(m, "it is supported");
	expect_result(m, polling_reinit(m->p), 0);
}

/* Asks for the descriptor after other things have happened. */
void
do_nest(struct model *m)
{
	int fd = polling_get_fd(m->p);

	note(m, "ask for the descriptor");
	if (fd == -1 && errno != ENOTSUP)
		disagree(m, "%s", error_text(errno));
	if (m->nested != -1 && fd != m->nested)
		disagree(m, "it is another one");
	m->nested = fd;
}

/* Another poller sees the same, and takes nothing away. */
static void
do_beside(struct model *m, int i)
{
	struct end *e = &m->ends[i];
	struct end other = {.interest = READ_WRITE | POLLING_RDHUP,
	    .registered = true,
	    .armed = true};
	uint32_t must, may, got = 0;
	struct polling_event event;
	struct polling *q;
	int count;

	if (!e->open)
		return;
	note(m, "look at %s in another poller", end_name(i));
	q = polling_create(POLLING_INTERRUPTIBLE);
	if (q == NULL)
		disagree(m, "%s", error_text(errno));
	expect_result(
	    m, polling_add(q, e->fd, other.interest, POLLING_LEVEL, 1), 0);
	must = report(&other, conditions(m, i));
	may = report(&other, conditions(m, i) | doubtful(m, i));
	for (int round = 0; round < 2; round++) {
		count = wait_ms(q, &event, 1, 0);
		if (count < 0)
			disagree(m, "polling_wait: %s", error_text(errno));
		got = count == 0 ? 0 : event.events;
		if ((got & must) != must || (got & ~may) != 0)
			disagree(m, "it has %s, must %s and may %s",
			    event_names(got), event_names(must),
			    event_names(may));
	}
	polling_destroy(q);
}

void
do_more(struct model *m, int i, unsigned which)
{
	switch (which) {
	case 0:
		do_refused_wait(m);
		break;
	case 1:
		do_odd_wait(m);
		break;
	case 2:
		do_refused_timer(m);
		break;
	case 3:
		do_odd_timer(m);
		break;
	case 4:
		do_odd_descriptor(m);
		break;
	case 5:
	case 6:
		do_any_bits(m, i);
		break;
	case 7:
		do_null(m);
		break;
	case 8:
		do_odd_signal(m);
		break;
	case 9:
		do_odd_process(m);
		break;
	case 10:
		do_odd_poller(m);
		break;
	case 11:
		do_nest(m);
		break;
	case 12:
		do_beside(m, i);
		break;
	case 13:
		do_process(m);
		break;
	case 15:
		if (m->forks) {
			do_fork(m);
			break;
		}
		/* FALLTHROUGH */
	default:
		do_signal(m);
		break;
	}
}
