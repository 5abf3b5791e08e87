/* SPDX-License-Identifier: MIT */
/*
 * deny.c - runs a program for which some system calls are denied.
 *
 *     deny CALL=ERROR... -- PROGRAM [ARGUMENT...]
 *     deny CALL=ERROR... --probe
 *
 * A seccomp filter answers each CALL with ERROR, as old kernels and some
 * containers do; nothing stands in for the call. It stays in force for all
 * that the program runs. --probe denies nothing: it makes the calls and exits
 * with 0 if each fails with its ERROR, else with 1. Exit status 77: this
 * system has no such call or takes no filter. Linux only.
 */
#define _GNU_SOURCE

#include "filter.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 8

static const struct call {
	const char *name;
	long number;
} calls[] = {
    {"eventfd2", SYS_eventfd2},
#ifdef SYS_eventfd
    {"eventfd", SYS_eventfd},
#endif
#if defined(SYS_ppoll) && defined(SYS_poll)
    /* Else poll() is made of it. */
    {"ppoll", SYS_ppoll},
#endif
#ifdef SYS_epoll_pwait2
    {"epoll_pwait2", SYS_epoll_pwait2},
#endif
#ifdef SYS_timerfd_create
    {"timerfd_create", SYS_timerfd_create},
#endif
#ifdef SYS_signalfd4
    {"signalfd4", SYS_signalfd4},
#endif
#ifdef SYS_pidfd_open
    {"pidfd_open", SYS_pidfd_open},
#endif
};

static const struct error {
	const char *name;
	int number;
} errors[] = {{"EPERM", EPERM}, {"ENOSYS", ENOSYS}, {"EACCES", EACCES}};

struct denial {
	long call;
	int error;
};

static struct denial denials[CALLS_MAX];
static unsigned count;

/* Reads CALL=ERROR. */
static void
parse(const char *word)
{
	const char *sign = strchr(word, '=');
	size_t length = sign != NULL ? (size_t)(sign - word) : strlen(word);
	struct denial d = {-1, 0};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (strlen(calls[i].name) == length &&
		    strncmp(calls[i].name, word, length) == 0)
			d.call = calls[i].number;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (sign != NULL && strcmp(errors[i].name, sign + 1) == 0)
			d.error = errors[i].number;
	if (d.error == 0 || count == CALLS_MAX) {
		fprintf(stderr, "deny: not CALL=ERROR: %s\n", word);
		exit(2);
	}
	if (d.call == -1) {
		fprintf(stderr, "deny: no such call here: %s\n", word);
		exit(77);
	}
	denials[count++] = d;
}

/* The filter allows calls of other architectures, whose numbers differ, and
 * compares the others with each that is denied. */
static void
install(void)
{
	struct sock_filter filter[5 + 2 * CALLS_MAX];
	struct sock_fprog program = {.len = 0, .filter = filter};
	unsigned short n = 0;

#ifdef ARCHITECTURE
	filter[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	filter[n++] = (struct sock_filter)BPF_JUMP(
	    BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	filter[n++] = (struct sock_filter)BPF_STMT(
	    BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
#endif
	filter[n++] = (struct sock_filter)BPF_STMT(
	    BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < count; i++) {
		filter[n++] = (struct sock_filter)BPF_JUMP(
		    BPF_JMP | BPF_JEQ | BPF_K, (unsigned)denials[i].call, 0, 1);
		filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
		    SECCOMP_RET_ERRNO | (unsigned)denials[i].error);
	}
	filter[n++] = (struct sock_filter)BPF_STMT(
	    BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	program.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		fprintf(stderr, "deny: no filter: %s\n", strerror(errno));
		exit(77);
	}
}

/* Makes the calls, with arguments that do no harm. */
static int
probe(void)
{
	for (unsigned i = 0; i < count; i++) {
		errno = 0;
		if (syscall(denials[i].call, 0, 0, 0, 0, 0, 0) != -1 ||
		    errno != denials[i].error)
			return 1;
	}
	return 0;
}

int
main(int argc, char **argv)
{
	int i = 1;

	while (i < argc && argv[i][0] != '-')
		parse(argv[i++]);
	if (count > 0 && i + 1 == argc && strcmp(argv[i], "--probe") == 0)
		return probe();
	if (count == 0 || i + 1 >= argc || strcmp(argv[i], "--") != 0) {
		fprintf(stderr,
		    "usage: deny CALL=ERROR... -- PROGRAM [ARGUMENT...]\n"
		    "       deny CALL=ERROR... --probe\n");
		return 2;
	}
	install();
	(void)execvp(argv[i + 1], &argv[i + 1]);
	fprintf(stderr, "deny: %s: %s\n", argv[i + 1], strerror(errno));
	return 1;
}
