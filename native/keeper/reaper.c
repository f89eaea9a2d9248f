#define _GNU_SOURCE
#include "reaper.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "keeper.h"
#include "trial.h"

enum { REAPED_PER_ROUND = 256 }; /* a storm of orphans must not keep us from everything else */

void reaper_run(struct keeper *k)
{
	trial_sweep(k->reexec.pid);
	for (int i = 0; i < REAPED_PER_ROUND; i++) {
		struct rusage usage;
		int wait_status;
		pid_t pid = wait4(-1, &wait_status, WNOHANG, &usage);
		if (pid < 0 && errno == EINTR)
			continue;
		if (pid <= 0) {
			k->reaper.wanted = false;
			return;
		}
		if (pid == k->supervisor.pid) {
			supervisor_reaped(k, wait_status);
			continue;
		}
		if (pid == k->reexec.pid) {
			reexec_reaped(k, wait_status);
			continue;
		}
		if (successor_reaped(k, pid, wait_status))
			continue;
		struct child *child = child_by_pid(k, pid);
		if (child != NULL)
			child_reaped(k, child, wait_status, &usage);
	}
	k->reaper.wanted = true;
}
