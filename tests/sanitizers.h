/* SPDX-License-Identifier: MIT */
/*
 * sanitizers.h - whether a sanitizer of gcc or clang is compiled in. They keep
 * what was freed, and own malloc() and the like.
 */
#ifndef SANITIZERS_H
#define SANITIZERS_H

/* What clang tells by a name; gcc has macros for those that it has. */
#if defined(__has_feature)
#define SANITIZER_IS(name) __has_feature(name)
#else
#define SANITIZER_IS(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || SANITIZER_IS(address_sanitizer) || \
    SANITIZER_IS(leak_sanitizer) || SANITIZER_IS(memory_sanitizer)
#define SANITIZED_BY_ALLOCATOR 1
#else
#define SANITIZED_BY_ALLOCATOR 0
#endif
/* A fork may come while another thread holds a lock of its allocator. */
#define CHILDREN_CAN_ALLOCATE (!SANITIZED_BY_ALLOCATOR)
#if defined(__SANITIZE_THREAD__) || SANITIZER_IS(thread_sanitizer)
#define SANITIZED_BY_THREAD 1
#else
#define SANITIZED_BY_THREAD 0
#endif
#define SANITIZED (SANITIZED_BY_ALLOCATOR || SANITIZED_BY_THREAD)

#endif
