#ifndef HOLDFAST_INHERITANCE_H
#define HOLDFAST_INHERITANCE_H

#include <stdbool.h>

struct keeper;

/*
 * Lets all descriptors that the state names live over execve(2), or no more. 0 or errno: EBADF if one of them is not there; then some were changed.
 * Nothing may be forked in between.
 */
int inheritance_set(const struct keeper *keeper, bool inheritable);

#endif
