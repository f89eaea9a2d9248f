#define _GNU_SOURCE
#include "supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "hand_over.h"
#include "keeper.h"
#include "supervisor_process.h"

#define HEALTHY_AFTER (10 * NS_PER_S)
#define BACKOFF_FIRST (100 * NS_PER_MS)
#define BACKOFF_LAST (5 * NS_PER_S)
#define KILL_AFTER_HANG_UP (1 * NS_PER_S)

enum { ENDS_BEFORE_GIVING_UP = 5, EXIT_NEVER_ATTACHED = 70 };

static void kill_as(struct supervisor *s, enum supervisor_end reason)
{
	if (s->pid == 0)
		return;
	s->killed_as = reason;
	kill(s->pid, SIGKILL); /* only we reap, so the pid is still its own */
}

void supervisor_signal(struct keeper *k, int number)
{
	if (k->supervisor.pid != 0)
		kill(k->supervisor.pid, number);
}

void supervisor_is_hung(struct keeper *k)
{
	kill_as(&k->supervisor, END_HUNG);
}

pid_t supervisor_replaced(struct keeper *k, pid_t pid)
{
	struct supervisor *s = &k->supervisor;
	pid_t before = s->pid;
	if (s->status_fd >= 0) {
		loop_remove(&k->loop, s->status_fd);
		close(s->status_fd);
		s->status_fd = -1;
	}
	s->pid = pid;
	s->starts++;
	s->attached = false;
	s->exec_error = 0;
	s->attached_for = 0;
	s->restart_at = s->kill_at = s->heartbeat_at = 0;
	s->kill_as = s->killed_as = END_NONE;
	s->last_end = END_EXITED; /* as good as: it has ceded */
	s->last_detail = 0;
	s->last_end_at = clock_now();
	return before;
}

void supervisor_kill_at(struct keeper *k, uint64_t deadline)
{
	k->supervisor.kill_at = deadline;
	k->supervisor.kill_as = END_NONE;
}

void supervisor_start(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	s->restart_at = s->kill_at = s->heartbeat_at = 0;
	s->kill_as = s->killed_as = END_NONE;
	s->exec_error = 0;
	s->attached_for = 0;
	s->attached = false;
	s->starts++;
	int error = supervisor_process_start(k);
	if (error == 0) {
		s->heartbeat_at = s->attach_within == 0 ? 0 : clock_now() + s->attach_within;
		return;
	}
	s->backoff = s->backoff == 0 ? BACKOFF_FIRST : clock_earlier(s->backoff * 2, BACKOFF_LAST);
	s->restart_at = clock_now() + s->backoff;
	complain("the supervisor cannot be started: %s; tried again in %llu ms", strerror(error),
		 (unsigned long long)(s->backoff / NS_PER_MS));
}

void supervisor_hung_up(struct keeper *k)
{
	struct supervisor *s = &k->supervisor;
	if (s->pid == 0) {
		hand_over_ended(k);
		return;
	}
	if (channel_is_attached(&k->channel))
		s->attached_for = clock_now() - k->channel.attached_at;
	channel_close(k, &k->channel);
	s->heartbeat_at = 0;
	if (k->ending.phase == ENDING_NOT) {
		s->kill_at = clock_now() + KILL_AFTER_HANG_UP;
		s->kill_as = END_PROTOCOL;
	}
}

/* Keeps for `hello` why it ended. A kill of ours explains the end only if it is what ended it. */
static void remember_end(struct supervisor *s, int wait_status)
{
	s->last_end_at = clock_now();
	if (WIFEXITED(wait_status)) {
		s->last_end = END_EXITED;
		s->last_detail = (uint32_t)WEXITSTATUS(wait_status);
	} else if (s->killed_as != END_NONE && WTERMSIG(wait_status) == SIGKILL) {
		s->last_end = s->killed_as;
		s->last_detail = 0;
	} else {
		s->last_end = END_SIGNAL;
		s->last_detail = (uint32_t)WTERMSIG(wait_status);
	}
}

static void complain_of_end(const struct supervisor *s, pid_t pid, const char *consequence)
{
	if (s->exec_error != 0)
		return; /* said already */
	switch (s->last_end) {
	case END_NONE:
		return;
	case END_EXITED:
		complain("the supervisor (pid %d) exited with code %u; %s", (int)pid, (unsigned)s->last_detail, consequence);
		return;
	case END_SIGNAL:
		complain("the supervisor (pid %d) was killed by %s; %s", (int)pid, signal_name((int)s->last_detail), consequence);
		return;
	case END_HUNG:
		complain("the supervisor (pid %d) %s and was killed; %s", (int)pid,
			 s->attached ? "missed its heartbeat" : "did not attach in time", consequence);
		return;
	case END_PROTOCOL:
		complain("the supervisor (pid %d) closed its channel, did not exit and was killed; %s", (int)pid, consequence);
		return;
	}
}

static void give_up(struct keeper *k, pid_t pid)
{
	struct supervisor *s = &k->supervisor;
	int code = EXIT_NEVER_ATTACHED;
	if (s->last_end == END_EXITED && s->last_detail != 0)
		code = (int)s->last_detail;
	complain_of_end(s, pid, "given up");
	complain("no supervisor has ever attached, and %d have ended: exiting with code %d", ENDS_BEFORE_GIVING_UP, code);
	ending_give_up(k, code);
}

static void plan_restart(struct keeper *k, pid_t pid)
{
	struct supervisor *s = &k->supervisor;
	char consequence[64] = "started again at once";
	if (s->attached_for >= HEALTHY_AFTER)
		s->backoff = 0;
	else
		s->backoff = s->backoff == 0 ? BACKOFF_FIRST : clock_earlier(s->backoff * 2, BACKOFF_LAST);
	if (s->backoff != 0)
		snprintf(consequence, sizeof consequence, "started again in %llu ms",
			 (unsigned long long)(s->backoff / NS_PER_MS));
	s->restart_at = clock_now() + s->backoff;
	complain_of_end(s, pid, consequence);
}

void supervisor_reaped(struct keeper *k, int wait_status)
{
	struct supervisor *s = &k->supervisor;
	pid_t pid = s->pid;
	supervisor_process_status(k);
	s->pid = 0;
	s->kill_at = s->heartbeat_at = 0;
	if (channel_is_attached(&k->channel))
		s->attached_for = clock_now() - k->channel.attached_at;
	/* What it had sent before it died was asked for: a hold or a spawn counts, and so does `shut down`. */
	channel_drain(k, &k->channel);
	drains_begin_all(k);
	s->kill_at = s->heartbeat_at = 0;
	remember_end(s, wait_status);
	if (successor_lost_supervisor(k))
		s->attached_for = HEALTHY_AFTER;
	if (k->ending.phase != ENDING_NOT)
		return;
	ending_supervisor_lost(k);
	if (!s->ever_attached && ++s->ends_in_a_row >= ENDS_BEFORE_GIVING_UP)
		give_up(k, pid);
	else
		plan_restart(k, pid);
}

static void check_heartbeat(struct keeper *k, uint64_t now)
{
	struct supervisor *s = &k->supervisor;
	/* It may have been us who did not look: a keeper that was stopped finds the heartbeats waiting. */
	if (!channel_serve_waiting(k, &k->channel)) {
		supervisor_hung_up(k);
		return;
	}
	if (!clock_passed(s->heartbeat_at, now))
		return;
	s->heartbeat_at = 0;
	kill_as(s, END_HUNG);
}

void supervisor_tick(struct keeper *k, uint64_t now)
{
	struct supervisor *s = &k->supervisor;
	if (clock_passed(s->heartbeat_at, now))
		check_heartbeat(k, now);
	if (clock_passed(s->kill_at, now)) {
		s->kill_at = 0;
		kill_as(s, s->kill_as);
	}
	if (clock_passed(s->restart_at, now) && k->ending.phase == ENDING_NOT)
		supervisor_start(k);
}

uint64_t supervisor_deadline(const struct supervisor *s)
{
	return clock_earlier(s->restart_at, clock_earlier(s->kill_at, s->heartbeat_at));
}

void supervisor_hello(struct keeper *k, const struct request *request, struct writer *hello)
{
	const struct supervisor *s = &k->supervisor;
	writer_u16(hello, PROTOCOL_VERSION);
	writer_u32(hello, request->features & FEATURES);
	writer_i32(hello, getpid());
	writer_u64(hello, k->started);
	writer_u32(hello, s->starts);
	writer_u8(hello, (uint8_t)s->last_end);
	writer_u32(hello, s->last_detail);
	writer_u64(hello, s->last_end_at);
	writer_u64(hello, k->channel.dropped);
	if ((request->features & FEATURE_REEXEC) != 0) {
		writer_u32(hello, k->reexec.count);
		writer_u64(hello, k->reexec.last_at);
	}
	if ((request->features & FEATURE_HAND_OVER) != 0)
		writer_u64(hello, k->nofile_before.rlim_cur);
}

int supervisor_attach(struct keeper *k, const struct request *request, struct writer *hello)
{
	struct supervisor *s = &k->supervisor;
	if (k->ending.phase != ENDING_NOT)
		return ESHUTDOWN;
	if (request->mode != ATTACH_LEASE)
		return EPERM; /* it has the lease already */
	if (request->lowest_version > PROTOCOL_VERSION || request->highest_version < PROTOCOL_VERSION)
		return EPROTONOSUPPORT;
	if (!channel_is_attached(&k->channel))
		k->channel.attached_at = clock_now();
	if (!s->attached)
		s->heartbeat_at = 0; /* in time; from its first heartbeat on it is watched by those */
	s->attached = true;
	s->ever_attached = true;
	children_tell_all(k);
	acceptors_tell_all(k);
	signals_tell_again(&k->signals);
	supervisor_hello(k, request, hello);
	return 0;
}

void supervisor_heartbeat(struct keeper *k, uint32_t next_ms)
{
	k->supervisor.heartbeat_at = next_ms == 0 ? 0 : clock_now() + next_ms * NS_PER_MS;
}
