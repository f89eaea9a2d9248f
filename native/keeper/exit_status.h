/* How a process ended that is not our child. */
#ifndef HOLDFAST_EXIT_STATUS_H
#define HOLDFAST_EXIT_STATUS_H

#include <sys/types.h>

/*
 * For a pidfd that polls readable: 0 and the wait status; EAGAIN: its parent has not reaped it, and only then the kernel tells us; any other errno:
 * nobody will tell.
 *
 * PIDFD_GET_INFO tells it of what was reaped (Linux 6.15), /proc/PID/stat of a zombie.
 */
int exit_status(int pidfd, pid_t pid, int *wait_status);

#endif
