/* SPDX-License-Identifier: MIT */
/*
 * nested-glib.c - a poller inside of GLib's main loop.
 *
 *     nested-glib [TICKS]
 *
 * GLib watches the descriptor of a poller, which has a timer of 100 ms and
 * SIGINT and SIGTERM, and to which a timer of GLib's own posts every 250 ms.
 * It ends after so many expirations of the poller's timer, 10 unless told
 * otherwise, or by a signal.
 *
 * A program with a graphical interface can use any library that is built on
 * a poller like this, without a thread for it.
 */
#include <glib-unix.h>
#include <glib.h>
#include <polling.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_TIMER, KEY_SIGNAL, KEY_POST };

static GMainLoop *loop;
static uint32_t ticks_left = 10;

static void
die(const char *what)
{
	perror(what);
	exit(1);
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

static void
handle(const struct polling_event *event)
{
	uint32_t data = event->data;

	if (event->key == KEY_POST) {
		printf("post %lu from GLib\n", (unsigned long)data);
	} else if (event->key == KEY_SIGNAL) {
		printf("a signal\n");
		g_main_loop_quit(loop);
	} else {
		ticks_left -= data < ticks_left ? data : ticks_left;
		printf("tick, %lu left\n", (unsigned long)ticks_left);
		if (ticks_left == 0)
			g_main_loop_quit(loop);
	}
	fflush(stdout);
}

/* GLib calls it when the descriptor is readable. What does not fit here keeps
 * it readable. */
static gboolean
dispatch(gint fd, GIOCondition condition, gpointer p)
{
	const struct timespec zero = {0};
	struct polling_event events[8];
	int n = polling_wait(p, events, 8, &zero);

	(void)fd;
	(void)condition;
	if (n == -1)
		die("polling_wait");
	for (int i = 0; i < n; i++)
		handle(&events[i]);
	return G_SOURCE_CONTINUE;
}

static gboolean
post(gpointer p)
{
	static struct polling_event event = {.key = KEY_POST};

	event.data++;
	if (polling_post(p, &event) != 0)
		die("polling_post");
	return G_SOURCE_CONTINUE;
}

int
main(int argc, char **argv)
{
	struct polling *p = make_poller();
	int fd = polling_get_fd(p);
	guint watch, timer;

	if (fd == -1)
		die("polling_get_fd");
	if (argc > 1)
		ticks_left = (uint32_t)strtoul(argv[1], NULL, 10);
	loop = g_main_loop_new(NULL, FALSE);
	watch = g_unix_fd_add(fd, G_IO_IN, dispatch, p);
	timer = g_timeout_add(250, post, p);
	g_main_loop_run(loop);
	/* First GLib has to forget the descriptor, then it may go. */
	g_source_remove(watch);
	g_source_remove(timer);
	g_main_loop_unref(loop);
	polling_destroy(p);
	printf("the end\n");
	return 0;
}
