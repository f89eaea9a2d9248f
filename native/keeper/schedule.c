#define _GNU_SOURCE
#include "schedule.h"

#include <string.h>

#include "bare_calls.h"

int schedule_processors(const struct start *start)
{
	unsigned long mask[START_PROCESSORS_MAX / sizeof(unsigned long)] = {0}; /* little endian, as it travels */
	if ((start->flags & START_PROCESSORS) == 0)
		return 0;
	memcpy(mask, start->processors.at, start->processors.length);
	return -bare_set_affinity(mask, sizeof mask);
}

int schedule_io(const struct start *start)
{
	if ((start->flags & START_IO_PRIORITY) == 0)
		return 0;
	return -bare_set_io_priority(start->io_priority);
}

int schedule_policy(const struct start *start)
{
	if ((start->flags & START_POLICY) == 0)
		return 0;
	return -bare_set_scheduler(start->policy, start->policy_priority);
}
