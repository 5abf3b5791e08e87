/* SPDX-License-Identifier: MIT */
/*
 * compat.h - the only place for compiler extensions, each with a fallback.
 */
#ifndef LIBPOLLING_COMPAT_H
#define LIBPOLLING_COMPAT_H

#ifdef __GNUC__
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* For the path of a wait: compilers do not inline a function with a large
 * array on their own, and every return after a system call costs. */
#define ALWAYS_INLINE inline __attribute__((__always_inline__))
/* Begins to load what is needed later; the address need not be valid. */
#define prefetch(address) __builtin_prefetch(address)
#else
#define likely(x)         (x)
#define unlikely(x)       (x)
#define ALWAYS_INLINE     inline
#define prefetch(address) ((void)(address))
#endif

/* The number of bits up to the highest one that is set; 0 for 0. */
static inline unsigned
bit_length(unsigned x)
{
#ifdef __GNUC__
	return x == 0 ? 0
		      : (unsigned)(sizeof x * 8) - (unsigned)__builtin_clz(x);
#else
	unsigned n = 0;

	for (; x != 0; x >>= 1)
		n++;
	return n;
#endif
}

#endif
