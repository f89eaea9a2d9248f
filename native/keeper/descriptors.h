/* The descriptors that came with one frame. Each is taken by somebody, or closed when the frame is done. */
#ifndef HOLDFAST_DESCRIPTORS_H
#define HOLDFAST_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

#include "frame.h"

struct descriptors {
	size_t count;
	int numbers[FRAME_FDS_MAX]; /* in the order of the frame; readable also after they were taken */
	bool taken[FRAME_FDS_MAX];
};

/* The caller owns the descriptor from here on. */
int descriptors_take(struct descriptors *descriptors, size_t index);

/* True if one of them has a number of at least `number`. */
bool descriptors_reach(const struct descriptors *descriptors, int number);

void descriptors_close_rest(struct descriptors *descriptors);

#endif
