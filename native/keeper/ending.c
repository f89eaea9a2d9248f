#define _GNU_SOURCE
#include "ending.h"

#include <signal.h>

#include "arm.h"
#include "clock.h"
#include "keeper.h"
#include "orphans.h"

#define SUPERVISOR_TIMEOUT (5 * NS_PER_S)
#define MOST_LOST 3
#define ORPHANS_TIMEOUT (5 * NS_PER_S)

static void begin(struct keeper *k, enum ending_phase phase, int code)
{
	k->ending.phase = phase;
	k->ending.code = code;
	k->ending.deadline = 0;
	k->supervisor.restart_at = 0;
	arms_drop_all(k);
	successor_kill(k);
}

void ending_shut_down(struct keeper *k, int code)
{
	begin(k, ENDING_SHUT_DOWN, code);
	children_signal_all(k, SIGKILL);
	supervisor_kill_at(k, clock_now() + SUPERVISOR_TIMEOUT);
}

void ending_give_up(struct keeper *k, int code)
{
	begin(k, ENDING_GAVE_UP, code);
}

static void signal_everyone(struct keeper *k, int number)
{
	children_signal_all(k, number);
	supervisor_signal(k, number);
}

/* One that crashes over the stop each time must not keep it from happening. */
void ending_supervisor_lost(struct keeper *k)
{
	if (k->signals.stop != 0)
		k->ending.lost++;
}

static void stop_without_supervisor(struct keeper *k, uint64_t now)
{
	begin(k, ENDING_STOPPING, 128 + k->signals.first_stop);
	signal_everyone(k, SIGTERM);
	k->ending.deadline = now + k->ending.grace;
}

/* A stop was asked for. Whoever is attached decides; else the grace runs. */
static void wait_for_supervisor(struct keeper *k, uint64_t now)
{
	struct ending *e = &k->ending;
	if (e->lost >= MOST_LOST) {
		stop_without_supervisor(k, now);
	} else if (k->signals.stop == 0 || channel_is_attached(&k->channel)) {
		e->deadline = 0;
	} else if (e->deadline == 0) {
		e->deadline = now + e->grace;
	} else if (clock_passed(e->deadline, now)) {
		stop_without_supervisor(k, now);
	}
}

static void sweep(struct ending *e, uint64_t now)
{
	if (!e->sweeping) {
		e->sweeping = true;
		e->deadline = now + ORPHANS_TIMEOUT;
	}
	e->complete = !orphans_kill() || clock_passed(e->deadline, now);
}

void ending_tick(struct keeper *k, uint64_t now)
{
	struct ending *e = &k->ending;
	if (e->phase == ENDING_NOT) {
		wait_for_supervisor(k, now);
	} else if (k->supervisor.pid == 0 && children_alive(k) == 0) {
		sweep(e, now);
	} else if (e->phase == ENDING_STOPPING && clock_passed(e->deadline, now)) {
		e->phase = ENDING_KILLING;
		e->deadline = 0;
		signal_everyone(k, SIGKILL);
	}
}

bool ending_is_complete(const struct keeper *k)
{
	return k->ending.complete;
}
