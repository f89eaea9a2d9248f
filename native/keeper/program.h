/* The arguments of the keeper itself, of which the program of the supervisor is a part: whatever becomes of it, the next one is started with them. */
#ifndef HOLDFAST_PROGRAM_H
#define HOLDFAST_PROGRAM_H

#include <stddef.h>

#include "frame.h"

struct keeper;

/*
 * Our own arguments with another program at their end: `count` encoded strings, which were checked. The program begins at the index `own_count`. One block
 * of the budget; NULL without memory.
 */
char **program_arguments(struct keeper *keeper, struct bytes strings, size_t count, size_t *own_count);

/* From now on those are our own. Owns them. */
void program_replace(struct keeper *keeper, char **arguments, size_t own_count);

#endif
