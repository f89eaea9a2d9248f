#define _GNU_SOURCE
#include "schedule.h"

#include <errno.h>
#include <string.h>

#include "system_calls.h"

int schedule_processors(const struct start *start)
{
	unsigned long mask[START_PROCESSORS_MAX / sizeof(unsigned long)] = {0}; /* little endian, as it travels */
	if ((start->flags & START_PROCESSORS) == 0)
		return 0;
	memcpy(mask, start->processors.at, start->processors.length);
	return sys_sched_setaffinity(mask, sizeof mask) == 0 ? 0 : errno;
}

int schedule_io(const struct start *start)
{
	if ((start->flags & START_IO_PRIORITY) == 0)
		return 0;
	return sys_ioprio_set(start->io_priority) == 0 ? 0 : errno;
}

int schedule_policy(const struct start *start)
{
	if ((start->flags & START_POLICY) == 0)
		return 0;
	return sys_sched_setscheduler(start->policy, start->policy_priority) == 0 ? 0 : errno;
}
