/* How many processes an arm for connections may start (acceptor.h), as it was asked for. */
#ifndef HOLDFAST_ACCEPTOR_LIMITS_H
#define HOLDFAST_ACCEPTOR_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

struct acceptor_limits {
	uint32_t most;
	uint32_t most_per_source; /* 0 = any number */
	uint8_t prefix4, prefix6; /* bits of an address that make a source */
	bool refuse;              /* at `most`: accept and close, instead of leaving it in the queue */
	uint32_t burst;           /* 0 = any number */
	uint32_t interval_ms;
	uint64_t after;           /* numbers begin behind this one */
};

void acceptor_limits_decode(struct reader *r, struct acceptor_limits *limits);

#endif
