#define _GNU_SOURCE
#include "descriptors.h"

#include <unistd.h>

int descriptors_take(struct descriptors *descriptors, size_t index)
{
	descriptors->taken[index] = true;
	return descriptors->numbers[index];
}

bool descriptors_reach(const struct descriptors *descriptors, int number)
{
	for (size_t i = 0; i < descriptors->count; i++)
		if (descriptors->numbers[i] >= number)
			return true;
	return false;
}

void descriptors_close_rest(struct descriptors *descriptors)
{
	for (size_t i = 0; i < descriptors->count; i++)
		if (!descriptors->taken[i])
			close(descriptors->numbers[i]);
	descriptors->count = 0;
}
