/* SPDX-License-Identifier: MIT */
/*
 * Systems that run out of descriptors or memory: a call fails cleanly, or
 * needs neither. Parts of the suites of registrations and lifetimes. The
 * numbers are those of the conformance catalogue, parts A and G.
 *
 * The one hard idea: this file replaces malloc() and its like, for the
 * library too, so that each allocation can be made to fail in turn.
 */
#include "harness.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "child.h"

/* Without descriptors */

static struct rlimit full_limit;

/* Leaves this many numbers to be opened. */
static void
leave_descriptors(int count)
{
	struct rlimit limit;
	int fd = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &full_limit), 0);
	for (;; fd++) {
		if (fcntl(fd, F_GETFD) == -1 && count-- == 0)
			break;
	}
	limit = full_limit;
	limit.rlim_cur = (rlim_t)fd;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void
restore_descriptors(void)
{
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full_limit), 0);
}

/* More than any call opens. */
#define STEPS_MAX 32

/* 78 */
START_TEST(creating_without_descriptors_fails_cleanly)
{
	int before = count_fds();
	struct polling *p = NULL;
	int left;

	for (left = 0; p == NULL && left < STEPS_MAX; left++) {
		leave_descriptors(left);
		errno = 0;
		p = polling_create(0);
		ck_assert(p != NULL || errno == EMFILE);
		restore_descriptors();
		if (p == NULL)
			ck_assert_int_eq(count_fds(), before);
	}
	ck_assert_ptr_nonnull(p);
	expect_nothing(p);
	polling_destroy(p);
	ck_assert_int_eq(count_fds(), before);
}
END_TEST

/* 78 */
START_TEST(nesting_without_descriptors_fails_cleanly)
{
	struct polling *probe = make_poller();
	struct world w;
	int fd = -1, failures = 0, before;

	SKIP_UNLESS(probe, POLLING_FEATURE_FD, "no polling_get_fd()");
	polling_destroy(probe);
	make_world(&w);
	before = count_fds();
	for (int left = 0; fd == -1 && left < STEPS_MAX; left++) {
		leave_descriptors(left);
		errno = 0;
		fd = polling_get_fd(w.p);
		ck_assert(fd != -1 || errno == EMFILE);
		restore_descriptors();
		failures += fd == -1;
		if (fd == -1)
			ck_assert_int_eq(count_fds(), before);
	}
	ck_assert_int_ge(fd, 0);
	harness_note("%d failures", failures);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

/* 78: everything else needs no descriptor, or says so and can be repeated */
START_TEST(a_poller_works_without_descriptors)
{
	struct polling *p = make_poller();
	struct polling_event event = {1, 2, 3};
	struct others others;
	polling_fd pair[2];
	int result, error;

	add_others(p, &others);
	make_socketpair(pair);
	leave_descriptors(0);
	errno = 0;
	result = polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1);
	error = errno;
	expect_others(p, &others);
	expect_ok(polling_post(p, &event));
	ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
	expect_ok(polling_notify(p));
	ck_assert_int_eq(wait_ms(p, &event, 1, -1), 0);
	expect_ok(polling_delete(p, others.disarmed[0]));
	restore_descriptors();
	if (result != 0) {
		ck_assert_int_eq(error, EMFILE);
		expect_error(polling_delete(p, pair[0]), ENOENT);
		expect_ok(
		    polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	}
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	close_pair(pair);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

/* 78: what a closed source needs to be silenced may have to wait */
START_TEST(a_closed_source_without_descriptors_does_no_harm)
{
	struct polling *p = make_poller();
	struct others others;
	polling_fd pair[2], copy;

	add_others(p, &others);
	leave_orphan(p, pair, &copy);
	leave_descriptors(0);
	for (int i = 0; i < 100; i++)
		expect_nothing(p);
	expect_nothing_for(p, 20);
	expect_others(p, &others);
	restore_descriptors();
	expect_silence(p);
	expect_others(p, &others);
	close_fd(copy);
	close_fd(pair[1]);
	close_others(&others);
	polling_destroy(p);
}
END_TEST

static void
rebuild_without_descriptors(struct trouble *t, void *argument)
{
	struct world *w = argument;
	int result = -1, before = count_fds();

	for (int left = 0; result == -1 && left < STEPS_MAX; left++) {
		leave_descriptors(left);
		errno = 0;
		result = polling_reinit(w->p);
		check_that(t, result == 0 || errno == EMFILE);
		restore_descriptors();
		if (result == 0)
			break;
		check_that(t, count_fds() == before);
		check_inherited(t, w);
	}
	check_that(t, result == 0);
	check_world(t, w);
	polling_destroy(w->p);
}

/* 78 */
START_TEST(rebuilding_without_descriptors_fails_cleanly)
{
	struct world w;

	make_world(&w);
	run_child(rebuild_without_descriptors, &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

/* Without memory */

#if SANITIZED
#define NO_FAILING_MALLOC "a sanitizer owns malloc()"
#elif !defined(__GLIBC__)
#define NO_FAILING_MALLOC "no way to replace malloc() in this C library"
#endif

#ifndef NO_FAILING_MALLOC

/* The C library's own, under the names that it keeps for such as us. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

/* Allocations that succeed before all others fail; below 0 for no limit. */
static atomic_int allocations_left = -1;
static atomic_int allocations; /* that were asked for */
static atomic_int balance;     /* allocated and not freed */

static bool
may_allocate(void)
{
	int left = atomic_load(&allocations_left);

	atomic_fetch_add(&allocations, 1);
	if (left > 0)
		atomic_fetch_sub(&allocations_left, 1);
	if (left == 0)
		errno = ENOMEM;
	return left != 0;
}

static void *
allocated(void *memory)
{
	if (memory != NULL)
		atomic_fetch_add(&balance, 1);
	return memory;
}

void *
malloc(size_t size)
{
	return may_allocate() ? allocated(__libc_malloc(size)) : NULL;
}

void *
calloc(size_t count, size_t size)
{
	return may_allocate() ? allocated(__libc_calloc(count, size)) : NULL;
}

void *
realloc(void *memory, size_t size)
{
	if (!may_allocate())
		return NULL;
	if (memory == NULL)
		return allocated(__libc_realloc(memory, size));
	return __libc_realloc(memory, size);
}

void
free(void *memory)
{
	if (memory != NULL)
		atomic_fetch_sub(&balance, 1);
	__libc_free(memory);
}

static void
leave_allocations(int count)
{
	atomic_store(&allocations_left, count);
}

static void
restore_allocations(void)
{
	atomic_store(&allocations_left, -1);
}

/* NULL if allocations of the library fail on demand, else why they do not. */
static const char *
why_malloc_cannot_fail(void)
{
	void *(*volatile allocate)(size_t) = malloc;
	struct polling *p;
	void *memory;

	leave_allocations(0);
	memory = allocate(16);
	restore_allocations();
	free(memory);
	if (memory != NULL)
		return "malloc() is not replaced: a tool owns it";
	allocations = 0;
	p = polling_create(0);
	polling_destroy(p);
	return allocations == 0 ? "the library's malloc() is not replaced"
				: NULL;
}

#define SKIP_UNLESS_MALLOC_FAILS()                           \
	do {                                                 \
		const char *why_ = why_malloc_cannot_fail(); \
		if (why_ != NULL)                            \
			SKIP("%s", why_);                    \
	} while (0)

/* No call makes more; a bound for loops. */
#define ALLOCATIONS_MAX 1000

/* 78 */
START_TEST(creating_without_memory_fails_cleanly)
{
	struct polling *p = NULL;
	int fds = count_fds(), before = balance, left;

	SKIP_UNLESS_MALLOC_FAILS();
	for (left = 0; p == NULL && left < ALLOCATIONS_MAX; left++) {
		leave_allocations(left);
		errno = 0;
		p = polling_create(0);
		restore_allocations();
		if (p != NULL)
			break;
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_int_eq(count_fds(), fds);
		ck_assert_int_eq(balance, before);
	}
	ck_assert_ptr_nonnull(p);
	ck_assert_int_ge(left, 1);
	expect_nothing(p);
	polling_destroy(p);
	ck_assert_int_eq(balance, before);
}
END_TEST

/* Adds fd, with each allocation failing in turn. Returns how many did. */
static int
add_with_failures(struct polling *p, polling_fd fd, uintptr_t key)
{
	for (int left = 0; left < ALLOCATIONS_MAX; left++) {
		int result, error;

		leave_allocations(left);
		errno = 0;
		result = polling_add(p, fd, POLLING_IN, POLLING_ONESHOT, key);
		error = errno;
		restore_allocations();
		if (result == 0)
			return left;
		ck_assert_int_eq(error, ENOMEM);
		expect_error(
		    polling_modify(p, fd, POLLING_IN, POLLING_LEVEL, key),
		    ENOENT);
		expect_nothing(p);
	}
	ck_abort_msg("polling_add never succeeded");
	return -1;
}

#define NEEDY 200

/* 78 */
START_TEST(adding_without_memory_fails_cleanly)
{
	struct polling *p;
	polling_fd pairs[NEEDY][2];
	int before = balance, failures = 0, fds;

	SKIP_UNLESS_MALLOC_FAILS();
	if (raise_fd_limit(2 * NEEDY + 100) != 0)
		SKIP("the limit on descriptors is too low");
	p = make_poller();
	for (int i = 0; i < NEEDY; i++)
		make_socketpair(pairs[i]);
	fds = count_fds();
	for (uintptr_t i = 0; i < NEEDY; i++)
		failures += add_with_failures(p, pairs[i][0], i);
	ck_assert_int_ge(failures, 1);
	ck_assert_int_eq(count_fds(), fds);
	for (uintptr_t i = 0; i < NEEDY; i++) {
		put_bytes(pairs[i][1], 1);
		expect_events(p, LONG_MS, {i, POLLING_IN});
		close_pair(pairs[i]);
	}
	polling_destroy(p);
	ck_assert_int_eq(balance, before);
}
END_TEST

/* 78 */
START_TEST(posting_without_memory_fails_cleanly)
{
	struct polling *p;
	struct polling_event event = {0, 0, 0};
	int before = balance, failures = 0;

	SKIP_UNLESS_MALLOC_FAILS();
	p = make_poller();
	for (uint32_t i = 0; i < 5000;) {
		int result, error;

		/* Every other time there is memory. */
		event.data = i;
		leave_allocations(failures % 2 == 0 ? 0 : -1);
		result = polling_post(p, &event);
		error = errno;
		restore_allocations();
		if (result == 0) {
			failures += failures % 2;
			i++;
			continue;
		}
		ck_assert_int_eq(error, ENOMEM);
		failures++;
	}
	ck_assert_int_ge(failures, 1);
	for (uint32_t i = 0; i < 5000; i++) {
		ck_assert_int_eq(wait_ms(p, &event, 1, 0), 1);
		ck_assert_uint_eq(event.data, i);
	}
	expect_nothing_for(p, 20);
	polling_destroy(p);
	ck_assert_int_eq(balance, before);
}
END_TEST

/* 78: what is not said to need memory does not */
START_TEST(a_poller_works_without_memory)
{
	struct world w;
	struct polling_event event = {1, 2, 3};
	struct trouble trouble = {0};
	int notified, waited;

	SKIP_UNLESS_MALLOC_FAILS();
	make_world(&w);
	leave_allocations(0);
	check_world(&trouble, &w);
	notified = polling_notify(w.p);
	waited = wait_ms(w.p, &event, 1, -1);
	restore_allocations();
	expect_no_trouble(&trouble);
	ck_assert_int_eq(notified, 0);
	ck_assert_int_eq(waited, 0);
	destroy_world(&w);
}
END_TEST

/* 39, 78: _i is the mode; what a backend may want memory for is tried again */
START_TEST(a_reader_that_left_is_told_without_memory)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling_event event = {0, 0, 0};
	struct polling *p;
	polling_fd pair[2];
	int count;

	SKIP_UNLESS_MALLOC_FAILS();
	p = make_poller();
	make_pipe(pair);
	expect_ok(polling_add(p, pair[1], POLLING_OUT, mode, 1));
	close_fd(pair[0]);
	leave_allocations(0);
	count = wait_ms(p, &event, 1, LONG_MS);
	restore_allocations();
	ck_assert_int_eq(count, 1);
	ck_assert_uint_eq(event.events, POLLING_OUT | POLLING_ERR);
	if (mode == POLLING_LEVEL)
		expect_events(p, LONG_MS, {1, POLLING_OUT | POLLING_ERR});
	else
		expect_nothing(p);
	expect_ok(polling_modify(p, pair[1], POLLING_OUT, mode, 2));
	expect_events(p, LONG_MS, {2, POLLING_OUT | POLLING_ERR});
	polling_destroy(p);
	close_fd(pair[1]);
}
END_TEST

/* 78 */
START_TEST(nesting_without_memory_fails_cleanly)
{
	struct polling *probe = make_poller();
	struct world w;
	int fd = -1;

	SKIP_UNLESS(probe, POLLING_FEATURE_FD, "no polling_get_fd()");
	polling_destroy(probe);
	SKIP_UNLESS_MALLOC_FAILS();
	make_world(&w);
	for (int left = 0; fd == -1 && left < ALLOCATIONS_MAX; left++) {
		leave_allocations(left);
		fd = polling_get_fd(w.p);
		restore_allocations();
		ck_assert(fd != -1 || errno == ENOMEM);
	}
	ck_assert_int_ge(fd, 0);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

static void
rebuild_without_memory(struct trouble *t, void *argument)
{
	struct world *w = argument;
	int result = -1, before = count_fds(), error;

	for (int left = 0; result == -1 && left < ALLOCATIONS_MAX; left++) {
		leave_allocations(left);
		errno = 0;
		result = polling_reinit(w->p);
		error = errno;
		restore_allocations();
		if (result == 0)
			break;
		check_that(t, error == ENOMEM);
		check_that(t, count_fds() == before);
		check_inherited(t, w);
	}
	check_that(t, result == 0);
	check_world(t, w);
	polling_destroy(w->p);
}

/* 78 */
START_TEST(rebuilding_without_memory_fails_cleanly)
{
	struct world w;

	SKIP_UNLESS_MALLOC_FAILS();
	make_world(&w);
	run_child(rebuild_without_memory, &w);
	expect_world(&w);
	destroy_world(&w);
}
END_TEST

static void
add_memory(Suite *s)
{
	CASE(s, creating_without_memory_fails_cleanly);
	CASE(s, adding_without_memory_fails_cleanly);
	CASE(s, posting_without_memory_fails_cleanly);
	CASE(s, a_poller_works_without_memory);
	CASE_MODES(s, a_reader_that_left_is_told_without_memory);
	CASE(s, nesting_without_memory_fails_cleanly);
	CASE(s, rebuilding_without_memory_fails_cleanly);
}

#else

START_TEST(a_poller_works_without_memory)
{
	SKIP("%s", NO_FAILING_MALLOC);
}
END_TEST

static void
add_memory(Suite *s)
{
	CASE(s, a_poller_works_without_memory);
}

#endif

/* Both, met by add and create */

/* Adds duplicates of fd until memory runs out; returns how many fitted. */
static int
add_until_out_of_memory(struct polling *p, const polling_fd *copies, int count)
{
	for (int i = 0; i < count; i++) {
		errno = 0;
		if (polling_add(p, copies[i], POLLING_IN, POLLING_LEVEL,
			(uintptr_t)i) == 0)
			continue;
		return errno == ENOMEM ? i : -errno;
	}
	return count;
}

/* Takes the heap's free pieces, so that the next growth asks the system. */
static void *
use_up_heap(void)
{
	void *list = NULL;

	for (size_t size = 1 << 20; size >= 32; size /= 2) {
		void **piece;

		while ((piece = malloc(size)) != NULL) {
			*piece = list;
			list = piece;
		}
	}
	return list;
}

static void
free_list(void *list)
{
	while (list != NULL) {
		void *next = *(void **)list;

		free(list);
		list = next;
	}
}

#define COPIES 4000

/* Every registration works, and none came from a failed call. */
static void
expect_registered(struct polling *p, const polling_fd *copies, int count)
{
	for (int i = 0; i < count; i++)
		expect_error(
		    polling_add(p, copies[i], 0, POLLING_ONESHOT, 0), EEXIST);
	for (int i = count; i < COPIES; i++)
		expect_error(polling_delete(p, copies[i]), ENOENT);
	for (int i = 0; i < count - 1; i++)
		expect_ok(polling_delete(p, copies[i]));
	if (count > 0)
		expect_events(p, LONG_MS, {(uintptr_t)count - 1, POLLING_IN});
}

#ifdef RLIMIT_AS
static void
restore_memory(const struct rlimit *before)
{
	ck_assert_int_eq(setrlimit(RLIMIT_AS, before), 0);
}

/*
 * Holds the address space to what it is now. False if its size cannot be told,
 * or if the limit is taken and has no effect: macOS, and programs of other
 * processors under qemu.
 */
static bool
limit_memory(struct rlimit *before)
{
	size_t size = address_space_size();
	struct rlimit limit;
	void *volatile block;

	if (size == 0)
		return false;
	ck_assert_int_eq(getrlimit(RLIMIT_AS, before), 0);
	limit = *before;
	limit.rlim_cur = (rlim_t)size;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
	block = malloc(64 << 20);
	free(block);
	if (block != NULL)
		restore_memory(before);
	return block == NULL;
}
#else
/* OpenBSD has no such limit. */
static void
restore_memory(const struct rlimit *before)
{
	(void)before;
}

static bool
limit_memory(struct rlimit *before)
{
	(void)before;
	return false;
}
#endif

/* 7 */
START_TEST(an_add_without_memory_leaves_nothing)
{
	static polling_fd copies[COPIES];
	struct rlimit before;
	struct polling *p;
	polling_fd pair[2];
	void *list;
	int fitted;

	if (is_instrumented() || !limit_memory(&before))
		SKIP("address space cannot be limited here");
	restore_memory(&before);
	if (raise_fd_limit(COPIES + 100) != 0)
		SKIP("the limit on descriptors is below %d", COPIES + 100);
	make_pipe(pair);
	put_bytes(pair[1], 1);
	for (int i = 0; i < COPIES; i++)
		copies[i] = duplicate_fd(pair[0]);
	p = make_poller();
	ck_assert(limit_memory(&before));
	list = use_up_heap();
	fitted = add_until_out_of_memory(p, copies, COPIES);
	free_list(list);
	restore_memory(&before);
	ck_assert_msg(fitted >= 0, "add failed with %s", strerror(-fitted));
	ck_assert_msg(fitted < COPIES, "memory never ran out");
	expect_registered(p, copies, fitted);
	expect_ok(polling_add(
	    p, copies[fitted], POLLING_IN, POLLING_ONESHOT, COPIES));
	polling_destroy(p);
	for (int i = 0; i < COPIES; i++)
		close_fd(copies[i]);
	close_pair(pair);
}
END_TEST

/* 7, and the same for create: no descriptor left to be had */
START_TEST(a_create_without_descriptors_leaves_nothing)
{
	struct polling *p = NULL;
	struct rlimit before, limit;
	int open_before = count_fds();
	int failures = 0;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	/* The lowest free number is the first limit to be met. */
	limit.rlim_cur = (rlim_t)closed_number();
	while (p == NULL && failures < 16) {
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
		errno = 0;
		p = polling_create(0);
		if (p == NULL) {
			ck_assert_int_eq(errno, EMFILE);
			failures++;
			limit.rlim_cur++;
		}
	}
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	ck_assert_msg(p != NULL, "create never succeeded");
	polling_destroy(p);
	ck_assert_int_eq(count_fds(), open_before);
	if (polling_supports((p = make_poller()), POLLING_FEATURE_FD))
		ck_assert_int_gt(failures, 0);
	polling_destroy(p);
}
END_TEST

void
add_registration_limits(Suite *s)
{
	CASE(s, an_add_without_memory_leaves_nothing);
	CASE(s, a_create_without_descriptors_leaves_nothing);
}

void
add_lifetime_limits(Suite *s)
{
	CASE(s, creating_without_descriptors_fails_cleanly);
	CASE(s, nesting_without_descriptors_fails_cleanly);
	CASE(s, a_poller_works_without_descriptors);
	CASE(s, a_closed_source_without_descriptors_does_no_harm);
	CASE(s, rebuilding_without_descriptors_fails_cleanly);
	add_memory(s);
}
