/* SPDX-License-Identifier: MIT */
/*
 * deny.c - runs a program for which some system calls are denied.
 *
 *     deny CALL=ERROR... -- PROGRAM [ARGUMENT...]
 *     deny CALL=ERROR... --probe
 *
 * A seccomp filter answers each CALL with ERROR (EPERM, ENOSYS or EACCES), as
 * old kernels and some containers do. With --probe it makes the calls itself
 * and exits with 0 if each fails as it should. Exit status 77: this system
 * takes no such filter. Linux only.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
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
#ifdef SYS_epoll_pwait2
    {"epoll_pwait2", SYS_epoll_pwait2},
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

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/* Reads CALL=ERROR. */
static void
parse(const char *word)
{
	const char *sign = strchr(word, '=');
	struct denial d = {-1, 0};

	for (size_t i = 0; sign != NULL && i < sizeof calls / sizeof *calls;
	     i++)
		if (strlen(calls[i].name) == (size_t)(sign - word) &&
		    strncmp(calls[i].name, word, (size_t)(sign - word)) == 0)
			d.call = calls[i].number;
	for (size_t i = 0; sign != NULL && i < sizeof errors / sizeof *errors;
	     i++)
		if (strcmp(errors[i].name, sign + 1) == 0)
			d.error = errors[i].number;
	if (d.call < 0 || d.error == 0 || count == CALLS_MAX) {
		fprintf(stderr, "deny: cannot deny '%s' here\n", word);
		exit(d.call < 0 ? 77 : 2);
	}
	denials[count++] = d;
}

/* A filter that compares the number of the call with each that is denied. The
 * architecture is not looked at: the program is of the same one. */
static void
install(void)
{
	struct sock_filter filter[2 + 2 * CALLS_MAX];
	unsigned short n = 0;
	struct sock_fprog program;

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
	program.filter = filter;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
		fprintf(stderr, "deny: no filter: %s\n", strerror(errno));
		exit(77);
	}
}

/* Makes every denied call, with arguments that would do no harm. */
static int
probe(void)
{
	for (unsigned i = 0; i < count; i++) {
		errno = 0;
		if (syscall(denials[i].call, 0, 0, 0, 0, 0, 0) != -1 ||
		    errno != denials[i].error) {
			fprintf(stderr, "deny: call %ld was not denied: %s\n",
			    denials[i].call, strerror(errno));
			return 1;
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	int i = 1;

	while (i < argc && argv[i][0] != '-')
		parse(argv[i++]);
	if (i < argc && strcmp(argv[i], "--probe") == 0) {
		install();
		return probe();
	}
	if (count == 0 || i + 1 >= argc || strcmp(argv[i], "--") != 0) {
		fprintf(stderr, "usage: deny CALL=ERROR... -- PROGRAM...\n");
		return 2;
	}
	install();
	execvp(argv[i + 1], &argv[i + 1]);
	die(argv[i + 1]);
}
