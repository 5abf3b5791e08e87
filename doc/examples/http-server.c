/* SPDX-License-Identifier: MIT */
/*
 * http-server.c - serves the files of a folder over HTTP/1.1.
 *
 *     http-server [-a ADDRESS] [-i SECONDS] [-p PORT] [-t THREADS] [-v]
 *                 FOLDER
 *
 * It listens at 127.0.0.1 and a free port unless told otherwise, prints where
 * that is and stops at SIGINT, SIGTERM or Ctrl-C. -v prints every request. A
 * connection on which nothing happens for SECONDS (60) is dropped.
 *
 * All threads wait on one poller. Every socket in it is oneshot: an event
 * disarms it, so that the thread that got the event has the connection for
 * itself. Its last act is to arm the socket again.
 *
 * Beside its socket each connection has a timer, and so two threads may come
 * to it at the same time: each connection has a lock, for which a thread has to
 * wait in that case only. One of the two may even have closed it by then. So
 * the memory stays, to be used for connections to come, and an event that is
 * told of a newer one does no harm.
 *
 * Memory is held only while it is needed. An idle connection costs one small
 * structure, to which a larger one comes while a request or a response is
 * under way. Contents of files are not held at all: what a slow client does
 * not take now is read again later.
 *
 * What differs between POSIX and Windows is in sockets.h and, for this program
 * alone, in http-server.h: threads, and files by names that are not trusted.
 */
#define _POSIX_C_SOURCE  200809L
#define _DARWIN_C_SOURCE 1 /* or else macOS hides O_NOFOLLOW */

#include "http-server.h"
#include "sockets.h"

#include <errno.h>
#include <inttypes.h>
#include <polling.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h> /* getopt */

#define HEADER_MAX    8192       /* bytes of a request's header */
#define HEAD_MAX      512        /* bytes of a response's header */
#define SCRATCH_BYTES 65536      /* what one write sends at most */
#define DRAIN_MAX     1048576    /* bytes thrown away before a close */
#define WRITES        16         /* in a row, for one connection */
#define ACCEPTS       64         /* in a row */
#define EVENTS        16         /* one thread takes from the others */
#define PAUSE_NSEC    100000000L /* without accept() if it fails */
#define PATIENCE      60         /* seconds without anything to do */
#define SPARE_FILES   64         /* descriptors not used for connections */
#define THREADS_MAX   1024
#define INDEX         "index.html"

/* A request and a response under way. Requests are consumed from the front
 * of input, which may hold several. */
struct exchange {
	size_t start;   /* of what has not been consumed in input */
	size_t scanned; /* up to here no header ends */
	size_t length;  /* bytes in input */
	size_t head_sent;
	size_t head_length; /* 0 if there is no response to send */
	char head[HEAD_MAX];
	char input[HEADER_MAX];
};

/* Its address is the key of its socket and of its timer, and the timer's name
 * as well. Of a connection that is free only the lock and the socket, which is
 * none, may be looked at. */
struct connection {
	lock_type lock;                  /* of all but the next two */
	struct connection *next, **link; /* on one of the server's lists */
	struct exchange *x;              /* NULL while idle */
	polling_fd fd;
	file_type file;      /* that the response sends, or NO_FILE, */
	int64_t offset, end; /* and the bytes of it that are left */
	size_t drained;      /* bytes thrown away */
	bool keep;           /* open after the response */
	bool draining;       /* all is sent, the client is to close */
};

/* One thread's own. */
struct worker {
	struct thread thread;
	char scratch[SCRATCH_BYTES];
};

/* What a client asks for: the strings lie in its input. */
struct request {
	const char *method;
	const char *target;
	bool http11;
	bool keep;  /* the connection, for all that is known */
	bool close; /* the words of Connection */
	bool keep_alive;
	bool host;    /* there is one */
	bool length;  /* there is a Content-Length, */
	bool content; /* and it is not 0 */
	bool coding;  /* there is a Transfer-Encoding, */
	bool chunked; /* and it is one we know */
};

/* Keys are these or pointers to a connection; that of the listener is the name
 * of the timer that ends a pause as well. */
enum { KEY_LISTENER = 1, KEY_SIGNAL };

static struct {
	struct polling *poller;
	polling_fd listener;
	struct folder folder;
	bool verbose;
	atomic_bool stopping;
	atomic_bool failed;
	struct timespec patience;
	lock_type lock; /* of the next four */
	struct connection *connections;
	struct connection *free;
	size_t count;
	size_t count_max;
} server = {.listener = NO_SOCKET,
    .patience = {.tv_sec = PATIENCE},
    .lock = LOCK_INITIALIZER};

static bool
would_block(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK;
}

/* Ends the server because of an error that it cannot live with. */
static void
fail(const char *what)
{
	perror(what);
	server.failed = true;
	server.stopping = true;
}

/*
 * Responses
 */

static const char *
reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

static const char *
content_type(const char *path)
{
	static const char *const types[][2] = {
	    {".html", "text/html; charset=utf-8"},
	    {".txt", "text/plain; charset=utf-8"},
	    {".css", "text/css; charset=utf-8"},
	    {".js", "text/javascript; charset=utf-8"},
	    {".json", "application/json"}, {".pdf", "application/pdf"},
	    {".png", "image/png"}, {".jpg", "image/jpeg"},
	    {".svg", "image/svg+xml"}, {".ico", "image/x-icon"}};
	const char *suffix = strrchr(path, '.');

	for (size_t i = 0; suffix && i < sizeof types / sizeof types[0]; i++) {
		if (strcasecmp(suffix, types[i][0]) == 0)
			return types[i][1];
	}
	return "application/octet-stream";
}

/* Writes the response's header, and for an error the text that follows. */
static void
write_head(struct connection *c, const struct request *r, int status,
    const char *type, int64_t length)
{
	struct exchange *x = c->x;
	char text[64] = "", date[64] = "";
	const char *connection = "";
	time_t now = time(NULL);
	struct tm tm;
	int n;

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(
		    date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (status != 200) {
		type = "text/plain";
		length = snprintf(
		    text, sizeof text, "%d %s\n", status, reason(status));
		if (strcmp(r->method, "HEAD") == 0)
			text[0] = '\0';
	}
	if (!c->keep)
		connection = "Connection: close\r\n";
	else if (!r->http11)
		connection = "Connection: keep-alive\r\n";
	n = snprintf(x->head, sizeof x->head,
	    "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%sContent-Type: %s\r\n"
	    "Content-Length: %" PRId64 "\r\n\r\n%s",
	    status, reason(status), date, connection,
	    status == 405 ? "Allow: GET, HEAD\r\n" : "", type, length, text);
	x->head_length = (size_t)n;
	x->head_sent = 0;
}

static bool
sending(const struct connection *c)
{
	return c->x != NULL && c->x->head_length > 0;
}

static void
drop_file(struct connection *c)
{
	if (c->file != NO_FILE)
		close_file(c->file);
	c->file = NO_FILE;
	c->offset = c->end = 0;
}

/* A close() with bytes of the client unread would be a reset, and a reset
 * may overtake the response. So the client is told the end and is left to
 * close first; what it still sends is thrown away. */
static void
end_response(struct connection *c)
{
	drop_file(c);
	c->x->head_length = 0;
	if (c->keep)
		return;
	(void)shutdown(c->fd, SHUT_WR); /* a failure shows in the next read */
	c->draining = true;
	free(c->x);
	c->x = NULL;
}

/* Sends as much of the response as fits in one write. If not all of that was
 * taken, false: errno tells a full socket (would_block()) from a dead one. */
static bool
transmit(struct worker *w, struct connection *c)
{
	struct exchange *x = c->x;
	size_t head = x->head_length - x->head_sent;
	size_t body = sizeof w->scratch - head;
	ssize_t n = 0;

	memcpy(w->scratch, x->head + x->head_sent, head);
	if (c->end - c->offset < (int64_t)body)
		body = (size_t)(c->end - c->offset);
	if (body > 0) {
		n = read_file(c->file, w->scratch + head, body, c->offset);
		if (n == 0)
			errno = EIO; /* the file has shrunk: break off */
		if (n <= 0)
			return false;
		body = (size_t)n;
	}
	n = send(c->fd, w->scratch, head + body, 0);
	if (n < 0)
		return false;
	if ((size_t)n < head) {
		x->head_sent += (size_t)n;
	} else {
		x->head_sent = x->head_length;
		c->offset += n - (ssize_t)head;
	}
	if (x->head_sent == x->head_length && c->offset == c->end)
		end_response(c);
	errno = EAGAIN;
	return (size_t)n == head + body;
}

/*
 * Files
 */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Takes a target apart: path is what it names below the folder, without
 * escapes. It needs as much room as the target. Returns 0 or a status. */
static int
decode_target(const char *s, char *path)
{
	if (strncasecmp(s, "http://", 7) == 0) {
		s += 7 + strcspn(s + 7, "/?#"); /* we are every host */
		if (*s != '/')
			*path++ = '/';
	} else if (*s != '/') {
		return 400;
	}
	for (; *s != '\0' && *s != '?'; s++) {
		int high, low;

		*path = *s;
		if (*s == '#')
			return 400;
		if (*s == '%') {
			high = hex_digit(s[1]);
			low = high < 0 ? -1 : hex_digit(s[2]);
			if (low < 0 || high + low == 0)
				return 400;
			*path = (char)(high << 4 | low);
			if (*path == '/')
				return 404; /* no file's name has one */
			s += 2;
		}
		path++;
	}
	*path = '\0';
	return 0;
}

/* Opens the file that path names, the index if it names a folder, for a
 * response. Returns its type or, with errno set, NULL. The path has room for
 * the index's name. */
static const char *
open_file(struct connection *c, char *path)
{
	char *end = path + strlen(path);

	if (end[-1] == '/')
		memcpy(end, INDEX, sizeof INDEX);
	c->file = open_below(&server.folder, path, &c->end);
	if (c->file == NO_FILE && errno == EISDIR) {
		memcpy(end, "/" INDEX, sizeof "/" INDEX);
		c->file = open_below(&server.folder, path, &c->end);
		if (c->file == NO_FILE && errno == EISDIR)
			errno = EACCES;
	}
	return c->file == NO_FILE ? NULL : content_type(path);
}

static int
status_of(int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return 403;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
		return 503;
	case EIO:
		return 500;
	default:
		return 404;
	}
}

/*
 * Requests
 */

/* Whether s is a token in the words of RFC 9110: a method, a field's name. */
static bool
is_token(const char *s)
{
	static const char characters[] =
	    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return *s != '\0' && s[strspn(s, characters)] == '\0';
}

/* Whether a list of words, separated by commas, has this one. */
static bool
has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	while (*(list += strspn(list, ", \t")) != '\0') {
		size_t n = strcspn(list, ", \t");

		if (n == length && strncasecmp(list, word, n) == 0)
			return true;
		list += n;
	}
	return false;
}

/* Cuts the next line off a header, which ends with a line end. NULL if there
 * is a character in it that must not be. */
static char *
next_line(char **header)
{
	char *line = *header;
	char *end = strchr(line, '\n');

	if (end == NULL)
		return NULL;
	*header = end + 1;
	*end = '\0';
	if (end > line && end[-1] == '\r')
		end[-1] = '\0';
	for (const char *s = line; *s != '\0'; s++) {
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == '\177')
			return NULL;
	}
	return line;
}

/* "GET /path HTTP/1.1". Like the next three, returns 0 or a status. */
static int
parse_request_line(char *line, struct request *r)
{
	char *target = strchr(line, ' ');
	char *version = target == NULL ? NULL : strchr(target + 1, ' ');

	if (version == NULL || version == target + 1)
		return 400;
	*target++ = '\0';
	*version++ = '\0';
	if (!is_token(line) || strchr(target, '\t') != NULL)
		return 400;
	r->method = line;
	r->target = target;
	if (strncmp(version, "HTTP/", 5) != 0 || strlen(version) != 8 ||
	    version[6] != '.' || strspn(version + 5, "0123456789") != 1 ||
	    strspn(version + 7, "0123456789") != 1)
		return 400;
	r->http11 = version[7] != '0';
	return version[5] == '1' ? 0 : 505;
}

static int
parse_field(char *line, struct request *r)
{
	char *value = strchr(line, ':');
	char *end = line + strlen(line);

	if (value == NULL)
		return 400;
	*value++ = '\0';
	if (!is_token(line))
		return 400;
	value += strspn(value, " \t");
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	if (strcasecmp(line, "Host") == 0) {
		if (r->host || strpbrk(value, " \t,/?#@") != NULL)
			return 400;
		r->host = true;
	} else if (strcasecmp(line, "Content-Length") == 0) {
		if (r->length || *value == '\0' ||
		    value[strspn(value, "0123456789")] != '\0')
			return 400;
		r->length = true;
		r->content = value[strspn(value, "0")] != '\0';
	} else if (strcasecmp(line, "Transfer-Encoding") == 0) {
		r->chunked = !r->coding && strcasecmp(value, "chunked") == 0;
		r->coding = true;
	} else if (strcasecmp(line, "Connection") == 0) {
		r->close = r->close || has_word(value, "close");
		r->keep_alive = r->keep_alive || has_word(value, "keep-alive");
	}
	return 0;
}

/* Judges a request as a whole. The connection is kept only if it is certain
 * where the next request begins; we read no contents. */
static int
judge(struct request *r)
{
	static const char *const others[] = {
	    "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"};

	if ((r->http11 && !r->host) || (r->coding && (r->length || !r->http11)))
		return 400;
	if (!r->content && !r->coding)
		r->keep = !r->close && (r->http11 || r->keep_alive);
	if (r->coding && !r->chunked)
		return 501;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		if (strcmp(r->method, others[i]) == 0)
			return 405;
	}
	if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0)
		return 501;
	if (r->coding)
		return 411;
	return r->content ? 413 : 0;
}

/* Parses a whole header, in place, up to the empty line that ends it. */
static int
parse_header(char *header, size_t length, struct request *r)
{
	char *line;
	int status = 400;

	if (memchr(header, '\0', length) != NULL)
		return 400;
	header[length - 1] = '\0'; /* was the last line's end */
	if ((line = next_line(&header)) != NULL)
		status = parse_request_line(line, r);
	while (status == 0 && *header != '\0' && strcmp(header, "\r") != 0) {
		line = next_line(&header);
		status = line == NULL ? 400 : parse_field(line, r);
	}
	return status == 0 ? judge(r) : status;
}

/* The length of the header that input begins with; 0 if it is incomplete.
 * Line ends may lack their carriage return. */
static size_t
header_length(struct exchange *x)
{
	while (x->start < x->length &&
	       (x->input[x->start] == '\r' || x->input[x->start] == '\n'))
		x->start++; /* some clients end a request with one too many */
	if (x->scanned < x->start)
		x->scanned = x->start;
	for (; x->scanned < x->length; x->scanned++) {
		const char *s = x->input + x->scanned;
		size_t n = x->scanned - x->start;

		if (*s == '\n' &&
		    ((n >= 1 && s[-1] == '\n') ||
			(n >= 2 && s[-1] == '\r' && s[-2] == '\n')))
			return n + 1;
	}
	return 0;
}

/* Prepares the response to r, which is an error unless status is 0. */
static void
respond(struct worker *w, struct connection *c, struct request *r, int status)
{
	const char *type = NULL;
	int64_t size;

	if (status == 0)
		status = decode_target(r->target, w->scratch);
	if (status == 0) {
		type = open_file(c, w->scratch);
		status = type != NULL ? 200 : status_of(errno);
	}
	size = c->end;
	if (size == 0 || strcmp(r->method, "HEAD") == 0)
		drop_file(c);
	c->keep = r->keep && status != 503;
	write_head(c, r, status, type, size);
	if (server.verbose)
		printf("%d %s %s\n", status, r->method, r->target);
}

/* Begins the response to the next request. False if there is none yet. */
static bool
next_request(struct worker *w, struct connection *c)
{
	struct exchange *x = c->x;
	struct request r = {.method = "-", .target = "-"};
	size_t length = header_length(x);
	char *header = x->input + x->start;
	int status;

	if (length > 0)
		status = parse_header(header, length, &r);
	else if (x->length - x->start < HEADER_MAX)
		return false;
	else
		status = memchr(header, '\n', HEADER_MAX) ? 431 : 414;
	x->start += length;
	respond(w, c, &r, status);
	return true;
}

/*
 * Connections
 */

static void
insert(struct connection **list, struct connection *c)
{
	c->link = list;
	c->next = *list;
	if (c->next != NULL)
		c->next->link = &c->next;
	*list = c;
}

static void
detach(struct connection *c)
{
	*c->link = c->next;
	if (c->next != NULL)
		c->next->link = c->link;
}

/* A free connection, or a new one, which nobody knows. NULL if there is no
 * memory. */
static struct connection *
new_connection(void)
{
	struct connection *c;

	acquire(&server.lock);
	c = server.free;
	if (c != NULL)
		detach(c);
	else if ((c = calloc(1, sizeof *c)) != NULL)
		initialize(&c->lock);
	if (c != NULL) {
		insert(&server.connections, c);
		server.count++;
	}
	release(&server.lock);
	return c;
}

/* Closes a connection, whose lock is held, or which no thread can know of. */
static void
close_connection(struct connection *c)
{
	drop_file(c);
	free(c->x);
	c->x = NULL;
	/* They know nothing of it if it was never added, or was due. */
	(void)polling_delete_timer(server.poller, (uintptr_t)c);
	(void)polling_delete(server.poller, c->fd);
	close_socket(c->fd);
	c->fd = NO_SOCKET;
	acquire(&server.lock);
	detach(c);
	insert(&server.free, c);
	server.count--;
	release(&server.lock);
}

/* Reads what the client has sent, once: what is left is reported again when
 * the socket is armed. False with errno set, to 0 at the end of it. */
static bool
receive(struct connection *c)
{
	struct exchange *x = c->x;
	ssize_t n;

	if (x == NULL) {
		x = c->x = malloc(sizeof *x);
		if (x == NULL)
			return false;
		x->start = x->scanned = x->length = x->head_length = 0;
	}
	if (x->start > 0) {
		memmove(x->input, x->input + x->start, x->length - x->start);
		x->scanned -= x->start;
		x->length -= x->start;
		x->start = 0;
	}
	if (x->length == HEADER_MAX)
		return true; /* the event was an older one's */
	errno = 0;
	n = recv(c->fd, x->input + x->length, HEADER_MAX - x->length, 0);
	if (n <= 0)
		return false;
	x->length += (size_t)n;
	return true;
}

/* Throws away what a client sends that should close, up to a limit. */
static uint32_t
drain(struct worker *w, struct connection *c)
{
	ssize_t n = recv(c->fd, w->scratch, sizeof w->scratch, 0);

	if (n < 0)
		return would_block() ? POLLING_IN : 0;
	c->drained += (size_t)n;
	return n > 0 && c->drained < DRAIN_MAX ? POLLING_IN : 0;
}

/* Goes on with a connection after an event. Returns what it waits for next;
 * 0 if it is over. A hang-up or an error comes with the bits of the interest,
 * so the read or the write meets it. */
static uint32_t
serve(struct worker *w, struct connection *c, uint32_t events)
{
	if (c->draining)
		return drain(w, c);
	if ((events & POLLING_IN) && !receive(c))
		return would_block() ? POLLING_IN : 0;
	if (c->x == NULL)
		return POLLING_IN; /* the event was an older one's */
	for (int i = 0; i < WRITES; i++) {
		if (!sending(c) && !next_request(w, c))
			return POLLING_IN;
		if (!transmit(w, c))
			return would_block() ? POLLING_OUT : 0;
		if (c->draining)
			return POLLING_IN;
	}
	return POLLING_OUT; /* it is the turn of others */
}

/* Begins the time anew after which a connection is dropped. */
static bool
restart_timer(struct connection *c)
{
	uintptr_t id = (uintptr_t)c;

	if (polling_modify_timer(
		server.poller, id, &server.patience, NULL, id) == 0)
		return true;
	/* It was due: another thread has its event, and waits for the lock. */
	return errno == ENOENT && polling_add_timer(server.poller, id,
				      &server.patience, NULL, id) == 0;
}

/* Arms the socket for what it waits for next. False if it is over. */
static bool
arm(struct connection *c, uint32_t interest)
{
	if (interest == POLLING_IN && c->x != NULL &&
	    c->x->start == c->x->length) {
		free(c->x);
		c->x = NULL;
	}
	return interest != 0 && restart_timer(c) &&
	       polling_modify(server.poller, c->fd, interest, POLLING_ONESHOT,
		   (uintptr_t)c) == 0;
}

static void
handle(struct worker *w, struct connection *c, uint32_t events)
{
	acquire(&c->lock);
	if (c->fd != NO_SOCKET && !arm(c, serve(w, c, events)))
		close_connection(c);
	release(&c->lock);
}

/* Drops a connection whose timer was due. If it has one all the same, another
 * thread was faster: something has happened after all, or this connection is a
 * newer one. */
static void
time_out(struct connection *c)
{
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

	acquire(&c->lock);
	if (c->fd != NO_SOCKET &&
	    polling_modify_timer(server.poller, (uintptr_t)c, &server.patience,
		NULL, (uintptr_t)c) != 0) {
		/* Else the system would keep for long what the client does not
		 * take. If it fails, that is all that happens. */
		if (sending(c) || c->draining)
			(void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once,
			    sizeof at_once);
		close_connection(c);
	}
	release(&c->lock);
}

/*
 * Accepting
 */

/* Gives a connection its socket and has both its sources watched. */
static bool
open_connection(struct connection *c, polling_fd fd)
{
	uintptr_t key = (uintptr_t)c;

	c->fd = fd;
	c->file = NO_FILE;
	c->offset = c->end = 0;
	c->drained = 0;
	c->keep = c->draining = false;
	return prepare_socket(fd) == 0 &&
	       polling_add_timer(
		   server.poller, key, &server.patience, NULL, key) == 0 &&
	       polling_add(
		   server.poller, fd, POLLING_IN, POLLING_ONESHOT, key) == 0;
}

/* Makes a connection of a new socket, or drops it. */
static void
welcome(polling_fd fd)
{
	struct connection *c = new_connection();
	int yes = 1;

	if (c == NULL) {
		close_socket(fd);
		return;
	}
	/* A response leaves in whole writes; waiting for more delays it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	acquire(&c->lock);
	if (!open_connection(c, fd))
		close_connection(c);
	release(&c->lock);
}

/* Lets a client in. False with errno set if none waits or it must wait on. */
static bool
accept_one(void)
{
	polling_fd fd;
	bool full;

	acquire(&server.lock);
	full = server.count >= server.count_max;
	release(&server.lock);
	errno = EMFILE;
	fd = full ? NO_SOCKET : accept(server.listener, NULL, NULL);
	if (fd == NO_SOCKET)
		return errno == ECONNABORTED || errno == EINTR;
	welcome(fd);
	return true;
}

/* Lets clients in and arms the listener again. Without descriptors or memory
 * for another one it would be ready again and again: then it is left disarmed
 * until a timer is due, and clients wait in the kernel's queue. */
static void
accept_clients(void)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NSEC};
	int i = 0;

	while (i < ACCEPTS && accept_one())
		i++;
	if (i < ACCEPTS && !would_block()) {
		if (polling_add_timer(server.poller, KEY_LISTENER, &pause, NULL,
			KEY_LISTENER) != 0)
			fail("polling_add_timer");
	} else if (polling_modify(server.poller, server.listener, POLLING_IN,
		       POLLING_ONESHOT, KEY_LISTENER) != 0) {
		fail("polling_modify");
	}
}

/*
 * Threads
 */

static void
dispatch(struct worker *w, const struct polling_event *event)
{
	struct connection *c = (struct connection *)event->key;

	if (event->key == KEY_SIGNAL)
		server.stopping = true;
	else if (event->key == KEY_LISTENER)
		accept_clients();
	else if (event->events & POLLING_TIMER)
		time_out(c);
	else
		handle(w, c, event->events);
}

static void
work(void *argument)
{
	struct worker *w = argument;
	struct polling_event events[EVENTS];

	while (!server.stopping) {
		int n = polling_wait(server.poller, events, EVENTS, NULL);

		if (n < 0)
			fail("polling_wait");
		for (int i = 0; i < n; i++)
			dispatch(w, &events[i]);
	}
	/* A notification ends one wait: each thread passes it on. */
	if (polling_notify(server.poller) != 0)
		perror("polling_notify");
}

/* Runs the server in this thread and count - 1 others, until it stops. */
static void
run(int count)
{
	struct worker *workers = calloc((size_t)count, sizeof *workers);
	int started = 1;

	if (workers == NULL) {
		fail("calloc");
		return;
	}
	while (started < count) {
		struct worker *w = &workers[started];

		if (start_thread(&w->thread, work, w) != 0) {
			fail("start_thread");
			break;
		}
		started++;
	}
	work(&workers[0]);
	for (int i = 1; i < started; i++)
		join_thread(&workers[i].thread);
	free(workers);
}

/*
 * Beginning and end
 */

/* Allows connections for all but some of the descriptors that we may have:
 * without one for a file nobody is served. */
static void
limit_connections(void)
{
	size_t limit = raise_limit();
	size_t spare = limit / 2 < SPARE_FILES ? limit / 2 : SPARE_FILES;

	server.count_max = limit - spare;
}

static polling_fd
try_listen(const struct addrinfo *a)
{
	polling_fd fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);

	if (fd == NO_SOCKET)
		return NO_SOCKET;
	if (prepare_socket(fd) == 0 && claim_port(fd) == 0 &&
	    bind(fd, a->ai_addr, (socklen_t)a->ai_addrlen) == 0 &&
	    listen(fd, SOMAXCONN) == 0)
		return fd;
	close_socket(fd);
	return NO_SOCKET;
}

static polling_fd
listen_at(const char *address, const char *port)
{
	struct addrinfo hints = {
	    .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list;
	int error = getaddrinfo(address, port, &hints, &list);
	polling_fd fd = NO_SOCKET;

	if (error != 0) {
		fprintf(stderr, "%s: %s\n", address, gai_strerror(error));
		return NO_SOCKET;
	}
	for (struct addrinfo *a = list; a != NULL && fd == NO_SOCKET;
	     a = a->ai_next)
		fd = try_listen(a);
	if (fd == NO_SOCKET)
		perror("listen");
	freeaddrinfo(list);
	return fd;
}

static int
print_address(polling_fd fd)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	char host[64], port[8];
	bool brackets;

	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0 ||
	    getnameinfo((struct sockaddr *)&address, length, host, sizeof host,
		port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return -1;
	brackets = strchr(host, ':') != NULL;
	printf(brackets ? "listening on [%s]:%s\n" : "listening on %s:%s\n",
	    host, port);
	return fflush(stdout);
}

static bool
start(const char *address, const char *port)
{
	if (start_sockets() != 0) {
		perror("start_sockets");
		return false;
	}
	limit_connections();
	server.poller = polling_create(0);
	if (server.poller == NULL) {
		perror("polling_create");
		return false;
	}
	server.listener = listen_at(address, port);
	if (server.listener == NO_SOCKET)
		return false;
	if (polling_add(server.poller, server.listener, POLLING_IN,
		POLLING_ONESHOT, KEY_LISTENER) != 0 ||
	    polling_add_signal(
		server.poller, SIGINT, POLLING_LEVEL, KEY_SIGNAL) != 0 ||
	    polling_add_signal(
		server.poller, SIGTERM, POLLING_LEVEL, KEY_SIGNAL) != 0) {
		perror("polling_add");
		return false;
	}
	return print_address(server.listener) == 0;
}

/* All other threads have ended. */
static void
finish(void)
{
	while (server.connections != NULL)
		close_connection(server.connections);
	while (server.free != NULL) {
		struct connection *c = server.free;

		/* It takes c off the list, whatever an analyser thinks.
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		detach(c);
		discard(&c->lock);
		free(c);
	}
	polling_destroy(server.poller);
	if (server.listener != NO_SOCKET)
		close_socket(server.listener);
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: http-server [-a ADDRESS] [-i SECONDS] [-p PORT] "
	    "[-t THREADS] [-v] FOLDER\n");
	return 2;
}

int
main(int argc, char **argv)
{
	const char *address = "127.0.0.1";
	const char *port = "0";
	int threads = 1;
	int option;

	while ((option = getopt(argc, argv, "a:i:p:t:v")) != -1) {
		if (option == 'a')
			address = optarg;
		else if (option == 'i')
			server.patience.tv_sec = atoi(optarg);
		else if (option == 'p')
			port = optarg;
		else if (option == 't')
			threads = atoi(optarg);
		else if (option == 'v')
			server.verbose = true;
		else
			return usage();
	}
	if (optind != argc - 1 || threads < 1 || threads > THREADS_MAX ||
	    server.patience.tv_sec < 1)
		return usage();
	if (open_folder(&server.folder, argv[optind]) != 0) {
		perror(argv[optind]);
		return 1;
	}
	if (start(address, port))
		run(threads);
	else
		server.failed = true;
	finish();
	close_folder(&server.folder);
	return server.failed ? 1 : 0;
}
