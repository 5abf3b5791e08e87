/* SPDX-License-Identifier: MIT */
/*
 * timers.c - what timers cost here and in other libraries.
 *
 *     timers [-o FILE] COUNT [ROUNDS]       a table of ratios; adds to FILE,
 *                                           which is as suite.c writes it
 *     timers -1 LIBRARY COUNT [ROUNDS]      one library alone, for a profile
 *     timers -c CONNECTIONS EVENTS [ROUNDS] the share of time-outs in a server
 *     timers -r|-n CONNECTIONS EVENTS       its loop alone, with time-outs that
 *                                           are re-armed, or with none
 *
 * Each library does the same in turn, in one thread, to COUNT timers:
 *   add      each, at random in the next 1,000 s
 *   move     each, in random order, to another such moment
 *   re-arm   each, in random order, to 60 s from now, where it was before:
 *            what a server does at every event
 *   delete   each, in random order
 *   expire   COUNT more, at random in the next 100 ms, are added and slept
 *            through; then they are waited for until all have come
 * The figures are medians over ROUNDS of the thread's processor time for one
 * timer, and of the ratios, theirs divided by ours: above 1, ours is faster.
 *
 * What is not the same:
 * - libev and libuv keep the time for a whole iteration of their loops, as
 *   libevent does while its loop runs, so it is called from inside of it. They
 *   look at the clock once for all timers here and, when these are re-armed,
 *   once for 100, as a server with so many events in one iteration would.
 *   libpolling looks at the clock for each, because it is never early. In the
 *   column libev+now, libev does too, to add, move and re-arm: its manual says
 *   to call ev_now_update() where the time that it keeps is not good enough.
 * - Those three have the timers in memory of the caller's, which is there and
 *   touched before the time is taken. libpolling's own memory grows in the time
 *   that is taken, and it has to find a timer by its number.
 * - libuv counts in milliseconds, the others finer.
 * - libpolling has locks, as has libevent if it is told to: here it is not.
 *
 * The server of -c has as many pairs of sockets as the limit on descriptors
 * allows; if these are fewer, each stands for several connections. With each
 * event it reads a byte and sends one back. 100 connections at random have
 * something to read at a time.
 */
#define _GNU_SOURCE

#ifdef WITH_LIBEV
#include <ev.h>
#endif
#ifdef WITH_LIBUV
#include <uv.h>
#endif
#ifdef WITH_LIBEVENT
#include <event2/event.h>
#include <event2/event_struct.h>
#endif

#include "measure.h"
#include "report.h"

#include <polling.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BATCH     100
#define REARM_SEC 60

/* A time in the words of each library. */
struct delay {
	struct timespec ts;
	struct timeval tv;
	double seconds;
	uint64_t ms;
};

/* A timer is known by its number. */
struct library {
	const char *name;
	void (*open)(void);
	void (*add)(size_t i, const struct delay *d);
	void (*move)(size_t i, const struct delay *d);
	void (*remove)(size_t i);
	void (*look)(void); /* at the clock, if it keeps the time */
	/* Calls back from inside of the loop. */
	void (*inside)(void (*function)(void *), void *argument);
	void (*expire)(void); /* until nothing is left */
	void (*close)(void);
};

enum { ADD, MOVE, REARM, DELETE, EXPIRE, OPERATIONS };
static const char *const operations[OPERATIONS] = {
    "add", "move", "re-arm", "delete", "expire"};

static size_t count;
static size_t expired;
static size_t *order;           /* all numbers, at random */
static struct delay *delays;    /* twice as many, in the next 1,000 s */
static struct delay *soon;      /* in the next 100 ms */
static struct delay in_a_while; /* REARM_SEC */

static struct delay
make_delay(uint64_t ns)
{
	return (struct delay){
	    .ts = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)},
	    .tv = {(time_t)(ns / 1000000000u),
		(suseconds_t)(ns % 1000000000u / 1000)},
	    .seconds = (double)ns * 1e-9,
	    .ms = ns / 1000000};
}

static void
inside_of_nothing(void (*function)(void *), void *argument)
{
	function(argument);
}

static void
do_nothing(void)
{
}

/*
 * libpolling
 */

static struct polling *poller;

static void
open_polling(void)
{
	poller = polling_create(0);
	if (poller == NULL)
		die("polling_create");
}

static void
add_polling(size_t i, const struct delay *d)
{
	if (polling_add_timer(poller, i, &d->ts, NULL, i) != 0)
		die("polling_add_timer");
}

static void
move_polling(size_t i, const struct delay *d)
{
	if (polling_modify_timer(poller, i, &d->ts, NULL, i) != 0)
		die("polling_modify_timer");
}

static void
remove_polling(size_t i)
{
	if (polling_delete_timer(poller, i) != 0)
		die("polling_delete_timer");
}

static void
expire_polling(void)
{
	struct polling_event events[BATCH];

	while (expired < count) {
		int n = polling_wait(poller, events, BATCH, NULL);

		for (int i = 0; i < n; i++)
			expired += events[i].data;
	}
}

static void
close_polling(void)
{
	polling_destroy(poller);
}

/*
 * libev
 */

#ifdef WITH_LIBEV
static struct ev_loop *ev_loop_;
static struct ev_timer *ev_timers;

static void
expired_ev(struct ev_loop *loop, struct ev_timer *w, int events)
{
	(void)loop;
	(void)w;
	(void)events;
	expired++;
}

static void
open_ev(void)
{
	ev_loop_ = ev_loop_new(0);
	ev_timers = allocate(count, sizeof *ev_timers);
	if (ev_loop_ == NULL)
		die("ev_loop_new");
}

static void
add_ev(size_t i, const struct delay *d)
{
	ev_timer_init(&ev_timers[i], expired_ev, d->seconds, 0.);
	ev_timer_start(ev_loop_, &ev_timers[i]);
}

static void
add_ev_now(size_t i, const struct delay *d)
{
	ev_now_update(ev_loop_);
	add_ev(i, d);
}

/* As its manual recommends for time-outs: the timer stays in the heap. */
static void
move_ev(size_t i, const struct delay *d)
{
	ev_timers[i].repeat = d->seconds;
	ev_timer_again(ev_loop_, &ev_timers[i]);
}

static void
move_ev_now(size_t i, const struct delay *d)
{
	ev_now_update(ev_loop_);
	move_ev(i, d);
}

static void
remove_ev(size_t i)
{
	ev_timer_stop(ev_loop_, &ev_timers[i]);
}

static void
look_ev(void)
{
	ev_now_update(ev_loop_);
}

static void
expire_ev(void)
{
	ev_run(ev_loop_, 0);
}

static void
close_ev(void)
{
	ev_loop_destroy(ev_loop_);
	free(ev_timers);
}
#endif

/*
 * libuv
 */

#ifdef WITH_LIBUV
static uv_loop_t uv_loop;
static uv_timer_t *uv_timers;
static bool uv_used; /* the timers were */

static void
expired_uv(uv_timer_t *t)
{
	(void)t;
	expired++;
}

/* A timer is a handle there, which has to be made known to the loop once and
 * to be closed in the end; the time for neither is counted. */
static void
open_uv(void)
{
	uv_timers = allocate(count, sizeof *uv_timers);
	if (uv_loop_init(&uv_loop) != 0)
		die("uv_loop_init");
	for (size_t i = 0; i < count; i++)
		(void)uv_timer_init(&uv_loop, &uv_timers[i]); /* no error */
	uv_used = true;
}

static void
add_uv(size_t i, const struct delay *d)
{
	if (uv_timer_start(&uv_timers[i], expired_uv, d->ms, 0) != 0)
		die("uv_timer_start");
}

static void
remove_uv(size_t i)
{
	(void)uv_timer_stop(&uv_timers[i]); /* no error */
}

static void
look_uv(void)
{
	uv_update_time(&uv_loop);
}

static void
expire_uv(void)
{
	uv_run(&uv_loop, UV_RUN_DEFAULT);
}

static void
close_uv(void)
{
	for (size_t i = 0; i < count; i++)
		uv_close((uv_handle_t *)&uv_timers[i], NULL);
	uv_run(&uv_loop, UV_RUN_DEFAULT);
	if (uv_loop_close(&uv_loop) != 0)
		die("uv_loop_close");
	free(uv_timers);
}
#endif

/*
 * libevent
 */

#ifdef WITH_LIBEVENT
static struct event_base *base;
static struct event *events;
static void (*inside_function)(void *);

static void
expired_event(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	(void)argument;
	expired++;
}

static void
call_inside(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	inside_function(argument);
}

static void
open_event(void)
{
	base = event_base_new();
	events = allocate(count, sizeof *events);
	if (base == NULL)
		die("event_base_new");
}

static void
add_event(size_t i, const struct delay *d)
{
	if (evtimer_assign(&events[i], base, expired_event, NULL) != 0 ||
	    evtimer_add(&events[i], &d->tv) != 0)
		die("evtimer_add");
}

static void
move_event(size_t i, const struct delay *d)
{
	if (evtimer_add(&events[i], &d->tv) != 0)
		die("evtimer_add");
}

static void
remove_event(size_t i)
{
	if (evtimer_del(&events[i]) != 0)
		die("evtimer_del");
}

static void
inside_event(void (*function)(void *), void *argument)
{
	const struct timeval zero = {0, 0};

	inside_function = function;
	if (event_base_once(
		base, -1, EV_TIMEOUT, call_inside, argument, &zero) != 0 ||
	    event_base_loop(base, EVLOOP_ONCE) < 0)
		die("event_base_loop");
}

/* Works only while the loop runs. */
static void
look_event(void)
{
	if (event_base_update_cache_time(base) != 0)
		die("event_base_update_cache_time");
}

static void
expire_event(void)
{
	if (event_base_dispatch(base) < 0)
		die("event_base_dispatch");
}

static void
close_event(void)
{
	event_base_free(base);
	free(events);
}
#endif

static const struct library libraries[] = {
    {"libpolling", open_polling, add_polling, move_polling, remove_polling,
	do_nothing, inside_of_nothing, expire_polling, close_polling},
#ifdef WITH_LIBEV
    {"libev", open_ev, add_ev, move_ev, remove_ev, look_ev, inside_of_nothing,
	expire_ev, close_ev},
    {"libev+now", open_ev, add_ev_now, move_ev_now, remove_ev, look_ev,
	inside_of_nothing, expire_ev, close_ev},
#endif
#ifdef WITH_LIBUV
    {"libuv", open_uv, add_uv, add_uv, remove_uv, look_uv, inside_of_nothing,
	expire_uv, close_uv},
#endif
#ifdef WITH_LIBEVENT
    {"libevent", open_event, add_event, move_event, remove_event, look_event,
	inside_event, expire_event, close_event},
#endif
};
#define LIBRARIES (sizeof libraries / sizeof libraries[0])

/*
 * The operations
 */

/* What is done, by whom, and how long it took. */
struct job {
	const struct library *l;
	double seconds[OPERATIONS];
};

static void
add_all(const struct library *l, const struct delay *d)
{
	for (size_t i = 0; i < count; i++)
		l->add(i, &d[i]);
}

static void
rearm_all(const struct library *l)
{
	for (size_t i = 0; i < count; i++) {
		if (i % BATCH == 0)
			l->look();
		l->move(order[i], &in_a_while);
	}
}

/* All that is done inside of a loop. */
static void
work(void *argument)
{
	struct job *j = argument;
	const struct library *l = j->l;
	double t[OPERATIONS + 1];

	l->look();
	t[ADD] = cpu_seconds();
	add_all(l, delays);
	t[MOVE] = cpu_seconds();
	for (size_t i = 0; i < count; i++)
		l->move(order[i], &delays[count + i]);
	j->seconds[MOVE] = cpu_seconds() - t[MOVE];
	rearm_all(l);
	t[REARM] = cpu_seconds();
	rearm_all(l);
	t[DELETE] = cpu_seconds();
	for (size_t i = 0; i < count; i++)
		l->remove(order[i]);
	t[EXPIRE] = cpu_seconds();
	j->seconds[ADD] = t[MOVE] - t[ADD];
	j->seconds[REARM] = t[DELETE] - t[REARM];
	j->seconds[DELETE] = t[EXPIRE] - t[DELETE];
}

static void
add_soon(void *argument)
{
	const struct library *l = argument;

	l->look();
	add_all(l, soon);
}

static void
run_library(struct job *j)
{
	const struct timespec nap = {.tv_nsec = 110000000};
	const struct library *l = j->l;

	l->open();
	l->inside(work, j);
	l->close();
	l->open();
	expired = 0;
	l->inside(add_soon, (void *)(uintptr_t)l);
	while (nanosleep(&nap, NULL) != 0)
		;
	j->seconds[EXPIRE] = cpu_seconds();
	l->expire();
	j->seconds[EXPIRE] = cpu_seconds() - j->seconds[EXPIRE];
	l->close();
	if (expired != count) {
		fprintf(stderr, "%s: %zu of %zu timers have expired\n", l->name,
		    expired, count);
		exit(1);
	}
}

/*
 * The table
 */

static struct series results[OPERATIONS][LIBRARIES];

/* The ratio of a series to that of libpolling, round by round. */
static double
ratio_to_ours(
    const struct series *theirs, const struct series *ours, int rounds)
{
	double ratios[ROUNDS_MAX];

	for (int r = 0; r < rounds; r++)
		ratios[r] = theirs->values[r] / ours->values[r];
	return quantile(ratios, (size_t)rounds, .5);
}

static void
write_results(int rounds)
{
	for (int o = 0; o < OPERATIONS; o++) {
		const struct figure f = {.workload = "timers",
		    .detail = operations[o],
		    .name = "cpu per timer",
		    .unit = "ns",
		    .sources = count};

		report_write(&f, results[o], LIBRARIES, rounds);
	}
}

static void
print_table(int rounds)
{
	printf("%zu timers, %d rounds over %s:\n%-8s", count, rounds,
	    polling_backend(), "");
	for (size_t l = 0; l < LIBRARIES; l++)
		printf(" %16s", libraries[l].name);
	for (int o = 0; o < OPERATIONS; o++) {
		const struct series *s = results[o];

		printf("\n%-8s", operations[o]);
		for (size_t l = 0; l < LIBRARIES; l++) {
			printf(" %6.1f ns", series_median(&s[l], rounds));
			if (l > 0)
				printf(" %6.2f",
				    ratio_to_ours(&s[l], &s[0], rounds));
			else
				printf("       ");
		}
	}
	printf("\n");
}

static void
make_delays(void)
{
	order = allocate(count, sizeof *order);
	delays = allocate(2 * count, sizeof *delays);
	soon = allocate(count, sizeof *soon);
	in_a_while = make_delay(REARM_SEC * 1000000000ull);
	for (size_t i = 0; i < 2 * count; i++)
		delays[i] = make_delay(
		    1000000000u + random_number() % 1000000000000u);
	for (size_t i = 0; i < count; i++) {
		size_t j = random_number() % (i + 1);

		soon[i] = make_delay(random_number() % 100000000u);
		order[i] = order[j];
		order[j] = i;
	}
}

static void
measure(size_t l, int round)
{
	struct job j = {.l = &libraries[l]};

	run_library(&j);
	for (int o = 0; o < OPERATIONS; o++) {
		results[o][l].name = libraries[l].name;
		results[o][l].mode = "";
		results[o][l].values[round] = j.seconds[o] / (double)count *
					      1e9;
	}
}

static void
compare_libraries(int rounds)
{
	make_delays();
	take_turns(LIBRARIES, rounds, measure);
	print_table(rounds);
	write_results(rounds);
}

static void
run_alone(const char *name, long rounds)
{
	make_delays();
	for (size_t l = 0; l < LIBRARIES; l++) {
		struct job j = {.l = &libraries[l]};

		if (strcmp(libraries[l].name, name) != 0)
			continue;
		for (long r = 0; r < rounds; r++)
			run_library(&j);
		return;
	}
	fprintf(stderr, "timers: there is no %s here\n", name);
	exit(2);
}

/*
 * The server
 */

static int (*pairs)[2];
static size_t pair_count; /* connection i has pair i % pair_count */

static void
make_pairs(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
	pair_count = (limit.rlim_cur - 50) / 2;
	if (pair_count > count)
		pair_count = count;
	pairs = allocate(pair_count, sizeof *pairs);
	for (size_t i = 0; i < count; i++)
		add_polling(i, &in_a_while);
	for (size_t i = 0; i < pair_count; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]) < 0)
			die("socketpair");
		if (polling_add(poller, pairs[i][1], POLLING_IN,
			POLLING_ONESHOT, i) != 0)
			die("polling_add");
	}
}

static void
serve(size_t i, bool timed)
{
	size_t connection = i + pair_count *
				    (random_number() % (count / pair_count));
	char byte;

	if (read(pairs[i][1], &byte, 1) != 1 ||
	    write(pairs[i][1], &byte, 1) != 1)
		die("a socket");
	if (timed)
		move_polling(connection, &in_a_while);
	if (polling_modify(
		poller, pairs[i][1], POLLING_IN, POLLING_ONESHOT, i) != 0)
		die("polling_modify");
}

/* The time that the server needs for so many events; its clients' is not
 * counted. */
static double
time_server(long wanted, bool timed)
{
	struct polling_event got[BATCH];
	double start, sum = 0;
	size_t who[BATCH];
	char byte = 'x';

	for (long done = 0; done < wanted; done += BATCH) {
		for (int i = 0; i < BATCH; i++) {
			who[i] = random_number() % pair_count;
			if (write(pairs[who[i]][0], &byte, 1) != 1)
				die("a socket");
		}
		start = cpu_seconds();
		for (int left = BATCH; left > 0;) {
			int n = polling_wait(poller, got, BATCH, NULL);

			for (int i = 0; i < n; i++)
				serve(got[i].key, timed);
			left -= n;
		}
		sum += cpu_seconds() - start;
		for (int i = 0; i < BATCH; i++) {
			if (read(pairs[who[i]][0], &byte, 1) != 1)
				die("a socket");
		}
	}
	return sum;
}

static void
compare_servers(long wanted, long rounds)
{
	static double with[ROUNDS_MAX], without[ROUNDS_MAX];
	double a, b;

	for (long r = 0; r < rounds; r++) {
		with[r] = time_server(wanted, true);
		without[r] = time_server(wanted, false);
	}
	a = quantile(with, (size_t)rounds, .5) / (double)wanted * 1e9;
	b = quantile(without, (size_t)rounds, .5) / (double)wanted * 1e9;
	printf("%zu connections, %zu pairs: %.1f ns for an event with a "
	       "time-out, %.1f "
	       "without: %.1f %%\n",
	    count, pair_count, a, b, (a - b) / a * 100);
}

static int
usage(void)
{
	fprintf(stderr, "usage: timers [-1 LIBRARY|-o FILE] COUNT [ROUNDS]\n"
			"       timers -c|-r|-n CONNECTIONS EVENTS [ROUNDS]\n");
	return 2;
}

int
main(int argc, char **argv)
{
	bool file = argc > 2 && strcmp(argv[1], "-o") == 0;
	const char *mode = argc > 1 && argv[1][0] == '-' && !file ? argv[1]
								  : "";
	bool alone = strcmp(mode, "-1") == 0;
	int first = alone || file ? 3 : *mode != '\0' ? 2 : 1;
	long number[3] = {0, 9, 9};

	for (int i = 0; i < 3 && first + i < argc; i++)
		number[i] = strtol(argv[first + i], NULL, 10);
	if (first >= argc || number[0] < 1 || number[1] < 1 || number[2] < 1 ||
	    number[2] > ROUNDS_MAX)
		return usage();
	count = (size_t)number[0];
	if (*mode == '\0' || alone) {
		if (number[1] > ROUNDS_MAX)
			return usage();
		report_open(file ? argv[2] : NULL, true);
		if (alone)
			run_alone(argv[2], number[1]);
		else
			compare_libraries((int)number[1]);
		report_close();
		return 0;
	}
	in_a_while = make_delay(REARM_SEC * 1000000000ull);
	open_polling();
	make_pairs();
	if (strcmp(mode, "-c") == 0)
		compare_servers(number[1], number[2]);
	else
		(void)time_server(number[1], strcmp(mode, "-r") == 0);
	close_polling();
	return 0;
}
