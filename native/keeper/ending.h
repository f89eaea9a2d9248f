/*
 * The keeper's own end.
 *
 *   not        it has not been asked for
 *   shut down  asked for by the supervisor: children are killed, no supervisor is started again
 *   stopping   a stop signal waited for the whole grace with no supervisor attached, or the third supervisor ended over it: children
 *              were sent SIGTERM
 *   killing    after another grace: children were sent SIGKILL
 *   gave up    no supervisor ever attached
 *
 * In every phase but the first, once no child and no supervisor is left, orphans are killed, and when none is left, it is complete. It does not
 * wait for orphans longer than some seconds: one may be in the middle of something that cannot be interrupted.
 */
#ifndef HOLDFAST_ENDING_H
#define HOLDFAST_ENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

enum ending_phase { ENDING_NOT = 0, ENDING_SHUT_DOWN, ENDING_STOPPING, ENDING_KILLING, ENDING_GAVE_UP };

struct ending {
	enum ending_phase phase;
	int code;              /* what the keeper exits with */
	uint64_t grace;        /* ns */
	uint64_t deadline;     /* of the grace that runs, or of the wait for orphans; 0 = none */
	unsigned lost;         /* supervisors that ended while a stop was asked for */
	bool sweeping;         /* only orphans are left */
	bool complete;
};

void ending_shut_down(struct keeper *keeper, int code);
void ending_give_up(struct keeper *keeper, int code);
void ending_supervisor_lost(struct keeper *keeper);
void ending_tick(struct keeper *keeper, uint64_t now);
bool ending_is_complete(const struct keeper *keeper);

#endif
