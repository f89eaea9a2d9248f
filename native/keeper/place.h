#ifndef HOLDFAST_PLACE_H
#define HOLDFAST_PLACE_H

#include "start.h"

/*
 * Gives this process exactly the descriptors of the start's placements (inheritable) and the status pipe (close-on-exec,
 * possibly under another number: `*status_fd` is updated at once, so that a failure can still be told). 0 or errno.
 */
int place_descriptors(const struct start *start, const int *sources, int *status_fd);

#endif
