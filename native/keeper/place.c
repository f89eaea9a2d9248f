#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <string.h>

#include "bare_calls.h"
#include "close_others.h"

/* A duplicate at `base` or above when `fd` is below: there nothing that is put at a target can overwrite it. Or -errno. */
static int move_above(int fd, int base)
{
	return fd >= base ? fd : bare_duplicate(fd, base);
}

static int put_at(int source, int target)
{
	int result;
	do
		result = bare_put_at(source, target); /* source and target always differ here */
	while (result == -EINTR || result == -EBUSY);
	return result;
}

int place_descriptors(const struct start *start, const int *sources, int *status_fd)
{
	int keep[START_PLACEMENTS_MAX + 1], moved[START_PLACEMENTS_MAX];
	size_t count = start->placement_count;
	int base = 0;

	/* First make room: the keeper's own table may be nearly full. */
	if (count != 0)
		memcpy(keep, sources, count * sizeof *keep);
	keep[count] = *status_fd;
	close_others(keep, count + 1);

	for (size_t i = 0; i < count; i++)
		if (start->placements[i].target >= base)
			base = start->placements[i].target + 1;
	int status = move_above(*status_fd, base);
	if (status < 0)
		return status == -EINVAL ? EMFILE : -status; /* a target above RLIMIT_NOFILE */
	*status_fd = status;
	for (size_t i = 0; i < count; i++)
		if ((moved[i] = move_above(sources[i], base)) < 0)
			return -moved[i];
	for (size_t i = 0; i < count; i++) {
		int result = put_at(moved[i], start->placements[i].target);
		if (result < 0)
			return -result;
	}

	for (size_t i = 0; i < count; i++)
		keep[i] = start->placements[i].target;
	keep[count] = status;
	close_others(keep, count + 1);
	return 0;
}
