/* SPDX-License-Identifier: MIT */
/*
 * analyse-atomics.c - the atomic operations of C11, for helgrind and drd.
 *
 * Neither tool knows of them: to it, two threads that use an atomic object race
 * for it, and nothing is ordered by that. So for these tools everything is
 * compiled by gcc with -fno-inline-atomics, which makes each operation a call
 * of a function, and linked with these functions. They do it, and tell the tool
 * what comes before what. That two of them meet at an object is no race:
 * analyse.supp has them, by their names.
 *
 * Each is taken for sequentially consistent, whatever the program asks for:
 * an order that is too weak is for ThreadSanitizer to find.
 *
 * This file alone is compiled without that option.
 */
#include <stdbool.h>
#include <stdint.h>
#include <valgrind/helgrind.h>

#include <valgrind/drd.h>

/* What this thread has done comes before what others do after_of() the same
 * object. */
static void
before(const volatile void *object)
{
	ANNOTATE_HAPPENS_BEFORE(object); /* helgrind's */
	VALGRIND_DO_CLIENT_REQUEST_STMT(
	    VG_USERREQ__DRD_ANNOTATE_HAPPENS_BEFORE, object, 0, 0, 0, 0);
}

static void
after(const volatile void *object)
{
	ANNOTATE_HAPPENS_AFTER(object);
	VALGRIND_DO_CLIENT_REQUEST_STMT(
	    VG_USERREQ__DRD_ANNOTATE_HAPPENS_AFTER, object, 0, 0, 0, 0);
}

/* The compiler's name of a function that it also knows by itself. */
#define NAMED(name, size) __asm__("__atomic_" #name "_" #size)

/* A function that changes an object and returns what it was. */
#define CHANGE(name, size, type)                                           \
	type name##_##size(volatile type *object, type operand, int order) \
	    NAMED(name, size);                                             \
	type name##_##size(volatile type *object, type operand, int order) \
	{                                                                  \
		type was;                                                  \
                                                                           \
		(void)order;                                               \
		before(object);                                            \
		was = CHANGE_##name(object, operand);                      \
		after(object);                                             \
		return was;                                                \
	}
#define CHANGE_exchange(o, x)  __atomic_exchange_n((o), (x), __ATOMIC_SEQ_CST)
#define CHANGE_fetch_add(o, x) __atomic_fetch_add((o), (x), __ATOMIC_SEQ_CST)
#define CHANGE_fetch_sub(o, x) __atomic_fetch_sub((o), (x), __ATOMIC_SEQ_CST)
#define CHANGE_fetch_and(o, x) __atomic_fetch_and((o), (x), __ATOMIC_SEQ_CST)
#define CHANGE_fetch_or(o, x)  __atomic_fetch_or((o), (x), __ATOMIC_SEQ_CST)

#define OPERATIONS(size, type)                                                 \
	type load_##size(const volatile type *object, int order)               \
	    NAMED(load, size);                                                 \
	type load_##size(const volatile type *object, int order)               \
	{                                                                      \
		type value = __atomic_load_n(object, __ATOMIC_SEQ_CST);        \
                                                                               \
		(void)order;                                                   \
		after(object);                                                 \
		return value;                                                  \
	}                                                                      \
	void store_##size(volatile type *object, type value, int order)        \
	    NAMED(store, size);                                                \
	void store_##size(volatile type *object, type value, int order)        \
	{                                                                      \
		(void)order;                                                   \
		before(object);                                                \
		__atomic_store_n(object, value, __ATOMIC_SEQ_CST);             \
	}                                                                      \
	bool compare_exchange_##size(volatile type *object, type *expected,    \
	    type value, int order, int failure) NAMED(compare_exchange, size); \
	bool compare_exchange_##size(volatile type *object, type *expected,    \
	    type value, int order, int failure)                                \
	{                                                                      \
		bool done;                                                     \
                                                                               \
		(void)order;                                                   \
		(void)failure;                                                 \
		before(object);                                                \
		done = __atomic_compare_exchange_n(object, expected, value,    \
		    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                \
		after(object);                                                 \
		return done;                                                   \
	}                                                                      \
	CHANGE(exchange, size, type)                                           \
	CHANGE(fetch_add, size, type)                                          \
	CHANGE(fetch_sub, size, type)                                          \
	CHANGE(fetch_and, size, type)                                          \
	CHANGE(fetch_or, size, type)

OPERATIONS(1, uint8_t)
OPERATIONS(2, uint16_t)
OPERATIONS(4, uint32_t)
OPERATIONS(8, uint64_t)
