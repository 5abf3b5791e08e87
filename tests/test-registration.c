/* SPDX-License-Identifier: MIT */
/*
 * Registration: what create, add, modify, delete and destroy accept, refuse
 * and leave behind. The numbers are those of the conformance catalogue,
 * part A.
 */
#include "harness.h"

#include <limits.h>
#include <stdio.h>

#define ALL_INTEREST                                              \
	(POLLING_IN | POLLING_OUT | POLLING_PRI | POLLING_RDHUP | \
	    POLLING_HUP | POLLING_ERR)

#define MANY_POLLERS 10000

/* With a descriptor, the poller dies with it watched and work queued. */
static void
create_and_destroy(int times, polling_fd fd)
{
	struct polling_event event = {.key = 1, .events = 2, .data = 3};

	for (int i = 0; i < times; i++) {
		struct polling *p = make_poller();

		if (fd != NO_FD) {
			expect_ok(
			    polling_add(p, fd, POLLING_OUT, POLLING_LEVEL, 7));
			expect_ok(polling_post(p, &event));
			expect_ok(polling_notify(p));
		}
		polling_destroy(p);
	}
}

static void
expect_no_growth(polling_fd fd)
{
	int descriptors;
	size_t heap, resident, now;

	create_and_destroy(100, fd);
	descriptors = count_fds();
	heap = heap_in_use();
	resident = resident_size();
	create_and_destroy(MANY_POLLERS, fd);
	/* Fewer, where a thread of the system has ended. */
	ck_assert_int_le(count_fds(), descriptors);
	now = heap_in_use();
	ck_assert_msg(now <= heap + MANY_POLLERS / 2,
	    "the heap grew from %zu to %zu bytes", heap, now);
	if (is_instrumented())
		return;
	/* Less than half a page for each poller that came and went. */
	now = resident_size();
	ck_assert_msg(now <= resident + (size_t)MANY_POLLERS * 2048,
	    "the process grew from %zu to %zu bytes", resident, now);
}

/* 1 */
START_TEST(pollers_come_and_go_without_growth)
{
	expect_no_growth(NO_FD);
}
END_TEST

/* 1 */
START_TEST(pollers_in_use_come_and_go_without_growth)
{
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_no_growth(pair[0]);
	close_pair(pair);
}
END_TEST

/* 1 */
START_TEST(destroying_nothing_is_allowed)
{
	polling_destroy(NULL);
}
END_TEST

/* 2 */
START_TEST(unknown_flags_are_refused)
{
	for (unsigned bit = 1; bit != 0; bit <<= 1) {
		if (bit == POLLING_INTERRUPTIBLE)
			continue;
		errno = 0;
		ck_assert_ptr_null(polling_create(bit));
		ck_assert_int_eq(errno, EINVAL);
		errno = 0;
		ck_assert_ptr_null(polling_create(bit | POLLING_INTERRUPTIBLE));
		ck_assert_int_eq(errno, EINVAL);
	}
	polling_destroy(make_poller_with(0));
	polling_destroy(make_poller_with(POLLING_INTERRUPTIBLE));
}
END_TEST

/* 2 */
START_TEST(unknown_interest_bits_are_refused)
{
	struct polling *p = make_poller();
	polling_fd a[2], b[2];

	make_tcp_pair(a);
	make_tcp_pair(b);
	expect_ok(polling_add(p, a[0], POLLING_IN, POLLING_LEVEL, 1));
	for (uint32_t bit = 1; bit != 0; bit <<= 1) {
		if ((bit & ALL_INTEREST) != 0)
			continue;
		expect_error(
		    polling_add(p, b[0], bit, POLLING_LEVEL, 2), EINVAL);
		expect_error(
		    polling_add(p, b[0], bit | POLLING_IN, POLLING_ONESHOT, 2),
		    EINVAL);
		expect_error(polling_modify(p, a[0], bit | POLLING_OUT,
				 POLLING_ONESHOT, 3),
		    EINVAL);
	}
	/* What was refused is not registered; what was there is untouched. */
	expect_error(polling_delete(p, b[0]), ENOENT);
	put_bytes(a[1], 1);
	put_bytes(b[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_events(p, 0, {1, POLLING_IN});
	polling_destroy(p);
	close_pair(a);
	close_pair(b);
}
END_TEST

/* 2: the known ones, in every combination */
START_TEST(known_interest_bits_are_accepted)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	for (uint32_t set = 0; set < 64; set++) {
		uint32_t interest = 0;

		interest |= set & 1 ? POLLING_IN : 0;
		interest |= set & 2 ? POLLING_OUT : 0;
		interest |= set & 4 ? POLLING_PRI : 0;
		interest |= set & 8 ? POLLING_RDHUP : 0;
		interest |= set & 16 ? POLLING_HUP : 0;
		interest |= set & 32 ? POLLING_ERR : 0;
		expect_ok(
		    polling_add(p, pair[0], interest, POLLING_LEVEL, set));
		if ((interest & POLLING_OUT) != 0)
			expect_events(p, LONG_MS, {set, POLLING_OUT});
		else
			expect_nothing(p);
		expect_ok(
		    polling_modify(p, pair[0], interest, POLLING_ONESHOT, set));
		expect_ok(polling_delete(p, pair[0]));
	}
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 2 */
START_TEST(unknown_modes_are_refused)
{
	static const int modes[] = {4, 5, 1000, INT_MAX, -1, INT_MIN};
	struct polling *p = make_poller();
	polling_fd a[2], b[2];

	make_tcp_pair(a);
	make_tcp_pair(b);
	expect_ok(polling_add(p, a[0], POLLING_IN, POLLING_LEVEL, 1));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		enum polling_mode mode = (enum polling_mode)modes[i];

		expect_error(polling_add(p, b[0], POLLING_IN, mode, 2), EINVAL);
		expect_error(
		    polling_modify(p, a[0], POLLING_OUT, mode, 3), EINVAL);
	}
	expect_error(polling_delete(p, b[0]), ENOENT);
	put_bytes(a[1], 1);
	put_bytes(b[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_events(p, 0, {1, POLLING_IN});
	polling_destroy(p);
	close_pair(a);
	close_pair(b);
}
END_TEST

/* 2 */
START_TEST(a_capacity_below_one_is_refused)
{
	static const int capacities[] = {0, -1, -64, INT_MIN};
	static const struct timespec zero;
	struct polling *p = make_poller();
	struct polling_event event;
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	put_bytes(pair[1], 1);
	for (size_t i = 0; i < sizeof(capacities) / sizeof(capacities[0]);
	     i++) {
		int capacity = capacities[i];

		expect_error(polling_wait(p, &event, capacity, NULL), EINVAL);
		expect_error(polling_wait(p, &event, capacity, &zero), EINVAL);
		expect_error(
		    polling_wait_until(p, &event, capacity, NULL), EINVAL);
		expect_error(
		    polling_wait_until(p, &event, capacity, &zero), EINVAL);
	}
	/* The event is still there. */
	expect_events(p, LONG_MS, {1, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 2: null pointers */
START_TEST(null_pointers_are_refused)
{
	static const struct timespec zero;
	struct polling *p = make_poller();
	struct polling_event event = {0, 1, 0};
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	put_bytes(pair[1], 1);
	expect_error(polling_wait(p, NULL, 1, NULL), EFAULT);
	expect_error(polling_wait(p, NULL, 1, &zero), EFAULT);
	expect_error(polling_wait_until(p, NULL, 1, NULL), EFAULT);
	expect_error(polling_wait_until(p, NULL, 1, &zero), EFAULT);
	expect_error(polling_post(p, NULL), EFAULT);
	/* No poller. */
	expect_error(
	    polling_add(NULL, pair[1], POLLING_IN, POLLING_ONESHOT, 1), EFAULT);
	expect_error(
	    polling_modify(NULL, pair[0], POLLING_IN, POLLING_ONESHOT, 1),
	    EFAULT);
	expect_error(polling_delete(NULL, pair[0]), EFAULT);
	expect_error(polling_wait(NULL, &event, 1, &zero), EFAULT);
	expect_error(polling_wait_until(NULL, &event, 1, &zero), EFAULT);
	expect_error(polling_notify(NULL), EFAULT);
	expect_error(polling_post(NULL, &event), EFAULT);
	expect_error(polling_reinit(NULL), EFAULT);
	ck_assert_int_eq(polling_supports(NULL, POLLING_FEATURE_LEVEL), 0);
	polling_destroy(NULL);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 2 */
START_TEST(unknown_features_are_not_supported)
{
	struct polling *p = make_poller();

	ck_assert_int_eq(polling_supports(p, POLLING_FEATURE_LEVEL), 1);
	for (unsigned i = 0; i <= POLLING_FEATURE_NANOSECOND; i++) {
		int answer = polling_supports(p, i);

		ck_assert_msg(
		    answer == 0 || answer == 1, "feature %u: %d", i, answer);
	}
	for (unsigned i = POLLING_FEATURE_NANOSECOND + 1; i < 100; i++)
		ck_assert_int_eq(polling_supports(p, i), 0);
	ck_assert_int_eq(polling_supports(p, UINT_MAX), 0);
	ck_assert_int_eq(polling_supports(p, (unsigned)INT_MAX + 1), 0);
	polling_destroy(p);
}
END_TEST

START_TEST(the_library_tells_its_version_and_backend)
{
	static const char *const backends[] = {
	    "epoll", "kqueue", "port", "poll", "iocp"};
	bool known = false;
	char version[64];

	(void)snprintf(version, sizeof(version), "%d.%d.%d",
	    POLLING_VERSION_MAJOR, POLLING_VERSION_MINOR,
	    POLLING_VERSION_PATCH);
	ck_assert_str_eq(polling_version(), version);
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		known |= strcmp(polling_backend(), backends[i]) == 0;
	ck_assert_msg(known, "unknown backend: %s", polling_backend());
}
END_TEST

/* 3 */
START_TEST(a_second_add_leaves_a_level_source_alone)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_error(
	    polling_add(p, pair[0], POLLING_OUT, POLLING_ONESHOT, 2), EEXIST);
	expect_error(
	    polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1), EEXIST);
	expect_error(polling_add(p, pair[0], 0, POLLING_ONESHOT, 3), EEXIST);
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_events(p, 0, {1, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 3 */
START_TEST(a_second_add_leaves_a_oneshot_source_alone)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	put_bytes(pair[1], 1);
	expect_error(
	    polling_add(p, pair[0], POLLING_OUT, POLLING_LEVEL, 2), EEXIST);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_nothing(p);
	/* Nor does it arm the one that has fired. */
	expect_error(
	    polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 3), EEXIST);
	expect_error(
	    polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 3), EEXIST);
	expect_nothing(p);
	expect_ok(polling_delete(p, pair[0]));
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 3 */
START_TEST(a_second_add_leaves_a_disarmed_source_alone)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], 0, POLLING_LEVEL, 1));
	expect_error(
	    polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 2), EEXIST);
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 4 */
START_TEST(what_is_not_registered_cannot_be_changed)
{
	struct polling *p = make_poller(), *other = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_unknown(p, pair[0]);
	expect_ok(polling_add(other, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_unknown(p, pair[0]);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_unknown(p, pair[1]);
	expect_ok(polling_delete(p, pair[0]));
	expect_unknown(p, pair[0]);
	put_bytes(pair[1], 1);
	expect_nothing(p);
	expect_events(other, LONG_MS, {1, POLLING_IN});
	polling_destroy(p);
	polling_destroy(other);
	close_pair(pair);
}
END_TEST

/* 4 */
START_TEST(numbers_that_are_no_descriptors_cannot_be_changed)
{
	struct polling *p = make_poller();

	expect_unknown(p, closed_number());
	expect_unknown(p, NO_FD);
	expect_unknown(p, (polling_fd)-2);
	expect_unknown(p, (polling_fd)INT_MAX);
	expect_unknown(p, (polling_fd)INT_MIN);
	expect_unknown(p, (polling_fd)1000000);
	polling_destroy(p);
}
END_TEST

/* 5 */
START_TEST(a_fired_oneshot_can_be_deleted_once)
{
	struct polling *p = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 1));
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_ok(polling_delete(p, pair[0]));
	expect_error(polling_delete(p, pair[0]), ENOENT);
	expect_nothing(p);
	/* It can come back. */
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_ONESHOT, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 5: armed, disarmed and edge sources as well */
START_TEST(every_source_can_be_deleted_once)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	put_bytes(pair[1], 1);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	expect_ok(polling_delete(p, pair[0]));
	expect_error(polling_delete(p, pair[0]), ENOENT);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_ok(polling_delete(p, pair[0]));
	expect_error(polling_delete(p, pair[0]), ENOENT);
	expect_ok(polling_add(p, pair[0], 0, mode, 1));
	expect_ok(polling_delete(p, pair[0]));
	expect_error(polling_delete(p, pair[0]), ENOENT);
	expect_nothing(p);
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 6 */
START_TEST(numbers_that_are_no_descriptors_cannot_be_added)
{
	struct polling *p = make_poller();

	expect_bad(p, NO_FD);
	expect_bad(p, (polling_fd)-2);
	expect_bad(p, (polling_fd)INT_MAX);
	expect_bad(p, (polling_fd)INT_MIN);
	expect_bad(p, (polling_fd)1000000);
	expect_bad(p, closed_number());
	expect_nothing(p);
	polling_destroy(p);
}
END_TEST

/* 6 */
START_TEST(a_refused_number_can_be_added_once_it_is_open)
{
	struct polling *p = make_poller();
	polling_fd pair[2], number;

	make_channel(pair);
	number = duplicate_fd(pair[0]);
	close_fd(number);
	expect_bad(p, number);
	if (!duplicate_at(pair[0], number)) {
		polling_destroy(p);
		close_pair(pair);
		SKIP("this system does not give a number again");
	}
	expect_ok(polling_add(p, number, POLLING_IN, POLLING_LEVEL, 2));
	expect_nothing(p);
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_delete(p, number));
	polling_destroy(p);
	close_fd(number);
	close_pair(pair);
}
END_TEST

/* 8 */
START_TEST(a_refused_mode_leaves_the_source_alone)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd a[2], b[2];

	make_tcp_pair(a);
	make_tcp_pair(b);
	expect_error(polling_add(p, a[0], POLLING_IN, mode, 1), ENOTSUP);
	expect_unknown(p, a[0]);
	expect_ok(polling_add(p, a[0], POLLING_IN, POLLING_LEVEL, 2));
	expect_ok(polling_add(p, b[0], POLLING_IN, POLLING_ONESHOT, 3));
	expect_error(polling_modify(p, a[0], POLLING_OUT, mode, 4), ENOTSUP);
	expect_error(polling_modify(p, b[0], POLLING_OUT, mode, 5), ENOTSUP);
	expect_nothing(p);
	put_bytes(a[1], 1);
	put_bytes(b[1], 1);
	expect_events(p, LONG_MS, {2, POLLING_IN}, {3, POLLING_IN});
	expect_events(p, 0, {2, POLLING_IN});
	/* Nor does it arm what has fired. */
	expect_error(polling_modify(p, b[0], POLLING_IN, mode, 6), ENOTSUP);
	expect_events(p, 0, {2, POLLING_IN});
	polling_destroy(p);
	close_pair(a);
	close_pair(b);
}
END_TEST

/* 9 */
START_TEST(a_new_key_is_the_only_one_reported)
{
	enum polling_mode mode = (enum polling_mode)_i;
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, mode, 1));
	put_bytes(pair[1], 1);
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 2));
	expect_events(p, LONG_MS, {2, POLLING_IN});
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 3));
	expect_ok(polling_modify(p, pair[0], POLLING_IN, mode, 4));
	expect_events(p, LONG_MS, {4, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 10 */
START_TEST(one_key_may_be_on_two_sources)
{
	struct polling *p = make_poller();
	polling_fd a[2], b[2];

	make_tcp_pair(a);
	make_tcp_pair(b);
	expect_ok(polling_add(p, a[0], POLLING_IN, POLLING_LEVEL, 5));
	expect_ok(polling_add(p, b[0], POLLING_IN, POLLING_LEVEL, 5));
	put_bytes(a[1], 1);
	expect_events(p, LONG_MS, {5, POLLING_IN});
	put_bytes(b[1], 1);
	expect_events(p, LONG_MS, {5, POLLING_IN}, {5, POLLING_IN});
	expect_ok(polling_delete(p, a[0]));
	expect_events(p, LONG_MS, {5, POLLING_IN});
	polling_destroy(p);
	close_pair(a);
	close_pair(b);
}
END_TEST

/* 11 */
START_TEST(every_key_comes_back_as_given)
{
	static const uintptr_t keys[] = {
		0,
		1,
		(uintptr_t)INT_MAX,
		(uintptr_t)1 << 31,
		UINT32_MAX,
		UINTPTR_MAX - 1,
		UINTPTR_MAX,
		UINTPTR_MAX / 2,
		UINTPTR_MAX / 2 + 1,
#if UINTPTR_MAX > UINT32_MAX
		(uintptr_t)1 << 32,
		((uintptr_t)1 << 32) + 1,
		(uintptr_t)1 << 48,
		(uintptr_t)0x0123456789abcdef
#endif
	};
	struct polling *p = make_poller();
	polling_fd pair[2];

	make_tcp_pair(pair);
	put_bytes(pair[1], 1);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		expect_ok(polling_add(
		    p, pair[0], POLLING_IN, POLLING_ONESHOT, keys[i]));
		expect_events(p, LONG_MS, {keys[i], POLLING_IN});
		expect_ok(polling_delete(p, pair[0]));
		expect_ok(
		    polling_add(p, pair[0], POLLING_OUT, POLLING_ONESHOT, 77));
		expect_ok(polling_modify(
		    p, pair[0], POLLING_IN, POLLING_LEVEL, keys[i]));
		expect_events(p, LONG_MS, {keys[i], POLLING_IN});
		expect_events(p, 0, {keys[i], POLLING_IN});
		expect_ok(polling_delete(p, pair[0]));
	}
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 12 */
START_TEST(two_pollers_may_watch_one_source)
{
	struct polling *p = make_poller(), *q = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(q, pair[0], POLLING_IN, POLLING_LEVEL, 2));
	put_bytes(pair[1], 1);
	expect_events(p, LONG_MS, {1, POLLING_IN});
	expect_events(q, LONG_MS, {2, POLLING_IN});
	expect_events(p, 0, {1, POLLING_IN});
	/* A oneshot in one does not disarm the other. */
	expect_ok(polling_modify(q, pair[0], POLLING_IN, POLLING_ONESHOT, 3));
	expect_events(q, LONG_MS, {3, POLLING_IN});
	expect_nothing(q);
	expect_events(p, 0, {1, POLLING_IN});
	polling_destroy(p);
	polling_destroy(q);
	close_pair(pair);
}
END_TEST

/* 13 */
START_TEST(deleting_in_one_poller_leaves_the_other)
{
	struct polling *p = make_poller(), *q = make_poller();
	polling_fd pair[2];

	pair_kinds[_i].make(pair);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(q, pair[0], POLLING_IN, POLLING_LEVEL, 2));
	expect_ok(polling_delete(p, pair[0]));
	put_bytes(pair[1], 1);
	expect_events(q, LONG_MS, {2, POLLING_IN});
	expect_nothing(p);
	expect_ok(polling_add(p, pair[0], POLLING_IN, POLLING_LEVEL, 3));
	polling_destroy(q);
	expect_events(p, LONG_MS, {3, POLLING_IN});
	polling_destroy(p);
	close_pair(pair);
}
END_TEST

/* 14 */
START_TEST(sources_outlive_their_poller)
{
	struct polling *p = make_poller();
	polling_fd pairs[MODES][2];

	for (int i = 0; i < MODES; i++) {
		enum polling_mode mode = (enum polling_mode)i;

		pair_kinds[_i].make(pairs[i]);
		if (!mode_works(p, mode))
			mode = POLLING_LEVEL;
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, mode, (uintptr_t)i));
	}
	put_bytes(pairs[0][1], 1);
	polling_destroy(p);
	p = make_poller();
	for (int i = 0; i < MODES; i++) {
		uintptr_t key = (uintptr_t)i + 10;

		if (i > 0)
			put_bytes(pairs[i][1], 1);
		expect_ok(polling_add(
		    p, pairs[i][0], POLLING_IN, POLLING_ONESHOT, key));
		expect_events(p, LONG_MS, {key, POLLING_IN});
		get_bytes(pairs[i][0], 1);
		close_pair(pairs[i]);
	}
	polling_destroy(p);
}
END_TEST

/* 15 */
START_TEST(sources_may_be_closed_before_their_poller)
{
	struct polling *p = make_poller();
	polling_fd a[2], b[2];

	pair_kinds[_i].make(a);
	pair_kinds[_i].make(b);
	expect_ok(polling_add(p, a[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(p, a[1], POLLING_OUT, POLLING_ONESHOT, 2));
	expect_ok(polling_add(p, b[0], POLLING_IN, POLLING_ONESHOT, 3));
	put_bytes(b[1], 1);
	close_pair(a);
	close_pair(b);
	polling_destroy(p);
}
END_TEST

/* 15: and destroying does not touch what has the numbers by then */
START_TEST(destroying_leaves_reused_numbers_alone)
{
	struct polling *p = make_poller(), *q = make_poller();
	polling_fd old[2], new[2];

	make_channel(old);
	make_channel(new);
	expect_ok(polling_add(p, old[0], POLLING_IN, POLLING_LEVEL, 1));
	expect_ok(polling_add(p, old[1], POLLING_OUT, POLLING_LEVEL, 2));
	close_pair(old);
	if (!duplicate_at(new[0], old[0])) {
		polling_destroy(p);
		polling_destroy(q);
		close_pair(new);
		SKIP("this system does not give a number again");
	}
	close_fd(new[0]);
	new[0] = old[0];
	expect_ok(polling_add(q, new[0], POLLING_IN, POLLING_LEVEL, 3));
	polling_destroy(p);
	put_bytes(new[1], 1);
	expect_events(q, LONG_MS, {3, POLLING_IN});
	get_bytes(new[0], 1);
	polling_destroy(q);
	close_pair(new);
}
END_TEST

static void
add_errors(Suite *s)
{
	CASE(s, unknown_flags_are_refused);
	CASE(s, unknown_interest_bits_are_refused);
	CASE(s, known_interest_bits_are_accepted);
	CASE(s, unknown_modes_are_refused);
	CASE(s, a_capacity_below_one_is_refused);
	CASE(s, null_pointers_are_refused);
	CASE(s, unknown_features_are_not_supported);
	CASE(s, the_library_tells_its_version_and_backend);
	CASE(s, a_second_add_leaves_a_level_source_alone);
	CASE(s, a_second_add_leaves_a_oneshot_source_alone);
	CASE(s, a_second_add_leaves_a_disarmed_source_alone);
	CASE(s, what_is_not_registered_cannot_be_changed);
	CASE(s, numbers_that_are_no_descriptors_cannot_be_changed);
}

void
add_registration(Suite *s)
{
	CASE_LIMIT(s, pollers_come_and_go_without_growth, 300);
	CASE_LIMIT(s, pollers_in_use_come_and_go_without_growth, 300);
	CASE(s, destroying_nothing_is_allowed);
	add_errors(s);
	CASE_PAIRS(s, a_fired_oneshot_can_be_deleted_once);
	CASE_MODES(s, every_source_can_be_deleted_once);
	CASE(s, numbers_that_are_no_descriptors_cannot_be_added);
	CASE(s, a_refused_number_can_be_added_once_it_is_open);
	CASE_LOOP(s, a_refused_mode_leaves_the_source_alone, CASE_SECONDS,
	    supported_modes(), MODES);
	CASE_MODES(s, a_new_key_is_the_only_one_reported);
	CASE(s, one_key_may_be_on_two_sources);
	CASE(s, every_key_comes_back_as_given);
	CASE_PAIRS(s, two_pollers_may_watch_one_source);
	CASE_PAIRS(s, deleting_in_one_poller_leaves_the_other);
	CASE_PAIRS(s, sources_outlive_their_poller);
	CASE_PAIRS(s, sources_may_be_closed_before_their_poller);
	CASE(s, destroying_leaves_reused_numbers_alone);
}
