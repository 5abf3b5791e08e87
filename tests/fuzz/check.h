/* SPDX-License-Identifier: MIT */
/*
 * check.h - in place of Check's own header, where the model is driven by a
 * fuzzer: what fails prints why and aborts, which is what fuzzers look for, and
 * nothing is linked that the compiler has not instrumented. There are no
 * suites.
 */
#ifndef TESTS_FUZZ_CHECK_H
#define TESTS_FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define WITHOUT_SUITES 1

#define ck_abort_msg(...)                                             \
	do {                                                          \
		(void)fflush(stdout);                                 \
		(void)fprintf(stderr, "%s:%d: ", __FILE__, __LINE__); \
		(void)fprintf(stderr, __VA_ARGS__);                   \
		(void)fputc('\n', stderr);                            \
		abort();                                              \
	} while (0)
#define ck_assert_msg(condition, ...)              \
	do {                                       \
		if (!(condition))                  \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)
#define ck_assert(condition)     ck_assert_msg(condition, "not %s", #condition)
#define ck_assert_int_eq(a, b)   ck_assert((a) == (b))
#define ck_assert_int_ne(a, b)   ck_assert((a) != (b))
#define ck_assert_int_lt(a, b)   ck_assert((a) < (b))
#define ck_assert_uint_le(a, b)  ck_assert((a) <= (b))
#define ck_assert_ptr_nonnull(a) ck_assert((a) != NULL)

typedef struct Suite Suite;
typedef struct TCase TCase;

#define START_TEST(name)         \
	static void name(int _i) \
	{                        \
		(void)_i;
#define END_TEST }

#define suite_create(name)                           ((void)(name), (Suite *)NULL)
#define suite_add_tcase(suite, tcase)                ((void)(suite), (void)(tcase))
#define tcase_create(name)                           ((void)(name), (TCase *)NULL)
#define tcase_name()                                 "model"
#define tcase_set_timeout(tcase, seconds)            ((void)(seconds))
#define tcase_add_checked_fixture(tcase, up, down)   ((void)(up), (void)(down))
#define tcase_add_test(tcase, test)                  ((void)(test))
#define tcase_add_loop_test(tcase, test, first, end) ((void)(test))

#endif /* TESTS_FUZZ_CHECK_H */
