/* SPDX-License-Identifier: MIT */
/*
 * coverage.c - for coverage.sh: what a process has executed counts also if it
 * leaves by _exit(), as forked children do. It is linked with the programs
 * that are measured, which then call this instead of the C library's.
 */
#define _GNU_SOURCE

#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* GCC's: writes the counts, or adds them to those that are there; forgets
 * them. */
extern void __gcov_dump(void);
extern void __gcov_reset(void);

/* A child counts for itself alone. What threads had begun that it does not have
 * would be there without its end, from which gcov computes nonsense. */
static void __attribute__((__constructor__)) prepare(void)
{
	(void)pthread_atfork(NULL, NULL, __gcov_reset);
}

void
_exit(int status)
{
	__gcov_dump();
	for (;;)
		(void)syscall(SYS_exit_group, status);
}
