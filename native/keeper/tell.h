#ifndef HOLDFAST_TELL_H
#define HOLDFAST_TELL_H

#include "loop.h"

/* Tells the attached supervisor what it has not been told, as far as the channel takes it: signals, then children. */
void tell(struct keeper *keeper);

#endif
