/* SPDX-License-Identifier: MIT */
/*
 * run-children.c - runs commands, several at a time.
 *
 *     run-children [-j JOBS] [-t SECONDS] [COMMAND...]
 *
 * Each COMMAND, or without any each line of standard input, goes to a shell;
 * JOBS (2) of them run at a time. One that takes longer than SECONDS (no limit)
 * is told to end and, if it does not, killed. How each has ended is printed.
 * SIGINT, SIGTERM and SIGHUP, Ctrl-C among them, end all that runs in the same
 * way, and at a second one all is killed at once.
 *
 * The exit status is 0 if all commands have succeeded, 1 if not, 2 if misused,
 * and 128 and the signal's number if a signal has ended it.
 *
 * A process, its time-out and the signals are sources of one poller, so that
 * there is no signal handler, no thread, and no wait for one process while
 * another ends. Each child is the leader of a process group: what is told to
 * it is told to all that it has started, and Ctrl-C is told to this program
 * only.
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <polling.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 1024
#define GRACE    1 /* seconds between the word to end and the end */

extern char **environ;

/* One of the commands that run at a time. It is the key of its process and of
 * its timer, whose name it is as well. */
struct child {
	pid_t pid;      /* 0 if there is none */
	size_t number;  /* of its command, from 0 on */
	bool timed_out; /* it was told to end, and will be killed */
};

static struct {
	struct polling *poller;
	char **commands;
	size_t count;
	size_t started;
	size_t ended;
	size_t failures;
	struct child *children;
	size_t jobs;
	struct timespec limit; /* no time: no limit */
	int signo;             /* that has ended it all; 0 if none has */
} runner = {.jobs = 2};

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

/*
 * Starting
 */

/* Starts a shell with standard input at its end, in a group of its own. */
static pid_t
spawn(char *command)
{
	char *argv[] = {"sh", "-c", command, NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;

	if ((errno = posix_spawn_file_actions_init(&actions)) != 0 ||
	    (errno = posix_spawn_file_actions_addopen(
		 &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) != 0 ||
	    (errno = posix_spawnattr_init(&attributes)) != 0 ||
	    (errno = posix_spawnattr_setflags(
		 &attributes, POSIX_SPAWN_SETPGROUP)) != 0)
		die("posix_spawn");
	errno = posix_spawn(
	    &pid, "/bin/sh", &actions, &attributes, argv, environ);
	(void)posix_spawnattr_destroy(&attributes); /* frees, if anything */
	(void)posix_spawn_file_actions_destroy(&actions);
	return errno == 0 ? pid : -1;
}

/* It may have ended by itself, and a group ends with the last in it. */
static void
tell(const struct child *c, int signo)
{
	if (kill(-c->pid, signo) == -1 && errno != ESRCH && errno != EPERM)
		die("kill");
}

/* Counts a command that cannot be run, or watched. */
static void
give_up(struct child *c, const char *what)
{
	perror(what);
	if (c->pid != -1) {
		tell(c, SIGKILL);
		(void)waitpid(c->pid, NULL, 0); /* how it ends is known */
	}
	c->pid = 0;
	runner.ended++;
	runner.failures++;
}

static void
start(struct child *c)
{
	bool limited = runner.limit.tv_sec != 0 || runner.limit.tv_nsec != 0;
	uintptr_t key = (uintptr_t)c;

	c->number = runner.started++;
	c->timed_out = false;
	c->pid = spawn(runner.commands[c->number]);
	if (c->pid == -1) {
		give_up(c, "posix_spawn");
		return;
	}
	/* Also if it is dead by now: until it is waited for, it is known. */
	if (polling_add_process(runner.poller, c->pid, POLLING_EXIT, key) != 0)
		give_up(c, "polling_add_process");
	else if (limited && polling_add_timer(runner.poller, key, &runner.limit,
				NULL, key) != 0)
		die("polling_add_timer");
}

static void
start_more(void)
{
	for (size_t i = 0; i < runner.jobs && runner.signo == 0; i++) {
		while (runner.children[i].pid == 0 &&
		       runner.started < runner.count)
			start(&runner.children[i]);
	}
}

/*
 * Ending
 */

/* Asks a child to end, and has it killed later if it does not. */
static void
ask_to_end(struct child *c)
{
	const struct timespec grace = {.tv_sec = GRACE};
	uintptr_t id = (uintptr_t)c;

	tell(c, SIGTERM);
	if (polling_modify_timer(runner.poller, id, &grace, NULL, id) == 0)
		return;
	if (errno != ENOENT ||
	    polling_add_timer(runner.poller, id, &grace, NULL, id) != 0)
		die("polling_add_timer");
}

static void
time_out(struct child *c)
{
	if (c->timed_out || runner.signo != 0) {
		tell(c, SIGKILL);
	} else {
		c->timed_out = true;
		ask_to_end(c);
	}
}

/* All that runs is told to end, and the second time it is killed. */
static void
end_all(int signo)
{
	bool again = runner.signo != 0;

	runner.signo = signo;
	for (size_t i = 0; i < runner.jobs; i++) {
		if (runner.children[i].pid == 0)
			continue;
		if (again)
			tell(&runner.children[i], SIGKILL);
		else
			ask_to_end(&runner.children[i]);
	}
}

static void
print_end(const struct child *c, int status)
{
	const char *command = runner.commands[c->number];
	const char *how = "exit code";
	int code = WEXITSTATUS(status);

	if (WIFSIGNALED(status)) {
		how = "signal";
		code = WTERMSIG(status);
	}
	printf("%zu: %s %d%s: %s\n", c->number + 1, how, code,
	    c->timed_out ? ", timed out" : "", command);
	fflush(stdout);
}

/* A process identifier is free for others as soon as it was waited for, so
 * first the poller has to forget it. */
static void
reap(struct child *c)
{
	int status;

	if (polling_delete_process(runner.poller, c->pid) != 0)
		die("polling_delete_process");
	(void)polling_delete_timer(runner.poller, (uintptr_t)c); /* if any */
	if (runner.signo != 0 || c->timed_out)
		tell(c, SIGKILL); /* what it has left behind */
	if (waitpid(c->pid, &status, 0) != c->pid)
		die("waitpid");
	print_end(c, status);
	runner.ended++;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		runner.failures++;
	c->pid = 0;
}

static void
handle(const struct polling_event *event)
{
	struct child *c = (struct child *)event->key;

	if (event->events & POLLING_SIGNAL)
		end_all((int)event->key);
	else if (c->pid == 0)
		return; /* its time was up when its end was told, too */
	else if (event->events & POLLING_EXIT)
		reap(c);
	else
		time_out(c);
}

static bool
running(void)
{
	for (size_t i = 0; i < runner.jobs; i++) {
		if (runner.children[i].pid != 0)
			return true;
	}
	return false;
}

static void
run(void)
{
	struct polling_event events[32];

	start_more();
	while (running()) {
		int n = polling_wait(runner.poller, events, 32, NULL);

		if (n == -1)
			die("polling_wait");
		for (int i = 0; i < n; i++)
			handle(&events[i]);
		/* Not before all of these events are handled: an older one
		 * would be taken for one of the new child. */
		start_more();
	}
}

/*
 * Beginning and end
 */

static void
prepare(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

	runner.poller = polling_create(0);
	if (runner.poller == NULL)
		die("polling_create");
	for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
		if (polling_add_signal(runner.poller, signals[i], POLLING_LEVEL,
			(uintptr_t)signals[i]) != 0)
			die("polling_add_signal");
	}
	runner.children = calloc(runner.jobs, sizeof *runner.children);
	if (runner.children == NULL)
		die("calloc");
}

/* Reads the commands from standard input, one a line. */
static void
read_commands(void)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	while ((length = getline(&line, &size, stdin)) != -1) {
		char **more = realloc(runner.commands,
		    (runner.count + 1) * sizeof *runner.commands);

		if (more == NULL)
			die("realloc");
		if (length > 0 && line[length - 1] == '\n')
			line[length - 1] = '\0';
		runner.commands = more;
		runner.commands[runner.count++] = line;
		line = NULL;
		size = 0;
	}
	if (ferror(stdin))
		die("standard input");
	free(line);
}

static int
usage(void)
{
	fprintf(stderr,
	    "usage: run-children [-j JOBS] [-t SECONDS] [COMMAND...]\n");
	return 2;
}

/* False if it is no time. */
static bool
parse_seconds(const char *text, struct timespec *time)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds > 0 && seconds < 1e9))
		return false;
	time->tv_sec = (time_t)seconds;
	time->tv_nsec = (long)((seconds - (double)time->tv_sec) * 1e9);
	return true;
}

static int
finish(bool own_lines)
{
	printf("%zu commands: %zu succeeded, %zu failed, %zu not started\n",
	    runner.count, runner.ended - runner.failures, runner.failures,
	    runner.count - runner.started);
	polling_destroy(runner.poller);
	free(runner.children);
	for (size_t i = 0; own_lines && i < runner.count; i++)
		free(runner.commands[i]);
	if (own_lines)
		free(runner.commands);
	if (runner.signo != 0)
		return 128 + runner.signo;
	return runner.failures == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "j:t:")) != -1) {
		if (option == 'j')
			runner.jobs = strtoul(optarg, NULL, 10);
		else if (option != 't' || !parse_seconds(optarg, &runner.limit))
			return usage();
	}
	if (runner.jobs < 1 || runner.jobs > JOBS_MAX)
		return usage();
	runner.commands = argv + optind;
	runner.count = (size_t)(argc - optind);
	if (runner.count == 0) {
		runner.commands = NULL;
		read_commands();
	}
	prepare();
	run();
	return finish(argc == optind);
}
