#define _GNU_SOURCE
#include "hand_over.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"
#include "complain.h"
#include "keeper.h"

enum { EXIT_INCOMPLETE = 111 };

int hand_over_begin(struct keeper *k, int fd)
{
	struct ucred peer;
	socklen_t length = sizeof peer;
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return errno;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return errno;
	k->supervisor.handing_over = true;
	return channel_open(k, &k->channel, fd, peer.pid);
}

int hand_over_complete(struct keeper *k, const struct request *request)
{
	struct supervisor *s = &k->supervisor;
	if (!s->handing_over)
		return EPERM;
	s->handing_over = false;
	s->starts = request->supervisors;
	if (request->nofile != 0 && request->nofile < k->nofile_before.rlim_max)
		k->nofile_before.rlim_cur = request->nofile;
	return 0;
}

void hand_over_ended(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	if (s->handing_over) {
		complain("the supervisor of the keeper before ended before it had handed over everything: nothing is started");
		exit(EXIT_INCOMPLETE);
	}
	channel_close(k, &k->channel);
	drains_begin_all(k);
	s->last_end = END_EXITED;
	s->last_end_at = clock_now();
	if (k->ending.phase == ENDING_NOT)
		s->restart_at = s->last_end_at;
}
