/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that are no sockets: pipes, FIFOs, terminals, and what only some
 * systems have. Parts of the suites of registrations and conditions. The
 * numbers are those of the conformance catalogue, parts A and C.
 */
#include "harness.h"

#include "crew.h"
#include "scenes.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#ifdef __has_include
#if __has_include(<sys/eventfd.h>)
#include <sys/eventfd.h>
#define HAVE_TEST_EVENTFD 1
#endif
#endif
#if HAVE_INOTIFY_INIT1
#include <sys/inotify.h>
#endif
#if HAVE_TIMERFD_CREATE
#include <sys/timerfd.h>
#endif

#define READ_WRITE (POLLING_IN | POLLING_OUT)

/*
 * 7: an O_PATH descriptor is open, yet no kernel call polls it. What the
 * library must not do is to keep a half-made registration.
 */
START_TEST(a_descriptor_the_kernel_refuses_leaves_nothing)
{
#ifdef O_PATH
	struct polling *p = make_poller();
	polling_fd pair[2];
	int number = open("/", O_PATH | O_CLOEXEC);

	ck_assert_int_ge(number, 0);
	expect_bad(p, number);
	expect_unknown(p, number);
	expect_nothing(p);
	close_fd(number);
	make_pipe(pair);
	ck_assert_int_eq(pair[0], number);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 2));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {2, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
#else
	SKIP("no O_PATH");
#endif
}
END_TEST

/* 39 */
START_TEST(a_pipe_without_writer_is_in_and_hup)
{
	struct polling *p = make_poller();
	polling_fd pair[2], writer;

	make_pipe(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	/* A second writer keeps it alive. */
	writer = duplicate_fd(pair[1]);
	close_fd(pair[1]);
	get_bytes(pair[0], 1);
	expect_nothing(p);
	close_fd(writer);
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	expect_reported(p, pair[0], POLLING_HUP, POLLING_HUP);
	expect_reported(p, pair[0], POLLING_PRI, POLLING_HUP);
	expect_reported(p, pair[0], POLLING_IN, POLLING_IN | POLLING_HUP);
	expect_eof(pair[0]);
	polling_destroy(p);
	close_fd(pair[0]);
}
END_TEST

/* The write end of a pipe or FIFO whose reader is gone. */
static void
expect_no_reader(struct polling *p, polling_fd fd)
{
	expect_reported(p, fd, POLLING_OUT, POLLING_OUT | POLLING_ERR);
	expect_reported(p, fd, POLLING_ERR, POLLING_ERR);
	expect_reported(p, fd, POLLING_HUP, POLLING_ERR);
	expect_reported(p, fd, 0, 0);
	ck_assert_int_eq(write_fd(fd, "x", 1), -1);
	ck_assert_int_eq(errno, EPIPE);
	expect_reported(p, fd, POLLING_OUT, POLLING_OUT | POLLING_ERR);
}

/* 39: with room in the pipe, and without */
START_TEST(a_pipe_without_reader_is_out_and_err)
{
	struct polling *p = make_poller();
	bool full = _i == 1;
	polling_fd pair[2];

	make_pipe(pair);
	if (full)
		fill_until_blocked(pair[1]);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, POLLING_LEVEL, 1));
	if (full)
		expect_nothing(p);
	else
		expect_events(p, LONG_MS, {1, POLLING_OUT});
	close_fd(pair[0]);
	expect_events(p, LONG_MS, {1, POLLING_OUT | POLLING_ERR});
	expect_no_reader(p, pair[1]);
	expect_ok(polling_delete(p, pair[1]));
	/* Added when the reader is gone already. */
	expect_ok(polling_add(p, pair[1], POLLING_OUT, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT | POLLING_ERR});
	polling_destroy(p);
	close_fd(pair[1]);
}
END_TEST

/* 21, 39: _i is the mode; what fired before hears of it once it is armed */
START_TEST(a_reader_that_left_is_told_when_armed_again)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_pipe(pair);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, mode, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_ok(polling_modify(p, pair[1], 0, mode, 2));
	expect_nothing(p);
	close_fd(pair[0]);
	expect_nothing(p);
	expect_error(polling_add(p, pair[1], POLLING_OUT, mode, 3), EEXIST);
	expect_nothing(p);
	expect_ok(polling_modify(p, pair[1], POLLING_OUT, mode, 4));
	expect_events(p, LONG_MS, {4, POLLING_OUT | POLLING_ERR});
	if (mode == POLLING_LEVEL)
		expect_events(p, 0, {4, POLLING_OUT | POLLING_ERR});
	else
		expect_nothing(p);
	expect_ok(polling_modify(p, pair[1], POLLING_OUT, mode, 5));
	expect_events(p, LONG_MS, {5, POLLING_OUT | POLLING_ERR});
	expect_ok(polling_delete(p, pair[1]));
	polling_destroy(p);
	close_fd(pair[1]);
}
END_TEST

/* 21, 39: the same without a look in between */
START_TEST(a_reader_that_left_is_told_at_the_next_arming)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_pipe(pair);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, mode, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	close_fd(pair[0]);
	expect_ok(polling_modify(p, pair[1], POLLING_OUT, mode, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT | POLLING_ERR});
	polling_destroy(p);
	close_fd(pair[1]);
}
END_TEST

/* A FIFO in a directory of its own, gone by name once both ends are open. */
struct fifo {
	char directory[64];
	char path[80];
};

static void
make_fifo(struct fifo *f)
{
	const char *tmp = getenv("TMPDIR");

	if (tmp == NULL || strlen(tmp) > 40)
		tmp = "/tmp";
	(void)snprintf(
	    f->directory, sizeof(f->directory), "%s/polling-XXXXXX", tmp);
	ck_assert_ptr_nonnull(mkdtemp(f->directory));
	(void)snprintf(f->path, sizeof(f->path), "%s/fifo", f->directory);
	ck_assert_int_eq(mkfifo(f->path, 0600), 0);
}

static int
open_fifo(const struct fifo *f, int flags)
{
	int fd = open(f->path, flags | O_NONBLOCK | O_CLOEXEC);

	ck_assert_msg(fd != -1, "open %s: %s", f->path, strerror(errno));
	return fd;
}

static void
remove_fifo(const struct fifo *f)
{
	(void)unlink(f->path);
	(void)rmdir(f->directory);
}

/* 40 */
START_TEST(a_fifo_is_silent_before_its_first_writer)
{
	struct polling *p = make_poller();
	struct fifo f;
	int reader, writer;

	make_fifo(&f);
	reader = open_fifo(&f, O_RDONLY);
	expect_ok(polling_add(p, reader, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	expect_nothing_for(p, 30);
	writer = open_fifo(&f, O_WRONLY);
	expect_nothing(p);
	put_bytes(writer, 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	close_fd(writer);
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	get_bytes(reader, 1);
	expect_events(p, LONG_MS, {1, POLLING_IN | POLLING_HUP});
	expect_eof(reader);
	/* The next writer ends the hang-up. */
	writer = open_fifo(&f, O_WRONLY);
	expect_nothing(p);
	put_bytes(writer, 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	remove_fifo(&f);
	polling_destroy(p);
	close_fd(writer);
	close_fd(reader);
}
END_TEST

/* 40 */
START_TEST(a_fifo_without_reader_is_out_and_err)
{
	struct polling *p = make_poller();
	struct fifo f;
	int reader, writer;

	make_fifo(&f);
	reader = open_fifo(&f, O_RDONLY);
	writer = open_fifo(&f, O_WRONLY);
	remove_fifo(&f);
	expect_ok(polling_add(p, writer, POLLING_OUT, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	close_fd(reader);
	expect_events(p, LONG_MS, {1, POLLING_OUT | POLLING_ERR});
	expect_no_reader(p, writer);
	polling_destroy(p);
	close_fd(writer);
}
END_TEST

/* 40: it is its own peer, and both ends of it are watched */
START_TEST(a_fifo_opened_both_ways_is_both)
{
	struct polling *p = make_poller();
	struct fifo f;
	int fd;

	make_fifo(&f);
	/* POSIX leaves it open what that does; all systems of today do it. */
	fd = open_fifo(&f, O_RDWR);
	remove_fifo(&f);
	expect_ok(polling_add(p, fd, READ_WRITE, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	put_bytes(fd, 1);
	expect_events(p, LONG_MS, {1, READ_WRITE});
	(void)fill_until_blocked(fd);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	(void)drain(fd);
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_ONESHOT, 2));
	expect_nothing(p);
	put_bytes(fd, 1);
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* A pseudo-terminal without echo or line editing; false if there is none. */
static bool
make_pty(int pair[2])
{
	struct termios raw;
	const char *name;

	pair[0] = posix_openpt(O_RDWR | O_NOCTTY);
	if (pair[0] == -1)
		return false;
	pair[1] = -1;
	if (grantpt(pair[0]) == 0 && unlockpt(pair[0]) == 0 &&
	    (name = ptsname(pair[0])) != NULL)
		pair[1] = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (pair[1] == -1) {
		close_fd(pair[0]);
		return false;
	}
	ck_assert_int_ne(fcntl(pair[0], F_SETFL, O_RDWR | O_NONBLOCK), -1);
	ck_assert_int_eq(tcgetattr(pair[1], &raw), 0);
	raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
	raw.c_oflag &= (tcflag_t)~OPOST;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	ck_assert_int_eq(tcsetattr(pair[1], TCSANOW, &raw), 0);
	return true;
}

/* 45, 46: _i is the side that is watched, 0 the master, 1 the slave */
START_TEST(a_terminal_reports_input_and_hang_up)
{
	int watched = _i, peer = 1 - _i;
	struct polling *p;
	struct polling_event event;
	int pty[2];

	if (!make_pty(pty))
		SKIP("no pseudo-terminal: %s", strerror(errno));
	p = make_poller();
	expect_ok(polling_add(p, pty[watched], POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	put_bytes(pty[peer], 3);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(pty[watched], 2);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	get_bytes(pty[watched], 1);
	expect_silence(p);
	expect_ok(
	    polling_modify(p, pty[watched], POLLING_OUT, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT});
	/* Beside another one that is waited for by the same means. */
	expect_ok(polling_add(p, pty[peer], POLLING_IN, POLLING_LEVEL, 4));
	expect_silence(p);
	expect_ok(polling_delete(p, pty[peer]));
	expect_ok(
	    polling_modify(p, pty[watched], POLLING_IN, POLLING_ONESHOT, 3));
	expect_nothing(p);
	close_fd(pty[peer]);
	event = wait_one(p, LONG_MS);
	ck_assert_uint_eq(event.key, 3);
	ck_assert_msg(
	    (event.events & ~POLLING_ERR) == (POLLING_IN | POLLING_HUP),
	    "hung up: %s", event_names(event.events));
	polling_destroy(p);
	close_fd(pty[watched]);
}
END_TEST

static void
put_one(void *argument)
{
	put_bytes(*(polling_fd *)argument, 1);
}

static void
notify_poller(void *argument)
{
	(void)polling_notify(argument);
}

#define TERMINALS 40

/* 45: that is asleep, with one terminal or more than a few; kernels that do not
 * watch them leave them to poll() or select() */
START_TEST(a_terminal_ends_a_blocked_wait)
{
	int count = _i == 0 ? 1 : TERMINALS, last = count - 1;
	struct polling_event event;
	struct polling *p;
	struct delayed *d;
	int pty[2], copies[TERMINALS];

	if (!make_pty(pty))
		SKIP("no pseudo-terminal: %s", strerror(errno));
	p = make_poller();
	for (int i = 0; i < count; i++) {
		copies[i] = duplicate_fd(pty[1]);
		expect_ok(polling_add(p, copies[i],
		    i == last ? POLLING_IN : POLLING_PRI, POLLING_LEVEL,
		    (uintptr_t)i));
	}
	expect_nothing_for(p, 20);
	d = run_after(50, put_one, &pty[0]);
	expect_events(p, LONG_MS, {(uintptr_t)last, POLLING_IN});
	join_delayed(d);
	get_bytes(copies[last], 1);
	/* Whatever it waits with, it can be woken. */
	d = run_after(50, notify_poller, p);
	ck_assert_int_eq(wait_ms(p, &event, 1, -1), 0);
	join_delayed(d);
	for (int i = 0; i < count; i++) {
		expect_ok(polling_delete(p, copies[i]));
		close_fd(copies[i]);
	}
	polling_destroy(p);
	close_pair(pty);
}
END_TEST

/* 46 */
START_TEST(an_eventfd_reports_its_counter)
{
#if HAVE_TEST_EVENTFD
	struct polling *p = make_poller();
	uint64_t value = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd == -1) {
		polling_destroy(p);
		SKIP("eventfd: %s", strerror(errno));
	}
	expect_ok(polling_add(p, fd, READ_WRITE, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	ck_assert_int_eq(write_fd(fd, &value, sizeof(value)), sizeof(value));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	ck_assert_int_eq(read_fd(fd, &value, sizeof(value)), sizeof(value));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_ok(polling_modify(p, fd, POLLING_IN, POLLING_ONESHOT, 2));
	expect_nothing(p);
	value = 1;
	ck_assert_int_eq(write_fd(fd, &value, sizeof(value)), sizeof(value));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
#else
	SKIP("no eventfd on this system");
#endif
}
END_TEST

/* 46 */
START_TEST(an_inotify_descriptor_reports_changes)
{
#if HAVE_INOTIFY_INIT1
	struct polling *p = make_poller();
	char buffer[4096];
	struct fifo f;
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	if (fd == -1) {
		polling_destroy(p);
		SKIP("inotify: %s", strerror(errno));
	}
	make_fifo(&f);
	ck_assert_int_ne(inotify_add_watch(fd, f.directory, IN_DELETE), -1);
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	remove_fifo(&f);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	ck_assert_int_gt(read_fd(fd, buffer, sizeof(buffer)), 0);
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
#else
	SKIP("no inotify on this system");
#endif
}
END_TEST

#define UNREAD 20

/* 55: what has fired and was not read is not in the way of what becomes ready
 * after it, with no time and room for one. Here the pairs tell of data at once.
 */
START_TEST(fired_sources_hide_no_others)
{
	struct polling *p = make_poller();
	polling_fd pairs[UNREAD][2];

	for (uintptr_t i = 0; i < UNREAD; i++) {
		make_socketpair(pairs[i]);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, i));
	}
	for (uintptr_t i = 0; i < UNREAD; i++) {
		struct polling_event event = {UNREAD, 0, 0};

		put_bytes(pairs[i][1], 1);
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		ck_assert_uint_eq(event.key, i);
	}
	expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < UNREAD; i++)
		close_pair(pairs[i]);
}
END_TEST

/* 46 */
START_TEST(a_timerfd_reports_its_expiry)
{
#if HAVE_TIMERFD_CREATE
	struct itimerspec when = {.it_value = {.tv_nsec = 20000000}};
	struct polling *p = make_poller();
	uint64_t expirations;
	int64_t start;
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd == -1) {
		polling_destroy(p);
		SKIP("timerfd: %s", strerror(errno));
	}
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	expect_nothing(p);
	start = now_ns();
	ck_assert_int_eq(timerfd_settime(fd, 0, &when, NULL), 0);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_elapsed(start, 20, LONG_MS / 2);
	ck_assert_int_eq(read_fd(fd, &expirations, sizeof(expirations)),
	    sizeof(expirations));
	expect_nothing(p);
	polling_destroy(p);
	close_fd(fd);
#else
	SKIP("no timerfd on this system");
#endif
}
END_TEST

/* 46: the kinds of pairs at one poller, together */
START_TEST(descriptors_of_every_kind_work_together)
{
	struct polling *p = make_poller();
	polling_fd pairs[PAIR_KINDS][2], udp[2];
	struct fifo f;
	int reader, writer;

	for (int i = 0; i < PAIR_KINDS; i++) {
		pair_kinds[i].make(pairs[i]);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, (uintptr_t)i));
	}
	make_udp_pair(udp);
	make_fifo(&f);
	reader = open_fifo(&f, O_RDONLY);
	writer = open_fifo(&f, O_WRONLY);
	remove_fifo(&f);
	expect_ok(polling_add(p, udp[0], POLLING_IN, POLLING_ONESHOT, 10));
	expect_ok(polling_add(p, reader, POLLING_IN, POLLING_ONESHOT, 11));
	expect_nothing(p);
	for (int i = 0; i < PAIR_KINDS; i++)
		put_bytes(pairs[i][1], 1);
	put_bytes(udp[1], 1);
	put_bytes(writer, 1);
	expect_events(p, LONG_MS, {PAIR_TCP, POLLING_IN},
	    {PAIR_SOCKETPAIR, POLLING_IN}, {PAIR_PIPE, POLLING_IN},
	    {10, POLLING_IN}, {11, POLLING_IN});
	expect_nothing(p);
	polling_destroy(p);
	for (int i = 0; i < PAIR_KINDS; i++)
		close_pair(pairs[i]);
	close_pair(udp);
	close_fd(reader);
	close_fd(writer);
}
END_TEST

/* Two descriptors that fstat() does not tell apart, as sockets on some BSDs */
static bool
look_alike(polling_fd a, polling_fd b)
{
	struct stat of_a, of_b;

	ck_assert_int_eq(fstat(a, &of_a), 0);
	ck_assert_int_eq(fstat(b, &of_b), 0);
	return of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

/* What a program may do before it adds a number that is used again. */
enum { ADDED_AT_ONCE, ADDED_AFTER_WAIT, ADDED_AFTER_CHANGE, USES };

/* Puts fd, which is in p, to another use, and adds it with key. */
static void
use_again(struct polling *p, polling_fd fd, polling_fd with, uint32_t interest,
    uintptr_t key, int how)
{
	ck_assert_int_eq(dup2(with, fd), fd);
	if (how == ADDED_AFTER_CHANGE)
		(void)polling_modify(p, fd, interest, POLLING_LEVEL, 99);
	if (how != ADDED_AT_ONCE)
		expect_nothing(p);
	expect_ok(polling_add(p, fd, interest, POLLING_LEVEL, key));
}

/* 73: what is looked at beside the kernel is not found in its place, neither a
 * socket with something to read nor another one that leads nowhere */
START_TEST(a_number_of_an_unconnected_socket_is_used_again)
{
	struct polling *p = make_poller();
	polling_fd fd = make_tcp_socket(), other = make_tcp_socket(), pair[2];

	make_socketpair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, fd, POLLING_OUT, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT | POLLING_HUP});
	if (look_alike(fd, other)) {
		polling_destroy(p);
		close_fd(fd);
		close_fd(other);
		close_pair(pair);
		SKIP("fstat() does not tell one socket from another");
	}
	use_again(p, fd, other, POLLING_OUT, 2, _i);
	expect_events(p, LONG_MS, {2, POLLING_OUT | POLLING_HUP});
	use_again(p, fd, pair[0], POLLING_IN, 3, _i);
	expect_events(p, LONG_MS, {3, POLLING_IN});
	/* Nothing of it is left that takes time. */
	expect_ok(polling_delete(p, fd));
	ck_assert_int_eq(dup2(other, fd), fd);
	expect_silence(p);
	polling_destroy(p);
	close_fd(fd);
	close_fd(other);
	close_pair(pair);
}
END_TEST

/* A stream socket that leads nowhere, _i is whether by the newer protocol;
 * in every wait, though it has room for one */
START_TEST(an_unconnected_socket_is_out_and_hup)
{
	int fd = socket(_i == 1 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	struct polling_event event;
	struct polling *p;

	if (fd == -1)
		SKIP("no such socket: %s", strerror(errno));
	p = make_poller();
	expect_ok(polling_add(p, fd, POLLING_OUT, POLLING_LEVEL, 1));
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		ck_assert_uint_eq(event.events, POLLING_OUT | POLLING_HUP);
	}
	expect_reported(p, fd, POLLING_IN, POLLING_IN | POLLING_HUP);
	expect_reported(p, fd, READ_WRITE, READ_WRITE | POLLING_HUP);
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* Where the kernel tells it, which the tests of it would not miss. */
START_TEST(urgent_data_is_told_as_the_system_does)
{
	struct polling *p = make_poller();
	bool told = polling_supports(p, POLLING_FEATURE_PRI);
	const char *system = getenv("POLLING_EMULATION");

	polling_destroy(p);
	if (strcmp(polling_backend(), "kqueue") != 0) {
		ck_assert(told);
		return;
	}
	if (system == NULL)
		SKIP("only of an emulated system it is known");
	ck_assert_int_eq(told,
	    strcmp(system, "openbsd") == 0 || strcmp(system, "macos") == 0);
}
END_TEST

/* One without a peer leads anywhere. */
START_TEST(an_unconnected_datagram_socket_is_out)
{
	struct polling *p = make_poller();
	uint16_t port;
	polling_fd fd = make_udp_socket(&port);

	expect_ok(polling_add(p, fd, READ_WRITE, POLLING_LEVEL, 1));
	expect_events(p, LONG_MS, {1, POLLING_OUT});
	expect_events(p, 0, {1, POLLING_OUT});
	polling_destroy(p);
	close_fd(fd);
}
END_TEST

/* Connected in the meantime, it ends a wait that sleeps beside it */
START_TEST(a_socket_connected_later_ends_a_blocked_wait)
{
	struct polling *p = make_poller();
	polling_fd fd = make_tcp_socket(), listener, peer;
	uint16_t port;
	struct delayed *d;

	listener = make_listener(&port);
	expect_ok(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1));
	(void)wait_one(p, LONG_MS);
	ck_assert_int_eq(connect_fd(fd, port), 0);
	peer = accept_fd(listener);
	settle();
	expect_nothing_for(p, 20);
	d = run_after(50, put_one, &peer);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	join_delayed(d);
	polling_destroy(p);
	close_fd(fd);
	close_fd(peer);
	close_fd(listener);
}
END_TEST

#define FAR  4
#define STEP 512

/* Numbers that are alike for a table of a power of two, with events of both
 * directions, which are merged. */
START_TEST(numbers_far_apart_are_not_mixed_up)
{
	struct polling *p = make_poller();
	struct polling_event events[4 * FAR];
	polling_fd pairs[FAR][2];
	unsigned seen = 0;
	int n;

	if (raise_fd_limit(FAR * STEP + 100) != 0) {
		polling_destroy(p);
		SKIP("the limit on descriptors is too low");
	}
	for (int i = 0; i < FAR; i++) {
		polling_fd low[2];

		make_socketpair(low);
		pairs[i][0] = fcntl(low[0], F_DUPFD_CLOEXEC,
		    i == 0 ? 0 : pairs[0][0] + i * STEP);
		pairs[i][1] = low[1];
		ck_assert_int_ne(pairs[i][0], -1);
		close_fd(low[0]);
		put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(
		    p, pairs[i][0], READ_WRITE, POLLING_ONESHOT, (uintptr_t)i));
	}
	n = wait_ms(p, events, 4 * FAR, LONG_MS);
	ck_assert_int_eq(n, FAR);
	for (int i = 0; i < n; i++) {
		ck_assert_uint_lt(events[i].key, FAR);
		ck_assert_uint_eq(events[i].events, READ_WRITE);
		seen |= 1u << events[i].key;
	}
	ck_assert_uint_eq(seen, (1u << FAR) - 1);
	polling_destroy(p);
	for (int i = 0; i < FAR; i++)
		close_pair(pairs[i]);
}
END_TEST

#define POSTS 10000

/* Each wakes whoever watches the descriptor, by a pipe in some systems. */
START_TEST(more_posts_than_a_pipe_holds_are_kept)
{
	struct polling *p = make_poller();
	struct polling_event events[64];

	(void)poller_fd(p);
	for (uintptr_t i = 0; i < POSTS; i++)
		expect_ok(polling_post(
		    p, &(struct polling_event){.key = i, .events = 1}));
	/* A wake-up that finds no room is one all the same. */
	expect_ok(polling_notify(p));
	for (uintptr_t i = 0; i < POSTS;) {
		int n = wait_ms(p, events, 64, 0);

		ck_assert_int_gt(n, 0);
		for (int j = 0; j < n; j++)
			ck_assert_uint_eq(events[j].key, i++);
	}
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

static void *
wait_until_notified(void *p)
{
	struct polling_event event;

	return wait_ms(p, &event, 1, -1) == 0 ? p : NULL;
}

#define CROWD 150

/* A look that does not block, beside a wait that does */
START_TEST(a_crowd_can_be_looked_at_beside_a_wait)
{
	struct polling *p = make_poller();
	static polling_fd pairs[CROWD][2];
	struct polling_event event;
	struct thread t;

	if (raise_fd_limit(2 * CROWD + 100) != 0) {
		polling_destroy(p);
		SKIP("the limit on descriptors is too low");
	}
	start_thread(&t, wait_until_notified, p);
	for (uintptr_t i = 0; i < CROWD; i++) {
		make_pipe(pairs[i]);
		expect_ok(
		    polling_add(p, pairs[i][0], POLLING_IN, POLLING_LEVEL, i));
	}
	sleep_ms(20);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 0);
	expect_ok(polling_notify(p));
	join_thread(&t);
	/* Without it there is nobody to take the event. */
	put_bytes(pairs[CROWD - 1][1], 1);
	expect_events(p, LONG_MS, {CROWD - 1, POLLING_IN});
	polling_destroy(p);
	for (int i = 0; i < CROWD; i++)
		close_pair(pairs[i]);
}
END_TEST

/* A kernel may keep a file open for the thread that waits for it: after a
 * delete it must let go, or the other end does not learn that this one is
 * closed. The thread may just have been on its way to sleep. */
START_TEST(a_deleted_descriptor_is_let_go)
{
	struct polling *p = make_poller();
	struct thread t;

	start_thread(&t, wait_until_notified, p);
	sleep_ms(20);
	for (int i = 0; i < scaled(1000); i++) {
		int64_t give_up = patience();
		polling_fd pair[2];
		char byte;

		make_socketpair(pair);
		expect_ok(
		    polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
		for (volatile int n = i % 16 * 256; n > 0; n--)
			continue;
		expect_ok(polling_delete(p, pair[0]));
		close_fd(pair[0]);
		while (read_fd(pair[1], &byte, 1) == -1) {
			ck_assert(would_block());
			ck_assert_msg(now_ns() < give_up,
			    "the other end is not told, at the %dth try", i);
			yield_thread();
		}
		close_fd(pair[1]);
	}
	expect_ok(polling_notify(p));
	join_thread(&t);
	polling_destroy(p);
}
END_TEST

void
add_registration_descriptors(Suite *s)
{
	CASE(s, a_deleted_descriptor_is_let_go);
	CASE(s, a_crowd_can_be_looked_at_beside_a_wait);
	CASE(s, more_posts_than_a_pipe_holds_are_kept);
	CASE(s, numbers_far_apart_are_not_mixed_up);
	CASE_LOOP(s, a_number_of_an_unconnected_socket_is_used_again,
	    CASE_SECONDS, ADDED_AT_ONCE, USES);
	CASE(s, a_socket_connected_later_ends_a_blocked_wait);
	CASE_LOOP(s, an_unconnected_socket_is_out_and_hup, CASE_SECONDS, 0, 2);
	CASE(s, an_unconnected_datagram_socket_is_out);
	CASE(s, urgent_data_is_told_as_the_system_does);
	CASE(s, a_descriptor_the_kernel_refuses_leaves_nothing);
}

void
add_conditions_descriptors(Suite *s)
{
	CASE(s, a_pipe_without_writer_is_in_and_hup);
	CASE_LOOP(s, a_pipe_without_reader_is_out_and_err, CASE_SECONDS, 0, 2);
	CASE_MODES(s, a_reader_that_left_is_told_when_armed_again);
	CASE_MODES(s, a_reader_that_left_is_told_at_the_next_arming);
	CASE(s, a_fifo_is_silent_before_its_first_writer);
	CASE(s, a_fifo_without_reader_is_out_and_err);
	CASE(s, a_fifo_opened_both_ways_is_both);
	CASE_LOOP(s, a_terminal_reports_input_and_hang_up, CASE_SECONDS, 0, 2);
	CASE_LOOP(s, a_terminal_ends_a_blocked_wait, CASE_SECONDS, 0, 2);
	CASE(s, an_eventfd_reports_its_counter);
	CASE(s, an_inotify_descriptor_reports_changes);
	CASE(s, fired_sources_hide_no_others);
	CASE(s, a_timerfd_reports_its_expiry);
	CASE(s, descriptors_of_every_kind_work_together);
}
