/* SPDX-License-Identifier: MIT */
/*
 * model.h - the model of the contract, for those who do not drive it by a seed
 * but by the bytes of an input: each choice is one byte, or four of them. What
 * disagrees with the model ends in ck_abort_msg().
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seeds with which the library was once found to be wrong. */
#define MODEL_FOUND 9
extern const uint64_t model_found[MODEL_FOUND];

/* Does what the input says until it is used up; verbose prints it. */
void model_feed(const uint8_t *input, size_t size, bool verbose);

/* Does what the seed says, and stores the input that says the same, as far as
 * there is room. Returns its size. */
size_t model_record(uint64_t seed, uint8_t *input, size_t room);

#endif /* TESTS_MODEL_H */
