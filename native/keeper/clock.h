#ifndef HOLDFAST_CLOCK_H
#define HOLDFAST_CLOCK_H

#include <stdint.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds. Never 0, which stands for "no deadline" wherever deadlines are kept. */
uint64_t clock_now(void);

/* The earlier of two deadlines; 0 is none. */
uint64_t clock_earlier(uint64_t a, uint64_t b);

/* True once `deadline` (0 = none, never true) has passed. */
static inline _Bool clock_passed(uint64_t deadline, uint64_t now)
{
	return deadline != 0 && deadline <= now;
}

#endif
