/* SPDX-License-Identifier: MIT */
/*
 * fuzz-model.c - the model of the contract for fuzzers that look at coverage:
 * libFuzzer and, by its driver, AFL++. fuzz-main.c has a main() for where there
 * are none.
 *
 * An input is right if the library agrees with the model and leaves no
 * descriptor open; else it aborts.
 */
#include "harness.h"

#include "model.h"

#include <fcntl.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

/* The model keeps below this. */
#define NUMBERS 256

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	harness_start();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	bool was_open[NUMBERS];

	for (int fd = 0; fd < NUMBERS; fd++)
		was_open[fd] = fcntl(fd, F_GETFD) != -1;
	model_feed(input, size, getenv("POLLING_TEST_VERBOSE") != NULL);
	for (int fd = 0; fd < NUMBERS; fd++) {
		if (was_open[fd] != (fcntl(fd, F_GETFD) != -1))
			ck_abort_msg("descriptor %d was %s", fd,
			    was_open[fd] ? "closed" : "left open");
	}
	return 0;
}
