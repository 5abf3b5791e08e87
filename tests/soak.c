/* SPDX-License-Identifier: MIT */
/*
 * soak.c - the library in use for a long time: nothing is lost, nothing grows.
 *
 * Four threads wait on one poller while others add, change and delete sources
 * of all kinds, make them ready, post and notify. Every now and then all that
 * stops, in a lull: what is on its way must arrive; then things are done one at
 * a time, each of which must end one wait of the four threads, which sleep
 * without a limit; and what the process holds is counted. So a wake-up that is
 * lost is not made up for by the next one. A timer is left to some of them,
 * when the others, of whom one may have been about to wake up for it, are away.
 *
 * It fails, with the reason and the seed, if
 * - something does not arrive within PATIENCE_S;
 * - a timer or a wait is early, or something arrives twice, or after its end;
 * - in a lull there is more memory allocated, or resident, or there are more
 *   descriptors open, than in the lulls of the first third of the time, by more
 *   than the bounds below.
 *
 * SOAK_SECONDS is how long it takes, 3 if unset, and SOAK_SEED what the choices
 * of each thread begin with. Which threads meet is another matter each time.
 */
#define _GNU_SOURCE 1

#if HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#if HAVE_MALLINFO2
#include <malloc.h>
#endif
#include <polling.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sanitizers.h"

/* Sanitizers keep what was freed; so does valgrind, for which tests/analyse.sh
 * builds with 0. */
#ifndef MEMORY_TELLS
#define MEMORY_TELLS (!SANITIZED)
#endif

#define WAITERS    4
#define CHURNERS   3
#define STREAMS    12 /* of each churner, as are the others */
#define TIMERS     12
#define POSTS      12
#define SIGNALS    1
#define PROCESSES  1
#define OWN        (STREAMS + TIMERS + POSTS + SIGNALS + PROCESSES)
#define THINGS     (CHURNERS * OWN)
#define PATIENCE_S 20
#define NS_PER_S   INT64_C(1000000000)
#define LULL_MS    150 /* from one to the next, at most */
/* The fewest in the first third and after it, should the machine be slow. */
#define LULLS_COLD 5
#define LULLS_WARM 3
#define SINGLE     24       /* things that are done one at a time in each */
#define LEFT       3        /* timers that are left to fewer threads in each */
#define LEFT_NS    10000000 /* when such a timer is due */

/* What may be more at any lull than in those of the first third. What threads
 * keep for themselves of what they have freed counts as allocated. */
#define MORE_ALLOCATED   (32 * 1024L)
#define MORE_RESIDENT    (2 * 1024 * 1024L)
#define MORE_DESCRIPTORS 1 /* epoll keeps one when it replaces its instance */

enum kind { STREAM, TIMER, POST, SIGNAL, PROCESS, NOTIFICATION, KINDS };
static const char *const kinds[KINDS] = {
    "stream", "timer", "post", "signal", "process", "notification"};

/* Something that is to arrive, if due is not 0. */
struct thing {
	pthread_mutex_t lock;
	enum kind kind;
	uint32_t serial; /* a part of the key; another one is of the past */
	_Atomic int64_t due;
	int64_t since;    /* when it was on its way */
	int64_t earliest; /* TIMER: not before that */
	int64_t interval; /* TIMER: 0 is once */
	uint64_t expired; /* TIMER: how often it has been due, if again */
	int fds[2];       /* STREAM: the poller has the first; -1 is none */
	int kept;         /* STREAM: what the next first one is to be, or -1 */
	enum polling_mode mode;
	bool added;
	int signo;   /* SIGNAL */
	pid_t child; /* PROCESS: 0 is none */
};

/* With all the things of one thread. */
struct churner {
	struct thing things[OWN];
	uint64_t random;
};

static struct churner churners[CHURNERS];
static struct polling *poller;
/* Where nothing ever happens, so that each of its waits takes its time. */
static struct polling *quiet;
static int quiet_fd;

static double scale = 1; /* CK_TIMEOUT_MULTIPLIER */
static uint64_t seed;
static atomic_bool over;
static atomic_ulong arrived[KINDS];
static _Atomic int64_t slowest[KINDS];
static atomic_ulong operations, waits, quiet_waits, outdated;
static _Atomic int64_t quiet_until =
    INT64_MAX; /* when a wait there must be over */

/* Waits that ended with nothing before their time, for each of which there is
 * a notification; both since the last lull. */
static atomic_long idle_returns, notifications;

static int64_t
now_ns(void)
{
	struct timespec t;

	polling_now(&t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static struct timespec
timespec_of(int64_t ns)
{
	struct timespec t;

	t.tv_sec = (time_t)(ns / NS_PER_S);
	t.tv_nsec = (long)(ns % NS_PER_S);
	return t;
}

static void
sleep_ns(int64_t ns)
{
	struct timespec t = timespec_of(ns);

	(void)nanosleep(&t, NULL);
}

/* Says what is wrong and ends it all. */
#define FAIL(...)                                                       \
	do {                                                            \
		fflush(stdout);                                         \
		fprintf(stderr, "soak: line %d: ", __LINE__);           \
		fprintf(stderr, __VA_ARGS__);                           \
		fprintf(stderr, " (errno %d, SOAK_SEED=%llu)\n", errno, \
		    (unsigned long long)seed);                          \
		_exit(1);                                               \
	} while (0)
#define EXPECT(holds)                        \
	do {                                 \
		if (!(holds))                \
			FAIL("not " #holds); \
	} while (0)

static uint32_t
pick(struct churner *c, uint32_t count)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (uint32_t)(c->random >> 32) % count;
}

/* Keys: which thing, whether it is a timer that is due again and again, and its
 * serial. */
#define AGAIN ((uintptr_t)1 << 11)

static uintptr_t
key_of(const struct thing *t)
{
	size_t number = 0;

	while (
	    t < churners[number].things || t >= churners[number].things + OWN)
		number++;
	number = number * OWN + (size_t)(t - churners[number].things);
	return number | (uintptr_t)t->serial << 12;
}

static struct thing *
thing_of(uintptr_t key)
{
	size_t number = key & 0x7ff;

	EXPECT(number < THINGS);
	return &churners[number / OWN].things[number % OWN];
}

static void
renew(struct thing *t)
{
	t->serial = (t->serial + 1) & 0xfffff;
}

static void
send_off(struct thing *t)
{
	t->since = now_ns();
	atomic_store(
	    &t->due, t->since + (int64_t)(PATIENCE_S * scale) * NS_PER_S);
}

static void
count_arrival(enum kind kind, int64_t took)
{
	int64_t most = atomic_load(&slowest[kind]);

	atomic_fetch_add(&arrived[kind], 1);
	while (took > most &&
	       !atomic_compare_exchange_weak(&slowest[kind], &most, took))
		continue;
}

/* Locked. */
static void
arrive(struct thing *t, int64_t at)
{
	count_arrival(t->kind, at - t->since);
	atomic_store(&t->due, 0);
}

/* Those who wait */

static void
meet_stream(struct thing *t, const struct polling_event *event, int64_t at)
{
	char bytes[8];

	EXPECT(!(event->events & ~(POLLING_IN | POLLING_HUP | POLLING_RDHUP)));
	/* Another thread may have been first, where it is level-triggered. */
	if (read(t->fds[0], bytes, sizeof(bytes)) > 0) {
		if (atomic_load(&t->due) == 0)
			FAIL("a byte that nobody sent, mode %d", (int)t->mode);
		arrive(t, at);
	} else {
		EXPECT(errno == EAGAIN);
	}
	if (t->mode == POLLING_ONESHOT || t->mode == POLLING_EDGE_ONESHOT)
		EXPECT(polling_modify(poller, t->fds[0], POLLING_IN, t->mode,
			   key_of(t)) == 0);
}

static void
meet_timer(struct thing *t, const struct polling_event *event, int64_t at)
{
	EXPECT(event->events == POLLING_TIMER && event->data > 0);
	if (atomic_load(&t->due) == 0)
		FAIL("a timer that was not to be due");
	if (at < t->earliest)
		FAIL(
		    "a timer was %lld ns early", (long long)(t->earliest - at));
	if (t->interval == 0) {
		EXPECT(event->data == 1);
		t->added = false;
		t->since = t->earliest;
		arrive(t, at);
		return;
	}
	t->expired += event->data;
	if (t->earliest + (int64_t)(t->expired - 1) * t->interval > now_ns())
		FAIL("a timer was due %llu times too early",
		    (unsigned long long)t->expired);
	count_arrival(TIMER, 0);
	send_off(t);
}

static void
meet(const struct polling_event *event, int64_t at)
{
	struct thing *t = thing_of(event->key);
	uint32_t serial = (uint32_t)((event->key >> 12) & 0xfffff);

	pthread_mutex_lock(&t->lock);
	if (serial != t->serial) {
		/* Collected before it was changed, by a wait that was on its
		 * way: not what is gone with its one event. */
		if (t->kind == POST ||
		    (t->kind == TIMER && !(event->key & AGAIN)))
			FAIL("a %s came after its end", kinds[t->kind]);
		atomic_fetch_add(&outdated, 1);
		pthread_mutex_unlock(&t->lock);
		return;
	}
	switch (t->kind) {
	case STREAM:
		meet_stream(t, event, at);
		break;
	case TIMER:
		meet_timer(t, event, at);
		break;
	case POST:
		EXPECT(event->events == ~t->serial && event->data == t->serial);
		if (atomic_load(&t->due) == 0)
			FAIL("a post came twice");
		arrive(t, at);
		break;
	case SIGNAL:
		EXPECT(event->events == POLLING_SIGNAL && event->data > 0);
		if (atomic_load(&t->due) == 0)
			FAIL("a signal that nobody sent");
		arrive(t, at);
		break;
	default:
		EXPECT(event->events == POLLING_EXIT);
		if (atomic_load(&t->due) == 0)
			FAIL("a process ended twice");
		arrive(t, at);
		break;
	}
	pthread_mutex_unlock(&t->lock);
}

/* Lulls */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate = PTHREAD_COND_INITIALIZER;
static atomic_bool lull;
static int stopped;                 /* churners at the gate */
static atomic_bool asleep[WAITERS]; /* in a wait without a limit */
static atomic_uint lulls;

/* How many of those who wait are to stay away, the next time that they come
 * home, for as long as there is leave. */
static atomic_int goers;
static atomic_bool leave;

/* Where the churners are stopped in a lull. */
static void
pass_gate(void)
{
	if (!atomic_load(&lull))
		return;
	pthread_mutex_lock(&gate_lock);
	stopped++;
	pthread_cond_broadcast(&gate);
	while (atomic_load(&lull))
		pthread_cond_wait(&gate, &gate_lock);
	stopped--;
	pthread_mutex_unlock(&gate_lock);
}

static bool
take_leave(void)
{
	int left = atomic_load(&goers);

	while (
	    left > 0 && !atomic_compare_exchange_weak(&goers, &left, left - 1))
		continue;
	return left > 0;
}

/* Where those who wait are, if they are to stay away. */
static void
stay_away(void)
{
	pthread_mutex_lock(&gate_lock);
	while (atomic_load(&leave))
		pthread_cond_wait(&gate, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
}

/* A wait of the kind and the room that are next. */
static int
wait_once(
    unsigned me, unsigned round, struct polling_event *events, int64_t *until)
{
	static const int rooms[WAITERS] = {64, 1, 3, 16};
	int64_t limit = (int64_t)(round * 7919 % 64) * 131072;
	struct timespec t;

	*until = INT64_MAX;
	/* Two of them have limits at times. */
	if (atomic_load(&lull) || me < 2 || round % 256 < 128) {
		atomic_store(&asleep[me], true);
		return polling_wait(poller, events, rooms[me], NULL);
	}
	*until = now_ns() + limit;
	t = timespec_of(me == 2 ? limit : *until);
	return me == 2 ? polling_wait(poller, events, rooms[me], &t)
		       : polling_wait_until(poller, events, rooms[me], &t);
}

static void *
wait_and_meet(void *argument)
{
	unsigned me = (unsigned)(uintptr_t)argument;
	struct polling_event events[64];

	for (unsigned round = 0; !atomic_load(&over); round++) {
		int64_t until, at;
		int n = wait_once(me, round, events, &until);

		atomic_store(&asleep[me], false);
		if (atomic_load(&over))
			break;
		EXPECT(n >= 0);
		at = now_ns();
		atomic_fetch_add(&waits, 1);
		if (n == 0 && at < until &&
		    atomic_fetch_add(&idle_returns, 1) >=
			atomic_load(&notifications))
			FAIL("a wait ended early, with nothing");
		for (int i = 0; i < n; i++)
			meet(&events[i], at);
		if (take_leave())
			stay_away();
	}
	/* One notification ends one wait. */
	EXPECT(polling_notify(poller) == 0);
	return NULL;
}

/* On a poller on which things are changed, but nothing happens. */
static void *
wait_in_quiet(void *argument)
{
	struct churner dice = {.random = seed | 1};
	struct polling_event event;

	(void)argument;
	while (!atomic_load(&over)) {
		int64_t limit = pick(&dice, 20000000), start = now_ns(), early;
		struct timespec t = timespec_of(limit);

		atomic_store(&quiet_until,
		    start + limit + (int64_t)(PATIENCE_S * scale) * NS_PER_S);
		EXPECT(polling_wait(quiet, &event, 1, &t) == 0);
		early = start + limit - now_ns();
		if (early > 0)
			FAIL("a wait of %lld ns was %lld ns early",
			    (long long)limit, (long long)early);
		atomic_fetch_add(&quiet_waits, 1);
	}
	atomic_store(&quiet_until, INT64_MAX);
	return NULL;
}

/* Those who give them something to do. Each of these is called with the thing
 * locked. */

/* The new descriptor takes the place of one that was not deleted.
 * tests/tsan.supp knows this by its name. */
static void
supersede(struct thing *t)
{
	EXPECT(dup3(t->fds[0], t->kept, O_CLOEXEC) == t->kept);
	close(t->fds[0]);
	t->fds[0] = t->kept;
	t->kept = -1;
}

static void
open_stream(struct churner *c, struct thing *t)
{
	static const enum polling_mode modes[] = {
	    POLLING_ONESHOT, POLLING_LEVEL, POLLING_EDGE, POLLING_EDGE_ONESHOT};

	switch (pick(c, 3)) {
	case 0:
		EXPECT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
			   t->fds) == 0);
		break;
	case 1:
		EXPECT(pipe2(t->fds, O_CLOEXEC) == 0);
		break;
	default:
		t->fds[0] = eventfd(0, EFD_CLOEXEC);
		t->fds[1] = -1;
		EXPECT(t->fds[0] >= 0);
		break;
	}
	EXPECT(fcntl(t->fds[0], F_SETFL, O_RDWR | O_NONBLOCK) == 0);
	if (t->kept >= 0)
		supersede(t);
	t->mode = modes[pick(
	    c, polling_supports(poller, POLLING_FEATURE_EDGE) ? 4 : 2)];
	renew(t);
	EXPECT(polling_add(poller, t->fds[0], POLLING_IN, t->mode, key_of(t)) ==
	       0);
}

/* Deleted, or only closed, which is to do no harm: at once, or as the next one
 * takes its place. Always that for ThreadSanitizer: the library may look at a
 * number that is free, and whatever file gets it would be said to race with
 * that. All eventfds are one file by what fstat() says, so that poll cannot
 * tell them apart. */
static void
close_stream(struct churner *c, struct thing *t)
{
	if (t->fds[1] < 0 || pick(c, 4) != 0)
		EXPECT(polling_delete(poller, t->fds[0]) == 0);
	else if (SANITIZED_BY_THREAD || pick(c, 2) == 0)
		t->kept = t->fds[0];
	if (t->kept < 0)
		close(t->fds[0]);
	if (t->fds[1] >= 0)
		close(t->fds[1]);
	atomic_store(&t->due, 0);
}

static void
send_byte(struct thing *t)
{
	static const uint64_t one = 1;

	send_off(t);
	EXPECT(write(t->fds[1] >= 0 ? t->fds[1] : t->fds[0], &one,
		   sizeof(one)) == sizeof(one));
}

static void
churn_stream(struct churner *c, struct thing *t, bool plain)
{
	bool idle = atomic_load(&t->due) == 0;
	uint32_t choice = plain ? 9 : pick(c, 10);

	if (choice < 2) {
		close_stream(c, t);
		open_stream(c, t);
	} else if (choice == 2) {
		/* With what is on its way. */
		renew(t);
		EXPECT(polling_modify(poller, t->fds[0], POLLING_IN, t->mode,
			   key_of(t)) == 0);
	} else if (choice == 3) {
		EXPECT(polling_modify(
			   poller, t->fds[0], 0, t->mode, key_of(t)) == 0);
		if (idle)
			send_byte(t);
		renew(t);
		EXPECT(polling_modify(poller, t->fds[0], POLLING_IN, t->mode,
			   key_of(t)) == 0);
	} else if (idle) {
		send_byte(t);
	}
}

/* The id of a timer: each has one. */
static uintptr_t
id_of(const struct thing *t)
{
	return (uintptr_t)t;
}

static void
start_timer(struct thing *t, int64_t first, int64_t interval)
{
	struct timespec f = timespec_of(first), i = timespec_of(interval);
	uint32_t serial = t->serial;
	int64_t start = now_ns();
	uintptr_t key;
	int r;

	renew(t);
	key = key_of(t) | (interval != 0 ? AGAIN : 0);
	r = t->added ? polling_modify_timer(poller, id_of(t), &f, &i, key)
		     : polling_add_timer(poller, id_of(t), &f, &i, key);
	if (r != 0) {
		/* It is gone with its event, which is on its way. */
		EXPECT(t->added && errno == ENOENT && t->interval == 0);
		t->serial = serial;
		return;
	}
	t->added = true;
	t->interval = interval;
	t->earliest = start + first;
	t->expired = 0;
	send_off(t);
}

static void
stop_timer(struct thing *t)
{
	if (!t->added)
		return;
	if (polling_delete_timer(poller, id_of(t)) != 0) {
		EXPECT(errno == ENOENT && t->interval == 0);
		return;
	}
	t->added = false;
	renew(t);
	atomic_store(&t->due, 0);
}

static void
churn_timer(struct churner *c, struct thing *t, bool plain)
{
	int64_t first, interval = 0;

	if (!plain && pick(c, 4) == 0) {
		stop_timer(t);
		return;
	}
	first = pick(c, 4) == 0 ? 0 : pick(c, 5000000);
	if (!plain && pick(c, 4) == 0)
		interval = 500000 + pick(c, 1000);
	start_timer(t, first, interval);
}

static void
send_post(struct thing *t)
{
	struct polling_event event;

	if (atomic_load(&t->due) != 0)
		return;
	renew(t);
	event.key = key_of(t);
	event.events = ~t->serial;
	event.data = t->serial;
	send_off(t);
	EXPECT(polling_post(poller, &event) == 0);
}

static void
churn_signal(struct churner *c, struct thing *t, bool plain)
{
	static const enum polling_mode modes[] = {
	    POLLING_ONESHOT, POLLING_LEVEL};

	if (atomic_load(&t->due) != 0)
		return;
	if (t->added && !plain && pick(c, 4) == 0) {
		EXPECT(polling_delete_signal(poller, t->signo) == 0);
		t->added = false;
		return;
	}
	renew(t);
	t->mode = modes[pick(c, 2)];
	if (t->added)
		EXPECT(polling_modify_signal(
			   poller, t->signo, t->mode, key_of(t)) == 0);
	else
		EXPECT(polling_add_signal(
			   poller, t->signo, t->mode, key_of(t)) == 0);
	t->added = true;
	send_off(t);
	EXPECT(kill(getpid(), t->signo) == 0);
}

/* A child that ends, some of them after they have made use of the poller. */
static void
run_child(bool uses)
{
	struct polling_event event;
	struct timespec moment = {.tv_nsec = 1000};

	(void)alarm(PATIENCE_S);
	if (uses) {
		if (polling_reinit(poller) != 0)
			_exit(1);
		if (polling_wait(poller, &event, 1, &moment) < 0)
			_exit(2);
		polling_destroy(poller);
	}
	_exit(0);
}

/* It has ended, and been told. */
static void
end_process(struct thing *t)
{
	int status;

	EXPECT(polling_delete_process(poller, t->child) == 0);
	EXPECT(waitpid(t->child, &status, 0) == t->child);
	if (status != 0)
		FAIL("a child ended with status %#x", (unsigned)status);
	t->child = 0;
}

static void
churn_process(struct churner *c, struct thing *t)
{
	bool uses = false;

	if (atomic_load(&t->due) != 0)
		return;
	if (t->child != 0) {
		if (pick(c, 2) == 0) {
			renew(t);
			send_off(t);
			EXPECT(polling_modify_process(poller, t->child,
				   POLLING_EXIT, key_of(t)) == 0);
			return;
		}
		end_process(t);
		return;
	}
#if HAVE_PTHREAD_ATFORK
	uses = pick(c, 4) == 0;
#endif
	renew(t);
	t->child = fork();
	if (t->child == 0)
		run_child(uses);
	EXPECT(t->child > 0);
	send_off(t);
	EXPECT(polling_add_process(poller, t->child, POLLING_EXIT, key_of(t)) ==
	       0);
}

/* What must not end a wait of the quiet poller. */
static void
churn_quiet(struct churner *c)
{
	struct timespec long_time = {.tv_sec = 3600 + (time_t)pick(c, 3600)};
	uintptr_t id = (uintptr_t)c + pick(c, 8);

	if (polling_add_timer(quiet, id, &long_time, NULL, 1) != 0)
		EXPECT(pick(c, 2) == 0 ? polling_delete_timer(quiet, id) == 0
				       : polling_modify_timer(quiet, id,
					     &long_time, NULL, 1) == 0);
	EXPECT(polling_modify(quiet, quiet_fd, pick(c, 2) ? POLLING_IN : 0,
		   pick(c, 2) ? POLLING_LEVEL : POLLING_ONESHOT, 1) == 0);
}

/* One that comes and goes. */
static void
churn_pollers(void)
{
	struct polling *p = polling_create(0);
	struct polling_event event = {1, 2, 3};
	struct timespec moment = {.tv_nsec = 1000};
	int fds[2];

	EXPECT(p != NULL && pipe2(fds, O_CLOEXEC) == 0);
	EXPECT(polling_add(p, fds[0], POLLING_IN, POLLING_ONESHOT, 1) == 0);
	EXPECT(polling_add_timer(p, 1, &moment, NULL, 1) == 0);
	EXPECT(polling_get_fd(p) >= 0 || errno == ENOTSUP);
	EXPECT(polling_post(p, &event) == 0);
	EXPECT(polling_wait(p, &event, 1, NULL) == 1);
	EXPECT(polling_post(p, &event) == 0);
	polling_destroy(p);
	close(fds[0]);
	close(fds[1]);
}

static void
send_notification(void)
{
	atomic_fetch_add(&notifications, 1);
	EXPECT(polling_notify(poller) == 0);
}

/* Does something to a thing: what is its usual course if plain. */
static void
churn_thing(struct churner *c, struct thing *t, bool plain)
{
	pthread_mutex_lock(&t->lock);
	switch (t->kind) {
	case STREAM:
		churn_stream(c, t, plain);
		break;
	case TIMER:
		churn_timer(c, t, plain);
		break;
	case POST:
		send_post(t);
		break;
	case SIGNAL:
		churn_signal(c, t, plain);
		break;
	default:
		churn_process(c, t);
		break;
	}
	pthread_mutex_unlock(&t->lock);
}

static void
churn_once(struct churner *c)
{
	uint32_t choice = pick(c, 256);

	atomic_fetch_add(&operations, 1);
	if (choice < 8)
		send_notification();
	else if (choice < 16)
		churn_quiet(c);
	else if (choice < 17)
		churn_pollers();
	else if (choice < 20)
		churn_thing(c, &c->things[STREAMS + TIMERS + POSTS], false);
	else if (choice < 21)
		churn_thing(c, &c->things[OWN - 1], false);
	else
		churn_thing(
		    c, &c->things[pick(c, STREAMS + TIMERS + POSTS)], false);
}

static void *
churn(void *argument)
{
	struct churner *c = argument;

	while (!atomic_load(&over)) {
		pass_gate();
		for (uint32_t burst = pick(c, 24); burst > 0; burst--)
			churn_once(c);
		/* The machine may have other things to do. */
		sleep_ns(pick(c, 3000000));
	}
	return NULL;
}

/* The one that watches */

static struct thing *
any_thing(size_t i)
{
	return &churners[i / OWN].things[i % OWN];
}

/* Fails if something is lost. */
static void
look_for_lost(void)
{
	int64_t now = now_ns();

	for (size_t i = 0; i < THINGS; i++) {
		struct thing *t = any_thing(i);
		int64_t due = atomic_load(&t->due);

		if (due != 0 && now > due)
			FAIL("a %s was lost: number %zu, serial %u, mode %d, "
			     "%lld ms ago",
			    kinds[t->kind], i, (unsigned)t->serial,
			    (int)t->mode,
			    (long long)((now - t->since) / 1000000));
	}
	if (now > atomic_load(&quiet_until))
		FAIL("a wait with a limit does not end");
}

/* Until the condition holds. */
#define AWAIT(condition, words)                                           \
	do {                                                              \
		int64_t last_ = now_ns() +                                \
				(int64_t)(PATIENCE_S * scale) * NS_PER_S; \
		while (!(condition)) {                                    \
			look_for_lost();                                  \
			if (now_ns() > last_)                             \
				FAIL(words);                              \
			sleep_ns(100000);                                 \
		}                                                         \
	} while (0)

static bool
all_arrived(void)
{
	for (size_t i = 0; i < THINGS; i++)
		if (atomic_load(&any_thing(i)->due) != 0)
			return false;
	return true;
}

static bool
all_stopped(void)
{
	bool all;

	pthread_mutex_lock(&gate_lock);
	all = stopped == CHURNERS;
	pthread_mutex_unlock(&gate_lock);
	return all;
}

static bool
all_asleep(void)
{
	for (int i = 0; i < WAITERS; i++)
		if (!atomic_load(&asleep[i]))
			return false;
	return true;
}

/* So that nothing is to arrive for ever. */
static void
stop_periodic_timers(void)
{
	for (size_t i = 0; i < THINGS; i++) {
		struct thing *t = any_thing(i);

		pthread_mutex_lock(&t->lock);
		if (t->kind == TIMER && t->interval != 0)
			stop_timer(t);
		pthread_mutex_unlock(&t->lock);
	}
}

/* So that descriptors may be counted. */
static void
end_processes(void)
{
	for (size_t i = 0; i < THINGS; i++) {
		struct thing *t = any_thing(i);

		pthread_mutex_lock(&t->lock);
		if (t->child != 0)
			end_process(t);
		pthread_mutex_unlock(&t->lock);
	}
}

/* One of the kinds that a wait ends for. */
static enum kind
any_kind(struct churner *c)
{
	static const enum kind all[] = {
	    STREAM, TIMER, POST, SIGNAL, NOTIFICATION};

	return all[pick(c, sizeof(all) / sizeof(all[0]))];
}

static struct thing *
any_of(struct churner *c, enum kind kind)
{
	static const uint32_t counts[] = {STREAMS, TIMERS, POSTS, SIGNALS};
	uint32_t before = 0;

	for (int i = 0; i < (int)kind; i++)
		before += counts[i];
	return &c->things[before + pick(c, counts[kind])];
}

/* One thing, which is to end one wait. */
static void
do_one_thing(struct churner *c, enum kind kind)
{
	unsigned long before = atomic_load(&waits);
	int64_t start = now_ns();
	struct thing *t;

	if (kind == NOTIFICATION) {
		send_notification();
		/* With an event, if a level-triggered one reached two. */
		AWAIT(atomic_load(&waits) > before, "a notification was lost");
		count_arrival(NOTIFICATION, now_ns() - start);
		return;
	}
	t = any_of(c, kind);
	churn_thing(c, t, true);
	AWAIT(atomic_load(&t->due) == 0, "something was lost");
}

static void
call_back(void)
{
	atomic_store(&goers, 0);
	pthread_mutex_lock(&gate_lock);
	atomic_store(&leave, false);
	pthread_cond_broadcast(&gate);
	pthread_mutex_unlock(&gate_lock);
}

/*
 * A timer that one of the threads is about to wake up for. Before it is due,
 * some of them come home for other things, first to wait again, in whatever
 * order the kernel wakes them, and then to stay away: whoever is left must wake
 * up for it. On a busy machine it may come before they have gone.
 */
static void
leave_a_timer(struct churner *c)
{
	struct thing *t = any_of(c, TIMER);
	uint32_t turns = pick(c, WAITERS),
		 gone = turns + 1 + pick(c, WAITERS - 1);

	AWAIT(all_asleep(), "the threads do not wait");
	atomic_store(&leave, true);
	pthread_mutex_lock(&t->lock);
	start_timer(t, LEFT_NS, 0);
	pthread_mutex_unlock(&t->lock);
	sleep_ns(200000);
	for (uint32_t i = 0; i < gone && atomic_load(&t->due) != 0; i++) {
		enum kind kind = any_kind(c);

		atomic_store(&goers, i >= turns);
		do_one_thing(c, kind == TIMER ? POST : kind);
		AWAIT(atomic_load(&goers) == 0, "nobody came home");
	}
	AWAIT(atomic_load(&t->due) == 0, "a timer was left to nobody");
	call_back();
}

/* What the process holds. */
struct holdings {
	long allocated, resident, descriptors;
};
static struct holdings first, most;
static unsigned counted;

static struct holdings
count_holdings(void)
{
	struct holdings h = {0, 0, 0};
	FILE *f = fopen("/proc/self/statm", "re");

	if (f != NULL) {
		if (fscanf(f, "%*u %ld", &h.resident) != 1)
			h.resident = 0;
		fclose(f);
		h.resident *= sysconf(_SC_PAGESIZE);
	}
#if HAVE_MALLINFO2
	struct mallinfo2 m = mallinfo2();

	h.allocated = (long)(m.uordblks + m.hblkhd);
#endif
	for (int fd = 0; fd < 1024; fd++)
		h.descriptors += fcntl(fd, F_GETFD) >= 0;
	/* Those of the streams come and go. */
	for (size_t i = 0; i < THINGS; i++)
		if (any_thing(i)->kind == STREAM)
			h.descriptors -= 1 + (any_thing(i)->fds[1] >= 0);
	return h;
}

static void
compare(const char *what, long now, long before, long more)
{
	if (now > before + more)
		FAIL("%s: %ld, after %ld at the start, which is more than %ld "
		     "more",
		    what, now, before, more);
}

static void
keep_more(struct holdings *kept, const struct holdings *h)
{
	if (h->allocated > kept->allocated)
		kept->allocated = h->allocated;
	if (h->resident > kept->resident)
		kept->resident = h->resident;
	if (h->descriptors > kept->descriptors)
		kept->descriptors = h->descriptors;
}

static void
look_at_holdings(bool warm)
{
	struct holdings h = count_holdings();

	if (!warm) {
		/* What the C library keeps by way of caches varies. */
		keep_more(&first, &h);
		return;
	}
	counted++;
	/* A thread may be replacing an instance of epoll. */
	for (int i = 0;
	     h.descriptors > first.descriptors + MORE_DESCRIPTORS && i < 20;
	     i++) {
		sleep_ns(5000000);
		h = count_holdings();
	}
	keep_more(&most, &h);
	compare(
	    "descriptors", h.descriptors, first.descriptors, MORE_DESCRIPTORS);
	if (!MEMORY_TELLS)
		return;
	compare(
	    "allocated bytes", h.allocated, first.allocated, MORE_ALLOCATED);
	compare("resident bytes", h.resident, first.resident, MORE_RESIDENT);
}

static void
have_a_lull(struct churner *dice, bool warm)
{
	atomic_fetch_add(&lulls, 1);
	atomic_store(&lull, true);
	AWAIT(all_stopped(), "a thread that changes things does not go on");
	stop_periodic_timers();
	AWAIT(all_arrived(), "not all has arrived");
	end_processes();
	AWAIT(all_asleep(), "the threads do not wait");
	/* What was sent last may still be on its way through each of them. */
	atomic_store(&idle_returns, 0);
	atomic_store(&notifications, WAITERS);
	for (int i = 0; i < SINGLE; i++) {
		struct churner *c = &churners[pick(dice, CHURNERS)];

		do_one_thing(c, any_kind(c));
	}
	for (int i = 0; i < LEFT; i++)
		leave_a_timer(&churners[pick(dice, CHURNERS)]);
	look_at_holdings(warm);
	pthread_mutex_lock(&gate_lock);
	atomic_store(&lull, false);
	pthread_cond_broadcast(&gate);
	pthread_mutex_unlock(&gate_lock);
}

static void
prepare(void)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP};
	static const struct timespec never = {.tv_sec = 1000000000};

	poller = polling_create(0);
	quiet = polling_create(0);
	quiet_fd = eventfd(0, EFD_CLOEXEC);
	EXPECT(poller != NULL && quiet != NULL && quiet_fd >= 0);
	EXPECT(polling_add(quiet, quiet_fd, 0, POLLING_LEVEL, 1) == 0);
	/* A thread sleeps until then; for every other timer it must be woken.
	 */
	EXPECT(polling_add_timer(poller, 0, &never, NULL, THINGS) == 0);
	for (int i = 0; i < CHURNERS; i++) {
		struct churner *c = &churners[i];

		c->random = (seed + (uint64_t)i) * UINT64_C(2654435761) | 1;
		/* When they are not watched, as in a child. */
		(void)signal(signals[i], SIG_IGN);
		for (int j = 0; j < OWN; j++) {
			struct thing *t = &c->things[j];

			EXPECT(pthread_mutex_init(&t->lock, NULL) == 0);
			t->kind = j < STREAMS                    ? STREAM
				  : j < STREAMS + TIMERS         ? TIMER
				  : j < STREAMS + TIMERS + POSTS ? POST
				  : j < OWN - PROCESSES          ? SIGNAL
								 : PROCESS;
			t->signo = signals[i];
			t->kept = -1;
			if (t->kind == STREAM)
				open_stream(c, t);
		}
	}
}

static void
report(double seconds)
{
	printf("%s, %.0f s, SOAK_SEED=%llu: %lu operations, %lu waits, %u "
	       "lulls, %lu waits in quiet, %lu outdated events\n",
	    polling_backend(), seconds, (unsigned long long)seed,
	    atomic_load(&operations), atomic_load(&waits), atomic_load(&lulls),
	    atomic_load(&quiet_waits), atomic_load(&outdated));
	for (int i = 0; i < KINDS; i++)
		printf("  %-13s %10lu arrived, the slowest after %.3f ms\n",
		    kinds[i], atomic_load(&arrived[i]),
		    (double)atomic_load(&slowest[i]) / 1e6);
	printf("  allocated %ld, at most %ld bytes; resident %ld, at most %ld "
	       "bytes; descriptors %ld, at most %ld; in %u lulls\n",
	    first.allocated, most.allocated, first.resident, most.resident,
	    first.descriptors, most.descriptors, counted);
	if (!MEMORY_TELLS || first.allocated == 0)
		printf("  note: what is allocated was not compared: %s\n",
		    MEMORY_TELLS ? "mallinfo2() is not there"
				 : "a tool keeps what was freed");
}

static double
number(const char *name, double otherwise)
{
	const char *text = getenv(name);

	return text != NULL && text[0] != '\0' ? strtod(text, NULL) : otherwise;
}

int
main(void)
{
	double seconds = number("SOAK_SECONDS", 3);
	pthread_t threads[WAITERS + CHURNERS + 1];
	struct churner dice = {0};
	int64_t start, warm, end;
	int count = 0;

	scale = number("CK_TIMEOUT_MULTIPLIER", 1);
	scale = scale < 1 ? 1 : scale;
	seed = (uint64_t)number("SOAK_SEED", (double)(now_ns() % 1000000));
	dice.random = seed * 3 | 1;
	start = now_ns();
	end = start + (int64_t)(seconds * 1e9);
	warm = start + (int64_t)(seconds * 1e9 / 3);
	/* In a long run no later than this. */
	if (warm > start + 120 * NS_PER_S)
		warm = start + 120 * NS_PER_S;
	prepare();
	for (uintptr_t i = 0; i < WAITERS; i++)
		EXPECT(pthread_create(&threads[count++], NULL, wait_and_meet,
			   (void *)i) == 0);
	EXPECT(
	    pthread_create(&threads[count++], NULL, wait_in_quiet, NULL) == 0);
	for (int i = 0; i < CHURNERS; i++)
		EXPECT(pthread_create(
			   &threads[count++], NULL, churn, &churners[i]) == 0);
	do {
		sleep_ns((int64_t)pick(&dice, LULL_MS) * 1000000);
		look_for_lost();
		have_a_lull(
		    &dice, now_ns() > warm && atomic_load(&lulls) > LULLS_COLD);
	} while (now_ns() < end || counted < LULLS_WARM);
	atomic_store(&over, true);
	EXPECT(polling_notify(poller) == 0);
	while (count > 0)
		EXPECT(pthread_join(threads[--count], NULL) == 0);
	report((double)(now_ns() - start) / 1e9);
	polling_destroy(poller);
	polling_destroy(quiet);
	return 0;
}
