/* SPDX-License-Identifier: MIT */
/*
 * nested-libuv.c - a poller inside of libuv's loop.
 *
 *     nested-libuv [TICKS]
 *
 * libuv watches the descriptor of a poller, which has a timer of 100 ms and
 * SIGINT and SIGTERM, and to which a timer of libuv's own posts every 250 ms.
 * It ends after so many expirations of the poller's timer, 10 unless told
 * otherwise, or by a signal.
 *
 * libuv's descriptor, from uv_backend_fd(), could be put into a poller just as
 * well, but it would not tell of libuv's timers. The poller's tells of all.
 */
#include <polling.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

enum { KEY_TIMER, KEY_SIGNAL, KEY_POST };

static uv_poll_t watch;
static uv_timer_t timer;
static uint32_t ticks_left = 10;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void
check(int result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
		exit(1);
	}
}

static struct polling *
make_poller(void)
{
	const struct timespec interval = {.tv_nsec = 100000000};
	struct polling *p = polling_create(0);

	if (p == NULL)
		die("polling_create");
	if (polling_add_timer(p, 1, &interval, &interval, KEY_TIMER) != 0)
		die("polling_add_timer");
	if (polling_add_signal(p, SIGINT, POLLING_LEVEL, KEY_SIGNAL) != 0 ||
	    polling_add_signal(p, SIGTERM, POLLING_LEVEL, KEY_SIGNAL) != 0)
		die("polling_add_signal");
	return p;
}

/* Without handles the loop has nothing to do and ends. */
static void
end_loop(void)
{
	if (uv_is_closing((uv_handle_t *)&watch))
		return;
	uv_close((uv_handle_t *)&watch, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
}

static void
handle(const struct polling_event *event)
{
	uint32_t data = event->data;

	if (event->key == KEY_POST) {
		printf("post %lu from libuv\n", (unsigned long)data);
	} else if (event->key == KEY_SIGNAL) {
		printf("a signal\n");
		end_loop();
	} else {
		ticks_left -= data < ticks_left ? data : ticks_left;
		printf("tick, %lu left\n", (unsigned long)ticks_left);
		if (ticks_left == 0)
			end_loop();
	}
	fflush(stdout);
}

/* libuv calls it when the descriptor is readable. What does not fit here
 * keeps it readable. */
static void
dispatch(uv_poll_t *w, int status, int conditions)
{
	const struct timespec zero = {0};
	struct polling_event events[8];
	int n;

	(void)conditions;
	check(status, "uv_poll_t");
	n = polling_wait(w->data, events, 8, &zero);
	if (n == -1)
		die("polling_wait");
	for (int i = 0; i < n; i++)
		handle(&events[i]);
}

static void
post(uv_timer_t *t)
{
	static struct polling_event event = {.key = KEY_POST};

	event.data++;
	if (polling_post(t->data, &event) != 0)
		die("polling_post");
}

int
main(int argc, char **argv)
{
	uv_loop_t *loop = uv_default_loop();
	struct polling *p = make_poller();
	int fd = polling_get_fd(p);

	if (fd == -1)
		die("polling_get_fd");
	if (argc > 1)
		ticks_left = (uint32_t)strtoul(argv[1], NULL, 10);
	check(uv_poll_init(loop, &watch, fd), "uv_poll_init");
	check(uv_timer_init(loop, &timer), "uv_timer_init");
	watch.data = timer.data = p;
	check(uv_poll_start(&watch, UV_READABLE, dispatch), "uv_poll_start");
	check(uv_timer_start(&timer, post, 250, 250), "uv_timer_start");
	check(uv_run(loop, UV_RUN_DEFAULT), "uv_run");
	/* libuv has forgotten the descriptor, so it may go. */
	check(uv_loop_close(loop), "uv_loop_close");
	polling_destroy(p);
	printf("the end\n");
	return 0;
}
