/*
 * The beginning of a keeper that takes the place of one that was killed: `--supervised-by FD`. At the other end of that channel is the supervisor
 * of the one before. It gives us what it knows (hold, adopt), says `handed over`, and ends; then we start a supervisor of our own. Should it end
 * before, we know only a part and must start nothing.
 */
#ifndef HOLDFAST_HAND_OVER_H
#define HOLDFAST_HAND_OVER_H

#include "loop.h"
#include "request.h"

/* Takes ownership of `fd`. 0 or errno. */
int hand_over_begin(struct keeper *keeper, int fd);

/* The request; 0 or errno. EPERM: nobody hands over. */
int hand_over_complete(struct keeper *keeper, const struct request *request);

/* The channel of a process that is not our child has ended. Does not return if it had not completed. */
void hand_over_ended(struct keeper *keeper);

#endif
