/* How the supervisor's process comes to be: its channel, its fork, its exec, and the pipe that tells of a failed one. */
#ifndef HOLDFAST_SUPERVISOR_PROCESS_H
#define HOLDFAST_SUPERVISOR_PROCESS_H

#include "loop.h"

/* Forks it and opens the channel to it. 0 or errno; a program that cannot be executed is found out later. */
int supervisor_process_start(struct keeper *keeper);

/* Watches the status pipe, if there is one. 0 or errno. */
int supervisor_process_watch(struct keeper *keeper);

/* Reads what the status pipe has to tell, and complains of an exec that failed: once for each reason. */
void supervisor_process_status(struct keeper *keeper);

#endif
