/* On which processors a process that is to be executed runs, and how its turn comes there and at disks. Each: 0 or errno. */
#ifndef HOLDFAST_SCHEDULE_H
#define HOLDFAST_SCHEDULE_H

#include "start.h"

int schedule_processors(const struct start *start); /* sched_setaffinity(2) */
int schedule_io(const struct start *start);         /* ioprio_set(2) */
int schedule_policy(const struct start *start);     /* sched_setscheduler(2) */

#endif
