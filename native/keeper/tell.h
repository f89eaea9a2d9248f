#ifndef HOLDFAST_TELL_H
#define HOLDFAST_TELL_H

#include "loop.h"

/* Tells the attached supervisor what it has not been told, as far as the channel takes it: signals, then children. */
void tell(struct keeper *keeper);

/* When what is gathered is told; 0 = there is nothing, or nobody to tell it to. */
uint64_t tell_deadline(const struct keeper *keeper);

#endif
