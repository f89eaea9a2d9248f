#define _GNU_SOURCE
#include "reexec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "complain.h"
#include "keeper.h"
#include "state.h"
#include "takeover.h"
#include "trial.h"

enum { TRIAL_TIMEOUT_MS = 5000 };

void reexec_init(struct reexec *r, char *const *arguments)
{
	r->arguments = arguments;
	r->program = r->proof = -1;
}

void reexec_forget_asker(struct reexec *r)
{
	r->asked = false;
}

static void close_both(struct reexec *r)
{
	if (r->program >= 0)
		close(r->program);
	if (r->proof >= 0)
		close(r->proof);
	r->program = r->proof = -1;
}

static void finish(struct reexec *r, enum reexec_result result, int32_t detail)
{
	close_both(r);
	r->phase = REEXEC_ANSWERING;
	r->result = result;
	r->detail = detail;
}

/* Where this program lies, or lay: a newer one may have taken its place. 0 or errno. */
static int own_path(char *path, size_t size)
{
	static const char gone[] = " (deleted)";
	ssize_t count = readlink("/proc/self/exe", path, size - 1);
	if (count < 0)
		return errno;
	path[count] = '\0';
	size_t length = (size_t)count, suffix = sizeof gone - 1;
	if (length > suffix && strcmp(path + length - suffix, gone) == 0)
		path[length - suffix] = '\0';
	return 0;
}

/* 0 or errno. A file that is not there is the result of this re-exec, and no error of the request. */
static int open_program(struct reexec *r, const char *wanted)
{
	char path[PATH_MAX];
	if (wanted[0] == '\0') {
		int error = own_path(path, sizeof path);
		if (error != 0)
			return error;
		wanted = path;
	}
	r->program = open(wanted, O_PATH | O_CLOEXEC);
	if (r->program < 0)
		finish(r, REEXEC_NOT_EXECUTED, errno);
	return 0;
}

int reexec_request(struct keeper *k, const struct request *request, uint32_t id)
{
	struct reexec *r = &k->reexec;
	if (k->ending.phase != ENDING_NOT)
		return ESHUTDOWN;
	if (r->phase != REEXEC_IDLE || k->supervisor.handing_over || successor_is_under_way(&k->successor))
		return EBUSY;
	int error = open_program(r, request->path);
	if (error != 0)
		return error;
	r->asked = true;
	r->id = id;
	if (r->phase == REEXEC_ANSWERING)
		return 0;
	error = trial_start(k, r->program, &r->pid, &r->proof);
	if (error != 0) {
		finish(r, REEXEC_NOT_PASSED, error);
		return 0;
	}
	r->phase = REEXEC_TRYING;
	r->timed_out = false;
	r->deadline = clock_now() + TRIAL_TIMEOUT_MS * NS_PER_MS;
	return 0;
}

/* What it said counts, and what it ended with where it has said nothing. */
static void judge(struct reexec *r, int wait_status)
{
	struct proof proof;
	if (r->timed_out) {
		finish(r, REEXEC_TIMED_OUT, TRIAL_TIMEOUT_MS);
	} else if (!WIFEXITED(wait_status)) {
		finish(r, REEXEC_KILLED, WTERMSIG(wait_status));
	} else if (!proof_read(r->proof, &proof)) {
		finish(r, REEXEC_EXITED, WEXITSTATUS(wait_status));
	} else if (proof.version == PROOF_NOT_EXECUTED) {
		finish(r, REEXEC_NOT_EXECUTED, proof.error);
	} else if (proof.version != STATE_VERSION) {
		finish(r, REEXEC_OTHER_STATE, proof.version);
	} else if (proof.error != 0) {
		finish(r, REEXEC_NOT_READ, proof.error);
	} else if (WEXITSTATUS(wait_status) != 0) {
		finish(r, REEXEC_EXITED, WEXITSTATUS(wait_status));
	} else {
		close(r->proof);
		r->proof = -1;
		r->phase = REEXEC_PROCEEDING;
	}
}

void reexec_reaped(struct keeper *k, int wait_status)
{
	k->reexec.pid = 0;
	k->reexec.deadline = 0;
	judge(&k->reexec, wait_status);
}

static void proceed(struct keeper *k)
{
	struct reexec *r = &k->reexec;
	if (k->ending.phase != ENDING_NOT) {
		finish(r, REEXEC_NOT_PASSED, ESHUTDOWN);
		return;
	}
	successor_forget_before(&k->successor); /* whoever takes over would not know it */
	int error = takeover_begin(k, r->program);
	finish(r, REEXEC_NOT_EXECUTED, error);
}

/* Where whoever asked is gone. The detail comes behind. */
static const char *const words[] = {
	[REEXEC_NOT_EXECUTED] = "the new program cannot be executed, errno",
	[REEXEC_EXITED] = "the new program ended without a proof that it can take over, with exit code",
	[REEXEC_KILLED] = "the new program was killed before it had proved that it can take over, by signal",
	[REEXEC_TIMED_OUT] = "the new program did not prove that it can take over, within ms:",
	[REEXEC_OTHER_STATE] = "the new program reads another version of the state:",
	[REEXEC_NOT_READ] = "the new program cannot take the state, errno",
	[REEXEC_NOT_PASSED] = "the state cannot be passed on, errno",
	[REEXEC_GIVEN_BACK] = "the new program could not go on and gave everything back, errno",
};

static void answer(struct keeper *k)
{
	struct reexec *r = &k->reexec;
	struct writer body = {.bytes = k->channel.out + FRAME_HEADER, .capacity = FRAME_MAX - FRAME_HEADER};
	r->phase = REEXEC_IDLE;
	/* Whoever asked may be gone before it reads the reply. */
	if (r->result != REEXEC_DONE)
		complain("not re-executed, and nothing has changed: %s %d", words[r->result], (int)r->detail);
	if (!r->asked)
		return;
	r->asked = false;
	writer_u8(&body, (uint8_t)r->result);
	writer_i32(&body, r->detail);
	writer_u32(&body, r->count);
	channel_send_reply(&k->channel, REPLY_OK, r->id, body.at, NULL, 0);
}

void reexec_tick(struct keeper *k, uint64_t now)
{
	struct reexec *r = &k->reexec;
	if (clock_passed(r->deadline, now)) {
		r->deadline = 0;
		r->timed_out = true;
		trial_kill(r->pid);
	}
	if (k->channel.fd >= 0 && k->channel.pending != 0)
		return;
	if (r->phase == REEXEC_PROCEEDING)
		proceed(k);
	if (r->phase == REEXEC_ANSWERING)
		answer(k);
}

uint64_t reexec_deadline(const struct reexec *r)
{
	return r->deadline;
}

void reexec_taken_over(struct keeper *k, int error)
{
	struct reexec *r = &k->reexec;
	if (error == 0) {
		r->count++;
		r->last_at = clock_now();
		finish(r, REEXEC_DONE, 0);
	} else {
		finish(r, REEXEC_GIVEN_BACK, error);
	}
}
