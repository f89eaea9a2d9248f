/* The whole state of the keeper. There is one, and every function that needs it is given it. */
#ifndef HOLDFAST_KEEPER_H
#define HOLDFAST_KEEPER_H

#include <stdint.h>
#include <sys/resource.h>

#include "acceptor.h"
#include "budget.h"
#include "channel.h"
#include "child.h"
#include "drain.h"
#include "ending.h"
#include "loop.h"
#include "message.h"
#include "reaper.h"
#include "reexec.h"
#include "request.h"
#include "shared.h"
#include "signals.h"
#include "start.h"
#include "successor.h"
#include "supervisor.h"
#include "table.h"

struct keeper {
	uint64_t started;
	struct rlimit nofile_before; /* what we were started with; children get it back */
	int reserved_from;           /* descriptors from this number on are for the next supervisor's start alone */
	struct loop loop;
	struct budget budget;
	struct table tables[TABLE_COUNT];
	struct news news;
	struct news gathered;    /* of processes for connections, told together, */
	uint64_t gathered_until; /* not before then */
	struct drain_total drained;
	struct channel channel;
	struct supervisor supervisor;
	struct successor successor;
	char **program;         /* owned: our own arguments since the program of the supervisor was replaced; NULL = as we were started */
	struct signals signals;
	struct reaper reaper;
	struct ending ending;
	struct acceptors acceptors;
	uint64_t adopted_until; /* when one that was adopted, has ended and was not reaped is given up; 0 = there is none */
	struct reexec reexec;
	struct message message; /* the frame that is being handled */
	struct start start;     /* the start that is being handled */
	struct shared shared[SHARED_PLACES];
};

#endif
