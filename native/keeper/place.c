#define _GNU_SOURCE
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "close_others.h"

/* A duplicate at `base` or above when `fd` is below: there no dup2 to a target can overwrite it. */
static int move_above(int fd, int base)
{
	return fd >= base ? fd : fcntl(fd, F_DUPFD_CLOEXEC, base);
}

static int put_at(int source, int target)
{
	int result;
	do
		result = dup2(source, target); /* without close-on-exec; source and target always differ here */
	while (result < 0 && (errno == EINTR || errno == EBUSY));
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
		return errno == EINVAL ? EMFILE : errno; /* a target above RLIMIT_NOFILE */
	*status_fd = status;
	for (size_t i = 0; i < count; i++)
		if ((moved[i] = move_above(sources[i], base)) < 0)
			return errno;
	for (size_t i = 0; i < count; i++)
		if (put_at(moved[i], start->placements[i].target) < 0)
			return errno;

	for (size_t i = 0; i < count; i++)
		keep[i] = start->placements[i].target;
	keep[count] = status;
	close_others(keep, count + 1);
	return 0;
}
