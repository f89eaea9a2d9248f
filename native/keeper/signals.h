/* The signals that the keeper is sent: those that it forwards, and SIGCHLD, which wakes the reaper. */
#ifndef HOLDFAST_SIGNALS_H
#define HOLDFAST_SIGNALS_H

#include <stdint.h>

#include "loop.h"

struct signals {
	int fd;
	struct watcher watcher;
	uint64_t untold;     /* bit N-1 = signal N waits to be forwarded */
	uint64_t stop;       /* those that ask for the end. A stop that was asked for stays asked for */
	int first_stop;      /* the first of them; 0 = none */
};

/* Blocks what is to be read and starts to watch. 0 or errno. */
int signals_open(struct keeper *keeper);

/* For a supervisor that knows nothing. */
void signals_tell_again(struct signals *signals);

#endif
