/* SPDX-License-Identifier: MIT */
/*
 * Runs the suites against the library that it is linked with:
 *
 *     suites [-v] [-l] [-1] [SUITE[/CASE]...]
 *
 * -v prints each check, -l lists the cases instead of running them. Where
 * Check cannot fork, each case runs as a process of its own, so that one that
 * hangs or crashes is no more than one that fails; -1 runs all of them in this
 * one, for debuggers. Check's own environment (CK_FORK, CK_RUN_CASE,
 * CK_TIMEOUT_MULTIPLIER and so on) works too. Exits with 0 if all checks
 * passed, 1 if not, 2 if misused.
 */
#include "harness.h"

#include <stdio.h>

static const struct suite_part parts[] = {{"registration", add_registration},
    {"modes", add_modes}, {"conditions", add_conditions},
    {"waiting", add_waiting}, {"notify", add_notify}, {"threads", add_threads},
    {"lifetime", add_lifetime}, {"timers", add_timers}, {"idmap", add_idmap},
    {NULL, NULL}};

static const struct suite_part *const lists[] = {parts, system_parts};
#define LISTS (sizeof(lists) / sizeof(lists[0]))

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
		fprintf(stderr, "polling_create: %s\n", error_text(errno));
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
	for (int i = 0; i < PAIR_KINDS; i++)
		printf("%s%s", i == 0 ? "pairs: " : ", ", pair_kinds[i].name());
	putchar('\n');
	polling_destroy(p);
	return 0;
}

/* All in this process, or in children that Check forks. */
static int
run(SRunner *runner, bool verbose)
{
	int failed;
	unsigned skips;

	harness_count_skips();
	srunner_run_all(runner, verbose ? CK_VERBOSE : CK_ENV);
	failed = srunner_ntests_failed(runner);
	skips = harness_skips();
	printf("%u skipped\n", skips);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* What came of some cases. */
struct tally {
	int checks;
	int failures;
	int errors;
	int skips;
};

/*
 * A process that runs one case adds its figures to the file that this names,
 * and prints nothing but what went wrong.
 */
#define TALLY_VARIABLE "POLLING_TEST_TALLY"

static void
print_result(TestResult *result)
{
	static const char letters[] = {
	    [CK_PASS] = 'P', [CK_FAILURE] = 'F', [CK_ERROR] = 'E'};

	printf("%s:%d:%c:%s: %s\n", tr_lfile(result), tr_lno(result),
	    letters[tr_rtype(result)], tr_tcname(result), tr_msg(result));
}

static void
print_results(SRunner *runner, bool verbose)
{
	int count = verbose ? srunner_ntests_run(runner)
			    : srunner_ntests_failed(runner);
	TestResult **results = verbose ? srunner_results(runner)
				       : srunner_failures(runner);

	for (int i = 0; i < count; i++)
		print_result(results[i]);
	free(results);
}

static int
run_for_tally(SRunner *runner, bool verbose, const char *name)
{
	FILE *file;
	int errors = 0, failed;
	TestResult **results;

	srunner_run_all(runner, CK_SILENT);
	print_results(runner, verbose);
	failed = srunner_ntests_failed(runner);
	results = srunner_failures(runner);
	for (int i = 0; i < failed; i++)
		errors += tr_rtype(results[i]) == CK_ERROR;
	free(results);
	file = fopen(name, "a");
	if (file == NULL)
		return 2;
	fprintf(file, "%d %d %d %u\n", srunner_ntests_run(runner),
	    failed - errors, errors, harness_skips());
	if (fclose(file) != 0)
		return 2;
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Takes what the last process has left in the file. */
static bool
take_tally(const char *name, struct tally *t)
{
	FILE *file = fopen(name, "r");
	struct tally n;
	bool found;

	if (file == NULL)
		return false;
	found = fscanf(file, "%d %d %d %d", &n.checks, &n.failures, &n.errors,
		    &n.skips) == 4;
	(void)fclose(file);
	(void)remove(name);
	if (!found)
		return false;
	t->checks += n.checks;
	t->failures += n.failures;
	t->errors += n.errors;
	t->skips += n.skips;
	return true;
}

static void
run_case_apart(const struct selected_case *c, bool verbose, const char *name,
    struct tally *t)
{
	char words[128];
	int status = harness_run_apart(c, verbose, words, sizeof(words));

	if (take_tally(name, t) && status >= 0)
		return;
	if (status >= 0)
		(void)snprintf(words, sizeof(words), "exit status %#x", status);
	printf("%s/%s:E: %s\n", c->suite, c->name, words);
	t->checks++;
	t->errors++;
}

static int
run_apart(bool verbose)
{
	struct tally t = {0, 0, 0, 0};
	char name[L_tmpnam + 1],
	    variable[sizeof(TALLY_VARIABLE) + sizeof(name)];

	(void)snprintf(name, sizeof(name), "tally-%lx.tmp",
	    (unsigned long)(now_ns() / 1000 & 0xfffffff));
	(void)snprintf(
	    variable, sizeof(variable), "%s=%s", TALLY_VARIABLE, name);
	if (putenv(variable) != 0)
		return 2;
	for (size_t i = 0; i < harness_case_count; i++)
		run_case_apart(&harness_cases[i], verbose, name, &t);
	/* The lines that Check prints, for those who count. */
	printf("%d%%: Checks: %d, Failures: %d, Errors: %d\n",
	    t.checks == 0 ? 100
			  : (t.checks - t.failures - t.errors) * 100 / t.checks,
	    t.checks, t.failures, t.errors);
	printf("%d skipped\n", t.skips);
	return t.failures + t.errors == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool
is_first_of(size_t list, size_t part)
{
	for (size_t i = 0; i <= list; i++) {
		for (size_t j = 0; lists[i][j].suite != NULL; j++) {
			if (i == list && j == part)
				return true;
			if (strcmp(lists[i][j].suite,
				lists[list][part].suite) == 0)
				return false;
		}
	}
	return true;
}

static SRunner *
make_runner(void)
{
	SRunner *runner = srunner_create(NULL);

	for (size_t i = 0; i < LISTS; i++) {
		for (size_t j = 0; lists[i][j].suite != NULL; j++) {
			Suite *suite = NULL;

			if (is_first_of(i, j))
				suite = harness_suite(
				    lists[i][j].suite, lists, LISTS);
			if (suite != NULL)
				srunner_add_suite(runner, suite);
		}
	}
	return runner;
}

struct options {
	bool verbose;
	bool list;
	bool here;
};

/* Returns the number of arguments that are options, or -1. */
static int
parse(int argc, char **argv, struct options *o)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (strcmp(argv[i], "-v") == 0) {
			o->verbose = true;
		} else if (strcmp(argv[i], "-1") == 0) {
			o->here = true;
		} else if (strcmp(argv[i], "-l") == 0) {
			o->list = true;
			harness_list();
		} else {
			fprintf(stderr,
			    "usage: %s [-v] [-l] [-1] [SUITE[/CASE]...]\n",
			    argv[0]);
			return -1;
		}
	}
	return i;
}

int
main(int argc, char **argv)
{
	struct options o = {false, false, false};
	const char *tally = getenv(TALLY_VARIABLE);
	SRunner *runner;
	int first, status = EXIT_SUCCESS;

	/* Cases run in child processes: nothing must be left to be printed. */
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	harness_start();
	first = parse(argc, argv, &o);
	if (first == -1)
		return 2;
	harness_select(
	    (const char *const *)argv + first, (size_t)(argc - first));
	if (!o.list && tally == NULL && print_backend() != 0)
		return EXIT_FAILURE;
	runner = make_runner();
	if (harness_unmatched() != NULL) {
		fprintf(stderr, "%s: no such case: %s\n", argv[0],
		    harness_unmatched());
		status = 2;
	} else if (!o.list) {
		if (tally != NULL && o.here)
			status = run_for_tally(runner, o.verbose, tally);
		else if (harness_runs_apart() && !o.here)
			status = run_apart(o.verbose);
		else
			status = run(runner, o.verbose);
	}
	srunner_free(runner);
	return status;
}
