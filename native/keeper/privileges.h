/* Capabilities of a process that is to be executed: capabilities(7). */
#ifndef HOLDFAST_PRIVILEGES_H
#define HOLDFAST_PRIVILEGES_H

#include "start.h"

/* Before the user changes: what is permitted outlives that, if the start says anything of capabilities. 0 or errno. */
int privileges_keep(const struct start *start);

/*
 * After it: cuts the bounding set, then permits what was asked, and makes it ambient, so that it outlives execve(2) of a program that
 * knows nothing of it. 0 or errno.
 */
int privileges_set(const struct start *start);

#endif
