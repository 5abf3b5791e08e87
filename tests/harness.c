/* SPDX-License-Identifier: MIT */
/*
 * The tests' common ground, as far as it is the same on every system; the
 * rest is in harness-posix.c and harness-windows.c.
 */
#include "harness.h"

#include <stdarg.h>
#include <stdio.h>

/* Selection */

static const char *const *selected;
static size_t selected_count;
static bool *selected_used;

static const char *suite_name; /* the one being made */
static bool listing;

static bool
selection_matches(const char *selection, const char *suite, const char *name)
{
	size_t length = strlen(suite);

	if (strncmp(selection, suite, length) != 0)
		return false;
	if (selection[length] == '\0')
		return true;
	return selection[length] == '/' &&
	       (name == NULL || strcmp(selection + length + 1, name) == 0);
}

/* With name NULL: is any case of the suite selected? */
static bool
is_selected(const char *suite, const char *name)
{
	bool found = selected_count == 0;

	for (size_t i = 0; i < selected_count; i++) {
		if (!selection_matches(selected[i], suite, name))
			continue;
		found = true;
		if (name != NULL)
			selected_used[i] = true;
	}
	return found;
}

void
harness_select(const char *const *selections, size_t count)
{
	selected = selections;
	selected_count = count;
	selected_used = calloc(count + 1, sizeof(*selected_used));
	if (selected_used == NULL)
		abort();
}

static void
add_parts(Suite *suite, const struct suite_part *part)
{
	for (; part->suite != NULL; part++) {
		if (strcmp(part->suite, suite_name) == 0)
			part->add(suite);
	}
}

Suite *
harness_suite(
    const char *name, const struct suite_part *const lists[], size_t count)
{
	Suite *suite;

	if (!is_selected(name, NULL))
		return NULL;
	suite_name = name;
	suite = suite_create(name);
	for (size_t i = 0; i < count; i++)
		add_parts(suite, lists[i]);
	return suite;
}

const char *
harness_unmatched(void)
{
	for (size_t i = 0; i < selected_count; i++) {
		if (!selected_used[i])
			return selected[i];
	}
	return NULL;
}

void
harness_list(void)
{
	listing = true;
}

struct selected_case *harness_cases;
size_t harness_case_count;

static void
remember_case(const char *name, int seconds)
{
	size_t size = (harness_case_count + 1) * sizeof(*harness_cases);

	harness_cases = realloc(harness_cases, size);
	if (harness_cases == NULL)
		abort();
	harness_cases[harness_case_count++] = (struct selected_case){
	    suite_name, name, seconds};
}

TCase *
harness_case(Suite *suite, const char *name, int seconds)
{
	TCase *tcase;

	if (!is_selected(suite_name, name))
		return NULL;
	if (listing)
		printf("%s/%s\n", suite_name, name);
	remember_case(name, seconds);
	tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, harness_note_open, harness_check_open);
	tcase_set_timeout(tcase, seconds);
	suite_add_tcase(suite, tcase);
	return tcase;
}

/* Skips */

/*
 * A case runs in a child process, so skips are counted as bytes of a file
 * that all of them append to. Without the file, those of this process.
 */
static FILE *skip_file;
static unsigned skip_count;

void
harness_count_skips(void)
{
	skip_file = tmpfile();
}

unsigned
harness_skips(void)
{
	long size;

	if (skip_file == NULL)
		return skip_count;
	if (fseek(skip_file, 0, SEEK_END) != 0)
		return skip_count;
	size = ftell(skip_file);
	(void)fclose(skip_file);
	skip_file = NULL;
	return size < 0 ? skip_count : (unsigned)size;
}

static void
print_about_case(const char *what, const char *format, va_list arguments)
{
	printf("%s %s: ", what, tcase_name());
	vprintf(format, arguments);
	putchar('\n');
	(void)fflush(stdout);
}

void
harness_skip(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_about_case("SKIP", format, arguments);
	va_end(arguments);
	skip_count++;
	if (skip_file != NULL) {
		(void)fputc('s', skip_file);
		(void)fflush(skip_file);
	}
}

void
harness_note(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_about_case("note", format, arguments);
	va_end(arguments);
}

/* Time */

double
time_scale(void)
{
	const char *text = getenv("CK_TIMEOUT_MULTIPLIER");
	double scale = text == NULL ? 1 : strtod(text, NULL);

	return scale >= 1 ? scale : 1;
}

struct timespec
ms_to_timespec(int64_t ms)
{
	struct timespec t;

	t.tv_sec = (time_t)(ms / 1000);
	t.tv_nsec = (long)(ms % 1000) * 1000000;
	return t;
}

struct timespec
ns_to_timespec(int64_t ns)
{
	struct timespec t;

	t.tv_sec = (time_t)(ns / NS_PER_SEC);
	t.tv_nsec = (long)(ns % NS_PER_SEC);
	return t;
}

int64_t
library_now(void)
{
	struct timespec now;

	polling_now(&now);
	return (int64_t)now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

void
sleep_ms(int ms)
{
	sleep_ns(ms * NS_PER_MS);
}

void
settle(void)
{
	sleep_ms(5);
}

void
harness_expect_elapsed(
    const char *file, int line, int64_t start, int min_ms, int max_ms)
{
	int64_t elapsed = now_ns() - start;

	if (elapsed < (int64_t)min_ms * 1000000)
		ck_abort_msg("%s:%d: too early: %.6f ms, expected %d at least",
		    file, line, (double)elapsed / 1e6, min_ms);
	if ((double)elapsed > (double)max_ms * 1e6 * time_scale())
		ck_abort_msg("%s:%d: too late: %.6f ms, expected %d at most",
		    file, line, (double)elapsed / 1e6, max_ms);
}

struct delayed {
	struct thread thread;
	int ms;
	void (*action)(void *);
	void *argument;
};

static void *
delayed_main(void *argument)
{
	struct delayed *d = argument;

	sleep_ms(d->ms);
	d->action(d->argument);
	return NULL;
}

struct delayed *
run_after(int ms, void (*action)(void *), void *argument)
{
	struct delayed *d = malloc(sizeof(*d));

	ck_assert_ptr_nonnull(d);
	d->ms = ms;
	d->action = action;
	d->argument = argument;
	start_thread(&d->thread, delayed_main, d);
	return d;
}

void
join_delayed(struct delayed *d)
{
	join_thread(&d->thread);
	free(d);
}

/* Expectations */

const char *
event_names(uint32_t events)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} names[] = {{POLLING_IN, "IN"}, {POLLING_OUT, "OUT"},
	    {POLLING_PRI, "PRI"}, {POLLING_RDHUP, "RDHUP"},
	    {POLLING_HUP, "HUP"}, {POLLING_ERR, "ERR"},
	    {POLLING_TIMER, "TIMER"}, {POLLING_SIGNAL, "SIGNAL"},
	    {POLLING_EXIT, "EXIT"}, {POLLING_FORK, "FORK"},
	    {POLLING_EXEC, "EXEC"}};
	static char buffers[8][128];
	static unsigned next;
	char *buffer = buffers[next++ % 8];
	size_t length = 0;
	uint32_t rest = events;

	buffer[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((events & names[i].bit) == 0)
			continue;
		rest &= ~names[i].bit;
		length += (size_t)snprintf(buffer + length,
		    sizeof(buffers[0]) - length, "%s%s", length == 0 ? "" : "|",
		    names[i].name);
	}
	if (rest != 0 || events == 0)
		(void)snprintf(buffer + length, sizeof(buffers[0]) - length,
		    "%s%#lx", length == 0 ? "" : "|", (unsigned long)rest);
	return buffer;
}

void
harness_expect_ok(const char *file, int line, const char *call, int result)
{
	if (result == 0)
		return;
	ck_abort_msg("%s:%d: %s returned %d (%s), expected 0", file, line, call,
	    result, result == -1 ? error_text(errno) : "no error");
}

void
harness_expect_error(const char *file, int line, const char *call, int result,
    int code, const char *code_name)
{
	int error = errno;

	if (result == -1 && error == code)
		return;
	ck_abort_msg("%s:%d: %s returned %d (%s), expected -1 (%s)", file, line,
	    call, result, result == -1 ? error_text(error) : "no error",
	    code_name);
}

#define TEXT_SIZE 1024

static void append(char *text, const char *format, ...) HARNESS_PRINTF(2, 3);

static void
append(char *text, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text + length, TEXT_SIZE - length, format, arguments);
	va_end(arguments);
}

static void
describe_events(char *text, const struct polling_event *events, int count)
{
	text[0] = '\0';
	if (count < 0) {
		append(text, "-1 (%s)", error_text(errno));
		return;
	}
	append(text, "%d", count);
	for (int i = 0; i < count; i++)
		append(text, " {%#llx, %s, %lu}",
		    (unsigned long long)events[i].key,
		    event_names(events[i].events),
		    (unsigned long)events[i].data);
}

#define MAX_EVENTS 64

/*
 * One wait with room for MAX_EVENTS; the entry behind them must stay as it
 * was.
 */
static int
guarded_wait(const char *file, int line, struct polling *p,
    struct polling_event events[MAX_EVENTS + 1], int timeout_ms)
{
	struct polling_event guard;
	int count, error;

	if (timeout_ms > 0)
		timeout_ms = (int)(timeout_ms * time_scale());
	memset(&guard, 0xa5, sizeof(guard));
	events[MAX_EVENTS] = guard;
	errno = 0;
	count = wait_ms(p, events, MAX_EVENTS, timeout_ms);
	error = errno;
	if (count > MAX_EVENTS || events[MAX_EVENTS].key != guard.key ||
	    events[MAX_EVENTS].events != guard.events ||
	    events[MAX_EVENTS].data != guard.data)
		ck_abort_msg(
		    "%s:%d: polling_wait wrote past its capacity", file, line);
	errno = error;
	return count;
}

static bool
same_events(const struct polling_event *events, int count,
    const struct expected *expected, size_t expected_count)
{
	bool taken[MAX_EVENTS] = {false};

	if (count < 0 || (size_t)count != expected_count)
		return false;
	for (int i = 0; i < count; i++) {
		bool found = false;

		for (size_t j = 0; !found && j < expected_count; j++) {
			found = !taken[j] && events[i].data == 0 &&
				expected[j].key == events[i].key &&
				expected[j].events == events[i].events;
			if (found)
				taken[j] = true;
		}
		if (!found)
			return false;
	}
	return true;
}

void
harness_expect_events(const char *file, int line, struct polling *p,
    int timeout_ms, const struct expected *expected, size_t expected_count)
{
	struct polling_event events[MAX_EVENTS + 1];
	char text[TEXT_SIZE], wanted[TEXT_SIZE] = "";
	int count;

	ck_assert_uint_le(expected_count, MAX_EVENTS);
	count = guarded_wait(file, line, p, events, timeout_ms);
	if (same_events(events, count, expected, expected_count))
		return;
	describe_events(text, events, count);
	append(wanted, "%lu", (unsigned long)expected_count);
	for (size_t i = 0; i < expected_count; i++)
		append(wanted, " {%#llx, %s, 0}",
		    (unsigned long long)expected[i].key,
		    event_names(expected[i].events));
	ck_abort_msg("%s:%d: polling_wait returned %s, expected %s", file, line,
	    text, wanted);
}

void
harness_expect_nothing(
    const char *file, int line, struct polling *p, int timeout_ms)
{
	struct polling_event events[MAX_EVENTS + 1];
	char text[TEXT_SIZE];
	int64_t start = now_ns();
	int count = guarded_wait(file, line, p, events, timeout_ms);

	if (count != 0) {
		describe_events(text, events, count);
		ck_abort_msg("%s:%d: polling_wait returned %s, expected 0",
		    file, line, text);
	}
	harness_expect_elapsed(file, line, start, timeout_ms, LONG_MS);
}

void
expect_unknown(struct polling *p, polling_fd fd)
{
	expect_error(
	    polling_modify(p, fd, POLLING_IN, POLLING_ONESHOT, 1), ENOENT);
	expect_error(
	    polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, 1), ENOENT);
	expect_error(polling_modify(p, fd, 0, POLLING_ONESHOT, 1), ENOENT);
	expect_error(polling_delete(p, fd), ENOENT);
}

void
expect_bad(struct polling *p, polling_fd fd)
{
	expect_error(polling_add(p, fd, POLLING_IN, POLLING_ONESHOT, 1), EBADF);
	expect_error(polling_add(p, fd, POLLING_IN, POLLING_LEVEL, 1), EBADF);
	expect_error(polling_add(p, fd, 0, POLLING_LEVEL, 1), EBADF);
	expect_error(polling_delete(p, fd), ENOENT);
}

struct polling_event
harness_wait_one(const char *file, int line, struct polling *p, int timeout_ms)
{
	struct polling_event events[MAX_EVENTS + 1];
	char text[TEXT_SIZE];
	int count = guarded_wait(file, line, p, events, timeout_ms);

	if (count != 1) {
		describe_events(text, events, count);
		ck_abort_msg("%s:%d: polling_wait returned %s, expected 1",
		    file, line, text);
	}
	return events[0];
}

int
wait_ms(struct polling *p, struct polling_event *events, int capacity,
    int timeout_ms)
{
	struct timespec timeout;

	if (timeout_ms < 0)
		return polling_wait(p, events, capacity, NULL);
	timeout = ms_to_timespec(timeout_ms);
	return polling_wait(p, events, capacity, &timeout);
}

bool
mode_works(struct polling *p, enum polling_mode mode)
{
	if (mode == POLLING_EDGE || mode == POLLING_EDGE_ONESHOT)
		return polling_supports(p, POLLING_FEATURE_EDGE);
	return true;
}

int
supported_modes(void)
{
	static int modes;
	struct polling *p;

	if (modes == 0) {
		/* Outside a case, so without an assertion. */
		p = polling_create(0);
		if (p == NULL)
			abort();
		modes = mode_works(p, POLLING_EDGE) ? MODES : POLLING_EDGE;
		polling_destroy(p);
	}
	return modes;
}

const char *
mode_name(enum polling_mode mode)
{
	static const char *const names[MODES] = {
	    "ONESHOT", "LEVEL", "EDGE", "EDGE_ONESHOT"};

	return names[mode];
}

void
expect_reported(
    struct polling *p, polling_fd fd, uint32_t interest, uint32_t events)
{
	static uintptr_t key = 1000;

	key++;
	expect_ok(polling_modify(p, fd, interest, POLLING_LEVEL, key));
	if (events == 0) {
		expect_nothing(p);
		return;
	}
	expect_events(p, LONG_MS, {key, events});
	expect_events(p, 0, {key, events});
	/* The other modes say the same. */
	expect_ok(polling_modify(p, fd, interest, POLLING_ONESHOT, ++key));
	expect_events(p, LONG_MS, {key, events});
	expect_nothing(p);
	if (!mode_works(p, POLLING_EDGE))
		return;
	expect_ok(polling_modify(p, fd, interest, POLLING_EDGE, ++key));
	expect_events(p, LONG_MS, {key, events});
	expect_ok(polling_modify(p, fd, interest, POLLING_EDGE_ONESHOT, ++key));
	expect_events(p, LONG_MS, {key, events});
	expect_nothing(p);
}

struct polling *
make_poller_with(unsigned flags)
{
	struct polling *p = polling_create(flags);

	ck_assert_msg(
	    p != NULL, "polling_create(%u): %s", flags, error_text(errno));
	return p;
}

struct polling *
make_poller(void)
{
	return make_poller_with(0);
}

/* Descriptors */

void
make_tcp_pair(polling_fd pair[2])
{
	uint16_t port;
	polling_fd listener = make_listener(&port);
	int error;

	pair[0] = make_tcp_socket();
	error = connect_fd(pair[0], port);
	/* No assertion that succeeds: Check notes these, and threads that are
	 * not the main one make pairs too. */
	if (error != 0)
		ck_abort_msg("connect: %s", error_text(error));
	pair[1] = accept_fd(listener);
	close_fd(listener);
	settle();
}

void
make_udp_pair(polling_fd pair[2])
{
	uint16_t ports[2];

	pair[0] = make_udp_socket(&ports[0]);
	pair[1] = make_udp_socket(&ports[1]);
	ck_assert_int_eq(connect_fd(pair[0], ports[1]), 0);
	ck_assert_int_eq(connect_fd(pair[1], ports[0]), 0);
}

void
close_pair(polling_fd pair[2])
{
	close_fd(pair[0]);
	close_fd(pair[1]);
}

void
put_bytes(polling_fd fd, size_t count)
{
	char buffer[4096];

	memset(buffer, 'x', sizeof(buffer));
	while (count > 0) {
		size_t part = count < sizeof(buffer) ? count : sizeof(buffer);
		long n = write_fd(fd, buffer, part);

		ck_assert_msg(n > 0, "write: %s", error_text(errno));
		count -= (size_t)n;
	}
	settle();
}

void
get_bytes(polling_fd fd, size_t count)
{
	char buffer[4096];

	while (count > 0) {
		size_t part = count < sizeof(buffer) ? count : sizeof(buffer);
		long n = read_fd(fd, buffer, part);

		ck_assert_msg(n > 0, "read gave %ld: %s", n,
		    n == 0 ? "end of file" : error_text(errno));
		count -= (size_t)n;
	}
}

static size_t
fill_once(polling_fd fd)
{
	static const char buffer[16384];
	size_t total = 0, size = sizeof(buffer);

	for (;;) {
		long n = write_fd(fd, buffer, size);

		if (n >= 0) {
			total += (size_t)n;
			continue;
		}
		ck_assert_msg(would_block(), "write: %s", error_text(errno));
		if (size == 1)
			return total;
		size = 1;
	}
}

size_t
fill_until_blocked(polling_fd fd)
{
	size_t total = 0;
	int quiet = 0;

	/* A receiver may take in more for a while after the first refusal. */
	while (quiet < 3) {
		size_t n = fill_once(fd);

		total += n;
		quiet = n == 0 ? quiet + 1 : 0;
		settle();
	}
	return total;
}

size_t
drain(polling_fd fd)
{
	char buffer[16384];
	size_t total = 0;
	long n;

	while ((n = read_fd(fd, buffer, sizeof(buffer))) > 0)
		total += (size_t)n;
	ck_assert_msg(n == 0 || would_block(), "read: %s", error_text(errno));
	return total;
}

void
drain_exactly(polling_fd fd, size_t count)
{
	int64_t give_up = now_ns() + (int64_t)LONG_MS * 1000000;

	for (;;) {
		size_t n = drain(fd);

		ck_assert_msg(n <= count, "more bytes than were sent");
		count -= n;
		if (count == 0)
			return;
		ck_assert_msg(now_ns() < give_up, "bytes are missing");
		sleep_ms(1);
	}
}

void
harness_expect_eof(const char *file, int line, polling_fd fd)
{
	char byte;
	long n = read_fd(fd, &byte, 1);

	if (n != 0)
		ck_abort_msg("%s:%d: read gave %ld (%s), expected 0", file,
		    line, n, n < 0 ? error_text(errno) : "data");
}
