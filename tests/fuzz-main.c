/* SPDX-License-Identifier: MIT */
/*
 * fuzz-main.c - replays inputs of fuzz-model.c, without a fuzzer.
 *
 *     fuzz-model [-v] FILE...       does what the files say; -v prints it
 *     fuzz-model -w FOLDER COUNT    writes inputs that do the same as the seeds
 *                                   1 to COUNT and those that found something
 *
 * An input that the library does not pass ends the program by SIGABRT, one that
 * hangs by SIGALRM. Exits with 2 if misused.
 */
#include "harness.h"

#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* Fuzzers are told to make none that are longer. */
#define SIZE_MAX_INPUT 4096

#define HANGS_AFTER 120 /* seconds, stretched */

static bool
replay(const char *name)
{
	/* Of its own size, so that a read behind its end is seen. */
	static uint8_t buffer[SIZE_MAX_INPUT];
	FILE *file = fopen(name, "rb");
	uint8_t *input;
	size_t size;

	if (file == NULL) {
		perror(name);
		return false;
	}
	size = fread(buffer, 1, sizeof(buffer), file);
	(void)fclose(file);
	input = malloc(size + (size == 0));
	if (input == NULL)
		abort();
	memcpy(input, buffer, size);
	/* Said before, since after a failure there is no saying it. */
	printf("%s\n", name);
	(void)fflush(stdout);
	(void)alarm((unsigned)(HANGS_AFTER * time_scale()));
	(void)LLVMFuzzerTestOneInput(input, size);
	(void)alarm(0);
	free(input);
	return true;
}

static bool
write_seed(const char *folder, uint64_t seed)
{
	static uint8_t input[SIZE_MAX_INPUT];
	char name[4096];
	size_t size = model_record(seed, input, sizeof(input));
	FILE *file;
	bool written;

	(void)snprintf(name, sizeof(name), "%s/seed-%" PRIu64, folder, seed);
	file = fopen(name, "wb");
	if (file == NULL) {
		perror(name);
		return false;
	}
	written = fwrite(input, 1, size, file) == size;
	return fclose(file) == 0 && written;
}

static bool
write_seeds(const char *folder, uint64_t count)
{
	for (int i = 0; i < MODEL_FOUND; i++) {
		if (!write_seed(folder, model_found[i]))
			return false;
	}
	for (uint64_t seed = 1; seed <= count; seed++) {
		if (!write_seed(folder, seed))
			return false;
	}
	return true;
}

int
main(int argc, char **argv)
{
	int first = 1;

	(void)LLVMFuzzerInitialize(&argc, &argv);
	if (argc == 4 && strcmp(argv[1], "-w") == 0)
		return !write_seeds(argv[2], strtoull(argv[3], NULL, 10));
	if (argc > 1 && strcmp(argv[1], "-v") == 0) {
		(void)setenv("POLLING_TEST_VERBOSE", "1", 1);
		first++;
	}
	if (argc == first || argv[first][0] == '-') {
		fprintf(stderr,
		    "usage: %s [-v] FILE...\n       %s -w FOLDER COUNT\n",
		    argv[0], argv[0]);
		return 2;
	}
	for (int i = first; i < argc; i++) {
		if (!replay(argv[i]))
			return 2;
	}
	printf("%d inputs follow the model of %s\n", argc - first,
	    polling_backend());
	return EXIT_SUCCESS;
}
