/* SPDX-License-Identifier: MIT */
/*
 * http-load.c - loads an HTTP server and checks every byte it answers.
 *
 *     http-load [-c CONNECTIONS] [-d DEPTH] [-i IDLE] [-r FOLDER]
 *               [-s SECONDS] URL...
 *
 * CONNECTIONS (10) ask for the URLs, which are of one server, in turn for
 * SECONDS (5), each with up to DEPTH (1) requests under way. IDLE (0) more
 * connections are opened first and do nothing until the end, when one request
 * over each of them must be answered. A response must be what FOLDER has as the
 * file, or else what the server gave to the first request for the same URL.
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

#include "sockets.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <polling.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h> /* getopt */

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
#define UNLIMITED     ULONG_MAX
#define STEPS         32 /* of the histogram between 2^n and 2^(n+1) */
#define BUCKETS       (60 * STEPS) /* for 64 bits */

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
	polling_fd fd; /* NO_SOCKET: not opened, or over */
	bool connected;
	bool busy; /* as counted in load.busy */
	bool last; /* the server closes after this response */
	bool in_body;
	uint32_t interest;    /* as the poller has it */
	unsigned long budget; /* requests that it may still send */
	unsigned under_way;   /* requests sent but not answered */
	unsigned asking;      /* the target of the next request to send, */
	size_t asked;         /* of which so many bytes are sent */
	unsigned answering;   /* the target of the next response, */
	size_t answered;      /* so many bytes of whose header or body came */
	unsigned first;       /* the oldest one in sent_at */
	uint64_t sent_at[DEPTH_MAX]; /* when each request was, a ring */
	char head[HEAD_MAX];
};

static struct {
	struct polling *poller;
	struct sockaddr_storage address; /* of the server */
	socklen_t address_length;
	const char *authority; /* HOST[:PORT], as in the first URL */
	size_t authority_length;
	struct target *targets;
	unsigned target_count;
	struct connection *connections; /* the idle ones come last */
	unsigned connection_count;
	unsigned opened;     /* connections that were begun */
	unsigned connecting; /* of them, not connected yet */
	unsigned busy;       /* connecting, asking or waiting for an answer */
	unsigned depth;
	bool measuring;
	uint64_t requests; /* answered rightly */
	uint64_t bytes;
	uint64_t errors;
	uint64_t latency_max;
	uint64_t latencies[BUCKETS];
	char scratch[SCRATCH_BYTES];
} load;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t
now(void)
{
	struct timespec t;

	polling_now(&t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/*
 * Latencies: a histogram whose buckets are 1/32 of their value wide, so that
 * the memory does not grow with the run.
 */

static void
count_latency(uint64_t ns)
{
	unsigned shift = 0;

	if (ns > load.latency_max)
		load.latency_max = ns;
	while (ns >> shift >= (uint64_t)2 * STEPS)
		shift++;
	load.latencies[shift * STEPS + (unsigned)(ns >> shift)]++;
}

/* In milliseconds, what the given share of the latencies does not exceed. */
static double
percentile(double share)
{
	uint64_t total = 0, below = 0, ns;
	unsigned i, shift;

	for (i = 0; i < BUCKETS; i++)
		total += load.latencies[i];
	for (i = 0; i < BUCKETS - 1; i++) {
		below += load.latencies[i];
		if ((double)below >= share * (double)total)
			break;
	}
	shift = i < 2 * STEPS ? 0 : i / STEPS - 1;
	ns = ((uint64_t)(i - shift * STEPS + 1) << shift) - 1;
	return (double)(ns < load.latency_max ? ns : load.latency_max) / 1e6;
}

/*
 * Connections
 */

/* Tells the poller and load.busy what has become of c. */
static void
update(struct connection *c)
{
	bool asks = c->budget > 0 && c->under_way < load.depth;
	bool busy = c->fd != NO_SOCKET &&
		    (!c->connected || c->budget > 0 || c->under_way > 0);
	uint32_t interest = POLLING_IN | (asks ? POLLING_OUT : 0);

	load.busy += busy;
	load.busy -= c->busy;
	c->busy = busy;
	if (!c->connected)
		interest = POLLING_OUT;
	if (c->fd == NO_SOCKET || c->interest == interest)
		return;
	if (polling_modify(
		load.poller, c->fd, interest, POLLING_LEVEL, (uintptr_t)c) != 0)
		die("polling_modify");
	c->interest = interest;
}

static void
disconnect(struct connection *c)
{
	if (c->fd == NO_SOCKET)
		return;
	if (polling_delete(load.poller, c->fd) != 0 && errno != ENOENT)
		die("polling_delete");
	close_socket(c->fd); /* what was to be read is read, or is lost */
	c->fd = NO_SOCKET;
	if (!c->connected)
		load.connecting--;
}

/* Ends c because of an error, which it counts and, if it is one of the
 * first, prints. Returns false. */
static bool
fail(struct connection *c, const char *format, ...)
{
	va_list arguments;

	if (load.errors++ < ERRORS_SHOWN) {
		va_start(arguments, format);
		fprintf(stderr, "http-load: ");
		vfprintf(stderr, format, arguments);
		fprintf(stderr, "\n");
		va_end(arguments);
	}
	disconnect(c);
	update(c);
	return false;
}

static polling_fd
open_socket(void)
{
	polling_fd fd = socket(load.address.ss_family, SOCK_STREAM, 0);
	int yes = 1;

	if (fd == NO_SOCKET)
		return NO_SOCKET;
	if (prepare_socket(fd) == 0 &&
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0)
		return fd;
	close_socket(fd);
	return NO_SOCKET;
}

/* Begins to connect. Even if that is done at once, the poller tells it. */
static void
begin(struct connection *c)
{
	c->fd = open_socket();
	if (c->fd == NO_SOCKET) {
		fail(c, "socket: %s", strerror(errno));
		return;
	}
	c->connected = c->last = c->in_body = false;
	c->answered = 0;
	load.connecting++;
	if (connect(c->fd, (struct sockaddr *)&load.address,
		load.address_length) != 0 &&
	    errno != EINPROGRESS) {
		fail(c, "connect: %s", strerror(errno));
		return;
	}
	if (polling_add(load.poller, c->fd, POLLING_OUT, POLLING_LEVEL,
		(uintptr_t)c) != 0)
		die("polling_add");
	c->interest = POLLING_OUT;
	update(c);
}

/* Opens what is still to be opened, some at a time. */
static void
begin_more(void)
{
	while (
	    load.opened < load.connection_count && load.connecting < CONNECTING)
		begin(&load.connections[load.opened++]);
}

/* A connection attempt is over, and the socket's error tells how. */
static bool
finish_connect(struct connection *c)
{
	int error = take_error(c->fd);

	if (error != 0)
		return fail(c, "connect: %s", strerror(error));
	c->connected = true;
	load.connecting--;
	return true;
}

/* The server closes after a response, as it may: goes on over a new
 * connection, where what it left unanswered is asked for again. */
static void
begin_again(struct connection *c)
{
	if (c->budget != UNLIMITED)
		c->budget += c->under_way;
	c->under_way = 0;
	c->asking = c->answering;
	c->asked = 0;
	disconnect(c);
	begin(c);
}

/*
 * Requests
 */

static unsigned
after(unsigned target)
{
	return target + 1 < load.target_count ? target + 1 : 0;
}

/* Writes the requests that c may send into scratch, beginning with what is
 * left of one that was sent in part. Returns their length. */
static size_t
write_requests(const struct connection *c)
{
	size_t length = 0, skip = c->asked;
	unsigned target = c->asking;
	unsigned long count = load.depth - c->under_way;

	for (count = count < c->budget ? count : c->budget; count > 0;
	     count--) {
		const struct target *t = &load.targets[target];
		size_t n = t->request_length - skip;

		if (n > sizeof load.scratch - length)
			break;
		memcpy(load.scratch + length, t->request + skip, n);
		length += n;
		skip = 0;
		target = after(target);
	}
	return length;
}

/* Notes that the first n bytes of those were sent, at this time. */
static void
note_sent(struct connection *c, size_t n, uint64_t time)
{
	while (n > 0) {
		size_t left = load.targets[c->asking].request_length - c->asked;

		if (n < left) {
			c->asked += n;
			return;
		}
		n -= left;
		c->asked = 0;
		c->asking = after(c->asking);
		c->sent_at[(c->first + c->under_way) % DEPTH_MAX] = time;
		c->under_way++;
		if (c->budget != UNLIMITED)
			c->budget--;
	}
}

/* Sends requests until there are enough under way or the socket is full. */
static void
ask(struct connection *c)
{
	size_t length;
	ssize_t n;

	while ((length = write_requests(c)) > 0) {
		uint64_t time = now();

		n = send(c->fd, load.scratch, length, 0);
		if (n < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				fail(c, "send: %s", strerror(errno));
			return;
		}
		note_sent(c, (size_t)n, time);
	}
}

/* Lets c send so many requests more. */
static void
allow(struct connection *c, unsigned long budget)
{
	if (c->fd == NO_SOCKET)
		return;
	c->budget = budget;
	if (c->connected)
		ask(c);
	update(c);
}

/*
 * Responses
 */

/* The value of a field in a header, which ends with a line end; else "". */
static const char *
field(const char *head, const char *name)
{
	size_t length = strlen(name);

	while ((head = strchr(head, '\n')) != NULL) {
		head++;
		if (strncasecmp(head, name, length) == 0 &&
		    head[length] == ':') {
			head += length + 1;
			return head + strspn(head, " \t");
		}
	}
	return "";
}

/* Makes room for a body that is not known yet. */
static bool
expect(struct connection *c, struct target *t, uint64_t length)
{
	if (length > BODY_MAX)
		return fail(c, "%s: %" PRIu64 " bytes are too many to keep",
		    t->path, length);
	free(t->body);
	t->body_length = (size_t)length;
	t->body = malloc(t->body_length + 1);
	return t->body != NULL || fail(c, "%s: out of memory", t->path);
}

/* Checks the header of a response, which is complete. */
static bool
check_head(struct connection *c)
{
	struct target *t = &load.targets[c->answering];
	const char *value = field(c->head, "Content-Length");
	const char *connection = field(c->head, "Connection");
	uint64_t length = strtoull(value, NULL, 10);

	if (strncmp(c->head, "HTTP/1.", 7) != 0 ||
	    strncmp(c->head + 8, " 200 ", 5) != 0)
		return fail(c, "%s: %.*s", t->path,
		    (int)strcspn(c->head, "\r\n"), c->head);
	if (strspn(value, "0123456789") == 0 ||
	    *field(c->head, "Transfer-Encoding") != '\0')
		return fail(c, "%s: no Content-Length", t->path);
	if (!t->known) {
		if (!expect(c, t, length))
			return false;
	} else if (length != t->body_length) {
		return fail(c, "%s: %" PRIu64 " bytes instead of %zu", t->path,
		    length, t->body_length);
	}
	c->last = strncasecmp(connection, "close", 5) == 0 ||
		  (c->head[7] == '0' &&
		      strncasecmp(connection, "keep-alive", 10) != 0);
	c->in_body = true;
	c->answered = 0;
	return true;
}

/* Takes what n bytes have of a header. Returns how many; 0 at an error. */
static size_t
take_head(struct connection *c, const char *data, size_t n)
{
	size_t taken = 0;

	while (taken < n && !c->in_body) {
		if (c->answered == HEAD_MAX - 1) {
			fail(c, "the header of a response is too long");
			return 0;
		}
		c->head[c->answered++] = data[taken++];
		c->head[c->answered] = '\0';
		if (c->answered >= 4 &&
		    memcmp(c->head + c->answered - 4, "\r\n\r\n", 4) == 0 &&
		    !check_head(c))
			return 0;
	}
	return taken;
}

/* The same for a body, which it compares or keeps. */
static size_t
take_body(struct connection *c, const char *data, size_t n)
{
	struct target *t = &load.targets[c->answering];

	if (n > t->body_length - c->answered)
		n = t->body_length - c->answered;
	if (!t->known) {
		memcpy(t->body + c->answered, data, n);
	} else if (memcmp(t->body + c->answered, data, n) != 0) {
		while (*data == t->body[c->answered]) {
			data++;
			c->answered++;
		}
		fail(c, "%s: byte %zu of %zu is wrong", t->path,
		    c->answered + 1, t->body_length);
		return 0;
	}
	c->answered += n;
	return n;
}

/* A response is complete and right. False if it is the connection's last. */
static bool
finish_response(struct connection *c)
{
	bool last = c->last;

	load.targets[c->answering].known = true;
	if (load.measuring) {
		count_latency(now() - c->sent_at[c->first]);
		load.requests++;
	}
	c->first = (c->first + 1) % DEPTH_MAX;
	c->under_way--;
	c->answering = after(c->answering);
	c->in_body = false;
	c->answered = 0;
	if (last)
		begin_again(c);
	return !last;
}

/* Checks n bytes that the server sent. False if c is over, or begins anew. */
static bool
take(struct connection *c, const char *data, size_t n)
{
	while (n > 0) {
		size_t taken;

		if (c->under_way == 0)
			return fail(c, "bytes that nobody asked for");
		taken = c->in_body ? take_body(c, data, n)
				   : take_head(c, data, n);
		if (taken == 0)
			return false;
		data += taken;
		n -= taken;
		if (c->in_body &&
		    c->answered == load.targets[c->answering].body_length &&
		    !finish_response(c))
			return false;
	}
	return true;
}

static void
receive(struct connection *c)
{
	ssize_t n = recv(c->fd, load.scratch, sizeof load.scratch, 0);

	if (n < 0) {
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			fail(c, "recv: %s", strerror(errno));
	} else if (n == 0) {
		fail(c, "a connection was closed with %u requests unanswered",
		    c->under_way);
	} else {
		if (load.measuring)
			load.bytes += (uint64_t)n;
		take(c, load.scratch, (size_t)n);
	}
}

/*
 * The run
 */

static void
handle(struct connection *c, uint32_t events)
{
	if (!c->connected)
		finish_connect(c);
	else if (events & POLLING_IN)
		receive(c);
	if (c->fd != NO_SOCKET && c->connected)
		ask(c);
	update(c);
	begin_more();
}

/* Handles events until the given time or until no connection is busy. */
static void
run_until(uint64_t end)
{
	struct timespec deadline = {
	    .tv_sec = (time_t)(end / SECOND), .tv_nsec = (long)(end % SECOND)};
	struct polling_event events[EVENTS];

	while (load.busy > 0 && now() < end) {
		int n = polling_wait_until(
		    load.poller, events, EVENTS, &deadline);

		if (n < 0)
			die("polling_wait_until");
		for (int i = 0; i < n; i++)
			handle((struct connection *)events[i].key,
			    events[i].events);
	}
}

/* Lets all that is under way come to its end, but does not wait for ever. */
static void
run_to_end(void)
{
	run_until(now() + PATIENCE * SECOND);
	for (unsigned i = 0; i < load.connection_count; i++) {
		struct connection *c = &load.connections[i];

		if (c->busy)
			fail(c, "no answer in %d seconds", PATIENCE);
	}
}

/* Loads the server, with a line each second. Returns the time it took. */
static uint64_t
measure(unsigned count, unsigned seconds)
{
	uint64_t start = now(), elapsed, requests = 0;

	load.measuring = true;
	for (unsigned i = 0; i < count; i++)
		allow(&load.connections[i], UNLIMITED);
	for (unsigned i = 1; i <= seconds && load.busy > 0; i++) {
		run_until(start + i * SECOND);
		printf("%4u s %10" PRIu64 " requests %8" PRIu64
		       " requests/s %4" PRIu64 " errors\n",
		    i, load.requests, load.requests - requests, load.errors);
		fflush(stdout);
		requests = load.requests;
	}
	/* A request of which a part is sent is sent as a whole. */
	for (unsigned i = 0; i < count; i++)
		allow(&load.connections[i], load.connections[i].asked > 0);
	run_to_end();
	elapsed = now() - start;
	load.measuring = false;
	return elapsed;
}

static void
summarize(uint64_t elapsed)
{
	double seconds = (double)elapsed / (double)SECOND;

	printf("%" PRIu64 " requests in %.2f s: %.0f requests/s, %.1f MB/s\n"
	       "latency p50 %.3f ms, p99 %.3f ms, max %.3f ms\n",
	    load.requests, seconds, (double)load.requests / seconds,
	    (double)load.bytes / 1e6 / seconds, percentile(0.5),
	    percentile(0.99), (double)load.latency_max / 1e6);
}

/* The stages: connect all; learn what is right; load; ask the idle ones. */
static void
run(unsigned count, unsigned seconds, bool learn)
{
	uint64_t elapsed;

	begin_more();
	run_to_end();
	if (learn) {
		allow(&load.connections[0], load.target_count);
		run_to_end();
	}
	if (load.errors > 0)
		return;
	if (load.connection_count > count) {
		printf("holding %u idle connections\n",
		    load.connection_count - count);
		fflush(stdout);
	}
	elapsed = measure(count, seconds);
	for (unsigned i = count; i < load.connection_count; i++)
		allow(&load.connections[i], 1);
	run_to_end();
	summarize(elapsed);
}

/*
 * Beginning and end
 */

/* Takes HOST[:PORT] apart, in place. An IPv6 address is in brackets. */
static void
split(char *authority, char **host, const char **port)
{
	char *colon = strrchr(authority, ':');
	size_t length;

	*host = authority;
	*port = "80";
	if (colon != NULL && strchr(colon, ']') == NULL) {
		*colon = '\0';
		*port = colon + 1;
	}
	length = strlen(authority);
	if (length > 2 && authority[0] == '[' && authority[length - 1] == ']') {
		authority[length - 1] = '\0';
		++*host;
	}
}

/* Looks for an address of the host that can be connected to, and keeps it. */
static int
try_addresses(const struct addrinfo *list)
{
	int error = ENOENT;

	for (; list != NULL && error != 0; list = list->ai_next) {
		polling_fd fd = socket(
		    list->ai_family, list->ai_socktype, list->ai_protocol);

		error = 0;
		if (fd == NO_SOCKET || connect(fd, list->ai_addr,
					   (socklen_t)list->ai_addrlen) != 0)
			error = errno;
		if (fd != NO_SOCKET)
			close_socket(fd);
		memcpy(&load.address, list->ai_addr, list->ai_addrlen);
		load.address_length = (socklen_t)list->ai_addrlen;
	}
	return error;
}

static bool
find_server(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	char *authority = malloc(load.authority_length + 1);
	char *host;
	const char *port;
	int error;

	if (authority == NULL)
		die("malloc");
	memcpy(authority, load.authority, load.authority_length);
	authority[load.authority_length] = '\0';
	split(authority, &host, &port);
	error = getaddrinfo(host, port, &hints, &list);
	if (error != 0) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
	} else {
		error = try_addresses(list);
		freeaddrinfo(list);
		if (error != 0)
			fprintf(
			    stderr, "%s:%s: %s\n", host, port, strerror(error));
	}
	free(authority);
	return error == 0;
}

/* Reads the file that a path names: the right answer. */
static bool
read_file(const char *folder, struct target *t)
{
	char name[PATH_LONGEST];
	size_t length = strlen(t->path);
	int n = snprintf(name, sizeof name, "%s%s%s", folder, t->path,
	    t->path[length - 1] == '/' ? "index.html" : "");
	FILE *file = n < (int)sizeof name ? fopen(name, "rb") : NULL;
	long size = -1;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		size = ftell(file);
	if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
		perror(name);
		if (file != NULL)
			fclose(file);
		return false;
	}
	t->body_length = (size_t)size;
	t->body = malloc(t->body_length + 1);
	t->known = t->body != NULL &&
		   fread(t->body, 1, t->body_length, file) == t->body_length;
	fclose(file);
	if (!t->known)
		fprintf(stderr, "%s: cannot be read\n", name);
	return t->known;
}

/* Takes a URL: what has to be asked and, with a folder, answered. */
static bool
add_target(const char *url, const char *folder)
{
	struct target *t = &load.targets[load.target_count++];
	const char *authority = url + 7;
	size_t length, size;

	if (strncasecmp(url, "http://", 7) != 0 ||
	    (length = strcspn(authority, "/")) == 0 ||
	    strlen(url) >= PATH_LONGEST) {
		fprintf(stderr, "%s: not http://HOST[:PORT]/PATH\n", url);
		return false;
	}
	if (load.authority == NULL) {
		load.authority = authority;
		load.authority_length = length;
	} else if (length != load.authority_length ||
		   strncasecmp(authority, load.authority, length) != 0) {
		fprintf(stderr, "%s: of another server\n", url);
		return false;
	}
	t->path = authority[length] == '\0' ? "/" : authority + length;
	size = strlen(url) + 64;
	t->request = malloc(size);
	if (t->request == NULL)
		die("malloc");
	t->request_length = (size_t)snprintf(t->request, size,
	    "GET %s HTTP/1.1\r\nHost: %.*s\r\n\r\n", t->path, (int)length,
	    authority);
	return folder == NULL || read_file(folder, t);
}

/* Makes a poller and so many connections, none of them opened yet. */
static void
prepare(unsigned count)
{
	(void)raise_limit(); /* if it is too low, a socket() fails */
	load.connections = calloc(count, sizeof *load.connections);
	if (load.connections == NULL)
		die("calloc");
	for (unsigned i = 0; i < count; i++)
		load.connections[i].fd = NO_SOCKET;
	load.connection_count = count;
	load.poller = polling_create(0);
	if (load.poller == NULL)
		die("polling_create");
}

static void
finish(void)
{
	for (unsigned i = 0; i < load.connection_count; i++)
		disconnect(&load.connections[i]);
	polling_destroy(load.poller);
	free(load.connections);
	for (unsigned i = 0; i < load.target_count; i++) {
		free(load.targets[i].request);
		free(load.targets[i].body);
	}
	free(load.targets);
}

static bool
load_server(char **urls, int url_count, const char *folder, unsigned count,
    unsigned idle, unsigned seconds)
{
	if (start_sockets() != 0)
		die("start_sockets");
	load.targets = calloc((size_t)url_count, sizeof *load.targets);
	if (load.targets == NULL)
		die("calloc");
	for (int i = 0; i < url_count; i++) {
		if (!add_target(urls[i], folder))
			return false;
	}
	if (!find_server())
		return false;
	prepare(count + idle);
	run(count, seconds, folder == NULL);
	printf("%" PRIu64 " errors\n", load.errors);
	return load.errors == 0;
}

/* A number from lowest to highest. Misuse ends the program. */
static unsigned
number(const char *s, unsigned lowest, unsigned highest)
{
	char *end;
	unsigned long value = strtoul(s, &end, 10);

	if (*s < '0' || *s > '9' || *end != '\0' || value < lowest ||
	    value > highest) {
		fprintf(stderr, "http-load: %s: not %u to %u\n", s, lowest,
		    highest);
		exit(2);
	}
	return (unsigned)value;
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: http-load [-c CONNECTIONS] [-d DEPTH] [-i IDLE] "
	    "[-r FOLDER]\n                 [-s SECONDS] URL...\n");
	return 2;
}

int
main(int argc, char **argv)
{
	unsigned count = 10, idle = 0, seconds = 5;
	const char *folder = NULL;
	bool right;
	int option;

	load.depth = 1;
	while ((option = getopt(argc, argv, "c:d:i:r:s:")) != -1) {
		if (option == 'c')
			count = number(optarg, 1, 1000000);
		else if (option == 'd')
			load.depth = number(optarg, 1, DEPTH_MAX);
		else if (option == 'i')
			idle = number(optarg, 0, 1000000);
		else if (option == 'r')
			folder = optarg;
		else if (option == 's')
			seconds = number(optarg, 1, 1000000);
		else
			return usage();
	}
	if (optind == argc)
		return usage();
	right = load_server(
	    argv + optind, argc - optind, folder, count, idle, seconds);
	finish();
	return right ? 0 : 1;
}
