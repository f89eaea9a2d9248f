#define _GNU_SOURCE
#include "fetch_fd.h"

#include <errno.h>
#include <unistd.h>

#include "keeper.h"
#include "system_calls.h"

int fetch_fd(const struct keeper *k, int pidfd, int number, int *fd)
{
	*fd = sys_pidfd_getfd(pidfd, number);
	if (*fd < 0)
		return errno;
	if (*fd < k->reserved_from)
		return 0;
	close(*fd);
	*fd = -1;
	return EMFILE;
}
