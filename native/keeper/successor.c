#define _GNU_SOURCE
#include "successor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "keeper.h"
#include "program.h"
#include "supervisor_process.h"

#define BEFORE_ENDS_WITHIN (10 * NS_PER_S)

void successor_init(struct successor *s)
{
	s->channel.fd = s->status_fd = s->before_fd = -1;
}

bool successor_is_under_way(const struct successor *s)
{
	return s->phase != SUCCESSOR_NONE || s->answering || s->pid != 0;
}

static bool only_looks(const struct successor *s)
{
	return s->phase == SUCCESSOR_TRYING || s->phase == SUCCESSOR_WILLING;
}

static void close_status(struct successor *s)
{
	if (s->status_fd >= 0)
		close(s->status_fd);
	s->status_fd = -1;
}

static void forget_program(struct keeper *k)
{
	budget_give(&k->budget, k->successor.arguments);
	k->successor.arguments = NULL;
}

/* The reply to `upgrade` is due; with all but the first result the try is over. */
static void conclude(struct keeper *k, enum upgrade_result result, int32_t detail)
{
	struct successor *s = &k->successor;
	s->deadline = 0;
	s->answering = true;
	s->result = result;
	s->detail = detail;
	if (result == UPGRADE_WILLING) {
		s->phase = SUCCESSOR_WILLING;
		return;
	}
	s->phase = SUCCESSOR_NONE;
	forget_program(k);
}

int successor_request(struct keeper *k, const struct request *request, uint32_t id)
{
	struct successor *s = &k->successor;
	struct supervisor_process process;
	if (k->ending.phase != ENDING_NOT)
		return ESHUTDOWN;
	if (successor_is_under_way(s) || k->reexec.phase != REEXEC_IDLE || k->supervisor.handing_over)
		return EBUSY;
	s->arguments = program_arguments(k, request->arguments, request->argument_count, &s->own_count);
	if (s->arguments == NULL)
		return ENOMEM;
	int error = supervisor_process_fork(s->arguments + s->own_count, true, &process);
	if (error != 0) {
		forget_program(k);
		return error;
	}
	s->pid = process.pid;
	s->status_fd = process.status;
	s->id = id;
	s->within = request->within_ms * NS_PER_MS;
	s->deadline = clock_now() + s->within;
	s->timed_out = s->wanted_lease = s->told_lease = false;
	s->other_protocol = 0;
	s->words[0] = '\0';
	s->phase = SUCCESSOR_TRYING;
	if (channel_open(k, &s->channel, process.channel, process.pid) != 0) {
		close(process.channel);
		kill(s->pid, SIGKILL); /* only we reap, so the pid is still its own */
	}
	return 0;
}

int successor_attach(struct keeper *k, const struct request *request, struct writer *hello)
{
	struct successor *s = &k->successor;
	if (request->lowest_version > PROTOCOL_VERSION || request->highest_version < PROTOCOL_VERSION) {
		s->other_protocol = request->highest_version;
		return EPROTONOSUPPORT;
	}
	if (request->mode != ATTACH_SHADOW) {
		s->wanted_lease = true;
		return EBUSY;
	}
	if (s->channel.attached_at == 0)
		s->channel.attached_at = clock_now();
	supervisor_hello(k, request, hello);
	return 0;
}

int successor_report(struct keeper *k, const struct request *request)
{
	struct successor *s = &k->successor;
	if (s->phase != SUCCESSOR_TRYING || s->timed_out || request->report > REPORT_UNWILLING)
		return EPERM;
	memcpy(s->words, request->words, strlen(request->words) + 1);
	if (request->report == REPORT_WILLING)
		conclude(k, UPGRADE_WILLING, 0);
	return 0; /* else it ends, and that is when its words are told */
}

static void judge(struct keeper *k, int wait_status)
{
	struct successor *s = &k->successor;
	int error = supervisor_process_exec_error(s->status_fd);
	if (error != 0)
		conclude(k, UPGRADE_NOT_EXECUTED, error);
	else if (s->other_protocol != 0)
		conclude(k, UPGRADE_OTHER_PROTOCOL, s->other_protocol);
	else if (s->wanted_lease)
		conclude(k, UPGRADE_CANNOT_LOOK, 0);
	else if (s->words[0] != '\0')
		conclude(k, UPGRADE_UNWILLING, 0);
	else if (s->timed_out)
		conclude(k, UPGRADE_TIMED_OUT, (int32_t)(s->within / NS_PER_MS));
	else if (WIFEXITED(wait_status))
		conclude(k, UPGRADE_EXITED, WEXITSTATUS(wait_status));
	else
		conclude(k, UPGRADE_KILLED, WTERMSIG(wait_status));
}

bool successor_reaped(struct keeper *k, pid_t pid, int wait_status)
{
	struct successor *s = &k->successor;
	if (pid == s->before) {
		s->before = 0;
		s->before_until = 0;
		if (s->before_fd >= 0)
			close(s->before_fd);
		s->before_fd = -1;
		return true;
	}
	if (s->pid == 0 || pid != s->pid)
		return false;
	s->pid = 0;
	channel_drain(k, &s->channel); /* its last words count */
	if (s->phase == SUCCESSOR_TRYING) {
		judge(k, wait_status);
	} else if (s->phase == SUCCESSOR_WILLING) {
		/* `cede` finds nobody; where the reply is still to come, it says so. */
		s->phase = SUCCESSOR_NONE;
		forget_program(k);
		if (s->answering)
			judge(k, wait_status);
	}
	close_status(s);
	return true;
}

void successor_hung_up(struct keeper *k)
{
	channel_close(k, &k->successor.channel);
	kill(k->successor.pid, SIGKILL);
}

static void dismiss(struct keeper *k)
{
	struct successor *s = &k->successor;
	s->phase = SUCCESSOR_NONE;
	s->answering = false;
	s->deadline = 0;
	forget_program(k);
	if (s->pid != 0)
		kill(s->pid, SIGKILL);
}

/* What was sent before was performed, and whoever sent it reads no pipe any more: as with the end of a supervisor. */
static void give_lease(struct keeper *k)
{
	struct successor *s = &k->successor;
	successor_forget_before(s);
	drains_begin_all(k);
	reexec_forget_asker(&k->reexec);
	s->before_fd = channel_release(k, &k->channel);
	s->before = supervisor_replaced(k, s->pid);
	channel_move(k, &s->channel, &k->channel);
	close_status(s);
	s->pid = 0;
	s->phase = SUCCESSOR_LEADING;
	s->deadline = clock_now() + s->within;
}

int successor_cede(struct keeper *k, const struct request *request, uint32_t id)
{
	struct successor *s = &k->successor;
	if (s->phase != SUCCESSOR_WILLING || s->answering || k->ending.phase != ENDING_NOT)
		return ESRCH;
	if (!request->cede) {
		dismiss(k);
		return 0;
	}
	if (k->supervisor.pid == 0)
		return ESRCH; /* the last words of one that has ended */
	s->id = id;
	give_lease(k);
	return 0;
}

/* Whoever has ceded may end, with good news or bad ones. Room for so little is always there, and if not, the end of the channel tells. */
static void relieve(struct keeper *k, int error)
{
	struct successor *s = &k->successor;
	uint8_t frame[FRAME_HEADER + 8];
	size_t length = 0;
	if (s->before_fd < 0)
		return;
	if (error != 0) {
		struct writer w = {.bytes = frame + FRAME_HEADER, .capacity = 8};
		writer_i32(&w, error);
		writer_u32(&w, 0);
		length = w.at;
	}
	header_encode(frame, error == 0 ? REPLY_OK : REPLY_ERROR, s->id, length);
	(void)message_send(s->before_fd, frame, FRAME_HEADER + length, NULL, 0);
	close(s->before_fd);
	s->before_fd = -1;
	s->before_until = clock_now() + BEFORE_ENDS_WITHIN;
}

int successor_report_lease(struct keeper *k, const struct request *request)
{
	struct successor *s = &k->successor;
	if (request->report == REPORT_HAS_ALL && s->phase == SUCCESSOR_LEADING) {
		/* Before the reply: of two that could both be the donor, none would be better. */
		relieve(k, 0);
		s->phase = SUCCESSOR_SETTLING;
		return 0;
	}
	if (request->report != REPORT_SERVES || s->phase != SUCCESSOR_SETTLING)
		return EPERM;
	program_replace(k, s->arguments, s->own_count);
	s->arguments = NULL;
	s->phase = SUCCESSOR_NONE;
	s->deadline = 0;
	return 0;
}

bool successor_lost_supervisor(struct keeper *k)
{
	struct successor *s = &k->successor;
	if (only_looks(s) || s->answering) {
		dismiss(k);
		return false;
	}
	if (s->phase == SUCCESSOR_NONE)
		return false;
	complain("the new program of the supervisor has ended before it served; the one before is started again");
	relieve(k, ESRCH);
	s->phase = SUCCESSOR_NONE;
	s->deadline = 0;
	forget_program(k);
	return true;
}

void successor_forget_before(struct successor *s)
{
	if (s->before != 0)
		kill(s->before, SIGKILL);
	s->before = 0;
	s->before_until = 0;
}

void successor_kill(struct keeper *k)
{
	struct successor *s = &k->successor;
	if (s->pid != 0)
		kill(s->pid, SIGKILL);
	if (s->before != 0)
		kill(s->before, SIGKILL);
}

static void answer(struct keeper *k)
{
	struct successor *s = &k->successor;
	struct writer body = {.bytes = k->channel.out + FRAME_HEADER, .capacity = FRAME_MAX - FRAME_HEADER};
	s->answering = false;
	writer_u8(&body, (uint8_t)s->result);
	writer_i32(&body, s->detail);
	writer_string(&body, s->words);
	channel_send_reply(&k->channel, REPLY_OK, s->id, body.at, NULL, 0);
}

static void check_deadline(struct keeper *k)
{
	struct successor *s = &k->successor;
	s->deadline = 0;
	if (s->phase == SUCCESSOR_TRYING) {
		s->timed_out = true;
		kill(s->pid, SIGKILL);
	} else if (s->phase != SUCCESSOR_WILLING) {
		supervisor_is_hung(k);
	}
}

void successor_tick(struct keeper *k, uint64_t now)
{
	struct successor *s = &k->successor;
	if (clock_passed(s->deadline, now))
		check_deadline(k);
	if (clock_passed(s->before_until, now)) {
		s->before_until = 0;
		kill(s->before, SIGKILL);
	}
	if (s->answering && k->channel.pending == 0)
		answer(k);
	if (s->phase == SUCCESSOR_LEADING && !s->told_lease && channel_has_room(&k->channel))
		s->told_lease = channel_send_event(&k->channel, EVENT_LEASE, 0, -1);
}

uint64_t successor_deadline(const struct successor *s)
{
	return clock_earlier(clock_earlier(s->deadline, s->before_until), channel_deadline(&s->channel));
}
