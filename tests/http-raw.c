/* SPDX-License-Identifier: MIT */
/*
 * http-raw.c - sends raw bytes to a server and prints the answer.
 *
 *     http-raw [-b MS] [-h] [-p MS] [-r] [-t SECONDS] PORT
 *
 * What standard input holds, up to 1 MiB, goes to 127.0.0.1 at PORT; what
 * comes back, up to its end, goes to standard output.
 *
 * -b MS       send byte by byte, with so many milliseconds after each
 * -h          half-close: shut down the writing side when all is sent
 * -p MS       pause for so long when all is sent, without reading
 * -r          reset the connection then, and print nothing
 * -t SECONDS  die if it takes longer than that (10), of SIGALRM if there is one
 *
 * Exits with 0 if the server closed in order, 3 if it reset the connection,
 * 1 at any other error and 2 if misused. It is on purpose no user of the
 * library: it must not have the faults that it is to find.
 */
#define _POSIX_C_SOURCE 200809L

#include "../doc/examples/sockets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#include <process.h>
#else
#include <poll.h>
#endif

#define INPUT_MAX 1048576

static struct {
	int byte_delay; /* -1: all at once */
	int pause;
	bool half_close;
	bool reset;
	size_t length;
	char input[INPUT_MAX];
} job = {.byte_delay = -1};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

#ifdef _WIN32
#define poll WSAPoll /* its faults, old as they are, are of no matter here */

static unsigned __stdcall die_later(void *seconds)
{
	Sleep(1000 * *(unsigned *)seconds);
	_exit(142); /* what a shell has for SIGALRM */
}

static void
set_alarm(unsigned seconds)
{
	static unsigned kept;

	kept = seconds;
	if (_beginthreadex(NULL, 0, die_later, &kept, 0, NULL) == 0)
		die("_beginthreadex");
	(void)_setmode(_fileno(stdin), _O_BINARY);
	(void)_setmode(_fileno(stdout), _O_BINARY);
}

static void
sleep_ms(int ms)
{
	Sleep((DWORD)ms);
}
#else
static void
set_alarm(unsigned seconds)
{
	alarm(seconds);
}

static void
sleep_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	while (nanosleep(&t, &t) == -1 && errno == EINTR)
		;
}
#endif

static void
read_input(void)
{
	job.length = fread(job.input, 1, sizeof job.input, stdin);
	if (ferror(stdin))
		die("standard input");
}

static polling_fd
connect_to(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = inet_addr("127.0.0.1")};
	polling_fd fd = socket(AF_INET, SOCK_STREAM, 0);
	int yes = 1;

	if (fd == NO_SOCKET)
		die("socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == -1)
		die("connect");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == -1)
		die("setsockopt");
	if (prepare_socket(fd) == -1)
		die("prepare_socket");
	return fd;
}

/* Prints what has come. False at the end. */
static bool
receive(polling_fd fd)
{
	char data[65536];
	ssize_t n = recv(fd, data, sizeof data, 0);

	if (n == -1 && errno == EAGAIN)
		return true;
	if (n == -1 && errno == ECONNRESET)
		exit(3);
	if (n == -1)
		die("recv");
	if (n > 0 && fwrite(data, 1, (size_t)n, stdout) != (size_t)n)
		die("standard output");
	return n > 0;
}

/* Sends the input, and meanwhile prints what comes. False at the end of that:
 * the server need not wait for all of a bad request. */
static bool
send_input(polling_fd fd)
{
	size_t sent = 0;

	while (sent < job.length) {
		struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
		size_t n = job.byte_delay < 0 ? job.length - sent : 1;
		ssize_t m;

		if (job.pause > 0 || job.reset)
			p.events = POLLOUT;
		if (poll(&p, 1, -1) == -1)
			die("poll");
		if ((p.revents & POLLIN) && !receive(fd))
			return false;
		if (!(p.revents & POLLOUT))
			continue;
		m = send(fd, job.input + sent, n, 0);
		if (m == -1 && (errno == EPIPE || errno == ECONNRESET))
			return true;
		if (m == -1 && errno != EAGAIN)
			die("send");
		sent += m > 0 ? (size_t)m : 0;
		if (job.byte_delay > 0)
			sleep_ms(job.byte_delay);
	}
	return true;
}

static void
run(polling_fd fd)
{
	struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	bool open = send_input(fd);

	if (open && job.half_close && shutdown(fd, SHUT_WR) == -1 &&
	    errno != ENOTCONN)
		die("shutdown");
	if (job.pause > 0)
		sleep_ms(job.pause);
	if (job.reset) {
		if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
			sizeof at_once) == -1)
			die("setsockopt");
		return;
	}
	while (open) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, -1) == -1)
			die("poll");
		open = receive(fd);
	}
	if (fflush(stdout) != 0)
		die("standard output");
}

int
main(int argc, char **argv)
{
	unsigned seconds = 10;
	polling_fd fd;
	int option;

	while ((option = getopt(argc, argv, "b:hp:rt:")) != -1) {
		if (option == 'b')
			job.byte_delay = atoi(optarg);
		else if (option == 'h')
			job.half_close = true;
		else if (option == 'p')
			job.pause = atoi(optarg);
		else if (option == 'r')
			job.reset = true;
		else if (option == 't')
			seconds = (unsigned)atoi(optarg);
		else
			return 2;
	}
	if (optind != argc - 1) {
		fprintf(stderr, "usage: http-raw [-b MS] [-h] [-p MS] [-r] "
				"[-t SECONDS] PORT <REQUEST\n");
		return 2;
	}
	set_alarm(seconds);
	if (start_sockets() == -1)
		die("start_sockets");
	read_input();
	fd = connect_to(atoi(argv[optind]));
	run(fd);
	close_socket(fd);
	return 0;
}
