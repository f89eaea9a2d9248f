/* Processes that became the keeper's because their parents ended: nobody's, and at the end everybody's nuisance. */
#ifndef HOLDFAST_ORPHANS_H
#define HOLDFAST_ORPHANS_H

#include <stdbool.h>

/*
 * SIGKILL to every child of this process. False once there is none, dead or alive. For when all that was started on request has ended:
 * it makes no difference between children.
 */
bool orphans_kill(void);

#endif
