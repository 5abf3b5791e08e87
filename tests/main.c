/* SPDX-License-Identifier: MIT */
/*
 * Runs the suites against the library that it is linked with:
 *
 *     suites [-v] [-l] [SUITE[/CASE]...]
 *
 * -v prints each check, -l lists the cases instead of running them. Check's
 * own environment (CK_FORK, CK_RUN_CASE, CK_TIMEOUT_MULTIPLIER and so on)
 * works too. Exits with 0 if all checks passed, 1 if not, 2 if misused.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>

static const struct {
	const char *name;
	Suite *(*make)(void);
} suites[] = {{"registration", suite_registration}, {"modes", suite_modes},
    {"conditions", suite_conditions}, {"waiting", suite_waiting},
    {"notify", suite_notify}, {"threads", suite_threads},
    {"lifetime", suite_lifetime}, {"files", suite_files}};

static const char *const features[] = {[POLLING_FEATURE_LEVEL] = "level",
    [POLLING_FEATURE_EDGE] = "edge",
    [POLLING_FEATURE_PRI] = "pri",
    [POLLING_FEATURE_RDHUP] = "rdhup",
    [POLLING_FEATURE_TIMER] = "timer",
    [POLLING_FEATURE_SIGNAL] = "signal",
    [POLLING_FEATURE_PROCESS] = "process",
    [POLLING_FEATURE_PROCESS_FORK] = "process-fork",
    [POLLING_FEATURE_WAITABLE] = "waitable",
    [POLLING_FEATURE_FD] = "fd",
    [POLLING_FEATURE_FILE] = "file",
    [POLLING_FEATURE_NANOSECOND] = "nanosecond"};

static int
print_backend(void)
{
	struct polling *p = polling_create(0);

	if (p == NULL) {
		perror("polling_create");
		return -1;
	}
	printf(
	    "libpolling %s, backend %s:", polling_version(), polling_backend());
	for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		if (polling_supports(p, i))
			printf(" %s", features[i]);
	}
	putchar('\n');
	if (supported_modes() < MODES)
		printf("without the edge modes: refused, not tried\n");
	polling_destroy(p);
	return 0;
}

static int
run(SRunner *runner, bool verbose)
{
	int failed;
	unsigned skips;

	/* A write to a pipe without a reader is to fail, not to kill. */
	(void)signal(SIGPIPE, SIG_IGN);
	harness_count_skips();
	srunner_run_all(runner, verbose ? CK_VERBOSE : CK_ENV);
	failed = srunner_ntests_failed(runner);
	skips = harness_skips();
	printf("%u skipped\n", skips);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static SRunner *
make_runner(void)
{
	SRunner *runner = srunner_create(NULL);

	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		Suite *suite = harness_suite(suites[i].name, suites[i].make);

		if (suite != NULL)
			srunner_add_suite(runner, suite);
	}
	return runner;
}

int
main(int argc, char **argv)
{
	bool verbose = false, list = false;
	SRunner *runner;
	int i, status = EXIT_SUCCESS;

	/* Cases run in child processes: nothing must be left to be printed. */
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
		} else if (strcmp(argv[i], "-l") == 0) {
			list = true;
			harness_list();
		} else {
			fprintf(stderr,
			    "usage: %s [-v] [-l] [SUITE[/CASE]...]\n", argv[0]);
			return 2;
		}
	}
	harness_select((const char *const *)argv + i, (size_t)(argc - i));
	if (!list && print_backend() != 0)
		return EXIT_FAILURE;
	runner = make_runner();
	if (harness_unmatched() != NULL) {
		fprintf(stderr, "%s: no such case: %s\n", argv[0],
		    harness_unmatched());
		status = 2;
	} else if (!list) {
		status = run(runner, verbose);
	}
	srunner_free(runner);
	return status;
}
