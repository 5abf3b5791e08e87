/* SPDX-License-Identifier: MIT */
/*
 * What every test of the library shares: cases that fail when they leak a
 * descriptor, skips that tell their reason, expectations that print events
 * by name, and the making of sockets and pipes. What is the same on every
 * system is in harness.c, the rest in harness-posix.c and harness-windows.c.
 *
 * Include it first: it also switches on what the system's headers hide.
 * Assertions belong on the main thread only.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#if HAVE_CONFIG_H
#include "config.h"
#endif
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* posix_openpt, RLIM_NLIMITS, pthread extras */
#endif

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if !HAVE_HANDLES
#include <pthread.h>
#endif

#include <polling.h>

#include "sanitizers.h"

/* The probe for pipe() may have been answered with no, to test the library
 * without; the tests use it where there are processes to pipe between. */
#if HAVE_PIPE || HAVE_FORK
#define HAVE_TEST_PIPES 1
#endif

/*
 * The suites are made of parts: each function adds the cases of a file to the
 * suite that they belong to. main.c lists the parts that every system has,
 * harness-posix.c and harness-windows.c those that only theirs has.
 */
struct suite_part {
	const char *suite;
	void (*add)(Suite *suite);
};
/* Ends with an entry without a name. */
extern const struct suite_part system_parts[];

void add_registration(Suite *s);
void add_modes(Suite *s);
void add_conditions(Suite *s);
void add_waiting(Suite *s);
void add_notify(Suite *s);
void add_threads(Suite *s);
void add_lifetime(Suite *s);
void add_timers(Suite *s);
void add_idmap(Suite *s);
/* Everywhere, but not the same. */
void add_processes(Suite *s);
void add_signals(Suite *s);
/* Where there are descriptors, signals and fork(). */
void add_files(Suite *s);
void add_registration_descriptors(Suite *s);
void add_registration_limits(Suite *s);
void add_registration_nesting(Suite *s);
void add_conditions_descriptors(Suite *s);
void add_waiting_signals(Suite *s);
void add_notify_signals(Suite *s);
void add_lifetime_forks(Suite *s);
void add_lifetime_limits(Suite *s);
void add_lifetime_nesting(Suite *s);
void add_inherited_sources(Suite *s);
void add_nested_sources(Suite *s);
void add_model(Suite *s);
/* Where there are SOCKETs and handles. */
void add_sockets(Suite *s);
void add_waitable(Suite *s);
void add_winerror(Suite *s);

/*
 * Cases. Each START_TEST is a Check case of its own, under its function's
 * name, so that it can be run alone. A case is added only if the command
 * line selects it. The seconds are Check's time limit for it, which
 * CK_TIMEOUT_MULTIPLIER stretches.
 */
#define CASE_SECONDS 60

#define CASE(suite, function) CASE_LIMIT(suite, function, CASE_SECONDS)
#define CASE_LIMIT(suite, function, seconds)                                \
	do {                                                                \
		TCase *case_ = harness_case((suite), #function, (seconds)); \
		if (case_ != NULL)                                          \
			tcase_add_test(case_, function);                    \
	} while (0)
/* Runs the test once for each _i in [first, end). */
#define CASE_LOOP(suite, function, seconds, first, end)                       \
	do {                                                                  \
		TCase *case_ = harness_case((suite), #function, (seconds));   \
		if (case_ != NULL)                                            \
			tcase_add_loop_test(case_, function, (first), (end)); \
	} while (0)

/* Runs the test once for each mode that the system has, as _i. */
#define CASE_MODES(suite, function) \
	CASE_LOOP(suite, function, CASE_SECONDS, 0, supported_modes())
/* Runs the test once for each kind of pair, as _i. */
#define CASE_PAIRS(suite, function) \
	CASE_LOOP(suite, function, CASE_SECONDS, 0, PAIR_KINDS)

/* For the macros above: NULL if the case is not to be run. */
TCase *harness_case(Suite *suite, const char *name, int seconds);

/*
 * For main.c. A selection is "SUITE" or "SUITE/CASE"; with none, everything
 * is selected. harness_suite() makes a suite of all parts with its name, or
 * gives NULL if none of it is selected. harness_unmatched() gives the first
 * selection that named nothing.
 */
void harness_select(const char *const *selections, size_t count);
Suite *harness_suite(
    const char *name, const struct suite_part *const lists[], size_t count);
const char *harness_unmatched(void);
void harness_list(void);
void harness_count_skips(void);
unsigned harness_skips(void);

/*
 * The cases that were selected, for systems whose Check does not fork: there
 * each runs as a process of its own.
 */
struct selected_case {
	const char *suite;
	const char *name;
	int seconds;
};
extern struct selected_case *harness_cases;
extern size_t harness_case_count;

/*
 * What the system part of the harness does for main.c. harness_start() comes
 * before everything else. harness_runs_apart() is
 * true where cases need processes of their own, and harness_run_apart() runs
 * the case in one, as "PROGRAM -1 [-v] SUITE/CASE". It returns its exit
 * status, or -1 with the words why there is none.
 */
void harness_start(void);
bool harness_runs_apart(void);
int harness_run_apart(
    const struct selected_case *which, bool verbose, char *words, size_t size);
/* Which descriptors or handles are open; the case fails if there are more. */
void harness_note_open(void);
void harness_check_open(void);

/*
 * Ends the case with the reason printed. It returns from the function it is
 * used in, which must be the test itself, with nothing left open.
 */
#define SKIP(...)                          \
	do {                               \
		harness_skip(__VA_ARGS__); \
		return;                    \
	} while (0)
#define SKIP_UNLESS(p, feature, reason)                  \
	do {                                             \
		if (!polling_supports((p), (feature))) { \
			polling_destroy(p);              \
			SKIP(reason);                    \
		}                                        \
	} while (0)
#define SKIP_UNLESS_MODE(p, mode)                                     \
	do {                                                          \
		if (!mode_works((p), (mode))) {                       \
			polling_destroy(p);                           \
			SKIP("%s is not supported", mode_name(mode)); \
		}                                                     \
	} while (0)
/* With why_...(), before anything is opened. */
#define SKIP_IF(why)                      \
	do {                              \
		const char *why_ = (why); \
		if (why_ != NULL)         \
			SKIP("%s", why_); \
	} while (0)
#if defined(__GNUC__)
#define HARNESS_PRINTF(format, first) \
	__attribute__((__format__(__printf__, format, first)))
#else
#define HARNESS_PRINTF(format, first)
#endif
/* Prints and counts; harness_note() prints only. */
void harness_skip(const char *format, ...) HARNESS_PRINTF(1, 2);
void harness_note(const char *format, ...) HARNESS_PRINTF(1, 2);

/*
 * Expectations. They fail the case with the place, the call and what came
 * instead.
 *
 * expect_ok(call)            it returns 0
 * expect_error(call, EINVAL) it returns -1 with this errno
 * expect_events(p, timeout_ms, {key, events}, ...)
 *                            ONE wait returns exactly these events, in any
 *                            order, each with data 0. A timeout of 0 does not
 *                            block; others are stretched on slow systems.
 * expect_nothing(p)          a wait with zero timeout returns 0
 * expect_nothing_for(p, ms)  a wait of this many milliseconds returns 0, and
 *                            not early
 */
struct expected {
	uintptr_t key;
	uint32_t events;
};

#define HARNESS_HERE __FILE__, __LINE__

#define expect_ok(call) \
	harness_expect_ok(HARNESS_HERE, #call, (errno = 0, (call)))
#define expect_error(call, code) \
	harness_expect_error(    \
	    HARNESS_HERE, #call, (errno = 0, (call)), (code), #code)
#define expect_events(p, timeout_ms, ...)                      \
	harness_expect_events(HARNESS_HERE, (p), (timeout_ms), \
	    (const struct expected[]){__VA_ARGS__},            \
	    sizeof((const struct expected[]){__VA_ARGS__}) /   \
		sizeof(struct expected))
#define expect_nothing(p) harness_expect_nothing(HARNESS_HERE, (p), 0)
#define expect_nothing_for(p, ms) \
	harness_expect_nothing(HARNESS_HERE, (p), (ms))

void harness_expect_ok(
    const char *file, int line, const char *call, int result);
void harness_expect_error(const char *file, int line, const char *call,
    int result, int code, const char *code_name);
void harness_expect_events(const char *file, int line, struct polling *p,
    int timeout_ms, const struct expected *expected, size_t count);
void harness_expect_nothing(
    const char *file, int line, struct polling *p, int timeout_ms);

/*
 * One wait that must return exactly one event, for cases that accept more
 * than one answer and look at it themselves. A zero timeout does not block.
 */
#define wait_one(p, timeout_ms) \
	harness_wait_one(HARNESS_HERE, (p), (timeout_ms))
struct polling_event harness_wait_one(
    const char *file, int line, struct polling *p, int timeout_ms);

/* A wait in milliseconds, as is: below 0 without limit. */
int wait_ms(struct polling *p, struct polling_event *events, int capacity,
    int timeout_ms);

/* "IN|HUP" and the like; one of a few static buffers. "0" for none. */
const char *event_names(uint32_t events);
/* As strerror(), also for what that does not know. */
const char *error_text(int error);

/* fd is not registered: neither modify nor delete finds it. */
void expect_unknown(struct polling *p, polling_fd fd);
/* fd is no descriptor, so that it cannot be added. */
void expect_bad(struct polling *p, polling_fd fd);
/*
 * fd is registered: with this interest exactly these events are reported, in
 * every mode.
 */
void expect_reported(
    struct polling *p, polling_fd fd, uint32_t interest, uint32_t events);

/* The poller of a case; it must be destroyed by the case. */
struct polling *make_poller(void);
struct polling *make_poller_with(unsigned flags);

/*
 * Time, measured apart from the library. time_scale() is how much slower
 * than usual the tests may be: CK_TIMEOUT_MULTIPLIER, at least 1.
 */
#define LONG_MS    20000 /* for events that have to come */
#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_SEC INT64_C(1000000000)
int64_t now_ns(void);
int64_t library_now(void);        /* what polling_now() says, in nanoseconds */
int64_t cpu_ns(void);             /* the processor time of all threads */
int64_t queued_ns(void);          /* how long this one waited for a processor;
				   * 0 if the system does not tell */
extern const int64_t cpu_tick_ns; /* that is a multiple of this */
double time_scale(void);
void sleep_ns(int64_t ns);
void sleep_ms(int ms);
struct timespec ms_to_timespec(int64_t ms);
struct timespec ns_to_timespec(int64_t ns);
void step_wall_clock(int64_t seconds);
/*
 * Gives the system a moment to carry what was just sent to its receiver, for
 * those where the loopback is not immediate.
 */
void settle(void);

/* Fails unless at least min_ms and at most max_ms (stretched) have passed. */
#define expect_elapsed(start_ns, min_ms, max_ms) \
	harness_expect_elapsed(HARNESS_HERE, (start_ns), (min_ms), (max_ms))
void harness_expect_elapsed(
    const char *file, int line, int64_t start, int min_ms, int max_ms);

/*
 * A thread. On Windows one of the system's own: those of MinGW's library keep
 * handles of theirs, which would look like leaks.
 */
struct thread {
#if HAVE_HANDLES
	void *handle;
#else
	pthread_t id;
#endif
	void *(*run)(void *);
	void *argument;
};

/* The structure stays where it is until the thread is joined. */
void start_thread(struct thread *t, void *(*run)(void *), void *argument);
void join_thread(struct thread *t);
void yield_thread(void);

/* Runs action(argument) on another thread after a delay. */
struct delayed;
struct delayed *run_after(int ms, void (*action)(void *), void *argument);
void join_delayed(struct delayed *d);

/*
 * Descriptors; on Windows, SOCKETs. All are non-blocking, and closed by the
 * case.
 */
#define NO_FD ((polling_fd)-1)

void make_tcp_pair(polling_fd pair[2]); /* loopback, TCP_NODELAY */
/* AF_UNIX; a TCP pair, and named so, on systems that have none. */
void make_socketpair(polling_fd pair[2]);
#if HAVE_TEST_PIPES
void make_pipe(polling_fd pair[2]); /* [0] reads, [1] writes */
#endif
/* Something that is no TCP connection if possible: a pipe, or a socket pair. */
void make_channel(polling_fd pair[2]); /* [0] reads, [1] writes */
#if HAVE_TEST_PIPES
#define CHANNEL_WITHOUT_READER (POLLING_OUT | POLLING_ERR)
#else
#define CHANNEL_WITHOUT_READER POLLING_OUT
#endif
void make_udp_pair(polling_fd pair[2]);     /* connected to each other */
polling_fd make_tcp_socket(void);           /* never connected */
polling_fd make_udp_socket(uint16_t *port); /* bound to the loopback */
polling_fd make_listener(uint16_t *port);   /* bound to the loopback */
polling_fd accept_fd(polling_fd listener); /* the case fails if none is there */
polling_fd duplicate_fd(polling_fd fd);
/*
 * Makes number, which is closed, a duplicate of fd. False where the system
 * does not give that number. On POSIX number may be open: it is replaced, and
 * can_replace says so.
 */
bool duplicate_at(polling_fd fd, polling_fd number);
extern const bool can_replace;
/* Can a source be closed undeleted while other threads open descriptors? */
extern const bool can_abandon;
/* A loopback port that refuses for as long as *holder stays open. */
uint16_t refusing_port(polling_fd *holder);
/* 0 if connected or on the way, else the error's number. */
int connect_fd(polling_fd fd, uint16_t port);

/*
 * Kinds of pairs, for cases that run over all of them: what is written to
 * [1] is read from [0], and back for the first TWO_WAY_KINDS.
 */
enum {
	PAIR_TCP,
	PAIR_SOCKETPAIR,
	TWO_WAY_KINDS,
#if HAVE_TEST_PIPES
	PAIR_PIPE = TWO_WAY_KINDS,
	PAIR_KINDS
#else
	PAIR_KINDS = TWO_WAY_KINDS
#endif
};
struct pair_kind {
	const char *(*name)(void);
	void (*make)(polling_fd pair[2]);
	/* Is the other end hung up when one is closed, as seen by the kernel
	 * and not by the protocol? */
	bool (*closes_as_one)(void);
};
extern const struct pair_kind pair_kinds[PAIR_KINDS];

#define MODES 4 /* the modes are 0 to 3 */
/* The first 2 work everywhere; 4 with the edge modes. */
int supported_modes(void);
bool mode_works(struct polling *p, enum polling_mode mode);
const char *mode_name(enum polling_mode mode);

void close_fd(polling_fd fd);
void close_pair(polling_fd pair[2]);

/* Moves exactly this many bytes; fails the case if they do not fit. */
void put_bytes(polling_fd fd, size_t count);
void get_bytes(polling_fd fd, size_t count);
/* Writes until nothing more goes in, for good. Returns the bytes. */
size_t fill_until_blocked(polling_fd fd);
/* Reads until nothing is left or the end. Returns the bytes. */
size_t drain(polling_fd fd);
/* Reads this many bytes, waiting for those still on their way. */
void drain_exactly(polling_fd fd, size_t count);
/* Fails unless the next read is the end of file. */
#define expect_eof(fd) harness_expect_eof(HARNESS_HERE, (fd))
void harness_expect_eof(const char *file, int line, polling_fd fd);
/* One raw read of up to count bytes: -1 with errno set on failure. */
long read_fd(polling_fd fd, void *buffer, size_t count);
long write_fd(polling_fd fd, const void *buffer, size_t count);

void shut_writing(polling_fd fd);
void shut_both(polling_fd fd);
/* Closes fd in a way that sends a reset to its peer. */
void reset_connection(polling_fd fd);
void send_urgent(polling_fd fd);
/* Takes the urgent byte. */
void receive_urgent(polling_fd fd);
int socket_error(polling_fd fd); /* SO_ERROR, which it clears */
/* Can POLLING_RDHUP come later than the end, when the data before it is read?
 */
extern const bool end_may_wait;
/* After a call on a descriptor that failed: would it have blocked? */
bool would_block(void);
/*
 * NULL if this system tells of a reset connection, of a UDP port that nobody
 * has, or that the program itself has shut both directions; else what it does
 * instead. A probe finds out.
 */
const char *why_no_reset(void);
const char *why_no_unreachable(void);
const char *why_no_own_shutdown(void);

/* A number that is no open descriptor now. */
polling_fd closed_number(void);
/*
 * Raises the soft limit on descriptors to at least this many, within the
 * hard one. Returns 0, or -1 where the system does not allow it.
 */
int raise_fd_limit(unsigned count);
/* How many descriptors or handles this process has open. */
int count_fds(void);
/* The descriptor of a poller, or -1 with ENOTSUP where there is none. */
int poller_fd(struct polling *p);
/* A descriptor that never blocks, where POLLING_FEATURE_FILE is supported. */
polling_fd open_directory(void);

/* Memory in bytes: 0 where it cannot be told. */
size_t heap_in_use(void);
size_t resident_size(void);
size_t address_space_size(void);
/*
 * True under a sanitizer or valgrind: they keep what was freed for a while
 * and cannot live with a limit on address space.
 */
bool is_instrumented(void);

#endif /* TESTS_HARNESS_H */
