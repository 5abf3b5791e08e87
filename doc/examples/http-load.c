/* SPDX-License-Identifier: MIT */
/*
 * http-load.c - loads an HTTP server and checks every byte it answers.
 *
 *     http-load [-c CONNECTIONS] [-d DEPTH] [-i IDLE] [-r FOLDER]
 *               [-s SECONDS] URL...
 *
 * CONNECTIONS (10) ask for the URLs, which are of one server, in turn for
 * SECONDS (5), each with up to DEPTH (1) requests under way. IDLE (0) more
 * connections are opened first and do nothing until the end, when each has to
 * answer one request. A response must be what FOLDER has as the file, or
 * else what the server gave to the first request for the same URL.
 *
 * Every second a line tells how it goes, and at the end there is a summary.
 * The exit status is 0 only if there was no wrong byte, no refused connection,
 * none that ended early and none that did not answer in time.
 *
 * One thread is enough. All connections are level-triggered: what one read
 * leaves is reported by the next wait, so that none of them starves the
 * others, and the poller is told of a change only when there is one.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <polling.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_MAX      1024  /* bytes of a response's header */
#define PATH_LONGEST  8000  /* bytes of a URL */
#define SCRATCH_BYTES 65536 /* for one read or one write */
#define BODY_MAX      (UINT64_C(1) << 30)
#define DEPTH_MAX     64
#define EVENTS        256
#define CONNECTING    256 /* at a time: more than a backlog would be lost */
#define PATIENCE      30  /* seconds for all that has no time of its own */
#define ERRORS_SHOWN  10
#define SECOND        UINT64_C(1000000000)

/* What is asked for, and the right answer. */
struct target {
	const char *path;
	char *request;
	size_t request_length;
	char *body;
	size_t body_length;
	bool known; /* the body is */
};

struct connection {
	int fd;           /* -1: not opened, or over */
	bool connected;
	bool busy;        /* as counted in load.busy */
	bool last;        /* the server closes after this response */
	bool in_body;
	uint32_t interest;      /* as the poller has it */
	unsigned long budget;   /* requests that it may still send */
	unsigned under_way;     /* requests sent but not answered */
	unsigned asking;        /* the target of the next request to send, */
	size_t asked;           /* of which so many bytes are sent */
	unsigned answering;     /* the target of the next response, */
	size_t answered;        /* so many bytes of whose header or body came */
	unsigned first;         /* the oldest one in sent_at */
	uint64_t sent_at[DEPTH_MAX]; /* when each request was, a ring */
	char head[HEAD_MAX];
};
