/* How the supervisor's process comes to be: its channel, its fork, its exec, and the pipe that tells of a failed one. */
#ifndef HOLDFAST_SUPERVISOR_PROCESS_H
#define HOLDFAST_SUPERVISOR_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"

/* One that was forked. Its descriptors are the caller's. */
struct supervisor_process {
	pid_t pid;
	int channel; /* our end */
	int status;  /* what tells of an exec that failed, for supervisor_process_exec_error */
};

/* 0 or errno. `shadow`: it is told that it has to look without touching first. */
int supervisor_process_fork(char *const *arguments, bool shadow, struct supervisor_process *process);

/* Of one that has ended; 0 = it was executed, or `status` is -1. */
int supervisor_process_exec_error(int status);

/* Forks it and opens the channel to it. 0 or errno; a program that cannot be executed is found out later. */
int supervisor_process_start(struct keeper *keeper);

/* Watches the status pipe, if there is one. 0 or errno. */
int supervisor_process_watch(struct keeper *keeper);

/* Reads what the status pipe has to tell, and complains of an exec that failed: once for each reason. */
void supervisor_process_status(struct keeper *keeper);

#endif
