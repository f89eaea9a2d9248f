#ifndef HOLDFAST_CLOSE_OTHERS_H
#define HOLDFAST_CLOSE_OTHERS_H

#include <stddef.h>

/* Closes every descriptor of the process but the `count` ones in `keep`, which it sorts. */
void close_others(int *keep, size_t count);

#endif
